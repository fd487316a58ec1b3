//! `/healthz`, `/readyz` and `/metrics`: for orchestrators, load balancers and monitoring.

use super::hooks::report;
use crate::app::health::Health;
use crate::app::hooks::Hooks;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use serde_json::{Value, json};
use std::sync::Arc;

/// The form of Prometheus' text, version 0.0.4.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whoever probes needs one answer.
const CLOSE: (header::HeaderName, &str) = (header::CONNECTION, "close");

pub(super) fn router(health: Arc<Health>, hooks: Arc<Hooks>) -> Router {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health)
        .route("/hooks/{route}/{token}", any(report))
        .with_state(hooks)
        .fallback(async || not_found())
        .method_not_allowed_fallback(async || {
            refusal(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "this address can only be read")
        })
}

/// The process lives: it got as far as this line.
async fn alive() -> Response {
    answer(StatusCode::OK, &json!({ "alive": true }))
}

async fn ready(State(health): State<Arc<Health>>) -> Response {
    match health.ready().await {
        Ok(()) => answer(StatusCode::OK, &json!({ "ready": true })),
        Err(why) => {
            let body = json!({ "ready": false, "code": why.code, "message": why.message });
            answer(StatusCode::SERVICE_UNAVAILABLE, &body)
        }
    }
}

async fn metrics(State(health): State<Arc<Health>>) -> Response {
    let headers = [(header::CONTENT_TYPE, METRICS), (header::CACHE_CONTROL, "no-store"), CLOSE];
    (headers, health.metrics().await).into_response()
}

pub(super) fn not_found() -> Response {
    refusal(StatusCode::NOT_FOUND, "not-found", "there is nothing at this address")
}

pub(super) fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    answer(status, &json!({ "error": message, "code": code }))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store"), CLOSE];
    (status, headers, body.to_string()).into_response()
}

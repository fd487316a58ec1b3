//! `/hooks/ROUTE/TOKEN`: where providers report.
//!
//! Whoever does not know the token gets what any other address gets. Whoever does, and cannot prove to be the provider,
//! gets a status and no word why. A body is read within bounds of size, time and memory.

use super::probes::{not_found, refusal};
use crate::app::hooks::{Answer, Call, Came, Hooks, Known, LARGEST_BODY};
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Duration;

/// How long a client may take to send a body.
const LONGEST_BODY: Duration = Duration::from_secs(10);
/// Told to come again: when.
const AGAIN: &str = "5";

pub(super) async fn report(
    State(hooks): State<Arc<Hooks>>,
    Path((route, token)): Path<(String, String)>,
    request: Request,
) -> Response {
    match hooks.find(&route, &token) {
        Ok(known) => taken(&known, request).await,
        Err(Came::NotFound) => not_found(),
        Err(Came::Kept | Came::Refused | Came::TooLarge | Came::TooSlow | Came::Overloaded | Came::Away) => again(),
    }
}

async fn taken(known: &Known<'_>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let announced = head.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > LARGEST_BODY) {
        known.note(Came::TooLarge);
        return closing(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let Some(mut room) = known.room(announced.unwrap_or(LARGEST_BODY)) else {
        known.note(Came::Overloaded);
        return again();
    };
    let body = match tokio::time::timeout(LONGEST_BODY, read(body)).await {
        Ok(Some(body)) => body,
        Ok(None) => {
            known.note(Came::TooLarge);
            return closing(StatusCode::PAYLOAD_TOO_LARGE);
        }
        Err(_) => {
            known.note(Came::TooSlow);
            return closing(StatusCode::REQUEST_TIMEOUT);
        }
    };
    // What was announced too much is free for others.
    let unused = room.num_permits().saturating_sub(body.len().max(1));
    drop(room.split(unused));
    let path = head.uri.path_and_query().map_or("", |path| path.as_str());
    let call = Call { method: &head.method, path, headers: &head.headers, body: &body };
    match known.take(&call, room).await {
        Answer::Kept(reply) => {
            let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
            if reply.body.is_empty() {
                return status.into_response();
            }
            (status, [(header::CONTENT_TYPE, reply.content_type)], reply.body).into_response()
        }
        Answer::Refused(status) => closing(StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN)),
        Answer::Again(_) => again(),
    }
}

/// The body; none where it is longer than it may be, or ended early.
async fn read(body: Body) -> Option<Vec<u8>> {
    to_bytes(body, LARGEST_BODY).await.ok().map(Vec::from)
}

/// The provider repeats what was answered like this.
fn again() -> Response {
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, "come-again", "this cannot be taken in just now");
    response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static(AGAIN));
    response
}

fn closing(status: StatusCode) -> Response {
    (status, [(header::CONNECTION, "close")]).into_response()
}

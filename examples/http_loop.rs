//! The two ends that `benches/sms_http.sh` measures against: a receiver that takes every POST, and a loop that does
//! nothing but POST.
//!
//! `http_loop receive PORT` answers each POST with a message id and `GET /count` with how many came.
//! `http_loop send URL REQUESTS CONCURRENCY BODY_FILE` sends that body so many times over so many connections, with the
//! client and the client settings of forewarn's routes, reads every reply and ends with an error if one is not 200. No
//! list, no text, no log: what an HTTP client alone can do on this machine.

#![allow(clippy::print_stdout, reason = "what it prints is read by the bench")]

use anyhow::{Context, bail};
use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["receive", port] => receive(port.parse().context("PORT is a number")?).await,
        ["send", url, requests, concurrency, file] => {
            let body = std::fs::read(file).with_context(|| format!("reading {file}"))?;
            let requests = requests.parse().context("REQUESTS is a number")?;
            send(url, requests, concurrency.parse().context("CONCURRENCY is a number")?, body).await
        }
        _ => bail!("http_loop receive PORT, or http_loop send URL REQUESTS CONCURRENCY BODY_FILE"),
    }
}

async fn receive(port: u16) -> anyhow::Result<()> {
    let taken = Arc::new(AtomicU64::new(0));
    let counted = taken.clone();
    let take = move |_body: Bytes| async move {
        let number = taken.fetch_add(1, Ordering::Relaxed);
        format!("{{\"id\":\"m-{number}\"}}")
    };
    let count = move || async move { counted.load(Ordering::Relaxed).to_string() };
    let router = Router::new().route("/", post(take)).route("/count", get(count));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(axum::serve(listener, router).await?)
}

async fn send(url: &str, requests: u64, concurrency: usize, body: Vec<u8>) -> anyhow::Result<()> {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        bail!("TLS could not be set up");
    }
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).pool_max_idle_per_host(concurrency).build()?;
    let body = Bytes::from(body);
    let left = Arc::new(AtomicU64::new(requests));
    let began = Instant::now();
    let mut senders = Vec::new();
    for _ in 0..concurrency {
        let (client, body, left, url) = (client.clone(), body.clone(), left.clone(), url.to_owned());
        senders.push(tokio::spawn(async move {
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
                let request = client.post(&url).header("content-type", "application/json").body(body.clone());
                let reply = request.send().await?.error_for_status()?;
                reply.bytes().await?;
            }
            anyhow::Ok(())
        }));
    }
    for sender in senders {
        sender.await??;
    }
    println!("{:.0} requests/s", requests as f64 / began.elapsed().as_secs_f64());
    Ok(())
}

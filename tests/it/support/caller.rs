//! An address of ours, as providers see it: every call is written down and answered, once it is there as a whole.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A call as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Came {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Listens until it is dropped.
pub(crate) struct Address {
    /// `http://127.0.0.1:PORT`.
    pub(crate) base_url: String,
    came: Arc<Mutex<Vec<Came>>>,
    listening: tokio::task::JoinHandle<()>,
}

impl Address {
    pub(crate) async fn listen() -> Address {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let came: Arc<Mutex<Vec<Came>>> = Arc::default();
        let written = came.clone();
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let written = written.clone();
                tokio::spawn(async move {
                    if let Some(call) = take(stream).await {
                        written.lock().unwrap().push(call);
                    }
                });
            }
        });
        Address { base_url, came, listening }
    }

    /// The calls, as soon as there are so many; fewer where no more came for a long time.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Came> {
        for _ in 0..600 {
            if self.came.lock().unwrap().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.came.lock().unwrap().clone()
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn take(mut stream: TcpStream) -> Option<Came> {
    let mut octets = Vec::new();
    let head = loop {
        if let Some(end) = octets.windows(4).position(|four| four == b"\r\n\r\n") {
            break String::from_utf8(octets[..end].to_vec()).ok()?;
        }
        if stream.read_buf(&mut octets).await.ok()? == 0 {
            return None;
        }
    };
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?.parse().ok()?, words.next()?.to_owned());
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.trim()).ok()?))
    };
    let headers: HeaderMap = lines.filter_map(header).collect();
    let length = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0usize);
    let mut body = octets.split_off(head.len() + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.ok()?;
    stream.shutdown().await.ok()?;
    Some(Came { method, path, headers, body })
}

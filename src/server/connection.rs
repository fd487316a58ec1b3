//! Taking connections, with an end to each.

use super::probes;
use crate::app::health::Health;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at once; others wait in the system's queue.
const MOST_CONNECTIONS: usize = 64;
/// How long a client may take to ask.
const LONGEST_REQUEST: Duration = Duration::from_secs(5);
/// How long a connection may last, answer and all.
const LONGEST_CONNECTION: Duration = Duration::from_secs(20);
/// The head of a request; bodies are not read.
const LARGEST_HEAD: usize = 16 * 1024;

/// Why nobody can reach this process.
#[derive(Debug, thiserror::Error)]
pub enum CannotListen {
    #[error(
        "another process listens on {address}; end it, or listen elsewhere ([server] listen, or --listen of a worker)"
    )]
    InUse { address: SocketAddr },
    #[error("cannot listen on {address}: {source}; correct [server] listen, or --listen of a worker")]
    Unusable { address: SocketAddr, source: io::Error },
}

impl CannotListen {
    pub fn code(&self) -> &'static str {
        match self {
            CannotListen::InUse { .. } => "address-in-use",
            CannotListen::Unusable { .. } => "cannot-listen",
        }
    }
}

/// A socket that is ours; nobody is answered before [`Listening::serve`].
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listening {
    pub async fn on(address: SocketAddr) -> Result<Listening, CannotListen> {
        let unusable = |source: io::Error| {
            let in_use = source.kind() == ErrorKind::AddrInUse;
            if in_use { CannotListen::InUse { address } } else { CannotListen::Unusable { address, source } }
        };
        let listener = TcpListener::bind(address).await.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        Ok(Listening { listener, address })
    }

    /// Where it is reached: with the port that the system chose, where it was asked to choose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers for ever.
    pub async fn serve(self, health: Arc<Health>) {
        let router = probes::router(health);
        let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        while let Ok(place) = room.clone().acquire_owned().await {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let router = router.clone();
                    tokio::spawn(async move {
                        let _place = place;
                        if tokio::time::timeout(LONGEST_CONNECTION, answer(stream, router)).await.is_err() {
                            tracing::debug!("a client took too long");
                        }
                    });
                }
                Err(error) => {
                    // Too many open files, most likely: others will close some.
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn answer(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(LONGEST_REQUEST)
        .keep_alive(false)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

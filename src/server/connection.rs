//! Taking connections, with an end to each.

use super::probes;
use crate::app::health::Health;
use crate::app::hooks::Hooks;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at once; others wait in the system's queue. Providers report over dozens of them.
const MOST_CONNECTIONS: usize = 512;
/// How long a client may take to ask, and be silent between two questions.
const LONGEST_REQUEST: Duration = Duration::from_secs(5);
/// How long a connection is used before it is to be opened anew.
const LONGEST_USE: Duration = Duration::from_secs(120);
/// What is then under way ends by then, answer and all.
const LONGEST_ANSWER: Duration = Duration::from_secs(20);
/// The head of a request.
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
    pub async fn serve(self, health: Arc<Health>, hooks: Arc<Hooks>) {
        let router = probes::router(health, hooks);
        let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        while let Ok(place) = room.clone().acquire_owned().await {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let router = router.clone();
                    tokio::spawn(async move {
                        let _place = place;
                        answer(stream, router).await;
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
    // Small answers, each of which somebody waits for.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection delays its answers");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(LONGEST_REQUEST)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let ended = match tokio::time::timeout(LONGEST_USE, connection.as_mut()).await {
        Ok(ended) => Ok(ended),
        Err(_) => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(LONGEST_ANSWER, connection).await
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended early"),
        Err(_) => tracing::debug!("a client took too long"),
    }
}

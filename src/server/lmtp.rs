//! Listening for mail servers that deliver what came back.
//!
//! A worker that cannot listen, because another of the same machine does, tries again and takes over when that one ends.

use super::lmtp_session::session;
use crate::app::lmtp::{LmtpListen, Post};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// Connections at once; others wait in the system's queue. Mail servers open twenty or so.
const MOST_CONNECTIONS: usize = 50;
/// How soon a place that is taken is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// Takes in what mail servers deliver, for ever.
pub async fn receive_over_lmtp(listen: LmtpListen, post: Post) {
    let mut said = false;
    loop {
        match Listener::on(&listen).await {
            Ok(listener) => {
                tracing::info!(%listen, "mail servers may deliver bounces by LMTP");
                listener.serve(&post).await;
            }
            Err(error) => {
                if !said {
                    tracing::warn!(%listen, %error, "nobody can deliver by LMTP to this process; it tries again");
                }
                said = true;
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Listener {
    async fn on(listen: &LmtpListen) -> io::Result<Listener> {
        match listen {
            LmtpListen::Address(address) => Ok(Listener::Tcp(TcpListener::bind(address).await?)),
            LmtpListen::Socket(path) => {
                take_away_if_dead(path).await?;
                let listener = UnixListener::bind(path)?;
                open_to_all(path)?;
                Ok(Listener::Unix(listener))
            }
        }
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Listener::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
        }
    }

    async fn serve(self, post: &Post) {
        let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        while let Ok(place) = room.clone().acquire_owned().await {
            match self.accept().await {
                Ok(stream) => {
                    let post = post.clone();
                    tokio::spawn(async move {
                        let _place = place;
                        if let Err(error) = session(stream, &post).await {
                            tracing::debug!(%error, "a connection over LMTP ended early");
                        }
                    });
                }
                Err(error) => {
                    // Too many open files, most likely: others will close some.
                    tracing::warn!(%error, "a connection over LMTP could not be taken");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// A socket that a process left behind when it died; one that somebody answers at stays.
async fn take_away_if_dead(path: &Path) -> io::Result<()> {
    let path: PathBuf = path.to_path_buf();
    match UnixStream::connect(&path).await {
        Ok(_) => Err(io::Error::new(ErrorKind::AddrInUse, "another process listens there")),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs_err::remove_file(path),
        Err(_) => Ok(()),
    }
}

/// Like a port of the loopback: who may come to it is for its folder to say.
fn open_to_all(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o666))
}

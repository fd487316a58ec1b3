//! A wire that can be cut: passes bytes on between a client and a server, until it is told to hold them back or to
//! break every connection.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Open,
    /// Bytes go nowhere and nobody is told: a network that is cut.
    Silent,
    /// Connections break and none are taken: a server that is being restarted.
    Broken,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    wire: Arc<watch::Sender<Wire>>,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let wire = Arc::new(watch::Sender::new(Wire::Open));
        let ours = wire.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                if *ours.borrow() == Wire::Broken {
                    continue;
                }
                let Ok(server) = TcpStream::connect(server).await else { continue };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(pass_on(from_client, to_server, ours.subscribe()));
                tokio::spawn(pass_on(from_server, to_client, ours.subscribe()));
            }
        });
        Proxy { port, wire }
    }

    pub(crate) fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }
}

async fn pass_on(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut wire: watch::Receiver<Wire>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            broken = wire.wait_for(|w| *w == Wire::Broken) => {
                drop(broken);
                return;
            }
        };
        if read == 0 || wire.wait_for(|w| *w != Wire::Silent).await.is_ok_and(|w| *w == Wire::Broken) {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

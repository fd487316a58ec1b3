//! The connection to an IMAP server: protected, and with an end to what is read.

use super::MailboxError;
use super::imap::fault;
use async_imap::Client;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use secrecy::SecretString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// From the first octet (port 993).
    Implicit,
    /// After STARTTLS (port 143), never without.
    StartTls,
    /// Not at all; to this machine only.
    None,
}

/// An account, with its password.
#[derive(Clone, Debug)]
pub struct Account {
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    pub username: String,
    pub password: SecretString,
    pub folder: String,
    /// Certificates (PEM) that are trusted beside the usual ones.
    pub ca_file: Option<PathBuf>,
    /// How long an answer may take; one with messages in it three times as long.
    pub patience: Duration,
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<W: AsyncRead + AsyncWrite + Send + Unpin> Wire for W {}

/// A connection of which a limited number of octets is read until somebody allows more.
pub(super) struct Bounded {
    wire: Box<dyn Wire>,
    left: Arc<AtomicUsize>,
}

impl std::fmt::Debug for Bounded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bounded").finish_non_exhaustive()
    }
}

impl AsyncRead for Bounded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.wire).poll_read(cx, buf);
        let came = buf.filled().len().saturating_sub(before);
        self.left.store(left.saturating_sub(came), Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

/// Connects as far as the server's readiness for a login.
pub(super) async fn connect(account: &Account, left: &Arc<AtomicUsize>) -> Result<Client<Bounded>, MailboxError> {
    let stream = dial(account).await?;
    let bounded = |wire: Box<dyn Wire>| Bounded { wire, left: left.clone() };
    match account.tls {
        Tls::None => greeted(account, bounded(Box::new(stream))).await,
        Tls::Implicit => {
            let stream = protect(account, Box::new(stream)).await?;
            greeted(account, bounded(stream)).await
        }
        Tls::StartTls => {
            let mut client = greeted(account, bounded(Box::new(stream))).await?;
            match timeout(account.patience, client.run_command_and_check_ok("STARTTLS", None)).await {
                Ok(Ok(())) => {}
                Ok(Err(async_imap::error::Error::No(_) | async_imap::error::Error::Bad(_))) => {
                    return Err(MailboxError::NoStartTls { host: account.host.clone() });
                }
                Ok(Err(error)) => return Err(fault(error)),
                Err(_) => return Err(silent(account.patience)),
            }
            // What was sent in clear behind the answer is dropped with the client's buffer.
            let stream = protect(account, client.into_inner().wire).await?;
            Ok(Client::new(bounded(stream)))
        }
    }
}

async fn dial(account: &Account) -> Result<TcpStream, MailboxError> {
    let (host, port) = (account.host.clone(), account.port);
    let unreachable = |why: String| MailboxError::Unreachable { host: host.clone(), port, why };
    let lookup = timeout(account.patience, tokio::net::lookup_host((account.host.as_str(), account.port)));
    let addresses: Vec<SocketAddr> = match lookup.await {
        Ok(found) => found.map_err(|error| unreachable(error.to_string()))?.collect(),
        Err(_) => return Err(unreachable("its name was not found in time".to_owned())),
    };
    let near = |address: &SocketAddr| address.ip().to_canonical().is_loopback();
    let mut last = "its name has no address".to_owned();
    for address in addresses {
        if account.tls == Tls::None && !near(&address) {
            return Err(MailboxError::ClearText { host });
        }
        match timeout(account.patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error.kind().to_string(),
            Err(_) => last = "it does not answer".to_owned(),
        }
    }
    Err(unreachable(last))
}

async fn protect(account: &Account, stream: Box<dyn Wire>) -> Result<Box<dyn Wire>, MailboxError> {
    let failed = |why: String| MailboxError::NoTls { host: account.host.clone(), why };
    let name = ServerName::try_from(account.host.clone()).map_err(|_| failed("it is no host name".to_owned()))?;
    let connector = TlsConnector::from(Arc::new(client_config(account.ca_file.as_deref())?));
    match timeout(account.patience, connector.connect(name, stream)).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(silent(account.patience)),
    }
}

/// The client behind the server's greeting.
async fn greeted(account: &Account, stream: Bounded) -> Result<Client<Bounded>, MailboxError> {
    let mut client = Client::new(stream);
    match timeout(account.patience, client.read_response()).await {
        Ok(Ok(Some(_))) => Ok(client),
        Ok(Ok(None)) => Err(MailboxError::Lost { why: "the server closed the connection".to_owned() }),
        Ok(Err(error)) => Err(fault(error.into())),
        Err(_) => Err(silent(account.patience)),
    }
}

fn silent(patience: Duration) -> MailboxError {
    MailboxError::Silent { seconds: patience.as_secs() }
}

fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, MailboxError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let unusable = || MailboxError::BadCertificates { path: path.to_path_buf() };
        let pem = fs_err::read(path).map_err(|_| unusable())?;
        let certificates: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
        let (added, ignored) = roots.add_parsable_certificates(certificates);
        if added == 0 || ignored > 0 {
            return Err(unusable());
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|_| MailboxError::NoImap)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

//! The stream under lettre's connection: one write a turn, one reply line a read.
//!
//! lettre writes each piece on its own and its flush goes to the wire, which costs a stall per message (Nagle against
//! delayed acknowledgement). A cork keeps what is written in its [`Outbox`], where we put commands and messages directly,
//! makes flush a no-op and hands all of it to the socket when the next reply is awaited. Towards lettre it gives single, cleaned lines: a reply in another charset, without a
//! text or with bare line feeds is a reply still, and nothing that came after a line is ever out of our sight, which
//! is what makes the step to TLS safe (see [`Cork::into_inner`]).
//!
//! Deliberately absent: timeouts (the connection wraps every wait) and any knowledge of SMTP beyond lines.

use lettre::transport::smtp::client::AsyncTokioStream;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A server that sends more than this without a line end is not speaking SMTP.
const LONGEST_LINE: usize = 8 * 1024;

/// What was written and is not on the wire yet. Handles share it.
#[derive(Clone, Default)]
pub(super) struct Outbox(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    /// From `sent` on still to be handed to the system.
    out: Vec<u8>,
    sent: usize,
    /// What was handed over may still be held back above the socket (TLS).
    unflushed: bool,
    /// The end of what [`Outbox::mark`] marked, while that is in `out`.
    marked: Option<usize>,
}

impl Outbox {
    /// Queues octets for the next read.
    pub(super) fn put(&self, octets: &str) {
        self.lock().put(octets.as_bytes());
    }

    /// Marks the end of what is queued now, for [`Outbox::has_passed_mark`].
    pub(super) fn mark(&self) {
        let mut waiting = self.lock();
        waiting.marked = Some(waiting.out.len());
    }

    /// Whether what was marked may be out of our hands. If not, its last octets never left.
    pub(super) fn has_passed_mark(&self) -> bool {
        let waiting = self.lock();
        // With more queued behind the mark nobody can say how far a flush came: then handed over counts as gone.
        waiting.marked.is_none_or(|end| waiting.sent >= end && (!waiting.unflushed || end < waiting.out.len()))
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Octets and their count change together, without a step that can fail.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn put(&mut self, octets: &[u8]) {
        self.out.extend_from_slice(octets);
        self.unflushed = true;
    }
}

/// See the module.
pub(super) struct Cork<S> {
    inner: S,
    peer: SocketAddr,
    outbox: Outbox,
    /// What came and was not handed on, from `taken` on.
    held: Vec<u8>,
    taken: usize,
    /// The cleaned line that is being handed on, from `given` on.
    line: Vec<u8>,
    given: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Cork<S> {
    pub(super) fn new(inner: S, peer: SocketAddr) -> Cork<S> {
        let outbox = Outbox::default();
        Cork { inner, peer, outbox, held: Vec::new(), taken: 0, line: Vec::new(), given: 0 }
    }

    /// A handle to what waits to be written.
    pub(super) fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }

    /// Queues a command for the next read.
    pub(super) fn put(&mut self, command: &str) {
        self.outbox.put(command);
    }

    /// Writes what is queued, then gives the next line with its CRLF.
    pub(super) async fn next_line(&mut self) -> io::Result<String> {
        std::future::poll_fn(|cx| {
            ready!(self.poll_drain(cx))?;
            self.poll_line(cx)
        })
        .await?;
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        Ok(line)
    }

    /// Hands these lines on before anything from the wire: they were read by [`Cork::next_line`] already.
    pub(super) fn replay(&mut self, lines: &str) {
        self.line = lines.as_bytes().to_vec();
        self.given = 0;
    }

    /// The stream below, for TLS to be laid over it, and whether anything had come that nobody read. Such octets were
    /// sent in clear and must not be taken for the protected answers that follow.
    pub(super) fn into_inner(self) -> (S, bool) {
        let unread = self.taken < self.held.len() || self.given < self.line.len();
        (self.inner, unread)
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waiting = self.outbox.lock();
        if !waiting.unflushed {
            return Poll::Ready(Ok(()));
        }
        while waiting.sent < waiting.out.len() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &waiting.out[waiting.sent..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            waiting.sent += written;
        }
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        waiting.out.clear();
        *waiting = Waiting { out: std::mem::take(&mut waiting.out), ..Waiting::default() };
        Poll::Ready(Ok(()))
    }

    /// Puts the next whole line into `line`.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Some(end) = self.held[self.taken..].iter().position(|b| *b == b'\n') {
                clean_line(&self.held[self.taken..self.taken + end], &mut self.line);
                self.given = 0;
                self.taken += end + 1;
                if self.taken == self.held.len() {
                    self.held.clear();
                    self.taken = 0;
                }
                return Poll::Ready(Ok(()));
            }
            if self.held.len() - self.taken > LONGEST_LINE {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a reply line without an end")));
            }
            let mut space = [0_u8; 2048];
            let mut buffer = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.held.extend_from_slice(buffer.filled());
        }
    }
}

/// Writes the line as lettre can read it: UTF-8, a separator after the code, a code it knows, no spaces at the end
/// (its EHLO parser panics on a line of spaces), CRLF.
fn clean_line(raw: &[u8], line: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(raw);
    let text = text.trim_end();
    line.clear();
    if let Some(code) = stand_in(text.as_bytes()) {
        let separator = if text.as_bytes().get(3) == Some(&b'-') { '-' } else { ' ' };
        line.extend_from_slice(format!("{code}{separator}").as_bytes());
    }
    line.extend_from_slice(text.as_bytes());
    if text.len() == 3 {
        line.push(b' ');
    }
    line.extend_from_slice(b"\r\n");
}

/// lettre reads no code whose second digit is above 5, and some servers refuse with 571. Such a line gets a code of the
/// same kind in front and keeps its own as the first word, from where `Reply::heard` takes it back.
fn stand_in(line: &[u8]) -> Option<&'static str> {
    let ended = matches!(line.get(3), None | Some(b' ' | b'-'));
    match line.get(..3)? {
        [b'2', b'6'..=b'9', b'0'..=b'9'] if ended => Some("250"),
        [b'4', b'6'..=b'9', b'0'..=b'9'] if ended => Some("451"),
        [b'5', b'6'..=b'9', b'0'..=b'9'] if ended => Some("554"),
        _ => None,
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Cork<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        if this.given >= this.line.len() {
            ready!(this.poll_line(cx))?;
        }
        let count = buf.remaining().min(this.line.len() - this.given);
        buf.put_slice(&this.line[this.given..this.given + count]);
        this.given += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Cork<S> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.outbox.lock().put(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

/// Only that it is one: what it holds is a notice.
impl<S> fmt::Debug for Cork<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cork").finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> AsyncTokioStream for Cork<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn corked(size: usize) -> (Cork<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
        let (near, far) = tokio::io::duplex(size);
        (Cork::new(near, SocketAddr::from(([127, 0, 0, 1], 25))), far)
    }

    #[tokio::test]
    async fn writes_leave_together_when_a_reply_is_awaited() {
        let (mut cork, mut far) = corked(1024);
        let outbox = cork.outbox();
        for part in ["MAIL", " FROM:<a@b.c>\r\n", "DATA\r\n"] {
            cork.write_all(part.as_bytes()).await.unwrap();
            cork.flush().await.unwrap();
        }
        outbox.mark();
        assert!(!outbox.has_passed_mark());
        far.write_all(b"250 one\r\n354 two\r\n").await.unwrap();
        assert_eq!(cork.next_line().await.unwrap(), "250 one\r\n");
        assert!(outbox.has_passed_mark());
        let mut got = [0; 64];
        let count = far.read(&mut got).await.unwrap();
        assert_eq!(&got[..count], b"MAIL FROM:<a@b.c>\r\nDATA\r\n");
        let mut got = [0; 64];
        let count = cork.read(&mut got).await.unwrap();
        assert_eq!(&got[..count], b"354 two\r\n");
    }

    #[tokio::test]
    async fn odd_lines_are_made_readable() {
        let (mut cork, mut far) = corked(1024);
        far.write_all(b"571-no\r\n571 way\r\n999 x\r\n").await.unwrap();
        for want in ["554-571-no\r\n", "554 571 way\r\n", "999 x\r\n"] {
            assert_eq!(cork.next_line().await.unwrap(), want);
        }
        far.write_all(b"250\r\n250-   \n550 \xd3\xc3\xbb\xa7 5.1.1  \r\n").await.unwrap();
        assert_eq!(cork.next_line().await.unwrap(), "250 \r\n");
        assert_eq!(cork.next_line().await.unwrap(), "250-\r\n");
        let lossy = cork.next_line().await.unwrap();
        assert!(lossy.starts_with("550 ") && lossy.ends_with(" 5.1.1\r\n"), "{lossy}");
        drop(far);
        assert_eq!(cork.next_line().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn what_nobody_read_is_seen() {
        let (mut cork, mut far) = corked(1024);
        far.write_all(b"220 go ahead\r\n250 forged\r\n").await.unwrap();
        cork.next_line().await.unwrap();
        assert!(cork.into_inner().1);
        let (mut cork, mut far) = corked(1024);
        far.write_all(b"220 go ahead\r\n").await.unwrap();
        cork.next_line().await.unwrap();
        assert!(!cork.into_inner().1);
    }

    #[tokio::test]
    async fn an_unfinished_write_is_known_to_be_one() {
        for (size, message, next, passed) in [
            (8, "far more than eight octets\r\n.\r\n", "", false),
            (8, "1234567\r\n", "MAIL", false),
            (8, "12345\r\n.\r\n", "MAIL", false),
            (10, "12345\r\n.\r\n", "MAIL", true),
            (12, "12345\r\n.\r\n", "MAIL", true),
        ] {
            let (mut cork, far) = corked(size);
            let outbox = cork.outbox();
            outbox.put(message);
            outbox.mark();
            outbox.put(next);
            let wait = tokio::time::timeout(std::time::Duration::from_millis(20), cork.next_line()).await;
            assert!(wait.is_err());
            assert_eq!(outbox.has_passed_mark(), passed, "{size} {message:?}");
            drop(far);
            assert!(cork.next_line().await.is_err());
            assert_eq!(outbox.has_passed_mark(), passed, "{size} {message:?}");
        }
    }

    #[tokio::test]
    async fn a_line_without_end_is_an_error() {
        let (mut cork, mut far) = corked(64 * 1024);
        far.write_all(&[b'x'; 20_000]).await.unwrap();
        assert_eq!(cork.next_line().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

//! One connection of a mail server (RFC 2033): commands, messages, and a reply for each recipient.
//!
//! Invariants: 250 is said of a message only when its report is kept; whatever comes, a line and a message take a fixed
//! room; only CRLF ends a line of a message, so that nothing can be smuggled in behind it; whoever is silent, slow or
//! talks nonsense is sent away.

use crate::app::lmtp::{Delivered, MOST_OCTETS, Post, Recipient};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufStream};
use tokio::time::timeout;

/// The longest command line that is read.
const LONGEST_LINE: usize = 4 << 10;
/// The largest message that is taken.
const LARGEST: u64 = 32 << 20;
const MOST_RECIPIENTS: usize = 100;
/// Commands that make no sense, before the connection is closed.
const MOST_MISTAKES: usize = 20;
/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(300);
/// How long a whole message may take.
const LONGEST_MESSAGE: Duration = Duration::from_secs(600);

/// What a connection is told first, and last.
const GREETING: &str = "220 forewarn LMTP takes reports about notices\r\n";
const TOO_SLOW: &str = "421 4.4.2 too slow, goodbye\r\n";
const NONSENSE: &str = "421 4.7.0 too many mistakes, goodbye\r\n";

/// A message as far as it has come.
#[derive(Default)]
struct Transaction {
    /// `Some(true)`: from nobody (`<>`).
    from: Option<bool>,
    recipients: Vec<Recipient>,
}

/// What follows a command.
enum Next {
    Say(String),
    Data,
    Quit,
}

/// Speaks with a mail server until one of both ends it.
pub(super) async fn session(stream: impl AsyncRead + AsyncWrite + Unpin, post: &Post) -> io::Result<()> {
    let mut stream = BufStream::new(stream);
    let mut transaction = Transaction::default();
    let (mut greeted, mut mistakes) = (false, 0);
    say(&mut stream, GREETING).await?;
    loop {
        let line = match timeout(SILENCE, line(&mut stream)).await {
            Ok(line) => line?,
            Err(_) => return say(&mut stream, TOO_SLOW).await,
        };
        let Some(line) = line else { return Ok(()) };
        let next = match &line {
            Some(line) => command(line, &mut greeted, &mut transaction, post),
            None => Next::Say("500 5.5.2 the line is too long\r\n".to_owned()),
        };
        match next {
            Next::Say(reply) => {
                mistakes += usize::from(reply.starts_with("50"));
                say(&mut stream, &reply).await?;
                if mistakes > MOST_MISTAKES {
                    return say(&mut stream, NONSENSE).await;
                }
            }
            Next::Quit => return say(&mut stream, "221 2.0.0 goodbye\r\n").await,
            Next::Data => {
                say(&mut stream, "354 go ahead\r\n").await?;
                let taken = match timeout(LONGEST_MESSAGE, message(&mut stream, LARGEST)).await {
                    Ok(taken) => taken?,
                    Err(_) => return say(&mut stream, TOO_SLOW).await,
                };
                let replies = replies(std::mem::take(&mut transaction), taken, post).await;
                say(&mut stream, &replies).await?;
            }
        }
    }
}

/// One reply a recipient, in their order.
async fn replies(transaction: Transaction, raw: Option<Arc<[u8]>>, post: &Post) -> String {
    let mut replies = String::new();
    for recipient in &transaction.recipients {
        let reply = match &raw {
            None => "552 5.3.4 the message is too large\r\n",
            Some(raw) => match post.keep(recipient, transaction.from == Some(true), raw.clone()).await {
                Delivered::Kept => "250 2.0.0 kept\r\n",
                Delivered::NoReport => {
                    "550 5.7.1 this address takes reports about notices only, nobody reads it: write to the address in \
                     the notice\r\n"
                }
                Delivered::Away => "451 4.3.0 it cannot be kept now, come again\r\n",
            },
        };
        replies.push_str(reply);
    }
    replies
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), reply: &str) -> io::Result<()> {
    let write = async {
        stream.write_all(reply.as_bytes()).await?;
        stream.flush().await
    };
    timeout(SILENCE, write).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

fn command(line: &str, greeted: &mut bool, transaction: &mut Transaction, post: &Post) -> Next {
    let say = |reply: &str| Next::Say(format!("{reply}\r\n"));
    let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
    let ordered = *greeted || matches!(verb.as_str(), "LHLO" | "QUIT" | "NOOP" | "RSET");
    match verb.as_str() {
        _ if !ordered => say("503 5.5.1 say LHLO first"),
        "LHLO" => {
            *greeted = true;
            *transaction = Transaction::default();
            let offers = "250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8";
            say(&format!("250-forewarn\r\n{offers}\r\n250 SIZE {LARGEST}"))
        }
        "MAIL" => mail(line, transaction),
        "RCPT" => rcpt(line, transaction, post),
        "DATA" if transaction.recipients.is_empty() => say("503 5.5.1 no recipient was taken"),
        "DATA" => Next::Data,
        "RSET" => {
            *transaction = Transaction::default();
            say("250 2.0.0 forgotten")
        }
        "NOOP" => say("250 2.0.0 nothing done"),
        "VRFY" => say("252 2.5.0 try RCPT"),
        "QUIT" => Next::Quit,
        "HELO" | "EHLO" => say("500 5.5.1 this is LMTP: say LHLO"),
        _ => say("500 5.5.1 what is that"),
    }
}

fn mail(line: &str, transaction: &mut Transaction) -> Next {
    let reply = match path(line, "MAIL FROM:") {
        _ if transaction.from.is_some() => "503 5.5.1 a message was begun already".to_owned(),
        None => "501 5.5.4 write MAIL FROM:<address>".to_owned(),
        Some((_, parameters)) if declared(parameters).is_some_and(|size| size > LARGEST) => {
            format!("552 5.3.4 messages have {LARGEST} octets at most")
        }
        Some((from, _)) => {
            transaction.from = Some(from.is_empty());
            "250 2.1.0 go on".to_owned()
        }
    };
    Next::Say(format!("{reply}\r\n"))
}

fn rcpt(line: &str, transaction: &mut Transaction, post: &Post) -> Next {
    let reply = match path(line, "RCPT TO:") {
        _ if transaction.from.is_none() => "503 5.5.1 say MAIL first",
        _ if transaction.recipients.len() >= MOST_RECIPIENTS => "452 4.5.3 so many recipients at once",
        None => "501 5.5.4 write RCPT TO:<address>",
        Some((address, _)) => match post.recipient(address) {
            Some(recipient) => {
                transaction.recipients.push(recipient);
                "250 2.1.5 go on"
            }
            None => "550 5.1.1 no bounce address of ours, or none of its notices",
        },
    };
    Next::Say(format!("{reply}\r\n"))
}

/// What stands between `<` and `>`, without a way that leads there (`@a,@b:`), and what stands behind.
fn path<'l>(line: &'l str, verb: &str) -> Option<(&'l str, &'l str)> {
    let (head, rest) = line.split_at_checked(verb.len())?;
    if !head.eq_ignore_ascii_case(verb) {
        return None;
    }
    let inner = rest.trim_start_matches(' ').strip_prefix('<')?;
    let mut quoted = false;
    let end = inner.char_indices().find(|(at, sign)| {
        quoted ^= *sign == '"' && !inner[..*at].ends_with('\\');
        *sign == '>' && !quoted
    });
    let (address, behind) = inner.split_at_checked(end?.0)?;
    let address = if address.starts_with('@') { address.split_once(':')?.1 } else { address };
    Some((address, behind.strip_prefix('>')?))
}

/// The size that was declared.
fn declared(parameters: &str) -> Option<u64> {
    let size = |word: &str| word.to_ascii_uppercase().strip_prefix("SIZE=")?.parse().ok();
    parameters.split(' ').find_map(size)
}

/// A command line without its end. `None`: the other side is gone; `Some(None)`: too long a line, or no text.
async fn line(stream: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> io::Result<Option<Option<String>>> {
    let mut line = Vec::new();
    let mut fits = true;
    loop {
        let some = stream.fill_buf().await?;
        if some.is_empty() {
            return Ok(None);
        }
        let end = some.iter().position(|octet| *octet == b'\n');
        let used = end.map_or(some.len(), |at| at + 1);
        fits &= line.len() + used <= LONGEST_LINE;
        if fits {
            line.extend_from_slice(&some[..used]);
        }
        stream.consume(used);
        if end.is_some() {
            break;
        }
    }
    let text = String::from_utf8(line).ok().filter(|_| fits);
    Ok(Some(text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned())))
}

/// How far the end of a message has been seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Text,
    Cr,
    LineStart,
    Dot,
    DotCr,
}

/// The message behind DATA, without the dots that were doubled: its beginning. `None`: it was too large.
async fn message(stream: &mut (impl tokio::io::AsyncBufRead + Unpin), largest: u64) -> io::Result<Option<Arc<[u8]>>> {
    let mut raw = Vec::new();
    let (mut seen, mut octets) = (Seen::LineStart, 0u64);
    loop {
        let some = stream.fill_buf().await?;
        if some.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let (mut used, mut ended) = (0, false);
        for octet in some {
            used += 1;
            octets += 1;
            let before = seen;
            seen = match (seen, *octet) {
                (Seen::LineStart, b'.') => Seen::Dot,
                (Seen::Dot, b'\r') => Seen::DotCr,
                (Seen::DotCr, b'\n') => {
                    ended = true;
                    break;
                }
                (Seen::Cr, b'\n') => Seen::LineStart,
                (_, b'\r') => Seen::Cr,
                _ => Seen::Text,
            };
            // A dot at the start of a line goes; a CR that was held back behind it comes after all.
            let held_back = (before == Seen::DotCr).then_some(b'\r');
            let comes = (!matches!(seen, Seen::Dot | Seen::DotCr)).then_some(*octet);
            raw.extend(held_back.into_iter().chain(comes).filter(|_| octets <= MOST_OCTETS as u64));
        }
        stream.consume(used);
        if ended {
            return Ok((octets <= largest).then(|| raw.into()));
        }
        if octets > 2 * largest {
            return Err(ErrorKind::InvalidData.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &[u8], piece: usize) -> (Option<Arc<[u8]>>, String) {
        let mut stream = tokio::io::BufReader::with_capacity(piece, text);
        let taken = message(&mut stream, LARGEST).await.unwrap();
        let mut rest = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut rest).await.unwrap();
        (taken, rest)
    }

    #[tokio::test]
    async fn a_message_ends_at_its_dot_and_nowhere_else() {
        for (sent, want) in [
            (".\r\n", ""),
            ("a\r\n.\r\n", "a\r\n"),
            ("..\r\n...a\r\n.\r\n", ".\r\n..a\r\n"),
            ("a\n.\nb\n.\r\nc\r\n.\r\n", "a\n.\nb\n.\r\nc\r\n"),
            ("a\r.\r\n.\r\n", "a\r.\r\n"),
            (".\rb\r\n.\r\n", "\rb\r\n"),
            (".\r\r\n.\r\n", "\r\r\n"),
        ] {
            for piece in [1, 2, 3, 1000] {
                let (taken, rest) = read(format!("{sent}QUIT\r\n").as_bytes(), piece).await;
                assert_eq!(taken.as_deref(), Some(want.as_bytes()), "{sent:?} by {piece}");
                assert_eq!(rest, "QUIT\r\n");
            }
        }
        let mut cut = b"a\r\n.\r".as_slice();
        assert!(message(&mut cut, LARGEST).await.is_err());
    }

    #[tokio::test]
    async fn large_messages_take_a_fixed_room() {
        const MOST: usize = 2 << 20;
        let taken = |octets: usize| async move {
            let text = [vec![b'x'; octets], b"\r\n.\r\n".to_vec()].concat();
            let mut stream = tokio::io::BufReader::new(text.as_slice());
            message(&mut stream, MOST as u64).await.map(|taken| taken.map(|raw| raw.len())).map_err(|e| e.kind())
        };
        assert_eq!(taken(MOST_OCTETS + 5).await, Ok(Some(MOST_OCTETS)));
        assert_eq!(taken(MOST).await, Ok(None));
        assert_eq!(taken(2 * MOST + (1 << 16)).await, Err(ErrorKind::InvalidData));
    }

    #[tokio::test]
    async fn lines_are_bounded_and_the_next_one_is_found() {
        let text = [vec![b'x'; LONGEST_LINE], b"\r\nNOOP\r\n\xff\r\nQU".to_vec()].concat();
        let mut stream = text.as_slice();
        assert_eq!(line(&mut stream).await.unwrap(), Some(None));
        assert_eq!(line(&mut stream).await.unwrap(), Some(Some("NOOP".to_owned())));
        assert_eq!(line(&mut stream).await.unwrap(), Some(None));
        assert_eq!(line(&mut stream).await.unwrap(), None);
    }

    #[test]
    fn paths_are_read_as_servers_write_them() {
        for (line, want) in [
            ("MAIL FROM:<>", Some(("", ""))),
            ("mail from: <a@b> SIZE=5 BODY=8BITMIME", Some(("a@b", " SIZE=5 BODY=8BITMIME"))),
            ("MAIL FROM:<@x,@y:a@b>", Some(("a@b", ""))),
            ("MAIL FROM:<\"a>\"@b>", Some(("\"a>\"@b", ""))),
            ("MAIL FROM:a@b", None),
            ("MAIL FROM:<a@b", None),
            ("MAIL FRO", None),
            ("MAIL FROMé<a@b>", None),
            ("MAIL", None),
        ] {
            assert_eq!(path(line, "MAIL FROM:"), want, "{line}");
        }
        assert_eq!(declared(" BODY=8BITMIME size=77"), Some(77));
        assert_eq!(declared(" SIZE=many"), None);
    }
}

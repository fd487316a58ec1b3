//! A relay that does what a test tells it to, and remembers what it was told.

use rustls::ServerConfig;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// What to do when a command comes.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Answer these octets, with a CRLF behind them.
    Say(&'static str),
    SayBytes(&'static [u8]),
    /// Answer and close.
    SayAndClose(&'static str),
    Close,
    /// Never answer.
    Hang,
    /// As if nothing had been scripted, this once.
    Usual,
    /// The usual answer, after a while.
    Late(Duration),
}

/// What the relay saw.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) connections: usize,
    /// Every command line, without its end.
    pub(super) commands: Vec<String>,
    /// Commands that lay ready together with the one before them.
    pub(super) pipelined: usize,
    /// Messages as they were on the wire, with the final dot.
    pub(super) messages: Vec<String>,
}

type Script = HashMap<&'static str, VecDeque<Act>>;

pub(super) struct Relay {
    pub(super) address: SocketAddr,
    pub(super) seen: Arc<Mutex<Seen>>,
    script: Arc<Mutex<Script>>,
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// How the relay does TLS.
#[derive(Clone, Default)]
pub(super) enum Security {
    #[default]
    None,
    StartTls(Arc<ServerConfig>),
    Implicit(Arc<ServerConfig>),
}

impl Relay {
    /// `ehlo`: keywords after the first line.
    pub(super) async fn start(ehlo: &'static [&'static str], security: Security) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, script) = (Arc::new(Mutex::new(Seen::default())), Arc::new(Mutex::new(Script::default())));
        let session = Session { ehlo, security, seen: Arc::clone(&seen), script: Arc::clone(&script) };
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                session.seen.lock().unwrap().connections += 1;
                let session = session.clone();
                tokio::spawn(async move { session.serve(tcp).await });
            }
        });
        Relay { address, seen, script }
    }

    /// The next time `verb` comes (`GREETING` for the banner, `.` for the end of a message, `BODY` for its first
    /// line), on whatever connection.
    pub(super) fn next(&self, verb: &'static str, act: Act) -> &Relay {
        self.script.lock().unwrap().entry(verb).or_default().push_back(act);
        self
    }

    pub(super) fn commands(&self) -> Vec<String> {
        self.seen.lock().unwrap().commands.clone()
    }
}

#[derive(Clone)]
struct Session {
    ehlo: &'static [&'static str],
    security: Security,
    seen: Arc<Mutex<Seen>>,
    script: Arc<Mutex<Script>>,
}

impl Session {
    fn act(&self, verb: &str) -> Option<Act> {
        self.script.lock().unwrap().get_mut(verb).and_then(VecDeque::pop_front)
    }

    async fn serve(&self, tcp: tokio::net::TcpStream) {
        let mut stream: BufReader<Box<dyn Io>> = BufReader::new(match &self.security {
            Security::Implicit(config) => match tls(config, tcp).await {
                Some(stream) => stream,
                None => return,
            },
            Security::None | Security::StartTls(_) => Box::new(tcp),
        });
        if !self.answer(&mut stream, "GREETING", "220 relay.test ESMTP".to_owned()).await {
            return;
        }
        let mut in_clear = true;
        while let Some(line) = self.command(&mut stream).await {
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
            let usual = self.usual(&verb, in_clear);
            let usual_code = usual.get(..3).map(str::to_owned);
            let next = self.script.lock().unwrap().get(verb.as_str()).and_then(|acts| acts.front().cloned());
            let scripted = !matches!(next, None | Some(Act::Usual | Act::Late(_)));
            if !self.answer(&mut stream, &verb, usual).await || verb == "QUIT" {
                return;
            }
            match &self.security {
                Security::StartTls(config) if verb == "STARTTLS" && !scripted => {
                    let Some(secured) = tls(config, stream.into_inner()).await else {
                        return;
                    };
                    stream = BufReader::new(secured);
                    in_clear = false;
                }
                Security::None | Security::StartTls(_) | Security::Implicit(_) => {}
            }
            if verb == "DATA" && !scripted && usual_code.as_deref() == Some("354") && !self.message(&mut stream).await {
                return;
            }
        }
    }

    fn usual(&self, verb: &str, in_clear: bool) -> String {
        match verb {
            "EHLO" => {
                let mut lines = vec!["relay.test"];
                lines.extend(self.ehlo);
                if in_clear && matches!(self.security, Security::StartTls(_)) {
                    lines.push("STARTTLS");
                }
                let last = lines.len() - 1;
                let lines: Vec<String> = lines
                    .iter()
                    .enumerate()
                    .map(|(i, line)| format!("250{}{line}", if i == last { ' ' } else { '-' }))
                    .collect();
                lines.join("\r\n")
            }
            "DATA" => "354 go ahead".to_owned(),
            "STARTTLS" => "220 go ahead".to_owned(),
            "AUTH" => "235 2.7.0 welcome".to_owned(),
            "QUIT" => "221 bye".to_owned(),
            "." => "250 2.0.0 Ok: queued as 4F1C2A0042".to_owned(),
            _ => "250 2.0.0 Ok".to_owned(),
        }
    }

    async fn command(&self, stream: &mut BufReader<Box<dyn Io>>) -> Option<String> {
        let together = !stream.buffer().is_empty();
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let mut seen = self.seen.lock().unwrap();
        seen.pipelined += usize::from(together);
        seen.commands.push(line.trim_end_matches("\r\n").to_owned());
        Some(line.trim_end().to_owned())
    }

    /// Reads to the final dot and answers; false when the connection is over.
    async fn message(&self, stream: &mut BufReader<Box<dyn Io>>) -> bool {
        let mut whole = String::new();
        let mut first = true;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return false;
            }
            if std::mem::take(&mut first) {
                match self.act("BODY") {
                    Some(Act::Close) => return false,
                    Some(Act::Hang) => std::future::pending::<()>().await,
                    Some(_) | None => {}
                }
            }
            whole.push_str(&line);
            if line == ".\r\n" {
                break;
            }
        }
        self.seen.lock().unwrap().messages.push(whole);
        self.answer(stream, ".", self.usual(".", false)).await
    }

    async fn answer(&self, stream: &mut BufReader<Box<dyn Io>>, verb: &str, usual: String) -> bool {
        let mut say = usual.into_bytes();
        let mut stay = true;
        match self.act(verb) {
            None | Some(Act::Usual) => {}
            Some(Act::Late(wait)) => tokio::time::sleep(wait).await,
            Some(Act::Say(text)) => say = text.as_bytes().to_vec(),
            Some(Act::SayBytes(bytes)) => say = bytes.to_vec(),
            Some(Act::SayAndClose(text)) => {
                say = text.as_bytes().to_vec();
                stay = false;
            }
            Some(Act::Close) => return false,
            Some(Act::Hang) => {
                // Read on, so that the client's writes succeed, and say nothing.
                let mut void = Vec::new();
                return stream.read_to_end(&mut void).await.is_err() && stay;
            }
        }
        say.extend_from_slice(b"\r\n");
        stream.get_mut().write_all(&say).await.is_ok() && stream.get_mut().flush().await.is_ok() && stay
    }
}

async fn tls<S: Io + 'static>(config: &Arc<ServerConfig>, stream: S) -> Option<Box<dyn Io>> {
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(config));
    let stream = acceptor.accept(stream).await.ok()?;
    Some(Box::new(stream))
}

//! One connection to the relay: dialled, protected, logged in, and able to take commands with a time limit each.
//!
//! Invariants: no octet of a password or a notice crosses an unprotected connection unless the settings allow it;
//! STARTTLS that was asked for and cannot be had ends the attempt; whatever the server sent in clear behind its reply
//! to STARTTLS ends it too. Nothing here belongs to a notice, so every failure leaves the notice unharmed.

use super::classify::{Phase, classify};
use super::cork::{Cork, Outbox};
use super::message::FINAL_DOT;
use super::options::{Options, Protection, literal};
use super::reply::Reply;
use crate::model::outcome::{Class, Outcome};
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

/// Longest wait for one address to take the connection, so that a dead one does not use up the time of the next.
const DIAL: Duration = Duration::from_secs(30);
/// Longest wait for a farewell nobody needs.
const FAREWELL: Duration = Duration::from_secs(2);
/// Idle connections are asked whether they live before a notice is trusted to them.
const TRUSTED_IDLE: Duration = Duration::from_secs(30);
/// Longest reply to EHLO we read, in lines.
const MOST_LINES: usize = 100;

/// Why no reply came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoReply {
    #[error("no answer within {} s", .0.as_secs())]
    Silence(Duration),
    #[error("the connection was lost")]
    Lost,
    #[error("the answer was not SMTP")]
    Garbage,
}

impl NoReply {
    pub(super) fn code(&self) -> &'static str {
        match self {
            NoReply::Silence(_) => "timeout",
            NoReply::Lost => "lost",
            NoReply::Garbage => "garbage",
        }
    }
}

/// What the server offered in its last EHLO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offers {
    pub pipelining: bool,
    pub smtputf8: bool,
    /// Octets, where the server named a limit.
    pub size: Option<u64>,
    /// It knows the SIZE parameter.
    pub takes_size: bool,
}

impl Offers {
    fn read<'a>(lines: impl Iterator<Item = &'a str>) -> Offers {
        let mut offers = Offers::default();
        for line in lines {
            let mut words = line.split_whitespace();
            match words.next().map(str::to_ascii_uppercase).as_deref() {
                Some("PIPELINING") => offers.pipelining = true,
                Some("SMTPUTF8") => offers.smtputf8 = true,
                Some("SIZE") => {
                    offers.takes_size = true;
                    offers.size = words.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
                }
                Some(_) | None => {}
            }
        }
        offers
    }
}

/// A connection that is ready for MAIL FROM.
pub(super) struct Connection {
    /// Boxed, so that a connection is cheaply handed on.
    smtp: Box<AsyncSmtpConnection>,
    outbox: Outbox,
    pub offers: Offers,
    /// Transactions begun on it.
    pub used: u32,
    /// A transaction was refused half-way and must be reset before the next.
    pub dirty: bool,
    last_used: Instant,
}

impl Connection {
    /// Dials, protects, greets, logs in. An error is the outcome for whoever wanted to send.
    pub(super) async fn open(options: &Options) -> Result<Connection, Outcome> {
        let (tcp, peer) = dial(options).await?;
        let own = tcp.local_addr().map_or(ClientId::default(), |address| literal(address.ip()));
        let hello = options.hello.clone().unwrap_or(own);
        let mut connection = match options.tls {
            Protection::None => greet(Cork::new(tcp, peer), &hello, options).await?,
            Protection::Implicit => greet(Cork::new(encrypt(tcp, options).await?, peer), &hello, options).await?,
            Protection::StartTls => {
                let (tcp, greeting) = start_tls(Cork::new(tcp, peer), &hello, options).await?;
                let mut cork = Cork::new(encrypt(tcp, options).await?, peer);
                cork.replay(&greeting);
                begin(cork, &hello, options).await?
            }
        };
        connection.learn_offers(&hello, options).await?;
        connection.log_in(options, peer).await?;
        Ok(connection)
    }

    /// Sends a command, or several in one write, and gives the first reply.
    pub(super) async fn command(&mut self, command: &str, limit: Duration) -> Result<Reply, NoReply> {
        self.outbox.put(command);
        self.next_reply(limit).await
    }

    /// Sends a dot-stuffed message with its final dot, and in the same write the commands behind it. Gives the reply to
    /// the dot.
    pub(super) async fn message(&mut self, body: &str, behind: &str, limit: Duration) -> Result<Reply, NoReply> {
        self.outbox.put(body);
        self.outbox.put(FINAL_DOT);
        self.outbox.mark();
        self.command(behind, limit).await
    }

    /// The reply to the next command of a group.
    pub(super) async fn next_reply(&mut self, limit: Duration) -> Result<Reply, NoReply> {
        let answer = timeout(limit, self.smtp.read_response()).await;
        self.last_used = Instant::now();
        heard(answer, limit).map(|answer| joined(&answer))
    }

    /// Whether the final dot of the last message may be out of our hands. If not, the server cannot have acted on it.
    pub(super) fn dot_has_left(&self) -> bool {
        self.outbox.has_passed_mark()
    }

    /// Makes a connection that was used before ready for a transaction; false when it is of no more use.
    pub(super) async fn refresh(&mut self, options: &Options) -> bool {
        if self.used >= options.max_per_connection {
            return false;
        }
        let question = match (self.dirty, self.last_used.elapsed() > TRUSTED_IDLE) {
            (true, _) => "RSET\r\n",
            (false, true) => "NOOP\r\n",
            (false, false) => return true,
        };
        let lives = matches!(self.command(question, options.timeout.min(DIAL)).await, Ok(reply) if reply.is_done());
        self.dirty &= !lives;
        lives
    }

    /// Says goodbye, without insisting.
    pub(super) async fn quit(mut self) {
        if timeout(FAREWELL, self.smtp.abort()).await.is_err() {
            tracing::debug!("the relay did not answer QUIT");
        }
    }

    /// A second EHLO, as lettre keeps only the keywords it uses itself.
    async fn learn_offers(&mut self, hello: &ClientId, options: &Options) -> Result<(), Outcome> {
        let answer = timeout(options.timeout, self.smtp.command(format!("EHLO {hello}\r\n"))).await;
        match heard(answer, options.timeout) {
            Ok(Answer::Positive(response)) => self.offers = Offers::read(response.message()),
            Ok(refused @ Answer::Negative(_)) => return Err(refusal(Phase::Greeting, &joined(&refused), options)),
            Err(silence) => return Err(unreachable(&silence.to_string(), options)),
        }
        Ok(())
    }

    async fn log_in(&mut self, options: &Options, peer: SocketAddr) -> Result<(), Outcome> {
        let Some(login) = &options.login else {
            return Ok(());
        };
        if options.tls == Protection::None && !options.may_log_in_in_clear_to(peer.ip()) {
            let what = "is not logged in to: the password would cross the network in clear. Set `tls` to `starttls` \
                        or `implicit`, or `allow_plaintext = true` if you accept that";
            return Err(broken("plaintext-refused", what, options));
        }
        let known = [Mechanism::Plain, Mechanism::Login];
        if self.smtp.server_info().get_auth_mechanism(&known).is_none() {
            let what = "offers no login by PLAIN or LOGIN: check `port` and `tls`, or take out `username` and \
                        `password` if it wants none";
            return Err(broken("auth-missing", what, options));
        }
        // Two prompts and an answer at most.
        let limit = options.timeout;
        let answer = timeout(limit, self.smtp.auth(&known, login)).await;
        match heard(answer, limit) {
            Ok(Answer::Positive(_)) => Ok(()),
            Ok(refused @ Answer::Negative(_)) => Err(refusal(Phase::Auth, &joined(&refused), options)),
            Err(silence) => Err(unreachable(&silence.to_string(), options)),
        }
    }
}

/// A reply in lettre's two shapes.
enum Answer {
    Positive(Response),
    Negative(Reply),
}

fn heard(
    answer: Result<Result<Response, lettre::transport::smtp::Error>, tokio::time::error::Elapsed>,
    limit: Duration,
) -> Result<Answer, NoReply> {
    match answer {
        Err(_) => Err(NoReply::Silence(limit)),
        Ok(Ok(response)) => Ok(Answer::Positive(response)),
        Ok(Err(error)) => match error.status() {
            Some(code) => {
                let text = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                Ok(Answer::Negative(Reply::heard(u16::from(code), &text)))
            }
            None if error.is_response() => Err(NoReply::Garbage),
            None => Err(NoReply::Lost),
        },
    }
}

fn joined(answer: &Answer) -> Reply {
    match answer {
        Answer::Positive(response) => {
            let lines: Vec<&str> = response.message().collect();
            Reply::heard(u16::from(response.code()), &lines.join(" "))
        }
        Answer::Negative(reply) => reply.clone(),
    }
}

async fn dial(options: &Options) -> Result<(TcpStream, SocketAddr), Outcome> {
    let found = timeout(options.timeout, tokio::net::lookup_host((options.host.as_str(), options.port))).await;
    let addresses: Vec<SocketAddr> = match found {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(_)) => return Err(unreachable("its name was not found: check `host` and the name service", options)),
        Err(_) => return Err(unreachable("the name service did not answer", options)),
    };
    let in_clear = options.tls == Protection::None;
    let allowed: Vec<SocketAddr> =
        addresses.iter().copied().filter(|a| !in_clear || options.may_speak_in_clear_to(a.ip())).collect();
    if allowed.is_empty() && !addresses.is_empty() {
        let what = "has a public address, and with `tls = \"none\"` the notices would cross the network in clear. Set \
                    `tls` to `starttls` or `implicit`, or `allow_plaintext = true` if you accept that";
        return Err(broken("plaintext-refused", what, options));
    }
    let mut last = "it has no address".to_owned();
    for address in allowed {
        match timeout(options.timeout.min(DIAL), TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                if tcp.set_nodelay(true).is_err() {
                    tracing::debug!("TCP_NODELAY was refused; sending will be slow");
                }
                return Ok((tcp, address));
            }
            Ok(Err(error)) => last = error.kind().to_string(),
            Err(_) => last = "it did not take the connection in time".to_owned(),
        }
    }
    Err(unreachable(&last, options))
}

type Encrypted = tokio_rustls::client::TlsStream<TcpStream>;

async fn encrypt(tcp: TcpStream, options: &Options) -> Result<Encrypted, Outcome> {
    let Some(config) = &options.tls_config else {
        return Err(broken("tls", "cannot be spoken to over TLS: the route is set up without it", options));
    };
    let connector = TlsConnector::from(Arc::clone(config));
    match timeout(options.timeout, connector.connect(options.server_name.clone(), tcp)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => match error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
            Some(reason) => Err(broken("tls", &tls_advice(reason), options)),
            None => Err(unreachable("the connection was lost while TLS was being set up", options)),
        },
        Err(_) => Err(unreachable("TLS was not set up in time", options)),
    }
}

fn tls_advice(reason: &rustls::Error) -> String {
    let advice = if matches!(reason, rustls::Error::InvalidCertificate(_)) {
        "check that `host` is the name in its certificate, and name a private authority's certificate in `ca_file`"
    } else {
        "check `port` and `tls`: 465 speaks TLS from the start (`implicit`), 587 after STARTTLS (`starttls`)"
    };
    format!("could not be spoken to over TLS ({reason}): {advice}")
}

/// Reads the greeting, then goes on as [`begin`].
async fn greet<S>(mut cork: Cork<S>, hello: &ClientId, options: &Options) -> Result<Connection, Outcome>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
{
    let greeting = exchange(&mut cork, Phase::Greeting, options).await?.0;
    cork.replay(&greeting);
    begin(cork, hello, options).await
}

/// Hands a stream whose first lines are the greeting to lettre, which says EHLO.
async fn begin<S>(cork: Cork<S>, hello: &ClientId, options: &Options) -> Result<Connection, Outcome>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
{
    let outbox = cork.outbox();
    let stream: Box<dyn AsyncTokioStream> = Box::new(cork);
    match timeout(options.timeout, AsyncSmtpConnection::connect_with_transport(stream, hello)).await {
        Ok(Ok(smtp)) => {
            let (smtp, offers, last_used) = (Box::new(smtp), Offers::default(), Instant::now());
            Ok(Connection { smtp, outbox, offers, used: 0, dirty: false, last_used })
        }
        Ok(Err(error)) => match heard(Ok(Err(error)), options.timeout) {
            Ok(refused) => Err(refusal(Phase::Greeting, &joined(&refused), options)),
            Err(silence) => Err(unreachable(&silence.to_string(), options)),
        },
        Err(_) => Err(unreachable(&NoReply::Silence(options.timeout).to_string(), options)),
    }
}

/// Greeting, EHLO and STARTTLS in clear. Gives back the bare stream and the greeting.
async fn start_tls(
    mut cork: Cork<TcpStream>,
    hello: &ClientId,
    options: &Options,
) -> Result<(TcpStream, String), Outcome> {
    let greeting = exchange(&mut cork, Phase::Greeting, options).await?.0;
    cork.put(&format!("EHLO {hello}\r\n"));
    let offers = exchange(&mut cork, Phase::Greeting, options).await?.1;
    if !offers.message().any(|line| line.trim().eq_ignore_ascii_case("STARTTLS")) {
        let what = "offers no STARTTLS, and nothing is sent in clear instead: check `port`, or set `tls` to `implicit` \
                    if that port speaks TLS from the start";
        return Err(broken("starttls-missing", what, options));
    }
    cork.put("STARTTLS\r\n");
    exchange(&mut cork, Phase::StartTls, options).await?;
    let (tcp, unread) = cork.into_inner();
    if unread {
        let what = "sent more behind its answer to STARTTLS, which somebody on the way may have put there: nothing was \
                    sent";
        return Err(broken("starttls-injection", what, options));
    }
    Ok((tcp, greeting))
}

/// Reads one reply from the bare stream: its raw lines, and parsed. Anything but 2xx is the outcome.
async fn exchange<S>(cork: &mut Cork<S>, phase: Phase, options: &Options) -> Result<(String, Response), Outcome>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let raw = match timeout(options.timeout, whole_reply(cork)).await {
        Ok(Ok(raw)) => raw,
        Ok(Err(_)) => return Err(unreachable(&NoReply::Lost.to_string(), options)),
        Err(_) => return Err(unreachable(&NoReply::Silence(options.timeout).to_string(), options)),
    };
    let Ok(response) = raw.parse::<Response>() else {
        return Err(unreachable(&NoReply::Garbage.to_string(), options));
    };
    let reply = joined(&Answer::Positive(response.clone()));
    if reply.is_done() { Ok((raw, response)) } else { Err(refusal(phase, &reply, options)) }
}

async fn whole_reply<S>(cork: &mut Cork<S>) -> io::Result<String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut raw = String::new();
    for _ in 0..MOST_LINES {
        let line = cork.next_line().await?;
        raw.push_str(&line);
        if line.as_bytes().get(3) != Some(&b'-') {
            break;
        }
    }
    Ok(raw)
}

/// The relay cannot be spoken to at present.
fn unreachable(why: &str, options: &Options) -> Outcome {
    let text = format!("route `{}`: the relay cannot be reached: {why}", options.route);
    Outcome::new(Class::Temporary, "connect", &text)
}

/// The route will not work until somebody changes something.
fn broken(code: &str, what: &str, options: &Options) -> Outcome {
    Outcome::new(Class::RouteBroken, code, &format!("route `{}`: the relay {what}", options.route))
}

/// The relay said no before a notice was at stake.
fn refusal(phase: Phase, reply: &Reply, options: &Options) -> Outcome {
    let class = classify(phase, reply);
    let advice = match (phase, class) {
        (Phase::Auth, Class::RouteBroken) => " (check the settings `username` and `password`)",
        _ => "",
    };
    let text = format!("route `{}`: the relay refused {}{advice}: {}", options.route, phase.named(), reply.text);
    Outcome::new(class, reply.label(), &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_in_any_case() {
        let lines = ["mx.example.org at your service", "pipelining", "SIZE 1048576", "SMTPUTF8", "", "XTRA"];
        let offers = Offers::read(lines.into_iter());
        assert_eq!(offers, Offers { pipelining: true, smtputf8: true, size: Some(1_048_576), takes_size: true });
        assert_eq!(Offers::read(["x", "SIZE", "SIZE 0"].into_iter()).size, None);
    }
}

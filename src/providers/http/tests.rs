//! Servers that misbehave, and what must never leave the engine.

use super::*;
use crate::providers::catalogue::Catalogue;
use crate::providers::examples::sample;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SECRET: &str = "hunter2-secret";
/// Read once: what is timed here is the exchange.
static KANNEL: LazyLock<Arc<Definition>> =
    LazyLock::new(|| Arc::clone(&Catalogue::load(None).expect("valid").get("kannel").expect("built in").definition));

/// What a server does with each request.
#[derive(Clone)]
enum Server {
    Replies(String),
    /// Writes this, then closes.
    Breaks(String),
    Silent,
    /// A byte every 50 ms, for ever.
    Drips,
    /// Closes without reading a thing.
    Slams,
}

async fn serve(server: Server) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(converse(stream, server.clone()));
        }
    });
    (url, connections)
}

async fn converse(mut stream: TcpStream, server: Server) -> std::io::Result<()> {
    let mut buffer = [0u8; 16 * 1024];
    if matches!(server, Server::Slams) {
        return Ok(());
    }
    while stream.read(&mut buffer).await? > 0 {
        match &server {
            Server::Replies(reply) => stream.write_all(reply.as_bytes()).await?,
            Server::Breaks(reply) => {
                stream.write_all(reply.as_bytes()).await?;
                return stream.shutdown().await;
            }
            Server::Silent => tokio::time::sleep(Duration::from_secs(60)).await,
            Server::Drips => {
                stream.write_all(b"HTTP/1.1 202 OK\r\nContent-Length: 1000\r\n\r\n0: ").await?;
                loop {
                    stream.write_all(b"x").await?;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            Server::Slams => return Ok(()),
        }
    }
    Ok(())
}

fn kannel(base_url: &str) -> Http {
    let settings = Settings::new()
        .with("base_url", base_url)
        .with("username", "fw")
        .with_secret("password", SECRET)
        .with("max_messages", 3)
        .with("timeout", "400ms");
    Http::build("gateway", Channel::Sms, &settings, 4, Arc::clone(&KANNEL)).expect("valid settings")
}

async fn outcome_of(server: Server) -> Outcome {
    let (url, _) = serve(server).await;
    kannel(&url).send(&sample(Channel::Sms, "hello"), &Gate::default()).await
}

fn reply(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

#[tokio::test]
async fn a_server_that_misbehaves_gives_an_outcome_in_time() {
    let huge = "0: ".to_owned() + &"x".repeat(1_000_000);
    for (name, server, class, code) in [
        ("garbage", Server::Breaks("\0\u{1}garbage\r\n\r\n".to_owned()), Class::Unknown, "connection-lost"),
        ("html", Server::Replies(reply("200 OK", "Content-Type: text/html\r\n", "<html>")), Class::Unknown, "200"),
        ("silent", Server::Silent, Class::Unknown, "timeout"),
        ("drips", Server::Drips, Class::Unknown, "timeout"),
        ("slams", Server::Slams, Class::Unknown, "connection-lost"),
        ("nothing", Server::Breaks(String::new()), Class::Unknown, "connection-lost"),
        ("half a head", Server::Breaks("HTTP/1.1 202 Acc".to_owned()), Class::Unknown, "connection-lost"),
        (
            "half a body",
            Server::Breaks("HTTP/1.1 202 Accepted\r\nContent-Length: 99\r\n\r\n0: Acc".to_owned()),
            Class::Unknown,
            "connection-lost",
        ),
        (
            "moved",
            Server::Replies(reply("301 Moved", "Location: http://127.0.0.1:9/\r\n", "")),
            Class::RouteBroken,
            "301",
        ),
        (
            "elsewhere",
            Server::Replies(reply("302 Found", "Location: http://127.0.0.1:9/\r\n", "")),
            Class::Unknown,
            "302",
        ),
        ("huge", Server::Replies(reply("202 Accepted", "", &huge)), Class::Accepted, "202"),
    ] {
        LazyLock::force(&KANNEL);
        let outcome = outcome_of(server).await;
        assert_eq!((outcome.class, outcome.code.as_str()), (class, code), "{name}: {}", outcome.text);
        assert!(outcome.text.chars().count() <= 301, "{name}");
    }
}

#[tokio::test]
async fn nobody_there_is_temporary() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    for base in [url.as_str(), "http://nowhere.invalid.localhost:1"] {
        let outcome = kannel(base).send(&sample(Channel::Sms, "hello"), &Gate::default()).await;
        assert_eq!((outcome.class, outcome.code.as_str()), (Class::Temporary, "connect"), "{}", outcome.text);
        assert!(!format!("{outcome:?}").contains(SECRET));
    }
    // A server that does not speak TLS: nothing of the notice was written.
    let (url, _) = serve(Server::Breaks("HTTP/1.1 400 Bad\r\n\r\n".to_owned())).await;
    let http = kannel(&url.replace("http://", "https://"));
    let outcome = http.send(&sample(Channel::Sms, "hello"), &Gate::default()).await;
    assert_eq!((outcome.class, outcome.code.as_str()), (Class::Temporary, "connect"), "{}", outcome.text);
    assert!(http.check().await.is_err());
}

#[tokio::test]
async fn secrets_and_the_person_stay_out_of_sight() {
    let out = sample(Channel::Sms, "Dear Jane Example, your data was affected.");
    let told = format!("Denied for fw/{SECRET}: +15555550100 (15555550100), Jane Example, C-77, jane@example.org");
    for status in ["403 Forbidden", "400 Bad", "202 Accepted", "404 Gone"] {
        let (url, _) = serve(Server::Replies(reply(status, "", &format!("0: misformed {told}")))).await;
        let http = kannel(&url);
        let outcome = http.send(&out, &Gate::default()).await;
        let shown = format!("{outcome:?} {http:?} {out:?}");
        assert!(!format!("{:?}", http.check().await).contains(SECRET));
        for hidden in [SECRET, "15555550100", "Jane", "C-77", "jane@"] {
            assert!(!shown.contains(hidden), "{hidden} in {shown}");
        }
    }
}

#[tokio::test]
async fn a_number_as_its_own_country_writes_it_is_hidden_too() {
    let mut out = sample(Channel::Sms, "hello");
    for (number, told) in [("+8613900000000", "13900000000不合法"), ("+4915112345678", "0:x015112345678x")] {
        out.to = crate::model::personal::Personal::new(number);
        let (url, _) = serve(Server::Replies(reply("400 Bad", "", &format!("receiver {told}")))).await;
        let outcome = kannel(&url).send(&out, &Gate::default()).await;
        assert_eq!(outcome.class, Class::BadAddress);
        assert!(!outcome.text.contains(&number[3..]) && outcome.text.contains("‹hidden›"), "{}", outcome.text);
    }
}

#[tokio::test]
async fn nothing_is_sent_through_a_shut_gate_or_past_the_limit() {
    let (url, connections) = serve(Server::Replies(reply("202 Accepted", "", "0: ok"))).await;
    let http = kannel(&url);
    let mut out = sample(Channel::Sms, "hello");
    let halted = Gate::default().unless(Arc::new(AtomicBool::new(true)));
    assert_eq!(http.send(&out, &halted).await.class, Class::NotSent);
    out = sample(Channel::Sms, &"x".repeat(460));
    assert_eq!(http.send(&out, &Gate::default()).await.code, "too-many-segments");
    assert_eq!(connections.load(Ordering::Relaxed), 0);
    out = sample(Channel::Sms, &"x".repeat(459));
    for _ in 0..5 {
        assert_eq!(http.send(&out, &Gate::default()).await.class, Class::Accepted);
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1, "the connection is kept");
}

#[test]
fn a_route_over_clear_text_into_the_world_is_refused() {
    let catalogue = Catalogue::load(None).expect("valid");
    let definition = &catalogue.get("webhook").expect("built in").definition;
    let build = |settings: &Settings, channel| Http::build("bridge", channel, settings, 1, Arc::clone(definition));
    let code = |result: Result<Http, Vec<Problem>>| result.err().map(|problems| problems[0].code);
    let public = Settings::new().with("base_url", "http://bridge.example.com/in");
    assert_eq!(code(build(&public, Channel::Email)), Some("plaintext"));
    assert_eq!(code(build(&public.clone().with("allow_plaintext", true), Channel::Email)), None);
    assert_eq!(code(build(&public, Channel::Phone)), Some("wrong-channel"));
    let no_ca = Settings::new().with("base_url", "https://bridge.example.com").with("ca_file", "missing.pem");
    assert_eq!(code(build(&no_ca, Channel::Sms)), Some("bad-setting"));
}

#[test]
fn abilities_follow_the_definition_and_the_route() {
    let catalogue = Catalogue::load(None).expect("valid");
    let definition = &catalogue.get("webhook").expect("built in").definition;
    for idempotent in [true, false] {
        let settings = Settings::new().with("base_url", "https://bridge.example.com").with("idempotent", idempotent);
        let http = Http::build("bridge", Channel::Sms, &settings, 1, Arc::clone(definition)).expect("valid");
        assert_eq!(http.abilities(), Abilities { idempotent, ..Abilities::default() });
    }
}

#[tokio::test]
async fn the_routes_own_authority_is_trusted_and_no_other() {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = key.cert.der().clone();
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).expect("a key");
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], private)
        .expect("a server");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut buffer = [0u8; 4096];
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            assert!(read > 0);
            let sent = stream.write_all(reply("204 No Content", "", "").as_bytes()).await;
            sent.and(stream.shutdown().await).expect("answered");
        }
    });
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("ca.pem");
    fs_err::write(&file, key.cert.pem()).expect("written");
    let catalogue = Catalogue::load(None).expect("valid");
    let definition = &catalogue.get("webhook").expect("built in").definition;
    let settings = Settings::new().with("base_url", format!("https://localhost:{port}/in"));
    let out = sample(Channel::Sms, "hello");
    for (settings, class) in
        [(settings.clone(), Class::Temporary), (settings.with("ca_file", file.display()), Class::Accepted)]
    {
        let http = Http::build("bridge", Channel::Sms, &settings, 1, Arc::clone(definition)).expect("valid");
        let outcome = http.send(&out, &Gate::default()).await;
        assert_eq!(outcome.class, class, "{}", outcome.text);
    }
}

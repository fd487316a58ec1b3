//! Reports at the whole program: what strangers, slow clients and lost databases do to it, and that what was answered is
//! applied, once.

use crate::reported::{Installation, answer};
use crate::support::app::{Engine, on_both_engines};
use crate::support::proxy::{Proxy, Wire};
use crate::support::{provider, servers, wait_until};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use ring::hmac;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

const SECRET: &str = "whsec_Zm9yZXdhcm4tZXhhbXBsZS1zZWNyZXQ=";
const JSON: &str = "Content-Type: application/json";
const LARGEST_BODY: usize = 1 << 20;

/// A campaign of texts that were all taken, over a bridge that reports.
struct Story {
    place: Installation,
    /// What the bridge was given, text by text.
    notices: Vec<String>,
    hook: String,
    /// The database, where it is a server's.
    database: Option<String>,
}

impl Story {
    async fn of(engine: Engine, persons: usize) -> Story {
        let came: Arc<Mutex<Vec<Value>>> = Arc::default();
        let written = came.clone();
        let url = provider::listen(move |_, body| {
            let mut came = written.lock().unwrap();
            came.push(serde_json::from_slice(body).expect("JSON"));
            (200, format!(r#"{{"id":"m-{}"}}"#, came.len()))
        });
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(servers::postgres().await.expect("a server").new_database().await),
        };
        let mut files = vec![("secret", SECRET)];
        files.extend(database.as_deref().map(|url| ("database", url)));
        let address = if database.is_some() { "file:database" } else { "sqlite://forewarn.db" };
        let routes = format!(
            "[[route]]\nname = \"bridge\"\nchannel = \"sms\"\nprovider = \"webhook\"\nsettings = {{ base_url = \
             \"{url}/\", receipts = true, hook_secret = \"file:secret\" }}\n"
        );
        let rows: String = (0..persons).map(|n| format!("P-{n},Person {n},+49151{n:08},en\n")).collect();
        let list = format!("ref,name,phone,locale\n{rows}");
        let place = Installation::serving_on(address, r#"{ channel = "sms" }"#, &list, &files, &routes);
        place.wait_for("accepted", i64::try_from(persons).expect("few"));
        let came = came.lock().unwrap();
        let text = |asked: &Value, name: &str| asked[name].as_str().expect(name).to_owned();
        let notices = came.iter().map(|asked| text(asked, "notice")).collect();
        Story { place, notices, hook: text(&came[0], "report_to"), database }
    }

    fn delivered(&self, n: usize) -> String {
        json!({ "notice": self.notices[n], "event": "delivered", "event_id": format!("e-{n}") }).to_string()
    }

    /// Posts a body that is signed now, as the message of this id; the status.
    fn report(&self, id: &str, body: &[u8]) -> u16 {
        self.place.post_raw(&self.hook, &signed(SECRET, id, 0, body), body).0
    }

    /// How many reports came to this; none is no line.
    fn reports(&self, outcome: &str) -> u64 {
        self.place.metric(&format!("forewarn_reports{{route=\"bridge\",outcome=\"{outcome}\"}}")).unwrap_or(0)
    }

    fn calls(&self, result: &str) -> u64 {
        self.place
            .metric(&format!("forewarn_hook_calls_total{{route=\"bridge\",result=\"{result}\"}}"))
            .expect("a line")
    }

    /// How many receipts the log has.
    fn receipts(&self) -> usize {
        let log = self.place.ok("campaign log ID --json");
        log.lines().filter(|line| line.contains(r#""event":"receipt""#)).count()
    }
}

/// The headers of a message that was signed so many seconds ago.
fn signed(secret: &str, id: &str, ago: i64, body: &[u8]) -> String {
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).expect("base64");
    let time = jiff::Timestamp::now().as_second() - ago;
    let text = [id.as_bytes(), b".", time.to_string().as_bytes(), b".", body].concat();
    let signature = STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &text));
    format!("{JSON}\r\nwebhook-id: {id}\r\nwebhook-timestamp: {time}\r\nwebhook-signature: v1,{signature}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_report_is_refused_and_leaves_nothing() {
    let story = Story::of(Engine::Sqlite, 2).await;
    let body = story.delivered(0);
    let guessed = "whsec_Z3Vlc3NlZCBzZWNyZXQ=";
    let post = |headers: &str, body: &[u8]| story.place.post_raw(&story.hook, headers, body).0;
    assert_eq!(post(&signed(guessed, "a", 0, body.as_bytes()), body.as_bytes()), 401, "forged");
    assert_eq!(post(JSON, body.as_bytes()), 401, "not signed");
    assert_eq!(post(&signed(SECRET, "b", 0, b"{}"), body.as_bytes()), 401, "signed for another body");
    let old = post(&signed(SECRET, "c", 3600, body.as_bytes()), body.as_bytes());
    assert!((400..500).contains(&old), "signed an hour ago: {old}");
    let early = post(&signed(SECRET, "d", -3600, body.as_bytes()), body.as_bytes());
    assert!((400..500).contains(&early), "signed in an hour: {early}");
    let utf16: Vec<u8> = body.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, odd) in
        [("deep", "[".repeat(300_000).into_bytes()), ("cut off", body.as_bytes()[..40].to_vec()), ("UTF-16", utf16)]
    {
        assert_eq!(story.report(name, &odd), 400, "{name}, and signed all the same");
    }
    let elsewhere = story.hook.rsplit_once('/').expect("a token").0;
    assert_eq!(story.place.post_raw(&format!("{elsewhere}/guessed"), JSON, b"{}").0, 404);

    let announced = format!("{JSON}\r\nConnection: close\r\nContent-Length: {}", LARGEST_BODY + 1);
    assert_eq!(answer(&mut story.place.begin_post(&story.hook, &announced)).0, 413, "announced");
    let chunked = format!("{JSON}\r\nConnection: close\r\nTransfer-Encoding: chunked");
    let mut stream = story.place.begin_post(&story.hook, &chunked);
    write!(stream, "{:x}\r\n", LARGEST_BODY + 1).expect("begun");
    stream.write_all(&vec![b' '; LARGEST_BODY + 1]).expect("sent");
    assert_eq!(answer(&mut stream).0, 413, "as much as comes");
    let announced = format!("{}\r\nConnection: close\r\nContent-Length: {}", signed(SECRET, "e", 0, b"x"), body.len());
    let mut stream = story.place.begin_post(&story.hook, &announced);
    stream.write_all(&body.as_bytes()[..20]).expect("sent");
    stream.shutdown(Shutdown::Write).expect("hung up");
    assert!(!(200..300).contains(&answer(&mut stream).0), "hung up half-way");
    assert_eq!((story.place.metric("forewarn_reports{"), story.receipts()), (None, 0), "nothing was kept");

    // And what is one counts, once: the same message again, and the same event in another one.
    for id in ["f", "f", "g"] {
        assert_eq!(story.report(id, body.as_bytes()), 204);
    }
    story.place.wait_for("delivered", 1);
    assert!(wait_until(|| (story.reports("applied"), story.reports("duplicate")) == (1, 2)));
    assert_eq!((story.reports("waiting"), story.receipts()), (0, 1));
    let refused = (story.calls("kept"), story.calls("refused"), story.calls("too-slow"));
    assert_eq!(refused, (3, 8, 0));
    let said = story.place.said();
    let token = story.hook.rsplit_once('/').expect("a token").1;
    for secret in ["+49151", "Person", token, &story.notices[0]] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_bounded_in_number_and_in_time() {
    let story = Story::of(Engine::Sqlite, 2).await;
    // Bodies that are announced and do not come take all the memory there is for them; others come again.
    let announced = format!("{JSON}\r\nConnection: close\r\nContent-Length: {LARGEST_BODY}");
    let half_sent = |_| {
        let mut stream = story.place.begin_post(&story.hook, &announced);
        stream.write_all(b"{").expect("begun");
        stream
    };
    // More than there is room for: those that come too late are told so at once.
    let mut slow: Vec<TcpStream> = (0..40).map(half_sent).collect();
    let body = story.delivered(0);
    let mut told = (0, String::new(), String::new());
    let refused = wait_until(|| {
        // One whose turn came while a report held a little of the room was sent away: another takes its place.
        slow.push(half_sent(0));
        told = story.place.post_raw(&story.hook, &signed(SECRET, "a", 0, body.as_bytes()), body.as_bytes());
        told.0 == 503
    });
    assert!(refused && told.1.contains("retry-after:"), "{told:?}");
    // Those that found room are given up; on a slow machine some of the others find it after them.
    let given_up: Vec<u16> = slow.iter_mut().map(|stream| answer(stream).0).filter(|status| *status != 503).collect();
    assert!(given_up.iter().all(|status| *status == 408) && given_up.len() >= 31, "{given_up:?}");
    assert_eq!(story.report("b", body.as_bytes()), 204);
    assert_eq!((story.calls("too-slow"), story.calls("too-large")), (given_up.len() as u64, 0));

    // More connections than are taken at once, none of which says anything; reports wait behind them, and come in.
    let silent: Vec<TcpStream> = (0..520).map(|_| story.place.begin_silence(&story.hook)).collect();
    assert_eq!(story.report("c", story.delivered(1).as_bytes()), 204);
    drop(silent);
    story.place.wait_for("delivered", 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_reports_are_to_come_again_and_none_is_lost() {
    if servers::postgres().await.is_none() {
        return;
    }
    let mut story = Story::of(Engine::Postgres, 12).await;
    let url: Url = story.database.as_deref().expect("a server's").parse().expect("a URL");
    let proxy = Proxy::to(url.socket_addrs(|| Some(5432)).expect("an address")[0]).await;
    let mut through = url.clone();
    through.set_port(Some(proxy.port)).expect("a port");
    fs_err::write(story.place.path("through"), through.as_str()).expect("written");
    let config = fs_err::read_to_string(story.place.path("config.toml")).expect("there");
    fs_err::write(story.place.path("through.toml"), config.replace("file:database", "file:through")).expect("written");
    fs_err::set_permissions(story.place.path("through"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .expect("set");
    story.place.kill();
    story.place.serve("through.toml");
    assert!(wait_until(|| story.report("m-0", story.delivered(0).as_bytes()) == 204), "{}", story.place.said());
    let mut again = Vec::new();
    for (n, wire) in [(1, Wire::Broken), (5, Wire::Silent)] {
        proxy.set(wire);
        for n in n..n + 4 {
            let status = story.report(&format!("m-{n}"), story.delivered(n).as_bytes());
            assert_eq!(status, 503, "{wire:?}");
            again.push(n);
            if wire == Wire::Silent {
                break;
            }
        }
        proxy.set(Wire::Open);
        // As a provider does, which was told to come again.
        for n in std::mem::take(&mut again) {
            let taken = wait_until(|| story.report(&format!("m-{n}"), story.delivered(n).as_bytes()) == 204);
            assert!(taken, "{n} is never taken: {}", story.place.said());
        }
    }
    story.place.wait_for("delivered", 6);
    assert!(wait_until(|| story.reports("applied") == 6));
    assert_eq!((story.reports("waiting"), story.receipts()), (0, 6));
}

/// What was answered is on the disk: it is applied once, whenever the process dies.
async fn what_was_answered_before_a_kill_is_applied_once_after_it(engine: Engine) {
    const PERSONS: usize = 40;
    let mut story = Story::of(engine, PERSONS).await;
    // On a server the persons are held, so that nothing can be applied yet; on a file the kill comes right behind the
    // last answer.
    let mut held = match &story.database {
        None => None,
        Some(url) => {
            let mut connection = PgConnection::connect(url).await.expect("a connection");
            sqlx::query("begin").execute(&mut connection).await.expect("begun");
            sqlx::query("select no from person for update").execute(&mut connection).await.expect("held");
            Some(connection)
        }
    };
    let answered: Vec<u16> = std::thread::scope(|scope| {
        let story = &story;
        let report = |n: usize| scope.spawn(move || story.report(&format!("m-{n}"), story.delivered(n).as_bytes()));
        let all: Vec<_> = (0..PERSONS).map(report).collect();
        all.into_iter().map(|one| one.join().expect("answered")).collect()
    });
    story.place.kill();
    assert!(answered.iter().all(|status| *status == 204), "{answered:?}");
    if let Some(connection) = held.take() {
        assert_eq!(story.place.status()["notices"]["delivered"], 0, "none is applied before the kill");
        connection.close().await.expect("closed");
    }
    story.place.serve("config.toml");
    story.place.wait_for("delivered", 40);
    assert!(wait_until(|| (story.reports("applied"), story.reports("waiting")) == (40, 0)));
    assert_eq!((story.reports("duplicate"), story.receipts()), (0, PERSONS));
    // The provider had not heard that they were taken, and tells again.
    for n in 0..PERSONS {
        assert_eq!(story.report(&format!("again-{n}"), story.delivered(n).as_bytes()), 204);
    }
    assert!(wait_until(|| story.reports("duplicate") == 40));
    assert_eq!(story.receipts(), PERSONS);
}

on_both_engines!(what_was_answered_before_a_kill_is_applied_once_after_it);

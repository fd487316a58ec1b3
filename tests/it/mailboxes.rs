//! Bounces that come back by email: notices go out through a real exim, which fails some of them afterwards.

use crate::reported::Installation;
use crate::support::app::{Engine, TestApp, now, on_both_engines, route};
use crate::support::dovecot::{Dovecot, PASSWORD, USERNAME};
use crate::support::exim::{DOMAIN, Exim, Returns, user};
use crate::support::{free_port, servers, wait_until};
use forewarn::model::channel::Channel;
use forewarn::store::mailbox::Mail;
use serde_json::Value;
use std::collections::BTreeMap;

/// What exim does with a recipient, by the beginning of the name; and what is then known of the notice: its state, and
/// the events that came back.
const FATES: [(&str, &str, &[&str]); 5] = [
    ("gone", "failed", &["bad-address"]),
    ("full", "failed", &["temporary"]),
    ("moved", "failed", &["bad-address"]),
    ("later", "accepted", &["progress"]),
    ("good", "accepted", &[]),
];
/// Persons of each fate.
const EACH: usize = 6;

fn list() -> String {
    let row = |n: usize, name: &str| format!("{name}-{n},Person {n},{name}{n}@example.org,en\n");
    let rows: String = (0..EACH).flat_map(|n| FATES.map(|(name, _, _)| row(n, name))).collect();
    format!("ref,name,email,locale\n{rows}")
}

fn routes(exim: &Exim) -> String {
    format!(
        "[[route]]\nname = \"relay\"\nchannel = \"email\"\nprovider = \"smtp\"\nconcurrency = 4\nsettings = {{ host = \
         \"127.0.0.1\", port = {}, tls = \"none\", bounce_address = \"bounces@{DOMAIN}\" }}\n",
        exim.port
    )
}

/// By person, the state of their notice and what came back about it.
fn told(place: &Installation) -> BTreeMap<String, (String, Vec<String>)> {
    let log = place.ok("campaign log ID --json");
    let mut told: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    for line in log.lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        if text("ref").is_empty() {
            continue;
        }
        let person = told.entry(text("ref")).or_default();
        if !text("state").is_empty() {
            person.0 = text("state");
        }
        if text("event") == "receipt" {
            person.1.push(text("class"));
        }
    }
    told
}

fn check(place: &Installation) {
    let told = told(place);
    assert_eq!(told.len(), FATES.len() * EACH);
    for (reference, (state, events)) in &told {
        let (_, want, came) = FATES.iter().find(|(name, _, _)| reference.starts_with(name)).expect("one of ours");
        assert_eq!(state, want, "{reference}: {events:?}");
        // A warning comes again and again.
        let mut events: Vec<&str> = events.iter().map(String::as_str).collect();
        events.dedup();
        assert_eq!(&events, came, "{reference}");
    }
    let status = place.status();
    let failed = i64::try_from(3 * EACH).expect("few");
    let all = i64::try_from(told.len()).expect("few");
    assert_eq!((&status["needs_human"], &status["satisfied"]), (&failed.into(), &(all - failed).into()), "{status}");
    assert_eq!(status["attempts"], all, "nobody is told twice");
}

#[test]
fn what_a_mail_server_could_not_deliver_comes_back_to_its_notice() {
    let Some(exim) = Exim::start(&Returns::Maildir) else { return };
    let mailbox = format!(
        "[[mailbox]]\nname = \"bounces\"\nroutes = [\"relay\"]\nmaildir = \"{}\"\nevery = \"1s\"\n",
        exim.maildir().display()
    );
    let routes = format!("{}{mailbox}", routes(&exim));
    let place = Installation::serving_on("sqlite://forewarn.db", r#"{ channel = "email" }"#, &list(), &[], &routes);
    place.wait_for("failed", i64::try_from(3 * EACH).expect("few"));
    // A warning about each that waits.
    assert!(wait_until(|| exim.returned() >= 4 * EACH), "{}", exim.log());
    assert!(wait_until(|| told(&place).values().filter(|(_, events)| !events.is_empty()).count() == 4 * EACH));
    check(&place);
    // A mail program takes the messages to `cur` and marks them: they are the same messages.
    let read = || place.status()["mailboxes"][0]["read"].as_u64();
    let before = read();
    for entry in fs_err::read_dir(exim.maildir().join("new")).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = format!("cur/{}:2,S", entry.file_name().to_string_lossy());
        fs_err::rename(entry.path(), exim.maildir().join(name)).expect("moved");
    }
    assert!(wait_until(|| read() > before), "warnings go on coming");
    assert!(read().expect("a number") <= exim.returned() as u64, "none was read twice");
    check(&place);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_read_one_mailbox_and_no_message_counts_twice() {
    let Some(postgres) = servers::postgres().await else { return };
    let Some(exim) = Exim::start(&Returns::Maildir) else { return };
    let mailbox =
        format!("[[mailbox]]\nname = \"bounces\"\nmaildir = \"{}\"\nevery = \"1s\"\n", exim.maildir().display());
    let routes = format!("{}{mailbox}", routes(&exim));
    let url = postgres.new_database().await;
    let (ladder, secrets) = (r#"{ channel = "email" }"#, [("database", url.as_str())]);
    let place = Installation::serving_on("file:database", ladder, &list(), &secrets, &routes);
    let second = place.beside("worker");
    place.wait_for("failed", i64::try_from(3 * EACH).expect("few"));
    assert!(wait_until(|| told(&place).values().filter(|(_, events)| !events.is_empty()).count() == 4 * EACH));
    check(&place);
    let read = place.status()["mailboxes"][0]["read"].as_u64().expect("a number");
    assert!(read >= 4 * EACH as u64 && read <= exim.returned() as u64, "{read} of {}", exim.returned());
    drop(second);
}

#[test]
fn what_lies_at_a_mail_server_comes_to_its_notice() {
    let Some(exim) = Exim::start(&Returns::Maildir) else { return };
    let Some(dovecot) = Dovecot::start(&exim.maildir(), &user()) else { return };
    let mailbox = format!(
        "[[mailbox]]\nname = \"hosted\"\nevery = \"1s\"\nimap = {{ host = \"localhost\", port = {}, username = \
         \"{USERNAME}\", password = \"file:imap-password\", ca_file = \"{}\" }}\n",
        dovecot.tls_port,
        dovecot.ca_file().display()
    );
    let routes = format!("{}{mailbox}", routes(&exim));
    let secrets = [("imap-password", PASSWORD)];
    let ladder = r#"{ channel = "email" }"#;
    let place = Installation::serving_on("sqlite://forewarn.db", ladder, &list(), &secrets, &routes);
    place.wait_for("failed", i64::try_from(3 * EACH).expect("few"));
    assert!(wait_until(|| told(&place).values().filter(|(_, events)| !events.is_empty()).count() == 4 * EACH));
    check(&place);
    let doctor = place.ok("doctor");
    assert!(doctor.contains("mailbox hosted") && doctor.contains("messages lie there"), "{doctor}");
}

#[test]
fn what_a_mail_server_delivers_to_us_comes_to_its_notice() {
    let lmtp = free_port();
    let Some(exim) = Exim::start(&Returns::Lmtp(lmtp)) else { return };
    let routes = format!("{}[lmtp]\nlisten = \"127.0.0.1:{lmtp}\"\n", routes(&exim));
    let place = Installation::serving_on("sqlite://forewarn.db", r#"{ channel = "email" }"#, &list(), &[], &routes);
    place.wait_for("failed", i64::try_from(3 * EACH).expect("few"));
    assert!(wait_until(|| told(&place).values().filter(|(_, events)| !events.is_empty()).count() == 4 * EACH));
    check(&place);
    assert!(exim.log().contains("C=\"250 2.0.0 kept\""), "{}", exim.log());
}

async fn a_message_is_marked_and_counted_once(engine: Engine) {
    let app = TestApp::new(engine, vec![route("mail", Channel::Email)]).await;
    let messages: Vec<(String, Mail)> =
        [("a", Mail::Matched), ("b", Mail::NoReport), ("a", Mail::Matched)].map(|(m, k)| (m.to_owned(), k)).to_vec();
    for (round, new) in [(1, 2), (2, 0)] {
        let mut tx = app.store.begin_beside().await.unwrap();
        assert_eq!(tx.mark_read("bounces", &messages, now()).await.unwrap().len(), new, "round {round}");
        tx.commit().await.unwrap();
    }
    // What was marked and not committed was not read.
    let mut tx = app.store.begin_beside().await.unwrap();
    assert_eq!(tx.mark_read("bounces", &[("c".to_owned(), Mail::Nobodys)], now()).await.unwrap().len(), 1);
    drop(tx);
    let mut tx = app.store.begin_beside().await.unwrap();
    tx.forget_seen(i64::MAX).await.unwrap();
    tx.commit().await.unwrap();
    let asked = ["a", "b", "c", "d"].map(str::to_owned);
    let unread = app.store.unread("bounces", &asked).await.unwrap();
    assert_eq!(unread.into_iter().collect::<Vec<_>>(), ["c", "d"]);
    assert_eq!(app.store.unread("other", &asked).await.unwrap().len(), 4);
    let sums = &app.store.mail_sums().await.unwrap()["bounces"];
    assert_eq!(Mail::ALL.map(|mail| sums.of(mail)), [1, 0, 1]);
}

on_both_engines!(a_message_is_marked_and_counted_once);

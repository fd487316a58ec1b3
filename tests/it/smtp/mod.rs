//! The SMTP adapter against relays that refuse, close, fall silent and talk nonsense at each stage.

mod ahead;
mod login;
mod server;
mod sink;

use forewarn::model::channel::Channel;
use forewarn::model::outcome::{Class, Outcome};
use forewarn::model::personal::Personal;
use forewarn::model::rendered::{EmailNotice, Rendered};
use forewarn::providers::settings::Settings;
use forewarn::providers::smtp::Smtp;
use forewarn::providers::{Gate, Outgoing};
use server::{Act, Relay, Security};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const FULL: &[&str] = &["PIPELINING", "SIZE 100000", "SMTPUTF8", "ENHANCEDSTATUSCODES"];
const PLAIN: &[&str] = &["ENHANCEDSTATUSCODES"];

pub(crate) fn notice(to: &str, mime: &str) -> Outgoing {
    Outgoing {
        channel: Channel::Email,
        notice: "n1".to_owned(),
        campaign: "c1".to_owned(),
        reference: Personal::new("r1"),
        name: Personal::new("A Name"),
        attempt: 1,
        idempotency_key: "k1".to_owned(),
        to: Personal::new(to),
        country: String::new(),
        language: "en".to_owned(),
        hook: None,
        facts: std::sync::Arc::default(),
        rendered: Rendered::Email(EmailNotice {
            subject: Personal::new("s"),
            text: Personal::new("t"),
            html: Personal::new("h"),
            mime: Personal::new(mime),
            ..EmailNotice::default()
        }),
    }
}

pub(crate) fn settings(address: SocketAddr) -> Settings {
    Settings::new()
        .with("host", address.ip())
        .with("port", address.port())
        .with("tls", "none")
        .with("envelope_from", "dpo@example.com")
        .with("timeout", 30)
        .with("final_timeout", 30)
}

/// For relays that never answer; the others get time enough on a busy machine.
fn hasty(settings: Settings) -> Settings {
    settings.with("timeout", 2).with("final_timeout", 2)
}

pub(crate) fn adapter(settings: &Settings) -> Smtp {
    Smtp::build("relay", settings, 4).unwrap_or_else(|problems| panic!("{problems:?}"))
}

async fn send_one(smtp: &Smtp) -> Outcome {
    smtp.send(&notice("jane.doe@example.org", "Subject: x\r\n\r\nhello\r\n"), &Gate::default()).await
}

#[tokio::test]
async fn an_accepted_notice_has_exact_octets_and_its_queue_id() {
    for offers in [FULL, PLAIN] {
        let relay = Relay::start(offers, Security::None).await;
        let smtp = adapter(&settings(relay.address));
        let mime = "Subject: x\r\n\r\n.leading\r\n..two\r\n.\r\nlast\r\n";
        let outcome = smtp.send(&notice("jane.doe@example.org", mime), &Gate::default()).await;
        assert_eq!((outcome.class, outcome.code.as_str()), (Class::Accepted, "250 2.0.0"));
        assert_eq!(outcome.provider_id.as_deref(), Some("4F1C2A0042"));
        assert_eq!(send_one(&smtp).await.class, Class::Accepted);
        smtp.close().await;
        let seen = relay.seen.lock().unwrap();
        assert_eq!(seen.messages[0], "Subject: x\r\n\r\n..leading\r\n...two\r\n..\r\nlast\r\n.\r\n");
        let size = if offers == FULL { " SIZE=43" } else { "" };
        assert_eq!(seen.commands[2], format!("MAIL FROM:<dpo@example.com>{size}"));
        assert_eq!(seen.commands[3], "RCPT TO:<jane.doe@example.org>");
        assert_eq!(seen.commands.last().map(String::as_str), Some("QUIT"));
        assert_eq!((seen.connections, seen.messages.len()), (1, 2));
        assert_eq!(seen.pipelined, if offers == FULL { 4 } else { 0 });
    }
}

/// One act at one stage, and what must come of it on servers with and without pipelining.
async fn check(verb: &'static str, act: Act, class: Class, code: &str) {
    for offers in [FULL, PLAIN] {
        let relay = Relay::start(offers, Security::None).await;
        relay.next(verb, act.clone());
        let patient = settings(relay.address);
        let smtp = adapter(&if matches!(act, Act::Hang) { hasty(patient) } else { patient });
        let outcome = send_one(&smtp).await;
        assert_eq!((outcome.class, outcome.code.as_str()), (class, code), "{verb} {act:?} {}", outcome.text);
        assert!(!outcome.text.to_lowercase().contains("jane"), "{}", outcome.text);
        assert!(!outcome.text.is_empty() || class == Class::Accepted);
        // Whatever happened, the next notice goes out, and nothing is out of step.
        let next = send_one(&smtp).await;
        assert_eq!(next.class, Class::Accepted, "after {verb} {act:?}: {next:?}");
        let messages = relay.seen.lock().unwrap().messages.clone();
        let whole = messages.iter().filter(|m| m.as_str() != ".\r\n").count();
        assert_eq!(whole, if verb == "." || class == Class::Accepted { 2 } else { 1 }, "{verb} {act:?}");
    }
}

#[tokio::test]
async fn refusals_are_classified_by_stage() {
    use Act::{Say, SayAndClose};
    use Class::*;
    check("GREETING", SayAndClose("421 4.3.2 busy"), Temporary, "421 4.3.2").await;
    check("GREETING", SayAndClose("554 5.7.1 you are listed"), RouteBroken, "554 5.7.1").await;
    check("EHLO", SayAndClose("550 not you"), RouteBroken, "550").await;
    check("EHLO", SayAndClose("421 4.7.0 too many connections"), Throttled, "421 4.7.0").await;
    check("MAIL", Say("451 4.3.0 try again"), Temporary, "451 4.3.0").await;
    check("MAIL", Say("550 5.7.1 sender refused"), RouteBroken, "550 5.7.1").await;
    check("MAIL", SayAndClose("421 4.3.2 going down"), Temporary, "421 4.3.2").await;
    check("RCPT", Say("450 4.2.0 greylisted"), Temporary, "450 4.2.0").await;
    check("RCPT", Say("550 5.1.1 <jane.doe@example.org>: jane.doe unknown"), BadAddress, "550 5.1.1").await;
    check("RCPT", Say("550-5.1.1 no such\r\n550 5.1.1 user"), BadAddress, "550 5.1.1").await;
    check("RCPT", Say("554 5.7.1 Relay access denied"), RouteBroken, "554 5.7.1").await;
    check("RCPT", Say("552 5.2.2 mailbox full"), Temporary, "552 5.2.2").await;
    check("RCPT", SayAndClose("421 4.3.2 going down"), Temporary, "421 4.3.2").await;
    check("DATA", Say("451 4.3.0 not now"), Temporary, "451 4.3.0").await;
    check("DATA", Say("554 5.7.1 no"), ContentRefused, "554 5.7.1").await;
    check("DATA", Say("250 what?"), Temporary, "250").await;
    check("DATA", Say("571 5.7.1 not authorized"), ContentRefused, "571 5.7.1").await;
    check(".", Say("571-not\r\n571 authorized"), ContentRefused, "571").await;
    check(".", Say("452 4.3.1 no room"), Temporary, "452 4.3.1").await;
    check(".", Say("554 5.7.1 looks like spam"), ContentRefused, "554 5.7.1").await;
    check(".", Say("550 5.1.1 no such user"), BadAddress, "550 5.1.1").await;
    check(".", SayAndClose("421 4.3.2 going down"), Unknown, "421 4.3.2").await;
}

#[tokio::test]
async fn lost_and_nonsense_connections_by_stage() {
    use Act::{Close, Say, SayBytes};
    use Class::*;
    check("GREETING", Close, Temporary, "connect").await;
    check("GREETING", Say("HTTP/1.1 400 Bad Request"), Temporary, "connect").await;
    check("EHLO", Close, Temporary, "connect").await;
    check("MAIL", Close, Temporary, "lost").await;
    check("RCPT", Close, Temporary, "lost").await;
    check("RCPT", Say("nonsense"), Temporary, "garbage").await;
    check("DATA", Close, Temporary, "lost").await;
    check(".", Close, Unknown, "no-reply").await;
    check(".", Say("what is this"), Unknown, "no-reply").await;
    check(".", SayBytes(b"550 5.7.1 \xc0\xac\xbb\xf8\xd3\xca\xbc\xfe"), ContentRefused, "550 5.7.1").await;
    check(".", SayBytes(b"250"), Accepted, "250").await;
    // lettre's own reader panics on a line of spaces.
    check("EHLO", Say("250-relay.test\r\n250-   \r\n250 8BITMIME"), Accepted, "250 2.0.0").await;
}

#[tokio::test]
async fn a_connection_long_idle_is_asked_first_and_replaced_when_dead() {
    let relay = Relay::start(FULL, Security::None).await;
    let smtp = adapter(&settings(relay.address));
    for (act, connections) in [(None, 1), (Some(Act::Close), 2)] {
        assert_eq!(send_one(&smtp).await.class, Class::Accepted);
        assert!(relay.commands().last().is_some_and(|c| c == "DATA"));
        if let Some(act) = act {
            relay.next("NOOP", act);
        }
        let asked = relay.commands().iter().filter(|c| *c == "NOOP").count();
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(31)).await;
        tokio::time::resume();
        assert_eq!(send_one(&smtp).await.class, Class::Accepted);
        assert_eq!(relay.commands().iter().filter(|c| *c == "NOOP").count(), asked + 1);
        assert_eq!(relay.seen.lock().unwrap().connections, connections);
    }
}

#[tokio::test]
async fn silence_by_stage() {
    tokio::join!(
        check("EHLO", Act::Hang, Class::Temporary, "connect"),
        check("RCPT", Act::Hang, Class::Temporary, "timeout"),
        check("DATA", Act::Hang, Class::Temporary, "timeout"),
        check(".", Act::Hang, Class::Unknown, "no-reply"),
    );
}

#[tokio::test]
async fn a_relay_that_hangs_at_the_greeting_is_given_up() {
    let relay = Relay::start(FULL, Security::None).await;
    relay.next("GREETING", Act::Hang);
    let outcome = send_one(&adapter(&hasty(settings(relay.address)))).await;
    assert_eq!((outcome.class, outcome.code.as_str()), (Class::Temporary, "connect"));
    assert!(outcome.text.contains("no answer within 2 s"), "{}", outcome.text);
}

#[tokio::test]
async fn a_message_cut_before_its_dot_is_not_unknown() {
    for act in [Act::Hang, Act::Close] {
        let relay = Relay::start(PLAIN, Security::None).await;
        relay.next("BODY", act);
        let mime = format!("Subject: x\r\n\r\n{}", "a line of the body\r\n".repeat(2_000_000));
        let outcome = adapter(&hasty(settings(relay.address)))
            .send(&notice("jane.doe@example.org", &mime), &Gate::default())
            .await;
        assert_eq!(outcome.class, Class::Temporary, "{outcome:?}");
        assert!(relay.seen.lock().unwrap().messages.is_empty());
    }
}

#[tokio::test]
async fn after_a_refused_recipient_an_empty_message_and_a_reset_on_the_same_connection() {
    let relay = Relay::start(FULL, Security::None).await;
    relay.next("RCPT", Act::Say("550 5.1.1 unknown"));
    let smtp = adapter(&settings(relay.address));
    assert_eq!(send_one(&smtp).await.class, Class::BadAddress);
    assert_eq!(send_one(&smtp).await.class, Class::Accepted);
    let seen = relay.seen.lock().unwrap();
    assert_eq!(seen.messages[0], ".\r\n");
    assert_eq!(seen.connections, 1);
    let verbs: Vec<&str> = seen.commands.iter().map(|c| &c[..4]).collect();
    assert_eq!(verbs, ["EHLO", "EHLO", "MAIL", "RCPT", "DATA", "RSET", "MAIL", "RCPT", "DATA"]);
}

#[tokio::test]
async fn a_kept_connection_that_died_costs_a_reconnect_not_an_attempt() {
    for act in [Act::Close, Act::SayAndClose("421 4.4.2 idle too long")] {
        let relay = Relay::start(FULL, Security::None).await;
        let smtp = adapter(&settings(relay.address));
        assert_eq!(send_one(&smtp).await.class, Class::Accepted);
        relay.next("MAIL", act);
        assert_eq!(send_one(&smtp).await.class, Class::Accepted);
        let seen = relay.seen.lock().unwrap();
        assert_eq!((seen.connections, seen.messages.len()), (2, 2));
    }
}

#[tokio::test]
async fn connections_are_capped_and_retired() {
    let relay = Relay::start(FULL, Security::None).await;
    let smtp = Arc::new(
        Smtp::build("relay", &settings(relay.address).with("max_per_connection", 5), 2)
            .unwrap_or_else(|p| panic!("{p:?}")),
    );
    let sends: Vec<_> = (0..20)
        .map(|_| {
            let smtp = Arc::clone(&smtp);
            tokio::spawn(async move { send_one(&smtp).await.class })
        })
        .collect();
    for send in sends {
        assert_eq!(send.await.unwrap(), Class::Accepted);
    }
    let seen = relay.seen.lock().unwrap();
    assert_eq!(seen.messages.len(), 20);
    assert!((4..=6).contains(&seen.connections), "{}", seen.connections);
}

#[tokio::test]
async fn a_shut_gate_keeps_the_notice_and_the_connection() {
    let relay = Relay::start(FULL, Security::None).await;
    let smtp = adapter(&settings(relay.address));
    let halted = Arc::new(AtomicBool::new(true));
    let gate = Gate::default().unless(Arc::clone(&halted));
    let out = notice("jane.doe@example.org", "Subject: x\r\n\r\nhello\r\n");
    assert_eq!(smtp.send(&out, &gate).await.class, Class::NotSent);
    assert!(relay.commands().iter().all(|c| c.starts_with("EHLO")));
    halted.store(false, Ordering::Relaxed);
    assert_eq!(smtp.send(&out, &gate).await.class, Class::Accepted);
    assert_eq!(relay.seen.lock().unwrap().connections, 1);
}

#[tokio::test]
async fn what_a_relay_cannot_carry_never_reaches_it() {
    let relay = Relay::start(&["SIZE 100"], Security::None).await;
    let smtp = adapter(&settings(relay.address));
    let long = format!("Subject: x\r\n\r\n{}\r\n", "x".repeat(200));
    for (to, mime, class, code) in [
        ("用户@example.org", "Subject: x\r\n\r\n", Class::BadAddress, "5.6.7"),
        ("jane@example.org", long.as_str(), Class::ContentRefused, "5.3.4"),
        ("jane@example.org>\r\nDATA", "x", Class::BadAddress, "5.1.3"),
        ("two words@example.org", "x", Class::BadAddress, "5.1.3"),
    ] {
        let outcome = smtp.send(&notice(to, mime), &Gate::default()).await;
        assert_eq!((outcome.class, outcome.code.as_str()), (class, code));
    }
    assert!(relay.commands().iter().all(|c| c.starts_with("EHLO")));
    let international = Relay::start(FULL, Security::None).await;
    let smtp = adapter(&settings(international.address));
    assert_eq!(smtp.send(&notice("用户@example.org", "x"), &Gate::default()).await.class, Class::Accepted);
    assert!(international.commands().iter().any(|c| c.ends_with(" SMTPUTF8")));
}

#[tokio::test]
async fn nobody_listening_is_temporary() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let outcome = send_one(&adapter(&settings(closed))).await;
    assert_eq!((outcome.class, outcome.code.as_str()), (Class::Temporary, "connect"));
    let nowhere = settings(closed).with("host", "no-such-host.invalid");
    let outcome = send_one(&adapter(&nowhere)).await;
    assert_eq!((outcome.class, outcome.code.as_str()), (Class::Temporary, "connect"));
}

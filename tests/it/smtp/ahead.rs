//! The envelope of a notice that waits travels with the message before it: what becomes of both when either fails.

use super::server::{Act, Relay, Security};
use super::{FULL, PLAIN, hasty, notice, settings};
use forewarn::model::outcome::{Class, Outcome};
use forewarn::providers::Gate;
use forewarn::providers::smtp::Smtp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const MIME: &str = "Subject: x\r\n\r\nhello\r\n";

/// An adapter with a single connection.
fn single(settings: &forewarn::providers::settings::Settings) -> Arc<Smtp> {
    Arc::new(Smtp::build("relay", settings, 1).unwrap_or_else(|problems| panic!("{problems:?}")))
}

type Sending = tokio::task::JoinHandle<Outcome>;

/// Starts notices one after the other; on this one thread each is in the queue before the next begins.
async fn start(smtp: &Arc<Smtp>, gates: impl IntoIterator<Item = Gate>) -> Vec<Sending> {
    let mut sendings = Vec::new();
    for (number, gate) in gates.into_iter().enumerate() {
        let smtp = Arc::clone(smtp);
        sendings.push(tokio::spawn(
            async move { smtp.send(&notice(&format!("p{number}@example.org"), MIME), &gate).await },
        ));
        tokio::task::yield_now().await;
    }
    sendings
}

async fn outcomes(sendings: Vec<Sending>) -> Vec<(Class, String)> {
    let mut outcomes = Vec::new();
    for sending in sendings {
        let outcome = sending.await.unwrap();
        outcomes.push((outcome.class, outcome.code));
    }
    outcomes
}

fn open(count: usize) -> Vec<Gate> {
    vec![Gate::default(); count]
}

/// The recipients in the order the relay heard of them.
fn recipients(relay: &Relay) -> Vec<String> {
    let commands = relay.commands();
    let named = commands.iter().filter_map(|c| c.strip_prefix("RCPT TO:<"));
    named.map(|c| c.trim_end_matches("@example.org>").to_owned()).collect()
}

fn whole_messages(relay: &Relay) -> usize {
    relay.seen.lock().unwrap().messages.iter().filter(|m| m.as_str() != ".\r\n").count()
}

#[tokio::test]
async fn waiting_envelopes_travel_with_the_message_before() {
    for (offers, together) in [(FULL, 2 + 3 + 3), (PLAIN, 0)] {
        let relay = Relay::start(offers, Security::None).await;
        let smtp = single(&settings(relay.address));
        let sendings = start(&smtp, open(3)).await;
        let accepted = (Class::Accepted, "250 2.0.0".to_owned());
        assert_eq!(outcomes(sendings).await, vec![accepted; 3]);
        assert_eq!(recipients(&relay), ["p0", "p1", "p2"]);
        let seen = relay.seen.lock().unwrap();
        assert_eq!((seen.connections, seen.messages.len()), (1, 3));
        assert_eq!(seen.pipelined, together, "commands that came behind something in the same write");
        assert!(!seen.commands.iter().any(|c| c == "RSET" || c == "NOOP"));
    }
}

/// The first notice goes well but for `act` at the final dot; or the second, sent along with it, meets `act`.
struct Case {
    verb: &'static str,
    /// Times the verb goes well before.
    after: usize,
    act: Act,
    classes: [(Class, &'static str); 3],
    connections: usize,
    messages: usize,
}

async fn check(case: Case) {
    let relay = Relay::start(FULL, Security::None).await;
    for _ in 0..case.after {
        relay.next(case.verb, Act::Usual);
    }
    relay.next(case.verb, case.act.clone());
    let patient = settings(relay.address);
    let smtp = single(&if matches!(case.act, Act::Hang) { hasty(patient) } else { patient });
    let sendings = start(&smtp, open(3)).await;
    let got = outcomes(sendings).await;
    let want: Vec<(Class, String)> = case.classes.iter().map(|(class, code)| (*class, (*code).to_owned())).collect();
    let what = format!("{} {:?}", case.verb, case.act);
    assert_eq!(got, want, "{what}");
    assert_eq!(whole_messages(&relay), case.messages, "{what}");
    assert_eq!(relay.seen.lock().unwrap().connections, case.connections, "{what}");
}

const OK: (Class, &str) = (Class::Accepted, "250 2.0.0");

#[tokio::test]
async fn a_refused_envelope_harms_neither_the_message_before_nor_the_one_behind() {
    use Act::{Say, SayAndClose};
    use Class::*;
    for (verb, act, second, connections) in [
        ("MAIL", Say("451 4.3.0 try again"), (Temporary, "451 4.3.0"), 1),
        ("MAIL", Say("550 5.7.1 sender refused"), (RouteBroken, "550 5.7.1"), 1),
        ("RCPT", Say("550 5.1.1 unknown"), (BadAddress, "550 5.1.1"), 1),
        ("RCPT", Say("450 4.2.0 greylisted"), (Temporary, "450 4.2.0"), 1),
        ("RCPT", SayAndClose("421 4.3.2 going down"), (Temporary, "421 4.3.2"), 2),
        ("RCPT", Say("nonsense"), (Temporary, "garbage"), 2),
        ("RCPT", Act::Close, (Temporary, "lost"), 2),
        ("DATA", Say("554 5.7.1 no"), (ContentRefused, "554 5.7.1"), 1),
        ("DATA", Say("451 4.3.0 not now"), (Temporary, "451 4.3.0"), 1),
        ("DATA", SayAndClose("421 4.3.2 going down"), (Temporary, "421 4.3.2"), 2),
        ("DATA", Act::Close, (Temporary, "lost"), 2),
    ] {
        check(Case { verb, after: 1, act, classes: [OK, second, OK], connections, messages: 2 }).await;
    }
}

#[tokio::test]
async fn a_connection_that_ends_between_two_messages_costs_the_second_nothing() {
    use Act::{Close, Say, SayAndClose};
    for act in [Close, SayAndClose("421 4.7.0 enough for one connection"), Say("503 5.5.1 not done yet")] {
        check(Case { verb: "MAIL", after: 1, act, classes: [OK, OK, OK], connections: 2, messages: 3 }).await;
    }
}

#[tokio::test]
async fn whatever_becomes_of_a_message_the_envelope_behind_it_is_not_harmed() {
    use Act::{Close, Say, SayAndClose};
    use Class::*;
    for (act, first, connections) in [
        (Say("554 5.7.1 looks like spam"), (ContentRefused, "554 5.7.1"), 1),
        (Say("452 4.3.1 no room"), (Temporary, "452 4.3.1"), 1),
        (SayAndClose("421 4.3.2 going down"), (Unknown, "421 4.3.2"), 2),
        (SayAndClose("554 5.7.1 and farewell"), (ContentRefused, "554 5.7.1"), 2),
        (Say("what is this"), (Unknown, "no-reply"), 2),
        (Close, (Unknown, "no-reply"), 2),
    ] {
        check(Case { verb: ".", after: 0, act, classes: [first, OK, OK], connections, messages: 3 }).await;
    }
}

#[tokio::test]
async fn a_slow_server_keeps_only_its_own_message_in_doubt() {
    let (dot, envelope) = (
        Case {
            verb: ".",
            after: 0,
            act: Act::Hang,
            classes: [(Class::Unknown, "no-reply"), OK, OK],
            connections: 2,
            messages: 3,
        },
        Case {
            verb: "RCPT",
            after: 1,
            act: Act::Hang,
            classes: [OK, (Class::Temporary, "timeout"), OK],
            connections: 2,
            messages: 2,
        },
    );
    tokio::join!(check(dot), check(envelope));
}

#[tokio::test]
async fn a_message_cut_before_its_dot_takes_nobody_along() {
    let relay = Relay::start(FULL_AND_LARGE, Security::None).await;
    relay.next("BODY", Act::Close);
    let smtp = single(&settings(relay.address));
    let long = format!("Subject: x\r\n\r\n{}", "a line of the body\r\n".repeat(2_000_000));
    let first = {
        let smtp = Arc::clone(&smtp);
        tokio::spawn(async move { smtp.send(&notice("long@example.org", &long), &Gate::default()).await })
    };
    tokio::task::yield_now().await;
    let second = start(&smtp, open(1)).await;
    assert_eq!(first.await.unwrap().class, Class::Temporary);
    assert_eq!(outcomes(second).await, [(Class::Accepted, "250 2.0.0".to_owned())]);
    assert_eq!(whole_messages(&relay), 1);
}

const FULL_AND_LARGE: &[&str] = &["PIPELINING", "SIZE 100000000", "ENHANCEDSTATUSCODES"];

#[tokio::test]
async fn who_has_a_slot_or_is_halted_is_not_announced() {
    let relay = Relay::start(FULL, Security::None).await;
    relay.next(".", Act::Late(Duration::from_millis(400)));
    let smtp = single(&settings(relay.address));
    let halted = Arc::new(AtomicBool::new(false));
    let in_a_second = tokio::time::Instant::now() + Duration::from_secs(1);
    let slot = Gate::default().at_slot(in_a_second, Duration::from_secs(5));
    let gates = [Gate::default(), slot, Gate::default().unless(Arc::clone(&halted)), Gate::default()];
    // Up before anybody's message is written, so that the third is passed over.
    halted.store(true, Ordering::Relaxed);
    let sendings = start(&smtp, gates).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(recipients(&relay), ["p0"], "the reply to the first dot is late, so its followers were not read yet");
    let classes: Vec<Class> = outcomes(sendings).await.into_iter().map(|(class, _)| class).collect();
    assert_eq!(classes, [Class::Accepted, Class::Accepted, Class::NotSent, Class::Accepted]);
    assert_eq!(recipients(&relay), ["p0", "p3", "p1"]);
    assert_eq!(relay.seen.lock().unwrap().connections, 1);
    assert!(tokio::time::Instant::now() >= in_a_second);
}

#[tokio::test]
async fn a_pause_after_the_envelope_still_keeps_the_message_back() {
    let relay = Relay::start(FULL, Security::None).await;
    relay.next(".", Act::Late(Duration::from_millis(400)));
    let smtp = single(&settings(relay.address));
    let halted = Arc::new(AtomicBool::new(false));
    let paused = Gate::default().unless(Arc::clone(&halted));
    let sendings = start(&smtp, [Gate::default(), paused, Gate::default()]).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    halted.store(true, Ordering::Relaxed);
    let classes: Vec<Class> = outcomes(sendings).await.into_iter().map(|(class, _)| class).collect();
    assert_eq!(classes, [Class::Accepted, Class::NotSent, Class::Accepted]);
    assert_eq!(recipients(&relay), ["p0", "p1", "p2"]);
    assert_eq!(whole_messages(&relay), 2);
    assert_eq!(relay.seen.lock().unwrap().messages.len(), 2, "not even an empty message");
    assert_eq!(relay.seen.lock().unwrap().connections, 2);
}

#[tokio::test]
async fn a_connection_is_retired_in_time_and_a_notice_given_up_is_not_waited_for() {
    let relay = Relay::start(FULL, Security::None).await;
    let smtp = single(&settings(relay.address).with("max_per_connection", 2));
    assert_eq!(outcomes(start(&smtp, open(5)).await).await, vec![(OK.0, OK.1.to_owned()); 5]);
    assert_eq!(relay.seen.lock().unwrap().connections, 3);

    let relay = Relay::start(FULL, Security::None).await;
    relay.next(".", Act::Late(Duration::from_millis(300)));
    let smtp = single(&settings(relay.address));
    let mut sendings = start(&smtp, open(4)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    // One that is announced already, and one that is not.
    sendings.remove(1).abort();
    sendings.remove(1).abort();
    assert_eq!(outcomes(sendings).await, vec![(OK.0, OK.1.to_owned()); 2]);
    assert_eq!(whole_messages(&relay), 2);
}

#[tokio::test]
async fn many_notices_through_few_connections_each_arrive_once() {
    for (offers, faults) in [(FULL, false), (PLAIN, false), (FULL, true)] {
        let relay = Relay::start(offers, Security::None).await;
        if faults {
            for verb in ["MAIL", "RCPT", "DATA"] {
                for act in [Act::Usual, Act::Say("451 4.3.0 not now"), Act::Usual, Act::Close] {
                    relay.next(verb, act);
                }
            }
        }
        let smtp = Smtp::build("relay", &settings(relay.address), 3).unwrap_or_else(|p| panic!("{p:?}"));
        let sendings = start(&Arc::new(smtp), open(100)).await;
        let outcomes = outcomes(sendings).await;
        let accepted = outcomes.iter().filter(|(class, _)| *class == Class::Accepted).count();
        assert!(outcomes.iter().all(|(class, _)| matches!(class, Class::Accepted | Class::Temporary)));
        assert_eq!(whole_messages(&relay), accepted);
        assert!(accepted >= if faults { 94 } else { 100 }, "{accepted}");
    }
}

//! Notices that a provider took and of which no report comes: it is asked, and nobody waits for ever.

use crate::reconcile::{Forgetful, definition};
use crate::reported::{Installation, TOKEN, twilio};
use crate::support::app::{Act, Engine, TestApp, now, on_both_engines, route};
use crate::support::{servers, wait_until};
use forewarn::dispatch::settle::end_waiting;
use forewarn::dispatch::{RoutePlan, Until};
use forewarn::model::channel::Channel;
use forewarn::model::ladder::Evidence;
use forewarn::model::notice::{NoticeId, NoticeState};
use forewarn::model::outcome::Class;
use forewarn::model::person::Standing;
use forewarn::model::time::{HOUR, MINUTE};
use serde_json::Value;
use std::time::Duration;

async fn database(engine: Engine) -> (String, Vec<(String, String)>) {
    match engine {
        Engine::Sqlite => ("sqlite://forewarn.db".to_owned(), Vec::new()),
        Engine::Postgres => {
            let url = servers::postgres().await.expect("a server").new_database().await;
            ("file:database".to_owned(), vec![("database".to_owned(), url)])
        }
    }
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect()
}

fn events(place: &Installation, event: &str, code: &str) -> usize {
    let log = place.ok("campaign log ID --json");
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    events.filter(|e| e["event"] == event && e["code"] == code).count()
}

/// Two people are texted and nothing is reported: of the first text the provider knows what became of it, of the other
/// it knows nothing. Absence is no reason to tell anybody again: the provider took it.
async fn what_the_provider_knows_is_fetched_and_what_it_does_not_know_stays_accepted(engine: Engine) {
    let provider = Forgetful::answering();
    let (address, mut files) = database(engine).await;
    let reported = "[receipt]\nbody = \"json\"\nverify = \"none\"\nwithin = \"1s\"\n[receipt.read]\ntoken = \"/id\"\n\
                    [[receipt.rule]]\nevent = \"progress\"\n";
    files.push(("providers/forgetful.toml".to_owned(), format!("{}{reported}", definition("not-sent"))));
    let routes = format!(
        "[paths]\nproviders = \"providers\"\n[[route]]\nname = \"texts\"\nchannel = \"sms\"\nprovider = \
         \"forgetful\"\nsettings = {{ base_url = \"{}\", receipts = true }}\n",
        provider.listen()
    );
    let list = "ref,name,phone,locale\nP-1,Ann,+4915112345671,en\nP-2,Bob,+4915112345672,en\n";
    let place = Installation::serving_on(&address, r#"{ channel = "sms" }"#, list, &borrowed(&files), &routes);
    place.wait_for("delivered", 1);
    assert!(wait_until(|| provider.asked() >= 2), "asked again");
    // After 1, 2, 4 and 8 seconds, and never again; about the other until what was found is applied.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let asked = provider.asked();
    assert!((2..=8).contains(&asked), "asked {asked} times");
    let ended = place.status();
    assert_eq!(
        (&ended["notices"]["accepted"], &ended["satisfied"], &ended["attempts"]),
        (&1.into(), &2.into(), &2.into())
    );
    assert!(provider.came().values().all(|keys| keys.len() == 1), "nobody is told twice");
    assert_eq!(events(&place, "receipt", "there"), 1);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(provider.asked(), asked, "nobody asks for ever");
}

/// A call is taken, its provider says only that it is queued, and no report comes: the person is a human's turn. A report
/// that comes after all counts.
async fn a_call_without_a_report_becomes_a_humans_turn(engine: Engine) {
    let (base_url, calls) = twilio();
    let (address, mut files) = database(engine).await;
    let voice = fs_err::read_to_string("providers/twilio-voice.toml").expect("there");
    let patched = voice.replace("[receipt]\n", "[receipt]\nwithin = \"500ms\"\n");
    assert!(patched != voice, "the definition has a section of reports");
    files.push(("providers/twilio-voice.toml".to_owned(), patched));
    files.push(("token".to_owned(), TOKEN.to_owned()));
    let routes = format!(
        "[paths]\nproviders = \"providers\"\n[[route]]\nname = \"calls\"\nchannel = \"phone\"\nprovider = \
         \"twilio-voice\"\nsettings = {{ base_url = \"{base_url}\", account_sid = \
         \"AC00000000000000000000000000000001\", auth_token = \"file:token\", from = \"+15005550006\", receipts = true \
         }}\n"
    );
    let list = "ref,name,phone,locale\nP-1,Ann,+4915112345678,en\n";
    let place = Installation::serving_on(&address, r#"{ channel = "phone" }"#, list, &borrowed(&files), &routes);
    let call = calls.recv_timeout(Duration::from_secs(30)).expect("a call");
    place.wait_for("accepted", 1);
    assert_eq!(place.status()["in_flight"], 1, "a call that was taken has told nobody");
    place.wait_for("unknown", 1);
    let given_up = place.status();
    assert_eq!((&given_up["needs_human"], &given_up["in_flight"]), (&1.into(), &0.into()), "{given_up}");
    assert_eq!(events(&place, "note", "no-report"), 1);
    assert_eq!(given_up["attempts"], 1, "nobody is called again by the program");

    let address =
        call.iter().find(|(name, _)| name == "StatusCallback").map(|(_, url)| url.clone()).expect("an address");
    let pressed = address.replace("#rc=5&rp=all", "&step=heard");
    let form = [("CallSid", "CA00000000000000000000000000000001"), ("CallStatus", "in-progress"), ("Digits", "1")];
    assert_eq!(place.post(&pressed, &form, TOKEN).0, 200);
    place.wait_for("acknowledged", 1);
    let ended = place.status();
    assert_eq!((&ended["satisfied"], &ended["needs_human"]), (&1.into(), &0.into()), "{ended}");
}

/// Which notices are overdue, who may ask about them, and what the end of waiting does to each channel.
async fn an_overdue_notice_is_found_by_its_route_and_taken_once(engine: Engine) {
    let waited = |name, channel| RoutePlan { best: Evidence::Delivered, within: Some(HOUR), ..route(name, channel) };
    let app = TestApp::new(engine, vec![waited("texts", Channel::Sms), waited("calls", Channel::Phone)]).await;
    let texted = app.campaign(4, &["p"]).await;
    let mut plan = app.plan.clone();
    plan.ladder.steps.retain(|step| step.channel != Channel::Email);
    let carrier = app.carrier(|_| Act::Say(Class::Accepted));
    app.run(&carrier, Until::NothingDue).await.unwrap();
    assert_eq!(app.state(texted, NoticeState::Accepted).await, 4);
    // The next step is a call in an hour: the texts are asked about after half of that.
    let (soon, then) = (now() + 20 * MINUTE, now() + 31 * MINUTE);
    assert_eq!(app.store.overdue(texted, "texts", soon, 10).await.unwrap().len(), 0);
    let overdue = app.store.overdue(texted, "texts", then, 10).await.unwrap();
    assert_eq!(overdue.len(), 4);
    assert!(overdue.iter().all(|d| d.taken_at.is_some_and(|at| at <= now()) && d.attempt == 1));
    assert_eq!(app.store.overdue(texted, "calls", then, 10).await.unwrap().len(), 0);
    assert_eq!(app.store.next_waiting_route(texted, "").await.unwrap().as_deref(), Some("texts"));
    assert_eq!(app.store.next_waiting_route(texted, "texts").await.unwrap(), None);
    let mut tx = app.store.begin_beside().await.unwrap();
    assert_eq!(tx.take_overdue(texted, &overdue[..3], then, then + MINUTE).await.unwrap().len(), 3);
    assert_eq!(tx.take_overdue(texted, &overdue, then, then + MINUTE).await.unwrap().len(), 1, "somebody asks");
    tx.wait_until(texted, &[(overdue[0].notice, then)]).await.unwrap();
    let notices: Vec<NoticeId> = overdue.iter().map(|d| d.notice).collect();
    // Of a text it is enough that it was taken.
    assert_eq!(end_waiting(&mut tx, texted, &plan, &notices, then).await.unwrap(), []);
    tx.commit().await.unwrap();
    assert_eq!((app.state(texted, NoticeState::Accepted).await, app.state(texted, NoticeState::Unknown).await), (4, 0));
    assert_eq!(
        app.store.overdue(texted, "texts", then + HOUR, 10).await.unwrap().len(),
        3,
        "one is waited for no more"
    );
    assert_eq!(app.standing(texted, Standing::InFlight).await, 4);
}

on_both_engines!(
    what_the_provider_knows_is_fetched_and_what_it_does_not_know_stays_accepted,
    a_call_without_a_report_becomes_a_humans_turn,
    an_overdue_notice_is_found_by_its_route_and_taken_once,
);

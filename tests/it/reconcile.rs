//! Notices in doubt whose provider can be asked: what it knows is believed, and nobody is told twice.

use crate::reported::Installation;
use crate::support::app::{Act, Engine, TestApp, now, on_both_engines, route};
use crate::support::{provider, servers, wait_until};
use forewarn::dispatch::{RoutePlan, Until};
use forewarn::model::channel::Channel;
use forewarn::model::notice::NoticeState;
use forewarn::model::outcome::Class;
use forewarn::model::person::Standing;
use forewarn::model::time::{MINUTE, SECOND};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A provider whose replies get lost. Numbers that end in 1 it has taken all the same, the others only when they come again.
#[derive(Clone, Default)]
pub(crate) struct Forgetful(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// Its replies do not get lost.
    replies: bool,
    /// Notices it has taken.
    taken: Vec<String>,
    /// By number, the keys under which it came.
    came: BTreeMap<String, Vec<String>>,
    /// How often it was asked.
    asked: usize,
}

impl Forgetful {
    /// One that answers; of what it took it knows afterwards only the numbers that end in 1.
    pub(crate) fn answering() -> Forgetful {
        Forgetful(Arc::new(Mutex::new(Known { replies: true, ..Known::default() })))
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.0.lock().unwrap().asked
    }

    pub(crate) fn listen(&self) -> String {
        let known = self.clone();
        provider::listen(move |head, body| {
            let (status, reply) = if head.starts_with("POST") { known.take(body) } else { (200, known.list()) };
            (status, reply.to_string())
        })
    }

    fn take(&self, body: &[u8]) -> (u16, Value) {
        let asked: Value = serde_json::from_slice(body).expect("JSON");
        let text = |name: &str| asked[name].as_str().expect(name).to_owned();
        let mut known = self.0.lock().unwrap();
        let came = known.came.entry(text("to")).or_default();
        came.push(text("key"));
        let again = came.len() > 1;
        let replies = known.replies;
        if again || text("to").ends_with('1') {
            known.taken.push(text("id"));
        }
        (if again || replies { 201 } else { 502 }, json!({}))
    }

    fn list(&self) -> Value {
        let mut known = self.0.lock().unwrap();
        known.asked += 1;
        json!({ "messages": known.taken.iter().map(|id| json!({ "id": id, "state": "there" })).collect::<Vec<_>>() })
    }

    /// By number, the keys under which it came.
    pub(crate) fn came(&self) -> BTreeMap<String, Vec<String>> {
        self.0.lock().unwrap().came.clone()
    }
}

/// A definition for it, by which absence means `absent`.
pub(crate) fn definition(absent: &str) -> String {
    format!(
        r#"
name = "forgetful"
channels = ["sms"]
docs = "https://example.com"
[settings]
base_url = {{ kind = "url" }}
[send]
method = "POST"
url = "{{{{settings.base_url}}}}/messages"
json = {{ id = "{{{{notice}}}}", to = "{{{{to}}}}", key = "{{{{idempotency_key}}}}" }}
[[send.rule]]
status = "201"
outcome = "accepted"
[[send.rule]]
status = "*"
outcome = "unknown"
[lookup]
method = "GET"
url = "{{{{settings.base_url}}}}/messages"
items = "/messages"
same = [{{ "/id" = "{{{{notice}}}}" }}]
absent = "{absent}"
after = "1s"
read = {{ code = "/state" }}
[[lookup.rule]]
json = {{ "/state" = "there" }}
event = "delivered"
[[lookup.rule]]
event = "progress"
"#
    )
}

/// Two people over that provider: it has the first one's text, and not the second one's.
async fn told(engine: Engine, provider: &Forgetful, absent: &str) -> Installation {
    let database = match engine {
        Engine::Sqlite => None,
        Engine::Postgres => Some(servers::postgres().await.expect("a server").new_database().await),
    };
    let definition = definition(absent);
    let mut files = vec![("providers/forgetful.toml", definition.as_str())];
    files.extend(database.as_deref().map(|url| ("database", url)));
    let address = if database.is_some() { "file:database" } else { "sqlite://forewarn.db" };
    let routes = format!(
        "[paths]\nproviders = \"providers\"\n[[route]]\nname = \"texts\"\nchannel = \"sms\"\nprovider = \
         \"forgetful\"\nsettings = {{ base_url = \"{}\" }}\n",
        provider.listen()
    );
    let list = "ref,name,phone,locale\nP-1,Ann,+4915112345671,en\nP-2,Bob,+4915112345672,en\n";
    Installation::serving_on(address, r#"{ channel = "sms" }"#, list, &files, &routes)
}

async fn what_the_provider_has_is_delivered_and_what_it_never_had_goes_out_under_the_same_key(engine: Engine) {
    let provider = Forgetful::default();
    let place = told(engine, &provider, "not-sent").await;
    place.wait_for("delivered", 1);
    // The provider says that it never had the other one, once it would know; then it takes it.
    place.wait_for("accepted", 1);
    let came = provider.came();
    assert_eq!(came["+4915112345671"].len(), 1, "nobody is told twice");
    let keys = &came["+4915112345672"];
    assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
    let ended = place.status();
    assert_eq!((&ended["satisfied"], &ended["attempts"], &ended["needs_human"]), (&2.into(), &3.into(), &0.into()));
    let log = place.ok("campaign log ID --json");
    let events: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |event: &str, code: &str| events.iter().filter(|e| e["event"] == event && e["code"] == code).count();
    assert_eq!((of("receipt", "there"), of("note", "look-up")), (1, 1), "{log}");
}

async fn where_absence_says_nothing_the_notice_stays_with_a_human(engine: Engine) {
    let provider = Forgetful::default();
    let place = told(engine, &provider, "unknown").await;
    place.wait_for("delivered", 1);
    assert!(wait_until(|| provider.asked() >= 2), "both are asked about");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let ended = place.status();
    assert_eq!(
        (&ended["notices"]["unknown"], &ended["needs_human"], &ended["attempts"]),
        (&1.into(), &1.into(), &2.into())
    );
    assert!(provider.came().values().all(|keys| keys.len() == 1), "nobody is told twice");
    let asked = provider.asked();
    assert!(asked <= 3, "asked {asked} times within seconds");
}

/// Email in doubt is sent again by the policy, but not before its provider was asked.
async fn what_would_be_sent_again_waits_for_the_question(engine: Engine) {
    let asked = RoutePlan { looks_up: true, ..route("mail", Channel::Email) };
    let app = TestApp::new(engine, vec![asked]).await;
    let no = app.campaign(6, &["e"]).await;
    let lost = app.carrier(|_| Act::Say(Class::Unknown));
    app.run(&lost, Until::NothingDue).await.unwrap();
    // Longer than the policy waits.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let fine = app.carrier(|_| Act::Say(Class::Accepted));
    app.run(&fine, Until::NothingDue).await.unwrap();
    assert_eq!(fine.carried.lock().unwrap().len(), 0, "nobody asked yet");
    assert_eq!(app.state(no, NoticeState::Unknown).await, 6);

    let doubts = app.store.doubts(no, "mail", now(), 100).await.unwrap();
    assert_eq!(doubts.len(), 6);
    assert_eq!(app.store.doubts(no, "other", now(), 100).await.unwrap().len(), 0);
    let mut tx = app.store.begin_beside().await.unwrap();
    assert!(tx.take_look_up_turn("mail", now(), now() + MINUTE).await.unwrap());
    assert!(!tx.take_look_up_turn("mail", now(), now() + MINUTE).await.unwrap(), "somebody has the turn");
    assert_eq!(tx.take_doubts(no, &doubts, now(), now() + MINUTE).await.unwrap().len(), 6);
    assert_eq!(tx.take_doubts(no, &doubts, now(), now() + MINUTE).await.unwrap().len(), 0, "somebody asks");
    // Nobody knows of the first three; the fourth was never sent; the others are still being asked about.
    for doubt in &doubts[..3] {
        tx.ask_again(doubt, Some(now() + MINUTE), true).await.unwrap();
    }
    assert!(tx.clear_doubt(&doubts[3], "never had it", now()).await.unwrap());
    assert!(!tx.clear_doubt(&doubts[3], "never had it", now()).await.unwrap(), "once");
    tx.commit().await.unwrap();
    tokio::time::sleep(Duration::from_micros((2 * SECOND + SECOND / 10).unsigned_abs())).await;
    app.run(&fine, Until::NothingDue).await.unwrap();
    let mut again: Vec<i64> = fine.carried.lock().unwrap().iter().map(|c| c.notice.person()).collect();
    again.sort_unstable();
    let mut want: Vec<i64> = doubts[..4].iter().map(|d| d.notice.person()).collect();
    want.sort_unstable();
    assert_eq!(again, want);
    assert!(fine.carried.lock().unwrap().iter().all(|c| c.refusals == 0), "under the same key");
    assert_eq!(app.standing(no, Standing::Satisfied).await, 4);
}

on_both_engines!(
    what_the_provider_has_is_delivered_and_what_it_never_had_goes_out_under_the_same_key,
    where_absence_says_nothing_the_notice_stays_with_a_human,
    what_would_be_sent_again_waits_for_the_question,
);

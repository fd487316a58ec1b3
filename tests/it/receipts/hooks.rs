//! Calls at a route's address, through the very adapter that a campaign would use: what proves where it comes from is
//! kept, once; what does not is refused.

use crate::support::app::{Engine, TestApp, on_both_engines};
use forewarn::app::hooks::{Answer, Call, Came, Hooks, Reply};
use forewarn::model::channel::Channel;
use forewarn::providers::adapter::Adapter;
use forewarn::providers::catalogue::Catalogue;
use forewarn::providers::settings::Settings;
use forewarn::store::report::Handled;
use forewarn::vault::MasterKey;
use reqwest::Method;
use reqwest::header::HeaderMap;
use ring::hmac;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

const KEY: &str = "key-signing-example";

fn mailgun() -> Adapter {
    let settings = Settings::new()
        .with("domain", "mg.example.com")
        .with_secret("api_key", "key")
        .with_secret("webhook_signing_key", KEY)
        .with("receipts", true);
    let catalogue = Catalogue::load(None).expect("valid");
    Adapter::build("mail", "mailgun", Channel::Email, &settings, 1, &catalogue).expect("valid settings")
}

/// A report of Mailgun's about `notice`, signed now with `key` under `token`.
fn report(key: &str, token: &str, event: &str, notice: &str) -> String {
    let time = jiff::Timestamp::now().as_second().to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let signature = const_hex::encode(hmac::sign(&key, format!("{time}{token}").as_bytes()));
    json!({
        "signature": { "timestamp": time, "token": token, "signature": signature },
        "event-data": { "event": event, "id": token, "user-variables": { "notice": notice } },
    })
    .to_string()
}

async fn call(hooks: &Hooks, token: &str, method: &Method, body: &str) -> Result<Answer, Came> {
    let known = hooks.find("mail", token)?;
    let room = known.room(body.len()).expect("room");
    let path = format!("/hooks/mail/{token}");
    let call = Call { method, path: &path, headers: &HeaderMap::new(), body: body.as_bytes() };
    Ok(known.take(&call, room).await)
}

async fn a_signature_is_believed_once(engine: Engine) {
    let app = TestApp::new(engine, Vec::new()).await;
    let adapter = mailgun();
    let abilities = adapter.abilities();
    assert!(abilities.reports_delivery && !abilities.acknowledges && adapter.listens());
    let hooks = Hooks::default();
    let master = Arc::new(MasterKey::parse(&MasterKey::generate()).expect("a key"));
    let readers = BTreeMap::from([("mail".to_owned(), Arc::new(adapter))]);
    let token = master.hook_token("mail");
    assert_eq!(call(&hooks, &token, &Method::POST, "").await.err(), Some(Came::Away), "not open yet");
    hooks.open_over(&app.store, &master, "https://notices.example.com", readers, &Arc::default());
    assert_eq!(call(&hooks, "guessed", &Method::POST, "").await.err(), Some(Came::NotFound));

    let kept = |answer: Answer| match answer {
        Answer::Kept(Reply { status, body, .. }) => (status, body),
        Answer::Refused(status) => (status, "refused".to_owned()),
        Answer::Again(came) => (503, came.as_str().to_owned()),
    };
    let post = async |body: &str| kept(call(&hooks, &token, &Method::POST, body).await.expect("known"));
    let taken = (200, "ok".to_owned());
    let first = report(KEY, "t1", "delivered", "n1");
    assert_eq!(post(&first).await, taken);
    assert_eq!(post(&first).await, taken, "a repetition gets the same answer");
    // What was signed for one event, around another.
    assert_eq!(post(&first.replace("delivered", "complained")).await, taken);
    assert_eq!(post(&report(KEY, "t2", "delivered", "n2")).await, taken);
    for forged in [report("guessed", "t3", "delivered", "n1"), "{}".to_owned()] {
        assert_eq!(post(&forged).await, (401, "refused".to_owned()));
    }
    assert_eq!(post("[[[").await.0, 400);
    assert_eq!(kept(call(&hooks, &token, &Method::GET, "").await.expect("known")).0, 405);

    let counted = app.store.counted_reports().await.expect("counted");
    let of_route = counted.get("mail").expect("reports came");
    assert_eq!((of_route.came, of_route.of(Handled::Duplicate), of_route.waiting()), (4, 2, 2));
    assert_eq!(app.store.report_sums().await.expect("sums"), counted);
    // Ten at once, of which one is signed for the first time.
    let burst = report(KEY, "t4", "delivered", "n4");
    let all = futures_util::future::join_all((0..10).map(|_| post(&burst))).await;
    assert!(all.iter().all(|answer| *answer == taken));
    let counted = app.store.counted_reports().await.expect("counted");
    assert_eq!((counted["mail"].came, counted["mail"].of(Handled::Duplicate)), (14, 11));
}

on_both_engines!(a_signature_is_believed_once);

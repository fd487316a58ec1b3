//! SMS through a real Kannel: what it accepts comes to the operator, once and unchanged.

use crate::support::caller::Address;
use crate::support::kannel::{Kannel, PASSWORD, Part};
use forewarn::content::sms_segments;
use forewarn::model::channel::Channel;
use forewarn::model::outcome::Class;
use forewarn::model::personal::Personal;
use forewarn::model::receipt::Event;
use forewarn::model::rendered::{Rendered, SmsCoding, SmsNotice};
use forewarn::providers::adapter::Adapter;
use forewarn::providers::catalogue::Catalogue;
use forewarn::providers::receipt::Call;
use forewarn::providers::settings::Settings;
use forewarn::providers::{Gate, Outgoing, examples};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const LATIN: &str = "Your account data (name, e-mail) may have been seen by a stranger: 100% sure? Ask @ £5 {free} ~Ä";
const CHINESE: &str = "您的姓名和电话号码可能已被他人看到。";

fn adapter(settings: &Settings) -> Adapter {
    let catalogue = Catalogue::load(None).expect("the built-in definitions are valid");
    Adapter::build("gateway", "kannel", Channel::Sms, settings, 8, &catalogue)
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn sms(to: &str, text: &str) -> Outgoing {
    let (coding, segments) = sms_segments(text);
    let rendered = Rendered::Sms(SmsNotice { text: Personal::new(text), coding, segments });
    Outgoing { to: Personal::new(to), rendered, ..examples::sample(Channel::Sms, "") }
}

/// The texts that came, by number; a series is put together again. A part that came twice makes a text longer.
fn texts(mut parts: Vec<Part>, sent: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    parts.sort_by_key(|part| part.place);
    let mut octets: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for part in parts {
        octets.entry(part.to).or_default().extend(part.octets);
    }
    let read = |to: &str, octets: Vec<u8>| match sent.get(to).map(|text| sms_segments(text).0) {
        Some(SmsCoding::Ucs2) => {
            let units = octets.chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]]));
            String::from_utf16(&units.collect::<Vec<_>>()).expect("no character is split over two parts")
        }
        Some(SmsCoding::Gsm7) | None => String::from_utf8(octets).expect("UTF-8"),
    };
    octets.into_iter().map(|(to, octets)| (to.clone(), read(&to, octets))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_accepted_comes_to_the_operator_once_and_unchanged() {
    let Some(mut kannel) = Kannel::start() else { return };
    let gateway = Arc::new(adapter(&kannel.settings()));
    let found = gateway.check().await.expect("a gateway that is ready");
    assert!(!found.contains(PASSWORD), "{found}");
    let mut sent = BTreeMap::new();
    for number in 0..200 {
        let text = match number % 10 {
            0 => format!("{number} {}", LATIN.repeat(4)),
            5 => format!("{number} {}", CHINESE.repeat(9)),
            even if even % 2 == 0 => format!("{number} {LATIN}"),
            _ => format!("{number} {CHINESE}"),
        };
        sent.insert(format!("+49151{number:08}"), text);
    }
    let sends: Vec<_> = sent
        .iter()
        .map(|(to, text)| {
            let (gateway, out) = (Arc::clone(&gateway), sms(to, text));
            tokio::spawn(async move { gateway.send(&out, &Gate::default()).await })
        })
        .collect();
    for send in sends {
        let outcome = send.await.unwrap();
        assert_eq!((outcome.class, outcome.code.as_str()), (Class::Accepted, "202"), "{}", outcome.text);
    }
    let long = sent.values().filter(|text| sms_segments(text).1 == 3).count();
    assert_eq!(long, 40, "the long texts have three parts each");
    let expected = 160 + 3 * 40;
    let parts = kannel.wait_for_parts(expected);
    assert_eq!(parts.len(), expected, "as many parts as were counted before sending");
    assert!(texts(parts, &sent) == sent, "some text came changed, or not to its number");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_breaks_the_route_and_sends_nothing() {
    let Some(kannel) = Kannel::start() else { return };
    let gateway = adapter(&kannel.settings().with_secret("password", "another word"));
    for _ in 0..3 {
        let outcome = gateway.send(&sms("+4915100000001", LATIN), &Gate::default()).await;
        assert_eq!((outcome.class, outcome.code.as_str()), (Class::RouteBroken, "403"), "{}", outcome.text);
        assert!(!outcome.text.contains("another word"), "{}", outcome.text);
    }
    let problem = gateway.check().await.expect_err("the login does not work");
    assert!(!problem.message.contains("another word"), "{}", problem.message);
    assert_eq!(kannel.parts(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_without_its_operator_keeps_texts_and_one_that_is_gone_takes_none() {
    let Some(mut kannel) = Kannel::start() else { return };
    let gateway = adapter(&kannel.settings());
    let first = gateway.send(&sms("+4915100000001", LATIN), &Gate::default()).await;
    assert_eq!(first.class, Class::Accepted, "{}", first.text);
    assert_eq!(kannel.wait_for_parts(1).len(), 1);

    kannel.stop_operator();
    let kept = gateway.send(&sms("+4915100000002", LATIN), &Gate::default()).await;
    assert_eq!(kept.class, Class::Accepted, "{}", kept.text);
    assert_eq!(kannel.parts().len(), 1);

    kannel.stop_smsbox();
    let gone = gateway.send(&sms("+4915100000003", LATIN), &Gate::default()).await;
    assert_eq!((gone.class, gone.code.as_str()), (Class::Temporary, "connect"), "{}", gone.text);
    assert!(gateway.check().await.is_err());
    assert_eq!(kannel.parts().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_operator_delivered_is_reported_under_the_token_of_its_notice() {
    let Some(kannel) = Kannel::start() else { return };
    let address = Address::listen().await;
    let gateway = adapter(&kannel.settings().with("receipts", true));
    assert!(gateway.abilities().reports_delivery);
    let hook = format!("{}/hooks/gateway/secret", address.base_url);
    let tokens: BTreeSet<String> = (0..30).map(|number| format!("{number:036x}")).collect();
    for (number, token) in tokens.iter().enumerate() {
        let text = if number % 2 == 0 { LATIN } else { CHINESE };
        let out = sms(&format!("+49151{number:08}"), text);
        let out = Outgoing { notice: token.clone(), hook: Some(hook.clone()), ..out };
        let outcome = gateway.send(&out, &Gate::default()).await;
        assert_eq!(outcome.class, Class::Accepted, "{}", outcome.text);
    }
    // Each is with the operator (8) before it is on the handset (1).
    let mut reported: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    let calls = address.wait_for(2 * tokens.len()).await;
    assert_eq!(calls.len(), 2 * tokens.len());
    let now = jiff::Timestamp::now().as_microsecond();
    for call in &calls {
        let url = format!("{}{}", address.base_url, call.path);
        let called = Call { method: &call.method, url: &url, headers: &call.headers, body: &call.body };
        let received = gateway.receive(&called, now).await.expect("a report of the gateway");
        let [receipt] = received.receipts.as_slice() else { panic!("one event a call") };
        let token = receipt.token.clone().expect("our token");
        assert!(receipt.at.is_some_and(|at| (now - at).abs() < 120 * 1_000_000), "{}", call.path);
        reported.entry(receipt.event.as_str()).or_default().insert(token);
    }
    for event in [Event::Progress, Event::Delivered] {
        assert_eq!(reported.get(event.as_str()), Some(&tokens), "{}", event.as_str());
    }
}

//! Reports that are forged, broken or hostile; and what the tests of the schemes have in common.

use super::*;
use crate::model::receipt::Event;
use crate::providers::definition::Definition;
use crate::providers::definition::check::compile;
use crate::providers::settings::Settings;
use proptest::prelude::*;
use reqwest::header::{HeaderName, HeaderValue};
use std::sync::LazyLock;

/// A definition with a `[receipt]` section, and a call at its route.
#[derive(Clone)]
pub(super) struct Sample {
    definition: Definition,
    method: Method,
    url: String,
    headers: HeaderMap,
    now: Micros,
}

const RULES: &str = r#"
[receipt.read]
token = ["/notice", "query:n"]
message_id = "/id"
code = "/code"
said = "/said"
at = "/at"
event_id = "/event"
[[receipt.rule]]
is = { "/status" = ["delivered", "read"] }
event = "delivered"
[[receipt.rule]]
is = { "/status" = "failed" }
event = "failed"
class = "bad-address"
[[receipt.rule]]
event = "progress"
"#;

impl Sample {
    /// `section` stands right under `[receipt]`.
    pub(super) fn new(section: &str) -> Sample {
        let text = format!(
            "name = \"acme\"\nchannels = [\"sms\"]\ndocs = \"https://example.com\"\n[settings]\n\
             base_url = {{ kind = \"url\", default = \"https://example.com\" }}\n\
             secret = {{ kind = \"secret\", optional = true }}\nkey = {{ kind = \"text\", optional = true }}\n\
             method = {{ kind = \"text\", optional = true }}\nuser = {{ kind = \"text\", optional = true }}\n\
             topic = {{ kind = \"text\", optional = true }}\nserver = {{ kind = \"url\", optional = true }}\n\
             [send]\nmethod = \"POST\"\nurl = \"{{{{settings.base_url}}}}\"\n\
             [[send.rule]]\nstatus = \"*\"\noutcome = \"unknown\"\n[receipt]\n{section}\n{RULES}"
        );
        let definition = compile("acme", "acme.toml", &text).expect("a valid definition");
        let url = "https://e.com/hooks/acme/t".to_owned();
        Sample { definition, method: Method::POST, url, headers: HeaderMap::new(), now: 0 }
    }

    pub(super) fn called(&self, url: &str) -> Sample {
        Sample { url: url.to_owned(), ..self.clone() }
    }

    pub(super) fn at(&self, now: Micros) -> Sample {
        Sample { now, ..self.clone() }
    }

    pub(super) fn get(mut self) -> Sample {
        self.method = Method::GET;
        self
    }

    pub(super) fn with(&self, name: &str, value: &str) -> Sample {
        let mut sample = self.clone();
        let name = HeaderName::try_from(name).expect("a name");
        sample.headers.insert(name, HeaderValue::try_from(value).expect("a value"));
        sample
    }

    pub(super) fn receive(
        &self,
        body: &[u8],
        settings: &[(&str, &str)],
        known: KnownCertificates<'_>,
    ) -> Result<Received, Refused> {
        let reports = self.definition.receipt.as_ref().expect("a section");
        let settings = settings.iter().fold(Settings::new(), |settings, (name, value)| {
            if *name == "secret" { settings.with_secret(name, value) } else { settings.with(name, value) }
        });
        let settings = self.definition.declare(&settings, "acme").expect("valid settings");
        let call = Call { method: &self.method, url: &self.url, headers: &self.headers, body };
        receive(reports, &settings, &call, known, self.now)
    }

    /// Whether the report is genuine, or the reason why not.
    pub(super) fn verify(&self, body: &[u8], settings: &[(&str, &str)]) -> Result<(), &'static str> {
        self.receive(body, settings, &|_| None).map(|_| ()).map_err(|refused| refused.reason)
    }

    fn events(&self, body: &[u8]) -> Result<Vec<Receipt>, &'static str> {
        self.receive(body, &[], &|_| None).map(|received| received.receipts).map_err(|refused| refused.reason)
    }
}

#[test]
fn a_report_becomes_receipts() {
    let json = Sample::new("verify = \"none\"\nbody = \"json\"\nevents = \"/events\"");
    let body = r#"{"events":[
        {"notice":"t1","id":"m1","status":"delivered","code":200,"said":"to +15555550100 at jane@example.org","at":"2026-11-25T04:05:06Z","event":"e1"},
        {"status":"failed","code":"550 <jane@example.org>"}, {"status":"new"}, 7, null, []]}"#;
    let receipts = json.events(body.as_bytes()).expect("genuine");
    assert_eq!(receipts.len(), 6);
    assert_eq!(receipts[0].token.as_deref(), Some("t1"));
    assert_eq!(receipts[0].event, Event::Delivered);
    assert_eq!((receipts[0].code.as_str(), receipts[0].text.as_str()), ("200", "to ‹number› at ‹address›"));
    assert_eq!((receipts[0].at, receipts[0].event_id.as_deref()), (Some(1_795_579_506_000_000), Some("e1")));
    assert_eq!(receipts[1].event, Event::Failed(crate::model::outcome::Class::BadAddress));
    assert!(!receipts[1].code.contains("jane"));
    assert!(receipts[2..].iter().all(|receipt| receipt.event == Event::Progress && receipt.token.is_none()));
    let one = json.events(br#"{"events":{"notice":"t","status":"read"}}"#).expect("one is as good as a list of one");
    assert_eq!(one[0].event, Event::Delivered);
    assert_eq!(json.events(b"{}"), Err("body"));
}

#[test]
fn forms_queries_and_the_address_are_read() {
    let either = "verify = \"none\"\nbody = [\"query\", \"form\", \"json\"]\nmethods = [\"GET\", \"POST\"]";
    let sample = Sample::new(either).called("https://e.com/hooks/acme/t?n=t9&status=read#end");
    let by_get = sample.clone().get().events(b"").expect("genuine");
    assert_eq!((by_get[0].event, by_get[0].token.as_deref()), (Event::Delivered, Some("t9")));
    let by_form = sample.events(b"status=failed&code=%2B7&status=delivered&said=\xff%ff%00").expect("genuine");
    assert_eq!((by_form[0].event, by_form[0].code.as_str()), (Event::Delivered, "+7"), "the last of two counts");
    let json = sample.with("Content-Type", "application/json; charset=utf-8").events(br#"{"status":"failed"}"#);
    assert_eq!(json.expect("genuine")[0].token.as_deref(), Some("t9"));
    assert_eq!(Sample::new("verify = \"none\"\nbody = \"json\"").get().events(b""), Err("method"));
}

#[test]
fn what_is_broken_or_hostile_is_refused_with_its_reason() {
    let json = Sample::new("verify = \"none\"\nbody = \"json\"");
    let form = Sample::new("verify = \"none\"\nbody = \"form\"");
    for (name, body, want) in [
        ("nothing", Vec::new(), Err("body")),
        ("truncated", br#"[{"status":"deliv"#.to_vec(), Err("body")),
        ("two values", b"{} {}".to_vec(), Err("body")),
        ("deep", b"[".repeat(100_000), Err("body")),
        ("deep objects", b"{\"a\":".repeat(100_000), Err("body")),
        ("not UTF-8", b"{\"status\":\"\xff\xfe\"}".to_vec(), Ok(1)),
        ("in UTF-16", "{\"status\":\"read\"}".encode_utf16().flat_map(u16::to_le_bytes).collect(), Err("body")),
        ("with a BOM", "\u{feff}{\"status\":\"read\"}".into(), Ok(1)),
        ("NUL", b"{\"notice\":\"a\\u0000b\",\"status\":\"read\"}".to_vec(), Ok(1)),
        ("keys twice", br#"{"status":"failed","status":"read"}"#.to_vec(), Ok(1)),
        ("many", format!("[{}0]", "0,".repeat(9_999)).into(), Ok(10_000)),
        ("too many", format!("[{}0]", "0,".repeat(10_000)).into(), Err("too-large")),
        ("too large", vec![b' '; LARGEST_BODY + 1], Err("too-large")),
        ("numbers", b"[1e999999, -0, 123456789012345678901234567890]".to_vec(), Err("body")),
        ("pointer games", br#"{"~1":{"~0":1},"":{"status":"read"}}"#.to_vec(), Ok(1)),
    ] {
        assert_eq!(json.events(&body).map(|receipts| receipts.len()), want, "{name}");
    }
    assert_eq!(form.events(&b"a=1&".repeat(1_001)), Err("body"));
    assert_eq!(form.events(&b"&=".repeat(500)).map(|receipts| receipts.len()), Ok(1));
    let long = json
        .events(format!(r#"{{"notice":"{0}","id":"{0}","code":"{0}","said":"{0}"}}"#, "x".repeat(9_999)).as_bytes());
    let long = long.expect("genuine");
    assert!(long[0].token.as_ref().is_some_and(|token| token.len() == 128) && long[0].text.chars().count() <= 301);
}

#[test]
fn user_and_password_are_those_of_the_route() {
    let sample = Sample::new("verify = { basic = [\"user\", \"secret\"] }\nbody = \"json\"");
    let of = |authorization: &str| {
        sample.with("Authorization", authorization).verify(b"{}", &[("user", "forewarn"), ("secret", "pass:word")])
    };
    assert_eq!(of("Basic Zm9yZXdhcm46cGFzczp3b3Jk"), Ok(()));
    assert_eq!(of("basic Zm9yZXdhcm46cGFzczp3b3Jk"), Ok(()));
    for wrong in ["Basic Zm9yZXdhcm46cGFzczp3b3J", "Bearer Zm9yZXdhcm46cGFzczp3b3Jk", "Basic", "Basic ", "Basic ???"] {
        assert_eq!(of(wrong), Err("signature"), "{wrong}");
    }
    assert_eq!(sample.verify(b"{}", &[("user", "forewarn"), ("secret", "pass:word")]), Err("signature"));
    assert_eq!(sample.with("Authorization", "Basic Og==").verify(b"{}", &[]), Err("not-set-up"));
}

/// A sample, and settings that its scheme finds sound.
type Sound = (Sample, Vec<(&'static str, &'static str)>);

/// One of every scheme.
static EVERY_SCHEME: LazyLock<Vec<Sound>> = LazyLock::new(every_scheme);

fn every_scheme() -> Vec<Sound> {
    let key = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==";
    [
        ("verify = { basic = [\"user\", \"secret\"] }", ""),
        ("verify = { twilio = \"secret\" }", ""),
        ("verify = { sendgrid = \"key\" }", "window = \"1d\""),
        ("verify = { mailgun = \"secret\" }", "window = \"1d\""),
        ("verify = { vonage-sig = [\"secret\", \"method\"] }", "window = \"1d\""),
        ("verify = { vonage-jwt = \"secret\" }", "window = \"1d\""),
        ("verify = { standard-webhooks = \"secret\" }", "window = \"5m\""),
        ("verify = { sns = [\"topic\", \"server\"] }", "window = \"1d\"\ninner = \"/Message\""),
    ]
    .into_iter()
    .flat_map(|(verify, more)| {
        let settings = vec![("user", "u"), ("secret", "s"), ("key", key), ("method", "md5"), ("topic", "arn:t")];
        ["json", "form"].map(|body| (Sample::new(&format!("{verify}\nbody = \"{body}\"\n{more}")), settings.clone()))
    })
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever a stranger sends: no panic, and nothing that is not signed is believed.
    #[test]
    fn octets_of_a_stranger_are_refused(
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            "[\\[\\]{}\":,a-z0-9\\\\ ]{0,200}".prop_map(String::into_bytes),
            "(sig|timestamp|token|Signature|Message|Type|a)=[%a-f0-9+&=]{0,40}(&[a-z]{1,3}=[%a-f0-9]{0,9}){0,9}".prop_map(String::into_bytes),
        ],
        value in "[ -~]{0,80}",
    ) {
        for (sample, settings) in EVERY_SCHEME.iter() {
            let names = ["authorization", "x-twilio-signature", "x-twilio-email-event-webhook-signature",
                "x-twilio-email-event-webhook-timestamp", "webhook-id", "webhook-timestamp", "webhook-signature"];
            let sample = names.iter().fold(sample.clone(), |sample, name| sample.with(name, &value));
            prop_assert!(sample.verify(&body, settings).is_err());
        }
    }

    /// An unsigned report may say anything; it makes at most one receipt an event, of bounded size.
    #[test]
    fn octets_of_a_stranger_are_bounded(body in prop::collection::vec(any::<u8>(), 0..400), json in any::<bool>()) {
        let sample = Sample::new(&format!("verify = \"none\"\nbody = \"{}\"", if json { "json" } else { "form" }));
        if let Ok(receipts) = sample.events(&body) {
            prop_assert!(receipts.len() <= body.len().max(1));
            for receipt in receipts {
                prop_assert!(receipt.code.chars().count() <= 128 && receipt.text.chars().count() <= 301);
            }
        }
    }
}

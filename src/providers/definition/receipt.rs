//! The section `[receipt]`: how the provider's reports are told from forgeries, and what they mean.
//!
//! What needs logic is a scheme in code, named under `verify`; the rest is places and words. A file is refused where a
//! rule can never match, where the last rule does not catch everything, or where it makes more of an unknown report
//! than progress.

use super::super::settings::SettingKind;
use super::check::{Findings, Scope};
use super::event::{Condition, EventRule, Verdict, Where};
use crate::model::nearest::suggestion;
use crate::model::outcome::Class;
use crate::model::receipt::Event;
use crate::model::time::{Micros, parse_duration};
use jiff::tz::Offset;
use regex::Regex;
use reqwest::Method;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A report older than this is not worth believing, whatever a file says.
const LONGEST_WINDOW: Micros = 31 * crate::model::time::DAY;

/// Nobody tells of a delivery later than this.
const LONGEST_WAIT: Micros = 7 * crate::model::time::DAY;

/// What serde reads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptEntry {
    #[serde(default = "post")]
    pub methods: Vec<String>,
    pub body: OneOrMore,
    pub verify: VerifyEntry,
    pub window: Option<String>,
    pub within: Option<String>,
    pub inner: Option<String>,
    pub events: Option<String>,
    #[serde(default)]
    pub read: ReadEntry,
    #[serde(default)]
    pub reply: ReplyEntry,
    #[serde(default)]
    pub rule: Vec<RuleEntry>,
    #[serde(default)]
    pub example: Vec<ReceiptExample>,
}

fn post() -> Vec<String> {
    vec!["POST".to_owned()]
}

/// A text, or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// The schemes by name; the values are names of settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifyEntry {
    /// The unguessable address is all there is.
    None,
    /// Setting of the user, setting of the password.
    Basic([String; 2]),
    /// Setting of the account's token.
    Twilio(String),
    /// Setting of the public key.
    Sendgrid(String),
    /// Setting of the webhook signing key.
    Mailgun(String),
    /// Setting of the signature secret, setting of the method.
    VonageSig([String; 2]),
    /// Setting of the signature secret.
    VonageJwt(String),
    /// Setting of the secret (Standard Webhooks, Svix).
    StandardWebhooks(String),
    /// Setting of the topic, setting of the server that certificates come from instead.
    Sns([String; 2]),
}

/// Places in an event; several are tried in turn.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadEntry {
    pub token: Option<OneOrMore>,
    pub message_id: Option<OneOrMore>,
    /// The id ends before this text.
    pub message_id_until: Option<String>,
    pub address: Option<OneOrMore>,
    pub code: Option<OneOrMore>,
    pub said: Option<OneOrMore>,
    pub at: Option<OneOrMore>,
    /// Offset of times that name none, such as `+08:00`.
    pub zone: Option<String>,
    /// All of these together.
    pub event_id: Option<OneOrMore>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplyEntry {
    pub status: Option<u16>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    #[serde(default)]
    pub body: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleEntry {
    /// Place and the words it may hold.
    #[serde(default)]
    pub is: BTreeMap<String, toml::Value>,
    /// Place and a regular expression on what it holds.
    #[serde(default)]
    pub like: BTreeMap<String, String>,
    pub event: String,
    pub class: Option<String>,
    pub code: Option<OneOrMore>,
    pub said: Option<OneOrMore>,
    /// The name of an `[answer.NAME]`.
    pub answer: Option<String>,
}

/// A report that must come out as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptExample {
    /// POST where absent, or GET where the definition takes nothing else.
    pub method: Option<String>,
    #[serde(default)]
    pub query: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub body: String,
    #[serde(default)]
    pub settings: BTreeMap<String, toml::Value>,
    /// When it arrives.
    pub now: Option<String>,
    /// Its signature is not looked at: the example is about what the report means.
    #[serde(default)]
    pub trusted: bool,
    /// The certificate that its signature names, in PEM.
    pub certificate: Option<String>,
    /// One entry an event; none where all of them are ignored.
    #[serde(default)]
    pub expect: Vec<ExpectEvent>,
    /// Parts that the document which answers it must have; none where it gets the usual reply.
    #[serde(default)]
    pub answer_has: Vec<String>,
    /// The word with which it is refused.
    pub refused: Option<String>,
    /// What must be done before reports come: `confirm`.
    pub action: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectEvent {
    pub event: String,
    pub class: Option<String>,
    pub token: Option<String>,
    pub message_id: Option<String>,
    pub address: Option<String>,
    pub code: Option<String>,
    pub said: Option<String>,
    pub at: Option<String>,
    pub event_id: Option<String>,
}

/// The section, valid.
#[derive(Clone, Debug)]
pub struct Reports {
    pub methods: Vec<Method>,
    pub bodies: Vec<BodyForm>,
    pub verify: Verify,
    /// How old a signed report may be, for schemes that sign a time.
    pub window: Option<Micros>,
    /// How long after a notice was taken its report should be there.
    pub within: Option<Micros>,
    /// Where in the body the JSON text stands that holds the events.
    pub inner: Option<String>,
    /// Where the events are; everything where absent.
    pub events: Option<String>,
    pub read: Read,
    pub reply: Reply,
    pub rules: Vec<EventRule>,
    pub examples: Vec<ReceiptExample>,
}

/// How the body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyForm {
    /// No body: the parameters of the address.
    Query,
    Form,
    Json,
}

/// How a report is told from a forgery. The strings are names of settings.
pub type Verify = VerifyEntry;

#[derive(Clone, Debug)]
pub struct Read {
    pub token: Vec<Where>,
    pub message_id: Vec<Where>,
    pub message_id_until: Option<String>,
    pub address: Vec<Where>,
    pub at: Vec<Where>,
    pub zone: Offset,
    pub event_id: Vec<Where>,
}

/// What the provider must be answered once the report is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

impl VerifyEntry {
    /// The settings without which nothing can be verified, and whether they must be secrets.
    pub fn needs(&self) -> Vec<(&str, bool)> {
        match self {
            Verify::None => Vec::new(),
            Verify::Basic([user, password]) => vec![(user, false), (password, true)],
            Verify::Sendgrid(key) => vec![(key, false)],
            Verify::VonageSig([secret, method]) => vec![(secret, true), (method, false)],
            Verify::Twilio(secret)
            | Verify::Mailgun(secret)
            | Verify::VonageJwt(secret)
            | Verify::StandardWebhooks(secret) => vec![(secret, true)],
            Verify::Sns([topic, _]) => vec![(topic, false)],
        }
    }

    fn may_use(&self) -> Option<&str> {
        if let Verify::Sns([_, host]) = self { Some(host) } else { None }
    }

    /// Whether it covers the time at which the report was sent.
    pub fn knows_the_time(&self) -> bool {
        !matches!(self, Verify::None | Verify::Basic(_) | Verify::Twilio(_))
    }
}

impl OneOrMore {
    fn all(&self) -> &[String] {
        match self {
            OneOrMore::One(one) => std::slice::from_ref(one),
            OneOrMore::More(more) => more,
        }
    }
}

pub(super) fn compile(entry: &ReceiptEntry, scope: &Scope<'_>, findings: &mut Findings<'_>) -> Option<Reports> {
    let methods = findings.take("receipt.methods", methods(&entry.methods));
    let bodies = findings.take("receipt.body", bodies(&entry.body));
    settings_are_fit(&entry.verify, scope, findings);
    let window = findings.take("receipt.window", window(entry));
    let within = findings.take("receipt.within", within(entry.within.as_deref()));
    let read = read(&entry.read, findings);
    let reply = findings.take("receipt.reply", reply(&entry.reply));
    let inner = findings.take("receipt.inner", pointer(&entry.inner));
    let events = findings.take("receipt.events", pointer(&entry.events));
    let rules = rules(entry, findings);
    let (methods, bodies) = (methods?, bodies?);
    if methods.contains(&Method::GET) != bodies.contains(&BodyForm::Query) {
        findings.add("receipt.body", "`query` is the body of a GET, and of nothing else: name both or neither");
    }
    if methods.contains(&Method::POST) && bodies.iter().all(|body| *body == BodyForm::Query) {
        findings.add("receipt.body", "a POST has `form` or `json`");
    }
    Some(Reports {
        methods,
        bodies,
        verify: entry.verify.clone(),
        window: window?,
        within: within?,
        inner: inner?,
        events: events?,
        read: read?,
        reply: reply?,
        rules,
        examples: entry.example.clone(),
    })
}

fn within(text: Option<&str>) -> Result<Option<Micros>, String> {
    let Some(text) = text else { return Ok(None) };
    let wait = parse_duration(text).filter(|wait| (1..=LONGEST_WAIT).contains(wait));
    let wrong = || format!("`{text}` is not how long a report may take: write `90s`, `30m` or `6h`, at most 7d");
    wait.map(Some).ok_or_else(wrong)
}

fn methods(names: &[String]) -> Result<Vec<Method>, String> {
    let one = |name: &String| match name.as_str() {
        "GET" => Ok(Method::GET),
        "POST" => Ok(Method::POST),
        _ => Err(format!("`{name}` is neither GET nor POST")),
    };
    let methods = names.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    if methods.is_empty() { Err("name at least one: GET, POST".to_owned()) } else { Ok(methods) }
}

fn bodies(words: &OneOrMore) -> Result<Vec<BodyForm>, String> {
    let known = [("query", BodyForm::Query), ("form", BodyForm::Form), ("json", BodyForm::Json)];
    let one = |word: &String| {
        let found = known.iter().find(|(name, _)| name == word).map(|(_, form)| *form);
        found.ok_or_else(|| format!("no body is called `{word}`{}", suggestion(word, known.map(|(name, _)| name))))
    };
    let bodies = words.all().iter().map(one).collect::<Result<Vec<_>, _>>()?;
    if bodies.is_empty() { Err("name at least one: query, form, json".to_owned()) } else { Ok(bodies) }
}

/// A secret must be declared as one, so that it cannot stand in clear in a configuration.
fn settings_are_fit(verify: &Verify, scope: &Scope<'_>, findings: &mut Findings<'_>) {
    let needed = verify.needs().into_iter().chain(verify.may_use().map(|name| (name, false)));
    for (name, secret) in needed {
        let Some(name) = findings.take("receipt.verify", scope.setting(name)) else { continue };
        if secret && !scope.is_of_kind(&super::leaf::Name::Setting(name.clone()), SettingKind::Secret) {
            findings.add("receipt.verify", format!("the setting `{name}` must be declared with kind = \"secret\""));
        }
    }
}

fn window(entry: &ReceiptEntry) -> Result<Option<Micros>, String> {
    match (&entry.window, entry.verify.knows_the_time()) {
        (None, false) => Ok(None),
        (None, true) => Err("say how old a signed report may be, such as `window = \"1d\"`".to_owned()),
        (Some(_), false) => Err("this way of verifying covers no time".to_owned()),
        (Some(text), true) => match parse_duration(text).filter(|window| (1..=LONGEST_WINDOW).contains(window)) {
            Some(window) => Ok(Some(window)),
            None => Err(format!("`{text}` is no duration up to 31d: write `5m` or `1d`")),
        },
    }
}

fn pointer(text: &Option<String>) -> Result<Option<String>, String> {
    match text {
        Some(text) if !text.starts_with('/') => Err(format!("`{text}` is no JSON pointer: it begins with `/`")),
        Some(_) | None => Ok(text.clone()),
    }
}

fn places(words: Option<&OneOrMore>, may_be_word: bool) -> Result<Vec<Where>, String> {
    words.map_or(&[][..], OneOrMore::all).iter().map(|text| Where::parse(text, may_be_word)).collect()
}

fn read(entry: &ReadEntry, findings: &mut Findings<'_>) -> Option<Read> {
    let mut place = |key: &str, words: &Option<OneOrMore>| {
        findings.take(&format!("receipt.read.{key}"), places(words.as_ref(), false))
    };
    let token = place("token", &entry.token);
    let message_id = place("message_id", &entry.message_id);
    let address = place("address", &entry.address);
    let at = place("at", &entry.at);
    let event_id = place("event_id", &entry.event_id);
    if entry.token.is_none() && entry.message_id.is_none() {
        findings.add("receipt.read", "say where `token` or `message_id` is: nobody could tell whose report it is");
    }
    let zone = findings.take("receipt.read.zone", offset(entry.zone.as_deref()));
    Some(Read {
        token: token?,
        message_id: message_id?,
        message_id_until: entry.message_id_until.clone().filter(|text| !text.is_empty()),
        address: address?,
        at: at?,
        zone: zone?,
        event_id: event_id?,
    })
}

fn offset(text: Option<&str>) -> Result<Offset, String> {
    let Some(text) = text else { return Ok(Offset::UTC) };
    let read = jiff::fmt::strtime::parse("%:z", text).ok().and_then(|parsed| parsed.offset());
    read.ok_or_else(|| format!("`{text}` is no offset from UTC: write `+08:00`"))
}

fn reply(entry: &ReplyEntry) -> Result<Reply, String> {
    let status = entry.status.unwrap_or(if entry.body.is_empty() { 204 } else { 200 });
    if !(200..300).contains(&status) {
        return Err("a report that was kept is answered with 200 to 299".to_owned());
    }
    let content_type = entry.kind.clone().unwrap_or_else(|| "text/plain; charset=utf-8".to_owned());
    if reqwest::header::HeaderValue::try_from(content_type.as_str()).is_err() {
        return Err(format!("`{}` is no content type", content_type.escape_debug()));
    }
    Ok(Reply { status, content_type, body: entry.body.clone() })
}

fn rules(entry: &ReceiptEntry, findings: &mut Findings<'_>) -> Vec<EventRule> {
    let mut rules: Vec<EventRule> = Vec::new();
    for (index, rule_entry) in entry.rule.iter().enumerate() {
        let place = format!("receipt.rule {}", index + 1);
        let Some(rule) = findings.take(&place, rule(rule_entry, &entry.read)) else { continue };
        match rule.unreachable(&rules) {
            Some(Some(word)) => findings.add(&place, format!("the word `{word}` is taken by the rules before it")),
            Some(None) => findings.add(&place, "can never match: the rules before it take every such event"),
            None => {}
        }
        rules.push(rule);
    }
    let harmless = [Verdict::Ignore, Verdict::Means(Event::Progress)];
    let caught = rules.last().is_some_and(|last| last.conditions.is_empty() && harmless.contains(&last.verdict));
    if !caught {
        let message = "the last rule must catch everything: `event = \"progress\"` or `event = \"ignore\"` and no \
                       condition, because a report nobody recognises proves nothing";
        findings.add("receipt.rule", message);
    }
    rules
}

fn rule(entry: &RuleEntry, read: &ReadEntry) -> Result<EventRule, String> {
    let mut conditions = Vec::new();
    for (place, words) in &entry.is {
        conditions.push(Condition::Is(Where::parse(place, false)?, words_of(place, words)?));
    }
    for (place, text) in &entry.like {
        let like = Regex::new(text).map_err(|_| format!("`{text}` is no regular expression"))?;
        conditions.push(Condition::Like(Where::parse(place, false)?, like));
    }
    Ok(EventRule {
        conditions,
        verdict: verdict(&entry.event, entry.class.as_deref())?,
        code: places(entry.code.as_ref().or(read.code.as_ref()), true)?,
        said: places(entry.said.as_ref().or(read.said.as_ref()), false)?,
        answer: entry.answer.clone(),
    })
}

fn words_of(place: &str, value: &toml::Value) -> Result<Vec<String>, String> {
    let one = |value: &toml::Value| match value {
        toml::Value::String(text) if !text.is_empty() => Ok(text.clone()),
        toml::Value::Integer(_) | toml::Value::Boolean(_) => Ok(value.to_string()),
        toml::Value::String(_)
        | toml::Value::Float(_)
        | toml::Value::Datetime(_)
        | toml::Value::Array(_)
        | toml::Value::Table(_) => Err(format!("`{place}` can be compared with words, whole numbers, true and false")),
    };
    let words: Vec<String> = match value.as_array() {
        Some(items) => items.iter().map(one).collect::<Result<_, _>>()?,
        None => vec![one(value)?],
    };
    if words.is_empty() { Err(format!("`{place}` has no words: the rule can never match")) } else { Ok(words) }
}

/// Outcome classes that a failure may have.
fn failures() -> impl Iterator<Item = Class> {
    Class::ALL.into_iter().filter(|class| !matches!(class, Class::Accepted | Class::NotSent))
}

fn verdict(event: &str, class: Option<&str>) -> Result<Verdict, String> {
    let known = ["progress", "delivered", "acknowledged", "failed", "complained", "ignore"];
    match (event, class) {
        ("failed", None) => return Err("`failed` needs a class, such as `class = \"bad-address\"`".to_owned()),
        ("failed", Some(name)) => {
            let class = failures().find(|class| class.as_str() == name);
            let hint = || suggestion(name, failures().map(Class::as_str));
            return class
                .map(|class| Verdict::Means(Event::Failed(class)))
                .ok_or_else(|| format!("no failure has the class `{name}`{}", hint()));
        }
        (_, Some(_)) => return Err(format!("`{event}` has no class: only `failed` has one")),
        ("ignore", None) => return Ok(Verdict::Ignore),
        (_, None) => {}
    }
    let found = Event::parse(event, None).map(Verdict::Means);
    found.ok_or_else(|| format!("no event is called `{event}`{}", suggestion(event, known)))
}

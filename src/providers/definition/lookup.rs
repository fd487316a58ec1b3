//! The sections `[lookup]` and `[lookup_by_id]`: how to ask the provider what became of a message whose reply or report
//! never came. The second is for messages whose id at the provider is known.
//!
//! One request, like that of `[send]`; in its reply the items that are about our notice, and rules from an item to an
//! event. Absence says something only where the file declares so, and only some time after the attempt.

use super::check::{Findings, Scope, condition, duration, request};
use super::file::{AuthEntry, ExchangeEntry, Respond};
use super::leaf::{Leaf, Name};
use super::rule::{Place, Statuses, holds_at};
use super::{Body, Exchange};
use crate::model::nearest::suggestion;
use crate::model::outcome::Class;
use crate::model::receipt::Event;
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Pages that are turned where the file does not say.
const PAGES: usize = 3;
/// More would be a search, not a question.
const MOST_PAGES: usize = 20;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupEntry {
    pub method: String,
    pub url: String,
    #[serde(default)]
    pub headers: toml::Table,
    #[serde(default)]
    pub query: toml::Table,
    pub form: Option<toml::Table>,
    pub json: Option<toml::Table>,
    pub auth: Option<AuthEntry>,
    pub timeout: Option<String>,
    pub items: Option<String>,
    pub next: Option<String>,
    pub pages: Option<usize>,
    #[serde(default)]
    pub same: Vec<BTreeMap<String, String>>,
    pub absent: Option<String>,
    pub absent_status: Option<String>,
    pub after: Option<String>,
    #[serde(default)]
    pub alone: bool,
    #[serde(default)]
    pub read: LookupReadEntry,
    #[serde(default)]
    pub rule: Vec<EventRuleEntry>,
    #[serde(default)]
    pub example: Vec<LookupExample>,
}

/// Places in an item.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupReadEntry {
    pub code: Option<String>,
    pub said: Option<String>,
    pub message_id: Option<String>,
    pub at: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventRuleEntry {
    #[serde(default)]
    pub json: BTreeMap<String, toml::Value>,
    pub text: Option<String>,
    pub event: String,
    pub class: Option<String>,
    pub code: Option<String>,
    pub said: Option<String>,
}

/// One question that must be answered as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupExample {
    pub channel: Option<String>,
    pub text: Option<String>,
    pub provider_id: Option<String>,
    /// How long after the attempt the question is asked; a day where absent.
    pub waited: Option<String>,
    #[serde(default)]
    pub settings: BTreeMap<String, toml::Value>,
    /// One reply a page; none where nothing may be asked.
    #[serde(default)]
    pub respond: Vec<Respond>,
    pub expect: LookupExpect,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupExpect {
    /// An event, `absent` where the provider never had it, or `unknown`.
    pub event: String,
    pub class: Option<String>,
    pub code: Option<String>,
    pub message_id: Option<String>,
    /// RFC 3339.
    pub at: Option<String>,
    /// Each must be found in one of the requests as they went over the wire.
    #[serde(default)]
    pub request_has: Vec<String>,
    #[serde(default)]
    pub request_lacks: Vec<String>,
}

/// A valid `[lookup]`.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Without rules: what a reply means is in `rules`, item by item.
    pub request: Exchange,
    /// Where the list of items stands; `None`: the reply is the one item.
    pub items: Option<String>,
    /// Where the next page's address stands.
    pub next: Option<String>,
    pub pages: usize,
    /// What an item about our notice holds: all of any of these of which every name stands for something.
    pub same: Vec<Vec<(String, Leaf)>>,
    /// When an item happened.
    pub at: Option<Place>,
    /// True where "not there" means that the provider never took the message.
    pub absent_is_not_sent: bool,
    /// Absence counts only where no other item is as new as the attempt: ours might be among them, unrecognised.
    pub alone: bool,
    /// Replies that say "not there".
    pub absent_status: Option<Statuses>,
    /// How long after the attempt absence begins to count.
    pub after: Duration,
    pub message_id: Option<Place>,
    /// In order: the first one that any item satisfies decides. The last takes every item.
    pub rules: Vec<EventRule>,
    pub examples: Vec<LookupExample>,
}

#[derive(Clone, Debug)]
pub struct EventRule {
    pub json: Vec<(String, Vec<Value>)>,
    pub text: Option<Regex>,
    pub event: Event,
    pub code: Option<Place>,
    pub said: Option<Place>,
}

impl EventRule {
    /// The element of a list in the item for which the rule holds, 0 where it chooses none.
    pub fn holds_at(&self, item: &Value, text: &str) -> Option<usize> {
        if self.text.as_ref().is_some_and(|own| !own.is_match(text)) {
            return None;
        }
        holds_at(&self.json, Some(item))
    }

    fn is_unconditional(&self) -> bool {
        self.json.is_empty() && self.text.is_none()
    }
}

impl Lookup {
    /// True where the request cannot be made without the provider's id.
    pub fn needs_id(&self) -> bool {
        let fields = match &self.request.body {
            Body::Form(fields) => fields.as_slice(),
            Body::None | Body::Json(_) | Body::Multipart(_) => &[],
        };
        let compulsory = self.request.query.iter().chain(fields).filter(|field| !field.omit_empty);
        let mut leaves = compulsory.map(|field| &field.value).chain([&self.request.url]);
        leaves.any(|leaf| leaf.names().any(|name| *name == Name::ProviderId))
    }
}

/// The section compiled, or findings.
pub(super) fn compile(
    section: &str,
    entry: &LookupEntry,
    scope: &Scope<'_>,
    findings: &mut Findings<'_>,
) -> Option<Lookup> {
    let at = |key: &str| format!("{section}.{key}");
    let request = request(section, &as_exchange(entry), scope, findings);
    if !matches!(entry.method.as_str(), "GET" | "POST") {
        findings.add(&at("method"), "must be GET or POST: a look-up only asks");
    }
    let same = entry.same.iter().map(|one| same(one, scope)).collect::<Result<Vec<_>, _>>();
    let same = findings.take(&at("same"), same);
    // A list in which nothing can be known again can still be empty.
    let only_absence = entry.same.is_empty() && entry.rule.is_empty() && entry.alone;
    if entry.items.is_some() && entry.same.is_empty() && !only_absence {
        findings
            .add(&at("same"), "say how an item about our notice is known, such as `[{ \"/id\" = \"{{notice}}\" }]`");
    }
    let rules = if only_absence { Vec::new() } else { rules(section, entry, findings) };
    let place = |text: &Option<String>| text.as_deref().map(|text| Place::parse(text, false)).transpose();
    Some(Lookup {
        request: request?,
        items: findings.take(&at("items"), a_pointer(&entry.items))?,
        next: findings.take(&at("next"), a_pointer(&entry.next))?,
        pages: findings.take(&at("pages"), pages(entry.pages))?,
        same: same?,
        at: findings.take(&at("read.at"), place(&entry.read.at))?,
        absent_is_not_sent: findings.take(&at("absent"), absent(entry.absent.as_deref()))?,
        absent_status: findings.take(&at("absent_status"), statuses(entry.absent_status.as_deref()))?,
        after: findings.take(&at("after"), entry.after.as_deref().map_or(Ok(Duration::from_secs(60)), duration))?,
        message_id: findings.take(&at("read.message_id"), place(&entry.read.message_id))?,
        alone: entry.alone,
        rules,
        examples: entry.example.clone(),
    })
}

fn as_exchange(entry: &LookupEntry) -> ExchangeEntry {
    ExchangeEntry {
        method: entry.method.clone(),
        url: entry.url.clone(),
        headers: entry.headers.clone(),
        query: entry.query.clone(),
        form: entry.form.clone(),
        json: entry.json.clone(),
        auth: entry.auth.clone(),
        timeout: entry.timeout.clone(),
        ..ExchangeEntry::default()
    }
}

fn same(entry: &BTreeMap<String, String>, scope: &Scope<'_>) -> Result<Vec<(String, Leaf)>, String> {
    if entry.is_empty() {
        return Err("an empty table would take every item".to_owned());
    }
    entry.iter().map(|(pointer, text)| Ok((checked(pointer)?, scope.leaf(text)?))).collect()
}

fn checked(pointer: &str) -> Result<String, String> {
    if pointer.starts_with('/') {
        return Ok(pointer.to_owned());
    }
    Err(format!("`{pointer}` is no JSON pointer: it begins with `/`"))
}

fn a_pointer(text: &Option<String>) -> Result<Option<String>, String> {
    text.as_deref().map(checked).transpose()
}

fn pages(pages: Option<usize>) -> Result<usize, String> {
    let pages = pages.unwrap_or(PAGES);
    if (1..=MOST_PAGES).contains(&pages) { Ok(pages) } else { Err(format!("must be 1 to {MOST_PAGES}")) }
}

fn absent(word: Option<&str>) -> Result<bool, String> {
    match word.unwrap_or("unknown") {
        "unknown" => Ok(false),
        "not-sent" => Ok(true),
        other => {
            Err(format!("`{other}` is neither `unknown` nor `not-sent`{}", suggestion(other, ["unknown", "not-sent"])))
        }
    }
}

fn statuses(text: Option<&str>) -> Result<Option<Statuses>, String> {
    let parse =
        |text: &str| Statuses::parse(text).ok_or_else(|| format!("status `{text}` is none: write `404` or `404,410`"));
    text.map(parse).transpose()
}

fn rules(section: &str, entry: &LookupEntry, findings: &mut Findings<'_>) -> Vec<EventRule> {
    let mut rules: Vec<EventRule> = Vec::new();
    for (index, rule_entry) in entry.rule.iter().enumerate() {
        let place = format!("{section}.rule {}", index + 1);
        let Some(rule) = findings.take(&place, rule(rule_entry, &entry.read)) else { continue };
        if rules.iter().any(EventRule::is_unconditional) {
            findings.add(&place, "can never match: a rule before it takes every item");
        }
        rules.push(rule);
    }
    let caught = rules.last().is_some_and(|last| last.is_unconditional() && last.event == Event::Progress);
    if !caught {
        let message = "the last rule must take every item: `event = \"progress\"` and no condition, because the \
                       provider has it, and what it calls its state may be new";
        findings.add(&format!("{section}.rule"), message);
    }
    rules
}

fn rule(entry: &EventRuleEntry, read: &LookupReadEntry) -> Result<EventRule, String> {
    let class = entry.class.as_deref().map(failure).transpose()?;
    let event = Event::parse(&entry.event, class).ok_or_else(|| no_event(&entry.event))?;
    if class.is_some() && !matches!(event, Event::Failed(_)) {
        return Err(format!("`{}` has no class: only `failed` has one", entry.event));
    }
    let text = match &entry.text {
        Some(text) => Some(Regex::new(text).map_err(|_| format!("text `{text}` is no regular expression"))?),
        None => None,
    };
    let place = |own: &Option<String>, general: &Option<String>, words| match own.as_ref().or(general.as_ref()) {
        Some(text) => Place::parse(text, words).map(Some),
        None => Ok(None),
    };
    let json: Vec<_> = entry.json.iter().map(|(pointer, value)| condition(pointer, value)).collect::<Result<_, _>>()?;
    Ok(EventRule {
        json,
        text,
        event,
        code: place(&entry.code, &read.code, true)?,
        said: place(&entry.said, &read.said, false)?,
    })
}

fn failure(name: &str) -> Result<Class, String> {
    let failures = || Class::ALL.into_iter().filter(|class| !matches!(class, Class::Accepted | Class::NotSent));
    let found = failures().find(|class| class.as_str() == name);
    found.ok_or_else(|| format!("no class is called `{name}`{}", suggestion(name, failures().map(Class::as_str))))
}

fn no_event(name: &str) -> String {
    let known = ["progress", "delivered", "acknowledged", "failed", "complained"];
    if name == "failed" {
        return "`failed` needs a class, such as `class = \"bad-address\"`".to_owned();
    }
    format!("no event is called `{name}`{}", suggestion(name, known))
}

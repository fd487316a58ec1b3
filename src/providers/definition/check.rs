//! Turns a definition file into a [`Definition`], or says everything that is wrong with it.
//!
//! What is held here: the name is the file's name, the host is the setting `base_url` and nothing else, a secret never
//! stands in the path, every rule can match something, the last rule matches everything and says `unknown`, and only
//! a 2xx reply can say `accepted`.

use super::super::settings::{Setting, SettingDecl, SettingKind, Settings};
use super::answer;
use super::auth::auth;
use super::declare::settings;
use super::file::{self, DefinitionFile, ExchangeEntry, ReadEntry, RuleEntry};
use super::form::{fields, optional_key, parts};
use super::leaf::{Leaf, Name, Piece};
use super::lookup;
use super::receipt::{self, Reports};
use super::rule::{Place, Rule, Statuses};
use super::secrets;
use super::template;
use super::{Body, Definition, Exchange, Node, PROBED};
use crate::model::channel::Channel;
use crate::model::nearest::suggestion;
use crate::model::outcome::Class;
use crate::model::problem::Problem;
use crate::model::time::parse_duration;
use regex::Regex;
use reqwest::Method;
use reqwest::header::HeaderName;
use std::collections::BTreeMap;
use std::time::Duration;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The definition in `text`, which stands in the file `stem`.toml; `file` is how problems call it.
pub fn compile(stem: &str, file: &str, text: &str) -> Result<Definition, Vec<Problem>> {
    let entry = file::read(file, text).map_err(|problem| vec![problem])?;
    let mut findings = Findings { file, problems: Vec::new() };
    let definition = definition(stem, entry, &mut findings);
    match definition {
        Some(definition) if findings.problems.is_empty() => Ok(definition),
        _ => Err(findings.problems),
    }
}

/// Collects problems, so that a file is corrected in one go.
pub(super) struct Findings<'a> {
    file: &'a str,
    problems: Vec<Problem>,
}

impl Findings<'_> {
    pub(super) fn add(&mut self, place: &str, message: impl AsRef<str>) {
        let message = format!("{}, {place}: {}", self.file, message.as_ref());
        self.problems.push(Problem::new("bad-definition", place, message));
    }

    /// The value, or `None` and a finding.
    pub(super) fn take<T>(&mut self, place: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.add(place, message)).ok()
    }
}

fn definition(stem: &str, entry: DefinitionFile, findings: &mut Findings<'_>) -> Option<Definition> {
    if entry.name != stem {
        findings.add("name", format!("is `{}`, but the file is called `{stem}.toml`: they must be equal", entry.name));
    }
    if !entry.docs.starts_with("https://") {
        findings.add("docs", "must be the https:// address of the provider's own description");
    }
    let channels = channels(&entry.channels, findings);
    let (settings, inherited, derived) = settings(&entry, findings);
    let scope = Scope { settings: &settings, tables: &entry.by_language };
    secrets::stay_out(&entry, &settings, findings);
    let send = exchange("send", &entry.send, &scope, findings);
    let answers = entry
        .answer
        .iter()
        .filter_map(|(name, entry)| Some((name.clone(), answer::compile(name, entry, &scope, findings)?)));
    let answers = answers.collect();
    let mut look_up = |section: &str, entry: &Option<lookup::LookupEntry>| {
        entry.as_ref().map(|entry| lookup::compile(section, entry, &scope, findings))
    };
    let (lookup, by_id) = (look_up("lookup", &entry.lookup), look_up("lookup_by_id", &entry.lookup_by_id));
    let (lookup, lookup_by_id) = (lookup.flatten(), by_id.flatten());
    let probe = match &entry.probe {
        Some(probe) => Some(exchange("probe", probe, &scope, findings)?),
        None => None,
    };
    let probe_checks = findings.take("probe.checks", probe_checks(&entry))?;
    if let Some(probe) = &probe {
        probe_names_no_notice(probe, findings);
    }
    let template = entry.template.as_ref().and_then(|entry| template::compile(entry, &scope, findings));
    let receipt = match &entry.receipt {
        Some(section) => Some(receipt::compile(section, &scope, findings)?),
        None => None,
    };
    answers_are_there(receipt.as_ref(), &entry, findings);
    let send = send?;
    Some(Definition {
        name: entry.name,
        channels,
        docs: entry.docs,
        about: entry.about,
        send,
        probe,
        probe_checks,
        template,
        receipt,
        lookup,
        lookup_by_id,
        answers,
        by_language: entry.by_language,
        examples: entry.example,
        example_settings: example_settings(&settings, &entry.example_settings),
        settings,
        inherited,
        derived,
    })
}

/// A rule can only be answered with a document that the file has.
fn answers_are_there(receipt: Option<&Reports>, entry: &DefinitionFile, findings: &mut Findings<'_>) {
    let rules = receipt.into_iter().flat_map(|reports| &reports.rules);
    for name in rules.filter_map(|rule| rule.answer.as_ref()).filter(|name| !entry.answer.contains_key(*name)) {
        let hint = suggestion(name, entry.answer.keys().map(String::as_str));
        findings.add("receipt.rule", format!("the file has no document `[answer.{name}]`{hint}"));
    }
}

/// Values of example tables as settings; those declared secret count as referenced.
pub fn example_settings(declared: &[SettingDecl], values: &BTreeMap<String, toml::Value>) -> Settings {
    values.iter().fold(Settings::new(), |mut settings, (name, value)| {
        let secret = declared.iter().any(|d| d.name == *name && d.kind == SettingKind::Secret);
        let text = scalar(value);
        if value.is_table() {
            settings.insert(name, Setting::table(serde_json::to_string(value).unwrap_or_default()));
            return settings;
        }
        if secret { settings.with_secret(name, &text) } else { settings.with(name, text) }
    })
}

pub(super) fn scalar(value: &toml::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn channels(names: &[String], findings: &mut Findings<'_>) -> Vec<Channel> {
    let carried = Channel::ALL;
    if names.is_empty() {
        findings.add("channels", "name at least one: email, sms, phone");
    }
    let found = names.iter().filter_map(|name| match Channel::parse(name).filter(|c| carried.contains(c)) {
        Some(channel) => Some(channel),
        None => {
            let hint = suggestion(name, carried.iter().map(|c| c.as_str()));
            findings.add("channels", format!("no definition can serve the channel `{name}`{hint}"));
            None
        }
    });
    found.collect()
}

/// The names a leaf may use.
pub(super) struct Scope<'a> {
    settings: &'a [SettingDecl],
    /// The tables of `[by_language]`.
    tables: &'a BTreeMap<String, BTreeMap<String, String>>,
}

impl Scope<'_> {
    pub(super) fn leaf(&self, text: &str) -> Result<Leaf, String> {
        let names: Vec<&str> = self.settings.iter().map(|d| d.name.as_str()).collect();
        let leaf = Leaf::parse(text, &names)?;
        for name in leaf.names() {
            if let Name::ByLanguage(table) = name
                && !self.tables.contains_key(table)
            {
                let hint = suggestion(table, self.tables.keys().map(String::as_str));
                return Err(format!("the file has no table `[by_language.{table}]`{hint}"));
            }
        }
        Ok(leaf)
    }

    pub(super) fn setting(&self, name: &str) -> Result<String, String> {
        if self.settings.iter().any(|d| d.name == name) {
            return Ok(name.to_owned());
        }
        let hint = suggestion(name, self.settings.iter().map(|d| d.name.as_str()));
        Err(format!("the file declares no setting `{name}`{hint}"))
    }

    pub(super) fn is_of_kind(&self, name: &Name, kind: SettingKind) -> bool {
        let Name::Setting(name) = name else { return false };
        self.settings.iter().any(|d| d.name == *name && d.kind == kind)
    }
}

fn exchange(place: &str, entry: &ExchangeEntry, scope: &Scope<'_>, findings: &mut Findings<'_>) -> Option<Exchange> {
    let request = request(place, entry, scope, findings);
    let rules = rules(place, entry, findings);
    Some(Exchange { rules, ..request? })
}

/// An exchange without its rules.
pub(super) fn request(
    place: &str,
    entry: &ExchangeEntry,
    scope: &Scope<'_>,
    findings: &mut Findings<'_>,
) -> Option<Exchange> {
    let at = |key: &str| format!("{place}.{key}");
    let method = match entry.method.as_str() {
        "GET" => Some(Method::GET),
        "POST" => Some(Method::POST),
        "PUT" => Some(Method::PUT),
        _ => findings.take(&at("method"), Err("must be GET, POST or PUT".to_owned())),
    };
    let url = findings.take(&at("url"), url(&entry.url, scope));
    let headers = headers(&at("headers"), &entry.headers, scope, findings);
    let query = fields(&at("query"), &entry.query, scope, findings);
    let body = body(place, entry, scope, findings);
    let auth = findings.take(&at("auth"), auth(entry.auth.as_ref(), scope));
    let timeout = match entry.timeout.as_deref().map(duration) {
        None => Some(DEFAULT_TIMEOUT),
        Some(result) => findings.take(&at("timeout"), result),
    };
    let idempotency_header = entry.idempotency_header.as_ref().and_then(|name| {
        let header = HeaderName::try_from(name.as_str()).map_err(|_| "is no possible header name".to_owned());
        findings.take(&at("idempotency_header"), header)
    });
    let idempotent =
        entry.idempotent.as_deref().unwrap_or(if entry.idempotency_header.is_some() { "true" } else { "false" });
    let idempotent = findings.take(&at("idempotent"), scope.leaf(idempotent));
    let mut bound =
        |key: &str, text: &Option<String>| text.as_deref().and_then(|text| findings.take(&at(key), scope.leaf(text)));
    let max_segments = bound("max_segments", &entry.max_segments);
    let max_spoken = bound("max_spoken", &entry.max_spoken);
    Some(Exchange {
        method: method?,
        url: url?,
        headers,
        query,
        body,
        auth: auth?,
        timeout: timeout?,
        idempotency_header,
        idempotent: idempotent?,
        max_segments,
        max_spoken,
        rules: Vec::new(),
    })
}

/// The host comes from a setting that is a url and from nothing else, and a secret never stands in a path.
fn url(text: &str, scope: &Scope<'_>) -> Result<Leaf, String> {
    let leaf = scope.leaf(text)?;
    let from_base = matches!(leaf.0.first(), Some(Piece::Value(name)) if scope.is_of_kind(name, SettingKind::Url));
    let then_path = match leaf.0.get(1) {
        None => true,
        Some(Piece::Literal(path)) => path.starts_with('/'),
        Some(Piece::Value(_)) => false,
    };
    if !from_base || !then_path {
        return Err("must be `{{settings.base_url}}` and then a path: the host is the route's to say".to_owned());
    }
    if text.contains('?') || text.contains('#') {
        return Err("must not hold `?` or `#`: write the query as a table".to_owned());
    }
    if leaf.names().any(|name| scope.is_of_kind(name, SettingKind::Secret)) {
        return Err("must not hold a secret: addresses are written down by every server on the way".to_owned());
    }
    Ok(leaf)
}

fn headers(
    place: &str,
    table: &toml::Table,
    scope: &Scope<'_>,
    findings: &mut Findings<'_>,
) -> Vec<(HeaderName, bool, Leaf)> {
    let mut headers = Vec::new();
    for field in fields(place, table, scope, findings) {
        match HeaderName::try_from(field.name.as_str()) {
            Ok(name) => headers.push((name, field.omit_empty, field.value)),
            Err(_) => findings.add(place, format!("`{}` is no possible header name", field.name)),
        }
    }
    headers
}

fn body(place: &str, entry: &ExchangeEntry, scope: &Scope<'_>, findings: &mut Findings<'_>) -> Body {
    let at = |key: &str| format!("{place}.{key}");
    match (&entry.form, &entry.json, &entry.multipart) {
        (None, None, None) => Body::None,
        (Some(form), None, None) => Body::Form(fields(&at("form"), form, scope, findings)),
        (None, Some(json), None) => Body::Json(node(&at("json"), &toml::Value::Table(json.clone()), scope, findings)),
        (None, None, Some(table)) => Body::Multipart(parts(&at("multipart"), table, scope, findings)),
        _ => {
            findings.add(place, "has two of `form`, `json` and `multipart`: a request has one body");
            Body::None
        }
    }
}

pub(super) fn node(place: &str, value: &toml::Value, scope: &Scope<'_>, findings: &mut Findings<'_>) -> Node {
    match value {
        toml::Value::String(text) => match findings.take(place, scope.leaf(text)) {
            Some(leaf) => Node::Leaf(leaf),
            None => Node::Literal(serde_json::Value::Null),
        },
        toml::Value::Array(items) => Node::List(items.iter().map(|item| node(place, item, scope, findings)).collect()),
        toml::Value::Table(table) => Node::Table(
            table
                .iter()
                .map(|(key, value)| {
                    let (name, omit_empty) = optional_key(key);
                    (name.to_owned(), omit_empty, node(&format!("{place}.{key}"), value, scope, findings))
                })
                .collect(),
        ),
        toml::Value::Integer(number) => Node::Literal((*number).into()),
        toml::Value::Float(number) => Node::Literal((*number).into()),
        toml::Value::Boolean(flag) => Node::Literal((*flag).into()),
        toml::Value::Datetime(time) => Node::Literal(time.to_string().into()),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let micros = parse_duration(text).and_then(|micros| u64::try_from(micros).ok()).filter(|micros| *micros > 0);
    micros.map(Duration::from_micros).ok_or_else(|| format!("`{text}` is no duration: write `250ms`, `20s` or `5m`"))
}

fn rules(place: &str, entry: &ExchangeEntry, findings: &mut Findings<'_>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for (index, rule_entry) in entry.rule.iter().enumerate() {
        let place = format!("{place}.rule {}", index + 1);
        let Some(rule) = findings.take(&place, rule(rule_entry, &entry.read)) else { continue };
        // A probe may be satisfied by a refusal: it shows that the login was taken.
        if place.starts_with("send") && rule.outcome == Class::Accepted && rule.status.beyond_success() {
            findings.add(&place, "only a 2xx reply can be `accepted`");
        }
        match rule.unreachable(&rules) {
            Some(Some(value)) => findings.add(&place, format!("the value {value} is taken by the rules before it")),
            Some(None) => findings.add(&place, "can never match: the rules before it take every such reply"),
            None => {}
        }
        rules.push(rule);
    }
    let caught = rules
        .last()
        .is_some_and(|last| last.status.is_all() && last.is_unconditional() && last.outcome == Class::Unknown);
    if !caught {
        let message = "the last rule must catch everything: `status = \"*\"` with `outcome = \"unknown\"` and no \
                       other condition, because a reply nobody recognises is never a refusal";
        findings.add(&format!("{place}.rule"), message);
    }
    rules
}

fn rule(entry: &RuleEntry, read: &ReadEntry) -> Result<Rule, String> {
    let status = Statuses::parse(&entry.status)
        .ok_or_else(|| format!("status `{}` is none: write `*`, `2xx`, `401,403` or `500-504`", entry.status))?;
    let outcome = outcome(&entry.outcome)?;
    let text = match &entry.text {
        Some(text) => Some(Regex::new(text).map_err(|_| format!("text `{text}` is no regular expression"))?),
        None => None,
    };
    let place = |own: &Option<String>, general: &Option<String>, words: bool| match own.as_ref().or(general.as_ref()) {
        Some(text) => Place::parse(text, words).map(Some),
        None => Ok(None),
    };
    let header = |(name, text): (&String, &String)| {
        let name = HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is no possible header name"))?;
        let wanted = Regex::new(text).map_err(|_| format!("`{text}` is no regular expression"))?;
        Ok((name, wanted))
    };
    Ok(Rule {
        status,
        headers: entry.headers.iter().map(header).collect::<Result<_, String>>()?,
        json: entry.json.iter().map(|(pointer, value)| condition(pointer, value)).collect::<Result<_, _>>()?,
        text,
        outcome,
        code: place(&entry.code, &read.code, true)?,
        said: place(&entry.said, &read.said, false)?,
        message_id: place(&entry.message_id, &read.message_id, false)?,
        wait_from: place(&entry.wait_from, &read.wait_from, false)?,
        wait: entry.wait.as_deref().map(duration).transpose()?,
    })
}

fn outcome(name: &str) -> Result<Class, String> {
    let allowed = || Class::ALL.into_iter().filter(|class| *class != Class::NotSent);
    allowed()
        .find(|class| class.as_str() == name)
        .ok_or_else(|| format!("no outcome is called `{name}`{}", suggestion(name, allowed().map(Class::as_str))))
}

pub(super) fn condition(pointer: &str, value: &toml::Value) -> Result<(String, Vec<serde_json::Value>), String> {
    if !pointer.starts_with('/') {
        return Err(format!("`{pointer}` is no JSON pointer: it begins with `/`"));
    }
    let one = |value: &toml::Value| match value {
        toml::Value::String(text) => Ok(text.as_str().into()),
        toml::Value::Integer(number) => Ok((*number).into()),
        toml::Value::Boolean(flag) => Ok((*flag).into()),
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => {
            Err(format!("`{pointer}` can be compared with texts, whole numbers, true and false"))
        }
    };
    let values: Vec<serde_json::Value> = match value.as_array() {
        Some(items) => items.iter().map(one).collect::<Result<_, _>>()?,
        None => vec![one(value)?],
    };
    if values.is_empty() {
        return Err(format!("`{pointer}` has no values: the rule can never match"));
    }
    Ok((pointer.to_owned(), values))
}

/// What a probe finds out: that the credentials are taken, where the file says no more.
fn probe_checks(entry: &DefinitionFile) -> Result<Vec<&'static str>, String> {
    if entry.send.checks.is_some() {
        return Err("is a key of [probe], not of [send]".to_owned());
    }
    let Some(probe) = &entry.probe else { return Ok(Vec::new()) };
    let Some(words) = &probe.checks else { return Ok(vec!["credentials"]) };
    let known = |word: &String| PROBED.into_iter().find(|known| known == word);
    let one = |word| known(word).ok_or_else(|| format!("`{word}` is none of {}", PROBED.join(", ")));
    words.iter().map(one).collect()
}

/// The probe must be harmless: it knows the settings and no notice.
fn probe_names_no_notice(probe: &Exchange, findings: &mut Findings<'_>) {
    if probe.leaves().flat_map(|leaf| leaf.names()).any(|name| !matches!(name, Name::Setting(_))) {
        findings.add("probe", "names something of a notice: a probe knows the settings only");
    }
}

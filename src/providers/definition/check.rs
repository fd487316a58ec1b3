//! Turns a definition file into a [`Definition`], or says everything that is wrong with it.
//!
//! What is held here: the name is the file's name, the host is the setting `base_url` and nothing else, a secret never
//! stands in the path, every rule can match something, the last rule matches everything and says `unknown`, and only
//! a 2xx reply can say `accepted`.

use super::super::settings::{SettingDecl, SettingKind, Settings};
use super::file::{self, AuthEntry, DefinitionFile, ExchangeEntry, ReadEntry, RuleEntry, SettingEntry};
use super::leaf::{Leaf, Name, Piece};
use super::rule::{Place, Rule, Statuses};
use super::{Auth, Body, Definition, ENGINE_SETTINGS, Exchange, Field, Node, RECEIPTS};
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
struct Findings<'a> {
    file: &'a str,
    problems: Vec<Problem>,
}

impl Findings<'_> {
    fn add(&mut self, place: &str, message: impl AsRef<str>) {
        let message = format!("{}, {place}: {}", self.file, message.as_ref());
        self.problems.push(Problem::new("bad-definition", place, message));
    }

    /// The value, or `None` and a finding.
    fn take<T>(&mut self, place: &str, result: Result<T, String>) -> Option<T> {
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
    let (settings, inherited) = settings(&entry, findings);
    let scope = Scope { settings: &settings };
    let send = exchange("send", &entry.send, &scope, findings);
    let probe = match &entry.probe {
        Some(probe) => Some(exchange("probe", probe, &scope, findings)?),
        None => None,
    };
    if let Some(probe) = &probe {
        probe_names_no_notice(probe, findings);
    }
    let send = send?;
    Some(Definition {
        name: entry.name,
        channels,
        docs: entry.docs,
        about: entry.about,
        send,
        probe,
        examples: entry.example,
        example_settings: example_settings(&settings, &entry.example_settings),
        settings,
        inherited,
    })
}

/// Values of example tables as settings; those declared secret count as referenced.
pub fn example_settings(declared: &[SettingDecl], values: &BTreeMap<String, toml::Value>) -> Settings {
    values.iter().fold(Settings::new(), |settings, (name, value)| {
        let secret = declared.iter().any(|d| d.name == *name && d.kind == SettingKind::Secret);
        let text = scalar(value);
        if secret { settings.with_secret(name, &text) } else { settings.with(name, text) }
    })
}

fn scalar(value: &toml::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn channels(names: &[String], findings: &mut Findings<'_>) -> Vec<Channel> {
    let carried = [Channel::Email, Channel::Sms];
    if names.is_empty() {
        findings.add("channels", "name at least one: email, sms");
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

fn settings(entry: &DefinitionFile, findings: &mut Findings<'_>) -> (Vec<SettingDecl>, Vec<(String, String)>) {
    let entries: &BTreeMap<String, SettingEntry> = &entry.settings;
    let mut declared = Vec::new();
    let mut inherited = Vec::new();
    for (name, entry) in entries {
        let place = format!("settings.{name}");
        if ENGINE_SETTINGS.contains(&name.as_str()) {
            findings.add(&place, "is a setting of the engine: every definition has it already");
            continue;
        }
        if let Some(from) = &entry.default_from {
            match entries.get(from) {
                Some(_) => inherited.push((name.clone(), from.clone())),
                None => findings.add(&place, format!("default_from: the file declares no setting `{from}`")),
            }
        }
        let pattern = entry.pattern.as_ref().and_then(|pattern| {
            findings.take(&place, Regex::new(pattern).map_err(|_| "pattern is no regular expression".to_owned()))
        });
        let default = entry.default.as_ref().map(scalar);
        if entry.kind == SettingKind::Secret && default.is_some() {
            findings.add(&place, "a secret has no default");
        }
        let declaration = SettingDecl {
            name: name.clone(),
            kind: entry.kind,
            required: !entry.optional && default.is_none() && entry.default_from.is_none(),
            default,
            pattern,
            about: entry.about.clone(),
        };
        if let Some(objection) = declaration.default.as_ref().and_then(|value| declaration.objection(value)) {
            findings.add(&place, format!("its default {objection}"));
        }
        declared.push(declaration);
    }
    if !declared.iter().any(|d| d.name == "base_url" && d.kind == SettingKind::Url) {
        findings.add("settings", "declare `base_url = { kind = \"url\" }`, so that the route can be pointed elsewhere");
    }
    declared.push(SettingDecl::optional("ca_file", SettingKind::Text));
    declared.push(SettingDecl::with_default("allow_plaintext", SettingKind::Boolean, "false"));
    let duration = Regex::new("^[0-9]+(ms|s|m)$").ok();
    declared.push(SettingDecl { pattern: duration, ..SettingDecl::optional("timeout", SettingKind::Text) });
    if entry.receipt.is_some() {
        let about = "the provider reports to [server] public_url, and the ladder waits for its reports".to_owned();
        declared.push(SettingDecl { about, ..SettingDecl::with_default(RECEIPTS, SettingKind::Boolean, "false") });
    }
    (declared, inherited)
}

/// The names a leaf may use.
struct Scope<'a> {
    settings: &'a [SettingDecl],
}

impl Scope<'_> {
    fn leaf(&self, text: &str) -> Result<Leaf, String> {
        let names: Vec<&str> = self.settings.iter().map(|d| d.name.as_str()).collect();
        Leaf::parse(text, &names)
    }

    fn setting(&self, name: &str) -> Result<String, String> {
        if self.settings.iter().any(|d| d.name == name) {
            return Ok(name.to_owned());
        }
        let hint = suggestion(name, self.settings.iter().map(|d| d.name.as_str()));
        Err(format!("the file declares no setting `{name}`{hint}"))
    }

    fn is_secret(&self, name: &Name) -> bool {
        let Name::Setting(name) = name else { return false };
        self.settings.iter().any(|d| d.name == *name && d.kind == SettingKind::Secret)
    }
}

fn exchange(place: &str, entry: &ExchangeEntry, scope: &Scope<'_>, findings: &mut Findings<'_>) -> Option<Exchange> {
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
    let max_segments =
        entry.max_segments.as_deref().and_then(|text| findings.take(&at("max_segments"), scope.leaf(text)));
    let rules = rules(place, entry, findings);
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
        rules,
    })
}

/// The host comes from `base_url` and from nothing else, and a secret never stands in a path.
fn url(text: &str, scope: &Scope<'_>) -> Result<Leaf, String> {
    let leaf = scope.leaf(text)?;
    let from_base = matches!(leaf.0.first(), Some(Piece::Value(Name::Setting(name))) if name == "base_url");
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
    if leaf.names().any(|name| scope.is_secret(name)) {
        return Err("must not hold a secret: addresses are written down by every server on the way".to_owned());
    }
    Ok(leaf)
}

/// `Some-Header?` is left out where its value is empty.
fn optional_key(key: &str) -> (&str, bool) {
    key.strip_suffix('?').map_or((key, false), |name| (name, true))
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

fn fields(place: &str, table: &toml::Table, scope: &Scope<'_>, findings: &mut Findings<'_>) -> Vec<Field> {
    let mut fields = Vec::new();
    for (key, value) in table {
        let (name, omit_empty) = optional_key(key);
        let leaf = match value.as_str() {
            Some(text) => scope.leaf(text),
            None => scope.leaf(&value.to_string()),
        };
        if let Some(value) = findings.take(&format!("{place}.{key}"), leaf) {
            fields.push(Field { name: name.to_owned(), omit_empty, value });
        }
    }
    fields
}

fn body(place: &str, entry: &ExchangeEntry, scope: &Scope<'_>, findings: &mut Findings<'_>) -> Body {
    match (&entry.form, &entry.json) {
        (Some(_), Some(_)) => {
            findings.add(place, "has both `form` and `json`: a request has one body");
            Body::None
        }
        (Some(form), None) => Body::Form(fields(&format!("{place}.form"), form, scope, findings)),
        (None, Some(json)) => {
            Body::Json(node(&format!("{place}.json"), &toml::Value::Table(json.clone()), scope, findings))
        }
        (None, None) => Body::None,
    }
}

fn node(place: &str, value: &toml::Value, scope: &Scope<'_>, findings: &mut Findings<'_>) -> Node {
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

fn auth(entry: Option<&AuthEntry>, scope: &Scope<'_>) -> Result<Auth, String> {
    Ok(match entry {
        None => Auth::None,
        Some(AuthEntry::Basic([user, password])) => {
            Auth::Basic { user: scope.setting(user)?, password: scope.setting(password)? }
        }
        Some(AuthEntry::Bearer(token)) => Auth::Bearer { token: scope.setting(token)? },
        Some(AuthEntry::Header([name, value])) => Auth::Header {
            name: HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is no possible header name"))?,
            value: scope.setting(value)?,
        },
        Some(AuthEntry::Query([name, value])) => Auth::Query { name: name.clone(), value: scope.setting(value)? },
    })
}

fn duration(text: &str) -> Result<Duration, String> {
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
    Ok(Rule {
        status,
        json: entry.json.iter().map(|(pointer, value)| condition(pointer, value)).collect::<Result<_, _>>()?,
        text,
        outcome,
        code: place(&entry.code, &read.code, true)?,
        said: place(&entry.said, &read.said, false)?,
        message_id: place(&entry.message_id, &read.message_id, false)?,
        wait: entry.wait.as_deref().map(duration).transpose()?,
    })
}

fn outcome(name: &str) -> Result<Class, String> {
    let allowed = || Class::ALL.into_iter().filter(|class| *class != Class::NotSent);
    allowed()
        .find(|class| class.as_str() == name)
        .ok_or_else(|| format!("no outcome is called `{name}`{}", suggestion(name, allowed().map(Class::as_str))))
}

fn condition(pointer: &str, value: &toml::Value) -> Result<(String, Vec<serde_json::Value>), String> {
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

/// The probe must be harmless: it knows the settings and no notice.
fn probe_names_no_notice(probe: &Exchange, findings: &mut Findings<'_>) {
    let mut leaves: Vec<&Leaf> = vec![&probe.url];
    leaves.extend(probe.headers.iter().map(|(_, _, leaf)| leaf));
    leaves.extend(probe.query.iter().map(|field| &field.value));
    if !matches!(probe.body, Body::None) {
        findings.add("probe", "has a body: a probe only asks");
    }
    if leaves.iter().flat_map(|leaf| leaf.names()).any(|name| !matches!(name, Name::Setting(_))) {
        findings.add("probe", "names something of a notice: a probe knows the settings only");
    }
}

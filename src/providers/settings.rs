//! The settings of a route, and what an adapter declares about them.
//!
//! Config reads `settings = { … }` and resolves `env:NAME` and `file:PATH`; what comes out of a reference is kept as a
//! secret. An adapter declares what it takes, and [`Settings::declared`] gives back typed values or every problem at
//! once. Values never appear in `Debug`, problems name the key and the route only.

use super::definition::leaf::{Name, Value};
use crate::model::nearest::suggestion;
use crate::model::problem::Problem;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::fmt;

/// One value, as text. `Debug` shows where it came from, never what it is.
#[derive(Clone)]
pub struct Setting {
    value: SecretString,
    /// True when it came from `env:` or `file:`, so that it may be a secret.
    referenced: bool,
    /// True where a table was written, kept as JSON.
    table: bool,
}

impl Setting {
    /// A value written into the config file itself; numbers and booleans as their text.
    pub fn clear(value: impl Into<String>) -> Setting {
        Setting { value: SecretString::from(value.into()), referenced: false, table: false }
    }

    /// A table of texts, as JSON.
    pub fn table(json: impl Into<String>) -> Setting {
        Setting { table: true, ..Setting::clear(json) }
    }

    /// A value that config found through `env:NAME` or `file:PATH`.
    pub fn referenced(value: impl Into<String>) -> Setting {
        Setting { value: SecretString::from(value.into()), referenced: true, table: false }
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.referenced { "‹referenced›" } else { "‹set›" })
    }
}

/// A route's settings by key.
#[derive(Clone, Debug, Default)]
pub struct Settings(BTreeMap<String, Setting>);

/// What a setting holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SettingKind {
    Text,
    /// Must come by `env:` or `file:`.
    Secret,
    Integer,
    Boolean,
    /// Absolute, `http` or `https`, without user, query or fragment.
    Url,
    /// Names and texts; kept as JSON.
    Table,
}

impl SettingKind {
    /// What may be written, in words.
    pub fn described(self) -> &'static str {
        match self {
            SettingKind::Text => "a text",
            SettingKind::Secret => "a secret by env:NAME or file:PATH",
            SettingKind::Integer => "a whole number",
            SettingKind::Boolean => "true or false",
            SettingKind::Url => "an address that begins with http:// or https://",
            SettingKind::Table => "a table of texts, as { name = \"…\" }",
        }
    }
}

/// One setting that an adapter takes.
#[derive(Clone, Debug)]
pub struct SettingDecl {
    pub name: String,
    pub kind: SettingKind,
    /// Without a default and not required, the setting may be absent.
    pub required: bool,
    pub default: Option<String>,
    /// The whole value must match it; for texts and secrets.
    pub pattern: Option<regex::Regex>,
    /// What it is for, said when it is missing.
    pub about: String,
}

impl SettingDecl {
    pub fn optional(name: &str, kind: SettingKind) -> SettingDecl {
        SettingDecl { name: name.to_owned(), kind, required: false, default: None, pattern: None, about: String::new() }
    }

    pub fn required(name: &str, kind: SettingKind) -> SettingDecl {
        SettingDecl { required: true, ..SettingDecl::optional(name, kind) }
    }

    pub fn with_default(name: &str, kind: SettingKind, default: &str) -> SettingDecl {
        SettingDecl { default: Some(default.to_owned()), ..SettingDecl::optional(name, kind) }
    }

    /// What is wrong with a value, as words that do not repeat it.
    pub fn objection(&self, value: &str) -> Option<String> {
        let fits = match self.kind {
            SettingKind::Text | SettingKind::Secret => true,
            SettingKind::Integer => value.parse::<i64>().is_ok(),
            SettingKind::Boolean => value.parse::<bool>().is_ok(),
            SettingKind::Url => is_plain_url(value),
            SettingKind::Table => serde_json::from_str::<BTreeMap<String, String>>(value).is_ok(),
        };
        if !fits {
            return Some(format!("must be {}", self.kind.described()));
        }
        match &self.pattern {
            Some(pattern) if !pattern.is_match(value) => Some(format!("must have the form {}", pattern.as_str())),
            Some(_) | None => None,
        }
    }
}

fn is_plain_url(value: &str) -> bool {
    reqwest::Url::parse(value).is_ok_and(|url| {
        ["http", "https"].contains(&url.scheme())
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

/// Settings checked against a declaration, with defaults filled in.
#[derive(Clone, Debug, Default)]
pub struct Declared(BTreeMap<String, Setting>);

impl Declared {
    /// The value as text, secrets included: hand it to the wire, never to a log.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|setting| setting.value.expose_secret())
    }

    pub fn integer(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.text(name)?.parse().ok()
    }

    /// Gives `name` the value of `from` where it has none of its own.
    pub fn inherit(&mut self, name: &str, from: &str) {
        if !self.0.contains_key(name)
            && let Some(setting) = self.0.get(from).cloned()
        {
            self.0.insert(name.to_owned(), setting);
        }
    }

    /// Gives `name` a value where it has none.
    pub fn fill(&mut self, name: &str, value: String) {
        self.0.entry(name.to_owned()).or_insert_with(|| Setting::clear(value));
    }

    /// What a name in a leaf stands for, where it is a setting.
    pub fn value(&self, name: &Name) -> Value<'_> {
        let setting = if let Name::Setting(setting) = name { self.text(setting) } else { None };
        Value::Text(setting.unwrap_or_default().into())
    }

    /// Every name with its value as text, secrets included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, setting)| (name.as_str(), setting.value.expose_secret()))
    }
}

impl Settings {
    pub fn new() -> Settings {
        Settings::default()
    }

    pub fn insert(&mut self, name: impl Into<String>, setting: Setting) {
        self.0.insert(name.into(), setting);
    }

    /// Takes over everything that `over` sets.
    pub fn merge(&mut self, over: Settings) {
        self.0.extend(over.0);
    }

    /// The builder's form of [`Settings::insert`] for a value written in clear.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Settings {
        self.insert(name, Setting::clear(value.to_string()));
        self
    }

    /// The builder's form of [`Settings::insert`] for a value that came by reference.
    #[must_use]
    pub fn with_secret(mut self, name: &str, value: &str) -> Settings {
        self.insert(name, Setting::referenced(value));
        self
    }

    /// The settings as the adapter declared them, or everything that is wrong with them.
    pub fn declared(&self, declarations: &[SettingDecl], route: &str) -> Result<Declared, Vec<Problem>> {
        let mut problems: Vec<Problem> = self
            .0
            .keys()
            .filter(|key| !declarations.iter().any(|d| d.name == **key))
            .map(|key| unknown_key(key, declarations, route))
            .collect();
        let mut declared = BTreeMap::new();
        for declaration in declarations {
            match self.one(declaration, route) {
                Ok(Some(setting)) => {
                    declared.insert(declaration.name.clone(), setting);
                }
                Ok(None) => {}
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(Declared(declared)) } else { Err(problems) }
    }

    fn one(&self, declaration: &SettingDecl, route: &str) -> Result<Option<Setting>, Problem> {
        let name = &declaration.name;
        let Some(setting) = self.0.get(name) else {
            if declaration.required && declaration.default.is_none() {
                let about =
                    if declaration.about.is_empty() { String::new() } else { format!(" ({})", declaration.about) };
                let kind = declaration.kind.described();
                let message = format!("route `{route}`: the setting `{name}` is missing: {kind}{about}");
                return Err(Problem::new("missing-setting", name, message));
            }
            return Ok(declaration.default.clone().map(Setting::clear));
        };
        if declaration.kind == SettingKind::Secret && !setting.referenced {
            let message = format!(
                "route `{route}`: `{name}` is a secret and stands in clear in the file: put it into an environment \
                 variable or a file of its own and write `{name} = \"env:NAME\"` or `\"file:PATH\"`"
            );
            return Err(Problem::new("secret-in-clear", name, message));
        }
        let value = setting.value.expose_secret();
        let objection = if declaration.required && value.is_empty() {
            Some("is empty".to_owned())
        } else if setting.table != (declaration.kind == SettingKind::Table) {
            Some(format!("must be {}", declaration.kind.described()))
        } else {
            declaration.objection(value)
        };
        match objection {
            Some(objection) => {
                Err(Problem::new("bad-setting", name, format!("route `{route}`: the setting `{name}` {objection}")))
            }
            None => Ok(Some(setting.clone())),
        }
    }
}

fn unknown_key(key: &str, declarations: &[SettingDecl], route: &str) -> Problem {
    let names = declarations.iter().map(|d| d.name.as_str());
    let message = format!("route `{route}`: no setting is called `{key}`{}", suggestion(key, names));
    Problem::new("unknown-setting", key, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declarations() -> Vec<SettingDecl> {
        vec![
            SettingDecl::required("host", SettingKind::Text),
            SettingDecl::with_default("port", SettingKind::Integer, "25"),
            SettingDecl::optional("password", SettingKind::Secret),
            SettingDecl::optional("base_url", SettingKind::Url),
            SettingDecl {
                pattern: regex::Regex::new("^AC[0-9]+$").ok(),
                ..SettingDecl::optional("account", SettingKind::Text)
            },
        ]
    }

    fn codes(settings: &Settings) -> Vec<(&'static str, String)> {
        match settings.declared(&declarations(), "relay") {
            Ok(_) => Vec::new(),
            Err(problems) => problems.into_iter().map(|p| (p.code, p.field)).collect(),
        }
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let settings = Settings::new().with("prot", 25).with("password", "in the clear").with("base_url", "ftp://x");
        assert_eq!(
            codes(&settings),
            [
                ("unknown-setting", "prot".to_owned()),
                ("missing-setting", "host".to_owned()),
                ("secret-in-clear", "password".to_owned()),
                ("bad-setting", "base_url".to_owned()),
            ]
        );
        assert_eq!(codes(&Settings::new().with("host", "")), [("bad-setting", "host".to_owned())]);
        let bad = Settings::new().with("host", "h").with("port", "x").with("account", "XX1");
        assert_eq!(codes(&bad), [("bad-setting", "port".to_owned()), ("bad-setting", "account".to_owned())]);
        let with_user = Settings::new().with("host", "h").with("base_url", "http://u:p@h/");
        assert_eq!(codes(&with_user), [("bad-setting", "base_url".to_owned())]);
    }

    #[test]
    fn nearest_name_is_offered_and_values_stay_out_of_sight() {
        let settings = Settings::new().with("prot", "s3cret-value").with_secret("password", "s3cret-value");
        let problems = settings.declared(&declarations(), "relay").expect_err("prot is unknown");
        assert!(problems[0].message.contains("did you mean `port`?"), "{}", problems[0].message);
        assert!(!format!("{problems:?}{settings:?}").contains("s3cret"));
        let good = Settings::new().with("host", "h").with_secret("password", "s3cret-value");
        let declared = good.declared(&declarations(), "relay").expect("valid");
        assert_eq!((declared.integer("port"), declared.text("password")), (Some(25), Some("s3cret-value")));
        assert!(!format!("{declared:?}").contains("s3cret"));
    }
}

//! The section `[template]`: the provider sends words that it has approved before, with places for a few values. The
//! definition says in which settings a route names them and what a value may be; the words themselves are the route's.

use super::check::{Findings, Scope};
use super::leaf::{Leaf, Name};
use super::rule::Place;
use crate::providers::settings::SettingKind;
use regex::Regex;
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateEntry {
    /// Setting of the code that the provider gave the approved template.
    pub code: String,
    /// Setting of its words, as approved.
    pub text: String,
    /// Setting of the table from places to values.
    pub values: String,
    /// How a place is written in the words: `${name}`, or `{1}` where they are numbered.
    pub placeholder: String,
    /// What the provider puts before the words.
    pub prefix: Option<String>,
    /// Characters of one value.
    pub longest_value: Option<usize>,
    /// Characters of all values together.
    pub longest_values: Option<usize>,
    /// Characters of the whole, with prefix and values.
    pub longest_text: Option<usize>,
    /// No value may match it.
    pub forbidden: Option<String>,
    /// Where the probe's reply holds the words that the provider has approved.
    pub approved: Option<String>,
}

/// A valid `[template]`.
#[derive(Clone, Debug)]
pub struct Template {
    pub code: String,
    pub text: String,
    pub values: String,
    /// Places in the words, with the name as the first group.
    pub place: Regex,
    /// Places are numbered from 1, without a gap.
    pub numbered: bool,
    pub prefix: Leaf,
    pub longest_value: Option<usize>,
    pub longest_values: Option<usize>,
    pub longest_text: Option<usize>,
    pub forbidden: Option<Regex>,
    /// Where the probe's reply holds the words that the provider has approved.
    pub approved: Option<Place>,
}

/// The section compiled, or findings.
pub(super) fn compile(entry: &TemplateEntry, scope: &Scope<'_>, findings: &mut Findings<'_>) -> Option<Template> {
    let at = |key: &str| format!("template.{key}");
    let mut setting = |key: &str, name: &str, kind: SettingKind| {
        let found = scope.setting(name).and_then(|name| {
            let fits = scope.is_of_kind(&Name::Setting(name.clone()), kind);
            if fits { Ok(name) } else { Err(format!("the setting `{name}` must hold {}", kind.described())) }
        });
        findings.take(&at(key), found)
    };
    let code = setting("code", &entry.code, SettingKind::Text);
    let text = setting("text", &entry.text, SettingKind::Text);
    let values = setting("values", &entry.values, SettingKind::Table);
    let place = findings.take(&at("placeholder"), place(&entry.placeholder));
    let prefix = findings.take(&at("prefix"), prefix(entry.prefix.as_deref().unwrap_or_default(), scope));
    let forbidden = match &entry.forbidden {
        Some(text) => {
            let regex = Regex::new(text).map_err(|_| format!("`{text}` is no regular expression"));
            Some(findings.take(&at("forbidden"), regex)?)
        }
        None => None,
    };
    let approved = match &entry.approved {
        Some(text) => Some(findings.take(&at("approved"), Place::parse(text, false))?),
        None => None,
    };
    let (place, numbered) = place?;
    Some(Template {
        code: code?,
        text: text?,
        values: values?,
        place,
        numbered,
        prefix: prefix?,
        longest_value: entry.longest_value,
        longest_values: entry.longest_values,
        longest_text: entry.longest_text,
        forbidden,
        approved,
    })
}

/// The expression that finds a place, and whether places are numbered.
fn place(written: &str) -> Result<(Regex, bool), String> {
    let (around, inside, numbered) = match (written.split_once("name"), written.split_once('1')) {
        (Some(around), _) => (around, "([A-Za-z_][A-Za-z0-9_]*)", false),
        (None, Some(around)) => (around, "([0-9]+)", true),
        (None, None) => return Err("must show a place, as `${name}` or `{1}`".to_owned()),
    };
    let (open, close) = (regex::escape(around.0), regex::escape(around.1));
    if open.is_empty() || close.is_empty() {
        return Err("needs a sign before the name and one behind it".to_owned());
    }
    let regex = Regex::new(&format!("{open}{inside}{close}")).map_err(|error| error.to_string())?;
    Ok((regex, numbered))
}

/// The same before every notice of a route.
fn prefix(text: &str, scope: &Scope<'_>) -> Result<Leaf, String> {
    let leaf = scope.leaf(text)?;
    if leaf.names().any(|name| !matches!(name, Name::Setting(_))) {
        return Err("can be made of settings only".to_owned());
    }
    Ok(leaf)
}

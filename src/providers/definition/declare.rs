//! The section `[settings]`: what a route must bring, and where what it does not bring comes from.

use super::super::settings::{SettingDecl, SettingKind};
use super::check::{Findings, scalar};
use super::file::{DefinitionFile, SettingEntry};
use super::leaf::{Leaf, Name};
use super::{ENGINE_SETTINGS, RECEIPTS};
use regex::Regex;
use std::collections::BTreeMap;

/// The settings; those that take the value of another; those whose default is made of others.
pub(super) type Declared = (Vec<SettingDecl>, Vec<(String, String)>, Vec<(String, Leaf)>);

pub(super) fn settings(entry: &DefinitionFile, findings: &mut Findings<'_>) -> Declared {
    let entries: &BTreeMap<String, SettingEntry> = &entry.settings;
    let mut declared = Vec::new();
    let (mut inherited, mut derived) = (Vec::new(), Vec::new());
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
        let made = default.as_ref().filter(|default| default.contains("{{"));
        if let Some(leaf) = made.and_then(|text| findings.take(&place, made_of_settings(text, entries))) {
            derived.push((name.clone(), leaf));
        }
        let default = if made.is_some() { None } else { default };
        if entry.kind == SettingKind::Secret && entry.default.is_some() {
            findings.add(&place, "a secret has no default");
        }
        let declaration = SettingDecl {
            name: name.clone(),
            kind: entry.kind,
            required: !entry.optional && entry.default.is_none() && entry.default_from.is_none(),
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
    (declared, inherited, derived)
}

/// A default with `{{settings.…}}` in it, such as an address that holds a region.
fn made_of_settings(text: &str, entries: &BTreeMap<String, SettingEntry>) -> Result<Leaf, String> {
    let names: Vec<&str> =
        entries.iter().filter(|(_, e)| e.kind != SettingKind::Secret).map(|(name, _)| name.as_str()).collect();
    let leaf = Leaf::parse(text, &names)?;
    if leaf.names().any(|name| !matches!(name, Name::Setting(_))) {
        return Err("its default can be made of settings only".to_owned());
    }
    Ok(leaf)
}

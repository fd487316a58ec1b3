//! Secrets do not stand in definitions: files are shared, printed and kept in repositories.
//!
//! A value whose name says that it is secret must come from a setting, and a setting that signs or logs in must be
//! declared as a secret, which can come by `env:` or `file:` only.

use super::super::settings::{SettingDecl, SettingKind};
use super::check::Findings;
use super::file::{AuthEntry, DefinitionFile, ExchangeEntry};
use super::lookup::LookupEntry;

/// Words in a name that say that the value is a secret.
const SECRET_WORDS: [&str; 6] = ["password", "passwd", "secret", "token", "authorization", "privatekey"];

pub(super) fn stay_out(entry: &DefinitionFile, settings: &[SettingDecl], findings: &mut Findings<'_>) {
    for setting in settings.iter().filter(|setting| setting.kind == SettingKind::Text && is_secret(&setting.name)) {
        let message = "is a secret by its name: declare it with kind = \"secret\", so that it cannot stand in clear";
        findings.add(&format!("settings.{}", setting.name), message);
    }
    let exchanges = [("send", Some(&entry.send)), ("probe", entry.probe.as_ref())];
    for (place, exchange) in exchanges.into_iter().filter_map(|(place, exchange)| Some((place, exchange?))) {
        let ExchangeEntry { headers, query, form, json, multipart, auth, .. } = exchange;
        let tables = [("headers", Some(headers)), ("query", Some(query)), ("form", form.as_ref())];
        let bodies = [("json", json.as_ref()), ("multipart", multipart.as_ref())];
        of_request(place, tables.into_iter().chain(bodies), auth.as_ref(), settings, findings);
    }
    let look_ups = [("lookup", entry.lookup.as_ref()), ("lookup_by_id", entry.lookup_by_id.as_ref())];
    for (place, look_up) in look_ups.into_iter().filter_map(|(place, look_up)| Some((place, look_up?))) {
        let LookupEntry { headers, query, form, json, auth, .. } = look_up;
        let tables =
            [("headers", Some(headers)), ("query", Some(query)), ("form", form.as_ref()), ("json", json.as_ref())];
        of_request(place, tables.into_iter(), auth.as_ref(), settings, findings);
    }
}

fn of_request<'e>(
    place: &str,
    tables: impl Iterator<Item = (&'static str, Option<&'e toml::Table>)>,
    auth: Option<&AuthEntry>,
    settings: &[SettingDecl],
    findings: &mut Findings<'_>,
) {
    for (key, table) in tables {
        let table = table.into_iter().flatten();
        table.for_each(|(name, value)| of_value(&format!("{place}.{key}.{name}"), name, value, findings));
    }
    for name in auth.map(secrets_of).unwrap_or_default() {
        // A setting that is not there is said elsewhere.
        if settings.iter().any(|setting| setting.name == name && setting.kind != SettingKind::Secret) {
            let message = format!("the setting `{name}` must be declared with kind = \"secret\"");
            findings.add(&format!("{place}.auth"), message);
        }
    }
}

fn of_value(place: &str, name: &str, value: &toml::Value, findings: &mut Findings<'_>) {
    match value {
        toml::Value::String(text) => {
            if (is_secret(name) || plain(name).contains("apikey")) && !text.is_empty() && !text.contains("{{") {
                let message = "a secret stands in clear: declare a setting with kind = \"secret\" and write its name";
                findings.add(place, message);
            }
        }
        toml::Value::Array(items) => items.iter().for_each(|item| of_value(place, name, item, findings)),
        toml::Value::Table(table) => {
            table.iter().for_each(|(inner, value)| of_value(&format!("{place}.{inner}"), inner, value, findings));
        }
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) | toml::Value::Datetime(_) => {}
    }
}

/// The settings that hold secrets of a scheme.
fn secrets_of(auth: &AuthEntry) -> Vec<&str> {
    match auth {
        AuthEntry::Basic([_, secret]) | AuthEntry::Header([_, secret]) | AuthEntry::Query([_, secret]) => vec![secret],
        AuthEntry::Bearer(secret) => vec![secret],
        AuthEntry::Jwt(jwt) => vec![&jwt.key],
        AuthEntry::VonageSig(sig) => vec![&sig.secret],
        AuthEntry::Sigv4(aws) => {
            [Some(&aws.secret), aws.session_token.as_ref()].into_iter().flatten().map(String::as_str).collect()
        }
        AuthEntry::Acs3(aliyun) => {
            [Some(&aliyun.secret), aliyun.security_token.as_ref()].into_iter().flatten().map(String::as_str).collect()
        }
        AuthEntry::Tc3(tencent) => {
            [Some(&tencent.secret_key), tencent.token.as_ref()].into_iter().flatten().map(String::as_str).collect()
        }
    }
}

/// `api_secret`, `X-Server-Token`, `Authorization`. Not `secret_id`, which names a secret and is none; nor `api_key`, which
/// some providers call what is no secret.
fn is_secret(name: &str) -> bool {
    let plain = plain(name);
    !plain.ends_with("id") && SECRET_WORDS.iter().any(|word| plain.contains(word))
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

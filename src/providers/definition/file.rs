//! What serde reads from a definition file. An unknown key is refused with the nearest valid one.

use super::super::settings::SettingKind;
use super::answer::AnswerEntry;
use super::lookup::LookupEntry;
use super::receipt::ReceiptEntry;
use super::signing::{Acs3Entry, Sigv4Entry, Tc3Entry};
use super::template::TemplateEntry;
use crate::model::nearest::suggestion;
use crate::model::problem::Problem;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefinitionFile {
    pub name: String,
    pub channels: Vec<String>,
    pub docs: String,
    #[serde(default)]
    pub about: String,
    #[serde(default)]
    pub settings: BTreeMap<String, SettingEntry>,
    pub send: ExchangeEntry,
    pub probe: Option<ExchangeEntry>,
    /// For providers that send approved words only.
    pub template: Option<TemplateEntry>,
    pub lookup: Option<LookupEntry>,
    pub lookup_by_id: Option<LookupEntry>,
    #[serde(default)]
    pub answer: BTreeMap<String, AnswerEntry>,
    /// Words by the language of a notice: table, then language.
    #[serde(default)]
    pub by_language: BTreeMap<String, BTreeMap<String, String>>,
    pub receipt: Option<ReceiptEntry>,
    #[serde(default)]
    pub example_settings: BTreeMap<String, toml::Value>,
    #[serde(default)]
    pub example: Vec<Example>,
}

/// Required, unless it is `optional` or has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingEntry {
    pub kind: SettingKind,
    #[serde(default)]
    pub optional: bool,
    pub default: Option<toml::Value>,
    /// The name of the setting whose value stands in.
    pub default_from: Option<String>,
    pub pattern: Option<String>,
    #[serde(default)]
    pub about: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeEntry {
    pub method: String,
    pub url: String,
    #[serde(default)]
    pub headers: toml::Table,
    #[serde(default)]
    pub query: toml::Table,
    pub form: Option<toml::Table>,
    pub json: Option<toml::Table>,
    pub multipart: Option<toml::Table>,
    pub auth: Option<AuthEntry>,
    pub timeout: Option<String>,
    pub idempotency_header: Option<String>,
    pub idempotent: Option<String>,
    pub max_segments: Option<String>,
    /// The longest text that the provider speaks, in characters.
    pub max_spoken: Option<String>,
    /// Of a probe: what it finds out.
    pub checks: Option<Vec<String>>,
    /// What the rules read unless they say otherwise.
    #[serde(default)]
    pub read: ReadEntry,
    #[serde(default)]
    pub rule: Vec<RuleEntry>,
}

/// The schemes by name; the values are names of settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthEntry {
    /// Setting of the user, setting of the password.
    Basic([String; 2]),
    /// Setting of the token.
    Bearer(String),
    /// Name of the header, setting of its value.
    Header([String; 2]),
    /// Name of the query parameter, setting of its value.
    Query([String; 2]),
    /// A token that is made anew for every request and signed with a private key.
    Jwt(JwtEntry),
    /// The request's own parameters, signed.
    #[serde(rename = "vonage-sig")]
    VonageSig(VonageSigEntry),
    Sigv4(Sigv4Entry),
    Acs3(Acs3Entry),
    Tc3(Tc3Entry),
}

/// Names of settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtEntry {
    /// The private key, PKCS #8 in PEM.
    pub key: String,
    /// Goes into the claim `application_id`.
    pub application: String,
}

/// Names of settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VonageSigEntry {
    pub secret: String,
    /// `md5hash`, `md5`, `sha1`, `sha256` or `sha512`.
    pub method: String,
}

/// Places in a reply: a JSON pointer, `header:NAME`, or `body` for the first line of a plain reply.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadEntry {
    pub code: Option<String>,
    pub said: Option<String>,
    pub message_id: Option<String>,
    pub wait_from: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleEntry {
    pub status: String,
    #[serde(default)]
    pub json: BTreeMap<String, toml::Value>,
    /// Header of the reply, and the expression that its value matches.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub text: Option<String>,
    pub outcome: String,
    pub code: Option<String>,
    pub said: Option<String>,
    pub message_id: Option<String>,
    /// Where the reply says how long to wait: seconds, or a moment.
    pub wait_from: Option<String>,
    /// How long to wait where the provider does not say.
    pub wait: Option<String>,
}

/// One exchange that must come out as written; run by the test suite and by `provider lint`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// True for an exchange of `[probe]`.
    #[serde(default)]
    pub probe: bool,
    pub channel: Option<String>,
    pub text: Option<String>,
    /// Of the notice, BCP 47; `en` where absent.
    pub language: Option<String>,
    #[serde(default)]
    pub settings: BTreeMap<String, toml::Value>,
    /// Absent where the notice must be refused before a byte is sent.
    pub respond: Option<Respond>,
    pub expect: Expect,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Respond {
    pub status: u16,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub body: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub class: String,
    pub code: Option<String>,
    pub message_id: Option<String>,
    pub retry_after: Option<String>,
    /// Each must be found in the request as it went over the wire.
    #[serde(default)]
    pub request_has: Vec<String>,
    #[serde(default)]
    pub request_lacks: Vec<String>,
}

/// Reads the file; the problem names the file, the line, and the nearest key where one is unknown.
pub fn read(file: &str, text: &str) -> Result<DefinitionFile, Problem> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| 1 + text.bytes().take(span.start).filter(|b| *b == b'\n').count());
        let (first, hint) = with_nearest(error.message());
        Problem::new("bad-definition", file, format!("{file}, line {line}: {first}{hint}"))
    })
}

/// Serde's message, with its list of keys replaced by the nearest one.
fn with_nearest(message: &str) -> (String, String) {
    let first = message.lines().next().unwrap_or_default();
    let quoted: Vec<&str> = first.split('`').skip(1).step_by(2).collect();
    match (first.starts_with("unknown field") || first.starts_with("unknown variant"), quoted.split_first()) {
        (true, Some((given, known))) => {
            (format!("there is no key or word `{given}` here"), suggestion(given, known.iter().copied()))
        }
        _ => (first.to_owned(), String::new()),
    }
}

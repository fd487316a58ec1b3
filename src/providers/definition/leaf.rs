//! A leaf: text with `{{name}}` in it, the only thing in a definition that varies from notice to notice.
//!
//! It reads as Handlebars in strict mode does, cut down to plain names: a name that does not exist is found when the
//! file is loaded, so rendering cannot fail. There are no helpers, blocks or escapes; whoever writes the leaf into a
//! query, a form or JSON does the encoding.

use crate::model::nearest::suggestion;
use std::borrow::Cow;

/// Everything a leaf may name beside `settings.…`.
pub const NAMES: &[(&str, Name)] = &[
    ("to", Name::To),
    ("to_digits", Name::ToDigits),
    ("text", Name::Text),
    ("subject", Name::Subject),
    ("html", Name::Html),
    ("notice", Name::Notice),
    ("campaign", Name::Campaign),
    ("channel", Name::Channel),
    ("attempt", Name::Attempt),
    ("idempotency_key", Name::IdempotencyKey),
    ("language", Name::Language),
    ("country", Name::Country),
    ("sms.coding", Name::SmsCoding),
    ("sms.ucs2", Name::SmsUcs2),
    ("sms.dcs", Name::SmsDcs),
    ("sms.kind", Name::SmsKind),
    ("sms.segments", Name::SmsSegments),
    ("unix_time", Name::UnixTime),
    ("mime", Name::Mime),
    ("message_id", Name::MessageId),
    ("sender.address", Name::SenderAddress),
    ("sender.name", Name::SenderName),
    ("sender.mailbox", Name::SenderMailbox),
    ("spoken.opening", Name::SpokenOpening),
    ("spoken.message", Name::SpokenMessage),
    ("provider_id", Name::ProviderId),
    ("sent.unix", Name::SentUnix),
    ("sent.time", Name::SentTime),
    ("sent.date", Name::SentDate),
    ("hook", Name::Hook),
    ("mime.base64", Name::MimeBase64),
    ("notice.short", Name::NoticeShort),
    ("name", Name::PersonName),
    ("reference", Name::Reference),
    ("template.named", Name::TemplateNamed),
    ("template.list", Name::TemplateList),
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    Setting(String),
    /// The address: an e-mail address, or E.164 with its plus.
    To,
    /// The number without its plus.
    ToDigits,
    Text,
    Subject,
    Html,
    Notice,
    Campaign,
    Channel,
    Attempt,
    IdempotencyKey,
    Language,
    Country,
    /// `gsm-7` or `ucs-2`.
    SmsCoding,
    SmsUcs2,
    /// `0` for GSM-7, `2` for UCS-2: the coding group of 3GPP TS 23.038.
    SmsDcs,
    /// `text` for GSM-7, `unicode` for UCS-2.
    SmsKind,
    SmsSegments,
    UnixTime,
    /// The whole email as it goes over the wire.
    Mime,
    /// The email's Message-ID, without `<` and `>`.
    MessageId,
    SenderAddress,
    SenderName,
    /// Both, as a header writes them: `Example Ltd <dpo@example.com>`.
    SenderMailbox,
    /// What a machine that answers the telephone may hear.
    SpokenOpening,
    SpokenMessage,
    /// Of a look-up: the provider's id of the message, where it is known.
    ProviderId,
    /// Of a look-up: somewhat before the attempt, in seconds since 1970.
    SentUnix,
    /// The same as RFC 3339.
    SentTime,
    /// The day of that in UTC, `2026-11-25`.
    SentDate,
    /// A word of the table `[by_language.NAME]`, for the language of the notice.
    ByLanguage(String),
    /// The address that takes this route's reports; empty where the route takes none.
    Hook,
    /// The whole email in base64.
    MimeBase64,
    /// The first 15 digits of the token, for providers that take no more: a person finds the notice by it, we do not.
    NoticeShort,
    PersonName,
    Reference,
    /// Of a look-up: the day of the attempt, `20261125`, so many hours east of Greenwich.
    SentDay(i8),
    /// As dialled within that country (ISO 3166-1 alpha-2); elsewhere the number without its plus.
    ToWithin(String),
    /// What the campaign says, as template sets call it: `organisation`, `incident.title`, `text.contact`.
    Fact(String),
    /// The values of an approved template by the names of their places, as JSON.
    TemplateNamed,
    /// The values of an approved template in the order of their places, as JSON.
    TemplateList,
}

/// What a name stands for in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Text(Cow<'a, str>),
    Number(i64),
    Flag(bool),
    Json(serde_json::Value),
}

impl Value<'_> {
    pub fn as_text(&self) -> Cow<'_, str> {
        match self {
            Value::Text(text) => Cow::Borrowed(text),
            Value::Number(number) => Cow::Owned(number.to_string()),
            Value::Flag(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
            Value::Json(json) => Cow::Owned(json.to_string()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Literal(String),
    Value(Name),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf(pub Vec<Piece>);

impl Leaf {
    /// The leaf, or why it is none. `settings` are the names the file declares.
    pub fn parse(text: &str, settings: &[&str]) -> Result<Leaf, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, behind) = after.split_once("}}").ok_or("`{{` without `}}`")?;
            if !before.is_empty() {
                pieces.push(Piece::Literal(before.to_owned()));
            }
            pieces.push(Piece::Value(parse_name(name.trim(), settings)?));
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        Ok(Leaf(pieces))
    }

    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Value(name) => Some(name),
            Piece::Literal(_) => None,
        })
    }

    /// The text with every name replaced by `value_of`, passed through `encode`.
    pub fn render_with<'a>(&self, value_of: impl Fn(&Name) -> Value<'a>, encode: impl Fn(&str) -> String) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Value(name) => out.push_str(&encode(&value_of(name).as_text())),
            }
        }
        out
    }

    /// The name, where the leaf is one name and nothing else.
    pub fn only_name(&self) -> Option<&Name> {
        match self.0.as_slice() {
            [Piece::Value(name)] => Some(name),
            _ => None,
        }
    }
}

fn parse_name(name: &str, settings: &[&str]) -> Result<Name, String> {
    if let Some(setting) = name.strip_prefix("settings.") {
        if settings.contains(&setting) {
            return Ok(Name::Setting(setting.to_owned()));
        }
        let hint = suggestion(setting, settings.iter().copied());
        return Err(format!("`{name}`: the file declares no setting `{setting}`{hint}"));
    }
    if let Some(table) = name.strip_prefix("by_language.") {
        return Ok(Name::ByLanguage(table.to_owned()));
    }
    if let Some(country) = name.strip_prefix("to_within.") {
        let is_country = country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase());
        let wrong = || format!("`{name}`: write the country in two capital letters, as `to_within.CN`");
        return is_country.then(|| Name::ToWithin(country.to_owned())).ok_or_else(wrong);
    }
    if let Some(hours) = name.strip_prefix("sent.day.") {
        let hours = hours.parse::<i8>().ok().filter(|hours| (-12..=14).contains(hours));
        return hours.map(Name::SentDay).ok_or_else(|| format!("`{name}`: write the hours east, as `sent.day.+08`"));
    }
    if name == "organisation" || name.starts_with("incident.") || name.starts_with("text.") {
        return Ok(Name::Fact(name.to_owned()));
    }
    match NAMES.iter().find(|(known, _)| *known == name) {
        Some((_, found)) => Ok(found.clone()),
        None => {
            let hint = suggestion(name, NAMES.iter().map(|(known, _)| *known));
            Err(format!("nothing is called `{name}`{hint}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_text_and_known_names() {
        let leaf = Leaf::parse("a {{ to }}/{{settings.from}}", &["from"]).expect("valid");
        let shown = leaf.render_with(|name| Value::Text(format!("<{name:?}>").into()), str::to_uppercase);
        assert_eq!(shown, "a <TO>/<SETTING(\"FROM\")>");
        for (text, want) in [
            ("{{too}}", "did you mean `to`?"),
            ("{{settings.form}}", "did you mean `from`?"),
            ("{{to", "without"),
            ("{{#if to}}", "nothing is called"),
            ("{{{text}}}", "nothing is called"),
        ] {
            let problem = Leaf::parse(text, &["from"]).expect_err(text);
            assert!(problem.contains(want), "{text}: {problem}");
        }
    }
}

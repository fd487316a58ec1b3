//! The approved words of a route: read from its settings, filled in for one person exactly as the provider will do it,
//! and everything that the provider would refuse about a value, said before anything is sent.

use super::super::definition::leaf::{Leaf, Name};
use super::super::definition::rule::Reply;
use super::super::definition::template::Template;
use super::super::settings::Declared;
use super::values::Values;
use crate::model::channel::Channel;
use crate::model::nearest::suggestion;
use crate::model::personal::Personal;
use crate::model::problem::Problem;
use crate::model::rendered::{CallScript, Rendered, SmsCoding, SmsNotice, Spoken};
use crate::providers::Outgoing;
use serde_json::Value;
use std::collections::BTreeMap;

/// The words of one route, ready to be filled in.
#[derive(Clone, Debug)]
pub struct Approved {
    /// The provider's code for them.
    pub code: String,
    /// As approved, with the names of their places.
    pub text: String,
    /// All that decides what people read, for a digest: the code, the words with their prefix, and what goes where.
    pub identity: String,
    pieces: Vec<Piece>,
    /// Each place once, in the order of the words, or by number.
    values: Vec<(String, Leaf)>,
    limits: Template,
    prefix: String,
}

#[derive(Clone, Debug)]
enum Piece {
    Words(String),
    /// Index into the values.
    Value(usize),
}

impl Approved {
    /// The words of a route's settings, or everything that is wrong with them.
    pub fn read(template: &Template, settings: &Declared, route: &str) -> Result<Approved, Vec<Problem>> {
        let setting = |name: &str| settings.text(name).unwrap_or_default();
        let text = setting(&template.text).to_owned();
        let given: BTreeMap<String, String> = serde_json::from_str(setting(&template.values)).unwrap_or_default();
        let mut problems = Vec::new();
        let mut wrong = |message: String| {
            let message = format!("route `{route}`: the setting `{}`: {message}", template.values);
            problems.push(Problem::new("bad-setting", &template.values, message));
        };
        let places = places(template, &text);
        let mut values = Vec::new();
        for place in &places {
            match given.get(place).map(|value| leaf(value)) {
                Some(Ok(leaf)) => values.push((place.clone(), leaf)),
                Some(Err(message)) => wrong(format!("`{place}`: {message}")),
                None => wrong(format!("the approved words have a place `{place}`, and nothing is said to go there")),
            }
        }
        for name in given.keys().filter(|name| !places.contains(name)) {
            let hint = suggestion(name, places.iter().map(String::as_str));
            wrong(format!("the approved words have no place `{name}`{hint}"));
        }
        if template.numbered && places.iter().enumerate().any(|(at, place)| *place != (at + 1).to_string()) {
            wrong("the places of the approved words must be numbered from 1, without a gap".to_owned());
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let bare = template.prefix.names().any(|name| settings.value(name).as_text().is_empty());
        let prefix = template.prefix.render_with(|name| settings.value(name), str::to_owned);
        let prefix = if bare { String::new() } else { prefix };
        let pieces = pieces(template, &text, &places);
        let code = setting(&template.code).to_owned();
        let identity = format!("{code}\n{prefix}{text}\n{given:?}");
        Ok(Approved { code, text, identity, pieces, values, limits: template.clone(), prefix })
    }

    /// Whether the provider has these words under the code, where its reply to the probe says which it has.
    pub fn differs_from(&self, reply: &Reply<'_>) -> bool {
        let theirs = self.limits.approved.as_ref().and_then(|place| place.read(reply));
        theirs.is_some_and(|theirs| one_line(&theirs) != one_line(&self.text))
    }

    fn filled(&self, values: &Values<'_>) -> Vec<String> {
        self.values.iter().map(|(_, leaf)| one_line(&values.render(leaf))).collect()
    }

    /// The values by the names of their places.
    pub fn named(&self, values: &Values<'_>) -> Value {
        let names = self.values.iter().map(|(name, _)| name.clone());
        names.zip(self.filled(values).into_iter().map(Value::from)).collect()
    }

    /// The values in the order of their places.
    pub fn list(&self, values: &Values<'_>) -> Value {
        self.filled(values).into_iter().map(Value::from).collect()
    }

    /// What the person will read or hear.
    pub fn words(&self, values: &Values<'_>) -> String {
        let filled = self.filled(values);
        let piece = |piece: &Piece| match piece {
            Piece::Words(words) => words.clone(),
            Piece::Value(at) => filled.get(*at).cloned().unwrap_or_default(),
        };
        format!("{}{}", self.prefix, self.pieces.iter().map(piece).collect::<String>())
    }

    /// Why the provider would refuse the values of this person; names the place, never the value.
    pub fn objection(&self, values: &Values<'_>) -> Option<String> {
        let filled = self.filled(values);
        let length = |text: &str| text.chars().count();
        for ((place, _), value) in self.values.iter().zip(&filled) {
            if value.is_empty() {
                return Some(format!("there is nothing to put at `{place}` of the approved template `{}`", self.code));
            }
            if let Some(most) = self.limits.longest_value.filter(|most| length(value) > *most) {
                let long = length(value);
                return Some(format!("what goes to `{place}` has {long} characters, and the provider takes {most}"));
            }
            if self.limits.forbidden.as_ref().is_some_and(|forbidden| forbidden.is_match(value)) {
                return Some(format!(
                    "what goes to `{place}` has a form that the provider refuses, such as an address"
                ));
            }
        }
        let together = filled.iter().map(|value| length(value)).sum::<usize>();
        if let Some(most) = self.limits.longest_values.filter(|most| together > *most) {
            return Some(format!("the values together have {together} characters, and the provider takes {most}"));
        }
        let whole = length(&self.words(values));
        let most = self.limits.longest_text.filter(|most| whole > *most)?;
        Some(format!("the words have {whole} characters with the values filled in, and the provider takes {most}"))
    }
}

/// The names of the places, each once.
fn places(template: &Template, text: &str) -> Vec<String> {
    let mut places: Vec<String> = Vec::new();
    for found in template.place.captures_iter(text) {
        let name = &found[1];
        if !places.iter().any(|known| known == name) {
            places.push(name.to_owned());
        }
    }
    if template.numbered {
        places.sort_by_key(|place| place.parse::<u64>().unwrap_or(u64::MAX));
    }
    places
}

fn pieces(template: &Template, text: &str, places: &[String]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut from = 0;
    for found in template.place.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        pieces.push(Piece::Words(text.get(from..whole.start()).unwrap_or_default().to_owned()));
        pieces.extend(places.iter().position(|place| *place == found[1]).map(Piece::Value));
        from = whole.end();
    }
    pieces.push(Piece::Words(text.get(from..).unwrap_or_default().to_owned()));
    pieces
}

/// A value may name what a notice has, but not the approved words themselves.
fn leaf(text: &str) -> Result<Leaf, String> {
    let leaf = Leaf::parse(text, &[])?;
    if leaf.names().any(|name| matches!(name, Name::TemplateNamed | Name::TemplateList)) {
        return Err("a value cannot hold all values".to_owned());
    }
    Ok(leaf)
}

/// A line end would be refused, and says nothing.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The words as a notice. Such providers count every character as one, 70 to a part and 67 where there are several.
pub fn rendered(out: &Outgoing, text: String) -> Rendered {
    if out.channel == Channel::Phone {
        let spoken = Spoken { opening: Personal::default(), message: Personal::new(text) };
        return Rendered::Call(CallScript {
            sections: Vec::new(),
            language: out.language.clone(),
            spoken: Some(spoken),
        });
    }
    let length = text.chars().count();
    let segments = if length <= 70 { 1 } else { u32::try_from(length.div_ceil(67)).unwrap_or(u32::MAX) };
    Rendered::Sms(SmsNotice { text: Personal::new(text), coding: SmsCoding::Ucs2, segments })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::catalogue::Catalogue;
    use crate::providers::examples::sample;
    use crate::providers::http::Http;
    use crate::providers::settings::{Setting, Settings};
    use std::sync::Arc;

    fn build(text: &str, values: &str) -> Result<Http, Vec<Problem>> {
        let mut settings = Settings::new()
            .with_secret("access_key_secret", "s")
            .with("access_key_id", "LTAI0000")
            .with("sign_name", "示例公司")
            .with("template_code", "SMS_1")
            .with("template_text", text);
        settings.insert("template_values", Setting::table(values));
        let catalogue = Catalogue::load(None).expect("valid");
        let definition = Arc::clone(&catalogue.get("aliyun-sms").expect("built in").definition);
        Http::build("hangzhou", Channel::Sms, &settings, 1, definition)
    }

    fn problems(text: &str, values: &str) -> String {
        let problems = build(text, values).err().unwrap_or_default();
        problems.into_iter().map(|p| p.message).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_person_reads_the_approved_words_with_their_values() {
        let http = build("${name}您好,请致电${tel}。${name}", r#"{"name":"{{name}}","tel":"{{text.contact}}"}"#)
            .expect("valid");
        let out = sample(Channel::Sms, "our own words go nowhere");
        assert_eq!(http.refusal(&out), None);
        let Some(Rendered::Sms(sms)) = http.worded(&out) else { panic!("an SMS") };
        assert_eq!(sms.text.reveal(), "【示例公司】Jane Example您好,请致电+1 555 555 0199。Jane Example");
        assert_eq!((sms.segments, http.approved().expect("approved").code.as_str()), (1, "SMS_1"));
    }

    #[test]
    fn what_the_provider_would_refuse_is_said_before_and_names_no_value() {
        let http = build("${name}您好", r#"{"name":"{{name}}"}"#).expect("valid");
        let mut out = sample(Channel::Sms, "");
        for (name, part) in [
            ("", "nothing to put at `name`"),
            ("x".repeat(36).as_str(), "36 characters, and the provider takes 35"),
            ("see https://n.example.org", "a form that the provider refuses"),
        ] {
            out.name = Personal::new(name);
            let refusal = http.refusal(&out).expect(part);
            assert!(refusal.text.contains(part), "{}", refusal.text);
            assert!(name.is_empty() || !refusal.text.contains(name));
        }
        out.name = Personal::new("x".repeat(35));
        assert_eq!(http.refusal(&out), None);
    }

    #[test]
    fn words_and_values_must_belong_together() {
        assert!(problems("${name}您好", "{}").contains("a place `name`, and nothing is said to go there"));
        assert!(problems("${name}", r#"{"name":"x","nmae":"x"}"#).contains("no place `nmae`; did you mean `name`?"));
        assert!(problems("${name}", r#"{"name":"{{nmae}}"}"#).contains("did you mean `name`?"));
        assert!(problems("${name}", r#"{"name":"{{template.named}}"}"#).contains("cannot hold all values"));
    }
}

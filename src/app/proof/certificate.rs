//! The certificate: the page of a bundle that people read and print, in the campaign's language.

use super::person::ShownLeaf;
use crate::app::AppError;
use crate::evidence::canonical::read_object;
use crate::evidence::fact::seconds;
use crate::evidence::note::VerifierKey;
use crate::model::channel::Channel;
use crate::model::person::Person;
use crate::model::time::Micros;
use crate::store::campaign::Campaign;
use crate::store::leaf::LeafRef;
use crate::store::sequence::SignedHead;
use crate::store::shown::{ShownAttempt, ShownFact};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PAGE: &str = include_str!("certificate.html.hbs");
/// The words of the page, by language; the first is for all others.
const LABELS: [&str; 3] =
    [include_str!("labels/en.toml"), include_str!("labels/zh-CN.toml"), include_str!("labels/de.toml")];

/// What the page is made of.
#[derive(Debug)]
pub struct Shown<'a> {
    pub campaign: &'a Campaign,
    pub organisation: &'a str,
    /// BCP 47.
    pub language: &'a str,
    pub person: &'a Person,
    /// Each with where its end is in the log.
    pub attempts: &'a [(&'a ShownAttempt, Option<u64>)],
    pub facts: &'a [ShownFact],
    pub of_campaign: &'a [ShownFact],
    pub at: &'a BTreeMap<LeafRef, u64>,
    pub leaves: &'a BTreeMap<u64, ShownLeaf>,
    pub head: &'a SignedHead,
    /// Sizes of the heads that are shown with a time stamp, and their times.
    pub stamps: &'a [(u64, Micros)],
    pub key: &'a VerifierKey,
    pub withheld: &'a [String],
    /// A closing tree shows that nothing is missing.
    pub closed: bool,
    pub made: Micros,
}

/// The words of a language.
pub(super) struct Labels(pub(super) toml::Table);

impl Labels {
    /// Those of the language, of its base, or English.
    pub(super) fn of(language: &str) -> Result<Labels, AppError> {
        Labels::among(&LABELS, language)
    }

    /// The same among these texts, of which the first is for all other languages.
    pub(super) fn among(texts: &[&str], language: &str) -> Result<Labels, AppError> {
        let read = |text: &str| toml::from_str::<toml::Table>(text).map(Labels);
        let all = texts.iter().map(|text| read(text)).collect::<Result<Vec<_>, _>>();
        let mut all = all.map_err(|e| AppError::io("the words of the certificate")(std::io::Error::other(e)))?;
        let base = |tag: &str| tag.split('-').next().unwrap_or_default().to_owned();
        let exact = all.iter().position(|labels| labels.get("language") == language);
        let near = all.iter().position(|labels| base(labels.get("language")) == base(language));
        Ok(all.swap_remove(exact.or(near).unwrap_or(0)))
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).and_then(toml::Value::as_str).unwrap_or_default()
    }

    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        let list = self.0.get(name).and_then(toml::Value::as_array);
        list.into_iter().flatten().filter_map(toml::Value::as_str).collect()
    }

    pub(super) fn filled(&self, name: &str, values: &[(&str, &str)]) -> String {
        filled(self.get(name), values)
    }
}

pub(super) fn filled(text: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// The page.
pub fn page(shown: &Shown<'_>) -> Result<String, AppError> {
    let labels = Labels::of(shown.language)?;
    let mut engine = handlebars::Handlebars::new();
    engine.set_strict_mode(true);
    let page = engine.render_template(PAGE, &values(shown, &labels));
    page.map_err(|e| AppError::io("the certificate")(std::io::Error::other(e)))
}

fn values(shown: &Shown<'_>, labels: &Labels) -> Value {
    let organisation = [("organisation", shown.organisation)];
    let filled_list = |name| labels.list(name).into_iter().map(|text| filled(text, &organisation)).collect::<Vec<_>>();
    let contacts: Vec<&str> = shown.person.contacts.iter().map(|c| c.address.reveal()).collect();
    let (size, at) = (shown.head.size.to_string(), seconds(shown.head.at));
    let made = seconds(shown.made);
    json!({
        "l": labels.0,
        "lead": labels.filled("lead", &organisation),
        "name": shown.person.name.reveal(),
        "reference": shown.person.reference.reveal(),
        "contacts": contacts,
        "organisation": shown.organisation,
        "incident": shown.campaign.title,
        "campaign": shown.campaign.id,
        "steps": steps(shown, labels),
        "campaign_steps": campaign_steps(shown, labels),
        "proves": filled_list("proves_list"),
        "not_proves": filled_list("not_proves_list"),
        "log_name": shown.key.name(),
        "key": shown.key.to_string(),
        "fingerprint": shown.key.fingerprint(),
        "head": labels.filled("head_text", &[("size", &size), ("at", &at)]),
        "root": const_hex::encode(shown.head.root),
        "completeness": labels.get(if shown.closed { "complete" } else { "not_complete" }),
        "withheld": shown.withheld,
        "made": labels.filled("made", &[("at", &made)]),
        "version": env!("CARGO_PKG_VERSION"),
    })
}

fn steps(shown: &Shown<'_>, labels: &Labels) -> Vec<Value> {
    let mut steps: Vec<(Micros, Value)> = Vec::new();
    for (attempt, index) in shown.attempts {
        let contact = shown.person.contacts.get(usize::from(attempt.notice.contact()));
        let channel = attempt.notice.channel().map_or("", Channel::as_str);
        let no = labels.filled("attempt", &[("n", &attempt.no.to_string())]);
        let result = match attempt.class.as_str() {
            "accepted" => "accepted",
            "unknown" => "unknown",
            _ => "refused",
        };
        let at = attempt.finished_at.unwrap_or(attempt.started_at);
        let name = match attempt.notice.channel() {
            Some(Channel::Email) => "message.eml",
            Some(Channel::Sms) => "message.txt",
            Some(Channel::Phone) | None => "script.txt",
        };
        let files = index.map(|n| vec![format!("events/{n}.json"), format!("payload/{n}/{name}")]).unwrap_or_default();
        let step = json!({
            "when": plain(&seconds(at)),
            "step": format!("{no} · {}", labels.get(channel)),
            "to": contact.map_or("", |contact| contact.address.reveal()),
            "provider": format!("{} ({})", attempt.route, attempt.provider),
            "answer": format!("{}: {} {}", labels.get(result), attempt.code, attempt.text),
            "files": files,
        });
        steps.push((at, step));
    }
    for fact in shown.facts {
        let value =
            |wanted: &str| fact.values.iter().find(|(label, _)| *label == wanted).map_or("", |(_, v)| v.as_str());
        let of_program = fact.what == "proof";
        let label = match fact.what.as_str() {
            what @ ("receipt" | "proof") => labels.get(what).to_owned(),
            _ => labels.get("note").to_owned(),
        };
        let channel = fact.notice.and_then(|notice| notice.channel()).map_or("", Channel::as_str);
        let files: Vec<String> = shown.at.get(&fact.leaf).map(|n| format!("events/{n}.json")).into_iter().collect();
        let step = json!({
            "when": plain(&seconds(fact.at)),
            "step": if channel.is_empty() { label } else { format!("{label} · {}", labels.get(channel)) },
            "to": "",
            "provider": value("by"),
            // What the program itself notes is said by the label, in the language of the page.
            "answer": if of_program { "" } else if value("text").is_empty() { &fact.what } else { value("text") },
            "files": files,
        });
        steps.push((fact.at, step));
    }
    steps.sort_by_key(|(at, _)| *at);
    steps.into_iter().map(|(_, step)| step).collect()
}

/// A time of the log without the letters: the heading says that it is UTC.
pub(super) fn plain(time: &str) -> String {
    time.replace('T', " ").replace('Z', "")
}

fn campaign_steps(shown: &Shown<'_>, labels: &Labels) -> Vec<Value> {
    let facts = in_order(shown.of_campaign, shown.at);
    let step = |(index, fact): (u64, &ShownFact)| {
        let by = fact.values.iter().find(|(label, _)| *label == "by").map_or("", |(_, by)| by.as_str());
        // The leaf knows it in any case.
        let leaf = shown.leaves.get(&index).and_then(|leaf| read_object(&leaf.octets).ok());
        let when = leaf.as_ref().and_then(|leaf| leaf.text("t")).map(plain).unwrap_or_default();
        json!({
            "when": when,
            "step": labels.filled(&fact.what, &[("by", by)]),
            "file": format!("events/{index}.json"),
        })
    };
    facts.into_iter().map(step).collect()
}

/// Facts with where they are in the log, in its order.
pub(super) fn in_order<'f>(facts: &'f [ShownFact], at: &BTreeMap<LeafRef, u64>) -> Vec<(u64, &'f ShownFact)> {
    let mut facts: Vec<(u64, &ShownFact)> =
        facts.iter().filter_map(|fact| Some((*at.get(&fact.leaf)?, fact))).collect();
    facts.sort_by_key(|(index, _)| *index);
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_every_word() {
        same_words(&LABELS);
        same_words(&super::super::campaign_page::LABELS);
        for (language, want) in [("zh-CN", "zh-CN"), ("zh-TW", "zh-CN"), ("de-AT", "de"), ("fr", "en"), ("", "en")] {
            assert_eq!(Labels::of(language).unwrap().get("language"), want);
        }
    }

    fn same_words(texts: &[&str]) {
        let all: Vec<toml::Table> = texts.iter().map(|text| toml::from_str(text).unwrap()).collect();
        for labels in &all[1..] {
            assert_eq!(labels.keys().collect::<Vec<_>>(), all[0].keys().collect::<Vec<_>>());
            for (name, value) in labels {
                assert_eq!(value.type_str(), all[0][name].type_str(), "{name}");
                let places = |text: &toml::Value| text.to_string().matches('{').count();
                assert_eq!(places(value), places(&all[0][name]), "{name}");
            }
        }
    }
}

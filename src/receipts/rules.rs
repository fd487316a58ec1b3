//! Words to reasons, and reasons to classes: the two tables of this step, read once from the files in the binary.

use super::codes::{Phase, Status};
use crate::model::outcome::Class;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What a report says of a message, or of one recipient of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// This address will not work.
    Hard,
    /// Not now, or not this message.
    Soft,
    /// It arrived, and is not wanted.
    Complaint,
    /// A machine answered for the recipient.
    AutoReply,
    /// It arrived.
    Delivered,
    /// Nothing about a message of anybody.
    NotAReport,
}

impl Kind {
    /// The name in the output of `forewarn bounce explain`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Hard => "hard",
            Kind::Soft => "soft",
            Kind::Complaint => "complaint",
            Kind::AutoReply => "auto-reply",
            Kind::Delivered => "delivered",
            Kind::NotAReport => "not-a-report",
        }
    }
}

/// Why a message came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub name: String,
    pub kind: Kind,
    pub class: Class,
    /// The reason in words.
    pub about: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonsFile {
    reason: Vec<ReasonEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonEntry {
    name: String,
    kind: Kind,
    class: String,
    about: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    rule: Vec<Rule>,
    weak: Vec<Rule>,
    status: BTreeMap<String, String>,
    reply: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    reason: String,
    #[serde(default)]
    says: Vec<String>,
    #[serde(default)]
    also: Vec<String>,
    #[serde(default)]
    unless: Vec<String>,
    #[serde(default)]
    begins: Vec<String>,
    #[serde(default)]
    at: Vec<Phase>,
    #[serde(default)]
    not_at: Vec<Phase>,
    /// Means the address only where the server spoke of the address: else its filter did.
    #[serde(default)]
    of_user: bool,
}

/// Both tables.
#[derive(Default)]
pub(super) struct Rules {
    reasons: Vec<Reason>,
    rules: Vec<Rule>,
    weak: Vec<Rule>,
    status: BTreeMap<String, String>,
    reply: BTreeMap<String, String>,
}

/// The tables in the binary. That they can be read is tested; were they not, every report would be `undefined`.
pub(super) static RULES: LazyLock<Rules> = LazyLock::new(|| {
    Rules::parse(include_str!("reasons.toml"), include_str!("rules.toml")).unwrap_or_else(|problem| {
        tracing::error!(problem, "the rules for reports cannot be read");
        Rules::default()
    })
});

/// What is known of a refusal.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub(super) status: Option<Status>,
    pub(super) reply: Option<u16>,
    pub(super) phase: Option<Phase>,
}

impl Rules {
    fn parse(reasons: &str, rules: &str) -> Result<Rules, String> {
        let reasons: ReasonsFile = toml::from_str(reasons).map_err(|error| error.message().to_owned())?;
        let file: RulesFile = toml::from_str(rules).map_err(|error| error.message().to_owned())?;
        let reasons = reasons.reason.into_iter().map(reason).collect::<Result<Vec<_>, _>>()?;
        let known = |name: &String| reasons.iter().any(|reason| reason.name == *name);
        let named = file.rule.iter().chain(&file.weak).map(|rule| &rule.reason);
        if let Some(stranger) = named.chain(file.status.values()).chain(file.reply.values()).find(|n| !known(n)) {
            return Err(format!("`{stranger}` is no reason"));
        }
        let idle = file.rule.iter().chain(&file.weak).find(|rule| rule.says.is_empty() == rule.begins.is_empty());
        if let Some(rule) = idle {
            return Err(format!("a rule for `{}` takes either `says` or `begins`", rule.reason));
        }
        Ok(Rules { reasons, rules: file.rule, weak: file.weak, status: file.status, reply: file.reply })
    }

    /// The reason of that name.
    pub(super) fn reason(&self, name: &str) -> Option<&Reason> {
        self.reasons.iter().find(|reason| reason.name == name)
    }

    /// What the words say, if they say anything. `text` is through [`plain`].
    pub(super) fn by_words(&self, text: &str, known: Known) -> Option<&str> {
        self.among(&self.rules, text, known)
    }

    /// What words say that are said of many things: asked last.
    pub(super) fn by_weak_words(&self, text: &str, known: Known) -> Option<&str> {
        self.among(&self.weak, text, known)
    }

    fn among<'r>(&self, rules: &'r [Rule], text: &str, known: Known) -> Option<&'r str> {
        let rule = rules.iter().find(|rule| rule.fits(text, known.phase))?;
        if rule.of_user && !speaks_of_user(known) {
            return Some("filtered");
        }
        Some(&rule.reason)
    }

    /// What the status code says; the vague ones say nothing.
    pub(super) fn by_status(&self, status: Status) -> Option<&str> {
        if status.is_vague() {
            return None;
        }
        let whole = format!("{}.{}", status.subject, status.detail);
        let found = self.status.get(&whole).or_else(|| self.status.get(&status.subject.to_string()));
        found.map(String::as_str)
    }

    pub(super) fn by_reply(&self, code: u16) -> Option<&str> {
        self.reply.get(&code.to_string()).map(String::as_str)
    }
}

/// Whether the server refused the address and not the message: by its code, or by when.
fn speaks_of_user(known: Known) -> bool {
    // 5.5.0 is what old servers of one kind give with 550 at RCPT.
    let by_code = known.status.is_some_and(|status| status.subject == 1 || (status.subject, status.detail) == (5, 0));
    by_code || known.phase == Some(Phase::Rcpt)
}

impl Rule {
    fn fits(&self, text: &str, phase: Option<Phase>) -> bool {
        let here = self.at.is_empty() || phase.is_some_and(|phase| self.at.contains(&phase));
        let elsewhere = phase.is_some_and(|phase| self.not_at.contains(&phase));
        let said = |phrases: &[String]| phrases.iter().any(|phrase| text.contains(phrase.as_str()));
        here && !elsewhere
            && (said(&self.says) || self.begins.iter().any(|start| text.starts_with(start.as_str())))
            && (self.also.is_empty() || said(&self.also))
            && !said(&self.unless)
    }
}

fn reason(entry: ReasonEntry) -> Result<Reason, String> {
    let class = Class::parse(&entry.class).ok_or_else(|| format!("`{}` is no class", entry.class))?;
    Ok(Reason { name: entry.name, kind: entry.kind, class, about: entry.about })
}

/// What is looked at of one text at most.
const LONGEST_TEXT: usize = 16 << 10;

/// A text as the rules compare it: lower case, white space as one space, addresses as `<>`, links and codes left out.
pub(super) fn plain(text: &str) -> String {
    let cut = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= LONGEST_TEXT).last().unwrap_or(0);
    let text = if text.len() > LONGEST_TEXT { &text[..cut] } else { text };
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let lower = word.to_lowercase();
        if is_code(&lower) || lower.contains("://") || lower.starts_with("www.") {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        if lower.contains('@') {
            let end: String = lower.chars().rev().take_while(|c| ".:,;)>".contains(*c)).collect();
            out.push_str("<>");
            out.extend(end.chars().rev().filter(|c| *c != '>'));
        } else {
            out.push_str(&lower);
        }
    }
    out
}

/// `550`, `550-5.1.1`, `(#5.1.1)`, `smtp;`.
fn is_code(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| "()[]<>#;:,'\"".contains(c));
    let digits = bare.starts_with(|c: char| c.is_ascii_digit());
    word == "smtp;"
        || (digits && bare.len() <= 14 && bare.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-'))
        || bare.strip_prefix("smtp;").is_some_and(is_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_can_be_read() {
        let rules =
            Rules::parse(include_str!("reasons.toml"), include_str!("rules.toml")).expect("both tables are sound");
        for rule in rules.rules.iter().chain(&rules.weak) {
            for phrase in rule.says.iter().chain(&rule.also).chain(&rule.unless).chain(&rule.begins) {
                assert_eq!(*phrase, phrase.to_lowercase(), "{}: rules are compared in lower case", rule.reason);
            }
        }
    }
}

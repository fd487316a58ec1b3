//! The facts of a campaign as leaves of the evidence log.
//!
//! A leaf holds codes, times, random names and commitments, and nothing that names a person. What a commitment stands for
//! is disclosed by [`super::disclosure`]. Keys of all leaves: `ev` what happened, `t` when (UTC, whole seconds), `v` the
//! version of the form, `camp` the campaign, `subj` the person, `com` the commitments by label.

use super::canonical::{CannotWrite, Writer};
use super::disclosure::Commitment;
use crate::model::channel::Channel;
use crate::model::notice::NoticeId;
use crate::model::time::{Micros, SECOND};

/// The version of the leaves.
const VERSION: u64 = 1;
/// The longest code of a provider that is written as it is.
const LONGEST_CODE: usize = 40;

/// What all facts of one campaign in one transaction have in common.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The campaign's id; empty for facts that belong to none.
    pub campaign: String,
    /// RFC 3339, UTC, whole seconds.
    pub time: String,
}

impl Scene {
    /// `at` is rounded down to the second: finer times could name somebody.
    pub fn new(campaign: &str, at: Micros) -> Scene {
        Scene { campaign: campaign.to_owned(), time: seconds(at) }
    }
}

/// RFC 3339 in UTC, down to the second.
pub fn seconds(at: Micros) -> String {
    jiff::Timestamp::from_second(at.div_euclid(SECOND)).map(|time| time.to_string()).unwrap_or_default()
}

/// One attempt, as its leaves name it.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    pub notice: NoticeId,
    /// From 1.
    pub no: i64,
    pub route: &'a str,
    /// The person's random name in the log.
    pub subject: &'a str,
}

/// What an attempt is bound to: exactly this address, these octets, this exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptProof {
    pub address: Commitment,
    pub exchange: Commitment,
    pub message: Commitment,
}

/// An attempt was begun; `head` is the size of the log whose head the notice carries, if it carries one.
pub fn attempt_started(scene: &Scene, attempt: &Attempt<'_>, head: Option<u64>) -> Result<String, CannotWrite> {
    Writer::object(|leaf| {
        leaf.text("camp", &scene.campaign);
        leaf.text("chan", channel_of(attempt.notice));
        leaf.number("contact", attempt.notice.contact().into());
        leaf.text("ev", "attempt.started");
        if let Some(size) = head {
            leaf.number("head", size);
        }
        leaf.number("n", attempt.no.unsigned_abs());
        leaf.text("route", attempt.route);
        leaf.text("subj", attempt.subject);
        end(leaf, scene);
    })
}

/// An attempt ended. `proof` is there where its notice was made.
pub fn attempt_ended(
    scene: &Scene,
    attempt: &Attempt<'_>,
    (class, code): (&str, &str),
    proof: Option<&AttemptProof>,
) -> Result<String, CannotWrite> {
    Writer::object(|leaf| {
        leaf.text("camp", &scene.campaign);
        leaf.text("chan", channel_of(attempt.notice));
        leaf.text("code", code_of(code));
        if let Some(proof) = proof {
            leaf.nested("com", |com| {
                com.text("addr", proof.address.as_str());
                com.text("exch_sha256", proof.exchange.as_str());
                com.text("msg_sha256", proof.message.as_str());
            });
        }
        leaf.number("contact", attempt.notice.contact().into());
        leaf.text("ev", "attempt.ended");
        leaf.number("n", attempt.no.unsigned_abs());
        leaf.text("res", class);
        leaf.text("route", attempt.route);
        leaf.text("subj", attempt.subject);
        end(leaf, scene);
    })
}

/// The channel of a notice, as leaves name it.
pub fn channel_of(notice: NoticeId) -> &'static str {
    notice.channel().map_or("none", Channel::as_str)
}

/// A code of a provider, where it is one: short, and of letters, digits and the like.
pub fn code_of(code: &str) -> &str {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-' | ':' | '/');
    if code.len() <= LONGEST_CODE && code.chars().all(plain) { code } else { "other" }
}

/// A part of a fact beside its kind, under its name.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    Text(&'a str),
    /// Whole and not negative.
    Number(u64),
    /// By label, in their order.
    Commitments(&'a [(&'static str, Commitment)]),
}

/// Any other fact: of the whole campaign or of one person. The names of its parts come before `t`.
pub fn other(scene: &Scene, event: &str, parts: &[(&str, Part<'_>)]) -> Result<String, CannotWrite> {
    let mut all: Vec<(&str, Part<'_>)> = vec![("ev", Part::Text(event))];
    if !scene.campaign.is_empty() {
        all.push(("camp", Part::Text(&scene.campaign)));
    }
    all.extend(parts.iter().copied());
    all.sort_unstable_by_key(|(name, _)| *name);
    Writer::object(|leaf| {
        for (name, part) in all {
            match part {
                Part::Text(text) => leaf.text(name, text),
                Part::Number(n) => leaf.number(name, n),
                Part::Commitments(some) => {
                    leaf.nested(name, |com| some.iter().for_each(|(label, c)| com.text(label, c.as_str())));
                }
            }
        }
        end(leaf, scene);
    })
}

/// The leaf of a person in a closing tree: the numbers of the facts about them, in order.
pub fn closing_leaf(number: u64, subject: &str, facts: impl IntoIterator<Item = u64>) -> Result<String, CannotWrite> {
    Writer::object(|leaf| {
        leaf.numbers("ev", facts);
        leaf.number("ord", number);
        leaf.text("subj", subject);
        leaf.number("v", VERSION);
    })
}

fn end(leaf: &mut Writer<'_>, scene: &Scene) {
    leaf.text("t", &scene.time);
    leaf.number("v", VERSION);
}

#[cfg(test)]
mod tests {
    use super::super::canonical::read_object;
    use super::super::disclosure::SaltKey;
    use super::*;

    fn scene() -> Scene {
        Scene::new("2026-001-abcde", 1_790_000_000_999_999)
    }

    #[test]
    fn leaves_are_canonical_and_hold_what_they_should() {
        let notice = NoticeId::new(7, 1, Channel::Email);
        let attempt = Attempt { notice, no: 2, route: "relay", subject: "00ff" };
        let started = attempt_started(&scene(), &attempt, Some(9)).unwrap();
        assert_eq!(
            started,
            r#"{"camp":"2026-001-abcde","chan":"email","contact":1,"ev":"attempt.started","head":9,"n":2,"route":"relay","subj":"00ff","t":"2026-09-21T14:13:20Z","v":1}"#
        );
        let key = SaltKey::new(&[7; 32]);
        let commit = |label| key.commit("attempt/1/email/2", label, "x").unwrap();
        let proof = AttemptProof { address: commit("addr"), exchange: commit("exch_sha256"), message: commit("m") };
        let ended = attempt_ended(&scene(), &attempt, ("accepted", "250 2.0.0"), Some(&proof)).unwrap();
        let odd = attempt_ended(&scene(), &attempt, ("unknown", "<jane@example.org>"), None).unwrap();
        assert!(odd.contains(r#""code":"other""#), "{odd}");
        let committed = [("by", commit("by"))];
        let note =
            other(&scene(), "note", &[("com", Part::Commitments(&committed)), ("act", Part::Text("x"))]).unwrap();
        for leaf in [started, ended, odd, note] {
            assert!(read_object(leaf.as_bytes()).is_ok(), "{leaf}");
        }
    }

    #[test]
    fn whoever_belongs_to_no_campaign_names_none() {
        let leaf = other(&Scene::new("", 0), "key.rotated", &[("n", Part::Number(1))]).unwrap();
        assert_eq!(leaf, r#"{"ev":"key.rotated","n":1,"t":"1970-01-01T00:00:00Z","v":1}"#);
    }
}

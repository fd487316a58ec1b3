//! From what came back to an outcome. Rules decide about replies, this file about everything else.
//!
//! What failed before the request was written is `temporary`; what broke after it is `unknown`, because the provider
//! may have taken the message. Nothing of a body reaches the outcome except the places that the definition names.

use super::super::definition::rule::{Place, Reply, Rule};
use super::moment;
use super::values::Values;
use crate::model::outcome::{Class, Outcome};
use crate::model::redact::redact;
use crate::model::time::Micros;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use std::time::Duration;

/// Longest code and message id kept, in characters.
const LONGEST_WORD: usize = 128;

/// The outcome of a reply, and the number of the rule that gave it; `None` where the engine itself decided.
pub fn classify(rules: &[Rule], reply: &Reply<'_>, values: &Values<'_>) -> (Outcome, Option<usize>) {
    let matched = rules.iter().enumerate().find_map(|(index, rule)| Some((index, rule, rule.holds_at(reply)?)));
    let nobody_knows_it = matched.is_none_or(|(index, ..)| index + 1 == rules.len());
    // These say that the request was not looked at here. 302 and 303 do not: some servers answer so after the deed.
    if nobody_knows_it && [301, 307, 308].contains(&reply.status) {
        let text = "the server sends us to another address, which is not followed: correct `base_url`";
        return (Outcome::new(Class::RouteBroken, reply.status.to_string(), text), None);
    }
    let Some((index, rule, at)) = matched else {
        return (Outcome::new(Class::Unknown, reply.status.to_string(), &not_understood(reply)), None);
    };
    let read = |place: &Option<Place>| place.as_ref().and_then(|p| p.read_at(reply, at));
    let code = read(&rule.code).map_or_else(|| reply.status.to_string(), |code| word(&code, values));
    let text = match read(&rule.said) {
        Some(said) => hide(&said, values.hidden()),
        None if nobody_knows_it => not_understood(reply),
        None => String::new(),
    };
    let mut outcome = Outcome::new(rule.outcome, code, &text);
    outcome.provider_id = read(&rule.message_id).map(|id| message_id(&id, values));
    if rule.outcome != Class::Accepted {
        let said = || read(&rule.wait_from).and_then(|text| moment::wait(&text, now()));
        outcome.retry_after = retry_after(reply.headers).or_else(said).or_else(|| rule.wait.and_then(micros));
    }
    (outcome, Some(index))
}

/// An id as reports and look-ups name it: the brackets of a Message-ID are not part of it. It may look like an address
/// (`1.2@mg.example.com`), so only what is known to be the person's or a secret is taken out.
pub(super) fn message_id(text: &str, values: &Values<'_>) -> String {
    let bare = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
    short(&hide(bare, values.secret()))
}

pub(super) fn now() -> Micros {
    jiff::Timestamp::now().as_microsecond()
}

fn micros(wait: Duration) -> Option<Micros> {
    Micros::try_from(wait.as_micros()).ok()
}

pub(super) fn not_understood(reply: &Reply<'_>) -> String {
    let kind = reply.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("no content type");
    let kind = kind.split(';').next().unwrap_or_default().trim();
    format!("nobody recognises this reply: HTTP {}, {kind}, {} octets", reply.status, reply.body.len())
}

/// A provider's word, short, on one line, with nothing personal or secret in it.
pub(super) fn word(text: &str, values: &Values<'_>) -> String {
    let hidden = hide(text, values.secret());
    // A code may be a long number: redact would mask it, so only addresses are looked for.
    let shown = if hidden.contains('@') { redact(&hidden) } else { hidden };
    short(&shown)
}

fn short(word: &str) -> String {
    word.chars().filter(|c| !c.is_control()).take(LONGEST_WORD).collect()
}

/// Providers repeat what they were given: the address, the name, now and then the password.
pub(super) fn hide<'a>(text: &str, hidden: impl Iterator<Item = &'a str>) -> String {
    let long_enough = |hidden: &&str| hidden.chars().count() >= 3;
    hidden.filter(long_enough).fold(text.to_owned(), |text, hidden| text.replace(hidden, "‹hidden›"))
}

/// Seconds or an HTTP date (RFC 9110, 10.2.3), as a wait from now.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Micros> {
    moment::wait(headers.get(RETRY_AFTER)?.to_str().ok()?, now())
}

/// The outcome of an exchange that brought no reply.
pub fn without_reply(error: &reqwest::Error) -> Outcome {
    let cause = root_cause(error);
    if error.is_connect() {
        let text = format!("no connection to the provider: {cause}");
        Outcome::new(Class::Temporary, "connect", &text)
    } else if error.is_builder() {
        Outcome::new(Class::RouteBroken, "request", "the request could not be made: check the route's settings")
    } else if error.is_timeout() {
        Outcome::new(Class::Unknown, "timeout", "no whole reply in time: the provider may have taken the message")
    } else {
        let text = format!("the connection broke after the request was sent, the provider may have taken it: {cause}");
        Outcome::new(Class::Unknown, "connection-lost", &text)
    }
}

/// The innermost error: a system's or TLS's own words. The outer ones hold the address with its query.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| "no further word".to_owned(), ToString::to_string)
}

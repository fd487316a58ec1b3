//! From a refusal to an outcome class. Pure; the table of tests below is the specification.
//!
//! The enhanced code speaks first, then the basic code, and where it stood in the dialogue decides the rest. Words are
//! read only where codes are known to say too little: relay refusals, rates, full mailboxes, senders who give no
//! enhanced code. Success never comes here.

use super::reply::{Enhanced, Reply};
use crate::model::outcome::Class;

/// Where in the dialogue a reply stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Banner, EHLO.
    Greeting,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    /// The DATA command, before a word of the message.
    Data,
    /// The reply to the final dot.
    Dot,
}

impl Phase {
    /// How the step is called in what people read.
    pub(super) fn named(self) -> &'static str {
        match self {
            Phase::Greeting => "the connection",
            Phase::StartTls => "STARTTLS",
            Phase::Auth => "the login",
            Phase::Mail => "MAIL FROM",
            Phase::Rcpt => "RCPT TO",
            Phase::Data => "DATA",
            Phase::Dot => "the end of the message",
        }
    }
}

/// The class of a reply that was not the one hoped for.
pub(super) fn classify(phase: Phase, reply: &Reply) -> Class {
    match reply.code / 100 {
        4 => temporary(phase, reply),
        5 => permanent(phase, reply),
        // A positive code at a place where it makes no sense: nobody can say what the server believes.
        _ => lost(phase),
    }
}

/// The class of an attempt whose connection broke, fell silent or talked nonsense in this phase.
pub(super) fn lost(phase: Phase) -> Class {
    match phase {
        Phase::Dot => Class::Unknown,
        Phase::Greeting | Phase::StartTls | Phase::Auth | Phase::Mail | Phase::Rcpt | Phase::Data => Class::Temporary,
    }
}

fn temporary(phase: Phase, reply: &Reply) -> Class {
    if phase == Phase::Dot && reply.code == 421 {
        // The server is going down and may have queued the message before it said so.
        return Class::Unknown;
    }
    let enhanced = reply.enhanced();
    // x.2.x and x.5.3 speak of one mailbox or one envelope; slowing the whole route would be wrong.
    let about_one = enhanced.is_some_and(|e| e.subject == 2 || (e.subject, e.detail) == (5, 3));
    let flood = enhanced.is_some_and(|e| (e.subject, e.detail) == (7, 28));
    if flood || (!about_one && says(reply, TOO_FAST)) { Class::Throttled } else { Class::Temporary }
}

fn permanent(phase: Phase, reply: &Reply) -> Class {
    if matches!(phase, Phase::StartTls | Phase::Auth) || [530, 534, 535, 538].contains(&reply.code) {
        return Class::RouteBroken;
    }
    let by_enhanced = reply.enhanced().and_then(|e| by_enhanced(phase, e, reply));
    by_enhanced.unwrap_or_else(|| by_code(phase, reply))
}

/// What the enhanced code says by itself; `None` where it says nothing useful.
fn by_enhanced(phase: Phase, enhanced: Enhanced, reply: &Reply) -> Option<Class> {
    let about_sender = matches!(phase, Phase::Greeting | Phase::Mail);
    let class = match (enhanced.subject, enhanced.detail) {
        (1, 7 | 8) => Class::RouteBroken,
        (1, 1..=4 | 6 | 10) | (2, 1) | (4, 4 | 6) if about_sender => Class::RouteBroken,
        (1, 1..=4 | 6 | 10) | (2, 1) | (4, 4 | 6) => Class::BadAddress,
        (2, 2) if about_sender => Class::RouteBroken,
        (2, 2) | (3, 1 | 2) | (4, 1 | 2 | 3 | 5) => Class::Temporary,
        (2, 3) | (3, 4) => Class::ContentRefused,
        (5, 0..=6) => Class::RouteBroken,
        (6, 7) => Class::BadAddress,
        (6, _) => Class::ContentRefused,
        (7, 28) => Class::Throttled,
        (7, 8..=14 | 20..=27 | 29 | 30) => Class::RouteBroken,
        (7, _) => policy(phase, reply),
        _ => return None,
    };
    Some(class)
}

fn by_code(phase: Phase, reply: &Reply) -> Class {
    match (phase, reply.code) {
        (Phase::Greeting | Phase::StartTls | Phase::Auth, _) => Class::RouteBroken,
        (Phase::Mail, 552) => too_much(reply, Class::ContentRefused),
        (Phase::Mail, _) => by_words(phase, reply).unwrap_or(Class::RouteBroken),
        (_, 500..=504 | 555) => Class::RouteBroken,
        (Phase::Rcpt | Phase::Data, 521 | 556) => Class::BadAddress,
        (Phase::Rcpt, 552) => too_much(reply, Class::Temporary),
        (Phase::Rcpt, 550 | 551 | 553) => by_words(phase, reply).unwrap_or(Class::BadAddress),
        (Phase::Data | Phase::Dot, 552) => too_much(reply, Class::ContentRefused),
        (Phase::Rcpt | Phase::Data | Phase::Dot, _) => policy(phase, reply),
    }
}

/// 552 means a full mailbox to some and a large message to others.
fn too_much(reply: &Reply, otherwise: Class) -> Class {
    if says(reply, FULL) {
        Class::Temporary
    } else if says(reply, TOO_LARGE) {
        Class::ContentRefused
    } else {
        otherwise
    }
}

/// A refusal by policy: never proof that an address does not exist.
fn policy(phase: Phase, reply: &Reply) -> Class {
    if matches!(phase, Phase::Greeting | Phase::Mail) {
        return if says(reply, TOO_FAST) { Class::Throttled } else { Class::RouteBroken };
    }
    by_words(phase, reply).unwrap_or(Class::ContentRefused)
}

fn by_words(phase: Phase, reply: &Reply) -> Option<Class> {
    if says(reply, TOO_FAST) {
        Some(Class::Throttled)
    } else if says(reply, BY_THE_PERSON) {
        Some(Class::RefusedByPerson)
    } else if says(reply, NOT_OUR_RELAY) {
        Some(Class::RouteBroken)
    } else if says(reply, SPAM) && phase != Phase::Mail {
        Some(Class::ContentRefused)
    } else {
        None
    }
}

const TOO_FAST: &[&str] = &[
    "too many connections",
    "too many messages",
    "too many concurrent",
    "too many emails",
    "too many mails",
    "too many requests",
    "too fast",
    "too quickly",
    "rate limit",
    "rate-limit",
    "ratelimit",
    "sending rate",
    "rate exceeded",
    "exceeded the rate",
    "message rate",
    "throttl",
    "frequency limited",
    "mail flood",
    "slow down",
];

const NOT_OUR_RELAY: &[&str] = &[
    "relay",
    "not verified",
    "authentication required",
    "authentication is required",
    "not authenticated",
    "unauthenticated",
    "must authenticate",
    "spf check",
    "spf fail",
    "dkim",
    "dmarc",
    "reverse dns",
    "ptr record",
    "sender address rejected",
    "sender rejected",
    "sender denied",
];

const BY_THE_PERSON: &[&str] = &[
    "blocked by recipient",
    "blocked by the recipient",
    "blocked by user",
    "blocked by the user",
    "recipient has blocked",
    "user has blocked",
    "refused by recipient",
    "refused by the recipient",
    "rejected by recipient",
    "rejected by the recipient",
    "recipient has unsubscribed",
    "recipient has opted out",
];

const SPAM: &[&str] = &[
    "spam",
    "blacklist",
    "blocklist",
    "block list",
    "black list",
    "content denied",
    "content rejected",
    "reputation",
    "by policy",
    "virus",
    "phish",
];

const FULL: &[&str] = &["full", "quota", "storage", "over limit"];

const TOO_LARGE: &[&str] = &["size", "large", "big"];

fn says(reply: &Reply, phrases: &[&str]) -> bool {
    let text = reply.text.to_ascii_lowercase();
    phrases.iter().any(|phrase| text.contains(phrase))
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;

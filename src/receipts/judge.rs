//! The verdict on one recipient: from action, codes and words to kind, class and event.

use super::codes::{self, Phase, Status};
use super::mime::Parts;
use super::rules::{self, Known, RULES};
use super::{Finding, Kind};
use crate::model::outcome::Class;
use crate::model::personal::Personal;
use crate::model::receipt::Event;
use crate::model::redact::redact;

/// What the report says to everybody it is about: asked where the lines about one recipient say nothing.
#[derive(Default)]
pub(super) struct Evidence {
    words: String,
    phase: Option<Phase>,
    known: Known,
    /// The report is only a warning: the server goes on trying.
    pub(super) warning: bool,
}

/// What a report says of one recipient.
#[derive(Default)]
pub(super) struct Said<'r> {
    pub(super) address: Option<String>,
    pub(super) original: Option<String>,
    pub(super) action: &'r str,
    pub(super) status: &'r str,
    pub(super) diagnostic: &'r str,
    /// The lines for people about this recipient.
    pub(super) lines: &'r str,
}

/// What is read of a text for people.
const LONGEST: usize = 32 << 10;

impl Evidence {
    pub(super) fn of(report: &str, parts: &Parts) -> Evidence {
        let report = cut(report, LONGEST);
        let subject = parts.top.first("subject").unwrap_or_default();
        let lower = report.to_lowercase();
        let words = rules::plain(&format!("{report}\n{subject}"));
        let phase = codes::phase_in(&lower);
        let known = Known { status: codes::status_in(report), reply: codes::reply_in(report), phase };
        let heading = format!("{} {}", subject.to_lowercase(), cut(&words, 2_000));
        let warning = WARNINGS.iter().any(|warning| heading.contains(warning));
        Evidence { words, phase, known, warning }
    }
}

/// How servers say that they go on trying.
const WARNINGS: &[&str] = &[
    "this is a warning message only",
    "this is a warning only",
    "do not need to resend",
    "do not need to re-send",
    "will be retried for",
    "notification (delay)",
    "only a temporary failure report",
    "no need to resend",
    "still being retried",
    "only a notification about a delay",
    "warning: could not send",
    "will keep trying",
    "will continue trying",
    "will continue to try",
    "has not yet been delivered",
    "delivery is delayed",
    "delivery attempts will continue",
];

fn cut(text: &str, longest: usize) -> &str {
    match text.char_indices().find(|(at, _)| *at >= longest) {
        Some((at, _)) => &text[..at],
        None => text,
    }
}

/// The verdict.
pub(super) fn verdict(said: Said<'_>, evidence: &Evidence) -> Finding {
    let diagnostic = cut(said.diagnostic, 4 << 10);
    let lines = cut(said.lines, 4 << 10);
    let known = known(&said, diagnostic, lines, evidence);
    let name = match said.action {
        "delivered" | "deliverable" | "relayed" | "expanded" => "delivered",
        _ => reason(diagnostic, lines, known, evidence),
    };
    let ongoing = said.action == "delayed" || (said.action.is_empty() && evidence.warning);
    let event = match said.action {
        "delivered" => Some(Event::Delivered),
        // The next server tells nothing more; a list has taken it.
        "relayed" | "expanded" | "deliverable" => Some(Event::Progress),
        _ => ongoing.then_some(Event::Progress),
    };
    let own = if diagnostic.trim().is_empty() { lines } else { diagnostic };
    let mut finding = of_reason(name, event);
    // A refusal for now is none for good, whatever the words.
    let passing = ongoing || known.status.is_some_and(|status| status.class == 4);
    if finding.kind == Kind::Hard && passing {
        finding.kind = Kind::Soft;
        finding.class = Class::Temporary;
        finding.event = event.unwrap_or(Event::Failed(Class::Temporary));
    }
    finding.address = said.address.map(Personal::new);
    finding.original = said.original.map(Personal::new);
    finding.status = known.status.map(|status| status.to_string()).unwrap_or_default();
    finding.code = known.reply.map(|code| code.to_string()).unwrap_or_default();
    finding.text = redact(own);
    finding
}

/// A finding with what its reason brings; `event` where it is not the failure of its class.
pub(super) fn of_reason(name: &str, event: Option<Event>) -> Finding {
    let reason = RULES.reason(name).or_else(|| RULES.reason("undefined"));
    let (kind, class) = reason.map_or((Kind::Soft, Class::Unknown), |reason| (reason.kind, reason.class));
    Finding {
        address: None,
        original: None,
        kind,
        class,
        event: event.unwrap_or(Event::Failed(class)),
        reason: name.to_owned(),
        status: String::new(),
        code: String::new(),
        text: String::new(),
    }
}

/// The best codes: of the server's own words before those of the notification, the exact before the vague.
fn known(said: &Said<'_>, diagnostic: &str, lines: &str, evidence: &Evidence) -> Known {
    let declared = Status::leading(said.status);
    let spoken = codes::status_in(diagnostic).or_else(|| codes::status_in(lines));
    let telling = |status: &Option<Status>| status.is_some_and(|status| !status.is_vague());
    let status = [spoken, declared].into_iter().find(telling).flatten();
    let alone = said.status.is_empty() && diagnostic.is_empty() && lines.is_empty();
    let status = status.or(declared).or(spoken).or(evidence.known.status.filter(|_| alone));
    let reply = codes::reply_in(diagnostic).or_else(|| codes::reply_in(lines));
    let phase = codes::phase_in(&lines.to_lowercase()).or_else(|| codes::phase_in(&diagnostic.to_lowercase()));
    Known { status, reply: reply.or(evidence.known.reply.filter(|_| alone)), phase: phase.or(evidence.phase) }
}

/// The reason: by the words about this recipient, by its code, by the words to everybody, by what is left.
fn reason<'r>(diagnostic: &str, lines: &str, known: Known, evidence: &Evidence) -> &'r str {
    let by_words = |text: &str| {
        if text.trim().is_empty() { None } else { RULES.by_words(&rules::plain(text), known) }
    };
    let weakly = |text: &str| RULES.by_weak_words(&rules::plain(text), known);
    by_words(diagnostic)
        .or_else(|| known.status.filter(|status| is_exact(*status)).and_then(|status| RULES.by_status(status)))
        .or_else(|| lines.lines().next().and_then(by_words))
        .or_else(|| by_words(lines))
        .or_else(|| RULES.by_words(&evidence.words, known))
        .or_else(|| known.status.and_then(|status| RULES.by_status(status)))
        .or_else(|| weakly(diagnostic))
        .or_else(|| weakly(lines))
        .or_else(|| known.reply.and_then(|code| RULES.by_reply(code)))
        .unwrap_or("undefined")
}

/// Codes that are given for one thing only; the others are asked after the words.
fn is_exact(status: Status) -> bool {
    matches!((status.subject, status.detail), (1, 1 | 2 | 6 | 10) | (2, 2) | (4, 7) | (3, 4))
}

//! Findings from the parts of a report: notifications for machines, complaints, receipts, and words for people.

use super::address;
use super::arf;
use super::dsn::Notification;
use super::fields::Fields;
use super::free_form::{self, Mention};
use super::judge::{self, Evidence, Said};
use super::mime::Parts;
use super::{Finding, Kind};
use crate::model::personal::Personal;
use crate::model::receipt::Event;
use std::collections::HashMap;

/// A delivery status notification: what it says, with the lines for people where it says too little.
pub(super) fn deliveries(dsn: &Notification, parts: &Parts, report: &str, evidence: &Evidence) -> Vec<Finding> {
    let mentions = mentions(report, parts);
    let by_address: HashMap<String, &str> =
        mentions.iter().map(|m| (m.address.to_lowercase(), m.text.as_str())).collect();
    let lines_of =
        |address: Option<&String>| address.and_then(|a| by_address.get(&a.to_lowercase())).copied().unwrap_or_default();
    let mut failed = failed_recipients(&parts.top).into_iter();
    let alone = dsn.recipients.len() == 1;
    dsn.recipients
        .iter()
        .map(|one| {
            let address = one.last.clone().or_else(|| one.original.clone()).or_else(|| failed.next());
            let address = address.or_else(|| sole(&mentions).filter(|_| alone));
            let lines = lines_of(address.as_ref().or(one.original.as_ref()));
            let said = Said {
                address,
                original: one.original.clone(),
                action: &one.action,
                status: &one.status,
                diagnostic: &one.diagnostic,
                lines: if lines.is_empty() && alone { sole_text(&mentions) } else { lines },
            };
            judge::verdict(said, evidence)
        })
        .collect()
}

fn sole(mentions: &[Mention]) -> Option<String> {
    mentions.first().filter(|_| mentions.len() == 1).map(|mention| mention.address.clone())
}

fn sole_text(mentions: &[Mention]) -> &str {
    mentions.first().filter(|_| mentions.len() == 1).map_or("", |mention| mention.text.as_str())
}

/// `X-Failed-Recipients` and its like.
fn failed_recipients(top: &Fields) -> Vec<String> {
    let named = top.all("x-failed-recipients").chain(top.all("x-mailer-daemon-recipients"));
    let mut found: Vec<String> = Vec::new();
    for address in named.flat_map(address::find_all) {
        if !found.iter().any(|known| address::same(known, &address.address)) && found.len() < 1_000 {
            found.push(address.address);
        }
    }
    found
}

/// Whom the text is about: neither whom it was sent to nor who sent the message.
fn mentions(report: &str, parts: &Parts) -> Vec<Mention> {
    let failed = failed_recipients(&parts.top);
    let original = Fields::parse(&parts.original);
    let mut own: Vec<String> = Vec::new();
    for value in ["to", "delivered-to", "x-original-to", "from"].into_iter().flat_map(|name| parts.top.all(name)) {
        own.extend(address::find_all(value).into_iter().take(20).map(|found| found.address));
    }
    for value in ["from", "return-path", "sender", "reply-to"].into_iter().flat_map(|name| original.all(name)) {
        own.extend(address::find_all(value).into_iter().take(20).map(|found| found.address));
    }
    own.retain(|address| !failed.iter().any(|failed| address::same(failed, address)));
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    free_form::mentions(report, &own)
}

/// A report in words alone.
pub(super) fn in_words(parts: &Parts, report: &str, evidence: &Evidence) -> Vec<Finding> {
    let failed = failed_recipients(&parts.top);
    let mut mentions = mentions(report, parts);
    let known: Vec<&Mention> =
        mentions.iter().filter(|m| failed.iter().any(|address| address::same(address, &m.address))).collect();
    if !known.is_empty() {
        mentions = known.into_iter().cloned().collect();
    }
    if mentions.is_empty() {
        let named = if failed.is_empty() { addressees(&parts.original) } else { failed };
        mentions = named.into_iter().map(|address| Mention { address, text: String::new() }).collect();
    }
    if mentions.is_empty() {
        // Nobody else is named: somebody wrote to himself.
        mentions = free_form::mentions(report, &[]);
    }
    if mentions.is_empty() {
        return vec![judge::verdict(Said::default(), evidence)];
    }
    mentions
        .into_iter()
        .map(|mention| {
            let said = Said { address: Some(mention.address), lines: &mention.text, ..Said::default() };
            judge::verdict(said, evidence)
        })
        .collect()
}

/// To whom the enclosed message was written.
fn addressees(original: &str) -> Vec<String> {
    let fields = Fields::parse(original);
    let first =
        |name: &str| fields.all(name).flat_map(address::find_all).take(50).map(|f| f.address).collect::<Vec<_>>();
    let to = first("to");
    if to.is_empty() { first("x-envelope-to") } else { to }
}

/// A complaint.
pub(super) fn complaints(parts: &Parts) -> Vec<Finding> {
    let feedback = arf::read(&parts.feedback);
    let event = match feedback.kind.as_str() {
        // Whoever says that it is none, has it; and a failed signature is no wish of the person.
        "not-spam" => Event::Delivered,
        "auth-failure" | "dmarc" => Event::Progress,
        _ => Event::Complained,
    };
    let mut named = feedback.recipients;
    if named.is_empty() {
        named = addressees(&parts.original);
    }
    let one = |address: Option<String>| {
        let mut finding = judge::of_reason("feedback", Some(event));
        if event == Event::Delivered {
            finding.kind = Kind::Delivered;
        }
        finding.address = address.map(Personal::new);
        finding.text = crate::model::redact::redact(&format!("feedback: {}", feedback.kind));
        finding
    };
    if named.is_empty() { vec![one(None)] } else { named.into_iter().map(|address| one(Some(address))).collect() }
}

/// A receipt of a reader's program (RFC 8098): it was shown, or thrown away unread; in both cases it had arrived.
pub(super) fn read_receipt(parts: &Parts) -> Vec<Finding> {
    let fields = Fields::parse(&parts.disposition);
    let named = fields.first("final-recipient").or_else(|| fields.first("original-recipient"));
    let mut finding = judge::of_reason("delivered", Some(Event::Delivered));
    finding.original = fields.first("original-recipient").and_then(address::of_field).map(Personal::new);
    finding.address = named.and_then(address::of_field).map(Personal::new);
    finding.text = crate::model::redact::redact(fields.first("disposition").unwrap_or_default());
    vec![finding]
}

/// What a machine, or a person through one, says in the name of its sender.
pub(super) fn about_sender(parts: &Parts, reason: &str, event: Event) -> Vec<Finding> {
    let mut finding = judge::of_reason(reason, Some(event));
    let from = parts.top.first("from").or_else(|| parts.top.first("sender"));
    finding.address = from.and_then(address::first).map(Personal::new);
    finding.text = crate::model::redact::redact(parts.top.first("subject").unwrap_or_default());
    vec![finding]
}

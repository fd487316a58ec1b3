//! Step: a report that came by email, to what it says of whom.
//!
//! Pure: octets in, [`Report`] out. Whatever a stranger sends is read in bounded time and memory and never panics. Our
//! token names the notice; where there is none, the addresses are all there is. An automatic answer never makes an
//! address dead: in whose manner a message is written is judged before its words are.
//!
//! Words and codes are told apart by two files, `rules.toml` (phrases to reasons) and `reasons.toml` (reasons to
//! classes), not by code for one server or another.

mod address;
mod arf;
mod codes;
mod dsn;
mod fields;
mod free_form;
mod json_notice;
mod judge;
mod manner;
mod mime;
mod notification;
mod rules;
mod to_receipts;
mod tokens;

pub use rules::{Kind, Reason};
pub use to_receipts::receipts;
pub use tokens::LENGTH as TOKEN_LENGTH;

use crate::model::outcome::Class;
use crate::model::personal::Personal;
use crate::model::receipt::Event;
use crate::model::time::Micros;
use judge::Evidence;
use manner::Manner;
use mime::Parts;

/// What a message says.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub kind: Kind,
    pub recipients: Vec<Finding>,
    /// What may be our tokens, the most trustworthy first; only the keeper of the key can tell.
    pub tokens: Vec<String>,
    /// When the report was written, as far as it says.
    pub at: Option<Micros>,
    /// The id of the message that reported, the same when it comes again.
    pub message_id: Option<String>,
}

/// What a message says of one recipient.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Where the message went at last.
    pub address: Option<Personal>,
    /// Where we sent it, if the report tells both.
    pub original: Option<Personal>,
    pub kind: Kind,
    pub class: Class,
    pub event: Event,
    /// The word for the reason, one of `reasons.toml`.
    pub reason: String,
    /// The enhanced status code, empty where there is none.
    pub status: String,
    /// The reply code of the server, empty where there is none.
    pub code: String,
    /// What the server said, through [`crate::model::redact::redact`].
    pub text: String,
}

/// Reads one message.
pub fn read(raw: &[u8]) -> Report {
    let mut parts = mime::parts(raw);
    let notification = notification(&mut parts);
    let (report, below) = {
        let (report, below) = free_form::divide(&parts.human);
        (report.to_owned(), below.to_owned())
    };
    if parts.original.is_empty() {
        parts.original = mime_head(&below);
    }
    let recipients = findings(&parts, &report, notification.as_ref());
    let kind = overall(&recipients);
    let originals: Vec<String> =
        notification.iter().flat_map(|n| n.recipients.iter().take(100).filter_map(|r| r.original.clone())).collect();
    let feedback = (!parts.feedback.is_empty()).then(|| arf::read(&parts.feedback));
    let envelope_id = notification.as_ref().and_then(|n| n.envelope_id.clone());
    let envelope_id = envelope_id.or_else(|| feedback.and_then(|f| f.envelope_id));
    Report {
        kind,
        tokens: tokens::candidates(&parts.top, envelope_id.as_deref(), &originals, &parts.original, &parts.human),
        at: parts.top.first("date").and_then(moment),
        message_id: parts.top.first("message-id").map(|id| id.trim_matches(['<', '>', ' ']).to_owned()),
        recipients,
    }
}

/// The header of the message below a divider, empty lines in front left out.
fn mime_head(below: &str) -> String {
    let below = below.trim_start_matches(['\r', '\n', ' ', '-', '=']);
    String::from_utf8_lossy(mime::split_head(below.as_bytes()).0).into_owned()
}

/// The notification for machines; of old servers also where it stands in the text.
fn notification(parts: &mut Parts) -> Option<dsn::Notification> {
    if !parts.status.trim().is_empty() {
        return Some(dsn::read(&parts.status));
    }
    if dsn::looks_like_one(&parts.human) {
        return Some(dsn::read(&parts.human)).filter(|read| !read.recipients.is_empty());
    }
    None
}

fn findings(parts: &Parts, report: &str, dsn: Option<&dsn::Notification>) -> Vec<Finding> {
    if !parts.feedback.trim().is_empty() {
        return notification::complaints(parts);
    }
    if !parts.disposition.trim().is_empty() {
        return notification::read_receipt(parts);
    }
    // Its lines in the text alone prove nothing: an automatic answer may quote them.
    let machine = !parts.status.trim().is_empty() || parts.report_type == "delivery-status";
    if let Some(found) = json_notice::findings(&parts.human) {
        return found;
    }
    let evidence = Evidence::of(report, parts);
    match manner::manner(&parts.top, machine, report) {
        Manner::Server if dsn.is_some_and(|dsn| !dsn.recipients.is_empty()) => {
            dsn.map(|dsn| notification::deliveries(dsn, parts, report, &evidence)).unwrap_or_default()
        }
        Manner::Server => notification::in_words(parts, report, &evidence),
        Manner::AutoReply => notification::about_sender(parts, "vacation", Event::Progress),
        Manner::OptOut => notification::about_sender(parts, "feedback", Event::Complained),
        Manner::Other => Vec::new(),
    }
}

/// The kind of the whole: that of its gravest part.
fn overall(recipients: &[Finding]) -> Kind {
    let order = [Kind::Hard, Kind::Complaint, Kind::Soft, Kind::Delivered, Kind::AutoReply];
    order.into_iter().find(|kind| recipients.iter().any(|one| one.kind == *kind)).unwrap_or(Kind::NotAReport)
}

/// A date of RFC 5322 as an instant.
fn moment(text: &str) -> Option<Micros> {
    let block = format!("Date: {text}\r\n\r\n");
    let parsed = mail_parser::MessageParser::default().parse_headers(block.as_bytes())?;
    let date = parsed.date().filter(|date| date.is_valid())?;
    date.to_timestamp().checked_mul(crate::model::time::SECOND)
}

#[cfg(test)]
mod tests;

//! Complaints (RFC 5965): a recipient called the message spam, or opted out of more.

use super::address;
use super::fields::Fields;

/// What a feedback report tells.
pub(super) struct Feedback {
    /// `abuse`, `fraud`, `virus`, `opt-out`, `not-spam`, `auth-failure`…
    pub(super) kind: String,
    pub(super) recipients: Vec<String>,
    pub(super) envelope_id: Option<String>,
}

const MOST: usize = 10_000;

/// Reads the machine's part of a report.
pub(super) fn read(text: &str) -> Feedback {
    let fields = Fields::parse(text);
    let mut recipients: Vec<String> = Vec::new();
    for name in ["original-rcpt-to", "removal-recipient", "original-recipient", "final-recipient"] {
        if !recipients.is_empty() {
            break;
        }
        recipients = fields.all(name).filter_map(address::of_field).take(MOST).collect();
    }
    let kind = fields.first("feedback-type").or_else(|| fields.first("abuse-type")).unwrap_or("other");
    Feedback {
        kind: kind.trim().to_ascii_lowercase(),
        recipients,
        envelope_id: fields.first("original-envelope-id").map(address::xtext),
    }
}

//! Delivery status notifications (RFC 3464, RFC 6533), also those that servers wrote beside the rules.

use super::address;
use super::fields::Fields;

/// One recipient as a notification tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Recipient {
    /// Where the message was going at last.
    pub(super) last: Option<String>,
    /// Where it was sent at first.
    pub(super) original: Option<String>,
    pub(super) action: String,
    pub(super) status: String,
    pub(super) diagnostic: String,
    pub(super) when: String,
}

/// A notification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notification {
    pub(super) envelope_id: Option<String>,
    pub(super) arrived: String,
    pub(super) recipients: Vec<Recipient>,
}

/// What a report is read for at most.
pub(super) const MOST_RECIPIENTS: usize = 20_000;

const NAMES: [&str; 9] = [
    "final-recipient",
    "original-recipient",
    "x-actual-recipient",
    "action",
    "status",
    "diagnostic-code",
    "last-attempt-date",
    "will-retry-until",
    "remote-mta",
];

/// Whether a text has the lines of a notification in it.
pub(super) fn looks_like_one(text: &str) -> bool {
    let mut seen = [false; 2];
    for line in text.lines() {
        let line = line.trim_start().to_ascii_lowercase();
        seen[0] |= line.starts_with("final-recipient:") || line.starts_with("original-recipient:");
        seen[1] |= line.starts_with("action:") || line.starts_with("status:");
    }
    seen == [true; 2]
}

/// Reads the blocks of a notification: about the message first, then one a recipient, between empty lines.
pub(super) fn read(text: &str) -> Notification {
    let mut found = Notification::default();
    let mut block = String::new();
    for line in text.lines().chain([""]) {
        if !line.trim().is_empty() {
            block.push_str(line);
            block.push('\n');
            continue;
        }
        if !block.is_empty() {
            take_block(&block, &mut found);
            block.clear();
        }
        if found.recipients.len() >= MOST_RECIPIENTS {
            break;
        }
    }
    found
}

fn take_block(block: &str, found: &mut Notification) {
    let fields = Fields::parse(block);
    if let Some(id) = fields.first("original-envelope-id") {
        found.envelope_id.get_or_insert_with(|| address::xtext(id));
    }
    if let Some(when) = fields.first("arrival-date") {
        when.clone_into(&mut found.arrived);
    }
    let mut one = Recipient::default();
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in fields.iter() {
        let Some(name) = NAMES.into_iter().find(|known| *known == name) else { continue };
        // A field that comes again belongs to the next recipient: somebody forgot the empty line.
        if seen.contains(&name) && matches!(name, "final-recipient" | "original-recipient" | "action") {
            push(std::mem::take(&mut one), &seen, found);
            seen.clear();
        }
        seen.push(name);
        set(&mut one, name, value);
    }
    push(one, &seen, found);
}

fn push(one: Recipient, seen: &[&str], found: &mut Notification) {
    let about_somebody = seen.iter().any(|name| name.ends_with("-recipient"));
    if about_somebody {
        found.recipients.push(one);
        return;
    }
    // An empty line too many: what stands alone belongs to the recipient before.
    if let Some(last) = found.recipients.last_mut() {
        fill(&mut last.action, one.action);
        fill(&mut last.status, one.status);
        fill(&mut last.diagnostic, one.diagnostic);
        fill(&mut last.when, one.when);
    }
}

fn fill(old: &mut String, new: String) {
    if old.is_empty() {
        *old = new;
    }
}

fn set(one: &mut Recipient, name: &str, value: &str) {
    match name {
        "final-recipient" => one.last = address::of_field(value),
        "original-recipient" => one.original = address::of_field(value),
        "action" => one.action = value.trim().to_ascii_lowercase(),
        "status" => value.trim().clone_into(&mut one.status),
        "diagnostic-code" => value.trim().clone_into(&mut one.diagnostic),
        "last-attempt-date" => value.trim().clone_into(&mut one.when),
        _ => {}
    }
}

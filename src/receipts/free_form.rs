//! Reports that were written for people: whom a text is about, and what it says of each.

use super::address::{self, Found};

/// A recipient and the lines about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mention {
    pub(super) address: String,
    pub(super) text: String,
}

const MOST: usize = 20_000;
/// What is kept of the lines about one recipient.
const LONGEST_TEXT: usize = 4 << 10;

/// Lines that say: from here on it is the message itself.
const DIVIDERS: &[&str] = &[
    "below this line is a copy",
    "this is a copy of",
    "copy of the message",
    "copy of the original message",
    "copy of your message",
    "is a copy of the header",
    "original message follows",
    "original message",
    "message headers follow",
    "returned message",
    "unsent message follows",
    "unsent message below",
    "copy of the message header",
    "enclosed is a copy",
    "included is a copy",
    "original mail as follows",
    "header of the original message",
    "begin message",
    "message header follows",
    "start of returned message",
    "message text follows",
    "return message",
    "the headers of the message",
    "headers of your message",
];

/// Those that stand alone in their line, but for signs and a word.
const SHORT: &[&str] =
    &["original message", "returned message", "return message", "begin message", "copy of the message"];

/// The report, and the message below it as far as its text goes.
pub(super) fn divide(human: &str) -> (&str, &str) {
    let mut at = 0;
    let mut lines = 0;
    for line in human.split_inclusive('\n') {
        if lines > 0 && divides(line.trim()) {
            let header = line.trim_start().to_ascii_lowercase();
            let below = if is_header(&header) { &human[at..] } else { &human[at + line.len()..] };
            return (&human[..at], below);
        }
        lines += u32::from(!line.trim().is_empty());
        at += line.len();
    }
    (human, "")
}

fn divides(line: &str) -> bool {
    if line.len() > 120 || line.is_empty() {
        return false;
    }
    let lower = line.to_ascii_lowercase();
    if is_header(&lower) {
        return true;
    }
    let bare = lower.trim_matches(|c: char| !c.is_alphanumeric());
    // A sentence that only speaks of the message is no divider: `…your own text from the attached returned message.`
    let heading = |words: &&str| if SHORT.contains(words) { words.len() + 12 } else { words.len() + 44 };
    !lower.starts_with("the original message was received")
        && DIVIDERS.iter().any(|words| bare.len() <= heading(words) && bare.contains(words))
}

fn is_header(lower: &str) -> bool {
    ["received:", "return-path:", "dkim-signature:", "arc-seal:"].iter().any(|name| lower.starts_with(name))
}

/// How sure a line makes that its address is the one that failed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Anywhere,
    Named,
    Front,
}

/// Whom the report is about. `own` are addresses that the report was sent to or that sent the message.
pub(super) fn mentions(report: &str, own: &[&str]) -> Vec<Mention> {
    let lines: Vec<&str> = report.lines().take(50_000).collect();
    let mut seen: Vec<(usize, Rank, String)> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        seen.extend(of_line(line).into_iter().map(|(rank, address)| (number, rank, address)));
        if seen.len() >= MOST {
            break;
        }
    }
    seen.retain(|(_, _, address)| !address::is_machine_sender(address));
    seen.retain(|(_, _, address)| !own.iter().any(|own| address::same(own, address)));
    let Some(best) = seen.iter().map(|(_, rank, _)| *rank).max() else { return Vec::new() };
    seen.retain(|(_, rank, _)| *rank == best);
    gather(&lines, &seen)
}

/// The lines about each: its own, and those that follow up to the next address.
fn gather(lines: &[&str], seen: &[(usize, Rank, String)]) -> Vec<Mention> {
    let mut found: Vec<Mention> = Vec::new();
    let mut places: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    let ends = ends(lines.len(), seen);
    for ((number, _, address), end) in seen.iter().zip(ends) {
        let place = *places.entry(address.to_lowercase()).or_insert_with(|| {
            found.push(Mention { address: address.clone(), text: String::new() });
            found.len() - 1
        });
        let Some(mention) = found.get_mut(place) else { continue };
        for line in lines.get(*number..end).unwrap_or_default() {
            if mention.text.len() + line.len() > LONGEST_TEXT {
                break;
            }
            mention.text.push_str(line.trim());
            mention.text.push('\n');
        }
    }
    found
}

/// For each, the next line that has an address.
fn ends(count: usize, seen: &[(usize, Rank, String)]) -> Vec<usize> {
    let mut ends = vec![count; seen.len()];
    for at in (0..seen.len().saturating_sub(1)).rev() {
        let next = seen[at + 1].0;
        ends[at] = if next > seen[at].0 { next } else { ends[at + 1] };
    }
    ends
}

const LABELS: &[&str] = &[
    "recipient:",
    "recipient address:",
    "rcpt to:",
    "delivered to:",
    "deliver message to:",
    "delivering your mail to",
    "deliver mail to",
    "undeliverable to",
    "delivery to",
    "deliver to",
    "delivery userid:",
    "attempts:",
    "failed recipient",
    "wasn't delivered to",
    "not delivered to",
    "delivered to",
    "delivering your message to",
    "following recipient",
    "could not deliver",
    "recipient address",
    "destinataire",
    "mailing list <",
    "message-id in <",
    "following address",
    "address",
    "to:",
    "user",
];

fn of_line(line: &str) -> Vec<(Rank, String)> {
    let lower = line.to_ascii_lowercase();
    if ["mail from", "from:", "message-id:", "sender:", "reply-to:", "help?", "<mailto:"]
        .iter()
        .any(|w| lower.contains(w))
        || lower.contains("please send mail to")
        || lower.contains("assistance")
    {
        let rcpt = lower.find("rcpt").map(|at| &line[at..]);
        return rcpt
            .and_then(|rest| address::find_all(rest).into_iter().last())
            .map(|f| (Rank::Front, f.address))
            .into_iter()
            .collect();
    }
    let found = address::find_all(line);
    let Some(first) = found.first() else { return Vec::new() };
    let before = before(line, first);
    if is_front(before) {
        // `kijitora@a <neko@b>`: what stands in brackets is where it goes.
        let bracketed = found
            .iter()
            .skip(1)
            .find(|f| line[..f.from].ends_with('<') && line[first.to..f.from].trim_matches([' ', '<', '"']).is_empty());
        return vec![(Rank::Front, bracketed.unwrap_or(first).address.clone())];
    }
    let label = before.to_ascii_lowercase();
    let label = label.trim_end().trim_end_matches(['<', '"', '\'', '(']).trim_end();
    let strong = LABELS.iter().take(24).any(|known| label.ends_with(known.trim_end_matches('<').trim_end()));
    let named = LABELS.iter().any(|known| label.contains(known));
    let rank = if strong {
        Rank::Front
    } else if named {
        Rank::Named
    } else {
        Rank::Anywhere
    };
    found.into_iter().map(|f| (rank, f.address)).collect()
}

fn before<'l>(line: &'l str, first: &Found) -> &'l str {
    &line[..first.from]
}

/// Whether nothing but signs, quotation marks and codes stands before the address.
fn is_front(before: &str) -> bool {
    before.split_whitespace().all(|word| {
        word.chars().all(|c| !c.is_alphanumeric())
            || (word.trim_matches(|c: char| !c.is_alphanumeric()).len() <= 5
                && word
                    .trim_matches(|c: char| !c.is_alphanumeric())
                    .chars()
                    .all(|c| c.is_ascii_digit() || c == '.' || c == '-'))
    })
}

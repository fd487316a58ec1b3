//! Our token in a report: in the address that the report came to, in what the server repeats, in the message itself.
//!
//! Found by its form alone, 36 hexadecimal digits that stand by themselves; so addresses that were rewritten on their
//! way (SRS, BATV, a tag of a forwarder) are understood without knowing how. Whether a token is ours is for the keeper
//! of the key to say.

use super::fields::{Fields, field};

/// Digits of a token.
pub const LENGTH: usize = 36;
const MOST: usize = 64;

/// Tokens by how much they can be trusted: where the report was sent to, what the server repeats of the envelope, the
/// message that is enclosed, the text.
pub(super) fn candidates(
    top: &Fields,
    envelope_id: Option<&str>,
    originals: &[String],
    enclosed: &str,
    text: &str,
) -> Vec<String> {
    let mut found = Vec::new();
    for name in [
        "delivered-to",
        "x-original-to",
        "envelope-to",
        "x-envelope-to",
        "x-delivered-to",
        "original-recipient",
        "to",
        "cc",
        "return-path",
    ] {
        for value in top.all(name) {
            collect(value, &mut found);
        }
    }
    // Who answers us says which message.
    for name in ["in-reply-to", "references"] {
        for value in top.all(name) {
            collect(value, &mut found);
        }
    }
    collect(envelope_id.unwrap_or_default(), &mut found);
    for original in originals.iter().take(MOST) {
        collect(original, &mut found);
    }
    let header = enclosed.lines().filter(|line| {
        line.starts_with([' ', '\t'])
            || field(line).is_some_and(|(name, _)| {
                let name = name.to_ascii_lowercase();
                ["message-id", "return-path", "x-forewarn-notice", "references"].contains(&name.as_str())
            })
    });
    for line in header {
        collect(line, &mut found);
    }
    for line in text.lines().take(20_000) {
        collect(line, &mut found);
    }
    found
}

fn collect(text: &str, found: &mut Vec<String>) {
    for run in text.split(|c: char| !c.is_ascii_hexdigit()) {
        if run.len() == LENGTH && found.len() < MOST {
            let token = run.to_ascii_lowercase();
            if !found.contains(&token) {
                found.push(token);
            }
        }
    }
}

//! From what a list or a person wrote to an e-mail address that can be used: RFC 5321/5322 with an IDN domain as A-labels.
//!
//! The rules are those of a careful sender, not of the whole grammar: no quoted local part, no comments, no address
//! literal, a domain with a dot and a name that can be looked up. Whether the mailbox exists is deliberately not asked.

use super::contact::AddressProblem;
use super::personal::Personal;
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;

/// RFC 5321 4.5.3.1: the longest local part, and the longest address that fits between the angle brackets of a path.
const LONGEST_LOCAL: usize = 64;
const LONGEST_ADDRESS: usize = 254;

/// Top-level names that never take mail from outside (RFC 6761, RFC 6762, RFC 7686).
const NEVER_DELIVERABLE: [&str; 5] = ["arpa", "invalid", "local", "localhost", "onion"];

/// The address in `raw`, normalised: a display name and `mailto:` are stripped, the local part is kept as it is, the
/// domain becomes lower-case A-labels.
pub fn parse_email(raw: &str) -> Result<Personal, AddressProblem> {
    let text = bare_address(raw);
    if text.is_empty() {
        return Err(AddressProblem::EmailEmpty);
    }
    if text.chars().any(char::is_control) {
        return Err(AddressProblem::EmailControlCharacter);
    }
    let (local, domain) = text.split_once('@').ok_or(AddressProblem::EmailWithoutAt)?;
    if domain.contains('@') {
        return Err(AddressProblem::EmailTwoAt);
    }
    let local = checked_local(local)?;
    let domain = checked_domain(domain)?;
    if local.len() + 1 + domain.len() > LONGEST_ADDRESS {
        return Err(AddressProblem::EmailTooLong);
    }
    let mut address = String::with_capacity(local.len() + 1 + domain.len());
    address.push_str(&local);
    address.push('@');
    address.push_str(&domain);
    Ok(Personal::new(address))
}

/// What stands inside the last angle brackets, if the text ends with them; without `mailto:` and surrounding space.
fn bare_address(raw: &str) -> &str {
    let mut text = trim(raw);
    if let Some(inside) = text.strip_suffix('>')
        && let Some(open) = inside.rfind('<')
    {
        text = trim(&inside[open + 1..]);
    }
    match text.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("mailto:") => trim(&text[7..]),
        _ => text,
    }
}

/// Spaces of any kind, and the invisible marks that copying from a web page or an address book leaves at the ends.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| (c.is_whitespace() && c != '\n' && c != '\r') || super::contact::is_invisible(c))
        .trim_matches(['\r', '\n', ' '])
}

fn checked_local(local: &str) -> Result<Cow<'_, str>, AddressProblem> {
    if local.is_empty() || local.starts_with('.') || local.ends_with('.') || local.contains("..") {
        return Err(AddressProblem::EmailLocalPart);
    }
    let allowed = |c: char| if c.is_ascii() { is_atom_or_dot(c) } else { is_plain_letter(c) };
    if !local.chars().all(allowed) {
        return Err(AddressProblem::EmailLocalPart);
    }
    let local: Cow<'_, str> = if local.is_ascii() { local.into() } else { local.nfc().collect::<String>().into() };
    if local.len() > LONGEST_LOCAL {
        return Err(AddressProblem::EmailTooLong);
    }
    Ok(local)
}

fn is_atom_or_dot(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c)
}

/// RFC 6531 lets a local part hold any letter; what cannot be seen or separates words is no part of one.
fn is_plain_letter(c: char) -> bool {
    !c.is_control() && !c.is_whitespace() && !super::contact::is_invisible(c) && c != char::REPLACEMENT_CHARACTER
}

fn checked_domain(domain: &str) -> Result<String, AddressProblem> {
    if domain.is_empty() {
        return Err(AddressProblem::EmailDomain);
    }
    if domain.ends_with(['.', '。']) {
        return Err(AddressProblem::EmailTrailingDot);
    }
    let lower = domain.to_ascii_lowercase();
    let ascii = if lower.is_ascii() && !lower.contains("xn--") {
        lower
    } else {
        idna::domain_to_ascii_strict(&lower).map_err(|_| AddressProblem::EmailDomain)?
    };
    let (_, last) = ascii.rsplit_once('.').ok_or(AddressProblem::EmailDomainWithoutDot)?;
    let ends_in_letter = last.ends_with(|c: char| c.is_ascii_alphabetic()) || last.starts_with("xn--");
    if ascii.len() > 253 || !ends_in_letter || !ascii.split('.').all(is_host_label) {
        return Err(AddressProblem::EmailDomain);
    }
    if NEVER_DELIVERABLE.contains(&last) {
        return Err(AddressProblem::EmailNeverDeliverable);
    }
    Ok(ascii)
}

fn is_host_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let reserved = bytes.get(2..4) == Some(b"--") && !label.starts_with("xn--");
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        && bytes.first() != Some(&b'-')
        && bytes.last() != Some(&b'-')
        && !reserved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(raw: &str) -> Result<String, AddressProblem> {
        parse_email(raw).map(|a| a.reveal().to_owned())
    }

    #[test]
    fn usable_addresses_are_normalised() {
        for (raw, want) in [
            ("a@example.org", "a@example.org"),
            (" \t Jane.Doe+x@Example.COM ", "Jane.Doe+x@example.com"),
            ("Jane Doe <jane@example.org>", "jane@example.org"),
            ("\"Doe, J. <x>\" <jane@example.org>", "jane@example.org"),
            ("<jane@example.org>", "jane@example.org"),
            ("mailto:jane@example.org", "jane@example.org"),
            ("\u{feff}jane@example.org\u{200b}", "jane@example.org"),
            ("j@bücher.example", "j@xn--bcher-kva.example"),
            ("j@BÜCHER.example", "j@xn--bcher-kva.example"),
            ("用户@例子.中国", "用户@xn--fsqu00a.xn--fiqs8s"),
            ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
            ("o'neil/x=y@a-b.example", "o'neil/x=y@a-b.example"),
        ] {
            assert_eq!(parsed(raw).as_deref(), Ok(want));
        }
    }

    #[test]
    fn unusable_addresses_say_why() {
        use AddressProblem::*;
        let long_local = format!("{}@example.org", "a".repeat(65));
        let long_label = format!("a@{}.org", "b".repeat(64));
        let long_whole =
            format!("{}@{}.org", "a".repeat(64), ["c".repeat(61), "d".repeat(60), "e".repeat(63)].join("."));
        for (raw, want) in [
            ("", EmailEmpty),
            ("   ", EmailEmpty),
            ("a at example.org", EmailWithoutAt),
            ("x@a@example.org", EmailTwoAt),
            ("a@example.org.", EmailTrailingDot),
            ("a@localhost", EmailDomainWithoutDot),
            ("a@b.local", EmailNeverDeliverable),
            ("@example.org", EmailLocalPart),
            (".a@example.org", EmailLocalPart),
            ("a..b@example.org", EmailLocalPart),
            ("\"a b\"@example.org", EmailLocalPart),
            ("a b@example.org", EmailLocalPart),
            ("a;b@example.org", EmailLocalPart),
            ("a@", EmailDomain),
            ("a@-b.org", EmailDomain),
            ("a@b_c.org", EmailDomain),
            ("a@b..org", EmailDomain),
            ("a@[192.0.2.1]", EmailDomain),
            ("a@192.0.2.1", EmailDomain),
            ("a@b.org, c@d.org", EmailTwoAt),
            ("a@b.org\r\nBcc: c", EmailControlCharacter),
            ("a\0@b.org", EmailControlCharacter),
            (&long_local, EmailTooLong),
            (&long_label, EmailDomain),
            (&long_whole, EmailTooLong),
        ] {
            assert_eq!(parsed(raw), Err(want), "the rule for {want:?}");
        }
    }
}

//! A whole message as it goes to DATA: headers, and the text and HTML parts as alternatives.
//!
//! Invariants: all ASCII, CRLF lines of at most 998 characters, never a header that a name, a subject or an address
//! put there. The boundary is derived from the notice and cannot occur in a part, because `=_` is in no transfer
//! encoding. Signing is left to the relay; `List-Unsubscribe` is absent because a legal notice is no mailing.

use super::transfer::{Transfer, encoded_words};
use super::{Envelope, Sender};
use crate::model::problem::Problem;
use sha2::{Digest, Sha256};

/// Some relays refuse a message whose headers are long; a display name is courtesy.
const LONGEST_DISPLAY_NAME: usize = 128;

/// The headers that are the same for every message of a language.
#[derive(Debug)]
pub(super) struct Frame {
    constant: String,
    /// Who it is from, for providers that write the header themselves.
    pub(super) sender_name: String,
    pub(super) sender_address: String,
    pub(super) sender_mailbox: String,
}

pub(super) struct Parts<'a> {
    pub(super) to_name: &'a str,
    pub(super) to_address: &'a str,
    /// As [`super::transfer::header_text`] gives it.
    pub(super) subject_header: &'a str,
    pub(super) text: Writing<'a>,
    pub(super) html: Writing<'a>,
}

/// A part's text, and what writes it in quoted-printable.
pub(super) struct Writing<'a> {
    pub(super) plain: &'a str,
    pub(super) quoted: &'a dyn Fn(&mut Vec<u8>),
}

impl Frame {
    pub(super) fn new(sender: &Sender, language: &str) -> Result<Frame, Problem> {
        if !sender.from_address.is_ascii() || !is_address(&sender.from_address) {
            let message = "[sender] email is not an address that every relay takes; write it as privacy@example.com";
            return Err(Problem::new("bad-sender", "sender.email", message));
        }
        let name = sender.from_name.as_deref().unwrap_or(&sender.organisation);
        let from = mailbox("From: ", &one_line(name), &sender.from_address);
        let constant = format!(
            "{from}\r\nMIME-Version: 1.0\r\nAuto-Submitted: auto-generated\r\nContent-Language: {language}\r\n"
        );
        let sender_mailbox = from.replace("\r\n", "").trim_start_matches("From: ").to_owned();
        let (sender_name, sender_address) = (one_line(name), sender.from_address.clone());
        Ok(Frame { constant, sender_name, sender_address, sender_mailbox })
    }

    pub(super) fn message(&self, parts: &Parts<'_>, envelope: &Envelope) -> Result<String, Problem> {
        for (token, field) in [(&envelope.message_id, "message_id"), (&envelope.notice, "notice")] {
            if token.is_empty()
                || token.len() > 200
                || !token.bytes().all(|b| b.is_ascii_graphic() && !b"<>".contains(&b))
            {
                let message = format!("the {field} of a notice is not one word of ASCII; this is a fault of forewarn");
                return Err(Problem::new("bad-envelope", field, message));
            }
        }
        if !is_address(parts.to_address) {
            let message = "the e-mail address has a character that no mail system takes; correct it in the source";
            return Err(Problem::new("bad-email", "email", message));
        }
        let boundary = boundary(envelope);
        let mut out = Vec::with_capacity(2048 + parts.text.plain.len() * 3 / 2 + parts.html.plain.len() * 3 / 2);
        let to = to(parts);
        let date = date(envelope)?;
        let Envelope { message_id, notice, log_head, .. } = envelope;
        let head = log_head.map(|digest| format!("\r\nForewarn-Log: sha256={}", const_hex::encode(digest)));
        for piece in [
            self.constant.as_str(),
            &to,
            "\r\nSubject: ",
            parts.subject_header,
            "\r\nDate: ",
            &date,
            "\r\nMessage-ID: <",
            message_id,
            ">\r\nX-Forewarn-Notice: ",
            notice,
            head.as_deref().unwrap_or_default(),
            "\r\nContent-Type: multipart/alternative;\r\n boundary=\"",
            &boundary,
            "\"\r\n",
        ] {
            out.extend_from_slice(piece.as_bytes());
        }
        part(&boundary, "plain", &parts.text, &mut out);
        part(&boundary, "html", &parts.html, &mut out);
        for piece in ["\r\n--", &boundary, "--\r\n"] {
            out.extend_from_slice(piece.as_bytes());
        }
        // All that was written is ASCII, so nothing is lost here.
        Ok(String::from_utf8(out).unwrap_or_default())
    }
}

fn part(boundary: &str, subtype: &str, text: &Writing<'_>, out: &mut Vec<u8>) {
    let transfer = Transfer::of(text.plain);
    let (kind, encoding) = ("\r\nContent-Type: text/", "; charset=utf-8\r\nContent-Transfer-Encoding: ");
    for piece in ["\r\n--", boundary, kind, subtype, encoding, transfer.as_str(), "\r\n\r\n"] {
        out.extend_from_slice(piece.as_bytes());
    }
    match transfer {
        Transfer::QuotedPrintable => (text.quoted)(out),
        Transfer::Base64 => transfer.write(text.plain, out),
    }
}

fn boundary(envelope: &Envelope) -> String {
    let digest =
        Sha256::new().chain_update(&envelope.campaign).chain_update(b"/").chain_update(&envelope.notice).finalize();
    let start: u64 = digest.iter().take(8).fold(0, |sum, octet| (sum << 8) | u64::from(*octet));
    format!("=_forewarn_{start:016x}")
}

fn date(envelope: &Envelope) -> Result<String, Problem> {
    let wrong = || Problem::new("bad-envelope", "date", "the date of a notice is out of range; check the system clock");
    let at = jiff::Timestamp::from_microsecond(envelope.date).map_err(|_| wrong())?;
    jiff::fmt::rfc2822::to_string(&jiff::ZonedDateTime::new(at, jiff::tz::TimeZone::UTC)).map_err(|_| wrong())
}

/// A non-ASCII address cannot stand in an ASCII header; it travels in the envelope (SMTPUTF8), if the relay takes it.
fn to(parts: &Parts<'_>) -> String {
    if parts.to_address.is_ascii() {
        mailbox("To: ", parts.to_name, parts.to_address)
    } else {
        "To: undisclosed-recipients:;".to_owned()
    }
}

/// `To: Name <address>`, folded; the address alone where there is no name.
fn mailbox(field: &str, name: &str, address: &str) -> String {
    let name: String = name.trim().chars().take(LONGEST_DISPLAY_NAME).collect();
    if name.is_empty() {
        return format!("{field}<{address}>");
    }
    let atoms = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~ ".contains(&b);
    let phrase = if name.len() <= 60 && name.bytes().all(atoms) && !name.contains("=?") && !name.contains("  ") {
        name
    } else if name.len() <= 50 && name.bytes().all(|b| (0x20..0x7f).contains(&b)) && !name.contains("=?") {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        encoded_words(&name, field.len())
    };
    let column = phrase.rsplit('\n').next().map_or(0, str::len) + if phrase.contains('\n') { 0 } else { field.len() };
    let fold = if column + address.len() + 3 > 76 { "\r\n " } else { " " };
    format!("{field}{phrase}{fold}<{address}>")
}

/// Fit to stand between `<` and `>` in one line: intake has checked more than this.
fn is_address(address: &str) -> bool {
    let quoted = address.starts_with('"');
    let bad = |c: char| c.is_control() || matches!(c, '<' | '>' | '\u{2028}' | '\u{2029}');
    let outside_quotes = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '(' | ')' | '"' | '\\');
    address.len() <= 320
        && address.rsplit_once('@').is_some_and(|(local, domain)| {
            !local.is_empty()
                && !domain.is_empty()
                && !domain.contains(|c: char| c.is_whitespace() || c == '@')
                && (quoted || !address.contains(outside_quotes))
        })
        && !address.contains(bad)
}

/// One line without control characters: what may stand in a header.
pub(super) fn one_line(text: &str) -> String {
    if text.chars().all(|c| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')) {
        return text.trim().to_owned();
    }
    let blanked: String =
        text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect();
    blanked.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes_are_quoted_or_encoded_as_they_need() {
        for (name, want) in [
            ("", "To: <a@x.example>"),
            ("Ann Lee", "To: Ann Lee <a@x.example>"),
            ("Lee, Ann \"A\"", "To: \"Lee, Ann \\\"A\\\"\" <a@x.example>"),
            ("J. Doe", "To: \"J. Doe\" <a@x.example>"),
            ("=?utf-8?Q?x?=", "To: =?utf-8?B?PT91dGYtOD9RP3g/PQ==?= <a@x.example>"),
            ("王芳", "To: =?utf-8?B?546L6Iqz?= <a@x.example>"),
        ] {
            assert_eq!(mailbox("To: ", name, "a@x.example"), want);
        }
    }

    #[test]
    fn an_address_that_could_leave_its_brackets_is_refused() {
        for good in ["a@x.example", "\"a b\"@x.example", "jürgen@x.example", "a+b@x.example"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["a", "@x", "a@", "a@x>\r\nBcc: b@y", "a@x\n", "a b@x", "<a@x>", "a@x,b@y", "a@x@", "a@x y"] {
            assert!(!is_address(bad), "{bad:?}");
        }
    }
}

//! Takes a message apart without trusting it: what of it is meant for people, for machines, and what is the message it
//! is about.
//!
//! The walk is ours, so that time and memory stay bounded whatever a stranger sent: each level of nesting is read once,
//! levels, parts and octets are counted. Headers, transfer encodings and character sets are mail-parser's, a leaf at a
//! time, so that it never sees a nested message.

use super::fields::Fields;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::html::html_to_text;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{MessageParser, MimeHeaders};
use std::borrow::Cow;

/// What is read of a message; the rest of a longer one is the original's body.
pub(super) const LONGEST_MESSAGE: usize = 16 << 20;
const LONGEST_HEADER: usize = 256 << 10;
const DEEPEST: usize = 10;
const MOST_PARTS: usize = 256;
/// What is kept of the words for people.
const LONGEST_HUMAN: usize = 512 << 10;
/// Ten thousand recipients of half a kilobyte, with room.
const LONGEST_STATUS: usize = 12 << 20;

/// A message taken apart.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) top: Fields,
    /// `delivery-status`, `feedback-report`, `disposition-notification`.
    pub(super) report_type: String,
    pub(super) human: String,
    pub(super) status: String,
    pub(super) feedback: String,
    pub(super) disposition: String,
    /// Header lines of the message that the report is about.
    pub(super) original: String,
    html: String,
    seen: usize,
}

/// What a part declares of itself.
struct Declared {
    kind: String,
    boundary: Option<String>,
    charset: Option<String>,
    encoding: String,
}

/// Takes the message apart.
pub(super) fn parts(raw: &[u8]) -> Parts {
    let raw = &raw[..raw.len().min(LONGEST_MESSAGE)];
    let raw = without_envelope_line(raw);
    let mut parts = Parts::default();
    let (head, _) = split_head(raw);
    parts.top = Fields::parse(&lossy(head));
    if let Some(declared) = parts.top.first("content-type") {
        parts.report_type = report_type(declared);
    }
    walk(raw, 0, &mut parts);
    if parts.human.trim().is_empty() {
        parts.human = std::mem::take(&mut parts.html);
    }
    parts.html.clear();
    parts
}

fn report_type(content_type: &str) -> String {
    let lower = content_type.to_ascii_lowercase();
    let after = lower.split("report-type").nth(1).unwrap_or_default();
    let value = after.trim_start().trim_start_matches('=').trim_start().trim_start_matches('"');
    value.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
}

/// The `From ` line that mbox files begin with is none of the message.
fn without_envelope_line(raw: &[u8]) -> &[u8] {
    if raw.starts_with(b"From ") {
        raw.iter().position(|b| *b == b'\n').map_or(&raw[raw.len()..], |end| &raw[end + 1..])
    } else {
        raw
    }
}

/// Header and body, at the first empty line.
pub(super) fn split_head(raw: &[u8]) -> (&[u8], &[u8]) {
    let mut start = 0;
    while start < raw.len() {
        let end = raw[start..].iter().position(|b| *b == b'\n').map_or(raw.len(), |at| start + at);
        if raw[start..end].trim_ascii().is_empty() {
            return (&raw[..start], raw.get(end + 1..).unwrap_or_default());
        }
        start = end + 1;
    }
    (raw, &[])
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST_HEADER)])
}

fn walk(raw: &[u8], depth: usize, parts: &mut Parts) {
    if parts.seen >= MOST_PARTS {
        return;
    }
    parts.seen += 1;
    let (head, body) = split_head(raw);
    let declared = declared(head);
    let inside = declared.boundary.as_deref().filter(|_| depth < DEEPEST).map(|b| children(body, b.as_bytes()));
    match inside {
        Some(children) if !children.is_empty() => {
            for child in children {
                walk(child, depth + 1, parts);
            }
        }
        Some(_) | None => leaf(&declared, body, parts),
    }
}

fn declared(head: &[u8]) -> Declared {
    let mut block = head[..head.len().min(LONGEST_HEADER)].to_vec();
    block.extend_from_slice(b"\r\n\r\n");
    let parsed = MessageParser::default().parse_headers(&block);
    let content_type = parsed.as_ref().and_then(|message| message.parts.first()).and_then(|part| part.content_type());
    let encoding = parsed.as_ref().and_then(|message| message.parts.first());
    Declared {
        kind: content_type.map_or_else(
            || "text/plain".to_owned(),
            |t| format!("{}/{}", t.ctype(), t.subtype().unwrap_or_default()).to_ascii_lowercase(),
        ),
        boundary: content_type
            .filter(|t| t.ctype().eq_ignore_ascii_case("multipart"))
            .and_then(|t| t.attribute("boundary"))
            .filter(|b| !b.is_empty())
            .map(str::to_owned),
        charset: content_type.and_then(|t| t.attribute("charset")).map(str::to_owned),
        encoding: encoding
            .and_then(|part| part.content_transfer_encoding())
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase(),
    }
}

/// The parts between the delimiter lines, at most [`MOST_PARTS`]; what stands before the first and after the last
/// delimiter is left out.
fn children<'r>(body: &'r [u8], boundary: &[u8]) -> Vec<&'r [u8]> {
    let mut found = Vec::new();
    let mut open: Option<usize> = None;
    let mut start = 0;
    while start < body.len() && found.len() < MOST_PARTS {
        let end = body[start..].iter().position(|b| *b == b'\n').map_or(body.len(), |at| start + at);
        let line = body[start..end].trim_ascii_end();
        let rest = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary));
        if let Some(rest @ (b"" | b"--")) = rest {
            if let Some(from) = open {
                found.push(&body[from..start]);
            }
            open = (rest != b"--").then_some(body.len().min(end + 1));
            if open.is_none() {
                return found;
            }
        }
        start = end + 1;
    }
    if let Some(from) = open.filter(|_| found.len() < MOST_PARTS) {
        // The last delimiter is missing: cut off on the way.
        found.push(&body[from.min(body.len())..]);
    }
    found
}

/// What holds the message that came back, or its head.
const ORIGINAL: [&str; 5] =
    ["message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers", "text/rfc822-header"];

fn leaf(declared: &Declared, body: &[u8], parts: &mut Parts) {
    match declared.kind.as_str() {
        "message/delivery-status" | "message/global-delivery-status" => {
            append(&mut parts.status, &text(declared, body, LONGEST_STATUS), LONGEST_STATUS);
        }
        "message/feedback-report" => append(&mut parts.feedback, &text(declared, body, LONGEST_HUMAN), LONGEST_HUMAN),
        "message/disposition-notification" | "message/global-disposition-notification" => {
            append(&mut parts.disposition, &text(declared, body, LONGEST_HUMAN), LONGEST_HUMAN);
        }
        kind if ORIGINAL.contains(&kind) => {
            let decoded = decoded(declared, body, LONGEST_HEADER);
            let head = lossy(split_head(decoded.trim_ascii_start()).0).into_owned();
            if parts.original.is_empty() {
                parts.original = head;
            }
        }
        "text/html" | "application/xhtml+xml" => {
            let text = html_to_text(&text(declared, body, LONGEST_HUMAN));
            append(&mut parts.html, &text, LONGEST_HUMAN);
        }
        kind if kind.starts_with("text/") || kind.starts_with("multipart/") || kind == "message/" || kind == "/" => {
            append(&mut parts.human, &text(declared, body, LONGEST_HUMAN), LONGEST_HUMAN);
        }
        _ => {}
    }
}

fn append(to: &mut String, text: &str, limit: usize) {
    if to.len() < limit && !text.is_empty() {
        if !to.is_empty() {
            to.push_str("\n\n");
        }
        to.push_str(text);
    }
}

/// Without its transfer encoding, `limit` octets of it. What cannot be decoded is taken as it stands.
fn decoded<'b>(declared: &Declared, body: &'b [u8], limit: usize) -> Cow<'b, [u8]> {
    let encoded = |factor: usize| &body[..body.len().min(limit.saturating_mul(factor))];
    let plain = match declared.encoding.as_str() {
        "base64" => base64_decode(encoded(2)),
        "quoted-printable" => quoted_printable_decode(encoded(3)),
        _ => None,
    };
    match plain {
        Some(plain) if !plain.is_empty() => Cow::Owned(plain),
        Some(_) | None => Cow::Borrowed(&body[..body.len().min(limit)]),
    }
}

fn text(declared: &Declared, body: &[u8], limit: usize) -> String {
    let octets = decoded(declared, body, limit);
    // Old servers of Japan write ISO-2022-JP whatever they declare; its escapes mean nothing else.
    let escaped = octets.windows(3).any(|w| matches!(w, [0x1b, b'$', b'B' | b'@'] | [0x1b, b'(', b'J']));
    let charset = if escaped { Some("iso-2022-jp") } else { declared.charset.as_deref() };
    let plain = std::str::from_utf8(&octets).is_ok();
    let decoder = charset.and_then(|name| charset_decoder(name.as_bytes()));
    match decoder {
        // A text that is good UTF-8 and declares otherwise is UTF-8, unless the charset uses seven bits.
        Some(decode) if escaped || !plain || octets.is_ascii() => decode(&octets),
        Some(_) | None => String::from_utf8_lossy(&octets).into_owned(),
    }
}

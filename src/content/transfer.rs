//! Text in the ASCII that mail allows: quoted-printable and base64 bodies (RFC 2045), encoded words (RFC 2047).
//!
//! Invariant: whatever the text, what comes out is ASCII, in lines of at most 76 characters ended by CRLF, and holds no
//! line end that the text could have put there.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    QuotedPrintable,
    Base64,
}

impl Transfer {
    /// The shorter of the two: Chinese is a third of the size in base64.
    pub(super) fn of(text: &str) -> Transfer {
        let other = non_ascii(text.as_bytes());
        if 2 * other > text.len() / 3 + text.len() / 50 { Transfer::Base64 } else { Transfer::QuotedPrintable }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Transfer::QuotedPrintable => "quoted-printable",
            Transfer::Base64 => "base64",
        }
    }

    /// Writes the text, which ends its lines with LF; what is written ends in CRLF.
    pub(super) fn write(self, text: &str, out: &mut Vec<u8>) {
        match self {
            Transfer::QuotedPrintable => quoted_printable(text, out),
            Transfer::Base64 => base64_lines(text, out),
        }
    }
}

/// How many octets have their high bit set; short sums of octets, which the compiler turns into vector code.
fn non_ascii(octets: &[u8]) -> usize {
    octets.chunks(192).map(|chunk| usize::from(chunk.iter().map(|b| b >> 7).sum::<u8>())).sum()
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Octets that stand for themselves wherever they are in a line.
fn is_plain(octet: u8) -> bool {
    (0x20..0x7f).contains(&octet) & (octet != b'=')
}

/// How many octets at the start are plain. Looks at all of them at once first, because usually they are.
fn plain_run(octets: &[u8]) -> usize {
    if octets.iter().fold(true, |all, b| all & is_plain(*b)) {
        octets.len()
    } else {
        octets.iter().take_while(|b| is_plain(**b)).count()
    }
}

fn quoted(octet: u8, out: &mut Vec<u8>) {
    out.push(b'=');
    out.push(HEX[usize::from(octet >> 4)]);
    out.push(HEX[usize::from(octet & 15)]);
}

/// A dot at the start of a line is quoted, so that SMTP need not double it, and so is the `F` of `From `.
fn quoted_printable(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + text.len() / 8 + 80);
    for line in text.lines() {
        let mut rest = line.as_bytes();
        let mut room = 75;
        while let Some((&octet, after)) = rest.split_first() {
            let starts_line = room == 75;
            let ends_line = after.is_empty();
            let special = !is_plain(octet)
                || (starts_line && (octet == b'.' || rest.starts_with(b"From ")))
                || (ends_line && octet == b' ');
            let width = if special { 3 } else { 1 };
            if room < width {
                out.extend_from_slice(b"=\r\n");
                room = 75;
                continue;
            }
            if special {
                quoted(octet, out);
                room -= 3;
                rest = after;
                continue;
            }
            let run = plain_run(rest.get(..room).unwrap_or(rest));
            // The last blank of a line is left for the next turn, which quotes it.
            let run = if run == rest.len() && rest.ends_with(b" ") { run - 1 } else { run }.max(1);
            let (plain, after) = rest.split_at(run);
            out.extend_from_slice(plain);
            room -= run;
            rest = after;
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn base64_lines(text: &str, out: &mut Vec<u8>) {
    let mut canonical = String::with_capacity(text.len() + text.len() / 16);
    for line in text.split_inclusive('\n') {
        match line.strip_suffix('\n') {
            Some(words) => {
                canonical.push_str(words);
                canonical.push_str("\r\n");
            }
            None => canonical.push_str(line),
        }
    }
    // All at once and then cut: the encoder is fastest on long runs.
    let encoded = STANDARD.encode(&canonical);
    out.reserve(encoded.len() + encoded.len() / 38 + 2);
    for line in encoded.as_bytes().chunks(76) {
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
}

/// The text of a header field whose name and colon already take `column` characters: as it is where it is plain ASCII,
/// else encoded words, folded so that no line is longer than 76.
pub(super) fn header_text(text: &str, column: usize) -> String {
    plain_header(text, column).unwrap_or_else(|| encoded_words(text, column))
}

/// Printable ASCII that needs no encoding, folded at its blanks; `None` where that cannot be.
fn plain_header(text: &str, mut column: usize) -> Option<String> {
    let printable = text.bytes().all(|b| (0x20..0x7f).contains(&b));
    if !printable || text.contains("=?") {
        return None;
    }
    let mut out = String::with_capacity(text.len() + 8);
    for (at, word) in text.split(' ').enumerate() {
        if word.is_empty() || word.len() > 70 {
            return None;
        }
        if at > 0 {
            let folds = column + 1 + word.len() > 76;
            out.push_str(if folds { "\r\n " } else { " " });
            column = if folds { 1 } else { column + 1 };
        }
        out.push_str(word);
        column += word.len();
    }
    Some(out)
}

/// RFC 2047 words of at most 75 characters, B or Q by whichever is shorter; no character is split over two.
pub(super) fn encoded_words(text: &str, column: usize) -> String {
    let in_q = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'!' | b'*' | b'+' | b'-' | b'/' | b' ');
    let q_length: usize = text.bytes().map(|b| if in_q(b) { 1 } else { 3 }).sum();
    let q = q_length <= text.len().div_ceil(3) * 4;
    let mut out = String::with_capacity(text.len() * 2 + 16);
    let mut room = 76usize.saturating_sub(column).min(75);
    let mut word = String::new();
    let length = |octets: &str| {
        if q { octets.bytes().map(|b| if in_q(b) { 1 } else { 3 }).sum() } else { octets.len().div_ceil(3) * 4 }
    };
    let flush = |word: &mut String, out: &mut String| {
        if !word.is_empty() {
            out.push_str(if q { "=?utf-8?Q?" } else { "=?utf-8?B?" });
            if q {
                q_word(word, in_q, out)
            } else {
                STANDARD.encode_string(word.as_bytes(), out)
            }
            out.push_str("?=");
            word.clear();
        }
    };
    for c in text.chars() {
        word.push(c);
        if 12 + length(&word) > room {
            word.pop();
            flush(&mut word, &mut out);
            out.push_str("\r\n ");
            room = 75;
            word.push(c);
        }
    }
    flush(&mut word, &mut out);
    out
}

fn q_word(word: &str, in_q: impl Fn(u8) -> bool, out: &mut String) {
    for octet in word.bytes() {
        match octet {
            b' ' => out.push('_'),
            octet if in_q(octet) => out.push(char::from(octet)),
            octet => out.push_str(&format!("={octet:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(transfer: Transfer, text: &str) -> String {
        let mut out = Vec::new();
        transfer.write(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn quoted_printable_keeps_lines_short_and_safe() {
        let long = "a".repeat(76);
        let wrapped = format!("{}=\r\na\r\n", "a".repeat(75));
        for (text, want) in [
            ("a=b\n", "a=3Db\r\n"),
            ("é", "=C3=A9\r\n"),
            (".\n.a\nb.", "=2E\r\n=2Ea\r\nb.\r\n"),
            ("From me\nFromage", "=46rom me\r\nFromage\r\n"),
            ("a \n b\n", "a=20\r\n b\r\n"),
            (" ", "=20\r\n"),
            ("\ta", "=09a\r\n"),
            ("a\rb", "a=0Db\r\n"),
            (long.as_str(), wrapped.as_str()),
        ] {
            assert_eq!(body(Transfer::QuotedPrintable, text), want, "{text:?}");
        }
    }

    #[test]
    fn the_shorter_transfer_is_taken() {
        assert_eq!(Transfer::of("Ordinary text with one é in it"), Transfer::QuotedPrintable);
        assert_eq!(Transfer::of("这是中文通知"), Transfer::Base64);
        assert_eq!(body(Transfer::Base64, "a\n"), "YQ0K\r\n");
    }

    #[test]
    fn headers_are_plain_where_they_can_be() {
        for (text, want) in [
            ("Notice 2026", "Notice 2026"),
            ("Données", "=?utf-8?Q?Donn=C3=A9es?="),
            ("重要通知", "=?utf-8?B?6YeN6KaB6YCa55+l?="),
            ("=?utf-8?Q?x?=", "=?utf-8?B?PT91dGYtOD9RP3g/PQ==?="),
            ("two  blanks", "=?utf-8?Q?two__blanks?="),
        ] {
            assert_eq!(header_text(text, 9), want);
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back_from_every_transfer(text in "(?s)[\\PC\n .=]{0,400}", column in 0usize..20) {
            for transfer in [Transfer::QuotedPrintable, Transfer::Base64] {
                let written = body(transfer, &text);
                prop_assert!(written.is_ascii());
                prop_assert!(written.split("\r\n").all(|l| l.len() <= 76 && !l.contains(['\r', '\n'])));
                let raw = format!("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {}\r\n\r\n{written}", transfer.as_str());
                let message = mail_parser::MessageParser::default().parse(&raw).unwrap();
                let read = message.body_text(0).map(|t| t.replace("\r\n", "\n")).unwrap_or_default();
                prop_assert_eq!(read.trim_end_matches('\n'), text.trim_end_matches('\n'));
            }
            let header = header_text(&text.replace('\n', " "), column);
            prop_assert!(header.is_ascii());
            for (at, line) in header.split("\r\n").enumerate() {
                prop_assert!(line.len() + if at == 0 { column } else { 0 } <= 76, "{line}");
            }
        }
    }
}

//! What goes over the wire for one notice: a checked envelope and the dot-stuffed body. Pure.
//!
//! Strings reach the server as they are written here, so nothing that could end a command or a body early may pass.

use std::borrow::Cow;

/// Why an address cannot stand in an SMTP command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadAddress {
    #[error("it is not of the form name@domain")]
    Form,
    #[error("it holds a space, a control character or an angle bracket")]
    Character,
}

/// Says whether the address can be written between `<` and `>`. Stricter than RFC 5321: quoted local parts with
/// spaces are refused, as no relay of today delivers to them.
pub(super) fn check_address(address: &str) -> Result<(), BadAddress> {
    if address.chars().any(|c| c.is_control() || c.is_whitespace() || c == '<' || c == '>') {
        return Err(BadAddress::Character);
    }
    match address.rsplit_once('@') {
        Some((local, domain)) if !local.is_empty() && !domain.is_empty() && address.len() <= 254 => Ok(()),
        Some(_) | None => Err(BadAddress::Form),
    }
}

/// The address in `Name <address>`, or the text itself.
pub(super) fn bare_address(sender: &str) -> &str {
    match sender.trim().strip_suffix('>').and_then(|s| s.rsplit_once('<')) {
        Some((_, address)) => address.trim(),
        None => sender.trim(),
    }
}

/// What ends a message, behind a line end.
pub(super) const FINAL_DOT: &str = ".\r\n";

/// The message as it follows DATA: CRLF line ends whatever they were, leading dots doubled (RFC 5321, 4.5.2), a CRLF
/// at the end; only the final dot is to follow. Ours come that way and are not copied.
pub(super) fn stuffed(mime: &str) -> Cow<'_, str> {
    if is_clean(mime.as_bytes()) {
        return Cow::Borrowed(mime);
    }
    let mut out = String::with_capacity(mime.len() + mime.len() / 64 + 8);
    for line in mime.split_inclusive('\n') {
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        // A lone CR would be a line end to some servers and not to others: make it one for all.
        for piece in line.split('\r') {
            if piece.starts_with('.') {
                out.push('.');
            }
            out.push_str(piece);
            out.push_str("\r\n");
        }
    }
    Cow::Owned(out)
}

/// Whether nothing has to be changed: every line ends in CRLF, the last one too, and none begins with a dot.
fn is_clean(mime: &[u8]) -> bool {
    let (Some(second), Some(third)) = (mime.get(1..), mime.get(2..)) else { return false };
    let (mut ends, mut controls) = (1, 2);
    // Octets next to each other, in stretches whose sums fit an octet: the compiler makes vector code of it.
    for ((first, second), third) in mime.chunks(SHORT).zip(second.chunks(SHORT)).zip(third.chunks(SHORT)) {
        let of_three = first.iter().zip(second).zip(third);
        ends += usize::from(of_three.map(|((a, b), c)| u8::from(is_end(*a, *b) & (*c != b'.'))).sum::<u8>());
        let first = first.get(..third.len()).unwrap_or(first);
        controls += usize::from(first.iter().map(|a| u8::from((*a == b'\r') | (*a == b'\n'))).sum::<u8>());
    }
    // Each CR with its LF and something other than a dot behind it, but for the CRLF at the very end.
    mime.ends_with(b"\r\n") && !mime.starts_with(b".") && controls == 2 * ends
}

/// Octets whose number fits an octet.
const SHORT: usize = 192;

fn is_end(a: u8, b: u8) -> bool {
    (a == b'\r') & (b == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bodies_are_stuffed_and_end_once() {
        for (mime, want) in [
            ("a\r\nb\r\n", "a\r\nb\r\n.\r\n"),
            (".\r\n", "..\r\n.\r\n"),
            ("\r\n", "\r\n.\r\n"),
            ("\n\r\n", "\r\n\r\n.\r\n"),
            ("\r\r\n", "\r\n\r\n.\r\n"),
            ("a\r\n.b\r\n..\r\n", "a\r\n..b\r\n...\r\n.\r\n"),
            ("no end", "no end\r\n.\r\n"),
            ("bare\nlf\n.\n", "bare\r\nlf\r\n..\r\n.\r\n"),
            ("bare\r.cr\r\n", "bare\r\n..cr\r\n.\r\n"),
            ("empty\r\n\r\nline\r\n", "empty\r\n\r\nline\r\n.\r\n"),
            ("", ".\r\n"),
        ] {
            assert_eq!(format!("{}{FINAL_DOT}", stuffed(mime)), want);
        }
    }

    proptest! {
        #[test]
        fn no_body_can_end_itself(mime in "[.\r\na]{0,60}") {
            let out = format!("{}{FINAL_DOT}", stuffed(&mime));
            prop_assert_eq!(format!("\r\n{out}").matches("\r\n.\r\n").count(), 1);
            prop_assert!(out.ends_with(".\r\n"));
            let without_pairs = out.replace("\r\n", "");
            prop_assert!(!without_pairs.contains(['\r', '\n']));
            let kept = matches!(stuffed(&mime), Cow::Borrowed(_));
            prop_assert!(mime.is_empty() || kept == (stuffed(&mime) == mime));
        }
    }

    #[test]
    fn addresses_that_could_break_a_command_are_refused() {
        for bad in ["a b@x.org", "a@x.org\r\nRCPT TO:<b@x.org>", "a<b@x.org", "a@x.org>", "a\0@x.org", "a\u{a0}@x.org"]
        {
            assert_eq!(check_address(bad), Err(BadAddress::Character));
        }
        for bad in ["", "plain", "@x.org", "a@"] {
            assert_eq!(check_address(bad), Err(BadAddress::Form));
        }
        assert_eq!(check_address("o'neil+tag@example.org"), Ok(()));
        assert_eq!(check_address("用户@xn--fsqu00a.example"), Ok(()));
        assert_eq!(bare_address("Data Protection <dpo@example.com>"), "dpo@example.com");
        assert_eq!(bare_address(" dpo@example.com "), "dpo@example.com");
    }
}

//! Addresses in the texts of reports: found, unwrapped, compared. Nothing here decides whether one exists.

/// Longest address worth looking at: 64 octets, `@`, 255 octets.
const LONGEST: usize = 320;

/// An address with the octets at which it stands in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) address: String,
}

/// The addresses of a line, in order.
pub(super) fn find_all(text: &str) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for (at, _) in text.match_indices('@') {
        let floor = found.last().map_or(0, |last| last.to);
        if at < floor {
            continue;
        }
        if let Some(one) = around(text, at, floor) {
            found.push(one);
        }
    }
    found
}

/// The first address of a text.
pub(super) fn first(text: &str) -> Option<String> {
    find_all(text).into_iter().next().map(|found| found.address)
}

fn around(text: &str, at: usize, floor: usize) -> Option<Found> {
    let before = &text[floor..at];
    let local_len = if let Some(inner) = before.strip_suffix('"') {
        before.len() - inner.rfind('"')?
    } else {
        before.chars().rev().take_while(|c| is_local(*c)).map(char::len_utf8).sum()
    };
    let after = &text[at + 1..];
    let literal = after.starts_with('[');
    let domain_len: usize = if literal {
        after.char_indices().take(64).find(|(_, c)| *c == ']').map(|(at, _)| at)? + 1
    } else {
        let len = after.chars().take_while(|c| is_domain(*c)).map(char::len_utf8).sum::<usize>();
        after[..len].trim_end_matches(['.', '-', '_']).len()
    };
    let local = &text[at - local_len..at];
    let trimmed = local.trim_start_matches(['.', '\'', '=', '/', '|', '*', '~', '`', '{']);
    let from = at - trimmed.len();
    let address = &text[from..at + 1 + domain_len];
    let sound = !trimmed.is_empty() && domain_len > 0 && address.len() <= LONGEST;
    sound.then(|| Found { from, to: at + 1 + domain_len, address: address.to_owned() })
}

fn is_local(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c) || (!c.is_ascii() && c.is_alphanumeric())
}

/// Letters beyond ASCII belong to a domain only in scripts that are written without spaces behind it; in practice a
/// report in Chinese goes on right behind an ASCII domain, so they do not belong.
fn is_domain(c: char) -> bool {
    c.is_ascii_alphanumeric() || ".-_".contains(c)
}

/// `rfc822; <jane@example.org>` or `utf-8; …` without type and wrapping; [`None`] where it is no address.
pub(super) fn of_field(value: &str) -> Option<String> {
    let (kind, rest) = match value.split_once(';') {
        Some((kind, rest)) => (kind.trim().to_ascii_lowercase(), rest.trim()),
        None => (String::new(), value.trim()),
    };
    let plain = match kind.as_str() {
        "utf-8" => utf8_address(rest),
        _ => xtext(rest),
    };
    let plain = plain.trim().trim_start_matches('<').trim_end_matches('>').trim();
    if plain.starts_with(['|', '/', '@']) || plain.is_empty() {
        return None;
    }
    if kind == "utf-8" && plain.contains('@') && plain.len() <= LONGEST {
        return Some(plain.to_owned());
    }
    let whole = plain.rsplit_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty());
    let simple = whole.is_some() && !plain.contains(char::is_whitespace) && plain.matches('@').count() == 1;
    if simple && plain.len() <= LONGEST && !plain.contains(['<', '>', ',']) {
        return Some(plain.to_owned());
    }
    first(plain)
}

/// `+2B` back to `+` (RFC 3461). What is no such escape stays.
pub(super) fn xtext(text: &str) -> String {
    unescaped(text, "+", |rest| {
        let digits = rest.get(..2)?;
        let upper = digits.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
        // A tag that looks like hex digits is a tag: only what has to be escaped is taken as an escape.
        let octet = upper.then(|| u8::from_str_radix(digits, 16).ok()).flatten()?;
        (matches!(octet, b'+' | b'=' | 0..=b' ' | 0x7f)).then_some((char::from(octet), 2))
    })
}

/// `\x{1F600}` back to its character (RFC 6533).
pub(super) fn utf8_address(text: &str) -> String {
    unescaped(text, "\\x{", |rest| {
        let end = rest.char_indices().take(8).find(|(_, c)| *c == '}').map(|(at, _)| at)?;
        let sign = u32::from_str_radix(&rest[..end], 16).ok().and_then(char::from_u32)?;
        Some((sign, end + 1))
    })
}

fn unescaped(text: &str, mark: &str, read: impl Fn(&str) -> Option<(char, usize)>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(mark) {
        out.push_str(&rest[..at]);
        rest = &rest[at + mark.len()..];
        match read(rest) {
            Some((sign, used)) => {
                out.push(sign);
                rest = &rest[used..];
            }
            None => out.push_str(mark),
        }
    }
    out.push_str(rest);
    out
}

/// Whether both are the same address as far as anybody can know from outside: without regard to case.
pub(super) fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// Whether the address is one that reports are sent from, and never the one that failed.
pub(super) fn is_machine_sender(address: &str) -> bool {
    let local = address.rsplit_once('@').map_or(address, |(local, _)| local).to_ascii_lowercase();
    local.starts_with("mailer-daemon") || local == "mailerdaemon" || local == "mail-daemon"
}

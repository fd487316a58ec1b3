//! Masks what looks like an address or a telephone number in text that a stranger wrote.

/// Longest text kept of a provider's reply, in characters.
const KEPT: usize = 300;

/// The text on one line, cut to 300 characters, with anything that looks like an e-mail address or a run of
/// seven digits or more masked. Replies such as `550 <jane@example.org> unknown` come through here before
/// they are stored or logged.
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(KEPT * 4));
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        push_masked(&mut out, word);
        if out.chars().count() >= KEPT {
            break;
        }
    }
    match out.char_indices().nth(KEPT) {
        Some((cut, _)) => {
            out.truncate(cut);
            out.push('…');
            out
        }
        None => out,
    }
}

fn push_masked(out: &mut String, word: &str) {
    if word.contains('@') {
        out.push_str("‹address›");
        return;
    }
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let number = digits >= 7 && word.chars().all(|c| c.is_ascii_digit() || "+-().,:;<>'\"/".contains(c));
    out.push_str(if number { "‹number›" } else { word });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_numbers_are_masked() {
        for (text, want) in [
            ("550 5.1.1 <jane@example.org>: unknown", "550 5.1.1 ‹address› unknown"),
            ("Number +8613800138000 in black list", "Number ‹number› in black list"),
            ("two\r\nlines", "two lines"),
            ("250 2.0.0 Ok: queued as 4F1C2A0042", "250 2.0.0 Ok: queued as 4F1C2A0042"),
        ] {
            assert_eq!(redact(text).replace("‹address›:", "‹address›"), want);
        }
        assert_eq!(redact(&"x ".repeat(5000)).chars().count(), KEPT + 1);
    }
}

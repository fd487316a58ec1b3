//! The words that a machine speaks on the telephone: `voice.hbs`, cut in two, and made fit to be spoken.
//!
//! What a line break, a bullet or `https://` says to the eye says nothing to the ear: each line becomes a sentence, and
//! an address is named without what nobody types.

use super::scan::Fault;

/// The two parts, each with the number of its first line: what an answering machine may hear, and the notice.
pub(super) fn parts(source: &str) -> Result<[(&str, u32); 2], Vec<Fault>> {
    let mut start = 0;
    let mut cuts = Vec::new();
    for (number, line) in (1u32..).zip(source.split_inclusive('\n')) {
        if line.trim_end() == "---" {
            cuts.push((number, start, start + line.len()));
        }
        start += line.len();
    }
    match cuts.as_slice() {
        [(number, end, begin)] => {
            let (opening, message) = (source.get(..*end), source.get(*begin..));
            Ok([(opening.unwrap_or_default(), 1), (message.unwrap_or_default(), number + 1)])
        }
        [] => Err(vec![(1, "needs a line `---` between what an answering machine may hear and the notice".to_owned())]),
        [_, (number, ..), ..] => Err(vec![(*number, "has a second line `---`; write one".to_owned())]),
    }
}

/// The text as sentences on one line. `full_stop` ends a line that has no sign of its own.
pub(super) fn sentences(text: &str, joins: bool) -> String {
    let (stop, gap) = if joins { ("。", "") } else { (".", " ") };
    let mut spoken = String::new();
    for line in text.lines().map(item).filter(|line| !line.is_empty()) {
        if !spoken.is_empty() {
            spoken.push_str(gap);
        }
        let words: Vec<String> = line.split_whitespace().map(pronounceable).collect();
        spoken.push_str(&words.join(" "));
        if !line.ends_with(|c: char| ".!?:;,。！？：；，、…".contains(c)) {
            spoken.push_str(stop);
        }
    }
    spoken
}

/// A line without the mark of a list.
fn item(line: &str) -> &str {
    let line = line.trim();
    let after_number = line.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(". ");
    let numbered = after_number.filter(|rest| rest.len() + 2 < line.len());
    line.strip_prefix("- ").or(numbered).unwrap_or(line).trim()
}

/// `(https://www.example.com/)` as `(www.example.com)`.
fn pronounceable(word: &str) -> String {
    let (before, rest) = word.split_at(word.len() - word.trim_start_matches(['(', '<', '"', '“', '「', '（']).len());
    let Some(address) = ["https://", "http://", "mailto:"].iter().find_map(|scheme| rest.strip_prefix(scheme)) else {
        return word.to_owned();
    };
    let bare = address.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '/');
    let after = address.get(bare.len()..).unwrap_or_default();
    format!("{before}{}{after}", bare.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_sentences_and_addresses_are_named() {
        for (text, joins, want) in [
            ("Hello.\n\nWe took:\n\n- names\n- numbers\n1. first", false, "Hello. We took: names. numbers. first."),
            ("See https://example.com/help/, or (https://x.example).", false, "See example.com/help, or (x.example)."),
            ("mailto:a@example.com +44 20 5550 0100", false, "a@example.com +44 20 5550 0100."),
            ("您好\n数据：\n- 姓名", true, "您好。数据：姓名。"),
            ("2026 was\n12.5 percent", false, "2026 was. 12.5 percent."),
            ("  \n", false, ""),
        ] {
            assert_eq!(sentences(text, joins), want, "{text}");
        }
    }

    #[test]
    fn one_line_cuts_the_file() {
        assert_eq!(parts("a\nb\n---\nc\n").expect("cut"), [("a\nb\n", 1), ("c\n", 4)]);
        assert_eq!(parts("---\nc").expect("cut"), [("", 1), ("c", 2)]);
        for (source, line) in [("a\n", 1), ("a\n---\nb\n---\n", 4), ("", 1)] {
            assert_eq!(parts(source).expect_err(source)[0].0, line);
        }
    }
}

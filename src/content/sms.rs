//! How a short message is coded on the air, and into how many parts it goes (3GPP TS 23.038, 23.040).
//!
//! Pure. Never substitutes a character: one that GSM 03.38 lacks makes the whole message UCS-2. National language
//! shift tables are deliberately absent, because providers rarely use them.

use crate::model::rendered::SmsCoding;

/// The default alphabet besides those characters that have their ASCII meaning.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
    ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Reached by an escape: two septets each.
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// Septets of a character in GSM 03.38, or `None` where it has none.
fn septets(c: char) -> Option<u32> {
    if c.is_ascii_alphanumeric() || c == ' ' || BASIC.contains(c) {
        Some(1)
    } else if EXTENDED.contains(c) {
        Some(2)
    } else {
        None
    }
}

/// The coding of a text and the number of parts that will be billed. The text is taken as it is: bring it to NFC first.
pub fn sms_segments(text: &str) -> (SmsCoding, u32) {
    let gsm: Option<Vec<u32>> = text.chars().map(septets).collect();
    match gsm {
        Some(costs) => (SmsCoding::Gsm7, parts(costs.into_iter(), 160, 153)),
        None => (SmsCoding::Ucs2, parts(text.chars().map(|c| c.len_utf16() as u32), 70, 67)),
    }
}

/// Fills parts greedily; a character (an escape pair, a surrogate pair) is never split over two.
fn parts(costs: impl Iterator<Item = u32> + Clone, single: u32, in_series: u32) -> u32 {
    if costs.clone().sum::<u32>() <= single {
        return 1;
    }
    let (mut count, mut used) = (1, 0);
    for cost in costs {
        if used + cost > in_series {
            count += 1;
            used = 0;
        }
        used += cost;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_alphabet_has_127_characters_and_the_extension_10() {
        let mut all: Vec<char> = BASIC.chars().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!((all.len(), EXTENDED.chars().count()), (127, 10));
        assert!(all.iter().all(|c| septets(*c) == Some(1)));
    }

    #[test]
    fn parts_are_counted_as_the_table_says() {
        use SmsCoding::{Gsm7, Ucs2};
        for (text, coding, want) in [
            ("a".repeat(160), Gsm7, 1),
            ("a".repeat(161), Gsm7, 2),
            ("a".repeat(306), Gsm7, 2),
            ("a".repeat(307), Gsm7, 3),
            ("€".repeat(80), Gsm7, 1),
            ("€".repeat(81), Gsm7, 2),
            (format!("{}€{}", "a".repeat(152), "a".repeat(10)), Gsm7, 2),
            (format!("{}€{}", "a".repeat(152), "a".repeat(152)), Gsm7, 3),
            ("测".repeat(70), Ucs2, 1),
            ("测".repeat(71), Ucs2, 2),
            ("测".repeat(134), Ucs2, 2),
            ("测".repeat(135), Ucs2, 3),
            ("😀".repeat(35), Ucs2, 1),
            ("😀".repeat(36), Ucs2, 2),
            (format!("{}😀{}", "测".repeat(66), "测".repeat(66)), Ucs2, 3),
            ("it’s ok".to_owned(), Ucs2, 1),
            ("`".to_owned(), Ucs2, 1),
            ("\t".to_owned(), Ucs2, 1),
            ("ç".to_owned(), Ucs2, 1),
            ("Ç".to_owned(), Gsm7, 1),
            ("e\u{301}".to_owned(), Ucs2, 1),
            ("a\u{a0}b".to_owned(), Ucs2, 1),
            ("Α".to_owned(), Ucs2, 1),
            (format!("{}\r\n", "a".repeat(158)), Gsm7, 1),
            (format!("{}\r\n", "a".repeat(159)), Gsm7, 2),
            (String::new(), Gsm7, 1),
        ] {
            assert_eq!(sms_segments(&text), (coding, want), "{text}");
        }
    }

    /// Lays the units out one by one in an array of parts, as a sender's splitter does.
    fn brute_force(text: &str) -> u32 {
        let gsm = text.chars().all(|c| septets(c).is_some());
        let (single, series) = if gsm { (160, 153) } else { (70, 67) };
        let units: Vec<usize> =
            text.chars().map(|c| if gsm { septets(c).unwrap_or(0) as usize } else { c.len_utf16() }).collect();
        if units.iter().sum::<usize>() <= single {
            return 1;
        }
        let mut parts: Vec<Vec<u8>> = vec![Vec::new()];
        for unit in units {
            if parts[parts.len() - 1].len() + unit > series {
                parts.push(Vec::new());
            }
            let last = parts.len() - 1;
            parts[last].extend(std::iter::repeat_n(0, unit));
        }
        parts.len() as u32
    }

    proptest! {
        #[test]
        fn segments_agree_with_laying_out_every_unit(
            gsm in "[a-z€\\[\\]é\n]{0,700}", mixed in "[a-c€😀测ç]{0,300}", any in "\\PC{0,400}"
        ) {
            for text in [gsm, mixed, any] {
                prop_assert_eq!(sms_segments(&text).1, brute_force(&text));
            }
        }
    }
}

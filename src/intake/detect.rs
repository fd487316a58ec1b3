//! Finds the encoding of a list from its bytes.
//!
//! In order: the name given in the incident file, the byte-order mark, the NUL pattern of UTF-16, UTF-8 that holds, and
//! then the likeliest of a few legacy encodings, where a heading row that makes sense counts most. The sample is the
//! first MiB from the first byte that is not ASCII, however far down that is.

use super::delimiter;
use super::headings;
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{BIG5, Encoding, GB18030, GBK, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use std::io::{self, Read};

const SAMPLE: usize = 1024 * 1024;
const BLOCK: usize = 64 * 1024;

/// Names that are offered when a given name is not known, and that are common outside the WHATWG list.
const NAMES: [&str; 13] = [
    "utf-8",
    "utf-16le",
    "utf-16be",
    "utf-16",
    "gb18030",
    "gbk",
    "gb2312",
    "windows-1252",
    "iso-8859-1",
    "shift_jis",
    "big5",
    "euc-kr",
    "windows-1251",
];
const ALIASES: [(&str, &str); 10] = [
    ("utf-8-sig", "utf-8"),
    ("utf-8-bom", "utf-8"),
    ("utf16le", "utf-16le"),
    ("utf16be", "utf-16be"),
    ("utf16", "utf-16"),
    ("cp936", "gb18030"),
    ("latin-1", "windows-1252"),
    ("cp932", "shift_jis"),
    ("cp950", "big5"),
    ("ansi", "windows-1252"),
];

/// The two ends of a file that detection looks at.
pub(super) struct Sample {
    /// The first block of the file.
    pub(super) head: Vec<u8>,
    /// Up to a MiB from the block that holds the first byte beyond ASCII; empty when there is none.
    beyond_ascii: Vec<u8>,
}

/// Reads `file` as far as it takes to see its letters.
pub(super) fn sample(mut file: impl Read) -> io::Result<Sample> {
    let mut head = Vec::new();
    file.by_ref().take(BLOCK as u64).read_to_end(&mut head)?;
    let mut block = head.clone();
    while !block.is_empty() && block.is_ascii() {
        block.clear();
        file.by_ref().take(BLOCK as u64).read_to_end(&mut block)?;
    }
    if !block.is_empty() {
        file.take((SAMPLE - BLOCK) as u64).read_to_end(&mut block)?;
    }
    Ok(Sample { head, beyond_ascii: block })
}

/// An encoding and the length of the byte-order mark before the text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) encoding: &'static Encoding,
    pub(super) mark: usize,
}

/// The encoding named in the incident file, or the nearest name that exists.
pub(super) fn named(name: &str, head: &[u8]) -> Result<Found, String> {
    let wanted = name.trim().to_ascii_lowercase().replace('_', "-");
    let wanted = ALIASES.iter().find(|(alias, _)| *alias == wanted).map_or(wanted.as_str(), |(_, label)| label);
    let label = Encoding::for_label_no_replacement(wanted.as_bytes())
        .or_else(|| Encoding::for_label_no_replacement(name.trim().as_bytes()));
    let Some(encoding) = label else {
        let near = |candidate: &&&str| strsim::damerau_levenshtein(candidate, wanted);
        return Err(NAMES.iter().min_by_key(near).map_or("utf-8", |n| n).to_string());
    };
    let marked = Encoding::for_bom(head);
    Ok(match marked {
        // "UTF-16" leaves the byte order to the mark.
        Some((found, mark)) if found == encoding || (wanted == "utf-16" && found == UTF_16BE) => {
            Found { encoding: found, mark }
        }
        _ => Found { encoding: widest(encoding), mark: 0 },
    })
}

/// The encoding that the bytes themselves show.
pub(super) fn detected(sample: &Sample) -> Found {
    if let Some((encoding, mark)) = Encoding::for_bom(&sample.head) {
        return Found { encoding, mark };
    }
    let encoding = utf16_by_nul(&sample.head).unwrap_or_else(|| by_letters(sample));
    Found { encoding, mark: 0 }
}

/// Text in UTF-16 without a mark shows in its NULs: line ends, delimiters and digits have one each, all on one side.
fn utf16_by_nul(head: &[u8]) -> Option<&'static Encoding> {
    let pairs = head.len() / 2;
    let nul_at = |side: usize| head.iter().skip(side).step_by(2).filter(|b| **b == 0).count();
    let (even, odd) = (nul_at(0), nul_at(1));
    if pairs >= 2 && odd * 10 >= pairs && even * 10 <= odd {
        Some(UTF_16LE)
    } else if pairs >= 2 && even * 10 >= pairs && odd * 10 <= even {
        Some(UTF_16BE)
    } else {
        None
    }
}

fn by_letters(sample: &Sample) -> &'static Encoding {
    let bytes = &sample.beyond_ascii;
    let (good, bad) = utf8_sequences(bytes);
    // A few broken characters do not make a UTF-8 file another one: their rows are rejected by name.
    if bad * 20 <= good {
        return UTF_8;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    let guess = widest(detector.guess(None, Utf8Detection::Deny));
    let mut best = (guess, score(guess, sample));
    for candidate in [GB18030, WINDOWS_1252, SHIFT_JIS, BIG5] {
        let candidate_score = score(candidate, sample);
        if candidate_score > best.1 {
            best = (candidate, candidate_score);
        }
    }
    best.0
}

/// Headings that make sense first, then clean decoding; the detector's guess wins a tie because it is asked first.
fn score(encoding: &'static Encoding, sample: &Sample) -> (usize, bool) {
    let (head, _) = encoding.decode_without_bom_handling(&sample.head);
    let headings = delimiter::recognised_headings(&head, headings::field_of);
    let (_, failed) = encoding.decode_without_bom_handling(without_cut_character(&sample.beyond_ascii));
    (headings, !failed)
}

/// Up to the last line end, so that a character cut at the end of the sample does not count as an error.
fn without_cut_character(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|b| *b == b'\n').map_or(bytes.len(), |i| i + 1);
    &bytes[..end]
}

/// GB18030 holds all of GBK.
fn widest(encoding: &'static Encoding) -> &'static Encoding {
    if encoding == GBK { GB18030 } else { encoding }
}

/// How many characters beyond ASCII are well-formed UTF-8, and how many bytes belong to none.
fn utf8_sequences(bytes: &[u8]) -> (usize, usize) {
    let (mut good, mut bad) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        bad += chunk.invalid().len();
    }
    // A character may be cut at the end of the sample.
    if bad <= 3 && bytes.len() >= SAMPLE && good > 0 { (good, 0) } else { (good, bad) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8]) -> &'static str {
        detected(&sample(bytes).expect("memory does not fail")).encoding.name()
    }

    const CHINESE: &str = "客户编号,姓名,电子邮箱\n1,刘倩,a@example.org\n";
    const GERMAN: &str =
        "Kundennummer;Name;Straße;E-Mail\n1;Jörg Müller;Hauptstraße 7;j@example.org\n2;Zoë Groß;Bühl;z@example.org\n";

    #[test]
    fn each_encoding_is_found_without_a_mark() {
        assert_eq!(found(b"a,b\n1,2\n"), "UTF-8");
        assert_eq!(found(CHINESE.as_bytes()), "UTF-8");
        assert_eq!(found(&GB18030.encode(CHINESE).0), "gb18030");
        assert_eq!(found(&WINDOWS_1252.encode(GERMAN).0), "windows-1252");
        assert_eq!(found(&SHIFT_JIS.encode("顧客番号,氏名,メール\n1,山本さゆり,a@example.org\n").0), "Shift_JIS");
        let le: Vec<u8> = CHINESE.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = CHINESE.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!((found(&le), found(&be)), ("UTF-16LE", "UTF-16BE"));
    }

    #[test]
    fn english_headings_over_chinese_names_are_found_by_the_letters() {
        let text =
            "Customer No.,Full Name,E-mail\n1,刘倩,a@example.org\n2,赵婷婷,b@example.org\n3,王雪梅,c@example.org\n";
        assert_eq!(found(&GB18030.encode(text).0), "gb18030");
    }

    #[test]
    fn letters_that_come_late_are_seen() {
        let mut bytes = b"ref,name,email\n".to_vec();
        while bytes.len() < 300_000 {
            bytes.extend_from_slice(b"1,Jane,a@example.org\n");
        }
        bytes.extend_from_slice(&GB18030.encode("2,刘倩,a@example.org\n3,赵婷婷,b@example.org\n").0);
        assert_eq!(found(&bytes), "gb18030");
    }

    #[test]
    fn one_broken_character_does_not_change_the_encoding() {
        let mut bytes = CHINESE.repeat(20).into_bytes();
        bytes.extend_from_slice(b"9,\xff,x@example.org\n");
        assert_eq!(found(&bytes), "UTF-8");
    }

    #[test]
    fn names_are_taken_in_their_usual_spellings_and_the_nearest_is_offered() {
        for (name, want) in [
            ("UTF8", "UTF-8"),
            ("gbk", "gb18030"),
            ("GB2312", "gb18030"),
            ("cp1252", "windows-1252"),
            ("latin_1", "windows-1252"),
            ("UTF-16", "UTF-16LE"),
            ("Shift_JIS", "Shift_JIS"),
        ] {
            assert_eq!(named(name, b"").map(|f| f.encoding.name()), Ok(want));
        }
        assert_eq!(named("utf-16", b"\xfe\xff\0a").map(|f| (f.encoding, f.mark)), Ok((UTF_16BE, 2)));
        assert_eq!(named("gb18303", b""), Err("gb18030".to_owned()));
        assert_eq!(named("utf9", b""), Err("utf-8".to_owned()));
    }
}

//! Language tags and countries, from what lists write for them.
//!
//! A language becomes a BCP 47 tag in its canonical case, a country its ISO 3166-1 alpha-2 code. Names are known in the
//! seven languages of the house; extensions and private use of BCP 47 are cut off, because no text is chosen by them.

use super::headings::folded;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What says a language in a way of its own: with script or region, or a country's code in place of the language's.
const SPECIAL: [(&str, &str); 26] = [
    ("cn", "zh-CN"),
    ("jp", "ja"),
    ("br", "br"),
    ("中文简体", "zh-Hans"),
    ("简体中文", "zh-Hans"),
    ("简体", "zh-Hans"),
    ("simplified chinese", "zh-Hans"),
    ("chinese (simplified)", "zh-Hans"),
    ("繁体中文", "zh-Hant"),
    ("繁體中文", "zh-Hant"),
    ("traditional chinese", "zh-Hant"),
    ("chinese (traditional)", "zh-Hant"),
    ("汉语", "zh"),
    ("普通话", "zh"),
    ("mandarin", "zh"),
    ("日文", "ja"),
    ("英文", "en"),
    ("德文", "de"),
    ("法文", "fr"),
    ("brazilian portuguese", "pt-BR"),
    ("portuguese (brazil)", "pt-BR"),
    ("português do Brasil", "pt-BR"),
    ("português brasileiro", "pt-BR"),
    ("castellano", "es"),
    ("american english", "en-US"),
    ("british english", "en-GB"),
];

struct Languages {
    /// Two-letter codes.
    codes: HashMap<&'static str, ()>,
    /// Names and three-letter codes, folded.
    names: HashMap<String, &'static str>,
}

static LANGUAGES: LazyLock<Languages> = LazyLock::new(|| {
    let mut languages = Languages { codes: HashMap::new(), names: HashMap::new() };
    for (name, tag) in SPECIAL {
        languages.names.insert(folded(name), tag);
    }
    for line in include_str!("languages.tsv").lines().filter(|l| !l.starts_with('#')) {
        let mut parts = line.split('\t');
        let Some(code) = parts.next() else { continue };
        languages.codes.insert(code, ());
        for name in parts {
            languages.names.entry(folded(name)).or_insert(code);
        }
    }
    languages
});

/// Alpha-2, alpha-3 and names, folded, to alpha-2.
static COUNTRIES: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    let mut countries = HashMap::new();
    let lines = || include_str!("countries.tsv").lines().filter(|l| !l.starts_with('#'));
    // Codes before names, so that no name can hide a code.
    for line in lines() {
        let mut parts = line.split('\t');
        let Some(alpha2) = parts.next() else { continue };
        countries.insert(folded(alpha2), alpha2);
        if let Some(alpha3) = parts.next() {
            countries.insert(folded(alpha3), alpha2);
        }
    }
    for line in lines() {
        let mut parts = line.split('\t');
        let Some(alpha2) = parts.next() else { continue };
        for name in parts.skip(1) {
            countries.entry(folded(name)).or_insert(alpha2);
        }
    }
    countries
});

/// The ISO 3166-1 alpha-2 code of a country given as a code or a name.
pub(super) fn country_of(text: &str) -> Option<&'static str> {
    COUNTRIES.get(&folded(text)).copied()
}

/// The BCP 47 tag of a language given as a tag or a name.
pub fn locale_of(text: &str) -> Option<String> {
    // POSIX writes `zh_CN.UTF-8@variant`.
    let plain = text.split(['.', '@']).next().unwrap_or("").trim();
    tag_of(plain).or_else(|| LANGUAGES.names.get(&folded(text)).map(|tag| (*tag).to_owned()))
}

/// The region of a canonical tag, or nothing.
pub fn region_of(tag: &str) -> &str {
    tag.split('-').skip(1).find(|s| s.len() == 2).unwrap_or("")
}

fn tag_of(text: &str) -> Option<String> {
    let mut subtags = text.split(['-', '_']).peekable();
    let language = subtags.next()?.to_ascii_lowercase();
    let mut tag = match language.len() {
        2 if LANGUAGES.codes.contains_key(language.as_str()) => language,
        3 if language.bytes().all(|b| b.is_ascii_lowercase()) => match LANGUAGES.names.get(&language) {
            Some(two) => (*two).to_owned(),
            // A three-letter language without a two-letter code (`yue`, `fil`) is taken only with something behind it.
            None if text.len() > 3 || ["yue", "fil", "ceb", "haw", "wuu", "nan"].contains(&language.as_str()) => {
                language
            }
            None => return None,
        },
        _ => return None,
    };
    let (mut script, mut region) = (false, false);
    while let Some(subtag) = subtags.next() {
        let letters = subtag.bytes().all(|b| b.is_ascii_alphabetic());
        let sound = !subtag.is_empty() && subtag.len() <= 8 && subtag.bytes().all(|b| b.is_ascii_alphanumeric());
        if !sound {
            return None;
        }
        match subtag.len() {
            // An extension or private use; a letter with nothing behind it is a mistake.
            1 if subtags.peek().is_some() => break,
            4 if letters && !script && !region => {
                script = true;
                tag.push('-');
                tag.push_str(&subtag[..1].to_ascii_uppercase());
                tag.push_str(&subtag[1..].to_ascii_lowercase());
            }
            2 if letters && !region => {
                region = true;
                let upper = subtag.to_ascii_uppercase();
                tag.push('-');
                tag.push_str(if upper == "UK" { "GB" } else { &upper });
            }
            3 if !letters && subtag.bytes().all(|b| b.is_ascii_digit()) && !region => {
                region = true;
                tag.push('-');
                tag.push_str(subtag);
            }
            5..=8 => {
                tag.push('-');
                tag.push_str(&subtag.to_ascii_lowercase());
            }
            4 if subtag.starts_with(|c: char| c.is_ascii_digit()) => {
                tag.push('-');
                tag.push_str(&subtag.to_ascii_lowercase());
            }
            _ => return None,
        }
    }
    Some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_become_canonical_tags() {
        for (text, want) in [
            ("zh-CN", "zh-CN"),
            ("zh_CN", "zh-CN"),
            ("ZH-hans-cn", "zh-Hans-CN"),
            ("EN", "en"),
            ("en_US.UTF-8", "en-US"),
            ("German", "de"),
            ("Deutsch", "de"),
            ("Chinese", "zh"),
            ("中文", "zh"),
            ("日本語", "ja"),
            ("Français", "fr"),
            ("francais", "fr"),
            ("español", "es"),
            ("Português", "pt"),
            ("eng", "en"),
            ("ger", "de"),
            ("zho-TW", "zh-TW"),
            ("es-419", "es-419"),
            ("de-1996", "de-1996"),
            ("en-x-private", "en"),
            ("简体中文", "zh-Hans"),
            ("cn", "zh-CN"),
            ("en-uk", "en-GB"),
            ("pt-br", "pt-BR"),
            ("yue", "yue"),
        ] {
            assert_eq!(locale_of(text).as_deref(), Some(want), "{text}");
        }
        for text in ["", "xx", "klingon-language", "e", "en-", "zh-C", "123", "n/a", "en-US-US-US"] {
            assert_eq!(locale_of(text), None, "{text}");
        }
        assert_eq!((region_of("zh-Hans-CN"), region_of("de"), region_of("es-419")), ("CN", "", ""));
    }

    #[test]
    fn countries_become_codes() {
        for (text, want) in [
            ("CN", "CN"),
            ("cn", "CN"),
            ("CHN", "CN"),
            ("China", "CN"),
            ("中国", "CN"),
            ("Deutschland", "DE"),
            ("Allemagne", "DE"),
            ("Alemania", "DE"),
            ("ドイツ", "DE"),
            ("Alemanha", "DE"),
            ("USA", "US"),
            ("U.S.A.", "US"),
            ("UK", "GB"),
            ("España", "ES"),
            ("espana", "ES"),
            ("Brasil", "BR"),
            ("日本", "JP"),
            ("Hong Kong", "HK"),
            ("États-Unis", "US"),
            ("South Korea", "KR"),
        ] {
            assert_eq!(country_of(text), Some(want), "{text}");
        }
        for text in ["", "??", "ZZ", "Atlantis"] {
            assert_eq!(country_of(text), None, "{text}");
        }
    }
}

//! Which of the languages at hand serves a locale.

/// The tag among `have` that a reader of `want` reads best: the same tag, else the same script, else ever shorter
/// forms of it, else any region of the same language.
pub(super) fn best<'a>(want: &str, have: &[&'a str]) -> Option<&'a str> {
    let want = want.trim().replace('_', "-").to_ascii_lowercase();
    if want.is_empty() {
        return None;
    }
    let find = |tag: &str| have.iter().copied().find(|h| h.eq_ignore_ascii_case(tag));
    if let Some(same) = find(&want) {
        return Some(same);
    }
    let language = primary(&want);
    let same_language = || have.iter().copied().filter(|h| primary(&h.to_ascii_lowercase()) == language);
    if let Some(script) = script(&want)
        && let Some(found) = same_language().find(|h| self::script(&h.to_ascii_lowercase()) == Some(script))
    {
        return Some(found);
    }
    let mut shorter = want.as_str();
    while let Some((head, _)) = shorter.rsplit_once('-') {
        if let Some(found) = find(head) {
            return Some(found);
        }
        shorter = head;
    }
    same_language().next()
}

/// Old and alternative codes of the same language.
fn primary(tag: &str) -> &str {
    match tag.split('-').next().unwrap_or(tag) {
        "cmn" => "zh",
        "iw" => "he",
        "in" => "id",
        other => other,
    }
}

/// For Chinese, where the region decides how it is written.
fn script(tag: &str) -> Option<&'static str> {
    if primary(tag) != "zh" {
        return None;
    }
    let mut parts = tag.split('-').skip(1);
    parts
        .find_map(|part| match part {
            "hans" | "cn" | "sg" | "my" => Some("hans"),
            "hant" | "tw" | "hk" | "mo" => Some("hant"),
            _ => None,
        })
        .or(Some("hans"))
}

#[cfg(test)]
mod tests {
    use super::best;

    #[test]
    fn a_locale_finds_the_language_its_reader_reads_best() {
        let have = ["de", "en", "fr", "pt-BR", "zh-CN"];
        for (want, found) in [
            ("de", Some("de")),
            ("DE_at", Some("de")),
            ("en-Latn-GB", Some("en")),
            ("zh", Some("zh-CN")),
            ("zh-Hans-SG", Some("zh-CN")),
            ("cmn-Hans", Some("zh-CN")),
            ("zh-TW", Some("zh-CN")),
            ("pt", Some("pt-BR")),
            ("pt-PT", Some("pt-BR")),
            ("ko", None),
            ("", None),
            ("d", None),
        ] {
            assert_eq!(best(want, &have), found, "{want}");
        }
        assert_eq!(best("zh-HK", &["zh-CN", "zh-TW"]), Some("zh-TW"));
        assert_eq!(best("zh-SG", &["zh-TW", "zh-CN"]), Some("zh-CN"));
    }
}

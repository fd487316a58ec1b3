//! The word that somebody probably meant: every message about an unknown key or word offers the nearest valid one.

/// The valid word nearest to `word`, or `None` when none is near enough to be what was meant.
pub fn nearest<S: AsRef<str>>(word: &str, valid: impl IntoIterator<Item = S>) -> Option<String> {
    let plain = |w: &str| w.trim().to_lowercase().replace(['-', ' ', '.'], "_");
    let meant = plain(word);
    let tolerated = 1 + meant.chars().count() / 3;
    valid
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&meant, &plain(candidate.as_ref())), candidate))
        .filter(|(distance, _)| *distance <= tolerated)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.as_ref().to_owned())
}

/// The end of a sentence about an unknown word: `; did you mean …?`, else the valid words.
pub fn suggestion<S: AsRef<str>>(word: &str, valid: impl IntoIterator<Item = S>) -> String {
    let valid: Vec<S> = valid.into_iter().collect();
    match nearest(word, &valid) {
        Some(candidate) => format!("; did you mean `{candidate}`?"),
        None if valid.is_empty() => "; there are none".to_owned(),
        None => format!("; valid here: {}", valid.iter().map(S::as_ref).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_and_a_far_one_is_not() {
        let keys = ["domain_limits", "limits", "weight", "concurrency"];
        for (word, want) in [
            ("domain_limit", Some("domain_limits")),
            ("Domain-Limits", Some("domain_limits")),
            ("limit", Some("limits")),
            ("wieght", Some("weight")),
            ("colour", None),
        ] {
            assert_eq!(nearest(word, keys).as_deref(), want, "{word}");
        }
        assert_eq!(suggestion("wieght", keys), "; did you mean `weight`?");
        assert_eq!(suggestion("zzz", ["a", "b"]), "; valid here: a, b");
        assert_eq!(suggestion("zzz", [""; 0]), "; there are none");
    }
}

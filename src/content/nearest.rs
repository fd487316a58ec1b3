//! The nearest known word to one that is not known, for messages.

/// The candidate that looks most like `word`, where one looks like it at all.
pub(super) fn nearest<S: AsRef<str>>(word: &str, candidates: &[S]) -> Option<String> {
    candidates
        .iter()
        .map(|c| (strsim::jaro_winkler(word, c.as_ref()), c.as_ref()))
        .filter(|(score, _)| *score > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, c)| c.to_owned())
}

/// The end of a sentence that offers the nearest word, or all of them.
pub(super) fn offer<S: AsRef<str>>(word: &str, candidates: &[S]) -> String {
    match nearest(word, candidates) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are: {}", candidates.iter().map(|c| c.as_ref()).collect::<Vec<_>>().join(", ")),
    }
}

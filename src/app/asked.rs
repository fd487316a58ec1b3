//! How many questions this process has put to providers, and what came of them.

use crate::providers::lookup::LookUp;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Counted by route and result.
#[derive(Debug, Default)]
pub struct Asked(Mutex<BTreeMap<(String, &'static str), u64>>);

impl Asked {
    pub(super) fn count(&self, route: &str, found: &Result<LookUp, String>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((route.to_owned(), result(found))).or_default() += 1;
    }

    /// (route, result, how many).
    pub(super) fn counts(&self) -> Vec<(String, &'static str, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|((route, result), n)| (route.clone(), *result, *n)).collect()
    }
}

/// A fixed word: what a provider says itself is no label.
fn result(found: &Result<LookUp, String>) -> &'static str {
    match found {
        Ok(LookUp::Found(_)) => "found",
        Ok(LookUp::NotFound) => "never-sent",
        Ok(LookUp::Unknown(_)) => "nobody-can-say",
        Err(_) => "not-asked",
    }
}

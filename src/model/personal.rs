//! Text about a person that must not leak: it prints as `‹personal›` and comes out only by `reveal()`.

use std::fmt;

/// A name, an address, a merge value. `Debug` and `Display` never show it; a rule test limits the
/// modules that may call [`Personal::reveal`].
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Personal(String);

impl Personal {
    pub fn new(text: impl Into<String>) -> Personal {
        Personal(text.into())
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// How many characters it has.
    pub fn chars(&self) -> usize {
        self.0.chars().count()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹personal›")
    }
}

impl fmt::Display for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹personal›")
    }
}

//! How a telephone call ended, and what its flags decide. The list is a file, `dispositions.toml`, carried in the binary.

use serde::Deserialize;
use std::collections::BTreeMap;

const BUILT_IN: &str = include_str!("dispositions.toml");
/// The language every name is in at least.
const FALLBACK: &str = "en";

/// One way a call can end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposition {
    pub id: String,
    /// H: a human answered.
    pub human: bool,
    /// C: it was the right person.
    pub right_person: bool,
    /// T: no further call.
    pub last: bool,
    /// R: call again.
    pub again: bool,
    pub then: Option<Then>,
    pub means: Meaning,
    /// By BCP 47 language.
    names: BTreeMap<String, String>,
}

/// The step that follows beside what the flags say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    CorrectContact,
    OtherChannel,
    NextOfKin,
    Guardian,
}

/// What becomes of the notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    /// The person knows.
    Told,
    /// Not by this channel.
    Refused,
    /// Not at this number.
    BadNumber,
    /// The call is still owed.
    Again,
    /// A person must decide how to go on.
    Human,
}

/// The list, in the order callers see it.
#[derive(Clone, Debug)]
pub struct Dispositions {
    all: Vec<Disposition>,
    words: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug, thiserror::Error)]
pub enum DispositionsError {
    #[error("the list of dispositions cannot be read: {message}")]
    Unreadable { message: String },
    #[error("disposition `{id}`: flags are letters of H C T R, each at most once, and never both T and R")]
    Flags { id: String },
    #[error("disposition `{id}`: `again` goes with the flag R, and `told` with H, C and T")]
    Meaning { id: String },
    #[error("disposition `{id}`: stands twice in the list")]
    Twice { id: String },
    #[error("`{id}`: has no name in English (en)")]
    NoName { id: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListFile {
    disposition: Vec<DispositionEntry>,
    words: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DispositionEntry {
    id: String,
    flags: String,
    then: Option<Then>,
    means: Meaning,
    names: BTreeMap<String, String>,
}

impl Dispositions {
    /// The list in the binary.
    pub fn built_in() -> Result<Dispositions, DispositionsError> {
        Dispositions::parse(BUILT_IN)
    }

    pub fn parse(text: &str) -> Result<Dispositions, DispositionsError> {
        let file: ListFile = toml::from_str(text)
            .map_err(|error| DispositionsError::Unreadable { message: error.message().to_owned() })?;
        let mut all: Vec<Disposition> = Vec::new();
        for entry in file.disposition {
            let disposition = disposition(entry)?;
            if all.iter().any(|known| known.id == disposition.id) {
                return Err(DispositionsError::Twice { id: disposition.id });
            }
            all.push(disposition);
        }
        match file.words.iter().find(|(_, names)| !names.contains_key(FALLBACK)) {
            Some((id, _)) => Err(DispositionsError::NoName { id: id.clone() }),
            None => Ok(Dispositions { all, words: file.words }),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Disposition> {
        self.all.iter()
    }

    /// The disposition that somebody wrote: its id, or its name in any language; case does not matter.
    pub fn find(&self, written: &str) -> Option<&Disposition> {
        let wanted = written.trim().to_lowercase();
        let by_id = self.all.iter().find(|d| d.id == wanted);
        by_id.or_else(|| self.all.iter().find(|d| d.names.values().any(|name| name.to_lowercase() == wanted)))
    }

    /// A word printed on a sheet, in the language or in English.
    pub fn word(&self, id: &str, language: &str) -> &str {
        self.words.get(id).map_or("", |names| in_language(names, language))
    }
}

impl Disposition {
    /// The name in the language, in another variant of it, or in English.
    pub fn name(&self, language: &str) -> &str {
        in_language(&self.names, language)
    }
}

fn in_language<'a>(names: &'a BTreeMap<String, String>, language: &str) -> &'a str {
    let base = |tag: &str| tag.split('-').next().unwrap_or_default().to_lowercase();
    let exact = names.get(language);
    let near = || names.iter().find(|(tag, _)| base(tag) == base(language)).map(|(_, name)| name);
    exact.or_else(near).or_else(|| names.get(FALLBACK)).map_or("", String::as_str)
}

fn disposition(entry: DispositionEntry) -> Result<Disposition, DispositionsError> {
    let has = |flag: char| entry.flags.contains(flag);
    let known = entry.flags.chars().all(|c| "HCTR".contains(c) && entry.flags.matches(c).count() == 1);
    if !known || (has('T') && has('R')) {
        return Err(DispositionsError::Flags { id: entry.id });
    }
    let told_in_full = has('H') && has('C') && has('T');
    if (entry.means == Meaning::Again) != has('R') || (entry.means == Meaning::Told && !told_in_full) {
        return Err(DispositionsError::Meaning { id: entry.id });
    }
    if !entry.names.contains_key(FALLBACK) {
        return Err(DispositionsError::NoName { id: entry.id });
    }
    Ok(Disposition {
        human: has('H'),
        right_person: has('C'),
        last: has('T'),
        again: has('R'),
        then: entry.then,
        means: entry.means,
        id: entry.id,
        names: entry.names,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANGUAGES: [&str; 7] = ["en", "zh-CN", "de", "fr", "es", "ja", "pt-BR"];

    #[test]
    fn every_disposition_has_a_name_of_its_own_in_every_language() {
        let list = Dispositions::built_in().expect("valid");
        assert_eq!(list.iter().count(), 16);
        for language in LANGUAGES {
            for disposition in list.iter() {
                assert!(disposition.names.contains_key(language), "{} in {language}", disposition.id);
                assert_eq!(list.find(&disposition.name(language).to_uppercase()), Some(disposition));
            }
            for id in ["title", "phone", "reference", "outcome", "note", "caller"] {
                assert!(list.words.get(id).is_some_and(|names| names.contains_key(language)), "{id} in {language}");
            }
        }
        let informed = list.find(" Informed ").expect("known");
        assert!(informed.human && informed.right_person && informed.last && !informed.again);
        assert_eq!(list.find("nothing of the kind"), None);
        assert_eq!(informed.name("pt"), "Pessoa informada");
        assert_eq!(informed.name("sv"), "Person informed");
    }

    #[test]
    fn a_bad_list_is_refused() {
        let one = |flags: &str, id: &str| {
            format!(
                "[[disposition]]\nid = \"{id}\"\nflags = \"{flags}\"\nmeans = \"human\"\nnames = {{ en = \"x\" }}\n"
            )
        };
        for (text, want) in [
            (one("TR", "a") + "[words]", "never both"),
            (one("X", "a") + "[words]", "letters"),
            (one("HH", "a") + "[words]", "letters"),
            (one("H", "a") + &one("T", "a") + "[words]", "twice"),
            (one("R", "a") + "[words]", "goes with the flag R"),
            (one("HT", "a").replace("human", "told") + "[words]", "`told` with H, C and T"),
            (one("H", "a").replace("{ en", "{ de") + "[words]", "English"),
            (one("H", "a") + "colour = 1\n[words]", "unknown field"),
        ] {
            let error = Dispositions::parse(&text).expect_err(&text).to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}

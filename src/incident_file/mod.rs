//! An incident file (`incident.toml`) as a checked [`Incident`]: what happened, whom a campaign tells, and how.
//!
//! Every problem of the file is reported at once. What needs more than the file is checked later: whether the
//! lists can be read (intake), whether the texts satisfy the templates (content), whether routes exist.

mod campaign;
mod source;

use crate::model::incident::{Incident, IncidentText, Zoned};
use crate::model::problem::Problem;
use crate::model::time::Micros;
use crate::toml_file::{self, Examined, Place, ReadTomlError, Table, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// Longest `id`: it stands in file names and subjects.
const LONGEST_ID: usize = 64;
/// Further clocks a regime may start from.
const CLOCKS: [&str; 5] = ["suspected", "aware", "determined", "assessed", "classified"];

/// Reads and checks an incident file. `now` is what "in the future" is measured against.
pub fn load(file: &Path, now: Micros) -> Result<Incident, ReadTomlError> {
    let text = toml_file::read_text(file)?;
    match parse(file, &text, now) {
        Ok(examined) => Ok(examined.value),
        Err(problems) => Err(ReadTomlError::Refused { path: file.to_path_buf(), problems }),
    }
}

/// Checks the text of an incident file; `file` is where it stands, for messages and relative paths.
pub fn parse(file: &Path, text: &str, now: Micros) -> Result<Examined<Incident>, Vec<Problem>> {
    let folder = file.parent().unwrap_or(Path::new(""));
    toml_file::examine(&file.display().to_string(), text, |root| {
        let facts = facts(root.table("incident"), now);
        let campaign = campaign::plan(root.table("campaign"));
        let sources = source::sources(folder, root);
        let facts = facts?;
        Some(Incident {
            id: facts.id,
            title: facts.title,
            occurred_from: facts.occurred_from,
            occurred_until: facts.occurred_until,
            discovered: facts.discovered,
            clocks: facts.clocks,
            data_types: facts.data_types,
            texts: facts.texts,
            campaign: campaign?,
            sources,
        })
    })
}

/// The `[incident]` table.
struct Facts {
    id: String,
    title: String,
    occurred_from: Option<Zoned>,
    occurred_until: Option<Zoned>,
    discovered: Zoned,
    clocks: BTreeMap<String, Zoned>,
    data_types: Vec<String>,
    texts: BTreeMap<String, IncidentText>,
}

fn facts(mut table: Table<'_>, now: Micros) -> Option<Facts> {
    let id = table.required("id", "write id = \"2026-001\"").and_then(Value::text);
    let id = id.and_then(|text| text.parse("bad-id", incident_id));
    let title = table.required("title", "write one line that says what happened").and_then(Value::text);
    let title = title.and_then(|text| text.parse("bad-text", one_line));
    let how = "write when the breach was discovered, as discovered = 2026-11-03T09:30:00+08:00";
    let discovered = table.required("discovered", how).and_then(|value| past(value, now));
    let (occurred_from, occurred_until) = occurred(&mut table, discovered.as_ref(), now);
    let mut clocks = BTreeMap::new();
    for name in CLOCKS {
        if let Some(at) = table.value(name).and_then(|value| past(value, now)) {
            clocks.insert(name.to_owned(), at);
        }
    }
    let data_types = data_types(&mut table);
    let texts = texts(table.table("text"));
    Some(Facts {
        id: id?,
        title: title?,
        occurred_from,
        occurred_until,
        discovered: discovered?,
        clocks,
        data_types,
        texts,
    })
}

fn incident_id(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if text.is_empty() || text.len() > LONGEST_ID || !text.chars().all(plain) || text.starts_with('.') {
        return Err(format!("must be 1 to {LONGEST_ID} letters, digits, `.`, `_` or `-`, not beginning with `.`"));
    }
    Ok(text.to_owned())
}

/// A text that may stand in a subject line.
fn one_line(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("must be one line without control characters: it may stand in a subject".to_owned());
    }
    match text.trim() {
        "" => Err("is empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// An instant that is not later than now.
fn past(value: Value<'_>, now: Micros) -> Option<Zoned> {
    value.moment()?.parse("in-the-future", |at| {
        if at.timestamp().as_microsecond() > now {
            return Err("is in the future; correct the date, the time or the offset".to_owned());
        }
        Ok(at)
    })
}

/// `occurred`, or `occurred_from` and `occurred_until`, as the two ends.
fn occurred(table: &mut Table<'_>, discovered: Option<&Zoned>, now: Micros) -> (Option<Zoned>, Option<Zoned>) {
    let mut end = |key| -> Option<(Place<'_>, Zoned)> {
        let value = table.value(key)?;
        Some((value.place.clone(), past(value, now)?))
    };
    let (once, from, until) = (end("occurred"), end("occurred_from"), end("occurred_until"));
    if let (Some((place, _)), true) = (&once, from.is_some() || until.is_some()) {
        place.problem("occurred-twice", "stands beside occurred_from or occurred_until; keep one or the other");
    }
    if let (Some((place, from)), Some((_, until))) = (&from, &until)
        && from > until
    {
        place.problem("bad-order", "is later than occurred_until");
    }
    for (place, at) in [&once, &from].into_iter().flatten() {
        if discovered.is_some_and(|d| at > d) {
            place.problem("bad-order", "is later than `incident.discovered`; one of the two is wrong");
        }
    }
    let once = once.map(|(_, at)| at);
    let from = from.map(|(_, at)| at).or_else(|| once.clone());
    let until = until.map(|(_, at)| at).or(once);
    (from, until)
}

fn data_types(table: &mut Table<'_>) -> Vec<String> {
    let how = "write which data were affected, as data_types = [\"name\", \"phone\"]";
    let Some(value) = table.required("data_types", how) else { return Vec::new() };
    let place = value.place.clone();
    let Some(list) = value.list() else { return Vec::new() };
    if list.is_empty() {
        place.problem("missing-key", format!("is empty; {how}"));
    }
    let mut types: Vec<String> = Vec::new();
    for text in list.into_iter().filter_map(Value::text) {
        let known = text.parse("bad-id", |id| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if id.is_empty() || id.len() > LONGEST_ID || !id.chars().all(plain) {
                return Err("must be small letters, digits and `-`, as id-number".to_owned());
            }
            if types.iter().any(|t| t == id) {
                return Err("stands in the list already".to_owned());
            }
            Ok(id.to_owned())
        });
        types.extend(known);
    }
    types
}

fn texts(mut table: Table<'_>) -> BTreeMap<String, IncidentText> {
    let mut texts = BTreeMap::new();
    for (language, value) in table.entries() {
        if !is_language(language) {
            value.place.problem("bad-language", "is no language tag; write the table as [incident.text.en]");
        }
        let Some(mut table) = value.table() else { continue };
        let mut text = IncidentText::new();
        for (key, value) in table.entries() {
            let Some(written) = value.text() else { continue };
            let written = written.parse("bad-text", |t| {
                if t.chars().any(|c| c.is_control() && !['\n', '\r', '\t'].contains(&c)) {
                    return Err("holds control characters; take them out".to_owned());
                }
                Ok(t.to_owned())
            });
            text.extend(written.map(|t| (key.to_owned(), t)));
        }
        texts.insert(language.to_owned(), text);
    }
    texts
}

/// Whether the text has the shape of a BCP 47 tag.
fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let first = parts.next().is_some_and(|p| (2..=3).contains(&p.len()) && p.chars().all(|c| c.is_ascii_alphabetic()));
    first && parts.all(|p| (1..=8).contains(&p.len()) && p.chars().all(|c| c.is_ascii_alphanumeric()))
}

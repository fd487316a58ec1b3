//! Strict reading of the TOML files that people write: config.toml and incident files.
//!
//! A reader asks a [`Table`] for the keys it knows. Whatever is in the file and was not asked for is reported with
//! its line and the nearest key that was, so the reading code is the only schema. Every problem of a file is
//! collected, not only the first. Deliberately absent: serde. Its derived errors stop at the first problem and know
//! no lines inside nested tables.

use crate::model::nearest::suggestion;
use crate::model::problem::Problem;
use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// How many errors of syntax are reported.
const MOST_SYNTAX_ERRORS: usize = 20;

/// Why a TOML file gave no value.
#[derive(Debug, thiserror::Error)]
pub enum ReadTomlError {
    #[error("cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{} has {} problem(s)", path.display(), problems.len())]
    Refused { path: PathBuf, problems: Vec<Problem> },
}

/// The text of a file; a file that is not UTF-8 is refused like any other bad content.
pub fn read_text(path: &Path) -> Result<String, ReadTomlError> {
    let bytes = fs_err::read(path).map_err(|source| ReadTomlError::Unreadable { path: path.to_path_buf(), source })?;
    String::from_utf8(bytes).map_err(|e| {
        let good = e.utf8_error().valid_up_to();
        let line = 1 + e.as_bytes().iter().take(good).filter(|b| **b == b'\n').count();
        let message = format!("{} line {line}: not UTF-8 text; save the file as UTF-8", path.display());
        ReadTomlError::Refused { path: path.to_path_buf(), problems: vec![Problem::new("not-utf8", "", message)] }
    })
}

/// What came out of a document.
#[derive(Debug)]
pub struct Examined<T> {
    pub value: T,
    /// Keys that were asked for and stand nowhere in the file, as `route[].limits`.
    pub absent: Vec<String>,
}

/// Parses `text` and gives its root table to `read`. `read` returns `None` where a problem it reported kept it from
/// making a value. `file` is the name that messages print.
pub fn examine<T>(
    file: &str,
    text: &str,
    read: impl FnOnce(&mut Table<'_>) -> Option<T>,
) -> Result<Examined<T>, Vec<Problem>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let findings = Findings::new(file, text);
    // One slip of the pen can make the parser stumble over all that follows.
    for error in errors.iter().take(MOST_SYNTAX_ERRORS) {
        let place = Place { findings: &findings, path: String::new(), line: error.span().map(|s| findings.line(&s)) };
        place.problem("bad-toml", format!("not valid TOML: {}", error.message()));
    }
    if !errors.is_empty() {
        return Err(findings.into_problems());
    }
    let value = {
        let mut table = Table::new(&findings, String::new(), None, Some(root.get_ref()));
        read(&mut table)
    };
    let absent = findings.absent();
    let mut problems = findings.into_problems();
    match value {
        Some(value) if problems.is_empty() => Ok(Examined { value, absent }),
        Some(_) => Err(problems),
        None => {
            if problems.is_empty() {
                problems.push(Problem::new("incomplete", "", format!("{file}: the file is not complete")));
            }
            Err(problems)
        }
    }
}

/// What is being collected while a document is read.
struct Findings<'d> {
    file: &'d str,
    text: &'d str,
    problems: RefCell<Vec<(Option<usize>, Problem)>>,
    asked: RefCell<BTreeSet<String>>,
    set: RefCell<BTreeSet<String>>,
}

impl<'d> Findings<'d> {
    fn new(file: &'d str, text: &'d str) -> Findings<'d> {
        Findings { file, text, problems: RefCell::default(), asked: RefCell::default(), set: RefCell::default() }
    }

    fn line(&self, span: &Range<usize>) -> usize {
        1 + self.text.bytes().take(span.start).filter(|b| *b == b'\n').count()
    }

    fn absent(&self) -> Vec<String> {
        self.asked.borrow().difference(&self.set.borrow()).cloned().collect()
    }

    /// The problems in the order of the file; those without a line come last.
    fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|(line, _)| line.unwrap_or(usize::MAX));
        problems.into_iter().map(|(_, problem)| problem).collect()
    }
}

/// Where something stands in a document, so that a problem can say so.
#[derive(Clone)]
pub struct Place<'d> {
    findings: &'d Findings<'d>,
    path: String,
    line: Option<usize>,
}

impl Place<'_> {
    /// Reports a problem here. The message reads on from the key: "must be at least 1".
    pub fn problem(&self, code: &'static str, message: impl AsRef<str>) {
        let line = self.line.map(|l| format!(" line {l}")).unwrap_or_default();
        let key = if self.path.is_empty() { String::new() } else { format!("`{}` ", self.path.escape_debug()) };
        let message = format!("{}{line}: {key}{}", self.findings.file, message.as_ref());
        self.findings.problems.borrow_mut().push((self.line, Problem::new(code, &self.path, message)));
    }
}

/// A value and its place.
pub struct Located<'d, T> {
    pub value: T,
    pub place: Place<'d>,
}

impl<'d, T> Located<'d, T> {
    /// The value made into another; what is wrong with it is reported at its place under `code`.
    pub fn parse<U>(self, code: &'static str, make: impl FnOnce(T) -> Result<U, String>) -> Option<U> {
        match make(self.value) {
            Ok(made) => Some(made),
            Err(message) => {
                self.place.problem(code, message);
                None
            }
        }
    }
}

impl<'d> Located<'d, &'d str> {
    /// The choice that this word names.
    pub fn choose<T: Copy>(self, choices: &[(&str, T)]) -> Option<T> {
        self.parse("unknown-word", |word| match choices.iter().find(|(name, _)| *name == word) {
            Some((_, choice)) => Ok(*choice),
            None => {
                Err(format!("cannot be `{}`{}", word.escape_debug(), suggestion(word, choices.iter().map(|(n, _)| *n))))
            }
        })
    }
}

/// A value of any type; the readers below say what was expected when it is of another.
pub type Value<'d> = Located<'d, &'d DeValue<'d>>;

impl<'d> Value<'d> {
    fn typed<T>(self, wanted: &str, take: impl FnOnce(&'d DeValue<'d>) -> Option<T>) -> Option<Located<'d, T>> {
        let Some(value) = take(self.value) else {
            self.place.problem("wrong-type", format!("must be {wanted}, and it is {}", described(self.value)));
            return None;
        };
        Some(Located { value, place: self.place })
    }

    pub fn text(self) -> Option<Located<'d, &'d str>> {
        self.typed("a text in quotes", |v| v.as_str())
    }

    pub fn flag(self) -> Option<Located<'d, bool>> {
        self.typed("true or false", DeValue::as_bool)
    }

    /// A whole number between `least` and `most`.
    pub fn number(self, least: i64, most: i64) -> Option<Located<'d, i64>> {
        let number = self.typed("a whole number", DeValue::as_integer)?;
        match i64::from_str_radix(number.value.as_str(), number.value.radix()) {
            Ok(value) if (least..=most).contains(&value) => Some(Located { value, place: number.place }),
            Ok(_) | Err(_) => {
                number.place.problem("out-of-range", format!("must be from {least} to {most}"));
                None
            }
        }
    }

    /// An instant with its offset, in the zone it was written in.
    pub fn moment(self) -> Option<Located<'d, jiff::ZonedDateTime>> {
        let written =
            self.typed("a date and time without quotes, as 2026-11-03T09:30:00+08:00", |v| v.as_datetime())?;
        let place = written.place.clone();
        let value = written.parse("bad-time", zoned)?;
        Some(Located { value, place })
    }

    pub fn list(self) -> Option<Vec<Value<'d>>> {
        let list = self.typed("a list in [ ]", |v| v.as_array())?;
        Some(list.value.iter().enumerate().map(|(i, item)| list.place.item(i, item)).collect())
    }

    pub fn table(self) -> Option<Table<'d>> {
        let table = self.typed("a table", |v| v.as_table())?;
        Some(Table::new(table.place.findings, table.place.path, table.place.line, Some(table.value)))
    }
}

impl<'d> Place<'d> {
    /// The item of a list, counted from 1.
    fn item(&self, index: usize, item: &'d Spanned<DeValue<'d>>) -> Value<'d> {
        let place = Place {
            findings: self.findings,
            path: format!("{}[{}]", self.path, index + 1),
            line: Some(self.findings.line(&item.span())),
        };
        Located { value: item.get_ref(), place }
    }
}

fn described(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text in quotes",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn zoned(written: &toml::value::Datetime) -> Result<jiff::ZonedDateTime, String> {
    const HOW: &str = "write date, time and offset from UTC, as 2026-11-03T09:30:00+08:00";
    let Some(date) = written.date else { return Err(format!("has no date; {HOW}")) };
    let Some(time) = written.time else { return Err(format!("has no time of day; {HOW}")) };
    let minutes = match written.offset {
        None => return Err(format!("has no offset, so the instant is not known; {HOW}")),
        Some(toml::value::Offset::Z) => 0,
        Some(toml::value::Offset::Custom { minutes }) => minutes,
    };
    let parts = (|| {
        let date = civil::Date::new(i16::try_from(date.year).ok()?, as_i8(date.month)?, as_i8(date.day)?).ok()?;
        let nanosecond = i32::try_from(time.nanosecond.unwrap_or(0)).ok()?;
        let second = as_i8(time.second.unwrap_or(0))?;
        let time = civil::Time::new(as_i8(time.hour)?, as_i8(time.minute)?, second, nanosecond).ok()?;
        let offset = Offset::from_seconds(i32::from(minutes) * 60).ok()?;
        date.to_datetime(time).to_zoned_datetime(TimeZone::fixed(offset)).ok()
    })();
    parts.ok_or_else(|| format!("is no date and time of the calendar; {HOW}"))
}

fn as_i8(number: u8) -> Option<i8> {
    i8::try_from(number).ok()
}

/// A table of the document, or the place where one could stand. When it is dropped, the keys that nobody asked for
/// are reported.
pub struct Table<'d> {
    place: Place<'d>,
    entries: Option<&'d DeTable<'d>>,
    asked: Vec<&'static str>,
    /// True when every key is allowed: the table was read by [`Table::entries`].
    open: bool,
}

impl<'d> Table<'d> {
    fn new(
        findings: &'d Findings<'d>,
        path: String,
        line: Option<usize>,
        entries: Option<&'d DeTable<'d>>,
    ) -> Table<'d> {
        Table { place: Place { findings, path, line }, entries, asked: Vec::new(), open: false }
    }

    pub fn place(&self) -> &Place<'d> {
        &self.place
    }

    /// Whether the table stands in the file at all.
    pub fn is_present(&self) -> bool {
        self.entries.is_some()
    }

    fn below(&self, key: &str) -> String {
        if self.place.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place.path) }
    }

    /// The value of a key, of whatever type.
    pub fn value(&mut self, key: &'static str) -> Option<Value<'d>> {
        self.asked.push(key);
        let path = self.below(key);
        let findings = self.place.findings;
        findings.asked.borrow_mut().insert(without_indices(&path));
        let (key, value) = self.entries?.iter().find(|(k, _)| k.get_ref().as_ref() == key)?;
        findings.set.borrow_mut().insert(without_indices(&path));
        let place = Place { findings, path, line: Some(findings.line(&key.span())) };
        Some(Located { value: value.get_ref(), place })
    }

    /// As [`Table::value`]; an absent key is a problem, and `how` says how to write it.
    pub fn required(&mut self, key: &'static str, how: &str) -> Option<Value<'d>> {
        let value = self.value(key);
        if value.is_none() {
            self.missing(key, how);
        }
        value
    }

    /// Reports that a key is missing here.
    pub fn missing(&self, key: &str, how: &str) {
        let place = Place { path: self.below(key), ..self.place.clone() };
        place.problem("missing-key", format!("is missing; {how}"));
    }

    /// The table of that name; an absent one can be asked too, and has nothing.
    pub fn table(&mut self, key: &'static str) -> Table<'d> {
        let found = self.value(key).and_then(Value::table);
        found.unwrap_or_else(|| Table::new(self.place.findings, self.below(key), self.place.line, None))
    }

    /// The tables of a list: `[[key]]`, or `key = [{ … }]`.
    pub fn tables(&mut self, key: &'static str) -> Vec<Table<'d>> {
        let list = self.value(key).and_then(Value::list).unwrap_or_default();
        list.into_iter().filter_map(Value::table).collect()
    }

    /// Every entry, in the order of the keys: for tables whose keys are not ours to know.
    pub fn entries(&mut self) -> Vec<(&'d str, Value<'d>)> {
        self.open = true;
        let Some(entries) = self.entries else { return Vec::new() };
        let mut found = Vec::new();
        for (key, value) in entries {
            let findings = self.place.findings;
            let name: &'d str = key.get_ref().as_ref();
            let place = Place { findings, path: self.below(name), line: Some(findings.line(&key.span())) };
            found.push((name, Located { value: value.get_ref(), place }));
        }
        found
    }
}

impl Drop for Table<'_> {
    fn drop(&mut self) {
        let Some(entries) = self.entries.filter(|_| !self.open) else { return };
        for key in entries.keys().filter(|k| !self.asked.contains(&k.get_ref().as_ref())) {
            let name: &str = key.get_ref().as_ref();
            let findings = self.place.findings;
            let place = Place { findings, path: self.below(name), line: Some(findings.line(&key.span())) };
            place.problem(
                "unknown-key",
                format!("is not a key that is known here{}", suggestion(name, self.asked.iter().copied())),
            );
        }
    }
}

/// `route[2].limits[1].rate` as `route[].limits[].rate`.
fn without_indices(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|c| {
            inside = (inside || *c == '[') && *c != ']';
            !(inside && c.is_ascii_digit())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `[a]` with a text `name`, a number `size` of 1 to 9 and a moment `at`, and a list of tables `part`.
    fn check(text: &str) -> Vec<String> {
        let read = examine("f.toml", text, |root| {
            let mut a = root.table("a");
            let name = a.required("name", "write it").and_then(Value::text);
            let size = a.value("size").and_then(|v| v.number(1, 9));
            let at = a.value("at").and_then(Value::moment);
            for mut part in root.tables("part") {
                part.value("colour").and_then(Value::text)?.choose(&[("red", 1), ("green", 2)])?;
            }
            Some((name?.value.to_owned(), size.map(|s| s.value), at.map(|m| m.value)))
        });
        match read {
            Ok(_) => Vec::new(),
            Err(problems) => problems.into_iter().map(|p| format!("{} | {}", p.code, p.message)).collect(),
        }
    }

    #[test]
    fn every_problem_is_reported_with_its_line() {
        let got = check("[a]\nnmae = 'x'\nsize = 10\nat = 2026-11-03T09:30:00\n\n[[part]]\ncolour = 'gren'\n[b]\n");
        let want = [
            "missing-key | f.toml line 1: `a.name` is missing; write it",
            "unknown-key | f.toml line 2: `a.nmae` is not a key that is known here; did you mean `name`?",
            "out-of-range | f.toml line 3: `a.size` must be from 1 to 9",
            "bad-time | f.toml line 4: `a.at` has no offset, so the instant is not known; write date, time and \
             offset from UTC, as 2026-11-03T09:30:00+08:00",
            "unknown-word | f.toml line 7: `part[1].colour` cannot be `gren`; did you mean `green`?",
            "unknown-key | f.toml line 8: `b` is not a key that is known here; did you mean `a`?",
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn wrong_types_say_what_was_expected() {
        for (value, want) in [
            ("name = 1", "`a.name` must be a text in quotes, and it is a whole number"),
            ("name = 'x'\nsize = '1'", "`a.size` must be a whole number, and it is a text in quotes"),
            ("name = 'x'\nsize = 99999999999999999999", "`a.size` must be from 1 to 9"),
            ("name = 'x'\nat = 2026-11-03", "`a.at` has no time of day"),
            ("name = 'x'\nat = 10:00:00", "`a.at` has no date"),
        ] {
            let got = check(&format!("[a]\n{value}\n"));
            assert!(got.len() == 1 && got[0].contains(want), "{value}: {got:?}");
        }
        assert_eq!(check("a = 3\n").len(), 2, "no table, and no name in it");
        assert_eq!(check("[a]\nname = 'x'\nsize = 0x9\nat = 2026-11-03 09:30:00.5Z\n"), [""; 0]);
    }

    #[test]
    fn bad_syntax_is_reported_once_for_each_place() {
        let got = check("[a]\nname = \nsize = 'x\n");
        assert!(got.len() >= 2 && got.iter().all(|p| p.starts_with("bad-toml | f.toml line ")), "{got:?}");
        assert_eq!(check("\u{feff}[a]\nname = 'x'\n"), [""; 0], "a byte order mark is no problem");
        assert!(check("[a]\nname = 'x'\nname = 'y'\n")[0].contains("line 3"), "a key twice");
    }

    #[test]
    fn what_a_file_says_cannot_break_the_line_of_a_message() {
        let got = check("[a]\nname = 'x'\n\"b\\nrefused: \\u001b[2J\" = 1\n[[part]]\ncolour = \"\\u001b\\n\"\n");
        assert_eq!(got.len(), 2);
        assert!(got.iter().all(|p| !p.contains(char::is_control)), "{got:?}");
    }

    #[test]
    fn a_moment_keeps_the_offset_it_was_written_in() {
        let text = "at = 2026-11-03T01:30:00+08:00\n";
        let examined = examine("f.toml", text, |root| root.value("at")?.moment().map(|m| m.value)).expect("valid");
        assert_eq!(examined.value.to_string(), "2026-11-03T01:30:00+08:00[+08:00]");
        assert_eq!(examined.value.date().to_string(), "2026-11-03");
    }

    #[test]
    fn keys_that_stand_nowhere_are_known() {
        let examined = examine("f.toml", "[[part]]\nx = 1\n[[part]]\ny = 1\n", |root| {
            for mut part in root.tables("part") {
                for key in ["x", "y", "z"] {
                    part.value(key);
                }
            }
            Some(())
        });
        assert_eq!(examined.expect("valid").absent, ["part[].z"]);
    }
}

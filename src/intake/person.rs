//! From the cells of one row to a person, or to the reasons why it is none.
//!
//! Pure. A row is a person when at least one address in it can be used; everything else that is wrong is a problem of
//! the row and stays with it.

use super::columns::Columns;
use super::headings::Field;
use super::locale::{country_of, locale_of, region_of};
use super::records::TextRecord;
use super::rejects::without_escape;
use super::words::{data_types_of, role_of, says_nothing};
use crate::model::channel::ContactKind;
use crate::model::contact::{AddressProblem, Contact, is_invisible, parse_email, parse_telephone};
use crate::model::person::Person;
use crate::model::personal::Personal;
use crate::model::problem::Problem;
use std::borrow::Cow;
use std::collections::HashMap;

/// How many different spellings of languages and countries are remembered; a list has a handful.
const REMEMBERED: usize = 1024;

/// Remembers how a spelling was understood, because the same few come a million times.
#[derive(Debug, Default)]
pub(super) struct Spellings {
    locales: HashMap<String, Option<String>>,
    countries: HashMap<String, Option<String>>,
}

fn remembered(
    memory: &mut HashMap<String, Option<String>>,
    text: &str,
    find: fn(&str) -> Option<String>,
) -> Option<String> {
    if let Some(known) = memory.get(text) {
        return known.clone();
    }
    let found = find(text);
    if memory.len() < REMEMBERED {
        memory.insert(text.to_owned(), found.clone());
    }
    found
}

/// A row as understood.
pub(super) struct Understood {
    pub(super) person: Person,
    pub(super) problems: Vec<Problem>,
    /// A cell holds something that its column cannot hold, as happens when cells have shifted.
    pub(super) misfit: bool,
}

/// Reads the row by the plan.
pub(super) fn understand(record: TextRecord<'_>, columns: &Columns, spellings: &mut Spellings) -> Understood {
    let mut row = Reading { record, columns, problems: Vec::new(), misfit: false };
    let mut person = Person {
        reference: Personal::new(row.line(Field::Reference)),
        name: Personal::new(row.name()),
        locale: row.locale(spellings),
        country: row.country(spellings),
        region: row.line(Field::Region).into_owned(),
        birth_date: row.birth_date(),
        role: row.role(),
        data_types: row.of(Field::DataTypes).map(data_types_of).unwrap_or_default(),
        extra: row.extra(),
        contacts: Vec::with_capacity(columns.contacts.len()),
        retired: Vec::new(),
    };
    row.contacts(&mut person);
    if says_nothing(person.reference.reveal()) {
        person.reference = Personal::new(own_reference(&person));
    }
    Understood { person, problems: row.problems, misfit: row.misfit }
}

struct Reading<'a> {
    record: TextRecord<'a>,
    columns: &'a Columns,
    problems: Vec<Problem>,
    misfit: bool,
}

impl<'a> Reading<'a> {
    fn at(&self, column: usize) -> &'a str {
        let cell = self.record.cell(column);
        let cell = if self.columns.is_rejects_file { without_escape(cell) } else { cell };
        cell.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}' || c == '\u{200b}')
    }

    fn of(&self, field: Field) -> Option<&'a str> {
        self.columns.of(field).map(|column| self.at(column))
    }

    fn problem(&mut self, code: &'static str, field: Field, message: &str) {
        self.problems.push(Problem::new(code, field.as_str(), message));
    }

    /// The cell on one line and without control characters; removing any is a problem of the row.
    fn line(&mut self, field: Field) -> Cow<'a, str> {
        let text = self.of(field).unwrap_or("");
        self.clean(text, field.as_str(), false)
    }

    fn clean(&mut self, text: &'a str, field: &str, keep_lines: bool) -> Cow<'a, str> {
        let plain = |c: char| !(c.is_control() || is_direction_mark(c));
        if text.chars().all(plain) {
            return Cow::Borrowed(text);
        }
        let mut removed = false;
        let mut cleaned = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '\n' if keep_lines => cleaned.push(c),
                '\r' if keep_lines => {}
                '\n' | '\r' | '\t' => {
                    if !cleaned.ends_with(' ') {
                        cleaned.push(' ');
                    }
                }
                c if plain(c) => cleaned.push(c),
                _ => removed = true,
            }
        }
        if removed {
            let message = "the cell held control characters, which were left out; look at it once";
            self.problems.push(Problem::new("control-character", field, message));
        }
        Cow::Owned(cleaned)
    }

    fn name(&mut self) -> Cow<'a, str> {
        if self.columns.of(Field::Name).is_some() {
            return self.line(Field::Name);
        }
        let (given, family) = (self.line(Field::GivenName), self.line(Field::FamilyName));
        if given.is_empty() {
            return family;
        }
        if family.is_empty() {
            return given;
        }
        let east_asian = given.chars().chain(family.chars()).any(is_east_asian);
        Cow::Owned(if east_asian { format!("{family}{given}") } else { format!("{given} {family}") })
    }

    fn locale(&mut self, spellings: &mut Spellings) -> String {
        let text = self.of(Field::Locale).unwrap_or("");
        if text.is_empty() {
            return String::new();
        }
        let found = remembered(&mut spellings.locales, text, locale_of).filter(|tag| tag != "na");
        found.unwrap_or_else(|| {
            if !says_nothing(text) {
                self.misfit = true;
                let message = "this is no language that is known; write a tag such as en, zh-CN or pt-BR";
                self.problem("bad-locale", Field::Locale, message);
            }
            String::new()
        })
    }

    fn country(&mut self, spellings: &mut Spellings) -> String {
        let text = self.of(Field::Country).unwrap_or("");
        // "NA" is Namibia, "N/A" is nothing.
        if text.is_empty() || (text.contains(|c: char| c.is_ascii_punctuation()) && says_nothing(text)) {
            return String::new();
        }
        remembered(&mut spellings.countries, text, |t| country_of(t).map(str::to_owned)).unwrap_or_else(|| {
            if !says_nothing(text) {
                self.misfit = true;
                let message = "this is no country that is known; write its two letters, such as CN or DE";
                self.problem("bad-country", Field::Country, message);
            }
            String::new()
        })
    }

    fn birth_date(&mut self) -> Personal {
        let text = self.line(Field::BirthDate);
        self.misfit |= !says_nothing(&text) && !text.contains(|c: char| c.is_numeric());
        Personal::new(text)
    }

    fn role(&mut self) -> crate::model::contact::Role {
        let text = self.of(Field::Role).unwrap_or("");
        if text.is_empty() || says_nothing(text) {
            return crate::model::contact::Role::default();
        }
        role_of(text).unwrap_or_else(|| {
            self.misfit = true;
            let message = "this is no role that is known, so `self` is taken; write self, guardian or next-of-kin";
            self.problem("bad-role", Field::Role, message);
            crate::model::contact::Role::default()
        })
    }

    fn extra(&mut self) -> Vec<(String, Personal)> {
        let columns = self.columns;
        let value = |(column, name): &(usize, String)| {
            let text = self.at(*column);
            (name.clone(), Personal::new(self.clean(text, name, true)))
        };
        columns.extra.iter().map(value).collect()
    }

    fn contacts(&mut self, person: &mut Person) {
        let country = if person.country.is_empty() { region_of(&person.locale) } else { person.country.as_str() };
        for &(kind, column) in &self.columns.contacts {
            let text = self.at(column);
            if says_nothing(text) {
                continue;
            }
            let (address, field) = match kind {
                ContactKind::Email => (parse_email(text), Field::Email),
                ContactKind::Phone => (phone(text, country, &mut self.problems), Field::Phone),
            };
            match address {
                Ok(address) => {
                    let contact = Contact { kind, address, role: person.role };
                    if !person.contacts.contains(&contact) {
                        person.contacts.push(contact);
                    }
                }
                Err(problem) => {
                    self.misfit = true;
                    self.problem(problem.code(), field, &problem.to_string());
                }
            }
        }
    }
}

fn phone(text: &str, country: &str, problems: &mut Vec<Problem>) -> Result<Personal, AddressProblem> {
    let telephone = parse_telephone(text, country)?;
    if telephone.extension_dropped {
        let message = "the extension behind the telephone number was left out, because a message cannot dial it";
        problems.push(Problem::new("phone-extension", Field::Phone.as_str(), message));
    }
    Ok(telephone.number)
}

/// Overrides of the writing direction can make a name show as another; the joiners that some scripts need stay.
fn is_direction_mark(c: char) -> bool {
    is_invisible(c) && !matches!(c, '\u{200c}' | '\u{200d}')
}

fn is_east_asian(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3134f}')
}

/// A reference for a person to whom the source gives none: the same row gives the same one again.
fn own_reference(person: &Person) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(person.name.reveal().as_bytes());
    for contact in &person.contacts {
        hasher.update(&[0]);
        hasher.update(contact.address.reveal().as_bytes());
    }
    let hash = hasher.finalize().to_hex();
    format!("auto-{}", hash.get(..16).unwrap_or(""))
}

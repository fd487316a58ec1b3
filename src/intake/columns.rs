//! Which column of a list is which field: by the incident file's mapping first, by the headings else.

use super::error::OpenError;
use super::headings::{Field, REJECT_COLUMNS, field_of, folded};
use crate::model::channel::ContactKind;
use crate::model::contact::{parse_email, parse_phone};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// The plan by which every row is read.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    /// The column of each field that only one column can hold.
    single: BTreeMap<Field, usize>,
    /// The columns of addresses: mapped ones first, then as they stand.
    pub(super) contacts: Vec<(ContactKind, usize)>,
    /// The other columns with their headings, made different where they are the same.
    pub(super) extra: Vec<(usize, String)>,
    /// The source's own columns: all but those that a rejects file adds.
    pub(super) own: Vec<usize>,
    /// How many cells the heading has.
    pub(super) heading_cells: usize,
    /// The list is a rejects file that is fed back.
    pub(super) is_rejects_file: bool,
}

impl Columns {
    pub(super) fn of(&self, field: Field) -> Option<usize> {
        self.single.get(&field).copied()
    }

    /// What the column was understood as; `None`: a further merge field.
    pub(super) fn field_at(&self, column: usize) -> Option<Field> {
        let contact = self.contacts.iter().find(|(_, at)| *at == column);
        match contact {
            Some((ContactKind::Email, _)) => Some(Field::Email),
            Some((ContactKind::Phone, _)) => Some(Field::Phone),
            None => self.single.iter().find(|(_, at)| **at == column).map(|(field, _)| *field),
        }
    }
}

/// Whether the list is a rejects file: it has all the columns that one adds.
pub(super) fn is_rejects_heading<T: AsRef<str>>(headings: &[T]) -> bool {
    REJECT_COLUMNS.iter().all(|name| headings.iter().any(|h| h.as_ref().trim() == *name))
}

/// Makes the plan, or says what the operator has to do. `list` is the name of the source in messages, `given` the
/// mapping of the incident file.
pub(super) fn plan(headings: &[String], list: &Path, given: &BTreeMap<String, String>) -> Result<Columns, OpenError> {
    refuse_data(headings, list)?;
    let mapped = mapping(headings, list, given)?;
    let is_reject_column = |heading: &String| REJECT_COLUMNS.contains(&heading.trim());
    let mut columns = Columns {
        heading_cells: headings.len(),
        is_rejects_file: is_rejects_heading(headings),
        own: (0..headings.len()).filter(|i| !is_reject_column(&headings[*i])).collect(),
        ..Columns::default()
    };
    let mut taken: HashSet<usize> = mapped.iter().map(|(_, at)| *at).collect();
    for &(field, at) in &mapped {
        columns.place(field, at);
    }
    for &at in &columns.own.clone() {
        if let Some(field) = field_of(&headings[at]).filter(|_| !taken.contains(&at))
            && columns.place(field, at)
        {
            taken.insert(at);
        }
    }
    columns.prefer_whole_name(&mapped, &mut taken);
    columns.extra = extra_names(headings, columns.own.iter().copied().filter(|at| !taken.contains(at)));
    if columns.contacts.is_empty() {
        return Err(OpenError::NoContactColumn { path: list.to_owned(), headings: shown(headings, &columns) });
    }
    Ok(columns)
}

impl Columns {
    /// Gives the column to the field; false if the field has one and can have only one.
    fn place(&mut self, field: Field, at: usize) -> bool {
        if let Some(kind) = field.contact_kind() {
            self.contacts.push((kind, at));
            return true;
        }
        let free = !self.single.contains_key(&field);
        if free {
            self.single.insert(field, at);
        }
        free
    }

    /// A column with the whole name wins over its parts. "Name" beside "Vorname", though, is the family name, and
    /// "Nombre" or "Nom" alone is the whole one.
    fn prefer_whole_name(&mut self, mapped: &[(Field, usize)], taken: &mut HashSet<usize>) {
        let is_mapped = |field: Field| mapped.iter().any(|(f, _)| *f == field);
        let (name, given, family) = (self.of(Field::Name), self.of(Field::GivenName), self.of(Field::FamilyName));
        match (name, given, family) {
            (Some(name), Some(_), None) if !is_mapped(Field::Name) => {
                self.single.remove(&Field::Name);
                self.single.insert(Field::FamilyName, name);
            }
            (Some(_), _, _) => {
                for field in [Field::GivenName, Field::FamilyName] {
                    if !is_mapped(field)
                        && let Some(at) = self.single.remove(&field)
                    {
                        taken.remove(&at);
                    }
                }
            }
            (None, _, _) => {}
        }
    }
}

/// The headings for a message; but a first row without one known heading may be a person, and is not shown.
fn shown(headings: &[String], columns: &Columns) -> String {
    if columns.single.is_empty() {
        return format!("none of the {} is known; is the first row the heading?", headings.len());
    }
    headings.iter().map(|h| format!("{h:?}")).collect::<Vec<_>>().join(", ")
}

/// The mapping of the incident file as field and column.
fn mapping(
    headings: &[String],
    list: &Path,
    given: &BTreeMap<String, String>,
) -> Result<Vec<(Field, usize)>, OpenError> {
    let mut mapped: Vec<(Field, usize)> = Vec::new();
    let mut keys: Vec<&str> = Vec::new();
    for (key, heading) in given {
        let path = list.to_owned();
        let Some(field) = Field::parse(key) else {
            let nearest = nearest(key, Field::ALL.into_iter().map(Field::as_str)).unwrap_or("email");
            return Err(OpenError::UnknownField { path, field: key.clone(), nearest });
        };
        let exact = headings.iter().position(|h| h.trim() == heading.trim());
        let Some(at) = exact.or_else(|| headings.iter().position(|h| folded(h) == folded(heading))) else {
            let hint = match nearest(heading, headings.iter().map(String::as_str)) {
                Some(near) if is_near(near, heading) => format!("did you mean {near:?}?"),
                Some(_) | None => "look at the first row of the file".to_owned(),
            };
            return Err(OpenError::NoSuchHeading { path, field: key.clone(), heading: heading.clone(), hint });
        };
        if let Some(before) = mapped.iter().position(|(_, column)| *column == at) {
            let (first, second) = (keys[before].to_owned(), key.clone());
            return Err(OpenError::MappedTwice { path, first, second, heading: heading.clone() });
        }
        mapped.push((field, at));
        keys.push(key);
    }
    Ok(mapped)
}

fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    names.min_by_key(|name| strsim::damerau_levenshtein(&name.to_lowercase(), &wanted))
}

/// Near enough to be the same heading with a slip, so that no cell of a list without headings is shown.
fn is_near(name: &str, wanted: &str) -> bool {
    strsim::damerau_levenshtein(&name.to_lowercase(), &wanted.to_lowercase()) <= wanted.chars().count() / 3 + 1
}

/// A first row that holds an address is no heading row, and the person in it would be lost.
fn refuse_data(headings: &[String], list: &Path) -> Result<(), OpenError> {
    let is_address = |cell: &String| {
        let digits = cell.len() >= 10 && cell.bytes().all(|b| b.is_ascii_digit());
        parse_email(cell).is_ok() || parse_phone(cell, "").is_ok() || digits
    };
    match headings.iter().position(is_address) {
        Some(at) => Err(OpenError::NoHeading { path: list.to_owned(), column: at + 1 }),
        None => Ok(()),
    }
}

/// The headings of the other columns; the second "Note" is "Note 2". A column without a heading cannot be named.
fn extra_names(headings: &[String], columns: impl Iterator<Item = usize>) -> Vec<(usize, String)> {
    let mut used: HashSet<String> = HashSet::new();
    let mut extra = Vec::new();
    for at in columns {
        let heading = headings[at].trim();
        if heading.is_empty() {
            continue;
        }
        let mut name = heading.to_owned();
        let mut number = 2;
        while !used.insert(name.clone()) {
            name = format!("{heading} {number}");
            number += 1;
        }
        extra.push((at, name));
    }
    extra
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(headings: &[&str], columns: &[(&str, &str)]) -> Result<Columns, OpenError> {
        let columns = columns.iter().map(|(f, h)| ((*f).to_owned(), (*h).to_owned())).collect();
        let headings: Vec<String> = headings.iter().map(|h| (*h).to_owned()).collect();
        plan(&headings, Path::new("list.csv"), &columns)
    }

    #[test]
    fn the_mapping_wins_and_further_addresses_follow_in_order() {
        let columns = planned(&["E-mail", "X1", "Mobile", "Telephone"], &[("email", "x1")]).expect("a plan");
        let want =
            vec![(ContactKind::Email, 1), (ContactKind::Email, 0), (ContactKind::Phone, 2), (ContactKind::Phone, 3)];
        assert_eq!(columns.contacts, want);
    }

    #[test]
    fn other_columns_keep_their_headings_and_doubles_are_numbered() {
        let columns = planned(&["Email", "Note", "", "Note", "ref", "Customer No."], &[]).expect("a plan");
        let names: Vec<&str> = columns.extra.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["Note", "Note 2", "Customer No."]);
        assert_eq!((columns.of(Field::Reference), columns.field_at(5)), (Some(4), None));
    }

    #[test]
    fn names_in_parts_are_understood_beside_and_without_a_whole_name() {
        let both = planned(&["Vorname", "Name", "Email"], &[]).expect("a plan");
        assert_eq!(
            (both.of(Field::GivenName), both.of(Field::FamilyName), both.of(Field::Name)),
            (Some(0), Some(1), None)
        );
        let whole = planned(&["First name", "Last name", "Full name", "Email"], &[]).expect("a plan");
        assert_eq!((whole.of(Field::GivenName), whole.of(Field::Name), whole.extra.len()), (None, Some(2), 2));
    }

    #[test]
    fn a_rejects_file_is_known_by_its_columns() {
        let columns = planned(&["Email", "forewarn_row", "forewarn_code", "forewarn_message"], &[]).expect("a plan");
        assert!(columns.is_rejects_file && columns.extra.is_empty());
        assert_eq!(columns.own, [0]);
    }

    #[test]
    fn what_cannot_be_understood_says_what_to_do() {
        let message = |headings: &[&str], columns: &[(&str, &str)]| match planned(headings, columns) {
            Ok(_) => String::new(),
            Err(e) => e.to_string(),
        };
        assert!(message(&["Jane", "b"], &[]).contains("none of the 2 is known"));
        assert!(!message(&["Jane", "b"], &[("email", "Postfach")]).contains("Jane"));
        assert!(message(&["ref", "Kontakt"], &[]).contains("\"Kontakt\""));
        assert!(message(&["Jane", "jane@example.org"], &[]).contains("no heading row: column 2"));
        assert!(message(&["Jane", "+86 138 0013 8000"], &[]).contains("no heading row: column 2"));
        assert!(message(&["Kontakt", "email"], &[("phone", "Kontaktt")]).contains("did you mean \"Kontakt\"?"));
        assert!(message(&["email"], &[("emial", "email")]).contains("did you mean `email`?"));
        assert!(message(&["email"], &[("email", "email"), ("phone", "email")]).contains("keep one of the two"));
    }
}

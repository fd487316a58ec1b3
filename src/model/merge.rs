//! What two rows with the same customer reference come to. Pure.

use super::channel::ContactKind;
use super::contact::Contact;
use super::person::Person;

/// What to do with the second row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Merge {
    /// It says nothing new.
    Same,
    /// It completes the first: the person with the contacts of both.
    Extended(Box<Person>),
    /// It contradicts the first: perhaps somebody else under a mistaken reference. Which field does.
    Conflict(&'static str),
}

/// Rows merge when the second one's contacts are among the first one's, or fill a kind the first one lacks under the
/// same name. Anything else is for a human to sort out: merging it might forget somebody.
pub fn merge(first: &Person, second: &Person) -> Merge {
    let mut added: Vec<Contact> = Vec::new();
    for (kind, field) in [(ContactKind::Email, "email"), (ContactKind::Phone, "phone")] {
        let addresses =
            |p: &Person| -> Vec<Contact> { p.contacts.iter().filter(|c| c.kind == kind).cloned().collect() };
        let (old, new) = (addresses(first), addresses(second));
        if new.iter().all(|c| old.contains(c)) {
            continue;
        }
        if !old.iter().all(|c| new.contains(c)) {
            return Merge::Conflict(field);
        }
        added.extend(new.into_iter().filter(|c| !old.contains(c)));
    }
    if added.is_empty() {
        return Merge::Same;
    }
    if !first.name.is_empty() && !second.name.is_empty() && first.name != second.name {
        return Merge::Conflict("name");
    }
    let mut whole = first.clone();
    if whole.name.is_empty() {
        whole.name = second.name.clone();
    }
    whole.contacts.extend(added);
    Merge::Extended(Box::new(whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::contact::Role;
    use crate::model::personal::Personal;

    fn person(name: &str, contacts: &str) -> Person {
        let contact = |address: &str| Contact {
            kind: if address.contains('@') { ContactKind::Email } else { ContactKind::Phone },
            address: Personal::new(address),
            role: Role::OneSelf,
        };
        Person {
            name: Personal::new(name),
            contacts: contacts.split_whitespace().map(contact).collect(),
            ..Person::default()
        }
    }

    #[test]
    fn rows_merge_only_when_nothing_contradicts() {
        for (first, second, want) in [
            (("Li", "a@x.y +1"), ("Li", "a@x.y +1"), "same"),
            (("Li", "a@x.y +1"), ("Lee", "a@x.y"), "same"),
            (("Li", "a@x.y +1"), ("Li", ""), "same"),
            (("Li", "a@x.y"), ("Li", "+1"), "a@x.y +1"),
            (("", "a@x.y"), ("Li", "+1"), "a@x.y +1"),
            (("Li", "a@x.y"), ("Wu", "+1"), "conflict name"),
            (("Li", "a@x.y"), ("Li", "b@x.y"), "conflict email"),
            (("Li", "a@x.y +1"), ("Li", "a@x.y +2"), "conflict phone"),
            (("Li", "a@x.y"), ("Li", "a@x.y b@x.y"), "a@x.y b@x.y"),
        ] {
            let got = match merge(&person(first.0, first.1), &person(second.0, second.1)) {
                Merge::Same => "same".to_owned(),
                Merge::Conflict(field) => format!("conflict {field}"),
                Merge::Extended(p) => {
                    p.contacts.iter().map(|c| c.address.reveal().to_owned()).collect::<Vec<_>>().join(" ")
                }
            };
            assert_eq!(got, want, "{first:?} {second:?}");
        }
    }
}

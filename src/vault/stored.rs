//! The sealed form of a person: what stands in the blob.

use super::VaultError;
use crate::model::channel::ContactKind;
use crate::model::contact::{Contact, Role};
use crate::model::person::Person;
use crate::model::personal::Personal;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The sealed form: short keys, empty parts left out. Fields may be added, never renamed.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored<'a> {
    r: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    n: Cow<'a, str>,
    c: Vec<(char, Cow<'a, str>, u8)>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    l: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    o: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    g: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    b: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    d: Vec<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_self")]
    w: u8,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    x: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Ordinals of contacts that are not used any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    z: Vec<u8>,
}

fn is_self(role: &u8) -> bool {
    *role == 0
}

fn role_number(role: Role) -> u8 {
    match role {
        Role::OneSelf => 0,
        Role::Guardian => 1,
        Role::NextOfKin => 2,
    }
}

fn role_of(number: u8) -> Result<Role, VaultError> {
    match number {
        0 => Ok(Role::OneSelf),
        1 => Ok(Role::Guardian),
        2 => Ok(Role::NextOfKin),
        _ => Err(VaultError::UnknownForm),
    }
}

impl<'a> Stored<'a> {
    pub(super) fn of(person: &'a Person) -> Stored<'a> {
        Stored {
            r: person.reference.reveal().into(),
            n: person.name.reveal().into(),
            c: person
                .contacts
                .iter()
                .map(|c| (c.kind.letter(), c.address.reveal().into(), role_number(c.role)))
                .collect(),
            l: person.locale.as_str().into(),
            o: person.country.as_str().into(),
            g: person.region.as_str().into(),
            b: person.birth_date.reveal().into(),
            d: person.data_types.iter().map(|d| d.as_str().into()).collect(),
            w: role_number(person.role),
            x: person.extra.iter().map(|(k, v)| (k.as_str().into(), v.reveal().into())).collect(),
            z: person.retired.clone(),
        }
    }

    pub(super) fn into_person(self) -> Result<Person, VaultError> {
        let contacts = self.c.into_iter().map(|(kind, address, role)| {
            let kind = match kind {
                'e' => ContactKind::Email,
                'p' => ContactKind::Phone,
                _ => return Err(VaultError::UnknownForm),
            };
            Ok(Contact { kind, address: Personal::new(address), role: role_of(role)? })
        });
        Ok(Person {
            reference: Personal::new(self.r),
            name: Personal::new(self.n),
            contacts: contacts.collect::<Result<_, _>>()?,
            retired: self.z,
            locale: self.l.into_owned(),
            country: self.o.into_owned(),
            region: self.g.into_owned(),
            birth_date: Personal::new(self.b),
            data_types: self.d.into_iter().map(Cow::into_owned).collect(),
            role: role_of(self.w)?,
            extra: self.x.into_iter().map(|(k, v)| (k.into_owned(), Personal::new(v))).collect(),
        })
    }
}

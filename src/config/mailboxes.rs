//! The mailboxes that bounces come back to, as `[[mailbox]]` tables.

use super::Route;
use super::read::name;
use crate::model::channel::Channel;
use crate::model::time::{self, Micros, SECOND};
use crate::toml_file::{Table, Value};
use std::path::{Path, PathBuf};

/// How often a mailbox is looked into where the file does not say.
const EVERY: Micros = 30 * SECOND;
const SELDOMEST: Micros = time::DAY;

/// A mailbox whose messages are read for what they say of notices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnBox {
    pub name: String,
    /// The routes whose notices come back there; empty: all of them.
    pub routes: Vec<String>,
    pub place: Place,
    /// How often somebody looks into it.
    pub every: Micros,
}

/// Where a mailbox is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Maildir(PathBuf),
}

pub(super) fn mailboxes(folder: &Path, tables: Vec<Table<'_>>, routes: &[Route]) -> Vec<ReturnBox> {
    let mut boxes: Vec<ReturnBox> = Vec::new();
    for table in tables {
        let place = table.place().clone();
        let Some(mailbox) = mailbox(folder, table, routes) else { continue };
        if boxes.iter().any(|b| b.name.eq_ignore_ascii_case(&mailbox.name)) {
            let what = format!("has the name `{}` of a mailbox above; give it its own", mailbox.name);
            place.problem("mailbox-twice", what);
        }
        boxes.push(mailbox);
    }
    boxes
}

fn mailbox(folder: &Path, mut table: Table<'_>, known: &[Route]) -> Option<ReturnBox> {
    let name = name(&mut table, "name", "give the mailbox a name of its own");
    let routes = routes(&mut table, known);
    let every = every(&mut table);
    let place = place(folder, &mut table);
    Some(ReturnBox { name: name?, routes, place: place?, every: every? })
}

fn place(folder: &Path, table: &mut Table<'_>) -> Option<Place> {
    let maildir = table.required("maildir", "write maildir = \"/var/mail/bounces/Maildir\"");
    maildir?.text()?.parse("bad-path", |text| match text {
        "" => Err("is empty; name the folder that has `new` and `cur` in it".to_owned()),
        text => Ok(Place::Maildir(folder.join(text))),
    })
}

fn every(table: &mut Table<'_>) -> Option<Micros> {
    let Some(value) = table.value("every") else { return Some(EVERY) };
    value.text()?.parse("bad-duration", |text| match time::parse_duration(text) {
        Some(every) if (SECOND..=SELDOMEST).contains(&every) => Ok(every),
        Some(_) => Err("must be from 1s to 1d".to_owned()),
        None => Err("must be a duration as 30s, 5m or 1h".to_owned()),
    })
}

/// Names of email routes of this file; what is wrong with one was said.
fn routes(table: &mut Table<'_>, known: &[Route]) -> Vec<String> {
    let list = table.value("routes").and_then(Value::list).unwrap_or_default();
    let route = |value: Value<'_>| {
        value.text()?.parse("unknown-route", |name| match known.iter().find(|r| r.name == name) {
            Some(route) if route.channel == Channel::Email => Ok(name.to_owned()),
            Some(route) => Err(format!("cannot be `{name}`, which carries {} and no email", route.channel)),
            None => {
                let hint = crate::model::nearest::suggestion(name, known.iter().map(|r| r.name.as_str()));
                Err(format!("cannot be `{}`: no [[route]] has that name{hint}", name.escape_debug()))
            }
        })
    };
    list.into_iter().filter_map(route).collect()
}

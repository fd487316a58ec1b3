//! The attempts of a bundle: none ended that did not start, none is left out between others, and time goes on.

use super::events::{Fact, Facts};
use super::layout;
use super::manifest::About;
use super::verdict::{Reason, Verdict};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const STARTED: &str = "attempt.started";
pub(super) const ENDED: &str = "attempt.ended";

/// Whom an attempt went to, and by what: contact and channel.
type Way = (u64, String);

/// What names an attempt among those of its person.
fn named(fact: &Fact) -> Option<(Way, u64)> {
    let way = (fact.leaf.number("contact")?, fact.leaf.text("chan")?.to_owned());
    Some((way, fact.leaf.number("n")?))
}

pub(super) fn check(facts: &Facts, verdict: &mut Verdict) {
    let mut started: BTreeMap<Way, BTreeSet<u64>> = BTreeMap::new();
    let mut ended: BTreeSet<(Way, u64)> = BTreeSet::new();
    for (index, fact) in facts.iter().filter(|(_, fact)| fact.about == About::Person) {
        let path = layout::event(*index);
        let starts = fact.kind() == STARTED;
        if !starts && fact.kind() != ENDED {
            continue;
        }
        let Some((way, n)) = named(fact) else {
            let message = format!("The fact in {path} is of an attempt, but does not say which one.");
            verdict.refuse(Reason::BadEvent, &path, message);
            continue;
        };
        if starts {
            if !started.entry(way).or_default().insert(n) {
                let message =
                    format!("The fact in {path} says that attempt {n} began, which another fact said before.");
                verdict.refuse(Reason::AttemptMissing, &path, message);
            }
            continue;
        }
        if !started.get(&way).is_some_and(|numbers| numbers.contains(&n)) {
            let message = format!("The fact in {path} ends attempt {n}, of which no earlier fact says that it began.");
            verdict.refuse(Reason::AttemptNotStarted, &path, message);
        }
        if !ended.insert((way, n)) {
            let message = format!("The fact in {path} ends attempt {n}, which another fact ended before.");
            verdict.warn(Reason::EndedTwice, &path, message);
        }
    }
    for ((contact, channel), numbers) in &started {
        check_numbers(*contact, channel, numbers, verdict);
    }
    check_times(facts, verdict);
}

/// Attempts are counted from 1, so that a number that is not there was left out.
fn check_numbers(contact: u64, channel: &str, numbers: &BTreeSet<u64>, verdict: &mut Verdict) {
    for (want, n) in (1..).zip(numbers) {
        if *n != want {
            let message = format!(
                "Attempt {want} by {channel} to contact {contact} is left out: the bundle shows attempt {n}, and attempts \
                 are counted from 1."
            );
            return verdict.refuse(Reason::AttemptMissing, layout::MANIFEST, message);
        }
    }
}

/// Times have one form, so that their texts are in the order of what they mean.
fn check_times(facts: &Facts, verdict: &mut Verdict) {
    let mut before: Option<&str> = None;
    for (index, fact) in facts {
        let time = fact.time();
        if let Some(earlier) = before.filter(|before| *before > time) {
            let path = layout::event(*index);
            let message = format!(
                "The fact in {path} has the time {time}, the one before it {earlier}: the order of the facts is proven, so a \
                 clock was set back, or two machines had different ones."
            );
            verdict.warn(Reason::ClockBack, &path, message);
        }
        before = Some(time);
    }
}

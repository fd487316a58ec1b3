//! What only all facts of a campaign together show: that everybody is in its lists, that nothing about anybody is left out,
//! and that the sums are right.

use super::super::super::canonical::Object;
use super::super::super::fact::closing_leaf;
use super::super::super::merkle::{Frontier, leaf_hash};
use super::super::verdict::{Reason, Verdict};
use super::super::{Files, layout};
use super::check::{Mention, Whole};
use super::manifest::Manifest;
use super::persons::Listed;
use super::recount::{CLOSE, SEAL};
use super::summary::{Counts, Summary};
use super::{SUMMARY, persons_part};
use std::collections::BTreeMap;

pub(super) fn check(files: &Files, manifest: &Manifest, whole: Whole, persons: &[Listed], verdict: &mut Verdict) {
    let Whole { recount, mut mentions, kept } = whole;
    mentions.sort_unstable();
    let sizes = check_seals(manifest, &kept, verdict);
    if persons.is_empty() {
        let text = "Who was to be told, by the names of the log, and that no fact about anybody is left out: there is no \
                    persons/.";
        verdict.not_shown.push(text.to_owned());
    } else {
        let sealed = check_sealed(&sizes, &kept, persons, verdict);
        let about = by_person(persons, &mentions, verdict);
        check_order(&sealed, &about, verdict);
        check_closing(manifest, &kept, persons, &about, verdict);
    }
    let summary = recount.finish(sizes.iter().map(|(_, n)| n).sum());
    if files.get(SUMMARY).is_none_or(|file| *file != summary.to_octets()) {
        let message = format!("The sums in {SUMMARY} are not those of the log in this bundle.");
        verdict.refuse(Reason::BadSummary, SUMMARY, message);
    }
    tell(&summary, verdict);
    verdict.summary = Some(summary);
}

/// A fact that the manifest names, of the kind that it should be.
fn named<'k>(
    number: u64,
    kind: &str,
    reason: Reason,
    kept: &'k BTreeMap<u64, Object>,
    verdict: &mut Verdict,
) -> Option<&'k Object> {
    let fact = kept.get(&number).filter(|fact| fact.text("ev") == Some(kind));
    if fact.is_none() {
        let message = format!("{} names fact {number}, which is no fact `{kind}` of the campaign.", layout::MANIFEST);
        verdict.refuse(reason, layout::MANIFEST, message);
    }
    fact
}

/// The facts that sealed lists, and how many persons each list had.
fn check_seals(manifest: &Manifest, kept: &BTreeMap<u64, Object>, verdict: &mut Verdict) -> Vec<(u64, u64)> {
    let mut sizes = Vec::new();
    for seal in &manifest.seals {
        let fact = named(*seal, SEAL, Reason::BadRecipient, kept, verdict);
        sizes.push((*seal, fact.and_then(|fact| fact.number("n")).unwrap_or_default()));
    }
    let first = manifest.seals.first().copied().unwrap_or(u64::MAX);
    for (number, _) in kept.iter().filter(|(_, fact)| fact.text("ev") == Some(SEAL)) {
        if *number < first {
            verdict.not_shown.push(format!("Who was on an earlier list (fact {number}), which was taken back."));
        } else if !manifest.seals.contains(number) {
            let message = format!("Fact {number} sealed more persons; {} does not name it.", layout::MANIFEST);
            verdict.refuse(Reason::BadRecipient, layout::MANIFEST, message);
        }
    }
    sizes
}

/// The persons are those who were sealed; by person, in their order, the number of the fact that sealed them. Those who are
/// on no sealed list yet come last.
fn check_sealed(
    sizes: &[(u64, u64)],
    kept: &BTreeMap<u64, Object>,
    persons: &[Listed],
    verdict: &mut Verdict,
) -> Vec<u64> {
    let mut sealed = Vec::with_capacity(persons.len());
    for (seal, n) in sizes {
        let size = usize::try_from(*n).unwrap_or(usize::MAX);
        let end = sealed.len().checked_add(size);
        let of_seal = end.and_then(|end| persons.get(sealed.len()..end)).unwrap_or_default();
        let mut tree = Frontier::default();
        of_seal.iter().filter_map(|person| person.leaf).for_each(|leaf| tree.push(leaf));
        let root = kept.get(seal).and_then(|fact| fact.text("root"));
        if tree.size() != *n || root != Some(&const_hex::encode(tree.root())) {
            let message = format!(
                "The persons in persons/ are not the {n} who were sealed by fact {seal}: somebody was left out, added or \
                 exchanged."
            );
            verdict.refuse(Reason::BadRecipient, &persons_part(0), message);
            return sealed;
        }
        sealed.resize(sealed.len() + size, *seal);
    }
    let rest = persons.get(sealed.len()..).unwrap_or_default();
    if rest.iter().any(|person| person.leaf.is_some()) {
        let message = format!("In persons/ stand more persons as sealed than the {} who were.", sealed.len());
        verdict.refuse(Reason::BadPersons, &persons_part(0), message);
    }
    if !rest.is_empty() {
        verdict
            .not_shown
            .push(format!("That {} persons were on a list before they were told: it was not sealed.", rest.len()));
    }
    sealed
}

/// By person, in their order, the facts about them.
fn by_person<'m>(persons: &[Listed], mentions: &'m [Mention], verdict: &mut Verdict) -> Vec<&'m [Mention]> {
    let mut about: Vec<&[Mention]> = vec![&[]; persons.len()];
    let mut names: Vec<([u8; 16], usize)> = persons.iter().zip(0..).map(|(person, at)| (person.name, at)).collect();
    names.sort_unstable();
    let mut strangers = 0;
    for of_one in mentions.chunk_by(|a, b| a.name == b.name) {
        let place = of_one.first().and_then(|m| names.binary_search_by_key(&m.name, |(name, _)| *name).ok());
        match place.and_then(|at| names.get(at)).and_then(|(_, at)| about.get_mut(*at)) {
            Some(own) => *own = of_one,
            None => strangers += 1,
        }
    }
    if strangers > 0 {
        let message = format!("The log has facts about {strangers} persons who are not listed in persons/.");
        verdict.refuse(Reason::OtherPerson, &persons_part(0), message);
    }
    about
}

/// Everybody was sealed before they were told anything.
fn check_order(sealed: &[u64], about: &[&[Mention]], verdict: &mut Verdict) {
    // Where one list was sealed, all must be: nobody is told who is on none.
    let never = sealed.first().map(|_| &u64::MAX);
    let seals = sealed.iter().chain(std::iter::repeat_n(never, about.len().saturating_sub(sealed.len())).flatten());
    let late = seals.zip(about).filter_map(|(seal, about)| {
        let first = about.iter().find(|mention| mention.begins)?;
        (first.leaf < *seal).then_some(first.leaf)
    });
    let late: Vec<u64> = late.collect();
    if let Some(first) = late.iter().min() {
        let message = format!(
            "{} persons were told before the list with them was sealed; the first attempt is fact {first}.",
            late.len()
        );
        verdict.refuse(Reason::SealedTooLate, layout::MANIFEST, message);
    } else if !sealed.is_empty() {
        verdict.proven.push(format!(
            "The {} persons listed are exactly those who were sealed, each before the first attempt to tell them.",
            sealed.len()
        ));
    }
}

fn check_closing(
    manifest: &Manifest,
    kept: &BTreeMap<u64, Object>,
    persons: &[Listed],
    about: &[&[Mention]],
    verdict: &mut Verdict,
) {
    let last = kept.iter().rev().find(|(_, fact)| fact.text("ev") == Some(CLOSE)).map(|(number, _)| *number);
    if manifest.closing != last {
        let message = format!("{} does not name the last closing of the campaign.", layout::MANIFEST);
        return verdict.refuse(Reason::BadClosing, layout::MANIFEST, message);
    }
    let Some(number) = last else {
        let text = "That no fact about anybody was left out of the log when the campaign ended: it was not closed.";
        return verdict.not_shown.push(text.to_owned());
    };
    let Some(fact) = named(number, CLOSE, Reason::BadClosing, kept, verdict) else { return };
    let (n, size) = (fact.number("n").unwrap_or(u64::MAX), fact.number("size").unwrap_or_default());
    let mut tree = Frontier::default();
    let closed = persons.iter().zip(about).take(usize::try_from(n).unwrap_or(usize::MAX));
    for (person, about) in closed {
        let facts = about.iter().map(|mention| mention.leaf).filter(|leaf| *leaf < size);
        match closing_leaf(person.number, &const_hex::encode(person.name), facts) {
            Ok(leaf) => tree.push(leaf_hash(leaf.as_bytes())),
            Err(why) => {
                let message = format!("The facts about person {} are too many to be checked: {why}.", person.number);
                return verdict.refuse(Reason::BadClosing, layout::MANIFEST, message);
            }
        }
    }
    if tree.size() != n || fact.text("root") != Some(&const_hex::encode(tree.root())) {
        let message = format!(
            "The facts that the log holds about the persons are not those that the closing (fact {number}) names; one is \
             withheld, or was not known to whoever closed the campaign."
        );
        return verdict.refuse(Reason::BadClosing, layout::MANIFEST, message);
    }
    let standings = fact.iter().filter(|(key, _)| key.starts_with("p.")).filter_map(|(_, value)| value.as_number());
    let sum: u64 = standings.sum();
    if sum != n {
        let message = format!("The closing (fact {number}) says where {sum} persons stood, of {n}.");
        return verdict.refuse(Reason::BadClosing, layout::MANIFEST, message);
    }
    verdict.proven.push(format!(
        "For each of {n} persons, the log holds exactly the facts that the closing (fact {number}) names, of all facts before \
         number {size}: none is left out."
    ));
}

/// The sums, in sentences.
fn tell(summary: &Summary, verdict: &mut Verdict) {
    let words = |counts: &Counts| {
        let all: Vec<String> = counts.iter().map(|(name, n)| format!("{n} {name}")).collect();
        all.join(", ")
    };
    if let Some(closing) = &summary.closing {
        verdict.proven.push(format!(
            "The sender sealed at {} where everybody stood: {}. The sum is the number of persons.",
            closing.at,
            words(&closing.persons)
        ));
    }
    for (channel, counts) in &summary.attempts {
        verdict.proven.push(format!("Attempts by {channel} that ended, as the log says: {}.", words(counts)));
    }
    for (channel, counts) in &summary.receipts {
        verdict.proven.push(format!("Reports about notices by {channel}: {}.", words(counts)));
    }
    if let (Some(first), Some(last)) = (&summary.first_accepted, &summary.last_accepted) {
        verdict.proven.push(format!("The first attempt was accepted at {first}, the last at {last}."));
    }
}

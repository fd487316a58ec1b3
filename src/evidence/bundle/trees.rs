//! The two trees of a campaign: that the person was to be told before anybody was, and that no fact is left out.

use super::super::canonical::{Object, Value, read_object};
use super::super::merkle::{leaf_hash, verify_inclusion};
use super::Files;
use super::attempts::STARTED;
use super::events::{Facts, VERSION, disclosed, tell_undisclosed};
use super::frame::Frame;
use super::layout::{self, CLOSING_LEAF, CLOSING_PROOF, MANIFEST, Place, RECIPIENT_LEAF, RECIPIENT_PROOF, place_of};
use super::manifest::{About, Manifest};
use super::tree_proof::TreeProof;
use super::verdict::{Reason, Verdict};
use std::collections::BTreeSet;

/// One of the trees, as a bundle shows it.
struct Kind {
    leaf: &'static str,
    proof: &'static str,
    /// What the fact is called that holds the root.
    event: &'static str,
    /// The tree, in a sentence.
    what: &'static str,
    /// What a bundle does not show without it.
    without: &'static str,
    bad: Reason,
    outside: Reason,
}

const RECIPIENTS: Kind = Kind {
    leaf: RECIPIENT_LEAF,
    proof: RECIPIENT_PROOF,
    event: "campaign.seal",
    what: "the tree of all who were to be told",
    without: "That the person was among those to be told before anybody was: there is no recipient/.",
    bad: Reason::BadRecipient,
    outside: Reason::NotARecipient,
};

const CLOSING: Kind = Kind {
    leaf: CLOSING_LEAF,
    proof: CLOSING_PROOF,
    event: "campaign.close",
    what: "the tree that closed the campaign",
    without: "That no fact about the person is left out: there is no closing/.",
    bad: Reason::BadClosing,
    outside: Reason::NotInClosing,
};

/// A person's leaf in a tree.
struct Opened<'f> {
    leaf: Object,
    ordinal: u64,
    proof: TreeProof,
    /// The fact that holds the root.
    event: &'f Object,
}

pub(super) fn check(files: &Files, frame: &Frame, facts: &Facts, verdict: &mut Verdict) {
    let Some(manifest) = &frame.manifest else { return };
    let recipient = open(files, manifest, facts, &RECIPIENTS, verdict);
    if let Some(opened) = &recipient {
        check_recipient(opened, facts, verdict);
    }
    let leaf = recipient.as_ref().map(|opened| &opened.leaf);
    check_recipient_disclosures(files, leaf, verdict);
    let closing = open(files, manifest, facts, &CLOSING, verdict);
    if let Some(opened) = &closing {
        check_closing(opened, facts, verdict);
    }
    if let (Some(first), Some(second)) = (&recipient, &closing)
        && first.ordinal != second.ordinal
    {
        let message = format!(
            "The file {CLOSING_LEAF} is of person {} of the campaign, {RECIPIENT_LEAF} of person {}.",
            second.ordinal, first.ordinal
        );
        verdict.refuse(Reason::OtherPerson, CLOSING_LEAF, message);
    }
}

/// Reads leaf and proof, and follows the path from the one to the root in the log.
fn open<'f>(
    files: &Files,
    manifest: &Manifest,
    facts: &'f Facts,
    kind: &Kind,
    verdict: &mut Verdict,
) -> Option<Opened<'f>> {
    let (octets, proof) = match (files.get(kind.leaf), files.get(kind.proof)) {
        (Some(leaf), Some(proof)) => (leaf, proof),
        (None, None) => {
            verdict.not_shown.push(kind.without.to_owned());
            return None;
        }
        (leaf, _) => {
            let (missing, other) = if leaf.is_none() { (kind.leaf, kind.proof) } else { (kind.proof, kind.leaf) };
            let message = format!("The file {missing} is missing: {other} means nothing without it.");
            verdict.refuse(kind.bad, missing, message);
            return None;
        }
    };
    let (leaf, ordinal) = read_leaf(octets, manifest, kind, verdict)?;
    let proof = match TreeProof::parse(proof) {
        Ok(proof) => proof,
        Err(why) => {
            verdict.refuse(kind.bad, kind.proof, format!("The file {} is {why}.", kind.proof));
            return None;
        }
    };
    let event = root_event(&proof, facts, kind, verdict)?;
    if let Err(why) = verify_inclusion(&leaf_hash(octets), proof.index, proof.size, &proof.path, &proof.root) {
        let message = format!(
            "The person in {} is not in {}, at least not by the path in {}: {why}.",
            kind.leaf, kind.what, kind.proof
        );
        verdict.refuse(kind.outside, kind.leaf, message);
        return None;
    }
    Some(Opened { leaf, ordinal, proof, event })
}

/// The leaf, and the number of the person in the campaign.
fn read_leaf(octets: &[u8], manifest: &Manifest, kind: &Kind, verdict: &mut Verdict) -> Option<(Object, u64)> {
    let path = kind.leaf;
    let leaf = match read_object(octets) {
        Ok(leaf) => leaf,
        Err(why) => {
            verdict.refuse(kind.bad, path, format!("The file {path} is no leaf of a tree: it is {why}."));
            return None;
        }
    };
    let ordinal = leaf.number("ord").filter(|_| leaf.number("v") == Some(VERSION));
    if ordinal.is_none() {
        let message = format!("The file {path} does not say which person it is of, in version {VERSION} of the form.");
        verdict.refuse(kind.bad, path, message);
    }
    if leaf.text("subj") != Some(&manifest.subject) {
        let message = format!("The file {path} is of another person than {MANIFEST} says.");
        verdict.refuse(Reason::OtherPerson, path, message);
    }
    ordinal.map(|ordinal| (leaf, ordinal))
}

/// The fact that holds the root to which the proof leads.
fn root_event<'f>(proof: &TreeProof, facts: &'f Facts, kind: &Kind, verdict: &mut Verdict) -> Option<&'f Object> {
    let TreeProof { seal, size, .. } = proof;
    let (path, event) = (kind.proof, layout::event(*seal));
    let fact = facts.get(seal).filter(|fact| fact.about == About::Campaign && fact.kind() == kind.event);
    let Some(fact) = fact else {
        let message = format!("The file {path} leads to {event}, which is not there, or is no fact `{}`.", kind.event);
        verdict.refuse(kind.bad, path, message);
        return None;
    };
    let same = fact.leaf.text("root") == Some(&const_hex::encode(proof.root)) && fact.leaf.number("n") == Some(*size);
    if !same {
        let message = format!("The file {path} leads to another root, or a tree of another size, than {event} says.");
        verdict.refuse(kind.bad, path, message);
        return None;
    }
    Some(&fact.leaf)
}

/// Who was to be told was sealed before this person was told anything.
fn check_recipient(opened: &Opened<'_>, facts: &Facts, verdict: &mut Verdict) {
    let seal = opened.proof.seal;
    let first = facts.iter().find(|(_, fact)| fact.about == About::Person && fact.kind() == STARTED);
    if let Some((first, _)) = first.filter(|(first, _)| **first < seal) {
        let (attempt, event) = (layout::event(*first), layout::event(seal));
        let message =
            format!("The list of those to be told was sealed by {event}, after the attempt in {attempt} had begun.");
        return verdict.refuse(Reason::SealedTooLate, RECIPIENT_PROOF, message);
    }
    let (ordinal, size) = (opened.ordinal, opened.proof.size);
    verdict.proven.push(format!(
        "The person was sealed as number {ordinal} of the campaign, in a list of {size} persons to be told (fact {seal}), \
         before any attempt to reach this person began."
    ));
}

fn check_recipient_disclosures(files: &Files, leaf: Option<&Object>, verdict: &mut Verdict) {
    let mut open: BTreeSet<&str> = BTreeSet::new();
    for (path, octets) in files {
        let Place::RecipientDisclosure(label) = place_of(path) else { continue };
        match leaf {
            Some(leaf) => {
                if disclosed(path, octets, label, RECIPIENT_LEAF, leaf, verdict).is_some() {
                    open.insert(label);
                }
            }
            // Where the leaf is there, it was refused, and why was said.
            None if files.contains_key(RECIPIENT_LEAF) => {}
            None => {
                let message = format!("The file {path} belongs to {RECIPIENT_LEAF}, which is not there.");
                verdict.refuse(Reason::StrayFile, path, message);
            }
        }
    }
    if let Some(leaf) = leaf {
        tell_undisclosed(RECIPIENT_LEAF, leaf, |label| open.contains(label), verdict);
    }
}

/// The closing tree names exactly the facts that the bundle shows of the person.
fn check_closing(opened: &Opened<'_>, facts: &Facts, verdict: &mut Verdict) {
    let close = opened.proof.seal;
    let Some(size) = opened.event.number("size").filter(|size| *size <= close) else {
        let message = format!("The fact in {} does not say of which facts before it it tells.", layout::event(close));
        return verdict.refuse(Reason::BadClosing, &layout::event(close), message);
    };
    let Some(told) = numbers(&opened.leaf).filter(|told| told.last().is_none_or(|last| *last < size)) else {
        let message = format!(
            "The file {CLOSING_LEAF} is no list of the numbers of facts below {size}, in their order, each once."
        );
        return verdict.refuse(Reason::BadClosing, CLOSING_LEAF, message);
    };
    let about = facts.iter().filter(|(index, fact)| fact.about == About::Person && **index < size);
    let shown: BTreeSet<u64> = about.map(|(index, _)| *index).collect();
    let told: BTreeSet<u64> = told.into_iter().collect();
    for index in told.difference(&shown) {
        let path = layout::event(*index);
        let message = format!(
            "A fact is withheld: {CLOSING_LEAF} says that fact {index} is about this person, and the bundle does not show \
             it as {path}."
        );
        verdict.refuse(Reason::FactWithheld, &path, message);
    }
    for index in shown.difference(&told) {
        let path = layout::event(*index);
        let message = format!(
            "The closing tree does not know fact {index}: {path} says it is about this person, {CLOSING_LEAF} does not."
        );
        verdict.refuse(Reason::FactUnknown, &path, message);
    }
    verdict.proven.push(format!(
        "No fact about the person is left out: the tree that closed the campaign (fact {close}) names exactly the {} shown \
         here, of all facts before number {size}. It cannot tell of later ones.",
        shown.len()
    ));
}

fn numbers(leaf: &Object) -> Option<Vec<u64>> {
    let numbers: Vec<u64> = leaf.list("ev")?.iter().map(Value::as_number).collect::<Option<_>>()?;
    numbers.is_sorted_by(|a, b| a < b).then_some(numbers)
}

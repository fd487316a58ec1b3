//! The facts of a bundle: that each is in the log, about whom it should be, and what its commitments stand for.

use super::super::canonical::{Object, Value, read_object};
use super::super::checkpoint::Checkpoint;
use super::super::disclosure::Disclosure;
use super::super::merkle::{leaf_hash, verify_inclusion};
use super::super::proof_file::ProofFile;
use super::Files;
use super::frame::Frame;
use super::layout::{self, CHECKPOINT, EXCHANGE_LABEL, MANIFEST, MESSAGE_LABEL, Place, place_of};
use super::manifest::{About, Listed, Manifest};
use super::verdict::{Reason, Undisclosed, Verdict};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// The version of leaves that is read here.
pub(super) const VERSION: u64 = 1;

/// A fact whose leaf could be read.
pub(super) struct Fact {
    pub about: About,
    pub leaf: Object,
    /// What was disclosed of it, by label.
    pub disclosed: BTreeMap<String, Value>,
}

/// The facts by the number of their leaf.
pub(super) type Facts = BTreeMap<u64, Fact>;

impl Fact {
    /// What happened.
    pub(super) fn kind(&self) -> &str {
        self.leaf.text("ev").unwrap_or_default()
    }

    /// When, by the clock of who wrote it.
    pub(super) fn time(&self) -> &str {
        self.leaf.text("t").unwrap_or_default()
    }
}

pub(super) fn check(files: &Files, frame: &Frame, verdict: &mut Verdict) -> Facts {
    let Some(manifest) = &frame.manifest else { return Facts::new() };
    let mut facts = Facts::new();
    for listed in &manifest.events {
        if let Some(fact) = check_event(files, listed, manifest, verdict) {
            facts.insert(listed.index, fact);
        }
        check_proof(files, listed.index, frame.checkpoint.as_ref(), verdict);
    }
    check_unlisted(files, manifest, verdict);
    check_disclosures(files, &mut facts, verdict);
    check_payloads(files, &facts, verdict);
    for (index, fact) in &facts {
        tell_undisclosed(&layout::event(*index), &fact.leaf, |label| fact.disclosed.contains_key(label), verdict);
    }
    facts
}

/// Refuses a file that is not there, if nobody has done so.
fn missing(path: &str, verdict: &mut Verdict) {
    if !verdict.refused.iter().any(|finding| finding.file == path) {
        let message = format!("The file {path} is missing: {MANIFEST} names the fact.");
        verdict.refuse(Reason::MissingEvent, path, message);
    }
}

fn check_event(files: &Files, listed: &Listed, manifest: &Manifest, verdict: &mut Verdict) -> Option<Fact> {
    let path = layout::event(listed.index);
    let Some(octets) = files.get(&path) else {
        missing(&path, verdict);
        return None;
    };
    let leaf = match read_object(octets) {
        Ok(leaf) => leaf,
        Err(why) => {
            verdict.refuse(Reason::BadEvent, &path, format!("The file {path} is no fact of a log: it is {why}."));
            return None;
        }
    };
    if leaf.text("ev").is_none() || leaf.text("t").is_none() || leaf.number("v") != Some(VERSION) {
        let message = format!("The file {path} does not say what happened and when, in version {VERSION} of the form.");
        verdict.refuse(Reason::BadEvent, &path, message);
        return None;
    }
    if leaf.text("camp") != Some(&manifest.campaign) {
        let message = format!("The fact in {path} is not of the campaign {}.", manifest.campaign);
        verdict.refuse(Reason::OtherCampaign, &path, message);
    }
    let fits = match listed.about {
        About::Person => leaf.text("subj") == Some(&manifest.subject),
        About::Campaign => leaf.get("subj").is_none(),
    };
    if !fits {
        let message = match listed.about {
            About::Person => format!("The fact in {path} is not about the person whose bundle this is."),
            About::Campaign => {
                format!("The fact in {path} is about a person; {MANIFEST} says it is about the campaign.")
            }
        };
        verdict.refuse(Reason::OtherPerson, &path, message);
    }
    Some(Fact { about: listed.about, leaf, disclosed: BTreeMap::new() })
}

/// The proof leads from the leaf to the root that the checkpoint of the bundle signs.
fn check_proof(files: &Files, index: u64, checkpoint: Option<&Checkpoint>, verdict: &mut Verdict) {
    let (path, event) = (layout::event_proof(index), layout::event(index));
    let Some(octets) = files.get(&path) else { return missing(&path, verdict) };
    let proof = match ProofFile::parse(octets) {
        Ok(proof) => proof,
        Err(why) => return verdict.refuse(Reason::BadProof, &path, format!("The file {path} is no proof: {why}.")),
    };
    if proof.index != index {
        let message = format!("The file {path} is the proof of fact {}, not of fact {index}.", proof.index);
        return verdict.refuse(Reason::BadProof, &path, message);
    }
    if files.get(CHECKPOINT).is_some_and(|own| own.as_slice() != proof.checkpoint.as_bytes()) {
        let message = format!("The file {path} holds another head of the log than the file {CHECKPOINT}.");
        return verdict.refuse(Reason::OtherCheckpoint, &path, message);
    }
    let (Some(checkpoint), Some(leaf)) = (checkpoint, files.get(&event)) else { return };
    if let Err(why) = verify_inclusion(&leaf_hash(leaf), index, checkpoint.size, &proof.hashes, &checkpoint.root) {
        let message = format!("The fact in {event} is not in the log, at least not by the proof in {path}: {why}.");
        verdict.refuse(Reason::BadProof, &event, message);
    }
}

fn check_unlisted(files: &Files, manifest: &Manifest, verdict: &mut Verdict) {
    let listed = |index: u64| manifest.events.binary_search_by_key(&index, |listed| listed.index).is_ok();
    for path in files.keys() {
        match place_of(path) {
            Place::Event(index) | Place::EventProof(index) if !listed(index) => {
                let message = format!("The file {path} is of a fact that {MANIFEST} does not name.");
                verdict.refuse(Reason::UnlistedEvent, path, message);
            }
            Place::Disclosure { index, .. } | Place::Payload { index, .. } if !listed(index) => {
                let message = format!("The file {path} belongs to a fact that {MANIFEST} does not name.");
                verdict.refuse(Reason::StrayFile, path, message);
            }
            Place::Event(_)
            | Place::EventProof(_)
            | Place::Disclosure { .. }
            | Place::Payload { .. }
            | Place::RecipientDisclosure(_)
            | Place::Stamp { .. }
            | Place::Named
            | Place::Stray
            | Place::Unknown => {}
        }
    }
}

fn check_disclosures(files: &Files, facts: &mut Facts, verdict: &mut Verdict) {
    for (path, octets) in files {
        let Place::Disclosure { index, label } = place_of(path) else { continue };
        let Some(fact) = facts.get_mut(&index) else { continue };
        if let Some(value) = disclosed(path, octets, label, &layout::event(index), &fact.leaf, verdict) {
            fact.disclosed.insert(label.to_owned(), value);
        }
    }
}

/// The value that a file discloses of a leaf, where the leaf commits to it.
pub(super) fn disclosed(
    path: &str,
    octets: &[u8],
    label: &str,
    leaf_path: &str,
    leaf: &Object,
    verdict: &mut Verdict,
) -> Option<Value> {
    let disclosure = match Disclosure::parse(octets) {
        Ok(disclosure) => disclosure,
        Err(why) => {
            verdict.refuse(Reason::BadDisclosure, path, format!("The file {path} discloses nothing: {why}."));
            return None;
        }
    };
    if disclosure.label() != label {
        let message = format!("The file {path} discloses a value that has another label than the file has.");
        verdict.refuse(Reason::BadDisclosure, path, message);
        return None;
    }
    let commitment = leaf.object("com").and_then(|com| com.text(label));
    if commitment != Some(disclosure.commitment().as_str()) {
        let message = format!("What {path} discloses is not what the fact in {leaf_path} is bound to.");
        verdict.refuse(Reason::WrongDisclosure, path, message);
        return None;
    }
    Some(disclosure.value().clone())
}

/// Every payload has the digest that its fact is bound to and discloses.
fn check_payloads(files: &Files, facts: &Facts, verdict: &mut Verdict) {
    for (path, octets) in files {
        let Place::Payload { index, label } = place_of(path) else { continue };
        let Some(fact) = facts.get(&index) else { continue };
        let disclosure = layout::disclosure(index, label);
        match fact.disclosed.get(label).map(Value::as_text) {
            None => {
                let message = format!(
                    "The file {path} cannot be checked: {disclosure}, which says what its digest must be, is not there or \
                     not right."
                );
                verdict.refuse(Reason::PayloadUndisclosed, path, message);
            }
            Some(digest) if digest == Some(&const_hex::encode(Sha256::digest(octets))) => {}
            Some(_) => {
                let message = format!("The file {path} has another digest than {disclosure} says.");
                verdict.refuse(Reason::PayloadChanged, path, message);
            }
        }
    }
    for (index, fact) in facts {
        for (label, what) in [(MESSAGE_LABEL, "The message"), (EXCHANGE_LABEL, "The exchange with the provider")] {
            let shown = layout::payloads(*index, label).any(|path| files.contains_key(&path));
            if fact.disclosed.contains_key(label) && !shown {
                let text = format!("{what} of fact {index}: its digest is disclosed, the file is not there.");
                verdict.not_shown.push(text);
            }
        }
    }
}

/// Lists the commitments of a leaf that nothing opens.
pub(super) fn tell_undisclosed(file: &str, leaf: &Object, open: impl Fn(&str) -> bool, verdict: &mut Verdict) {
    let Some(commitments) = leaf.object("com") else { return };
    for (label, _) in commitments.iter().filter(|(label, _)| !open(label)) {
        verdict.undisclosed.push(Undisclosed { file: file.to_owned(), label: label.to_owned() });
    }
}

//! The frame of a bundle: sums, seal, key, manifest and the head of the log. On these all the rest hangs.

use super::super::checkpoint::{Checkpoint, CheckpointError};
use super::super::merkle::Hash;
use super::super::note::{self, KeyKind, VerifierKey};
use super::Files;
use super::layout::{CHECKPOINT, MANIFEST, Place, SEAL, SUMS, VKEY, place_of};
use super::manifest::Manifest;
use super::sums::{self, is_summed, seal_text};
use super::verdict::{Reason, Signer, Verdict};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// What was found to hold of the frame.
pub(super) struct Frame {
    /// The key in the bundle.
    pub key: Option<VerifierKey>,
    pub manifest: Option<Manifest>,
    pub checkpoint: Option<Checkpoint>,
}

pub(super) fn check(files: &Files, trusted: Option<&VerifierKey>, verdict: &mut Verdict) -> Frame {
    let digests = files.iter().map(|(path, octets)| (path.as_str(), Sha256::digest(octets).into())).collect();
    check_sums(files, &digests, verdict);
    check_places(files, verdict);
    let key = check_key(files, trusted, verdict);
    if let Some(key) = &key {
        check_seal(files, key, verdict);
    }
    let manifest = check_manifest(files, verdict);
    let head = manifest.as_ref().map(|manifest| (manifest.origin.as_str(), manifest.checkpoint));
    let checkpoint = key.as_ref().zip(head).and_then(|(key, head)| check_head(files, key, head, verdict));
    Frame { key, manifest, checkpoint }
}

/// The octets of a file that every bundle has.
pub(super) fn required<'f>(files: &'f Files, path: &str, verdict: &mut Verdict) -> Option<&'f [u8]> {
    let file = files.get(path).map(Vec::as_slice);
    // What the sums name and the zip lacks was said already.
    if file.is_none() && !verdict.refused.iter().any(|finding| finding.file == path) {
        verdict.refuse(Reason::MissingFile, path, format!("The file {path} is missing; every bundle has one."));
    }
    file
}

/// Every file is named with its digest, and every file that is named is there.
pub(super) fn check_sums(files: &Files, digests: &BTreeMap<&str, Hash>, verdict: &mut Verdict) {
    let Some(octets) = required(files, SUMS, verdict) else { return };
    let named = match sums::parse(octets) {
        Ok(named) => named,
        Err(line) => {
            let message = format!(
                "Line {line} of {SUMS} is not a digest, two spaces and the path of a file, in the order of the paths."
            );
            return verdict.refuse(Reason::BadSums, SUMS, message);
        }
    };
    let unnamed = digests.iter().filter(|(path, _)| is_summed(path) && !named.contains_key(*path));
    let mut added: BTreeMap<&str, &Hash> = unnamed.map(|(path, digest)| (*path, digest)).collect();
    for (path, digest) in &named {
        match digests.get(path) {
            Some(real) if real == digest => {}
            Some(_) => verdict.refuse(
                Reason::ChangedFile,
                path,
                format!("The file {path} was changed: its digest is not the one in {SUMS}."),
            ),
            None => {
                let under = added.iter().find(|(_, real)| **real == digest).map(|(path, _)| *path);
                match under {
                    Some(under) => {
                        added.remove(under);
                        let message = format!("The file {path} was renamed: its content is there as {under}.");
                        verdict.refuse(Reason::RenamedFile, path, message);
                    }
                    None => {
                        let message = format!("The file {path} is missing: {SUMS} names it, and it is not there.");
                        verdict.refuse(Reason::MissingFile, path, message);
                    }
                }
            }
        }
    }
    for path in added.keys() {
        verdict.refuse(Reason::AddedFile, path, format!("The file {path} was added: {SUMS} does not name it."));
    }
}

fn check_places(files: &Files, verdict: &mut Verdict) {
    for path in files.keys() {
        match place_of(path) {
            Place::Stray => {
                let message = format!("The file {path} stands where files of facts stand, but is not called as one.");
                verdict.refuse(Reason::StrayFile, path, message);
            }
            Place::Unknown => {
                let message = format!("This program does not know what {path} is, and has checked nothing of it.");
                verdict.warn(Reason::UnknownFile, path, message);
            }
            Place::Event(_)
            | Place::EventProof(_)
            | Place::Disclosure { .. }
            | Place::Payload { .. }
            | Place::RecipientDisclosure(_)
            | Place::Stamp { .. }
            | Place::Named => {}
        }
    }
}

/// The key in the bundle; where the reader has given one, it must be the same.
pub(super) fn check_key(files: &Files, trusted: Option<&VerifierKey>, verdict: &mut Verdict) -> Option<VerifierKey> {
    let octets = required(files, VKEY, verdict)?;
    let text = std::str::from_utf8(octets).ok().and_then(|text| text.strip_suffix('\n'));
    let key = match text.map(VerifierKey::parse) {
        Some(Ok(key)) if key.kind() == KeyKind::Ed25519 => key,
        Some(Err(why)) => {
            verdict.refuse(Reason::BadKey, VKEY, format!("The file {VKEY} holds no key: {why}."));
            return None;
        }
        Some(Ok(_)) | None => {
            let message = format!("The file {VKEY} does not hold the key of a log and a line end, and nothing else.");
            verdict.refuse(Reason::BadKey, VKEY, message);
            return None;
        }
    };
    if let Some(other) = trusted.filter(|trusted| **trusted != key) {
        let message = format!(
            "The key in {VKEY} is not the one you gave. Its fingerprint is {}; that of yours is {}. Whoever made this \
             bundle did not hold the key you trust.",
            key.fingerprint(),
            other.fingerprint()
        );
        verdict.refuse(Reason::OtherKey, VKEY, message);
    }
    verdict.signer =
        Some(Signer { vkey: key.to_string(), fingerprint: key.fingerprint(), known: trusted == Some(&key) });
    Some(key)
}

pub(super) fn check_seal(files: &Files, key: &VerifierKey, verdict: &mut Verdict) {
    let (Some(seal), Some(sums)) = (required(files, SEAL, verdict), files.get(SUMS)) else { return };
    match note::open(seal, std::slice::from_ref(key)) {
        Ok(opened) if opened.text == seal_text(sums) => {}
        Ok(_) => {
            let message = format!(
                "The file {SEAL} seals other sums than those in {SUMS}: files of the bundle were changed, and the sums made \
                 again."
            );
            verdict.refuse(Reason::BadSeal, SEAL, message);
        }
        Err(why) => {
            let message = format!("The file {SEAL} is not signed by the key in {VKEY}: {why}.");
            verdict.refuse(Reason::BadSeal, SEAL, message);
        }
    }
}

fn check_manifest(files: &Files, verdict: &mut Verdict) -> Option<Manifest> {
    match Manifest::parse(required(files, MANIFEST, verdict)?) {
        Ok(manifest) => Some(manifest),
        Err(why) => {
            verdict.refuse(Reason::BadManifest, MANIFEST, format!("The file {MANIFEST} is {why}."));
            None
        }
    }
}

/// The signed head of the log, which has this name and size.
pub(super) fn check_head(
    files: &Files,
    key: &VerifierKey,
    (origin, size): (&str, u64),
    verdict: &mut Verdict,
) -> Option<Checkpoint> {
    let octets = required(files, CHECKPOINT, verdict)?;
    let checkpoint = match Checkpoint::open(octets, origin, std::slice::from_ref(key)) {
        Ok(signed) => signed.checkpoint,
        Err(why @ CheckpointError::OtherLog { .. }) => {
            verdict.refuse(Reason::OtherCheckpoint, CHECKPOINT, format!("The file {CHECKPOINT} does not fit: {why}."));
            return None;
        }
        Err(why) => {
            let message =
                format!("The file {CHECKPOINT} is no head of the log that the key in {VKEY} has signed: {why}.");
            verdict.refuse(Reason::BadCheckpoint, CHECKPOINT, message);
            return None;
        }
    };
    if checkpoint.size != size {
        let message =
            format!("The file {CHECKPOINT} is of a log of {} facts, {MANIFEST} says {size}.", checkpoint.size);
        verdict.refuse(Reason::OtherCheckpoint, CHECKPOINT, message);
        return None;
    }
    Some(checkpoint)
}

//! Time stamps of an authority in a bundle: what tells the time where nobody need believe the clock of the log.
//!
//! A stamp is over an earlier head of the log, or over the one of the bundle. That the log of the bundle is that earlier
//! one, grown, is shown as logs show it; so every fact before the size of that head was in it when it was stamped. The
//! stamp's digest is a fact, too: whatever comes after that fact came into the log after the stamp.

use super::super::canonical::read_object;
use super::super::checkpoint::Checkpoint;
use super::super::fact::seconds;
use super::super::merkle::{Hash, leaf_hash, verify_consistency, verify_inclusion};
use super::super::proof_file::ProofFile;
use super::super::timestamp::TimestampError;
use super::super::timestamp::authority::Authority;
use super::super::timestamp::token::Token;
use super::super::{base64, decimal, hash_from_base64};
use super::Files;
use super::events::Facts;
use super::frame::Frame;
use super::layout::{self, CHECKPOINT, Place, Stamp, TSA_CA, VKEY, place_of};
use super::verdict::{Reason, Verdict};
use crate::model::time::Micros;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// What the fact about a stamp is called.
pub const ANCHOR: &str = "anchor";

/// `SIZE.consistency`: `old SIZE`, and a line for each hash.
pub fn consistency_file(size: u64, hashes: &[Hash]) -> String {
    let lines: String = hashes.iter().map(|hash| format!("{}\n", base64(hash))).collect();
    format!("old {size}\n{lines}")
}

/// The hashes of such a file for this size.
fn read_consistency(octets: &[u8], size: u64) -> Option<Vec<Hash>> {
    let text = std::str::from_utf8(octets).ok()?.strip_suffix('\n')?;
    let mut lines = text.split('\n');
    let first = lines.next()?.strip_prefix("old ").and_then(decimal);
    (first == Some(size)).then(|| lines.map(hash_from_base64).collect())?
}

/// What the frame says, where it holds.
struct Ground<'f> {
    files: &'f Files,
    frame: &'f Frame,
    head: &'f Checkpoint,
    authority: Option<Authority>,
}

pub(super) fn check(files: &Files, frame: &Frame, facts: &Facts, verdict: &mut Verdict) {
    let stamp = |path: &String| if let Place::Stamp { size, .. } = place_of(path) { Some(size) } else { None };
    let sizes: BTreeSet<u64> = files.keys().filter_map(stamp).collect();
    if sizes.is_empty() {
        if files.contains_key(TSA_CA) {
            let message = format!("The file {TSA_CA} is there, and no time stamp that it could be for.");
            verdict.refuse(Reason::StrayFile, TSA_CA, message);
        }
        let without = "When anything happened, by another clock than the sender's: there is no anchors/.";
        verdict.not_shown.push(without.to_owned());
        return;
    }
    let Some(head) = &frame.checkpoint else { return };
    let ground = Ground { files, frame, head, authority: authority(files, verdict) };
    for size in sizes {
        if let Some(stamped) = ground.stamped(size, verdict) {
            tell(&ground, size, &stamped, facts, verdict);
        }
    }
}

/// The certificates in the bundle; what is wrong with them is said.
fn authority(files: &Files, verdict: &mut Verdict) -> Option<Authority> {
    let Some(pem) = files.get(TSA_CA) else {
        let message = format!("The file {TSA_CA} is missing: without it nobody knows who has stamped.");
        verdict.refuse(Reason::AnchorMissing, TSA_CA, message);
        return None;
    };
    match Authority::parse(pem) {
        Ok(authority) => Some(authority),
        Err(why) => {
            verdict.refuse(Reason::BadTimestamp, TSA_CA, format!("The file {TSA_CA} {why}."));
            None
        }
    }
}

/// What holds of one stamp.
struct Stamped {
    at: Micros,
    /// The fact that holds its digest.
    fact: Option<u64>,
}

impl Ground<'_> {
    fn stamped(&self, size: u64, verdict: &mut Verdict) -> Option<Stamped> {
        let mut file = |stamp: Stamp| {
            let path = layout::stamp(size, stamp);
            let octets = self.files.get(&path);
            if octets.is_none() {
                let message = format!("The file {path} is missing: a time stamp means nothing without it.");
                verdict.refuse(Reason::AnchorMissing, &path, message);
            }
            octets
        };
        let (note, reply, grown) = (file(Stamp::Head), file(Stamp::Reply), file(Stamp::Consistency));
        let (note, reply, grown) = (note?, reply?, grown?);
        self.check_head(size, note, grown, verdict)?;
        let fact = self.check_fact(size, reply, verdict)?;
        let at = self.check_reply(size, note, reply, verdict)?;
        Some(Stamped { at, fact })
    }

    /// The head that was stamped is one of this log, which is the one of the bundle, grown.
    fn check_head(&self, size: u64, note: &[u8], grown: &[u8], verdict: &mut Verdict) -> Option<()> {
        let path = layout::stamp(size, Stamp::Head);
        let key = self.frame.key.as_ref()?;
        let stamped = match Checkpoint::open(note, &self.head.origin, std::slice::from_ref(key)) {
            Ok(signed) => signed.checkpoint,
            Err(why) => {
                let message =
                    format!("The file {path} is no head of the log that the key in {VKEY} has signed: {why}.");
                verdict.refuse(Reason::BadAnchor, &path, message);
                return None;
            }
        };
        if stamped.size != size {
            let message = format!("The file {path} is a head of {} facts, and is not called so.", stamped.size);
            verdict.refuse(Reason::BadAnchor, &path, message);
            return None;
        }
        let path = layout::stamp(size, Stamp::Consistency);
        let Some(hashes) = read_consistency(grown, size) else {
            let message = format!("The file {path} is not `old {size}` and a hash a line.");
            verdict.refuse(Reason::BadAnchor, &path, message);
            return None;
        };
        if let Err(why) = verify_consistency(size, &stamped.root, self.head.size, &self.head.root, &hashes) {
            let message = format!(
                "The log whose head was stamped is not the beginning of the log in {CHECKPOINT}, at least not by {path}: \
                 {why}."
            );
            verdict.refuse(Reason::AnchorForked, &path, message);
            return None;
        }
        Some(())
    }

    /// The fact about the stamp, where it is shown, is in the log and about this very stamp. `None` where it is not.
    fn check_fact(&self, size: u64, reply: &[u8], verdict: &mut Verdict) -> Option<Option<u64>> {
        let (path, other) = (layout::stamp(size, Stamp::Fact), layout::stamp(size, Stamp::FactProof));
        let (leaf, proof) = match (self.files.get(&path), self.files.get(&other)) {
            (Some(leaf), Some(proof)) => (leaf, proof),
            (None, None) => return Some(None),
            (leaf, _) => {
                let (missing, there) = if leaf.is_none() { (&path, &other) } else { (&other, &path) };
                let message = format!("The file {missing} is missing: {there} means nothing without it.");
                verdict.refuse(Reason::AnchorMissing, missing, message);
                return None;
            }
        };
        match self.fact(size, leaf, proof, reply) {
            Ok(index) => Some(Some(index)),
            Err(why) => {
                let message = format!("The file {path} is not the fact about the time stamp over {size} facts: {why}.");
                verdict.refuse(Reason::BadAnchor, &path, message);
                None
            }
        }
    }

    fn fact(&self, size: u64, leaf: &[u8], proof: &[u8], reply: &[u8]) -> Result<u64, String> {
        let proof = ProofFile::parse(proof).map_err(|why| format!("its proof is none: {why}"))?;
        if self.files.get(CHECKPOINT).is_none_or(|own| own.as_slice() != proof.checkpoint.as_bytes()) {
            return Err(format!("its proof holds another head than {CHECKPOINT}"));
        }
        verify_inclusion(&leaf_hash(leaf), proof.index, self.head.size, &proof.hashes, &self.head.root)
            .map_err(|why| format!("it is not in the log: {why}"))?;
        let fact = read_object(leaf).map_err(|why| why.to_string())?;
        let digest = const_hex::encode(Sha256::digest(reply));
        let right = fact.text("ev") == Some(ANCHOR)
            && fact.number("size") == Some(size)
            && fact.text("sha256") == Some(&digest);
        if right { Ok(proof.index) } else { Err("it is about something else".to_owned()) }
    }

    /// The authority has stamped that head; when.
    fn check_reply(&self, size: u64, note: &[u8], reply: &[u8], verdict: &mut Verdict) -> Option<Micros> {
        let path = layout::stamp(size, Stamp::Reply);
        let authority = self.authority.as_ref()?;
        let checked = || {
            let token = Token::read(reply)?;
            token.stamps(&Sha256::digest(note).into())?;
            authority.check(&token)?;
            Ok::<Micros, TimestampError>(token.at)
        };
        match checked() {
            Ok(at) => Some(at),
            Err(TimestampError::OtherImprint) => {
                let head = layout::stamp(size, Stamp::Head);
                let message = format!("The file {path} stamps something else than {head}.");
                verdict.refuse(Reason::OtherTimestamp, &path, message);
                None
            }
            Err(why) => {
                let message = format!("The file {path} is not believed by {TSA_CA}: the answer {why}.");
                verdict.refuse(Reason::BadTimestamp, &path, message);
                None
            }
        }
    }
}

fn tell(ground: &Ground<'_>, size: u64, stamped: &Stamped, facts: &Facts, verdict: &mut Verdict) {
    let at = seconds(stamped.at);
    let roots = ground.authority.as_ref().map(|authority| authority.fingerprints().join(", ")).unwrap_or_default();
    let before = facts.range(..size).count();
    verdict.proven.push(format!(
        "The log had its first {size} facts by {at}, says a time-stamping authority: {before} of the {} shown here. Compare \
         the SHA-256 fingerprint of its root with the one that it publishes: {roots}.",
        facts.len()
    ));
    if let Some(index) = stamped.fact {
        let after = facts.range(index..).count();
        verdict.proven.push(format!(
            "Fact {index} of the log holds the digest of that time stamp: whatever has a higher number came into the log after \
             {at}: {after} of the facts shown here."
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_hashes_has_one_form() {
        let hashes = [[1; 32], [2; 32]];
        let text = consistency_file(9, &hashes);
        assert_eq!(read_consistency(text.as_bytes(), 9), Some(hashes.to_vec()));
        assert_eq!(read_consistency(b"old 9\n", 9), Some(Vec::new()));
        for bad in ["", "old 9", "old 09\n", "old 8\n", "old 9\n\n", "old 9\nx\n", "9\n", "old 9\r\n"] {
            assert_eq!(read_consistency(bad.as_bytes(), 9), None, "{bad:?}");
        }
        assert_eq!(read_consistency(text.trim_end().as_bytes(), 9), None);
    }
}

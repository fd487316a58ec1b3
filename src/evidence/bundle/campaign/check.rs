//! The verdict on the bundle of a campaign.
//!
//! Parts of the log are read one by one, in any order and next to each other ([`read_log`]); what is found is small beside
//! them. When all are read, [`verify`] puts them together: the tree must be the one whose head is signed, the persons
//! those who were sealed, the facts about each of them those that the closing knows, and the sums those of the log.

use super::super::super::canonical::{Object, read_object};
use super::super::super::merkle::{Frontier, Hash, leaf_hash};
use super::super::super::note::VerifierKey;
use super::super::attempts::STARTED;
use super::super::events::{VERSION, disclosed};
use super::super::verdict::{Finding, Reason, Verdict};
use super::super::{Files, frame, layout};
use super::lines::{Line, lines};
use super::manifest::Manifest;
use super::persons::Listed;
use super::recount::{CLOSE, Recount, SEAL};
use super::{CERTIFICATE, DECLARATION, PART, Place, README, SUMMARY, VERIFY, log_part, persons_part, place_of, whole};
use std::collections::{BTreeMap, BTreeSet};

/// Leaves of a block whose root parts are joined by.
const BLOCK: u32 = PART.trailing_zeros();

/// A fact about a person: the name, the number of the leaf, and whether it is an attempt that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mention {
    pub name: [u8; 16],
    pub leaf: u64,
    pub begins: bool,
}

/// What was found in a part of the log.
#[derive(Debug, Default)]
pub struct LogPart {
    pub first: u64,
    /// Full subtrees in their order, by height.
    subtrees: Vec<(u32, Hash)>,
    recount: Recount,
    mentions: Vec<Mention>,
    /// Facts that are needed to the end: seals, closings, and those of which something is disclosed.
    kept: BTreeMap<u64, Object>,
    refused: Vec<Finding>,
}

/// Reads the part of the log that begins with this leaf; `wanted` are the leaves of which something is disclosed.
pub fn read_log(first: u64, octets: &[u8], campaign: &str, wanted: &BTreeSet<u64>) -> LogPart {
    let mut part = LogPart { first, ..LogPart::default() };
    let path = log_part(first);
    let refuse = |reason, message| Finding { file: path.clone(), reason, message };
    let (mut block, mut next) = (Frontier::default(), first);
    for line in lines(octets) {
        let line = match line {
            Ok(line) => line,
            Err(number) => {
                let message = format!("Line {number} of {path} is neither a fact nor a hash for facts of others.");
                part.refused.push(refuse(Reason::BadLog, message));
                return part;
            }
        };
        let pushed = match line {
            Line::Leaf(leaf) => {
                if let Err((reason, why)) = part.fact(next, leaf, campaign, wanted) {
                    part.refused.push(refuse(reason, format!("Fact {next}, in {path}, {why}.")));
                }
                block.push(leaf_hash(leaf));
                Ok(())
            }
            Line::Others { height, hash } if height >= BLOCK && block.size() == 0 => {
                part.subtrees.push((height, hash));
                Ok(())
            }
            Line::Others { height, hash } => block.push_full(height, hash),
        };
        if pushed.is_err() {
            let message =
                format!("In {path}, a hash stands for facts from number {next} on, where none of its size can.");
            part.refused.push(refuse(Reason::BadLog, message));
            return part;
        }
        next += line.leaves();
        if block.size() == PART {
            part.subtrees.push((BLOCK, block.root()));
            block = Frontier::default();
        }
    }
    let heights = (0..u64::BITS).rev().filter(|height| block.size() >> height & 1 == 1);
    part.subtrees.extend(heights.zip(block.peaks().iter().copied()));
    part
}

impl LogPart {
    fn fact(
        &mut self,
        number: u64,
        octets: &[u8],
        campaign: &str,
        wanted: &BTreeSet<u64>,
    ) -> Result<(), (Reason, String)> {
        let leaf = read_object(octets).map_err(|why| (Reason::BadEvent, format!("is {why}")))?;
        let (kind, time) = (leaf.text("ev"), leaf.text("t"));
        if kind.is_none() || time.is_none() || leaf.number("v") != Some(VERSION) {
            let why = format!("does not say what happened and when, in version {VERSION} of the form");
            return Err((Reason::BadEvent, why));
        }
        match leaf.text("camp") {
            Some(own) if own == campaign => {}
            Some(_) => return Err((Reason::OtherCampaign, "is of another campaign".to_owned())),
            // A fact of the log itself.
            None => return Ok(()),
        }
        self.recount.add(&leaf);
        if let Some(subject) = leaf.text("subj") {
            let name = Some(subject).filter(|name| name.len() == 32).map(const_hex::decode_to_array);
            let Some(Ok(name)) = name else {
                return Err((Reason::BadEvent, "is about a person without a name of the log".to_owned()));
            };
            self.mentions.push(Mention { name, leaf: number, begins: kind == Some(STARTED) });
        }
        if wanted.contains(&number) || kind.is_some_and(|kind| kind == SEAL || kind == CLOSE) {
            self.kept.insert(number, leaf);
        }
        Ok(())
    }
}

/// All that was read of a bundle.
#[derive(Debug, Default)]
pub struct Read {
    /// The files that are no parts.
    pub files: Files,
    /// The digest of every file, by its path.
    pub digests: BTreeMap<String, Hash>,
    /// In any order.
    pub log: Vec<LogPart>,
    /// The persons of each part, or the number of the line that is wrong, by the number of the first, from 0.
    pub persons: BTreeMap<u64, Result<Vec<Listed>, usize>>,
}

/// What is in all parts of the log together.
pub(super) struct Whole {
    pub recount: Recount,
    pub mentions: Vec<Mention>,
    pub kept: BTreeMap<u64, Object>,
}

/// The manifest of a bundle, where it has a sound one: what reading the log needs.
pub fn manifest(files: &Files) -> Option<Manifest> {
    files.get(layout::MANIFEST).and_then(|octets| Manifest::parse(octets).ok())
}

/// The verdict; `trusted` as in [`super::super::verify`].
pub fn verify(read: Read, trusted: Option<&VerifierKey>) -> Verdict {
    let mut verdict = Verdict::default();
    let Read { files, digests, log, persons } = read;
    let paths: BTreeMap<&str, Hash> = digests.iter().map(|(path, digest)| (path.as_str(), *digest)).collect();
    frame::check_sums(&files, &paths, &mut verdict);
    let key = frame::check_key(&files, trusted, &mut verdict);
    if let Some(key) = &key {
        frame::check_seal(&files, key, &mut verdict);
    }
    let manifest = frame::required(&files, layout::MANIFEST, &mut verdict).map(Manifest::parse);
    let manifest = match manifest {
        Some(Ok(manifest)) => manifest,
        Some(Err(why)) => {
            let message = format!("The file {} is {why}.", layout::MANIFEST);
            verdict.refuse(Reason::BadManifest, layout::MANIFEST, message);
            return verdict;
        }
        None => return verdict,
    };
    for path in digests.keys() {
        let named = [layout::MANIFEST, layout::SUMS, layout::SEAL, layout::CHECKPOINT, layout::VKEY];
        let ours = [SUMMARY, CERTIFICATE, README, DECLARATION, VERIFY, layout::VERIFY_PY];
        if place_of(path) == Place::Other && !named.contains(&path.as_str()) && !ours.contains(&path.as_str()) {
            let message = format!("This program does not know what {path} is, and has checked nothing of it.");
            verdict.warn(Reason::UnknownFile, path, message);
        }
    }
    let head = (manifest.origin.as_str(), manifest.checkpoint);
    let head = key.and_then(|key| frame::check_head(&files, &key, head, &mut verdict));
    let whole = join(log, head.as_ref().map(|head| (head.size, head.root)), &mut verdict);
    let persons = listed(persons, &mut verdict);
    if let (Some(whole), Some(persons)) = (whole, persons) {
        check_disclosures(&files, &whole.kept, &mut verdict);
        whole::check(&files, &manifest, whole, &persons, &mut verdict);
    }
    verdict.proven.insert(0, format!("All {} files are as the key of the log sealed them.", digests.len()));
    verdict.not_shown.extend(manifest.withheld.iter().map(|why| format!("Withheld, as the bundle says: {why}")));
    verdict.campaign = Some(manifest);
    if !verdict.is_valid() {
        verdict.proven.clear();
        verdict.summary = None;
    }
    verdict
}

/// Puts the parts together; none where they are not the log whose head is signed.
fn join(mut log: Vec<LogPart>, head: Option<(u64, Hash)>, verdict: &mut Verdict) -> Option<Whole> {
    log.sort_unstable_by_key(|part| part.first);
    let mut tree = Frontier::default();
    let mut whole = Whole { recount: Recount::default(), mentions: Vec::new(), kept: BTreeMap::new() };
    let mut sound = true;
    for part in log {
        sound &= part.refused.is_empty();
        verdict.refused.extend(part.refused);
        let path = log_part(part.first);
        if part.first != tree.size() {
            let message = format!(
                "The file {path} begins with fact {}; the files before it end with fact {}.",
                part.first,
                tree.size()
            );
            verdict.refuse(Reason::BadLog, &path, message);
            return None;
        }
        for (height, hash) in part.subtrees {
            if tree.push_full(height, hash).is_err() {
                let message = format!("The file {path} does not continue the log where the file before it ends.");
                verdict.refuse(Reason::BadLog, &path, message);
                return None;
            }
        }
        whole.recount.merge(part.recount);
        whole.mentions.extend(part.mentions);
        whole.kept.extend(part.kept);
    }
    let (size, root) = head?;
    if (tree.size(), tree.root()) != (size, root) {
        let message = format!(
            "The files in log/ are not the log whose head is signed: they hold {} facts and lead to another root than the \
             {size} facts of {}. A fact was changed, left out, added or moved.",
            tree.size(),
            layout::CHECKPOINT
        );
        verdict.refuse(Reason::BadLog, layout::CHECKPOINT, message);
        return None;
    }
    sound.then_some(whole)
}

/// All persons in their order.
fn listed(parts: BTreeMap<u64, Result<Vec<Listed>, usize>>, verdict: &mut Verdict) -> Option<Vec<Listed>> {
    let mut all: Vec<Listed> = Vec::new();
    for (first, part) in parts {
        let path = persons_part(first);
        let why = match part {
            Err(line) => {
                format!("Line {line} of {path} is no person: number, name and hash, in the order of the numbers.")
            }
            Ok(part) => {
                let rises = all.last().zip(part.first()).is_none_or(|(last, next)| last.number < next.number);
                if rises && first == all.len() as u64 {
                    all.extend(part);
                    continue;
                }
                format!("The file {path} does not continue the persons where the file before it ends.")
            }
        };
        verdict.refuse(Reason::BadPersons, &path, why);
        return None;
    }
    Some(all)
}

fn check_disclosures(files: &Files, kept: &BTreeMap<u64, Object>, verdict: &mut Verdict) {
    for (path, octets) in files {
        let Place::Disclosure(number) = place_of(path) else { continue };
        let label = path.rsplit('/').next().and_then(|file| file.strip_suffix(".json")).unwrap_or_default();
        match kept.get(&number) {
            Some(leaf) => {
                disclosed(path, octets, label, &format!("fact {number}"), leaf, verdict);
            }
            None => {
                let message = format!("The file {path} belongs to fact {number}, which is not one of the campaign.");
                verdict.refuse(Reason::StrayFile, path, message);
            }
        }
    }
}

//! Opens the bundle of a campaign that a stranger sent, and verifies it: parts next to each other, each in bounded memory.

use super::open::{OpenError, content, damaged, open_zip, refused};
use crate::evidence::bundle::campaign::check::{self, LogPart, Read as Found};
use crate::evidence::bundle::campaign::persons::{self, Listed};
use crate::evidence::bundle::campaign::{LARGEST_PART, LARGEST_REST, Place, is_campaign, place_of};
use crate::evidence::bundle::verdict::{Finding, Reason, Verdict};
use crate::evidence::merkle::Hash;
use crate::evidence::note::VerifierKey;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use zip::ZipArchive;

/// How many times as large as the zip its files may be together: facts are hashes for the most part, and do not pack well.
const MOST_TIMES: u64 = 100;

/// One file that several read from, each from a place of its own.
#[derive(Clone, Debug)]
struct Shared {
    file: Arc<Mutex<fs_err::File>>,
    at: u64,
    length: u64,
}

impl Read for Shared {
    fn read(&mut self, octets: &mut [u8]) -> std::io::Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.at))?;
        let read = file.read(octets)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Shared {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

type Zip = ZipArchive<Shared>;

/// A file of the bundle that is a part.
#[derive(Clone, Debug)]
struct Part {
    path: String,
    place: Place,
}

/// What was read of a part.
enum Done {
    Log(Box<LogPart>),
    Persons(u64, Result<Vec<Listed>, usize>),
}

/// The verdict on the bundle in this file, if it is one of a campaign.
pub fn verify(path: &Path, trusted: Option<&VerifierKey>) -> Result<Option<Verdict>, OpenError> {
    let file = fs_err::File::open(path)?;
    let length = file.metadata()?.len();
    let shared = Shared { file: Arc::new(Mutex::new(file)), at: 0, length };
    let mut zip = open_zip(shared)?;
    let names: Vec<_> = zip.file_names().flatten().collect();
    if !is_campaign(names.iter().map(AsRef::as_ref)) {
        return Ok(None);
    }
    let mut found = Found::default();
    let parts = read_rest(&mut zip, length, &mut found).map_err(OpenError::Refused)?;
    let campaign = check::manifest(&found.files).map(|manifest| manifest.campaign).unwrap_or_default();
    let disclosed = found.files.keys().filter_map(|path| match place_of(path) {
        Place::Disclosure(number) => Some(number),
        Place::Log(_) | Place::Persons(_) | Place::Other => None,
    });
    let wanted: BTreeSet<u64> = disclosed.collect();
    for read in read_parts(&zip, &parts, &campaign, &wanted) {
        let (path, digest, done) = read.map_err(OpenError::Refused)?;
        found.digests.insert(path, digest);
        match done {
            Done::Log(part) => found.log.push(*part),
            Done::Persons(first, persons) => {
                found.persons.insert(first, persons);
            }
        }
    }
    Ok(Some(check::verify(found, trusted)))
}

/// Reads what is no part; the parts, in the order of their paths.
fn read_rest(zip: &mut Zip, length: u64, found: &mut Found) -> Result<Vec<Part>, Finding> {
    let (mut parts, mut left) = (Vec::new(), LARGEST_REST);
    let mut all = length.saturating_mul(MOST_TIMES).saturating_add(LARGEST_REST);
    for at in 0..zip.len() {
        let mut file = zip.by_index(at).map_err(|e| damaged("", &e))?;
        let path = String::from_utf8_lossy(file.name_raw()).into_owned();
        let Some(rest) = all.checked_sub(file.size()) else {
            let message = "The files in the zip are a hundred times as large as the zip; those of a bundle are not.";
            return refused(Reason::ZipTooLarge, &path, message);
        };
        all = rest;
        let place = place_of(&path);
        match place {
            Place::Log(_) | Place::Persons(_) => parts.push(Part { path, place }),
            Place::Disclosure(_) | Place::Other if path.ends_with('/') => {}
            Place::Disclosure(_) | Place::Other => {
                let octets = content(&path, &mut file, left)?;
                left -= octets.len() as u64;
                found.digests.insert(path.clone(), Sha256::digest(&octets).into());
                found.files.insert(path, octets);
            }
        }
    }
    Ok(parts)
}

type ReadPart = Result<(String, Hash, Done), Finding>;

/// Reads the parts on all cores.
fn read_parts(zip: &Zip, parts: &[Part], campaign: &str, wanted: &BTreeSet<u64>) -> Vec<ReadPart> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(parts.len());
    let work = |mut zip: Zip| {
        let mut read = Vec::new();
        while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
            read.push(read_part(&mut zip, part, campaign, wanted));
        }
        read
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(zip.clone()))).collect();
        let read = threads.into_iter().map(|thread| match thread.join() {
            Ok(read) => read,
            Err(fault) => std::panic::resume_unwind(fault),
        });
        read.flatten().collect()
    })
}

fn read_part(zip: &mut Zip, part: &Part, campaign: &str, wanted: &BTreeSet<u64>) -> ReadPart {
    let mut file = zip.by_name(&part.path).map_err(|e| damaged(&part.path, &e))?;
    let octets = content(&part.path, &mut file, LARGEST_PART)?;
    let digest = Sha256::digest(&octets).into();
    let done = match part.place {
        Place::Log(first) => Done::Log(Box::new(check::read_log(first, &octets, campaign, wanted))),
        Place::Persons(first) => Done::Persons(first, persons::read(&octets)),
        Place::Disclosure(_) | Place::Other => {
            return refused(Reason::StrayFile, &part.path, format!("The file {} is no part.", part.path));
        }
    };
    Ok((part.path.clone(), digest, done))
}

//! Keyed hashes of contacts on their way into the store, put in order outside of it.
//!
//! A keyed hash falls anywhere in its table. Kept aside until the source is read, sorted in runs of bounded number and
//! merged, the contacts go into their table from one end to the other, so that each of its pages is written once.
//! What waits is on the disk, in a file without a name, and holds hashes and numbers only.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// Contacts sorted in memory at a time.
const RUN: usize = 1 << 17;
/// Bytes read ahead of each run.
const AHEAD: usize = 16 * 1024;
/// Hash, person and ordinal.
const BYTES: usize = 17;

/// A contact as the store keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashedContact {
    pub hash: i64,
    pub person: i64,
    pub ordinal: u8,
}

/// Contacts that wait to be taken in.
#[derive(Debug)]
pub struct ContactRuns {
    folder: PathBuf,
    waiting: Vec<HashedContact>,
    /// The file of the runs, made when the first one is full, and how many contacts each holds.
    file: Option<std::fs::File>,
    runs: Vec<usize>,
}

impl ContactRuns {
    /// None yet; what does not fit into memory will wait in `folder`.
    pub fn new(folder: &Path) -> ContactRuns {
        ContactRuns { folder: folder.to_owned(), waiting: Vec::new(), file: None, runs: Vec::new() }
    }

    /// Puts the contacts of one person aside.
    pub fn add(&mut self, person: i64, hashes: &[i64]) -> io::Result<()> {
        for (ordinal, hash) in (0..=u8::MAX).zip(hashes) {
            self.waiting.push(HashedContact { hash: *hash, person, ordinal });
        }
        if self.waiting.len() >= RUN { self.write_run() } else { Ok(()) }
    }

    fn write_run(&mut self) -> io::Result<()> {
        self.waiting.sort_unstable();
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile_in(&self.folder)?),
        };
        let mut out = BufWriter::with_capacity(AHEAD, file);
        for contact in &self.waiting {
            out.write_all(&contact.to_bytes())?;
        }
        out.flush()?;
        self.runs.push(self.waiting.len());
        self.waiting.clear();
        Ok(())
    }

    /// All of them, in order.
    pub fn sorted(mut self) -> io::Result<SortedContacts> {
        self.waiting.sort_unstable();
        let mut runs = Vec::with_capacity(self.runs.len() + 1);
        let mut start = 0;
        for len in self.runs {
            let Some(file) = &self.file else { break };
            let part = Part { file: file.try_clone()?, at: start };
            start += (len * BYTES) as u64;
            runs.push(Run::Written { left: len, from: BufReader::with_capacity(AHEAD, part) });
        }
        runs.push(Run::Waiting(self.waiting.into_iter()));
        let mut sorted = SortedContacts { runs, next: BinaryHeap::new() };
        for run in 0..sorted.runs.len() {
            sorted.advance(run)?;
        }
        Ok(sorted)
    }
}

impl HashedContact {
    fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [self.ordinal; BYTES];
        bytes[..8].copy_from_slice(&self.hash.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.person.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; BYTES]) -> HashedContact {
        let number = |at: usize| i64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        HashedContact { hash: number(0), person: number(8), ordinal: bytes[16] }
    }
}

/// The part of the file from `at` on. The runs share the file's position, so each says where it reads.
struct Part {
    file: std::fs::File,
    at: u64,
}

impl io::Read for Part {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.file.seek(SeekFrom::Start(self.at))?;
        let read = self.file.read(out)?;
        self.at += read as u64;
        Ok(read)
    }
}

enum Run {
    Written { left: usize, from: BufReader<Part> },
    Waiting(std::vec::IntoIter<HashedContact>),
}

impl Run {
    fn next(&mut self) -> io::Result<Option<HashedContact>> {
        match self {
            Run::Waiting(contacts) => Ok(contacts.next()),
            Run::Written { left: 0, .. } => Ok(None),
            Run::Written { left, from } => {
                let mut bytes = [0; BYTES];
                from.read_exact(&mut bytes)?;
                *left -= 1;
                Ok(Some(HashedContact::from_bytes(&bytes)))
            }
        }
    }
}

/// The contacts of all runs, in order.
pub struct SortedContacts {
    runs: Vec<Run>,
    /// The next contact of each run that has one.
    next: BinaryHeap<Reverse<(HashedContact, usize)>>,
}

impl SortedContacts {
    /// Puts the next contacts into `into`, at most `most`; none when there are no more.
    pub fn take(&mut self, most: usize, into: &mut Vec<HashedContact>) -> io::Result<()> {
        into.clear();
        while into.len() < most {
            let Some(Reverse((contact, run))) = self.next.pop() else { break };
            into.push(contact);
            self.advance(run)?;
        }
        Ok(())
    }

    fn advance(&mut self, run: usize) -> io::Result<()> {
        if let Some(contact) = self.runs[run].next()? {
            self.next.push(Reverse((contact, run)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_of_any_number_come_back_whole_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for persons in [0, 3, 2 * RUN as i64 + 7] {
            let mut runs = ContactRuns::new(folder.path());
            let mut want = Vec::new();
            for person in 0..persons {
                // Any spreading will do, of either sign.
                let hashes = [person.wrapping_mul(0x5851_f42d_4c95_7f2d), 7 - person % 3];
                runs.add(person, &hashes).unwrap();
                let both = (0..).zip(hashes);
                want.extend(both.map(|(ordinal, hash)| HashedContact { hash, person, ordinal }));
            }
            want.sort_unstable();
            let mut sorted = runs.sorted().unwrap();
            let (mut found, mut some) = (Vec::new(), Vec::new());
            while {
                sorted.take(1_000, &mut some).unwrap();
                !some.is_empty()
            } {
                assert!(some.len() <= 1_000);
                found.extend_from_slice(&some);
            }
            assert!(found == want, "{persons} persons");
        }
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
    }
}

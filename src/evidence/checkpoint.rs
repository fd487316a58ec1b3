//! Checkpoints (C2SP tlog-checkpoint): the size and root of a log as the text of a signed note.

use super::merkle::Hash;
use super::note::{self, KeyKind, NoteError, SigningKey, Verified, VerifierKey};
use super::{base64, decimal, hash_from_base64};
use std::fmt;

/// A log as it stood at a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log, which is also the name of the keys that sign for it.
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

/// Why a checkpoint is not believed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum CheckpointError {
    #[error("the checkpoint's signatures: {0}")]
    Note(#[from] NoteError),
    #[error("line {line} of the checkpoint is wrong: {problem}")]
    BadLine { line: usize, problem: &'static str },
    #[error("the checkpoint is of the log {found}, not of {wanted}")]
    OtherLog { found: String, wanted: String },
    #[error("no key called {origin} that is trusted has signed the checkpoint, as the keys of that log are called")]
    NotByTheLog { origin: String },
}

/// A checkpoint that the log's own key has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    pub checkpoint: Checkpoint,
    /// Those of the trusted keys that have signed it: the log's own, and of witnesses with their time.
    pub signatures: Vec<Verified>,
}

/// The text that is signed.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, base64(&self.root))
    }
}

impl Checkpoint {
    /// Reads the text. Further lines are let pass, as the format wants it, and mean nothing here.
    pub fn parse(text: &str) -> Result<Checkpoint, CheckpointError> {
        let bad = |line, problem| CheckpointError::BadLine { line, problem };
        let body = text.strip_suffix('\n').ok_or(bad(0, "the last line has no end"))?;
        let mut lines = body.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty());
        let origin = origin.ok_or(bad(1, "it should be the name of the log, but is empty"))?;
        let size = lines.next().and_then(decimal);
        let size = size.ok_or(bad(2, "it should be the number of leaves, in digits without a leading zero"))?;
        let root = lines.next().and_then(hash_from_base64);
        let root = root.ok_or(bad(3, "it should be the root, 32 octets in base64 with padding"))?;
        for (line, extension) in (4..).zip(lines) {
            if extension.is_empty() {
                return Err(bad(line, "it is empty"));
            }
        }
        Ok(Checkpoint { origin: origin.to_owned(), size, root })
    }

    /// The signed note. A log must never sign two checkpoints of which neither continues the other.
    pub fn sign(&self, keys: &[&SigningKey]) -> Result<String, NoteError> {
        note::sign(&self.to_string(), keys)
    }

    /// Verifies a signed checkpoint of this log: at least one of the keys must be the log's own, that is, be called as the
    /// log is. Keys of witnesses may be among them; who of them has signed is told, and how many it takes is the caller's.
    pub fn open(note: &[u8], origin: &str, keys: &[VerifierKey]) -> Result<SignedCheckpoint, CheckpointError> {
        let opened = note::open(note, keys)?;
        let checkpoint = Checkpoint::parse(opened.text)?;
        if checkpoint.origin != origin {
            return Err(CheckpointError::OtherLog { found: checkpoint.origin, wanted: origin.to_owned() });
        }
        let own = |signature: &Verified| signature.kind == KeyKind::Ed25519 && signature.name == origin;
        if !opened.signatures.iter().any(own) {
            return Err(CheckpointError::NotByTheLog { origin: origin.to_owned() });
        }
        Ok(SignedCheckpoint { checkpoint, signatures: opened.signatures })
    }
}

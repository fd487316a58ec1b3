//! Proof files (C2SP tlog-proof): that a leaf is in a log, with all that it takes to check it offline except the leaf
//! itself and the keys, which the reader must have from elsewhere.

use super::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use super::merkle::{Hash, MerkleError, leaf_hash, verify_inclusion};
use super::note::{KeyKind, LARGEST_NOTE, VerifierKey};
use super::{base64, decimal, hash_from_base64};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// The longest path that a tree of less than 2^64 leaves has.
const LONGEST: usize = 64;

/// A proof that a leaf is in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFile {
    /// The number of the leaf, from 0.
    pub index: u64,
    /// The hashes beside the leaf's way to the root, its sibling first.
    pub hashes: Vec<Hash>,
    /// What else is said about the leaf. Nobody has signed it.
    pub extra: Option<Vec<u8>>,
    /// The signed checkpoint, to the octet.
    pub checkpoint: String,
}

/// Whom a reader believes.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The log's name, and the keys that sign for it, each called as the log is.
    pub origin: String,
    pub log_keys: Vec<VerifierKey>,
    pub witnesses: Vec<VerifierKey>,
    /// How many of the witnesses must have signed.
    pub quorum: usize,
}

/// Why a proof file proves nothing.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProofError {
    #[error("the proof is larger than 1 MiB, or is not UTF-8")]
    NotText,
    #[error("the proof does not begin with the line {HEADER}")]
    NoHeader,
    #[error("what follows `extra` is not base64")]
    BadExtra,
    #[error("there is no line `index NUMBER` where it should be, or its number is not in digits without a leading zero")]
    BadIndex,
    #[error("hash {number} of the proof is not 32 octets in base64 with padding")]
    BadHash { number: usize },
    #[error("the proof has more than {LONGEST} hashes")]
    TooLong,
    #[error("there is no empty line with a checkpoint after it")]
    NoCheckpoint,
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("{have} of the witnesses have signed the checkpoint, {want} must")]
    FewWitnesses { have: usize, want: usize },
    #[error("leaf {index}: {why}")]
    NotIncluded { index: u64, why: MerkleError },
}

impl fmt::Display for ProofFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", base64(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", base64(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl ProofFile {
    /// Reads a proof file. Nothing of it is believed until [`ProofFile::verify`].
    pub fn parse(octets: &[u8]) -> Result<ProofFile, ProofError> {
        if octets.len() > LARGEST_NOTE {
            return Err(ProofError::NotText);
        }
        let text = std::str::from_utf8(octets).map_err(|_| ProofError::NotText)?;
        let rest = text.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix('\n')).ok_or(ProofError::NoHeader)?;
        let (head, checkpoint) = rest.split_once("\n\n").ok_or(ProofError::NoCheckpoint)?;
        let mut lines = head.split('\n').peekable();
        let extra = match lines.next_if(|line| line.starts_with("extra ")) {
            Some(line) => Some(STANDARD.decode(&line["extra ".len()..]).map_err(|_| ProofError::BadExtra)?),
            None => None,
        };
        let index = lines.next().and_then(|line| decimal(line.strip_prefix("index ")?)).ok_or(ProofError::BadIndex)?;
        let mut hashes = Vec::new();
        for line in lines {
            if hashes.len() == LONGEST {
                return Err(ProofError::TooLong);
            }
            hashes.push(hash_from_base64(line).ok_or(ProofError::BadHash { number: hashes.len() + 1 })?);
        }
        Ok(ProofFile { index, hashes, extra, checkpoint: checkpoint.to_owned() })
    }

    /// Verifies that the leaf of these octets is in the log that `trust` names: signatures first, then the path.
    pub fn verify(&self, leaf: &[u8], trust: &Trust) -> Result<SignedCheckpoint, ProofError> {
        let witnesses = || trust.witnesses.iter().filter(|key| key.kind() == KeyKind::Cosignature);
        let keys: Vec<VerifierKey> = trust.log_keys.iter().chain(witnesses()).cloned().collect();
        let signed = Checkpoint::open(self.checkpoint.as_bytes(), &trust.origin, &keys)?;
        // By the key, not by its name: one witness under two names counts once.
        let mut seen: Vec<[u8; 32]> = Vec::new();
        for key in witnesses() {
            let has_signed = signed.signatures.iter().any(|s| s.name == key.name() && s.id == key.id());
            if has_signed && !seen.contains(&key.octets()) {
                seen.push(key.octets());
            }
        }
        if seen.len() < trust.quorum {
            return Err(ProofError::FewWitnesses { have: seen.len(), want: trust.quorum });
        }
        let Checkpoint { size, root, .. } = &signed.checkpoint;
        verify_inclusion(&leaf_hash(leaf), self.index, *size, &self.hashes, root)
            .map_err(|why| ProofError::NotIncluded { index: self.index, why })?;
        Ok(signed)
    }
}

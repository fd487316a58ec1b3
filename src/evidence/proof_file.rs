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
    #[error(
        "there is no line `index NUMBER` where it should be, or its number is not in digits without a leading zero"
    )]
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
    #[error("not those witnesses have signed the checkpoint that the policy asks for")]
    NoQuorum,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::merkle::{Frontier, node_hash};
    use crate::evidence::note::{NoteError, SigningKey};

    const ORIGIN: &str = "example.com/test";

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(ORIGIN, &[seed; 32]).unwrap()
    }

    fn trust(keys: &[&SigningKey]) -> Trust {
        let log_keys = keys.iter().map(|key| key.verifier().clone()).collect();
        Trust { origin: ORIGIN.to_owned(), log_keys, witnesses: Vec::new(), quorum: 0 }
    }

    /// A proof that the leaf `data` is the first of three.
    fn proof(extra: Option<&[u8]>) -> ProofFile {
        let leaves = [b"data".as_slice(), b"b", b"c"].map(leaf_hash);
        let mut tree = Frontier::default();
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: 3, root: tree.root() };
        ProofFile {
            index: 0,
            hashes: leaves[1..].to_vec(),
            extra: extra.map(<[u8]>::to_vec),
            checkpoint: checkpoint.sign(&[&key(1)]).unwrap(),
        }
    }

    #[test]
    fn a_proof_is_written_as_the_format_wants_it() {
        let hash = |text: &str| leaf_hash(text.as_bytes());
        let file =
            ProofFile { index: 5, hashes: vec![hash("1"), hash("2")], extra: None, checkpoint: "cp\n".to_owned() };
        let (one, two) = (base64(&hash("1")), base64(&hash("2")));
        assert_eq!(file.to_string(), format!("c2sp.org/tlog-proof@v1\nindex 5\n{one}\n{two}\n\ncp\n"));
        let file = ProofFile { hashes: Vec::new(), extra: Some(b"extra information".to_vec()), ..file };
        let text = "c2sp.org/tlog-proof@v1\nextra ZXh0cmEgaW5mb3JtYXRpb24=\nindex 5\n\ncp\n";
        assert_eq!(file.to_string(), text);
        assert_eq!(ProofFile::parse(text.as_bytes()), Ok(file));
    }

    #[test]
    fn a_proof_that_was_written_is_read_and_holds() {
        for extra in [None, Some(b"".as_slice()), Some(b"my-extra")] {
            let file = proof(extra);
            let read = ProofFile::parse(file.to_string().as_bytes()).unwrap();
            assert_eq!(read, file);
            let signed = read.verify(b"data", &trust(&[&key(1)])).unwrap();
            assert_eq!((signed.checkpoint.size, signed.signatures.len()), (3, 1));
        }
    }

    #[test]
    fn what_is_no_proof_file_is_refused() {
        let checkpoint = "example.com/test\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
        let hash = |octets: usize| base64(&vec![0; octets]);
        let file = |head: &str| format!("c2sp.org/tlog-proof@v1\n{head}\n\n{checkpoint}");
        for (text, want) in [
            (format!("index 0\n\n{checkpoint}"), ProofError::NoHeader),
            (format!("wrong-header\nindex 0\n\n{checkpoint}"), ProofError::NoHeader),
            (format!("c2sp.org/tlog-proof@v1 \nindex 0\n\n{checkpoint}"), ProofError::NoHeader),
            (file("index 0").replace('\n', "\r\n"), ProofError::NoHeader),
            ("not a proof at all".to_owned(), ProofError::NoHeader),
            ("c2sp.org/tlog-proof@v1\n".to_owned(), ProofError::NoCheckpoint),
            (format!("c2sp.org/tlog-proof@v1\nindex 0\n{checkpoint}"), ProofError::NoCheckpoint),
            (format!("c2sp.org/tlog-proof@v1\n\n{checkpoint}"), ProofError::NoCheckpoint),
            (format!("c2sp.org/tlog-proof@v1\n\n\n{checkpoint}"), ProofError::BadIndex),
            (file("index notanumber"), ProofError::BadIndex),
            (file("index -1"), ProofError::BadIndex),
            (file("index 00"), ProofError::BadIndex),
            (file("index  0"), ProofError::BadIndex),
            (file("index 18446744073709551616"), ProofError::BadIndex),
            (file("extra YQ=="), ProofError::BadIndex),
            (file("extra YQ==\nextra YQ==\nindex 0"), ProofError::BadIndex),
            (file("index 0\nextra YQ=="), ProofError::BadHash { number: 1 }),
            (file("extra not-valid-base64!!!\nindex 0"), ProofError::BadExtra),
            (file("extra YQ\nindex 0"), ProofError::BadExtra),
            (file("index 0\nnot-valid-base64!!!"), ProofError::BadHash { number: 1 }),
            (file(&format!("index 0\n{}", hash(16))), ProofError::BadHash { number: 1 }),
            (file(&format!("index 0\n{}\n{}", hash(32), hash(64))), ProofError::BadHash { number: 2 }),
            (file(&format!("index 0{}", format!("\n{}", hash(32)).repeat(65))), ProofError::TooLong),
            (file(&format!("index 0\n{}", "a".repeat(LARGEST_NOTE))), ProofError::NotText),
        ] {
            assert_eq!(ProofFile::parse(text.as_bytes()), Err(want), "{:?}", &text[..text.len().min(120)]);
        }
        assert_eq!(ProofFile::parse(b"c2sp.org/tlog-proof@v1\nindex 0\n\n\xff"), Err(ProofError::NotText));
    }

    #[test]
    fn nothing_but_the_leaf_that_was_logged_is_proven() {
        let good = proof(None);
        let mine = trust(&[&key(1)]);
        let why = |file: &ProofFile, leaf: &[u8], trust: &Trust| file.verify(leaf, trust).unwrap_err();
        let not_included = |index, why| ProofError::NotIncluded { index, why };
        assert_eq!(why(&good, b"other", &mine), not_included(0, MerkleError::OtherRoot));
        assert_eq!(
            why(&ProofFile { index: 1, ..good.clone() }, b"data", &mine),
            not_included(1, MerkleError::OtherRoot)
        );
        let outside = MerkleError::NoSuchLeaf { index: 3, size: 3 };
        assert_eq!(why(&ProofFile { index: 3, ..good.clone() }, b"data", &mine), not_included(3, outside));
        let cut = ProofFile { hashes: good.hashes[..1].to_vec(), ..good.clone() };
        assert_eq!(why(&cut, b"data", &mine), not_included(0, MerkleError::WrongLength { have: 1 }));
        // An inner node is no leaf: the octets that hash to it do so with another first octet.
        let inner = node_hash(&leaf_hash(b"data"), &good.hashes[0]);
        let as_leaf = [leaf_hash(b"data"), good.hashes[0]].concat();
        assert_ne!(leaf_hash(&as_leaf), inner);
        // Signatures come first, so that a proof by nobody is called that.
        let unsigned = ProofError::Checkpoint(CheckpointError::Note(NoteError::Unsigned));
        assert_eq!(why(&good, b"other", &trust(&[&key(2)])), unsigned);
        let elsewhere = Trust { origin: "wrong.com/test".to_owned(), ..mine };
        let other_log = CheckpointError::OtherLog { found: ORIGIN.to_owned(), wanted: "wrong.com/test".to_owned() };
        assert_eq!(why(&good, b"data", &elsewhere), ProofError::Checkpoint(other_log));
    }

    #[test]
    fn no_octet_of_a_proof_can_be_changed_unseen() {
        let text = proof(None).to_string();
        let mine = trust(&[&key(1)]);
        for at in 0..text.len() {
            let mut octets = text.clone().into_bytes();
            octets[at] ^= 1;
            let proven = ProofFile::parse(&octets).is_ok_and(|file| file.verify(b"data", &mine).is_ok());
            assert!(!proven, "octet {at}, {:?}", &text[..at]);
        }
    }

    /// From the tests of Oak, by its makers: a log and a witness of which only the public keys are known here.
    #[test]
    fn a_proof_of_another_program_holds() {
        let text = include_str!("../../tests/fixtures/evidence/oak.tlog-proof");
        let key = |text| VerifierKey::parse(text).unwrap();
        let log = key("fake.log.origin/log+527eabb8+AddT9PtBhhNAsDYZ0V0euiRbXuvrLsw4L6vKARfipnmz");
        let witness = key("test-witness+26349ef0+BIQDFTUlktisMqJzWn8qhteWrRr4dLcQ9R37T+8LQyQF");
        let file = ProofFile::parse(text.as_bytes()).unwrap();
        assert_eq!(file.to_string(), text);
        let origin = "fake.log.origin/log".to_owned();
        let trust = Trust { origin, log_keys: vec![log], witnesses: vec![witness.clone()], quorum: 1 };
        let signed = file.verify(b"test entry data", &trust).unwrap();
        assert_eq!(signed.checkpoint.size, 4);
        assert_eq!(signed.signatures[1].time, Some(1_771_605_822), "20 February 2026");
        let wrong = file.verify(b"test entry dat", &trust).unwrap_err();
        assert_eq!(wrong, ProofError::NotIncluded { index: 3, why: MerkleError::OtherRoot });
        // The same witness twice is one witness; one that has not signed is none.
        let twice = Trust { quorum: 2, ..trust.clone() };
        assert_eq!(file.verify(b"test entry data", &twice).unwrap_err(), ProofError::FewWitnesses { have: 1, want: 2 });
        let nobody = Trust { witnesses: Vec::new(), ..trust };
        assert_eq!(
            file.verify(b"test entry data", &nobody).unwrap_err(),
            ProofError::FewWitnesses { have: 0, want: 1 }
        );
    }
}

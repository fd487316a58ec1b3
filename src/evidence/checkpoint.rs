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

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    const ORIGIN: &str = "example.com/behind-the-sofa";

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: ORIGIN.to_owned(), size: 20_852_163, root: hash_from_base64(ROOT).unwrap() }
    }

    #[test]
    fn the_example_of_the_specification_is_written_and_read() {
        let text = format!("{ORIGIN}\n20852163\n{ROOT}\n");
        assert_eq!(checkpoint().to_string(), text);
        assert_eq!(Checkpoint::parse(&text), Ok(checkpoint()));
        assert_eq!(Checkpoint::parse(&format!("{text}one more\nand another\n")), Ok(checkpoint()));
    }

    #[test]
    fn what_is_no_checkpoint_is_refused_with_its_line() {
        let line = |text: &str| match Checkpoint::parse(text) {
            Err(CheckpointError::BadLine { line, .. }) => Some(line),
            other => panic!("{text:?}: {other:?}"),
        };
        for (text, want) in [
            ("".to_owned(), 0),
            (format!("Log\n123\n{ROOT}"), 0),
            ("\n".to_owned(), 1),
            (format!("\n9944\n{ROOT}\n"), 1),
            ("Log\n".to_owned(), 2),
            (format!("Log\nbananas\n{ROOT}\n"), 2),
            (format!("Log\n-34\n{ROOT}\n"), 2),
            (format!("Log\n034\n{ROOT}\n"), 2),
            (format!("Log\n+34\n{ROOT}\n"), 2),
            (format!("Log\n34 \n{ROOT}\n"), 2),
            (format!("Log\n3438945738945739845734895735\n{ROOT}\n"), 2),
            ("Head\n9944\n".to_owned(), 3),
            ("Log\n123\nThisIsn'tBase64\n".to_owned(), 3),
            ("Log\n123\nYmFuYW5hcw==\n".to_owned(), 3),
            (format!("Log\n123\n{}\n", ROOT.trim_end_matches('=')), 3),
            (format!("Log\n123\n{}\n", ROOT.replace("q2I=", "q2J=")), 3),
            (format!("Log\n123\n{ROOT}\n\n"), 4),
            (format!("Log\n123\n{ROOT}\nmore\n\nmore\n"), 5),
        ] {
            assert_eq!(line(&text), Some(want), "{text:?}");
        }
    }

    #[test]
    fn only_the_keys_that_are_called_as_the_log_sign_for_it() {
        let own = SigningKey::from_seed(ORIGIN, &[1; 32]).unwrap();
        let next = SigningKey::from_seed(ORIGIN, &[2; 32]).unwrap();
        let other = SigningKey::from_seed("example.com/other", &[3; 32]).unwrap();
        let keys = |of: &[&SigningKey]| of.iter().map(|key| key.verifier().clone()).collect::<Vec<_>>();
        let signed = |of: &[&SigningKey]| checkpoint().sign(of).unwrap();
        let open = |note: &str, trusted: &[&SigningKey]| {
            Checkpoint::open(note.as_bytes(), ORIGIN, &keys(trusted)).map(|signed| signed.signatures.len())
        };
        assert_eq!(open(&signed(&[&own]), &[&own]), Ok(1));
        // While keys change, both sign; a reader with either is served.
        let both = signed(&[&own, &next]);
        assert_eq!((open(&both, &[&own]), open(&both, &[&next]), open(&both, &[&own, &next])), (Ok(1), Ok(1), Ok(2)));
        let not_own = CheckpointError::NotByTheLog { origin: ORIGIN.to_owned() };
        assert_eq!(open(&signed(&[&other]), &[&own, &other]), Err(not_own));
        assert_eq!(open(&signed(&[&other]), &[&own]), Err(CheckpointError::Note(NoteError::Unsigned)));
        let elsewhere = Checkpoint { origin: "example.com/other".to_owned(), ..checkpoint() };
        let other_log = CheckpointError::OtherLog { found: "example.com/other".to_owned(), wanted: ORIGIN.to_owned() };
        assert_eq!(open(&elsewhere.sign(&[&own, &other]).unwrap(), &[&own, &other]), Err(other_log));
    }

    #[test]
    fn a_key_of_a_witness_does_not_sign_for_the_log_whatever_it_is_called() {
        let key = ed25519_dalek::SigningKey::from_bytes(&[4; 32]);
        let witness = VerifierKey::new(ORIGIN, KeyKind::Cosignature, key.verifying_key().as_bytes()).unwrap();
        let message = format!("cosignature/v1\ntime 9\n{}", checkpoint());
        let signature = ed25519_dalek::Signer::sign(&key, message.as_bytes()).to_bytes();
        let octets = [&witness.id().to_be_bytes()[..], &9u64.to_be_bytes(), &signature].concat();
        let note = format!("{}\n— {ORIGIN} {}\n", checkpoint(), base64(&octets));
        assert!(note::open(note.as_bytes(), std::slice::from_ref(&witness)).is_ok());
        let not_own = CheckpointError::NotByTheLog { origin: ORIGIN.to_owned() };
        assert_eq!(Checkpoint::open(note.as_bytes(), ORIGIN, &[witness]), Err(not_own));
    }
}

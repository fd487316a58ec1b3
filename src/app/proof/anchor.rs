//! The file of signed heads outside the database: what tells a database that was rolled back or forked.
//!
//! A line for each head, only ever added to: `{"at":"…","note":"…"}`, the note being the signed checkpoint. It is on the disk
//! before the database knows of the head. Whoever opens the database compares: the log must have grown from the last line.

use crate::evidence::checkpoint::Checkpoint;
use crate::evidence::note::VerifierKey;
use serde::{Deserialize, Serialize};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// The longest line that is looked for at the end.
const LONGEST_LINE: u64 = 64 * 1024;

/// Why the file does not serve.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    #[error("the file of the log's heads, {}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the last line of {} is no head of the evidence log; restore the file from where it is kept, or look who changed it", path.display())]
    Unreadable { path: PathBuf },
    #[error("the last head in {} is not signed by the key of this log: {why}; correct proof.checkpoints or proof.key", path.display())]
    OtherLog { path: PathBuf, why: String },
}

/// One line.
#[derive(Serialize, Deserialize)]
struct Line {
    at: String,
    note: String,
}

/// The file.
#[derive(Clone, Debug)]
pub struct Anchor {
    path: PathBuf,
}

impl Anchor {
    pub fn new(path: &Path) -> Anchor {
        Anchor { path: path.to_owned() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn io(&self) -> impl Fn(std::io::Error) -> AnchorError + '_ {
        |source| AnchorError::Io { path: self.path.clone(), source }
    }

    /// Adds a head and waits until it is on the disk.
    pub fn add(&self, at: &str, note: &str) -> Result<(), AnchorError> {
        let mut file =
            fs_err::OpenOptions::new().create(true).append(true).read(true).open(&self.path).map_err(self.io())?;
        // Two workers of one machine may add at once.
        file.file().lock().map_err(self.io())?;
        let line = Line { at: at.to_owned(), note: note.to_owned() };
        let mut text = serde_json::to_string(&line).map_err(|_| AnchorError::Unreadable { path: self.path.clone() })?;
        text.push('\n');
        // What a power cut left of a line is closed, so that the next one can be read.
        if file.seek(SeekFrom::End(0)).map_err(self.io())? > 0 {
            file.seek(SeekFrom::End(-1)).map_err(self.io())?;
            let mut last = [0];
            file.read_exact(&mut last).map_err(self.io())?;
            if last != *b"\n" {
                text.insert(0, '\n');
            }
        }
        file.write_all(text.as_bytes()).and_then(|()| file.file().sync_data()).map_err(self.io())
    }

    /// The last head, signed by one of these keys; none where there is no file, or nothing in it.
    pub fn last(&self, origin: &str, keys: &[VerifierKey]) -> Result<Option<Checkpoint>, AnchorError> {
        let Some(note) = self.last_note()? else { return Ok(None) };
        let signed = Checkpoint::open(note.as_bytes(), origin, keys)
            .map_err(|e| AnchorError::OtherLog { path: self.path.clone(), why: e.to_string() })?;
        Ok(Some(signed.checkpoint))
    }

    fn last_note(&self) -> Result<Option<String>, AnchorError> {
        let mut file = match fs_err::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io()(error)),
        };
        let length = file.metadata().map_err(self.io())?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LONGEST_LINE))).map_err(self.io())?;
        let mut end = Vec::new();
        file.read_to_end(&mut end).map_err(self.io())?;
        let end = String::from_utf8_lossy(&end);
        if end.trim().is_empty() {
            return Ok(None);
        }
        // A line that has no end was never finished, and nothing relies on it.
        let whole = end.rfind('\n').map_or("", |at| &end[..at]);
        let last = whole.lines().rev().find(|line| !line.trim().is_empty());
        let Some(last) = last else { return Ok(None) };
        let line: Line = serde_json::from_str(last).map_err(|_| AnchorError::Unreadable { path: self.path.clone() })?;
        Ok(Some(line.note))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::note::SigningKey;

    #[test]
    fn the_last_whole_line_counts_and_must_be_of_this_log() {
        let folder = tempfile::tempdir().unwrap();
        let anchor = Anchor::new(&folder.path().join("heads"));
        let key = SigningKey::from_seed("a/log", &[1; 32]).unwrap();
        let keys = [key.verifier().clone()];
        assert_eq!(anchor.last("a/log", &keys).unwrap(), None);
        let head = |size| Checkpoint { origin: "a/log".to_owned(), size, root: [size as u8; 32] };
        for size in 1..=3 {
            anchor.add("now", &head(size).sign(&[&key]).unwrap()).unwrap();
        }
        assert_eq!(anchor.last("a/log", &keys).unwrap(), Some(head(3)));
        let mut text = fs_err::read_to_string(anchor.path()).unwrap();
        text.push_str("{\"at\":\"now\",\"no");
        fs_err::write(anchor.path(), &text).unwrap();
        assert_eq!(anchor.last("a/log", &keys).unwrap(), Some(head(3)), "half a line is none");
        anchor.add("now", &head(4).sign(&[&key]).unwrap()).unwrap();
        assert_eq!(anchor.last("a/log", &keys).unwrap(), Some(head(4)));
        let other = SigningKey::from_seed("a/log", &[2; 32]).unwrap();
        assert!(matches!(anchor.last("a/log", &[other.verifier().clone()]), Err(AnchorError::OtherLog { .. })));
        fs_err::write(anchor.path(), "rubbish\n").unwrap();
        assert!(matches!(anchor.last("a/log", &keys), Err(AnchorError::Unreadable { .. })));
    }
}

//! A new log after the old one was lost: the same facts under a new name and key, and a leaf that says so.

use super::anchor::{Anchor, AnchorError};
use super::log::{LogError, LogKey};
use crate::app::{App, AppError};
use crate::evidence::fact::Part;
use crate::model::problem::Problem;
use crate::model::time::Micros;
use crate::secrets::SecretRef;
use std::path::{Path, PathBuf};

/// What a recovery came to.
#[derive(Debug)]
pub struct Recovered {
    /// Facts of the database, under the new name now.
    pub facts: u64,
    /// Facts that the old log is known to have had beyond these.
    pub lost: u64,
    /// The new key as it is published.
    pub key: String,
    /// What the old files are called now.
    pub kept: Vec<PathBuf>,
}

impl App {
    /// Begins a new log. Refused where the old one is whole: then nothing is lost.
    pub async fn recover_log(&self, by: &str, reason: &str, now: Micros) -> Result<Recovered, AppError> {
        let whole = match self.check_log().await {
            Ok(()) => self.log_key().await.map(drop),
            broken => broken,
        };
        match whole {
            Ok(()) => {
                let message = "the log is whole and its key is there: there is nothing to recover from";
                return Err(Problem::new("nothing-lost", "", message).into());
            }
            // A database or a disk that does not answer just now has lost nothing.
            Err(error @ (LogError::Store(_) | LogError::Anchor(AnchorError::Io { .. }))) => return Err(error.into()),
            Err(
                LogError::Key { .. }
                | LogError::RolledBack { .. }
                | LogError::Forked { .. }
                | LogError::Anchor(_)
                | LogError::Tiles(_)
                | LogError::Broken(_),
            ) => {}
        }
        let SecretRef::File(key_file) = &self.config.proof.key else {
            let message = "proof.key is kept in a variable: name a file for the new key first, key = \"file:log.key\"";
            return Err(Problem::new("log-key", "proof.key", message).into());
        };
        let have = self.store.log_head().await?.placed;
        let old = old_log(key_file, &self.config.proof.checkpoints);
        let suffix = format!("before-{}", now / 1_000_000);
        let mut kept = Vec::new();
        for path in [key_file.as_path(), &self.config.proof.checkpoints] {
            kept.extend(set_aside(path, &suffix).map_err(AppError::io(format!("cannot rename {}", path.display())))?);
        }
        self.make_log_key(key_file)?;
        let (origin, size, root) = old.unwrap_or_default();
        let root = const_hex::encode(root);
        let parts = [("old", Part::Text(&origin)), ("root", Part::Text(&root)), ("size", Part::Number(size))];
        let mut tx = self.store.begin().await?;
        tx.log_fact(now, "log.restored", (by, reason), &parts).await?;
        tx.commit().await?;
        let mut sequencer = self.sequencer().await?;
        sequencer.catch_up().await?;
        let key = sequencer.key().verifier().to_string();
        Ok(Recovered { facts: have, lost: size.saturating_sub(have), key, kept })
    }
}

/// Name, size and root of the last head that the old files know; none where they are lost too.
fn old_log(key: &Path, heads: &Path) -> Option<(String, u64, [u8; 32])> {
    let key = LogKey::read(&SecretRef::File(key.to_owned())).ok()?;
    let last = Anchor::new(heads).last(key.origin(), std::slice::from_ref(key.verifier())).ok()??;
    Some((last.origin, last.size, last.root))
}

/// Gives a file another name; the new one, where there was a file.
fn set_aside(path: &Path, suffix: &str) -> std::io::Result<Option<PathBuf>> {
    if !path.exists() {
        return Ok(None);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    let to = path.with_file_name(name);
    fs_err::rename(path, &to)?;
    Ok(Some(to))
}

impl App {
    fn make_log_key(&self, path: &Path) -> Result<(), LogError> {
        let fail = |e: std::io::Error| LogError::Key { reference: path.display().to_string(), why: e.to_string() };
        super::log::make_key(path, &self.config.sender.email.address).map_err(fail)
    }
}

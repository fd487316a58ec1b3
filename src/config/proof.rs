//! The `[proof]` table: who signs the evidence log, and where its heads are kept outside the database.

use super::read::reference;
use crate::secrets::SecretRef;
use crate::toml_file::Table;
use std::path::{Path, PathBuf};

/// How the evidence log is kept.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The key that signs its heads. A file that is not there is made when the log begins.
    pub key: SecretRef,
    /// Every signed head, a line each; best on another disk than the database.
    pub checkpoints: PathBuf,
}

pub(super) fn proof(folder: &Path, mut table: Table<'_>) -> Option<Proof> {
    let key = match table.value("key") {
        None => Some(SecretRef::File(folder.join("log.key"))),
        Some(value) => value.text().and_then(|text| text.parse("bad-reference", |text| reference(folder, text))),
    };
    let checkpoints = match table.value("checkpoints") {
        None => Some(folder.join("checkpoints.log")),
        Some(value) => value.text().and_then(|text| {
            text.parse("bad-path", |text| match text {
                "" => Err("is empty; name a file, or take the key away".to_owned()),
                text => Ok(folder.join(text)),
            })
        }),
    };
    Some(Proof { key: key?, checkpoints: checkpoints? })
}

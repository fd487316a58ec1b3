//! The evidence log of this installation: its key, its head against the file of heads, and the sequencer.
//!
//! Whoever adds facts needs none of this: a fact is a row in the transaction of the fact. One sequencer at a time (whoever
//! moves the head from where it was found) gives facts their places, signs the new head, writes it into the file outside
//! the database and then into the database. A crash in between is made good by doing the rest again: places are for good,
//! so the same head comes out.

use super::anchor::{Anchor, AnchorError};
use crate::app::doctor::chain;
use crate::app::{App, AppError};
use crate::evidence::checkpoint::Checkpoint;
use crate::evidence::fact::seconds;
use crate::evidence::merkle::{Hash, leaf_hash};
use crate::evidence::note::{KeyError, SigningKey, VerifierKey};
use crate::evidence::tiles::{self, TileBuilder, TileId, Tiles, TilesError};
use crate::model::problem::Problem;
use crate::secrets::{ReadableByOthers, SecretRef};
use crate::store::leaf::{Head, leaves_of};
use crate::store::sequence::{LOG, LogHead, SignedHead, TileRow};
use crate::store::{Store, StoreError};
use rand::Rng as _;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

/// Leaves under one new head at most, so that a long queue does not fill the memory.
const MOST_AT_ONCE: u64 = 100_000;
/// How often facts are given their places.
const NAP: Duration = Duration::from_millis(300);
/// After something that went wrong.
const REST: Duration = Duration::from_secs(5);
/// Rows of leaves read at a time.
const ROWS: usize = 64;

/// Why the log cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("the key of the evidence log, {reference}: {why}")]
    Key { reference: String, why: String },
    #[error(
        "the database was rolled back: its evidence log has {have} facts, and {} knows a signed head of {known}. Restore the \
         newest copy of the database; if that one is lost, `forewarn proof recover --accept-loss` begins a new log and \
         writes down that it did",
        file.display()
    )]
    RolledBack { have: u64, known: u64, file: std::path::PathBuf },
    #[error(
        "the database is not the one that {} knows: its evidence log differs within its first {known} facts. Somebody \
         changed it, or it was restored and went on by itself. Restore the right database; if that one is lost, `forewarn \
         proof recover --accept-loss` begins a new log and writes down that it did",
        file.display()
    )]
    Forked { known: u64, file: std::path::PathBuf },
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    #[error("the evidence log in the database is not whole: {0}")]
    Tiles(#[from] TilesError),
    #[error("the evidence log in the database is not whole: {0}")]
    Broken(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<LogError> for AppError {
    fn from(error: LogError) -> AppError {
        let code = match &error {
            LogError::Store(_) => {
                let LogError::Store(error) = error else { return AppError::Refused(Vec::new()) };
                return AppError::Store(error);
            }
            LogError::Key { .. } => "log-key",
            LogError::RolledBack { .. } => "log-rolled-back",
            LogError::Forked { .. } => "log-forked",
            LogError::Anchor(_) => "log-heads",
            LogError::Tiles(_) | LogError::Broken(_) => "log-broken",
        };
        AppError::Refused(vec![Problem::new(code, "proof", error.to_string())])
    }
}

/// The key that signs the log, and the name of the log, which is the key's.
#[derive(Debug)]
pub struct LogKey {
    signing: SigningKey,
}

impl LogKey {
    /// The key that stands there; a file that others may read is refused.
    pub(super) fn read(reference: &SecretRef) -> Result<LogKey, LogError> {
        let fail = |why: String| LogError::Key { reference: reference.to_string(), why };
        let text = reference.resolve(ReadableByOthers::Refuse).map_err(|e| fail(e.to_string()))?;
        let signing = SigningKey::parse(text.expose_secret().trim()).map_err(|e: KeyError| fail(e.to_string()))?;
        Ok(LogKey { signing })
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        self.signing.verifier().name()
    }

    pub fn verifier(&self) -> &VerifierKey {
        self.signing.verifier()
    }

    pub(super) fn signing(&self) -> &SigningKey {
        &self.signing
    }
}

impl App {
    /// The key of the log. Where the log has not begun and its file is not there, it is made.
    pub async fn log_key(&self) -> Result<LogKey, LogError> {
        let reference = &self.config.proof.key;
        let fail = |why: String| LogError::Key { reference: reference.to_string(), why };
        if let SecretRef::File(path) = reference
            && !path.exists()
        {
            // Another process may have made it, and begun, since this one looked.
            if self.store.log_head().await?.placed > 0 && !path.exists() {
                let why = "it is not there, and the log has begun. Put it back from where its copy is kept; if it is lost, \
                           `forewarn proof recover --accept-loss` begins a new log and writes down that it did";
                return Err(fail(why.to_owned()));
            }
            make_key(path, &self.config.sender.email.address).map_err(|e| fail(e.to_string()))?;
        }
        LogKey::read(reference)
    }

    /// Refuses a database whose log is not a continuation of the last head in the file of heads.
    pub async fn check_log(&self) -> Result<(), LogError> {
        if !self.config.proof.checkpoints.exists() {
            // Nothing is known here that could be compared, and whoever only looks needs no key.
            return Ok(());
        }
        let key = self.log_key().await?;
        let anchor = Anchor::new(&self.config.proof.checkpoints);
        let Some(last) = anchor.last(key.origin(), std::slice::from_ref(key.verifier()))? else { return Ok(()) };
        // The file is read first: places are given before a head is written, so a sequencer at work is never taken for
        // a loss.
        let head = self.store.log_head().await?;
        let file = anchor.path().to_owned();
        if last.size > head.placed {
            return Err(LogError::RolledBack { have: head.placed, known: last.size, file });
        }
        if root_at(&self.store, head, last.size).await? != last.root {
            return Err(LogError::Forked { known: last.size, file });
        }
        Ok(())
    }

    /// Brings the log up to all facts that are committed by now, and has it stamped where that is due.
    pub async fn keep_log_up(&self) -> Result<(), AppError> {
        let mut sequencer = self.sequencer().await?;
        sequencer.catch_up().await?;
        self.stamp_or_say_why().await;
        // That it was stamped is a fact, too.
        Ok(sequencer.catch_up().await?)
    }

    /// A sequencer for this process.
    pub async fn sequencer(&self) -> Result<Sequencer, LogError> {
        let key = self.log_key().await?;
        if let Some(head) = self.store.newest_head().await? {
            self.store.set_head(told(&head));
        }
        let anchor = Anchor::new(&self.config.proof.checkpoints);
        Ok(Sequencer { store: self.store.clone(), key, anchor, builder: None })
    }
}

/// Makes a key whose name is the sender's domain and lots, so that no two logs have one name.
pub(super) fn make_key(path: &Path, sender: &str) -> std::io::Result<()> {
    let domain = sender.rsplit('@').next().unwrap_or("localhost");
    let mut seed = zeroize::Zeroizing::new([0u8; 32]);
    let mut lots = [0u8; 4];
    rand::rng().fill_bytes(seed.as_mut_slice());
    rand::rng().fill_bytes(&mut lots);
    let name = format!("{domain}/forewarn/{}", const_hex::encode(lots));
    let key = SigningKey::from_seed(&name, &seed).map_err(std::io::Error::other)?;
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = match options.open(path) {
        // Another process began the log at this moment.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        opened => opened?,
    };
    file.write_all(format!("{}\n", *key.to_text()).as_bytes())?;
    file.file().sync_all()?;
    tracing::info!(file = %path.display(), log = name, "made the key of the evidence log; keep a copy of it elsewhere");
    Ok(())
}

/// Gives facts their places and signs heads.
#[derive(Debug)]
pub struct Sequencer {
    store: Store,
    key: LogKey,
    anchor: Anchor,
    /// The right edge of the tree, where it is known.
    builder: Option<TileBuilder>,
}

impl Sequencer {
    pub fn key(&self) -> &LogKey {
        &self.key
    }

    /// Keeps the log up, for ever.
    pub async fn run(mut self) {
        loop {
            let rest = match self.step().await {
                Ok(true) => Duration::ZERO,
                Ok(false) => NAP,
                Err(error) => {
                    let error = chain(&error);
                    tracing::error!(error, "facts wait for their places in the evidence log; trying again");
                    REST
                }
            };
            tokio::time::sleep(rest).await;
        }
    }

    /// Brings the log up to all facts that are committed by now.
    pub async fn catch_up(&mut self) -> Result<(), LogError> {
        while self.step().await? {}
        Ok(())
    }

    /// Gives places to what waits and signs over what has places; true where there may be more.
    pub async fn step(&mut self) -> Result<bool, LogError> {
        match self.try_step().await {
            Err(LogError::Store(StoreError::Fenced { .. })) => {
                // Another was quicker; what it did is looked at anew.
                self.builder = None;
                Ok(true)
            }
            done => done,
        }
    }

    async fn try_step(&mut self) -> Result<bool, LogError> {
        let mut head = self.store.log_head().await?;
        let waits = self.store.leaves_wait().await?;
        if waits {
            let mut tx = self.store.begin_beside().await?;
            if tx.may_sequence().await? {
                head = tx.place_leaves(head, MOST_AT_ONCE).await?;
                tx.commit().await?;
            }
        }
        if head.signed == head.placed {
            return Ok(false);
        }
        self.sign(head).await?;
        Ok(waits)
    }

    /// Hashes what has places, and signs over it.
    async fn sign(&mut self, head: LogHead) -> Result<(), LogError> {
        let mut builder = match self.builder.take().filter(|b| b.size() == head.signed) {
            Some(builder) => builder,
            None => resumed(&self.store, head.signed).await?,
        };
        let mut changed = Tiles::new();
        while builder.size() < head.placed && builder.size() - head.signed < MOST_AT_ONCE {
            let (grown, tiles) = append(&self.store, builder).await?;
            builder = grown;
            changed.extend(tiles);
        }
        let at = jiff::Timestamp::now().as_microsecond();
        let checkpoint =
            Checkpoint { origin: self.key.origin().to_owned(), size: builder.size(), root: builder.root() };
        let note = checkpoint
            .sign(&[&self.key.signing])
            .map_err(|e| LogError::Broken(format!("its head cannot be signed: {e}")))?;
        self.anchor.add(&seconds(at), &note)?;
        let signed = SignedHead { size: checkpoint.size, root: checkpoint.root, at, note };
        let rows = tile_rows(changed);
        let mut tx = self.store.begin_beside().await?;
        tx.add_head(head, &rows, &signed).await?;
        tx.commit().await?;
        self.store.set_head(told(&signed));
        self.builder = Some(builder);
        Ok(())
    }
}

/// A head as notices carry it.
fn told(head: &SignedHead) -> Head {
    Head { size: head.size, digest: Sha256::digest(head.note.as_bytes()).into() }
}

/// Tiles as the store keeps them.
pub fn tile_rows(tiles: Tiles) -> Vec<TileRow> {
    let row = |(id, hashes): (TileId, Vec<Hash>)| TileRow { level: id.level, index: id.index, hashes: hashes.concat() };
    tiles.into_iter().map(row).collect()
}

/// These tiles of a tree.
pub async fn load_tiles(store: &Store, tree: i64, wanted: &[TileId]) -> Result<Tiles, LogError> {
    let wanted: Vec<(u8, u64)> = wanted.iter().map(|id| (id.level, id.index)).collect();
    let rows = store.tiles(tree, &wanted).await?;
    let tile = |row: TileRow| {
        let (hashes, rest) = row.hashes.as_chunks::<32>();
        if rest.is_empty() {
            Ok((TileId { level: row.level, index: row.index }, hashes.to_vec()))
        } else {
            Err(LogError::Broken(format!("tile {} of level {} is cut", row.index, row.level)))
        }
    };
    rows.into_iter().map(tile).collect()
}

async fn resumed(store: &Store, size: u64) -> Result<TileBuilder, LogError> {
    let tiles = load_tiles(store, LOG, &tiles::tiles_for_root(size)).await?;
    Ok(TileBuilder::resume(size, &tiles)?)
}

/// Hashes the next rows of leaves; the tiles that changed.
async fn append(store: &Store, mut builder: TileBuilder) -> Result<(TileBuilder, Tiles), LogError> {
    let rows = store.leaf_rows(builder.size(), ROWS).await?;
    let broken = |what: &str| LogError::Broken(format!("{what} behind its fact {}", builder.size()));
    if rows.first().is_none_or(|(first, _)| *first != builder.size()) {
        return Err(broken("there is a gap"));
    }
    let work = tokio::task::spawn_blocking(move || {
        let mut hashes: Vec<Hash> = Vec::new();
        let mut next = builder.size();
        for (first, octets) in &rows {
            let leaves = leaves_of(octets).filter(|_| *first == next)?;
            next += leaves.len() as u64;
            hashes.extend(leaves.into_iter().map(leaf_hash));
        }
        let growth = builder.append(&hashes);
        Some((builder, growth.tiles))
    });
    match work.await {
        Ok(Some(done)) => Ok(done),
        Ok(None) => Err(LogError::Broken("a row of leaves is cut, or out of its order".to_owned())),
        Err(fault) => std::panic::resume_unwind(fault.into_panic()),
    }
}

/// The root of the log when it had so many facts.
async fn root_at(store: &Store, head: LogHead, size: u64) -> Result<Hash, LogError> {
    if size <= head.signed {
        let tiles = load_tiles(store, LOG, &tiles::tiles_for_root(size)).await?;
        return Ok(tiles::root(size, &tiles)?);
    }
    // A crash left places that are not hashed yet; a head ends with a row.
    let mut builder = resumed(store, head.signed).await?;
    while builder.size() < size {
        let rows = store.leaf_rows(builder.size(), 1).await?;
        let row = rows.first().filter(|(first, _)| *first == builder.size());
        let leaves = row.and_then(|(_, octets)| leaves_of(octets));
        let leaves = leaves.ok_or_else(|| LogError::Broken(format!("a gap behind its fact {}", builder.size())))?;
        let hashes: Vec<Hash> = leaves.into_iter().map(leaf_hash).collect();
        builder.append(&hashes);
    }
    // Where the head does not end with a row of ours, it is of another log.
    Ok(if builder.size() == size { builder.root() } else { [0; 32] })
}

//! The time stamps that a bundle shows: which of them, and the files that let a stranger check them.

use super::log::{LogError, LogKey, load_tiles};
use super::timestamp::authority;
use crate::app::doctor::chain;
use crate::app::{App, AppError};
use crate::evidence::bundle::anchors::consistency_file;
use crate::evidence::bundle::layout::{self, Stamp, TSA_CA};
use crate::evidence::checkpoint::Checkpoint;
use crate::evidence::proof_file::ProofFile;
use crate::evidence::tiles;
use crate::evidence::timestamp::TimestampError;
use crate::evidence::timestamp::authority::Authority;
use crate::evidence::timestamp::token::Token;
use crate::model::time::Micros;
use crate::store::sequence::{LOG, SignedHead};
use crate::store::time_stamp::TimeStamp;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// How many older stamps are looked at for one whose fact comes before the person's first.
const TRIES: usize = 4;

/// What a bundle shows of time stamps.
#[derive(Debug, Default)]
pub(super) struct ShownStamps {
    pub files: Vec<(String, Vec<u8>)>,
    /// Size and time of each.
    pub times: Vec<(u64, Micros)>,
    /// What is left out, in sentences.
    pub withheld: Vec<String>,
}

impl App {
    /// The stamps that lie closest around facts from the number `first` to `last`, and the newest of all, as far as they are
    /// over this head or earlier ones.
    pub(super) async fn shown_stamps(
        &self,
        head: &SignedHead,
        key: &LogKey,
        (first, last): (u64, u64),
    ) -> Result<ShownStamps, AppError> {
        let mut shown = ShownStamps::default();
        let stamps = self.stamps_around(head.size, first, last).await?;
        if stamps.is_empty() {
            return Ok(shown);
        }
        let Some(timestamp) = &self.config.proof.timestamp else {
            shown.withheld.push(
                "The time stamps of the log: [proof] timestamp, which names whose they are, was taken away.".to_owned(),
            );
            return Ok(shown);
        };
        let (pem, authority) = match authority(&timestamp.ca_file) {
            Ok(read) => read,
            Err(error) => {
                shown.withheld.push(format!("The time stamps of the log: {}.", chain(&error)));
                return Ok(shown);
            }
        };
        for (size, (stamp, index)) in stamps {
            let Some(note) = self.stamped_head(size, key).await? else {
                shown.withheld.push(format!(
                    "The time stamp over {size} facts: it is over the log as it was before it was lost."
                ));
                continue;
            };
            if let Err(why) = check(&authority, &stamp, &note) {
                let text = format!(
                    "The time stamp over {size} facts: by the certificates that are configured now, the answer {why}."
                );
                shown.withheld.push(text);
                continue;
            }
            shown.times.push((size, stamp.at));
            self.add_stamp_files(&mut shown, head, (&stamp, note), index).await?;
        }
        if !shown.times.is_empty() {
            shown.files.push((TSA_CA.to_owned(), pem));
        }
        Ok(shown)
    }

    /// By size; with the number of the fact about each, where it is under this head.
    async fn stamps_around(
        &self,
        most: u64,
        first: u64,
        last: u64,
    ) -> Result<BTreeMap<u64, (TimeStamp, Option<u64>)>, AppError> {
        let mut found = BTreeMap::new();
        let over = self.store.stamp_over(last + 1).await?.filter(|stamp| stamp.size <= most);
        for stamp in [over, self.store.stamp_under(most).await?].into_iter().flatten() {
            let index = self.fact_of(&stamp, most).await?;
            found.insert(stamp.size, (stamp, index));
        }
        let mut below = first;
        for _ in 0..TRIES {
            let Some(stamp) = self.store.stamp_under(below).await? else { break };
            let size = stamp.size;
            match self.fact_of(&stamp, most).await? {
                Some(index) if index < first => {
                    found.insert(size, (stamp, Some(index)));
                    break;
                }
                Some(_) | None => {}
            }
            let Some(next) = size.checked_sub(1) else { break };
            below = next;
        }
        Ok(found)
    }

    async fn fact_of(&self, stamp: &TimeStamp, most: u64) -> Result<Option<u64>, AppError> {
        let found = self.store.leaves_at(&[stamp.leaf]).await?.into_iter().next().flatten();
        Ok(found.map(|(index, _)| index).filter(|index| *index < most))
    }

    /// The note of the head of this size, where the key of the log as it is now has signed it.
    async fn stamped_head(&self, size: u64, key: &LogKey) -> Result<Option<String>, AppError> {
        let Some(head) = self.store.head_of(size).await? else { return Ok(None) };
        let ours = Checkpoint::open(head.note.as_bytes(), key.origin(), std::slice::from_ref(key.verifier())).is_ok();
        Ok(ours.then_some(head.note))
    }

    async fn add_stamp_files(
        &self,
        shown: &mut ShownStamps,
        head: &SignedHead,
        (stamp, note): (&TimeStamp, String),
        index: Option<u64>,
    ) -> Result<(), AppError> {
        let mut add = |file: Stamp, octets: Vec<u8>| shown.files.push((layout::stamp(stamp.size, file), octets));
        let mut hashes = Vec::new();
        if stamp.size < head.size {
            let tiles = load_tiles(&self.store, LOG, &tiles::tiles_for_consistency(stamp.size, head.size)).await?;
            hashes = tiles::consistency_proof(stamp.size, head.size, &tiles).map_err(LogError::from)?;
        }
        add(Stamp::Head, note.into_bytes());
        add(Stamp::Reply, stamp.reply.clone());
        add(Stamp::Consistency, consistency_file(stamp.size, &hashes).into_bytes());
        let leaf = self.store.leaves_at(&[stamp.leaf]).await?.into_iter().next().flatten();
        if let (Some(index), Some((_, leaf))) = (index, leaf) {
            let tiles = load_tiles(&self.store, LOG, &tiles::tiles_for_inclusion(index, head.size)).await?;
            let hashes = tiles::inclusion_proof(index, head.size, &tiles).map_err(LogError::from)?;
            let proof = ProofFile { index, hashes, extra: None, checkpoint: head.note.clone() };
            add(Stamp::Fact, leaf);
            add(Stamp::FactProof, proof.to_string().into_bytes());
        }
        Ok(())
    }
}

fn check(authority: &Authority, stamp: &TimeStamp, note: &str) -> Result<(), TimestampError> {
    let token = Token::read(&stamp.reply)?;
    token.stamps(&Sha256::digest(note.as_bytes()).into())?;
    authority.check(&token)
}

//! Who has a reference already, while sources are read.
//!
//! A keyed hash falls anywhere in its table, so new ones wait and are written many at a time, in the table's order: a page
//! that many of them touch is written once. Nearly every reference is new, and a filter in front of the table says so
//! without looking there. It may say "perhaps" wrongly, never "new"; the table's key would refuse a second one anyway.

use super::{Insert, ROWS_PER_STATEMENT, insert};
use crate::store::{Engine, Store, StoreError, Tx, json};
use serde_json::json;
use sqlx::Row as _;
use std::collections::HashMap;

/// A keyed hash of a reference.
pub type ReferenceHash = [u8; 16];

/// References that wait at most: as many as a map of 131,072 places takes.
const WAITING: usize = 7 << 14;
/// References read at a time, of a campaign that has some.
const PAGE: i64 = 20_000;

/// The references of one campaign; made by [`Store::references`].
#[derive(Debug)]
pub struct References {
    campaign: i64,
    /// All that stand in the table or wait for it.
    seen: Filter,
    waiting: HashMap<ReferenceHash, i64>,
}

impl References {
    fn keep(&mut self, hash: ReferenceHash, person: i64) {
        self.seen.add(&hash);
        self.waiting.insert(hash, person);
    }
}

impl Store {
    /// Those that the campaign has by now.
    pub async fn references(&self, campaign: i64) -> Result<References, StoreError> {
        let mut references = References { campaign, seen: Filter::new(), waiting: HashMap::new() };
        let mut last: Vec<u8> = Vec::new();
        loop {
            let rows =
                sqlx::query("select hash from reference where campaign = $1 and hash > $2 order by hash limit $3")
                    .bind(campaign)
                    .bind(last)
                    .bind(PAGE)
                    .fetch_all(&self.readers)
                    .await
                    .map_err(|e| self.fail(e))?;
            for row in &rows {
                references.seen.add(&self.hash_of(row, 0)?);
            }
            match rows.last() {
                Some(row) => last = self.hash_of(row, 0)?.to_vec(),
                None => return Ok(references),
            }
        }
    }

    fn hash_of(&self, row: &sqlx::any::AnyRow, at: usize) -> Result<ReferenceHash, StoreError> {
        let bytes: Vec<u8> = row.try_get(at).map_err(|e| self.fail(e))?;
        bytes.try_into().map_err(|_| self.unreadable("a reference of another length".to_owned()))
    }
}

impl Tx<'_> {
    /// Gives references to persons, in order. Where somebody has one already it stays theirs: their number.
    pub async fn take_references(
        &mut self,
        references: &mut References,
        wanted: impl Iterator<Item = (ReferenceHash, i64)> + Clone,
    ) -> Result<Vec<Option<i64>>, StoreError> {
        let perhaps = wanted.clone().map(|(hash, _)| hash);
        let perhaps = perhaps.filter(|h| references.seen.may_have(h) && !references.waiting.contains_key(h));
        let written = self.written_references(references.campaign, perhaps).await?;
        let mut owners = Vec::new();
        for (hash, person) in wanted {
            let owner = references.waiting.get(&hash).or_else(|| written.get(&hash)).copied();
            if owner.is_none() {
                references.keep(hash, person);
            }
            owners.push(owner);
        }
        Ok(owners)
    }

    async fn written_references(
        &mut self,
        campaign: i64,
        hashes: impl Iterator<Item = ReferenceHash>,
    ) -> Result<HashMap<ReferenceHash, i64>, StoreError> {
        let hashes: Vec<serde_json::Value> = hashes.map(|h| json!([const_hex::encode(h)])).collect();
        if hashes.is_empty() {
            return Ok(HashMap::new());
        }
        let sql = match self.engine() {
            Engine::Sqlite => {
                "select hash, person from reference
                 where campaign = $1 and hash in (select unhex(value ->> 0) from json_each($2))"
            }
            Engine::Postgres => {
                "select r.hash, r.person from json_each($2) as j
                 join reference r on r.campaign = $1 and r.hash = decode(j.value ->> 0, 'hex')"
            }
        };
        let rows = sqlx::query(sql).bind(campaign).bind(json(&hashes)).fetch_all(self.conn()).await;
        let rows = rows.map_err(|e| self.fail(e))?;
        rows.iter().map(|row| Ok((self.store.hash_of(row, 0)?, self.store.get(row, 1)?))).collect()
    }

    /// Writes those that wait, once they are many.
    pub async fn write_many_references(&mut self, references: &mut References) -> Result<(), StoreError> {
        if references.waiting.len() < WAITING { Ok(()) } else { self.write_references(references).await }
    }

    /// Writes those that wait.
    pub async fn write_references(&mut self, references: &mut References) -> Result<(), StoreError> {
        let engine = self.engine();
        let mut waiting: Vec<(ReferenceHash, i64)> = references.waiting.drain().collect();
        waiting.sort_unstable();
        let mut chunks =
            waiting.chunks(ROWS_PER_STATEMENT).map(|some| insert_references(engine, references.campaign, some));
        let mut next = chunks.next();
        while let Some(query) = next {
            let (done, following) = tokio::join!(query.execute(self.conn()), async { chunks.next() });
            done.map_err(|e| self.fail(e))?;
            next = following;
        }
        Ok(())
    }
}

fn insert_references(engine: Engine, campaign: i64, references: &[(ReferenceHash, i64)]) -> Insert {
    let columns = "reference (campaign, hash, person)";
    let mut query = insert(engine, columns, &format!("({campaign},?,?),"), references.len());
    for (hash, person) in references {
        query = query.bind(hash.to_vec()).bind(*person);
    }
    query
}

/// Words of a block: a cache line.
const LINE: usize = 8;
/// Blocks, as a power of two: 8 MB, of which only what is touched is there.
const BLOCKS: u32 = 17;
/// Bits set for a reference. At ten million references one in twenty new ones is looked for in vain.
const BITS: u32 = 5;

/// A blocked Bloom filter. What goes in is a keyed hash already, so its bytes serve as they are.
struct Filter {
    words: Vec<u64>,
}

impl Filter {
    fn new() -> Filter {
        Filter { words: vec![0; LINE << BLOCKS] }
    }

    /// Word and bit of each mark.
    fn marks(hash: &ReferenceHash) -> impl Iterator<Item = (usize, u64)> {
        let hash = u128::from_le_bytes(*hash);
        let (low, high) = (hash as u64, (hash >> 64) as u64);
        let block = (low >> (64 - BLOCKS)) as usize * LINE;
        (0..BITS).map(move |n| {
            let at = high >> (9 * n);
            (block + (at >> 6) as usize % LINE, 1 << (at % 64))
        })
    }

    fn add(&mut self, hash: &ReferenceHash) {
        for (word, bit) in Filter::marks(hash) {
            self.words[word] |= bit;
        }
    }

    fn may_have(&self, hash: &ReferenceHash) -> bool {
        Filter::marks(hash).all(|(word, bit)| self.words[word] & bit != 0)
    }
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u64) -> ReferenceHash {
        let key = [7; 32];
        std::array::from_fn(|i| blake3::keyed_hash(&key, &n.to_le_bytes()).as_bytes()[i])
    }

    #[test]
    fn the_filter_knows_all_it_was_given_and_little_else() {
        let mut filter = Filter::new();
        (0..1_000_000).for_each(|n| filter.add(&hash(n)));
        assert!((0..1_000_000).all(|n| filter.may_have(&hash(n))));
        let wrong = (1_000_000..1_100_000).filter(|n| filter.may_have(&hash(*n))).count();
        assert!(wrong < 100, "{wrong} of 100,000 that were never given");
        let full: u32 = filter.words.iter().map(|w| w.count_ones()).sum();
        assert!(full > 4_000_000, "all five marks of most are their own: {full}");
    }
}

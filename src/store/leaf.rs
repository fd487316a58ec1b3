//! The leaves of the evidence log: written in the transaction of the facts that they tell of.
//!
//! A transaction gathers its leaves and writes them as one row when it is committed, so that proof costs a statement a
//! transaction. A fact's own row keeps where its leaf is: the random key of that row and the place in it. What gets which
//! index in the log is decided later, by one sequencer ([`super::sequence`]).

use super::{Store, StoreError, Tx};
use crate::evidence::canonical::CannotWrite;
use crate::evidence::fact::{self, Part, Scene};
use crate::model::time::Micros;
use crate::vault::SubjectKey;
use rand::RngExt as _;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Leaves of one row at most.
const MOST_IN_ROW: u32 = 1 << 16;

/// Where a leaf is: `key * 65536 + place`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafRef(pub i64);

impl LeafRef {
    /// The key of its row, and its place in that row.
    pub fn parts(self) -> (i64, usize) {
        (self.0 >> 16, (self.0 & 0xffff) as usize)
    }
}

/// What the leaves of a campaign need to know of it.
#[derive(Debug)]
pub struct Named {
    pub id: String,
    subjects: Option<SubjectKey>,
}

impl Named {
    /// A person's random name; empty once names were destroyed.
    pub(super) fn subject(&self, person: i64) -> String {
        self.subjects.map(|key| key.subject(person)).unwrap_or_default()
    }
}

/// What a [`Store`] knows of the log.
#[derive(Debug, Default)]
pub(super) struct Known {
    named: RwLock<HashMap<i64, Arc<Named>>>,
    /// The newest signed head that this process has seen: size, and digest of the note.
    head: RwLock<Option<Head>>,
}

/// A head of the log as notices carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub size: u64,
    /// SHA-256 of the signed note.
    pub digest: [u8; 32],
}

/// The leaves of one transaction.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    key: i64,
    n: u32,
    octets: Vec<u8>,
}

impl Leaves {
    fn push(&mut self, leaf: &str) -> LeafRef {
        if self.rows.last().is_none_or(|row| row.n == MOST_IN_ROW) {
            // 47 bits, so that with the place it stays a positive number.
            let key = rand::rng().random_range(1..1_i64 << 47);
            self.rows.push(Row { key, n: 0, octets: Vec::new() });
        }
        let Some(row) = self.rows.last_mut() else { return LeafRef(0) };
        let length = u16::try_from(leaf.len()).unwrap_or(u16::MAX);
        row.octets.extend_from_slice(&length.to_be_bytes());
        row.octets.extend_from_slice(&leaf.as_bytes()[..usize::from(length)]);
        row.n += 1;
        LeafRef((row.key << 16) | i64::from(row.n - 1))
    }
}

/// The leaves of a row, one after the other; `None` where the octets are not what [`Leaves`] writes.
pub fn leaves_of(octets: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut leaves, mut rest) = (Vec::new(), octets);
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let (leaf, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        leaves.push(leaf);
        rest = behind;
    }
    rest.is_empty().then_some(leaves)
}

impl Store {
    /// The newest signed head of the log that this process has seen.
    pub fn head(&self) -> Option<Head> {
        *self.known.head.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a head known to those who send.
    pub fn set_head(&self, head: Head) {
        let mut known = self.known.head.write().unwrap_or_else(PoisonError::into_inner);
        if known.is_none_or(|known| known.size <= head.size) {
            *known = Some(head);
        }
    }

    /// Forgets what a campaign's persons are called, because the names were destroyed.
    pub(super) fn forget_names(&self, campaign: i64) {
        self.known.named.write().unwrap_or_else(PoisonError::into_inner).remove(&campaign);
    }
}

impl Tx<'_> {
    /// What the leaves of a campaign need to know of it.
    pub(super) async fn named(&mut self, campaign: i64) -> Result<Arc<Named>, StoreError> {
        let known = &self.store.known.named;
        if let Some(named) = known.read().unwrap_or_else(PoisonError::into_inner).get(&campaign) {
            return Ok(named.clone());
        }
        let row = sqlx::query("select id, subjects from campaign where no = $1")
            .bind(campaign)
            .fetch_one(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        let subjects: Option<Vec<u8>> = self.store.get(&row, 1)?;
        let subjects = subjects.as_deref().and_then(SubjectKey::read);
        let named = Arc::new(Named { id: self.store.get(&row, 0)?, subjects });
        // Only what stands for good is remembered: this transaction may have made the campaign and be undone.
        if !self.made_campaign {
            known.write().unwrap_or_else(PoisonError::into_inner).insert(campaign, named.clone());
        }
        Ok(named)
    }

    /// As [`Store::head`].
    pub fn head(&self) -> Option<Head> {
        self.store.head()
    }

    /// Adds a leaf; where it is, for the row of the fact.
    pub(super) fn leaf(&mut self, leaf: Result<String, CannotWrite>) -> Result<LeafRef, StoreError> {
        match leaf {
            Ok(leaf) => Ok(self.leaves.push(&leaf)),
            Err(error) => Err(self.store.unreadable(format!("a fact for the evidence log: {error}"))),
        }
    }

    /// Adds a fact about a campaign, or about one of its persons.
    pub(super) async fn fact(
        &mut self,
        campaign: i64,
        at: Micros,
        event: &str,
        parts: &[(&str, Part<'_>)],
    ) -> Result<LeafRef, StoreError> {
        let named = self.named(campaign).await?;
        self.leaf(fact::other(&Scene::new(&named.id, at), event, parts))
    }

    /// Writes the leaves of this transaction; they wait for their places.
    pub(super) async fn write_leaves(&mut self) -> Result<(), StoreError> {
        for row in std::mem::take(&mut self.leaves.rows) {
            sqlx::query("insert into leaf_batch (key, n, leaves) values ($1, $2, $3)")
                .bind(row.key)
                .bind(i64::from(row.n))
                .bind(row.octets)
                .execute(self.conn())
                .await
                .map_err(|e| self.fail(e))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_come_back_as_they_were_and_each_knows_its_place() {
        let mut leaves = Leaves::default();
        let refs: Vec<LeafRef> = ["{}", "", "[1]"].into_iter().map(|leaf| leaves.push(leaf)).collect();
        let row = &leaves.rows[0];
        assert_eq!(refs.iter().map(|r| r.parts()).collect::<Vec<_>>(), [(row.key, 0), (row.key, 1), (row.key, 2)]);
        assert_eq!(leaves_of(&row.octets).unwrap(), [&b"{}"[..], b"", b"[1]"]);
        assert_eq!(leaves_of(&row.octets[..row.octets.len() - 1]), None);
        assert_eq!(leaves_of(b"\0"), None);
        for _ in 3..=MOST_IN_ROW {
            leaves.push("x");
        }
        assert_eq!(leaves.rows.iter().map(|row| row.n).collect::<Vec<_>>(), [MOST_IN_ROW, 1]);
    }
}

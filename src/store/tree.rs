//! Trees over the persons of a campaign whose roots are leaves of the log, and the facts that a proof shows.

use super::leaf::{LeafRef, Named};
use super::sequence::TileRow;
use super::{Store, StoreError, Tx};
use crate::evidence::fact::Part;
use crate::model::time::Micros;
use std::sync::Arc;

/// What a tree tells of its persons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeKind {
    /// Who is to be told, and at which contacts: sealed before anybody is.
    Recipients,
    /// Which facts are about whom.
    Closing,
}

impl TreeKind {
    pub fn as_str(self) -> &'static str {
        match self {
            TreeKind::Recipients => "recipients",
            TreeKind::Closing => "closing",
        }
    }

    /// The leaf of the log that holds the root.
    pub fn event(self) -> &'static str {
        match self {
            TreeKind::Recipients => "campaign.seal",
            TreeKind::Closing => "campaign.close",
        }
    }
}

/// A tree that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewTree {
    pub campaign: i64,
    pub kind: TreeKind,
    /// The persons with these numbers.
    pub first: i64,
    pub last: i64,
    /// Leaves of the log before this one are told of in a closing tree.
    pub size: u64,
}

/// A tree whose root is in the log.
#[derive(Clone, Debug)]
pub struct TreeRow {
    /// What its tiles stand under.
    pub id: i64,
    pub first: i64,
    pub last: i64,
    pub n: u64,
    pub root: [u8; 32],
    pub size: u64,
    pub leaf: LeafRef,
}

impl Store {
    /// The trees of a campaign that are finished, in the order in which they were made.
    pub async fn trees(&self, campaign: i64, kind: TreeKind) -> Result<Vec<TreeRow>, StoreError> {
        let rows = sqlx::query(
            "select id, first_person, last_person, n, root, size, leaf from person_tree
             where campaign = $1 and kind = $2 and leaf is not null order by id",
        )
        .bind(campaign)
        .bind(kind.as_str())
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        rows.iter()
            .map(|row| {
                let root: Vec<u8> = self.get(row, 4)?;
                Ok(TreeRow {
                    id: self.get(row, 0)?,
                    first: self.get(row, 1)?,
                    last: self.get(row, 2)?,
                    n: self.get::<i64>(row, 3)?.unsigned_abs(),
                    root: root.try_into().map_err(|_| self.unreadable("the root of a tree of persons"))?,
                    size: self.get::<i64>(row, 5)?.unsigned_abs(),
                    leaf: LeafRef(self.get(row, 6)?),
                })
            })
            .collect()
    }

    /// The numbers of the persons from `first` to `last`, in order.
    pub async fn person_numbers(&self, campaign: i64, first: i64, last: i64) -> Result<Vec<i64>, StoreError> {
        sqlx::query_scalar("select no from person where campaign = $1 and no >= $2 and no <= $3 order by no")
            .bind(campaign)
            .bind(first)
            .bind(last)
            .fetch_all(&self.readers)
            .await
            .map_err(|e| self.fail(e))
    }

    /// How many persons of the campaign come before the one with this number, of those from `first` on.
    pub async fn persons_between(&self, campaign: i64, first: i64, before: i64) -> Result<u64, StoreError> {
        let n: i64 = sqlx::query_scalar("select count(*) from person where campaign = $1 and no >= $2 and no < $3")
            .bind(campaign)
            .bind(first)
            .bind(before)
            .fetch_one(&self.readers)
            .await
            .map_err(|e| self.fail(e))?;
        Ok(n.unsigned_abs())
    }
}

impl Tx<'_> {
    /// Begins a tree; what a crash left of one of its kind goes.
    pub async fn begin_tree(&mut self, tree: &NewTree, now: Micros) -> Result<i64, StoreError> {
        for sql in [
            "delete from tile where tree in
                (select id from person_tree where campaign = $1 and kind = $2 and leaf is null)",
            "delete from person_tree where campaign = $1 and kind = $2 and leaf is null",
        ] {
            let query = sqlx::query(sql).bind(tree.campaign).bind(tree.kind.as_str());
            query.execute(self.conn()).await.map_err(|e| self.fail(e))?;
        }
        sqlx::query_scalar(
            "insert into person_tree (campaign, kind, first_person, last_person, n, root, at, size)
             values ($1, $2, $3, $4, 0, $5, $6, $7) returning id",
        )
        .bind(tree.campaign)
        .bind(tree.kind.as_str())
        .bind(tree.first)
        .bind(tree.last)
        .bind(Vec::<u8>::new())
        .bind(now)
        .bind(tree.size as i64)
        .fetch_one(self.conn())
        .await
        .map_err(|e| self.fail(e))
    }

    /// Ends a tree: its last tiles, and its root as a leaf of the log, beside these counts.
    pub async fn finish_tree(
        &mut self,
        (id, tree): (i64, &NewTree),
        tiles: &[TileRow],
        (n, root): (u64, [u8; 32]),
        counts: &[(String, u64)],
        now: Micros,
    ) -> Result<(), StoreError> {
        self.write_tiles(id, tiles).await?;
        let hex = const_hex::encode(root);
        let mut parts = vec![("n", Part::Number(n)), ("root", Part::Text(&hex))];
        parts.extend(counts.iter().map(|(name, n)| (name.as_str(), Part::Number(*n))));
        if tree.kind == TreeKind::Closing {
            parts.push(("size", Part::Number(tree.size)));
        }
        let leaf = self.fact(tree.campaign, now, tree.kind.event(), &parts).await?;
        sqlx::query("update person_tree set n = $2, root = $3, leaf = $4 where id = $1")
            .bind(id)
            .bind(n as i64)
            .bind(root.to_vec())
            .bind(leaf.0)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// Takes the trees of a campaign away, whose list is taken away. Their roots stay in the log.
    pub(super) async fn drop_trees(&mut self, campaign: i64) -> Result<(), StoreError> {
        for sql in [
            "delete from tile where tree in (select id from person_tree where campaign = $1)",
            "delete from person_tree where campaign = $1",
        ] {
            sqlx::query(sql).bind(campaign).execute(self.conn()).await.map_err(|e| self.fail(e))?;
        }
        Ok(())
    }

    /// The random names of a campaign's persons.
    pub async fn subjects(&mut self, campaign: i64) -> Result<Subjects, StoreError> {
        Ok(Subjects(self.named(campaign).await?))
    }
}

/// Makes the random names of a campaign's persons.
#[derive(Clone, Debug)]
pub struct Subjects(Arc<Named>);

impl Subjects {
    /// 32 hex digits; empty once names were destroyed.
    pub fn of(&self, person: i64) -> String {
        self.0.subject(person)
    }
}

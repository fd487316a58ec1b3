//! Time stamps of an authority over heads of the evidence log: those there are, whose turn it is to ask, and how it went.

use super::leaf::LeafRef;
use super::sequence::SignedHead;
use super::{Store, StoreError, Tx};
use crate::evidence::fact::Part;
use crate::model::time::Micros;
use sha2::{Digest as _, Sha256};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

/// The fact of a time stamp.
pub const ANCHOR: &str = "anchor";

/// Of rows that may stand behind the last stamped head, so many are looked at: there are never that many.
const FEW: i64 = 64;

/// A time stamp over a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeStamp {
    /// How many facts the head had.
    pub size: u64,
    /// When, as the authority says.
    pub at: Micros,
    /// When the answer came, by our clock.
    pub taken_at: Micros,
    /// The answer as it came.
    pub reply: Vec<u8>,
    /// The fact that holds its digest.
    pub leaf: LeafRef,
}

/// How asking the authority goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StampTurn {
    /// Nobody asks before then.
    pub next_at: Micros,
    /// Since when every answer was one that could not be believed, or none came.
    pub failing_since: Option<Micros>,
    pub tries: u32,
    pub why: String,
}

/// What came into the log since a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// Facts that are more than that a head was stamped.
    pub facts: u64,
    /// Whether a list was sealed or a campaign closed.
    pub sealed: bool,
}

impl Store {
    /// The newest time stamp.
    pub async fn newest_stamp(&self) -> Result<Option<TimeStamp>, StoreError> {
        self.stamp_under(i64::MAX.unsigned_abs()).await
    }

    /// The newest time stamp over a head of this size or less.
    pub async fn stamp_under(&self, size: u64) -> Result<Option<TimeStamp>, StoreError> {
        self.one_stamp("where size <= $1 order by size desc limit 1", size).await
    }

    /// The oldest time stamp over a head of this size or more.
    pub async fn stamp_over(&self, size: u64) -> Result<Option<TimeStamp>, StoreError> {
        self.one_stamp("where size >= $1 order by size limit 1", size).await
    }

    async fn one_stamp(&self, which: &str, size: u64) -> Result<Option<TimeStamp>, StoreError> {
        let sql = format!("select size, at, taken_at, reply, leaf from time_stamp {which}");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(size as i64);
        let row = query.fetch_optional(&self.readers).await.map_err(|e| self.fail(e))?;
        row.map(|row| self.stamp(&row)).transpose()
    }

    fn stamp(&self, row: &AnyRow) -> Result<TimeStamp, StoreError> {
        Ok(TimeStamp {
            size: self.get::<i64>(row, 0)?.unsigned_abs(),
            at: self.get(row, 1)?,
            taken_at: self.get(row, 2)?,
            reply: self.get(row, 3)?,
            leaf: LeafRef(self.get(row, 4)?),
        })
    }

    /// How asking the authority goes.
    pub async fn stamp_turn(&self) -> Result<StampTurn, StoreError> {
        let (next_at, failing_since, tries, why): (Micros, Option<Micros>, i64, String) =
            sqlx::query_as("select next_at, failing_since, tries, why from time_stamp_turn")
                .fetch_one(&self.readers)
                .await
                .map_err(|e| self.fail(e))?;
        Ok(StampTurn { next_at, failing_since, tries: u32::try_from(tries).unwrap_or(u32::MAX), why })
    }

    /// What came into the log between these two sizes, the older of which is that of the last stamped head.
    pub async fn since_stamp(&self, from: u64, to: u64) -> Result<Since, StoreError> {
        let stamps = self.leaves_among("select leaf from time_stamp order by size desc", from, to).await?;
        let seals = self.leaves_among("select leaf from person_tree where leaf is not null order by id desc", from, to);
        let seals = seals.await?;
        Ok(Since { facts: to.saturating_sub(from).saturating_sub(stamps), sealed: seals > 0 })
    }

    /// How many of the last few of these leaves stand in the log from `from` on and before `to`.
    async fn leaves_among(&self, which: &str, from: u64, to: u64) -> Result<u64, StoreError> {
        let sql = format!(
            "select count(*) from ({which} limit {FEW}) as l join leaf_batch b on b.key = l.leaf / 65536
             join leaf_place p on p.batch = b.id
             where p.first + l.leaf % 65536 >= $1 and p.first + l.leaf % 65536 < $2"
        );
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(from as i64)
            .bind(to as i64)
            .fetch_one(&self.readers)
            .await
            .map_err(|e| self.fail(e))?;
        Ok(count.unsigned_abs())
    }
}

impl Tx<'_> {
    /// Takes the turn to ask the authority, unless somebody has it or it is not time yet; nobody else has it before
    /// `until`.
    pub async fn take_stamp_turn(&mut self, now: Micros, until: Micros) -> Result<bool, StoreError> {
        let taken = sqlx::query("update time_stamp_turn set next_at = $1 where next_at <= $2")
            .bind(until)
            .bind(now)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        Ok(taken.rows_affected() == 1)
    }

    /// Keeps a time stamp over this head and tells the log of it; false where the head has one, which stays.
    /// `authority` is what it is called.
    pub async fn add_stamp(
        &mut self,
        head: &SignedHead,
        (at, taken_at): (Micros, Micros),
        reply: &[u8],
        authority: &str,
    ) -> Result<bool, StoreError> {
        let size = head.size as i64;
        let known: Option<i64> = sqlx::query_scalar("select size from time_stamp where size = $1")
            .bind(size)
            .fetch_optional(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        if known.is_some() {
            return Ok(false);
        }
        let digest = const_hex::encode(Sha256::digest(reply));
        let parts = [("size", Part::Number(head.size)), ("sha256", Part::Text(&digest))];
        let leaf = self.log_fact(taken_at, ANCHOR, ("forewarn", authority), &parts).await?;
        sqlx::query("insert into time_stamp (size, at, taken_at, reply, leaf) values ($1, $2, $3, $4, $5)")
            .bind(size)
            .bind(at)
            .bind(taken_at)
            .bind(reply.to_vec())
            .bind(leaf.0)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        Ok(true)
    }

    /// The authority answered, and is believed: the turn is free.
    pub async fn stamp_succeeded(&mut self) -> Result<(), StoreError> {
        sqlx::query("update time_stamp_turn set next_at = 0, failing_since = null, tries = 0, why = ''")
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// Asking failed; it is tried again from `next` on.
    pub async fn stamp_failed(&mut self, now: Micros, next: Micros, why: &str) -> Result<(), StoreError> {
        sqlx::query(
            "update time_stamp_turn set next_at = $1, failing_since = coalesce(failing_since, $2), tries = tries + 1,
                    why = $3",
        )
        .bind(next)
        .bind(now)
        .bind(why)
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }
}

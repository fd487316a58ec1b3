//! Places in the evidence log: which leaf has which index, the tiles of hashes over them, and signed heads.
//!
//! In two steps, so that a crash between them leaves nothing that could be done in two ways. First batches that wait get
//! their places, for good. Then what has places is hashed, signed, kept outside the database and written down. Each step
//! says which head it found: where another sequencer was quicker, nothing is changed ([`StoreError::Fenced`]).

use super::leaf::LeafRef;
use super::{Engine, Store, StoreError, Tx, json};
use crate::model::time::Micros;
use sqlx::AssertSqlSafe;

/// The tree of the log among the trees whose tiles are kept.
pub const LOG: i64 = 0;

/// How far the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LogHead {
    /// Leaves that have places.
    pub placed: u64,
    /// Of these, how many are under a signed head.
    pub signed: u64,
}

/// A signed head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    pub size: u64,
    pub root: [u8; 32],
    pub at: Micros,
    /// The signed note.
    pub note: String,
}

/// A tile of a tree: level, index, hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileRow {
    pub level: u8,
    pub index: u64,
    pub hashes: Vec<u8>,
}

impl Store {
    /// How far the log is.
    pub async fn log_head(&self) -> Result<LogHead, StoreError> {
        let (placed, signed): (i64, i64) = sqlx::query_as("select placed, signed from log_head")
            .fetch_one(&self.readers)
            .await
            .map_err(|e| self.fail(e))?;
        Ok(LogHead { placed: placed.unsigned_abs(), signed: signed.unsigned_abs() })
    }

    /// Whether facts wait for their places.
    pub async fn leaves_wait(&self) -> Result<bool, StoreError> {
        let waits: i64 = sqlx::query_scalar("select case when exists (select 1 from leaf_pending) then 1 else 0 end")
            .fetch_one(&self.readers)
            .await
            .map_err(|e| self.fail(e))?;
        Ok(waits == 1)
    }

    /// The rows of leaves from this index on: (index of the first, octets), up to `limit` rows. The index begins a row.
    pub async fn leaf_rows(&self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            "select p.first, b.leaves from leaf_place p join leaf_batch b on b.id = p.batch
             where p.first >= $1 order by p.first limit $2",
        )
        .bind(from as i64)
        .bind(limit as i64)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        Ok(rows.into_iter().map(|(first, octets)| (first.unsigned_abs(), octets)).collect())
    }

    /// The index at which the row of leaves begins that holds this one.
    pub async fn row_start(&self, index: u64) -> Result<Option<u64>, StoreError> {
        let sql = "select first from leaf_place where first <= $1 order by first desc limit 1";
        let first: Option<i64> =
            sqlx::query_scalar(sql).bind(index as i64).fetch_optional(&self.readers).await.map_err(|e| self.fail(e))?;
        Ok(first.map(i64::unsigned_abs))
    }

    /// Where these leaves are in the log, and what they are; none for one that has no place yet.
    pub async fn leaves_at(&self, refs: &[LeafRef]) -> Result<Vec<Option<(u64, Vec<u8>)>>, StoreError> {
        let keys: std::collections::BTreeSet<i64> = refs.iter().map(|r| r.parts().0).collect();
        let keys: Vec<_> = keys.into_iter().map(|key| [key]).collect();
        let rows: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(
            "select b.key, p.first, b.leaves from json_each($1) as j
             join leaf_batch b on b.key = cast(j.value ->> 0 as bigint) join leaf_place p on p.batch = b.id",
        )
        .bind(json(&keys))
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        let rows: std::collections::HashMap<i64, (i64, Vec<u8>)> =
            rows.into_iter().map(|(key, first, octets)| (key, (first, octets))).collect();
        let find = |wanted: &LeafRef| {
            let (key, place) = wanted.parts();
            let Some((first, octets)) = rows.get(&key) else { return Ok(None) };
            let leaves = super::leaf::leaves_of(octets);
            let leaf = leaves.as_ref().and_then(|leaves| leaves.get(place));
            let leaf = leaf.ok_or_else(|| self.unreadable("a row of the evidence log"))?;
            Ok(Some((first.unsigned_abs() + place as u64, leaf.to_vec())))
        };
        refs.iter().map(find).collect()
    }

    /// These tiles of a tree, as far as there are any: (level, index, hashes).
    pub async fn tiles(&self, tree: i64, wanted: &[(u8, u64)]) -> Result<Vec<TileRow>, StoreError> {
        let rows: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(
            "select t.level, t.idx, t.hashes from json_each($2) as j
             join tile t on t.tree = $1 and t.level = cast(j.value ->> 0 as bigint)
                        and t.idx = cast(j.value ->> 1 as bigint)",
        )
        .bind(tree)
        .bind(json(wanted))
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        let tile = |(level, index, hashes): (i64, i64, Vec<u8>)| TileRow {
            level: u8::try_from(level).unwrap_or(u8::MAX),
            index: index.unsigned_abs(),
            hashes,
        };
        Ok(rows.into_iter().map(tile).collect())
    }

    /// The newest signed head.
    pub async fn newest_head(&self) -> Result<Option<SignedHead>, StoreError> {
        self.one_head("order by size desc limit 1", 0).await
    }

    /// The signed head of this size.
    pub async fn head_of(&self, size: u64) -> Result<Option<SignedHead>, StoreError> {
        self.one_head("where size = $1", size as i64).await
    }

    /// The oldest signed head of at least this size.
    pub async fn head_over(&self, size: u64) -> Result<Option<SignedHead>, StoreError> {
        self.one_head("where size >= $1 order by size limit 1", size as i64).await
    }

    async fn one_head(&self, which: &str, size: i64) -> Result<Option<SignedHead>, StoreError> {
        let sql = format!("select size, root, at, note from checkpoint {which}");
        let mut query = sqlx::query_as(AssertSqlSafe(sql));
        if which.contains("$1") {
            query = query.bind(size);
        }
        let row: Option<(i64, Vec<u8>, Micros, String)> =
            query.fetch_optional(&self.readers).await.map_err(|e| self.fail(e))?;
        let Some((size, root, at, note)) = row else { return Ok(None) };
        let root = root.try_into().map_err(|_| self.unreadable("a checkpoint of the evidence log"))?;
        Ok(Some(SignedHead { size: size.unsigned_abs(), root, at, note }))
    }
}

impl Tx<'_> {
    /// Asks for the right to be the sequencer until this transaction ends.
    pub async fn may_sequence(&mut self) -> Result<bool, StoreError> {
        if self.engine() == Engine::Sqlite {
            return Ok(true);
        }
        let got: bool =
            sqlx::query_scalar(super::engine::TRY_SEQUENCING).fetch_one(self.conn()).await.map_err(|e| self.fail(e))?;
        Ok(got)
    }

    /// Gives places to batches that wait for them, up to about `limit` leaves; how far the log is then.
    pub async fn place_leaves(&mut self, found: LogHead, limit: u64) -> Result<LogHead, StoreError> {
        let waiting: Vec<(i64, i64)> = sqlx::query_as(
            "select p.batch, b.n from leaf_pending p join leaf_batch b on b.id = p.batch order by p.batch limit 2000",
        )
        .fetch_all(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        let (mut rows, mut next) = (Vec::new(), found.placed);
        for (batch, n) in waiting {
            if next - found.placed >= limit {
                break;
            }
            rows.push((next, batch, n));
            next += n.unsigned_abs();
        }
        if rows.is_empty() {
            return Ok(found);
        }
        // First of all: another who found the same head waits here, and then finds that it has moved.
        let moved = sqlx::query("update log_head set placed = $1 where placed = $2 and signed = $3")
            .bind(next as i64)
            .bind(found.placed as i64)
            .bind(found.signed as i64);
        self.moved(moved).await?;
        let rows = json(&rows);
        sqlx::query(
            "insert into leaf_place (first, batch, n)
             select cast(value ->> 0 as bigint), cast(value ->> 1 as bigint), cast(value ->> 2 as bigint)
             from json_each($1)",
        )
        .bind(rows.as_str())
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        sqlx::query("delete from leaf_pending where batch in (select cast(value ->> 1 as bigint) from json_each($1))")
            .bind(rows)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        Ok(LogHead { placed: next, signed: found.signed })
    }

    /// Writes down a signed head with the tiles that changed since the one before.
    pub async fn add_head(&mut self, found: LogHead, tiles: &[TileRow], head: &SignedHead) -> Result<(), StoreError> {
        // First of all, as with places.
        let moved = sqlx::query("update log_head set signed = $1 where signed = $2 and placed >= $1")
            .bind(head.size as i64)
            .bind(found.signed as i64);
        self.moved(moved).await?;
        self.write_tiles(LOG, tiles).await?;
        sqlx::query("insert into checkpoint (size, root, at, note) values ($1, $2, $3, $4)")
            .bind(head.size as i64)
            .bind(head.root.to_vec())
            .bind(head.at)
            .bind(&head.note)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// Writes tiles of a tree; partial ones grow.
    pub async fn write_tiles(&mut self, tree: i64, tiles: &[TileRow]) -> Result<(), StoreError> {
        for some in tiles.chunks(64) {
            let values: Vec<String> =
                (0..some.len()).map(|n| format!("($1, ${}, ${}, ${})", 3 * n + 2, 3 * n + 3, 3 * n + 4)).collect();
            let sql = format!(
                "insert into tile (tree, level, idx, hashes) values {}
                 on conflict (tree, level, idx) do update set hashes = excluded.hashes",
                values.join(", ")
            );
            let mut query = sqlx::query(AssertSqlSafe(sql)).bind(tree);
            for tile in some {
                query = query.bind(i64::from(tile.level)).bind(tile.index as i64).bind(tile.hashes.clone());
            }
            query.execute(self.conn()).await.map_err(|e| self.fail(e))?;
        }
        Ok(())
    }

    /// Moves the head on from where it was found, or says that another did.
    async fn moved(
        &mut self,
        query: sqlx::query::Query<'_, sqlx::Any, sqlx::any::AnyArguments>,
    ) -> Result<(), StoreError> {
        let moved = query.execute(self.conn()).await.map_err(|e| self.fail(e))?.rows_affected();
        if moved == 1 { Ok(()) } else { Err(StoreError::Fenced { path: self.store.shown() }) }
    }
}

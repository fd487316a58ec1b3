//! The workers by name, and their leases: who may send and record.
//!
//! A worker renews its lease every few seconds. Where it does not, because it died or was cut off, another declares it
//! lost and takes over its notices; from then on nothing it has to say about them is recorded. All times are of the
//! database's clock, so that the clocks of the hosts do not matter.

use super::engine::{Engine, try_planning};
use super::{Store, StoreError, Tx};
use crate::model::time::Micros;

/// A worker as `status` and `doctor` show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerRow {
    pub id: i64,
    pub host: String,
    pub process: i64,
    pub version: String,
    pub started_at: Micros,
    pub seen_at: Micros,
    /// Since its last sign of life, by the database's clock.
    pub silent: Micros,
    /// `None` while it works.
    pub ended: Option<String>,
}

impl Store {
    /// Enters a new worker; its id. Where one process at a time may send, whoever was there before is lost.
    pub async fn register_worker(
        &self,
        host: &str,
        process: u32,
        version: &str,
        lease: Micros,
    ) -> Result<i64, StoreError> {
        let now = self.engine().now();
        let mut tx = self.begin().await?;
        if self.engine() == Engine::Sqlite {
            let sql = format!("update worker set ended = 'lost', ended_at = {now} where ended is null");
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(tx.conn()).await.map_err(|e| self.fail(e))?;
        }
        // What ended workers thought of the routes is of no use to those who work.
        let old = "delete from route_health where worker in (select id from worker where ended is not null)";
        sqlx::query(old).execute(tx.conn()).await.map_err(|e| self.fail(e))?;
        let sql = format!(
            "insert into worker (host, process, version, started_at, seen_at, lease_until)
             values ($1, $2, $3, {now}, {now}, {now} + $4) returning id"
        );
        let id = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(host)
            .bind(i64::from(process))
            .bind(version)
            .bind(lease)
            .fetch_one(tx.conn())
            .await
            .map_err(|e| self.fail(e))?;
        tx.commit().await?;
        Ok(id)
    }

    /// Renews a worker's lease; the database's time, or `None` where the worker was declared lost.
    pub async fn renew_worker(&self, id: i64, lease: Micros) -> Result<Option<Micros>, StoreError> {
        let now = self.engine().now();
        let sql = format!(
            "update worker set seen_at = {now}, lease_until = {now} + $2 where id = $1 and ended is null
             returning seen_at"
        );
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(id).bind(lease);
        // Not by the writer: a renewal must not wait for a turn. SQLite's writers wait for each other anyhow.
        let pool = match self.engine() {
            Engine::Sqlite => &self.writer,
            Engine::Postgres => &self.readers,
        };
        query.fetch_optional(pool).await.map_err(|e| self.fail(e))
    }

    /// What the database's clock shows, and nothing else: no lock is waited for and nothing is written.
    pub async fn clock(&self) -> Result<Micros, StoreError> {
        let sql = format!("select {}", self.engine().now());
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&self.readers).await.map_err(|e| self.fail(e))
    }

    /// Writes down that a worker ended as it should; its notices are recorded.
    pub async fn end_worker(&self, id: i64) -> Result<(), StoreError> {
        let sql = format!(
            "update worker set ended = 'stopped', ended_at = {} where id = $1 and ended is null",
            self.engine().now()
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id);
        query.execute(&self.writer).await.map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// Declares workers lost whose lease ran out; how many.
    pub async fn declare_lost(&self, but: i64) -> Result<u64, StoreError> {
        let now = self.engine().now();
        let sql = format!(
            "update worker set ended = 'lost', ended_at = {now}
             where ended is null and lease_until < {now} and id <> $1"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(but);
        Ok(query.execute(&self.writer).await.map_err(|e| self.fail(e))?.rows_affected())
    }

    /// The workers that work, and the last `ended` of those that ended.
    pub async fn workers(&self, ended: i64) -> Result<Vec<WorkerRow>, StoreError> {
        let sql = format!(
            "select id, host, process, version, started_at, seen_at, ended, {} - seen_at from worker
             where ended is null or id in (select id from worker where ended is not null and process <> 0
                                           order by ended_at desc limit $1)
             order by id",
            self.engine().now()
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(ended)
            .fetch_all(&self.readers)
            .await
            .map_err(|e| self.fail(e))?;
        rows.iter()
            .map(|row| {
                Ok(WorkerRow {
                    id: self.get(row, 0)?,
                    host: self.get(row, 1)?,
                    process: self.get(row, 2)?,
                    version: self.get(row, 3)?,
                    started_at: self.get(row, 4)?,
                    seen_at: self.get(row, 5)?,
                    ended: self.get(row, 6)?,
                    silent: self.get(row, 7)?,
                })
            })
            .collect()
    }
}

impl Tx<'_> {
    /// Asks for the right to plan the next persons of a campaign; up to whom they are planned, or `None` where another
    /// worker plans.
    pub async fn may_plan(&mut self, campaign: i64) -> Result<Option<i64>, StoreError> {
        if self.engine() == Engine::Postgres {
            let sql = sqlx::AssertSqlSafe(try_planning(campaign));
            let free: bool = sqlx::query_scalar(sql).fetch_one(self.conn()).await.map_err(|e| self.fail(e))?;
            if !free {
                return Ok(None);
            }
        }
        sqlx::query_scalar("select planned from campaign where no = $1")
            .bind(campaign)
            .fetch_optional(self.conn())
            .await
            .map_err(|e| self.fail(e))
    }
}

//! Routes and domains that a person told to rest.

use super::{Engine, Store, StoreError, Tx};
use crate::model::suspension::{Rested, Suspension};
use crate::model::time::Micros;

impl Store {
    /// The orders in force at `now`, oldest first.
    pub async fn suspensions(&self, now: Micros) -> Result<Vec<Suspension>, StoreError> {
        let rows = sqlx::query(
            "select kind, name, reason, by_name, at, until from suspension
             where lifted_at is null and until > $1 order by id",
        )
        .bind(now)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        rows.iter()
            .map(|row| {
                let (kind, name): (String, String) = (self.get(row, 0)?, self.get(row, 1)?);
                Ok(Suspension {
                    what: self.word(&kind, |kind| Rested::parse(kind, &name))?,
                    reason: self.get(row, 2)?,
                    by: self.get(row, 3)?,
                    at: self.get(row, 4)?,
                    until: self.get(row, 5)?,
                })
            })
            .collect()
    }
}

impl Tx<'_> {
    /// Writes an order down.
    pub async fn suspend(&mut self, order: &Suspension) -> Result<(), StoreError> {
        sqlx::query("insert into suspension (kind, name, reason, by_name, at, until) values ($1, $2, $3, $4, $5, $6)")
            .bind(order.what.kind())
            .bind(order.what.name())
            .bind(&order.reason)
            .bind(&order.by)
            .bind(order.at)
            .bind(order.until)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// Ends all orders about it that are in force; when they would have ended by themselves.
    pub async fn lift(&mut self, what: &Rested, by: &str, now: Micros) -> Result<Vec<Micros>, StoreError> {
        sqlx::query_scalar(
            "update suspension set lifted_at = $3, lifted_by = $4
             where kind = $1 and name = $2 and lifted_at is null and until > $3 returning until",
        )
        .bind(what.kind())
        .bind(what.name())
        .bind(now)
        .bind(by)
        .fetch_all(self.conn())
        .await
        .map_err(|e| self.fail(e))
    }

    /// Brings back what was put off to exactly this moment: email that waited for the end of a domain's rest. How many.
    pub async fn bring_forward(&mut self, campaign: i64, until: Micros, now: Micros) -> Result<u64, StoreError> {
        // A worker that is just putting off more of them is waited for.
        let lock = match self.engine() {
            Engine::Sqlite => "",
            Engine::Postgres => " for update",
        };
        let sql = format!(
            "update notice set due_at = $3 where campaign = $1 and id in (
                 select id from notice where campaign = $1 and channel = 'email' and due_at = $2{lock})"
        );
        let moved = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(campaign)
            .bind(until)
            .bind(now)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        Ok(moved.rows_affected())
    }
}

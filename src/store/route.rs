//! What all workers share about a route: which slots of its limits are taken, and its health.

use super::{Engine, Store, StoreError, Tx};
use crate::model::time::Micros;

/// A route's health as `status` and `doctor` show it.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteHealth {
    pub name: String,
    /// The worker that sees it so.
    pub worker: i64,
    /// `ok`, `waiting` (throttled), `broken` (breaker open) or `probing`.
    pub state: String,
    pub reason: String,
    pub until: Option<Micros>,
    pub per_second: f64,
    pub changed_at: Micros,
}

impl Store {
    pub async fn route_health(&self) -> Result<Vec<RouteHealth>, StoreError> {
        let rows = sqlx::query(
            "select name, state, reason, until, per_second, changed_at, worker from route_health order by name, worker",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        rows.iter()
            .map(|row| {
                Ok(RouteHealth {
                    name: self.get(row, 0)?,
                    state: self.get(row, 1)?,
                    reason: self.get(row, 2)?,
                    until: self.get(row, 3)?,
                    per_second: self.get(row, 4)?,
                    changed_at: self.get(row, 5)?,
                    worker: self.get(row, 6)?,
                })
            })
            .collect()
    }
}

impl Tx<'_> {
    /// The schedule of a route's lane as its module wrote it; empty at first.
    pub async fn schedule(&mut self, route: &str, lane: &str) -> Result<String, StoreError> {
        let sql = match self.engine() {
            Engine::Sqlite => "select schedule from route where name = $1 and lane = $2",
            // Other workers wait here until this one has written which slots it took. The row is made where it is
            // missing: what is not there cannot be held.
            Engine::Postgres => {
                "insert into route (name, lane, schedule) values ($1, $2, '')
                 on conflict (name, lane) do update set lane = excluded.lane returning schedule"
            }
        };
        let kept: Option<String> = sqlx::query_scalar(sql)
            .bind(route)
            .bind(lane)
            .fetch_optional(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        Ok(kept.unwrap_or_default())
    }

    pub async fn set_schedule(&mut self, route: &str, lane: &str, schedule: &str) -> Result<(), StoreError> {
        sqlx::query(
            "insert into route (name, lane, schedule) values ($1, $2, $3)
             on conflict (name, lane) do update set schedule = excluded.schedule",
        )
        .bind(route)
        .bind(lane)
        .bind(schedule)
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }

    pub async fn set_route_health(&mut self, health: &RouteHealth) -> Result<(), StoreError> {
        sqlx::query(
            "insert into route_health (name, state, reason, until, per_second, changed_at, worker)
             values ($1, $2, $3, $4, $5, $6, $7)
             on conflict (name, worker) do update set state = excluded.state, reason = excluded.reason, until = excluded.until,
                 per_second = excluded.per_second, changed_at = excluded.changed_at",
        )
        .bind(&health.name)
        .bind(&health.state)
        .bind(&health.reason)
        .bind(health.until)
        .bind(health.per_second)
        .bind(health.changed_at)
        .bind(health.worker)
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }
}

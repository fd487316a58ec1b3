//! Notices whose report is overdue: which there are, and when to ask about them again.
//!
//! Whoever asks about one moves its time on before, so that two workers ask in turn, and a crash leaves nothing behind
//! but a question that is asked later.

use super::reconcile::{DOUBT, Doubt};
use super::{Store, StoreError, Tx, json};
use crate::model::notice::NoticeId;
use crate::model::time::Micros;
use std::collections::BTreeSet;

impl Store {
    /// Up to `limit` notices of the campaign that this route took and whose report is overdue, those first that have
    /// waited longest.
    pub async fn overdue(
        &self,
        campaign: i64,
        route: &str,
        now: Micros,
        limit: usize,
    ) -> Result<Vec<Doubt>, StoreError> {
        let sql = format!(
            "select {DOUBT}, n.changed_at from (
                 select * from notice where campaign = $1 and route = $2 and report_due <= $3
                 order by report_due, id limit $4) as n
             join attempt a on a.campaign = n.campaign and a.notice = n.id and a.no = n.attempts
             join sealed_person s on s.campaign = n.campaign and s.no = n.id / 4096
             order by n.report_due, n.id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(campaign)
            .bind(route)
            .bind(now)
            .bind(limit as i64)
            .fetch_all(&self.readers)
            .await
            .map_err(|e| self.fail(e))?;
        let doubt = |row| Ok(Doubt { taken_at: Some(self.get(row, 8)?), ..self.doubt(campaign, row)? });
        rows.iter().map(doubt).collect()
    }

    /// The same as they are needed to end the wait: each with when its provider took it.
    pub async fn waiting_too_long(
        &self,
        campaign: i64,
        route: &str,
        now: Micros,
        limit: usize,
    ) -> Result<Vec<(NoticeId, Micros)>, StoreError> {
        let rows: Vec<(i64, Micros)> = sqlx::query_as(
            "select n.id, n.changed_at from notice n where n.campaign = $1 and n.route = $2 and n.report_due <= $3
             order by n.report_due, n.id limit $4",
        )
        .bind(campaign)
        .bind(route)
        .bind(now)
        .bind(limit as i64)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        Ok(rows.into_iter().map(|(id, taken)| (NoticeId(id), taken)).collect())
    }

    /// The next route, by name, of which the campaign waits for reports; each is one step through the index.
    pub async fn next_waiting_route(&self, campaign: i64, after: &str) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar(
            "select min(route) from notice where campaign = $1 and report_due is not null and route > $2",
        )
        .bind(campaign)
        .bind(after)
        .fetch_one(&self.readers)
        .await
        .map_err(|e| self.fail(e))
    }
}

impl Tx<'_> {
    /// Takes these to be asked about, until `until`; those that another took are not among them.
    pub async fn take_overdue(
        &mut self,
        campaign: i64,
        overdue: &[Doubt],
        now: Micros,
        until: Micros,
    ) -> Result<BTreeSet<NoticeId>, StoreError> {
        let rows: Vec<_> = overdue.iter().map(|d| (d.notice.0, d.attempt)).collect();
        let taken: Vec<i64> = sqlx::query_scalar(self.engine().by_batch(
            "update notice set report_due = $2 from json_each($3) as j
             where notice.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and notice.id = cast(j.value ->> 0 as bigint) and notice.attempts = cast(j.value ->> 1 as bigint)
               and notice.report_due <= $4 returning notice.id",
        ))
        .bind(campaign)
        .bind(until)
        .bind(json(&rows))
        .bind(now)
        .fetch_all(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(taken.into_iter().map(NoticeId).collect())
    }

    /// Writes down until when these are waited for, where they are still.
    pub async fn wait_until(&mut self, campaign: i64, waits: &[(NoticeId, Micros)]) -> Result<(), StoreError> {
        if waits.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = waits.iter().map(|(notice, until)| (notice.0, until)).collect();
        sqlx::query(self.engine().by_batch(
            "update notice set report_due = cast(j.value ->> 1 as bigint) from json_each($2) as j
             where notice.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and notice.id = cast(j.value ->> 0 as bigint) and notice.report_due is not null",
        ))
        .bind(campaign)
        .bind(json(&rows))
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }
}

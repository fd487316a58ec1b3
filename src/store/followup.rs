//! What people ask for after the fact: trying failures again, and calling a campaign off.

use super::receipt::OPEN_CALL;
use super::{StoreError, Tx, json};
use crate::model::notice::NoticeId;
use crate::model::outcome::Class;
use crate::model::time::Micros;
use std::collections::{BTreeMap, BTreeSet};

impl Tx<'_> {
    /// Makes due again up to `limit` notices after this one that failed with this class (or are held as unknown); which.
    /// Whoever was told another way meanwhile is left alone, and so is a contact that was corrected, and what only a human
    /// tried. Of one person's notices only the one that was tried first is
    /// due now; each other waits `apart` longer, unless the one before it fails sooner ([`Tx::record`] sees to that), so
    /// that nobody is told on all channels at once.
    pub async fn requeue(
        &mut self,
        campaign: i64,
        class: Class,
        after: NoticeId,
        now: Micros,
        apart: Micros,
        limit: usize,
    ) -> Result<Vec<NoticeId>, StoreError> {
        let ended = if class == Class::Unknown {
            "n.state = 'unknown' and n.reason is null and n.due_at is null and $2 = 'unknown'"
        } else {
            "n.state = 'failed' and n.reason = $2"
        };
        let sql = format!(
            "select n.id, n.state, n.first_due, (select count(*) from notice o where o.campaign = n.campaign
                    and o.id >= p.no * 4096 and o.id < (p.no + 1) * 4096 and (o.due_at is not null or o.state = 'sending'))
             from notice n join person p on p.campaign = n.campaign and p.no = n.id / 4096
             where n.campaign = $1 and n.state in ('failed', 'unknown') and {ended} and n.id > $3
               and n.attempts > 0 and substr(p.reach, cast(n.id / 16 % 256 + 1 as integer), 1) <> 'x'
               and p.standing in ('in_flight', 'needs_human', 'unreachable')
             order by n.id limit $4{}",
            self.engine().locking("n, p")
        );
        let found: Vec<(i64, String, Micros, i64)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(campaign)
            .bind(class.as_str())
            .bind(after.0)
            .bind(limit as i64)
            .fetch_all(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<serde_json::Value> =
            one_by_one(&found, now, apart).into_iter().map(|(id, due)| serde_json::json!([id, due])).collect();
        sqlx::query(self.engine().by_batch(
            "update notice set state = case when state = 'unknown' then state else 'queued' end,
                    due_at = cast(j.value ->> 1 as bigint),
                    first_due = cast(j.value ->> 1 as bigint), tries = 0, reason = null, changed_at = $2
             from json_each($3) as j where notice.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and notice.id = cast(j.value ->> 0 as bigint)",
        ))
        .bind(campaign)
        .bind(now)
        .bind(json(&rows))
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        let mut changes: Vec<(String, String, i64)> = Vec::new();
        if class != Class::Unknown {
            changes.push(("notice".into(), "failed".into(), -(found.len() as i64)));
            changes.push(("notice".into(), "queued".into(), found.len() as i64));
        }
        let persons: BTreeSet<i64> = found.iter().map(|(id, ..)| NoticeId(*id).person()).collect();
        changes.extend(self.stand(campaign, &persons, "in_flight", &["needs_human", "unreachable"]).await?);
        self.tally(campaign, changes);
        Ok(found.into_iter().map(|(id, ..)| NoticeId(id)).collect())
    }

    /// Cancels up to `limit` notices that wait; how many. Their persons are excluded, on the ground of the
    /// cancellation, unless they were told already.
    pub async fn cancel_waiting(&mut self, campaign: i64, now: Micros, limit: usize) -> Result<usize, StoreError> {
        let sql = format!(
            "select n.id, n.state from notice n where n.campaign = $1 and n.due_at is not null limit $2{}",
            self.engine().locking("n")
        );
        let found: Vec<(i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(campaign)
            .bind(limit as i64)
            .fetch_all(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        self.cancel(campaign, found, now).await
    }

    /// Calls off up to `limit` calls that lie on a sheet and were not made; how many. As [`Tx::cancel_waiting`].
    pub async fn cancel_open_calls(&mut self, campaign: i64, now: Micros, limit: usize) -> Result<usize, StoreError> {
        let sql = format!(
            "select n.id, n.state from notice n where n.campaign = $1 and {OPEN_CALL} limit $2{}",
            self.engine().locking("n")
        );
        let found: Vec<(i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(campaign)
            .bind(limit as i64)
            .fetch_all(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        self.cancel(campaign, found, now).await
    }

    /// Cancels these notices, given with the state they are in; how many.
    async fn cancel(&mut self, campaign: i64, found: Vec<(i64, String)>, now: Micros) -> Result<usize, StoreError> {
        if found.is_empty() {
            return Ok(0);
        }
        let ids: Vec<serde_json::Value> = found.iter().map(|(id, _)| serde_json::json!([id])).collect();
        sqlx::query(self.engine().by_batch(
            "update notice set state = 'cancelled', due_at = null, changed_at = $2
             from json_each($3) as j where notice.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and notice.id = cast(j.value ->> 0 as bigint)",
        ))
        .bind(campaign)
        .bind(now)
        .bind(json(&ids))
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        let mut changes: Vec<(String, String, i64)> =
            found.iter().map(|(_, state)| ("notice".to_owned(), state.clone(), -1)).collect();
        changes.push(("notice".into(), "cancelled".into(), found.len() as i64));
        let mut persons: BTreeSet<i64> = found.iter().map(|(id, _)| NoticeId(*id).person()).collect();
        self.hold_persons(campaign, persons.iter().copied()).await?;
        let told = self.told(campaign, &persons).await?;
        changes.extend(self.stand(campaign, &told, "satisfied", &["in_flight"]).await?);
        persons.retain(|no| !told.contains(no));
        changes.extend(self.stand(campaign, &persons, "excluded", &["in_flight"]).await?);
        self.tally(campaign, changes);
        Ok(found.len())
    }

    /// Those of the persons whom a notice has reached; a call that still lies on a sheet has reached nobody.
    async fn told(&mut self, campaign: i64, persons: &BTreeSet<i64>) -> Result<BTreeSet<i64>, StoreError> {
        let rows: Vec<serde_json::Value> = persons.iter().map(|no| serde_json::json!([no])).collect();
        let sql = format!(
            "select cast(j.value ->> 0 as bigint) from json_each($2) as j
             where exists (select 1 from notice n where n.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
                           and n.id >= cast(j.value ->> 0 as bigint) * 4096
                           and n.id < (cast(j.value ->> 0 as bigint) + 1) * 4096
                           and n.state in ('accepted', 'delivered', 'acknowledged') and not {OPEN_CALL})"
        );
        let told: Vec<i64> = sqlx::query_scalar(self.engine().by_batch_of(sql))
            .bind(campaign)
            .bind(json(&rows))
            .fetch_all(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        Ok(told.into_iter().collect())
    }

    /// Excludes up to `limit` persons of a cancelled campaign who have no notice yet; how many.
    pub async fn exclude_unplanned(&mut self, campaign: i64, limit: usize) -> Result<usize, StoreError> {
        let persons: Vec<i64> = sqlx::query_scalar(
            "select p.no from person p join campaign c on c.no = p.campaign
             where p.campaign = $1 and p.no > c.planned and p.standing = 'in_flight' order by p.no limit $2",
        )
        .bind(campaign)
        .bind(limit as i64)
        .fetch_all(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        let persons: BTreeSet<i64> = persons.into_iter().collect();
        let changes = self.stand(campaign, &persons, "excluded", &["in_flight"]).await?;
        self.tally(campaign, changes);
        if let Some(last) = persons.last() {
            self.set_planned(campaign, *last).await?;
        }
        Ok(persons.len())
    }

    /// Moves persons to a standing from one of `from`; the changes to the sums.
    pub(super) async fn stand(
        &mut self,
        campaign: i64,
        persons: &BTreeSet<i64>,
        to: &'static str,
        from: &[&'static str],
    ) -> Result<Vec<(String, String, i64)>, StoreError> {
        let rows: Vec<serde_json::Value> = persons.iter().map(|no| serde_json::json!([no])).collect();
        let rows = json(&rows);
        let mut changes = Vec::new();
        for standing in from {
            let moved = sqlx::query(self.engine().by_batch(
                "update person set standing = $2 from json_each($3) as j
                 where person.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and person.no = cast(j.value ->> 0 as bigint) and person.standing = $4",
            ))
            .bind(campaign)
            .bind(to)
            .bind(rows.as_str())
            .bind(*standing)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?
            .rows_affected() as i64;
            changes.push(("person".into(), (*standing).into(), -moved));
            changes.push(("person".into(), to.into(), moved));
        }
        Ok(changes)
    }
}

/// When each of these notices (id, state, when first tried, how many others of the person are on their way) falls due:
/// a person's one after the other, in the order in which the ladder came to them.
fn one_by_one(found: &[(i64, String, Micros, i64)], now: Micros, apart: Micros) -> Vec<(i64, Micros)> {
    let mut order: Vec<(i64, Micros, i64, i64)> =
        found.iter().map(|(id, _, first_tried, others)| (NoticeId(*id).person(), *first_tried, *id, *others)).collect();
    order.sort_unstable();
    let mut before: BTreeMap<i64, i64> = BTreeMap::new();
    order
        .into_iter()
        .map(|(person, _, id, others)| {
            let waits_for = before.entry(person).or_insert(others);
            let due = now.saturating_add(apart.saturating_mul(*waits_for));
            *waits_for += 1;
            (id, due)
        })
        .collect()
}

//! Notices in doubt about which their provider can be asked: which, how often, and what its word clears up.
//!
//! Asking is claimed here before it is done: whoever is given a notice has it until its time to ask comes again, so that
//! two workers ask in turn and a crash leaves nothing behind but a question that is asked once more.

use super::desk::NewNote;
use super::{Store, StoreError, Tx, json};
use crate::model::notice::NoticeId;
use crate::model::time::Micros;
use crate::vault::SealedPerson;
use sqlx::any::AnyRow;
use std::collections::{BTreeMap, BTreeSet};

/// The last attempt of `n` whose end nobody knows.
const IN_DOUBT: &str = "(select max(u.no) from attempt u where u.campaign = n.campaign and u.notice = n.id
                         and u.class = 'unknown')";

/// The columns of a [`Doubt`], of a notice `n`, its attempt `a` and its person's sealed data `s`.
pub(super) const DOUBT: &str =
    "n.id, a.no, a.started_at, a.provider_id, n.refusals, n.first_due, s.wrapped_key, s.sealed";

/// A notice in doubt, with what is needed to ask about it.
#[derive(Clone, Debug)]
pub struct Doubt {
    pub campaign: i64,
    pub notice: NoticeId,
    /// The attempt in doubt, and when it began.
    pub attempt: i64,
    pub started_at: Micros,
    pub provider_id: Option<String>,
    pub refusals: u32,
    /// When the notice was first tried; giving up counts from here.
    pub first_due: Micros,
    /// When the provider took it, where that is certain and its report alone is overdue.
    pub taken_at: Option<Micros>,
    pub sealed: SealedPerson,
}

impl Store {
    /// Up to `limit` notices of the campaign that stand as unknown after an attempt by this route and are to be asked
    /// about; those first that were asked about least.
    pub async fn doubts(
        &self,
        campaign: i64,
        route: &str,
        now: Micros,
        limit: usize,
    ) -> Result<Vec<Doubt>, StoreError> {
        let sql = format!(
            "select {DOUBT} from notice n
             join attempt a on a.campaign = n.campaign and a.notice = n.id and a.no = {IN_DOUBT}
             join sealed_person s on s.campaign = n.campaign and s.no = n.id / 4096
             left join look_up l on l.campaign = n.campaign and l.notice = n.id and l.attempt = a.no
             where n.campaign = $1 and n.state in ('failed', 'unknown') and n.state = 'unknown' and n.reason is null
               and a.route = $2 and (l.notice is null or l.due_at <= $3)
             order by coalesce(l.tries, 0), n.id limit $4"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(campaign)
            .bind(route)
            .bind(now)
            .bind(limit as i64)
            .fetch_all(&self.readers)
            .await
            .map_err(|e| self.fail(e))?;
        rows.iter().map(|row| self.doubt(campaign, row)).collect()
    }

    pub(super) fn doubt(&self, campaign: i64, row: &AnyRow) -> Result<Doubt, StoreError> {
        Ok(Doubt {
            campaign,
            notice: NoticeId(self.get(row, 0)?),
            attempt: self.get(row, 1)?,
            started_at: self.get(row, 2)?,
            provider_id: self.get(row, 3)?,
            refusals: self.get::<i64>(row, 4)? as u32,
            first_due: self.get(row, 5)?,
            taken_at: None,
            sealed: SealedPerson { key: self.get(row, 6)?, blob: self.get(row, 7)? },
        })
    }
}

impl Tx<'_> {
    /// Takes the turn to ask a route, unless somebody has it; nobody else has it before `until`.
    pub async fn take_look_up_turn(&mut self, route: &str, now: Micros, until: Micros) -> Result<bool, StoreError> {
        let taken: Option<i64> = sqlx::query_scalar(
            "insert into look_up_turn (route, next_at) values ($1, $2)
             on conflict (route) do update set next_at = excluded.next_at where look_up_turn.next_at <= $3
             returning next_at",
        )
        .bind(route)
        .bind(until)
        .bind(now)
        .fetch_optional(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(taken.is_some())
    }

    /// Takes these to be asked about, until `until`; how often each was asked about, this time counted. Those that
    /// another took are not among them.
    pub async fn take_doubts(
        &mut self,
        campaign: i64,
        doubts: &[Doubt],
        now: Micros,
        until: Micros,
    ) -> Result<BTreeMap<NoticeId, u32>, StoreError> {
        let rows: Vec<_> = doubts.iter().map(|d| (d.notice.0, d.attempt)).collect();
        let taken: Vec<(i64, i64)> = sqlx::query_as(
            "insert into look_up (campaign, notice, attempt, tries, due_at, free)
             select $1, cast(value ->> 0 as bigint), cast(value ->> 1 as bigint), 1, cast($2 as bigint), 0
             from json_each($3) where true
             on conflict (campaign, notice) do update set
                 tries = case when look_up.attempt = excluded.attempt then look_up.tries + 1 else 1 end,
                 free = case when look_up.attempt = excluded.attempt then look_up.free else 0 end,
                 attempt = excluded.attempt, due_at = excluded.due_at
             where look_up.attempt <> excluded.attempt or look_up.due_at <= $4
             returning notice, tries",
        )
        .bind(campaign)
        .bind(until)
        .bind(json(&rows))
        .bind(now)
        .fetch_all(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(taken.into_iter().map(|(id, tries)| (NoticeId(id), u32::try_from(tries).unwrap_or(u32::MAX))).collect())
    }

    /// Writes down when to ask again about an attempt, and whether the policy may send meanwhile.
    pub async fn ask_again(&mut self, doubt: &Doubt, due: Option<Micros>, free: bool) -> Result<(), StoreError> {
        sqlx::query("update look_up set due_at = $4, free = $5 where campaign = $1 and notice = $2 and attempt = $3")
            .bind(doubt.campaign)
            .bind(doubt.notice.0)
            .bind(doubt.attempt)
            .bind(due)
            .bind(i64::from(free))
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// Those of the notices that must not be sent again before their provider was asked, with the route of the attempt
    /// in doubt. What became unknown before `since` has waited long enough.
    pub async fn unasked(
        &mut self,
        campaign: i64,
        notices: &[NoticeId],
        since: Micros,
    ) -> Result<Vec<(NoticeId, String)>, StoreError> {
        let rows: Vec<_> = notices.iter().map(|n| [n.0]).collect();
        let sql = format!(
            "select n.id, a.route from json_each($2) as j
             join notice n on n.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and n.id = cast(j.value ->> 0 as bigint)
             join attempt a on a.campaign = n.campaign and a.notice = n.id and a.no = {IN_DOUBT}
             left join look_up l on l.campaign = n.campaign and l.notice = n.id and l.attempt = a.no
             where n.changed_at > $3 and coalesce(l.free, 0) = 0"
        );
        let found: Vec<(i64, String)> = sqlx::query_as(self.engine().by_batch_of(sql))
            .bind(campaign)
            .bind(json(&rows))
            .bind(since)
            .fetch_all(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        Ok(found.into_iter().map(|(id, route)| (NoticeId(id), route)).collect())
    }

    /// The provider never had the notice: it is queued again, under the same key; whether it was. Nothing is done where
    /// another attempt is in doubt too, where the person is told, or on the way of being told, by another notice, and
    /// where the contact was corrected.
    pub async fn clear_doubt(&mut self, doubt: &Doubt, text: &str, now: Micros) -> Result<bool, StoreError> {
        let (campaign, id) = (doubt.campaign, doubt.notice.0);
        let sql = format!(
            "select n.id from notice n join person p on p.campaign = n.campaign and p.no = n.id / 4096
             where n.campaign = $1 and n.id = $2 and n.state = 'unknown' and p.standing in ('in_flight', 'needs_human')
               and substr(p.reach, cast(n.id / 16 % 256 + 1 as integer), 1) <> 'x'
               and (select count(*) from attempt u where u.campaign = n.campaign and u.notice = n.id
                    and (u.class = 'unknown' or u.class is null)) = 1
               and (n.due_at is not null or not exists (
                    select 1 from notice o where o.campaign = n.campaign and o.id >= p.no * 4096
                    and o.id < (p.no + 1) * 4096 and (o.due_at is not null or o.state = 'sending'))){}",
            self.engine().locking("n, p")
        );
        let found: Option<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(campaign)
            .bind(id)
            .fetch_optional(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        if found.is_none() {
            return Ok(false);
        }
        sqlx::query("update notice set state = 'queued', due_at = $3, changed_at = $3 where campaign = $1 and id = $2")
            .bind(campaign)
            .bind(id)
            .bind(now)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        let mut changes: Vec<(String, String, i64)> =
            vec![("notice".into(), "unknown".into(), -1), ("notice".into(), "queued".into(), 1)];
        let person = BTreeSet::from([doubt.notice.person()]);
        changes.extend(self.stand(campaign, &person, "in_flight", &["needs_human"]).await?);
        self.tally(campaign, changes);
        let note = NewNote { notice: doubt.notice, at: now, by: "forewarn", what: "look-up", text, sealed: None };
        self.add_person_note(campaign, &note).await?;
        Ok(true)
    }
}

//! How calls ended: the disposition as a note, and in the same transaction what it does to notice, person and sums.

use super::desk::NewNote;
use super::{Store, StoreError, Tx};
use crate::model::apply_disposition::AfterCall;
use crate::model::channel::Channel;
use crate::model::notice::{NoticeId, NoticeState};
use crate::model::outcome::Class;
use crate::model::person::Standing;
use crate::model::time::Micros;
use std::collections::BTreeMap;

/// A call that lies on a sheet and has not settled: true of the row `n` of notice.
pub(super) const OPEN_CALL: &str = "(n.channel = 'phone' and n.state = 'accepted' and exists (
    select 1 from attempt a
    where a.campaign = n.campaign and a.notice = n.id and a.class = 'accepted' and a.provider = 'call-sheet'))";

/// The word that notes about ended calls are kept under.
pub(super) const CALL: &str = "call";

/// How one call ended.
#[derive(Clone, Copy, Debug)]
pub struct EndedCall<'a> {
    pub notice: NoticeId,
    pub disposition: &'a str,
    pub by: &'a str,
    /// The caller's remark, sealed.
    pub remark: Option<&'a [u8]>,
    pub at: Micros,
}

impl Store {
    /// How many calls are on a sheet and open, counted up to `most`.
    pub async fn count_open_calls(&self, campaign: i64, most: i64) -> Result<i64, StoreError> {
        let sql = format!(
            "select count(*) from (select 1 from notice n where n.campaign = $1 and {OPEN_CALL} limit $2) as open_call"
        );
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(campaign).bind(most);
        query.fetch_one(&self.readers).await.map_err(|e| self.fail(e))
    }

    /// Up to `limit` calls after this notice that are on a sheet and open, each with the number of calls made.
    pub async fn open_calls(
        &self,
        campaign: i64,
        after: NoticeId,
        limit: usize,
    ) -> Result<Vec<(NoticeId, u32)>, StoreError> {
        let sql = format!(
            "select n.id, (select count(*) from note c where c.campaign = n.campaign and c.notice = n.id and c.what = $4)
             from notice n where n.campaign = $1 and n.id > $2 and {OPEN_CALL} order by n.id limit $3"
        );
        let rows: Vec<(i64, i64)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(campaign)
            .bind(after.0)
            .bind(limit as i64)
            .bind(CALL)
            .fetch_all(&self.readers)
            .await
            .map_err(|e| self.fail(e))?;
        Ok(rows.into_iter().map(|(id, calls)| (NoticeId(id), u32::try_from(calls).unwrap_or(u32::MAX))).collect())
    }
}

impl Tx<'_> {
    /// Writes down how a call ended and what follows. `before` is the notice's state (`None`: there is none) and where the
    /// person stands, read in this transaction; `needless` picks the waiting notices that are not sent any more.
    pub async fn record_call(
        &mut self,
        campaign: i64,
        ended: &EndedCall<'_>,
        before: (Option<NoticeState>, Standing),
        after: &AfterCall,
        needless: impl Fn(NoticeId) -> bool,
    ) -> Result<(), StoreError> {
        let (notice, now) = (ended.notice, ended.at);
        let note = NewNote { notice, at: now, by: ended.by, what: CALL, text: ended.disposition, sealed: ended.remark };
        self.add_person_note(campaign, &note).await?;
        let mut changes = Vec::new();
        if before.0 != after.state
            && let Some(state) = after.state
        {
            self.move_call(campaign, notice, (state, after.reason), now).await?;
            changes.extend(before.0.map(|state| ("notice".to_owned(), state.as_str().to_owned(), -1)));
            changes.push(("notice".to_owned(), state.as_str().to_owned(), 1));
        }
        changes.extend(self.suppress_waiting(campaign, notice, needless, now).await?);
        if let Some(next) = after.next {
            let id = next.id(notice.person());
            let queued = self.queue_at_once(campaign, id, next.channel, now).await?;
            changes.push(("notice".into(), "queued".into(), queued));
        }
        let mut wanted = BTreeMap::from([(notice.person(), after.standing_from(before.1))]);
        if after.weigh {
            self.weigh_other_notices(campaign, &mut wanted).await?;
        }
        changes.extend(self.stand_anew(campaign, &wanted).await?);
        self.tally(campaign, changes);
        self.count_call(campaign, notice.person(), now).await
    }

    /// Gives the notice of a call its state; makes it where there was none.
    pub(super) async fn move_call(
        &mut self,
        campaign: i64,
        notice: NoticeId,
        (state, reason): (NoticeState, Option<Class>),
        now: Micros,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "insert into notice (campaign, id, channel, state, reason, first_due, changed_at)
             values ($1, $2, 'phone', $3, $4, $5, $5)
             on conflict (campaign, id) do update set state = excluded.state, reason = excluded.reason, due_at = null,
                                                      report_due = null, changed_at = excluded.changed_at",
        )
        .bind(campaign)
        .bind(notice.0)
        .bind(state.as_str())
        .bind(reason.map(Class::as_str))
        .bind(now)
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// Takes the person's other waiting notices that are needless out of the queue; the changes to the sums.
    pub(super) async fn suppress_waiting(
        &mut self,
        campaign: i64,
        notice: NoticeId,
        needless: impl Fn(NoticeId) -> bool,
        now: Micros,
    ) -> Result<Vec<(String, String, i64)>, StoreError> {
        let (first, last) = NoticeId::range_of(notice.person());
        let sql = format!(
            "select n.id, n.state from notice n
             where n.campaign = $1 and n.id >= $2 and n.id <= $3 and n.id <> $4 and n.due_at is not null{}",
            self.engine().locking("n")
        );
        let mut waiting: Vec<(i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(campaign)
            .bind(first)
            .bind(last)
            .bind(notice.0)
            .fetch_all(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        waiting.retain(|(id, _)| needless(NoticeId(*id)));
        self.suppress(campaign, waiting, now).await
    }

    /// Queues a notice for now, also where it was queued for later; 1 where it is new, else 0.
    pub(super) async fn queue_at_once(
        &mut self,
        campaign: i64,
        notice: NoticeId,
        channel: Channel,
        now: Micros,
    ) -> Result<i64, StoreError> {
        let added = sqlx::query(
            "insert into notice (campaign, id, channel, state, due_at, first_due, changed_at)
             values ($1, $2, $3, 'queued', $4, $4, $4) on conflict do nothing",
        )
        .bind(campaign)
        .bind(notice.0)
        .bind(channel.as_str())
        .bind(now)
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        sqlx::query(
            "update notice set due_at = $3, first_due = $3 where campaign = $1 and id = $2 and state = 'queued'
                and due_at > $3",
        )
        .bind(campaign)
        .bind(notice.0)
        .bind(now)
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(added.rows_affected() as i64)
    }
}

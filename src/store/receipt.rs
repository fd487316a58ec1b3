//! How calls ended: the disposition as a note, and in the same transaction what it does to notice, person and sums.

use super::{Store, StoreError, Tx, json};
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
const CALL: &str = "call";

/// A notice as a disposition meets it.
#[derive(Clone, Debug)]
pub struct CallNotice {
    pub state: NoticeState,
    pub standing: Standing,
    pub reach: String,
    /// The dispositions so far, in order.
    pub calls: Vec<String>,
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
    /// The notice with what was recorded of its calls; `None` where the campaign has no such notice.
    pub async fn call_notice(&mut self, campaign: i64, notice: NoticeId) -> Result<Option<CallNotice>, StoreError> {
        let sql = format!(
            "select n.state, p.standing, p.reach from notice n
             join person p on p.campaign = n.campaign and p.no = n.id / 4096
             where n.campaign = $1 and n.id = $2{}",
            self.engine().locking("n, p")
        );
        let row: Option<(String, String, String)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(campaign)
            .bind(notice.0)
            .fetch_optional(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        let Some((state, standing, reach)) = row else { return Ok(None) };
        let calls =
            sqlx::query_scalar("select text from note where campaign = $1 and notice = $2 and what = $3 order by id")
                .bind(campaign)
                .bind(notice.0)
                .bind(CALL)
                .fetch_all(self.conn())
                .await
                .map_err(|e| self.fail(e))?;
        Ok(Some(CallNotice {
            state: self.store.word(&state, NoticeState::parse)?,
            standing: self.store.word(&standing, Standing::parse)?,
            reach,
            calls,
        }))
    }

    /// Writes down how a call ended and what follows. `before` is the notice as [`Tx::call_notice`] gave it in this
    /// transaction, `suppress` the channels whose waiting notices are not sent any more.
    #[expect(clippy::too_many_arguments, reason = "one receipt with its record")]
    pub async fn record_call(
        &mut self,
        campaign: i64,
        notice: NoticeId,
        (disposition, by): (&str, &str),
        before: &CallNotice,
        after: &AfterCall,
        suppress: &[Channel],
        now: Micros,
    ) -> Result<(), StoreError> {
        sqlx::query("insert into note (campaign, notice, at, by_name, what, text) values ($1, $2, $3, $4, $5, $6)")
            .bind(campaign)
            .bind(notice.0)
            .bind(now)
            .bind(by)
            .bind(CALL)
            .bind(disposition)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        let mut changes = Vec::new();
        if before.state != after.state {
            self.move_call(campaign, notice, after, now).await?;
            changes.push(("notice".to_owned(), before.state.as_str().to_owned(), -1));
            changes.push(("notice".to_owned(), after.state.as_str().to_owned(), 1));
        }
        changes.extend(self.suppress_waiting(campaign, notice, suppress, now).await?);
        if let Some(next) = after.next {
            let id = next.id(notice.person());
            changes.push((
                "notice".into(),
                "queued".into(),
                self.queue_at_once(campaign, id, next.channel, now).await?,
            ));
        }
        let mut wanted = BTreeMap::from([(notice.person(), after.standing_from(before.standing))]);
        if after.weigh {
            self.weigh_other_notices(campaign, &mut wanted).await?;
        }
        changes.extend(self.stand_anew(campaign, &wanted).await?);
        self.tally(campaign, changes);
        Ok(())
    }

    async fn move_call(
        &mut self,
        campaign: i64,
        notice: NoticeId,
        after: &AfterCall,
        now: Micros,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "update notice set state = $3, reason = $4, due_at = null, changed_at = $5 where campaign = $1 and id = $2",
        )
        .bind(campaign)
        .bind(notice.0)
        .bind(after.state.as_str())
        .bind(after.reason.map(Class::as_str))
        .bind(now)
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// Takes the person's other waiting notices of these channels out of the queue; the changes to the sums.
    async fn suppress_waiting(
        &mut self,
        campaign: i64,
        notice: NoticeId,
        channels: &[Channel],
        now: Micros,
    ) -> Result<Vec<(String, String, i64)>, StoreError> {
        let (first, last) = NoticeId::range_of(notice.person());
        let names: Vec<serde_json::Value> = channels.iter().map(|c| serde_json::json!([c.as_str()])).collect();
        let sql = format!(
            "select n.id, n.state from notice n
             where n.campaign = $1 and n.id >= $2 and n.id <= $3 and n.id <> $4 and n.due_at is not null
               and n.channel in (select value ->> 0 from json_each($5)){}",
            self.engine().locking("n")
        );
        let waiting: Vec<(i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(campaign)
            .bind(first)
            .bind(last)
            .bind(notice.0)
            .bind(json(&names))
            .fetch_all(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        self.suppress(campaign, waiting, now).await
    }

    /// Queues a notice for now, also where it was queued for later; 1 where it is new, else 0.
    async fn queue_at_once(
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

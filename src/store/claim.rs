//! Taking notices for sending: durable before a byte is on the wire.

use super::leaf::Head;
use super::{Engine, Store, StoreError, Tx, json};
use crate::evidence::fact::{self, Attempt, Scene};
use crate::model::channel::Channel;
use crate::model::notice::{NoticeId, NoticeState};
use crate::model::time::Micros;
use crate::vault::SealedPerson;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

/// A due notice with what is needed to send it.
#[derive(Clone, Debug)]
pub struct Due {
    pub notice: NoticeId,
    pub state: NoticeState,
    /// Attempts so far.
    pub attempts: i64,
    pub tries: u32,
    pub refusals: u32,
    /// When it was first tried; before that, when it fell due.
    pub first_due: Micros,
    pub reach: String,
    /// The route that tried it last; empty before the first try.
    pub route: String,
    pub sealed: SealedPerson,
}

/// A notice whose worker went away while it was being sent.
#[derive(Clone, Debug)]
pub struct Orphan {
    pub campaign: i64,
    pub notice: NoticeId,
    pub channel: Channel,
    pub attempt: i64,
    pub tries: u32,
    pub refusals: u32,
    pub first_due: Micros,
    pub route: String,
    pub reach: String,
    pub worker: i64,
    /// An attempt before this one may have arrived.
    pub in_doubt: bool,
}

/// 4096 = the span of one person's ids, see NoticeId.
const DUE: &str =
    "select n.id, n.state, n.attempts, n.tries, n.refusals, n.first_due, p.reach, s.wrapped_key, s.sealed,
        n.route, n.due_at
 from notice n
 join person p on p.campaign = n.campaign and p.no = n.id / 4096
 join sealed_person s on s.campaign = n.campaign and s.no = n.id / 4096
 where n.campaign = $1 and n.channel = $2 and n.due_at <= $3
 order by n.due_at, n.id limit $4";

/// A notice that is due as SQLite writes it: id, state, attempts, tries, refusals, first due, reach, route, key and
/// sealed person in hexadecimal digits, due.
#[derive(serde::Deserialize)]
struct DueRow<'t>(i64, &'t str, i64, u32, u32, i64, &'t str, Option<String>, &'t str, &'t str, i64);

const NEXT_DUE: &str = "select min(due_at) from notice where campaign = $1 and channel = $2 and due_at is not null";

impl Store {
    /// When the next notice of a channel falls due, if any waits.
    pub async fn next_due(&self, campaign: i64, channel: Channel) -> Result<Option<Micros>, StoreError> {
        let query = sqlx::query_scalar(NEXT_DUE).bind(campaign).bind(channel.as_str());
        query.fetch_one(&self.readers).await.map_err(|e| self.fail(e))
    }
}

impl Tx<'_> {
    /// As [`Store::next_due`], with what this transaction has done so far.
    pub async fn next_due(&mut self, campaign: i64, channel: Channel) -> Result<Option<Micros>, StoreError> {
        let query = sqlx::query_scalar(NEXT_DUE).bind(campaign).bind(channel.as_str());
        query.fetch_one(self.conn()).await.map_err(|e| self.fail(e))
    }

    /// Up to `limit` notices of the channel that are due, the longest waiting first.
    pub async fn due(
        &mut self,
        campaign: i64,
        channel: Channel,
        now: Micros,
        limit: usize,
    ) -> Result<Vec<Due>, StoreError> {
        match self.engine() {
            Engine::Sqlite => self.due_in_one_row(campaign, channel, now, limit).await,
            Engine::Postgres => self.due_by_rows(campaign, channel, now, limit).await,
        }
    }

    /// SQLite's driver hands over each row by itself, from thread to thread, which costs more than finding it: the batch
    /// comes as one text.
    async fn due_in_one_row(
        &mut self,
        campaign: i64,
        channel: Channel,
        now: Micros,
        limit: usize,
    ) -> Result<Vec<Due>, StoreError> {
        let sql = format!(
            "select json_group_array(json_array(id, state, attempts, tries, refusals, first_due, reach, route,
                    hex(wrapped_key), hex(sealed), due_at)) from ({DUE})"
        );
        let text: String = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(campaign)
            .bind(channel.as_str())
            .bind(now)
            .bind(limit as i64)
            .fetch_one(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        let unreadable = |what: &str| self.store.unreadable(format!("a notice that is due ({what})"));
        let rows: Vec<DueRow<'_>> = serde_json::from_str(&text).map_err(|e| unreadable(&e.to_string()))?;
        let mut due = Vec::with_capacity(rows.len());
        for row in rows {
            let DueRow(id, state, attempts, tries, refusals, first_due, reach, route, key, blob, due_at) = row;
            let bytes = |text: &str| const_hex::decode(text).map_err(|e| unreadable(&e.to_string()));
            let found = Due {
                notice: NoticeId(id),
                state: self.store.word(state, NoticeState::parse)?,
                attempts,
                tries,
                refusals,
                first_due,
                reach: reach.to_owned(),
                sealed: SealedPerson { key: bytes(key)?, blob: bytes(blob)? },
                route: route.unwrap_or_default(),
            };
            due.push((due_at, found));
        }
        // An aggregate promises no order.
        due.sort_unstable_by_key(|(at, d)| (*at, d.notice.0));
        Ok(due.into_iter().map(|(_, d)| d).collect())
    }

    async fn due_by_rows(
        &mut self,
        campaign: i64,
        channel: Channel,
        now: Micros,
        limit: usize,
    ) -> Result<Vec<Due>, StoreError> {
        let sql = format!("{DUE}{}", self.engine().locking_free("n"));
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(campaign)
            .bind(channel.as_str())
            .bind(now)
            .bind(limit as i64)
            .fetch_all(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        let store = self.store;
        rows.iter().map(|row| due_of(store, row)).collect()
    }

    /// Marks notices `sending` by this worker and opens their attempts in the log. They carry `head`.
    pub async fn mark_sending(
        &mut self,
        campaign: i64,
        route: (&str, &str),
        notices: &[&Due],
        (worker, head): (i64, Option<Head>),
        now: Micros,
    ) -> Result<(), StoreError> {
        let (route, provider) = route;
        let named = self.named(campaign).await?;
        let scene = Scene::new(&named.id, now);
        let mut rows = Vec::with_capacity(notices.len());
        for d in notices {
            let subject = named.subject(d.notice.person());
            let attempt = Attempt { notice: d.notice, no: d.attempts + 1, route, subject: &subject };
            let leaf = self.leaf(fact::attempt_started(&scene, &attempt, head.map(|head| head.size)))?;
            rows.push((d.notice.0, d.attempts + 1, d.first_due, leaf.0));
        }
        let rows = json(&rows);
        sqlx::query(self.engine().by_batch(
            "update notice set state = 'sending', due_at = null, attempts = cast(j.value ->> 1 as bigint), route = $2,
                    worker = $3, first_due = cast(j.value ->> 2 as bigint), changed_at = $4
             from json_each($5) as j where notice.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and notice.id = cast(j.value ->> 0 as bigint)",
        ))
        .bind(campaign)
        .bind(route)
        .bind(worker)
        .bind(now)
        .bind(rows.as_str())
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        sqlx::query(
            "insert into attempt (campaign, notice, no, route, provider, started_at, start_leaf)
             select $1, cast(value ->> 0 as bigint), cast(value ->> 1 as bigint), $2, $3, $4,
                    cast(value ->> 3 as bigint) from json_each($5)",
        )
        .bind(campaign)
        .bind(route)
        .bind(provider)
        .bind(now)
        .bind(rows)
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        let mut changes: Vec<(String, String, i64)> =
            notices.iter().map(|d| ("notice".to_owned(), d.state.as_str().to_owned(), -1)).collect();
        changes.push(("notice".into(), "sending".into(), notices.len() as i64));
        changes.push(("attempts".into(), String::new(), notices.len() as i64));
        self.tally(campaign, changes);
        Ok(())
    }

    /// Puts due notices off (their domain has no slot before then); they stay in their state.
    pub async fn postpone(&mut self, campaign: i64, until: &[(NoticeId, Micros)]) -> Result<(), StoreError> {
        if until.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = until.iter().map(|(n, at)| (n.0, at)).collect();
        sqlx::query(self.engine().by_batch(
            "update notice set due_at = cast(j.value ->> 1 as bigint)
             from json_each($2) as j
             where notice.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and notice.id = cast(j.value ->> 0 as bigint) and notice.due_at is not null",
        ))
        .bind(campaign)
        .bind(json(&rows))
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// The campaigns with notices that a worker marked `sending` which is gone.
    pub async fn campaigns_orphaned(&mut self) -> Result<Vec<i64>, StoreError> {
        sqlx::query_scalar(
            "select distinct n.campaign from notice n join worker w on w.id = n.worker
             where n.state = 'sending' and w.ended is not null order by n.campaign",
        )
        .fetch_all(self.conn())
        .await
        .map_err(|e| self.fail(e))
    }

    /// The campaigns with notices marked `sending` by this worker.
    pub async fn campaigns_in_hand(&mut self, worker: i64) -> Result<Vec<i64>, StoreError> {
        sqlx::query_scalar(
            "select distinct campaign from notice where state = 'sending' and worker = $1 order by campaign",
        )
        .bind(worker)
        .fetch_all(self.conn())
        .await
        .map_err(|e| self.fail(e))
    }

    /// Up to `limit` notices of a campaign that are marked `sending` by a worker which is gone.
    pub async fn orphans(&mut self, campaign: i64, limit: usize) -> Result<Vec<Orphan>, StoreError> {
        let whose = "n.worker in (select w.id from worker w where w.ended is not null)";
        self.sending(campaign, whose, limit).await
    }

    /// All notices of a campaign that are marked `sending` by this worker.
    pub async fn in_hand(&mut self, campaign: i64, worker: i64) -> Result<Vec<Orphan>, StoreError> {
        self.sending(campaign, &format!("n.worker = {worker}"), usize::MAX >> 1).await
    }

    async fn sending(&mut self, campaign: i64, whose: &str, limit: usize) -> Result<Vec<Orphan>, StoreError> {
        let sql = format!(
            "select n.campaign, n.id, n.channel, n.attempts, n.tries, n.refusals, n.first_due, n.route, p.reach, n.worker,
                    case when exists (select 1 from attempt a where a.campaign = n.campaign and a.notice = n.id
                                      and a.no = n.attempts - 1 and a.state = 'unknown') then 1 else 0 end
             from notice n join person p on p.campaign = n.campaign and p.no = n.id / 4096
             where n.state = 'sending' and n.campaign = $1 and {whose} order by n.id limit $2{}",
            self.engine().locking_free("n")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(campaign)
            .bind(limit as i64)
            .fetch_all(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        let store = self.store;
        rows.iter()
            .map(|row| {
                Ok(Orphan {
                    campaign: store.get(row, 0)?,
                    notice: NoticeId(store.get(row, 1)?),
                    channel: store.word(&store.get::<String>(row, 2)?, Channel::parse)?,
                    attempt: store.get(row, 3)?,
                    tries: store.get::<i64>(row, 4)? as u32,
                    refusals: store.get::<i64>(row, 5)? as u32,
                    first_due: store.get(row, 6)?,
                    route: store.get::<Option<String>>(row, 7)?.unwrap_or_default(),
                    reach: store.get(row, 8)?,
                    worker: store.get(row, 9)?,
                    in_doubt: store.get::<i64>(row, 10)? == 1,
                })
            })
            .collect()
    }
}

fn due_of(store: &Store, row: &AnyRow) -> Result<Due, StoreError> {
    Ok(Due {
        notice: NoticeId(store.get(row, 0)?),
        state: store.word(&store.get::<String>(row, 1)?, NoticeState::parse)?,
        attempts: store.get(row, 2)?,
        tries: store.get::<i64>(row, 3)? as u32,
        refusals: store.get::<i64>(row, 4)? as u32,
        first_due: store.get(row, 5)?,
        reach: store.get(row, 6)?,
        sealed: SealedPerson { key: store.get(row, 7)?, blob: store.get(row, 8)? },
        route: store.get::<Option<String>>(row, 9)?.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_span_in_the_statements_is_the_span_of_the_ids() {
        assert_eq!(NoticeId::range_of(1).0, 4096);
    }
}

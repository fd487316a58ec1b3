//! Receipts upon notices: persons taken with all their notices, and given back as receipts have moved them.
//!
//! Whoever settles holds the persons first and then their notices; a notice that another has in hand at this moment is
//! not waited for, and its person is left for the next time. That is the other way round than a worker records, and so
//! nobody waits in a circle.

use super::receipt::OPEN_CALL;
use super::{Engine, StoreError, Tx, engine, json};
use crate::model::book::{Book, Entry};
use crate::model::notice::{NoticeId, NoticeState};
use crate::model::outcome::Class;
use crate::model::person::Standing;
use crate::model::receipt::Event;
use crate::model::time::Micros;
use serde::Serialize;
use sqlx::AssertSqlSafe;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// An attempt as receipts are matched with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    pub notice: NoticeId,
    pub no: i64,
    pub route: String,
    pub provider_id: Option<String>,
}

/// Whose attempt the provider calls so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownAs {
    pub provider_id: String,
    pub campaign: i64,
    pub notice: NoticeId,
    pub attempt: i64,
    pub route: String,
}

/// A receipt to be written down.
#[derive(Clone, Debug)]
pub struct NewReceipt {
    pub notice: NoticeId,
    pub attempt: i64,
    pub report: i64,
    pub route: String,
    pub event: Event,
    pub code: String,
    pub text: String,
    pub provider_id: Option<String>,
    pub at: Option<Micros>,
    pub received_at: Micros,
    pub sign: i64,
    /// What it left the notice in; `None` while its attempt has not ended.
    pub state: Option<NoticeState>,
}

/// A receipt as far as another one is weighed by it.
#[derive(Clone, Debug)]
pub struct KnownReceipt {
    pub id: i64,
    pub notice: NoticeId,
    pub attempt: i64,
    pub sign: i64,
    pub route: String,
    pub event: Event,
    pub at: Option<Micros>,
    pub applied: bool,
}

impl Tx<'_> {
    /// Holds the state of these campaigns as it is until the transaction ends.
    pub async fn hold_campaigns(&mut self, campaigns: impl Iterator<Item = i64>) -> Result<(), StoreError> {
        if self.engine() == Engine::Sqlite {
            return Ok(());
        }
        let locks: String = campaigns.map(|no| engine::lock_campaign(no, engine::Hold::Shared)).collect();
        let locks = locks.trim_start_matches("; ").to_owned();
        if !locks.is_empty() {
            sqlx::raw_sql(AssertSqlSafe(locks)).execute(self.conn()).await.map_err(|e| self.fail(e))?;
        }
        Ok(())
    }

    /// The attempts that providers call by one of these ids.
    pub async fn known_as(&mut self, ids: &BTreeSet<&str>) -> Result<Vec<KnownAs>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<_> = ids.iter().map(|id| [id]).collect();
        let sql = self.engine().packed(
            "k.provider_id, k.campaign, k.notice, k.attempt, a.route",
            "json_each($1) as j join known_as k on k.provider_id = j.value ->> 0
             join attempt a on a.campaign = k.campaign and a.notice = k.notice and a.no = k.attempt",
        );
        let found: Vec<(String, i64, i64, i64, String)> = self.unpacked(sqlx::query(sql).bind(json(&rows))).await?;
        let known = |(provider_id, campaign, notice, attempt, route)| KnownAs {
            provider_id,
            campaign,
            notice: NoticeId(notice),
            attempt,
            route,
        };
        Ok(found.into_iter().map(known).collect())
    }

    /// Remembers what providers call the messages of these attempts: (notice, attempt, id).
    pub(super) async fn remember_as(&mut self, campaign: i64, names: &[(i64, i64, &str)]) -> Result<(), StoreError> {
        if names.is_empty() {
            return Ok(());
        }
        sqlx::query(self.engine().by_batch(
            "insert into known_as (campaign, notice, attempt, provider_id)
             select $1, cast(value ->> 0 as bigint), cast(value ->> 1 as bigint), value ->> 2
             from json_each($2) where true on conflict do nothing",
        ))
        .bind(campaign)
        .bind(json(names))
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// All attempts of these notices, in order.
    pub async fn attempts_of(&mut self, campaign: i64, notices: &BTreeSet<NoticeId>) -> Result<Vec<Tried>, StoreError> {
        let rows: Vec<_> = notices.iter().map(|n| [n.0]).collect();
        let sql = self.engine().packed(
            "a.notice, a.no, a.route, a.provider_id",
            "json_each($2) as j join attempt a on a.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and a.notice = cast(j.value ->> 0 as bigint)",
        );
        let query = sqlx::query(sql).bind(campaign).bind(json(&rows));
        let mut found: Vec<(i64, i64, String, Option<String>)> = self.unpacked(query).await?;
        found.sort_unstable();
        let tried = |(notice, no, route, provider_id)| Tried { notice: NoticeId(notice), no, route, provider_id };
        Ok(found.into_iter().map(tried).collect())
    }

    /// What was written down of these notices.
    pub async fn receipts_of(
        &mut self,
        campaign: i64,
        notices: &BTreeSet<NoticeId>,
    ) -> Result<Vec<KnownReceipt>, StoreError> {
        self.receipts_where(campaign, notices, "true").await
    }

    /// Whether receipts of the campaign wait for the end of their attempt.
    pub async fn any_early(&mut self, campaign: i64) -> Result<bool, StoreError> {
        let one: Option<i64> =
            sqlx::query_scalar("select 1 from receipt where campaign = $1 and state is null limit 1")
                .bind(campaign)
                .fetch_optional(self.conn())
                .await
                .map_err(|e| self.fail(e))?;
        Ok(one.is_some())
    }

    async fn receipts_where(
        &mut self,
        campaign: i64,
        notices: &BTreeSet<NoticeId>,
        which: &str,
    ) -> Result<Vec<KnownReceipt>, StoreError> {
        let rows: Vec<_> = notices.iter().map(|n| [n.0]).collect();
        let from = format!(
            "json_each($2) as j join receipt r on r.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and r.notice = cast(j.value ->> 0 as bigint) where {which}"
        );
        let columns = "r.id, r.notice, r.attempt, r.sign, r.event, r.class, r.at,
                       case when r.state is null then 0 else 1 end, r.route";
        type Row = (i64, i64, i64, i64, String, Option<String>, Option<i64>, i64, String);
        let query = sqlx::query(self.engine().packed(columns, &from)).bind(campaign).bind(json(&rows));
        let mut found: Vec<Row> = self.unpacked(query).await?;
        found.sort_unstable_by_key(|(id, ..)| *id);
        let known = found.into_iter().map(|(id, notice, attempt, sign, event, class, at, applied, route)| {
            let class = class.as_deref().and_then(Class::parse);
            let event = self.store.word(&event, |name| Event::parse(name, class))?;
            let notice = NoticeId(notice);
            Ok(KnownReceipt { id, notice, attempt, sign, route, event, at, applied: applied == 1 })
        });
        known.collect()
    }

    /// Takes these persons with all their notices. Whoever has a notice in another's hands at this moment is left out.
    pub async fn open_books(
        &mut self,
        campaign: i64,
        persons: &BTreeSet<i64>,
    ) -> Result<BTreeMap<i64, Book>, StoreError> {
        let free = self.engine().locking_free("n");
        self.books(campaign, persons, &free).await
    }

    /// As [`Tx::open_books`], and what is in another's hands is waited for.
    pub async fn open_books_patiently(
        &mut self,
        campaign: i64,
        persons: &BTreeSet<i64>,
    ) -> Result<BTreeMap<i64, Book>, StoreError> {
        let waiting = self.engine().locking("n");
        self.books(campaign, persons, &waiting).await
    }

    async fn books(
        &mut self,
        campaign: i64,
        persons: &BTreeSet<i64>,
        locking: &str,
    ) -> Result<BTreeMap<i64, Book>, StoreError> {
        self.hold_persons(campaign, persons.iter().copied()).await?;
        let batch: Vec<_> = persons.iter().map(|no| [no]).collect();
        let batch = json(&batch);
        let sql = self.engine().packed(
            "p.no, p.reach, p.standing",
            "json_each($2) as j join person p on p.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
                          and p.no = cast(j.value ->> 0 as bigint)",
        );
        let query = sqlx::query(sql).bind(campaign).bind(batch.as_str());
        let people: Vec<(i64, String, String)> = self.unpacked(query).await?;
        let busy = self.busy_beside(campaign, &batch).await?;
        let mut entries = self.entries(campaign, &batch, locking).await?;
        let mut books = BTreeMap::new();
        for (no, reach, standing) in people {
            let notices = entries.remove(&no).unwrap_or_default();
            if busy.get(&no).copied().unwrap_or(0) <= notices.len() {
                books.insert(no, Book::new(reach, self.store.word(&standing, Standing::parse)?, notices));
            }
        }
        Ok(books)
    }

    /// How many notices each of the persons has at least, whoever holds them; nothing where nobody else can.
    async fn busy_beside(&mut self, campaign: i64, persons: &str) -> Result<HashMap<i64, usize>, StoreError> {
        if self.engine() == Engine::Sqlite {
            return Ok(HashMap::new());
        }
        let rows: Vec<(i64, i64)> = sqlx::query_as(self.engine().by_batch(
            "select cast(j.value ->> 0 as bigint), count(*) from json_each($2) as j
             join notice n on n.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
                          and n.id >= cast(j.value ->> 0 as bigint) * 4096
                          and n.id < (cast(j.value ->> 0 as bigint) + 1) * 4096 group by 1",
        ))
        .bind(campaign)
        .bind(persons)
        .fetch_all(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(rows.into_iter().map(|(no, n)| (no, usize::try_from(n).unwrap_or(usize::MAX))).collect())
    }

    async fn entries(
        &mut self,
        campaign: i64,
        persons: &str,
        locking: &str,
    ) -> Result<HashMap<i64, BTreeMap<NoticeId, Entry>>, StoreError> {
        let columns = format!(
            "n.id, n.state, n.due_at, n.first_due, n.attempts, n.tries, n.refusals, n.reason, n.report_due,
             case when {OPEN_CALL} then 1 else 0 end"
        );
        let from = format!(
            "json_each($2) as j join notice n on n.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
                          and n.id >= cast(j.value ->> 0 as bigint) * 4096
                          and n.id < (cast(j.value ->> 0 as bigint) + 1) * 4096{locking}"
        );
        type Row = (i64, String, Option<i64>, i64, i64, i64, i64, Option<String>, Option<i64>, i64);
        let query = sqlx::query(self.engine().packed(&columns, &from)).bind(campaign).bind(persons);
        let rows: Vec<Row> = self.unpacked(query).await?;
        let mut entries: HashMap<i64, BTreeMap<NoticeId, Entry>> = HashMap::new();
        for (id, state, due, first_due, attempts, tries, refusals, reason, report_due, open_call) in rows {
            let entry = Entry {
                state: self.store.word(&state, NoticeState::parse)?,
                due,
                first_due,
                attempts,
                tries: u32::try_from(tries).unwrap_or(u32::MAX),
                refusals: u32::try_from(refusals).unwrap_or(u32::MAX),
                reason: reason.map(|r| self.store.word(&r, Class::parse)).transpose()?,
                report_due,
                open_call: open_call == 1,
            };
            entries.entry(NoticeId(id).person()).or_default().insert(NoticeId(id), entry);
        }
        Ok(entries)
    }

    /// Writes down what became of the books: notices, persons and sums.
    pub async fn close_books(
        &mut self,
        campaign: i64,
        books: &BTreeMap<i64, Book>,
        now: Micros,
    ) -> Result<(), StoreError> {
        let (mut moved, mut added, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for (id, before, entry) in books.values().flat_map(Book::changed) {
            let state = entry.state.as_str();
            changes.push(("notice".to_owned(), state.to_owned(), 1));
            match before {
                Some(before) => {
                    changes.push(("notice".to_owned(), before.state.as_str().to_owned(), -1));
                    let reason = entry.reason.map(Class::as_str);
                    let (due, first_due, report_due) = (entry.due, entry.first_due, entry.report_due);
                    moved.push((id.0, state, due, first_due, entry.tries, entry.refusals, reason, report_due));
                }
                None => added.push((id.0, id.channel().map(|c| c.as_str()), entry.due)),
            }
        }
        self.move_entries(campaign, &moved, now).await?;
        self.add_entries(campaign, &added, now).await?;
        let wanted: BTreeMap<i64, Standing> =
            books.iter().filter(|(_, b)| b.standing != b.stood()).map(|(no, b)| (*no, b.standing)).collect();
        if !wanted.is_empty() {
            changes.extend(self.stand_anew(campaign, &wanted).await?);
        }
        self.tally(campaign, changes);
        Ok(())
    }

    async fn move_entries(&mut self, campaign: i64, moved: &[impl Serialize], now: Micros) -> Result<(), StoreError> {
        if moved.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "update {} notice set state = j.value ->> 1, due_at = cast(j.value ->> 2 as bigint),
                    first_due = cast(j.value ->> 3 as bigint), tries = cast(j.value ->> 4 as bigint),
                    refusals = cast(j.value ->> 5 as bigint), reason = j.value ->> 6, changed_at = $2,
                    report_due = cast(j.value ->> 7 as bigint)
             from json_each($3) as j where notice.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and notice.id = cast(j.value ->> 0 as bigint)",
            self.engine().or_rollback()
        );
        sqlx::query(self.engine().by_batch_of(sql))
            .bind(campaign)
            .bind(now)
            .bind(json(moved))
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        Ok(())
    }

    async fn add_entries(&mut self, campaign: i64, added: &[impl Serialize], now: Micros) -> Result<(), StoreError> {
        if added.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into notice (campaign, id, channel, state, due_at, first_due, changed_at)
             select $1, cast(value ->> 0 as bigint), value ->> 1, 'queued', cast(value ->> 2 as bigint),
                    cast(value ->> 2 as bigint), $2
             from json_each($3)",
        )
        .bind(campaign)
        .bind(now)
        .bind(json(added))
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// Writes receipts down. Their persons are held, and none of them is there yet.
    pub async fn add_receipts(&mut self, campaign: i64, receipts: &[NewReceipt]) -> Result<(), StoreError> {
        if receipts.is_empty() {
            return Ok(());
        }
        let mut changes = Vec::new();
        let mut rows = Vec::with_capacity(receipts.len());
        for r in receipts {
            let kept = self.receipt_fact(campaign, r).await?;
            changes.push(("receipt".to_owned(), r.event.as_str().to_owned(), 1));
            let class = match r.event {
                Event::Failed(class) => Some(class.as_str()),
                Event::Progress | Event::Delivered | Event::Acknowledged | Event::Complained => None,
            };
            let state = r.state.map(NoticeState::as_str);
            rows.push((
                r.notice.0,
                r.attempt,
                r.report,
                &r.route,
                r.event.as_str(),
                class,
                &r.code,
                &r.text,
                &r.provider_id,
                r.at,
                r.received_at,
                r.sign,
                state,
                kept.leaf.0,
                const_hex::encode(kept.salt),
            ));
        }
        let sql = format!(
            "insert {} into receipt (campaign, notice, attempt, report, route, event, class, code, text, provider_id, at,
                                  received_at, sign, state, leaf, salt)
             select $1, cast(value ->> 0 as bigint), cast(value ->> 1 as bigint), cast(value ->> 2 as bigint),
                    value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8,
                    cast(value ->> 9 as bigint), cast(value ->> 10 as bigint), cast(value ->> 11 as bigint), value ->> 12,
                    cast(value ->> 13 as bigint), {}
             from json_each($2)",
            self.engine().or_rollback(),
            self.engine().octets("value ->> 14")
        );
        sqlx::query(self.engine().by_batch_of(sql))
            .bind(campaign)
            .bind(json(&rows))
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        self.tally(campaign, changes);
        Ok(())
    }

    /// The receipts of these notices that waited for the end of their attempt, which has come.
    pub async fn early_receipts(
        &mut self,
        campaign: i64,
        notices: &BTreeSet<NoticeId>,
    ) -> Result<Vec<KnownReceipt>, StoreError> {
        self.receipts_where(campaign, notices, "r.state is null").await
    }

    /// Writes down what early receipts left their notices in: (id, state).
    pub async fn applied_after_all(
        &mut self,
        campaign: i64,
        receipts: &[(i64, NoticeState)],
    ) -> Result<(), StoreError> {
        let rows: Vec<_> = receipts.iter().map(|(id, state)| (id, state.as_str())).collect();
        sqlx::query(self.engine().by_batch(
            "update receipt set state = j.value ->> 1 from json_each($2) as j
             where receipt.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and receipt.id = cast(j.value ->> 0 as bigint)",
        ))
        .bind(campaign)
        .bind(json(&rows))
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }
}

//! Writing down how attempts ended, and what follows: one transaction for a whole batch.

use super::receipt::OPEN_CALL;
use super::{Engine, StoreError, Tx, json};
use crate::evidence::fact::{self, Attempt, AttemptProof, Scene};
use crate::model::channel::Channel;
use crate::model::decide::Decision;
use crate::model::ladder::Ladder;
use crate::model::notice::{NoticeId, NoticeState};
use crate::model::outcome::{Class, Outcome};
use crate::model::person::{Standing, standing_beside};
use crate::model::time::Micros;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// One ended attempt and the decision about its notice.
#[derive(Clone, Debug)]
pub struct Ended {
    pub notice: NoticeId,
    pub attempt: i64,
    /// Who had it on the way.
    pub worker: i64,
    pub route: String,
    /// Reports may name its message by nothing but the provider's id.
    pub named_by_id: bool,
    pub refusals: u32,
    pub outcome: Outcome,
    /// What it is bound to in the evidence log, where its notice was made.
    pub proof: Option<AttemptProof>,
    pub decision: Decision,
    /// The person had no notice but this one: it is the first attempt of the ladder's first.
    pub alone: bool,
}

impl Tx<'_> {
    /// Records ended attempts of one campaign. All their notices are `sending` by the workers named; where one is not,
    /// somebody took it over (or an earlier commit stood after all) and nothing is recorded: [`StoreError::Fenced`].
    pub async fn record(
        &mut self,
        campaign: i64,
        ladder: &Ladder,
        ended: &[Ended],
        now: Micros,
    ) -> Result<(), StoreError> {
        if ended.is_empty() {
            return Ok(());
        }
        self.move_notices(campaign, ended, now).await?;
        self.finish_attempts(campaign, ended, now).await?;
        self.remember_names(campaign, ended).await?;
        let mut changes: Vec<(String, String, i64)> = vec![("notice".into(), "sending".into(), -(ended.len() as i64))];
        for e in ended {
            changes.push(("notice".into(), e.decision.state.as_str().into(), 1));
            if e.outcome.class == Class::Accepted {
                changes.push(("sent".into(), e.route.clone(), 1));
            }
        }
        let added = self.add_next(campaign, ended, now).await?;
        changes.push(("notice".into(), "queued".into(), added.len() as i64));
        changes.extend(self.move_persons(campaign, ladder, ended, &added, now).await?);
        self.tally(campaign, changes);
        Ok(())
    }

    /// Remembers under which ids providers will speak of these attempts; some give one to each part of a message.
    async fn remember_names(&mut self, campaign: i64, ended: &[Ended]) -> Result<(), StoreError> {
        let named = ended.iter().filter(|e| e.named_by_id);
        let ids = |e: &'_ Ended| e.outcome.provider_id.clone().unwrap_or_default();
        let named: Vec<(i64, i64, String)> = named.map(|e| (e.notice.0, e.attempt, ids(e))).collect();
        let names: Vec<(i64, i64, &str)> = named
            .iter()
            .flat_map(|(notice, no, ids)| ids.split_whitespace().map(move |id| (*notice, *no, id)))
            .collect();
        self.remember_as(campaign, &names).await
    }

    /// Those of the ended attempts that may still be recorded: their notices were not taken over.
    pub async fn still_ours(&mut self, campaign: i64, ended: &[Ended]) -> Result<HashSet<NoticeId>, StoreError> {
        let rows: Vec<_> = ended.iter().map(|e| (e.notice.0, e.attempt, e.worker)).collect();
        let ids: Vec<i64> = sqlx::query_scalar(self.engine().by_batch(
            "select notice.id from json_each($2) as j
             join notice on notice.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and notice.id = cast(j.value ->> 0 as bigint)
             where notice.state = 'sending' and notice.attempts = cast(j.value ->> 1 as bigint)
               and notice.worker = cast(j.value ->> 2 as bigint)",
        ))
        .bind(campaign)
        .bind(json(&rows))
        .fetch_all(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(ids.into_iter().map(NoticeId).collect())
    }

    async fn finish_attempts(&mut self, campaign: i64, ended: &[Ended], now: Micros) -> Result<(), StoreError> {
        let named = self.named(campaign).await?;
        let scene = Scene::new(&named.id, now);
        let mut rows = Vec::with_capacity(ended.len());
        for e in ended {
            let o = &e.outcome;
            let class = o.class.as_str();
            let subject = named.subject(e.notice.person());
            let attempt = Attempt { notice: e.notice, no: e.attempt, route: &e.route, subject: &subject };
            let leaf = self.leaf(fact::attempt_ended(&scene, &attempt, (class, &o.code), e.proof.as_ref()))?;
            let state = e.decision.state.as_str();
            rows.push((e.notice.0, e.attempt, class, state, &o.code, &o.text, &o.provider_id, leaf.0));
        }
        sqlx::query(self.engine().by_batch(
            "update attempt set finished_at = $2, class = j.value ->> 2, state = j.value ->> 3, code = j.value ->> 4,
                    text = j.value ->> 5, provider_id = j.value ->> 6, end_leaf = cast(j.value ->> 7 as bigint)
             from json_each($3) as j
             where attempt.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and attempt.notice = cast(j.value ->> 0 as bigint)
               and attempt.no = cast(j.value ->> 1 as bigint) and attempt.finished_at is null",
        ))
        .bind(campaign)
        .bind(now)
        .bind(json(&rows))
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }

    async fn move_notices(&mut self, campaign: i64, ended: &[Ended], now: Micros) -> Result<(), StoreError> {
        let rows: Vec<_> = ended
            .iter()
            .map(|e| {
                let d = &e.decision;
                let refusals = e.refusals + u32::from(d.definite);
                let reason = d.reason.map(Class::as_str);
                (e.notice.0, d.state.as_str(), d.due, d.tries, refusals, reason, e.attempt, e.worker, d.report_due)
            })
            .collect();
        let sql = self.engine().by_batch(
            "update notice set state = j.value ->> 1, due_at = cast(j.value ->> 2 as bigint),
                    tries = cast(j.value ->> 3 as bigint), refusals = cast(j.value ->> 4 as bigint),
                    reason = j.value ->> 5, worker = null, changed_at = $2,
                    report_due = cast(j.value ->> 8 as bigint)
             from json_each($3) as j
             where notice.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and notice.id = cast(j.value ->> 0 as bigint) and notice.state = 'sending'
               and notice.attempts = cast(j.value ->> 6 as bigint) and notice.worker = cast(j.value ->> 7 as bigint)",
        );
        let moved = sqlx::query(sql)
            .bind(campaign)
            .bind(now)
            .bind(json(&rows))
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?
            .rows_affected();
        if moved == ended.len() as u64 { Ok(()) } else { Err(StoreError::Fenced { path: self.store.shown() }) }
    }

    /// Queues the next notices of the ladder; those that were new.
    async fn add_next(&mut self, campaign: i64, ended: &[Ended], now: Micros) -> Result<HashSet<i64>, StoreError> {
        let rows: Vec<_> = ended
            .iter()
            .filter_map(|e| e.decision.next.map(|(planned, due)| (e.notice.person(), planned, due)))
            .map(|(person, planned, due)| json!([planned.id(person).0, planned.channel.as_str(), due]))
            .collect();
        if rows.is_empty() {
            return Ok(HashSet::new());
        }
        let added: Vec<i64> = sqlx::query_scalar(
            "insert into notice (campaign, id, channel, state, due_at, first_due, changed_at)
             select $1, cast(value ->> 0 as bigint), value ->> 1, 'queued', cast(value ->> 2 as bigint),
                    cast(value ->> 2 as bigint), $2
             from json_each($3) where true on conflict do nothing returning id",
        )
        .bind(campaign)
        .bind(now)
        .bind(json(&rows))
        .fetch_all(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(added.into_iter().collect())
    }

    /// Brings the persons' standings up to date; the changes to the sums.
    async fn move_persons(
        &mut self,
        campaign: i64,
        ladder: &Ladder,
        ended: &[Ended],
        added: &HashSet<i64>,
        now: Micros,
    ) -> Result<Vec<(String, String, i64)>, StoreError> {
        let mut wanted = standings(ended, added);
        // Whoever merely stays in flight is not looked at: nothing about them changes.
        wanted.retain(|_, s| *s != Standing::InFlight);
        // Also whoever stays in flight and may have other notices: somebody else may find at this moment that they were told.
        let others: BTreeSet<i64> = ended.iter().filter(|e| !e.alone).map(|e| e.notice.person()).collect();
        let looked_at: BTreeSet<i64> = wanted.keys().chain(&others).copied().collect();
        if looked_at.is_empty() {
            return Ok(Vec::new());
        }
        self.hold_persons(campaign, looked_at.into_iter()).await?;
        self.hurry_next(campaign, &wanted, now).await?;
        self.weigh_other_notices(campaign, &mut wanted).await?;
        let mut changes = self.stand_anew(campaign, &wanted).await?;
        changes.extend(self.suppress_needless(campaign, ladder, &others, now).await?);
        Ok(changes)
    }

    /// Keeps other workers from changing these persons, so that what is read of them still holds when it is written.
    pub(super) async fn hold_persons(
        &mut self,
        campaign: i64,
        persons: impl Iterator<Item = i64>,
    ) -> Result<(), StoreError> {
        if self.engine() == Engine::Sqlite {
            // The write lock is held already.
            return Ok(());
        }
        let rows: Vec<Value> = persons.map(|no| json!([no])).collect();
        sqlx::query(
            "select from person p where p.campaign = $1
               and p.no in (select cast(value ->> 0 as bigint) from json_each($2)) order by p.no for update",
        )
        .bind(campaign)
        .bind(json(&rows))
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// Whoever has just one notice less may have one that a retry queued behind it: that one is due now.
    async fn hurry_next(
        &mut self,
        campaign: i64,
        wanted: &BTreeMap<i64, Standing>,
        now: Micros,
    ) -> Result<(), StoreError> {
        let failing: Vec<Value> =
            wanted.iter().filter(|(_, s)| **s == Standing::NeedsHuman).map(|(no, _)| json!([no])).collect();
        if failing.is_empty() {
            return Ok(());
        }
        let waiting: Vec<(i64, i64)> = sqlx::query_as(self.engine().by_batch(
            "select n.id, n.due_at from json_each($2) as j
             join notice n on n.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
                          and n.id >= cast(j.value ->> 0 as bigint) * 4096
                          and n.id < (cast(j.value ->> 0 as bigint) + 1) * 4096
             where n.state in ('queued', 'unknown') and n.due_at is not null order by n.due_at, n.id",
        ))
        .bind(campaign)
        .bind(json(&failing))
        .fetch_all(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        let mut persons = HashSet::new();
        let first: Vec<(NoticeId, Micros)> = waiting
            .into_iter()
            .filter(|(id, due)| persons.insert(NoticeId(*id).person()) && *due > now)
            .map(|(id, _)| (NoticeId(id), now))
            .collect();
        self.postpone(campaign, &first).await
    }

    /// Takes out of the queue what waits for somebody who was told another way meanwhile, unless its step is taken in any
    /// case, or for somebody whom a caller handed to a human; the changes to the sums.
    async fn suppress_needless(
        &mut self,
        campaign: i64,
        ladder: &Ladder,
        persons: &BTreeSet<i64>,
        now: Micros,
    ) -> Result<Vec<(String, String, i64)>, StoreError> {
        if persons.is_empty() {
            return Ok(Vec::new());
        }
        let persons: Vec<Value> = persons.iter().map(|no| json!([no])).collect();
        let in_any_case: Vec<Value> =
            Channel::ALL.into_iter().filter(|c| ladder.in_any_case(*c)).map(|c| json!([c.as_str()])).collect();
        let sql = format!(
            "select n.id, n.state from json_each($2) as j
             join person p on p.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
                          and p.no = cast(j.value ->> 0 as bigint)
             join notice n on n.campaign = p.campaign and n.id >= p.no * 4096 and n.id < (p.no + 1) * 4096
             where n.due_at is not null and (p.standing = 'needs_human'
                or (p.standing = 'satisfied' and n.channel not in (select value ->> 0 from json_each($3)))){}",
            self.engine().locking("n")
        );
        let needless: Vec<(i64, String)> = sqlx::query_as(self.engine().by_batch_of(sql))
            .bind(campaign)
            .bind(json(&persons))
            .bind(json(&in_any_case))
            .fetch_all(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        self.suppress(campaign, needless, now).await
    }

    /// Suppresses these notices, given with the state they are in; the changes to the sums.
    pub(super) async fn suppress(
        &mut self,
        campaign: i64,
        notices: Vec<(i64, String)>,
        now: Micros,
    ) -> Result<Vec<(String, String, i64)>, StoreError> {
        if notices.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Value> = notices.iter().map(|(id, _)| json!([id])).collect();
        sqlx::query(self.engine().by_batch(
            "update notice set state = 'suppressed', due_at = null, changed_at = $2
             from json_each($3) as j where notice.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and notice.id = cast(j.value ->> 0 as bigint)",
        ))
        .bind(campaign)
        .bind(now)
        .bind(json(&ids))
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        let mut changes = vec![("notice".to_owned(), "suppressed".to_owned(), notices.len() as i64)];
        changes.extend(notices.into_iter().map(|(_, state)| ("notice".to_owned(), state, -1)));
        Ok(changes)
    }

    /// Gives persons these standings; the changes to the sums.
    pub(super) async fn stand_anew(
        &mut self,
        campaign: i64,
        wanted: &BTreeMap<i64, Standing>,
    ) -> Result<Vec<(String, String, i64)>, StoreError> {
        let rows: Vec<_> = wanted.iter().map(|(no, s)| (no, s.as_str())).collect();
        let rows = json(&rows);
        if wanted.values().all(|s| *s == Standing::Satisfied) {
            // Nearly always all of them were in flight: then there is nothing to count.
            let moved = self.satisfy(campaign, &rows).await?;
            if moved == wanted.len() as u64 {
                let (from, to) = (Standing::InFlight.as_str(), Standing::Satisfied.as_str());
                let moved = moved as i64;
                return Ok(vec![("person".into(), from.into(), -moved), ("person".into(), to.into(), moved)]);
            }
            let mut changes = self.move_standing(campaign, &rows).await?;
            changes.push(("person".into(), Standing::InFlight.as_str().into(), -(moved as i64)));
            changes.push(("person".into(), Standing::Satisfied.as_str().into(), moved as i64));
            return Ok(changes);
        }
        self.move_standing(campaign, &rows).await
    }

    /// Satisfies those of the persons who are in flight; how many.
    async fn satisfy(&mut self, campaign: i64, rows: &str) -> Result<u64, StoreError> {
        let sql = format!(
            "update {} person set standing = 'satisfied' from json_each($2) as j
             where person.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and person.no = cast(j.value ->> 0 as bigint) and person.standing = 'in_flight'",
            self.engine().or_rollback()
        );
        let done = sqlx::query(self.engine().by_batch_of(sql))
            .bind(campaign)
            .bind(rows)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        Ok(done.rows_affected())
    }

    /// Gives persons the standings of a batch of [number, standing]; the changes to the sums.
    async fn move_standing(&mut self, campaign: i64, rows: &str) -> Result<Vec<(String, String, i64)>, StoreError> {
        // Counted in SQL: only the sums need to know who stood where.
        let before: Vec<(String, String, i64)> = sqlx::query_as(self.engine().by_batch(
            "select p.standing, j.value ->> 1, count(*) from person p
             join json_each($2) as j on p.no = cast(j.value ->> 0 as bigint)
             where p.campaign = $1 + 0 * cast(j.value ->> 0 as bigint) and p.standing <> j.value ->> 1
             group by 1, 2",
        ))
        .bind(campaign)
        .bind(rows)
        .fetch_all(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        if before.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "update {} person set standing = j.value ->> 1 from json_each($2) as j
             where person.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and person.no = cast(j.value ->> 0 as bigint)
               and person.standing <> j.value ->> 1",
            self.engine().or_rollback()
        );
        sqlx::query(self.engine().by_batch_of(sql))
            .bind(campaign)
            .bind(rows)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        let mut changes = Vec::with_capacity(before.len() * 2);
        for (old, new, n) in before {
            changes.push(("person".to_owned(), old, -n));
            changes.push(("person".to_owned(), new, n));
        }
        Ok(changes)
    }

    /// Somebody whose notice failed may have another on its way, or may have been told already.
    pub(super) async fn weigh_other_notices(
        &mut self,
        campaign: i64,
        wanted: &mut BTreeMap<i64, Standing>,
    ) -> Result<(), StoreError> {
        let failing: Vec<Value> =
            wanted.iter().filter(|(_, s)| **s == Standing::NeedsHuman).map(|(no, _)| json!([no])).collect();
        if failing.is_empty() {
            return Ok(());
        }
        // An unknown notice that is sent again by itself is on its way like a queued one.
        let sql = format!(
            "select cast(j.value ->> 0 as bigint), case when n.due_at is null then n.state else 'queued' end,
                    case when {OPEN_CALL} then 1 else 0 end
             from json_each($2) as j
             join notice n on n.campaign = $1 + 0 * cast(j.value ->> 0 as bigint) and n.id >= cast(j.value ->> 0 as bigint) * 4096
                          and n.id < (cast(j.value ->> 0 as bigint) + 1) * 4096"
        );
        let rows: Vec<(i64, String, i64)> = sqlx::query_as(self.engine().by_batch_of(sql))
            .bind(campaign)
            .bind(json(&failing))
            .fetch_all(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        let mut beside: HashMap<i64, (Vec<NoticeState>, bool)> = HashMap::new();
        for (no, state, open_call) in rows {
            let (states, call_is_open) = beside.entry(no).or_default();
            states.push(self.store.word(&state, NoticeState::parse)?);
            *call_is_open |= open_call == 1;
        }
        for (no, standing) in wanted.iter_mut() {
            if let Some((states, call_is_open)) = beside.get(no) {
                *standing = standing_beside(*standing, states, *call_is_open);
            }
        }
        Ok(())
    }
}

/// Where the outcomes leave each person.
fn standings(ended: &[Ended], added: &HashSet<i64>) -> BTreeMap<i64, Standing> {
    let mut wanted: BTreeMap<i64, Standing> = BTreeMap::new();
    for e in ended {
        let person = e.notice.person();
        // A next notice that was there before (its failure was tried again) carries nobody further by itself.
        let leads_nowhere = e.decision.next.is_some_and(|(next, _)| !added.contains(&next.id(person).0));
        let standing = if leads_nowhere { Standing::NeedsHuman } else { e.decision.standing };
        // Two notices of one person in a batch: being told outweighs; what is on its way is weighed below.
        wanted
            .entry(person)
            .and_modify(|s| {
                if *s != Standing::Satisfied {
                    *s = if standing == Standing::Satisfied { standing } else { Standing::NeedsHuman };
                }
            })
            .or_insert(standing);
    }
    wanted
}

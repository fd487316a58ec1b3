//! One turn of the loop: a single transaction that records, plans, takes up orphans and claims.

use super::claim::{Moment, Route, claim};
use super::limiter::lead_after;
use super::record::{Back, ended};
use super::run::{Dispatcher, chain};
use super::settle::settle_early;
use super::{Carrier, Job};
use crate::model::campaign::CampaignState;
use crate::model::channel::Channel;
use crate::model::incident::CampaignPlan;
use crate::model::ladder::Evidence;
use crate::model::outcome::Class;
use crate::model::overdue::Reporting;
use crate::model::time::{Micros, SECOND};
use crate::store::record::Ended;
use crate::store::{StoreError, Tx};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Persons planned in one turn.
const PLAN_CHUNK: i64 = 5_000;
/// The same while others are being sent, who must not wait for it.
const PLAN_BESIDE: i64 = 500;
/// Waiting notices of a cancelled campaign called off in one turn.
const CANCEL_CHUNK: usize = 5_000;
/// How soon a channel is asked again when notices are due and no route has room for them.
const NO_ROOM: Micros = SECOND / 20;

/// Outcomes to be recorded, by campaign, and what they were decided by.
type Batches = BTreeMap<i64, (Arc<CampaignPlan>, Vec<Ended>)>;

/// What a transaction did, to be remembered once it is committed.
#[derive(Default)]
struct Done {
    jobs: Vec<Job>,
    orphans_left: bool,
    doubt_removed: bool,
    /// (campaign, up to whom its persons are planned).
    planned: Vec<(i64, i64)>,
}

impl<C: Carrier> Dispatcher<C> {
    /// Records what ended, plans, takes up orphans and claims; then the claimed are started. How many were.
    pub(super) async fn turn(&mut self, backs: Vec<Back>) -> Result<usize, StoreError> {
        let mut wait = Duration::from_millis(50);
        let mut batches = self.decide(backs);
        let jobs = loop {
            match self.try_turn(&batches).await {
                Ok(jobs) => break jobs,
                Err(StoreError::Fenced { .. }) => self.let_go(&mut batches).await?,
                Err(error) if batches.is_empty() => return Err(error),
                Err(error) => {
                    // What happened on the wire must be written down: wait for the database rather than forget.
                    tracing::error!(error = %chain(&error), "outcomes wait to be recorded; trying again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(5));
                }
            }
        };
        let started = jobs.len();
        for job in jobs {
            self.start(job);
        }
        self.pulse.carries(self.in_flight());
        Ok(started)
    }

    /// Leaves out outcomes of notices that others took over, or that an earlier commit recorded after all.
    async fn let_go(&mut self, batches: &mut Batches) -> Result<(), StoreError> {
        let store = self.store.clone();
        let mut tx = store.begin().await?;
        for (campaign, (_, ended)) in batches.iter_mut() {
            let ours = tx.still_ours(*campaign, ended).await?;
            let before = ended.len();
            ended.retain(|e| ours.contains(&e.notice));
            let gone = before - ended.len();
            tracing::warn!(campaign, notices = gone, "outcomes that are recorded already, or by another worker");
        }
        batches.retain(|_, (_, ended)| !ended.is_empty());
        tx.commit().await
    }

    /// Takes ended attempts off the routes, so that the turn which records them can use the room they leave.
    fn decide(&mut self, backs: Vec<Back>) -> Batches {
        let now = self.time.now();
        let mut batches = Batches::new();
        for back in backs {
            let (campaign, notice) = (back.campaign, back.due.notice);
            let route = &mut self.routes[back.route];
            route.in_flight -= 1;
            self.hands.remove(&(campaign, notice));
            if route.breaker.note(&back.outcome, now) {
                let (name, code) = (&route.plan.name, &back.outcome.code);
                tracing::error!(route = name, code, "route rests: {}", back.outcome.text);
            }
            route.rests.set(!route.usable(now));
            route.accepted += u64::from(back.outcome.class == Class::Accepted);
            let missed = back.outcome.missed_its_slot();
            if missed || back.outcome.class != Class::NotSent {
                route.lead = lead_after(route.lead, missed);
            }
            let channel = route.plan.channel;
            // Room for everybody on this channel.
            self.live.values_mut().for_each(|l| l.ask_at[channel.number() as usize] = 0);
            let Some(live) = self.live.get_mut(&campaign) else { continue };
            live.in_flight -= 1;
            let ended = ended(&live.plan, &self.routes[back.route].plan, back, now);
            if let Some((next, due)) = ended.decision.next {
                let ask = &mut live.ask_at[next.channel.number() as usize];
                *ask = (*ask).min(due);
            }
            batches.entry(campaign).or_insert_with(|| (live.plan.clone(), Vec::new())).1.push(ended);
        }
        batches
    }

    async fn try_turn(&mut self, batches: &Batches) -> Result<Vec<Job>, StoreError> {
        let moment = Moment { now: self.time.now(), instant: Instant::now() };
        let holds = self.heart.as_ref().is_some_and(|h| h.lease.holds(std::time::Instant::now()));
        let claiming = holds && !self.stopping.load(Ordering::Relaxed);
        let planning = self.live.values().any(|l| l.running && l.planned < l.last_person);
        let idle = !self.orphans_left && !self.in_doubt && !planning && !self.may_claim(moment.now);
        if batches.is_empty() && (!claiming || idle) {
            return Ok(Vec::new());
        }
        let store = self.store.clone();
        let campaigns: BTreeSet<i64> = self.live.keys().chain(batches.keys()).copied().collect();
        let mut tx = store.begin_turn(campaigns.into_iter()).await?;
        let before: Vec<(usize, u64)> = self.routes.iter().map(|r| (r.in_flight, r.given)).collect();
        let done = match self.in_transaction(&mut tx, batches, claiming, moment).await {
            Ok(done) => {
                let committed = tx.commit().await;
                // The answer may have been lost on the way back.
                self.in_doubt |= committed.is_err() && self.store.is_shared();
                committed.map(|()| done)
            }
            Err(error) => Err(error),
        };
        match done {
            Ok(done) => {
                self.orphans_left = done.orphans_left;
                self.in_doubt &= !done.doubt_removed;
                for (no, upto) in done.planned {
                    if let Some(live) = self.live.get_mut(&no).filter(|l| l.running) {
                        live.planned = upto;
                        live.ask_at = [0; 3];
                    }
                }
                Ok(done.jobs)
            }
            Err(error) => {
                for (route, before) in self.routes.iter_mut().zip(before) {
                    (route.in_flight, route.given) = before;
                }
                self.live.values_mut().for_each(|l| l.ask_at = [0; 3]);
                Err(error)
            }
        }
    }

    async fn in_transaction(
        &mut self,
        tx: &mut Tx<'_>,
        batches: &Batches,
        claiming: bool,
        moment: Moment,
    ) -> Result<Done, StoreError> {
        let states: BTreeMap<i64, CampaignState> = tx.campaign_states().await?.into_iter().collect();
        for live in self.live.values_mut().filter(|l| states.get(&l.no) != Some(&CampaignState::Running)) {
            live.halt();
        }
        for (campaign, (plan, ended)) in batches {
            self.record(tx, *campaign, plan, ended, moment.now).await?;
        }
        let mut touched: Vec<i64> = batches.keys().copied().collect();
        let mut done = Done { orphans_left: self.orphans_left, ..Done::default() };
        if self.in_doubt {
            self.give_back(tx, moment.now, &mut touched).await?;
            done.doubt_removed = true;
        }
        if claiming {
            done.planned = self.plan(tx, moment.now).await?;
            if self.orphans_left {
                done.orphans_left = self.take_up_orphans(tx, moment.now, &mut touched).await?;
            }
            done.jobs = self.claim_all(tx, moment).await?;
        }
        // An outcome may have queued something again, or a next step, after its campaign was called off.
        for no in touched.into_iter().filter(|no| states.get(no) == Some(&CampaignState::Cancelled)) {
            tx.cancel_waiting(no, moment.now, CANCEL_CHUNK).await?;
        }
        Ok(done)
    }

    /// Records ended attempts, and applies what came back about them before they had ended.
    pub(super) async fn record(
        &self,
        tx: &mut Tx<'_>,
        campaign: i64,
        plan: &CampaignPlan,
        ended: &[Ended],
        now: Micros,
    ) -> Result<(), StoreError> {
        tx.record(campaign, &plan.ladder, ended, now).await?;
        let routes = &self.routes;
        let reporting = |name: &str| {
            let route = routes.iter().find(|r| r.plan.name == name);
            route.map_or(Reporting::up_to(Evidence::Accepted), |r| r.plan.reporting())
        };
        settle_early(tx, campaign, plan, &reporting, ended.iter().map(|e| e.notice), now).await
    }

    /// Plans the next persons of every campaign whose turn nobody else has; up to whom each is planned now.
    async fn plan(&self, tx: &mut Tx<'_>, now: Micros) -> Result<Vec<(i64, i64)>, StoreError> {
        let mut done = Vec::new();
        for live in self.live.values().filter(|l| l.running && l.planned < l.last_person) {
            let Some(planned) = tx.may_plan(live.no).await? else { continue };
            let chunk = if live.in_flight > 0 { PLAN_BESIDE } else { PLAN_CHUNK };
            let upto = (planned + chunk).min(live.last_person);
            if planned < upto {
                for reach in tx.reaches(live.no, planned, upto).await? {
                    let first = live.plan.ladder.first(&reach);
                    tx.plan_notices(live.no, (planned, upto), &reach, first, now).await?;
                }
                tx.set_planned(live.no, upto).await?;
            }
            done.push((live.no, planned.max(upto)));
        }
        Ok(done)
    }

    fn may_claim(&self, now: Micros) -> bool {
        let served = |channel| self.routes.iter().any(|r| r.plan.channel == channel);
        let due =
            |l: &super::live::Live| Channel::ALL.into_iter().any(|c| l.ask_at[c.number() as usize] <= now && served(c));
        self.live.values().any(|l| l.running && due(l))
    }

    async fn claim_all(&mut self, tx: &mut Tx<'_>, moment: Moment) -> Result<Vec<Job>, StoreError> {
        let mut order: Vec<i64> = self.live.values().filter(|l| l.running).map(|l| l.no).collect();
        self.turns = self.turns.wrapping_add(1);
        let first = self.turns.checked_rem(order.len()).unwrap_or(0);
        order.rotate_left(first);
        let mut jobs = Vec::new();
        let Some(heart) = &self.heart else { return Ok(jobs) };
        for no in order {
            let Some(live) = self.live.get_mut(&no) else { continue };
            for channel in Channel::ALL {
                let at = channel.number() as usize;
                if live.ask_at[at] > moment.now || !self.routes.iter().any(|r| r.plan.channel == channel) {
                    continue;
                }
                let routes: &mut [Route] = self.routes.as_mut_slice();
                let by = (heart, &self.stopping);
                let claimed = claim(tx, &*self.carrier, routes, live, channel, moment, by).await?;
                if claimed.jobs.is_empty() && !claimed.postponed {
                    live.ask_at[at] = match tx.next_due(no, channel).await? {
                        Some(due) if due <= moment.now => moment.now + NO_ROOM,
                        Some(due) => due,
                        None => Micros::MAX,
                    };
                }
                jobs.extend(claimed.jobs);
            }
        }
        Ok(jobs)
    }
}

//! One turn of the loop: a single transaction that records, plans, takes up orphans and claims.

use super::claim::{Moment, Route, claim};
use super::record::{Back, ended};
use super::run::{Dispatcher, chain};
use super::{Carrier, Job};
use crate::model::campaign::CampaignState;
use crate::model::channel::Channel;
use crate::model::incident::CampaignPlan;
use crate::model::outcome::Class;
use crate::model::time::{Micros, SECOND};
use crate::store::record::Ended;
use crate::store::{StoreError, Tx};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Persons planned in one turn.
const PLAN_CHUNK: i64 = 5_000;
/// Waiting notices of a cancelled campaign called off in one turn.
const CANCEL_CHUNK: usize = 5_000;
/// How soon a channel is asked again when notices are due and no route has room for them.
const NO_ROOM: Micros = SECOND / 20;

/// Outcomes to be recorded, by campaign, and what they were decided by.
type Batches = BTreeMap<i64, (Arc<CampaignPlan>, Vec<Ended>)>;

/// Persons to be planned: campaign, up to whom, and their combinations of contacts.
type Plan = (i64, i64, Vec<String>);

/// What a transaction did, to be remembered once it is committed.
struct Done {
    jobs: Vec<Job>,
    orphans_left: bool,
}

impl<C: Carrier> Dispatcher<C> {
    /// Records what ended, plans, takes up orphans and claims; then the claimed are started. How many were.
    pub(super) async fn turn(&mut self, backs: Vec<Back>) -> Result<usize, StoreError> {
        let mut wait = Duration::from_millis(50);
        let batches = self.decide(backs);
        let jobs = loop {
            match self.try_turn(&batches).await {
                Ok(jobs) => break jobs,
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
        Ok(started)
    }

    /// Takes ended attempts off the routes, so that the turn which records them can use the room they leave.
    fn decide(&mut self, backs: Vec<Back>) -> Batches {
        let now = (self.clock)();
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
        let moment = Moment { now: (self.clock)(), instant: Instant::now() };
        let claiming = !self.stopping.load(Ordering::Relaxed);
        let plans = if claiming { self.plans().await? } else { Vec::new() };
        let idle = !self.orphans_left && plans.is_empty() && !self.may_claim(moment.now);
        if batches.is_empty() && (!claiming || idle) {
            return Ok(Vec::new());
        }
        let store = self.store.clone();
        let mut tx = store.begin().await?;
        let before: Vec<(usize, u64)> = self.routes.iter().map(|r| (r.in_flight, r.given)).collect();
        let done = match self.in_transaction(&mut tx, batches, &plans, claiming, moment).await {
            Ok(done) => tx.commit().await.map(|()| done),
            Err(error) => Err(error),
        };
        match done {
            Ok(done) => {
                self.orphans_left = done.orphans_left;
                for (no, upto, _) in plans {
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
        plans: &[Plan],
        claiming: bool,
        moment: Moment,
    ) -> Result<Done, StoreError> {
        let states: BTreeMap<i64, CampaignState> = tx.campaign_states().await?.into_iter().collect();
        for live in self.live.values_mut().filter(|l| states.get(&l.no) != Some(&CampaignState::Running)) {
            live.halt();
        }
        for (campaign, (plan, ended)) in batches {
            tx.record(*campaign, &plan.ladder, ended, moment.now).await?;
        }
        let mut touched: Vec<i64> = batches.keys().copied().collect();
        let mut done = Done { jobs: Vec::new(), orphans_left: self.orphans_left };
        if claiming {
            for (no, upto, reaches) in plans {
                if let Some(live) = self.live.get(no).filter(|l| l.running) {
                    for reach in reaches {
                        let first = live.plan.ladder.first(reach);
                        tx.plan_notices(*no, (live.planned, *upto), reach, first, moment.now).await?;
                    }
                    tx.set_planned(*no, *upto).await?;
                }
            }
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

    async fn plans(&self) -> Result<Vec<Plan>, StoreError> {
        let mut wanted = Vec::new();
        for live in self.live.values().filter(|l| l.running && l.planned < l.last_person) {
            let upto = (live.planned + PLAN_CHUNK).min(live.last_person);
            wanted.push((live.no, upto, self.store.reaches(live.no, live.planned, upto).await?));
        }
        Ok(wanted)
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
        for no in order {
            let Some(live) = self.live.get_mut(&no) else { continue };
            for channel in Channel::ALL {
                let at = channel.number() as usize;
                if live.ask_at[at] > moment.now || !self.routes.iter().any(|r| r.plan.channel == channel) {
                    continue;
                }
                let routes: &mut [Route] = self.routes.as_mut_slice();
                let claimed = claim(tx, &*self.carrier, routes, live, channel, moment, &self.stopping).await?;
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

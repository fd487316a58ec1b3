//! The loop itself.

use super::breaker::Leave;
use super::claim::{Moment, Route, claim};
use super::live::Live;
use super::record::{Back, ended, orphaned};
use super::{Carrier, Job, RoutePlan};
use crate::model::channel::Channel;
use crate::model::notice::NoticeId;
use crate::model::outcome::{Class, Outcome};
use crate::model::time::{Micros, SECOND};
use crate::store::record::Ended;
use crate::store::{Store, StoreError, Tx};
use futures_util::FutureExt as _;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Outcomes recorded together at most.
const BATCH: usize = 256;
/// How long a turn waits for more outcomes while enough notices are on their way.
const LINGER: Duration = Duration::from_millis(4);
/// Persons planned in one turn.
const PLAN_CHUNK: i64 = 5_000;
/// Notices of a dead worker taken up in one turn.
const ORPHANS: usize = 200;
/// Longest sleep when nothing is due.
const NAP: Duration = Duration::from_millis(500);

/// When the loop ends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// Never: a service.
    Stopped,
    /// Nothing is due.
    NothingDue,
    /// Nothing of this campaign waits to be sent, now or later, or it no longer runs.
    Settled(i64),
}

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Done,
    /// Asked to; what was on the wire is finished and recorded.
    Stopped,
}

pub struct Dispatcher<C: Carrier> {
    pub(super) store: Store,
    pub(super) carrier: Arc<C>,
    pub(super) routes: Vec<Route>,
    pub(super) live: BTreeMap<i64, Live>,
    back: (mpsc::UnboundedSender<Back>, mpsc::UnboundedReceiver<Back>),
    stop: watch::Receiver<bool>,
    stopping: Arc<AtomicBool>,
    pub(super) looked: Option<Instant>,
    pub(super) rated: Instant,
    /// Notices of a worker before this one may still stand as `sending`.
    pub(super) orphans_left: bool,
    /// What this worker itself has on its way.
    hands: HashSet<(i64, NoticeId)>,
    pub(super) clock: fn() -> Micros,
}

impl<C: Carrier> Dispatcher<C> {
    /// `stop` turning true ends the loop gracefully. The caller holds the store's worker lock.
    pub fn new(
        store: Store,
        carrier: Arc<C>,
        routes: Vec<RoutePlan>,
        stop: watch::Receiver<bool>,
        clock: fn() -> Micros,
    ) -> Dispatcher<C> {
        Dispatcher {
            store,
            carrier,
            routes: routes.into_iter().map(Route::new).collect(),
            live: BTreeMap::new(),
            back: mpsc::unbounded_channel(),
            stop,
            stopping: Arc::new(AtomicBool::new(false)),
            looked: None,
            rated: Instant::now(),
            orphans_left: true,
            hands: HashSet::new(),
            clock,
        }
    }

    /// Sends until the end that `until` names.
    pub async fn run(&mut self, until: Until) -> Result<End, StoreError> {
        loop {
            if *self.stop.borrow() {
                return self.drain().await;
            }
            match self.step(&until).await {
                Ok(true) => return Ok(End::Done),
                Ok(false) => {}
                Err(error) if self.in_flight() == 0 => return Err(error),
                Err(error) => {
                    // Outcomes are still to come and must be recorded: wait for the database, do not leave.
                    tracing::error!(error = %chain(&error), "the database does not answer; trying again");
                    tokio::time::sleep(NAP).await;
                }
            }
        }
    }

    /// One round; true when the end that `until` names is reached.
    async fn step(&mut self, until: &Until) -> Result<bool, StoreError> {
        self.look_at_campaigns().await?;
        let backs = self.gather().await;
        let worked = !backs.is_empty();
        let started = self.turn(backs).await?;
        self.tell_health(false).await?;
        if worked || started > 0 || self.in_flight() > 0 || !self.ends(until).await? {
            return Ok(false);
        }
        self.tell_health(true).await?;
        Ok(true)
    }

    fn in_flight(&self) -> usize {
        self.routes.iter().map(|r| r.in_flight).sum()
    }

    /// Nothing new is taken; what is on the wire ends, the rest is given back.
    async fn drain(&mut self) -> Result<End, StoreError> {
        self.stopping.store(true, Ordering::Relaxed);
        while self.in_flight() > 0 {
            let backs = self.gather().await;
            self.turn(backs).await?;
        }
        self.tell_health(true).await?;
        Ok(End::Stopped)
    }

    /// Waits for ended attempts: long when nothing can be started, briefly when a fuller batch is worth it.
    async fn gather(&mut self) -> Vec<Back> {
        let mut backs = Vec::new();
        let idle = self.idle_time();
        tokio::select! {
            first = self.back.1.recv() => backs.extend(first),
            () = tokio::time::sleep(idle) => return backs,
            _ = self.stop.changed() => return backs,
        }
        let enough = (self.in_flight() / 2).clamp(1, BATCH);
        let deadline = Instant::now() + LINGER;
        while backs.len() < BATCH {
            match self.back.1.try_recv() {
                Ok(back) => backs.push(back),
                Err(_) if backs.len() >= enough => break,
                Err(_) => match tokio::time::timeout_at(deadline, self.back.1.recv()).await {
                    Ok(Some(back)) => backs.push(back),
                    _ => break,
                },
            }
        }
        backs
    }

    fn idle_time(&self) -> Duration {
        if self.orphans_left {
            return Duration::ZERO;
        }
        let now = (self.clock)();
        let running = || self.live.values().filter(|l| l.running);
        if running().any(|l| l.planned < l.last_person) && self.in_flight() == 0 {
            return Duration::ZERO;
        }
        let next = running()
            .flat_map(|l| Channel::ALL.into_iter().map(|c| (c, l.ask_at[c.number() as usize])))
            .filter(|(channel, _)| self.routes.iter().any(|r| r.plan.channel == *channel))
            .map(|(_, at)| at)
            .min();
        let wait = next.map_or(NAP, |at| Duration::from_micros(u64::try_from(at - now).unwrap_or(0)));
        // A channel that waits for room comes back with its next outcome; it must not spin until then.
        if wait.is_zero() && self.in_flight() > 0 { Duration::from_millis(20) } else { wait.min(NAP) }
    }

    /// One transaction: record what ended, plan, take up orphans, claim. Then the claimed are started.
    async fn turn(&mut self, backs: Vec<Back>) -> Result<usize, StoreError> {
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
        self.settle(&batches);
        let started = jobs.len();
        for job in jobs {
            self.start(job);
        }
        Ok(started)
    }

    fn decide(&mut self, backs: Vec<Back>) -> BTreeMap<i64, Vec<(usize, Ended)>> {
        let now = (self.clock)();
        let mut batches: BTreeMap<i64, Vec<(usize, Ended)>> = BTreeMap::new();
        for back in backs {
            let (route, campaign) = (back.route, back.campaign);
            if self.routes[route].breaker.note(&back.outcome, now) {
                let name = &self.routes[route].plan.name;
                tracing::error!(route = name, code = back.outcome.code, "route rests: {}", back.outcome.text);
            }
            if back.outcome.class == Class::Accepted {
                self.routes[route].accepted += 1;
            }
            if let Some(live) = self.live.get(&campaign) {
                let ended = ended(&live.plan, &self.routes[route].plan, back, now);
                batches.entry(campaign).or_default().push((route, ended));
            }
        }
        batches
    }

    async fn try_turn(&mut self, batches: &BTreeMap<i64, Vec<(usize, Ended)>>) -> Result<Vec<Job>, StoreError> {
        let moment = Moment { now: (self.clock)(), instant: Instant::now() };
        let claiming = !self.stopping.load(Ordering::Relaxed);
        let reaches = self.reaches(claiming).await?;
        if batches.is_empty() && !self.orphans_left && reaches.is_empty() && !(claiming && self.may_claim(moment.now)) {
            return Ok(Vec::new());
        }
        let store = self.store.clone();
        let mut tx = store.begin().await?;
        for (campaign, batch) in batches {
            let ended: Vec<Ended> = batch.iter().map(|(_, e)| e.clone()).collect();
            tx.record(*campaign, &ended, moment.now).await?;
        }
        let mut planned = Vec::new();
        for (no, upto, reaches) in reaches {
            if let Some(live) = self.live.get(&no) {
                for reach in &reaches {
                    let first = live.plan.ladder.first(reach);
                    tx.plan_notices(no, (live.planned, upto), reach, first, moment.now).await?;
                }
                tx.set_planned(no, upto).await?;
                planned.push((no, upto));
            }
        }
        let orphans_left = self.orphans_left && self.take_up_orphans(&mut tx, moment.now).await?;
        let given: Vec<(usize, u64)> = self.routes.iter().map(|r| (r.in_flight, r.given)).collect();
        let claimed = match claiming {
            true => self.claim_all(&mut tx, moment).await,
            false => Ok(Vec::new()),
        };
        let outcome = match claimed {
            Ok(jobs) => tx.commit().await.map(|()| jobs),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(jobs) => {
                self.orphans_left = orphans_left;
                for (no, upto) in planned {
                    if let Some(live) = self.live.get_mut(&no) {
                        live.planned = upto;
                        live.ask_at = [0; 3];
                    }
                }
                Ok(jobs)
            }
            Err(error) => {
                for (route, (in_flight, given)) in self.routes.iter_mut().zip(given) {
                    (route.in_flight, route.given) = (in_flight, given);
                }
                Err(error)
            }
        }
    }

    /// Whose persons are to be planned in this turn: campaign, up to whom, and their combinations of contacts.
    async fn reaches(&self, claiming: bool) -> Result<Vec<(i64, i64, Vec<String>)>, StoreError> {
        let mut wanted = Vec::new();
        for live in self.live.values().filter(|l| claiming && l.running && l.planned < l.last_person) {
            let upto = (live.planned + PLAN_CHUNK).min(live.last_person);
            wanted.push((live.no, upto, self.store.reaches(live.no, live.planned, upto).await?));
        }
        Ok(wanted)
    }

    fn may_claim(&self, now: Micros) -> bool {
        self.live.values().any(|l| l.running && l.ask_at.iter().any(|at| *at <= now))
    }

    async fn claim_all(&mut self, tx: &mut Tx<'_>, moment: Moment) -> Result<Vec<Job>, StoreError> {
        let mut jobs = Vec::new();
        for live in self.live.values_mut().filter(|l| l.running) {
            for channel in Channel::ALL {
                let at = channel.number() as usize;
                if live.ask_at[at] > moment.now || !self.routes.iter().any(|r| r.plan.channel == channel) {
                    continue;
                }
                let before =
                    self.routes.iter().filter(|r| r.plan.channel == channel).map(|r| r.in_flight).sum::<usize>();
                let routes = self.routes.as_mut_slice();
                let taken = claim(tx, &*self.carrier, routes, live, channel, moment, &self.stopping).await?;
                // Nothing taken with nothing on its way: either nothing is due, or no slot is near. Do not spin.
                if taken.is_empty() {
                    let next = self.store.next_due(live.no, channel).await?;
                    let pause = if before > 0 { SECOND / 20 } else { SECOND / 10 };
                    live.ask_at[at] = next.unwrap_or(Micros::MAX).max(moment.now + pause);
                }
                jobs.extend(taken);
            }
        }
        Ok(jobs)
    }

    /// Settles notices that a worker before this one left in `sending`; true while there may be more.
    async fn take_up_orphans(&mut self, tx: &mut Tx<'_>, now: Micros) -> Result<bool, StoreError> {
        // The worker lock is ours, so whatever is `sending` and not in our hands has nobody: leases need not run out.
        let asked = ORPHANS + self.hands.len();
        let mut orphans = tx.orphans(Micros::MAX, asked).await?;
        let more = orphans.len() == asked;
        orphans.retain(|o| !self.hands.contains(&(o.campaign, o.notice)));
        let mut by_campaign: BTreeMap<i64, Vec<Ended>> = BTreeMap::new();
        for orphan in orphans {
            let Some(plan) = self.live.get(&orphan.campaign).map(|l| l.plan.clone()) else { continue };
            let route = self.routes.iter().find(|r| r.plan.name == orphan.route).map(|r| &r.plan);
            by_campaign.entry(orphan.campaign).or_default().push(orphaned(&plan, route, orphan, now));
        }
        for (campaign, ended) in &by_campaign {
            tracing::warn!(campaign, notices = ended.len(), "notices of a worker that went away are now unknown");
            tx.record(*campaign, ended, now).await?;
        }
        Ok(more && !by_campaign.is_empty())
    }

    fn settle(&mut self, batches: &BTreeMap<i64, Vec<(usize, Ended)>>) {
        for (campaign, batch) in batches {
            for (route, ended) in batch {
                self.routes[*route].in_flight -= 1;
                self.hands.remove(&(*campaign, ended.notice));
                if let Some(live) = self.live.get_mut(campaign) {
                    live.in_flight -= 1;
                    let next = ended.decision.next.map(|(planned, due)| (planned.channel, due));
                    let again = ended.decision.due.map(|due| (self.routes[*route].plan.channel, due));
                    for (channel, due) in next.into_iter().chain(again) {
                        let ask = &mut live.ask_at[channel.number() as usize];
                        *ask = (*ask).min(due);
                    }
                }
            }
        }
    }

    fn start(&mut self, job: Job) {
        self.hands.insert((job.campaign, job.due.notice));
        if let Some(live) = self.live.get_mut(&job.campaign) {
            live.in_flight += 1;
        }
        let breaker = &mut self.routes[job.route].breaker;
        if breaker.leave(job.started_at) == Leave::Probe {
            breaker.probe_sent();
        }
        let (carrier, sender) = (self.carrier.clone(), self.back.0.clone());
        let permits = self.routes[job.route].permits.clone();
        tokio::spawn(async move {
            let (campaign, route, due, attempt) = (job.campaign, job.route, job.due.clone(), job.attempt);
            let carried = async {
                let _permit = permits.acquire_owned().await;
                carrier.carry(job).await
            };
            let outcome = std::panic::AssertUnwindSafe(carried).catch_unwind().await.unwrap_or_else(|_| {
                Outcome::new(Class::Unknown, "fault", "a fault in forewarn ended this attempt; please report it")
            });
            if sender.send(Back { campaign, route, due, attempt, outcome }).is_err() {
                tracing::debug!("the worker ended before an outcome came back");
            }
        });
    }

    async fn ends(&mut self, until: &Until) -> Result<bool, StoreError> {
        let now = (self.clock)();
        if self.orphans_left || self.live.values().any(|l| l.running && l.planned < l.last_person) {
            return Ok(false);
        }
        match until {
            Until::Stopped => Ok(false),
            Until::NothingDue => {
                for live in self.live.values().filter(|l| l.running) {
                    for channel in Channel::ALL {
                        let usable = self.routes.iter().any(|r| r.plan.channel == channel && r.usable(now));
                        let due = self.store.next_due(live.no, channel).await?;
                        if usable && due.is_some_and(|at| at <= now + SECOND) {
                            return Ok(false);
                        }
                    }
                }
                Ok(true)
            }
            Until::Settled(campaign) => {
                let running = self.live.get(campaign).is_some_and(|l| l.running);
                let sums = self.store.sums(*campaign).await?;
                if !running || sums.person(crate::model::person::Standing::InFlight) == 0 {
                    return Ok(true);
                }
                // Whoever is left waits for a call or a receipt: nothing that this loop could bring about.
                for channel in Channel::ALL {
                    if self.store.next_due(*campaign, channel).await?.is_some() {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }
}

/// An error with its sources, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

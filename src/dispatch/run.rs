//! The loop itself.

use super::breaker::Leave;
use super::claim::Route;
use super::heart::{Heart, LEASE, Time};
use super::live::Live;
use super::pulse::Pulse;
use super::record::Back;
use super::{Carried, Carrier, Job, RoutePlan};
use crate::model::channel::Channel;
use crate::model::notice::NoticeId;
use crate::model::outcome::{Class, Outcome};
use crate::model::time::{Micros, SECOND};
use crate::store::{Store, StoreError};
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
/// Where more outcomes than `FEW` are waited for, they are looked at this often.
const DOZE: Duration = Duration::from_millis(1);
const FEW: usize = 16;
/// Longest sleep when nothing is due.
const NAP: Duration = Duration::from_millis(500);

/// Longest pause between two tries of a service whose database does not answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long a run that ends by itself waits for a database that does not answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// A run that ends by itself stays for a route that rests no longer than this.
const SHORT_REST: Micros = 5 * SECOND;

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
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) looked: Option<Instant>,
    pub(super) rated: Instant,
    /// The last step recorded or started something.
    worked: bool,
    /// Notices of a worker before this one may still stand as `sending`.
    pub(super) orphans_left: bool,
    /// What this worker itself has on its way.
    pub(super) hands: HashSet<(i64, NoticeId)>,
    /// Turns so far; the campaigns take turns at being first.
    pub(super) turns: usize,
    pub(super) time: Arc<Time>,
    /// How long it may be silent.
    pub(super) lease: Duration,
    /// This worker in the database; none before it runs.
    pub(super) heart: Option<Heart>,
    /// What others in this process see of it.
    pub(super) pulse: Pulse,
    /// When others were last asked for signs of life.
    pub(super) checked: Instant,
    /// A commit ended without an answer: notices may be ours that are not in our hands.
    pub(super) in_doubt: bool,
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
            worked: false,
            orphans_left: true,
            hands: HashSet::new(),
            turns: 0,
            time: Arc::new(Time::new(clock)),
            lease: LEASE,
            heart: None,
            pulse: Pulse::default(),
            checked: Instant::now(),
            in_doubt: false,
        }
    }

    /// A worker that may be silent for another time than usual before others take over.
    #[must_use]
    pub fn leased_for(mut self, lease: Duration) -> Dispatcher<C> {
        self.lease = lease;
        self
    }

    /// A worker that shows how it is to whoever has the other end.
    #[must_use]
    pub fn shown_by(mut self, pulse: Pulse) -> Dispatcher<C> {
        self.pulse = pulse;
        self
    }

    /// Sends until the end that `until` names.
    pub async fn run(&mut self, until: Until) -> Result<End, StoreError> {
        let heart = self.begin(&until).await?;
        self.pulse.beats(&heart.lease);
        self.heart = Some(heart);
        let end = self.work(until).await;
        self.pulse.drains();
        if let Some(heart) = self.heart.take() {
            heart.stop(&self.store).await;
        }
        end
    }

    /// Registers this worker, as soon as the database lets it.
    async fn begin(&mut self, until: &Until) -> Result<Heart, StoreError> {
        let begun = Instant::now();
        loop {
            match Heart::start(&self.store, &self.time, self.lease).await {
                Err(error) if error.passes() && (*until == Until::Stopped || begun.elapsed() < PATIENCE) => {
                    tracing::error!(error = %chain(&error), "the database does not answer; trying again");
                    tokio::select! {
                        () = tokio::time::sleep(NAP) => {}
                        () = asked_to_stop(&mut self.stop) => return Err(error),
                    }
                }
                begun => return begun,
            }
        }
    }

    async fn work(&mut self, until: Until) -> Result<End, StoreError> {
        let mut pause = NAP;
        let mut answered = Instant::now();
        loop {
            if *self.stop.borrow_and_update() {
                return self.drain().await;
            }
            match self.step(&until).await {
                Ok(true) => return Ok(End::Done),
                Ok(false) => (pause, answered) = (NAP, Instant::now()),
                Err(error) if matches!(error, StoreError::Newer { .. }) => {
                    // The tables were right a moment ago: what is on the wire is most likely still understood.
                    drop(tokio::time::timeout(PATIENCE, self.drain()).await);
                    return Err(error);
                }
                Err(error)
                    if self.in_flight() == 0
                        && until != Until::Stopped
                        && !(error.passes() && answered.elapsed() < PATIENCE) =>
                {
                    return Err(error);
                }
                Err(error) => {
                    // Outcomes are still to come and must be recorded, or this is a service: wait for the database.
                    tracing::error!(error = %chain(&error), "the database does not answer; trying again");
                    let longest = if self.in_flight() == 0 { LONGEST_PAUSE } else { NAP };
                    tokio::select! {
                        () = tokio::time::sleep(pause.min(longest)) => {}
                        () = asked_to_stop(&mut self.stop) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// One round; true when the end that `until` names is reached.
    async fn step(&mut self, until: &Until) -> Result<bool, StoreError> {
        self.look_at_workers().await?;
        self.look_at_campaigns().await?;
        // Whoever has just recorded the last outcome need not sleep on it.
        if std::mem::take(&mut self.worked) && self.in_flight() == 0 && self.ends(until).await? {
            self.tell_health(true).await?;
            return Ok(true);
        }
        let backs = self.gather().await;
        let recorded = !backs.is_empty();
        let started = self.turn(backs).await?;
        self.tell_health(false).await?;
        self.worked = recorded || started > 0;
        if self.worked || self.in_flight() > 0 || !self.ends(until).await? {
            return Ok(false);
        }
        self.tell_health(true).await?;
        Ok(true)
    }

    /// Turns so far in which notices were looked for: what an idle worker must not waste.
    pub fn turns(&self) -> usize {
        self.turns
    }

    pub(super) fn in_flight(&self) -> usize {
        self.routes.iter().map(|r| r.in_flight).sum()
    }

    /// Nothing new is taken; what is on the wire ends, the rest is given back.
    async fn drain(&mut self) -> Result<End, StoreError> {
        self.stopping.store(true, Ordering::Relaxed);
        self.pulse.drains();
        // What waits for room behind what is on the wire is given back now, not after it.
        self.routes.iter().for_each(|route| route.permits.close());
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
        let draining = self.stopping.load(Ordering::Relaxed);
        tokio::select! {
            first = self.back.1.recv() => backs.extend(first),
            () = tokio::time::sleep(idle) => return backs,
            () = asked_to_stop(&mut self.stop), if !draining => return backs,
        }
        let enough = (self.in_flight() / 2).clamp(1, BATCH);
        let deadline = Instant::now() + LINGER;
        while backs.len() < BATCH {
            match self.back.1.try_recv() {
                Ok(back) => backs.push(back),
                Err(_) if backs.len() >= enough || Instant::now() >= deadline => break,
                // Not woken for every single outcome where many come: that costs them more than it brings.
                Err(_) if enough > FEW => tokio::time::sleep(DOZE).await,
                Err(_) => match tokio::time::timeout_at(deadline, self.back.1.recv()).await {
                    Ok(Some(back)) => backs.push(back),
                    _ => break,
                },
            }
        }
        backs
    }

    fn idle_time(&self) -> Duration {
        if self.stopping.load(Ordering::Relaxed) {
            return NAP;
        }
        if self.orphans_left {
            return Duration::ZERO;
        }
        let now = self.time.now();
        let running = || self.live.values().filter(|l| l.running);
        if running().any(|l| l.planned < l.last_person) && self.in_flight() == 0 {
            // On a shared database another worker may be planning.
            return if self.store.is_shared() { Duration::from_millis(10) } else { Duration::ZERO };
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

    pub(super) fn start(&mut self, job: Job) {
        self.hands.insert((job.campaign, job.due.notice));
        if let Some(live) = self.live.get_mut(&job.campaign) {
            live.in_flight += 1;
        }
        let at_work = &mut self.routes[job.route];
        let leave = at_work.leave(job.started_at);
        let probe = leave == Leave::Probe;
        if probe {
            at_work.breaker.probe_sent();
        }
        if leave == Leave::Free {
            at_work.rests.set(false);
        }
        let lease = job.lease.clone();
        let (permits, rests) = (at_work.permits.clone(), at_work.rests.clone());
        let (carrier, sender) = (self.carrier.clone(), self.back.0.clone());
        tokio::spawn(async move {
            let (campaign, worker, route, due, attempt) =
                (job.campaign, job.worker, job.route, job.due.clone(), job.attempt);
            let carried = async {
                let not_sent = |code: &str, text: &str| Carried::from(Outcome::new(Class::NotSent, code, text));
                let Ok(place) = permits.acquire_owned().await else {
                    return not_sent("halted", "stopped before sending");
                };
                // What waited behind others learns here what they found out.
                if rests.get() && !probe {
                    return not_sent("route-rests", "its route rests; it goes back unharmed");
                }
                if job.halted.load(Ordering::Relaxed) || job.stopping.load(Ordering::Relaxed) {
                    return not_sent("halted", "paused or stopped before sending");
                }
                if !lease.holds(std::time::Instant::now()) {
                    return not_sent("lease-ended", "the worker lost touch with the database");
                }
                let carried = carrier.carry(job, place).await;
                rests.note(carried.outcome.class);
                carried
            };
            let carried = std::panic::AssertUnwindSafe(carried).catch_unwind().await.unwrap_or_else(|_| {
                let text = "a fault in forewarn ended this attempt; please report it";
                Outcome::new(Class::Unknown, "fault", text).into()
            });
            let Carried { outcome, proof } = carried;
            if sender.send(Back { campaign, worker, route, due, attempt, outcome, proof }).is_err() {
                tracing::debug!("the worker ended before an outcome came back");
            }
        });
    }

    /// Whether notices are with other workers; what those leave behind falls due when their leases run out.
    async fn others_are_sending(&self) -> Result<bool, StoreError> {
        for live in self.live.values().filter(|l| l.running) {
            if self.store.sums(live.no).await?.notice(crate::model::notice::NoticeState::Sending) > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn ends(&mut self, until: &Until) -> Result<bool, StoreError> {
        let now = self.time.now();
        if self.orphans_left || self.live.values().any(|l| l.running && l.planned < l.last_person) {
            return Ok(false);
        }
        if *until != Until::Stopped && self.store.is_shared() && self.others_are_sending().await? {
            return Ok(false);
        }
        match until {
            Until::Stopped => Ok(false),
            Until::NothingDue => {
                for live in self.live.values().filter(|l| l.running) {
                    for channel in Channel::ALL {
                        let usable =
                            self.routes.iter().any(|r| r.plan.channel == channel && r.usable_within(now, SHORT_REST));
                        let due = self.store.next_due(live.no, channel).await?;
                        if usable && due.is_some_and(|at| at <= now + SECOND) {
                            return Ok(false);
                        }
                    }
                }
                Ok(true)
            }
            Until::Settled(campaign) => {
                if !self.live.get(campaign).is_some_and(|l| l.running) {
                    return Ok(true);
                }
                // Asked of the notices, not of the persons: somebody who was told may have a step coming that is taken
                // in any case, and whoever is in flight with nothing due waits for a call or a receipt.
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

impl<C: Carrier> Drop for Dispatcher<C> {
    /// Nobody records any more: what is not on the wire yet must not get there.
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

/// Waits until the worker is asked to stop; for ever, once nobody is left to ask.
async fn asked_to_stop(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// An error with its sources, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

//! Which notices each route takes in this turn.

use super::breaker::{Breaker, Leave};
use super::limiter::{Schedule, margin};
use super::live::Live;
use super::share::{Offer, deal};
use super::{Carrier, Job, RoutePlan};
use crate::model::channel::Channel;
use crate::model::time::{Micros, SECOND};
use crate::store::claim::Due;
use crate::store::{StoreError, Tx};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Notices are claimed only when their slot lies this near, so that a pause takes hold within a second.
const HORIZON: Micros = SECOND;
/// Longest stay of a notice with a worker: every adapter's own limits are shorter.
const LEASE: Micros = 30 * 60 * SECOND;

/// A route at work.
pub(super) struct Route {
    pub plan: RoutePlan,
    pub breaker: Breaker,
    pub in_flight: usize,
    /// Notices it was given, for its share.
    pub given: u64,
    pub permits: Arc<Semaphore>,
    /// Accepted since the rate was last worked out.
    pub accepted: u64,
    pub per_second: f64,
    /// What the store was last told of its health.
    pub told: Option<(String, Option<Micros>)>,
}

impl Route {
    pub(super) fn new(plan: RoutePlan) -> Route {
        let permits = Arc::new(Semaphore::new(plan.concurrency.max(1)));
        Route {
            plan,
            breaker: Breaker::default(),
            in_flight: 0,
            given: 0,
            permits,
            accepted: 0,
            per_second: 0.0,
            told: None,
        }
    }

    /// Claimed and not yet ended notices at most: enough that no connection waits for the next commit, few enough that
    /// a crash leaves little in doubt. Where an unknown notice would land on a human's desk, no more than are on the
    /// wire and one each behind them.
    fn window(&self) -> usize {
        match self.plan.channel {
            Channel::Email => (self.plan.concurrency * 16).clamp(16, 1024),
            Channel::Sms | Channel::Phone => self.plan.concurrency * 2,
        }
    }

    fn free(&self, now: Micros) -> usize {
        match self.breaker.leave(now) {
            Leave::Free => self.window().saturating_sub(self.in_flight),
            Leave::Probe => usize::from(self.in_flight == 0),
            Leave::Rest { .. } => 0,
        }
    }

    pub(super) fn usable(&self, now: Micros) -> bool {
        !matches!(self.breaker.leave(now), Leave::Rest { .. })
    }
}

/// The moment all slots of a turn are reckoned from, on both clocks.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub now: Micros,
    pub instant: Instant,
}

impl Moment {
    fn instant_of(&self, at: Micros) -> Instant {
        self.instant + Duration::from_micros(u64::try_from(at - self.now).unwrap_or(0))
    }
}

/// Claims for every route of the channel from one campaign; the jobs are to be started once the transaction is
/// committed.
pub(super) async fn claim<C: Carrier>(
    tx: &mut Tx<'_>,
    carrier: &C,
    routes: &mut [Route],
    live: &Live,
    channel: Channel,
    moment: Moment,
    stopping: &Arc<AtomicBool>,
) -> Result<Vec<Job>, StoreError> {
    let of_channel: Vec<usize> = (0..routes.len()).filter(|i| routes[*i].plan.channel == channel).collect();
    let offers: Vec<Offer> = of_channel
        .iter()
        .map(|i| {
            let route = &routes[*i];
            Offer { free: route.free(moment.now), weight: route.plan.weight, given: route.given }
        })
        .collect();
    let total: usize = offers.iter().map(|o| o.free).sum();
    let weighted_usable = of_channel.iter().any(|i| routes[*i].plan.weight > 0 && routes[*i].usable(moment.now));
    let mut jobs = Vec::new();
    for (i, wanted) in of_channel.into_iter().zip(deal(total, &offers, weighted_usable)) {
        if wanted > 0 {
            let taken = claim_for_route(tx, carrier, &routes[i].plan, live, wanted, moment).await?;
            let route = &mut routes[i];
            route.in_flight += taken.len();
            route.given += taken.len() as u64;
            jobs.extend(taken.into_iter().map(|(due, slot)| Job {
                campaign: live.no,
                route: i,
                attempt: due.attempts + 1,
                due,
                started_at: moment.now,
                slot,
                halted: live.halted.clone(),
                stopping: stopping.clone(),
            }));
        }
    }
    Ok(jobs)
}

type Taken = (Due, Option<(Instant, Duration)>);

async fn claim_for_route<C: Carrier>(
    tx: &mut Tx<'_>,
    carrier: &C,
    route: &RoutePlan,
    live: &Live,
    wanted: usize,
    moment: Moment,
) -> Result<Vec<Taken>, StoreError> {
    let now = moment.now;
    let mut schedule = match route.limits.is_empty() {
        true => None,
        false => Some(Schedule::read(&tx.schedule(&route.name, "").await?, &route.limits)),
    };
    let wanted = match &schedule {
        Some(s) => s.clone().reserve(wanted, now, now + HORIZON, &route.limits).len(),
        None => wanted,
    };
    if wanted == 0 {
        return Ok(Vec::new());
    }
    let due = tx.due(live.no, route.channel, now, wanted).await?;
    let due = within_domain_limits(tx, carrier, route, live.no, due, now).await?;
    let slots: Vec<Option<(Instant, Duration)>> = match &mut schedule {
        Some(s) => {
            let late = Duration::from_micros(margin(&route.limits) as u64 / 2);
            let slots = s.reserve(due.len(), now, now + HORIZON, &route.limits);
            slots.into_iter().map(|at| Some((moment.instant_of(at), late))).collect()
        }
        None => vec![None; due.len()],
    };
    let taken: Vec<Taken> = due.into_iter().zip(slots).collect();
    if let Some(s) = schedule.filter(|_| !taken.is_empty()) {
        tx.set_schedule(&route.name, "", &s.print()).await?;
    }
    if !taken.is_empty() {
        let notices: Vec<&Due> = taken.iter().map(|(due, _)| due).collect();
        tx.mark_sending(live.no, (&route.name, &route.provider), &notices, now, now + LEASE).await?;
    }
    Ok(taken)
}

/// Keeps the notices whose domain has room now; puts the others off to where room is foreseen. The foreseen moment is a
/// guess that spares looking at them again and again: the limit itself is asked anew when they fall due.
async fn within_domain_limits<C: Carrier>(
    tx: &mut Tx<'_>,
    carrier: &C,
    route: &RoutePlan,
    campaign: i64,
    due: Vec<Due>,
    now: Micros,
) -> Result<Vec<Due>, StoreError> {
    if route.domain_limits.is_empty() {
        return Ok(due);
    }
    let mut lanes: std::collections::BTreeMap<&str, (Schedule, Schedule, [super::limiter::Window; 1])> =
        std::collections::BTreeMap::new();
    let mut kept = Vec::with_capacity(due.len());
    let mut postponed = Vec::new();
    for notice in due {
        let domain = carrier.domain(campaign, &notice);
        let limit = route.domain_limits.iter().find(|(d, _)| Some(d) == domain.as_ref());
        let Some((domain, window)) = limit else {
            kept.push(notice);
            continue;
        };
        if !lanes.contains_key(domain.as_str()) {
            let windows = [*window];
            let real = Schedule::read(&tx.schedule(&route.name, domain).await?, &windows);
            let guess = tx.schedule(&route.name, &format!("{domain} foreseen")).await?;
            lanes.insert(domain, (real, Schedule::read(&guess, &windows), windows));
        }
        let Some((real, foreseen, windows)) = lanes.get_mut(domain.as_str()) else { continue };
        // Within the horizon only: the route's own slot decides the exact moment.
        if real.reserve(1, now, now, windows.as_slice()).is_empty() {
            let from = real.next_slot(now, windows.as_slice());
            let at = foreseen.reserve(1, from, Micros::MAX / 4, windows.as_slice());
            postponed.push((notice.notice, at.first().copied().unwrap_or(from)));
        } else {
            kept.push(notice);
        }
    }
    for (domain, (real, foreseen, _)) in lanes {
        tx.set_schedule(&route.name, domain, &real.print()).await?;
        tx.set_schedule(&route.name, &format!("{domain} foreseen"), &foreseen.print()).await?;
    }
    tx.postpone(campaign, &postponed).await?;
    Ok(kept)
}

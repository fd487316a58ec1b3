//! Which notices each route takes in this turn.

use super::breaker::{Breaker, ENOUGH, Leave};
use super::heart::Heart;
use super::lane::Lane;
use super::limiter::{Schedule, Window, lateness};
use super::live::Live;
use super::share::{Offer, deal};
use super::{Carrier, Job, RoutePlan};
use crate::model::channel::Channel;
use crate::model::incident::OnUnknown;
use crate::model::notice::{NoticeId, NoticeState};
use crate::model::outcome::Class;
use crate::model::time::{HOUR, Micros, SECOND};
use crate::store::claim::Due;
use crate::store::leaf::Head;
use crate::store::{StoreError, Tx};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Notices are claimed only when their slot lies this near, so that a pause takes hold within a second.
const HORIZON: Micros = SECOND;
/// How long a notice waits at a time while its provider is being asked about it, and how long it does so at most: nobody
/// is forgotten over a question.
const QUESTION: Micros = 2 * SECOND;
const LONGEST_QUESTION: Micros = 6 * HOUR;
/// A route at work.
pub(super) struct Route {
    pub plan: RoutePlan,
    pub breaker: Breaker,
    pub in_flight: usize,
    /// Notices it was given, for its share.
    pub given: u64,
    pub permits: Arc<Semaphore>,
    /// Known to those who wait for their turn.
    pub rests: Arc<Rests>,
    /// For each limited domain, the latest of its slots that a notice was told to wait for.
    pub near: BTreeMap<String, Micros>,
    /// How far ahead slots are asked for, since those nearer by were missed: see [`lead_after`](super::limiter::lead_after).
    pub lead: Micros,
    /// Accepted since the rate was last worked out.
    pub accepted: u64,
    pub per_second: f64,
    /// What the store was last told of its health.
    pub told: Option<(String, Option<Micros>)>,
    /// A person told it to rest until then.
    pub suspended: Micros,
    /// Domains that a person told to rest, and until when; the same for all routes of email.
    pub rested_domains: Arc<BTreeMap<String, Micros>>,
}

/// What notices that wait for their turn on a route learn from those before them, sooner than the loop does.
#[derive(Debug, Default)]
pub(super) struct Rests {
    /// The breaker lets nothing through, or is about to.
    now: AtomicBool,
    refused_in_a_row: AtomicUsize,
}

impl Rests {
    pub(super) fn get(&self) -> bool {
        self.now.load(Ordering::Relaxed)
    }

    /// The loop's own, final word.
    pub(super) fn set(&self, rests: bool) {
        self.now.store(rests, Ordering::Relaxed);
    }

    pub(super) fn note(&self, class: Class) {
        if class == Class::RouteBroken {
            let before = self.refused_in_a_row.fetch_add(1, Ordering::Relaxed);
            self.now.fetch_or(before + 1 >= ENOUGH, Ordering::Relaxed);
        } else {
            self.refused_in_a_row.store(0, Ordering::Relaxed);
            self.now.fetch_or(class == Class::Throttled, Ordering::Relaxed);
        }
    }
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
            rests: Arc::default(),
            near: BTreeMap::new(),
            lead: 0,
            accepted: 0,
            per_second: 0.0,
            told: None,
            suspended: 0,
            rested_domains: Arc::default(),
        }
    }

    /// What its breaker and the people who watch over it allow.
    pub(super) fn leave(&self, now: Micros) -> Leave {
        if now < self.suspended { Leave::Rest { until: self.suspended } } else { self.breaker.leave(now) }
    }

    /// Claimed and not yet ended notices at most: enough that no connection waits for the next commit, few enough that
    /// a crash leaves little in doubt. Where an unknown notice would land on a human's desk, because it may neither be
    /// repeated nor is known again by its key, no more than are on the wire and one each behind them.
    fn window(&self) -> usize {
        if !self.plan.limits.is_empty() || !self.plan.domain_limits.is_empty() {
            // A slot is reserved for a moment: whoever has one must not wait behind others.
            return self.plan.concurrency;
        }
        let window = match self.plan.channel {
            Channel::Sms | Channel::Phone if !self.plan.idempotent => self.plan.concurrency * 2,
            Channel::Email | Channel::Sms | Channel::Phone => (self.plan.concurrency * 16).clamp(16, 1024),
        };
        self.breaker.most(window, self.plan.concurrency)
    }

    fn free(&self, now: Micros) -> usize {
        match self.leave(now) {
            Leave::Free => self.window().saturating_sub(self.in_flight),
            Leave::Probe => usize::from(self.in_flight == 0),
            Leave::Rest { .. } => 0,
        }
    }

    /// Whether it can be used now or after a short rest.
    pub(super) fn usable_within(&self, now: Micros, rest: Micros) -> bool {
        match self.leave(now) {
            Leave::Rest { until } => until <= now + rest,
            Leave::Free | Leave::Probe => self.usable(now),
        }
    }

    /// When to ask again whether it has room.
    fn again_at(&self, now: Micros) -> Micros {
        match self.leave(now) {
            Leave::Rest { until } => until,
            Leave::Free | Leave::Probe => now + SECOND / 10,
        }
    }

    pub(super) fn usable(&self, now: Micros) -> bool {
        match self.leave(now) {
            Leave::Free => true,
            Leave::Probe => self.in_flight == 0,
            Leave::Rest { .. } => false,
        }
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

/// What a campaign got on a channel in this turn.
pub(super) struct Claimed {
    pub jobs: Vec<Job>,
    /// Some were put off, so that others may have come to the front.
    pub postponed: bool,
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
    (heart, stopping): (&Heart, &Arc<AtomicBool>),
) -> Result<Claimed, StoreError> {
    let mut claimed = Claimed { jobs: Vec::new(), postponed: false };
    let of_channel: Vec<usize> = (0..routes.len()).filter(|i| routes[*i].plan.channel == channel).collect();
    let weighted_usable = of_channel.iter().any(|i| routes[*i].plan.weight > 0 && routes[*i].usable(moment.now));
    let mut offers = Vec::new();
    let mut schedules = Vec::new();
    for i in &of_channel {
        let route = &routes[*i];
        let stands_by = route.plan.weight == 0 && weighted_usable;
        let free = if stands_by { 0 } else { route.free(moment.now) };
        let (schedule, free) = room(tx, route, free, moment.now).await?;
        offers.push(Offer { free, weight: route.plan.weight, given: route.given });
        schedules.push(schedule);
    }
    let total: usize = offers.iter().map(|o| o.free).sum();
    if total == 0 {
        return Ok(claimed);
    }
    let head = tx.head();
    let due = tx.due(live.no, channel, moment.now, total).await?;
    let (due, doubted) = not_in_question(tx, routes, live.no, due, moment.now).await?;
    tx.postpone(live.no, &doubted).await?;
    claimed.postponed |= !doubted.is_empty();
    let (shares, put_off) = shares(due, routes, &of_channel, offers, weighted_usable, live, moment.now);
    tx.postpone(live.no, &put_off).await?;
    claimed.postponed |= !put_off.is_empty();
    for ((i, share), schedule) in of_channel.into_iter().zip(shares).zip(schedules) {
        if share.is_empty() {
            continue;
        }
        let (taken, postponed) =
            claim_for_route(tx, carrier, &mut routes[i], live, share, (schedule, heart.worker, head), moment).await?;
        claimed.postponed |= postponed;
        let route = &mut routes[i];
        route.in_flight += taken.len();
        route.given += taken.len() as u64;
        claimed.jobs.extend(taken.into_iter().map(|(due, slot)| Job {
            head,
            campaign: live.no,
            route: i,
            attempt: due.attempts + 1,
            due,
            started_at: moment.now,
            slot,
            halted: live.halted.clone(),
            stopping: stopping.clone(),
            worker: heart.worker,
            lease: heart.lease.clone(),
        }));
    }
    Ok(claimed)
}

/// Without the notices whose provider is to be asked first whether it has them; until when those wait.
async fn not_in_question(
    tx: &mut Tx<'_>,
    routes: &[Route],
    campaign: i64,
    mut due: Vec<Due>,
    now: Micros,
) -> Result<(Vec<Due>, Vec<(NoticeId, Micros)>), StoreError> {
    let in_doubt = due.iter().filter(|d| d.state == NoticeState::Unknown).map(|d| d.notice);
    let in_doubt: Vec<NoticeId> = in_doubt.filter(|_| routes.iter().any(|r| r.plan.looks_up)).collect();
    if in_doubt.is_empty() {
        return Ok((due, Vec::new()));
    }
    let looks_up = |name: &str| routes.iter().any(|r| r.plan.looks_up && r.plan.name == name);
    let unasked = tx.unasked(campaign, &in_doubt, now - LONGEST_QUESTION).await?;
    let unasked: HashSet<NoticeId> =
        unasked.into_iter().filter(|(_, route)| looks_up(route)).map(|(notice, _)| notice).collect();
    due.retain(|d| !unasked.contains(&d.notice));
    Ok((due, unasked.into_iter().map(|notice| (notice, now + QUESTION)).collect()))
}

/// What each route gets, and what must wait for its own one. A notice in doubt that must not go out twice goes back to
/// the route that tried it: only there it is known again by its key.
fn shares(
    due: Vec<Due>,
    routes: &[Route],
    of_channel: &[usize],
    mut offers: Vec<Offer>,
    weighted_usable: bool,
    live: &Live,
    now: Micros,
) -> (Vec<Vec<Due>>, Vec<(NoticeId, Micros)>) {
    let mut shares: Vec<Vec<Due>> = of_channel.iter().map(|_| Vec::new()).collect();
    let (mut anywhere, mut put_off) = (Vec::with_capacity(due.len()), Vec::new());
    for notice in due {
        let own = of_channel.iter().position(|i| {
            let plan = &routes[*i].plan;
            notice.state == NoticeState::Unknown
                && plan.name == notice.route
                && live.plan.on_unknown(plan.channel) == OnUnknown::Hold
        });
        match own {
            None => anywhere.push(notice),
            Some(at) if shares[at].len() < offers[at].free => shares[at].push(notice),
            Some(at) => put_off.push((notice.notice, routes[of_channel[at]].again_at(now))),
        }
    }
    for (share, offer) in shares.iter().zip(&mut offers) {
        offer.free -= share.len();
        offer.given += share.len() as u64;
    }
    let dealt = deal(anywhere.len(), &offers, weighted_usable);
    for (share, wanted) in shares.iter_mut().zip(dealt) {
        let rest = anywhere.split_off(wanted.min(anywhere.len()));
        share.append(&mut std::mem::replace(&mut anywhere, rest));
    }
    (shares, put_off)
}

/// The route's schedule, where it has limits, and how many of the `free` places it leaves within the horizon.
async fn room(
    tx: &mut Tx<'_>,
    route: &Route,
    free: usize,
    now: Micros,
) -> Result<(Option<Schedule>, usize), StoreError> {
    let (lead, route) = (route.lead, &route.plan);
    if free == 0 || (route.limits.is_empty() && route.domain_limits.is_empty()) {
        return Ok((None, free));
    }
    // Also where only domains are limited: whoever holds this row may take the others in any order.
    let kept = tx.schedule(&route.name, "").await?;
    if route.limits.is_empty() {
        return Ok((None, free));
    }
    let schedule = Schedule::read(&kept, &route.limits).as_of(now);
    let room = schedule.clone().reserve(free, now + lead, now + HORIZON, &route.limits).len();
    Ok((Some(schedule), room))
}

type Taken = (Due, Option<(Instant, Duration)>);

async fn claim_for_route<C: Carrier>(
    tx: &mut Tx<'_>,
    carrier: &C,
    route: &mut Route,
    live: &Live,
    due: Vec<Due>,
    (mut schedule, worker, head): (Option<Schedule>, i64, Option<Head>),
    moment: Moment,
) -> Result<(Vec<Taken>, bool), StoreError> {
    let (now, earliest) = (moment.now, moment.now + route.lead);
    let plan = &route.plan;
    let mut lanes: BTreeMap<&str, Lane> = BTreeMap::new();
    let mut taken: Vec<Taken> = Vec::with_capacity(due.len());
    let mut postponed = Vec::new();
    for mut notice in due {
        if let Some(until) = rested_until(route, carrier, live.no, &notice) {
            postponed.push((notice.notice, until));
            continue;
        }
        let at = schedule.as_ref().map_or(earliest, |s| s.next_slot(earliest, &plan.limits));
        let mut late = schedule.as_ref().map(|_| lateness(&plan.limits));
        if let Some((domain, window)) = domain_limit(plan, carrier, live.no, &notice) {
            if !lanes.contains_key(domain) {
                lanes.insert(domain, Lane::read(tx, &plan.name, domain, window, now).await?);
            }
            let Some(lane) = lanes.get_mut(domain) else { continue };
            if !lane.take(at) {
                let near = route.near.entry(domain.to_owned()).or_default();
                postponed.push((notice.notice, lane.put_off(at, near)));
                continue;
            }
            late = Some(late.map_or(lane.late(), |l| l.min(lane.late())));
        }
        if let Some(s) = &mut schedule {
            s.reserve(1, earliest, now + HORIZON, &plan.limits);
        }
        if notice.tries == 0 {
            notice.first_due = now;
        }
        let slot = late.map(|late| (moment.instant_of(at), Duration::from_micros(late.unsigned_abs())));
        taken.push((notice, slot));
    }
    for (domain, lane) in lanes {
        lane.write(tx, &plan.name, domain).await?;
    }
    tx.postpone(live.no, &postponed).await?;
    if !taken.is_empty() {
        if let Some(s) = schedule {
            tx.set_schedule(&plan.name, "", &s.print()).await?;
        }
        let notices: Vec<&Due> = taken.iter().map(|(due, _)| due).collect();
        tx.mark_sending(live.no, (&plan.name, &plan.provider), &notices, (worker, head), now).await?;
    }
    Ok((taken, !postponed.is_empty()))
}

/// When the rest of the domain ends that the notice goes to, if a person ordered one.
fn rested_until<C: Carrier>(route: &Route, carrier: &C, campaign: i64, notice: &Due) -> Option<Micros> {
    if route.rested_domains.is_empty() || route.plan.channel != Channel::Email {
        return None;
    }
    route.rested_domains.get(&carrier.domain(campaign, notice)?).copied()
}

/// The limit of the domain that the notice goes to, where the route has one.
fn domain_limit<'r, C: Carrier>(
    route: &'r RoutePlan,
    carrier: &C,
    campaign: i64,
    notice: &Due,
) -> Option<(&'r str, Window)> {
    if route.domain_limits.is_empty() {
        return None;
    }
    let domain = carrier.domain(campaign, notice)?;
    route.domain_limits.iter().find(|(d, _)| *d == domain).map(|(d, window)| (d.as_str(), *window))
}

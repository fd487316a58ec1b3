//! Reports that were taken in, brought to their notices.
//!
//! Invariants: a report is handled in the transaction that moves its notices, so that it is handled once however often
//! a process dies; what cannot find its notice yet waits, up to a day; nothing that a stranger wrote ends this loop. A
//! token of ours goes before the provider's id, and both count on the route only that sent the notice; a mailbox stands for
//! the routes whose notices come back there.

use super::{App, AppError};
use crate::dispatch::settle::{Matched, Settled, settle};
use crate::model::campaign::CampaignState;
use crate::model::incident::CampaignPlan;
use crate::model::ladder::Evidence;
use crate::model::notice::NoticeId;
use crate::model::overdue::Reporting;
use crate::model::receipt::Receipt;
use crate::model::time::{HOUR, MINUTE, Micros, SECOND};
use crate::store::mailbox::mailbox_of;
use crate::store::report::{DueReport, Handled, Looked};
use crate::store::settle::{KnownAs, Tried};
use crate::store::{StoreError, Tx};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Reports handled in one transaction.
const BATCH: usize = 500;
/// Waiting notices of a cancelled campaign called off after a batch.
const CANCELLED: usize = 5_000;
/// How long a report waits for an attempt that the provider calls as it does.
const PATIENCE: Micros = 24 * HOUR;
/// How soon it is looked at again, at the earliest and at the latest.
const SOON: Micros = SECOND / 4;
const SELDOM: Micros = 10 * MINUTE;
/// A notice in another's hands is free again by then.
const BUSY: Micros = SECOND / 10;
/// How often somebody looks who is not woken: reports may come in on another host.
const NAP: Duration = Duration::from_millis(500);
/// How long more are gathered once one has come: what comes in waits for the same disk, and a transaction costs nearly the
/// same for one report as for many.
const GATHER: Duration = Duration::from_millis(150);
/// After a database that does not answer.
const REST: Duration = Duration::from_secs(2);

/// What became of a report so far; the words of [`DueReport::progress`].
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Progress {
    /// The events that still wait, by their number in the report.
    w: Vec<usize>,
    /// The most telling outcome of the others.
    o: String,
}

/// Where an event belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Notice {
        campaign: i64,
        notice: NoticeId,
        attempt: i64,
        route: String,
    },
    /// Nobody's, for good.
    Nowhere,
    /// Perhaps an attempt's that has not ended.
    NotYet,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Ended(Handled),
    Waits(Micros),
}

/// The routes whose notices a report can be about.
enum From<'r> {
    Anywhere,
    Route(&'r str),
    Routes(&'r [String]),
}

impl From<'_> {
    fn covers(&self, route: &str) -> bool {
        match self {
            From::Anywhere => true,
            From::Route(one) => *one == route,
            From::Routes(some) => some.iter().any(|one| one == route),
        }
    }
}

/// The loop that handles reports; one in each worker.
pub(super) struct Handler {
    app: App,
    reporting: HashMap<String, Reporting>,
    plans: HashMap<i64, Arc<CampaignPlan>>,
    /// How many reports the next transaction takes: one, after a fault that one of them may have caused.
    most: usize,
}

impl Handler {
    pub(super) fn new(app: App, reporting: HashMap<String, Reporting>) -> Handler {
        Handler { app, reporting, plans: HashMap::new(), most: BATCH }
    }

    /// Handles what comes in, for ever.
    pub(super) async fn run(mut self) {
        let came = self.app.came.clone();
        loop {
            let rest = match self.handle_all().await {
                Ok(()) => NAP,
                Err(error) => {
                    tracing::warn!(error = %super::doctor::chain(&error), "reports wait to be handled; trying again");
                    REST
                }
            };
            // Not before the rest where there was trouble; woken where somebody took something in.
            if rest == REST {
                tokio::time::sleep(rest).await;
            } else if tokio::time::timeout(rest, came.notified()).await.is_ok() {
                tokio::time::sleep(GATHER).await;
            }
        }
    }

    /// Handles until nothing is due.
    pub(super) async fn handle_all(&mut self) -> Result<(), AppError> {
        loop {
            let now = jiff::Timestamp::now().as_microsecond();
            if self.app.store.next_report().await?.is_none_or(|at| at > now) {
                return Ok(());
            }
            match self.handle(now).await {
                // What has come since is gathered first.
                Ok(handled) if handled < self.most => return Ok(()),
                Ok(_) if self.most < BATCH => self.most = (self.most * 2).min(BATCH),
                Ok(_) => {}
                Err(error) if passes(&error) => return Err(error),
                Err(error) if self.most > 1 => {
                    tracing::error!(error = %super::doctor::chain(&error), "a batch of reports failed; now one by one");
                    self.most = 1;
                }
                Err(error) => self.put_off(now, &error).await?,
            }
        }
    }

    /// One that cannot be handled must not keep the others from it.
    async fn put_off(&mut self, now: Micros, error: &AppError) -> Result<(), AppError> {
        let store = self.app.store.clone();
        let mut tx = store.begin_beside().await?;
        let due = tx.due_reports(now, 1).await?;
        for report in &due {
            let error = super::doctor::chain(error);
            tracing::error!(report = report.id, route = report.sealed.route, error, "a report could not be handled");
            let wait = MINUTE.saturating_mul(1 << report.tries.min(10));
            let (tries, progress) = (report.tries.saturating_add(1), report.progress.clone());
            let waits = Looked::Waits { due: now.saturating_add(wait), tries, progress };
            tx.looked_at(&[(report, waits)], now).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Handles the reports that are due, up to a batch; how many there were.
    async fn handle(&mut self, now: Micros) -> Result<usize, AppError> {
        let store = self.app.store.clone();
        let mut tx = store.begin_beside().await?;
        let due = tx.due_reports(now, self.most).await?;
        let opened: Vec<Opened<'_>> = due.iter().map(|report| self.open(report)).collect();
        let places = self.places(&mut tx, &opened).await?;
        let fates = self.settle(&mut tx, &opened, places, now).await?;
        let mut looked = Vec::with_capacity(opened.len());
        for (report, fates) in opened.iter().zip(&fates) {
            looked.push((report.due, report.looked(fates)));
        }
        tx.looked_at(&looked, now).await?;
        tx.commit().await?;
        Ok(due.len())
    }

    fn open<'d>(&self, due: &'d DueReport) -> Opened<'d> {
        let before: Option<Progress> = serde_json::from_str(&due.progress).ok();
        let mut opened = Opened { due, waiting: Vec::new(), so_far: None, is_unreadable: false };
        match self.app.master.open_report(&due.sealed) {
            Ok(report) => {
                let all = report.receipts.into_iter().enumerate();
                opened.waiting = match &before {
                    None => all.collect(),
                    Some(progress) => all.filter(|(at, _)| progress.w.contains(at)).collect(),
                };
                opened.so_far = before.and_then(|p| Handled::parse(&p.o));
            }
            Err(error) => {
                tracing::error!(report = due.id, route = due.sealed.route, %error, "a kept report does not open");
                opened.is_unreadable = true;
            }
        }
        opened
    }

    /// Where each waiting event belongs; the campaigns concerned are held from now on.
    async fn places(&self, tx: &mut Tx<'_>, opened: &[Opened<'_>]) -> Result<Vec<Vec<Place>>, AppError> {
        let ids: BTreeSet<&str> = opened.iter().flat_map(|o| &o.waiting).filter_map(|(_, r)| self.id_of(r)).collect();
        let mut known: HashMap<String, Vec<KnownAs>> = HashMap::new();
        for found in tx.known_as(&ids).await? {
            known.entry(found.provider_id.clone()).or_default().push(found);
        }
        let mut notices: BTreeMap<i64, BTreeSet<NoticeId>> = BTreeMap::new();
        for (_, receipt) in opened.iter().flat_map(|o| &o.waiting) {
            if let Some((campaign, notice)) = self.named(receipt) {
                notices.entry(campaign).or_default().insert(notice);
            }
        }
        let campaigns: BTreeSet<i64> =
            notices.keys().copied().chain(known.values().flatten().map(|k| k.campaign)).collect();
        tx.hold_campaigns(campaigns.into_iter()).await?;
        let mut tried: HashMap<(i64, NoticeId), Vec<Tried>> = HashMap::new();
        for (campaign, notices) in &notices {
            for attempt in tx.attempts_of(*campaign, notices).await? {
                tried.entry((*campaign, attempt.notice)).or_default().push(attempt);
            }
        }
        let place = |from: &From<'_>, receipt: &Receipt| match self.named(receipt) {
            Some(named) => by_token(named, from, receipt, tried.get(&named).map_or(&[], Vec::as_slice)),
            None => by_id(from, receipt, self.id_of(receipt).and_then(|id| known.get(id)).map_or(&[], Vec::as_slice)),
        };
        let of_report = |o: &Opened<'_>| {
            let from = self.from(&o.due.sealed.route);
            o.waiting.iter().map(|(_, r)| place(&from, r)).collect()
        };
        Ok(opened.iter().map(of_report).collect())
    }

    /// Whose notices a report can be about that came in under this name.
    fn from<'r>(&'r self, came_to: &'r str) -> From<'r> {
        let Some(mailbox) = mailbox_of(came_to) else {
            return if came_to.is_empty() { From::Anywhere } else { From::Route(came_to) };
        };
        // One that is not configured any more reported while it was.
        match self.app.config.mailboxes.iter().find(|m| m.name == mailbox) {
            Some(mailbox) if !mailbox.routes.is_empty() => From::Routes(&mailbox.routes),
            Some(_) | None => From::Anywhere,
        }
    }

    /// The notice that the receipt's token names.
    fn named(&self, receipt: &Receipt) -> Option<(i64, NoticeId)> {
        self.app.master.read_token(receipt.token.as_deref()?)
    }

    /// The provider's id that it is looked for by.
    fn id_of<'r>(&self, receipt: &'r Receipt) -> Option<&'r str> {
        let id = receipt.provider_id.as_deref().filter(|id| !id.is_empty());
        id.filter(|_| self.named(receipt).is_none())
    }

    /// Applies the events that have a place, in the order in which they came; what became of all.
    async fn settle(
        &mut self,
        tx: &mut Tx<'_>,
        opened: &[Opened<'_>],
        places: Vec<Vec<Place>>,
        now: Micros,
    ) -> Result<Vec<Vec<Fate>>, AppError> {
        let mut fates: Vec<Vec<Fate>> =
            places.iter().map(|p| vec![Fate::Ended(Handled::NoSuchNotice); p.len()]).collect();
        /// What is applied together, and where each of it came from: report and event.
        type Batch = (Vec<Matched>, Vec<(usize, usize)>);
        let mut batches: BTreeMap<i64, Batch> = BTreeMap::new();
        for (at, (report, places)) in opened.iter().zip(places).enumerate() {
            for (n, ((_, receipt), place)) in report.waiting.iter().zip(places).enumerate() {
                match place {
                    Place::Nowhere => {}
                    Place::NotYet => fates[at][n] = report.patience(now),
                    Place::Notice { campaign, notice, attempt, route } => {
                        let (matched, from) = batches.entry(campaign).or_default();
                        let (receipt, received_at) = (receipt.clone(), report.due.received_at);
                        matched.push(Matched { notice, attempt, report: report.due.id, route, receipt, received_at });
                        from.push((at, n));
                    }
                }
            }
        }
        let states: HashMap<i64, CampaignState> = tx.campaign_states().await?.into_iter().collect();
        for (campaign, (matched, from)) in batches {
            let plan = self.plan(campaign).await?;
            let known = |route: &str| self.reporting.get(route).copied();
            let reporting = |route: &str| known(route).unwrap_or(Reporting::up_to(Evidence::Delivered));
            let settled = settle(tx, campaign, &plan, &reporting, matched, now).await?;
            // What followed may have been queued after the campaign was called off.
            if states.get(&campaign) == Some(&CampaignState::Cancelled) {
                tx.cancel_waiting(campaign, now, CANCELLED).await?;
            }
            for ((at, n), settled) in from.into_iter().zip(settled) {
                fates[at][n] = match settled {
                    Settled::Applied => Fate::Ended(Handled::Applied),
                    Settled::Late => Fate::Ended(Handled::Late),
                    Settled::Duplicate => Fate::Ended(Handled::Duplicate),
                    Settled::Busy => Fate::Waits(now + BUSY),
                };
            }
        }
        Ok(fates)
    }

    async fn plan(&mut self, campaign: i64) -> Result<Arc<CampaignPlan>, AppError> {
        if let Some(plan) = self.plans.get(&campaign) {
            return Ok(plan.clone());
        }
        let plan = Arc::new(self.app.plan_of(campaign).await?);
        self.plans.insert(campaign, plan.clone());
        Ok(plan)
    }
}

impl App {
    /// The policy of a campaign that has sent something, as approved: it does not change any more.
    pub(super) async fn plan_of(&self, no: i64) -> Result<CampaignPlan, AppError> {
        let campaign = self.store.campaigns().await?.into_iter().find(|c| c.no == no);
        let campaign = campaign.ok_or_else(|| AppError::NoCampaign(no.to_string()))?;
        let file = std::path::Path::new("the stored incident file");
        Ok(crate::incident_file::parse(file, &campaign.incident_file, i64::MAX / 2)?.value.campaign)
    }
}

fn passes(error: &AppError) -> bool {
    matches!(error, AppError::Store(error) if error.passes() || matches!(error, StoreError::Full { .. }))
}

/// The attempt of a notice that the receipt names by our token: the one that the provider calls as the receipt does, else
/// the last one by this route.
fn by_token((campaign, notice): (i64, NoticeId), from: &From<'_>, receipt: &Receipt, tried: &[Tried]) -> Place {
    let here = || tried.iter().rev().filter(|t| from.covers(&t.route));
    let id = receipt.provider_id.as_deref();
    let called =
        |t: &&Tried| id.is_some() && t.provider_id.as_deref().is_some_and(|p| p.split(' ').any(|p| Some(p) == id));
    match here().find(called).or_else(|| here().next()) {
        Some(t) => Place::Notice { campaign, notice, attempt: t.no, route: t.route.clone() },
        None => Place::Nowhere,
    }
}

fn by_id(from: &From<'_>, receipt: &Receipt, known: &[KnownAs]) -> Place {
    let mut here = known.iter().filter(|k| from.covers(&k.route));
    match (here.next(), here.next()) {
        (Some(k), None) => {
            Place::Notice { campaign: k.campaign, notice: k.notice, attempt: k.attempt, route: k.route.clone() }
        }
        // An id that stands for two messages names neither.
        (Some(_), Some(_)) => Place::Nowhere,
        // A token that is none of ours is somebody else's, who shares the account: that is not waited for.
        (None, _) if receipt.token.is_some() || receipt.provider_id.as_deref().is_none_or(str::is_empty) => {
            Place::Nowhere
        }
        (None, _) => Place::NotYet,
    }
}

/// A report with its events that still wait.
struct Opened<'d> {
    due: &'d DueReport,
    waiting: Vec<(usize, Receipt)>,
    /// The most telling outcome of those that do not wait any more.
    so_far: Option<Handled>,
    is_unreadable: bool,
}

impl Opened<'_> {
    /// How an event goes on waiting for its notice.
    fn patience(&self, now: Micros) -> Fate {
        let age = now.saturating_sub(self.due.received_at);
        if age >= PATIENCE {
            return Fate::Ended(Handled::NoSuchNotice);
        }
        Fate::Waits(now.saturating_add((age / 2).clamp(SOON, SELDOM)))
    }

    fn looked(&self, fates: &[Fate]) -> Looked {
        if self.is_unreadable {
            return Looked::Ended(Handled::Unreadable);
        }
        let ended = fates.iter().filter_map(|fate| match fate {
            Fate::Ended(handled) => Some(*handled),
            Fate::Waits(_) => None,
        });
        // In the order of how much they tell.
        let best = ended.chain(self.so_far).min().unwrap_or(Handled::Empty);
        let waits = |(fate, (at, _)): (&Fate, &(usize, Receipt))| match fate {
            Fate::Waits(until) => Some((*until, *at)),
            Fate::Ended(_) => None,
        };
        let waiting: Vec<(Micros, usize)> = fates.iter().zip(&self.waiting).filter_map(waits).collect();
        let Some(due) = waiting.iter().map(|(until, _)| *until).min() else { return Looked::Ended(best) };
        let so_far = if fates.len() == waiting.len() { self.so_far } else { Some(best) };
        let o = so_far.map_or("", Handled::as_str).to_owned();
        let progress = Progress { w: waiting.into_iter().map(|(_, at)| at).collect(), o };
        let progress = serde_json::to_string(&progress).unwrap_or_default();
        Looked::Waits { due, tries: self.due.tries.saturating_add(1), progress }
    }
}

//! Asking providers what became of notices that stand as unknown, and of those whose report is overdue.
//!
//! Invariants: what a provider knows of a notice goes the way of a report that it had sent by itself, so that there is
//! one policy; "never sent" queues a notice again only while it is the one thing in doubt. No transaction is open while
//! a provider is asked, and whoever dies meanwhile leaves a question that is asked again, never an effect that is had
//! twice. A notice that the policy would send again waits for the first answers (see [`Tx::unasked`]). A notice that the
//! provider took stays as it is, whatever it does not know of it. What is in doubt goes before what is overdue, and a route
//! that a person told to rest is not asked.
//!
//! [`Tx::unasked`]: crate::store::Tx::unasked

use super::carrier::{AdapterCarrier, OpenCampaign};
use super::doctor::chain;
use super::{App, AppError};
use crate::dispatch::RoutePlan;
use crate::model::campaign::CampaignState;
use crate::model::overdue;
use crate::model::receipt::Event;
use crate::model::suspension::of_route;
use crate::model::time::{HOUR, MINUTE, Micros, SECOND};
use crate::providers::lookup::LookUp;
use crate::store::reconcile::Doubt;
use crate::vault::{RawReport, SealedReport};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Questions to one route within `TURN`, by all workers together.
const AT_ONCE: usize = 3;
const TURN: Micros = SECOND;
/// How often somebody looks whether there is a doubt.
const NAP: Duration = Duration::from_secs(1);
/// After a database that does not answer.
const REST: Duration = Duration::from_secs(5);
/// By then a question that nobody finished is asked again.
const UNFINISHED: Micros = 5 * MINUTE;
/// How soon it is asked again, at the earliest and at the latest.
const SOON: Micros = 15 * SECOND;
const SELDOM: Micros = HOUR;
/// Answers that say nothing, after which the policy may send again where it would.
const ENOUGH: u32 = 3;

/// The loop that asks one route; one for each route that can be asked in each worker.
pub(super) struct Asker {
    app: App,
    carrier: Arc<AdapterCarrier>,
    /// Its number among the carrier's routes.
    route: usize,
    name: String,
    /// How long its reports are waited for; `None`: nobody waits for them.
    within: Option<Micros>,
    /// Campaigns at work; `None`: it does not open, which was said.
    open: HashMap<i64, Option<Arc<OpenCampaign>>>,
}

impl Asker {
    /// One for each route whose provider can be asked.
    pub(super) fn all(app: &App, carrier: &Arc<AdapterCarrier>) -> Vec<Asker> {
        let asker = |(route, plan): (usize, &RoutePlan)| Asker {
            app: app.clone(),
            carrier: carrier.clone(),
            route,
            name: plan.name.clone(),
            within: plan.within,
            open: HashMap::new(),
        };
        carrier.asked_routes().map(asker).collect()
    }

    /// Asks, for ever.
    pub(super) async fn run(mut self) {
        loop {
            let rest = match self.ask_some().await {
                Ok(()) => NAP,
                Err(error) => {
                    let error = chain(&error);
                    tracing::warn!(route = self.name, error, "doubts wait to be cleared up; trying again");
                    REST
                }
            };
            tokio::time::sleep(rest).await;
        }
    }

    /// Asks about a few notices, where there are any and nobody else asks.
    async fn ask_some(&mut self) -> Result<(), AppError> {
        for (doubt, tries) in self.take().await? {
            let Some(Some(open)) = self.open.get(&doubt.campaign).cloned() else { continue };
            let now = jiff::Timestamp::now().as_microsecond();
            let found = self.carrier.look_up(self.route, &open, &doubt, now).await;
            self.app.asked.count(&self.name, &found);
            match doubt.taken_at.zip(self.within) {
                None => self.conclude(&open, &doubt, tries, found).await?,
                Some((taken, within)) => self.conclude_overdue(&open, &doubt, (taken, within), found).await?,
            }
        }
        Ok(())
    }

    /// The notices to ask about now, each with how often it was asked about, where that is counted.
    async fn take(&mut self) -> Result<Vec<(Doubt, u32)>, AppError> {
        let now = jiff::Timestamp::now().as_microsecond();
        if of_route(&self.app.store.suspensions(now).await?, &self.name).is_some() {
            return Ok(Vec::new());
        }
        let found = self.find(now).await?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let store = self.app.store.clone();
        let mut tx = store.begin_beside().await?;
        let mut taken = Vec::new();
        if tx.take_look_up_turn(&self.name, now, now.saturating_add(TURN)).await? {
            let until = now.saturating_add(UNFINISHED);
            for (no, doubts, overdue) in found {
                let tries = tx.take_doubts(no, &doubts, now, until).await?;
                taken.extend(doubts.into_iter().filter_map(|d| tries.get(&d.notice).map(|n| (d, *n))));
                let ours = tx.take_overdue(no, &overdue, now, until).await?;
                taken.extend(overdue.into_iter().filter(|d| ours.contains(&d.notice)).map(|d| (d, 0)));
            }
        }
        tx.commit().await?;
        Ok(taken)
    }

    /// By campaign what is in doubt and what is overdue, as many as may be asked about at once.
    async fn find(&mut self, now: Micros) -> Result<Vec<(i64, Vec<Doubt>, Vec<Doubt>)>, AppError> {
        let mut active = Vec::new();
        for (no, state) in self.app.store.campaign_states().await? {
            if matches!(state, CampaignState::Running | CampaignState::Paused) {
                active.push(no);
            } else {
                self.open.remove(&no);
            }
        }
        let (mut found, mut left) = (Vec::new(), AT_ONCE);
        for no in &active {
            let doubts = if left > 0 { self.app.store.doubts(*no, &self.name, now, left).await? } else { Vec::new() };
            if !doubts.is_empty() && self.opened(*no).await? {
                left -= doubts.len();
                found.push((*no, doubts, Vec::new()));
            }
        }
        for no in if self.within.is_some() { active } else { Vec::new() } {
            let overdue = if left > 0 { self.app.store.overdue(no, &self.name, now, left).await? } else { Vec::new() };
            if !overdue.is_empty() && self.opened(no).await? {
                left -= overdue.len();
                found.push((no, Vec::new(), overdue));
            }
        }
        Ok(found)
    }

    /// Opens a campaign, once; whether it is open.
    async fn opened(&mut self, no: i64) -> Result<bool, AppError> {
        if let Some(open) = self.open.get(&no) {
            return Ok(open.is_some());
        }
        let Some(campaign) = self.app.store.campaigns().await?.into_iter().find(|c| c.no == no) else {
            return Ok(false);
        };
        let open = match OpenCampaign::open(&self.app.master, &campaign) {
            Ok(open) => Some(Arc::new(open)),
            Err(problems) => {
                for problem in problems {
                    tracing::error!(campaign = campaign.id, code = problem.code, "{}", problem.message);
                }
                None
            }
        };
        Ok(self.open.entry(no).or_insert(open).is_some())
    }

    /// Writes down what the provider said.
    async fn conclude(
        &self,
        open: &OpenCampaign,
        doubt: &Doubt,
        tries: u32,
        found: Result<LookUp, String>,
    ) -> Result<(), AppError> {
        let now = jiff::Timestamp::now().as_microsecond();
        let report = self.report(open, doubt, &found, now)?;
        let store = self.app.store.clone();
        let mut tx = store.begin_beside().await?;
        tx.hold_campaigns([doubt.campaign].into_iter()).await?;
        let runs = |(no, state): &(i64, CampaignState)| {
            *no == doubt.campaign && matches!(state, CampaignState::Running | CampaignState::Paused)
        };
        let runs = tx.campaign_states().await?.iter().any(runs);
        let text = format!("route {} never had attempt {}; queued again", self.name, doubt.attempt);
        let cleared = matches!(found, Ok(LookUp::NotFound)) && runs && tx.clear_doubt(doubt, &text, now).await?;
        if let Some(report) = &report {
            tx.add_reports(std::slice::from_ref(report), now).await?;
        }
        let give_up = doubt.first_due.saturating_add(open.plan.give_up_after);
        let (due, free) = again(&found, tries, now, give_up);
        tx.ask_again(doubt, due, free).await?;
        tx.commit().await?;
        if report.is_some() {
            self.app.came.notify_one();
        }
        let (campaign, route, attempt, said) = (open.id.as_str(), self.name.as_str(), doubt.attempt, said(&found));
        tracing::debug!(campaign, route, attempt, tries, said, cleared, "a provider was asked about a notice in doubt");
        Ok(())
    }

    /// Writes down what the provider said of a notice whose report is overdue. What it does not know changes nothing.
    async fn conclude_overdue(
        &self,
        open: &OpenCampaign,
        doubt: &Doubt,
        (taken, within): (Micros, Micros),
        found: Result<LookUp, String>,
    ) -> Result<(), AppError> {
        let now = jiff::Timestamp::now().as_microsecond();
        let report = self.report(open, doubt, &found, now)?;
        let store = self.app.store.clone();
        let mut tx = store.begin_beside().await?;
        if let Some(report) = &report {
            tx.add_reports(std::slice::from_ref(report), now).await?;
        }
        // After the last question the wait ends, but not before what was found is handled.
        let moves = matches!(&found, Ok(LookUp::Found(receipt)) if receipt.event != Event::Progress);
        let ends = if moves { now.saturating_add(UNFINISHED) } else { now };
        let due = overdue::again(within, taken, now).unwrap_or(ends);
        tx.wait_until(doubt.campaign, &[(doubt.notice, due)]).await?;
        tx.commit().await?;
        if report.is_some() {
            self.app.came.notify_one();
        }
        let (campaign, route, attempt, said) = (open.id.as_str(), self.name.as_str(), doubt.attempt, said(&found));
        tracing::debug!(campaign, route, attempt, said, "a provider was asked about an overdue report");
        Ok(())
    }

    /// What the provider knows, in the form of a report that it had sent by itself.
    fn report(
        &self,
        open: &OpenCampaign,
        doubt: &Doubt,
        found: &Result<LookUp, String>,
        now: Micros,
    ) -> Result<Option<SealedReport>, AppError> {
        let Ok(LookUp::Found(receipt)) = found else { return Ok(None) };
        let raw = format!("look-up {} {} {now}", open.id, doubt.notice.0).into_bytes();
        let (route, came_as) = (self.name.clone(), "look-up".to_owned());
        let report = RawReport { route, came_as, raw, receipts: vec![receipt.clone()] };
        Ok(Some(self.app.master.seal_report(&report)?))
    }
}

/// What came of a question, in a word.
fn said(found: &Result<LookUp, String>) -> &str {
    match found {
        Ok(LookUp::Found(receipt)) => receipt.event.as_str(),
        Ok(LookUp::NotFound) => "absent",
        Ok(LookUp::Unknown(outcome)) => outcome.code.as_str(),
        Err(why) => why.as_str(),
    }
}

/// When to ask again, if at all, and whether the policy may send the notice again meanwhile.
fn again(found: &Result<LookUp, String>, tries: u32, now: Micros, give_up: Micros) -> (Option<Micros>, bool) {
    let wait = SOON.saturating_mul(1 << tries.saturating_sub(1).min(20)).min(SELDOM);
    let (asked_for, hopeless) = match found {
        Ok(LookUp::Unknown(outcome)) => {
            (outcome.retry_after.unwrap_or(0), matches!(outcome.code.as_str(), "no-lookup" | "no-id"))
        }
        Ok(LookUp::Found(_) | LookUp::NotFound) => (0, false),
        Err(_) => (0, true),
    };
    let due = now.saturating_add(wait.max(asked_for));
    // A last question at the time of giving up, and none after it.
    let due = (now < give_up && !hopeless).then(|| due.min(give_up));
    // What was found moves the notice, and must not be overtaken by another attempt before it is handled.
    (due, !matches!(found, Ok(LookUp::Found(_))) && (due.is_none() || tries >= ENOUGH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::{Class, Outcome};

    #[test]
    fn waits_grow_to_their_limit_and_end() {
        let said = |code: &str| Ok(LookUp::Unknown(Outcome::new(Class::Unknown, code, "")));
        let early: Result<LookUp, String> =
            Ok(LookUp::Unknown(Outcome::new(Class::Unknown, "too-early", "").with_retry_after(10 * MINUTE)));
        let end = 72 * HOUR;
        for (found, tries, now, want) in [
            (said("absent"), 1, 0, (Some(SOON), false)),
            (said("absent"), 2, 0, (Some(2 * SOON), false)),
            (said("absent"), 3, 0, (Some(4 * SOON), true)),
            (said("absent"), 40, 0, (Some(SELDOM), true)),
            (early, 1, 0, (Some(10 * MINUTE), false)),
            (said("absent"), 9, end - SECOND, (Some(end), true)),
            (said("absent"), 9, end, (None, true)),
            (said("no-id"), 1, 0, (None, true)),
            (Ok(LookUp::NotFound), 1, 0, (Some(SOON), false)),
            (Err("vault".to_owned()), 1, 0, (None, true)),
        ] {
            assert_eq!(again(&found, tries, now, end), want, "{found:?} after {tries}");
        }
    }
}

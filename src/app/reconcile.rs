//! Asking providers what became of notices that stand as unknown.
//!
//! Invariants: what a provider knows of a notice goes the way of a report that it had sent by itself, so that there is
//! one policy; "never sent" queues a notice again only while it is the one thing in doubt. No transaction is open while
//! a provider is asked, and whoever dies meanwhile leaves a question that is asked again, never an effect that is had
//! twice. A notice that the policy would send again waits for the first answers (see [`Tx::unasked`]).
//!
//! [`Tx::unasked`]: crate::store::Tx::unasked

use super::carrier::{AdapterCarrier, OpenCampaign};
use super::doctor::chain;
use super::{App, AppError};
use crate::model::campaign::CampaignState;
use crate::model::time::{HOUR, MINUTE, Micros, SECOND};
use crate::providers::lookup::LookUp;
use crate::store::reconcile::Doubt;
use crate::vault::RawReport;
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
    /// Campaigns at work; `None`: it does not open, which was said.
    open: HashMap<i64, Option<Arc<OpenCampaign>>>,
}

impl Asker {
    /// One for each route whose provider can be asked.
    pub(super) fn all(app: &App, carrier: &Arc<AdapterCarrier>) -> Vec<Asker> {
        let asked = carrier.asked_routes().into_iter();
        asked
            .map(|(route, name)| Asker {
                app: app.clone(),
                carrier: carrier.clone(),
                route,
                name,
                open: HashMap::new(),
            })
            .collect()
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
            self.conclude(&open, &doubt, tries, found).await?;
        }
        Ok(())
    }

    /// The notices to ask about now, each with how often it was asked about.
    async fn take(&mut self) -> Result<Vec<(Doubt, u32)>, AppError> {
        let now = jiff::Timestamp::now().as_microsecond();
        let mut doubts: Vec<Vec<Doubt>> = Vec::new();
        let mut left = AT_ONCE;
        for (no, state) in self.app.store.campaign_states().await? {
            if !matches!(state, CampaignState::Running | CampaignState::Paused) {
                self.open.remove(&no);
                continue;
            }
            if left == 0 {
                break;
            }
            let found = self.app.store.doubts(no, &self.name, now, left).await?;
            if !found.is_empty() && self.opened(no).await? {
                left -= found.len();
                doubts.push(found);
            }
        }
        if doubts.is_empty() {
            return Ok(Vec::new());
        }
        let store = self.app.store.clone();
        let mut tx = store.begin_beside().await?;
        let mut taken = Vec::new();
        if tx.take_look_up_turn(&self.name, now, now.saturating_add(TURN)).await? {
            for of_campaign in doubts {
                let Some(no) = of_campaign.first().map(|d| d.campaign) else { continue };
                let tries = tx.take_doubts(no, &of_campaign, now, now.saturating_add(UNFINISHED)).await?;
                taken.extend(of_campaign.into_iter().filter_map(|d| tries.get(&d.notice).map(|n| (d, *n))));
            }
        }
        tx.commit().await?;
        Ok(taken)
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
        let (said, report) = match &found {
            Ok(LookUp::Found(receipt)) => {
                let raw = format!("look-up {} {} {now}", open.id, doubt.notice.0).into_bytes();
                let (route, came_as) = (self.name.clone(), "look-up".to_owned());
                let report = RawReport { route, came_as, raw, receipts: vec![receipt.clone()] };
                (receipt.event.as_str(), Some(self.app.master.seal_report(&report)?))
            }
            Ok(LookUp::NotFound) => ("absent", None),
            Ok(LookUp::Unknown(outcome)) => (outcome.code.as_str(), None),
            Err(why) => (why.as_str(), None),
        };
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
        let (campaign, route, attempt) = (open.id.as_str(), self.name.as_str(), doubt.attempt);
        tracing::debug!(campaign, route, attempt, tries, said, cleared, "a provider was asked about a notice in doubt");
        Ok(())
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

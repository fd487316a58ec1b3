//! The end of waiting for reports.
//!
//! A notice whose report is overdue is asked about where its provider can be asked ([`super::reconcile`]). Here nobody
//! waits any more: for a text or an email it is enough that the provider took it; of a call by a machine nobody can know
//! whether anybody was told, so it becomes unknown and its person a human's turn, and stands in flight no longer. That
//! holds however many questions wait, whichever routes were taken out of the configuration, and when a campaign is over.

use super::doctor::chain;
use super::routes::ReadyRoute;
use super::{App, AppError};
use crate::dispatch::RoutePlan;
use crate::dispatch::settle::end_waiting;
use crate::model::campaign::CampaignState;
use crate::model::incident::CampaignPlan;
use crate::model::notice::NoticeId;
use crate::model::overdue;
use crate::model::time::{Micros, print_duration};
use crate::store::desk::NewNote;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Notices looked at in one transaction, of each campaign and route.
const BATCH: usize = 500;
/// How often somebody looks.
const NAP: Duration = Duration::from_secs(2);
/// After a database that does not answer.
const REST: Duration = Duration::from_secs(5);

/// The loop that ends the waiting; one in each worker. Two that meet do the same, and the second finds nothing.
pub(super) struct Patience {
    app: App,
    routes: BTreeMap<String, RoutePlan>,
    plans: HashMap<i64, Arc<CampaignPlan>>,
}

impl Patience {
    pub(super) fn new(app: &App, routes: &[ReadyRoute]) -> Patience {
        let routes = routes.iter().map(|route| (route.plan.name.clone(), route.plan.clone())).collect();
        Patience { app: app.clone(), routes, plans: HashMap::new() }
    }

    /// Looks, for ever.
    pub(super) async fn run(mut self) {
        loop {
            let rest = match self.look().await {
                Ok(()) => NAP,
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "overdue reports wait to be given up; trying again");
                    REST
                }
            };
            tokio::time::sleep(rest).await;
        }
    }

    async fn look(&mut self) -> Result<(), AppError> {
        for (no, state) in self.app.store.campaign_states().await? {
            let mut route = String::new();
            while let Some(next) = self.app.store.next_waiting_route(no, &route).await? {
                route = next;
                while self.end(no, state, &route).await? == BATCH {}
            }
        }
        Ok(())
    }

    /// Ends the wait for reports of one route where it has lasted long enough; how many notices there were to do with.
    async fn end(&mut self, no: i64, state: CampaignState, route: &str) -> Result<usize, AppError> {
        let now = jiff::Timestamp::now().as_microsecond();
        let waiting = self.app.store.waiting_too_long(no, route, now, BATCH).await?;
        let asked = matches!(state, CampaignState::Running | CampaignState::Paused)
            && self.routes.get(route).is_some_and(|plan| plan.looks_up && plan.within.is_some());
        let (mut over, mut longer) = (Vec::new(), Vec::new());
        for (notice, taken) in waiting {
            let last = overdue::last(self.within(route, notice), taken);
            if last <= now {
                over.push((notice, taken));
            } else if !asked {
                longer.push((notice, last));
            }
        }
        if over.is_empty() && longer.is_empty() {
            return Ok(0);
        }
        let plan = self.plan(no).await?;
        let store = self.app.store.clone();
        let mut tx = store.begin_beside().await?;
        tx.hold_campaigns([no].into_iter()).await?;
        let notices: Vec<NoticeId> = over.iter().map(|(notice, _)| *notice).collect();
        let lost = end_waiting(&mut tx, no, &plan, &notices, now).await?;
        for (notice, taken) in over.iter().filter(|(notice, _)| lost.contains(notice)) {
            let text = format!(
                "no report: route {route} took the call and has reported no end of it for {}; nobody knows whether the \
                 person was told",
                whole_minutes(now - taken)
            );
            let note =
                NewNote { notice: *notice, at: now, by: "forewarn", what: "no-report", text: &text, sealed: None };
            tx.add_person_note(no, &note).await?;
        }
        tx.wait_until(no, &longer).await?;
        tx.commit().await?;
        if !lost.is_empty() {
            let calls = lost.len();
            tracing::warn!(campaign = no, route, calls, "no report came of these calls; they are a human's turn now");
        }
        Ok(over.len() + longer.len())
    }

    fn within(&self, route: &str, notice: NoticeId) -> Micros {
        let said = self.routes.get(route).and_then(|plan| plan.within);
        said.or_else(|| notice.channel().map(overdue::usual)).unwrap_or_default()
    }

    async fn plan(&mut self, no: i64) -> Result<Arc<CampaignPlan>, AppError> {
        if let Some(plan) = self.plans.get(&no) {
            return Ok(plan.clone());
        }
        let plan = Arc::new(self.app.plan_of(no).await?);
        self.plans.insert(no, plan.clone());
        Ok(plan)
    }
}

/// A duration as a remark says it: seconds matter only below a minute.
fn whole_minutes(span: Micros) -> String {
    use crate::model::time::{MINUTE, SECOND};
    let unit = if span < MINUTE { SECOND } else { MINUTE };
    print_duration(span / unit * unit)
}

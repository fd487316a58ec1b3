//! Notices that a worker before this one left as `sending`.

use super::Carrier;
use super::record::orphaned;
use super::run::Dispatcher;
use crate::model::incident::CampaignPlan;
use crate::model::time::Micros;
use crate::store::record::Ended;
use crate::store::{StoreError, Tx};
use std::sync::Arc;

/// Notices of a dead worker taken up in one turn, of each campaign.
const ORPHANS: usize = 200;

impl<C: Carrier> Dispatcher<C> {
    /// Settles them, whatever state their campaign is in; true while there may be more. Adds the campaigns to
    /// `touched`.
    pub(super) async fn take_up_orphans(
        &mut self,
        tx: &mut Tx<'_>,
        now: Micros,
        touched: &mut Vec<i64>,
    ) -> Result<bool, StoreError> {
        let mut more = false;
        for campaign in tx.campaigns_sending().await? {
            // The worker lock is ours, so whatever is `sending` and not in our hands has nobody.
            let asked = ORPHANS + self.hands.len();
            let mut orphans = tx.sending(campaign, asked).await?;
            let full = orphans.len() == asked;
            orphans.retain(|o| !self.hands.contains(&(o.campaign, o.notice)));
            if orphans.is_empty() {
                continue;
            }
            let Some(plan) = self.plan_of(campaign).await? else { continue };
            let route = |name: &str| self.routes.iter().find(|r| r.plan.name == name).map(|r| &r.plan);
            let ended: Vec<Ended> = orphans.into_iter().map(|o| orphaned(&plan, route(&o.route), o, now)).collect();
            tracing::warn!(campaign, notices = ended.len(), "notices of a worker that went away are now unknown");
            tx.record(campaign, &plan.ladder, &ended, now).await?;
            touched.push(campaign);
            more |= full;
        }
        Ok(more)
    }

    async fn plan_of(&self, no: i64) -> Result<Option<Arc<CampaignPlan>>, StoreError> {
        if let Some(live) = self.live.get(&no) {
            return Ok(Some(live.plan.clone()));
        }
        let Some(campaign) = self.store.campaigns().await?.into_iter().find(|c| c.no == no) else { return Ok(None) };
        match self.carrier.open(&campaign) {
            Ok(plan) => {
                self.carrier.close(no);
                Ok(Some(plan))
            }
            Err(problem) => {
                tracing::error!(campaign = campaign.id, code = problem.code, "{}", problem.message);
                Ok(None)
            }
        }
    }
}

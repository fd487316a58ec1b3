//! Notices marked `sending` that nobody has on the way: left by a worker that is gone, or claimed in a transaction of
//! which this worker did not learn that it stands.

use super::Carrier;
use super::heart::Heart;
use super::record::{never_started, orphaned};
use super::run::Dispatcher;
use crate::model::incident::CampaignPlan;
use crate::model::time::Micros;
use crate::store::record::Ended;
use crate::store::{StoreError, Tx};
use std::sync::Arc;
use tokio::time::Instant;

/// Notices of a dead worker taken up in one turn, of each campaign.
const ORPHANS: usize = 200;
/// How often within a lease the others are asked for signs of life.
const CHECKS: u32 = 4;

impl<C: Carrier> Dispatcher<C> {
    /// Declares silent workers lost, so that their notices are taken up; and begins anew where others have declared
    /// this one lost.
    pub(super) async fn look_at_workers(&mut self) -> Result<(), StoreError> {
        let Some(heart) = &self.heart else { return Ok(()) };
        if heart.lease.is_lost() && self.hands.is_empty() {
            let heart = Heart::start(&self.store, &self.time, self.lease).await?;
            self.pulse.beats(&heart.lease);
            self.heart = Some(heart);
            self.in_doubt = false;
            return Ok(());
        }
        if !self.store.is_shared() || self.checked.elapsed() < self.lease / CHECKS || !heart.may_take_over() {
            return Ok(());
        }
        self.checked = Instant::now();
        let lost = self.store.declare_lost(heart.worker).await?;
        if lost > 0 {
            tracing::warn!(workers = lost, "workers gave no sign of life; their notices are taken over");
        }
        // Whoever declared a worker lost may have gone before it had taken up everything.
        self.orphans_left = true;
        self.store.check_schema().await
    }

    /// Settles them, whatever state their campaign is in; true while there may be more. Adds the campaigns to
    /// `touched`.
    pub(super) async fn take_up_orphans(
        &mut self,
        tx: &mut Tx<'_>,
        now: Micros,
        touched: &mut Vec<i64>,
    ) -> Result<bool, StoreError> {
        let mut more = false;
        for campaign in tx.campaigns_orphaned().await? {
            let orphans = tx.orphans(campaign, ORPHANS).await?;
            if orphans.is_empty() {
                continue;
            }
            more |= orphans.len() == ORPHANS;
            let Some(plan) = self.plan_of(campaign).await? else { continue };
            let route = |name: &str| self.routes.iter().find(|r| r.plan.name == name).map(|r| &r.plan);
            let ended: Vec<Ended> = orphans.into_iter().map(|o| orphaned(&plan, route(&o.route), o, now)).collect();
            tracing::warn!(campaign, notices = ended.len(), "notices of a worker that went away are now unknown");
            self.record(tx, campaign, &plan, &ended, now).await?;
            touched.push(campaign);
        }
        Ok(more)
    }

    /// Gives back what was claimed in a transaction whose end was not heard of: it was never started.
    pub(super) async fn give_back(
        &mut self,
        tx: &mut Tx<'_>,
        now: Micros,
        touched: &mut Vec<i64>,
    ) -> Result<(), StoreError> {
        let Some(worker) = self.heart.as_ref().map(|h| h.worker) else { return Ok(()) };
        for campaign in tx.campaigns_in_hand(worker).await? {
            let mut lost = tx.in_hand(campaign, worker).await?;
            lost.retain(|o| !self.hands.contains(&(o.campaign, o.notice)));
            let Some(plan) = self.plan_of(campaign).await? else { continue };
            let route = |name: &str| self.routes.iter().find(|r| r.plan.name == name).map(|r| &r.plan);
            let ended: Vec<Ended> = lost.into_iter().map(|o| never_started(&plan, route(&o.route), o, now)).collect();
            self.record(tx, campaign, &plan, &ended, now).await?;
            touched.push(campaign);
        }
        Ok(())
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

//! Which campaigns are being sent.

use super::Carrier;
use super::run::Dispatcher;
use crate::model::campaign::CampaignState;
use crate::model::incident::CampaignPlan;
use crate::model::suspension::{of_route, rested_domains};
use crate::model::time::Micros;
use crate::store::StoreError;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How often campaigns are asked whether they still run.
const CONTROL: Duration = Duration::from_millis(200);

/// A campaign being sent.
pub(super) struct Live {
    pub no: i64,
    pub plan: Arc<CampaignPlan>,
    pub halted: Arc<AtomicBool>,
    pub(super) in_flight: usize,
    pub(super) running: bool,
    pub(super) planned: i64,
    pub(super) last_person: i64,
    /// When each channel is worth asking again.
    pub(super) ask_at: [Micros; 3],
}

impl Live {
    /// Nothing more of it starts, and what waits with a worker is given back.
    pub(super) fn halt(&mut self) {
        self.running = false;
        self.halted.store(true, Ordering::Relaxed);
    }
}

impl<C: Carrier> Dispatcher<C> {
    /// Takes up campaigns that run, and halts those that no longer do.
    pub(super) async fn look_at_campaigns(&mut self) -> Result<(), StoreError> {
        if self.looked.is_some_and(|at| at.elapsed() < CONTROL) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        let states: BTreeMap<i64, CampaignState> = self.store.campaign_states().await?.into_iter().collect();
        self.look_at_suspensions().await?;
        let mut resumed = false;
        for live in self.live.values_mut() {
            let running = states.get(&live.no) == Some(&CampaignState::Running);
            resumed |= running && !live.running;
            live.running = running;
            live.halted.store(!running, Ordering::Relaxed);
            // Others (resume, retry) may have made something due.
            live.ask_at = [0; 3];
        }
        let gone: Vec<i64> = self.live.values().filter(|l| !l.running && l.in_flight == 0).map(|l| l.no).collect();
        for no in gone {
            self.live.remove(&no);
            self.carrier.close(no);
        }
        let new = states.iter().any(|(no, s)| *s == CampaignState::Running && !self.live.contains_key(no));
        // While it was paused its list may have grown.
        if new || resumed {
            self.take_up().await?;
        }
        Ok(())
    }

    /// Learns what a person told to rest. What waits with a worker for its turn on such a route goes back.
    async fn look_at_suspensions(&mut self) -> Result<(), StoreError> {
        let now = self.time.now();
        let suspensions = self.store.suspensions(now).await?;
        let domains = Arc::new(rested_domains(&suspensions));
        for route in &mut self.routes {
            route.suspended = of_route(&suspensions, &route.plan.name).map_or(0, |s| s.until);
            route.rested_domains = domains.clone();
            if route.suspended > now {
                route.rests.set(true);
            }
        }
        Ok(())
    }

    async fn take_up(&mut self) -> Result<(), StoreError> {
        for campaign in self.store.campaigns().await? {
            if campaign.state != CampaignState::Running {
                continue;
            }
            if let Some(live) = self.live.get_mut(&campaign.no) {
                live.last_person = campaign.last_person;
                continue;
            }
            match self.carrier.open(&campaign) {
                Ok(plan) => {
                    let live = Live {
                        no: campaign.no,
                        plan,
                        halted: Arc::new(AtomicBool::new(false)),
                        in_flight: 0,
                        running: true,
                        planned: campaign.planned,
                        last_person: campaign.last_person,
                        ask_at: [0; 3],
                    };
                    self.live.insert(campaign.no, live);
                    self.orphans_left = true;
                }
                Err(problem) => {
                    tracing::error!(campaign = campaign.id, code = problem.code, "{}", problem.message);
                }
            }
        }
        Ok(())
    }
}

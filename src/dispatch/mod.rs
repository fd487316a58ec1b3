//! The loop that sends: claim, hand to a carrier, decide, record.
//!
//! One task owns all writes of this worker. Each turn of it is one transaction that records the attempts which ended and claims the
//! next notices, so one flush of the disk serves both. A notice is `sending` in the database before its first byte is
//! on the wire, and no transaction is open while it is. What carries a notice (rendering, adapters) is behind
//! [`Carrier`]: this module knows neither words nor wires.

pub mod breaker;
mod claim;
mod health;
mod heart;
mod lane;
pub mod limiter;
mod live;
mod orphans;
mod pulse;
mod record;
mod run;
pub mod settle;
mod share;
mod turn;

pub use pulse::Pulse;
pub use run::{Dispatcher, End, Until};

use crate::evidence::fact::AttemptProof;
use crate::model::channel::Channel;
use crate::model::incident::CampaignPlan;
use crate::model::ladder::Evidence;
use crate::model::lease::Lease;
use crate::model::outcome::Outcome;
use crate::model::overdue::Reporting;
use crate::model::problem::Problem;
use crate::model::time::Micros;
use crate::store::campaign::Campaign;
use crate::store::claim::Due;
use crate::store::leaf::Head;
use limiter::Window;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// A route as the loop needs to know it.
#[derive(Clone, Debug)]
pub struct RoutePlan {
    pub name: String,
    pub provider: String,
    pub channel: Channel,
    /// Share among the routes of the channel; 0: only when the others are down.
    pub weight: u32,
    /// Sends at once.
    pub concurrency: usize,
    pub limits: Vec<Window>,
    /// Lower-case A-label domain and its limit; email only.
    pub domain_limits: Vec<(String, Window)>,
    pub idempotent: bool,
    /// The best that the provider reports later.
    pub best: Evidence,
    /// How long a report of its delivery is waited for by the clock: where its absence can be cleared up, or must be.
    pub within: Option<Micros>,
    /// Reports may name a message by nothing but the provider's id.
    pub named_by_id: bool,
    /// Its provider can be asked what became of a notice: that comes before sending again.
    pub looks_up: bool,
}

impl RoutePlan {
    pub fn reporting(&self) -> Reporting {
        Reporting { best: self.best, within: self.within }
    }
}

/// One notice on its way to the wire.
#[derive(Clone, Debug)]
pub struct Job {
    pub campaign: i64,
    /// Index of the route in the list the dispatcher was given.
    pub route: usize,
    pub due: Due,
    /// Who claimed it.
    pub worker: i64,
    /// Number of this attempt, from 1.
    pub attempt: i64,
    pub started_at: Micros,
    /// The slot reserved in the route's limits and how late it may be used.
    pub slot: Option<(Instant, Duration)>,
    /// Raised when the campaign is paused or cancelled.
    pub halted: Arc<AtomicBool>,
    /// Raised when the worker stops.
    pub stopping: Arc<AtomicBool>,
    /// The worker's right to send.
    pub lease: Arc<Lease>,
    /// The head of the evidence log that its notice carries.
    pub head: Option<Head>,
}

/// How an attempt ended, and what it is bound to in the evidence log, where its notice was made.
#[derive(Debug)]
pub struct Carried {
    pub outcome: Outcome,
    pub proof: Option<AttemptProof>,
}

impl From<Outcome> for Carried {
    fn from(outcome: Outcome) -> Carried {
        Carried { outcome, proof: None }
    }
}

/// What turns a claimed notice into an outcome.
pub trait Carrier: Send + Sync + 'static {
    /// Makes a campaign ready to be carried, and gives its policy.
    fn open(&self, campaign: &Campaign) -> Result<Arc<CampaignPlan>, Problem>;

    /// Forgets a campaign that is no longer sent.
    fn close(&self, campaign: i64);

    /// Renders and sends. Never fails: what goes wrong is an outcome.
    /// `place` is the right to be made ready; the next notice of the route gets it when it is dropped.
    fn carry(&self, job: Job, place: OwnedSemaphorePermit) -> impl Future<Output = Carried> + Send;

    /// The lower-case domain the notice goes to, where it goes by email.
    fn domain(&self, campaign: i64, due: &Due) -> Option<String>;
}

//! Adapters: how a notice leaves the house. A new provider is a file in `providers/`, not code here.

pub mod adapter;
pub mod call_sheet;
pub mod catalogue;
pub mod definition;
pub mod examples;
pub mod http;
pub mod lookup;
pub mod lookup_examples;
pub mod native;
pub mod private_file;
pub mod receipt;
pub mod receipt_examples;
pub mod sandbox;
pub mod settings;
pub mod smtp;

use crate::model::channel::Channel;
use crate::model::ladder::Evidence;
use crate::model::lease::Lease;
use crate::model::outcome::{Class, Outcome, SLOT_MISSED};
use crate::model::personal::Personal;
use crate::model::rendered::Rendered;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// The adapters of the program itself; every other provider is a definition.
pub const NATIVE: [&str; 3] = ["smtp", "call-sheet", "sandbox"];

/// One notice on its way to a provider.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub channel: Channel,
    /// Our opaque token for the notice; safe to show to a provider, names nobody.
    pub notice: String,
    pub campaign: String,
    /// Customer reference, for sheets that humans work from.
    pub reference: Personal,
    pub name: Personal,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The same after an unknown outcome, fresh after a refusal.
    pub idempotency_key: String,
    /// Normalised: A-label domain, or E.164.
    pub to: Personal,
    /// ISO 3166-1 alpha-2 of the person, or empty.
    pub country: String,
    /// Language the notice is written in, BCP 47.
    pub language: String,
    /// The address that takes the route's reports, `{public_url}/hooks/{route}/{hook token}`, where there is one.
    pub hook: Option<String>,
    /// What the campaign says in that language, by the names that template sets use: `organisation`, `text.contact`.
    pub facts: Arc<BTreeMap<String, String>>,
    pub rendered: Rendered,
}

/// What an adapter can promise; decides what may be done about an unknown outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Abilities {
    /// The provider takes an idempotency key: an unknown notice may be sent again under the same key.
    pub idempotent: bool,
    /// The provider later reports deliveries, so `accepted` alone is not the last word.
    pub reports_delivery: bool,
    /// The provider also reports that the person acted on the notice.
    pub acknowledges: bool,
}

impl Abilities {
    /// The best that can come back about a notice.
    pub fn best(self) -> Evidence {
        match (self.reports_delivery, self.acknowledges) {
            (true, true) => Evidence::Acknowledged,
            (true, false) => Evidence::Delivered,
            (false, _) => Evidence::Accepted,
        }
    }
}

/// The distance this worker keeps between two sends of a route.
pub type Pace = governor::DefaultDirectRateLimiter;

/// A pace of one send per `distance` in the long run, of which up to `bunch` may come together: timers are coarser than
/// the distances of a fast route, and a pace that forgave nothing would fall behind its slots for good.
pub fn pace(distance: Duration, bunch: NonZeroU32) -> Option<Arc<Pace>> {
    Some(Arc::new(Pace::direct(governor::Quota::with_period(distance)?.allow_burst(bunch))))
}

/// The last door before the wire. An adapter opens it immediately before the first byte that belongs to the
/// notice (after connecting and logging in) and obeys: a refused notice goes back to the queue unharmed.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    /// The slot reserved in the route's schedule, and how late it may still be used.
    slot: Option<(Instant, Duration)>,
    /// Spaces the sends of this worker, so that late ones do not bunch.
    pace: Option<Arc<Pace>>,
    /// Set when the campaign is paused or cancelled, or the worker stops.
    halted: Vec<Arc<AtomicBool>>,
    /// The worker's right to send.
    lease: Option<Arc<Lease>>,
    /// Its place among the notices that are made ready; given up with the gate, if not before.
    place: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

/// Why a gate stayed shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    Halted,
    SlotMissed,
    LeaseEnded,
}

impl Gate {
    /// A gate that waits for `slot` and shuts `tolerance` after it.
    #[must_use]
    pub fn at_slot(mut self, slot: Instant, tolerance: Duration) -> Gate {
        self.slot = Some((slot, tolerance));
        self
    }

    /// A gate that keeps the distance to the sends before it.
    #[must_use]
    pub fn paced_by(mut self, pace: Arc<Pace>) -> Gate {
        self.pace = Some(pace);
        self
    }

    /// A gate that shuts when the flag is raised.
    #[must_use]
    pub fn unless(mut self, halted: Arc<AtomicBool>) -> Gate {
        self.halted.push(halted);
        self
    }

    /// A gate that shuts when the worker's lease no longer holds.
    #[must_use]
    pub fn under(mut self, lease: Arc<Lease>) -> Gate {
        self.lease = Some(lease);
        self
    }

    /// A gate that holds the notice's place among those that are made ready.
    #[must_use]
    pub fn holding(mut self, place: OwnedSemaphorePermit) -> Gate {
        self.place = Arc::new(Mutex::new(Some(place)));
        self
    }

    /// Gives up the place, so that the next notice is made ready while this one is on the wire. For an adapter that
    /// limits by itself what is on the wire at once.
    pub fn pass(&self) {
        if let Ok(mut place) = self.place.lock() {
            place.take();
        }
    }

    /// Waits for the slot, then says whether the notice may go out.
    pub async fn open(&self) -> Result<(), Shut> {
        if let Some((slot, tolerance)) = self.slot {
            tokio::time::sleep_until(slot).await;
            // Asked before the pace as well: a send that is too late must not use up the place of the next one.
            if slot.elapsed() > tolerance {
                return Err(Shut::SlotMissed);
            }
            if let Some(pace) = &self.pace {
                pace.until_ready().await;
            }
            if slot.elapsed() > tolerance {
                return Err(Shut::SlotMissed);
            }
        }
        self.shut_for_good().map_or(Ok(()), Err)
    }

    /// Whether it stands open without a slot to wait for, so that asking again later is as good as asking now.
    pub fn is_free(&self) -> bool {
        self.slot.is_none() && self.shut_for_good().is_none()
    }

    fn shut_for_good(&self) -> Option<Shut> {
        if self.halted.iter().any(|h| h.load(Ordering::Relaxed)) {
            return Some(Shut::Halted);
        }
        let ended = self.lease.as_ref().is_some_and(|l| !l.holds(std::time::Instant::now()));
        ended.then_some(Shut::LeaseEnded)
    }
}

impl Shut {
    /// The outcome an adapter returns when its gate stayed shut.
    pub fn outcome(self) -> Outcome {
        match self {
            Shut::Halted => Outcome::new(Class::NotSent, "halted", "paused or stopped before sending"),
            Shut::LeaseEnded => {
                Outcome::new(Class::NotSent, "lease-ended", "the worker lost touch with the database before sending")
            }
            Shut::SlotMissed => Outcome::new(Class::NotSent, SLOT_MISSED, "its slot in the rate limit had passed"),
        }
    }
}

//! How a worker is, for whoever asks in the same process: probes, metrics, the person who waits for its end.
//!
//! Read without waiting and without the database. Deliberately absent: anything about a notice or a person.

use crate::model::lease::Lease;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Both ends: the dispatcher writes, everybody else reads.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Of the worker that is registered now; none before the first.
    lease: Mutex<Option<Arc<Lease>>>,
    in_flight: AtomicUsize,
    draining: AtomicBool,
}

impl Pulse {
    /// The right to send, once the worker is registered.
    pub fn lease(&self) -> Option<Arc<Lease>> {
        self.0.lease.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notices claimed whose outcome is not recorded yet.
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// Whether it takes nothing new any more.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// From now on it takes nothing new.
    pub fn drains(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    pub(super) fn beats(&self, lease: &Arc<Lease>) {
        *self.0.lease.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease.clone());
    }

    pub(super) fn carries(&self, in_flight: usize) {
        self.0.in_flight.store(in_flight, Ordering::Relaxed);
    }
}

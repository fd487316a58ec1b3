//! The worker's sign of life, and the time that all workers share.
//!
//! Invariants: the lease as this process sees it ends before the one in the database; nobody takes over from another
//! before having had the database itself for a whole lease, so that a restart of the server lets everybody come back.

use crate::model::lease::Lease;
use crate::model::time::Micros;
use crate::store::{Store, StoreError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long a worker may be silent before its notices are taken over.
pub(super) const LEASE: Duration = Duration::from_secs(15);
/// It stops by itself this part of its lease earlier.
const MARGIN: u32 = 8;
/// How often it gives a sign of life within a lease.
const BEATS: u32 = 5;

/// What time it is. Where several workers share a database, the database's clock, read at every beat and carried on by
/// the monotonic one: limits are exact over all hosts, and a step of a host's clock moves nothing.
#[derive(Debug)]
pub(super) struct Time {
    clock: fn() -> Micros,
    shared: Mutex<Option<(Instant, Micros)>>,
}

impl Time {
    pub(super) fn new(clock: fn() -> Micros) -> Time {
        Time { clock, shared: Mutex::new(None) }
    }

    pub(super) fn now(&self) -> Micros {
        match *self.shared.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((at, time)) => time + i64::try_from(at.elapsed().as_micros()).unwrap_or(i64::MAX / 2),
            None => (self.clock)(),
        }
    }

    /// Takes in that it was `time` at a moment between `asked` and now. What agrees with what is known is left as it is:
    /// time must not go back because an answer was late.
    fn set(&self, asked: Instant, time: Micros) {
        let took = asked.elapsed();
        let known = self.shared.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let differs = (self.now() - micros(took / 2) - time).abs();
        if !known || differs > micros(took / 2) + 1_000 {
            *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = Some((asked + took / 2, time));
        }
    }
}

/// A registered worker.
#[derive(Debug)]
pub(super) struct Heart {
    pub worker: i64,
    pub lease: Arc<Lease>,
    length: Duration,
    /// Since when the database has answered without a break.
    steady: Arc<Mutex<Instant>>,
    beating: JoinHandle<()>,
}

impl Heart {
    pub(super) async fn start(store: &Store, time: &Arc<Time>, length: Duration) -> Result<Heart, StoreError> {
        let host = fs_err::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let before = Instant::now();
        let version = env!("CARGO_PKG_VERSION");
        let worker = store.register_worker(host.trim(), std::process::id(), version, micros(length)).await?;
        let lease =
            if store.is_shared() { Lease::until(own_end(before, length).into_std()) } else { Lease::for_good() };
        let (lease, steady) = (Arc::new(lease), Arc::new(Mutex::new(before)));
        beat(store, worker, length, &lease, &steady, time).await;
        let beating = {
            let (store, lease, steady, time) = (store.clone(), lease.clone(), steady.clone(), time.clone());
            tokio::spawn(async move {
                while !lease.is_lost() {
                    tokio::time::sleep(length / BEATS).await;
                    beat(&store, worker, length, &lease, &steady, &time).await;
                }
            })
        };
        Ok(Heart { worker, lease, length, steady, beating })
    }

    /// Whether this worker may take over from others.
    pub(super) fn may_take_over(&self) -> bool {
        let steady = *self.steady.lock().unwrap_or_else(PoisonError::into_inner);
        steady.elapsed() >= self.length && self.lease.holds(std::time::Instant::now())
    }

    /// Writes down that the worker ended, as far as the database can be reached.
    pub(super) async fn stop(self, store: &Store) {
        self.beating.abort();
        if let Err(error) = store.end_worker(self.worker).await {
            tracing::warn!(%error, "the end of this worker could not be written down; its lease will run out");
        }
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

/// One renewal of the lease.
async fn beat(store: &Store, worker: i64, length: Duration, lease: &Lease, steady: &Mutex<Instant>, time: &Time) {
    let before = Instant::now();
    match tokio::time::timeout(length / 3, store.renew_worker(worker, micros(length))).await {
        Ok(Ok(Some(now))) => {
            lease.extend(own_end(before, length).into_std());
            if store.is_shared() {
                time.set(before, now);
            }
        }
        Ok(Ok(None)) => {
            tracing::error!(worker, "this worker was silent too long; others have taken over its notices");
            lease.lose();
        }
        failed => {
            *steady.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            match failed {
                Ok(Err(error)) => tracing::warn!(worker, %error, "the lease could not be renewed"),
                _ => tracing::warn!(worker, "the lease could not be renewed in time"),
            }
        }
    }
}

/// When a worker that was heard of at `heard` stops by itself.
fn own_end(heard: Instant, length: Duration) -> Instant {
    heard + length - length / MARGIN
}

fn micros(span: Duration) -> Micros {
    Micros::try_from(span.as_micros()).unwrap_or(Micros::MAX / 4)
}

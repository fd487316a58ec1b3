//! The worker's sign of life, and the time that all workers share.
//!
//! Invariants: the lease as this process sees it ends before the one in the database; nobody takes over from another
//! before having had the database itself for a whole lease, so that a restart of the server lets everybody come back.

use crate::model::lease::Lease;
use crate::model::time::Micros;
use crate::store::{Store, StoreError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long a worker may be silent before its notices are taken over.
pub(super) const LEASE: Duration = Duration::from_secs(15);
/// It stops by itself this part of its lease earlier.
const MARGIN: u32 = 8;
/// How often it gives a sign of life within a lease.
const BEATS: u32 = 5;

/// Asked for at a worker's start before it sends anything, until the time is known this closely or so often.
const CLOSE: Micros = 4_000;
const READINGS: usize = 10;
/// How much two clocks may drift apart, in parts of the time that passed.
const DRIFT: i64 = 10_000;

/// What time it is. Where several workers share a database, the database's clock, read at every beat and carried on by
/// the monotonic one: limits are exact over all hosts, and a step of a host's clock moves nothing.
///
/// A reading was taken at some moment between the question and the answer, nobody knows which: a new connection before
/// it or a commit behind it may take most of that. So a reading says no more than between what bounds the time lay, and
/// each further one narrows them.
#[derive(Debug)]
pub(super) struct Time {
    clock: fn() -> Micros,
    shared: Mutex<Option<Known>>,
}

/// What is known of the database's clock at a moment.
#[derive(Clone, Copy, Debug)]
struct Known {
    at: Instant,
    guess: Micros,
    low: Micros,
    high: Micros,
}

impl Known {
    /// Of a reading of `time` between `asked` and `answered`: as of the question.
    fn of(asked: Instant, answered: Instant, time: Micros) -> Known {
        let took = micros(answered.saturating_duration_since(asked));
        Known { at: asked, guess: time - took / 2, low: time - took, high: time }
    }

    /// The same at a later moment.
    fn carried_to(self, at: Instant) -> Known {
        let passed = micros(at.saturating_duration_since(self.at));
        let drift = passed / DRIFT;
        Known { at, guess: self.guess + passed, low: self.low + passed - drift, high: self.high + passed + drift }
    }

    /// With what another reading says. The guess is moved no further than it must; a reading that contradicts is of a
    /// clock that was set, or of another server, and all that counts from now on.
    fn narrowed_by(self, new: Known) -> Known {
        let old = self.carried_to(new.at);
        let (low, high) = (old.low.max(new.low), old.high.min(new.high));
        if low > high { new } else { Known { at: new.at, guess: old.guess.clamp(low, high), low, high } }
    }
}

impl Time {
    pub(super) fn new(clock: fn() -> Micros) -> Time {
        Time { clock, shared: Mutex::new(None) }
    }

    pub(super) fn now(&self) -> Micros {
        match *self.known() {
            Some(known) => known.carried_to(Instant::now()).guess,
            None => (self.clock)(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in that it was `time` at a moment between `asked` and now; how closely the time is known.
    fn set(&self, asked: Instant, time: Micros) -> Micros {
        let new = Known::of(asked, Instant::now(), time);
        let mut known = self.known();
        let now = known.map_or(new, |old| old.narrowed_by(new));
        *known = Some(now);
        now.high - now.low
    }

    /// Reads the database's clock, up to so many times; nothing else is done in these questions, so they are quick.
    async fn read(&self, store: &Store, most: usize) -> Result<(), StoreError> {
        for _ in 0..most {
            let asked = Instant::now();
            let time = store.clock().await?;
            if self.set(asked, time) <= CLOSE {
                break;
            }
        }
        Ok(())
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
        let heart = Heart { worker, lease, length, steady, beating };
        // While it beats: on a slow database this may take longer than a lease.
        if store.is_shared() {
            time.read(store, READINGS).await?;
        }
        Ok(heart)
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
                // The renewal's own reading has a commit behind it.
                if let Err(error) = time.read(store, 1).await {
                    tracing::warn!(worker, %error, "the database's clock could not be read");
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Micros = 1_000;

    /// Readings as (asked, answered, clock), all in milliseconds; how far off the guess is at 1,000 where the clock
    /// shows 0 at 0, and how closely it is known.
    fn after(readings: &[(u64, u64, Micros)]) -> (Micros, Micros) {
        let begin = Instant::now();
        let at = |ms: u64| begin + Duration::from_millis(ms);
        let readings = readings.iter().map(|(asked, answered, time)| Known::of(at(*asked), at(*answered), time * MS));
        let known = readings.reduce(Known::narrowed_by).unwrap().carried_to(at(1_000));
        (known.guess - 1_000 * MS, known.high - known.low)
    }

    #[test]
    fn readings_narrow_the_time_and_a_late_answer_moves_nothing() {
        let near = |(off, width): (Micros, Micros), most: Micros, known: Micros| {
            assert!(off.abs() <= most && width <= known, "off by {off} of {most}, known within {width} of {known}");
        };
        // The connection was made first: the clock was read at the end of 400 ms. Then at their beginning.
        assert_eq!(after(&[(0, 400, 400)]).0, 200 * MS);
        assert_eq!(after(&[(0, 400, 0)]).0, -200 * MS);
        for wide in [(0, 400, 400), (0, 400, 0), (0, 400, 130)] {
            near(after(&[wide, (500, 501, 500)]), MS, MS + MS / 5);
            // Also the other way round: what is known well is not spoilt by a slow reading.
            near(after(&[(500, 501, 500), (510, 900, 890)]), MS, MS + MS / 5);
        }
        // Two wide ones that overlap little are as good as a quick one.
        near(after(&[(0, 400, 398), (450, 850, 450)]), 2 * MS, 3 * MS);
    }

    #[test]
    fn a_clock_that_was_set_is_believed() {
        assert_eq!(after(&[(0, 1, 0), (500, 500, 90_500)]).0, 90_000 * MS);
        assert_eq!(after(&[(0, 1, 0), (500, 500, -8_000 + 500)]).0, -8_000 * MS);
    }
}

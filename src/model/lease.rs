//! A worker's right to send: it holds until a moment that is moved on while all is well, or until it is taken away.
//!
//! The moment is of this process's monotonic clock, and earlier than the one at which another worker may take over: a
//! worker that stood still or was cut off finds its lease expired before anybody else sends what it had in hand.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub struct Lease {
    origin: Instant,
    /// Microseconds after `origin`.
    good_until: AtomicU64,
    lost: AtomicBool,
}

impl Lease {
    /// A lease that holds until this moment.
    pub fn until(moment: Instant) -> Lease {
        Lease { origin: moment, good_until: AtomicU64::new(0), lost: AtomicBool::new(false) }
    }

    /// A lease that nobody can take away: one process at a time has the database.
    pub fn for_good() -> Lease {
        Lease { origin: Instant::now(), good_until: AtomicU64::new(u64::MAX), lost: AtomicBool::new(false) }
    }

    pub fn extend(&self, until: Instant) {
        let micros = u64::try_from(until.saturating_duration_since(self.origin).as_micros()).unwrap_or(u64::MAX);
        self.good_until.fetch_max(micros, Ordering::Relaxed);
    }

    pub fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    pub fn holds(&self, now: Instant) -> bool {
        self.left(now).is_none_or(|left| !left.is_zero())
    }

    /// How long it still holds; `None` for a lease without an end.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        if self.is_lost() {
            return Some(Duration::ZERO);
        }
        let good = Duration::from_micros(self.good_until.load(Ordering::Relaxed));
        self.origin.checked_add(good).map(|until| until.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_until_its_moment_unless_it_is_taken_away() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let lease = Lease::until(at(10));
        assert!(lease.holds(at(9)) && !lease.holds(at(10)));
        lease.extend(at(20));
        lease.extend(at(15));
        assert!(lease.holds(at(19)) && !lease.holds(at(20)));
        assert_eq!(lease.left(at(5)), Some(Duration::from_secs(15)));
        lease.lose();
        assert!(!lease.holds(at(0)));
        assert_eq!(lease.left(at(0)), Some(Duration::ZERO));
        assert!(Lease::for_good().holds(at(1_000_000)));
    }
}

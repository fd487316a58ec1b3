//! A domain's own limit within a route. Its notices go out in its slots; the others are put off, each to a slot that is
//! foreseen for it, so that a million of them are not looked at again and again.

use super::limiter::{Schedule, Window, lateness};
use crate::model::time::Micros;
use crate::store::{StoreError, Tx};

pub(super) struct Lane {
    /// Slots that were used.
    real: Schedule,
    /// Slots that notices were put off to: a guess, the limit itself is asked anew when they fall due.
    foreseen: Schedule,
    windows: [Window; 1],
}

impl Lane {
    pub(super) async fn read(
        tx: &mut Tx<'_>,
        route: &str,
        domain: &str,
        window: Window,
        now: Micros,
    ) -> Result<Lane, StoreError> {
        let windows = [window];
        let real = Schedule::read(&tx.schedule(route, domain).await?, &windows).as_of(now);
        let foreseen = Schedule::read(&tx.schedule(route, &foreseen(domain)).await?, &windows);
        Ok(Lane { real, foreseen, windows })
    }

    pub(super) async fn write(&self, tx: &mut Tx<'_>, route: &str, domain: &str) -> Result<(), StoreError> {
        tx.set_schedule(route, domain, &self.real.print()).await?;
        tx.set_schedule(route, &foreseen(domain), &self.foreseen.print()).await
    }

    /// Takes the slot at this moment, if there is one.
    pub(super) fn take(&mut self, at: Micros) -> bool {
        !self.real.reserve(1, at, at, &self.windows).is_empty()
    }

    /// How late a slot may be used.
    pub(super) fn late(&self) -> Micros {
        lateness(&self.windows)
    }

    /// When a notice that found no slot at `at` is to be looked at again. One waits for the very next slot (`near` says
    /// for which slot one waits already), so that none stays unused when the foreseen ones come a little too early; the
    /// others wait for theirs.
    pub(super) fn put_off(&mut self, at: Micros, near: &mut Micros) -> Micros {
        let next = self.real.next_slot(at, &self.windows);
        if next > *near {
            *near = next;
            return next;
        }
        self.foreseen.reserve(1, next, Micros::MAX / 4, &self.windows).first().copied().unwrap_or(next)
    }
}

fn foreseen(domain: &str) -> String {
    format!("{domain} foreseen")
}

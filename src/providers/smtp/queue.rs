//! Notices that wait for a connection, so that whoever uses one can send the next envelope along with its own message.
//!
//! MAIL, RCPT and DATA of the next notice go in one write behind the final dot of the one before (RFC 2920, 3.1), which
//! saves a round trip. Such an envelope commits to nothing: without a message of its own the relay delivers none, and
//! closing the connection takes it back. Still, only notices that could go at once wait here: one with a slot in a
//! limit must not be seen by the relay before its time.
//!
//! Invariants: a notice leaves the queue once, by being taken or by its own hand; whoever took it gives it the
//! connection and the place under the cap, or nothing.

use super::connection::{Connection, Offers};
use super::transaction::Envelope;
use crate::providers::Gate;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// In the order they came.
#[derive(Default)]
pub(super) struct Queue(Mutex<Line>);

#[derive(Default)]
struct Line {
    places: VecDeque<Place>,
    next: u64,
}

struct Place {
    number: u64,
    envelope: Envelope,
    gate: Gate,
    give: oneshot::Sender<Handed>,
}

/// A connection on which the envelope was sent and not answered yet, and the right to have it open.
pub(super) struct Handed {
    pub(super) connection: Connection,
    pub(super) permit: OwnedSemaphorePermit,
}

/// The notice whose envelope goes next. Dropped, it gets no connection and looks for one itself.
pub(super) struct Next {
    pub(super) envelope: Envelope,
    give: oneshot::Sender<Handed>,
}

impl Next {
    pub(super) fn hand(self, connection: Connection, permit: OwnedSemaphorePermit) {
        if self.give.send(Handed { connection, permit }).is_err() {
            tracing::debug!("a notice was given up after its envelope; its connection is closed");
        }
    }
}

/// A place in the queue; given up when dropped.
pub(super) struct Ticket<'a> {
    queue: &'a Queue,
    number: u64,
}

impl Queue {
    pub(super) fn enter(&self, envelope: Envelope, gate: Gate) -> (Ticket<'_>, oneshot::Receiver<Handed>) {
        let (give, get) = oneshot::channel();
        let mut line = self.line();
        let number = line.next;
        line.next += 1;
        line.places.push_back(Place { number, envelope, gate, give });
        (Ticket { queue: self, number }, get)
    }

    /// Takes the first notice whose gate is open and that a connection with these offers can carry.
    pub(super) fn next(&self, offers: &Offers) -> Option<Next> {
        let mut line = self.line();
        let fits = |place: &Place| {
            !place.give.is_closed() && place.gate.is_free() && place.envelope.unfit_for(offers).is_none()
        };
        let at = line.places.iter().position(fits)?;
        let place = line.places.remove(at)?;
        Some(Next { envelope: place.envelope, give: place.give })
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // A list of places is whole whatever happened to the thread that held it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket<'_> {
    /// Gives the place up; false when the notice was taken already and its envelope may be under way.
    pub(super) fn give_up(&self) -> bool {
        let mut line = self.queue.line();
        let at = line.places.iter().position(|place| place.number == self.number);
        at.and_then(|at| line.places.remove(at)).is_some()
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    #[test]
    fn the_first_that_may_go_and_fits_is_taken_once() {
        let queue = Queue::default();
        let halted = Arc::new(AtomicBool::new(false));
        let slot = Gate::default().at_slot(tokio::time::Instant::now(), Duration::from_secs(1));
        let entries = [
            ("slot@example.org", 10, slot),
            ("long@example.org", 1000, Gate::default()),
            ("用户@example.org", 10, Gate::default()),
            ("paused@example.org", 10, Gate::default().unless(halted.clone())),
            ("gone@example.org", 10, Gate::default()),
            ("left@example.org", 10, Gate::default()),
            ("first@example.org", 10, Gate::default()),
            ("second@example.org", 10, Gate::default()),
        ];
        let mut entered: Vec<_> =
            entries.into_iter().map(|(to, size, gate)| Some(queue.enter(Envelope::new(to, "", size), gate))).collect();
        halted.store(true, Ordering::Relaxed);
        let (gone, left) = (entered[4].take(), entered[5].take());
        drop(gone);
        assert!(left.is_some_and(|(ticket, _)| ticket.give_up()));
        let offers = Offers { size: Some(100), ..Offers::default() };
        let taken: Vec<String> =
            std::iter::from_fn(|| queue.next(&offers)).map(|next| next.envelope.to().to_owned()).collect();
        assert_eq!(taken, ["first@example.org", "second@example.org"]);
        let still_there: Vec<bool> = entered.iter().flatten().map(|(ticket, _)| ticket.give_up()).collect();
        assert_eq!(still_there, [true, true, true, true, false, false]);
        assert!(queue.line().places.is_empty());
    }
}

//! One person with all their notices, as receipts move them.
//!
//! [`super::apply_receipt`] says what a receipt does to its notice; here that is worked out for the person: which of the
//! notices beside it wait no more, which one is due now, and where the person stands. Values in, values out; whoever
//! keeps the book writes down what [`Book::changed`] names.

use super::apply_receipt::{AfterReceipt, Reported, apply_receipt, without_report};
use super::channel::Channel;
use super::incident::CampaignPlan;
use super::ladder::{Ladder, Planned};
use super::notice::{NoticeId, NoticeState};
use super::outcome::Class;
use super::overdue::Reporting;
use super::person::{Standing, standing_beside};
use super::receipt::Event;
use super::time::Micros;
use std::collections::BTreeMap;

/// A notice as the book has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub state: NoticeState,
    pub due: Option<Micros>,
    pub first_due: Micros,
    pub attempts: i64,
    pub tries: u32,
    pub refusals: u32,
    pub reason: Option<Class>,
    /// When a report of its delivery is overdue; `None`: nobody waits for one.
    pub report_due: Option<Micros>,
    /// A call on a sheet that was not made yet.
    pub open_call: bool,
}

/// A person with all notices there are of them.
#[derive(Clone, Debug)]
pub struct Book {
    pub reach: String,
    pub standing: Standing,
    stood: Standing,
    notices: BTreeMap<NoticeId, Entry>,
    /// The entries that changed, as they were; `None`: there was none.
    before: BTreeMap<NoticeId, Option<Entry>>,
}

/// One event about one notice of the book.
#[derive(Clone, Copy, Debug)]
pub struct Spoken {
    pub notice: NoticeId,
    /// The attempt it speaks of.
    pub attempt: i64,
    pub event: Event,
    pub at: Option<Micros>,
    /// What the route reports.
    pub reporting: Reporting,
    /// See [`Reported::failed`].
    pub failed: Option<Option<Micros>>,
}

/// What became of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It moved the notice, or what waits behind it.
    Moved,
    /// It is written down and changes nothing.
    Late,
    /// Its attempt has not ended: it is applied then.
    Early,
}

impl Book {
    pub fn new(reach: String, standing: Standing, notices: BTreeMap<NoticeId, Entry>) -> Book {
        Book { reach, standing, stood: standing, notices, before: BTreeMap::new() }
    }

    pub fn entry(&self, notice: NoticeId) -> Option<&Entry> {
        self.notices.get(&notice)
    }

    /// Where the person stood when the book was opened.
    pub fn stood(&self) -> Standing {
        self.stood
    }

    /// The notices that are other than they were, each with its entry as it was; `None` where it is new.
    pub fn changed(&self) -> impl Iterator<Item = (NoticeId, Option<&Entry>, &Entry)> {
        self.before.iter().filter_map(|(id, before)| {
            let now = self.notices.get(id)?;
            (before.as_ref() != Some(now)).then_some((*id, before.as_ref(), now))
        })
    }

    /// Applies one receipt.
    pub fn apply(&mut self, plan: &CampaignPlan, spoken: &Spoken, now: Micros, jitter: f64) -> Taken {
        let (Some(entry), Some(channel)) = (self.notices.get(&spoken.notice), spoken.notice.channel()) else {
            return Taken::Late;
        };
        if entry.state == NoticeState::Sending {
            return Taken::Early;
        }
        let reach = self.reach.clone();
        let reported = Reported {
            notice: spoken.notice,
            channel,
            reach: &reach,
            state: entry.state,
            tries: entry.tries,
            first_due: entry.first_due,
            latest: spoken.attempt == entry.attempts,
            best: spoken.reporting.best,
            within: spoken.reporting.within,
            settled_otherwise: self.is_settled_beside(spoken.notice),
            failed: spoken.failed,
            at: spoken.at,
            jitter,
        };
        let Some(after) = apply_receipt(plan, &reported, spoken.event, now) else { return Taken::Late };
        let was = (self.notices.clone(), self.standing);
        self.write(&plan.ladder, spoken.notice, &after, now);
        if was.0 == self.notices && was.1 == self.standing { Taken::Late } else { Taken::Moved }
    }

    /// Nobody waits any more for the report of this notice; true where that makes it unknown. What became of a call by a
    /// machine only a report can tell; of the other channels it is enough that the provider took the notice.
    pub fn end_waiting(&mut self, plan: &CampaignPlan, notice: NoticeId, now: Micros) -> bool {
        let Some(entry) = self.notices.get(&notice) else { return false };
        if entry.report_due.is_none_or(|due| due > now) {
            return false;
        }
        let owed = matches!(self.standing, Standing::InFlight | Standing::NeedsHuman);
        let lost = entry.state == NoticeState::Accepted && notice.channel() == Some(Channel::Phone) && owed;
        if lost {
            let after = without_report(entry.tries);
            self.write(&plan.ladder, notice, &after, now);
        } else {
            self.change(notice, |entry| entry.report_due = None);
        }
        lost
    }

    /// Whether a failure of this notice leaves nothing to be done by the ladder: somebody was told by another one, or is
    /// out of the campaign.
    fn is_settled_beside(&self, notice: NoticeId) -> bool {
        let told = |e: &Entry| {
            matches!(e.state, NoticeState::Delivered | NoticeState::Acknowledged)
                || (e.state == NoticeState::Accepted && !e.open_call)
        };
        matches!(self.standing, Standing::Excluded | Standing::Unreachable)
            || self.notices.iter().any(|(id, entry)| *id != notice && told(entry))
    }

    fn write(&mut self, ladder: &Ladder, notice: NoticeId, after: &AfterReceipt, now: Micros) {
        self.change(notice, |entry| {
            entry.state = after.state;
            entry.due = after.due;
            entry.tries = after.tries;
            entry.refusals += u32::from(after.definite);
            entry.reason = after.reason;
            entry.report_due = after.report_due;
            entry.open_call &= after.state == NoticeState::Accepted;
        });
        self.suppress(|id| id != notice && id.channel().is_some_and(|c| after.suppress.contains(&c)));
        let flies = after.next.is_some_and(|(planned, due)| self.queue(notice.person(), planned, due, now));
        self.stand(after, flies, now);
        if self.standing == Standing::Satisfied {
            self.suppress(|id| !id.channel().is_some_and(|c| ladder.in_any_case(c)));
        }
    }

    /// Queues the next notice, or moves it forward; whether it is on its way.
    fn queue(&mut self, person: i64, planned: Planned, due: Micros, now: Micros) -> bool {
        let id = planned.id(person);
        let Some(entry) = self.notices.get(&id) else {
            self.before.entry(id).or_insert(None);
            let entry = Entry {
                state: NoticeState::Queued,
                due: Some(due),
                first_due: due,
                attempts: 0,
                tries: 0,
                refusals: 0,
                reason: None,
                report_due: None,
                open_call: false,
            };
            self.notices.insert(id, entry);
            return true;
        };
        if entry.state == NoticeState::Queued && entry.due.is_some_and(|at| at > due) {
            self.change(id, |entry| {
                entry.due = Some(due);
                entry.first_due = entry.first_due.min(due.max(now));
            });
        }
        self.notices.get(&id).is_some_and(is_on_its_way)
    }

    fn stand(&mut self, after: &AfterReceipt, flies: bool, now: Micros) {
        let has_failed = after.state == NoticeState::Failed;
        let wanted = match after.standing {
            // A next notice that has ended already carries nobody further.
            Standing::InFlight if after.next.is_some() && !flies => {
                if has_failed {
                    Standing::NeedsHuman
                } else {
                    Standing::Satisfied
                }
            }
            Standing::InFlight
            | Standing::Satisfied
            | Standing::NeedsHuman
            | Standing::Unreachable
            | Standing::Excluded => after.standing,
        };
        let states: Vec<NoticeState> =
            self.notices.values().map(|e| if e.due.is_some() { NoticeState::Queued } else { e.state }).collect();
        let wanted_beside = standing_beside(wanted, &states, self.notices.values().any(|e| e.open_call));
        if wanted == Standing::NeedsHuman && wanted_beside == Standing::InFlight {
            self.hurry(now);
        }
        let keeps = match self.standing {
            // What is still to come takes nothing from somebody who was told.
            Standing::Satisfied => wanted_beside == Standing::InFlight && !has_failed,
            Standing::Excluded | Standing::Unreachable => wanted_beside != Standing::Satisfied,
            Standing::InFlight | Standing::NeedsHuman => false,
        };
        if !keeps {
            self.standing = wanted_beside;
        }
    }

    /// Whoever has just one notice less may have one that waits behind it: that one is due now.
    fn hurry(&mut self, now: Micros) {
        let waiting =
            self.notices.iter().filter(|(_, e)| matches!(e.state, NoticeState::Queued | NoticeState::Unknown));
        let first = waiting.filter_map(|(id, e)| Some((e.due?, *id))).min();
        if let Some((_, id)) = first.filter(|(due, _)| *due > now) {
            self.change(id, |entry| entry.due = Some(now));
        }
    }

    fn suppress(&mut self, which: impl Fn(NoticeId) -> bool) {
        let waiting: Vec<NoticeId> =
            self.notices.iter().filter(|(id, e)| e.due.is_some() && which(**id)).map(|(id, _)| *id).collect();
        for id in waiting {
            self.change(id, |entry| {
                entry.state = NoticeState::Suppressed;
                entry.due = None;
            });
        }
    }

    fn change(&mut self, id: NoticeId, how: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.notices.get_mut(&id) {
            let was = entry.clone();
            how(entry);
            if *entry != was {
                self.before.entry(id).or_insert(Some(was));
            }
        }
    }
}

/// Whether something is still to come of it by itself.
fn is_on_its_way(entry: &Entry) -> bool {
    match entry.state {
        NoticeState::Queued | NoticeState::Sending | NoticeState::Deferred => true,
        NoticeState::Unknown => entry.due.is_some(),
        NoticeState::Accepted
        | NoticeState::Delivered
        | NoticeState::Acknowledged
        | NoticeState::Failed
        | NoticeState::Suppressed
        | NoticeState::Cancelled => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::incident::CampaignKind;
    use super::super::ladder::{Step, When};
    use super::*;

    fn plan() -> CampaignPlan {
        let step = |channel| Step { channel, when: When::NotDelivered, after: 9 };
        CampaignPlan {
            kind: CampaignKind::Initial,
            templates: "breach-notice".into(),
            default_locale: "en".into(),
            ladder: Ladder { steps: vec![step(Channel::Phone), step(Channel::Sms)] },
            on_unknown: BTreeMap::new(),
            give_up_after: 99,
            approvals: 1,
            retry_first: 1,
            retry_max: 1,
        }
    }

    fn entry(state: NoticeState, due: Option<Micros>, report_due: Option<Micros>) -> Entry {
        let open_call = false;
        Entry { state, due, first_due: 0, attempts: 1, tries: 0, refusals: 0, reason: None, report_due, open_call }
    }

    #[test]
    fn the_end_of_waiting_makes_a_call_unknown_and_takes_nothing_from_the_others() {
        use NoticeState::{Accepted, Delivered, Queued, Suppressed, Unknown};
        use Standing::{InFlight, NeedsHuman, Satisfied};
        let (call, text) = (NoticeId::new(5, 0, Channel::Phone), NoticeId::new(5, 0, Channel::Sms));
        let taken = entry(Accepted, None, Some(50));
        for (stood, notice, beside, at, (lost, state, standing)) in [
            (InFlight, call, None, 50, (true, Unknown, NeedsHuman)),
            (InFlight, call, None, 49, (false, Accepted, InFlight)),
            // The next step is on its way, and need not wait for a call of which nothing is known.
            (InFlight, call, Some(entry(Queued, Some(90), None)), 50, (true, Unknown, InFlight)),
            (NeedsHuman, call, Some(entry(Suppressed, None, None)), 50, (true, Unknown, NeedsHuman)),
            (Satisfied, call, Some(entry(Delivered, None, None)), 50, (false, Accepted, Satisfied)),
            (InFlight, text, None, 50, (false, Accepted, InFlight)),
        ] {
            let other = if notice == call { text } else { call };
            let beside = beside.map(|entry| (other, entry));
            let notices = [(notice, taken.clone())].into_iter().chain(beside).collect();
            let mut book = Book::new("p".into(), stood, notices);
            assert_eq!(book.end_waiting(&plan(), notice, at), lost, "{stood:?} at {at}");
            let entry = book.entry(notice).expect("there");
            assert_eq!((entry.state, book.standing), (state, standing), "{stood:?} at {at}");
            assert_eq!(entry.report_due.is_some(), at < 50);
            assert_eq!(entry.refusals, u32::from(lost), "a call that is asked for again is another call");
            if book.entry(other).is_some_and(|e| e.state == Queued) {
                assert_eq!(book.entry(other).and_then(|e| e.due), Some(50), "due at once");
            }
        }
    }
}

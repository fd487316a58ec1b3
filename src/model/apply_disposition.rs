//! What follows from the end of a telephone call: the receipts' counterpart of [`super::decide`], as one pure function.
//!
//! A call that lies on a sheet is `accepted` and tells nobody; what the caller found out moves the notice, the notices
//! that wait behind it, and the person.

use super::channel::Channel;
use super::disposition::{Disposition, Meaning};
use super::ladder::{Ladder, Planned};
use super::notice::{NoticeId, NoticeState};
use super::outcome::Class;
use super::person::Standing;

/// What to write down beside the disposition itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct AfterCall {
    pub state: NoticeState,
    /// Why it failed; `None` unless `failed`.
    pub reason: Option<Class>,
    /// The next notice of the ladder: due at once, nothing is to be waited for.
    pub next: Option<Planned>,
    /// Where this leaves the person, taken by itself; `NeedsHuman` is weighed against the other notices if `weigh`.
    pub standing: Standing,
    pub weigh: bool,
    /// What becomes of notices of the person that have not been sent yet.
    pub waiting: Waiting,
}

impl AfterCall {
    /// Where this leaves a person who stood at `current`: a call that is still owed takes nothing from somebody who was
    /// told otherwise.
    pub fn standing_from(&self, current: Standing) -> Standing {
        let told_already = current == Standing::Satisfied && self.standing == Standing::InFlight;
        if told_already { current } else { self.standing }
    }
}

/// What becomes of notices that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    Keep,
    /// Those are suppressed whose step is not taken in any case, see [`Ladder::in_any_case`].
    SuppressUnlessAlways,
    SuppressAll,
}

/// Why a disposition cannot stand beside what is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotACall {
    /// The notice is no telephone call.
    OtherChannel,
    /// It is being put on a sheet at this moment.
    Sending,
    /// It is not on a sheet (any more): it waits to be put there, or was called off.
    NotOnSheet,
    /// An end of the call that settled it was recorded before.
    Settled,
}

/// What a disposition does to a notice in this state. `reach` is the person's contacts, see [`Ladder::plan`].
///
/// That somebody was told is a fact and is written down whatever stood there before; everything else needs a call that
/// is still open.
pub fn apply_disposition(
    ladder: &Ladder,
    notice: NoticeId,
    state: NoticeState,
    reach: &str,
    disposition: &Disposition,
) -> Result<AfterCall, NotACall> {
    if notice.channel() != Some(Channel::Phone) {
        return Err(NotACall::OtherChannel);
    }
    match (state, disposition.means) {
        (NoticeState::Sending, _) => return Err(NotACall::Sending),
        (NoticeState::Delivered | NoticeState::Acknowledged, _) => return Err(NotACall::Settled),
        (NoticeState::Accepted | NoticeState::Unknown, _) | (_, Meaning::Told) => {}
        (NoticeState::Failed, _) => return Err(NotACall::Settled),
        (NoticeState::Queued | NoticeState::Deferred | NoticeState::Suppressed | NoticeState::Cancelled, _) => {
            return Err(NotACall::NotOnSheet);
        }
    }
    let (state, reason) = logged_as(disposition.means);
    Ok(match disposition.means {
        Meaning::Told => AfterCall {
            state,
            reason,
            next: None,
            standing: Standing::Satisfied,
            weigh: false,
            waiting: Waiting::SuppressUnlessAlways,
        },
        // The call is still owed: it stays on the sheet, and the person in flight.
        Meaning::Again => {
            AfterCall { state, reason, next: None, standing: Standing::InFlight, weigh: false, waiting: Waiting::Keep }
        }
        Meaning::Refused => failed(state, reason, next(ladder, notice, reach, |c| c != Channel::Phone)),
        Meaning::BadNumber => failed(state, reason, next(ladder, notice, reach, |_| true)),
        // Whether anybody was told is not known, and the program must not go on by itself.
        Meaning::Human => AfterCall {
            state,
            reason,
            next: None,
            standing: Standing::NeedsHuman,
            weigh: false,
            waiting: Waiting::SuppressAll,
        },
    })
}

fn failed(state: NoticeState, reason: Option<Class>, next: Option<Planned>) -> AfterCall {
    AfterCall { state, reason, next, standing: Standing::NeedsHuman, weigh: true, waiting: Waiting::Keep }
}

/// The state and class that a disposition of this meaning is logged with.
pub fn logged_as(meaning: Meaning) -> (NoticeState, Option<Class>) {
    match meaning {
        Meaning::Told => (NoticeState::Acknowledged, None),
        Meaning::Again => (NoticeState::Accepted, None),
        Meaning::Refused => (NoticeState::Failed, Some(Class::RefusedByPerson)),
        Meaning::BadNumber => (NoticeState::Failed, Some(Class::BadAddress)),
        Meaning::Human => (NoticeState::Unknown, None),
    }
}

/// The first notice after this one in the plan on a channel that may still be used.
fn next(ladder: &Ladder, notice: NoticeId, reach: &str, may: impl Fn(Channel) -> bool) -> Option<Planned> {
    let plan = ladder.plan(reach);
    let mut rest = plan.into_iter().skip_while(|p| (p.channel, p.contact) != (Channel::Phone, notice.contact()));
    rest.nth(1).into_iter().chain(rest).find(|p| may(p.channel))
}

impl Waiting {
    /// Whether a waiting notice of this channel is suppressed.
    pub fn suppresses(self, ladder: &Ladder, channel: Channel) -> bool {
        match self {
            Waiting::Keep => false,
            Waiting::SuppressAll => true,
            Waiting::SuppressUnlessAlways => !ladder.in_any_case(channel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::disposition::Dispositions;
    use super::super::ladder::{Step, When};
    use super::*;

    fn ladder(steps: &[(Channel, When)]) -> Ladder {
        Ladder {
            steps: steps.iter().map(|(channel, when)| Step { channel: *channel, when: *when, after: 0 }).collect(),
        }
    }

    fn told(ladder: &Ladder, state: NoticeState, reach: &str, id: &str) -> String {
        let list = Dispositions::built_in().unwrap();
        let notice = NoticeId::new(5, reach.find('p').unwrap() as u8, Channel::Phone);
        match apply_disposition(ladder, notice, state, reach, list.find(id).unwrap()) {
            Err(refused) => format!("{refused:?}"),
            Ok(a) => {
                let next = a.next.map(|p| format!(" then {}{}", p.channel, p.contact)).unwrap_or_default();
                let reason = a.reason.map(|c| format!("({})", c.as_str())).unwrap_or_default();
                format!("{}{reason} {} {:?}{next}", a.state, a.standing.as_str(), a.waiting)
            }
        }
    }

    #[test]
    fn the_policy_is_this_table() {
        use NoticeState::{Accepted, Acknowledged, Cancelled, Failed, Queued, Sending, Unknown};
        let last = ladder(&[(Channel::Email, When::Always), (Channel::Phone, When::NotReached)]);
        let goes_on = ladder(&[(Channel::Phone, When::Always), (Channel::Sms, When::NotReached)]);
        let known = "acknowledged satisfied SuppressUnlessAlways";
        let refused = "failed(refused-by-person) needs_human Keep";
        let wrong = "failed(bad-address) needs_human Keep";
        let held = "unknown needs_human SuppressAll";
        for (ladder, state, reach, id, want) in [
            (&last, Accepted, "ep", "informed", known),
            (&last, Accepted, "ep", "informed-representative", known),
            (&last, Accepted, "ep", "refused-to-listen", refused),
            (&last, Accepted, "ep", "do-not-call", refused),
            (&last, Accepted, "ep", "wants-writing", refused),
            (&last, Accepted, "ep", "wrong-number", wrong),
            (&last, Accepted, "ep", "disconnected", wrong),
            (&last, Accepted, "ep", "no-answer", "accepted in_flight Keep"),
            (&last, Accepted, "ep", "minor", "accepted in_flight Keep"),
            (&last, Accepted, "ep", "deceased", held),
            (&last, Accepted, "ep", "suspected-fraud", held),
            // A second number is tried after a wrong one, not after "do not call".
            (&goes_on, Accepted, "pp", "wrong-number", "failed(bad-address) needs_human Keep then phone1"),
            (&goes_on, Accepted, "pp", "do-not-call", "failed(refused-by-person) needs_human Keep then sms0"),
            (&goes_on, Accepted, "p", "wants-writing", "failed(refused-by-person) needs_human Keep then sms0"),
            // Told is told, whatever stood there.
            (&last, Failed, "ep", "informed", known),
            (&last, Cancelled, "ep", "informed", known),
            (&last, Unknown, "ep", "informed", known),
            (&last, Failed, "ep", "no-answer", "Settled"),
            (&last, Acknowledged, "ep", "wrong-number", "Settled"),
            (&last, Cancelled, "ep", "no-answer", "NotOnSheet"),
            (&last, Queued, "ep", "no-answer", "NotOnSheet"),
            (&last, Sending, "ep", "informed", "Sending"),
        ] {
            assert_eq!(told(ladder, state, reach, id), want, "{id} on {state}");
        }
        let list = Dispositions::built_in().unwrap();
        let email = NoticeId::new(5, 0, Channel::Email);
        let refused = apply_disposition(&last, email, Accepted, "ep", list.find("informed").unwrap());
        assert_eq!(refused, Err(NotACall::OtherChannel));
    }

    #[test]
    fn a_step_that_is_taken_in_any_case_is_not_suppressed() {
        // The first step stands as `always` in every ladder: it has no condition, which is no word to tell anybody twice.
        let steps =
            ladder(&[(Channel::Email, When::Always), (Channel::Phone, When::NotReached), (Channel::Sms, When::Always)]);
        for (waiting, suppressed) in [
            (Waiting::Keep, [false, false, false]),
            (Waiting::SuppressUnlessAlways, [true, false, true]),
            (Waiting::SuppressAll, [true, true, true]),
        ] {
            assert_eq!(Channel::ALL.map(|c| waiting.suppresses(&steps, c)), suppressed, "{waiting:?}");
        }
    }
}

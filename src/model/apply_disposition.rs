//! What follows from the end of a telephone call: the receipts' counterpart of [`super::decide`], as one pure function.
//!
//! A call that lies on a sheet is `accepted` and tells nobody; what the caller found out moves the notice, the notices
//! that wait behind it, and the person. Support staff also make calls that no ladder foresaw: what they find out does the
//! same, as far as there is a notice to do it to.

use super::channel::Channel;
use super::contact::Role;
use super::disposition::{Disposition, Meaning, Then};
use super::ladder::{Ladder, Planned};
use super::notice::{NoticeId, NoticeState};
use super::outcome::Class;
use super::person::Standing;

/// What to write down beside the disposition itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct AfterCall {
    /// `None`: no notice stands for the call, and none is made.
    pub state: Option<NoticeState>,
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
    /// Nobody calls this person any more.
    SuppressCalls,
    /// Nothing goes to this contact any more: it is somebody else's, or nobody's.
    SuppressContact,
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
    /// Nobody waits for a call: the person was told, or the case was closed.
    NoCase,
}

/// A call that support staff made, and what is known of the person.
#[derive(Clone, Debug)]
pub struct DeskCall<'a> {
    /// What the call stands under: the number that was called, or [`NoticeId::by_hand`].
    pub notice: NoticeId,
    /// `None`: no notice stands there.
    pub state: Option<NoticeState>,
    pub standing: Standing,
    pub reach: &'a str,
    /// All notices of the person.
    pub noticed: &'a [NoticeId],
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
    let (state, called) = (Some(state), notice.contact());
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
        Meaning::Refused => failed(state, reason, next(ladder, notice, reach, not_by_phone), Waiting::SuppressCalls),
        Meaning::BadNumber => {
            failed(state, reason, next(ladder, notice, reach, |p| p.contact != called), Waiting::SuppressContact)
        }
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

/// What a disposition does to a call that lies on no sheet: support staff called by themselves, or the person called.
///
/// That somebody was told is a fact. What else is found out moves the notice of the number, where there is one or one can
/// be made for it, so that no step of the ladder goes there; the person needs a human until somebody is told, or a channel
/// that has not been tried takes over.
pub fn apply_at_desk(ladder: &Ladder, call: &DeskCall<'_>, disposition: &Disposition) -> Result<AfterCall, NotACall> {
    let told = disposition.means == Meaning::Told;
    let waits = matches!(call.standing, Standing::NeedsHuman | Standing::InFlight);
    match call.state {
        Some(NoticeState::Sending) => return Err(NotACall::Sending),
        Some(NoticeState::Delivered | NoticeState::Acknowledged) if told => return Err(NotACall::Settled),
        _ if !told && !waits => return Err(NotACall::NoCase),
        _ => {}
    }
    let (logged, reason) = logged_as(disposition.means);
    // Only a number can be bad, or not be called again.
    let settled = if call.notice.is_by_hand() { (call.state, None) } else { (Some(logged), reason) };
    let may = |p: &Planned| !call.noticed.contains(&p.id(call.notice.person()));
    let untried = |also: &dyn Fn(&Planned) -> bool| ladder.plan(call.reach).into_iter().find(|p| may(p) && also(p));
    let unchanged = AfterCall {
        state: call.state,
        reason: None,
        next: None,
        standing: call.standing,
        weigh: false,
        waiting: Waiting::Keep,
    };
    Ok(match disposition.means {
        Meaning::Told => AfterCall {
            state: Some(logged),
            standing: Standing::Satisfied,
            waiting: Waiting::SuppressUnlessAlways,
            ..unchanged
        },
        Meaning::Again => unchanged,
        Meaning::Refused => failed(settled.0, settled.1, untried(&not_by_phone), Waiting::SuppressCalls),
        Meaning::BadNumber => {
            let elsewhere = untried(&|p| p.contact != call.notice.contact());
            failed(settled.0, settled.1, elsewhere, Waiting::SuppressContact)
        }
        Meaning::Human => AfterCall {
            state: call.state.map(|state| if state == NoticeState::Accepted { logged } else { state }),
            standing: Standing::NeedsHuman,
            waiting: Waiting::SuppressAll,
            ..unchanged
        },
    })
}

/// Whom the further step of a disposition turns to.
pub fn turns_to(then: Option<Then>) -> Option<Role> {
    match then? {
        Then::NextOfKin => Some(Role::NextOfKin),
        Then::Guardian => Some(Role::Guardian),
        Then::CorrectContact | Then::OtherChannel => None,
    }
}

impl AfterCall {
    /// Goes on to the first notice to somebody of this role that was not tried, where there is one. `roles` are those of
    /// the contacts in order.
    pub fn turn_to(
        &mut self,
        role: Role,
        ladder: &Ladder,
        person: i64,
        reach: &str,
        roles: &[Role],
        noticed: &[NoticeId],
    ) {
        let theirs = |p: &Planned| roles.get(usize::from(p.contact)) == Some(&role) && !noticed.contains(&p.id(person));
        if let Some(next) = ladder.plan(reach).into_iter().find(theirs) {
            (self.next, self.standing, self.weigh) = (Some(next), Standing::NeedsHuman, true);
        }
    }
}

fn not_by_phone(planned: &Planned) -> bool {
    planned.channel != Channel::Phone
}

fn failed(state: Option<NoticeState>, reason: Option<Class>, next: Option<Planned>, waiting: Waiting) -> AfterCall {
    AfterCall { state, reason, next, standing: Standing::NeedsHuman, weigh: true, waiting }
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
fn next(ladder: &Ladder, notice: NoticeId, reach: &str, may: impl Fn(&Planned) -> bool) -> Option<Planned> {
    let plan = ladder.plan(reach);
    let mut rest = plan.into_iter().skip_while(|p| (p.channel, p.contact) != (Channel::Phone, notice.contact()));
    rest.nth(1).into_iter().chain(rest).find(|p| may(p))
}

impl Waiting {
    /// Whether another notice of the person, which waits, is suppressed after the call under this one.
    pub fn suppresses(self, ladder: &Ladder, called: NoticeId, waits: NoticeId) -> bool {
        match self {
            Waiting::Keep => false,
            Waiting::SuppressAll => true,
            Waiting::SuppressCalls => waits.channel() == Some(Channel::Phone),
            Waiting::SuppressContact => waits.contact() == called.contact(),
            Waiting::SuppressUnlessAlways => !waits.channel().is_some_and(|c| ladder.in_any_case(c)),
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
                let state = a.state.map_or("none", NoticeState::as_str);
                format!("{state}{reason} {} {:?}{next}", a.standing.as_str(), a.waiting)
            }
        }
    }

    #[test]
    fn the_policy_is_this_table() {
        use NoticeState::{Accepted, Acknowledged, Cancelled, Failed, Queued, Sending, Unknown};
        let last = ladder(&[(Channel::Email, When::Always), (Channel::Phone, When::NotReached)]);
        let goes_on = ladder(&[(Channel::Phone, When::Always), (Channel::Sms, When::NotReached)]);
        let known = "acknowledged satisfied SuppressUnlessAlways";
        let refused = "failed(refused-by-person) needs_human SuppressCalls";
        let wrong = "failed(bad-address) needs_human SuppressContact";
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
            (&goes_on, Accepted, "pp", "wrong-number", "failed(bad-address) needs_human SuppressContact then phone1"),
            // And nothing else goes to a number that is somebody else's.
            (&goes_on, Accepted, "p", "wrong-number", wrong),
            (&goes_on, Accepted, "pp", "do-not-call", "failed(refused-by-person) needs_human SuppressCalls then sms0"),
            (&goes_on, Accepted, "p", "wants-writing", "failed(refused-by-person) needs_human SuppressCalls then sms0"),
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
        let called = NoticeId::new(7, 1, Channel::Phone);
        let waits =
            [(0, Channel::Email), (1, Channel::Sms), (2, Channel::Phone)].map(|(at, c)| NoticeId::new(7, at, c));
        for (waiting, suppressed) in [
            (Waiting::Keep, [false, false, false]),
            (Waiting::SuppressCalls, [false, false, true]),
            (Waiting::SuppressContact, [false, true, false]),
            (Waiting::SuppressUnlessAlways, [true, false, true]),
            (Waiting::SuppressAll, [true, true, true]),
        ] {
            assert_eq!(waits.map(|w| waiting.suppresses(&steps, called, w)), suppressed, "{waiting:?}");
        }
    }

    #[test]
    fn a_call_of_the_desk_does_what_this_table_says() {
        use NoticeState::{Accepted, Acknowledged, Failed, Unknown};
        use Standing::{Excluded, InFlight, NeedsHuman, Satisfied, Unreachable};
        let list = Dispositions::built_in().unwrap();
        let steps = ladder(&[(Channel::Email, When::Always), (Channel::Sms, When::NotReached)]);
        let (number, by_hand) = (NoticeId::new(5, 1, Channel::Phone), NoticeId::by_hand(5));
        let email = NoticeId::new(5, 0, Channel::Email);
        let sms = NoticeId::new(5, 1, Channel::Sms);
        for (notice, state, standing, noticed, id, want) in [
            (number, None, NeedsHuman, &[email, sms][..], "informed", "acknowledged satisfied"),
            (by_hand, None, NeedsHuman, &[email, sms], "informed", "acknowledged satisfied"),
            (by_hand, None, Unreachable, &[email], "informed", "acknowledged satisfied"),
            (number, Some(Failed), NeedsHuman, &[email], "informed-representative", "acknowledged satisfied"),
            (number, Some(Acknowledged), Satisfied, &[email], "informed", "Settled"),
            (number, None, NeedsHuman, &[email, sms], "no-answer", "none needs_human"),
            (number, Some(Failed), NeedsHuman, &[email, sms], "call-back-agreed", "failed needs_human"),
            (number, None, InFlight, &[email], "no-answer", "none in_flight"),
            (number, None, NeedsHuman, &[email, sms], "do-not-call", "failed needs_human"),
            (number, None, NeedsHuman, &[email], "wants-writing", "failed needs_human then sms1"),
            // The SMS would go to the same number.
            (number, None, NeedsHuman, &[email], "wrong-number", "failed needs_human"),
            (number, None, NeedsHuman, &[sms], "disconnected", "failed needs_human then email0"),
            (by_hand, None, NeedsHuman, &[email, sms], "refused-to-listen", "none needs_human"),
            (number, Some(Accepted), InFlight, &[email], "deceased", "unknown needs_human"),
            (number, None, InFlight, &[email], "suspected-fraud", "none needs_human"),
            (number, Some(Unknown), Excluded, &[email], "no-answer", "NoCase"),
            (number, None, Satisfied, &[email], "deceased", "NoCase"),
            (number, Some(NoticeState::Sending), InFlight, &[email], "informed", "Sending"),
        ] {
            let call = DeskCall { notice, state, standing, reach: "ep", noticed };
            let got = match apply_at_desk(&steps, &call, list.find(id).unwrap()) {
                Err(refused) => format!("{refused:?}"),
                Ok(a) => {
                    let next = a.next.map(|p| format!(" then {}{}", p.channel, p.contact)).unwrap_or_default();
                    format!("{} {}{next}", a.state.map_or("none", NoticeState::as_str), a.standing.as_str())
                }
            };
            assert_eq!(got, want, "{id} on {state:?}, {standing:?}");
        }
    }

    #[test]
    fn the_next_of_kin_are_turned_to_where_they_can_be_reached() {
        let list = Dispositions::built_in().unwrap();
        let steps = ladder(&[(Channel::Email, When::Always), (Channel::Phone, When::NotReached)]);
        let notice = NoticeId::new(5, 1, Channel::Phone);
        let deceased = list.find("deceased").unwrap();
        let role = turns_to(deceased.then).unwrap();
        let roles = [Role::OneSelf, Role::OneSelf, Role::NextOfKin];
        for (reach, noticed, want) in [
            ("xxe", &[notice][..], Some("email2")),
            ("xxe", &[notice, NoticeId::new(5, 2, Channel::Email)], None),
            ("xxp", &[notice], Some("phone2")),
            ("xx", &[notice], None),
        ] {
            let mut after = apply_disposition(&steps, notice, NoticeState::Accepted, reach, deceased).unwrap();
            after.turn_to(role, &steps, 5, reach, &roles, noticed);
            let next = after.next.map(|p| format!("{}{}", p.channel, p.contact));
            assert_eq!((next.as_deref(), after.weigh), (want, want.is_some()), "{reach}");
        }
        assert_eq!(turns_to(list.find("informed").unwrap().then), None);
    }
}

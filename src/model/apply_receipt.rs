//! What follows from a receipt: the counterpart of [`super::decide`] for what comes back later, as one pure function.
//!
//! Evidence only climbs, accepted before delivered before acknowledged, whatever the order in which reports arrive. A
//! failure is of one attempt: where the notice was sent again since, that attempt is waited for. Nothing takes back that
//! a person acted on a notice. What this does to the person's other notices is worked out in [`super::book`].

use super::channel::Channel;
use super::decide::{self, Ended, back_off};
use super::incident::CampaignPlan;
use super::ladder::{Evidence, Planned};
use super::notice::{NoticeId, NoticeState};
use super::outcome::Class;
use super::person::{RETIRED, Standing};
use super::receipt::Event;
use super::time::Micros;

/// The notice as it stands when the receipt is applied; its last attempt has ended.
#[derive(Clone, Debug)]
pub struct Reported<'a> {
    pub notice: NoticeId,
    pub channel: Channel,
    /// The kinds of the person's contacts in order.
    pub reach: &'a str,
    pub state: NoticeState,
    pub tries: u32,
    pub first_due: Micros,
    /// The receipt speaks of the last attempt, not of one before it.
    pub latest: bool,
    /// The best that the route's provider reports later.
    pub best: Evidence,
    /// How long a report of its delivery is waited for by the clock.
    pub within: Option<Micros>,
    /// Another notice has told the person, or nobody is to be told any more.
    pub settled_otherwise: bool,
    /// A receipt of the same attempt made it fail, and when that happened by the provider's clock.
    pub failed: Option<Option<Micros>>,
    /// When this happened by the provider's clock.
    pub at: Option<Micros>,
    /// A number in 0..1 that spreads retries.
    pub jitter: f64,
}

/// What to write down.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct AfterReceipt {
    pub state: NoticeState,
    /// Why it failed; `None` unless `failed`.
    pub reason: Option<Class>,
    /// When the notice is to be claimed again; `None`: not by itself.
    pub due: Option<Micros>,
    pub tries: u32,
    /// The next attempt is a new one also for the provider: it gets a fresh idempotency key.
    pub definite: bool,
    /// The next notice of the ladder, and when it falls due at the latest.
    pub next: Option<(Planned, Micros)>,
    /// When a report of its delivery is overdue.
    pub report_due: Option<Micros>,
    /// Where this leaves the person, taken by itself.
    pub standing: Standing,
    /// Channels whose waiting notices the person is not owed any more.
    pub suppress: Vec<Channel>,
}

/// Applies the policy to one receipt; `docs/architecture.md` has it as a table. `None`: it is written down and changes
/// nothing.
pub fn apply_receipt(plan: &CampaignPlan, r: &Reported<'_>, event: Event, now: Micros) -> Option<AfterReceipt> {
    match event {
        Event::Progress => (r.state == NoticeState::Unknown).then(|| cleared_up(plan, r, now)),
        Event::Delivered => climbs(r, NoticeState::Delivered).then(|| arrived(plan, r, Evidence::Delivered, now)),
        Event::Acknowledged => {
            climbs(r, NoticeState::Acknowledged).then(|| arrived(plan, r, Evidence::Acknowledged, now))
        }
        Event::Complained => complained(plan, r, now),
        Event::Failed(class) => failed(plan, r, class, now),
    }
}

/// Whether evidence of this height is news. A report that it failed stands against a report that it arrived, unless it
/// arrived later by the provider's own clock; what was refused at the door of another attempt does not.
fn climbs(r: &Reported<'_>, to: NoticeState) -> bool {
    match (r.state, to) {
        (NoticeState::Sending | NoticeState::Acknowledged, _) | (NoticeState::Delivered, NoticeState::Delivered) => {
            false
        }
        (NoticeState::Failed, NoticeState::Delivered) => match r.failed {
            None => true,
            Some(failed_at) => r.at.zip(failed_at).is_some_and(|(arrived, failed)| arrived > failed),
        },
        (
            NoticeState::Queued
            | NoticeState::Accepted
            | NoticeState::Delivered
            | NoticeState::Deferred
            | NoticeState::Failed
            | NoticeState::Unknown
            | NoticeState::Suppressed
            | NoticeState::Cancelled,
            _,
        ) => true,
    }
}

/// The provider has it after all: the same follows as if it had said so at once.
fn cleared_up(plan: &CampaignPlan, r: &Reported<'_>, now: Micros) -> AfterReceipt {
    let ended = Ended {
        notice: r.notice,
        channel: r.channel,
        reach: r.reach,
        tries: r.tries,
        first_due: r.first_due,
        idempotent: false,
        best: r.best,
        within: r.within,
        in_doubt: false,
        jitter: r.jitter,
    };
    let accepted = decide::accepted(plan, &ended, now);
    AfterReceipt {
        state: accepted.state,
        reason: None,
        due: None,
        tries: r.tries,
        definite: false,
        next: accepted.next,
        report_due: accepted.report_due,
        standing: accepted.standing,
        suppress: Vec::new(),
    }
}

fn arrived(plan: &CampaignPlan, r: &Reported<'_>, have: Evidence, now: Micros) -> AfterReceipt {
    let ladder = &plan.ladder;
    let next = ladder.owed_after(r.reach, (r.channel, r.notice.contact()), have, r.best);
    let next = next.map(|(planned, after)| (planned, now.saturating_add(after)));
    let acted = have == Evidence::Acknowledged;
    AfterReceipt {
        state: if acted { NoticeState::Acknowledged } else { NoticeState::Delivered },
        reason: None,
        due: None,
        tries: r.tries,
        definite: false,
        next,
        report_due: None,
        standing: if next.is_some() { Standing::InFlight } else { Standing::Satisfied },
        suppress: Channel::ALL.into_iter().filter(|c| !ladder.is_owed(*c, have, r.best)).collect(),
    }
}

/// It arrived, and whoever complains has read it. Nothing more goes out that way.
fn complained(plan: &CampaignPlan, r: &Reported<'_>, now: Micros) -> Option<AfterReceipt> {
    if r.state == NoticeState::Sending {
        return None;
    }
    let mut after = arrived(plan, r, Evidence::Acknowledged, now);
    // A complaint proves delivery; that the person acted is said of those who confirm.
    after.state = if r.state == NoticeState::Acknowledged { r.state } else { NoticeState::Delivered };
    if after.next.is_some_and(|(planned, _)| planned.channel == r.channel) {
        after.next = None;
        after.standing = Standing::Satisfied;
    }
    if !after.suppress.contains(&r.channel) {
        after.suppress.push(r.channel);
    }
    Some(after)
}

fn failed(plan: &CampaignPlan, r: &Reported<'_>, class: Class, now: Micros) -> Option<AfterReceipt> {
    let class = as_failure(class);
    let later = matches!(class, Class::Temporary | Class::Throttled);
    let counts = r.latest
        && match r.state {
            NoticeState::Accepted | NoticeState::Unknown => true,
            // Late word of a delay is no bounce.
            NoticeState::Delivered => !later,
            // Trying again helps against a busy line, not against a number that is none.
            NoticeState::Deferred => matches!(class, Class::BadAddress | Class::RefusedByPerson),
            // What somebody queued again is theirs to decide; what was told, called off or over stays so.
            NoticeState::Queued
            | NoticeState::Sending
            | NoticeState::Acknowledged
            | NoticeState::Failed
            | NoticeState::Suppressed
            | NoticeState::Cancelled => false,
        };
    if !counts {
        return None;
    }
    let give_up = r.first_due.saturating_add(plan.give_up_after);
    // A number that the desk has corrected since is not called again.
    let given_up = r.reach.chars().nth(usize::from(r.notice.contact())) == Some(RETIRED);
    if r.channel == Channel::Phone && later && now < give_up && !r.settled_otherwise && !given_up {
        // A call that nobody took told nobody.
        let due = now.saturating_add(back_off(plan.retry_first, plan.retry_max, r.tries, r.jitter));
        return Some(AfterReceipt {
            state: NoticeState::Deferred,
            reason: None,
            due: Some(due.min(give_up)),
            tries: r.tries + 1,
            definite: true,
            next: None,
            report_due: None,
            standing: Standing::InFlight,
            suppress: Vec::new(),
        });
    }
    let next = plan.ladder.after(r.reach, r.channel, r.notice.contact()).filter(|_| !r.settled_otherwise);
    Some(AfterReceipt {
        state: NoticeState::Failed,
        reason: Some(class),
        due: None,
        tries: r.tries,
        definite: true,
        next: next.map(|planned| (planned, now)),
        report_due: None,
        standing: if next.is_some() { Standing::InFlight } else { Standing::NeedsHuman },
        suppress: Vec::new(),
    })
}

/// A call by a machine that its provider took and of which no report came: whether anybody was told, nobody knows. It is
/// not called again by itself, whatever the campaign says of unknown outcomes: those are notices that the provider may
/// not have, and this one it has. Whoever has it called again means another call, so that gets a fresh key.
pub(super) fn without_report(tries: u32) -> AfterReceipt {
    AfterReceipt {
        state: NoticeState::Unknown,
        reason: None,
        due: None,
        tries,
        definite: true,
        next: None,
        report_due: None,
        standing: Standing::NeedsHuman,
        suppress: Vec::new(),
    }
}

/// A failure of a class that is none is one of which nobody knows why: it may be tried again.
fn as_failure(class: Class) -> Class {
    match class {
        Class::BadAddress
        | Class::RefusedByPerson
        | Class::Temporary
        | Class::Throttled
        | Class::ContentRefused
        | Class::RouteBroken => class,
        Class::Accepted | Class::Unknown | Class::NotSent => Class::Temporary,
    }
}

#[cfg(test)]
mod tests {
    use super::super::incident::CampaignKind;
    use super::super::ladder::{Ladder, Step, When};
    use super::super::time::{HOUR, MINUTE, SECOND};
    use super::*;
    use std::collections::BTreeMap;

    fn plan(steps: &[(Channel, When)]) -> CampaignPlan {
        let step = |(channel, when): &(Channel, When)| Step { channel: *channel, when: *when, after: 4 * HOUR };
        CampaignPlan {
            kind: CampaignKind::Initial,
            templates: "breach-notice".into(),
            default_locale: "en".into(),
            ladder: Ladder { steps: steps.iter().map(step).collect() },
            on_unknown: BTreeMap::new(),
            give_up_after: 72 * HOUR,
            approvals: 1,
            retry_first: MINUTE,
            retry_max: HOUR,
        }
    }

    fn of(channel: Channel, state: NoticeState) -> Reported<'static> {
        Reported {
            notice: NoticeId::new(5, u8::from(channel != Channel::Email), channel),
            channel,
            reach: "ep",
            state,
            tries: 0,
            first_due: 0,
            latest: true,
            best: Evidence::Delivered,
            within: None,
            settled_otherwise: false,
            failed: None,
            at: None,
            jitter: 1.0,
        }
    }

    fn told(plan: &CampaignPlan, r: &Reported<'_>, event: Event, now: Micros) -> String {
        let Some(a) = apply_receipt(plan, r, event, now) else { return "nothing".to_owned() };
        let reason = a.reason.map(|c| format!("({})", c.as_str())).unwrap_or_default();
        let due = a.due.map(|at| format!(" due +{}s", (at - now) / SECOND)).unwrap_or_default();
        let next = a.next.map(|(p, at)| format!(" then {}+{}h", p.channel, (at - now) / HOUR)).unwrap_or_default();
        let not: Vec<&str> = a.suppress.iter().map(|c| c.as_str()).collect();
        let not = if not.is_empty() { String::new() } else { format!(" not {}", not.join(",")) };
        format!("{}{reason}{due} {}{next}{not}", a.state, a.standing.as_str())
    }

    #[test]
    fn the_policy_is_this_table() {
        use Event::{Acknowledged as Acted, Complained, Delivered as Arrived, Failed as Fails, Progress};
        use NoticeState::{
            Accepted, Acknowledged, Cancelled, Deferred, Delivered, Failed, Queued, Sending, Suppressed, Unknown,
        };
        let plan = plan(&[
            (Channel::Email, When::Always),
            (Channel::Sms, When::NotDelivered),
            (Channel::Phone, When::NotReached),
        ]);
        let email = |state| of(Channel::Email, state);
        let acting = |state| Reported { best: Evidence::Acknowledged, ..email(state) };
        let before = |state| Reported { latest: false, ..email(state) };
        let phone = |state| of(Channel::Phone, state);
        let otherwise = Reported { settled_otherwise: true, ..email(Accepted) };
        let bounced = |failed, at| Reported { failed: Some(failed), at, ..email(Failed) };
        let (bad, temporary) = (Fails(Class::BadAddress), Fails(Class::Temporary));
        let there = "delivered satisfied not email,sms,phone";
        let known = "acknowledged satisfied not email,sms,phone";
        let bounce = "failed(bad-address) in_flight then sms+0h";
        for (r, event, want) in [
            (email(Unknown), Progress, "accepted in_flight then sms+4h"),
            (email(Accepted), Progress, "nothing"),
            (email(Deferred), Progress, "nothing"),
            (email(Failed), Progress, "nothing"),
            (email(Accepted), Arrived, there),
            (email(Unknown), Arrived, there),
            (email(Deferred), Arrived, there),
            (email(Cancelled), Arrived, there),
            (email(Suppressed), Arrived, there),
            (before(Queued), Arrived, there),
            (email(Delivered), Arrived, "nothing"),
            (email(Acknowledged), Arrived, "nothing"),
            (email(Sending), Arrived, "nothing"),
            // A route that can report more: delivery alone is not being reached.
            (acting(Accepted), Arrived, "delivered in_flight then phone+4h not email,sms"),
            (acting(Accepted), Acted, known),
            (email(Delivered), Acted, known),
            (email(Failed), Acted, known),
            (email(Acknowledged), Acted, "nothing"),
            (email(Accepted), bad, bounce),
            (email(Unknown), bad, bounce),
            (email(Delivered), bad, bounce),
            (email(Deferred), bad, bounce),
            (email(Accepted), temporary, "failed(temporary) in_flight then sms+0h"),
            (email(Delivered), temporary, "nothing"),
            (email(Deferred), temporary, "nothing"),
            (email(Accepted), Fails(Class::Unknown), "failed(temporary) in_flight then sms+0h"),
            (email(Acknowledged), bad, "nothing"),
            (email(Failed), bad, "nothing"),
            (email(Queued), bad, "nothing"),
            (email(Cancelled), bad, "nothing"),
            (before(Accepted), bad, "nothing"),
            (otherwise, bad, "failed(bad-address) needs_human"),
            (Reported { reach: "exp", ..phone(Accepted) }, temporary, "failed(temporary) needs_human"),
            // Refused at the door of another attempt, and arrived: told is told. A bounce stands, unless it came before.
            (before(Failed), Arrived, there),
            (bounced(None, None), Arrived, "nothing"),
            (bounced(Some(5), None), Arrived, "nothing"),
            (bounced(Some(5), Some(4)), Arrived, "nothing"),
            (bounced(Some(5), Some(6)), Arrived, there),
            (email(Accepted), Complained, there),
            (email(Failed), Complained, there),
            (email(Acknowledged), Complained, known),
            (phone(Accepted), temporary, "deferred due +60s in_flight"),
            (phone(Unknown), temporary, "deferred due +60s in_flight"),
            (phone(Delivered), temporary, "nothing"),
            (phone(Accepted), bad, "failed(bad-address) needs_human"),
            (phone(Accepted), Arrived, there),
            (phone(Unknown), Progress, "accepted in_flight"),
        ] {
            assert_eq!(told(&plan, &r, event, 9), want, "{event:?} on {r:?}");
        }
        assert_eq!(told(&plan, &phone(Accepted), temporary, 72 * HOUR), "failed(temporary) needs_human", "given up");
    }

    #[test]
    fn a_step_taken_in_any_case_is_owed_whatever_is_reported() {
        let plan = plan(&[(Channel::Email, When::Always), (Channel::Sms, When::Always)]);
        let email = of(Channel::Email, NoticeState::Accepted);
        for (event, want) in [
            (Event::Delivered, "delivered in_flight then sms+4h not email,phone"),
            (Event::Acknowledged, "acknowledged in_flight then sms+4h not email,phone"),
            (Event::Complained, "delivered in_flight then sms+4h not email,phone"),
        ] {
            assert_eq!(told(&plan, &email, event, 9), want);
        }
        let sms = of(Channel::Sms, NoticeState::Accepted);
        assert_eq!(told(&plan, &sms, Event::Complained, 9), "delivered satisfied not email,phone,sms");
    }

    #[test]
    fn the_order_of_two_reports_does_not_matter_where_their_times_are_known() {
        let plan = plan(&[(Channel::Email, When::Always)]);
        let bounce = Event::Failed(Class::BadAddress);
        // Delivered at 4, bounced at 5.
        let first = apply_receipt(&plan, &of(Channel::Email, NoticeState::Delivered), bounce, 9).unwrap();
        let late = Reported { failed: Some(Some(5)), at: Some(4), ..of(Channel::Email, NoticeState::Failed) };
        assert_eq!(apply_receipt(&plan, &late, Event::Delivered, 9), None);
        assert_eq!(first.state, NoticeState::Failed);
    }
}

//! What follows from an outcome: the whole retry and ladder policy, as one pure function.

use super::channel::Channel;
use super::incident::{CampaignPlan, OnUnknown};
use super::ladder::{Evidence, Planned};
use super::notice::{NoticeId, NoticeState};
use super::outcome::{Class, Outcome};
use super::overdue;
use super::person::Standing;
use super::time::{Micros, SECOND};

/// The notice as it stands when its attempt ends.
#[derive(Clone, Debug)]
pub struct Ended<'a> {
    pub notice: NoticeId,
    pub channel: Channel,
    /// The kinds of the person's contacts in order.
    pub reach: &'a str,
    /// Attempts ended as `temporary`, `throttled` or `route-broken` so far, this one not counted.
    pub tries: u32,
    /// When the notice was first tried; `give_up_after` counts from here, so that waiting for a slot or a paused campaign
    /// costs nobody a retry.
    pub first_due: Micros,
    /// The route's provider takes an idempotency key.
    pub idempotent: bool,
    /// The best that the route's provider reports later.
    pub best: Evidence,
    /// How long a report of its delivery is waited for by the clock; see [`overdue`].
    pub within: Option<Micros>,
    /// An attempt before this one ended as `unknown` and nothing has cleared it up: it may have arrived.
    pub in_doubt: bool,
    /// A number in 0..1 that spreads retries (drawn by the caller: the core draws no lots).
    pub jitter: f64,
}

/// What to write down.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Decision {
    pub state: NoticeState,
    /// When the notice is to be claimed again; `None`: not by itself.
    pub due: Option<Micros>,
    pub tries: u32,
    /// A refusal was definite: the next attempt gets a fresh idempotency key. "Too fast" or "later" is no answer about an
    /// attempt before it that is in doubt: under a fresh key the provider could not know it again.
    pub definite: bool,
    /// Why it failed, for `--reason-class`; `None` unless `failed`.
    pub reason: Option<Class>,
    /// The next notice of the ladder, and when it falls due.
    pub next: Option<(Planned, Micros)>,
    /// When the report of its delivery is overdue.
    pub report_due: Option<Micros>,
    /// Where this leaves the person, taken by itself.
    pub standing: Standing,
}

/// Applies the policy to one ended attempt; `docs/architecture.md` has it as a table.
///
/// `now` is when the outcome was recorded. Waits are exponential with full jitter over the upper half, honour a
/// provider's Retry-After up to `give_up_after`, and stop there: then the notice has failed with the class of its
/// last outcome. What was `unknown` stays so until it is accepted or refused for good.
pub fn decide(plan: &CampaignPlan, ended: &Ended<'_>, outcome: &Outcome, now: Micros) -> Decision {
    let again = |state, due, tries| Decision {
        state,
        due: Some(due),
        tries,
        definite: false,
        reason: None,
        next: None,
        report_due: None,
        standing: Standing::InFlight,
    };
    match outcome.class {
        Class::Accepted => accepted(plan, ended, now),
        Class::BadAddress | Class::RefusedByPerson | Class::ContentRefused => failed(plan, ended, outcome.class, now),
        // Not at once: whatever gave it back may give it back again.
        Class::NotSent => again(waiting(ended, NoticeState::Queued), now.saturating_add(SECOND / 10), ended.tries),
        Class::Temporary | Class::Throttled | Class::RouteBroken => {
            let give_up = ended.first_due.saturating_add(plan.give_up_after);
            if now >= give_up {
                return Decision { definite: !ended.in_doubt, ..failed(plan, ended, outcome.class, now) };
            }
            let due = now.saturating_add(wait(plan, ended, outcome));
            let state = waiting(ended, NoticeState::Deferred);
            // The last try happens at the give-up time itself, not never.
            Decision { definite: !ended.in_doubt, ..again(state, due.min(give_up), ended.tries + 1) }
        }
        Class::Unknown => {
            if ended.idempotent || plan.on_unknown(ended.channel) == OnUnknown::Resend {
                let give_up = ended.first_due.saturating_add(plan.give_up_after);
                if now >= give_up {
                    return held(ended);
                }
                return again(NoticeState::Unknown, now.saturating_add(wait(plan, ended, outcome)), ended.tries + 1);
            }
            held(ended)
        }
    }
}

/// The state of a notice that waits: an older doubt is kept.
fn waiting(ended: &Ended<'_>, state: NoticeState) -> NoticeState {
    if ended.in_doubt { NoticeState::Unknown } else { state }
}

fn held(ended: &Ended<'_>) -> Decision {
    Decision {
        state: NoticeState::Unknown,
        due: None,
        tries: ended.tries,
        definite: false,
        reason: None,
        next: None,
        report_due: None,
        standing: Standing::NeedsHuman,
    }
}

/// What follows once the provider has it: also where that is found out later.
pub(super) fn accepted(plan: &CampaignPlan, ended: &Ended<'_>, now: Micros) -> Decision {
    let notice = (ended.channel, ended.notice.contact());
    let next = plan.ladder.owed_after(ended.reach, notice, Evidence::Accepted, ended.best);
    let next = next.map(|(planned, after)| (planned, now.saturating_add(after)));
    // A call on the sheet of a route that reports how calls end is a call not yet made: nobody was told.
    let call_is_open = ended.channel == Channel::Phone && ended.best > Evidence::Accepted;
    let standing = if next.is_some() || call_is_open { Standing::InFlight } else { Standing::Satisfied };
    Decision {
        state: NoticeState::Accepted,
        due: None,
        tries: ended.tries,
        definite: false,
        reason: None,
        next,
        report_due: ended.within.map(|within| overdue::first(within, next.map(|(_, due)| due), now)),
        standing,
    }
}

pub(super) fn failed(plan: &CampaignPlan, ended: &Ended<'_>, class: Class, now: Micros) -> Decision {
    // A definite failure has nothing to wait for: the next contact or step is due at once.
    let next = plan.ladder.after(ended.reach, ended.channel, ended.notice.contact()).map(|planned| (planned, now));
    let standing = if next.is_some() { Standing::InFlight } else { Standing::NeedsHuman };
    Decision {
        state: NoticeState::Failed,
        due: None,
        tries: ended.tries,
        definite: true,
        reason: Some(class),
        next,
        report_due: None,
        standing,
    }
}

/// Exponential back-off: the first wait doubled per try up to `retry_max`, the upper half drawn by `jitter`, never
/// shorter than what the provider asked for. Where the route is to blame the first wait is short: another route, or the
/// same one when its breaker closes, takes the notice.
fn wait(plan: &CampaignPlan, ended: &Ended<'_>, outcome: &Outcome) -> Micros {
    let first = if outcome.blames_route() { plan.retry_first.min(SECOND) } else { plan.retry_first };
    // How long a broken route is to rest is a matter of its breaker: the notice may go by another one meanwhile.
    let asked = outcome.retry_after.filter(|_| outcome.class != Class::RouteBroken);
    back_off(first, plan.retry_max, ended.tries, ended.jitter).max(asked.unwrap_or(0))
}

/// `first` doubled per try up to `most`, the upper half drawn by `jitter`.
pub(super) fn back_off(first: Micros, most: Micros, tries: u32, jitter: f64) -> Micros {
    let doubled = first.saturating_mul(1 << tries.min(30)).min(most).max(0);
    let half = doubled / 2;
    let spread = (half as f64 * jitter.clamp(0.0, 1.0)) as Micros;
    half + spread
}

#[cfg(test)]
mod tests {
    use super::super::ladder::{Ladder, Step, When};
    use super::super::time::{HOUR, MINUTE};
    use super::*;
    use std::collections::BTreeMap;

    fn plan() -> CampaignPlan {
        let step = |channel, when, after| Step { channel, when, after };
        CampaignPlan {
            kind: super::super::incident::CampaignKind::Initial,
            templates: "breach-notice".into(),
            default_locale: "en".into(),
            ladder: Ladder {
                steps: vec![
                    step(Channel::Email, When::Always, 0),
                    step(Channel::Sms, When::NotDelivered, 4 * HOUR),
                    step(Channel::Phone, When::NotReached, 24 * HOUR),
                ],
            },
            on_unknown: BTreeMap::new(),
            give_up_after: 72 * HOUR,
            approvals: 1,
            retry_first: MINUTE,
            retry_max: HOUR,
        }
    }

    fn ended(channel: Channel) -> Ended<'static> {
        let contact = u8::from(channel != Channel::Email);
        Ended {
            notice: NoticeId::new(5, contact, channel),
            channel,
            reach: "ep",
            tries: 0,
            first_due: 0,
            idempotent: false,
            best: Evidence::Accepted,
            within: None,
            in_doubt: false,
            jitter: 1.0,
        }
    }

    /// One row of the policy: what ended where, and what must follow.
    fn check(name: &str, ended: &Ended<'_>, class: Class, now: Micros, want: &str) {
        let d = decide(&plan(), ended, &Outcome::new(class, "x", ""), now);
        let got = format!(
            "{} due={:?} next={:?} {}",
            d.state,
            d.due.map(|t| (t - now) / SECOND),
            d.next.map(|(p, at)| format!("{}+{}h", p.channel, (at - now) / HOUR)),
            d.standing.as_str()
        );
        assert_eq!(got, want, "{name}");
    }

    #[test]
    fn the_policy_is_this_table() {
        let email = ended(Channel::Email);
        let sms = ended(Channel::Sms);
        let phone = ended(Channel::Phone);
        let late = 72 * HOUR;
        check("taken", &email, Class::Accepted, 9, "accepted due=None next=None satisfied");
        let reporting = Ended { best: Evidence::Delivered, ..email.clone() };
        let waits = r#"accepted due=None next=Some("sms+4h") in_flight"#;
        check("a delivery report is still to come", &reporting, Class::Accepted, 9, waits);
        let on_sheet = Ended { best: Evidence::Delivered, ..phone.clone() };
        check("a call that is on a sheet", &on_sheet, Class::Accepted, 9, "accepted due=None next=None in_flight");
        check("a call that was made", &phone, Class::Accepted, 9, "accepted due=None next=None satisfied");
        let asked = Ended { within: Some(6 * HOUR), ..reporting.clone() };
        check("also where it is waited for by the clock", &asked, Class::Accepted, 9, waits);
        let report_due = |e: &Ended<'_>| decide(&plan(), e, &Outcome::new(Class::Accepted, "x", ""), 9).report_due;
        assert_eq!((report_due(&asked), report_due(&reporting)), (Some(2 * HOUR + 9), None));
        let at_once = r#"failed due=None next=Some("sms+0h") in_flight"#;
        check("a bad address goes on at once", &email, Class::BadAddress, 9, at_once);
        check("a refusal goes on at once", &email, Class::RefusedByPerson, 9, at_once);
        check("refused words too", &email, Class::ContentRefused, 9, at_once);
        check("the end of the ladder", &phone, Class::BadAddress, 9, "failed due=None next=None needs_human");
        check("try later", &email, Class::Temporary, 9, "deferred due=Some(60) next=None in_flight");
        check("too fast", &email, Class::Throttled, 9, "deferred due=Some(1) next=None in_flight");
        check("a broken route", &email, Class::RouteBroken, 9, "deferred due=Some(1) next=None in_flight");
        check("given up", &email, Class::Temporary, late, at_once);
        check("unknown email is sent again", &email, Class::Unknown, 9, "unknown due=Some(60) next=None in_flight");
        check("unknown sms is held", &sms, Class::Unknown, 9, "unknown due=None next=None needs_human");
        let keyed = Ended { idempotent: true, ..sms };
        check("unless the provider knows keys", &keyed, Class::Unknown, 9, "unknown due=Some(60) next=None in_flight");
        let doubted = Ended { in_doubt: true, ..keyed.clone() };
        check("too fast for a doubted one", &doubted, Class::Throttled, 9, "unknown due=Some(1) next=None in_flight");
        check("a doubted one given back", &doubted, Class::NotSent, 9, "unknown due=Some(0) next=None in_flight");
        check("unknown for too long", &email, Class::Unknown, late, "unknown due=None next=None needs_human");
        check("given back", &email, Class::NotSent, 9, "queued due=Some(0) next=None in_flight");
    }

    #[test]
    fn waits_grow_to_their_limit_and_honour_the_provider() {
        let outcome = Outcome::new(Class::Temporary, "451", "");
        let after = |tries, jitter, outcome: &Outcome| {
            let e = Ended { tries, jitter, ..ended(Channel::Email) };
            decide(&plan(), &e, outcome, 0).due.unwrap()
        };
        assert_eq!(after(0, 0.0, &outcome), MINUTE / 2);
        assert_eq!(after(3, 1.0, &outcome), 8 * MINUTE);
        assert_eq!(after(40, 1.0, &outcome), HOUR);
        assert_eq!(after(0, 0.5, &outcome.clone().with_retry_after(2 * HOUR)), 2 * HOUR);
        let broken = Outcome::new(Class::RouteBroken, "405", "").with_retry_after(2 * HOUR);
        assert!(after(0, 0.5, &broken) <= SECOND, "another route may take it at once");
        // Never past the moment of giving up: the last try is made then.
        assert_eq!(after(0, 0.5, &outcome.with_retry_after(1000 * HOUR)), 72 * HOUR);
    }

    #[test]
    fn only_a_definite_answer_renews_the_idempotency_key() {
        for class in Class::ALL {
            let d = decide(&plan(), &ended(Channel::Email), &Outcome::new(class, "x", ""), 9);
            let definite = !matches!(class, Class::Accepted | Class::Unknown | Class::NotSent);
            assert_eq!(d.definite, definite, "{}", class.as_str());
            // After an attempt that may have arrived only an answer about the message itself clears the doubt.
            let doubted = Ended { in_doubt: true, ..ended(Channel::Email) };
            for now in [9, 72 * HOUR] {
                let d = decide(&plan(), &doubted, &Outcome::new(class, "x", ""), now);
                let refused = matches!(class, Class::BadAddress | Class::RefusedByPerson | Class::ContentRefused);
                assert_eq!(d.definite, refused, "{} in doubt", class.as_str());
            }
        }
    }
}

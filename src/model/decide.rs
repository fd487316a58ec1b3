//! What follows from an outcome: the whole retry and ladder policy, as one pure function.

use super::channel::Channel;
use super::incident::{CampaignPlan, OnUnknown};
use super::ladder::{Planned, When};
use super::notice::{NoticeId, NoticeState};
use super::outcome::{Class, Outcome};
use super::person::Standing;
use super::time::Micros;

/// The notice as it stands when its attempt ends.
#[derive(Clone, Debug)]
pub struct Ended<'a> {
    pub notice: NoticeId,
    pub channel: Channel,
    /// The kinds of the person's contacts in order.
    pub reach: &'a str,
    /// Attempts ended as `temporary`, `throttled` or `route-broken` so far, this one not counted.
    pub tries: u32,
    /// When the notice first fell due; `give_up_after` counts from here.
    pub first_due: Micros,
    /// The route's provider takes an idempotency key.
    pub idempotent: bool,
    /// The route's provider reports deliveries.
    pub reports_delivery: bool,
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
    /// A refusal was definite: the next attempt gets a fresh idempotency key.
    pub definite: bool,
    /// Why it failed, for `--reason-class`; `None` unless `failed`.
    pub reason: Option<Class>,
    /// The next notice of the ladder, and when it falls due.
    pub next: Option<(Planned, Micros)>,
    /// Where this leaves the person, taken by itself.
    pub standing: Standing,
}

/// Applies design sections 4 and 5 to one ended attempt.
///
/// `now` is when the outcome was recorded. Waits are exponential with full jitter over the upper half, honour a
/// provider's Retry-After up to `give_up_after`, and stop there: then the notice has failed with the class of its
/// last outcome.
pub fn decide(plan: &CampaignPlan, ended: &Ended<'_>, outcome: &Outcome, now: Micros) -> Decision {
    let again = |state, due, tries| Decision {
        state,
        due: Some(due),
        tries,
        definite: false,
        reason: None,
        next: None,
        standing: Standing::InFlight,
    };
    match outcome.class {
        Class::Accepted => accepted(plan, ended, now),
        Class::BadAddress | Class::RefusedByPerson | Class::ContentRefused => failed(plan, ended, outcome.class, now),
        Class::NotSent => again(NoticeState::Queued, now, ended.tries),
        Class::Temporary | Class::Throttled | Class::RouteBroken => {
            let give_up = ended.first_due.saturating_add(plan.give_up_after);
            let due = now.saturating_add(wait(plan, ended, outcome));
            if now >= give_up {
                return failed(plan, ended, outcome.class, now);
            }
            // The last try happens at the give-up time itself, not never.
            Decision { definite: true, ..again(NoticeState::Deferred, due.min(give_up), ended.tries + 1) }
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

fn held(ended: &Ended<'_>) -> Decision {
    Decision {
        state: NoticeState::Unknown,
        due: None,
        tries: ended.tries,
        definite: false,
        reason: None,
        next: None,
        standing: Standing::NeedsHuman,
    }
}

fn accepted(plan: &CampaignPlan, ended: &Ended<'_>, now: Micros) -> Decision {
    let next = plan.ladder.after(ended.reach, ended.channel, ended.notice.contact()).and_then(|planned| {
        let step = plan.ladder.steps.get(planned.step)?;
        let same_step = step.channel == ended.channel;
        let wanted = match step.when {
            When::Always => !same_step,
            // A route that reports nothing further gives no better evidence by waiting.
            When::NotDelivered | When::NotReached => ended.reports_delivery && !same_step,
        };
        wanted.then(|| (planned, now.saturating_add(step.after)))
    });
    let standing = if next.is_some() { Standing::InFlight } else { Standing::Satisfied };
    Decision {
        state: NoticeState::Accepted,
        due: None,
        tries: ended.tries,
        definite: false,
        reason: None,
        next,
        standing,
    }
}

fn failed(plan: &CampaignPlan, ended: &Ended<'_>, class: Class, now: Micros) -> Decision {
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
        standing,
    }
}

/// Exponential back-off: `retry_first` doubled per try up to `retry_max`, the upper half drawn by `jitter`, never
/// shorter than what the provider asked for.
fn wait(plan: &CampaignPlan, ended: &Ended<'_>, outcome: &Outcome) -> Micros {
    let doubled = plan.retry_first.saturating_mul(1 << ended.tries.min(30)).min(plan.retry_max).max(0);
    let half = doubled / 2;
    let spread = (half as f64 * ended.jitter.clamp(0.0, 1.0)) as Micros;
    (half + spread).max(outcome.retry_after.unwrap_or(0))
}

//! From ended attempts to what is written: the pure `decide` applied to a batch.

use super::RoutePlan;
use crate::evidence::fact::AttemptProof;
use crate::model::decide::{Ended as Facts, decide};
use crate::model::incident::CampaignPlan;
use crate::model::ladder::Evidence;
use crate::model::notice::NoticeState;
use crate::model::outcome::{Class, Outcome};
use crate::model::time::Micros;
use crate::store::claim::{Due, Orphan};
use crate::store::record::Ended;

/// An attempt that came back from its carrier.
#[derive(Debug)]
pub(super) struct Back {
    pub campaign: i64,
    /// Who claimed it.
    pub worker: i64,
    pub route: usize,
    pub due: Due,
    pub attempt: i64,
    pub outcome: Outcome,
    pub proof: Option<AttemptProof>,
}

/// Decides what follows from an attempt.
pub(super) fn ended(plan: &CampaignPlan, route: &RoutePlan, back: Back, now: Micros) -> Ended {
    let facts = Facts {
        notice: back.due.notice,
        channel: route.channel,
        reach: &back.due.reach,
        tries: back.due.tries,
        first_due: back.due.first_due,
        idempotent: route.idempotent,
        best: route.best,
        within: route.within,
        in_doubt: back.due.state == NoticeState::Unknown,
        jitter: rand::random(),
    };
    let decision = decide(plan, &facts, &back.outcome, now);
    let person = back.due.notice.person();
    Ended {
        notice: back.due.notice,
        attempt: back.attempt,
        worker: back.worker,
        route: route.name.clone(),
        named_by_id: route.named_by_id,
        refusals: back.due.refusals,
        outcome: back.outcome,
        proof: back.proof,
        decision,
        alone: back.attempt == 1 && plan.ladder.first(&back.due.reach).map(|p| p.id(person)) == Some(back.due.notice),
    }
}

/// Decides about a notice whose worker went away: nobody knows whether it was sent.
pub(super) fn orphaned(plan: &CampaignPlan, route: Option<&RoutePlan>, orphan: Orphan, now: Micros) -> Ended {
    let outcome = Outcome::new(Class::Unknown, "worker-gone", "the worker ended before the outcome was recorded");
    let mut ended = without_carrier(plan, route, orphan, outcome, now);
    // The silence was ours, not the provider's: there is nothing to wait for.
    ended.decision.due = ended.decision.due.map(|_| now);
    ended
}

/// Decides about a notice that was claimed in a transaction of which this worker did not learn that it stands.
pub(super) fn never_started(plan: &CampaignPlan, route: Option<&RoutePlan>, orphan: Orphan, now: Micros) -> Ended {
    let text = "the database was lost while it was claimed; it goes back unharmed";
    without_carrier(plan, route, orphan, Outcome::new(Class::NotSent, "not-started", text), now)
}

fn without_carrier(
    plan: &CampaignPlan,
    route: Option<&RoutePlan>,
    orphan: Orphan,
    outcome: Outcome,
    now: Micros,
) -> Ended {
    let facts = Facts {
        notice: orphan.notice,
        channel: orphan.channel,
        reach: &orphan.reach,
        tries: 0,
        first_due: orphan.first_due,
        idempotent: route.is_some_and(|r| r.idempotent),
        best: route.map_or(Evidence::Accepted, |r| r.best),
        within: route.and_then(|r| r.within),
        in_doubt: orphan.in_doubt,
        jitter: 0.0,
    };
    let mut decision = decide(plan, &facts, &outcome, now);
    decision.tries = orphan.tries;
    Ended {
        notice: orphan.notice,
        attempt: orphan.attempt,
        worker: orphan.worker,
        route: orphan.route,
        named_by_id: false,
        refusals: orphan.refusals,
        outcome,
        proof: None,
        decision,
        alone: false,
    }
}

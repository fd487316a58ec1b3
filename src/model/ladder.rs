//! The ordered steps of channels for a person, and which notice comes next.

use super::channel::{Channel, ContactKind};
use super::notice::{MAX_CONTACTS, NoticeId};
use super::time::Micros;

/// When a step after the first is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// The notices before it failed, or no delivery was reported within `after` on a route that reports deliveries.
    NotDelivered,
    /// As `NotDelivered`, and delivery alone is not enough: an acknowledgement (or an accepted notice on a route
    /// that cannot report more) is.
    NotReached,
    /// In any case, `after` the step before it.
    Always,
}

impl When {
    pub fn as_str(self) -> &'static str {
        match self {
            When::NotDelivered => "not-delivered",
            When::NotReached => "not-reached",
            When::Always => "always",
        }
    }

    /// Whether a step of this condition is still owed to somebody of whom there is this evidence, `best` being the best
    /// that can come from the same route: what cannot come is not waited for.
    fn is_owed(self, have: Evidence, best: Evidence) -> bool {
        match self {
            When::Always => true,
            When::NotDelivered => have < Evidence::Delivered && best > have,
            When::NotReached => have < Evidence::Acknowledged && best > have,
        }
    }

    pub fn parse(name: &str) -> Option<When> {
        [When::NotDelivered, When::NotReached, When::Always].into_iter().find(|w| w.as_str() == name)
    }
}

/// How far a notice has demonstrably come; it only climbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// The provider has it.
    Accepted,
    /// It reached the mailbox, the handset, the answered telephone.
    Delivered,
    /// The person acted on it.
    Acknowledged,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    pub channel: Channel,
    pub when: When,
    pub after: Micros,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder {
    pub steps: Vec<Step>,
}

/// A notice the ladder foresees: at `step`, to the contact with that ordinal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    pub step: usize,
    pub channel: Channel,
    pub contact: u8,
}

impl Ladder {
    /// All notices the ladder foresees for somebody with these contacts, in order: within a step every contact of
    /// its kind, then the next step.
    pub fn plan(&self, reach: &str) -> Vec<Planned> {
        let mut planned: Vec<Planned> = Vec::new();
        for (step, rung) in self.steps.iter().enumerate() {
            let letter = rung.channel.contact_kind().letter();
            for (ordinal, _) in reach.chars().enumerate().take(MAX_CONTACTS).filter(|(_, c)| *c == letter) {
                let next = Planned { step, channel: rung.channel, contact: ordinal as u8 };
                if !planned.iter().any(|p| (p.channel, p.contact) == (next.channel, next.contact)) {
                    planned.push(next);
                }
            }
        }
        planned
    }

    /// The first notice, or `None` when no step can reach these contacts.
    pub fn first(&self, reach: &str) -> Option<Planned> {
        self.plan(reach).into_iter().next()
    }

    /// What follows this notice in the plan.
    pub fn after(&self, reach: &str, channel: Channel, contact: u8) -> Option<Planned> {
        let plan = self.plan(reach);
        let at = plan.iter().position(|p| (p.channel, p.contact) == (channel, contact))?;
        plan.get(at + 1).copied()
    }

    /// The first notice of a later step that is still owed when there is this evidence of the notice, and how long after
    /// the evidence it is due. Further contacts of the same step are for failures only.
    pub fn owed_after(
        &self,
        reach: &str,
        (channel, contact): (Channel, u8),
        have: Evidence,
        best: Evidence,
    ) -> Option<(Planned, Micros)> {
        let plan = self.plan(reach);
        let at = plan.iter().position(|p| (p.channel, p.contact) == (channel, contact))?;
        let later = plan[at..].iter().filter(|p| p.step > plan[at].step);
        later
            .filter_map(|p| Some((*p, self.steps.get(p.step)?)))
            .find_map(|(planned, step)| step.when.is_owed(have, best).then_some((planned, step.after)))
    }

    /// Whether a waiting notice of this channel is still owed when there is this evidence of another one.
    pub fn is_owed(&self, channel: Channel, have: Evidence, best: Evidence) -> bool {
        self.steps.iter().skip(1).any(|s| s.channel == channel && s.when.is_owed(have, best))
    }

    /// Whether any step uses this kind of contact.
    pub fn uses(&self, kind: ContactKind) -> bool {
        self.steps.iter().any(|s| s.channel.contact_kind() == kind)
    }

    /// Whether notices of this channel are sent even to somebody who was told: a later step says `always`. The first
    /// step has no condition, and promises nothing beside being the first.
    pub fn in_any_case(&self, channel: Channel) -> bool {
        self.steps.iter().skip(1).any(|s| s.channel == channel && s.when == When::Always)
    }

    /// One line that says the whole ladder; part of what an approval is bound to.
    pub fn canonical(&self) -> String {
        let steps: Vec<String> =
            self.steps.iter().map(|s| format!("{} when={} after={}us", s.channel, s.when.as_str(), s.after)).collect();
        steps.join("; ")
    }
}

impl Planned {
    pub fn id(self, person: i64) -> NoticeId {
        NoticeId::new(person, self.contact, self.channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder() -> Ladder {
        let step = |channel, when| Step { channel, when, after: 0 };
        Ladder {
            steps: vec![
                step(Channel::Email, When::Always),
                step(Channel::Sms, When::NotDelivered),
                step(Channel::Phone, When::NotReached),
            ],
        }
    }

    #[test]
    fn the_plan_tries_every_contact_of_a_step_before_the_next_step() {
        for (reach, want) in [
            ("ep", "email0 sms1 phone1"),
            ("pe", "email1 sms0 phone0"),
            ("eep", "email0 email1 sms2 phone2"),
            ("p", "sms0 phone0"),
            ("e", "email0"),
            ("", ""),
        ] {
            let got: Vec<String> = ladder().plan(reach).iter().map(|p| format!("{}{}", p.channel, p.contact)).collect();
            assert_eq!(got.join(" "), want, "{reach}");
        }
        assert_eq!(ladder().after("ep", Channel::Sms, 1).map(|p| p.channel), Some(Channel::Phone));
        assert_eq!(ladder().after("ep", Channel::Phone, 1), None);
    }

    #[test]
    fn what_is_still_owed_depends_on_the_evidence_there_is_and_can_be() {
        use Evidence::{Accepted, Acknowledged, Delivered};
        let step = |channel, when, after| Step { channel, when, after };
        let always_last = Ladder {
            steps: vec![
                step(Channel::Email, When::Always, 0),
                step(Channel::Sms, When::NotDelivered, 4),
                step(Channel::Phone, When::Always, 9),
            ],
        };
        for (ladder, reach, have, best, want) in [
            (&ladder(), "ep", Accepted, Accepted, None),
            (&ladder(), "ep", Accepted, Delivered, Some(("sms", 0))),
            (&ladder(), "eep", Accepted, Delivered, Some(("sms", 0))),
            (&ladder(), "ep", Delivered, Delivered, None),
            (&ladder(), "ep", Delivered, Acknowledged, Some(("phone", 0))),
            (&ladder(), "ep", Acknowledged, Acknowledged, None),
            (&ladder(), "e", Accepted, Delivered, None),
            (&always_last, "ep", Accepted, Accepted, Some(("phone", 9))),
            (&always_last, "ep", Accepted, Delivered, Some(("sms", 4))),
            (&always_last, "ep", Delivered, Delivered, Some(("phone", 9))),
        ] {
            let got = ladder.owed_after(reach, (Channel::Email, 0), have, best);
            assert_eq!(got.map(|(p, after)| (p.channel.as_str(), after)), want, "{reach} {have:?} of {best:?}");
        }
        assert!(always_last.is_owed(Channel::Phone, Acknowledged, Acknowledged));
        assert!(!always_last.is_owed(Channel::Sms, Delivered, Delivered));
        assert!(!always_last.is_owed(Channel::Email, Accepted, Delivered));
    }
}

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

    pub fn parse(name: &str) -> Option<When> {
        [When::NotDelivered, When::NotReached, When::Always].into_iter().find(|w| w.as_str() == name)
    }
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
}

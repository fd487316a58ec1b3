//! What happened in a campaign, told from its delivery log: retries, steps down the ladder, unknown outcomes, and the
//! persons who still wait for a human being.
//!
//! Read in pages; what is kept per person is small, but it is kept for every person with an attempt that was not
//! simply accepted. Meant for the end of a campaign or of the demo, not for a screen that refreshes.

use super::status::Status;
use super::{App, AppError};
use crate::model::channel::Channel;
use crate::model::notice::NoticeState;
use crate::model::outcome::Class;
use crate::model::person::Standing;
use crate::model::personal::Personal;
use crate::model::time::Micros;
use crate::store::log::LoggedAttempt;
use std::collections::BTreeMap;

/// Attempts read at once.
const PAGE: usize = 2_000;
/// Persons who need a human that are named.
const NAMED: usize = 1_000;

/// One ended attempt, without what was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub channel: String,
    pub class: String,
    /// The state it left the notice in.
    pub state: String,
    /// Number of the attempt of this notice, from 1.
    pub no: i64,
    pub notice: i64,
}

/// Somebody whom the program could not reach or is not sure of.
#[derive(Clone, Debug)]
pub struct OpenPerson {
    pub reference: Personal,
    pub steps: Vec<Step>,
}

/// The story of a campaign.
#[derive(Clone, Debug)]
pub struct Story {
    pub status: Status,
    /// Channel, state, how many.
    pub notices: Vec<(String, String, i64)>,
    /// Channel, class, how many attempts.
    pub outcomes: Vec<(String, String, i64)>,
    pub counts: Counts,
    pub needs_human: Vec<OpenPerson>,
}

/// What is worth telling, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Notices accepted after the provider had said "later".
    pub retried: i64,
    /// Persons told on a later step of the ladder.
    pub next_step: i64,
    /// Notices sent again after an unknown outcome.
    pub resent: i64,
    /// Notices held because nobody knows whether they arrived.
    pub held: i64,
    /// Persons for whom every step of the ladder failed.
    pub exhausted: i64,
}

impl App {
    pub async fn story(&self, id: &str, now: Micros) -> Result<Story, AppError> {
        let status = self.status(id, now).await?;
        let campaign = &status.campaign;
        let steps = self.steps(campaign.no).await?;
        let counts = count(&steps);
        let keys = self.master.open_campaign_keys(campaign.no, &campaign.keys)?;
        let mut needs_human = Vec::new();
        for (no, sealed) in self.store.persons_standing(campaign.no, Standing::NeedsHuman, NAMED).await? {
            let reference = keys.open_person(no, &sealed)?.reference;
            needs_human.push(OpenPerson { reference, steps: steps.get(&no).cloned().unwrap_or_default() });
        }
        let notices = in_order(self.store.notices_by_channel(campaign.no).await?);
        let outcomes = in_order(self.store.outcomes_by_channel(campaign.no).await?);
        Ok(Story { status, notices, outcomes, counts, needs_human })
    }

    /// The attempts of every person, in order; whoever was simply told at the first attempt is left out.
    async fn steps(&self, campaign: i64) -> Result<BTreeMap<i64, Vec<Step>>, AppError> {
        let mut steps: BTreeMap<i64, Vec<Step>> = BTreeMap::new();
        let mut after = 0;
        loop {
            let page = self.store.attempts_after(campaign, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for attempt in page {
                steps.entry(attempt.notice.person()).or_default().push(step(attempt));
            }
        }
        steps.retain(|_, taken| taken.len() > 1 || taken.iter().any(|s| s.class != Class::Accepted.as_str()));
        Ok(steps)
    }
}

/// By channel as channels are usually named: email, sms, phone.
fn in_order(mut rows: Vec<(String, String, i64)>) -> Vec<(String, String, i64)> {
    rows.sort_by_key(|(channel, _, _)| Channel::ALL.iter().position(|c| c.as_str() == channel));
    rows
}

fn step(attempt: LoggedAttempt) -> Step {
    Step {
        channel: attempt.channel,
        class: attempt.class.unwrap_or_default(),
        state: attempt.state.unwrap_or_default(),
        no: attempt.no,
        notice: attempt.notice.0,
    }
}

fn count(steps: &BTreeMap<i64, Vec<Step>>) -> Counts {
    let mut counts = Counts::default();
    let later = [Class::Temporary, Class::Throttled, Class::RouteBroken].map(Class::as_str);
    for taken in steps.values() {
        let mut notices: BTreeMap<i64, Vec<&Step>> = BTreeMap::new();
        for step in taken {
            notices.entry(step.notice).or_default().push(step);
        }
        let accepted = |s: &Step| s.class == Class::Accepted.as_str();
        let failed = |s: &Step| s.state == NoticeState::Failed.as_str();
        for attempts in notices.values() {
            let was_later = attempts.iter().any(|s| later.contains(&s.class.as_str()));
            counts.retried += i64::from(was_later && attempts.last().is_some_and(|s| accepted(s)));
            let resent = attempts.iter().rev().skip(1).any(|s| s.class == Class::Unknown.as_str());
            counts.resent += i64::from(resent);
            counts.held += i64::from(attempts.last().is_some_and(|s| s.class == Class::Unknown.as_str()));
        }
        counts.next_step += i64::from(taken.iter().any(failed) && taken.last().is_some_and(accepted));
        counts.exhausted += i64::from(taken.last().is_some_and(failed));
    }
    counts
}

impl Story {
    /// Attempts of a class, over all channels.
    pub fn outcomes_of(&self, class: Class) -> i64 {
        self.outcomes.iter().filter(|(_, c, _)| c == class.as_str()).map(|(_, _, n)| n).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `email:temporary/deferred` as a step of the notice that its channel stands for.
    fn taken(line: &str) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for word in line.split(' ') {
            let (channel, rest) = word.split_once(':').unwrap();
            let (class, state) = rest.split_once('/').unwrap();
            let notice = channel.len() as i64;
            let no = 1 + steps.iter().filter(|s| s.notice == notice).count() as i64;
            steps.push(Step { channel: channel.into(), class: class.into(), state: state.into(), no, notice });
        }
        steps
    }

    #[test]
    fn what_happened_is_counted_by_notice_and_person() {
        let zero = Counts::default();
        for (line, want) in [
            ("email:temporary/deferred email:accepted/accepted", Counts { retried: 1, ..zero }),
            ("email:bad-address/failed sms:accepted/accepted", Counts { next_step: 1, ..zero }),
            ("email:unknown/unknown email:accepted/accepted", Counts { resent: 1, ..zero }),
            ("sms:unknown/unknown", Counts { held: 1, ..zero }),
            ("email:unknown/unknown email:unknown/unknown", Counts { resent: 1, held: 1, ..zero }),
            ("sms:bad-address/failed phone:bad-address/failed", Counts { exhausted: 1, ..zero }),
            ("email:temporary/deferred email:temporary/failed", Counts { exhausted: 1, ..zero }),
        ] {
            assert_eq!(count(&[(7, taken(line))].into()), want, "{line}");
        }
    }
}

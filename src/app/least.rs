//! How long the rest of a campaign takes at least by the limits of its routes: said at its start, and by `doctor`.

use super::doctor::{Finding, chain};
use super::{App, AppError};
use crate::config::{Config, Route};
use crate::model::campaign::CampaignState;
use crate::model::channel::Channel;
use crate::model::ladder::Ladder;
use crate::model::pace::{Limit, at_least, roughly};
use crate::model::problem::Problem;
use crate::model::time::{HOUR, Micros, SECOND};
use crate::store::campaign::Campaign;
use crate::store::{Store, StoreError};
use std::path::Path;

/// Longer than this, and most laws have somebody told too late.
const TOO_LONG: Micros = 72 * HOUR;

/// What a channel has still to carry.
struct Least {
    channel: Channel,
    notices: u64,
    takes: Micros,
}

impl App {
    /// How long the rest of the campaign takes at least, as [`findings`] says it; `None` where no limit makes it long.
    pub async fn least_time(&self, id: &str) -> Result<Option<String>, AppError> {
        let campaign = self.campaign(id).await?;
        let least = least(&self.config, &self.store, &campaign).await?;
        Ok((!least.is_empty()).then(|| said(&least)))
    }
}

/// The campaigns that are approved or running, and how long each takes at least.
pub(super) async fn findings(config: &Config, store: &Store) -> Vec<Finding> {
    // That they cannot be read is found elsewhere.
    let campaigns = store.campaigns().await.unwrap_or_default();
    let mut found = Vec::new();
    for campaign in campaigns {
        if !matches!(campaign.state, CampaignState::Approved | CampaignState::Running) {
            continue;
        }
        let about = format!("campaign {}", campaign.id);
        match least(config, store, &campaign).await {
            Ok(least) => found.extend(finding(&least, about)),
            Err(error) => found.push(Finding::bad(about, Problem::new("database", "", chain(&error)), "")),
        }
    }
    found
}

fn finding(least: &[Least], about: String) -> Option<Finding> {
    let longest = least.iter().map(|l| l.takes).max()?;
    if longest <= TOO_LONG {
        return Some(Finding::ok(about, said(least)));
    }
    let next = "have the provider allow more and raise `limits`, or add a route; else those who wait are told too late";
    Some(Finding::warn(about, said(least), next))
}

fn said(least: &[Least]) -> String {
    let one = |l: &Least| format!("{} {} notices in {}", l.notices, l.channel, roughly(l.takes));
    let all: Vec<String> = least.iter().map(one).collect();
    format!("by the limits of its routes it sends at the soonest {}", all.join(", "))
}

/// The channels that take a second or longer.
async fn least(config: &Config, store: &Store, campaign: &Campaign) -> Result<Vec<Least>, StoreError> {
    let file = Path::new("the stored incident file");
    // One that does not read any more is found elsewhere.
    let Ok(incident) = crate::incident_file::parse(file, &campaign.incident_file, i64::MAX / 2) else {
        return Ok(Vec::new());
    };
    let ladder = incident.value.campaign.ladder;
    let mut all = Vec::new();
    for channel in Channel::ALL {
        let limits = limits(&config.routes, channel);
        let mut notices = store.waiting(campaign.no, channel).await?;
        for (reach, persons) in store.without_notice(campaign.no, campaign.planned, channel).await? {
            notices += if is_sure(&ladder, &reach, channel) { persons } else { 0 };
        }
        let notices = u64::try_from(notices).unwrap_or(0);
        let takes = at_least(notices, &limits).unwrap_or(0);
        if takes >= SECOND {
            all.push(Least { channel, notices, takes });
        }
    }
    Ok(all)
}

/// Whether a person with these contacts gets a notice of the channel whatever comes of the others.
fn is_sure(ladder: &Ladder, reach: &str, channel: Channel) -> bool {
    let plan = ladder.plan(reach);
    plan.first().is_some_and(|first| first.channel == channel)
        || (ladder.in_any_case(channel) && plan.iter().any(|p| p.channel == channel))
}

/// The limits of the routes that carry the channel: not of those that stand by, unless there are no others.
fn limits(routes: &[Route], channel: Channel) -> Vec<Vec<Limit>> {
    let of_channel = || routes.iter().filter(|r| r.channel == channel);
    let carries = |r: &&Route| r.weight > 0 || of_channel().all(|r| r.weight == 0);
    of_channel().filter(carries).map(|r| r.limits.iter().map(|l| (l.rate, l.per)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::doctor::Level;
    use crate::model::ladder::{Step, When};
    use crate::model::time::MINUTE;

    #[test]
    fn what_takes_longer_than_three_days_is_warned_of() {
        let least = |takes| Least { channel: Channel::Sms, notices: 9, takes };
        for (least, level, part) in [
            (vec![least(MINUTE * 5)], Level::Ok, "at the soonest 9 sms notices in 5m"),
            (vec![least(72 * HOUR)], Level::Ok, "in 3d"),
            (vec![least(MINUTE * 2), least(73 * HOUR)], Level::Warn, "in 2m, 9 sms notices in 73h"),
        ] {
            let found = finding(&least, "campaign c".to_owned()).expect("something");
            assert!(found.level == level && found.message.contains(part), "{part}: {found:?}");
        }
        assert!(finding(&[], "campaign c".to_owned()).is_none());
    }

    #[test]
    fn the_first_step_and_those_in_any_case_are_sure() {
        let step = |channel, when| Step { channel, when, after: 0 };
        let ladder = Ladder {
            steps: vec![
                step(Channel::Email, When::Always),
                step(Channel::Sms, When::Always),
                step(Channel::Phone, When::NotReached),
            ],
        };
        for (reach, sure) in
            [("ep", vec![Channel::Email, Channel::Sms]), ("p", vec![Channel::Sms]), ("e", vec![Channel::Email])]
        {
            let found: Vec<Channel> = Channel::ALL.into_iter().filter(|c| is_sure(&ladder, reach, *c)).collect();
            assert_eq!(found, sure, "{reach}");
        }
    }
}

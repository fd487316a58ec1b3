//! The queue: ranking what is new, taking the next case, giving cases back, listing them.

use super::{Actor, DeskCampaign};
use crate::app::{App, AppError};
use crate::desk::urgency::{Facts, Place, Tier, due_by, is_minor};
use crate::model::campaign::CampaignState;
use crate::model::contact::Role;
use crate::model::person::{Person, Standing};
use crate::model::personal::Personal;
use crate::model::problem::Problem;
use crate::model::time::Micros;
use crate::store::campaign::Campaign;
use crate::store::desk::{CaseRow, DeskPerson, ListPlace, Unranked};
use jiff::tz::TimeZone;

/// Cases ranked in one transaction, and by one command at most: what is left over is ranked by the next.
const CHUNK: usize = 2_000;
const RANKED_AT_ONCE: usize = 20_000;
/// Cases looked at to find one that nobody else takes in the same moment.
const LOOKED_AT: usize = 24;
/// How often the queue is asked again when others were faster each time.
const ROUNDS: usize = 50;

/// A case that was taken.
pub struct Taken {
    pub campaign: DeskCampaign,
    pub person: DeskPerson,
    pub until: Micros,
}

/// Which cases are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListState {
    /// All that are open.
    Open,
    /// Open, held by nobody, and not put off.
    Free,
    /// Somebody works on them.
    Held,
    /// A call-back is agreed or proposed.
    CallBack,
}

/// A case in a list.
#[derive(Clone, Debug)]
pub struct ListedCase {
    pub campaign: String,
    pub reference: Personal,
    pub standing: String,
    pub locale: String,
    pub country: String,
    pub case: CaseRow,
}

/// A page of a list.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    pub cases: Vec<ListedCase>,
    /// Open cases in all, by campaign; beyond [`COUNTED`] they are not counted.
    pub open: Vec<(String, i64)>,
    /// Where to go on: campaign and place; `None` at the end.
    pub next: Option<(String, ListPlace)>,
    /// The database's time is this machine's in a list: nothing is decided by it.
    pub now: Micros,
}

/// Open cases are counted up to here.
pub const COUNTED: i64 = 100_000;

impl ListState {
    pub const ALL: [ListState; 4] = [ListState::Open, ListState::Free, ListState::Held, ListState::CallBack];

    pub fn as_str(self) -> &'static str {
        match self {
            ListState::Open => "open",
            ListState::Free => "free",
            ListState::Held => "held",
            ListState::CallBack => "call-back",
        }
    }

    pub fn parse(name: &str) -> Option<ListState> {
        ListState::ALL.into_iter().find(|s| s.as_str() == name)
    }

    fn holds(self, case: &CaseRow, now: Micros) -> bool {
        let held = is_held(case, now);
        match self {
            ListState::Open => true,
            ListState::Free => !held && case.not_before.is_none_or(|at| at <= now),
            ListState::Held => held,
            ListState::CallBack => case.not_before.is_some(),
        }
    }
}

/// Whether somebody works on the case at this moment.
pub(super) fn is_held(case: &CaseRow, now: Micros) -> bool {
    case.holder.is_some() && case.lease_until.is_some_and(|until| until > now)
}

impl App {
    /// Takes the most urgent case that nobody has; `None` where there is none now.
    pub async fn desk_next(
        &self,
        id: Option<&str>,
        actor: Actor<'_>,
        lease: Micros,
    ) -> Result<Option<Taken>, AppError> {
        let campaigns = self.desk_campaigns(id).await?;
        for campaign in &campaigns {
            self.rank_new(campaign, actor.now).await?;
        }
        for _ in 0..ROUNDS {
            let mut candidates = Vec::new();
            for campaign in &campaigns {
                candidates.extend(self.store.candidates(campaign.campaign.no, LOOKED_AT).await?);
            }
            if candidates.is_empty() {
                return Ok(None);
            }
            candidates.sort_by_key(|c| Place::new(c.call_back, c.due_at, c.campaign, c.person));
            for candidate in candidates {
                let mut tx = self.store.begin().await?;
                let until = tx.take_free_case(candidate.campaign, candidate.person, actor.by, lease).await?;
                tx.commit().await?;
                let Some(until) = until else { continue };
                if let Some(person) = self.still_open(candidate.campaign, candidate.person, actor.now).await?
                    && let Some(campaign) = campaigns.iter().find(|c| c.campaign.no == candidate.campaign)
                {
                    let campaign = self.at_desk(campaign.campaign.clone())?;
                    return Ok(Some(Taken { campaign, person, until }));
                }
            }
        }
        let message = "others took every case that was looked at; run the command again";
        Err(Problem::new("queue-busy", "", message).into())
    }

    /// The person of a case that was taken, unless it turns out to need nobody: a call that was settled by a sheet.
    async fn still_open(&self, campaign: i64, person: i64, now: Micros) -> Result<Option<DeskPerson>, AppError> {
        let mut tx = self.store.begin().await?;
        let found = tx.desk_person(campaign, person).await?;
        let needed =
            found.as_ref().is_some_and(|p| p.standing == Standing::NeedsHuman || p.notices.iter().any(|n| n.open_call));
        if !needed {
            tx.close_needless(campaign, person, now).await?;
        }
        tx.commit().await?;
        Ok(found.filter(|_| needed))
    }

    /// The campaigns whose cases are worked off: the one that is named, else all that were not called off.
    async fn desk_campaigns(&self, id: Option<&str>) -> Result<Vec<DeskCampaign>, AppError> {
        let campaigns: Vec<Campaign> = match id {
            Some(id) => vec![self.campaign(id).await?],
            None => {
                let mut all = self.store.campaigns().await?;
                all.retain(|c| matches!(c.state, CampaignState::Running | CampaignState::Paused));
                all
            }
        };
        campaigns.into_iter().map(|campaign| self.at_desk(campaign)).collect()
    }

    /// Ranks cases that nobody has looked at.
    async fn rank_new(&self, campaign: &DeskCampaign, now: Micros) -> Result<(), AppError> {
        let no = campaign.campaign.no;
        let limit = campaign.campaign.started_at.map(|at| at.saturating_add(campaign.plan.give_up_after));
        for _ in 0..RANKED_AT_ONCE / CHUNK {
            let new = self.store.unranked_cases(no, CHUNK).await?;
            if new.is_empty() {
                break;
            }
            let mut ranks = Vec::with_capacity(new.len());
            for case in &new {
                let person = campaign.keys.open_person(case.person, &case.sealed)?;
                let tier = tier(case, &person, now);
                ranks.push((case.person, tier.as_str(), due_by(tier, case.opened_at, limit)));
            }
            let mut tx = self.store.begin().await?;
            tx.rank_cases(no, &ranks).await?;
            tx.commit().await?;
            if new.len() < CHUNK {
                break;
            }
        }
        Ok(())
    }

    /// Gives back a case, or all that somebody holds; how many.
    pub async fn desk_release(
        &self,
        one: Option<(&DeskCampaign, i64)>,
        campaign: Option<&str>,
        actor: Actor<'_>,
    ) -> Result<u64, AppError> {
        let mut tx = self.store.begin().await?;
        let mut released = 0;
        match one {
            Some((campaign, person)) => {
                if !tx.release_case(campaign.campaign.no, person, actor.by, actor.now).await? {
                    let message = format!("{} does not hold this case; `desk show` says who does", actor.by);
                    return Err(Problem::new("not-held", "ref", message).into());
                }
                released = 1;
            }
            None => {
                let all = match campaign {
                    Some(id) => vec![self.campaign(id).await?],
                    None => self.store.campaigns().await?,
                };
                for campaign in all {
                    released += tx.release_all(campaign.no, actor.by, actor.now).await?;
                }
            }
        }
        tx.commit().await?;
        Ok(released)
    }

    /// A page of open cases, campaign after campaign, the most urgent first.
    pub async fn desk_list(
        &self,
        id: Option<&str>,
        (state, holder): (ListState, Option<&str>),
        after: Option<(String, ListPlace)>,
        limit: usize,
        now: Micros,
    ) -> Result<Listed, AppError> {
        let mut listed = Listed { now, ..Listed::default() };
        let mut campaigns = self.desk_campaigns(id).await?;
        for campaign in &campaigns {
            self.rank_new(campaign, now).await?;
            let open = self.store.count_open_cases(campaign.campaign.no, COUNTED).await?;
            listed.open.push((campaign.campaign.id.clone(), open));
        }
        let mut place = (Micros::MIN, i64::MIN);
        if let Some((id, at)) = after {
            let Some(first) = campaigns.iter().position(|c| c.campaign.id == id) else {
                return Err(AppError::NoCampaign(id));
            };
            campaigns.drain(..first);
            place = at;
        }
        for campaign in &campaigns {
            loop {
                let page = self.store.list_cases(campaign.campaign.no, holder, place, limit.max(100)).await?;
                if page.is_empty() {
                    break;
                }
                for line in page {
                    place = (line.case.not_before.or(line.case.due_at).unwrap_or_default(), line.person);
                    if !state.holds(&line.case, now) {
                        continue;
                    }
                    let person = campaign.keys.open_person(line.person, &line.sealed)?;
                    listed.cases.push(ListedCase {
                        campaign: campaign.campaign.id.clone(),
                        reference: person.reference,
                        standing: line.standing,
                        locale: line.locale,
                        country: line.country,
                        case: line.case,
                    });
                    if listed.cases.len() == limit {
                        listed.next = Some((campaign.campaign.id.clone(), place));
                        return Ok(listed);
                    }
                }
            }
            place = (Micros::MIN, i64::MIN);
        }
        Ok(listed)
    }
}

fn tier(case: &Unranked, person: &Person, now: Micros) -> Tier {
    let today = jiff::Timestamp::from_microsecond(now).unwrap_or_default().to_zoned_datetime(TimeZone::UTC).date();
    let role = case.speak_to.unwrap_or(person.role);
    Tier::of(&Facts {
        call_owed: case.call_owed,
        minor: is_minor(person.birth_date.reveal(), today) == Some(true),
        for_another: role != Role::OneSelf,
        notices: &case.notices,
    })
}

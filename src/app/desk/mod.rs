//! The desk: cases of persons who need a human, worked off from the command line or a console.
//!
//! Invariants: a case is handed to one person at a time; whatever changes a person is one transaction that holds the
//! person, checks who has the case, and leaves a note with who and what; personal data leaves here masked unless it was
//! asked for, and that is noted before it is shown. Deliberately absent: calling somebody by itself.

mod close;
mod correct;
mod queue;
pub(in crate::app) mod record;
mod story;
mod written;

pub use correct::{Correct, Corrected};
pub use queue::{COUNTED, ListState, Listed, ListedCase, Taken};
pub use record::{Call, Called};
pub use story::{ContactLine, NoteLine, PersonStory};
pub use written::{call_json, case_json};

use super::{App, AppError};
use crate::model::campaign::CampaignState;
use crate::model::incident::CampaignPlan;
use crate::model::notice::{NoticeId, NoticeState};
use crate::model::person::Person;
use crate::model::problem::Problem;
use crate::model::time::{MINUTE, Micros, rfc3339};
use crate::providers::call_sheet;
use crate::store::Tx;
use crate::store::campaign::Campaign;
use crate::store::desk::{DeskPerson, NewNote};
use crate::vault::CampaignKeys;
use std::path::Path;

/// How long a case is held by whoever takes it, unless they say otherwise.
pub const LEASE: Micros = 30 * MINUTE;

/// A campaign as far as the desk needs it: without its texts.
pub struct DeskCampaign {
    pub campaign: Campaign,
    pub keys: CampaignKeys,
    pub plan: CampaignPlan,
}

/// Who does something at the desk, and when by this machine.
#[derive(Clone, Copy, Debug)]
pub struct Actor<'a> {
    pub by: &'a str,
    pub now: Micros,
}

impl App {
    /// The campaign, for the desk.
    pub(in crate::app) fn at_desk(&self, campaign: Campaign) -> Result<DeskCampaign, AppError> {
        let keys = self.master.open_campaign_keys(campaign.no, &campaign.keys)?;
        let file = Path::new("the stored incident file");
        let plan = crate::incident_file::parse(file, &campaign.incident_file, i64::MAX / 2)?.value.campaign;
        Ok(DeskCampaign { campaign, keys, plan })
    }

    /// The campaign that has somebody with this reference, and their number: the one that is named, else the only one.
    pub async fn desk_campaign(&self, id: Option<&str>, reference: &str) -> Result<(DeskCampaign, i64), AppError> {
        let campaigns = match id {
            Some(id) => vec![self.campaign(id).await?],
            None => self.store.campaigns().await?,
        };
        let mut found: Option<(DeskCampaign, i64)> = None;
        let mut also: Vec<String> = Vec::new();
        for campaign in campaigns {
            let keys = self.master.open_campaign_keys(campaign.no, &campaign.keys)?;
            let hash = keys.reference_hash(reference.trim());
            let Some(row) = self.store.person_with(campaign.no, &hash).await? else { continue };
            also.push(campaign.id.clone());
            if found.is_none() {
                found = Some((self.at_desk(campaign)?, row.no));
            }
        }
        if also.len() > 1 {
            let message = format!("several campaigns have this reference; say --campaign: {}", also.join(", "));
            return Err(Problem::new("several-campaigns", "campaign", message).into());
        }
        found.ok_or_else(|| {
            let place = id.map_or("no campaign has".to_owned(), |id| format!("nobody in campaign {id} has"));
            let message = format!("{place} this reference; write it as the list does");
            Problem::new("no-such-person", "ref", message).into()
        })
    }

    /// The calls that lie on a sheet, taken off the disk after what took them off the books was committed.
    fn remove_tasks(&self, campaign: i64, calls: &[NoticeId]) -> Result<(), AppError> {
        if calls.is_empty() {
            return Ok(());
        }
        for (_, directory) in self.call_sheets()? {
            for call in calls {
                call_sheet::remove_task(&directory, &self.master.token(campaign, *call))
                    .map_err(AppError::io("taking a settled call off its sheet"))?;
            }
        }
        Ok(())
    }
}

impl DeskCampaign {
    /// Opens a person.
    pub(super) fn open(&self, person: &DeskPerson) -> Result<Person, AppError> {
        Ok(self.keys.open_person(person.no, &person.sealed)?)
    }

    /// The person with this number, held until the transaction ends.
    async fn held_person(&self, tx: &mut Tx<'_>, no: i64) -> Result<DeskPerson, AppError> {
        let found = tx.desk_person(self.campaign.no, no).await?;
        Ok(found.ok_or_else(|| Problem::new("no-such-person", "ref", "the person is no longer in the campaign"))?)
    }

    /// Nothing is sent or called for a campaign that was called off.
    fn must_be_alive(&self) -> Result<(), AppError> {
        if self.campaign.state == CampaignState::Cancelled {
            let message = format!("campaign {} is cancelled; nothing of it is sent any more", self.campaign.id);
            return Err(Problem::new("wrong-state", "campaign", message).into());
        }
        Ok(())
    }

    /// The case is theirs for a while, or nobody's; where somebody else works on it, that is the refusal.
    async fn take(&self, tx: &mut Tx<'_>, person: &DeskPerson, by: &str) -> Result<(), AppError> {
        let Some(case) = person.case.as_ref().filter(|case| case.is_open) else { return Ok(()) };
        if tx.take_case(self.campaign.no, person.no, by, LEASE).await?.is_some() {
            return Ok(());
        }
        let message = format!(
            "{} works on this case until {}; ask them to release it",
            case.holder.as_deref().unwrap_or("somebody"),
            case.lease_until.map(rfc3339).unwrap_or_default()
        );
        Err(Problem::new("held", "ref", message).into())
    }

    /// Whoever is being written to or called at this moment is not to be changed.
    fn must_stand_still(&self, person: &DeskPerson) -> Result<(), AppError> {
        if person.notices.iter().any(|n| n.state == NoticeState::Sending) {
            let message = "a notice to this person is being sent at this moment; run the command again";
            return Err(Problem::new("notice-moving", "", message).into());
        }
        Ok(())
    }

    async fn note(
        &self,
        tx: &mut Tx<'_>,
        person: &DeskPerson,
        actor: Actor<'_>,
        (what, text): (&str, &str),
        remark: Option<&crate::model::personal::Personal>,
    ) -> Result<(), AppError> {
        let sealed = self.sealed(person, actor.now, remark)?;
        let note = NewNote {
            notice: NoticeId::of_person(person.no),
            at: actor.now,
            by: actor.by,
            what,
            text,
            sealed: sealed.as_deref(),
        };
        Ok(tx.add_person_note(self.campaign.no, &note).await?)
    }

    /// A remark under the person's own key.
    fn sealed(
        &self,
        person: &DeskPerson,
        at: Micros,
        remark: Option<&crate::model::personal::Personal>,
    ) -> Result<Option<Vec<u8>>, AppError> {
        let sealed =
            remark.filter(|r| !r.is_empty()).map(|r| self.keys.seal_remark(person.no, &person.sealed.key, at, r));
        Ok(sealed.transpose()?)
    }
}

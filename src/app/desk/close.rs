//! Closing a case with a reason, opening it again, and remarks.

use super::{Actor, DeskCampaign};
use crate::app::{App, AppError};
use crate::desk::reasons::Reasons;
use crate::model::channel::Channel;
use crate::model::notice::{NoticeId, NoticeState};
use crate::model::person::Standing;
use crate::model::personal::Personal;
use crate::model::problem::Problem;
use crate::store::desk::DeskPerson;

impl App {
    /// Ends a case for one of the reasons; where the person stands now.
    pub async fn desk_close(
        &self,
        (campaign, no): (&DeskCampaign, i64),
        reason: &str,
        remark: Option<&Personal>,
        actor: Actor<'_>,
    ) -> Result<Standing, AppError> {
        let reasons = Reasons::built_in()?;
        let reason = reasons.find(reason)?;
        let mut tx = self.store.begin().await?;
        let person = campaign.held_person(&mut tx, no).await?;
        campaign.take(&mut tx, &person, actor.by).await?;
        campaign.must_stand_still(&person)?;
        if !matches!(person.standing, Standing::NeedsHuman | Standing::InFlight) {
            let message = format!(
                "there is no open case: the person is {}; `desk reopen` opens it again",
                person.standing.as_str()
            );
            return Err(Problem::new("no-case", "ref", message).into());
        }
        let calls: Vec<NoticeId> = person.notices.iter().filter(|n| n.open_call).map(|n| n.id).collect();
        let told = reason.standing == Standing::Satisfied;
        tx.close_case(campaign.campaign.no, no, (reason.standing, &reason.id, told), actor.now).await?;
        let text = format!("{} ({})", reason.id, reason.standing.as_str());
        campaign.note(&mut tx, &person, actor, ("case closed", &text), remark).await?;
        tx.commit().await?;
        self.remove_tasks(campaign.campaign.no, &calls)?;
        Ok(reason.standing)
    }

    /// Opens a case again that the desk had ended.
    pub async fn desk_reopen(
        &self,
        (campaign, no): (&DeskCampaign, i64),
        remark: Option<&Personal>,
        actor: Actor<'_>,
    ) -> Result<(), AppError> {
        campaign.must_be_alive()?;
        let mut tx = self.store.begin().await?;
        let person = campaign.held_person(&mut tx, no).await?;
        campaign.must_stand_still(&person)?;
        if let Some(why) = cannot_reopen(&person) {
            return Err(Problem::new("not-reopened", "ref", why).into());
        }
        tx.reopen_case(campaign.campaign.no, &person, actor.now).await?;
        let text = format!("was {}", person.standing.as_str());
        campaign.note(&mut tx, &person, actor, ("case reopened", &text), remark).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Keeps a remark about a person.
    pub async fn desk_note(
        &self,
        (campaign, no): (&DeskCampaign, i64),
        remark: &Personal,
        actor: Actor<'_>,
    ) -> Result<(), AppError> {
        let mut tx = self.store.begin().await?;
        let person = campaign.held_person(&mut tx, no).await?;
        campaign.take(&mut tx, &person, actor.by).await?;
        campaign.note(&mut tx, &person, actor, ("remark", ""), Some(remark)).await?;
        Ok(tx.commit().await?)
    }
}

/// Why a case is not opened again; `None` where it may be.
fn cannot_reopen(person: &DeskPerson) -> Option<String> {
    let by_machine = |n: &&crate::store::desk::PersonNotice| {
        matches!(n.state, NoticeState::Accepted | NoticeState::Delivered)
            || (n.state == NoticeState::Acknowledged && n.id.channel() != Some(Channel::Phone))
    };
    match person.standing {
        Standing::NeedsHuman => Some("the case is open".to_owned()),
        Standing::InFlight => {
            Some("the program is reaching for the person; a case opens by itself if that fails".to_owned())
        }
        Standing::Satisfied if person.notices.iter().any(|n| by_machine(&n)) => {
            Some("the person was told by a notice, and telling them again would be telling them twice".to_owned())
        }
        Standing::Satisfied | Standing::Unreachable | Standing::Excluded => None,
    }
}

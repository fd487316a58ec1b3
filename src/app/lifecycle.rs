//! Approving, starting, pausing and ending a campaign. Every change leaves a note with who and why.

use super::carrier::OpenCampaign;
use super::{App, AppError};
use crate::model::campaign::CampaignState;
use crate::model::notice::NoticeId;
use crate::model::outcome::Class;
use crate::model::problem::Problem;
use crate::model::time::Micros;
use crate::store::approval::Approval;
use crate::store::campaign::Campaign;

/// Notices requeued or cancelled in one transaction.
const CHUNK: usize = 5_000;

fn refused(code: &'static str, message: String) -> AppError {
    Problem::new(code, "", message).into()
}

impl App {
    /// Records an approval of exactly what the campaign is now. The approver is not the creator.
    pub async fn approve(&self, id: &str, by: &str, now: Micros) -> Result<Campaign, AppError> {
        let campaign = self.campaign(id).await?;
        if same_name(by, &campaign.created_by) {
            let message = format!("{by} created campaign {id}; an approval needs somebody else's name");
            return Err(refused("approver-is-creator", message));
        }
        let from = [CampaignState::Draft, CampaignState::Approved, CampaignState::Paused];
        if !from.contains(&campaign.state) {
            let message =
                format!("campaign {id} is {}; only what has not started is approved", campaign.state.as_str());
            return Err(refused("wrong-state", message));
        }
        self.ready_to_start(&campaign).await?;
        let approvals = self.store.approvals(campaign.no).await?;
        if standing(&approvals, &campaign).any(|a| same_name(&a.by, by)) {
            return Ok(campaign);
        }
        self.seal_recipients(&campaign, now).await?;
        let required = OpenCampaign::open(&self.master, &campaign)?.plan.approvals as usize;
        let mut tx = self.store.begin().await?;
        tx.add_approval(campaign.no, now, by, &campaign.digests).await?;
        tx.add_note(campaign.no, now, by, "approved", "list, texts and ladder as they stand").await?;
        if standing(&approvals, &campaign).count() + 1 >= required {
            tx.move_campaign(campaign.no, &[CampaignState::Draft], CampaignState::Approved, None, now).await?;
        }
        tx.commit().await?;
        self.campaign(id).await
    }

    /// Lets an approved campaign run, or a paused one go on.
    pub async fn start(&self, id: &str, by: &str, now: Micros) -> Result<Campaign, AppError> {
        let campaign = self.campaign(id).await?;
        if campaign.state == CampaignState::Running {
            return Ok(campaign);
        }
        self.may_run(&campaign).await?;
        self.move_to(
            &campaign,
            &[CampaignState::Draft, CampaignState::Approved],
            CampaignState::Running,
            "started",
            by,
            None,
            now,
        )
        .await
    }

    pub async fn resume(&self, id: &str, by: &str, now: Micros) -> Result<Campaign, AppError> {
        let campaign = self.campaign(id).await?;
        if campaign.state == CampaignState::Paused {
            self.may_run(&campaign).await?;
        }
        self.move_to(&campaign, &[CampaignState::Paused], CampaignState::Running, "resumed", by, None, now).await
    }

    pub async fn pause(&self, id: &str, by: &str, reason: &str, now: Micros) -> Result<Campaign, AppError> {
        let campaign = self.campaign(id).await?;
        self.move_to(&campaign, &[CampaignState::Running], CampaignState::Paused, "paused", by, Some(reason), now).await
    }

    /// Calls the campaign off: waiting notices are cancelled, what is on the wire ends and is recorded.
    pub async fn cancel(&self, id: &str, by: &str, reason: &str, now: Micros) -> Result<Campaign, AppError> {
        let mut campaign = self.campaign(id).await?;
        // A cancellation that was interrupted is finished; the reason that was given first stands.
        if campaign.state != CampaignState::Cancelled {
            let from = [CampaignState::Draft, CampaignState::Approved, CampaignState::Running, CampaignState::Paused];
            campaign =
                self.move_to(&campaign, &from, CampaignState::Cancelled, "cancelled", by, Some(reason), now).await?;
        }
        self.cancel_rest(&campaign, now).await?;
        Ok(campaign)
    }

    async fn cancel_rest(&self, campaign: &Campaign, now: Micros) -> Result<(), AppError> {
        loop {
            let mut tx = self.store.begin().await?;
            let mut done = tx.cancel_waiting(campaign.no, now, CHUNK).await?;
            done += tx.cancel_open_calls(campaign.no, now, CHUNK).await?;
            done += tx.exclude_unplanned(campaign.no, CHUNK).await?;
            tx.commit().await?;
            if done == 0 {
                return Ok(());
            }
        }
    }

    /// Queues failures of one class again, and only those, for persons who were not told another way; how many.
    pub async fn retry(&self, id: &str, by: &str, class: Class, now: Micros) -> Result<usize, AppError> {
        let campaign = self.campaign(id).await?;
        if campaign.state == CampaignState::Cancelled {
            return Err(refused("wrong-state", format!("campaign {id} is cancelled; nothing of it is sent again")));
        }
        // Longer than any notice is tried: by then the one before it has ended.
        let apart = OpenCampaign::open(&self.master, &campaign)?.plan.give_up_after;
        let mut total = 0;
        let mut after = NoticeId(0);
        loop {
            let mut tx = self.store.begin().await?;
            let queued = tx.requeue(campaign.no, class, after, now, apart, CHUNK).await?;
            total += queued.len();
            after = queued.last().copied().unwrap_or(after);
            if queued.len() < CHUNK {
                let text = format!("{total} notices that ended as {}", class.as_str());
                tx.add_note(campaign.no, now, by, "retried", &text).await?;
                tx.commit().await?;
                return Ok(total);
            }
            tx.commit().await?;
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one move with its record")]
    async fn move_to(
        &self,
        campaign: &Campaign,
        from: &[CampaignState],
        to: CampaignState,
        what: &str,
        by: &str,
        reason: Option<&str>,
        now: Micros,
    ) -> Result<Campaign, AppError> {
        let mut tx = self.store.begin().await?;
        if !tx.move_campaign(campaign.no, from, to, reason, now).await? {
            let names: Vec<&str> = from.iter().map(|s| s.as_str()).collect();
            let message = format!(
                "campaign {} is {} and cannot be {what}; that takes one that is {}",
                campaign.id,
                campaign.state.as_str(),
                names.join(" or ")
            );
            return Err(refused("wrong-state", message));
        }
        tx.add_note(campaign.no, now, by, what, reason.unwrap_or("")).await?;
        tx.commit().await?;
        self.campaign(&campaign.id).await
    }

    /// The list is whole, its sum adds up, and every notice has words and a route.
    async fn ready_to_start(&self, campaign: &Campaign) -> Result<(), AppError> {
        let mut problems = Vec::new();
        let sources = self.store.sources(campaign.no).await?;
        if sources.is_empty() || sources.iter().any(|s| !s.complete) {
            let message = format!(
                "the list of campaign {} is not completely in; run `forewarn campaign create` again",
                campaign.id
            );
            problems.push(Problem::new("list-incomplete", "source", message));
        }
        let sums = self.store.sums(campaign.no).await?;
        let counted = self.store.counted_persons(campaign.no).await?;
        let rows_add_up = sources.iter().all(|s| s.sums.rows == s.sums.persons + s.sums.merged + s.sums.rejected);
        let persons: i64 = sources.iter().map(|s| s.sums.persons).sum();
        if !rows_add_up || persons != sums.persons_total() || counted != sums.persons {
            let message = format!(
                "the sums of campaign {} do not add up ({persons} persons taken in, {} counted); it does not start: \
                 run `forewarn doctor` and report this",
                campaign.id,
                counted.values().sum::<i64>()
            );
            problems.push(Problem::new("sum", "", message));
        }
        match OpenCampaign::open(&self.master, campaign) {
            Ok(open) => problems.extend(self.unserved(&open.plan)),
            Err(found) => problems.extend(found),
        }
        if let Err(AppError::Refused(found)) = self.ready_routes() {
            problems.extend(found);
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.into()) }
    }

    /// Beside being ready: enough people other than the creator have approved exactly this.
    async fn may_run(&self, campaign: &Campaign) -> Result<(), AppError> {
        self.ready_to_start(campaign).await?;
        let required = OpenCampaign::open(&self.master, campaign)?.plan.approvals as usize;
        let approvals = self.store.approvals(campaign.no).await?;
        let given = standing(&approvals, campaign).count();
        if given >= required {
            return Ok(());
        }
        let changed = approvals.last().map(|a| a.digests.changed(&campaign.digests)).unwrap_or_default();
        let why = match changed.is_empty() {
            true => String::new(),
            false => format!("; the last approval is void, since then changed: {}", changed.join(", ")),
        };
        let message = format!(
            "campaign {} has {given} of {required} approvals{why}; somebody other than {} runs \
             `forewarn campaign approve {} --by NAME`",
            campaign.id, campaign.created_by, campaign.id
        );
        Err(refused("not-approved", message))
    }
}

/// The approvals that stand: not void, of exactly these digests, by others than the creator.
fn standing<'a>(approvals: &'a [Approval], campaign: &'a Campaign) -> impl Iterator<Item = &'a Approval> {
    approvals
        .iter()
        .filter(|a| a.void_reason.is_none() && a.digests == campaign.digests && !same_name(&a.by, &campaign.created_by))
}

/// Whether two names may stand for the same person: neither case, width, spaces nor signs tell people apart.
fn same_name(one: &str, other: &str) -> bool {
    use unicode_normalization::UnicodeNormalization as _;
    let plain =
        |name: &str| -> String { name.nfkc().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase() };
    let (one_plain, other_plain) = (plain(one), plain(other));
    // Names without one letter or digit are compared as they are.
    if one_plain.is_empty() && other_plain.is_empty() { one.trim() == other.trim() } else { one_plain == other_plain }
}

#[cfg(test)]
mod tests {
    use super::same_name;

    #[test]
    fn another_way_to_write_a_name_is_no_other_person() {
        for (one, other, same) in [
            ("alice", "Alice", true),
            ("alice", " ALICE ", true),
            ("alice", "\u{ff21}lice", true),
            ("alice", "al\u{200b}ice", true),
            ("Anna Berg", "anna.berg", true),
            ("alice", "bob", false),
            ("李雷", "韩梅梅", false),
            ("--", "!!", false),
        ] {
            assert_eq!(same_name(one, other), same, "{one} {other}");
        }
    }
}

//! `forewarn campaign …`: the verbs of a campaign's life, each in a file of its own.

use super::campaign_approve::ApproveArgs;
use super::campaign_calls::CallsArgs;
use super::campaign_cancel::CancelArgs;
use super::campaign_create::CreateArgs;
use super::campaign_list::ListArgs;
use super::campaign_log::LogArgs;
use super::campaign_pause::PauseArgs;
use super::campaign_preview::PreviewArgs;
use super::campaign_resume::ResumeArgs;
use super::campaign_retry::RetryArgs;
use super::campaign_show::ShowArgs;
use super::campaign_start::StartArgs;
use super::campaign_status::StatusArgs;
use clap::Subcommand;

/// Create, approve, run and follow a campaign
#[derive(Subcommand, Debug)]
pub enum CampaignCommand {
    Create(CreateArgs),
    List(ListArgs),
    Show(ShowArgs),
    Preview(PreviewArgs),
    Approve(ApproveArgs),
    Start(StartArgs),
    Pause(PauseArgs),
    Resume(ResumeArgs),
    Cancel(CancelArgs),
    Status(StatusArgs),
    Log(LogArgs),
    Retry(RetryArgs),
    Calls(CallsArgs),
}

/// A reason or a name that goes into the record: one line, not empty.
pub(super) fn recorded_words(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("must not be empty: it goes into the record".to_owned()),
        text if text.chars().any(char::is_control) => Err("must be one line of text".to_owned()),
        text => Ok(text.to_owned()),
    }
}

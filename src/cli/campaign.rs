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
use super::{Context, Failure};
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

pub(super) fn run(command: CampaignCommand, context: &Context) -> Result<(), Failure> {
    match command {
        CampaignCommand::Create(args) => super::campaign_create::run(&args, context),
        CampaignCommand::List(args) => super::campaign_list::run(&args, context),
        CampaignCommand::Show(args) => super::campaign_show::run(&args, context),
        CampaignCommand::Preview(args) => super::campaign_preview::run(&args, context),
        CampaignCommand::Approve(args) => super::campaign_approve::run(&args, context),
        CampaignCommand::Start(args) => super::campaign_start::run(&args, context),
        CampaignCommand::Pause(args) => super::campaign_pause::run(&args, context),
        CampaignCommand::Resume(args) => super::campaign_resume::run(&args, context),
        CampaignCommand::Cancel(args) => super::campaign_cancel::run(&args, context),
        CampaignCommand::Status(args) => super::campaign_status::run(&args, context),
        CampaignCommand::Log(args) => super::campaign_log::run(&args, context),
        CampaignCommand::Retry(args) => super::campaign_retry::run(&args, context),
        CampaignCommand::Calls(args) => super::campaign_calls::run(&args, context),
    }
}

/// A reason or a name that goes into the record: one line, not empty.
pub(super) fn recorded_words(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("must not be empty: it goes into the record".to_owned()),
        text if text.chars().any(char::is_control) => Err("must be one line of text".to_owned()),
        text => Ok(text.to_owned()),
    }
}

//! `forewarn campaign …`: the verbs of a campaign's life, each in a file of its own.

use super::campaign_approve::ApproveArgs;
use super::campaign_create::CreateArgs;
use super::campaign_start::StartArgs;
use super::campaign_status::StatusArgs;
use super::{Context, Failure};
use clap::Subcommand;

/// Create, approve, run and follow a campaign
#[derive(Subcommand, Debug)]
pub enum CampaignCommand {
    Create(CreateArgs),
    Approve(ApproveArgs),
    Start(StartArgs),
    Status(StatusArgs),
}

pub(super) fn run(command: CampaignCommand, context: &Context) -> Result<(), Failure> {
    match command {
        CampaignCommand::Create(args) => super::campaign_create::run(&args, context),
        CampaignCommand::Approve(args) => super::campaign_approve::run(&args, context),
        CampaignCommand::Start(args) => super::campaign_start::run(&args, context),
        CampaignCommand::Status(args) => super::campaign_status::run(&args, context),
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

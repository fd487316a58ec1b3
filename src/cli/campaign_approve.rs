//! `forewarn campaign approve ID --by NAME`: a signature under exactly this list, these texts and this ladder.

use super::campaign::recorded_words;
use clap::Args;

/// Approve a campaign; the approver is not its creator
#[derive(Args, Debug)]
pub struct ApproveArgs {
    /// The campaign
    #[arg(value_name = "ID")]
    pub campaign: String,
    /// Who approves
    #[arg(long, value_name = "NAME", value_parser = recorded_words)]
    pub by: String,
}

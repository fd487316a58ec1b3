//! `forewarn campaign show ID`: what a campaign is, and what an approval of it would be bound to.

use clap::Args;

/// Show a campaign: list, texts, ladder, approvals
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The campaign
    #[arg(value_name = "ID")]
    pub campaign: String,
}

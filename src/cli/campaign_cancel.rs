//! `forewarn campaign cancel ID`: ends a campaign for good; what was not sent never will be.

use super::campaign::recorded_words;
use clap::Args;

/// End a campaign for good; what is not sent yet never will be
#[derive(Args, Debug)]
pub struct CancelArgs {
    /// The campaign
    #[arg(value_name = "ID")]
    pub campaign: String,
    /// Why, for the record
    #[arg(long, value_name = "R", value_parser = recorded_words)]
    pub reason: String,
}

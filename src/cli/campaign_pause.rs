//! `forewarn campaign pause ID`: stops sending within a second; what is on the wire is finished.

use super::campaign::recorded_words;
use clap::Args;

/// Stop sending until it is resumed
#[derive(Args, Debug)]
pub struct PauseArgs {
    /// The campaign
    #[arg(value_name = "ID")]
    pub campaign: String,
    /// Why, for the record
    #[arg(long, value_name = "R", value_parser = recorded_words)]
    pub reason: String,
}

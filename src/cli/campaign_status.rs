//! `forewarn campaign status ID`: the sum of persons, the notices by state, the routes.

use clap::Args;

/// Say where a campaign stands: the sum, the routes, who acts next
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// The campaign
    #[arg(value_name = "ID")]
    pub campaign: String,
    /// Keep the picture up to date until the campaign ends or Ctrl-C
    #[arg(long)]
    pub watch: bool,
}

//! `forewarn campaign start ID`: lets an approved campaign run.

use clap::Args;

/// Start an approved campaign
#[derive(Args, Debug)]
pub struct StartArgs {
    /// The campaign
    #[arg(value_name = "ID")]
    pub campaign: String,
    /// Send from here, and come back when nothing is due any more
    #[arg(long)]
    pub wait: bool,
}

//! `forewarn worker`: sends what is due, until it is told to stop.

use clap::Args;

/// Send what is due in all running campaigns
#[derive(Args, Debug)]
pub struct WorkerArgs {
    /// Run until nothing is due, then stop
    #[arg(long)]
    pub once: bool,
}

//! `forewarn campaign resume ID`: goes on after a pause.

use clap::Args;

/// Go on sending after a pause
#[derive(Args, Debug)]
pub struct ResumeArgs {
    /// The campaign
    #[arg(value_name = "ID")]
    pub campaign: String,
}

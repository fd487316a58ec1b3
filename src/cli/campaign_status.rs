//! `forewarn campaign status ID`: the sum of persons, the notices by state, the routes.

use super::{Context, Failure};
use crate::model::campaign::CampaignState;
use clap::Args;
use std::time::Duration;

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

pub(super) fn run(args: &StatusArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        loop {
            let status = app.status(&args.campaign, context.now()).await?;
            context.printer.object(&status.json())?;
            for line in status.lines() {
                context.printer.line(line)?;
            }
            let over = matches!(status.state, CampaignState::Finished | CampaignState::Cancelled);
            if !args.watch || over {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
            context.printer.line("")?;
        }
    })
}

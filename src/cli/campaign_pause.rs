//! `forewarn campaign pause ID`: stops sending within a second; what is on the wire is finished.

use super::campaign::recorded_words;
use super::{Context, Failure};
use clap::Args;
use serde_json::json;

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

pub(super) fn run(args: &PauseArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        let campaign = app.pause(&args.campaign, &context.actor(None), &args.reason, context.now()).await?;
        context.printer.object(&json!({
            "campaign": campaign.id, "state": campaign.state.as_str(), "reason": campaign.reason,
        }))?;
        context.printer.line(format_args!(
            "campaign {id} is paused; what is on the wire is finished, nothing new is taken (go on with `forewarn campaign \
             resume {id}`)",
            id = campaign.id
        ))
    })
}

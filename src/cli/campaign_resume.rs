//! `forewarn campaign resume ID`: goes on after a pause.

use super::{Context, Failure};
use clap::Args;
use serde_json::json;

/// Go on sending after a pause
#[derive(Args, Debug)]
pub struct ResumeArgs {
    /// The campaign
    #[arg(value_name = "ID")]
    pub campaign: String,
}

pub(super) fn run(args: &ResumeArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        let campaign = app.resume(&args.campaign, &context.actor(None), context.now()).await?;
        context.printer.object(&json!({ "campaign": campaign.id, "state": campaign.state.as_str() }))?;
        context.printer.line(format_args!("campaign {} goes on; a worker sends it (`forewarn worker`)", campaign.id))
    })
}

//! `forewarn campaign approve ID --by NAME`: a signature under exactly this list, these texts and this ladder.

use super::campaign::recorded_words;
use super::{Context, Failure};
use clap::Args;
use serde_json::json;

/// Approve a campaign; the approver is not its creator
#[derive(Args, Debug)]
pub struct ApproveArgs {
    /// The campaign
    #[arg(value_name = "ID")]
    pub campaign: String,
    /// Who approves
    #[arg(long, value_name = "NAME", value_parser = recorded_words)]
    pub by: String,
}

pub(super) fn run(args: &ApproveArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        let campaign = app.approve(&args.campaign, &args.by, context.now()).await?;
        app.stamp_now().await;
        let d = &campaign.digests;
        context.printer.object(&json!({
            "campaign": campaign.id,
            "state": campaign.state.as_str(),
            "approved_by": args.by,
            "digests": {"list": d.list, "texts": d.texts, "ladder": d.ladder},
        }))?;
        context.printer.line(format_args!(
            "{} approved campaign {}, which is now {}",
            args.by,
            campaign.id,
            campaign.state.as_str()
        ))?;
        context.printer.line(format_args!("list   {}\ntexts  {}\nladder {}", d.list, d.texts, d.ladder))
    })
}

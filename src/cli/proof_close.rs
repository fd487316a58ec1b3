//! `forewarn proof close CAMPAIGN`: every fact so far is told of in a closing tree.

use super::{Context, Failure};
use clap::Args;
use serde_json::json;

#[derive(Args, Debug)]
pub struct ProofCloseArgs {
    /// The campaign
    #[arg(value_name = "CAMPAIGN")]
    pub campaign: String,
}

pub(super) fn run(args: &ProofCloseArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        let campaign = app.campaign(&args.campaign).await?;
        let persons = app.close_log(&campaign, context.now()).await?;
        app.stamp_now().await;
        let facts = app.store.log_head().await?.signed;
        context.printer.object(&json!({ "campaign": campaign.id, "persons": persons, "facts": facts }))?;
        context.printer.line(format_args!(
            "closed campaign {} over {persons} persons; the evidence log has {facts} facts",
            campaign.id
        ))
    })
}

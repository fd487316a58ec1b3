//! `forewarn campaign cancel ID`: ends a campaign for good; what was not sent never will be.

use super::campaign::recorded_words;
use super::{Context, Failure};
use crate::model::person::Standing;
use clap::Args;
use serde_json::json;

/// End a campaign for good; what is not sent yet never will be
#[derive(Args, Debug)]
pub struct CancelArgs {
    /// The campaign
    #[arg(value_name = "ID")]
    pub campaign: String,
    /// Why, for the record
    #[arg(long, value_name = "R", value_parser = recorded_words)]
    pub reason: String,
}

pub(super) fn run(args: &CancelArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        let campaign = app.cancel(&args.campaign, &context.actor(None), &args.reason, context.now()).await?;
        let sums = app.store.sums(campaign.no).await?;
        let (told, left_out) = (sums.person(Standing::Satisfied), sums.person(Standing::Excluded));
        context.printer.object(&json!({
            "campaign": campaign.id,
            "state": campaign.state.as_str(),
            "reason": campaign.reason,
            "satisfied": told,
            "excluded": left_out,
        }))?;
        context.printer.line(format_args!(
            "campaign {} is cancelled: {told} persons were told before, {left_out} never will be by this campaign",
            campaign.id
        ))
    })
}

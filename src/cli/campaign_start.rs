//! `forewarn campaign start ID`: lets an approved campaign run.

use super::working::send;
use super::{Context, Failure};
use crate::app::App;
use crate::dispatch::Until;
use crate::model::campaign::CampaignState;
use crate::model::person::Standing;
use clap::Args;
use std::time::Duration;

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

pub(super) fn run(args: &StartArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        // Taken first, so that nothing is started that this process then could not send.
        let lock = if args.wait { Some(app.lock_for_worker()) } else { None };
        let campaign = app.start(&args.campaign, &context.actor(None), context.now()).await?;
        match lock {
            Some(Ok(lock)) => {
                send(context, &app, &lock, Until::Settled(campaign.no)).await?;
            }
            // Somebody else sends: wait for them.
            Some(Err(_)) => wait_until_settled(&app, &campaign.id, context).await?,
            None => {}
        }
        let status = app.status(&campaign.id, context.now()).await?;
        context.printer.object(&status.json())?;
        for line in status.lines() {
            context.printer.line(line)?;
        }
        if !args.wait {
            context.printer.line("a worker sends it: `forewarn worker`, or `--wait` here")?;
        }
        Ok(())
    })
}

async fn wait_until_settled(app: &App, id: &str, context: &Context) -> Result<(), Failure> {
    context.printer.note("another worker sends on this database; waiting for it");
    let mut progress = context.printer.progress("persons settled", None);
    loop {
        let status = app.status(id, context.now()).await?;
        let (total, open) = (status.sums.persons_total(), status.sums.person(Standing::InFlight));
        progress.set_total(total as u64);
        progress.set((total - open) as u64);
        if open == 0 || status.campaign.state != CampaignState::Running {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

//! `forewarn worker`: sends what is due, until it is told to stop.

use super::working::send;
use super::{Context, Failure};
use crate::app::status::Status;
use crate::dispatch::{End, Until};
use clap::Args;
use serde_json::json;

/// Send what is due in all running campaigns
#[derive(Args, Debug)]
pub struct WorkerArgs {
    /// Run until nothing is due, then stop
    #[arg(long)]
    pub once: bool,
}

pub(super) fn run(args: &WorkerArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        let lock = app.lock_for_worker()?;
        let until = if args.once { Until::NothingDue } else { Until::Stopped };
        context.printer.note(format_args!("worker: sending for {}", app.store.shown()));
        let end = send(context, &app, &lock, until).await?;
        let mut campaigns = Vec::new();
        for campaign in app.store.campaigns().await? {
            campaigns.push(app.status(&campaign.id, context.now()).await?);
        }
        let all: Vec<serde_json::Value> = campaigns.iter().map(Status::json).collect();
        context.printer.object(&json!({"ended": ended(end), "campaigns": all}))?;
        for status in campaigns.iter().filter(|s| s.campaign.started_at.is_some()) {
            for line in status.lines() {
                context.printer.line(line)?;
            }
        }
        Ok(())
    })
}

/// Why the worker ended, as scripts read it.
pub(super) fn ended(end: End) -> &'static str {
    match end {
        End::Done => "nothing-due",
        End::Stopped => "stopped",
    }
}

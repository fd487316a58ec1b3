//! `forewarn campaign start ID`: lets an approved campaign run.

use super::working::send;
use super::{Context, Failure};
use crate::app::status::Status;
use crate::app::{App, AppError};
use crate::dispatch::Until;
use crate::model::campaign::CampaignState;
use crate::model::channel::Channel;
use crate::model::notice::NoticeState;
use crate::model::person::Standing;
use crate::store::{StoreError, WorkerLock};
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
            Some(Err(AppError::Store(StoreError::WorkerRuns { .. }))) => {
                if let Some(lock) = wait_until_settled(&app, &campaign.id, context).await? {
                    send(context, &app, &lock, Until::Settled(campaign.no)).await?;
                }
            }
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
        let status = app.status(&campaign.id, context.now()).await?;
        context.printer.object(&status.json())?;
        for line in status.lines() {
            context.printer.line(line)?;
        }
        if let Some(least) = app.least_time(&campaign.id).await? {
            context.printer.line(least)?;
        }
        if !args.wait {
            context.printer.line("a worker sends it: `forewarn worker`, or `--wait` here")?;
        }
        Ok(())
    })
}

/// Waits while somebody else sends. If they leave before nothing is due any more, their lock is ours.
async fn wait_until_settled(app: &App, id: &str, context: &Context) -> Result<Option<WorkerLock>, Failure> {
    context.printer.note("another worker sends on this database; waiting for it");
    let mut progress = context.printer.progress("persons settled", None);
    loop {
        let status = app.status(id, context.now()).await?;
        let (total, open) = (status.sums.persons_total(), status.sums.person(Standing::InFlight));
        progress.set_total(total as u64);
        progress.set((total - open) as u64);
        if status.campaign.state != CampaignState::Running || !work_is_left(app, &status).await? {
            return Ok(None);
        }
        if let Ok(lock) = app.lock_for_worker() {
            context.printer.note("the other worker has ended; sending from here");
            return Ok(Some(lock));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Whether a worker has anything to do, now or later. Whoever else is in flight waits for a call or a receipt.
async fn work_is_left(app: &App, status: &Status) -> Result<bool, Failure> {
    let campaign = &status.campaign;
    if campaign.planned < campaign.last_person || status.sums.notice(NoticeState::Sending) > 0 {
        return Ok(true);
    }
    for channel in Channel::ALL {
        if app.store.next_due(campaign.no, channel).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

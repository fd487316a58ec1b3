//! `forewarn worker`: sends what is due, until it is told to stop; and what `forewarn serve` shares with it.

use super::working::send_shown_by;
use super::{Context, Failure};
use crate::app::health::Health;
use crate::app::hooks::Hooks;
use crate::app::lmtp::Post;
use crate::app::status::Status;
use crate::dispatch::{End, Pulse, Until};
use crate::server::{CannotListen, Listening, receive_over_lmtp};
use clap::Args;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;

/// Send what is due in all running campaigns
#[derive(Args, Debug)]
pub struct WorkerArgs {
    /// Run until nothing is due, then stop
    #[arg(long)]
    pub once: bool,
    /// Answer /healthz, /readyz and /metrics there, as 127.0.0.1:9101
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
}

pub(super) fn run(args: &WorkerArgs, context: &Context) -> Result<(), Failure> {
    let until = if args.once { Until::NothingDue } else { Until::Stopped };
    context.block_on(at_work(context, args.listen, until))
}

/// A worker from its start to its end, answering probes where it is told to listen. What is said at the end goes to
/// stdout.
pub(super) async fn at_work(context: &Context, listen: Option<SocketAddr>, until: Until) -> Result<(), Failure> {
    let pulse = Pulse::default();
    let hooks = Arc::new(Hooks::default());
    let health = Arc::new(Health::new(pulse.clone(), hooks.clone()));
    let answering = match listen {
        // First of all: whoever cannot be asked must not send.
        Some(address) => {
            let listening = Listening::on(address).await?;
            context.printer.note(format_args!("listening on http://{}", listening.address()));
            Some(tokio::spawn(listening.serve(health.clone(), hooks.clone())))
        }
        None => None,
    };
    let app = match until {
        Until::Stopped => context.app_of_service().await?,
        Until::NothingDue | Until::Settled(_) => context.app().await?,
    };
    let lock = app.lock_for_worker()?;
    health.opened(app.clone());
    if listen.is_some() {
        hooks.open(&app, app.readers()?);
    }
    // Whoever ends by itself is soon gone: mail servers come again.
    let receiving = Post::open(&app)
        .filter(|_| until == Until::Stopped)
        .map(|(listen, post)| tokio::spawn(receive_over_lmtp(listen, post)));
    context.printer.note(format_args!("worker: sending for {}", app.store.shown()));
    let end = send_shown_by(context, &app, &lock, until, pulse).await?;
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
    for task in [answering, receiving].into_iter().flatten() {
        task.abort();
    }
    Ok(())
}

/// Why the worker ended, as scripts read it.
fn ended(end: End) -> &'static str {
    match end {
        End::Done => "nothing-due",
        End::Stopped => "stopped",
    }
}

impl From<CannotListen> for Failure {
    fn from(error: CannotListen) -> Failure {
        crate::model::problem::Problem::new(error.code(), "listen", error.to_string()).into()
    }
}

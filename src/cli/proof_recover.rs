//! `forewarn proof recover --accept-loss`: a new log after the old one, or its key, was lost.

use super::{Context, Failure};
use crate::app::App;
use clap::Args;
use serde_json::json;

#[derive(Args, Debug)]
pub struct ProofRecoverArgs {
    /// Yes: what the old log held beyond this database is lost
    #[arg(long, required = true)]
    pub accept_loss: bool,
    /// What happened
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who decides it
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

pub(super) fn run(args: &ProofRecoverArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = App::open_unchecked(context.config()?).await?;
        let by = context.actor(args.by.as_deref());
        let done = app.recover_log(&by, &args.reason, context.now()).await?;
        context.printer.object(&json!({
            "facts": done.facts, "lost": done.lost, "vkey": done.key, "kept": done.kept,
        }))?;
        for path in &done.kept {
            context.printer.line(format_args!("kept the old file as {}", path.display()))?;
        }
        context.printer.line(format_args!(
            "a new log begins with the {} facts of this database; at least {} that the old one had are lost\nits key, to be \
             published anew: {}",
            done.facts, done.lost, done.key
        ))
    })
}

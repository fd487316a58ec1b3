//! `forewarn desk next`: takes the most urgent case that nobody has.

use super::campaign::recorded_words;
use super::{Context, Failure, desk_show};
use crate::app::desk::{Actor, LEASE};
use crate::model::time::{DAY, SECOND, parse_duration, rfc3339};
use clap::Args;
use serde_json::json;

/// Take the most urgent case that nobody has, and show it
///
/// Two people never get the same case. It is yours until you record what came of it, give it back with `desk release`, or
/// the time is over.
#[derive(Args, Debug)]
pub struct NextArgs {
    /// Your name, for the record [default: the user of this machine]
    #[arg(long, value_name = "NAME", value_parser = recorded_words)]
    pub by: Option<String>,
    /// Of this campaign only
    #[arg(long, value_name = "ID")]
    pub campaign: Option<String>,
    /// How long it is yours [default: 30m]
    #[arg(long = "for", value_name = "TIME", value_parser = lease)]
    pub lease: Option<i64>,
}

fn lease(text: &str) -> Result<i64, String> {
    let span = parse_duration(text).filter(|span| (SECOND..=DAY).contains(span));
    span.ok_or_else(|| "is a time from 1s to 1d, as 20m".to_owned())
}

pub(super) fn run(args: &NextArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        let name = context.actor(args.by.as_deref());
        let actor = Actor { by: &name, now: context.now() };
        let taken = app.desk_next(args.campaign.as_deref(), actor, args.lease.unwrap_or(LEASE)).await?;
        let Some(taken) = taken else {
            context.printer.object(&json!({ "case": null }))?;
            return context.printer.line("no case is free now; `forewarn desk list` shows those with a call-back");
        };
        let story = app.desk_story((&taken.campaign, taken.person.no), false, actor).await?;
        context.printer.object(&story.json())?;
        context.printer.line(format_args!("yours until {}", rfc3339(taken.until)))?;
        desk_show::print(&story, context)
    })
}

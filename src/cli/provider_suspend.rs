//! `forewarn provider suspend` and `resume`: a route or a domain rests, with a reason and an end.

use super::campaign::recorded_words;
use super::{Context, Failure};
use crate::model::suspension::{Rested, Suspension};
use crate::model::time::{Micros, parse_duration, rfc3339};
use clap::Args;
use serde_json::json;

/// What rests: a route by its name, or a domain.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct RestedArgs {
    /// The route of the configuration
    pub route: Option<String>,
    /// Instead of a route: the domain of receivers, whose email waits on every route
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Option<String>,
}

#[derive(Args, Debug)]
pub struct ProviderSuspendArgs {
    #[command(flatten)]
    pub what: RestedArgs,
    /// Why, for the record
    #[arg(long, value_name = "R", value_parser = recorded_words)]
    pub reason: String,
    #[command(flatten)]
    pub end: EndArgs,
}

/// When the rest ends by itself.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct EndArgs {
    /// For how long: 30m, 2h, 1d
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    pub span: Option<Micros>,
    /// Until when, with the zone: 2026-12-01T08:00:00+01:00
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Micros>,
}

#[derive(Args, Debug)]
pub struct ProviderResumeArgs {
    #[command(flatten)]
    pub what: RestedArgs,
}

fn span(text: &str) -> Result<Micros, String> {
    parse_duration(text).filter(|span| *span > 0).ok_or_else(|| "write it as 30m, 2h or 1d".to_owned())
}

fn moment(text: &str) -> Result<Micros, String> {
    let moment: Result<jiff::Timestamp, _> = text.trim().parse();
    moment.map(|at| at.as_microsecond()).map_err(|_| "write it with its zone, as 2026-12-01T08:00:00+01:00".to_owned())
}

impl RestedArgs {
    fn what(&self) -> Rested {
        match (&self.route, &self.domain) {
            (Some(route), _) => Rested::Route(route.clone()),
            (None, domain) => Rested::Domain(domain.clone().unwrap_or_default()),
        }
    }
}

pub(super) fn suspend(args: &ProviderSuspendArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        let now = context.now();
        let until = args.end.until.unwrap_or_else(|| now.saturating_add(args.end.span.unwrap_or_default()));
        let order =
            Suspension { what: args.what.what(), reason: args.reason.clone(), by: context.actor(None), at: now, until };
        let order = app.suspend(order).await?;
        let (kind, name) = (order.what.kind(), order.what.name());
        context.printer.object(&json!({
            "kind": kind, "name": name, "reason": order.reason, "by": order.by, "until": rfc3339(until),
        }))?;
        let way_back = match &order.what {
            Rested::Route(_) => format!("forewarn provider resume {name}"),
            Rested::Domain(_) => format!("forewarn provider resume --domain {name}"),
        };
        context.printer.line(format_args!(
            "{kind} {name} rests until {}; what is on the wire is finished, the rest waits or takes other ways \
             (go on sooner with `{way_back}`)",
            rfc3339(until)
        ))
    })
}

pub(super) fn resume(args: &ProviderResumeArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        let what = args.what.what();
        let due = app.lift(what.clone(), &context.actor(None), context.now()).await?;
        let (kind, name) = (what.kind(), what.name());
        context.printer.object(&json!({ "kind": kind, "name": name, "due": due }))?;
        context.printer.line(format_args!("{kind} {name} is used again; {due} notices that waited for it are due now"))
    })
}

//! `forewarn campaign retry ID --reason-class CLASS`: queues again what failed for that reason, and only that, and only
//! for persons who were not told another way.

use super::{Context, Failure};
use crate::model::outcome::Class;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;

/// Queue again the notices that failed for one class of reason, of persons not told another way
#[derive(Args, Debug)]
pub struct RetryArgs {
    /// The campaign
    #[arg(value_name = "ID")]
    pub campaign: String,
    /// The class of the failures
    #[arg(long, value_name = "CLASS", value_parser = failure_class())]
    pub reason_class: Class,
}

/// The classes a notice can have failed with; an accepted or unsent one did not fail.
fn failure_class() -> impl TypedValueParser<Value = Class> {
    let failures = Class::ALL.into_iter().filter(|c| !matches!(c, Class::Accepted | Class::NotSent));
    PossibleValuesParser::new(failures.map(Class::as_str).collect::<Vec<_>>())
        .try_map(|name| Class::parse(&name).ok_or("is no class"))
}

pub(super) fn run(args: &RetryArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        let class = args.reason_class;
        let queued = app.retry(&args.campaign, &context.actor(None), class, context.now()).await?;
        context.printer.object(&json!({
            "campaign": args.campaign, "reason_class": class.as_str(), "queued": queued,
        }))?;
        context.printer.line(match queued {
            0 => format!(
                "nothing to try again: nobody in campaign {} still waits because a notice ended as {}",
                args.campaign,
                class.as_str()
            ),
            n => format!("queued {n} notices of campaign {} that had ended as {}", args.campaign, class.as_str()),
        })
    })
}

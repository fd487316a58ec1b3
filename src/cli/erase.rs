//! `forewarn erase CAMPAIGN [--ref REF] --reason R`: destroys what opens personal data; the log stays.

use super::{Context, Failure};
use crate::app::proof::erase::Order;
use crate::store::erase::Scope;
use clap::Args;
use serde_json::json;

/// Erase a person, or everybody of a campaign
#[derive(Args, Debug)]
pub struct EraseArgs {
    /// The campaign
    #[arg(value_name = "CAMPAIGN")]
    pub campaign: String,
    /// One person, by customer reference; everybody unless given
    #[arg(long = "ref", value_name = "REF")]
    pub reference: Option<String>,
    /// Why; the log keeps it, as a commitment
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Also what a typed address can be compared with: afterwards nobody can say whether an address was notified
    #[arg(long)]
    pub identity: bool,
    /// Who decides it
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

pub(super) fn run(args: &EraseArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        let by = context.actor(args.by.as_deref());
        let scope = if args.identity { Scope::Identity } else { Scope::Content };
        let order = Order { scope, by: &by, reason: &args.reason };
        let done = match &args.reference {
            Some(reference) => app.erase_person(&args.campaign, reference, order, context.now()).await?,
            None => app.erase_campaign(&args.campaign, order, context.now()).await?,
        };
        app.keep_log_up().await?;
        context.printer.object(&json!({
            "campaign": args.campaign, "scope": scope.as_str(), "persons": done.persons, "already": done.already,
            "wiped": done.wiped,
        }))?;
        context.printer.line(format_args!(
            "erased the {} of {} persons of campaign {}; {} were erased before",
            scope.as_str(),
            done.persons,
            args.campaign,
            done.already
        ))?;
        if !done.wiped {
            context.printer.line(
                "another process has the database open, whose log may still hold what was erased: run this again when it \
                 has ended",
            )?;
        }
        Ok(())
    })
}

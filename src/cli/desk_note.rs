//! `forewarn desk note REF --note N` and `desk release`: remarks, and cases given back.

use super::desk::{Whose, remark};
use super::{Context, Failure};
use crate::app::desk::Actor;
use crate::cli::campaign::recorded_words;
use clap::Args;
use serde_json::json;

/// Keep a remark about a person
#[derive(Args, Debug)]
pub struct NoteArgs {
    #[command(flatten)]
    pub whose: Whose,
    /// The remark, kept sealed; `-` reads it from standard input
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub note: String,
}

/// Give back a case that you took, or all of them
#[derive(Args, Debug)]
pub struct ReleaseArgs {
    /// The customer reference
    #[arg(value_name = "REF", required_unless_present = "mine", conflicts_with = "mine")]
    pub reference: Option<String>,
    /// Every case that you took
    #[arg(long)]
    pub mine: bool,
    /// The campaign, where several have this reference
    #[arg(long, value_name = "ID")]
    pub campaign: Option<String>,
    /// Your name [default: the user of this machine]
    #[arg(long, value_name = "NAME", value_parser = recorded_words)]
    pub by: Option<String>,
}

pub(super) fn note(args: &NoteArgs, context: &Context) -> Result<(), Failure> {
    let remark = remark(Some(&args.note))?.filter(|r| !r.is_empty());
    let Some(remark) = remark else { return Err(Failure::Usage("the note is empty".to_owned())) };
    context.block_on(async {
        let app = context.app().await?;
        let (campaign, no) = args.whose.find(&app).await?;
        let name = context.actor(args.whose.by.as_deref());
        app.desk_note((&campaign, no), &remark, Actor { by: &name, now: context.now() }).await?;
        context
            .printer
            .object(&json!({ "campaign": campaign.campaign.id, "ref": args.whose.reference, "noted": true }))?;
        context.printer.line("noted; `desk show --reveal` shows it")
    })
}

pub(super) fn release(args: &ReleaseArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        let name = context.actor(args.by.as_deref());
        let actor = Actor { by: &name, now: context.now() };
        let found = match &args.reference {
            Some(reference) => Some(app.desk_campaign(args.campaign.as_deref(), reference).await?),
            None => None,
        };
        let one = found.as_ref().map(|(campaign, no)| (campaign, *no));
        let released = app.desk_release(one, args.campaign.as_deref(), actor).await?;
        context.printer.object(&json!({ "by": name, "released": released }))?;
        context.printer.line(format_args!("gave back {released} cases"))
    })
}

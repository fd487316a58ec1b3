//! `forewarn desk close REF --reason R` and `desk reopen REF`.

use super::desk::{Whose, remark};
use super::{Context, Failure};
use crate::app::desk::Actor;
use clap::Args;
use serde_json::json;

/// Close a case with a reason, which says where the person stands from then on
///
/// Reasons: informed-otherwise (satisfied); unreachable, declined (unreachable); deceased-without-kin, not-affected,
/// duplicate, withdrawn (excluded).
#[derive(Args, Debug)]
pub struct CloseArgs {
    #[command(flatten)]
    pub whose: Whose,
    /// Why it is closed
    #[arg(long, value_name = "R")]
    pub reason: String,
    /// A remark about the person, kept sealed; `-` reads it from standard input
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub note: Option<String>,
}

/// Open a case again that the desk had closed, or that a call ended by mistake
#[derive(Args, Debug)]
pub struct ReopenArgs {
    #[command(flatten)]
    pub whose: Whose,
    /// A remark about the person, kept sealed; `-` reads it from standard input
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub note: Option<String>,
}

pub(super) fn close(args: &CloseArgs, context: &Context) -> Result<(), Failure> {
    let remark = remark(args.note.as_deref())?;
    context.block_on(async {
        let app = context.app().await?;
        let (campaign, no) = args.whose.find(&app).await?;
        let name = context.actor(args.whose.by.as_deref());
        let actor = Actor { by: &name, now: context.now() };
        let standing = app.desk_close((&campaign, no), &args.reason, remark.as_ref(), actor).await?;
        context.printer.object(&json!({
            "campaign": campaign.campaign.id,
            "ref": args.whose.reference,
            "reason": args.reason.trim().to_lowercase(),
            "standing": standing.as_str(),
        }))?;
        context.printer.line(format_args!("closed; the person is now {}", standing.as_str()))
    })
}

pub(super) fn reopen(args: &ReopenArgs, context: &Context) -> Result<(), Failure> {
    let remark = remark(args.note.as_deref())?;
    context.block_on(async {
        let app = context.app().await?;
        let (campaign, no) = args.whose.find(&app).await?;
        let name = context.actor(args.whose.by.as_deref());
        app.desk_reopen((&campaign, no), remark.as_ref(), Actor { by: &name, now: context.now() }).await?;
        context.printer.object(&json!({
            "campaign": campaign.campaign.id, "ref": args.whose.reference, "standing": "needs_human",
        }))?;
        context.printer.line("opened again; the person needs a human")
    })
}

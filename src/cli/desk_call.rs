//! `forewarn desk call REF --disposition D`: records how a call ended, and what follows.

use super::desk::{Whose, remark};
use super::{Context, Failure};
use crate::app::desk::{Actor, Call, call_json};
use clap::Args;

/// Record how a call with the person ended, and do what follows from it
///
/// Dispositions: informed, informed-representative, refused-to-listen, call-back-agreed, message-left, voicemail,
/// no-answer, other-language, wrong-number, disconnected, deceased, minor, wants-writing, do-not-call, suspected-fraud,
/// technical-fault; or their names in any language of the call sheets.
#[derive(Args, Debug)]
pub struct CallArgs {
    #[command(flatten)]
    pub whose: Whose,
    /// How the call ended
    #[arg(long, value_name = "D")]
    pub disposition: String,
    /// A remark about the person, kept sealed; `-` reads it from standard input
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub note: Option<String>,
    /// When to call again: 2h, 14:30, 2026-11-26T14:30 (by the person's clock), or with an offset
    #[arg(long, value_name = "TIME")]
    pub call_back: Option<String>,
    /// Call back outside the person's hours, because they asked for it
    #[arg(long, requires = "call_back")]
    pub anyway: bool,
    /// The number that was called, as `desk show` counts the contacts
    #[arg(long, value_name = "NUMBER")]
    pub contact: Option<usize>,
    /// The language that the person needs, from now on
    #[arg(long, value_name = "L")]
    pub language: Option<String>,
}

pub(super) fn run(args: &CallArgs, context: &Context) -> Result<(), Failure> {
    let remark = remark(args.note.as_deref())?;
    context.block_on(async {
        let app = context.app().await?;
        let (campaign, no) = args.whose.find(&app).await?;
        let name = context.actor(args.whose.by.as_deref());
        let call = Call {
            disposition: &args.disposition,
            contact: args.contact,
            remark,
            call_back: args.call_back.as_deref(),
            anyway: args.anyway,
            language: args.language.as_deref(),
        };
        let called = app.desk_call((&campaign, no), &call, Actor { by: &name, now: context.now() }).await?;
        context.printer.object(&call_json(&called))?;
        let standing = called.standing.as_str().replace('_', " ");
        context.printer.line(format_args!("recorded: {}; the person is now {standing}", called.disposition))?;
        if let Some(there) = &called.call_back_there {
            context.printer.line(format_args!("call back at {there}"))?;
        }
        context.printer.line(format_args!("next: {}", called.next))
    })
}

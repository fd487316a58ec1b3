//! `forewarn desk correct REF --email A|--phone N`: a corrected contact, and one notice to it.

use super::desk::{Whose, remark, role, said};
use super::{Context, Failure};
use crate::app::desk::{Actor, Correct};
use crate::model::channel::ContactKind;
use crate::model::contact::Role;
use clap::Args;
use serde_json::json;

/// Correct a contact and send one notice to it
///
/// The old contact stays in the person's history and is never used again.
#[derive(Args, Debug)]
pub struct CorrectArgs {
    #[command(flatten)]
    pub whose: Whose,
    /// The right e-mail address; `-` reads it from standard input
    #[arg(
        long,
        value_name = "A",
        required_unless_present = "phone",
        conflicts_with = "phone",
        allow_hyphen_values = true
    )]
    pub email: Option<String>,
    /// The right telephone number; `-` reads it from standard input
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub phone: Option<String>,
    /// Whose it is [default: as the contact it replaces]
    #[arg(long, value_name = "ROLE", value_parser = role())]
    pub role: Option<Role>,
    /// The contact it replaces, as `desk show` counts them [default: all of its kind and role]
    #[arg(long, value_name = "NUMBER")]
    pub replaces: Option<usize>,
    /// A remark about the person, kept sealed
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub note: Option<String>,
}

pub(super) fn run(args: &CorrectArgs, context: &Context) -> Result<(), Failure> {
    let (kind, text) = match (&args.email, &args.phone) {
        (Some(email), _) => (ContactKind::Email, email),
        (None, Some(phone)) => (ContactKind::Phone, phone),
        (None, None) => return Err(Failure::Usage("give --email or --phone".to_owned())),
    };
    let (address, remark) = (said(text)?, remark(args.note.as_deref())?);
    context.block_on(async {
        let app = context.app().await?;
        let (campaign, no) = args.whose.find(&app).await?;
        let name = context.actor(args.whose.by.as_deref());
        let correct =
            Correct { kind, address: &address, role: args.role, replaces: args.replaces, remark: remark.as_ref() };
        let done = app.desk_correct((&campaign, no), &correct, Actor { by: &name, now: context.now() }).await?;
        let queued = done.queued.map(|c| c.as_str());
        context.printer.object(&json!({
            "campaign": done.campaign,
            "ref": args.whose.reference,
            "standing": done.standing.as_str(),
            "contact": done.number,
            "address": done.contact,
            "retired": done.retired,
            "queued": queued,
            "warnings": done.warnings,
        }))?;
        for warning in &done.warnings {
            context.printer.note(warning);
        }
        for number in &done.retired {
            context.printer.line(format_args!("contact {number} is not used any more"))?;
        }
        context.printer.line(match queued {
            Some(channel) => format!("contact {} ({}): a notice by {channel} is queued", done.number, done.contact),
            None => format!(
                "contact {} ({}) is kept; the campaign's ladder has no channel for it, so nothing is sent: call the person",
                done.number, done.contact
            ),
        })
    })
}

//! `forewarn proof ask CAMPAIGN --email A | --phone N`: was this address notified?

use super::{Context, Failure};
use crate::model::contact::{parse_email, parse_phone};
use crate::model::problem::Problem;
use clap::Args;
use serde_json::json;

#[derive(Args, Debug)]
pub struct ProofAskArgs {
    /// The campaign
    #[arg(value_name = "CAMPAIGN")]
    pub campaign: String,
    /// An email address
    #[arg(long, value_name = "ADDRESS", required_unless_present = "phone", conflicts_with = "phone")]
    pub email: Option<String>,
    /// A telephone number with its country code, as +49…
    #[arg(long, value_name = "NUMBER")]
    pub phone: Option<String>,
}

pub(super) fn run(args: &ProofAskArgs, context: &Context) -> Result<(), Failure> {
    let bad = |message: String| Failure::Refused(vec![Problem::new("bad-address", "", message)]);
    let address = match (&args.email, &args.phone) {
        (Some(email), _) => parse_email(email).map_err(|e| bad(e.to_string()))?,
        (None, Some(phone)) => parse_phone(phone, "").map_err(|e| bad(e.to_string()))?,
        (None, None) => return Err(bad("name an address".to_owned())),
    };
    context.block_on(async {
        let app = context.app().await?;
        let found = app.was_notified(&args.campaign, &address).await?;
        let all: Vec<_> = found.iter().map(|(index, class)| json!({ "event": index, "class": class })).collect();
        context.printer.object(&json!({ "campaign": args.campaign, "attempts": all }))?;
        if found.is_empty() {
            return context
                .printer
                .line("no attempt of this campaign went to that address, as far as identities are kept");
        }
        for (index, class) in found {
            context.printer.line(format_args!("fact {index}: an attempt to this address ended as {class}"))?;
        }
        Ok(())
    })
}

//! `forewarn proof campaign CAMPAIGN --out F.zip`: the bundle that proves how a whole campaign went.

use super::{Context, Failure, owner_only, proof_person};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct ProofCampaignArgs {
    /// The campaign
    #[arg(value_name = "CAMPAIGN")]
    pub campaign: String,
    /// Where to write it; readable by its owner only, never over another file
    #[arg(long, value_name = "FILE.zip")]
    pub out: PathBuf,
    /// Who asks for it; the log keeps that it was shown
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

pub(super) fn run(args: &ProofCampaignArgs, context: &Context) -> Result<(), Failure> {
    proof_person::refuse_existing(&args.out)?;
    context.block_on(async {
        let app = context.app().await?;
        let (now, by) = (context.now(), context.actor(args.by.as_deref()));
        // Who mistypes the campaign leaves no empty file behind.
        app.campaign(&args.campaign).await?;
        let file = owner_only::create(&args.out)?;
        let made = app.prove_campaign(&args.campaign, &by, now, file).await;
        let bundle = match made {
            Ok(bundle) => bundle,
            Err(error) => {
                // Half a bundle proves nothing.
                fs_err::remove_file(&args.out)?;
                return Err(error.into());
            }
        };
        context.printer.object(&json!({
            "campaign": args.campaign, "out": args.out, "files": bundle.files, "summary": bundle.summary,
            "withheld": bundle.withheld, "vkey": bundle.key,
        }))?;
        let facts: u64 = bundle.summary.facts.values().sum();
        context.printer.line(format_args!(
            "wrote {}: {facts} facts about {} persons, {} files",
            args.out.display(),
            bundle.summary.persons,
            bundle.files
        ))?;
        for text in &bundle.withheld {
            context.printer.line(format_args!("not shown: {text}"))?;
        }
        context.printer.line(format_args!("the log's key, to be published or lodged with counsel: {}", bundle.key))
    })
}

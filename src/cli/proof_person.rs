//! `forewarn proof person CAMPAIGN REF --out F.zip`: the bundle that proves how one person was told.

use super::{Context, Failure, owner_only};
use crate::app::proof::zip;
use crate::model::problem::Problem;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub struct ProofPersonArgs {
    /// The campaign
    #[arg(value_name = "CAMPAIGN")]
    pub campaign: String,
    /// The customer reference, as in the list
    #[arg(value_name = "REF")]
    pub reference: String,
    /// Where to write it; readable by its owner only, never over another file
    #[arg(long, value_name = "FILE.zip")]
    pub out: PathBuf,
    /// Who asks for it; the log keeps that it was shown
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

pub(super) fn run(args: &ProofPersonArgs, context: &Context) -> Result<(), Failure> {
    refuse_existing(&args.out)?;
    context.block_on(async {
        let app = context.app().await?;
        let (now, by) = (context.now(), context.actor(args.by.as_deref()));
        let bundle = app.prove_person(&args.campaign, &args.reference, &by, now).await?;
        let file = owner_only::create(&args.out)?;
        zip::write(&bundle.files, std::io::BufWriter::new(file))?;
        let (events, files) = (bundle.events, bundle.files.len());
        context.printer.object(&json!({
            "campaign": args.campaign, "out": args.out, "events": events, "files": files,
            "withheld": bundle.withheld, "vkey": bundle.key,
        }))?;
        context.printer.line(format_args!("wrote {}: {events} facts, {files} files", args.out.display()))?;
        for text in &bundle.withheld {
            context.printer.line(format_args!("not shown: {text}"))?;
        }
        context.printer.line(format_args!("the log's key, to be published or lodged with counsel: {}", bundle.key))
    })
}

/// A bundle is never written over another file.
pub(super) fn refuse_existing(out: &Path) -> Result<(), Failure> {
    if fs_err::symlink_metadata(out).is_ok() {
        let message = format!("{} exists and is never overwritten; name another --out", out.display());
        return Err(Failure::Refused(vec![Problem::new("already-exists", "", message)]));
    }
    Ok(())
}

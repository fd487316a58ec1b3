//! `forewarn bounce …`: what reports that came by email say.
//!
//! Works without a configuration and keeps nothing; what it prints has the addresses in the clear, as the files have.

use super::{Context, Failure};
use crate::model::personal::Personal;
use crate::receipts::{self, Finding, Report};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Look at bounces, complaints and automatic answers
#[derive(Subcommand, Debug)]
pub enum BounceCommand {
    /// Say what each report says: whom it is about, and what follows
    Explain(BounceExplainArgs),
}

#[derive(Args, Debug)]
pub struct BounceExplainArgs {
    /// A message as it came, one a file
    #[arg(required = true, value_name = "FILE.eml")]
    pub files: Vec<PathBuf>,
}

/// What is read of a file; the parser looks at no more.
const LONGEST: u64 = 17 << 20;

pub(super) fn run(command: &BounceCommand, context: &Context) -> Result<(), Failure> {
    let BounceCommand::Explain(args) = command;
    let mut unread = 0;
    for file in &args.files {
        let report = match read(file) {
            Ok(raw) => receipts::read(&raw),
            Err(error) => {
                unread += 1;
                context.printer.note(format_args!("{error}"));
                continue;
            }
        };
        context.printer.object(&object(file, &report))?;
        for line in lines(file, &report) {
            context.printer.line(line)?;
        }
    }
    match unread {
        0 => Ok(()),
        1 => Err(Failure::fault(anyhow::anyhow!("a file could not be read: see above"))),
        _ => Err(Failure::fault(anyhow::anyhow!("{unread} files could not be read: see above"))),
    }
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    fs_err::File::open(file)?.take(LONGEST).read_to_end(&mut raw)?;
    Ok(raw)
}

fn object(file: &Path, report: &Report) -> Value {
    json!({
        "file": file.to_string_lossy(),
        "kind": report.kind.as_str(),
        "recipients": report.recipients.iter().map(recipient).collect::<Vec<_>>(),
    })
}

fn recipient(one: &Finding) -> Value {
    json!({
        "address": one.address.as_ref().map(Personal::reveal),
        "kind": one.kind.as_str(),
        "class": one.class.as_str(),
        "status": one.status,
        "code": one.code,
        "text": one.text,
        "reason": one.reason,
        "event": one.event.as_str(),
    })
}

fn lines(file: &Path, report: &Report) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", file.display(), report.kind.as_str())];
    lines.extend(report.recipients.iter().map(|one| {
        let address = one.address.as_ref().map_or("(not named)", Personal::reveal);
        let parts = [address, one.kind.as_str(), one.class.as_str(), &one.code, &one.status, &one.text];
        let told: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        format!("  {}", told.join("  "))
    }));
    lines
}

//! `forewarn campaign calls ID`: scripts for human callers out, dispositions back in.

use super::{Context, Failure};
use crate::app::calls::CallsImported;
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Bad rows told one by one; `--json` has them all.
const SHOWN: usize = 100;

/// Export call sheets, or read back how the calls ended
///
/// The sheets hold names, numbers and scripts in clear; they are readable by you only. Of the table that comes back the
/// columns `notice`, `call`, `disposition` and `note` are taken; remarks are sealed, and `desk show --reveal` prints them.
#[derive(Args, Debug)]
pub struct CallsArgs {
    /// The campaign
    #[arg(value_name = "ID")]
    pub campaign: String,
    /// Write a printable page and a CSV of the calls that are due into this folder
    #[arg(long, value_name = "DIR", required_unless_present = "import", conflicts_with = "import")]
    pub export: Option<PathBuf>,
    /// Read the dispositions of a CSV that was exported
    #[arg(long, value_name = "FILE.csv")]
    pub import: Option<PathBuf>,
}

pub(super) fn run(args: &CallsArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        match (&args.export, &args.import) {
            (Some(directory), _) => export(&args.campaign, directory, context).await,
            (None, Some(file)) => import(&args.campaign, file, context).await,
            (None, None) => Err(Failure::Usage("name a folder with --export or a table with --import".to_owned())),
        }
    })
}

async fn export(id: &str, directory: &Path, context: &Context) -> Result<(), Failure> {
    let app = context.app().await?;
    let sheets = app.export_calls(id, directory).await?;
    let objects: Vec<Value> = sheets
        .iter()
        .map(|(route, e)| json!({ "route": route, "calls": e.calls, "html": e.html, "csv": e.csv }))
        .collect();
    let calls: usize = sheets.iter().map(|(_, e)| e.calls).sum();
    context.printer.object(&json!({ "campaign": id, "calls": calls, "sheets": objects }))?;
    for (route, e) in &sheets {
        let (html, csv) = (e.html.display(), e.csv.display());
        context.printer.line(format_args!("route {route}: {} calls are due; print {html}, fill in {csv}", e.calls))?;
    }
    if calls == 0 {
        return context.printer.line("no call of this campaign is due now");
    }
    context.printer.line(format_args!("then: forewarn campaign calls {id} --import FILE.csv"))
}

async fn import(id: &str, file: &Path, context: &Context) -> Result<(), Failure> {
    if !file.exists() {
        return Err(Failure::Usage(format!("there is no file {}", file.display())));
    }
    let app = context.app().await?;
    let imported = app.import_calls(id, file, &context.actor(None), context.now()).await?;
    context.printer.object(&imported_json(id, &imported))?;
    let recorded: u64 = imported.recorded.values().sum();
    for problem in imported.problems.iter().take(SHOWN) {
        let row = problem.row.map(|row| format!("row {row}: ")).unwrap_or_default();
        context.printer.note(format_args!("{row}{}: {}", problem.code, problem.message));
    }
    let more = imported.problems.len().saturating_sub(SHOWN);
    if more > 0 {
        context.printer.note(format_args!("and {more} more rows"));
    }
    context.printer.line(format_args!(
        "recorded {recorded} calls; {} were recorded before, {} rows have a problem and were left out",
        imported.unchanged,
        imported.problems.len()
    ))?;
    for (disposition, n) in &imported.recorded {
        context.printer.line(format_args!("  {n} {disposition}"))?;
    }
    if imported.remarks > 0 {
        let n = imported.remarks;
        context
            .printer
            .line(format_args!("{n} remarks were sealed and kept; `forewarn desk show REF --reveal` prints them"))?;
    }
    Ok(())
}

fn imported_json(id: &str, imported: &CallsImported) -> Value {
    let problem = |p: &crate::model::problem::Problem| json!({ "row": p.row, "field": p.field, "code": p.code, "message": p.message });
    json!({
        "campaign": id,
        "recorded": imported.recorded.values().sum::<u64>(),
        "by_disposition": imported.recorded,
        "unchanged": imported.unchanged,
        "problems": imported.problems.iter().map(problem).collect::<Vec<_>>(),
    })
}

//! `forewarn check INCIDENT.toml`: the dry run. Rows, coverage and texts, and nothing is sent or stored.

use super::list_report::ListReport;
use super::{Context, Failure};
use crate::app::App;
use crate::app::import::Outputs;
use clap::Args;
use std::path::PathBuf;

/// Check an incident file, its lists and its texts; send nothing
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The incident file
    #[arg(value_name = "INCIDENT.toml")]
    pub incident: PathBuf,
    /// Write the rejected rows here, to correct and feed back
    #[arg(long, value_name = "FILE.csv")]
    pub rejects: Option<PathBuf>,
    /// Write how each row was understood (personal data; readable by you only)
    #[arg(long, value_name = "FILE.jsonl")]
    pub rows: Option<PathBuf>,
}

pub(super) fn run(args: &CheckArgs, context: &Context) -> Result<(), Failure> {
    let config = context.config()?;
    context.incident(&args.incident)?;
    let folder = tempfile::Builder::new().prefix("forewarn-check-").tempdir()?;
    context.block_on(async {
        // The same way as a real campaign, into a database that goes away: what is reported is what would happen.
        let app = App::open_scratch(config, folder.path()).await?;
        let outputs = Outputs { rejects: args.rejects.as_deref(), rows: args.rows.as_deref() };
        let mut progress = context.printer.progress("rows", None);
        let mut tell = |rows: u64| progress.set(rows);
        let created = app.create_campaign(&args.incident, "check", &outputs, context.now(), &mut tell).await?;
        drop(progress);
        let report = ListReport::of(&app, &created).await?;
        app.store.close().await;
        context.printer.object(&report.json())?;
        report.print(&context.printer)?;
        context.printer.line("nothing was stored or sent")
    })
}

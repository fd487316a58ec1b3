//! `forewarn campaign create INCIDENT.toml`: reads the lists into a campaign that waits for approval.

use super::campaign::recorded_words;
use super::list_report::ListReport;
use super::{Context, Failure};
use crate::app::import::Outputs;
use clap::Args;
use std::path::PathBuf;

/// Make a campaign from an incident file
#[derive(Args, Debug)]
pub struct CreateArgs {
    /// The incident file
    #[arg(value_name = "INCIDENT.toml")]
    pub incident: PathBuf,
    /// Who creates it, by the name approvers are told apart by [default: the user of this machine]
    #[arg(long, value_name = "NAME", value_parser = recorded_words)]
    pub by: Option<String>,
    /// Write the rejected rows here, to correct and feed back
    #[arg(long, value_name = "FILE.csv")]
    pub rejects: Option<PathBuf>,
    /// Write how each row was understood (personal data; readable by you only)
    #[arg(long, value_name = "FILE.jsonl")]
    pub rows: Option<PathBuf>,
}

pub(super) fn run(args: &CreateArgs, context: &Context) -> Result<(), Failure> {
    context.incident(&args.incident)?;
    context.block_on(async {
        let app = context.app().await?;
        let outputs = Outputs { rejects: args.rejects.as_deref(), rows: args.rows.as_deref() };
        let mut progress = context.printer.progress("rows", None);
        let mut tell = |rows: u64| progress.set(rows);
        let by = context.actor(args.by.as_deref());
        let created = app.create_campaign(&args.incident, &by, &outputs, context.now(), &mut tell).await?;
        drop(progress);
        let report = ListReport::of(&app, &created).await?;
        let campaign = &created.campaign;
        let mut object = report.json();
        object.insert("campaign".to_owned(), campaign.id.clone().into());
        object.insert("state".to_owned(), campaign.state.as_str().into());
        object.insert("unchanged".to_owned(), created.unchanged.into());
        object.insert("approvals_voided".to_owned(), created.voided.into());
        context.printer.object(&object)?;
        report.print(&context.printer)?;
        if created.voided > 0 {
            context.printer.line("the change voided the approval: it must be approved anew")?;
        }
        let what = if created.unchanged { "is there already, unchanged" } else { "is ready" };
        context.printer.line(format_args!("campaign {} {what}, {}", campaign.id, campaign.state.as_str()))?;
        for line in app.status(&campaign.id, context.now()).await?.next_actions() {
            context.printer.line(line)?;
        }
        Ok(())
    })
}

//! `forewarn doctor`: looks at the installation and says what would keep a campaign from running.
//!
//! Each line is `ok`, `warn` or `bad`, a sentence, and the next step. Something bad makes the exit code 3.

use super::failure::refusal_object;
use super::{Context, Failure};
use crate::app::doctor::{Finding, Level, examine};
use crate::model::problem::Problem;
use clap::Args;
use serde_json::{Value, json};

/// Check this installation: configuration, key, database, routes
#[derive(Args, Debug)]
pub struct DoctorArgs {}

pub(super) fn run(_args: &DoctorArgs, context: &Context) -> Result<(), Failure> {
    let found = match context.config() {
        Ok(config) => context.block_on(async { Ok(examine(config, context.now()).await) })?,
        Err(failure) => without_config(failure)?,
    };
    let count = |level: Level| found.iter().filter(|f| f.level == level).count();
    let (bad, warnings) = (count(Level::Bad), count(Level::Warn));
    context.printer.object(&answer(&found, bad == 0))?;
    for finding in &found {
        let next = if finding.next.is_empty() { String::new() } else { format!("; {}", finding.next) };
        let (level, about) = (finding.level.as_str(), &finding.about);
        context.printer.line(format_args!("{level:<5} {about}: {}{next}", finding.message))?;
    }
    if bad > 0 {
        context
            .printer
            .line(format_args!("\n{bad} bad, {warnings} to look at: a campaign would not run as it should"))?;
        return Err(Failure::RefusedAsReported);
    }
    context.printer.line(format_args!("\nnothing bad, {warnings} to look at"))
}

/// What is wrong with the configuration is a finding like the others.
fn without_config(failure: Failure) -> Result<Vec<Finding>, Failure> {
    let next = "nothing else can be looked at before that";
    let problems = match failure {
        Failure::Usage(message) => vec![Problem::new("no-config", "", message)],
        Failure::Refused(problems) => problems,
        Failure::Fault(error) => vec![Problem::new("unreadable", "", format!("{error:#}"))],
        other @ (Failure::OutputClosed | Failure::RefusedAsReported) => return Err(other),
    };
    Ok(problems.into_iter().map(|problem| Finding::bad("config", problem, next)).collect())
}

fn answer(found: &[Finding], ok: bool) -> Value {
    let finding =
        |f: &Finding| json!({"level": f.level.as_str(), "about": f.about, "message": f.message, "next": f.next});
    let refused: Vec<Value> = found.iter().filter_map(|f| f.problem.as_ref()).map(refusal_object).collect();
    let mut answer = json!({ "ok": ok, "findings": found.iter().map(finding).collect::<Vec<_>>() });
    if !ok {
        answer["refused"] = refused.into();
    }
    answer
}

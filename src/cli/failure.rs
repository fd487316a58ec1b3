//! How a command can fail, and what the shell and the reader are told.

use super::output::Printer;
use crate::app::AppError;
use crate::config::LoadConfigError;
use crate::model::problem::Problem;
use crate::store::StoreError;
use crate::toml_file::ReadTomlError;
use serde_json::{Map, Value, json};
use std::io::ErrorKind;
use std::process::ExitCode;

const FAULT: u8 = 1;
const USAGE: u8 = 2;
const REFUSED: u8 = 3;
/// How many reasons are printed for a reader; `--json` has them all.
const SHOWN: usize = 100;

#[derive(Debug)]
pub enum Failure {
    /// Something did not work: exit code 1.
    Fault(anyhow::Error),
    /// The command was not understood or names what is not there: exit code 2.
    Usage(String),
    /// A check says no, and why: exit code 3.
    Refused(Vec<Problem>),
    /// A check says no, and its own report on stdout has said why: exit code 3.
    RefusedAsReported,
    /// Whoever read our output went away (`forewarn … | head`): nothing more to do, exit code 0.
    OutputClosed,
}

impl Failure {
    pub fn fault(error: impl Into<anyhow::Error>) -> Failure {
        Failure::Fault(error.into())
    }

    /// Tells the reader what happened, and gives the exit code.
    pub fn report(self, printer: &Printer) -> ExitCode {
        // A failure to print a failure has nowhere to go.
        let (code, printed) = match self {
            Failure::OutputClosed => return ExitCode::SUCCESS,
            Failure::RefusedAsReported => return ExitCode::from(REFUSED),
            Failure::Fault(error) => {
                // The chain: what we were doing, then why it did not work.
                let chain = format!("{error:#}");
                printer.note(format_args!("error: {chain}"));
                (FAULT, printer.object(&json!({ "error": chain })))
            }
            Failure::Usage(message) => {
                printer.note(format_args!("error: {message}"));
                (USAGE, printer.object(&json!({ "error": message })))
            }
            Failure::Refused(problems) => {
                for problem in problems.iter().take(SHOWN) {
                    printer.note(refusal_line(problem));
                }
                if problems.len() > SHOWN {
                    printer.note(format_args!("refused: and {} more reasons", problems.len() - SHOWN));
                }
                let refused: Vec<Value> = problems.iter().map(refusal_object).collect();
                (REFUSED, printer.object(&json!({ "refused": refused })))
            }
        };
        match printed {
            Err(Failure::Fault(_)) if code != REFUSED => ExitCode::from(FAULT),
            Ok(()) | Err(_) => ExitCode::from(code),
        }
    }
}

/// `refused: <code>: <message> (row N, field)`.
fn refusal_line(problem: &Problem) -> String {
    let mut place = Vec::new();
    if let Some(row) = problem.row {
        place.push(format!("row {row}"));
    }
    if !problem.field.is_empty() && !problem.message.contains(&format!("`{}`", problem.field)) {
        place.push(problem.field.clone());
    }
    let place = if place.is_empty() { String::new() } else { format!(" ({})", place.join(", ")) };
    format!("refused: {}: {}{place}", problem.code, problem.message)
}

/// The same as a JSON object; absent parts are left out.
pub(super) fn refusal_object(problem: &Problem) -> Value {
    let mut object = Map::new();
    object.insert("code".to_owned(), json!(problem.code));
    object.insert("message".to_owned(), json!(problem.message));
    if let Some(row) = problem.row {
        object.insert("row".to_owned(), json!(row));
    }
    if !problem.field.is_empty() {
        object.insert("field".to_owned(), json!(problem.field));
    }
    if let Some(route) = &problem.route {
        object.insert("route".to_owned(), json!(route));
    }
    Value::Object(object)
}

/// The answer of the argument parser: help and version on stdout with 0, anything else on stderr with 2, and where `json`
/// was asked for as an object on stdout too.
pub(super) fn usage_answer(answer: &clap::Error, json: bool) -> ExitCode {
    if json && answer.use_stderr() {
        let told = Printer::new(true).object(&json!({ "error": usage_message(answer) }));
        if matches!(told, Err(Failure::Fault(_))) {
            return ExitCode::from(FAULT);
        }
    }
    match answer.print() {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(_) => return ExitCode::from(FAULT),
    }
    if answer.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

/// What was wrong with the command line, without the help that the parser prints around it.
fn usage_message(answer: &clap::Error) -> String {
    if answer.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "the command is not complete; `--help` behind it says what belongs there".to_owned();
    }
    let text = answer.to_string();
    let message = text.split("\n\nUsage:").next().unwrap_or_default();
    message.trim_start_matches("error: ").trim_end().to_owned()
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Fault(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Fault(error.into())
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure::Refused(vec![problem])
    }
}

impl From<Vec<Problem>> for Failure {
    fn from(problems: Vec<Problem>) -> Failure {
        Failure::Refused(problems)
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Failure {
        match error {
            AppError::Refused(problems) => Failure::Refused(problems),
            AppError::NoCampaign(_) => Failure::Usage(error.to_string()),
            AppError::Store(error) => error.into(),
            fault @ (AppError::Vault(_) | AppError::Io { .. } | AppError::Reading(_) | AppError::Rejects(_)) => {
                Failure::Fault(fault.into())
            }
        }
    }
}

impl From<StoreError> for Failure {
    /// What the operator can put right is a refusal with its reason; the disk and the database itself are faults.
    fn from(error: StoreError) -> Failure {
        match error.code() {
            Some(code) => Failure::Refused(vec![Problem::new(code, "database", error.to_string())]),
            None => Failure::Fault(error.into()),
        }
    }
}

impl From<ReadTomlError> for Failure {
    fn from(error: ReadTomlError) -> Failure {
        match error {
            ReadTomlError::Refused { problems, .. } => Failure::Refused(problems),
            ReadTomlError::Unreadable { path, source } if source.kind() == ErrorKind::NotFound => {
                Failure::Usage(format!("there is no file {}", path.display()))
            }
            ReadTomlError::Unreadable { path, source } if source.kind() == ErrorKind::IsADirectory => {
                Failure::Usage(format!("{} is a folder; name the file in it", path.display()))
            }
            unreadable @ ReadTomlError::Unreadable { .. } => Failure::Fault(unreadable.into()),
        }
    }
}

impl From<LoadConfigError> for Failure {
    fn from(error: LoadConfigError) -> Failure {
        match error {
            LoadConfigError::NotFound { .. } => Failure::Usage(error.to_string()),
            LoadConfigError::Read(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_place_once() {
        for (problem, line) in [
            (
                Problem::new("bad-email", "email", "not an address").at_row(7),
                "refused: bad-email: not an address (row 7, email)",
            ),
            (
                Problem::new("unknown-key", "a.b", "f line 1: `a.b` is not known"),
                "refused: unknown-key: f line 1: `a.b` is not known",
            ),
            (Problem::new("no-route", "", "no route for sms"), "refused: no-route: no route for sms"),
        ] {
            assert_eq!(refusal_line(&problem), line);
        }
        let object = refusal_object(&Problem::new("x", "", "y").on_route("r"));
        assert_eq!(object.to_string(), r#"{"code":"x","message":"y","route":"r"}"#);
    }
}

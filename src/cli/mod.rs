//! The command line: one file per verb, each with its arguments and its `run`.
//!
//! Data goes to stdout and only through [`output::Printer`]; progress and logs go to stderr. With `--json` a command
//! prints one JSON object. Exit codes: 0 done, 1 fault, 2 usage, 3 refused by a check. A verb that does not work yet
//! is not in the tree, so `--help` never promises more than there is.

mod completions;
mod context;
mod failure;
mod init;
mod list_report;
mod logging;
pub mod output;
mod owner_only;
mod working;

pub mod bounce;
pub mod campaign;
pub mod campaign_approve;
pub mod campaign_calls;
pub mod campaign_cancel;
pub mod campaign_create;
pub mod campaign_list;
pub mod campaign_log;
pub mod campaign_pause;
pub mod campaign_preview;
pub mod campaign_resume;
pub mod campaign_retry;
pub mod campaign_show;
pub mod campaign_start;
pub mod campaign_status;
pub mod check;
pub mod demo;
mod demo_report;
pub mod desk;
pub mod desk_call;
pub mod desk_close;
pub mod desk_correct;
pub mod desk_list;
pub mod desk_next;
pub mod desk_note;
pub mod desk_show;
pub mod doctor;
pub mod erase;
pub mod proof;
pub mod proof_ask;
mod proof_campaign;
pub mod proof_close;
pub mod proof_person;
pub mod proof_recover;
pub mod proof_verify;
pub mod provider;
mod provider_hook;
mod provider_lint;
mod provider_suspend;
mod provider_test;
pub mod serve;
pub mod worker;

pub use context::Context;
pub use failure::Failure;

use clap::{Parser, Subcommand};
use output::Printer;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Tells every person affected by a data breach, by email, SMS or telephone, and keeps the record of it.
#[derive(Parser, Debug)]
#[command(name = "forewarn", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Global {
    /// The configuration [default: what FOREWARN_CONFIG names, else ./config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print one JSON object on stdout
    #[arg(long, global = true)]
    pub json: bool,
}

/// The verbs that work.
#[derive(Subcommand, Debug)]
pub enum Command {
    Demo(demo::DemoArgs),
    Init(init::InitArgs),
    Check(check::CheckArgs),
    #[command(subcommand)]
    Campaign(campaign::CampaignCommand),
    #[command(subcommand)]
    Desk(desk::DeskCommand),
    Serve(serve::ServeArgs),
    Worker(worker::WorkerArgs),
    #[command(subcommand)]
    Provider(provider::ProviderCommand),
    #[command(subcommand)]
    Proof(proof::ProofCommand),
    #[command(subcommand)]
    Bounce(bounce::BounceCommand),
    Erase(erase::EraseArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
}

/// Runs one command line and says how it ended.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(answer) => {
            // The line was not understood, so whether it asks for JSON is read off its words.
            let json = arguments.iter().take_while(|word| *word != "--").any(|word| word == "--json");
            return failure::usage_answer(&answer, json);
        }
    };
    let printer = Printer::new(cli.global.json);
    logging::start(&printer);
    // One TLS provider for everything; `Err` only says that somebody installed it before us.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was installed before");
    }
    let context = Context::new(cli.global.config, printer);
    match run(cli.command, &context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&context.printer),
    }
}

fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => demo::run(&args, context),
        Command::Init(args) => init::run(&args, context),
        Command::Check(args) => check::run(&args, context),
        Command::Campaign(command) => campaign::run(command, context),
        Command::Desk(command) => desk::run(command, context),
        Command::Serve(args) => serve::run(&args, context),
        Command::Worker(args) => worker::run(&args, context),
        Command::Provider(command) => provider::run(&command, context),
        Command::Proof(command) => proof::run(&command, context),
        Command::Bounce(command) => bounce::run(&command, context),
        Command::Erase(args) => erase::run(&args, context),
        Command::Doctor(args) => doctor::run(&args, context),
        Command::Completions(args) => completions::run(&args, context),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn command_lines_that_scripts_use_are_understood() {
        for line in [
            "demo --dir d --no-serve",
            "init --dir d",
            "check i.toml --rejects r.csv --rows rows.jsonl",
            "campaign create i.toml",
            "campaign create i.toml --by alice --rejects r.csv",
            "campaign list --json",
            "campaign show c",
            "campaign preview c --ref R --channel sms --out d",
            "campaign approve c --by bob",
            "campaign start c --wait",
            "campaign pause c --reason why",
            "campaign resume c",
            "campaign cancel c --reason why",
            "campaign status c --watch",
            "campaign log c --format csv --out f --reveal",
            "campaign log c",
            "campaign retry c --reason-class route-broken",
            "campaign calls c --export d",
            "campaign calls c --import f.csv",
            "desk list --campaign c --mine --state held --limit 9 --after c:1:2",
            "desk next --by dora --for 20m",
            "desk show R-1 --reveal",
            "desk call R-1 --disposition informed --note x",
            "desk call R-1 --disposition voicemail --call-back 2h --anyway --contact 2 --language de",
            "desk correct R-1 --email a@example.com",
            "desk correct R-1 --phone +4915112345678 --role guardian --replaces 1 --campaign c --by dora",
            "desk close R-1 --reason unreachable --note x",
            "desk reopen R-1",
            "desk note R-1 --note x",
            "desk release R-1",
            "desk release --mine",
            "serve --config x.toml",
            "worker --once --config x.toml",
            "worker --listen 127.0.0.1:9101",
            "provider list",
            "provider show smtp",
            "provider test relay --to a@example.com",
            "bounce explain a.eml b.eml --json",
            "proof verify b.zip --vkey a+1+b --json",
            "doctor --json",
            "completions fish",
        ] {
            let words = std::iter::once("forewarn").chain(line.split(' '));
            assert!(Cli::try_parse_from(words.clone()).is_ok(), "{line}");
            let broken = words.chain(std::iter::once("--no-such-flag"));
            assert_eq!(Cli::try_parse_from(broken).map_err(|e| e.exit_code()).err(), Some(2), "{line}");
        }
    }

    #[test]
    fn command_lines_that_lack_something_are_refused() {
        for line in [
            "campaign approve c",
            "campaign pause c",
            "campaign cancel c",
            "campaign retry c",
            "campaign retry c --reason-class rout-broken",
            "campaign retry c --reason-class accepted",
            "campaign preview c --channel post",
            "campaign log c --format xml",
            "campaign calls c",
            "campaign calls c --export d --import f.csv",
            "provider test relay",
            "desk show",
            "desk call R-1",
            "desk correct R-1",
            "desk correct R-1 --email a@example.com --phone +1",
            "desk close R-1",
            "desk release",
            "desk list --after x",
            "desk next --for 2d",
            "bounce explain",
            "proof verify",
            "campaign pause c --reason=",
            "worker --listen 9101",
            "serve --listen localhost:80",
        ] {
            let words = std::iter::once("forewarn").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_err(), "{line}");
        }
    }
}

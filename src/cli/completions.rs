//! `forewarn completions SHELL`: the completion script of a shell, on stdout.

use super::{Cli, Context, Failure};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Print the completion script of a shell
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell to complete for
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs, context: &Context) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "forewarn", &mut script);
    if context.printer.is_json() {
        let script = String::from_utf8_lossy(&script);
        return context.printer.object(&serde_json::json!({ "shell": args.shell.to_string(), "script": script }));
    }
    context.printer.stream(|out| out.write_all(&script))
}

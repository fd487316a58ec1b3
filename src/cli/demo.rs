//! `forewarn demo`: the whole story on this machine, without a server, a network or a question.

use clap::Args;
use std::path::PathBuf;

/// Run a sample campaign to its end on this machine; nothing leaves it
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Where to put the sample and what happened; must be empty or new
    #[arg(long, value_name = "DIR", default_value = "forewarn-demo")]
    pub dir: PathBuf,
    /// Taken for scripts written for versions that open a console at the end; there is none yet to leave out
    #[arg(long, hide = true)]
    pub no_serve: bool,
}

//! `forewarn campaign calls ID`: scripts for human callers out, dispositions back in.

use clap::Args;
use std::path::PathBuf;

/// Export call sheets, or read back how the calls ended
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

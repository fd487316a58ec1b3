//! `forewarn check INCIDENT.toml`: the dry run. Rows, coverage and texts, and nothing is sent or stored.

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

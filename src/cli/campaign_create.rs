//! `forewarn campaign create INCIDENT.toml`: reads the lists into a campaign that waits for approval.

use super::campaign::recorded_words;
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

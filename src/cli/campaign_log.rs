//! `forewarn campaign log ID`: the delivery log, every attempt and every receipt.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Print the delivery log
#[derive(Args, Debug)]
pub struct LogArgs {
    /// The campaign
    #[arg(value_name = "ID")]
    pub campaign: String,
    /// How to write it [default: csv; jsonl with --json]
    #[arg(long, value_enum)]
    pub format: Option<LogFormat>,
    /// Write it here instead of to stdout
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print contacts in full instead of masked
    #[arg(long)]
    pub reveal: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Csv,
    Jsonl,
}

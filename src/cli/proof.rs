//! `forewarn proof`: show a stranger how somebody was told, and check what was shown.

use super::{Context, Failure, proof_verify};
use clap::Subcommand;

/// Prove who was told what, when and how; and verify such a proof
#[derive(Subcommand, Debug)]
pub enum ProofCommand {
    /// Say what a bundle proves, or why it proves nothing. Needs no configuration, no database and no network
    Verify(proof_verify::ProofVerifyArgs),
}

pub(super) fn run(command: &ProofCommand, context: &Context) -> Result<(), Failure> {
    match command {
        ProofCommand::Verify(args) => proof_verify::run(args, context),
    }
}

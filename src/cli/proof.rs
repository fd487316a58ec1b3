//! `forewarn proof`: show a stranger how somebody was told, and check what was shown.

use super::{Context, Failure, proof_ask, proof_campaign, proof_close, proof_person, proof_recover, proof_verify};
use clap::Subcommand;

/// Prove who was told what, when and how; and verify such a proof
#[derive(Subcommand, Debug)]
pub enum ProofCommand {
    /// Make the bundle that proves how one person was told
    Person(proof_person::ProofPersonArgs),
    /// Make the bundle that proves how a whole campaign went, without anybody's name
    Campaign(proof_campaign::ProofCampaignArgs),
    /// Say what a bundle proves, or why it proves nothing. Needs no configuration, no database and no network
    Verify(proof_verify::ProofVerifyArgs),
    /// Close a campaign in the evidence log, so that bundles show that no fact is missing
    Close(proof_close::ProofCloseArgs),
    /// Say whether an address was notified, also of persons whose data was erased
    Ask(proof_ask::ProofAskArgs),
    /// Begin a new log after the database was lost and an older one restored; the log says that it was
    Recover(proof_recover::ProofRecoverArgs),
}

pub(super) fn run(command: &ProofCommand, context: &Context) -> Result<(), Failure> {
    match command {
        ProofCommand::Person(args) => proof_person::run(args, context),
        ProofCommand::Campaign(args) => proof_campaign::run(args, context),
        ProofCommand::Verify(args) => proof_verify::run(args, context),
        ProofCommand::Close(args) => proof_close::run(args, context),
        ProofCommand::Ask(args) => proof_ask::run(args, context),
        ProofCommand::Recover(args) => proof_recover::run(args, context),
    }
}

//! The digests an approval is bound to.

use crate::model::campaign::Digests;
use crate::model::channel::Channel;
use crate::model::incident::CampaignPlan;
use sha2::{Digest as _, Sha256};

/// The digest of a list: over the digests of its sources, in order.
pub fn list_digest(sources: &[String]) -> String {
    hex(&sources.join("\n"))
}

/// The digest of whom, how and when: the ladder and the policies beside it.
pub fn ladder_digest(plan: &CampaignPlan) -> String {
    let unknown: Vec<String> = Channel::ALL.iter().map(|c| format!("{c}={:?}", plan.on_unknown(*c))).collect();
    hex(&format!(
        "{}\n{}\ngive_up_after={}us\napprovals={}\nretry={}us..{}us",
        plan.ladder.canonical(),
        unknown.join(" "),
        plan.give_up_after,
        plan.approvals,
        plan.retry_first,
        plan.retry_max,
    ))
}

/// The three together.
pub fn digests(sources: &[String], texts: &str, plan: &CampaignPlan) -> Digests {
    Digests { list: list_digest(sources), texts: texts.to_owned(), ladder: ladder_digest(plan) }
}

fn hex(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

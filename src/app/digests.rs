//! The digests an approval is bound to.

use super::approved::ApprovedRoute;
use crate::model::campaign::Digests;
use crate::model::channel::Channel;
use crate::model::incident::CampaignPlan;
use sha2::{Digest as _, Sha256};

/// The digest of a list: over the digests of its sources, in order.
pub fn list_digest(sources: &[String]) -> String {
    hex(&sources.join("\n"))
}

/// The digest of whom, how and when: the ladder, the policies beside it, and the words of those routes that send no
/// others than a provider has approved.
pub fn ladder_digest(plan: &CampaignPlan, approved: &[ApprovedRoute]) -> String {
    let unknown: Vec<String> = Channel::ALL.iter().map(|c| format!("{c}={:?}", plan.on_unknown(*c))).collect();
    let mut text = format!(
        "{}\n{}\ngive_up_after={}us\napprovals={}\nretry={}us..{}us",
        plan.ladder.canonical(),
        unknown.join(" "),
        plan.give_up_after,
        plan.approvals,
        plan.retry_first,
        plan.retry_max,
    );
    for route in used(plan, approved) {
        text.push_str(&format!("\napproved={} {}\n{}", route.name, route.channel, route.identity));
    }
    hex(&text)
}

/// The routes with approved words on the channels of the ladder.
pub fn used<'a>(plan: &'a CampaignPlan, approved: &'a [ApprovedRoute]) -> impl Iterator<Item = &'a ApprovedRoute> {
    approved.iter().filter(|route| plan.ladder.steps.iter().any(|step| step.channel == route.channel))
}

/// The three together.
pub fn digests(sources: &[String], texts: &str, plan: &CampaignPlan, approved: &[ApprovedRoute]) -> Digests {
    Digests { list: list_digest(sources), texts: texts.to_owned(), ladder: ladder_digest(plan, approved) }
}

/// Whether a route would send other approved words by now than the campaign was approved with.
pub fn approved_words_changed(plan: &CampaignPlan, approved: &[ApprovedRoute], known: &Digests) -> bool {
    used(plan, approved).next().is_some() && ladder_digest(plan, approved) != known.ladder
}

fn hex(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

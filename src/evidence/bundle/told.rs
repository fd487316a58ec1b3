//! What a bundle proves, in sentences.

use super::attempts::{ENDED, STARTED};
use super::events::{Fact, Facts};
use super::frame::Frame;
use super::layout::{EXCHANGE_LABEL, MESSAGE_LABEL};
use super::manifest::About;
use super::verdict::Verdict;

/// What the label of an attempt's address is called.
const ADDRESS_LABEL: &str = "addr";

/// Sets the sentences on the facts before those on the trees.
pub(super) fn tell(files: usize, frame: &Frame, facts: &Facts, verdict: &mut Verdict) {
    let mut proven = Vec::new();
    if let (Some(manifest), Some(checkpoint)) = (&frame.manifest, &frame.checkpoint) {
        let persons = facts.values().filter(|fact| fact.about == About::Person).count();
        proven.push(format!("All {files} files are as the key of the log sealed them."));
        proven.push(format!(
            "{} facts about the person and {} about the campaign {} are in the log {}, as it was when it had {} facts. \
             None was changed, and their order is that of their numbers.",
            persons,
            facts.len() - persons,
            manifest.campaign,
            manifest.origin,
            checkpoint.size
        ));
    }
    proven.extend(facts.iter().filter(|(_, fact)| fact.about == About::Person).map(sentence));
    proven.append(&mut verdict.proven);
    verdict.proven = proven;
}

fn sentence((index, fact): (&u64, &Fact)) -> String {
    let (time, kind) = (fact.time(), fact.kind());
    let what = match kind {
        STARTED => format!("{} began{}", attempt(fact), code(fact, "route", ", over the route ")),
        ENDED => format!("{} ended: {}{}{}", attempt(fact), res(fact), code(fact, "code", ", answer "), shown(fact)),
        "receipt" => format!("a report came back on {}: {}", attempt(fact), res(fact)),
        "note" => format!("noted: {}", fact.leaf.text("act").unwrap_or("a remark")),
        other => other.to_owned(),
    };
    format!("Fact {index}, {time}: {what}.")
}

fn attempt(fact: &Fact) -> String {
    let number = |key: &str| fact.leaf.number(key).unwrap_or_default();
    let channel = fact.leaf.text("chan").unwrap_or("an unknown channel");
    format!("attempt {} by {channel} to contact {}", number("n"), number("contact"))
}

fn res(fact: &Fact) -> &str {
    fact.leaf.text("res").unwrap_or("unknown")
}

/// A text of the leaf with words before it; nothing where there is none.
fn code(fact: &Fact, key: &str, before: &str) -> String {
    fact.leaf.text(key).filter(|text| !text.is_empty()).map(|text| format!("{before}{text}")).unwrap_or_default()
}

/// Which parts of an attempt are open in this bundle.
fn shown(fact: &Fact) -> String {
    let parts = [(ADDRESS_LABEL, "the address"), (MESSAGE_LABEL, "the message"), (EXCHANGE_LABEL, "the exchange")];
    let open: Vec<&str> =
        parts.iter().filter(|(label, _)| fact.disclosed.contains_key(*label)).map(|(_, what)| *what).collect();
    if open.is_empty() { String::new() } else { format!("; disclosed and right: {}", open.join(", ")) }
}

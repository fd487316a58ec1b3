//! What people read in the bundle of a campaign: the certificate with its sums and pictures, the way to check it, a draft
//! declaration.

use super::certificate::{Labels, filled, in_order, plain};
use super::progress::picture;
use super::words::declaration;
use crate::app::AppError;
use crate::evidence::bundle::campaign::summary::{Counts, Summary};
use crate::evidence::bundle::campaign::{self, CERTIFICATE, DECLARATION, README, VERIFY};
use crate::evidence::bundle::{self, layout};
use crate::evidence::fact::seconds;
use crate::evidence::note::VerifierKey;
use crate::model::time::{HOUR, MINUTE, Micros};
use crate::store::campaign::Campaign;
use crate::store::leaf::LeafRef;
use crate::store::sequence::SignedHead;
use crate::store::shown::ShownFact;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PAGE: &str = include_str!("campaign.html.hbs");
/// The words that only this page has, by language; the first is for all others.
pub(super) const LABELS: [&str; 3] = [
    include_str!("labels/campaign.en.toml"),
    include_str!("labels/campaign.zh-CN.toml"),
    include_str!("labels/campaign.de.toml"),
];

/// What the page is made of.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    pub campaign: &'a Campaign,
    pub discovered: Micros,
    pub organisation: &'a str,
    /// BCP 47.
    pub language: &'a str,
    pub summary: &'a Summary,
    pub facts: &'a [ShownFact],
    pub at: &'a BTreeMap<LeafRef, u64>,
    pub head: &'a SignedHead,
    pub key: &'a VerifierKey,
    pub withheld: &'a [String],
    pub made: Micros,
}

/// The files of the bundle that are for people.
pub(super) fn for_people(shown: &Shown<'_>) -> Result<Vec<(String, Vec<u8>)>, AppError> {
    let files = [
        (CERTIFICATE, page(shown)?),
        (README, readme(shown)),
        (DECLARATION, declaration(shown.organisation, shown.key, shown.made)),
        (VERIFY, campaign::VERIFIER_IN_PYTHON.to_owned()),
        // What it shares with the one of a person's bundle.
        (layout::VERIFY_PY, bundle::VERIFIER_IN_PYTHON.to_owned()),
    ];
    Ok(files.map(|(name, text)| (name.to_owned(), text.into_bytes())).into())
}

fn page(shown: &Shown<'_>) -> Result<String, AppError> {
    let (labels, words) = (Labels::of(shown.language)?, Labels::among(&LABELS, shown.language)?);
    let mut engine = handlebars::Handlebars::new();
    engine.set_strict_mode(true);
    let page = engine.render_template(PAGE, &values(shown, &labels, &words));
    page.map_err(|e| AppError::io("the certificate")(std::io::Error::other(e)))
}

fn values(shown: &Shown<'_>, labels: &Labels, words: &Labels) -> Value {
    let Shown { summary, head, key, .. } = shown;
    let persons = grouped(summary.persons);
    let organisation = [("organisation", shown.organisation), ("persons", persons.as_str())];
    let filled_list = |name| words.list(name).into_iter().map(|text| filled(text, &organisation)).collect::<Vec<_>>();
    let closing = summary.closing.as_ref();
    let (size, signed) = (head.size.to_string(), seconds(head.at));
    json!({
        "l": labels.0,
        "w": words.0,
        "lead": words.filled("lead", &organisation),
        "organisation": shown.organisation,
        "incident": shown.campaign.title,
        "campaign": shown.campaign.id,
        "persons": persons,
        "discovered": plain(&seconds(shown.discovered)),
        "times": times(shown, words),
        "where_text": closing.map(|c| words.filled("where_at", &[("at", &plain(&c.at))])),
        "standings": closing.map(|c| rows(&c.persons, words)).unwrap_or_default(),
        "standings_sum": closing.map(|c| grouped(c.persons.values().sum())).unwrap_or_default(),
        "notices": closing.map(|c| by_channel(&c.notices, labels, words)).unwrap_or_default(),
        "picture": picture(&summary.progress, words.get("progress"), |channel| labels.get(channel).to_owned()),
        "attempts": by_channel(&summary.attempts, labels, words),
        "reports": by_channel(&summary.receipts, labels, words),
        "steps": steps(shown, labels),
        "proves": filled_list("proves_list"),
        "not_proves": filled_list("not_proves_list"),
        "log_name": key.name(),
        "key": key.to_string(),
        "fingerprint": key.fingerprint(),
        "head": labels.filled("head_text", &[("size", &size), ("at", &signed)]),
        "root": const_hex::encode(head.root),
        "withheld": shown.withheld,
        "made": labels.filled("made", &[("at", &seconds(shown.made))]),
        "version": env!("CARGO_PKG_VERSION"),
    })
}

/// The first and last times, each with how long it was after the discovery.
fn times(shown: &Shown<'_>, words: &Labels) -> Vec<Value> {
    let Summary { first_begun, first_accepted, last_accepted, .. } = shown.summary;
    let all = [("first_begun", first_begun), ("first_accepted", first_accepted), ("last_accepted", last_accepted)];
    let time = |(name, time): (&str, &Option<String>)| {
        let time = time.as_deref()?;
        let at = time.parse::<jiff::Timestamp>().ok()?.as_microsecond();
        let after = at.saturating_sub(shown.discovered).max(0);
        let (hours, minutes) = ((after / HOUR).to_string(), (after % HOUR / MINUTE).to_string());
        let after = words.filled("after", &[("hours", &hours), ("minutes", &minutes)]);
        Some(json!({ "label": words.get(name), "time": plain(time), "after": after }))
    };
    all.into_iter().filter_map(time).collect()
}

/// The word for a code, or the code.
fn word<'w>(words: &'w Labels, code: &'w str) -> &'w str {
    // The heading over the pictures has this name.
    let name = if code == "progress" { "progressed" } else { code };
    Some(words.get(name)).filter(|word| !word.is_empty()).unwrap_or(code)
}

fn rows(counts: &Counts, words: &Labels) -> Vec<Value> {
    counts.iter().map(|(code, n)| json!({ "label": word(words, code), "n": grouped(*n) })).collect()
}

fn by_channel(all: &BTreeMap<String, Counts>, labels: &Labels, words: &Labels) -> Vec<Value> {
    let channel = |(channel, counts): (&String, &Counts)| json!({ "label": labels.get(channel), "rows": rows(counts, words), "sum": grouped(counts.values().sum()) });
    all.iter().map(channel).collect()
}

fn steps(shown: &Shown<'_>, labels: &Labels) -> Vec<Value> {
    let step = |(index, fact): (u64, &ShownFact)| {
        let by = fact.values.iter().find(|(label, _)| *label == "by").map_or("", |(_, by)| by.as_str());
        let when = if fact.at == 0 { String::new() } else { plain(&seconds(fact.at)) };
        json!({ "when": when, "step": labels.filled(&fact.what, &[("by", by)]), "fact": index })
    };
    in_order(shown.facts, shown.at).into_iter().map(step).collect()
}

/// A number with a thin space between thousands, which reads alike in every language.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// `README.txt`.
fn readme(shown: &Shown<'_>) -> String {
    let (organisation, log, key) = (shown.organisation, shown.key.name(), shown.key.to_string());
    let (fingerprint, size, at) = (shown.key.fingerprint(), shown.head.size, seconds(shown.head.at));
    format!(
        "PROOF OF NOTIFICATION: A WHOLE CAMPAIGN
Campaign {campaign} of {organisation}. Made {made} by forewarn {version}.

certificate.html is for reading and printing. Everything it says follows from the files beside it, and can be checked
without forewarn and without {organisation}. Nobody is named: persons stand under random names.

WHAT IS IN IT
log/FIRST.jsonl holds the log from fact FIRST on, a line each. A line that begins with {{ is a fact of this campaign, or of
the log itself, to the octet; its leaf hash is SHA-256 of an octet 0 and the line (RFC 6962). Any other line, HEIGHT HASH,
stands for 2^HEIGHT facts of others, of which only the hash of the full subtree is shown. All lines together lead to the
root in `checkpoint` (C2SP tlog-checkpoint), which the log's key signed on {at} over {size} facts.
persons/FIRST.txt holds every person: number, random name, hash of the leaf in the tree of recipients. The root over these
hashes is in the facts `campaign.seal`, which come before the first attempt. From the facts about a person, the leaf of the
closing tree can be made; its root is in the last fact `campaign.close`.
summary.json holds the sums, which can be made again from log/. disclosures/N/LABEL.json opens commitment LABEL of fact N.

WHAT IT DOES NOT PROVE
That anybody read a notice: `accepted` means that a mail server or a gateway took responsibility for it. That a record was
true when it was made, or that the list named everybody concerned. What the clock of {organisation} showed is what it
showed. Who a person is, and which words they were sent: that is shown by the bundle of the person.

THE KEY
log.vkey is the key of the log, as it is published:
  {key}
Its fingerprint is {fingerprint}.
Do not take it from here alone: compare it with what {organisation} publishes, or has lodged with counsel. The name of
the log is {log}.

HOW TO CHECK IT
1. sha256sum -c SHA256SUMS                            no file was changed
2. python3 verify/verify_campaign.py BUNDLE.zip       all of it (Python's own library, and openssl for the signature)
3. forewarn proof verify BUNDLE.zip --vkey KEY
",
        campaign = shown.campaign.id,
        made = seconds(shown.made),
        version = env!("CARGO_PKG_VERSION"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        for (n, want) in [(0, "0"), (999, "999"), (1_000, "1\u{202f}000"), (1_234_567, "1\u{202f}234\u{202f}567")] {
            assert_eq!(grouped(n), want);
        }
    }
}

//! Counts the facts of a campaign, part by part.

use super::super::super::canonical::{Object, Value};
use super::super::attempts::{ENDED, STARTED};
use super::summary::{Bucket, Closing, Counts, Progress, Summary};
use std::collections::BTreeMap;

/// The kinds of facts that seal a list and close a campaign.
pub const SEAL: &str = "campaign.seal";
pub const CLOSE: &str = "campaign.close";
const RECEIPT: &str = "receipt";

/// The most buckets of time that are shown, and how many minutes one may have.
const MOST_BUCKETS: usize = 96;
const WIDTHS: [u64; 9] = [1, 5, 15, 60, 360, 1_440, 10_080, 43_200, 525_600];

/// What was counted so far; parts can be counted apart and merged in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recount {
    summary: Summary,
    /// By minute since 1970.
    minutes: BTreeMap<u64, Bucket>,
}

impl Recount {
    /// Counts a fact of the campaign.
    pub fn add(&mut self, leaf: &Object) {
        let text = |key| leaf.text(key).unwrap_or_default();
        let (kind, time) = (text("ev"), text("t"));
        count(&mut self.summary.facts, kind);
        match kind {
            STARTED => {
                count(&mut self.summary.begun, text("chan"));
                earliest(&mut self.summary.first_begun, time);
            }
            ENDED => {
                count(self.summary.attempts.entry(text("chan").to_owned()).or_default(), text("res"));
                if text("res") == "accepted" {
                    earliest(&mut self.summary.first_accepted, time);
                    latest(&mut self.summary.last_accepted, time);
                    count(&mut self.minute(time).accepted, text("chan"));
                }
            }
            RECEIPT => {
                count(self.summary.receipts.entry(text("chan").to_owned()).or_default(), text("res"));
                if matches!(text("res"), "delivered" | "acknowledged") {
                    count(&mut self.minute(time).confirmed, text("chan"));
                }
            }
            CLOSE => self.summary.closing = Some(closing(leaf)),
            _ => {}
        }
    }

    fn minute(&mut self, time: &str) -> &mut Bucket {
        let second = time.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second);
        self.minutes.entry(second.unsigned_abs() / 60).or_default()
    }

    /// Adds what was counted in a later part.
    pub fn merge(&mut self, later: Recount) {
        let (own, other) = (&mut self.summary, later.summary);
        add_all(&mut own.facts, other.facts);
        add_all(&mut own.begun, other.begun);
        for (own, other) in [(&mut own.attempts, other.attempts), (&mut own.receipts, other.receipts)] {
            for (channel, counts) in other {
                add_all(own.entry(channel).or_default(), counts);
            }
        }
        other.first_begun.iter().for_each(|time| earliest(&mut own.first_begun, time));
        other.first_accepted.iter().for_each(|time| earliest(&mut own.first_accepted, time));
        other.last_accepted.iter().for_each(|time| latest(&mut own.last_accepted, time));
        own.closing = other.closing.or(own.closing.take());
        for (minute, bucket) in later.minutes {
            let own = self.minutes.entry(minute).or_default();
            add_all(&mut own.accepted, bucket.accepted);
            add_all(&mut own.confirmed, bucket.confirmed);
        }
    }

    /// The sums, with the number of persons that the seals say.
    pub fn finish(self, persons: u64) -> Summary {
        Summary { persons, progress: progress(&self.minutes), ..self.summary }
    }
}

fn count(counts: &mut Counts, name: &str) {
    match counts.get_mut(name) {
        Some(n) => *n += 1,
        None => {
            counts.insert(name.to_owned(), 1);
        }
    }
}

fn add_all(own: &mut Counts, other: Counts) {
    for (name, n) in other {
        *own.entry(name).or_default() += n;
    }
}

/// Times of the log have one form, in which text and time have one order.
fn earliest(own: &mut Option<String>, time: &str) {
    if own.as_deref().is_none_or(|own| time < own) {
        *own = Some(time.to_owned());
    }
}

fn latest(own: &mut Option<String>, time: &str) {
    if own.as_deref().is_none_or(|own| time > own) {
        *own = Some(time.to_owned());
    }
}

/// What the fact of a closing says: `p.STANDING` persons, `n.CHANNEL.STATE` notices.
fn closing(leaf: &Object) -> Closing {
    let mut closing = Closing { at: leaf.text("t").unwrap_or_default().to_owned(), ..Closing::default() };
    let numbers = leaf.iter().filter_map(|(key, value)| Some((key, Value::as_number(value)?)));
    for (key, n) in numbers {
        if let Some(standing) = key.strip_prefix("p.") {
            closing.persons.insert(standing.to_owned(), n);
        } else if let Some((channel, state)) = key.strip_prefix("n.").and_then(|rest| rest.split_once('.')) {
            closing.notices.entry(channel.to_owned()).or_default().insert(state.to_owned(), n);
        }
    }
    closing
}

/// In the narrowest buckets of which there are few enough.
fn progress(minutes: &BTreeMap<u64, Bucket>) -> Progress {
    let (Some((first, _)), Some((last, _))) = (minutes.first_key_value(), minutes.last_key_value()) else {
        return Progress::default();
    };
    let few = |width: &u64| (last / width - first / width) < MOST_BUCKETS as u64;
    let width = WIDTHS.into_iter().find(few).unwrap_or(WIDTHS[WIDTHS.len() - 1]);
    let mut buckets: BTreeMap<u64, Bucket> = BTreeMap::new();
    for (minute, counted) in minutes {
        let start = minute / width * width;
        let bucket = buckets.entry(start).or_default();
        if bucket.from.is_empty() {
            let from = i64::try_from(start * 60).ok().and_then(|second| jiff::Timestamp::from_second(second).ok());
            bucket.from = from.map(|time| time.to_string()).unwrap_or_default();
        }
        add_all(&mut bucket.accepted, counted.accepted.clone());
        add_all(&mut bucket.confirmed, counted.confirmed.clone());
    }
    Progress { buckets: buckets.into_values().collect(), minutes: width }
}

#[cfg(test)]
mod tests {
    use super::super::super::super::canonical::read_object;
    use super::*;

    fn ended(chan: &str, res: &str, t: &str) -> Object {
        let leaf = format!(r#"{{"chan":"{chan}","ev":"attempt.ended","res":"{res}","t":"{t}","v":1}}"#);
        read_object(leaf.as_bytes()).unwrap()
    }

    #[test]
    fn parts_counted_apart_are_the_whole() {
        let close = r#"{"ev":"campaign.close","n":3,"n.email.accepted":2,"p.satisfied":2,"p.unreachable":1,"size":9,"t":"2026-11-25T13:00:00Z","v":1}"#;
        let receipt = r#"{"chan":"email","ev":"receipt","res":"delivered","t":"2026-11-25T11:59:59Z","v":1}"#;
        let leaves = [
            ended("email", "accepted", "2026-11-25T10:00:59Z"),
            ended("email", "temporary", "2026-11-25T09:00:00Z"),
            ended("sms", "accepted", "2026-11-25T10:00:00Z"),
            read_object(receipt.as_bytes()).unwrap(),
            ended("email", "accepted", "2026-11-25T12:01:00Z"),
            read_object(close.as_bytes()).unwrap(),
        ];
        let mut whole = Recount::default();
        leaves.iter().for_each(|leaf| whole.add(leaf));
        for cut in 0..=leaves.len() {
            let (mut first, mut second) = (Recount::default(), Recount::default());
            leaves[..cut].iter().for_each(|leaf| first.add(leaf));
            leaves[cut..].iter().for_each(|leaf| second.add(leaf));
            first.merge(second);
            assert_eq!(first, whole, "{cut}");
        }
        let summary = whole.finish(3);
        assert_eq!(summary.attempts["email"], Counts::from([("accepted".to_owned(), 2), ("temporary".to_owned(), 1)]));
        assert_eq!(summary.first_accepted.as_deref(), Some("2026-11-25T10:00:00Z"));
        assert_eq!(summary.last_accepted.as_deref(), Some("2026-11-25T12:01:00Z"));
        assert_eq!(summary.progress.minutes, 5);
        let from: Vec<&str> = summary.progress.buckets.iter().map(|b| b.from.as_str()).collect();
        assert_eq!(from, ["2026-11-25T10:00:00Z", "2026-11-25T11:55:00Z", "2026-11-25T12:00:00Z"]);
        assert_eq!(summary.progress.buckets[0].accepted.values().sum::<u64>(), 2);
        let closing = summary.closing.as_ref().unwrap();
        assert_eq!((closing.persons["satisfied"], closing.notices["email"]["accepted"]), (2, 2));
        let again: Summary = serde_json::from_slice(&summary.to_octets()).unwrap();
        assert_eq!(again, summary);
    }
}

//! `summary.json`: what a campaign's facts add up to. It follows from the log, so whoever has the log can make it again.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counts under codes.
pub type Counts = BTreeMap<String, u64>;

/// The sums.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Attempts that ended, by channel and class of their outcome.
    pub attempts: BTreeMap<String, Counts>,
    /// Attempts that were begun, by channel.
    pub begun: Counts,
    /// The last closing; none where the campaign was not closed.
    pub closing: Option<Closing>,
    /// Facts of the campaign, by kind.
    pub facts: Counts,
    /// Of attempts: when the first one was begun, the first and the last accepted. RFC 3339, UTC.
    pub first_accepted: Option<String>,
    pub first_begun: Option<String>,
    pub last_accepted: Option<String>,
    /// Persons whom the list held that was sealed before the sending.
    pub persons: u64,
    pub progress: Progress,
    /// What came back, by channel and event.
    pub receipts: BTreeMap<String, Counts>,
}

/// Where all persons and notices stood when the campaign was closed, as the sender sealed it then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// When. RFC 3339, UTC.
    pub at: String,
    /// Notices by channel and state.
    pub notices: BTreeMap<String, Counts>,
    /// Persons by standing; their sum is the number of persons.
    pub persons: Counts,
}

/// How it went over time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    pub buckets: Vec<Bucket>,
    /// How long a bucket is.
    pub minutes: u64,
}

/// What was counted in a stretch of time; stretches without anything are not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// Attempts that were accepted, by channel.
    pub accepted: Counts,
    /// Reports that a notice was delivered or acknowledged, by channel.
    pub confirmed: Counts,
    /// Its beginning. RFC 3339, UTC.
    pub from: String,
}

impl Summary {
    /// The file.
    pub fn to_octets(&self) -> Vec<u8> {
        let mut octets = serde_json::to_vec_pretty(self).unwrap_or_default();
        octets.push(b'\n');
        octets
    }
}

//! What happened, and whom a campaign tells: the incident file as checked values.

use super::channel::Channel;
use super::ladder::Ladder;
use super::time::Micros;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The texts a template asks for, in one language, by key (`what_happened`, `measures_taken`, ...).
pub type IncidentText = BTreeMap<String, String>;

/// An instant with the zone it was written in, so that a notice can print the local date.
pub type Zoned = jiff::ZonedDateTime;

#[derive(Clone, Debug)]
pub struct Incident {
    pub id: String,
    pub title: String,
    /// When it happened: one instant, or from/until.
    pub occurred_from: Option<Zoned>,
    pub occurred_until: Option<Zoned>,
    pub discovered: Zoned,
    /// Further clocks by name: suspected aware determined assessed classified.
    pub clocks: BTreeMap<String, Zoned>,
    pub data_types: Vec<String>,
    /// Texts by language tag as written in the file.
    pub texts: BTreeMap<String, IncidentText>,
    pub campaign: CampaignPlan,
    pub sources: Vec<Source>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CampaignKind {
    Initial,
    Update,
    Final,
    Drill,
}

impl CampaignKind {
    pub const ALL: [CampaignKind; 4] =
        [CampaignKind::Initial, CampaignKind::Update, CampaignKind::Final, CampaignKind::Drill];

    pub fn as_str(self) -> &'static str {
        match self {
            CampaignKind::Initial => "initial",
            CampaignKind::Update => "update",
            CampaignKind::Final => "final",
            CampaignKind::Drill => "drill",
        }
    }

    pub fn parse(name: &str) -> Option<CampaignKind> {
        CampaignKind::ALL.into_iter().find(|k| k.as_str() == name)
    }
}

/// What to do with a notice whose outcome nobody can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnUnknown {
    Resend,
    Hold,
}

/// The `[campaign]` table.
#[derive(Clone, Debug)]
pub struct CampaignPlan {
    pub kind: CampaignKind,
    /// Name of the template set.
    pub templates: String,
    pub default_locale: String,
    pub ladder: Ladder,
    pub on_unknown: BTreeMap<&'static str, OnUnknown>,
    pub give_up_after: Micros,
    /// How many persons other than the creator must approve. 1; 0 in drills.
    pub approvals: u32,
    /// Wait before the first retry, and the longest wait between two.
    pub retry_first: Micros,
    pub retry_max: Micros,
}

impl CampaignPlan {
    /// The policy for a channel: the file's word, else `resend` for email and `hold` for sms and phone.
    pub fn on_unknown(&self, channel: Channel) -> OnUnknown {
        self.on_unknown.get(channel.as_str()).copied().unwrap_or(match channel {
            Channel::Email => OnUnknown::Resend,
            Channel::Sms | Channel::Phone => OnUnknown::Hold,
        })
    }
}

/// Where a customer list comes from.
#[derive(Clone, Debug)]
pub enum Source {
    File(FileSource),
    Query(QuerySource),
}

/// A customer list in a file.
#[derive(Clone, Debug, Default)]
pub struct FileSource {
    /// Absolute, or already resolved against the incident file's directory.
    pub path: PathBuf,
    pub encoding: Option<String>,
    pub delimiter: Option<char>,
    /// The sheet to read, where the file is a workbook.
    pub sheet: Option<String>,
    /// Field (`ref`, `email`, ...) to heading, for headings that are not recognised by themselves.
    pub columns: BTreeMap<String, String>,
}

/// A customer list as what a query of the customer's own database returns.
#[derive(Clone, Debug)]
pub struct QuerySource {
    pub database: Connection,
    pub query: String,
    /// As in a file; the names of the result's columns are the headings.
    pub columns: BTreeMap<String, String>,
}

/// Where the connection string of a database stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    Env(String),
    /// Absolute, or resolved against the incident file's directory.
    File(PathBuf),
    /// In the incident file itself, and so without a password.
    Written(String),
}

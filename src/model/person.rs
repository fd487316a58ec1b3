//! One affected individual, in the clear: lives in memory only, sealed by the vault before it is stored.

use super::channel::ContactKind;
use super::contact::{Contact, Role};
use super::notice::NoticeState;
use super::personal::Personal;

/// Stands in a person's `reach` for a contact that is not used any more.
pub const RETIRED: char = 'x';

/// A person as a source row gave it, normalised. `reference` is the key of everything.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Person {
    /// The customer's number as the source writes it (trimmed).
    pub reference: Personal,
    pub name: Personal,
    /// In the order of the source; index = contact ordinal.
    pub contacts: Vec<Contact>,
    /// Ordinals of contacts that were corrected or given up: they stay in the history and are never used again.
    pub retired: Vec<u8>,
    /// BCP 47, canonical case; empty where the source says nothing usable.
    pub locale: String,
    /// ISO 3166-1 alpha-2, upper case; empty where unknown.
    pub country: String,
    pub region: String,
    pub birth_date: Personal,
    /// Ids of the data exposed for this person; empty: the incident's list applies.
    pub data_types: Vec<String>,
    pub role: Role,
    /// Any further column, by its heading as written.
    pub extra: Vec<(String, Personal)>,
}

impl Person {
    /// The kinds of the contacts in order, a letter each (`e`, `p`; [`RETIRED`] for one that is not used any more): what
    /// the plan needs, and nothing personal.
    pub fn reach(&self) -> String {
        let retired = |at: usize| self.retired.iter().any(|r| usize::from(*r) == at);
        self.contacts.iter().enumerate().map(|(at, c)| if retired(at) { RETIRED } else { c.kind.letter() }).collect()
    }

    /// The contacts that may be used, with their ordinals.
    pub fn live(&self) -> impl Iterator<Item = (u8, &Contact)> {
        (0..=u8::MAX).zip(&self.contacts).filter(|(at, _)| !self.retired.contains(at))
    }

    pub fn first(&self, kind: ContactKind) -> Option<&Contact> {
        self.live().map(|(_, contact)| contact).find(|c| c.kind == kind)
    }
}

/// Where a person stands; the sum of the five is the number of persons, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    Satisfied,
    InFlight,
    NeedsHuman,
    Unreachable,
    Excluded,
}

impl Standing {
    pub const ALL: [Standing; 5] =
        [Standing::Satisfied, Standing::InFlight, Standing::NeedsHuman, Standing::Unreachable, Standing::Excluded];

    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Satisfied => "satisfied",
            Standing::InFlight => "in_flight",
            Standing::NeedsHuman => "needs_human",
            Standing::Unreachable => "unreachable",
            Standing::Excluded => "excluded",
        }
    }

    pub fn parse(name: &str) -> Option<Standing> {
        Standing::ALL.into_iter().find(|s| s.as_str() == name)
    }
}

/// Where a person stands when the notice just decided leaves them at `standing` and these are the states of all their
/// notices: being told once is enough, and whoever has a notice on its way is in flight. `call_is_open`: one of the
/// accepted ones is a call on a sheet, which tells nobody before it is made.
pub fn standing_beside(standing: Standing, states: &[NoticeState], call_is_open: bool) -> Standing {
    let any = |wanted: &[NoticeState]| states.iter().any(|s| wanted.contains(s));
    if standing != Standing::NeedsHuman {
        return standing;
    }
    if call_is_open || any(&[NoticeState::Queued, NoticeState::Sending, NoticeState::Deferred]) {
        return Standing::InFlight;
    }
    if any(&[NoticeState::Accepted, NoticeState::Delivered, NoticeState::Acknowledged]) {
        return Standing::Satisfied;
    }
    standing
}

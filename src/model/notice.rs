//! One message owed to one contact of one person in one campaign.

use super::channel::Channel;
use std::fmt;

/// The identity of a notice inside its campaign, and the reason nobody gets it twice: person, contact and
/// channel packed into one number, which is the primary key. The same three always give the same id.
///
/// Layout, low to high: 4 bits channel, 8 bits contact ordinal, the rest the person's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoticeId(pub i64);

const CHANNEL_BITS: u32 = 4;
const CONTACT_BITS: u32 = 8;

/// A person has at most this many contacts; the number after them stands for no contact at all.
pub const MAX_CONTACTS: usize = (1 << CONTACT_BITS) - 1;
const NO_CONTACT: u8 = MAX_CONTACTS as u8;

impl NoticeId {
    pub fn new(person: i64, contact: u8, channel: Channel) -> NoticeId {
        NoticeId((person << (CHANNEL_BITS + CONTACT_BITS)) | (i64::from(contact) << CHANNEL_BITS) | channel.number())
    }

    /// Stands for whatever a human did to tell the person without a contact that the list knows: at a counter, by a letter,
    /// by a number found elsewhere.
    pub fn by_hand(person: i64) -> NoticeId {
        NoticeId::new(person, NO_CONTACT, Channel::Phone)
    }

    pub fn is_by_hand(self) -> bool {
        self == NoticeId::by_hand(self.person())
    }

    /// What notes are kept under that are about the person and no notice: an id that no notice has.
    pub fn of_person(person: i64) -> NoticeId {
        NoticeId(NoticeId::range_of(person).1)
    }

    pub fn person(self) -> i64 {
        self.0 >> (CHANNEL_BITS + CONTACT_BITS)
    }

    pub fn contact(self) -> u8 {
        ((self.0 >> CHANNEL_BITS) & 0xff) as u8
    }

    /// The channel, or `None` where the number names one that this version does not know.
    pub fn channel(self) -> Option<Channel> {
        Channel::ALL.into_iter().find(|c| c.number() == self.0 & ((1 << CHANNEL_BITS) - 1))
    }

    /// The ids of all notices of a person lie in `first..=last`.
    pub fn range_of(person: i64) -> (i64, i64) {
        let first = person << (CHANNEL_BITS + CONTACT_BITS);
        (first, first | ((1 << (CHANNEL_BITS + CONTACT_BITS)) - 1))
    }
}

/// Where a notice can stand; `docs/architecture.md` says who acts next in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoticeState {
    Queued,
    Sending,
    Accepted,
    Delivered,
    Acknowledged,
    Deferred,
    Failed,
    Unknown,
    Suppressed,
    Cancelled,
}

impl NoticeState {
    pub const ALL: [NoticeState; 10] = [
        NoticeState::Queued,
        NoticeState::Sending,
        NoticeState::Accepted,
        NoticeState::Delivered,
        NoticeState::Acknowledged,
        NoticeState::Deferred,
        NoticeState::Failed,
        NoticeState::Unknown,
        NoticeState::Suppressed,
        NoticeState::Cancelled,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            NoticeState::Queued => "queued",
            NoticeState::Sending => "sending",
            NoticeState::Accepted => "accepted",
            NoticeState::Delivered => "delivered",
            NoticeState::Acknowledged => "acknowledged",
            NoticeState::Deferred => "deferred",
            NoticeState::Failed => "failed",
            NoticeState::Unknown => "unknown",
            NoticeState::Suppressed => "suppressed",
            NoticeState::Cancelled => "cancelled",
        }
    }

    pub fn parse(name: &str) -> Option<NoticeState> {
        NoticeState::ALL.into_iter().find(|s| s.as_str() == name)
    }
}

impl fmt::Display for NoticeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_gives_back_its_parts_and_stays_in_its_persons_range() {
        for person in [0, 1, 77, 10_000_000, (1 << 50) - 1] {
            for contact in [0u8, 1, 255] {
                for channel in Channel::ALL {
                    let id = NoticeId::new(person, contact, channel);
                    assert_eq!((id.person(), id.contact(), id.channel()), (person, contact, Some(channel)));
                    let (first, last) = NoticeId::range_of(person);
                    assert!((first..=last).contains(&id.0));
                    assert_eq!(id.is_by_hand(), contact == 255 && channel == Channel::Phone);
                }
            }
            let none = NoticeId::of_person(person);
            assert_eq!((none.person(), none.channel()), (person, None));
        }
    }
}

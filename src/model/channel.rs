//! The ways a notice travels.

use std::fmt;

/// How a notice reaches a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    Email,
    Sms,
    Phone,
}

/// What kind of address a channel needs. A telephone number serves both `sms` and `phone`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContactKind {
    Email,
    Phone,
}

impl Channel {
    pub const ALL: [Channel; 3] = [Channel::Email, Channel::Sms, Channel::Phone];

    pub fn as_str(self) -> &'static str {
        match self {
            Channel::Email => "email",
            Channel::Sms => "sms",
            Channel::Phone => "phone",
        }
    }

    /// The channel of that name, or `None`.
    pub fn parse(name: &str) -> Option<Channel> {
        Channel::ALL.into_iter().find(|c| c.as_str() == name)
    }

    pub fn contact_kind(self) -> ContactKind {
        match self {
            Channel::Email => ContactKind::Email,
            Channel::Sms | Channel::Phone => ContactKind::Phone,
        }
    }

    /// The number that stands for the channel inside a [`super::notice::NoticeId`]; never reused.
    pub fn number(self) -> i64 {
        match self {
            Channel::Email => 0,
            Channel::Sms => 1,
            Channel::Phone => 2,
        }
    }
}

impl ContactKind {
    /// One letter, as kept in the clear in a person's `reach`.
    pub fn letter(self) -> char {
        match self {
            ContactKind::Email => 'e',
            ContactKind::Phone => 'p',
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

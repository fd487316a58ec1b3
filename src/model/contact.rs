//! One way to reach somebody about a person.

use super::channel::ContactKind;
pub use super::email::parse_email;
use super::personal::Personal;
pub use super::telephone::{Telephone, parse_phone, parse_telephone};
use thiserror::Error;

/// Whose address it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Role {
    #[default]
    OneSelf,
    Guardian,
    NextOfKin,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Role::OneSelf => "self",
            Role::Guardian => "guardian",
            Role::NextOfKin => "next-of-kin",
        }
    }

    pub fn parse(name: &str) -> Option<Role> {
        [Role::OneSelf, Role::Guardian, Role::NextOfKin].into_iter().find(|r| r.as_str() == name)
    }
}

/// A normalised address: an e-mail address with a lower-case A-label domain, or a telephone number in E.164.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Contact {
    pub kind: ContactKind,
    pub address: Personal,
    pub role: Role,
}

impl Contact {
    /// The address with most of it hidden: `j***@example.org`, `+86*******8000`.
    pub fn masked(&self) -> String {
        let address = self.address.reveal();
        match self.kind {
            ContactKind::Email => {
                let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
                let first: String = local.chars().take(1).collect();
                format!("{first}***@{domain}")
            }
            ContactKind::Phone => {
                let total = address.chars().count();
                address.chars().enumerate().map(|(i, c)| if i < 3 || i + 4 >= total { c } else { '*' }).collect()
            }
        }
    }
}

/// Why a text is no address that can be used. Says the rule, never the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddressProblem {
    #[error("the e-mail address is empty")]
    EmailEmpty,
    #[error("the e-mail address holds a control character or a line break; type it again")]
    EmailControlCharacter,
    #[error("the e-mail address has no @; correct it, or empty the cell if there is none")]
    EmailWithoutAt,
    #[error("the e-mail address has more than one @; leave one address in the cell")]
    EmailTwoAt,
    #[error("what stands before the @ is not a local part that mail servers take; correct it")]
    EmailLocalPart,
    #[error("what stands after the @ is not a domain name; correct it")]
    EmailDomain,
    #[error("the domain of the e-mail address ends with a dot; remove the dot")]
    EmailTrailingDot,
    #[error("the domain of the e-mail address has no dot, so it cannot be reached from outside; complete it")]
    EmailDomainWithoutDot,
    #[error("the domain of the e-mail address is reserved and never takes mail; correct it")]
    EmailNeverDeliverable,
    #[error("the e-mail address is too long (64 bytes before the @, 254 in all); correct it")]
    EmailTooLong,
    #[error("the telephone number is empty")]
    PhoneEmpty,
    #[error("this is not a telephone number that can be dialled; write it as +, country code, number")]
    PhoneInvalid,
    #[error("the telephone number is in national form and no country is known; add the country, or write it with +")]
    PhoneWithoutCountry,
    #[error(
        "a spreadsheet turned the telephone number into a power of ten and its last digits are lost; \
             export the column as text from where it came"
    )]
    PhoneScientific,
}

impl AddressProblem {
    /// The stable word that scripts match.
    pub fn code(self) -> &'static str {
        match self {
            AddressProblem::EmailEmpty
            | AddressProblem::EmailControlCharacter
            | AddressProblem::EmailWithoutAt
            | AddressProblem::EmailTwoAt
            | AddressProblem::EmailLocalPart
            | AddressProblem::EmailDomain
            | AddressProblem::EmailTrailingDot
            | AddressProblem::EmailDomainWithoutDot
            | AddressProblem::EmailNeverDeliverable
            | AddressProblem::EmailTooLong => "bad-email",
            AddressProblem::PhoneEmpty | AddressProblem::PhoneInvalid | AddressProblem::PhoneWithoutCountry => {
                "bad-phone"
            }
            AddressProblem::PhoneScientific => "phone-scientific",
        }
    }
}

/// Marks that show nothing: zero-width characters, and the direction marks that address books copy along.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{ad}')
}

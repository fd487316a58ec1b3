//! One way to reach somebody about a person.

use super::channel::ContactKind;
use super::personal::Personal;

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

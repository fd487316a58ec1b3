//! What a provider said of an attempt, classified. A failed delivery is a value, never an `Err`.

use super::time::Micros;

/// The code of a notice that was given back because its slot in a rate limit had passed.
pub const SLOT_MISSED: &str = "slot-missed";

/// The classes that every outcome is sorted into, whatever channel and provider it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The provider took it.
    Accepted,
    /// This address will never work.
    BadAddress,
    /// Opted out, blocked, complained.
    RefusedByPerson,
    /// Try later.
    Temporary,
    /// We are too fast.
    Throttled,
    /// Spam, policy or size: the words, not the address.
    ContentRefused,
    /// Credentials, account, sender, template, credit: the route, not the notice.
    RouteBroken,
    /// The connection was lost after the point of no return, or nobody recognises the reply.
    Unknown,
    /// We gave the notice back before a byte of it was on the wire (pause, stop, missed slot).
    NotSent,
}

impl Class {
    pub const ALL: [Class; 9] = [
        Class::Accepted,
        Class::BadAddress,
        Class::RefusedByPerson,
        Class::Temporary,
        Class::Throttled,
        Class::ContentRefused,
        Class::RouteBroken,
        Class::Unknown,
        Class::NotSent,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Class::Accepted => "accepted",
            Class::BadAddress => "bad-address",
            Class::RefusedByPerson => "refused-by-person",
            Class::Temporary => "temporary",
            Class::Throttled => "throttled",
            Class::ContentRefused => "content-refused",
            Class::RouteBroken => "route-broken",
            Class::Unknown => "unknown",
            Class::NotSent => "not-sent",
        }
    }

    pub fn parse(name: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|c| c.as_str() == name)
    }
}

/// The immediate result of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub class: Class,
    /// The provider's own code: `250 2.0.0`, `550 5.1.1`, `21614`, `connect`. Never personal data.
    pub code: String,
    /// What the provider said, through [`super::redact::redact`]: addresses and numbers are masked.
    pub text: String,
    /// The provider's id of the message (SMTP queue id, Twilio sid), where it gave one.
    pub provider_id: Option<String>,
    /// How long the provider asked us to wait, in microseconds.
    pub retry_after: Option<Micros>,
}

impl Outcome {
    /// An outcome with its text masked; the other fields empty.
    pub fn new(class: Class, code: impl Into<String>, text: &str) -> Outcome {
        Outcome { class, code: code.into(), text: super::redact::redact(text), provider_id: None, retry_after: None }
    }

    /// It came too late for its slot in a rate limit, and went back unharmed.
    pub fn missed_its_slot(&self) -> bool {
        self.class == Class::NotSent && self.code == SLOT_MISSED
    }

    /// Whether the route, not the notice, is the trouble: it refuses everybody, or nobody answers there.
    pub fn blames_route(&self) -> bool {
        matches!(self.class, Class::RouteBroken | Class::Throttled)
            || (self.class == Class::Temporary && self.code == "connect")
    }

    #[must_use]
    pub fn with_provider_id(mut self, id: impl Into<String>) -> Outcome {
        self.provider_id = Some(id.into());
        self
    }

    #[must_use]
    pub fn with_retry_after(mut self, wait: Micros) -> Outcome {
        self.retry_after = Some(wait);
        self
    }
}

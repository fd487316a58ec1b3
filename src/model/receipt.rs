//! What came back later about a notice, in the words of the house: from a webhook, a mailbox, a look-up.
//!
//! Whoever reads a report makes these; what they do to a notice is decided elsewhere, once, whatever the report was.

use super::outcome::Class;
use super::personal::Personal;
use super::time::Micros;

/// One event about one notice. A report of many events is as many of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Our token of the notice, where the report carries it; it goes before `provider_id`.
    pub token: Option<String>,
    /// The provider's id of the message, as the attempt keeps it.
    pub provider_id: Option<String>,
    /// The address or number that the report names.
    pub address: Option<Personal>,
    pub event: Event,
    /// The provider's own code: `delivered`, `30006`, `5.1.1`. Never personal data.
    pub code: String,
    /// What the report said, through [`super::redact::redact`].
    pub text: String,
    /// When it happened, by the provider.
    pub at: Option<Micros>,
    /// The provider's id of the event: the same in a repeat of the report.
    pub event_id: Option<String>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// It is on its way: queued, sent, delayed. The provider has it, more is not known.
    Progress,
    /// It reached the mailbox, the handset, the answered telephone.
    Delivered,
    /// The person acted on it: a key pressed at a call, a link of ours opened.
    Acknowledged,
    /// It did not arrive, or the provider gave it up; the class as for a live reply.
    Failed(Class),
    /// It arrived, and the person wants no more of it: reported as spam, unsubscribed.
    Complained,
}

impl Event {
    /// The name that tables and the delivery log use.
    pub fn as_str(self) -> &'static str {
        match self {
            Event::Progress => "progress",
            Event::Delivered => "delivered",
            Event::Acknowledged => "acknowledged",
            Event::Failed(_) => "failed",
            Event::Complained => "complained",
        }
    }

    /// The event of that name, `class` being that of a failure.
    pub fn parse(name: &str, class: Option<Class>) -> Option<Event> {
        let all = [Event::Progress, Event::Delivered, Event::Acknowledged, Event::Complained];
        let failed = class.map(Event::Failed).filter(|event| event.as_str() == name);
        failed.or_else(|| all.into_iter().find(|event| event.as_str() == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_found_by_its_name() {
        for event in [
            Event::Progress,
            Event::Delivered,
            Event::Acknowledged,
            Event::Failed(Class::BadAddress),
            Event::Complained,
        ] {
            let class = if let Event::Failed(class) = event { Some(class) } else { None };
            assert_eq!(Event::parse(event.as_str(), class), Some(event));
        }
        assert_eq!(Event::parse("failed", None), None);
    }
}

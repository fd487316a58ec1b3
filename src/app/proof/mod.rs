//! Proof of notification: what each fact is bound to, and how it is shown.

pub mod anchor;
pub mod attempt;
pub mod campaign;
mod campaign_page;
mod campaign_parts;
pub mod certificate;
pub mod closing;
pub mod erase;
pub mod log;
pub mod open;
pub mod open_campaign;
pub mod person;
mod progress;
pub mod recipients;
pub mod recover;
mod stamped;
pub mod timestamp;
mod words;
pub mod zip;

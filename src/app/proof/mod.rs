//! Proof of notification: what each fact is bound to, and how it is shown.

pub mod anchor;
pub mod attempt;
pub mod log;
pub mod open;
pub mod recipients;

//! The desk: what support staff go by when they work off everybody who needs a human.
//!
//! Pure: how urgent a case is, when somebody may be called by the clock on their wall, and why a case may be closed. What
//! a case is and who holds it stands in the store; who puts the two together is `app::desk`.

pub mod hours;
pub mod reasons;
pub mod urgency;

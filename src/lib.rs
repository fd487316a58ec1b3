//! forewarn: tells every person affected by a data breach, and keeps the record of it.

pub mod intake;
pub mod model;
pub mod providers;

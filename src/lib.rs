//! forewarn: tells every person affected by a data breach, and keeps the record of it.

pub mod content;
pub mod model;
pub mod providers;

//! forewarn: tells every person affected by a data breach, and keeps the record of it.

pub mod model;
pub mod providers;
pub mod toml_file;

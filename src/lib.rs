//! forewarn: tells every person affected by a data breach, and keeps the record of it.

pub mod app;
pub mod cli;
pub mod config;
pub mod content;
pub mod dispatch;
pub mod incident_file;
pub mod intake;
pub mod model;
pub mod providers;
pub mod secrets;
pub mod store;
pub mod toml_file;
pub mod vault;

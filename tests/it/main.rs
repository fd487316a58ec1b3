//! The one integration-test binary: a module per story.

mod cli;
mod config;
mod incident_file;
mod rules;

//! The one integration-test binary: a module per story.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what tests share may fail a test")]

mod approved;
mod bounces;
mod campaign_bundle;
mod cli;
mod config;
mod create_again;
mod demo;
mod desk;
mod dispatch;
mod documents;
mod erased;
mod evidence;
mod imap;
mod incident_file;
mod installation;
mod intake_truth;
mod kannel;
mod lmtp;
mod log;
mod mailboxes;
mod moto;
mod overdue;
mod postgres;
mod proof;
mod receipts;
mod reconcile;
mod reported;
mod rules;
mod serve;
mod smtp;
mod sources;
mod strangers;
mod support;
mod timestamp;
mod verbs;

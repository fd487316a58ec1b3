//! Tests that drive the public surface.

#![allow(clippy::print_stderr)] // A test that could not check says so.

mod intake_truth;

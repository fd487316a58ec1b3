//! Tests that drive the public surface.

mod intake_truth;

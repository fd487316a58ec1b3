//! `forewarn campaign list`: the campaigns and where each stands.

use clap::Args;

/// List the campaigns
#[derive(Args, Debug)]
pub struct ListArgs {}

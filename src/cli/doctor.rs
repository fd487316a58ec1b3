//! `forewarn doctor`: looks at the installation and says what would keep a campaign from running.

use clap::Args;

/// Check this installation: configuration, key, database, routes
#[derive(Args, Debug)]
pub struct DoctorArgs {}

//! `forewarn provider …`: what can carry a message, and whether it does.

use clap::{Args, Subcommand};

/// Look at providers and try routes
#[derive(Subcommand, Debug)]
pub enum ProviderCommand {
    /// List the built-in adapters and the definitions
    List,
    /// Show what a provider needs and how its replies are read
    Show(ProviderShowArgs),
    /// Send one test message through a route
    Test(ProviderTestArgs),
}

#[derive(Args, Debug)]
pub struct ProviderShowArgs {
    /// The adapter or definition
    pub name: String,
}

#[derive(Args, Debug)]
pub struct ProviderTestArgs {
    /// The route of the configuration
    pub route: String,
    /// The address or number that gets the test message
    #[arg(long, value_name = "ADDRESS")]
    pub to: String,
}

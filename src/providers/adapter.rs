//! A route's adapter: a closed set of engines, one of which runs every definition.

use super::call_sheet::CallSheet;
use super::catalogue::Catalogue;
use super::http::Http;
use super::sandbox::Sandbox;
use super::settings::{Settings, did_you_mean};
use super::{Abilities, Gate, NATIVE, Outgoing};
use crate::model::channel::Channel;
use crate::model::outcome::Outcome;
use crate::model::problem::Problem;
use std::sync::Arc;

#[derive(Debug)]
pub enum Adapter {
    Http(Box<Http>),
    CallSheet(CallSheet),
    Sandbox(Sandbox),
}

impl Adapter {
    /// The adapter of a route, or everything that is wrong with its settings. Nothing is connected yet.
    pub fn build(
        route: &str,
        provider: &str,
        channel: Channel,
        settings: &Settings,
        concurrency: usize,
        catalogue: &Catalogue,
    ) -> Result<Adapter, Vec<Problem>> {
        match provider {
            "call-sheet" => CallSheet::build(route, channel, settings).map(Adapter::CallSheet),
            "sandbox" => Sandbox::build(route, channel, settings).map(Adapter::Sandbox),
            name => {
                let Some(entry) = catalogue.get(name) else { return Err(vec![unknown(route, name, catalogue)]) };
                let http = Http::build(route, channel, settings, concurrency, Arc::clone(&entry.definition))?;
                Ok(Adapter::Http(Box::new(http)))
            }
        }
    }

    /// Hands the notice over, through the gate. Whatever a provider can say is an outcome, never an error.
    pub async fn send(&self, out: &Outgoing, gate: &Gate) -> Outcome {
        match self {
            Adapter::Http(http) => http.send(out, gate).await,
            Adapter::CallSheet(sheet) => sheet.send(out, gate).await,
            Adapter::Sandbox(sandbox) => sandbox.send(out, gate).await,
        }
    }

    pub fn abilities(&self) -> Abilities {
        match self {
            Adapter::Http(http) => http.abilities(),
            Adapter::CallSheet(sheet) => sheet.abilities(),
            Adapter::Sandbox(sandbox) => sandbox.abilities(),
        }
    }

    /// Whether the route would work, found out without sending anything: a sentence for the operator either way.
    pub async fn check(&self) -> Result<String, Problem> {
        match self {
            Adapter::Http(http) => http.check().await,
            Adapter::CallSheet(sheet) => sheet.check().await,
            Adapter::Sandbox(sandbox) => sandbox.check().await,
        }
    }

    /// Says goodbye to the provider where its protocol has a word for it. Call it once nothing is on the wire.
    pub async fn close(&self) {
        match self {
            Adapter::Http(_) | Adapter::CallSheet(_) | Adapter::Sandbox(_) => {}
        }
    }
}

fn unknown(route: &str, name: &str, catalogue: &Catalogue) -> Problem {
    let hint = did_you_mean(name, catalogue.names().chain(NATIVE));
    Problem::new("unknown-provider", "provider", format!("route `{route}`: no provider is called `{name}`{hint}"))
}

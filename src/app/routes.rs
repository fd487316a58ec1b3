//! From the configured routes to adapters and what the dispatcher must know of them.

use super::hooks::Reader;
use super::{App, AppError};
use crate::config::{Config, Route};
use crate::dispatch::RoutePlan;
use crate::dispatch::limiter::{self, Window};
use crate::model::channel::Channel;
use crate::model::incident::CampaignPlan;
use crate::model::overdue;
use crate::model::problem::Problem;
use crate::model::time::Micros;
use crate::providers::adapter::Adapter;
use crate::providers::catalogue::Catalogue;
use crate::providers::{Pace, pace};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A route with its adapter, ready to send.
#[derive(Debug)]
pub struct ReadyRoute {
    pub plan: RoutePlan,
    /// What keeps this worker's sends apart, where the route has a limit.
    pub pace: Option<Arc<Pace>>,
    pub adapter: Adapter,
}

impl App {
    /// The definitions of the binary with the configured folder laid over them.
    pub fn catalogue(&self) -> Result<Catalogue, AppError> {
        Ok(Catalogue::load(self.config.paths.providers.as_deref())?)
    }

    /// All routes, or everything that is wrong with any of them. Nothing is connected yet.
    pub fn ready_routes(&self) -> Result<Vec<ReadyRoute>, AppError> {
        let catalogue = self.catalogue()?;
        let mut ready = Vec::new();
        let mut problems = Vec::new();
        for route in &self.config.routes {
            match self.ready_route(route, &catalogue) {
                Ok(route) => ready.push(route),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(ready) } else { Err(problems.into()) }
    }

    /// What reads the reports of the routes whose providers report to us.
    pub fn readers(&self) -> Result<BTreeMap<String, Reader>, AppError> {
        if self.config.server.public_url.is_none() {
            return Ok(BTreeMap::new());
        }
        let ready = self.ready_routes()?.into_iter().filter(|route| route.adapter.has_reports());
        Ok(ready.map(|route| (route.plan.name, Arc::new(route.adapter))).collect())
    }

    /// One route, or everything that is wrong with it.
    pub fn ready_route(&self, route: &Route, catalogue: &Catalogue) -> Result<ReadyRoute, Vec<Problem>> {
        ready_route(&self.config, route, catalogue)
    }

    /// The channels of the ladder that no route serves: whoever needs them would wait for ever.
    pub fn unserved(&self, plan: &CampaignPlan) -> Vec<Problem> {
        let served = |channel: Channel| self.config.routes.iter().any(|r| r.channel == channel);
        let mut missing: Vec<Channel> = plan.ladder.steps.iter().map(|s| s.channel).filter(|c| !served(*c)).collect();
        missing.dedup();
        let problem = |channel: Channel| {
            let message = format!(
                "the ladder has a step by {channel}, but {} has no route of that channel; add a [[route]] with \
                 channel = \"{channel}\" or take the step out",
                self.config.file.display()
            );
            Problem::new("no-route", "campaign.ladder", message)
        };
        missing.into_iter().map(problem).collect()
    }
}

/// One route of a configuration, or everything that is wrong with it; no database is needed.
pub fn ready_route(config: &Config, route: &Route, catalogue: &Catalogue) -> Result<ReadyRoute, Vec<Problem>> {
    let named =
        |problems: Vec<Problem>| -> Vec<Problem> { problems.into_iter().map(|p| p.on_route(&route.name)).collect() };
    let settings = config.settings(route).map_err(named)?;
    let adapter = Adapter::build(&route.name, &route.provider, route.channel, &settings, route.concurrency, catalogue)
        .map_err(named)?;
    if adapter.listens() && config.server.public_url.is_none() {
        return Err(named(vec![no_public_url(&route.name)]));
    }
    let abilities = adapter.abilities();
    let window = |l: &crate::config::Limit| Window { rate: l.rate, per: l.per };
    // A slot in a limit is for a moment: whoever has one must not wait behind another.
    let limited = !route.limits.is_empty() || !route.domain_limits.is_empty();
    let plan = RoutePlan {
        name: route.name.clone(),
        provider: route.provider.clone(),
        channel: route.channel,
        weight: route.weight,
        concurrency: if limited { route.concurrency } else { adapter.at_hand(route.concurrency) },
        limits: route.limits.iter().map(window).collect(),
        domain_limits: route.domain_limits.iter().map(|d| (d.domain.clone(), window(&d.limit))).collect(),
        idempotent: abilities.idempotent,
        best: abilities.best(),
        within: report_within(&adapter, route.channel),
        // A mail server's queue id comes back in no report.
        named_by_id: route.provider != "smtp",
        looks_up: adapter.looks_up(),
    };
    let pace = limiter::distance(&plan.limits).and_then(|(distance, bunch)| pace(distance, bunch));
    Ok(ReadyRoute { plan, pace, adapter })
}

/// How long a report is waited for by the clock: where its provider can be asked instead, and where a call by a machine
/// would stand open for ever.
fn report_within(adapter: &Adapter, channel: Channel) -> Option<Micros> {
    let counts = adapter.listens() && (adapter.looks_up() || channel == Channel::Phone);
    counts.then(|| adapter.report_within().unwrap_or_else(|| overdue::usual(channel)))
}

/// A ladder that waits for reports which nobody can deliver would wait in vain, and then tell people twice.
fn no_public_url(route: &str) -> Problem {
    let message = format!(
        "route `{route}`: `receipts = true` needs the address at which the provider reaches this installation: add \
         public_url = \"https://…\" under [server], or take `receipts` away"
    );
    Problem::new("no-public-url", "server.public_url", message)
}

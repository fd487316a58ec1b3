//! The engine that runs definitions: one route, one HTTP client, one request a notice.
//!
//! Everything is prepared before the gate opens. Redirects are not followed, a reply is read up to 64 KiB, one timeout
//! bounds the whole exchange. Urls are never logged and never stand in an outcome: some providers want their password
//! in the query.

pub mod reply;
pub mod request;
pub mod tls;
pub mod values;

use super::definition::rule::Reply;
use super::definition::{Definition, Exchange, RECEIPTS};
use super::settings::{Declared, Settings};
use super::{Abilities, Gate, Outgoing};
use crate::model::channel::Channel;
use crate::model::outcome::{Class, Outcome};
use crate::model::problem::Problem;
use crate::model::time::parse_duration;
use reqwest::header::HeaderMap;
use reqwest::{Client, Request};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use values::Values;

/// A longer reply is cut here; what is read decides.
const LONGEST_REPLY: usize = 64 * 1024;

/// A route over a definition.
pub struct Http {
    definition: Arc<Definition>,
    settings: Declared,
    client: Client,
    timeout: Option<Duration>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("definition", &self.definition.name).field("settings", &self.settings).finish()
    }
}

impl Http {
    pub fn build(
        route: &str,
        channel: Channel,
        settings: &Settings,
        concurrency: usize,
        definition: Arc<Definition>,
    ) -> Result<Http, Vec<Problem>> {
        if !definition.channels.contains(&channel) {
            let served: Vec<&str> = definition.channels.iter().map(|c| c.as_str()).collect();
            let message = format!(
                "route `{route}`: `{}` does not serve the channel {channel}, only {}",
                definition.name,
                served.join(" and ")
            );
            return Err(vec![Problem::new("wrong-channel", "channel", message)]);
        }
        let settings = definition.declare(settings, route)?;
        plaintext_is_meant(route, &settings).map_err(|problem| vec![problem])?;
        let timeout = settings.text("timeout").and_then(parse_duration).and_then(|t| u64::try_from(t).ok());
        let timeout = timeout.map(Duration::from_micros);
        let bound = timeout.unwrap_or(definition.send.timeout);
        let client =
            tls::client(route, settings.text("ca_file"), bound, concurrency).map_err(|problem| vec![problem])?;
        Ok(Http { definition, settings, client, timeout })
    }

    pub async fn send(&self, out: &Outgoing, gate: &Gate) -> Outcome {
        self.send_traced(out, gate).await.0
    }

    /// As [`Http::send`], with the number of the rule that decided.
    pub async fn send_traced(&self, out: &Outgoing, gate: &Gate) -> (Outcome, Option<usize>) {
        let values = self.values(Some(out));
        if let Some(refusal) = self.too_long(&values, out) {
            return (refusal, None);
        }
        let request = match self.prepare(&self.definition.send, &values) {
            Ok(request) => request,
            Err(outcome) => return (outcome, None),
        };
        if let Err(shut) = gate.open().await {
            return (shut.outcome(), None);
        }
        self.exchange(&self.definition.send, request, &values).await
    }

    fn values<'a>(&'a self, out: Option<&'a Outgoing>) -> Values<'a> {
        Values { declarations: &self.definition.settings, settings: &self.settings, out }
    }

    /// Some gateways cut a long text without a word: it is refused here instead.
    fn too_long(&self, values: &Values<'_>, out: &Outgoing) -> Option<Outcome> {
        let most: u32 = values.render(self.definition.send.max_segments.as_ref()?).parse().ok()?;
        let needed = values::segments(&out.rendered);
        (needed > most).then(|| {
            let text = format!(
                "the text needs {needed} segments and this route carries {most}: shorten it, or raise the limit here \
                 and at the gateway"
            );
            Outcome::new(Class::ContentRefused, "too-many-segments", &text)
        })
    }

    fn prepare(&self, exchange: &Exchange, values: &Values<'_>) -> Result<Request, Outcome> {
        let mut request = request::build(exchange, values)
            .map_err(|error| Outcome::new(Class::RouteBroken, "request", &error.to_string()))?;
        if let Some(timeout) = self.timeout {
            *request.timeout_mut() = Some(timeout);
        }
        Ok(request)
    }

    async fn exchange(&self, exchange: &Exchange, request: Request, values: &Values<'_>) -> (Outcome, Option<usize>) {
        match self.call(request).await {
            Ok((status, headers, body)) => {
                let json = serde_json::from_str(&body).ok();
                let reply = Reply { status, headers: &headers, body: &body, json: json.as_ref() };
                reply::classify(&exchange.rules, &reply, values)
            }
            Err(error) => (reply::without_reply(&error), None),
        }
    }

    async fn call(&self, request: Request) -> Result<(u16, HeaderMap, String), reqwest::Error> {
        let mut response = self.client.execute(request).await?;
        let mut body = Vec::new();
        while body.len() < LONGEST_REPLY {
            let Some(chunk) = response.chunk().await? else { break };
            let room = LONGEST_REPLY - body.len();
            body.extend(chunk.iter().take(room));
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok((response.status().as_u16(), std::mem::take(response.headers_mut()), text))
    }

    pub fn abilities(&self) -> Abilities {
        let idempotent = self.values(None).render(&self.definition.send.idempotent);
        Abilities { idempotent: idempotent == "true", reports_delivery: self.listens(), acknowledges: false }
    }

    /// Whether the provider reports to an address of ours, so that there must be one.
    pub fn listens(&self) -> bool {
        self.settings.boolean(RECEIPTS) == Some(true)
    }

    /// Asks the provider without sending anything: the definition's probe, or whether its server answers at all.
    pub async fn check(&self) -> Result<String, Problem> {
        let outcome = self.probe_traced().await.0;
        let name = &self.definition.name;
        match (outcome.class, outcome.code.as_str()) {
            (Class::Accepted, "answers") => Ok(format!("{name}: the server answers; credentials were not tried")),
            (Class::Accepted, _) => Ok(format!("{name}: the server answers and takes the credentials")),
            (class, code) => {
                let message = format!("{name}: {} ({code}): {}", class.as_str(), outcome.text);
                Err(Problem::new("route-check", "", message))
            }
        }
    }

    /// The probe's outcome, with the number of the rule that decided.
    pub async fn probe_traced(&self) -> (Outcome, Option<usize>) {
        let values = self.values(None);
        if let Some(probe) = &self.definition.probe {
            return match self.prepare(probe, &values) {
                Ok(request) => self.exchange(probe, request, &values).await,
                Err(outcome) => (outcome, None),
            };
        }
        let base = self.settings.text("base_url").unwrap_or_default();
        match self.client.head(base).timeout(self.timeout.unwrap_or(self.definition.send.timeout)).send().await {
            Ok(_) => (Outcome::new(Class::Accepted, "answers", ""), None),
            Err(error) => (reply::without_reply(&error), None),
        }
    }
}

fn plaintext_is_meant(route: &str, settings: &Declared) -> Result<(), Problem> {
    let url = settings.text("base_url").and_then(|url| reqwest::Url::parse(url).ok());
    if settings.boolean("allow_plaintext") == Some(true) || url.as_ref().is_some_and(tls::may_be_plaintext) {
        return Ok(());
    }
    let message = format!(
        "route `{route}`: `base_url` begins with http:// and leaves the private network: names, numbers and passwords \
         would travel in clear text. Use https://, or set `allow_plaintext = true` if the way is safe"
    );
    Err(Problem::new("plaintext", "base_url", message))
}

#[cfg(test)]
mod tests;

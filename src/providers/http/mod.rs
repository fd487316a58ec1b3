//! The engine that runs definitions: one route, one HTTP client, one request a notice.
//!
//! Everything is prepared before the gate opens. Redirects are not followed, a reply is read up to 64 KiB, one timeout
//! bounds the whole exchange. Urls are never logged and never stand in an outcome: some providers want their password
//! in the query.

pub mod approved;
pub mod hook;
pub mod jwt;
pub mod lookup;
pub mod moment;
pub mod multipart;
pub mod reply;
pub mod request;
pub mod sign;
pub mod tls;
pub mod values;
pub mod vonage_sig;

use super::definition::answer::Answer;
use super::definition::event::{EventRule, Verdict};
use super::definition::leaf::{Leaf, Name};
use super::definition::rule::Reply;
use super::definition::{Auth, Definition, Exchange, PROBED, RECEIPTS};
use super::settings::{Declared, SettingKind, Settings};
use super::{Abilities, Gate, Outgoing};
use crate::model::channel::Channel;
use crate::model::outcome::{Class, Outcome};
use crate::model::problem::Problem;
use crate::model::receipt::Event;
use crate::model::rendered::Rendered;
use crate::model::time::Micros;
use crate::model::time::parse_duration;
use approved::Approved;
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
    /// Where the provider sends approved words only.
    approved: Option<Approved>,
    certificates: hook::Certificates,
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
        plaintext_is_meant(route, &definition, &settings).map_err(|problem| vec![problem])?;
        keys_are_keys(route, &definition, &settings).map_err(|problem| vec![problem])?;
        fetches_where_it_can(route, &definition, &settings).map_err(|problem| vec![problem])?;
        if settings.boolean(RECEIPTS) == Some(true)
            && let Some(reports) = &definition.receipt
        {
            hook::can_verify(route, &reports.verify, &settings).map_err(|problem| vec![problem])?;
        }
        let timeout = settings.text("timeout").and_then(parse_duration).and_then(|t| u64::try_from(t).ok());
        let timeout = timeout.map(Duration::from_micros);
        let bound = timeout.unwrap_or(definition.send.timeout);
        let client =
            tls::client(route, settings.text("ca_file"), bound, concurrency).map_err(|problem| vec![problem])?;
        let approved = definition.template.as_ref().map(|template| Approved::read(template, &settings, route));
        let approved = approved.transpose()?;
        Ok(Http { definition, settings, client, timeout, approved, certificates: hook::Certificates::default() })
    }

    pub async fn send(&self, out: &Outgoing, gate: &Gate) -> Outcome {
        self.send_traced(out, gate).await.0
    }

    /// As [`Http::send`], with the number of the rule that decided.
    pub async fn send_traced(&self, out: &Outgoing, gate: &Gate) -> (Outcome, Option<usize>) {
        let values = self.values(Some(out));
        if let Some(refusal) = self.refusal(out) {
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
        Values {
            definition: &self.definition,
            settings: &self.settings,
            out,
            approved: self.approved.as_ref(),
            asked: None,
        }
    }

    /// Why this route cannot carry the notice, whoever it is for: found out without asking the provider, so that it can
    /// be said before a campaign starts.
    pub fn refusal(&self, out: &Outgoing) -> Option<Outcome> {
        let values = self.values(Some(out));
        let bound = |leaf: &Option<Leaf>| values.render(leaf.as_ref()?).parse::<usize>().ok();
        if let Some(approved) = &self.approved {
            return approved
                .objection(&values)
                .map(|text| Outcome::new(Class::ContentRefused, "template-value", &text));
        }
        let send = &self.definition.send;
        // Some gateways cut a long text without a word: it is refused here instead.
        let needed = usize::try_from(values::segments(&out.rendered)).unwrap_or(usize::MAX);
        if let Some(most) = bound(&send.max_segments).filter(|most| needed > *most) {
            let text = format!(
                "the text needs {needed} segments and this route carries {most}: shorten it, or raise the limit here \
                 and at the gateway"
            );
            return Some(Outcome::new(Class::ContentRefused, "too-many-segments", &text));
        }
        self.unspeakable(out, bound(&send.max_spoken))
    }

    /// A call by a machine needs words, a voice for their language, and an end in sight.
    fn unspeakable(&self, out: &Outgoing, most: Option<usize>) -> Option<Outcome> {
        let refused = |code: &str, text: &str| Some(Outcome::new(Class::ContentRefused, code, text));
        let language = &out.language;
        if let Some(table) = self.definition.tables().find(|table| self.definition.word(table, language).is_none()) {
            let text = format!(
                "`{}` has no word for {language} in [by_language.{table}]: add it to a file of your own",
                self.definition.name
            );
            return refused("no-voice", &text);
        }
        if out.channel != Channel::Phone {
            return None;
        }
        let Some(spoken) = values::spoken(&out.rendered) else {
            let text = format!("the template set has no words for a machine to speak: add {language}/voice.hbs");
            return refused("no-voice-text", &text);
        };
        let needed = spoken.opening.reveal().chars().count() + spoken.message.reveal().chars().count();
        let most = most.filter(|most| needed > *most)?;
        let text = format!(
            "what is spoken has {needed} characters and this provider speaks {most}: shorten {language}/voice.hbs, or \
             the texts of the incident that it takes in"
        );
        refused("too-long-to-speak", &text)
    }

    /// The approved words, where the provider sends no others.
    pub fn approved(&self) -> Option<&Approved> {
        self.approved.as_ref()
    }

    /// What this person will really receive, where the provider sends approved words only.
    pub fn worded(&self, out: &Outgoing) -> Option<Rendered> {
        let text = self.approved.as_ref()?.words(&self.values(Some(out)));
        Some(approved::rendered(out, text))
    }

    /// A document that the provider fetches about a notice: its media type, and itself.
    pub fn answer(&self, name: &str, out: &Outgoing) -> Option<(&'static str, String)> {
        let values = self.values(Some(out));
        match self.definition.answers.get(name)? {
            Answer::Xml(field) => Some(("text/xml; charset=utf-8", values.field(field))),
            Answer::Json(node) => Some(("application/json", request::json(node, &values).to_string())),
        }
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
        match self.call(request, LONGEST_REPLY).await {
            Ok((status, headers, body)) => {
                let json = serde_json::from_str(&body).ok();
                let reply = Reply { status, headers: &headers, body: &body, json: json.as_ref() };
                let (outcome, rule) = reply::classify(&exchange.rules, &reply, values);
                let differs = self.approved.as_ref().is_some_and(|approved| approved.differs_from(&reply));
                if differs && values.out.is_none() && outcome.class == Class::Accepted {
                    let text = "the provider has other words under this template's code than the route's settings: \
                                what the list was checked against is not what people would receive";
                    return (Outcome::new(Class::RouteBroken, "template-differs", text), rule);
                }
                (outcome, rule)
            }
            Err(error) => (reply::without_reply(&error), None),
        }
    }

    async fn call(&self, request: Request, longest: usize) -> Result<(u16, HeaderMap, String), reqwest::Error> {
        let mut response = self.client.execute(request).await?;
        let mut body = Vec::new();
        while body.len() < longest {
            let Some(chunk) = response.chunk().await? else { break };
            let room = longest - body.len();
            body.extend(chunk.iter().take(room));
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok((response.status().as_u16(), std::mem::take(response.headers_mut()), text))
    }

    pub fn abilities(&self) -> Abilities {
        let idempotent = self.values(None).render(&self.definition.send.idempotent);
        Abilities {
            idempotent: idempotent == "true",
            reports_delivery: self.listens(),
            acknowledges: self.acknowledges(),
        }
    }

    /// Whether a report can say that the person acted on the notice.
    fn acknowledges(&self) -> bool {
        let acted = |rule: &EventRule| rule.verdict == Verdict::Means(Event::Acknowledged);
        self.listens() && self.definition.receipt.as_ref().is_some_and(|reports| reports.rules.iter().any(acted))
    }

    pub fn has_reports(&self) -> bool {
        self.definition.receipt.is_some()
    }

    /// How long after a notice was taken its report should be there, where the definition says so.
    pub fn report_within(&self) -> Option<Micros> {
        self.definition.receipt.as_ref()?.within
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

    /// What the check does not find out: what the definition's probe says nothing of.
    pub fn unchecked(&self) -> Vec<&'static str> {
        let known = self.definition.probe_checks.as_slice();
        let template = self.definition.template.is_some();
        let asked = PROBED.into_iter().filter(|what| template || *what != "template");
        asked.filter(|what| !known.contains(what)).collect()
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

fn plaintext_is_meant(route: &str, definition: &Definition, settings: &Declared) -> Result<(), Problem> {
    let stays_inside = |name: &str| {
        let url = settings.text(name).map(reqwest::Url::parse);
        url.is_none_or(|url| url.as_ref().is_ok_and(tls::may_be_plaintext))
    };
    let mut urls = definition.settings.iter().filter(|declared| declared.kind == SettingKind::Url);
    let Some(url) = urls.find(|declared| !stays_inside(&declared.name)) else { return Ok(()) };
    if settings.boolean("allow_plaintext") == Some(true) {
        return Ok(());
    }
    let name = &url.name;
    let message = format!(
        "route `{route}`: `{name}` begins with http:// and leaves the private network: names, numbers and passwords \
         would travel in clear text. Use https://, or set `allow_plaintext = true` if the way is safe"
    );
    Err(Problem::new("plaintext", name, message))
}

/// A provider that fetches from us what it says must be able to.
fn fetches_where_it_can(route: &str, definition: &Definition, settings: &Declared) -> Result<(), Problem> {
    if !definition.send.needs(&Name::Hook) || settings.boolean(RECEIPTS) == Some(true) {
        return Ok(());
    }
    let message = format!(
        "route `{route}`: `{}` fetches from this installation what it is to say: set `receipts = true`, and \
         public_url under [server]",
        definition.name
    );
    Err(Problem::new("missing-setting", RECEIPTS, message))
}

/// A private key is tried before the first notice needs it.
fn keys_are_keys(route: &str, definition: &Definition, settings: &Declared) -> Result<(), Problem> {
    if let Auth::Jwt { key, .. } = &definition.send.auth {
        jwt::key(settings.text(key).unwrap_or_default())
            .map_err(|why| Problem::new("bad-setting", key, format!("route `{route}`: the setting `{key}` {why}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod lookup_tests;
#[cfg(test)]
mod tests;

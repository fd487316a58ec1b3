//! `forewarn provider test ROUTE --to ADDRESS`: one message through the very adapter that a campaign would use.
//!
//! It stands in no campaign and in no delivery log, and it needs neither database nor master key. The route's limits do
//! not count it: it is one message.

use super::failure::refusal_object;
use super::provider::ProviderTestArgs;
use super::{Context, Failure};
use crate::app::routes::{ReadyRoute, ready_route};
use crate::config::{Config, Route};
use crate::content::{Envelope, Sender, TRIAL_LANGUAGE, trial, trial_facts};
use crate::model::channel::{Channel, ContactKind};
use crate::model::contact::{parse_email, parse_phone};
use crate::model::nearest::suggestion;
use crate::model::outcome::{Class, Outcome};
use crate::model::personal::Personal;
use crate::model::problem::Problem;
use crate::model::time::Micros;
use crate::providers::catalogue::Catalogue;
use crate::providers::{Gate, Outgoing};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) fn run(args: &ProviderTestArgs, context: &Context) -> Result<(), Failure> {
    let config = context.config()?;
    let route = route_of(&config, &args.route)?;
    let to = address(route.channel, &args.to)?;
    let catalogue = Catalogue::load(config.paths.providers.as_deref())?;
    let ready = ready_route(&config, route, &catalogue)?;
    let out = message(&config, route.channel, to, context.now())?;
    let outcome = context.block_on(async { Ok(send(&ready, &out).await) })?;
    tell(context, route, &outcome)
}

pub(super) fn route_of<'c>(config: &'c Config, name: &str) -> Result<&'c Route, Failure> {
    config.routes.iter().find(|r| r.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let names: Vec<&str> = config.routes.iter().map(|r| r.name.as_str()).collect();
        let hint = suggestion(name, names.iter().copied());
        let hint = if names.is_empty() { "; it has none".to_owned() } else { hint };
        Failure::Usage(format!("{} has no route `{name}`{hint}", config.file.display()))
    })
}

fn address(channel: Channel, text: &str) -> Result<Personal, Problem> {
    let parsed = match channel.contact_kind() {
        ContactKind::Email => parse_email(text),
        ContactKind::Phone => parse_phone(text, ""),
    };
    parsed.map_err(|why| Problem::new(why.code(), "--to", format!("a route of the channel {channel}: {why}")))
}

fn message(config: &Config, channel: Channel, to: Personal, now: Micros) -> Result<Outgoing, Problem> {
    let sender = Sender {
        organisation: config.sender.organisation.clone(),
        from_name: Some(config.sender.email.name.clone()).filter(|name| !name.is_empty()),
        from_address: config.sender.email.address.clone(),
    };
    let token = format!("test-{:032x}", rand::random::<u128>());
    let domain = sender.from_address.rsplit('@').next().unwrap_or("localhost");
    let envelope = Envelope {
        log_head: None,
        message_id: format!("{token}@{domain}"),
        date: now,
        notice: token.clone(),
        campaign: "test".to_owned(),
    };
    let rendered = trial(channel, &sender, &to, &envelope)?;
    Ok(Outgoing {
        channel,
        idempotency_key: token.clone(),
        notice: token,
        campaign: "test".to_owned(),
        reference: Personal::new("test"),
        name: Personal::new("This is a test"),
        attempt: 1,
        to,
        country: String::new(),
        language: TRIAL_LANGUAGE.to_owned(),
        hook: None,
        facts: Arc::new(trial_facts(&sender)),
        rendered,
    })
}

/// Ctrl-C before the first byte leaves the message unsent; after it the outcome is waited for.
async fn send(ready: &ReadyRoute, out: &Outgoing) -> Outcome {
    let halted = Arc::new(AtomicBool::new(false));
    let flag = halted.clone();
    let signals = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            flag.store(true, Ordering::Relaxed);
        }
    });
    let outcome = ready.adapter.send(out, &Gate::default().unless(halted)).await;
    ready.adapter.close().await;
    signals.abort();
    outcome
}

fn tell(context: &Context, route: &Route, outcome: &Outcome) -> Result<(), Failure> {
    let accepted = outcome.class == Class::Accepted;
    let mut answer = json!({
        "route": route.name,
        "provider": route.provider,
        "channel": route.channel.as_str(),
        "class": outcome.class.as_str(),
        "code": outcome.code,
        "text": outcome.text,
        "provider_id": outcome.provider_id,
    });
    let text = outcome.text.strip_prefix(&format!("route `{}`: ", route.name)).unwrap_or(&outcome.text);
    let said = [outcome.code.as_str(), text].iter().filter(|s| !s.is_empty()).copied().collect::<Vec<_>>().join(": ");
    if accepted {
        context.printer.object(&answer)?;
        let id = outcome.provider_id.as_deref().map(|id| format!(", as {id}")).unwrap_or_default();
        return context.printer.line(format_args!("route {}: accepted ({said}){id}", route.name));
    }
    let message = format!("{} ({said}); {}", outcome.class.as_str(), what_to_do(outcome.class));
    let problem = Problem::new("test-failed", "", message).on_route(&route.name);
    answer["refused"] = json!([refusal_object(&problem)]);
    context.printer.object(&answer)?;
    context.printer.note(format_args!("refused: {}: route {}: {}", problem.code, route.name, problem.message));
    Err(Failure::RefusedAsReported)
}

fn what_to_do(class: Class) -> &'static str {
    match class {
        Class::Accepted => "nothing to do",
        Class::BadAddress => "the provider does not know this address: try another one",
        Class::RefusedByPerson => "this address opted out or is blocked: try another one",
        Class::Temporary => "the provider does not answer or says later: look at host and port, or try again",
        Class::Throttled => "the provider says too fast: wait, and give the route `limits`",
        Class::ContentRefused => "the provider refuses the words or the sender: look at [sender] and its rules",
        Class::RouteBroken => "the account or the settings of the route are refused: correct them in the configuration",
        Class::Unknown => "nobody knows whether it was taken: look whether the message arrived",
        Class::NotSent => "it was stopped before the first byte: run the command again",
    }
}

//! Runs the examples of a definition's `[lookup]`, as [`super::examples`] does with those of its other requests.

use super::definition::Definition;
use super::definition::lookup::{Lookup, LookupExample, LookupExpect};
use super::examples::{NEVER_SEEN, Tried, answer_once, route};
use super::lookup::{LookUp, Query};
use crate::model::outcome::Class;
use crate::model::receipt::{Event, Receipt};
use crate::model::time::{DAY, Micros, parse_duration, rfc3339};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::net::TcpListener;

/// When the attempt of every example began: 2026-11-25T12:00:00Z.
const SENT: Micros = 1_795_608_000_000_000;

/// What was tried, and what does not come out as the file says.
pub async fn run(definition: &Arc<Definition>) -> Vec<Tried> {
    let mut tried = Vec::new();
    for (section, lookup) in [("lookup", &definition.lookup), ("lookup_by_id", &definition.lookup_by_id)] {
        if let Some(lookup) = lookup {
            tried.extend(section_of(definition, section, lookup).await);
        }
    }
    tried
}

async fn section_of(definition: &Arc<Definition>, section: &str, lookup: &Lookup) -> Vec<Tried> {
    let mut tried = Vec::new();
    let mut seen = BTreeSet::new();
    let mut absent = false;
    for (index, example) in lookup.examples.iter().enumerate() {
        let mut result = Tried::new(format!("{}.toml, {section}.example {}", definition.name, index + 1));
        match one(definition, example).await {
            Ok((found, rule, requests)) => {
                absent |= found == LookUp::NotFound;
                seen.extend(rule);
                result.wrong = differences(&example.expect, &found, &requests);
            }
            Err(message) => result.wrong.push(message),
        }
        tried.push(result);
    }
    for rule in (0..lookup.rules.len()).filter(|rule| !seen.contains(rule)) {
        tried.push(Tried::wrong(format!("{}.toml, {section}.rule {}", definition.name, rule + 1), NEVER_SEEN));
    }
    if lookup.absent_is_not_sent && !absent {
        let place = format!("{}.toml, {section}.absent", definition.name);
        tried.push(Tried::wrong(place, "no example shows an answer that means \"never sent\": add one"));
    }
    tried
}

async fn one(definition: &Arc<Definition>, example: &LookupExample) -> Result<(LookUp, Option<usize>, String), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| format!("no local port: {error}"))?;
    let port = listener.local_addr().map_err(|error| format!("no local port: {error}"))?.port();
    let (http, out) = route(definition, &example.settings, example.channel.as_deref(), example.text.as_deref(), port)?;
    let waited = example.waited.as_deref().map_or(Some(DAY), parse_duration).ok_or("`waited` is no duration")?;
    let query = Query { out: &out, provider_id: example.provider_id.as_deref(), sent: SENT };
    let served = async {
        let mut requests = String::new();
        for respond in &example.respond {
            requests.push_str(&answer_once(&listener, respond).await?);
        }
        Ok::<_, String>(requests)
    };
    let ((found, rule), requests) = tokio::join!(http.look_up_traced(&query, SENT + waited), served);
    Ok((found, rule, requests?))
}

fn differences(expect: &LookupExpect, found: &LookUp, requests: &str) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, wanted: Option<&String>, found: Option<String>| {
        if let Some(wanted) = wanted
            && found.as_ref() != Some(wanted)
        {
            let found = found.unwrap_or_else(|| "nothing".to_owned());
            differences.push(format!("{what}: expected {wanted}, found {found}"));
        }
    };
    let receipt = if let LookUp::Found(receipt) = found { Some(receipt) } else { None };
    compare("event", Some(&expect.event), Some(event(found).to_owned()));
    compare("class", expect.class.as_ref(), class(found).map(|class| class.as_str().to_owned()));
    compare("code", expect.code.as_ref(), code(found));
    compare(
        "message_id",
        expect.message_id.as_ref(),
        receipt.and_then(|receipt: &Receipt| receipt.provider_id.clone()),
    );
    compare("at", expect.at.as_ref(), receipt.and_then(|receipt| receipt.at).map(rfc3339));
    let missing = expect.request_has.iter().filter(|part| !requests.contains(*part));
    let present = expect.request_lacks.iter().filter(|part| requests.contains(*part));
    differences.extend(missing.map(|part| format!("the request lacks `{part}`")));
    differences.extend(present.map(|part| format!("the request holds `{part}`")));
    differences
}

fn event(found: &LookUp) -> &'static str {
    match found {
        LookUp::Found(receipt) => receipt.event.as_str(),
        LookUp::NotFound => "absent",
        LookUp::Unknown(_) => "unknown",
    }
}

fn class(found: &LookUp) -> Option<Class> {
    match found {
        LookUp::Found(receipt) => {
            if let Event::Failed(class) = receipt.event {
                Some(class)
            } else {
                None
            }
        }
        LookUp::NotFound => None,
        LookUp::Unknown(outcome) => Some(outcome.class),
    }
}

fn code(found: &LookUp) -> Option<String> {
    match found {
        LookUp::Found(receipt) => Some(receipt.code.clone()),
        LookUp::NotFound => None,
        LookUp::Unknown(outcome) => Some(outcome.code.clone()),
    }
}

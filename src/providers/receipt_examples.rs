//! Runs the examples of a definition's `[receipt]`: what each report means, and that a forged one is refused.
//!
//! A report that is `trusted` is read without looking at its signature, since a signature cannot be written by hand for
//! every rule. So one genuine report with its real signature and one forged one must stand among the others.

use super::definition::Definition;
use super::definition::receipt::{ExpectEvent, ReceiptExample, Reports, Verify};
use super::examples::{NEVER_SEEN, Tried, settings_of};
use super::http::moment::moment;
use super::receipt::{Action, Call, Certificate, Received, Refused, deciding_rules, interpret, receive};
use super::settings::Declared;
use crate::model::outcome::Class;
use crate::model::receipt::{Event, Receipt};
use crate::model::time::{Micros, rfc3339};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The address of every example's route.
const HOOK: &str = "https://notices.example.com/hooks/example/hTOKEN";
/// When an example arrives that does not say: 2026-11-25T12:00:00Z.
const NOW: Micros = 1_795_608_000_000_000;

/// What was tried, and what does not come out as the file says.
pub fn run(definition: &Arc<Definition>) -> Vec<Tried> {
    let Some(reports) = &definition.receipt else { return Vec::new() };
    let mut tried = Vec::new();
    let mut seen = BTreeSet::new();
    let (mut genuine, mut forged) = (false, false);
    for (index, example) in reports.examples.iter().enumerate() {
        let mut one = Tried::new(format!("{}.toml, receipt.example {}", definition.name, index + 1));
        match take(definition, reports, example) {
            Ok((result, rules)) => {
                one.wrong = differences(example, &result);
                one.wrong.extend(answer(definition, example, &result));
                match result {
                    Ok(_) => {
                        seen.extend(rules);
                        genuine |= !example.trusted;
                    }
                    Err(refused) => forged |= reports.verify == Verify::None || refused.reason == "signature",
                }
            }
            Err(message) => one.wrong.push(message),
        }
        tried.push(one);
    }
    for rule in 0..reports.rules.len() {
        let place = format!("{}.toml, receipt.rule {}", definition.name, rule + 1);
        tried.extend((!seen.contains(&rule)).then(|| Tried::wrong(place, NEVER_SEEN)));
    }
    for (there, what) in [
        (genuine, "no example is a genuine report with its signature: add one that is not `trusted`"),
        (forged, "no example is a forged report: add one with `refused = \"signature\"`"),
    ] {
        tried.extend((!there).then(|| Tried::wrong(format!("{}.toml, receipt.verify", definition.name), what)));
    }
    tried
}

/// What came of an example, and the rules that decided about its events.
type Taken = (Result<Received, Refused>, Vec<usize>);

fn take(definition: &Definition, reports: &Reports, example: &ReceiptExample) -> Result<Taken, String> {
    let settings = settings(definition, example)?;
    let headers = headers(example)?;
    let method = match example.method.as_deref() {
        Some(name) => Method::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is no method"))?,
        None => reports.methods.last().cloned().unwrap_or(Method::POST),
    };
    let url = if example.query.is_empty() { HOOK.to_owned() } else { format!("{HOOK}?{}", example.query) };
    let call = Call { method: &method, url: &url, headers: &headers, body: example.body.as_bytes() };
    let now = match &example.now {
        Some(text) => moment(text).ok_or_else(|| format!("now: `{text}` is no time"))?,
        None => NOW,
    };
    let certificate = match &example.certificate {
        Some(pem) => Some(Arc::new(Certificate::read(pem.as_bytes()).map_err(|why| format!("certificate: {why}"))?)),
        None => None,
    };
    let result = if example.trusted {
        interpret(reports, &call)
    } else {
        receive(reports, &settings, &call, &|_| certificate.clone(), now)
    };
    // What is no event (a question whether one may report here) is decided by no rule.
    let has_events = result.as_ref().is_ok_and(|received| received.action.is_none());
    let rules = if has_events { deciding_rules(reports, &call).unwrap_or_default() } else { Vec::new() };
    Ok((result, rules))
}

fn settings(definition: &Definition, example: &ReceiptExample) -> Result<Declared, String> {
    let settings = settings_of(definition, &example.settings).with("base_url", "https://provider.example.com");
    let words = |problems: Vec<crate::model::problem::Problem>| {
        problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>().join("; ")
    };
    definition.declare(&settings, "example").map_err(words)
}

/// What is wrong with the document that answers the report.
fn answer(definition: &Arc<Definition>, example: &ReceiptExample, result: &Result<Received, Refused>) -> Vec<String> {
    let Ok(Received { answer, .. }) = result else { return Vec::new() };
    let told = match answer {
        None => String::new(),
        Some(name) => match super::examples::route(definition, &example.settings, None, None, 9) {
            Ok((http, out)) => http.answer(name, &out).map(|(_, document)| document).unwrap_or_default(),
            Err(message) => return vec![message],
        },
    };
    if example.answer_has.is_empty() && !told.is_empty() {
        return vec![format!("it is answered with a document: say what it must have, by `answer_has`: {told}")];
    }
    let missing = example.answer_has.iter().filter(|part| !told.contains(part.as_str()));
    missing.map(|part| format!("the answer lacks `{part}`: {told}")).collect()
}

fn headers(example: &ReceiptExample) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &example.headers {
        let header = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
        let (name, value) = header.ok_or_else(|| format!("`{name}` is no header"))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn differences(example: &ReceiptExample, result: &Result<Received, Refused>) -> Vec<String> {
    match (&example.refused, result) {
        (Some(reason), Err(refused)) if reason == refused.reason => Vec::new(),
        (Some(reason), Err(refused)) => vec![format!("refused: expected {reason}, found {refused}")],
        (Some(reason), Ok(_)) => vec![format!("it must be refused ({reason}), and it was taken")],
        (None, Err(refused)) => vec![format!("it was refused: {refused}")],
        (None, Ok(received)) => {
            let action = received.action.as_ref().map(|Action::Confirm { .. }| "confirm");
            let mut found = Vec::new();
            if example.action.as_deref() != action {
                let shown = |action: Option<&str>| action.unwrap_or("nothing").to_owned();
                found.push(format!("action: expected {}, found {}", shown(example.action.as_deref()), shown(action)));
            }
            let (wanted, came) = (example.expect.len(), received.receipts.len());
            if wanted == came {
                found.extend(example.expect.iter().zip(&received.receipts).flat_map(|(want, came)| event(want, came)));
            } else {
                found.push(format!("expected {wanted} events, found {came}"));
            }
            found
        }
    }
}

fn event(expect: &ExpectEvent, receipt: &Receipt) -> Vec<String> {
    let class = if let Event::Failed(class) = receipt.event { Some(class) } else { None };
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let pairs = [
        ("event", Some(&expect.event), Some(receipt.event.as_str().to_owned())),
        ("class", expect.class.as_ref(), class.map(|class: Class| class.as_str().to_owned())),
        ("token", expect.token.as_ref(), receipt.token.clone()),
        ("message_id", expect.message_id.as_ref(), receipt.provider_id.clone()),
        ("address", expect.address.as_ref(), receipt.address.as_ref().map(|address| address.reveal().to_owned())),
        ("code", expect.code.as_ref(), text(&receipt.code)),
        ("said", expect.said.as_ref(), text(&receipt.text)),
        ("at", expect.at.as_ref(), receipt.at.map(rfc3339)),
        ("event_id", expect.event_id.as_ref(), receipt.event_id.clone()),
    ];
    let wrong =
        pairs.into_iter().filter(|(_, wanted, found)| wanted.is_some_and(|wanted| found.as_ref() != Some(wanted)));
    wrong
        .map(|(what, wanted, found)| {
            let (wanted, found) = (wanted.map_or("", String::as_str), found.unwrap_or_else(|| "nothing".to_owned()));
            format!("{what}: expected {wanted}, found {found}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::catalogue::Catalogue;

    #[test]
    fn every_report_of_every_built_in_definition_comes_out_as_written() {
        let catalogue = Catalogue::load(None).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let tried: Vec<Tried> = catalogue.entries().flat_map(|entry| run(&entry.definition)).collect();
        let wrong: Vec<String> = tried.iter().flat_map(Tried::problems).map(|problem| problem.message).collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(tried.len() > 150, "{}", tried.len());
    }
}

//! From the fields of a report to receipts.

use super::body::{Opened, parse};
use super::{Call, Refused};
use crate::model::personal::Personal;
use crate::model::receipt::Receipt;
use crate::model::redact::redact;
use crate::providers::definition::event::{EventRule, Item, Verdict, Where, first};
use crate::providers::definition::receipt::Reports;
use crate::providers::http::moment::moment_in;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// Events in one report; the largest batch that a provider documents has a few thousand.
const MOST_EVENTS: usize = 10_000;
/// Longest id and code kept, in characters.
const LONGEST_WORD: usize = 128;

pub(super) fn receipts(reports: &Reports, call: &Call<'_>, opened: &Opened) -> Result<Vec<Receipt>, Refused> {
    each(reports, call, opened, |item| receipt(reports, item))
}

/// The numbers of the rules that decide about its events.
pub(super) fn deciding_rules(reports: &Reports, call: &Call<'_>, opened: &Opened) -> Result<Vec<usize>, Refused> {
    each(reports, call, opened, |item| deciding(&reports.rules, item))
}

/// The document that the provider wants to hear: that of the first event which has one.
pub(super) fn answer(reports: &Reports, call: &Call<'_>, opened: &Opened) -> Result<Option<String>, Refused> {
    if reports.rules.iter().all(|rule| rule.answer.is_none()) {
        return Ok(None);
    }
    let answers =
        each(reports, call, opened, |item| reports.rules.get(deciding(&reports.rules, item)?)?.answer.clone())?;
    Ok(answers.into_iter().next())
}

/// What `make` makes of each event of a report.
fn each<T>(
    reports: &Reports,
    call: &Call<'_>,
    opened: &Opened,
    make: impl Fn(&Item<'_>) -> Option<T>,
) -> Result<Vec<T>, Refused> {
    let body = opened.json(call)?;
    let inner = match &reports.inner {
        Some(pointer) => {
            let text = body.pointer(pointer).and_then(Value::as_str);
            let text = text.ok_or_else(|| Refused::body(format!("no text stands at {pointer}")))?;
            // Amazon says hello in plain words: they are an event that no rule knows.
            Cow::Owned(parse(text).unwrap_or_else(|_| Value::from(text)))
        }
        None => Cow::Borrowed(body),
    };
    let events = match &reports.events {
        Some(pointer) => inner.pointer(pointer).ok_or_else(|| Refused::body(format!("nothing stands at {pointer}")))?,
        None => &*inner,
    };
    let items = events.as_array().map_or_else(|| std::slice::from_ref(events), Vec::as_slice);
    if items.len() > MOST_EVENTS {
        return Err(Refused::new("too-large", 413, format!("a report has at most {MOST_EVENTS} events")));
    }
    let item = |value| Item { value, query: &opened.query, headers: call.headers };
    Ok(items.iter().filter_map(|value| make(&item(value))).collect())
}

fn deciding(rules: &[EventRule], item: &Item<'_>) -> Option<usize> {
    rules.iter().position(|rule| rule.matches(item))
}

fn receipt(reports: &Reports, item: &Item<'_>) -> Option<Receipt> {
    let rule = reports.rules.get(deciding(&reports.rules, item)?)?;
    let Verdict::Means(event) = rule.verdict else { return None };
    let read = &reports.read;
    let word = |places: &[Where]| first(places, item).map(|word| short(&word)).filter(|word| !word.is_empty());
    let address = first(&read.address, item);
    let hide = |text: &str| match &address {
        Some(address) if address.len() >= 3 => text.replace(address.trim_start_matches('+'), "‹hidden›"),
        Some(_) | None => text.to_owned(),
    };
    let code = first(&rule.code, item).map(|code| hide(&code)).unwrap_or_default();
    let code = if code.contains('@') { redact(&code) } else { code };
    Some(Receipt {
        token: word(&read.token),
        provider_id: first(&read.message_id, item).map(|id| message_id(&id, read.message_id_until.as_deref())),
        event,
        code: short(&code),
        text: first(&rule.said, item).map(|said| redact(&hide(&said))).unwrap_or_default(),
        at: first(&read.at, item).and_then(|text| moment_in(&text, read.zone)),
        event_id: event_id(&read.event_id, item),
        address: address.as_deref().map(Personal::new),
    })
}

fn short(word: &str) -> String {
    word.chars().filter(|c| !c.is_control()).take(LONGEST_WORD).collect()
}

/// The brackets of a Message-ID are not part of it.
fn message_id(text: &str, until: Option<&str>) -> String {
    let bare = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
    let bare = until.and_then(|until| bare.split_once(until)).map_or(bare, |(before, _)| before);
    short(bare)
}

/// One id as it is; several, which may be anything, as the digest of all of them.
fn event_id(places: &[Where], item: &Item<'_>) -> Option<String> {
    let words: Vec<_> = places.iter().map(|place| place.read(item)).collect();
    match words.as_slice() {
        [] => None,
        [only] => only.as_ref().map(|id| short(id)).filter(|id| !id.is_empty()),
        all if all.iter().all(Option::is_none) => None,
        all => {
            let digest = all.iter().fold(Sha256::new(), |digest, word| {
                let word = word.as_deref().unwrap_or_default();
                digest.chain_update(word.len().to_be_bytes()).chain_update(word)
            });
            Some(const_hex::encode(digest.finalize().get(..16).unwrap_or_default()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_the_provider_is_kept_without_what_surrounds_it() {
        assert_eq!(message_id("<1.2@mg.example.com>", None), "1.2@mg.example.com");
        assert_eq!(message_id("abc.filter-7", Some(".")), "abc");
        assert_eq!(message_id("abc", Some(".")), "abc");
        assert_eq!(message_id("a\0b\r\nc", None), "abc");
        assert_eq!(message_id(&"x".repeat(1000), None).len(), LONGEST_WORD);
    }
}

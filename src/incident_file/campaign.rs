//! The `[campaign]` table: whom to reach by what, in which order, how long, and who must approve.

use super::is_language;
use crate::model::channel::Channel;
use crate::model::incident::{CampaignKind, CampaignPlan, OnUnknown};
use crate::model::ladder::{Ladder, Step, When};
use crate::model::time::{self, DAY, HOUR, MINUTE, Micros, SECOND};
use crate::toml_file::{Table, Value};
use std::collections::BTreeMap;

const GIVE_UP_AFTER: Micros = 72 * HOUR;
const RETRY_FIRST: Micros = MINUTE;
const RETRY_MAX: Micros = HOUR;

pub(super) fn plan(mut table: Table<'_>) -> Option<CampaignPlan> {
    let kind = match table.value("kind") {
        None => Some(CampaignKind::Initial),
        Some(value) => value.text().and_then(|t| t.choose(&CampaignKind::ALL.map(|k| (k.as_str(), k)))),
    };
    let templates = templates(&mut table);
    let default_locale = default_locale(&mut table);
    let ladder = ladder(&mut table);
    let on_unknown = on_unknown(table.table("on_unknown"));
    let give_up_after = duration(&mut table, "give_up_after", MINUTE, 366 * DAY).unwrap_or(GIVE_UP_AFTER);
    let approvals = table.value("approvals").and_then(|v| v.number(0, 10));
    let approvals = approvals.and_then(|n| u32::try_from(n.value).ok());
    let (retry_first, retry_max) = retry(table.table("retry"));
    let kind = kind?;
    Some(CampaignPlan {
        kind,
        templates: templates?,
        default_locale: default_locale?,
        ladder,
        on_unknown,
        give_up_after,
        approvals: approvals.unwrap_or(u32::from(kind != CampaignKind::Drill)),
        retry_first,
        retry_max,
    })
}

fn templates(table: &mut Table<'_>) -> Option<String> {
    let Some(value) = table.value("templates") else { return Some("breach-notice".to_owned()) };
    value.text()?.parse("bad-name", |name| {
        // It names a folder; nothing in it may lead out of the folder of template sets.
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) || name.starts_with('.') {
            return Err("must be the name of a template set, as breach-notice".to_owned());
        }
        Ok(name.to_owned())
    })
}

fn default_locale(table: &mut Table<'_>) -> Option<String> {
    let Some(value) = table.value("default_locale") else { return Some("en".to_owned()) };
    value.text()?.parse("bad-language", |tag| match is_language(tag) {
        true => Ok(tag.to_owned()),
        false => Err("must be a language tag, as en or zh-CN".to_owned()),
    })
}

fn ladder(table: &mut Table<'_>) -> Ladder {
    const HOW: &str = "write at least one step, as ladder = [{ channel = \"email\" }]";
    let Some(value) = table.required("ladder", HOW) else { return Ladder { steps: Vec::new() } };
    let place = value.place.clone();
    let list = value.list().unwrap_or_default();
    if list.is_empty() {
        place.problem("empty-ladder", format!("has no step, so nobody would be told; {HOW}"));
    }
    let mut steps: Vec<Step> = Vec::new();
    for (index, value) in list.into_iter().enumerate() {
        let place = value.place.clone();
        let Some(step) = value.table().and_then(|table| step(table, index == 0)) else { continue };
        if steps.iter().any(|s| s.channel == step.channel) {
            place.problem("channel-twice", "has the channel of a step above; a contact is told once on a channel");
        }
        steps.push(step);
    }
    Ladder { steps }
}

fn step(mut table: Table<'_>, first: bool) -> Option<Step> {
    let channel = table.required("channel", "write email, sms or phone").and_then(Value::text);
    let channel = channel.and_then(|t| t.choose(&Channel::ALL.map(|c| (c.as_str(), c))));
    let (when, after) = if first {
        for key in ["when", "after"] {
            if let Some(value) = table.value(key) {
                value.place.problem("first-step", "has no meaning on the first step, which is taken at the start");
            }
        }
        (Some(When::Always), Some(0))
    } else {
        let choices = [When::NotDelivered, When::NotReached, When::Always].map(|w| (w.as_str(), w));
        let how = "write not-delivered, not-reached or always";
        let when = table.required("when", how).and_then(Value::text).and_then(|t| t.choose(&choices));
        if table.value("after").is_none() {
            table.missing("after", "say how long after the step before, as after = \"4h\"");
        }
        (when, duration(&mut table, "after", 0, 366 * DAY))
    };
    Some(Step { channel: channel?, when: when?, after: after? })
}

fn on_unknown(mut table: Table<'_>) -> BTreeMap<&'static str, OnUnknown> {
    let mut policies = BTreeMap::new();
    for channel in Channel::ALL {
        let policy = table.value(channel.as_str()).and_then(Value::text);
        let policy = policy.and_then(|t| t.choose(&[("resend", OnUnknown::Resend), ("hold", OnUnknown::Hold)]));
        policies.extend(policy.map(|p| (channel.as_str(), p)));
    }
    policies
}

fn retry(mut table: Table<'_>) -> (Micros, Micros) {
    let place = table.place().clone();
    let first = duration(&mut table, "first", SECOND, DAY);
    let max = duration(&mut table, "max", SECOND, 7 * DAY);
    let (first, max) = match (first, max) {
        (None, max) => (RETRY_FIRST.min(max.unwrap_or(RETRY_MAX)), max.unwrap_or(RETRY_MAX)),
        (Some(first), None) => (first, RETRY_MAX.max(first)),
        (Some(first), Some(max)) => (first, max),
    };
    if first > max {
        place.problem("bad-order", "has a `first` that is longer than its `max`");
    }
    (first, max)
}

fn duration(table: &mut Table<'_>, key: &'static str, least: Micros, most: Micros) -> Option<Micros> {
    table.value(key)?.text()?.parse("bad-duration", |text| match time::parse_duration(text) {
        Some(span) if (least..=most).contains(&span) => Ok(span),
        Some(_) => Err(format!("must be from {} to {}", time::print_duration(least), time::print_duration(most))),
        None => Err("must be a duration as 90s, 5m, 4h or 3d".to_owned()),
    })
}

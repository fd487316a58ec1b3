//! Notices that a mail service writes as JSON and a notification service mails on as text.

use super::{Finding, Kind, judge};
use crate::model::personal::Personal;
use crate::model::receipt::Event;
use crate::model::redact::redact;
use judge::{Evidence, Said};
use serde_json::Value;

const LONGEST: usize = 512 << 10;

/// The findings, if the text is such a notice.
pub(super) fn findings(text: &str) -> Option<Vec<Finding>> {
    let text = text.trim_start();
    if !text.starts_with('{')
        || text.len() > LONGEST
        || !text.contains("notificationType") && !text.contains("eventType")
    {
        return None;
    }
    // Lines are folded on the way, also inside of strings.
    let whole = text.replace("\r\n", "\n").replace("\n ", "").replace('\n', "");
    let mut stream = serde_json::Deserializer::from_str(&whole).into_iter::<Value>();
    let outer = stream.next()?.ok()?;
    let inner = match outer.get("Message").and_then(Value::as_str) {
        Some(message) => serde_json::from_str::<Value>(message).ok()?,
        None => outer,
    };
    let kind = inner.get("notificationType").or_else(|| inner.get("eventType"))?.as_str()?;
    let found = match kind {
        "Bounce" => bounces(inner.get("bounce")?)?,
        "Complaint" => named(inner.get("complaint")?, "complainedRecipients", "feedback", Event::Complained)?,
        "Delivery" => delivered(inner.get("delivery")?)?,
        _ => return None,
    };
    (!found.is_empty()).then_some(found)
}

fn bounces(bounce: &Value) -> Option<Vec<Finding>> {
    let permanent = bounce.get("bounceType").and_then(Value::as_str) == Some("Permanent");
    let text = |one: &Value, name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let evidence = Evidence::default();
    let list = bounce.get("bouncedRecipients")?.as_array()?;
    let found = list.iter().map(|one| {
        let (status, action, diagnostic) = (text(one, "status"), text(one, "action"), text(one, "diagnosticCode"));
        let said = Said {
            address: Some(text(one, "emailAddress")).filter(|address| !address.is_empty()),
            action: &action,
            status: &status,
            diagnostic: &diagnostic,
            ..Said::default()
        };
        let mut finding = judge::verdict(said, &evidence);
        if !permanent && finding.kind == Kind::Hard {
            finding.kind = Kind::Soft;
        }
        finding
    });
    Some(found.collect())
}

fn named(value: &Value, list: &str, reason: &str, event: Event) -> Option<Vec<Finding>> {
    let list = value.get(list)?.as_array()?;
    let found = list.iter().map(|one| {
        let mut finding = judge::of_reason(reason, Some(event));
        finding.address = one.get("emailAddress").and_then(Value::as_str).map(Personal::new);
        finding.text = redact(value.get("complaintFeedbackType").and_then(Value::as_str).unwrap_or(reason));
        finding
    });
    Some(found.collect())
}

fn delivered(value: &Value) -> Option<Vec<Finding>> {
    let list = value.get("recipients")?.as_array()?;
    let found = list.iter().map(|one| {
        let mut finding = judge::of_reason("delivered", Some(Event::Delivered));
        finding.address = one.as_str().map(Personal::new);
        finding.text = redact(value.get("smtpResponse").and_then(Value::as_str).unwrap_or_default());
        finding
    });
    Some(found.collect())
}

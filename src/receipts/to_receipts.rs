//! A report as receipts: what the rest of the house understands.

use super::{Finding, Kind, Report};
use crate::model::receipt::{Event, Receipt};

/// The receipts of a report. `ours` says whether a token was made with our key. With a token of ours the report is
/// about that notice, whatever addresses it names: a notice has one recipient, the others are where a list or an alias
/// carried it. Without one, each address speaks for itself.
pub fn receipts(report: &Report, ours: impl Fn(&str) -> bool) -> Vec<Receipt> {
    let token = report.tokens.iter().find(|token| ours(token));
    match token {
        Some(token) => best(&report.recipients).map(|one| receipt(report, one, Some(token))).into_iter().collect(),
        None => report
            .recipients
            .iter()
            .filter(|one| one.address.is_some() && one.kind != Kind::NotAReport)
            .map(|one| receipt(report, one, None))
            .collect(),
    }
}

/// Of several recipients behind one address of ours the luckiest counts: it is enough that one of them was reached, and
/// an address is dead only when all behind it are. A complaint counts before all others.
fn best(recipients: &[Finding]) -> Option<&Finding> {
    let rank = |one: &&Finding| match one.event {
        Event::Complained => 0,
        Event::Acknowledged => 1,
        Event::Delivered => 2,
        Event::Progress => 3,
        Event::Failed(_) if one.kind != Kind::Hard => 4,
        Event::Failed(_) => 5,
    };
    recipients.iter().min_by_key(rank)
}

fn receipt(report: &Report, one: &Finding, token: Option<&String>) -> Receipt {
    let code = [one.code.as_str(), one.status.as_str()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
    let code = if code.is_empty() { one.reason.clone() } else { code.join(" ") };
    Receipt {
        token: token.cloned(),
        provider_id: None,
        address: one.original.clone().or_else(|| one.address.clone()),
        event: one.event,
        code,
        text: one.text.clone(),
        at: report.at,
        event_id: report.message_id.clone(),
    }
}

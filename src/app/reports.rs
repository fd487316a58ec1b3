//! The reports of each route, as `doctor` and `status` show them: how many came, how many wait for their notice, and how
//! many are nobody's.

use super::doctor::{Finding, chain};
use crate::model::problem::Problem;
use crate::store::report::{Handled, ReportSums};
use crate::store::{Store, StoreError};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Below so many reports a share of them says nothing.
const FEW: i64 = 20;

/// The sums of each route held against the reports themselves. `sending`: a worker may change them meanwhile.
pub(super) async fn findings(store: &Store, sending: bool) -> Vec<Finding> {
    match read(store).await {
        Ok((kept, counted)) => {
            let routes: Vec<&String> = kept.keys().chain(counted.keys().filter(|r| !kept.contains_key(*r))).collect();
            let none = ReportSums::default();
            let of =
                |sums: &'_ BTreeMap<String, ReportSums>, route: &str| sums.get(route).cloned().unwrap_or(none.clone());
            routes.into_iter().map(|route| finding(route, &of(&kept, route), &of(&counted, route), sending)).collect()
        }
        Err(error) => vec![Finding::bad("reports", Problem::new("database", "", chain(&error)), "")],
    }
}

async fn read(store: &Store) -> Result<(BTreeMap<String, ReportSums>, BTreeMap<String, ReportSums>), StoreError> {
    Ok((store.report_sums().await?, store.counted_reports().await?))
}

fn finding(route: &str, kept: &ReportSums, counted: &ReportSums, sending: bool) -> Finding {
    let about = format!("reports {route}");
    let line = line(kept);
    if kept != counted {
        if sending {
            let message = format!("{line}; counted while a worker handles them, so they could not be compared");
            return Finding::warn(about, message, "stop the worker and run this again");
        }
        let message = format!("{line}, but {} were counted, of which {} wait", counted.came, counted.waiting());
        let next = "keep a copy of the database, and report this: it is a fault of the program";
        return Finding::bad(about, Problem::new("sum", "", message).on_route(route), next);
    }
    if kept.of(Handled::Unreadable) > 0 {
        let next = "look into the log of `serve` for what could not be read; the reports are kept";
        return Finding::warn(about, line, next);
    }
    let nobodys = kept.of(Handled::NoSuchNotice);
    if nobodys >= FEW && nobodys * 2 > kept.came {
        let next = "most are about no notice of this installation: does another one share the account and its address?";
        return Finding::warn(about, line, next);
    }
    Finding::ok(about, line)
}

/// The sums in words.
pub(super) fn line(sums: &ReportSums) -> String {
    let parts = Handled::ALL.into_iter().filter(|h| sums.of(*h) > 0 || *h == Handled::NoSuchNotice);
    let word = |handled: Handled| match handled {
        Handled::NoSuchNotice => "about no notice of ours",
        Handled::Applied | Handled::Late | Handled::Duplicate | Handled::Empty | Handled::Unreadable => {
            handled.as_str()
        }
    };
    let parts: Vec<String> = parts.map(|h| format!("{} {}", sums.of(h), word(h))).collect();
    format!("{} reports came, {} wait, {}", sums.came, sums.waiting(), parts.join(", "))
}

/// The same for scripts.
pub(super) fn as_json(sums: &ReportSums) -> Value {
    json!({ "came": sums.came, "waiting": sums.waiting(), "no_such_notice": sums.of(Handled::NoSuchNotice) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::doctor::Level;

    #[test]
    fn sums_that_differ_are_bad_unless_a_worker_changes_them() {
        let sums =
            |came, handled: &[(&'static str, i64)]| ReportSums { came, handled: handled.iter().copied().collect() };
        let fine = sums(30, &[("applied", 20), ("no-such-notice", 8)]);
        let other = sums(30, &[("applied", 21), ("no-such-notice", 8)]);
        let strangers = sums(30, &[("applied", 5), ("no-such-notice", 25)]);
        let broken = sums(3, &[("unreadable", 1)]);
        for (kept, counted, sending, level, part) in [
            (&fine, &fine, false, Level::Ok, "30 reports came, 2 wait, 20 applied, 8 about no notice of ours"),
            (&fine, &other, false, Level::Bad, "30 were counted, of which 1 wait"),
            (&fine, &other, true, Level::Warn, "could not be compared"),
            (&strangers, &strangers, false, Level::Warn, "25 about no notice"),
            (&broken, &broken, false, Level::Warn, "1 unreadable"),
        ] {
            let finding = finding("bridge", kept, counted, sending);
            assert!(finding.level == level && finding.message.contains(part), "{part}: {finding:?}");
        }
    }
}

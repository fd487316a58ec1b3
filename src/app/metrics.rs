//! The numbers of a process and of its installation in the text form that Prometheus reads.
//!
//! Labels are ids of campaigns and names of routes, never a person. Written by hand, without a crate for metrics: the
//! sums are kept in the database and read at each scrape, so there is nothing that a registry would count.

use super::hooks::Came;
use super::status::{route_status, state_shown};
use super::workers::SILENCE;
use super::{App, AppError};
use crate::model::campaign::CampaignState;
use crate::model::time::{Micros, SECOND};
use crate::store::mailbox::{Mail, MailSums};
use crate::store::report::ReportSums;
use crate::store::status::Sums;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

/// What a route may be; see `dispatch::breaker`.
const ROUTE_STATES: [&str; 4] = ["ok", "waiting", "probing", "broken"];

/// What all workers of an installation share.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    campaigns: BTreeMap<String, (CampaignState, Sums)>,
    /// (name, state, accepted a second).
    routes: Vec<(String, String, f64)>,
    workers: usize,
    reports: BTreeMap<String, ReportSums>,
    mail: BTreeMap<String, MailSums>,
    /// Where an authority stamps the evidence log.
    stamps: Option<Stamps>,
}

/// How the evidence log is stamped.
#[derive(Clone, Copy, Debug, Default)]
struct Stamps {
    /// The time of the newest stamp.
    last: Micros,
    failing: bool,
}

impl Stamps {
    async fn read(app: &App) -> Result<Option<Stamps>, AppError> {
        if app.config.proof.timestamp.is_none() {
            return Ok(None);
        }
        let last = app.store.newest_stamp().await?.map(|stamp| stamp.at).unwrap_or_default();
        let failing = app.store.stamp_turn().await?.failing_since.is_some();
        Ok(Some(Stamps { last, failing }))
    }

    fn write(self, text: &mut Text) {
        text.gauge("forewarn_time_stamp_seconds", "The time of the newest time stamp of the evidence log; 0: none.");
        text.value(&[], self.last.div_euclid(SECOND));
        text.gauge("forewarn_time_stamp_failing", "Whether no answer that can be believed comes from the authority.");
        text.value(&[], u8::from(self.failing));
    }
}

impl Shared {
    pub(super) async fn read(app: &App, now: Micros) -> Result<Shared, AppError> {
        let campaigns = app.store.sums_of_all().await?;
        let health = app.store.route_health().await?;
        let route = |name: &str| {
            let status = route_status(name, &health, 0, now);
            (status.name, status.state, status.per_second)
        };
        let routes = app.config.routes.iter().map(|r| route(&r.name)).collect();
        let workers = app.store.workers(0).await?.iter().filter(|w| w.silent <= SILENCE).count();
        let reports = app.store.report_sums().await?;
        let (mail, stamps) = (app.mail_sums().await?, Stamps::read(app).await?);
        Ok(Shared { campaigns, routes, workers, reports, mail, stamps })
    }
}

/// All that is shown.
#[derive(Debug)]
pub(super) struct Metrics<'h> {
    /// Of this process: `None` before it is registered; `Some(None)` for ever.
    pub lease_left: Option<Option<Duration>>,
    pub in_flight: usize,
    pub draining: bool,
    /// Calls at hooks of this process: (route, what became of them, how many).
    pub hooks: Vec<(&'h str, Came, u64)>,
    /// Questions of this process to providers: (route, what came of them, how many).
    pub asked: Vec<(String, &'static str, u64)>,
    /// `None` where the database did not answer.
    pub shared: Option<Shared>,
}

impl Metrics<'_> {
    pub(super) fn text(&self) -> String {
        let mut text = Text::default();
        text.gauge("forewarn_database_up", "Whether the database answered just now.");
        text.value(&[], u8::from(self.shared.is_some()));
        text.gauge("forewarn_worker_draining", "Whether this worker takes nothing new any more.");
        text.value(&[], u8::from(self.draining));
        text.gauge("forewarn_worker_in_flight", "Notices claimed by this worker whose outcome is not recorded yet.");
        text.value(&[], self.in_flight);
        text.gauge("forewarn_worker_lease_seconds", "How long this worker may still send without the database.");
        match self.lease_left {
            None => text.value(&[], 0),
            Some(Some(left)) => text.value(&[], left.as_secs_f64()),
            Some(None) => text.value(&[], "+Inf"),
        }
        text.counter("forewarn_hook_calls_total", "Calls at the addresses that providers report to, in this process.");
        for (route, came, n) in &self.hooks {
            text.value(&[("route", route), ("result", came.as_str())], n);
        }
        text.counter("forewarn_look_ups_total", "Questions to providers about notices, in this process, by result.");
        for (route, result, n) in &self.asked {
            text.value(&[("route", route), ("result", result)], n);
        }
        if let Some(shared) = &self.shared {
            shared.write(&mut text);
            if let Some(stamps) = shared.stamps {
                stamps.write(&mut text);
            }
        }
        text.text
    }
}

impl Shared {
    fn write(&self, text: &mut Text) {
        text.gauge("forewarn_workers", "Workers of the installation with a sign of life within their lease.");
        text.value(&[], self.workers);
        text.gauge("forewarn_campaign_state", "1 for the state that the campaign is in.");
        for (id, (state, sums)) in &self.campaigns {
            text.value(&[("campaign", id), ("state", state_shown(*state, sums).as_str())], 1);
        }
        text.gauge("forewarn_persons", "Persons by standing.");
        for (id, (_, sums)) in &self.campaigns {
            for (standing, n) in &sums.persons {
                text.value(&[("campaign", id), ("standing", standing)], n);
            }
        }
        text.gauge("forewarn_notices", "Notices by state.");
        for (id, (_, sums)) in &self.campaigns {
            for (state, n) in &sums.notices {
                text.value(&[("campaign", id), ("state", state)], n);
            }
        }
        text.counter("forewarn_attempts_total", "Attempts to hand a notice over.");
        for (id, (_, sums)) in &self.campaigns {
            text.value(&[("campaign", id)], sums.attempts);
        }
        text.counter("forewarn_sent_total", "Notices that a route took.");
        for (id, (_, sums)) in &self.campaigns {
            for (route, n) in &sums.sent {
                text.value(&[("campaign", id), ("route", route)], n);
            }
        }
        text.counter("forewarn_receipts_total", "What providers reported about notices, by event.");
        for (id, (_, sums)) in &self.campaigns {
            for (event, n) in &sums.receipts {
                text.value(&[("campaign", id), ("event", event)], n);
            }
        }
        text.gauge("forewarn_reports", "Reports that were taken in, by what became of them.");
        for (route, sums) in &self.reports {
            for (outcome, n) in &sums.handled {
                text.value(&[("route", route), ("outcome", outcome)], n);
            }
            text.value(&[("route", route), ("outcome", "waiting")], sums.waiting());
        }
        text.counter("forewarn_mail_read_total", "Messages read in mailboxes and taken over LMTP, by what they were.");
        for (mailbox, sums) in &self.mail {
            for mail in Mail::ALL {
                text.value(&[("mailbox", mailbox), ("kind", mail.as_str())], sums.of(mail));
            }
        }
        text.gauge("forewarn_route_per_second", "Notices that the route took a second, over all workers.");
        for (route, _, per_second) in &self.routes {
            text.value(&[("route", route)], per_second);
        }
        text.gauge("forewarn_route_state", "1 for the worst state in which a worker sees the route.");
        for (route, is, _) in &self.routes {
            for state in ROUTE_STATES {
                text.value(&[("route", route), ("state", state)], u8::from(is == state));
            }
        }
    }
}

/// The text as it grows; a value belongs to the metric that was named last.
#[derive(Default)]
struct Text {
    text: String,
    name: &'static str,
}

impl Text {
    fn gauge(&mut self, name: &'static str, help: &str) {
        self.metric(name, "gauge", help);
    }

    fn counter(&mut self, name: &'static str, help: &str) {
        self.metric(name, "counter", help);
    }

    fn metric(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        self.text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn value(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> = labels.iter().map(|(name, label)| format!("{name}=\"{}\"", escaped(label))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.text.push_str(&format!("{}{labels} {value}\n", self.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_stands_below_its_metric_and_labels_are_escaped() {
        let sums = Sums {
            persons: [("in_flight", 3)].into(),
            notices: [("queued", 2), ("accepted", 1)].into(),
            attempts: 4,
            sent: [("relay".to_owned(), 1)].into(),
            receipts: [("delivered".to_owned(), 2)].into(),
            ..Sums::default()
        };
        let shared = Shared {
            campaigns: [("a\"b\\c".to_owned(), (CampaignState::Running, sums))].into(),
            routes: vec![("relay".to_owned(), "broken".to_owned(), 1.5)],
            workers: 2,
            reports: [("relay".to_owned(), ReportSums { came: 4, handled: [("applied", 3)].into() })].into(),
            mail: [("bounces".to_owned(), MailSums([("nobodys", 6)].into()))].into(),
            stamps: Some(Stamps { last: 1_795_627_800_500_000, failing: true }),
        };
        let metrics = Metrics {
            lease_left: Some(None),
            in_flight: 7,
            draining: true,
            hooks: vec![("relay", Came::Kept, 5)],
            asked: vec![("relay".to_owned(), "found", 2)],
            shared: Some(shared),
        };
        let text = metrics.text();
        for line in [
            "forewarn_database_up 1",
            "forewarn_worker_draining 1",
            "forewarn_worker_in_flight 7",
            "forewarn_worker_lease_seconds +Inf",
            r#"forewarn_hook_calls_total{route="relay",result="kept"} 5"#,
            r#"forewarn_look_ups_total{route="relay",result="found"} 2"#,
            r#"forewarn_reports{route="relay",outcome="applied"} 3"#,
            r#"forewarn_reports{route="relay",outcome="waiting"} 1"#,
            r#"forewarn_mail_read_total{mailbox="bounces",kind="matched"} 0"#,
            r#"forewarn_mail_read_total{mailbox="bounces",kind="nobodys"} 6"#,
            r#"forewarn_receipts_total{campaign="a\"b\\c",event="delivered"} 2"#,
            "forewarn_workers 2",
            "forewarn_time_stamp_seconds 1795627800",
            "forewarn_time_stamp_failing 1",
            r#"forewarn_campaign_state{campaign="a\"b\\c",state="running"} 1"#,
            r#"forewarn_persons{campaign="a\"b\\c",standing="in_flight"} 3"#,
            r#"forewarn_notices{campaign="a\"b\\c",state="queued"} 2"#,
            r#"forewarn_attempts_total{campaign="a\"b\\c"} 4"#,
            r#"forewarn_sent_total{campaign="a\"b\\c",route="relay"} 1"#,
            r#"forewarn_route_per_second{route="relay"} 1.5"#,
            r#"forewarn_route_state{route="relay",state="ok"} 0"#,
            r#"forewarn_route_state{route="relay",state="broken"} 1"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line}:\n{text}");
        }
        let mut metric = "";
        for line in text.lines() {
            match line.strip_prefix("# TYPE ") {
                Some(rest) => metric = rest.split(' ').next().unwrap_or_default(),
                None if line.starts_with('#') => {}
                None => assert_eq!(line.split(['{', ' ']).next(), Some(metric)),
            }
        }
        let away = Metrics {
            lease_left: None,
            in_flight: 0,
            draining: false,
            hooks: Vec::new(),
            asked: Vec::new(),
            shared: None,
        }
        .text();
        assert!(away.contains("forewarn_database_up 0\n") && !away.contains("forewarn_persons"), "{away}");
    }
}

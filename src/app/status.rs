//! Where a campaign stands, as screens, scripts and people read it.

use super::reports;
use super::suspension;
use super::workers::{described, worker_json};
use super::{App, AppError};
use crate::config::LMTP;
use crate::model::campaign::CampaignState;
use crate::model::notice::NoticeState;
use crate::model::person::Standing;
use crate::model::suspension::{Rested, Suspension, of_route};
use crate::model::time::{Micros, SECOND, rfc3339};
use crate::store::campaign::Campaign;
use crate::store::import::SourceSums;
use crate::store::mailbox::{Mail, MailSums};
use crate::store::report::ReportSums;
use crate::store::route::RouteHealth;
use crate::store::status::Sums;
use crate::store::worker::WorkerRow;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A worker that has said nothing for this long is not sending.
const STALE: Micros = 10 * SECOND;

/// Open calls are counted up to here: a status is read every few seconds, and nobody needs the number beyond.
const CALLS_COUNTED: i64 = 1_000;

/// More workers are not named in a status.
const WORKERS_SHOWN: usize = 10;

/// One route's part.
#[derive(Clone, Debug)]
pub struct RouteStatus {
    pub name: String,
    pub state: String,
    pub reason: String,
    pub until: Option<Micros>,
    /// Notices of this campaign that it took.
    pub sent: i64,
    pub per_second: f64,
    /// What its provider reported, about all campaigns; `None` where nothing came.
    pub reports: Option<ReportSums>,
}

/// A campaign's sums at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    pub campaign: Campaign,
    /// As people call it: `finished` is found here, never stored.
    pub state: CampaignState,
    pub list: SourceSums,
    pub sums: Sums,
    pub routes: Vec<RouteStatus>,
    /// When the last waiting notice would go out at the present speed.
    pub eta: Option<Micros>,
    /// (state, reason, how many) of notices that failed or are unknown.
    pub failures: Vec<(String, String, i64)>,
    /// Calls that lie on sheets and were not made; beyond a thousand they are not counted.
    pub open_calls: i64,
    /// The workers at work on this database.
    pub workers: Vec<WorkerRow>,
    /// The files on this machine would make other words by now; the campaign keeps those it has.
    pub words_changed: bool,
    /// What people told to rest.
    pub suspensions: Vec<Suspension>,
    /// What was read in the mailboxes of the installation.
    pub mail: BTreeMap<String, MailSums>,
}

impl App {
    /// What was read, for each mailbox that there is, and `lmtp`.
    pub(super) async fn mail_sums(&self) -> Result<BTreeMap<String, MailSums>, AppError> {
        let mut sums = self.store.mail_sums().await?;
        let lmtp = self.config.lmtp.as_ref().map(|_| LMTP.to_owned());
        for name in self.config.mailboxes.iter().map(|mailbox| mailbox.name.clone()).chain(lmtp) {
            sums.entry(name).or_default();
        }
        Ok(sums)
    }

    pub async fn status(&self, id: &str, now: Micros) -> Result<Status, AppError> {
        let campaign = self.campaign(id).await?;
        let sums = self.store.sums(campaign.no).await?;
        let health = self.store.route_health().await?;
        let suspensions = self.store.suspensions(now).await?;
        let mut routes: Vec<RouteStatus> = self
            .config
            .routes
            .iter()
            .map(|route| route_status(&route.name, &health, sums.sent.get(&route.name).copied().unwrap_or(0), now))
            .collect();
        routes.iter_mut().for_each(|route| route.suspended_by(&suspensions));
        let mut reported = self.store.report_sums().await?;
        routes.iter_mut().for_each(|route| route.reports = reported.remove(&route.name));
        let mut list = SourceSums::default();
        for source in self.store.sources(campaign.no).await? {
            list.rows += source.sums.rows;
            list.persons += source.sums.persons;
            list.merged += source.sums.merged;
            list.rejected += source.sums.rejected;
            list.without_contact += source.sums.without_contact;
        }
        let failures = self.store.failures(campaign.no).await?;
        let open_calls = self.store.count_open_calls(campaign.no, CALLS_COUNTED).await?;
        let eta = eta(&campaign, &sums, &routes, now);
        let workers = self.store.workers(0).await?;
        let state = shown_state(&campaign, &sums);
        let over = matches!(state, CampaignState::Cancelled | CampaignState::Finished);
        let words_changed = !over && self.words_changed_since(&campaign);
        Ok(Status {
            state,
            campaign,
            list,
            sums,
            routes,
            eta,
            failures,
            open_calls,
            workers,
            words_changed,
            suspensions,
            mail: self.mail_sums().await?,
        })
    }
}

/// A route as its workers see it: its speed is theirs together, its state the worst that one of them found.
pub(super) fn route_status(name: &str, health: &[RouteHealth], sent: i64, now: Micros) -> RouteStatus {
    let severity = |state: &str| ["ok", "waiting", "probing", "broken"].iter().position(|s| *s == state);
    let known = || health.iter().filter(|h| h.name == name);
    let fresh = || known().filter(|h| now - h.changed_at < STALE);
    let worst = fresh().max_by_key(|h| severity(&h.state)).or_else(|| known().max_by_key(|h| h.changed_at));
    RouteStatus {
        name: name.to_owned(),
        state: worst.map_or("ok", |h| &h.state).to_owned(),
        reason: worst.map_or("", |h| &h.reason).to_owned(),
        until: worst.and_then(|h| h.until),
        sent,
        per_second: fresh().map(|h| h.per_second).sum(),
        reports: None,
    }
}

impl RouteStatus {
    /// What a person ordered goes before what workers found.
    fn suspended_by(&mut self, suspensions: &[Suspension]) {
        if let Some(order) = of_route(suspensions, &self.name) {
            self.state = "suspended".to_owned();
            self.reason = suspension::reason(order);
            self.until = Some(order.until);
        }
    }
}

/// A running campaign of which nobody is in flight or needs a human is finished.
pub fn shown_state(campaign: &Campaign, sums: &Sums) -> CampaignState {
    state_shown(campaign.state, sums)
}

/// The same of the state as stored.
pub(super) fn state_shown(state: CampaignState, sums: &Sums) -> CampaignState {
    let open = sums.person(Standing::InFlight) + sums.person(Standing::NeedsHuman);
    if state == CampaignState::Running && open == 0 { CampaignState::Finished } else { state }
}

fn eta(campaign: &Campaign, sums: &Sums, routes: &[RouteStatus], now: Micros) -> Option<Micros> {
    let waiting =
        sums.notice(NoticeState::Queued) + sums.notice(NoticeState::Deferred) + sums.notice(NoticeState::Sending);
    let left = waiting + (campaign.last_person - campaign.planned);
    let speed: f64 = routes.iter().map(|r| r.per_second).sum();
    (campaign.state == CampaignState::Running && left > 0 && speed > 0.0)
        .then(|| now + (left as f64 / speed * SECOND as f64) as Micros)
}

impl Status {
    /// The stable JSON form.
    pub fn json(&self) -> Value {
        let person = |s: Standing| self.sums.person(s);
        json!({
            "campaign": self.campaign.id,
            "state": self.state.as_str(),
            "reason": self.campaign.reason,
            "rows": self.list.rows,
            "merged": self.list.merged,
            "rejected": self.list.rejected,
            "persons": self.sums.persons_total(),
            "satisfied": person(Standing::Satisfied),
            "in_flight": person(Standing::InFlight),
            "needs_human": person(Standing::NeedsHuman),
            "unreachable": person(Standing::Unreachable),
            "excluded": person(Standing::Excluded),
            "notices": self.sums.notices,
            "attempts": self.sums.attempts,
            "routes": self.routes.iter().map(|r| json!({
                "name": r.name,
                "state": r.state,
                "sent": r.sent,
                "per_second": (r.per_second * 10.0).round() / 10.0,
                "reason": r.reason,
                "until": r.until.map(rfc3339),
                "reports": r.reports.as_ref().map(reports::as_json),
            })).collect::<Vec<_>>(),
            "suspended_domains": self.suspensions.iter().filter(|s| matches!(s.what, Rested::Domain(_))).map(|s| json!({
                "name": s.what.name(), "reason": s.reason, "by": s.by, "until": rfc3339(s.until),
            })).collect::<Vec<_>>(),
            "mailboxes": self.mail.iter().map(|(name, sums)| json!({
                "name": name,
                "read": sums.read(),
                "matched": sums.of(Mail::Matched),
                "nobodys": sums.of(Mail::Nobodys),
                "no_report": sums.of(Mail::NoReport),
            })).collect::<Vec<_>>(),
            "eta": self.eta.map(rfc3339),
            "workers": self.workers.iter().map(worker_json).collect::<Vec<_>>(),
            "words_changed": self.words_changed,
            "failures": self.failures.iter().map(|(state, reason, n)| json!({
                "state": state, "reason": reason, "notices": n,
            })).collect::<Vec<_>>(),
        })
    }

    /// The same for a reader, with who acts next.
    pub fn lines(&self) -> Vec<String> {
        let person = |s: Standing| self.sums.person(s);
        let mut lines = vec![
            format!("{} ({}), {}", self.campaign.id, self.campaign.title, self.state.as_str()),
            format!(
                "rows {} = persons {} + merged {} + rejected {}",
                self.list.rows, self.list.persons, self.list.merged, self.list.rejected
            ),
            format!(
                "persons {} = satisfied {} + in flight {} + needs a human {} + unreachable {} + excluded {}",
                self.sums.persons_total(),
                person(Standing::Satisfied),
                person(Standing::InFlight),
                person(Standing::NeedsHuman),
                person(Standing::Unreachable),
                person(Standing::Excluded),
            ),
        ];
        let notices: Vec<String> = NoticeState::ALL
            .iter()
            .filter(|s| self.sums.notice(**s) > 0)
            .map(|s| format!("{} {}", s.as_str(), self.sums.notice(*s)))
            .collect();
        if !notices.is_empty() {
            lines.push(format!("notices: {}; attempts {}", notices.join(", "), self.sums.attempts));
        }
        for route in &self.routes {
            let until = route.until.map(|t| format!(" until {}", rfc3339(t))).unwrap_or_default();
            let why = if route.reason.is_empty() { String::new() } else { format!(" ({})", route.reason) };
            lines.push(format!(
                "route {}: {}{until}{why}, sent {}, {:.1} a second",
                route.name, route.state, route.sent, route.per_second
            ));
            lines.extend(route.reports.iter().map(|sums| format!("route {}: {}", route.name, reports::line(sums))));
        }
        for order in self.suspensions.iter().filter(|s| matches!(s.what, Rested::Domain(_))) {
            let (name, until) = (order.what.name(), rfc3339(order.until));
            lines.push(format!("domain {name}: suspended until {until} ({})", suspension::reason(order)));
        }
        for (name, sums) in &self.mail {
            let [matched, nobodys, others] = Mail::ALL.map(|mail| sums.of(mail));
            lines.push(format!(
                "mailbox {name}: {} messages read, {matched} about notices, {nobodys} reports of something else, {others} no \
                 reports",
                sums.read()
            ));
        }
        lines.extend(self.worker_lines());
        lines.extend(self.next_actions());
        if let Some(eta) = self.eta {
            lines.push(format!("at this speed the last waiting notice goes out at {}", rfc3339(eta)));
        }
        lines
    }

    /// The workers by name, where several share the work.
    fn worker_lines(&self) -> Vec<String> {
        if self.workers.len() < 2 {
            return Vec::new();
        }
        let mut lines: Vec<String> = self.workers.iter().take(WORKERS_SHOWN).map(described).collect();
        let more = self.workers.len().saturating_sub(WORKERS_SHOWN);
        if more > 0 {
            lines.push(format!("and {more} more workers; `forewarn doctor` names them all"));
        }
        lines
    }

    /// That somebody has changed words which this campaign does not use, and what would have to be done to use them.
    fn words_not_used(&self) -> Option<String> {
        let what_to_do = match self.state {
            CampaignState::Draft | CampaignState::Approved => {
                "run `forewarn campaign create INCIDENT.toml` to take the change in, and have it approved"
            }
            CampaignState::Running | CampaignState::Paused | CampaignState::Cancelled | CampaignState::Finished => {
                "for other words make another campaign of the incident (kind = \"update\")"
            }
        };
        let said = || {
            format!(
                "the template files or the sender in the configuration were changed since: this campaign keeps the words it \
                 has; {what_to_do}"
            )
        };
        self.words_changed.then(said)
    }

    /// Who acts next, and with which command.
    pub fn next_actions(&self) -> Vec<String> {
        let id = &self.campaign.id;
        let mut lines = Vec::new();
        match self.state {
            CampaignState::Draft => lines.push(format!(
                "next: somebody other than {} approves it (`forewarn campaign approve {id} --by NAME`)",
                self.campaign.created_by
            )),
            CampaignState::Approved => {
                lines.push(format!("next: the incident lead starts it (`forewarn campaign start {id}`)"));
            }
            CampaignState::Paused => {
                lines.push(format!("next: the incident lead lets it go on (`forewarn campaign resume {id}`)"));
            }
            CampaignState::Running | CampaignState::Cancelled | CampaignState::Finished => {}
        }
        lines.extend(self.words_not_used());
        let open = [Standing::InFlight, Standing::NeedsHuman, Standing::Unreachable];
        let nobody_left = open.iter().all(|s| self.sums.person(*s) == 0);
        for (state, reason, n) in &self.failures {
            lines.push(match state.as_str() {
                // A retry leaves those alone who were told, so it would find nothing.
                _ if nobody_left && reason.is_empty() => {
                    format!("{n} notices have an unknown outcome; nobody waits for them")
                }
                _ if nobody_left => format!("{n} notices failed: {reason}; nobody waits for them"),
                "unknown" => format!(
                    "{n} notices have an unknown outcome: support staff find out, or \
                     `forewarn campaign retry {id} --reason-class unknown` sends them again, perhaps twice"
                ),
                _ => format!(
                    "{n} notices failed: {reason}; `forewarn campaign retry {id} --reason-class {reason}` sends those \
                     again whose persons were not told another way"
                ),
            });
        }
        if self.open_calls > 0 {
            let more = if self.open_calls == CALLS_COUNTED { "or more " } else { "" };
            lines.push(format!(
                "{} {more}calls are to be made: `forewarn campaign calls {id} --export DIR` writes the sheets, \
                 `--import FILE` reads how they ended",
                self.open_calls
            ));
        }
        let human = self.sums.person(Standing::NeedsHuman);
        if human > 0 {
            lines.push(format!("{human} persons need a human: support staff reach them another way"));
        }
        lines
    }
}

//! Looking an installation over: what would keep a campaign from running, and whether the books of those there are add
//! up. Nothing is sent and nothing repaired.
//!
//! A database that is not there yet is not made. One that is there is opened as every command opens it, which brings
//! its tables up to date.

use super::carrier::OpenCampaign;
use super::routes::ready_route;
use super::workers::{is_worked, the_workers};
use super::{AppError, master_key};
use crate::config::{Config, Database, Route};
use crate::content::{Sender, TemplateFiles, Texts};
use crate::model::campaign::CampaignState;
use crate::model::person::Standing;
use crate::model::problem::Problem;
use crate::model::suspension::{Suspension, of_route};
use crate::model::time::Micros;
use crate::providers::adapter::Adapter;
use crate::providers::catalogue::Catalogue;
use crate::secrets::SecretRef;
use crate::store::campaign::Campaign;
use crate::store::route::RouteHealth;
use crate::store::status::{SourceRow, Sums};
use crate::store::{Store, StoreError};
use crate::vault::MasterKey;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// An incident with words in every language, to try template sets on.
const SAMPLE: &str = include_str!("../../examples/incident.toml");
/// A route that has not answered by then does not answer.
const PATIENCE: Duration = Duration::from_secs(30);
const MIB: u64 = 1 << 20;
/// Below this a large list may not fit.
const LITTLE: u64 = 1024 * MIB;
/// Below this sending may stop any moment.
const TOO_LITTLE: u64 = 100 * MIB;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Ok,
    Warn,
    Bad,
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Bad => "bad",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Finding {
    pub level: Level,
    /// What was looked at: `config`, `key`, `database`, `disk`, `worker`, `route NAME`, `mailbox NAME`, `timestamp`,
    /// `templates NAME`, `campaign ID`.
    pub about: String,
    pub message: String,
    /// What to do; empty where all is well, or where the message says it.
    pub next: String,
    /// For scripts; only beside [`Level::Bad`].
    pub problem: Option<Problem>,
}

impl Finding {
    pub fn ok(about: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding { level: Level::Ok, about: about.into(), message: message.into(), next: String::new(), problem: None }
    }

    pub fn warn(about: impl Into<String>, message: impl Into<String>, next: impl Into<String>) -> Finding {
        Finding { level: Level::Warn, next: next.into(), ..Finding::ok(about, message) }
    }

    pub fn bad(about: impl Into<String>, problem: Problem, next: impl Into<String>) -> Finding {
        let message = problem.message.clone();
        Finding { level: Level::Bad, problem: Some(problem), next: next.into(), ..Finding::ok(about, message) }
    }
}

/// Looks everything over.
pub async fn examine(config: Config, now: Micros) -> Vec<Finding> {
    let mut found = vec![the_config(&config)];
    let master = the_key(&config, &mut found);
    let store = the_database(&config, master.as_ref(), &mut found).await;
    found.extend(the_disk(&config));
    found.extend(the_routes(&config, &resting(store.as_ref(), now).await).await);
    found.extend(super::mailboxes::findings(&config, store.as_ref()).await);
    found.extend(super::proof::timestamp::findings(&config, store.as_ref(), now).await);
    found.extend(the_templates(&config, now));
    if let Some(store) = store {
        found.extend(super::suspension::findings(&store, now).await);
        the_campaigns(&store, master.as_ref(), &mut found).await;
        found.extend(super::least::findings(&config, &store).await);
        store.close().await;
    }
    found
}

fn the_config(config: &Config) -> Finding {
    let file = config.file.display();
    match config.routes.len() {
        0 => Finding::warn(
            "config",
            format!("{file} is sound but has no route, so nothing can be sent"),
            "add a [[route]]; `forewarn provider list` says what there is",
        ),
        n => Finding::ok("config", format!("{file} is sound, with {n} routes")),
    }
}

fn the_key(config: &Config, found: &mut Vec<Finding>) -> Option<MasterKey> {
    match master_key(config) {
        Ok(key) => {
            let rights = match config.master_key {
                SecretRef::File(_) => " that only its owner can read",
                SecretRef::Env(_) => "",
            };
            found.push(Finding::ok("key", format!("{} holds a master key{rights}", config.master_key)));
            Some(key)
        }
        Err(error) => {
            let next = "without this very key nothing stored can be read";
            found.extend(problems_of("key", error).into_iter().map(|problem| Finding::bad("key", problem, next)));
            None
        }
    }
}

fn problems_of(code: &'static str, error: AppError) -> Vec<Problem> {
    if let AppError::Refused(problems) = error {
        return problems;
    }
    vec![Problem::new(code, "", chain(&error))]
}

async fn the_database(config: &Config, master: Option<&MasterKey>, found: &mut Vec<Finding>) -> Option<Store> {
    if let Database::Sqlite { file } = &config.database
        && !file.exists()
    {
        let folder = folder_of(file);
        found.push(if folder.is_dir() {
            Finding::ok("database", format!("{} is not there yet; the first campaign makes it", file.display()))
        } else {
            let message = format!("the folder {} of the database does not exist", folder.display());
            Finding::bad(
                "database",
                Problem::new("database", "database.url", message),
                "make it, or correct [database] url",
            )
        });
        return None;
    }
    match look_into(config, master).await {
        Ok((store, damage, version)) if damage.is_empty() => {
            let message = format!("{} is sound and can be written; schema version {version}", store.shown());
            found.push(Finding::ok("database", message));
            found.extend(the_workers(&store).await);
            Some(store)
        }
        Ok((store, damage, _)) => {
            let message = format!("{} is damaged: {}", store.shown(), damage.join("; "));
            let next = "stop all workers, copy the file away, and put the last good copy back";
            found.push(Finding::bad("database", Problem::new("database-damaged", "database.url", message), next));
            store.close().await;
            None
        }
        Err(error) => {
            found.extend(
                problems_of("database", error).into_iter().map(|problem| {
                    Finding::bad("database", Problem { field: "database.url".to_owned(), ..problem }, "")
                }),
            );
            None
        }
    }
}

async fn look_into(config: &Config, master: Option<&MasterKey>) -> Result<(Store, Vec<String>, i64), AppError> {
    let store = super::open_store(config).await?;
    let damage = store.quick_check().await?;
    let version = store.schema_version().await?;
    if damage.is_empty() {
        store.try_to_write().await?;
        if let Some(master) = master {
            store.claim_key(&master.fingerprint()).await?;
        }
    }
    Ok((store, damage, version))
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(&format!(": {inner}"));
        source = inner.source();
    }
    text
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn the_disk(config: &Config) -> Option<Finding> {
    let Database::Sqlite { file } = &config.database else { return None };
    let folder = folder_of(file);
    let free = fs4::available_space(folder).ok()?;
    let message = format!("{} MiB are free where the database lies ({})", free / MIB, folder.display());
    Some(match free {
        0..TOO_LITTLE => {
            Finding::bad("disk", Problem::new("disk-full", "", message), "make room before anything is sent")
        }
        TOO_LITTLE..LITTLE => Finding::warn("disk", message, "make room before a large list is taken in"),
        LITTLE.. => Finding::ok("disk", message),
    })
}

/// What people told to rest; nothing where that cannot be read, which is found elsewhere.
async fn resting(store: Option<&Store>, now: Micros) -> Vec<Suspension> {
    match store {
        Some(store) => store.suspensions(now).await.unwrap_or_default(),
        None => Vec::new(),
    }
}

async fn the_routes(config: &Config, resting: &[Suspension]) -> Vec<Finding> {
    let catalogue = match Catalogue::load(config.paths.providers.as_deref()) {
        Ok(catalogue) => catalogue,
        Err(problems) => {
            let bad =
                |problem| Finding::bad("providers", problem, "correct the file, or take it out of [paths] providers");
            return problems.into_iter().map(bad).collect();
        }
    };
    let looks = config.routes.iter().map(|route| the_route(config, route, &catalogue, resting));
    join_all(looks).await.into_iter().flatten().collect()
}

async fn the_route(config: &Config, route: &Route, catalogue: &Catalogue, resting: &[Suspension]) -> Vec<Finding> {
    let about = format!("route {}", route.name);
    let ready = match ready_route(config, route, catalogue) {
        Ok(ready) => ready,
        Err(problems) => {
            let bad = |p: Problem| {
                let next = match p.code {
                    "unknown-provider" => "`forewarn provider list` says what there is".to_owned(),
                    _ => format!("correct it; `forewarn provider show {}` says what it needs", route.provider),
                };
                Finding::bad(&about, on_route(p, route), next)
            };
            return problems.into_iter().map(bad).collect();
        }
    };
    if of_route(resting, &route.name).is_some() {
        // A provider that is left alone is not asked, and its silence is no fault.
        return vec![Finding::ok(about, "its settings are sound; it rests by order, so its provider was not asked")];
    }
    let answer = tokio::time::timeout(PATIENCE, ready.adapter.check()).await;
    ready.adapter.close().await;
    let try_it = format!("then try it with `forewarn provider test {} --to ADDRESS`", route.name);
    vec![match answer {
        Ok(Ok(message)) => Finding::ok(about, format!("{message}{}", unchecked(&ready.adapter))),
        Ok(Err(problem)) => Finding::bad(about, on_route(problem, route), format!("mend it, {try_it}")),
        Err(_) => {
            let message = format!("nobody answered within {} seconds", PATIENCE.as_secs());
            let problem = Problem::new("route-check", "", message).on_route(&route.name);
            Finding::bad(about, problem, format!("look at its address and at the firewall, {try_it}"))
        }
    }]
}

/// What nobody found out, because the provider does not say it without a message.
fn unchecked(adapter: &Adapter) -> String {
    let unchecked = adapter.unchecked();
    if unchecked.is_empty() { String::new() } else { format!("; NOT CHECKED: {}", unchecked.join(", ")) }
}

/// A problem of a route, which need not name the route again in its words.
fn on_route(problem: Problem, route: &Route) -> Problem {
    let named = format!("route `{}`: ", route.name);
    let message = problem.message.strip_prefix(&named).unwrap_or(&problem.message).to_owned();
    Problem { message, ..problem }.on_route(&route.name)
}

fn the_templates(config: &Config, now: Micros) -> Vec<Finding> {
    let overlay = config.paths.templates.as_deref();
    let sets = match TemplateFiles::sets(overlay) {
        Ok(sets) => sets,
        Err(error) => {
            let problem = Problem::new("bad-template-set", "paths.templates", error.to_string());
            return vec![Finding::bad("templates", problem, "correct [paths] templates, or the rights of the folder")];
        }
    };
    sets.iter().map(|set| the_set(config, set, overlay, now)).collect()
}

fn the_set(config: &Config, set: &str, overlay: Option<&Path>, now: Micros) -> Finding {
    let about = format!("templates {set}");
    let own = overlay.is_some_and(|folder| folder.join(set).is_dir());
    let sender = Sender {
        organisation: config.sender.organisation.clone(),
        from_name: Some(config.sender.email.name.clone()).filter(|name| !name.is_empty()),
        from_address: config.sender.email.address.clone(),
    };
    let compiled = TemplateFiles::load(set, overlay)
        .map_err(|error| vec![Problem::new("bad-template-set", "paths.templates", error.to_string())])
        .and_then(|files| {
            // The sample's dates do not matter here; on a machine whose clock is behind they would lie in the future.
            let incident =
                crate::incident_file::parse(Path::new("the sample incident"), SAMPLE, now.max(i64::MAX / 2))?;
            Texts::compile(&files, &incident.value, &sender)
        });
    match compiled {
        Ok(texts) => Finding::ok(about, format!("complete in {}", texts.languages().join(", "))),
        Err(mut problems) => {
            let more = problems.len().saturating_sub(1);
            let first = if problems.is_empty() { return Finding::ok(about, "complete") } else { problems.remove(0) };
            let also = if more == 0 { String::new() } else { format!(" (and {more} more)") };
            if own {
                // A set of the house may ask for words that only its own incidents have.
                let message = format!("does not fit the sample incident: {}{also}", first.message);
                return Finding::warn(about, message, "`forewarn check INCIDENT.toml` says whether it fits yours");
            }
            let message = format!("{}{also}", first.message);
            Finding::bad(about, Problem { message, ..first }, "correct what it names")
        }
    }
}

async fn the_campaigns(store: &Store, master: Option<&MasterKey>, found: &mut Vec<Finding>) {
    let sending = is_worked(store).await;
    found.extend(super::reports::findings(store, sending).await);
    if sending {
        found.extend(resting_routes(store).await);
    }
    let campaigns = match store.campaigns().await {
        Ok(campaigns) => campaigns,
        Err(error) => {
            found.push(Finding::bad("campaigns", Problem::new("database", "", chain(&error)), ""));
            return;
        }
    };
    for campaign in campaigns {
        let about = format!("campaign {}", campaign.id);
        match the_campaign(store, master, &campaign, sending, &about).await {
            Ok(finding) => found.extend(finding),
            Err(error) => found.push(Finding::bad(about, Problem::new("database", "", chain(&error)), "")),
        }
    }
}

/// Routes that the worker leaves alone for now, in its own words.
async fn resting_routes(store: &Store) -> Vec<Finding> {
    let Ok(health) = store.route_health().await else { return Vec::new() };
    let resting = health.into_iter().filter(|h| h.state == "broken");
    let finding = |h: RouteHealth| {
        let next = "mend what it names; the worker tries it again by itself";
        Finding::warn(format!("route {}", h.name), format!("the worker lets it rest: {}", h.reason), next)
    };
    resting.map(finding).collect()
}

async fn the_campaign(
    store: &Store,
    master: Option<&MasterKey>,
    campaign: &Campaign,
    sending: bool,
    about: &str,
) -> Result<Vec<Finding>, StoreError> {
    let mut found = Vec::new();
    let sources = store.sources(campaign.no).await?;
    let (sums, counted) = (store.sums(campaign.no).await?, store.counted(campaign.no).await?);
    found.push(the_books(&sources, &sums, &counted, sending, about));
    if sources.iter().any(|s| !s.complete) && campaign.state != CampaignState::Cancelled {
        let next = "run `forewarn campaign create` on its incident file again";
        found.push(Finding::warn(about, "its list was not taken in to the end, so it cannot start", next));
    }
    if campaign.state != CampaignState::Cancelled
        && let Some(master) = master
        && let Err(problems) = OpenCampaign::open(master, campaign)
    {
        found.extend(problems.into_iter().map(|p| Finding::bad(about, p, "it cannot be sent until this is mended")));
    }
    let waiting = sums.person(Standing::InFlight);
    if campaign.state == CampaignState::Running && waiting > 0 && !sending {
        let message = format!("it runs and {waiting} persons are in flight, but no worker sends");
        found.push(Finding::warn(about, message, "start `forewarn worker`"));
    }
    Ok(found)
}

/// The sums as kept against the rows themselves, and the two lines that must always hold.
fn the_books(sources: &[SourceRow], sums: &Sums, counted: &Sums, sending: bool, about: &str) -> Finding {
    let total = |part: fn(&SourceRow) -> i64| sources.iter().map(part).sum::<i64>();
    let (rows, persons) = (total(|s| s.sums.rows), total(|s| s.sums.persons));
    let (merged, rejected) = (total(|s| s.sums.merged), total(|s| s.sums.rejected));
    let line = format!(
        "rows {rows} = persons {persons} + merged {merged} + rejected {rejected}; persons {} = satisfied {} + in flight {} \
         + needs a human {} + unreachable {} + excluded {}",
        sums.persons_total(),
        sums.person(Standing::Satisfied),
        sums.person(Standing::InFlight),
        sums.person(Standing::NeedsHuman),
        sums.person(Standing::Unreachable),
        sums.person(Standing::Excluded),
    );
    let complete = sources.iter().all(|s| s.complete);
    let lists_hold = !complete || (rows == persons + merged + rejected && persons == sums.persons_total());
    let different = differences(sums, counted);
    if lists_hold && different.is_empty() {
        return Finding::ok(about, format!("the books add up: {line}"));
    }
    if lists_hold && sending {
        let message = format!("{line}; counted while a worker sends, so they could not be compared");
        return Finding::warn(about, message, "stop the worker and run this again");
    }
    let what = if different.is_empty() { "the list".to_owned() } else { different.join(", ") };
    let message = format!("the books do not add up ({what}): {line}");
    let next = "pause the campaign, keep a copy of the database, and report this: it is a fault of the program";
    Finding::bad(about, Problem::new("sum", "", message), next)
}

/// The kinds of sums that differ from what is counted, with both numbers.
fn differences(sums: &Sums, counted: &Sums) -> Vec<String> {
    fn of<K: AsRef<str>>(map: &BTreeMap<K, i64>) -> BTreeMap<&str, i64> {
        map.iter().filter(|(_, n)| **n != 0).map(|(k, n)| (k.as_ref(), *n)).collect()
    }
    let kinds = [
        ("persons", of(&sums.persons), of(&counted.persons)),
        ("notices", of(&sums.notices), of(&counted.notices)),
        ("sent", of(&sums.sent), of(&counted.sent)),
        ("receipts", of(&sums.receipts), of(&counted.receipts)),
        ("locales", of(&sums.by_locale), of(&counted.by_locale)),
        ("countries", of(&sums.by_country), of(&counted.by_country)),
        ("contacts", of(&sums.by_contact), of(&counted.by_contact)),
        ("attempts", [("", sums.attempts)].into(), [("", counted.attempts)].into()),
    ];
    let differ = kinds.into_iter().filter(|(_, kept, counted)| kept != counted);
    let total = |map: &BTreeMap<&str, i64>| map.values().sum::<i64>();
    differ.map(|(kind, kept, counted)| format!("{kind}: {} kept, {} counted", total(&kept), total(&counted))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::import::SourceSums;

    #[test]
    fn books_that_do_not_add_up_are_bad_unless_a_worker_changes_them() {
        let source = |rows| SourceRow {
            no: 1,
            name: "list.csv".into(),
            digest: String::new(),
            encoding: "UTF-8".into(),
            delimiter: ",".into(),
            sums: SourceSums { rows, persons: 2, merged: 1, rejected: 1, without_contact: 0 },
            complete: true,
        };
        let sums = Sums { persons: [("satisfied", 2), ("in_flight", 0)].into(), attempts: 2, ..Sums::default() };
        let same = Sums { persons: [("satisfied", 2)].into(), attempts: 2, ..Sums::default() };
        let other = Sums { persons: [("satisfied", 1), ("in_flight", 1)].into(), ..same.clone() };
        for (rows, counted, sending, level, part) in [
            (4, &same, false, Level::Ok, "rows 4 = persons 2 + merged 1 + rejected 1"),
            (4, &other, false, Level::Bad, "persons: 2 kept, 2 counted"),
            (4, &other, true, Level::Warn, "while a worker sends"),
            (5, &same, false, Level::Bad, "the list"),
            (5, &same, true, Level::Bad, "the list"),
        ] {
            let finding = the_books(&[source(rows)], &sums, counted, sending, "campaign c");
            assert!(finding.level == level && finding.message.contains(part), "{part}: {finding:?}");
        }
    }
}

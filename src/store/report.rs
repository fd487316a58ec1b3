//! What came back, as it came: there before its sender is answered, and handled once.
//!
//! A report waits here (`due_at`) until all its events have found their notice or nobody waits for it any more; then its
//! outcome stands beside it. What its events did is in `receipt`, see [`super::settle`].

use super::{Engine, Store, StoreError, Tx, json};
use crate::model::time::Micros;
use crate::vault::SealedReport;
use sqlx::AssertSqlSafe;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Sums that belong to no campaign.
const NO_CAMPAIGN: i64 = 0;
/// The sums of reports by route: those that came, and by outcome those that were handled.
const CAME: &str = "report";
const HANDLED: &str = "report-handled";
/// Octets of reports that one statement writes, unless a single one has more: it carries them as digits.
const OCTETS: usize = 1 << 20;

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Handled {
    /// One of its events moved a notice, or will when its attempt ends.
    Applied,
    /// Its events are written down and changed nothing.
    Late,
    /// All its events were known.
    Duplicate,
    /// It speaks of no notice of ours.
    NoSuchNotice,
    /// It says nothing about a notice.
    Empty,
    /// It proved who sent it, and cannot be read.
    Unreadable,
}

impl Handled {
    pub const ALL: [Handled; 6] = [
        Handled::Applied,
        Handled::Late,
        Handled::Duplicate,
        Handled::NoSuchNotice,
        Handled::Empty,
        Handled::Unreadable,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Handled::Applied => "applied",
            Handled::Late => "late",
            Handled::Duplicate => "duplicate",
            Handled::NoSuchNotice => "no-such-notice",
            Handled::Empty => "empty",
            Handled::Unreadable => "unreadable",
        }
    }

    pub fn parse(name: &str) -> Option<Handled> {
        Handled::ALL.into_iter().find(|h| h.as_str() == name)
    }
}

/// A report that waits to be handled.
#[derive(Clone, Debug)]
pub struct DueReport {
    pub id: i64,
    pub received_at: Micros,
    pub tries: u32,
    /// How far it was handled before, in its module's words; empty at first.
    pub progress: String,
    pub sealed: SealedReport,
}

/// Where a report stands after it was looked at.
#[derive(Clone, Debug)]
pub enum Looked {
    Ended(Handled),
    /// Some of its events wait for their notice: again then.
    Waits {
        due: Micros,
        tries: u32,
        progress: String,
    },
}

/// The reports of a route, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportSums {
    pub came: i64,
    pub handled: BTreeMap<&'static str, i64>,
}

impl ReportSums {
    pub fn of(&self, handled: Handled) -> i64 {
        self.handled.get(handled.as_str()).copied().unwrap_or(0)
    }

    /// Those that wait for their notice.
    pub fn waiting(&self) -> i64 {
        self.came - self.handled.values().sum::<i64>()
    }
}

impl Store {
    /// When the next report is to be looked at, if any waits.
    pub async fn next_report(&self) -> Result<Option<Micros>, StoreError> {
        sqlx::query_scalar("select min(due_at) from report where due_at is not null")
            .fetch_one(&self.readers)
            .await
            .map_err(|e| self.fail(e))
    }

    /// The reports by route, from the sums kept.
    pub async fn report_sums(&self) -> Result<BTreeMap<String, ReportSums>, StoreError> {
        let rows: Vec<(String, String, i64)> =
            sqlx::query_as("select kind, name, n from tally where campaign = $1 and kind in ($2, $3)")
                .bind(NO_CAMPAIGN)
                .bind(CAME)
                .bind(HANDLED)
                .fetch_all(&self.readers)
                .await
                .map_err(|e| self.fail(e))?;
        let mut sums: BTreeMap<String, ReportSums> = BTreeMap::new();
        for (kind, name, n) in rows {
            let (outcome, route) =
                if kind == CAME { ("", name.as_str()) } else { name.split_once(' ').unwrap_or_default() };
            let of_route = sums.entry(route.to_owned()).or_default();
            match Handled::parse(outcome) {
                Some(handled) => *of_route.handled.entry(handled.as_str()).or_default() += n,
                None => of_route.came += n,
            }
        }
        Ok(sums)
    }

    /// The same counted from the rows: what `doctor` and the tests compare.
    pub async fn counted_reports(&self) -> Result<BTreeMap<String, ReportSums>, StoreError> {
        let rows: Vec<(String, String, i64)> =
            sqlx::query_as("select route, coalesce(outcome, ''), count(*) from report group by 1, 2")
                .fetch_all(&self.readers)
                .await
                .map_err(|e| self.fail(e))?;
        let mut sums: BTreeMap<String, ReportSums> = BTreeMap::new();
        for (route, outcome, n) in rows {
            let of_route = sums.entry(route).or_default();
            of_route.came += n;
            if let Some(handled) = Handled::parse(&outcome) {
                of_route.handled.insert(handled.as_str(), n);
            }
        }
        Ok(sums)
    }
}

impl Tx<'_> {
    /// Keeps reports as they came; they are due at once. One that was signed for another before is kept as a duplicate.
    pub async fn add_reports(&mut self, reports: &[SealedReport], now: Micros) -> Result<(), StoreError> {
        let seen = self.seen_before(reports, now).await?;
        let rows: Vec<(&SealedReport, bool)> = reports.iter().zip(seen).collect();
        let mut rest = rows.as_slice();
        while !rest.is_empty() {
            let mut octets = 0;
            let fits = |(report, _): &&(&SealedReport, bool)| {
                octets += report.blob.len();
                octets <= OCTETS
            };
            let (some, others) = rest.split_at(rest.iter().take_while(fits).count().max(1));
            self.insert_reports(some, now).await?;
            rest = others;
        }
        let came = reports.iter().map(|r| (CAME.to_owned(), r.route.clone(), 1));
        let handled = |report: &SealedReport| format!("{} {}", Handled::Duplicate.as_str(), report.route);
        let twice = rows.iter().filter(|(_, seen)| *seen).map(|(report, _)| (HANDLED.to_owned(), handled(report), 1));
        let sums: Vec<_> = came.chain(twice).collect();
        self.tally(NO_CAMPAIGN, sums);
        Ok(())
    }

    async fn insert_reports(&mut self, reports: &[(&SealedReport, bool)], now: Micros) -> Result<(), StoreError> {
        let digits = const_hex::encode::<&[u8]>;
        let rows: Vec<_> = reports
            .iter()
            .map(|(report, seen)| {
                let outcome = seen.then_some(Handled::Duplicate.as_str());
                (&report.route, digits(&report.digest), digits(&report.blob), outcome)
            })
            .collect();
        let (digest, sealed) = (self.engine().octets("value ->> 1"), self.engine().octets("value ->> 2"));
        let sql = format!(
            "insert {} into report (route, digest, sealed, received_at, due_at, handled_at, outcome)
             select value ->> 0, {digest}, {sealed}, cast($1 as bigint),
                    case when value ->> 3 is null then cast($1 as bigint) end,
                    case when value ->> 3 is not null then cast($1 as bigint) end, value ->> 3
             from json_each($2)",
            self.engine().or_rollback()
        );
        let query = sqlx::query(self.engine().by_batch_of(sql)).bind(now).bind(json(&rows));
        query.execute(self.conn()).await.map_err(|e| self.fail(e)).map(|_| ())
    }

    /// Whether each of these brings a signature that another brought before it.
    async fn seen_before(&mut self, reports: &[SealedReport], now: Micros) -> Result<Vec<bool>, StoreError> {
        let keys: BTreeSet<(&str, &str)> =
            reports.iter().filter_map(|r| Some((r.route.as_str(), r.once.as_deref()?))).collect();
        if keys.is_empty() {
            return Ok(vec![false; reports.len()]);
        }
        let rows: Vec<_> = keys.iter().collect();
        let old = self.note_seen(&json(&rows), now).await?;
        let mut seen: HashSet<(&str, &str)> = old.iter().map(|(route, once)| (route.as_str(), once.as_str())).collect();
        let is_seen =
            reports.iter().map(|report| report.once.as_deref().is_some_and(|once| !seen.insert((&report.route, once))));
        Ok(is_seen.collect())
    }

    /// Remembers these signatures, [route, signature]; those that were known before.
    async fn note_seen(&mut self, batch: &str, now: Micros) -> Result<Vec<(String, String)>, StoreError> {
        match self.engine() {
            // Nobody else writes before this transaction ends, and nearly always there are none.
            Engine::Sqlite => {
                let sql = self.engine().packed(
                    "s.route, s.once",
                    "json_each($1) as j join report_seen s on s.route = j.value ->> 0 and s.once = j.value ->> 1",
                );
                let old = self.unpacked(sqlx::query(sql).bind(batch)).await?;
                let add = self.engine().by_batch(
                    "insert or rollback into report_seen (route, once, seen_at)
                     select value ->> 0, value ->> 1, $1 from json_each($2) where true on conflict do nothing",
                );
                let query = sqlx::query(add).bind(now).bind(batch);
                query.execute(self.conn()).await.map_err(|e| self.fail(e))?;
                Ok(old)
            }
            Engine::Postgres => {
                let sql = "with new as (insert into report_seen (route, once, seen_at)
                               select value ->> 0, value ->> 1, cast($1 as bigint) from json_each($2)
                               on conflict do nothing returning route, once)
                           select coalesce(json_agg(value), '[]')::text from json_each($2)
                           where not exists (select 1 from new where route = value ->> 0 and once = value ->> 1)";
                self.unpacked(sqlx::query(sql).bind(now).bind(batch)).await
            }
        }
    }

    /// Forgets signatures that are too old to be believed again. The marks of mailboxes stay: their messages may, too.
    pub async fn forget_seen(&mut self, before: Micros) -> Result<(), StoreError> {
        let forgotten =
            sqlx::query("delete from report_seen where seen_at < $1 and route not like 'mailbox:%'").bind(before);
        forgotten.execute(self.conn()).await.map_err(|e| self.fail(e)).map(|_| ())
    }

    /// Up to `limit` reports that are due, in the order in which they came; nobody else handles them meanwhile.
    pub async fn due_reports(&mut self, now: Micros, limit: usize) -> Result<Vec<DueReport>, StoreError> {
        let sql = format!(
            "select n.id, n.received_at, n.tries, coalesce(n.progress, ''), n.route, n.digest, n.sealed from report n
             where n.due_at <= $1 order by n.due_at, n.id limit $2{}",
            self.engine().locking_free("n")
        );
        type Row = (i64, i64, i64, String, String, Vec<u8>, Vec<u8>);
        let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(now)
            .bind(limit as i64)
            .fetch_all(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        let due = rows.into_iter().map(|(id, received_at, tries, progress, route, digest, blob)| {
            let digest = digest.try_into().map_err(|_| self.store.unreadable("the digest of a report"))?;
            let sealed = SealedReport { route, digest, once: None, blob };
            Ok(DueReport { id, received_at, tries: u32::try_from(tries).unwrap_or(u32::MAX), progress, sealed })
        });
        due.collect()
    }

    /// Writes down where these reports stand now.
    pub async fn looked_at(&mut self, reports: &[(&DueReport, Looked)], now: Micros) -> Result<(), StoreError> {
        if reports.is_empty() {
            return Ok(());
        }
        let mut changes = Vec::new();
        let mut rows = Vec::with_capacity(reports.len());
        for (report, looked) in reports {
            rows.push(match looked {
                Looked::Ended(handled) => {
                    changes.push((HANDLED.to_owned(), format!("{} {}", handled.as_str(), report.sealed.route), 1));
                    (report.id, None, report.tries, None, Some(now), Some(handled.as_str()))
                }
                Looked::Waits { due, tries, progress } => {
                    (report.id, Some(*due), *tries, Some(progress.as_str()), None, None)
                }
            });
        }
        let sql = format!(
            "update {} report set due_at = cast(j.value ->> 1 as bigint), tries = cast(j.value ->> 2 as bigint),
                    progress = j.value ->> 3, handled_at = cast(j.value ->> 4 as bigint), outcome = j.value ->> 5
             from json_each($1) as j where report.id = cast(j.value ->> 0 as bigint)",
            self.engine().or_rollback()
        );
        sqlx::query(self.engine().by_batch_of(sql))
            .bind(json(&rows))
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        self.tally(NO_CAMPAIGN, changes);
        Ok(())
    }
}

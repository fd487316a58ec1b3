//! The two engines, and the few places where their texts differ.

use sqlx::SqlStr;
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// Which database it is.
#[derive(Debug)]
pub(super) struct Place {
    pub engine: Engine,
    /// The file of SQLite.
    pub path: Option<PathBuf>,
    /// Its name in reports; no secret.
    pub shown: String,
}

/// How an advisory lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    Shared,
    Alone,
}

/// Classes of PostgreSQL's advisory locks that belong to this program.
const CAMPAIGN_STATE: i32 = 0x66_77_01;
const PLANNING: i32 = 0x66_77_02;
const IMPORT: i32 = 0x66_77_03;

/// Asks for the right to give facts their places in the evidence log.
pub(super) const TRY_SEQUENCING: &str = "select pg_try_advisory_xact_lock(6715140, 0)";

impl Engine {
    /// A statement that looks rows up by a batch `j`. Such statements write the campaign as `$1 + 0 * …` of the batch's
    /// row: with a plain `$1` SQLite's planner walks the whole campaign for every batch instead of looking up each row.
    /// PostgreSQL's planner must see the plain `$1`, to leave out other campaigns' partitions.
    pub(super) fn by_batch(self, text: &'static str) -> SqlStr {
        match self {
            Engine::Sqlite => SqlStr::from_static(text),
            Engine::Postgres => self.by_batch_of(text.to_owned()),
        }
    }

    /// As [`Engine::by_batch`], for a text that was put together.
    pub(super) fn by_batch_of(self, text: String) -> SqlStr {
        use sqlx::SqlSafeStr as _;
        let text = match self {
            Engine::Sqlite => text,
            Engine::Postgres => text.replace(" + 0 * cast(j.value ->> 0 as bigint)", ""),
        };
        sqlx::AssertSqlSafe(text).into_sql_str()
    }

    /// What a selection of rows that will be changed ends with, where writers may meet: nobody else changes these rows
    /// before the transaction ends.
    pub(super) fn locking(self, rows: &str) -> String {
        match self {
            Engine::Sqlite => String::new(),
            Engine::Postgres => format!(" for update of {rows}"),
        }
    }

    /// As [`Engine::locking`], but what another has in hand is passed over.
    pub(super) fn locking_free(self, rows: &str) -> String {
        match self {
            Engine::Sqlite => String::new(),
            Engine::Postgres => format!(" for update of {rows} skip locked"),
        }
    }

    /// The octets behind hexadecimal digits.
    pub(super) fn octets(self, digits: &str) -> String {
        match self {
            Engine::Sqlite => format!("unhex({digits})"),
            Engine::Postgres => format!("decode({digits}, 'hex')"),
        }
    }

    /// The engine's own clock, in microseconds since the epoch.
    pub(super) fn now(self) -> &'static str {
        match self {
            Engine::Sqlite => "cast(unixepoch('subsec') * 1000000 as bigint)",
            Engine::Postgres => "cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)",
        }
    }
}

/// Holds a campaign's state as it is, or takes the right to change it; a queue, so that nobody starves.
pub(super) fn lock_campaign(no: i64, hold: Hold) -> String {
    let shared = if hold == Hold::Shared { "_shared" } else { "" };
    format!("; select pg_advisory_xact_lock{shared}({CAMPAIGN_STATE}, {no})")
}

/// Asks for the right to plan a campaign's next persons.
pub(super) fn try_planning(no: i64) -> String {
    format!("select pg_try_advisory_xact_lock({PLANNING}, {no})")
}

/// Asks for the right to take a list into a campaign; held as long as the connection.
pub(super) fn try_import(no: i64) -> String {
    format!("select pg_try_advisory_lock({IMPORT}, {no})")
}

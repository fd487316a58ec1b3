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
    /// PostgreSQL's planner must see the plain `$1`, to leave out other campaigns' partitions. SQLite keeps the rows of the
    /// batch in its binary form of JSON: as text each would be written and read anew for every value that is taken out.
    pub(super) fn by_batch(self, text: &str) -> SqlStr {
        self.by_batch_of(text.to_owned())
    }

    /// As [`Engine::by_batch`], for a text that was put together.
    pub(super) fn by_batch_of(self, text: String) -> SqlStr {
        use sqlx::SqlSafeStr as _;
        let text = match self {
            Engine::Sqlite => text.replace("json_each(", "jsonb_each("),
            Engine::Postgres => text.replace(" + 0 * cast(j.value ->> 0 as bigint)", ""),
        };
        sqlx::AssertSqlSafe(text).into_sql_str()
    }

    /// A selection of these columns whose rows come as one text, a JSON list of lists, in no order: between the threads of
    /// SQLite and ours each row by itself costs more than to find it. No octets among the columns.
    pub(super) fn packed(self, columns: &str, from: &str) -> SqlStr {
        self.by_batch_of(match self {
            Engine::Sqlite => format!("select json_group_array(json_array({columns})) from {from}"),
            Engine::Postgres => format!(
                "select coalesce(json_agg(q.one), '[]')::text from (select json_build_array({columns}) as one from {from}) as q"
            ),
        })
    }

    /// What stands behind `insert` or `update` where a broken rule undoes the whole transaction in any case. Without it
    /// SQLite first makes a copy of each page that a statement of many rows touches, to be able to undo that statement.
    pub(super) fn or_rollback(self) -> &'static str {
        match self {
            Engine::Sqlite => "or rollback",
            Engine::Postgres => "",
        }
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

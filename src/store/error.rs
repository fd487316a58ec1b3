//! What can go wrong with a database, said so that a person can act on it.

use super::{Engine, Place};
use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open the database {path}: {why}")]
    Open { path: String, why: String },
    #[error("the database {path} is locked by another process; end that process or wait until it has finished")]
    Locked { path: String },
    #[error("the disk that holds the database {path} is full; make room, then run the command again: nothing was lost")]
    Full { path: String },
    #[error("the database {path} can only be read; give this user the right to write to the file and its folder")]
    ReadOnly { path: String },
    #[error(
        "the database {path} was made by a newer version of forewarn: its tables are of version {found}, this program \
         knows them up to {known}; use that version"
    )]
    Newer { path: String, found: i64, known: i64 },
    #[error(
        "the database {path} was left half-way by an update of its tables (version {version}); restore it from the \
         copy made before, or ask for help: nothing was sent"
    )]
    HalfUpdated { path: String, version: i64 },
    #[error("the database {path} does not answer: {why}; see that the server runs and can be reached from here")]
    Unreachable { path: String, why: String },
    #[error("the database {path} refuses the login: {why}; correct user and password in [database] url")]
    Login { path: String, why: String },
    #[error("the database {path} does not allow what is needed: {why}; let its owner grant the right")]
    Rights { path: String, why: String },
    #[error("the server of the database {path} is PostgreSQL {version}; forewarn needs 15 or later")]
    TooOld { path: String, version: String },
    #[error("another process holds what this needs in the database {path}: {why}; wait a moment and try again")]
    Busy { path: String, why: String },
    /// Outcomes of notices that this worker no longer has: nothing of the transaction stands.
    #[error("notices of this worker were taken over in the database {path}")]
    Fenced { path: String },
    #[error("the database {path} was sealed with another master key than the one in [keys] master; give the right key")]
    WrongKey { path: String },
    #[error("another worker runs on {path}: one SQLite file serves one worker at a time; stop that worker first")]
    WorkerRuns { path: String },
    #[error("the database {path} refused a statement")]
    Sql {
        path: String,
        #[source]
        source: sqlx::Error,
    },
    #[error("the database {path} holds something this version does not understand: {what}")]
    Unreadable { path: String, what: String },
}

impl StoreError {
    /// Whether it is worth to wait: others hold what is needed, or the server is not there for the moment.
    pub fn passes(&self) -> bool {
        matches!(self, StoreError::Unreachable { .. } | StoreError::Busy { .. } | StoreError::Locked { .. })
    }

    /// The code of what the operator can put right; `None` for a fault of the disk or of the database itself.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            StoreError::Open { .. } => Some("database-unusable"),
            StoreError::Locked { .. } => Some("database-locked"),
            StoreError::ReadOnly { .. } => Some("database-read-only"),
            StoreError::Newer { .. } => Some("database-newer"),
            StoreError::HalfUpdated { .. } => Some("database-half-updated"),
            StoreError::Unreachable { .. } => Some("database-unreachable"),
            StoreError::Login { .. } => Some("database-login"),
            StoreError::Rights { .. } => Some("database-rights"),
            StoreError::TooOld { .. } => Some("database-too-old"),
            StoreError::Busy { .. } => Some("database-busy"),
            StoreError::WrongKey { .. } => Some("wrong-key"),
            StoreError::WorkerRuns { .. } => Some("worker-runs"),
            StoreError::Full { .. }
            | StoreError::Fenced { .. }
            | StoreError::Sql { .. }
            | StoreError::Unreadable { .. } => None,
        }
    }
}

impl Place {
    /// What an error of a driver means to a person.
    pub(super) fn explain(&self, error: sqlx::Error) -> StoreError {
        match self.engine {
            Engine::Sqlite => of_sqlite(&self.shown, error),
            Engine::Postgres => of_postgres(&self.shown, error),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the rest are faults of a foreign database and read the same to a person"
    )]
    pub(super) fn migration_failed(&self, error: sqlx::migrate::MigrateError, known: i64) -> StoreError {
        use sqlx::migrate::MigrateError;
        let path = self.shown.clone();
        match error {
            MigrateError::VersionMissing(found) | MigrateError::VersionTooNew(found, _) => {
                StoreError::Newer { path, found, known }
            }
            MigrateError::Dirty(version) => StoreError::HalfUpdated { path, version },
            MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => self.explain(e),
            other => StoreError::Open { path, why: format!("its tables cannot be brought up to date: {other}") },
        }
    }
}

/// SQLITE_IOERR_SHMSIZE: what a full disk looks like to somebody who opens the database.
const SHARED_MEMORY_HAS_NO_ROOM: i32 = 4874;

fn of_sqlite(path: &str, error: sqlx::Error) -> StoreError {
    let path = path.to_owned();
    let code = error.as_database_error().and_then(|e| e.code()).and_then(|c| c.parse::<i32>().ok());
    // SQLite's primary result codes: 5 busy, 6 locked, 8 read-only, 13 full, 14 cannot open, 26 not a database.
    if code == Some(SHARED_MEMORY_HAS_NO_ROOM) {
        return StoreError::Full { path };
    }
    match code.map(|c| c & 0xff) {
        Some(5 | 6) => StoreError::Locked { path },
        Some(8) => StoreError::ReadOnly { path },
        // Where nothing can be written SQLite fails before it comes to that: it cannot make the WAL.
        Some(14) if Path::new(&path).is_file() && fs_err::OpenOptions::new().append(true).open(&path).is_err() => {
            StoreError::ReadOnly { path }
        }
        Some(13) => StoreError::Full { path },
        Some(14) => StoreError::Open {
            path,
            why: "the file cannot be opened or created; look at its rights and those of its folder".into(),
        },
        Some(26) => StoreError::Open { path, why: "the file is not an SQLite database".into() },
        _ => StoreError::Sql { path, source: error },
    }
}

/// Classes and codes of PostgreSQL's appendix A.
#[expect(clippy::wildcard_enum_match_arm, reason = "the rest of the driver's errors are faults")]
fn of_postgres(path: &str, error: sqlx::Error) -> StoreError {
    let path = path.to_owned();
    let Some(refused) = error.as_database_error() else {
        return match error {
            sqlx::Error::Io(e) => StoreError::Unreachable { path, why: e.to_string() },
            sqlx::Error::Tls(e) => StoreError::Unreachable {
                path,
                why: format!("no safe connection ({e}); [database] url may say sslmode"),
            },
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                StoreError::Unreachable { path, why: "no connection in time".to_owned() }
            }
            sqlx::Error::Protocol(why) => StoreError::Unreachable { path, why },
            other => StoreError::Sql { path, source: other },
        };
    };
    // The messages of these classes name roles, tables and settings, never values of rows.
    let (code, why) = (refused.code().unwrap_or_default().into_owned(), refused.message().to_owned());
    match code.as_str() {
        "42501" => StoreError::Rights { path, why },
        "3D000" => StoreError::Open { path, why: format!("{why}; make it with `createdb`, or correct [database] url") },
        "25006" => StoreError::ReadOnly { path },
        "53100" => StoreError::Full { path },
        "53300" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => StoreError::Unreachable { path, why },
        "40001" | "40P01" | "55P03" | "57014" => StoreError::Busy { path, why },
        code if code.starts_with("28") => StoreError::Login { path, why },
        code if code.starts_with("08") => StoreError::Unreachable { path, why },
        _ => StoreError::Sql { path, source: error },
    }
}

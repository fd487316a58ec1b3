//! The only place with SQL. SQLite, embedded; the texts are written so that the same ones run on PostgreSQL.
//!
//! Invariants: one writer connection, so that a write never waits for another of its own process; every write is a
//! batch in one immediate transaction; sums (`tally`) change in the transaction of the facts they count. No personal
//! data passes through here unless sealed. Deliberately absent: any decision about a notice (see `model::decide`).

pub mod account;
pub mod approval;
pub mod campaign;
pub mod claim;
pub mod followup;
pub mod import;
pub mod integrity;
pub mod log;
pub mod plan;
pub mod preview;
pub mod receipt;
pub mod record;
pub mod route;
pub mod status;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, ConnectOptions as _, Connection as _};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// How many rows one statement of a batch carries; keeps below SQLite's 32,766 bound values.
pub const ROWS_PER_STATEMENT: usize = 500;

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
    #[error("the database {path} was made by a newer version of forewarn; use that version")]
    Newer { path: String },
    #[error("the database {path} was sealed with another master key than the one in [keys] master; give the right key")]
    WrongKey { path: String },
    #[error("another worker runs on {path}: one SQLite file serves one worker at a time; stop that worker first")]
    WorkerRuns { path: String },
    #[error(
        "the contacts of the list cannot wait in a file beside the database {path}; look at the space left there, then \
         run the command again: nothing was lost"
    )]
    Contacts {
        path: String,
        #[source]
        source: std::io::Error,
    },
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
    /// The code of what the operator can put right; `None` for a fault of the disk or of the database itself.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            StoreError::Open { .. } => Some("database-unusable"),
            StoreError::Locked { .. } => Some("database-locked"),
            StoreError::ReadOnly { .. } => Some("database-read-only"),
            StoreError::Newer { .. } => Some("database-newer"),
            StoreError::WrongKey { .. } => Some("wrong-key"),
            StoreError::WorkerRuns { .. } => Some("worker-runs"),
            StoreError::Full { .. }
            | StoreError::Contacts { .. }
            | StoreError::Sql { .. }
            | StoreError::Unreadable { .. } => None,
        }
    }
}

/// An open database.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
    writer: AnyPool,
    readers: AnyPool,
}

/// One transaction of writes.
pub struct Tx<'s> {
    store: &'s Store,
    connection: PoolConnection<Any>,
    committed: bool,
}

impl Store {
    /// Opens the SQLite file, creates it if it is not there, and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<Store, StoreError> {
        sqlx::any::install_default_drivers();
        let shown = path.display().to_string();
        let fail = |e: sqlx::Error| explain(&shown, e);
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty() && !p.exists()) {
            let why = format!("its folder {} does not exist", parent.display());
            return Err(StoreError::Open { path: shown, why });
        }
        let options = AnyConnectOptions::from_str(&format!("sqlite://{}?mode=rwc", encoded(path)?)).map_err(fail)?;
        let options = options.disable_statement_logging();
        try_to_write(&options).await.map_err(fail)?;
        let writer = pool(options.clone(), 1).await.map_err(fail)?;
        MIGRATIONS.run(&writer).await.map_err(|e| migration_failed(&shown, e))?;
        let readers = pool(options, 4).await.map_err(fail)?;
        restrict(path);
        Ok(Store { path: path.to_owned(), writer, readers })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a transaction that holds the write lock from its first moment, so that it cannot fail half-way for want
    /// of it.
    pub async fn begin(&self) -> Result<Tx<'_>, StoreError> {
        let mut connection = self.writer.acquire().await.map_err(|e| self.fail(e))?;
        sqlx::query("begin immediate").execute(&mut *connection).await.map_err(|e| self.fail(e))?;
        Ok(Tx { store: self, connection, committed: false })
    }

    /// Binds the database to the master key with this fingerprint, or says that it belongs to another.
    pub async fn claim_key(&self, fingerprint: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("insert into meta (name, value) values ('master-key', $1) on conflict do nothing")
            .bind(fingerprint)
            .execute(tx.conn())
            .await
            .map_err(|e| self.fail(e))?;
        let kept: String = sqlx::query_scalar("select value from meta where name = 'master-key'")
            .fetch_one(tx.conn())
            .await
            .map_err(|e| self.fail(e))?;
        if kept != fingerprint {
            return Err(StoreError::WrongKey { path: self.shown() });
        }
        tx.commit().await
    }

    /// Takes the right to send. Held until the guard is dropped or the process ends, however it ends.
    pub fn lock_for_worker(&self) -> Result<WorkerLock, StoreError> {
        let mut name = self.path.clone().into_os_string();
        name.push("-worker");
        let open = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(PathBuf::from(name));
        let file = open.map_err(|e| StoreError::Open { path: self.shown(), why: e.to_string() })?;
        match file.file().try_lock() {
            Ok(()) => Ok(WorkerLock { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::WorkerRuns { path: self.shown() }),
            Err(std::fs::TryLockError::Error(e)) => Err(StoreError::Open { path: self.shown(), why: e.to_string() }),
        }
    }

    /// Waits until all connections are closed; the file is then complete without its WAL.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    fn fail(&self, error: sqlx::Error) -> StoreError {
        explain(&self.shown(), error)
    }

    fn unreadable(&self, what: impl Into<String>) -> StoreError {
        StoreError::Unreadable { path: self.shown(), what: what.into() }
    }
}

/// The right to send on this database; see [`Store::lock_for_worker`].
#[derive(Debug)]
pub struct WorkerLock {
    _file: fs_err::File,
}

impl Tx<'_> {
    pub async fn commit(mut self) -> Result<(), StoreError> {
        sqlx::query("commit").execute(&mut *self.connection).await.map_err(|e| self.store.fail(e))?;
        self.committed = true;
        Ok(())
    }

    fn conn(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }

    fn fail(&self, error: sqlx::Error) -> StoreError {
        self.store.fail(error)
    }

    /// Adds to sums: (kind, name, change).
    async fn tally(
        &mut self,
        campaign: i64,
        changes: impl IntoIterator<Item = (String, String, i64)>,
    ) -> Result<(), StoreError> {
        let changes: Vec<serde_json::Value> = changes
            .into_iter()
            .filter(|(_, _, n)| *n != 0)
            .map(|(kind, name, n)| serde_json::json!([kind, name, n]))
            .collect();
        if changes.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into tally (campaign, kind, name, n)
             select $1, value ->> 0, value ->> 1, cast(value ->> 2 as bigint) from json_each($2) where true
             on conflict (campaign, kind, name) do update set n = tally.n + excluded.n",
        )
        .bind(campaign)
        .bind(json(&changes))
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }
}

impl Drop for Tx<'_> {
    /// What was not committed is undone by closing the connection: SQLite may have rolled back by itself (a full disk),
    /// and a connection that does not know whether it is in a transaction serves nobody.
    fn drop(&mut self) {
        if !self.committed {
            self.connection.close_on_drop();
        }
    }
}

/// A batch as one JSON text, the form in which many rows travel in one bound value.
///
/// Statements that look rows up by a batch write the campaign as `$1 + 0 * …` of the batch's row: with a plain `$1` the
/// planner walks the whole campaign for every batch instead of looking up each row.
fn json(rows: &[serde_json::Value]) -> String {
    serde_json::to_string(rows).unwrap_or_default()
}

/// Opens the file once by itself: a pool would hide why it cannot, behind a time-out.
async fn try_to_write(options: &AnyConnectOptions) -> Result<(), sqlx::Error> {
    let mut connection = AnyConnection::connect_with(options).await?;
    prepare(&mut connection).await?;
    for statement in ["begin immediate", "rollback"] {
        sqlx::query(statement).execute(&mut connection).await?;
    }
    connection.close().await
}

async fn pool(options: AnyConnectOptions, most: u32) -> Result<AnyPool, sqlx::Error> {
    AnyPoolOptions::new()
        .max_connections(most)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(Duration::from_secs(30))
        .after_connect(|connection, _| Box::pin(prepare(connection)))
        .connect_with(options)
        .await
}

async fn prepare(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    for pragma in [
        "pragma busy_timeout = 10000",
        "pragma journal_mode = wal",
        "pragma synchronous = full",
        "pragma foreign_keys = on",
        "pragma secure_delete = on",
        "pragma cache_size = -32000",
        "pragma wal_autocheckpoint = 4000",
        "pragma temp_store = file",
    ] {
        sqlx::query(pragma).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The path as the part of a URL: whole, so that no folder is taken for a host, and without `..`, which a URL would
/// take away without asking the disk.
fn encoded(path: &Path) -> Result<String, StoreError> {
    let failed = |why: String| StoreError::Open { path: path.display().to_string(), why };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = fs_err::canonicalize(folder).map_err(|e| failed(e.to_string()))?;
    let whole = folder.join(path.file_name().ok_or_else(|| failed("it names no file".to_owned()))?);
    let text = whole.to_str().ok_or_else(|| failed("its name is not UTF-8".to_owned()))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-_.".contains(&b);
    Ok(text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect())
}

/// Others on the machine have no business in the database.
fn restrict(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        for suffix in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            if let Err(error) = fs_err::set_permissions(PathBuf::from(name), std::fs::Permissions::from_mode(0o600)) {
                tracing::debug!(%error, "the database's file mode stays as it is");
            }
        }
    }
}

/// SQLITE_IOERR_SHMSIZE: what a full disk looks like to somebody who opens the database.
const SHARED_MEMORY_HAS_NO_ROOM: i32 = 4874;

fn explain(path: &str, error: sqlx::Error) -> StoreError {
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

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest are faults of a foreign file and read the same to a person"
)]
fn migration_failed(path: &str, error: sqlx::migrate::MigrateError) -> StoreError {
    use sqlx::migrate::MigrateError;
    match error {
        MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
            StoreError::Newer { path: path.to_owned() }
        }
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => explain(path, e),
        other => {
            StoreError::Open { path: path.to_owned(), why: format!("its tables cannot be brought up to date: {other}") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_may_lie_in_a_folder_of_any_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["it's a demo", "100%?#", "文件 夹", "%41", "-d:x@y"] {
            let inner = folder.path().join(name);
            fs_err::create_dir(&inner).unwrap();
            let path = inner.join("my list.db");
            let store = Store::open(&path).await.expect(name);
            store.claim_key("k").await.expect(name);
            store.close().await;
            assert!(path.is_file(), "{name}");
        }
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 5, "and nowhere else");
    }
}

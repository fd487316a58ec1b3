//! The only place with SQL: SQLite, embedded, and PostgreSQL, shared by many workers.
//!
//! Invariants: one writer connection, so that a write never waits for another of its own process; every write is a
//! batch in one transaction; sums (`tally`) change in the transaction of the facts they count. The statements are the
//! same on both engines; where they differ the two texts stand side by side. No personal data passes through here
//! unless sealed. Deliberately absent: any decision about a notice (see `model::decide`).

pub mod account;
pub mod approval;
pub mod campaign;
pub mod claim;
pub mod desk;
mod engine;
pub mod erase;
mod error;
pub mod fact;
pub mod followup;
pub mod import;
pub mod integrity;
pub mod leaf;
mod lock;
pub mod log;
pub mod mailbox;
pub mod overdue;
mod owed;
pub mod plan;
mod postgres;
pub mod preview;
pub mod receipt;
pub mod reconcile;
pub mod record;
pub mod report;
pub mod route;
pub mod sequence;
pub mod settle;
pub mod shown;
mod sqlite;
pub mod status;
pub mod suspension;
pub mod time_stamp;
pub mod tree;
pub mod worker;

pub(crate) use engine::Engine;
use engine::Place;
pub use error::StoreError;
pub use lock::{ImportLock, WorkerLock};

use sqlx::any::AnyConnectOptions;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, ConnectOptions as _};
use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use url::Url;

/// How many rows one statement of a batch carries; keeps below SQLite's 32,766 bound values.
pub const ROWS_PER_STATEMENT: usize = 500;

/// An open database.
#[derive(Clone, Debug)]
pub struct Store {
    place: Arc<Place>,
    /// What was learnt of the evidence log.
    known: Arc<leaf::Known>,
    writer: AnyPool,
    readers: AnyPool,
}

/// One transaction of writes.
pub struct Tx<'s> {
    store: &'s Store,
    connection: PoolConnection<Any>,
    committed: bool,
    /// Changes of sums, written together at the end: (campaign, kind, name).
    sums: BTreeMap<(i64, String, String), i64>,
    /// Facts for the evidence log, written together at the end.
    leaves: leaf::Leaves,
    /// A campaign was made in it, of which nothing may be remembered before it is committed.
    made_campaign: bool,
}

impl Store {
    /// Opens the SQLite file, creates it if it is not there, and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<Store, StoreError> {
        sqlx::any::install_default_drivers();
        let shown = path.display().to_string();
        let place = Place { engine: Engine::Sqlite, path: Some(path.to_owned()), shown };
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty() && !p.exists()) {
            let why = format!("its folder {} does not exist", parent.display());
            return Err(StoreError::Open { path: place.shown, why });
        }
        let fail = |e: sqlx::Error| place.explain(e);
        let url = format!("sqlite://{}?mode=rwc", sqlite::encoded(path)?);
        let options = AnyConnectOptions::from_str(&url).map_err(fail)?.disable_statement_logging();
        sqlite::try_to_write(&options).await.map_err(fail)?;
        let writer = sqlite::pool(options.clone(), 1).await.map_err(fail)?;
        migrate(&sqlite::MIGRATIONS, &writer, &place).await?;
        let readers = sqlite::pool(options, 4).await.map_err(fail)?;
        sqlite::restrict(path);
        Ok(Store { place: Arc::new(place), known: Arc::default(), writer, readers })
    }

    /// Connects to the PostgreSQL database at this address and brings its tables up to date.
    pub async fn connect(url: &Url) -> Result<Store, StoreError> {
        sqlx::any::install_default_drivers();
        let place = Place { engine: Engine::Postgres, path: None, shown: postgres::shown(url) };
        let options = postgres::options(url, &place)?;
        postgres::try_it(&options, &place).await?;
        let writer = postgres::pool(options.clone(), 1);
        migrate(&postgres::MIGRATIONS, &writer, &place).await?;
        let readers = postgres::pool(options, 4);
        Ok(Store { place: Arc::new(place), known: Arc::default(), writer, readers })
    }

    /// The file of the embedded database.
    pub fn path(&self) -> Option<&Path> {
        self.place.path.as_deref()
    }

    /// Whether several workers may share the database.
    pub fn is_shared(&self) -> bool {
        self.place.engine == Engine::Postgres
    }

    /// What the database is called in reports; no secret.
    pub fn shown(&self) -> String {
        self.place.shown.clone()
    }

    fn engine(&self) -> Engine {
        self.place.engine
    }

    /// The version of the tables that this program knows.
    fn known_schema(&self) -> i64 {
        newest(match self.engine() {
            Engine::Sqlite => &sqlite::MIGRATIONS,
            Engine::Postgres => &postgres::MIGRATIONS,
        })
    }

    /// Starts a transaction of writes. On SQLite it holds the write lock from its first moment, so that it cannot fail
    /// half-way for want of it.
    pub async fn begin(&self) -> Result<Tx<'_>, StoreError> {
        self.begin_with(match self.engine() {
            Engine::Sqlite => "begin immediate".to_owned(),
            Engine::Postgres => "begin".to_owned(),
        })
        .await
    }

    /// Starts the transaction of a worker's turn: nobody changes the state of these campaigns before it ends, and on a
    /// shared server it does not outlive a worker that stands still.
    pub async fn begin_turn(&self, campaigns: impl Iterator<Item = i64>) -> Result<Tx<'_>, StoreError> {
        match self.engine() {
            Engine::Sqlite => self.begin().await,
            Engine::Postgres => {
                let mut text = "begin; set local idle_in_transaction_session_timeout = '10s'".to_owned();
                for no in campaigns {
                    text.push_str(&engine::lock_campaign(no, engine::Hold::Shared));
                }
                self.begin_with(text).await
            }
        }
    }

    /// Starts a transaction beside those of a worker's turns, which it need not wait for where several may write.
    pub async fn begin_beside(&self) -> Result<Tx<'_>, StoreError> {
        match self.engine() {
            Engine::Sqlite => self.begin().await,
            Engine::Postgres => {
                let text = "begin; set local idle_in_transaction_session_timeout = '10s'".to_owned();
                self.begin_on(&self.readers, text).await
            }
        }
    }

    async fn begin_with(&self, text: String) -> Result<Tx<'_>, StoreError> {
        self.begin_on(&self.writer, text).await
    }

    async fn begin_on(&self, pool: &AnyPool, text: String) -> Result<Tx<'_>, StoreError> {
        let connection = pool.acquire().await.map_err(|e| self.fail(e))?;
        let (sums, leaves) = (BTreeMap::new(), leaf::Leaves::default());
        // Before the first statement: whoever is cancelled in the middle of it must not leave a connection behind that is
        // in a transaction.
        let mut tx = Tx { store: self, connection, committed: false, sums, leaves, made_campaign: false };
        sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(tx.conn()).await.map_err(|e| self.fail(e))?;
        Ok(tx)
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

    /// Waits until all connections are closed; the file is then complete without its WAL.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    fn fail(&self, error: sqlx::Error) -> StoreError {
        self.place.explain(error)
    }

    fn unreadable(&self, what: impl Into<String>) -> StoreError {
        StoreError::Unreadable { path: self.shown(), what: what.into() }
    }
}

impl Tx<'_> {
    pub async fn commit(mut self) -> Result<(), StoreError> {
        self.write_leaves().await?;
        self.write_sums().await?;
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

    fn engine(&self) -> Engine {
        self.store.engine()
    }

    /// The rows of a selection by [`Engine::packed`].
    async fn unpacked<T: serde::de::DeserializeOwned>(
        &mut self,
        query: sqlx::query::Query<'_, Any, sqlx::any::AnyArguments>,
    ) -> Result<Vec<T>, StoreError> {
        let row = query.fetch_one(self.conn()).await.map_err(|e| self.fail(e))?;
        let text: String = self.store.get(&row, 0)?;
        serde_json::from_str(&text).map_err(|_| self.store.unreadable("the rows of a selection"))
    }

    /// Adds to sums: (kind, name, change).
    fn tally(&mut self, campaign: i64, changes: impl IntoIterator<Item = (String, String, i64)>) {
        for (kind, name, n) in changes {
            *self.sums.entry((campaign, kind, name)).or_default() += n;
        }
    }

    /// Writes the changes of the sums: last of all, since others wait for these rows, and in one order, so that nobody
    /// waits in a circle.
    async fn write_sums(&mut self) -> Result<(), StoreError> {
        let changes: Vec<serde_json::Value> = std::mem::take(&mut self.sums)
            .into_iter()
            .filter(|(_, n)| *n != 0)
            .map(|((campaign, kind, name), n)| serde_json::json!([campaign, kind, name, n]))
            .collect();
        if changes.is_empty() {
            return Ok(());
        }
        sqlx::query(self.engine().by_batch(
            "insert into tally (campaign, kind, name, n)
             select cast(value ->> 0 as bigint), value ->> 1, value ->> 2, cast(value ->> 3 as bigint)
             from json_each($1) where true
             on conflict (campaign, kind, name) do update set n = tally.n + excluded.n",
        ))
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

async fn migrate(migrations: &sqlx::migrate::Migrator, pool: &AnyPool, place: &Place) -> Result<(), StoreError> {
    migrations.run(pool).await.map_err(|e| place.migration_failed(e, newest(migrations)))
}

fn newest(migrations: &sqlx::migrate::Migrator) -> i64 {
    migrations.iter().map(|m| m.version).max().unwrap_or_default()
}

/// A batch as one JSON text, the form in which many rows travel in one bound value.
fn json(rows: &[impl serde::Serialize]) -> String {
    let text = serde_json::to_string(rows).unwrap_or_default();
    // PostgreSQL has no text with this character in it, and nobody else has a use for it.
    if text.contains("\\u0000") { text.replace("\\u0000", "\\ufffd") } else { text }
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

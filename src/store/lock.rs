//! Rights that one process has alone. They end with the process, however it ends.

use super::engine::try_import;
use super::{Store, StoreError};
use sqlx::Any;
use sqlx::pool::PoolConnection;
use std::path::PathBuf;

/// The right to send; see [`Store::lock_for_worker`].
#[derive(Debug)]
pub struct WorkerLock {
    _file: Option<fs_err::File>,
}

/// The right to take a list in; see [`Store::lock_for_import`].
#[derive(Debug)]
pub struct ImportLock {
    _file: Option<fs_err::File>,
    /// Its end of the line holds the lock.
    connection: Option<PoolConnection<Any>>,
}

impl Store {
    /// Takes the right to send where one process at a time may; held until the guard is dropped or the process ends. A
    /// shared database has leases instead, see [`super::worker`].
    pub fn lock_for_worker(&self) -> Result<WorkerLock, StoreError> {
        match self.lock_file("-worker")? {
            Some(None) => Err(StoreError::WorkerRuns { path: self.shown() }),
            Some(file) => Ok(WorkerLock { _file: file }),
            None => Ok(WorkerLock { _file: None }),
        }
    }

    /// Takes the right to take a list into a campaign, which two commands at once would spoil for each other.
    pub async fn lock_for_import(&self, campaign: i64) -> Result<ImportLock, StoreError> {
        let busy = || {
            let why = "another command is taking in a list".to_owned();
            StoreError::Busy { path: self.shown(), why }
        };
        match self.lock_file("-import")? {
            Some(None) => return Err(busy()),
            Some(file) => return Ok(ImportLock { _file: file, connection: None }),
            None => {}
        }
        let mut connection = self.readers.acquire().await.map_err(|e| self.fail(e))?;
        let free: bool = sqlx::query_scalar(sqlx::AssertSqlSafe(try_import(campaign)))
            .fetch_one(&mut *connection)
            .await
            .map_err(|e| self.fail(e))?;
        if free { Ok(ImportLock { _file: None, connection: Some(connection) }) } else { Err(busy()) }
    }

    /// Locks a file beside the embedded database: `Some(None)` where another process has it, `None` where the database
    /// is no file.
    fn lock_file(&self, suffix: &str) -> Result<Option<Option<fs_err::File>>, StoreError> {
        let Some(path) = self.path() else { return Ok(None) };
        let mut name = path.to_owned().into_os_string();
        name.push(suffix);
        let open = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(PathBuf::from(name));
        let file = open.map_err(|e| StoreError::Open { path: self.shown(), why: e.to_string() })?;
        match file.file().try_lock() {
            Ok(()) => Ok(Some(Some(file))),
            Err(std::fs::TryLockError::WouldBlock) => Ok(Some(None)),
            Err(std::fs::TryLockError::Error(e)) => Err(StoreError::Open { path: self.shown(), why: e.to_string() }),
        }
    }
}

impl Drop for ImportLock {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.close_on_drop();
        }
    }
}

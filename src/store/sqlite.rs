//! Opening the embedded engine: one file, one writer.

use super::StoreError;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, Connection as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// Opens the file once by itself: a pool would hide why it cannot, behind a time-out.
pub(super) async fn try_to_write(options: &AnyConnectOptions) -> Result<(), sqlx::Error> {
    let mut connection = AnyConnection::connect_with(options).await?;
    prepare(&mut connection).await?;
    for statement in ["begin immediate", "rollback"] {
        sqlx::query(statement).execute(&mut connection).await?;
    }
    connection.close().await
}

pub(super) async fn pool(options: AnyConnectOptions, most: u32) -> Result<AnyPool, sqlx::Error> {
    AnyPoolOptions::new()
        .max_connections(most)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(Duration::from_secs(30))
        // A file does not go away, and to ask costs two turns between threads.
        .test_before_acquire(false)
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
        "pragma cache_size = -16000",
        "pragma wal_autocheckpoint = 16000",
        "pragma temp_store = file",
    ] {
        sqlx::query(pragma).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The path as the part of a URL: whole, so that no folder is taken for a host, and without `..`, which a URL would
/// take away without asking the disk.
pub(super) fn encoded(path: &Path) -> Result<String, StoreError> {
    let failed = |why: String| StoreError::Open { path: path.display().to_string(), why };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = fs_err::canonicalize(folder).map_err(|e| failed(e.to_string()))?;
    let whole = folder.join(path.file_name().ok_or_else(|| failed("it names no file".to_owned()))?);
    let text = whole.to_str().ok_or_else(|| failed("its name is not UTF-8".to_owned()))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-_.".contains(&b);
    Ok(text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect())
}

/// Others on the machine have no business in the database.
pub(super) fn restrict(path: &Path) {
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

//! Whether the database itself is sound: what `doctor` asks of it.

use super::{Engine, Store, StoreError};

/// How many findings of SQLite's own check are kept.
const KEPT: usize = 5;

impl Store {
    /// What SQLite finds wrong with the structure of the file; nothing in a sound one. PostgreSQL looks after its own.
    pub async fn quick_check(&self) -> Result<Vec<String>, StoreError> {
        if self.engine() == Engine::Postgres {
            return Ok(Vec::new());
        }
        let found: Vec<String> =
            sqlx::query_scalar("pragma quick_check").fetch_all(&self.readers).await.map_err(|e| self.fail(e))?;
        Ok(found.into_iter().filter(|line| line != "ok").take(KEPT).collect())
    }

    /// The number of the last migration that was applied.
    pub async fn schema_version(&self) -> Result<i64, StoreError> {
        sqlx::query_scalar("select coalesce(max(version), 0) from _sqlx_migrations")
            .fetch_one(&self.readers)
            .await
            .map_err(|e| self.fail(e))
    }

    /// Says when a newer version of the program has changed the tables meanwhile.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        self.is_understood(self.schema_version().await?)
    }

    fn is_understood(&self, found: i64) -> Result<(), StoreError> {
        let known = self.known_schema();
        if found > known { Err(StoreError::Newer { path: self.shown(), found, known }) } else { Ok(()) }
    }

    /// Whether the database answers and its tables are those of this program, neither newer nor older.
    pub async fn is_ready(&self) -> Result<(), StoreError> {
        let (found, known) = (self.schema_version().await?, self.known_schema());
        if found < known {
            return Err(self.unreadable(format!("tables of version {found}, where this program needs version {known}")));
        }
        self.is_understood(found)
    }

    /// Takes the write lock and gives it back: shows that the file can be written and nobody else holds it.
    pub async fn try_to_write(&self) -> Result<(), StoreError> {
        self.begin().await?.commit().await
    }
}

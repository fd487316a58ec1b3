//! PostgreSQL: text as the server writes it, by the simple protocol, in one read-only snapshot.

use super::{Broken, Column, DatabaseProblem, Ending, NoText, OpenError, Outlet, SqlError};
use super::{broken_off, headings, pump, refusal, within_patience};
use futures_util::StreamExt as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions as _, Executor as _, Row as _, SqlSafeStr as _};
use sqlx::{Statement as _, TypeInfo as _};
use std::path::Path;

const BEGIN: &str = "begin isolation level repeatable read, read only";

pub(super) async fn read(connection: &str, query: String, path: &Path, outlet: &mut Outlet) -> Result<Ending, Broken> {
    let refused = |problem| OpenError::Database { path: path.to_owned(), problem };
    let options: PgConnectOptions = connection.parse().map_err(|_| refused(DatabaseProblem::BadConnectionString))?;
    // The driver's own log would quote the query.
    let options = options.disable_statement_logging().application_name("forewarn");
    let mut connection = within_patience(options.connect()).await.map_err(refused)?;
    // A server that is asked to prepare takes one statement only.
    let columns = columns(&mut connection, query.clone()).await.map_err(|error| refused(refusal(&error)))?;
    let not_text = |kind: &str| kind.starts_with("BYTEA");
    headings("PostgreSQL", &columns, not_text, outlet, path)?;
    sqlx::raw_sql(BEGIN).execute(&mut connection).await.map_err(|error| broken_off(&error))?;
    let rows = sqlx::raw_sql(AssertSqlSafe(query)).fetch(&mut connection).boxed();
    pump(rows, &columns, |row, at| text(row, at, &columns), outlet).await
}

async fn columns(connection: &mut PgConnection, query: String) -> Result<Vec<Column>, SqlError> {
    let statement = connection.prepare(AssertSqlSafe(query).into_sql_str()).await?;
    let column =
        |c: &sqlx::postgres::PgColumn| Column { name: c.name().to_owned(), kind: c.type_info().name().to_owned() };
    Ok(statement.columns().iter().map(column).collect())
}

fn text(row: &PgRow, at: usize, columns: &[Column]) -> Result<Option<String>, NoText> {
    let text: Option<String> = row.try_get_unchecked(at).map_err(|_| NoText)?;
    let is_flag = columns.get(at).is_some_and(|column| column.kind == "BOOL");
    Ok(match text.as_deref() {
        Some("t") if is_flag => Some("true".to_owned()),
        Some("f") if is_flag => Some("false".to_owned()),
        _ => text,
    })
}

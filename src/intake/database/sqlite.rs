//! SQLite: a file that is opened for reading only. Its columns have types, but each value has one of its own.

use super::{Broken, Column, DatabaseProblem, Ending, NoText, OpenError, Outlet, SqlError};
use super::{broken_off, headings, pump, refusal, within_patience};
use futures_util::StreamExt as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions as _, Executor as _, Row as _, SqlSafeStr as _};
use sqlx::{Statement as _, TypeInfo as _, ValueRef as _};
use std::path::Path;

pub(super) async fn read(connection: &str, query: String, path: &Path, outlet: &mut Outlet) -> Result<Ending, Broken> {
    let refused = |problem| OpenError::Database { path: path.to_owned(), problem };
    let options: SqliteConnectOptions =
        connection.parse().map_err(|_| refused(DatabaseProblem::BadConnectionString))?;
    if !options.get_filename().is_file() {
        return Err(refused(DatabaseProblem::NoSuchFile).into());
    }
    let options = options.read_only(true).create_if_missing(false).pragma("query_only", "on");
    let options = options.disable_statement_logging().row_buffer_size(64);
    let mut connection = within_patience(options.connect()).await.map_err(refused)?;
    let columns = columns(&mut connection, query.clone()).await.map_err(|error| refused(refusal(&error)))?;
    headings("SQLite", &columns, |kind| kind == "BLOB", outlet, path)?;
    sqlx::raw_sql("begin").execute(&mut connection).await.map_err(|error| broken_off(&error))?;
    let rows = sqlx::query(AssertSqlSafe(query)).fetch(&mut connection).boxed();
    pump(rows, &columns, |row, at| text(row, at, &columns), outlet).await
}

async fn columns(connection: &mut SqliteConnection, query: String) -> Result<Vec<Column>, SqlError> {
    let statement = connection.prepare(AssertSqlSafe(query).into_sql_str()).await?;
    let column =
        |c: &sqlx::sqlite::SqliteColumn| Column { name: c.name().to_owned(), kind: c.type_info().name().to_owned() };
    Ok(statement.columns().iter().map(column).collect())
}

fn text(row: &SqliteRow, at: usize, columns: &[Column]) -> Result<Option<String>, NoText> {
    let value = row.try_get_raw(at).map_err(|_| NoText)?;
    if value.is_null() {
        return Ok(None);
    }
    let kind = value.type_info().name().to_owned();
    let is_flag = columns.get(at).is_some_and(|column| column.kind == "BOOLEAN");
    match kind.as_str() {
        "INTEGER" | "BOOLEAN" => {
            let number: i64 = row.try_get_unchecked(at).map_err(|_| NoText)?;
            Ok(Some(match number {
                1 if is_flag => "true".to_owned(),
                0 if is_flag => "false".to_owned(),
                number => number.to_string(),
            }))
        }
        "REAL" => {
            let number: f64 = row.try_get_unchecked(at).map_err(|_| NoText)?;
            // `Display` of a float writes all digits and never an exponent.
            Ok(Some(number.to_string()))
        }
        "BLOB" => Err(NoText),
        _ => row.try_get_unchecked(at).map_err(|_| NoText),
    }
}

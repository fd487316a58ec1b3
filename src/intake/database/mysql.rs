//! MySQL and MariaDB: text as the server writes it, by the text protocol, in one read-only snapshot (of tables that keep
//! versions, as InnoDB does).

use super::{Broken, Column, DatabaseProblem, Ending, NoText, OpenError, Outlet, SqlError};
use super::{broken_off, headings, pump, refusal, within_patience};
use futures_util::StreamExt as _;
use sqlx::mysql::{MySql, MySqlColumn, MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions as _, Executor as _, Row as _, SqlSafeStr as _};
use sqlx::{Statement as _, Type, TypeInfo as _};
use std::path::Path;

/// The snapshot; and the patience of a server whose rows are taken as fast as persons can be sealed and stored.
const BEGIN: [&str; 3] = [
    "set session net_write_timeout = 3600",
    "set session transaction isolation level repeatable read",
    "start transaction with consistent snapshot, read only",
];
const NOT_TEXT: [&str; 8] = ["BIT", "BINARY", "VARBINARY", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "GEOMETRY"];

pub(super) async fn read(connection: &str, query: String, path: &Path, outlet: &mut Outlet) -> Result<Ending, Broken> {
    let refused = |problem| OpenError::Database { path: path.to_owned(), problem };
    let options: MySqlConnectOptions = connection.parse().map_err(|_| refused(DatabaseProblem::BadConnectionString))?;
    // The query means what it means in the customer's own tools, so the driver's own SQL mode is not wanted; and its log
    // would quote the query.
    let options = options.pipes_as_concat(false).no_engine_substitution(false).disable_statement_logging();
    let mut connection = within_patience(options.connect()).await.map_err(refused)?;
    // A server that is asked to prepare takes one statement only.
    let columns = columns(&mut connection, query.clone()).await.map_err(|error| refused(refusal(&error)))?;
    headings("MySQL", &columns, |kind| NOT_TEXT.contains(&kind), outlet, path)?;
    for statement in BEGIN {
        sqlx::raw_sql(statement).execute(&mut connection).await.map_err(|error| broken_off(&error))?;
    }
    let rows = sqlx::raw_sql(AssertSqlSafe(query)).fetch(&mut connection).boxed();
    pump(rows, &columns, |row, at| text(row, at, &columns), outlet).await
}

async fn columns(connection: &mut MySqlConnection, query: String) -> Result<Vec<Column>, SqlError> {
    let statement = connection.prepare(AssertSqlSafe(query).into_sql_str()).await?;
    let column = |c: &MySqlColumn| {
        // A text that is compared byte by byte is called binary, and is text all the same.
        let is_text = <str as Type<MySql>>::compatible(c.type_info());
        let kind = if is_text { "TEXT" } else { c.type_info().name() };
        Column { name: c.name().to_owned(), kind: kind.to_owned() }
    };
    Ok(statement.columns().iter().map(column).collect())
}

fn text(row: &MySqlRow, at: usize, columns: &[Column]) -> Result<Option<String>, NoText> {
    let text: Option<String> = row.try_get_unchecked(at).map_err(|_| NoText)?;
    let is_flag = columns.get(at).is_some_and(|column| column.kind == "BOOLEAN");
    Ok(match text.as_deref() {
        Some("1") if is_flag => Some("true".to_owned()),
        Some("0") if is_flag => Some("false".to_owned()),
        _ => text,
    })
}

//! What a query of the customer's own database returns, as a stream of rows.
//!
//! PostgreSQL, MySQL and MariaDB, and SQLite, each by its own driver. The query runs in one transaction that reads only,
//! on one snapshot, and only when the first row is asked for; rows come as the server makes them, and the server waits
//! when nobody takes them. Values come as the text that the server itself writes, so that no number or date is changed
//! on the way. Errors never hold the connection string; errors while rows come never hold the server's words either,
//! because servers quote values.

mod mysql;
mod postgres;
mod sqlite;
mod statement;

use super::error::OpenError;
use super::table::{Broken, Ending, Fault, Opened, Outlet, TableReader, TableRow};
use futures_util::stream::{BoxStream, StreamExt as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use sqlx::Error as SqlError;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// How long a server may take to answer a knock.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why a database cannot be read.
#[derive(Debug, Error)]
pub enum DatabaseProblem {
    #[error(
        "the connection string is for no database that can be read; it begins with postgres://, mysql://, mariadb:// or \
         sqlite://"
    )]
    UnknownKind,
    #[error("the connection string cannot be understood; look at its parts (the password must be percent-encoded)")]
    BadConnectionString,
    #[error("the database does not answer ({why}); look at its host, port and network")]
    Unreachable { why: String },
    #[error("the database refuses the user or the password; look at both, and at the user's right to connect")]
    LoginRefused,
    #[error("the server has no database of that name, or the user may not use it; look at the connection string")]
    NoSuchDatabase,
    #[error("the database file cannot be opened; look at its path and permissions")]
    NoSuchFile,
    #[error("the query {why}; write one SELECT that returns the customers")]
    NotASelect { why: &'static str },
    #[error("the database does not understand the query: {words}")]
    BadQuery { words: String },
    #[error(
        "column {column:?} of the query is of the type {kind}, which is no text; leave it out, or turn it into text in \
         the query"
    )]
    NotText { column: String, kind: String },
    #[error("the query returns no columns; write a SELECT with a list of columns")]
    NoColumns,
}

/// The databases there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Postgres,
    MySql,
    Sqlite,
}

impl Kind {
    fn of(connection: &str) -> Option<Kind> {
        match connection.split_once(':')?.0 {
            "postgres" | "postgresql" => Some(Kind::Postgres),
            "mysql" | "mariadb" => Some(Kind::MySql),
            "sqlite" => Some(Kind::Sqlite),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Postgres => "PostgreSQL",
            Kind::MySql => "MySQL",
            Kind::Sqlite => "SQLite",
        }
    }
}

/// Opens the result of the query: its name in messages, its headings, its rows.
pub(super) fn open(query: &str, connection: &SecretString) -> Result<(PathBuf, Opened, TableReader), OpenError> {
    let refused = |list: &str, problem| OpenError::Database { path: PathBuf::from(list), problem };
    let Some(kind) = Kind::of(connection.expose_secret()) else {
        return Err(refused("the database", DatabaseProblem::UnknownKind));
    };
    let list = format!("the query of {}", kind.name());
    let query = statement::only_select(query).map_err(|why| refused(&list, DatabaseProblem::NotASelect { why }))?;
    let (query, connection, path) = (query.to_owned(), connection.clone(), PathBuf::from(&list));
    let (opened, reader) = TableReader::open(Path::new(&list), move |outlet| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Broken::Failed)?;
        runtime.block_on(async {
            match kind {
                Kind::Postgres => postgres::read(connection.expose_secret(), query, &path, outlet).await,
                Kind::MySql => mysql::read(connection.expose_secret(), query, &path, outlet).await,
                Kind::Sqlite => sqlite::read(connection.expose_secret(), query, &path, outlet).await,
            }
        })
    })?;
    Ok((PathBuf::from(list), opened, reader))
}

/// The digest of what the query returns now, as a reader of it gives at the end.
pub fn query_digest(query: &str, connection: &SecretString) -> Result<String, OpenError> {
    let (path, _, mut reader) = open(query, connection)?;
    let mut record = super::records::Record::default();
    let unreadable = |source| OpenError::Unreadable { path: path.clone(), source };
    while reader.read(&mut record, 0).map_err(unreadable)? {}
    Ok(reader.ending().map(|ending| ending.digest.clone()).unwrap_or_default())
}

/// A column of the result.
struct Column {
    name: String,
    kind: String,
}

/// What came of knocking at a database.
async fn within_patience<T>(knock: impl Future<Output = Result<T, SqlError>>) -> Result<T, DatabaseProblem> {
    match tokio::time::timeout(PATIENCE, knock).await {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(error)) => Err(said(&error, |words| DatabaseProblem::Unreachable { why: words })),
        Err(_) => Err(DatabaseProblem::Unreachable { why: format!("no answer within {} s", PATIENCE.as_secs()) }),
    }
}

/// What a database says of a query that it has not run yet.
fn refusal(error: &SqlError) -> DatabaseProblem {
    said(error, |words| DatabaseProblem::BadQuery { words })
}

/// What a database says before it has read any data: its words are about the query and the login.
#[expect(clippy::wildcard_enum_match_arm, reason = "the driver has a dozen further errors, and says there may be more")]
fn said(error: &SqlError, otherwise: fn(String) -> DatabaseProblem) -> DatabaseProblem {
    match error {
        SqlError::Database(said) => match said.code().as_deref().unwrap_or("") {
            "28P01" | "28000" => DatabaseProblem::LoginRefused,
            "3D000" | "42000" if said.message().contains("atabase") && !said.message().contains("syntax") => {
                DatabaseProblem::NoSuchDatabase
            }
            "14" => DatabaseProblem::NoSuchFile,
            _ => otherwise(said.message().to_owned()),
        },
        SqlError::Configuration(_) => DatabaseProblem::BadConnectionString,
        SqlError::Io(error) => DatabaseProblem::Unreachable { why: error.kind().to_string() },
        SqlError::Tls(_) => DatabaseProblem::Unreachable { why: "no encrypted connection came about".to_owned() },
        _ => DatabaseProblem::Unreachable { why: "it does not speak as expected".to_owned() },
    }
}

/// What a database says while rows come: its code, never its words.
#[expect(clippy::wildcard_enum_match_arm, reason = "the driver has a dozen further errors, and says there may be more")]
fn broken_off(error: &SqlError) -> Broken {
    let why = match error {
        SqlError::Database(said) => match said.code() {
            Some(code) => format!("the database ended the query with the error {code}"),
            None => "the database ended the query with an error".to_owned(),
        },
        SqlError::Io(error) => format!("the connection to the database broke ({})", error.kind()),
        _ => "the connection to the database broke".to_owned(),
    };
    Broken::Failed(io::Error::other(why))
}

/// Hands the columns over as headings, unless one of them is no text.
fn headings(
    kind: &'static str,
    columns: &[Column],
    not_text: impl Fn(&str) -> bool,
    outlet: &mut Outlet,
    path: &Path,
) -> Result<(), Broken> {
    let refused = |problem| OpenError::Database { path: path.to_owned(), problem };
    if columns.is_empty() {
        return Err(refused(DatabaseProblem::NoColumns).into());
    }
    if let Some(Column { name, kind }) = columns.iter().find(|column| not_text(&column.kind)) {
        return Err(refused(DatabaseProblem::NotText { column: name.clone(), kind: kind.clone() }).into());
    }
    outlet.opened(Opened { headings: columns.iter().map(|c| c.name.clone()).collect(), kind, sheet: None })
}

/// A value that is there and is no text.
struct NoText;

/// Hands over the rows to the last. `cell` gives the text of a value, `None` for none.
async fn pump<R>(
    mut rows: BoxStream<'_, Result<R, SqlError>>,
    columns: &[Column],
    cell: impl Fn(&R, usize) -> Result<Option<String>, NoText>,
    outlet: &mut Outlet,
) -> Result<Ending, Broken> {
    let mut digest = Sha256::new();
    let mut add = |text: Option<&str>| {
        // The length first, so that no two results have the same bytes.
        digest.update(text.map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
        digest.update(text.unwrap_or(""));
    };
    columns.iter().for_each(|column| add(Some(&column.name)));
    let mut place = 0;
    while let Some(row) = rows.next().await {
        let row = row.map_err(|error| broken_off(&error))?;
        place += 1;
        let mut taken = TableRow { place, ..TableRow::default() };
        for (at, column) in columns.iter().enumerate() {
            let text = cell(&row, at).unwrap_or_else(|NoText| {
                let message = format!(
                    "the value of column {:?} is no text, and was taken as empty; turn it into text in the query",
                    column.name
                );
                taken.faults.push(Fault { column: at, code: "cell-error", message, lost: true });
                None
            });
            add(text.as_deref());
            taken.cells.push(text.unwrap_or_default());
        }
        outlet.row(taken)?;
    }
    let digest = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Ending { digest, notices: Vec::new() })
}

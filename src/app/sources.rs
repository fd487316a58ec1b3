//! The sources of an incident file: opened, named and told apart, whether they are files or queries.
//!
//! A connection string is resolved here, at the moment it is used, and goes nowhere but into the reader.

use super::AppError;
use crate::intake::{ListFacts, ListReader, query_digest};
use crate::model::incident::{Connection, Source};
use crate::model::problem::Problem;
use crate::secrets::{ReadableByOthers, SecretRef};
use crate::store::import::NewSource;
use secrecy::SecretString;
use std::path::PathBuf;

/// The longest part of a query that stands in the name of a source.
const LONGEST_NAME: usize = 4_000;

/// Opens a list; what hinders is a refusal that names it.
pub(super) async fn open(source: &Source) -> Result<ListReader, AppError> {
    let source = source.clone();
    let work = move || match &source {
        Source::File(file) => Ok(ListReader::open(file)),
        Source::Query(query) => Ok(ListReader::open_query(query, &connection(&query.database)?)),
    };
    let opened: Result<_, Problem> = joined("opening the list", tokio::task::spawn_blocking(work).await)?;
    opened?.map_err(|error| Problem::new("bad-list", "source", error.to_string()).into())
}

/// What a reader of the source will give as its digest: SHA-256 of the file's bytes, or of what the query returns now.
pub(super) async fn digest(source: &Source) -> Result<String, AppError> {
    let source = source.clone();
    let work = move || match &source {
        Source::File(file) => digest_of_file(&file.path).map_err(AppError::io("reading the list")),
        Source::Query(query) => {
            let digest = query_digest(&query.query, &connection(&query.database)?);
            Ok(digest.map_err(|error| Problem::new("bad-list", "source", error.to_string()))?)
        }
    };
    joined("reading the list", tokio::task::spawn_blocking(work).await)?
}

/// The file that the source reads, where it is known: a list, a database, or where a connection string stands.
pub(super) fn file_of(source: &Source) -> Option<PathBuf> {
    match source {
        Source::File(file) => Some(file.path.clone()),
        Source::Query(query) => match &query.database {
            Connection::File(path) => Some(path.clone()),
            Connection::Written(text) => {
                let path = text.strip_prefix("sqlite://")?;
                Some(path.split('?').next().unwrap_or(path).into())
            }
            Connection::Env(_) => None,
        },
    }
}

/// The source as it stands in the database while its first row is awaited.
pub(super) fn described(no: i64, source: &Source, facts: &ListFacts) -> NewSource {
    let encoding = match &facts.sheet {
        Some(sheet) => format!("{}, sheet {sheet}", facts.encoding),
        None => facts.encoding.to_owned(),
    };
    NewSource { no, name: name(source), encoding, delimiter: facts.delimiter.map(String::from).unwrap_or_default() }
}

/// What the source is called in reports: the file's name, or the query itself. Never where the database is.
fn name(source: &Source) -> String {
    match source {
        Source::File(file) => file.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        Source::Query(query) => {
            // On one line; as it was written it stands in the incident file that the campaign keeps.
            let text = query.query.split_whitespace().collect::<Vec<_>>().join(" ");
            text[..text.floor_char_boundary(LONGEST_NAME)].to_owned()
        }
    }
}

fn joined<T>(what: &str, joined: Result<T, tokio::task::JoinError>) -> Result<T, AppError> {
    joined.map_err(|error| AppError::io(what)(std::io::Error::other(error)))
}

fn connection(place: &Connection) -> Result<SecretString, Problem> {
    let reference = match place {
        Connection::Written(text) => return Ok(SecretString::from(text.as_str())),
        Connection::Env(name) => SecretRef::Env(name.clone()),
        Connection::File(path) => SecretRef::File(path.clone()),
    };
    reference
        .resolve(ReadableByOthers::Warn)
        .map_err(|error| Problem::new("bad-database", "source.database", error.to_string()))
}

fn digest_of_file(path: &std::path::Path) -> std::io::Result<String> {
    use sha2::Digest as _;
    let mut hasher = sha2::Sha256::new();
    std::io::copy(&mut fs_err::File::open(path)?, &mut HashWriter(&mut hasher))?;
    Ok(hasher.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

struct HashWriter<'h>(&'h mut sha2::Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        sha2::Digest::update(self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

//! Why a list cannot be read at all. What is wrong with one row is a [`crate::model::problem::Problem`] instead.

use super::database::DatabaseProblem;
use super::workbook::WorkbookProblem;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// The list cannot be opened or understood; nothing of it was taken.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error("{path}: there is no such file; correct `file` in the [[source]] table")]
    NotFound { path: PathBuf },
    #[error("{path}: is not a regular file; write the list to a file first, because it is read twice")]
    NotAFile { path: PathBuf },
    #[error("{path}: cannot be read; look at its permissions and at the disk")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path}: the file is empty; export the list again")]
    Empty { path: PathBuf },
    #[error("{path}: {problem}")]
    Workbook { path: PathBuf, problem: WorkbookProblem },
    #[error("{path}: `{key}` is for text files, and this is a workbook; leave it out")]
    NotForWorkbooks { path: PathBuf, key: &'static str },
    #[error("{path}: `sheet` is for workbooks, and this is a text file; leave it out")]
    NoSheets { path: PathBuf },
    #[error("{path}: {problem}")]
    Database { path: PathBuf, problem: DatabaseProblem },
    #[error("{path}: `encoding = \"{name}\"` is not known; did you mean \"{nearest}\"? Leave it out to have it found")]
    UnknownEncoding { path: PathBuf, name: String, nearest: String },
    #[error(
        "{path}: the delimiter {delimiter:?} cannot be used; take one ASCII character other than a quote or a letter"
    )]
    BadDelimiter { path: PathBuf, delimiter: char },
    #[error(
        "{path}: there is no heading row: column {column} of the first row holds an address; put the names of the \
         columns in the first row"
    )]
    NoHeading { path: PathBuf, column: usize },
    #[error("{path}: the heading row cannot be read in {encoding}; set `encoding` in the [[source]] table")]
    HeadingUnreadable { path: PathBuf, encoding: &'static str },
    #[error(
        "{path}: no column holds an e-mail address or a telephone number (headings: {headings}); name one in \
         [source.columns], as `email = \"HEADING\"` or `phone = \"HEADING\"`"
    )]
    NoContactColumn { path: PathBuf, headings: String },
    #[error("{path}: [source.columns] maps `{field}` to {heading:?}, which is not a heading; {hint}")]
    NoSuchHeading { path: PathBuf, field: String, heading: String, hint: String },
    #[error("{path}: [source.columns] has the key `{field}`, which is no field; did you mean `{nearest}`?")]
    UnknownField { path: PathBuf, field: String, nearest: &'static str },
    #[error("{path}: [source.columns] maps both `{first}` and `{second}` to {heading:?}; keep one of the two")]
    MappedTwice { path: PathBuf, first: String, second: String, heading: String },
}

/// The source failed under the reader. The rows before it were sound, but the list is not whole: take nothing of it.
#[derive(Debug, Error)]
#[error("{path}: reading failed after row {row}; the list is not whole, and nothing of it was taken: {advice}")]
pub struct ReadError {
    pub path: PathBuf,
    pub row: u64,
    pub advice: &'static str,
    pub source: io::Error,
}

//! The rejects file: the rows that made no person, with the reason, to be corrected and fed back.
//!
//! It is safe to open in a spreadsheet: a cell that would be taken for a formula gets an apostrophe in front, and intake
//! takes exactly that apostrophe away again. Readable by its owner only. It holds personal data and is the only place
//! where intake writes any.

use super::{Row, Verdict, headings::REJECT_COLUMNS};
use crate::model::personal::Personal;
use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The rejects file could not be written.
#[derive(Debug, Error)]
#[error("{path}: the rejects file cannot be written; look at the directory, its permissions and the space left")]
pub struct RejectsError {
    pub path: PathBuf,
    pub source: csv::Error,
}

/// Writes rejected rows as they come.
pub struct RejectsWriter {
    path: PathBuf,
    writer: csv::Writer<fs_err::File>,
    columns: usize,
    written: u64,
}

impl RejectsWriter {
    /// Makes the file anew, mode 0600, with the headings of the source.
    pub fn create(path: &Path, headings: &[String]) -> Result<RejectsWriter, RejectsError> {
        let file = open_private(path).map_err(|e| RejectsError { path: path.to_owned(), source: e.into() })?;
        let writer = csv::WriterBuilder::new().flexible(true).from_writer(file);
        let mut rejects = RejectsWriter { path: path.to_owned(), writer, columns: headings.len(), written: 0 };
        let names: Vec<Cow<'_, str>> = headings.iter().map(|h| with_escape(h)).collect();
        rejects.write(names.iter().map(|n| n.as_ref()).chain(REJECT_COLUMNS))?;
        Ok(rejects)
    }

    /// Writes the row if it was rejected; a row that became a person is none of this file's business.
    pub fn write_row(&mut self, row: &Row) -> Result<(), RejectsError> {
        let Verdict::Rejected(main, all) = &row.verdict else { return Ok(()) };
        let number = row.number.to_string();
        let mut message = main.message.clone();
        for other in all.iter().filter(|p| *p != main) {
            message.push_str(" / ");
            message.push_str(&other.message);
        }
        let cell = |cell: &Personal| with_escape(cell.reveal()).into_owned();
        let mut cells: Vec<String> = row.raw.iter().take(self.columns).map(cell).collect();
        cells.resize(self.columns, String::new());
        cells.extend([number, main.code.to_owned(), message]);
        // Cells beyond the last heading stand behind, so that the row is still too long when it is fed back.
        cells.extend(row.raw.iter().skip(self.columns).map(cell));
        self.written += 1;
        self.write(cells.iter().map(String::as_str))
    }

    /// How many rows the file holds.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Makes the file durable.
    pub fn finish(mut self) -> Result<u64, RejectsError> {
        let flushed = self.writer.flush().and_then(|()| self.writer.get_ref().sync_all());
        flushed.map_err(|e| RejectsError { path: self.path.clone(), source: e.into() })?;
        Ok(self.written)
    }

    fn write<'a>(&mut self, cells: impl Iterator<Item = &'a str>) -> Result<(), RejectsError> {
        self.writer.write_record(cells).map_err(|source| RejectsError { path: self.path.clone(), source })
    }
}

fn open_private(path: &Path) -> std::io::Result<fs_err::File> {
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use fs_err::os::unix::fs::OpenOptionsExt;
        use std::os::unix::fs::PermissionsExt;
        options.mode(0o600);
        let file = options.open(path)?;
        // The file may have been there before, readable by others.
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        begin(file)
    }
    #[cfg(not(unix))]
    begin(options.open(path)?)
}

/// A byte-order mark: without it Excel takes UTF-8 for the local code page.
fn begin(mut file: fs_err::File) -> std::io::Result<fs_err::File> {
    file.write_all(b"\xef\xbb\xbf")?;
    Ok(file)
}

/// Whether a spreadsheet takes the text, after any apostrophes, for a formula.
fn looks_like_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

/// One apostrophe more where it is needed; also in front of apostrophes, so that taking it away is exact.
pub(super) fn with_escape(text: &str) -> Cow<'_, str> {
    if looks_like_formula(text) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// The text as it was before [`with_escape`].
pub(super) fn without_escape(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if looks_like_formula(rest) => rest,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_cell_is_no_formula_and_comes_back_exactly() {
        for text in ["=1+1", "+86 138 0013 8000", "-", "@x", "\tx", "\rx", "'+86", "''=x", "'", "'x", "", "x=1", "＝1"]
        {
            let escaped = with_escape(text);
            assert!(!escaped.starts_with(['=', '+', '-', '@', '\t', '\r', '＝']), "{text:?}");
            assert_eq!(without_escape(&escaped), text);
        }
    }
}

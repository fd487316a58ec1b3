//! From a customer list to persons and rejected rows, as a stream.
//!
//! Every record below the heading is a [`Row`] with a verdict: a person, or rejected with the reason; nothing is passed
//! over but blank lines. Memory does not grow with the file: one record is held at a time, and a record is bounded.
//! Rows of the same person are deliberately not merged here: the store does that, because it knows them all.
//!
//! ```text
//! text file ─▶ decode (digest, UTF-8) ─▶ records ─┬─▶ person (fields, addresses) ─▶ verdict
//!   └─▶ detect (encoding) ─▶ delimiter            │
//! workbook, database ─▶ table (a thread) ─────────┤
//!                                                 └─▶ headings ─▶ columns (the plan)
//! ```

mod columns;
mod database;
mod decode;
mod delimiter;
mod detect;
mod error;
mod headings;
mod locale;
mod person;
mod records;
mod rejects;
mod table;
#[cfg(test)]
mod tests;
mod words;
mod workbook;

pub use database::{DatabaseProblem, query_digest};
pub use error::{OpenError, ReadError};
pub use headings::Field;
pub use locale::{locale_of, region_of};
pub use rejects::{RejectsError, RejectsWriter};
pub use workbook::WorkbookProblem;

use crate::model::incident::{FileSource, QuerySource};
use crate::model::person::Person;
use crate::model::personal::Personal;
use crate::model::problem::Problem;
use columns::Columns;
use decode::DecodedStream;
use fs_err::File;
use person::{Spellings, Understood};
use records::{LONGEST_CELL, Record, RecordReader};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::io::Seek;
use std::path::{Path, PathBuf};
use table::{Ending, Fault, Opened, TableReader};

/// How the file was understood, to be shown to the operator before anything is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFacts {
    /// The name of the encoding, by the WHATWG list; for a workbook or a database, its kind.
    pub encoding: &'static str,
    /// Whether it was given in the incident file, and not found.
    pub encoding_given: bool,
    /// `None` where there are no delimiters.
    pub delimiter: Option<char>,
    /// The sheet that was read, of a workbook.
    pub sheet: Option<String>,
    /// The source's headings as written, without the columns that a rejects file adds.
    pub headings: Vec<String>,
    /// For each of the headings, the field it was understood as; `None`: a merge field under its heading.
    pub fields: Vec<Option<Field>>,
    /// The list is a rejects file that is fed back.
    pub is_rejects_file: bool,
}

/// One record of the list.
#[derive(Clone, Debug)]
pub struct Row {
    /// Counted from 1 below the heading; blank lines do not count.
    pub number: u64,
    /// The source's cells as they were, for the rejects file. Filled for rejected rows only; see [`ListReader::cells`].
    pub raw: Vec<Personal>,
    pub verdict: Verdict,
}

/// What became of a row.
#[derive(Clone, Debug)]
pub enum Verdict {
    Person {
        person: Person,
        problems: Vec<Problem>,
    },
    /// The main reason, and all of them (the main one among them).
    Rejected(Problem, Vec<Problem>),
}

/// Where the records come from.
#[expect(clippy::large_enum_variant, reason = "there is one of it a list")]
enum Records {
    Text(RecordReader<DecodedStream<File>>),
    Table(TableReader),
}

/// Reads a list row by row. Blocking.
pub struct ListReader {
    path: PathBuf,
    records: Records,
    record: Record,
    columns: Columns,
    facts: ListFacts,
    spellings: Spellings,
    rows: u64,
    /// The last row was read.
    ended: bool,
    /// The file failed; what was read is not the whole list.
    failed: bool,
}

impl ListReader {
    /// Opens the list, finds out how it is written, and reads its heading.
    pub fn open(source: &FileSource) -> Result<ListReader, OpenError> {
        let path = || source.path.clone();
        let unreadable = |source| OpenError::Unreadable { path: path(), source };
        let mut file = open_regular(source)?;
        let sample = detect::sample(&mut file).map_err(unreadable)?;
        if sample.head.is_empty() {
            return Err(OpenError::Empty { path: path() });
        }
        if workbook::is_one(&sample.head) {
            let (opened, reader) = workbook::open(file, source)?;
            return ListReader::of_table(&source.path, &source.columns, opened, reader);
        }
        if source.sheet.is_some() {
            return Err(OpenError::NoSheets { path: path() });
        }
        let found = match &source.encoding {
            Some(name) => detect::named(name, &sample.head).map_err(|nearest| OpenError::UnknownEncoding {
                path: path(),
                name: name.clone(),
                nearest,
            })?,
            None => detect::detected(&sample),
        };
        let (head, _) = found.encoding.decode_without_bom_handling(sample.head.get(found.mark..).unwrap_or(&[]));
        let layout = delimiter::layout(&head, given_delimiter(source)?, headings::field_of);
        file.rewind().map_err(unreadable)?;
        let stream = DecodedStream::new(file, found.encoding, found.mark);
        let mut records = RecordReader::new(stream, layout.delimiter);
        let mut record = Record::default();
        for _ in 0..=usize::from(layout.has_separator_line) {
            if !records.read(&mut record).map_err(unreadable)? {
                return Err(OpenError::Empty { path: path() });
            }
        }
        let headings = heading_cells(&record)
            .ok_or_else(|| OpenError::HeadingUnreadable { path: path(), encoding: found.encoding.name() })?;
        let columns = columns::plan(&headings, &source.path, &source.columns)?;
        let facts = ListFacts {
            encoding: found.encoding.name(),
            encoding_given: source.encoding.is_some(),
            delimiter: Some(char::from(layout.delimiter)),
            ..facts_of(&headings, &columns)
        };
        Ok(ListReader::new(&source.path, Records::Text(records), columns, facts))
    }

    /// Asks the database what the query would return; it is run when the first row is read.
    pub fn open_query(source: &QuerySource, connection: &SecretString) -> Result<ListReader, OpenError> {
        let (list, opened, reader) = database::open(&source.query, connection)?;
        ListReader::of_table(&list, &source.columns, opened, reader)
    }

    fn of_table(
        list: &Path,
        given: &BTreeMap<String, String>,
        opened: Opened,
        reader: TableReader,
    ) -> Result<ListReader, OpenError> {
        let escaped = columns::is_rejects_heading(&opened.headings);
        let plain = |heading: &String| match escaped {
            true => rejects::without_escape(heading.trim()).to_owned(),
            false => heading.trim().to_owned(),
        };
        let headings: Vec<String> = opened.headings.iter().map(plain).collect();
        let columns = columns::plan(&headings, list, given)?;
        let facts = ListFacts { encoding: opened.kind, sheet: opened.sheet, ..facts_of(&headings, &columns) };
        Ok(ListReader::new(list, Records::Table(reader), columns, facts))
    }

    fn new(list: &Path, records: Records, columns: Columns, facts: ListFacts) -> ListReader {
        ListReader {
            path: list.to_owned(),
            records,
            record: Record::default(),
            columns,
            facts,
            spellings: Spellings::default(),
            rows: 0,
            ended: false,
            failed: false,
        }
    }

    pub fn facts(&self) -> &ListFacts {
        &self.facts
    }

    /// The next row; `None` at the end of the list. After an error the list must not be used: it is not whole.
    pub fn next_row(&mut self) -> Result<Option<Row>, ReadError> {
        if self.ended || self.failed {
            return Ok(None);
        }
        let read = match &mut self.records {
            Records::Text(records) => records.read(&mut self.record),
            Records::Table(reader) => reader.read(&mut self.record, self.columns.heading_cells),
        };
        match read {
            Ok(true) => {}
            Ok(false) => {
                self.ended = true;
                return Ok(None);
            }
            Err(source) => {
                self.failed = true;
                let advice = match &self.records {
                    Records::Text(_) => "look at the disk and start again",
                    Records::Table(_) => "see the reason, and run the same command again",
                };
                return Err(ReadError { path: self.path.clone(), row: self.rows, advice, source });
            }
        }
        self.rows += 1;
        let verdict = self.judge();
        let raw = match verdict {
            Verdict::Person { .. } => Vec::new(),
            Verdict::Rejected(..) => self.cells(),
        };
        Ok(Some(Row { number: self.rows, raw, verdict }))
    }

    /// The cells of the row that was read last, as the source wrote them, without the columns of a rejects file.
    pub fn cells(&self) -> Vec<Personal> {
        let beyond = self.columns.heading_cells..self.record.len();
        let text = |at: usize| {
            let cell = String::from_utf8_lossy(self.record.cell(at)?);
            let cell = if self.columns.is_rejects_file { rejects::without_escape(&cell) } else { &cell };
            Some(Personal::new(cell))
        };
        self.columns.own.iter().copied().chain(beyond).map_while(text).collect()
    }

    /// Hexadecimal SHA-256 of the file's bytes, or of all that the query returned; only once the last row was read,
    /// never of a part.
    pub fn digest(&self) -> Option<String> {
        match &self.records {
            Records::Text(records) => self.ended.then(|| records.source().digest()),
            Records::Table(reader) => reader.ending().map(|ending| ending.digest.clone()),
        }
    }

    /// What the operator has to know of the list as a whole, such as hidden rows; once the last row was read.
    pub fn notices(&self) -> &[Problem] {
        match &self.records {
            Records::Text(_) => &[],
            Records::Table(reader) => reader.ending().map_or(&[], |ending: &Ending| ending.notices.as_slice()),
        }
    }

    /// How many rows were read so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    fn judge(&mut self) -> Verdict {
        let row = self.rows;
        let rejected = |problem: Problem| {
            let problem = problem.at_row(row);
            Verdict::Rejected(problem.clone(), vec![problem])
        };
        if let Some(problem) = damage(&self.record) {
            return rejected(problem);
        }
        let Some(text) = self.record.as_text().filter(|t| !t.text().contains(char::REPLACEMENT_CHARACTER)) else {
            return rejected(undecodable(&self.record, &self.columns, self.facts.encoding));
        };
        let heading = self.columns.heading_cells;
        if (heading..text.len()).any(|at| !text.cell(at).trim().is_empty()) {
            return rejected(match &self.records {
                Records::Text(_) => ragged(&self.record, heading),
                Records::Table(_) => beyond_headings(&self.record, heading),
            });
        }
        let faults = match &mut self.records {
            Records::Text(_) => Vec::new(),
            Records::Table(reader) => reader.faults(),
        };
        if let Some(fault) = faults.iter().find(|f| f.lost && self.columns.of(Field::Reference) == Some(f.column)) {
            return rejected(faulty(fault, &self.columns));
        }
        let Understood { person, mut problems, misfit } = person::understand(text, &self.columns, &mut self.spellings);
        if text.len() < heading {
            // Cells that only the end of the row lacks do no harm; cells that have shifted would make another person.
            if misfit || person.contacts.is_empty() {
                return rejected(ragged(&self.record, heading));
            }
            let message = "the row ends early; what it has fits its columns, and the rest was taken as empty";
            problems.push(Problem::new("short-row", "", message));
        }
        problems.extend(faults.iter().map(|fault| faulty(fault, &self.columns)));
        for problem in &mut problems {
            problem.row = Some(row);
        }
        if person.contacts.is_empty() {
            let message = "there is no address that can be used; give an e-mail address or a telephone number";
            let main = Problem::new("no-contact", "", message).at_row(row);
            problems.insert(0, main.clone());
            return Verdict::Rejected(main, problems);
        }
        Verdict::Person { person, problems }
    }
}

impl Iterator for ListReader {
    type Item = Result<Row, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row().transpose()
    }
}

fn open_regular(source: &FileSource) -> Result<File, OpenError> {
    let path = || source.path.clone();
    let failed = |e: std::io::Error| {
        if e.kind() == std::io::ErrorKind::NotFound {
            return OpenError::NotFound { path: path() };
        }
        OpenError::Unreadable { path: path(), source: e }
    };
    let facts = fs_err::metadata(&source.path).map_err(failed)?;
    if !facts.is_file() {
        return Err(OpenError::NotAFile { path: path() });
    }
    File::open(&source.path).map_err(failed)
}

fn facts_of(headings: &[String], columns: &Columns) -> ListFacts {
    ListFacts {
        encoding: "",
        encoding_given: false,
        delimiter: None,
        sheet: None,
        headings: columns.own.iter().map(|at| headings[*at].clone()).collect(),
        fields: columns.own.iter().map(|at| columns.field_at(*at)).collect(),
        is_rejects_file: columns.is_rejects_file,
    }
}

fn given_delimiter(source: &FileSource) -> Result<Option<u8>, OpenError> {
    let Some(delimiter) = source.delimiter else { return Ok(None) };
    match u8::try_from(delimiter) {
        Ok(byte)
            if byte == b'\t' || (byte.is_ascii() && !byte.is_ascii_alphanumeric() && byte > b' ' && byte != b'"') =>
        {
            Ok(Some(byte))
        }
        _ => Err(OpenError::BadDelimiter { path: source.path.clone(), delimiter }),
    }
}

fn heading_cells(record: &Record) -> Option<Vec<String>> {
    if record.has_nul() || record.cut_cell.is_some() || record.quote_left_open {
        return None;
    }
    let text = record.as_text()?;
    let written: Vec<&str> = (0..text.len()).map(|at| text.cell(at).trim()).collect();
    let escaped = columns::is_rejects_heading(&written);
    let plain = |heading: &str| if escaped { rejects::without_escape(heading).to_owned() } else { heading.to_owned() };
    Some(written.into_iter().map(plain).collect())
}

/// What makes a record unreadable as a whole.
fn damage(record: &Record) -> Option<Problem> {
    let (first, last) = (record.first_line, record.last_line);
    if record.quote_left_open {
        let message = format!(
            "a quote opened in the row that begins on line {first} of the file is never closed, and everything to the \
             end (line {last}) was taken as part of it; close the quote and read the list again"
        );
        return Some(Problem::new("unclosed-quote", "", message));
    }
    if let Some(cell) = record.cut_cell {
        let message = format!(
            "column {} is longer than {} KiB (lines {first} to {last} of the file); shorten it, or close the quote \
             that was left open before it",
            cell + 1,
            LONGEST_CELL / 1024
        );
        return Some(Problem::new("cell-too-long", format!("column {}", cell + 1), message));
    }
    let nul = record.cells().position(|cell| cell.contains(&0))?;
    let message = format!("column {} holds a NUL byte (line {first} of the file); export the list again", nul + 1);
    Some(Problem::new("nul-byte", format!("column {}", nul + 1), message))
}

fn undecodable(record: &Record, columns: &Columns, encoding: &str) -> Problem {
    let mark = "\u{fffd}";
    let broken = |cell: &[u8]| String::from_utf8_lossy(cell).contains(mark);
    let at = record.cells().position(broken).unwrap_or(0);
    let field = columns.field_at(at).map_or_else(|| format!("column {}", at + 1), |f| f.as_str().to_owned());
    let message = format!(
        "column {} holds bytes that are no text in {encoding} (line {} of the file); type the cell again, or set \
         `encoding` if this is so in many rows",
        at + 1,
        record.first_line
    );
    Problem::new("bad-encoding", field, message)
}

fn ragged(record: &Record, heading: usize) -> Problem {
    let (cells, first, last) = (record.len(), record.first_line, record.last_line);
    let lines = if first == last { format!("line {first}") } else { format!("lines {first} to {last}") };
    let message = format!(
        "the row has {cells} cells and the heading {heading} ({lines} of the file); look for a delimiter or a quote \
         inside a cell, put each cell under its heading and feed the row back"
    );
    Problem::new("ragged-row", "", message)
}

fn beyond_headings(record: &Record, heading: usize) -> Problem {
    let message = format!(
        "sheet row {} has a value right of the last heading, which is in column {heading}; give that column a heading, or \
         clear the cell",
        record.first_line
    );
    Problem::new("ragged-row", "", message)
}

/// A fault of a cell as a problem of its row.
fn faulty(fault: &Fault, columns: &Columns) -> Problem {
    let column = || format!("column {}", fault.column + 1);
    let field = columns.field_at(fault.column).map_or_else(column, |field| field.as_str().to_owned());
    Problem::new(fault.code, field, fault.message.clone())
}

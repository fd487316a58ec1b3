//! Rows that come as cells already: from a sheet of a workbook or a query of a database.
//!
//! A thread of its own reads, because the libraries hold on to what they read from, and hands over some rows at a time.
//! It waits when two batches are waiting, so that memory does not grow with the source; it ends when nobody asks any
//! more. It reads nothing but the headings before the first row is asked for.

use super::error::OpenError;
use super::records::{LONGEST_CELL, Record};
use crate::model::problem::Problem;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::vec::IntoIter;

/// Rows that travel together, and the bytes at which fewer do.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 1024 * 1024;
/// Batches that may wait.
const WAITING: usize = 2;

/// One row of the source.
#[derive(Debug, Default)]
pub(super) struct TableRow {
    /// Where it stands in the source, counted from 1, the heading included where it is a row.
    pub(super) place: u64,
    pub(super) cells: Vec<String>,
    /// What is wrong with single cells; the row goes on without them.
    pub(super) faults: Vec<Fault>,
}

/// A cell whose value could not be taken.
#[derive(Debug)]
pub(super) struct Fault {
    /// The column, from 0.
    pub(super) column: usize,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// There is a value, and it is not known: a reference like this could make two persons one.
    pub(super) lost: bool,
}

impl Fault {
    /// The same for another row that is written once for both.
    pub(super) fn again(&self) -> Fault {
        Fault { column: self.column, code: self.code, message: self.message.clone(), lost: self.lost }
    }
}

/// How the source was understood.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) headings: Vec<String>,
    /// What it is, as reports show it: `XLSX`, `PostgreSQL`.
    pub(super) kind: &'static str,
    /// The sheet, where there are sheets.
    pub(super) sheet: Option<String>,
}

/// What is known at the end of the source only.
#[derive(Debug, Default)]
pub(super) struct Ending {
    pub(super) digest: String,
    /// What the operator has to know of the source as a whole.
    pub(super) notices: Vec<Problem>,
}

enum Piece {
    Opened(Opened),
    Refused(Box<OpenError>),
    Rows(Vec<TableRow>),
    Ended(Ending),
    Failed(io::Error),
}

/// The reader's end.
pub(super) struct TableReader {
    pieces: Receiver<Piece>,
    go: Option<SyncSender<()>>,
    waiting: IntoIter<TableRow>,
    ending: Option<Ending>,
    faults: Vec<Fault>,
}

impl TableReader {
    /// Starts `read` on a thread of its own and waits until it knows the headings.
    pub(super) fn open(
        list: &Path,
        read: impl FnOnce(&mut Outlet) -> Result<Ending, Broken> + Send + 'static,
    ) -> Result<(Opened, TableReader), OpenError> {
        let unreadable = |source: io::Error| OpenError::Unreadable { path: list.to_owned(), source };
        let (to, pieces) = sync_channel(WAITING);
        let (go, wait) = sync_channel(1);
        let mut outlet = Outlet { to: to.clone(), go: wait, batch: Vec::with_capacity(BATCH), bytes: 0 };
        let work = move || {
            let last = match read(&mut outlet).and_then(|ending| outlet.flush().map(|()| ending)) {
                Ok(ending) => Piece::Ended(ending),
                Err(Broken::Refused(error)) => Piece::Refused(error),
                Err(Broken::Failed(error)) => match outlet.flush() {
                    // The rows before it, so that the number of the last good one is known.
                    Ok(()) => Piece::Failed(error),
                    Err(_) => return,
                },
                Err(Broken::Unwanted) => return,
            };
            // Nobody listening any more is no failure.
            drop(to.send(last));
        };
        std::thread::Builder::new().name("source".to_owned()).spawn(work).map_err(unreadable)?;
        let reader = |pieces| TableReader {
            pieces,
            go: Some(go),
            waiting: Vec::new().into_iter(),
            ending: None,
            faults: Vec::new(),
        };
        match pieces.recv() {
            Ok(Piece::Opened(opened)) => Ok((opened, reader(pieces))),
            Ok(Piece::Refused(error)) => Err(*error),
            Ok(Piece::Failed(error)) => Err(unreadable(error)),
            Ok(Piece::Rows(_) | Piece::Ended(_)) | Err(_) => Err(unreadable(stopped())),
        }
    }

    /// The next row into `record`, of at least `least` cells; false at the end.
    pub(super) fn read(&mut self, record: &mut Record, least: usize) -> io::Result<bool> {
        if let Some(go) = self.go.take() {
            // A reader that has failed meanwhile says so below.
            let _gone = go.send(());
        }
        loop {
            if let Some(row) = self.waiting.next() {
                record.take_cells(row.place, row.cells.iter().map(String::as_str), least);
                self.faults = row.faults;
                return Ok(true);
            }
            if self.ending.is_some() {
                return Ok(false);
            }
            match self.pieces.recv() {
                Ok(Piece::Rows(rows)) => self.waiting = rows.into_iter(),
                Ok(Piece::Ended(ending)) => self.ending = Some(ending),
                Ok(Piece::Failed(error)) => return Err(error),
                Ok(Piece::Refused(error)) => return Err(io::Error::other(*error)),
                Ok(Piece::Opened(_)) | Err(_) => return Err(stopped()),
            }
        }
    }

    /// What was wrong with cells of the row that was read last.
    pub(super) fn faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.faults)
    }

    /// Once the last row was read.
    pub(super) fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }
}

fn stopped() -> io::Error {
    io::Error::other("the reader of the source stopped")
}

/// Why the reading thread ends before the source does.
pub(super) enum Broken {
    /// The source cannot be understood.
    Refused(Box<OpenError>),
    /// It broke off.
    Failed(io::Error),
    /// Nobody reads any more.
    Unwanted,
}

impl From<OpenError> for Broken {
    fn from(error: OpenError) -> Broken {
        Broken::Refused(Box::new(error))
    }
}

/// The reading thread's end.
pub(super) struct Outlet {
    to: SyncSender<Piece>,
    go: Receiver<()>,
    batch: Vec<TableRow>,
    bytes: usize,
}

impl Outlet {
    /// Says how the source was understood, and waits until its rows are wanted.
    pub(super) fn opened(&mut self, opened: Opened) -> Result<(), Broken> {
        self.to.send(Piece::Opened(opened)).map_err(|_| Broken::Unwanted)?;
        self.go.recv().map_err(|_| Broken::Unwanted)
    }

    pub(super) fn row(&mut self, mut row: TableRow) -> Result<(), Broken> {
        for cell in &mut row.cells {
            if cell.len() > LONGEST_CELL {
                // Still too long, so that the record is rejected for it.
                cell.truncate(cell.floor_char_boundary(LONGEST_CELL + 4));
            }
            self.bytes += cell.len();
        }
        self.batch.push(row);
        if self.batch.len() < BATCH && self.bytes < BATCH_BYTES { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), Broken> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.bytes = 0;
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.to.send(Piece::Rows(batch)).map_err(|_| Broken::Unwanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Opened {
        Opened { headings: vec!["email".to_owned()], kind: "test", sheet: None }
    }

    fn row(place: u64) -> TableRow {
        TableRow { place, cells: vec![place.to_string()], faults: Vec::new() }
    }

    #[test]
    fn rows_come_in_order_and_the_ending_after_the_last() {
        let (_, mut reader) = TableReader::open(Path::new("list"), |outlet| {
            outlet.opened(opened())?;
            for place in 1..=2_000 {
                outlet.row(row(place))?;
            }
            Ok(Ending { digest: "d".to_owned(), notices: Vec::new() })
        })
        .expect("opens");
        let mut record = Record::default();
        for place in 1_u64..=2_000 {
            assert!(reader.ending().is_none());
            assert!(reader.read(&mut record, 3).expect("no failure"));
            assert_eq!((record.first_line, record.len()), (place, 3));
            assert_eq!(record.cell(0), Some(place.to_string().as_bytes()));
        }
        assert!(!reader.read(&mut record, 3).expect("no failure"));
        assert_eq!(reader.ending().map(|e| e.digest.as_str()), Some("d"));
    }

    #[test]
    fn nothing_is_read_before_it_is_wanted_and_a_failure_comes_through() {
        let (began, begins) = std::sync::mpsc::channel();
        let (_, mut reader) = TableReader::open(Path::new("list"), move |outlet| {
            outlet.opened(opened())?;
            let _nobody = began.send(());
            Err(Broken::Failed(io::Error::other("gone")))
        })
        .expect("opens");
        assert!(begins.try_recv().is_err());
        let failure = reader.read(&mut Record::default(), 0);
        assert_eq!(failure.map_err(|e| e.to_string()), Err("gone".to_owned()));
        assert!(begins.recv().is_ok());
    }

    #[test]
    fn a_reader_that_is_dropped_ends_the_thread() {
        let (ended, ends) = std::sync::mpsc::channel();
        let (_, reader) = TableReader::open(Path::new("list"), move |outlet| {
            let unwanted = outlet.opened(opened()).is_err();
            let _nobody = ended.send(unwanted);
            Err(Broken::Unwanted)
        })
        .expect("opens");
        drop(reader);
        assert_eq!(ends.recv(), Ok(true));
    }
}

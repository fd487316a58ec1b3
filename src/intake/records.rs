//! Records out of delimited text, with a bound on the memory that any of them can take.
//!
//! A cell of more than 64 KiB is cut there and the record says so; the rest of the cell is read and dropped. A quote that
//! is still open at the end of the file is noticed, because everything after it went into one cell. Blank lines are no records.

use csv_core::{ReadFieldResult, Reader, ReaderBuilder};
use std::io::{self, Read};

/// Longest cell kept, in bytes of UTF-8.
pub(super) const LONGEST_CELL: usize = 64 * 1024;
/// Longest record kept, and most cells kept; both far above any customer list.
const LONGEST_RECORD: usize = 1024 * 1024;
const MOST_CELLS: usize = 4096;
const BLOCK: usize = 64 * 1024;

/// The cells of one record, one after the other; its buffers are used again for the next.
#[derive(Debug, Default)]
pub(super) struct Record {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// The first cell that was cut because it, or the record, grew too long.
    pub(super) cut_cell: Option<usize>,
    /// Lines of the file on which the record begins and ends, counted from 1.
    pub(super) first_line: u64,
    pub(super) last_line: u64,
    /// A quote was opened and never closed before the file ended.
    pub(super) quote_left_open: bool,
}

impl Record {
    fn clear(&mut self, line: u64) {
        self.bytes.clear();
        self.ends.clear();
        self.cut_cell = None;
        self.first_line = line;
        self.last_line = line;
        self.quote_left_open = false;
    }

    /// Takes cells that are text already, as one record that stands on `line`; at least `least` of them, empty ones
    /// behind the last.
    pub(super) fn take_cells<'c>(&mut self, line: u64, cells: impl Iterator<Item = &'c str>, least: usize) {
        self.clear(line);
        for cell in cells {
            if cell.len() > LONGEST_CELL
                || self.bytes.len() + cell.len() > LONGEST_RECORD
                || self.ends.len() >= MOST_CELLS
            {
                // One byte and more than is allowed, so that it is still too long when the rejects file is fed back.
                self.cut_cell.get_or_insert(self.ends.len());
            }
            if self.ends.len() >= MOST_CELLS {
                return;
            }
            let room = (LONGEST_RECORD + LONGEST_CELL).saturating_sub(self.bytes.len());
            let kept = cell.floor_char_boundary(room.min(LONGEST_CELL + 4));
            self.bytes.extend_from_slice(&cell.as_bytes()[..kept]);
            self.ends.push(self.bytes.len());
        }
        while self.ends.len() < least {
            self.ends.push(self.bytes.len());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn cell(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Some(&self.bytes[start..end])
    }

    pub(super) fn cells(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|i| self.cell(i))
    }

    /// The cells as text, if all of them are UTF-8.
    pub(super) fn as_text(&self) -> Option<TextRecord<'_>> {
        let text = std::str::from_utf8(&self.bytes).ok()?;
        // A character may not reach over the end of a cell: that happens when undecodable bytes stand around a delimiter.
        self.ends.iter().all(|&end| text.is_char_boundary(end)).then_some(TextRecord { text, ends: &self.ends })
    }

    pub(super) fn has_nul(&self) -> bool {
        self.bytes.contains(&0)
    }

    /// Nothing but spaces in every cell.
    pub(super) fn is_blank(&self) -> bool {
        self.cut_cell.is_none() && self.bytes.iter().all(u8::is_ascii_whitespace)
    }
}

/// A record whose cells are text.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextRecord<'a> {
    text: &'a str,
    ends: &'a [usize],
}

impl<'a> TextRecord<'a> {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The cell, or nothing where the record is too short.
    pub(super) fn cell(&self, index: usize) -> &'a str {
        let Some(&end) = self.ends.get(index) else { return "" };
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.text.get(start..end).unwrap_or("")
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }
}

/// Reads records from UTF-8 (or marked) bytes.
pub(super) struct RecordReader<R> {
    source: R,
    parser: Reader,
    block: Vec<u8>,
    start: usize,
    end: usize,
    source_ended: bool,
    closed: bool,
    /// Takes what a cell has beyond the bound.
    waste: Vec<u8>,
}

impl<R: Read> RecordReader<R> {
    pub(super) fn new(source: R, delimiter: u8) -> RecordReader<R> {
        RecordReader {
            source,
            parser: ReaderBuilder::new().delimiter(delimiter).build(),
            block: vec![0; BLOCK],
            start: 0,
            end: 0,
            source_ended: false,
            closed: false,
            waste: vec![0; 4096],
        }
    }

    pub(super) fn source(&self) -> &R {
        &self.source
    }

    /// Reads the next record into `record`; false at the end. Records of blanks only are passed over.
    pub(super) fn read(&mut self, record: &mut Record) -> io::Result<bool> {
        loop {
            if !self.read_any(record)? {
                return Ok(false);
            }
            if !record.is_blank() {
                return Ok(true);
            }
        }
    }

    fn read_any(&mut self, record: &mut Record) -> io::Result<bool> {
        self.skip_line_ends()?;
        record.clear(self.parser.line());
        // The buffer always ends with room for the rest of the cell; `filled` is how much of it is text.
        let mut filled = 0;
        let mut cell_start = 0;
        loop {
            self.fill()?;
            let closing = self.close();
            // One byte more than is allowed, so that a cut cell is still too long when the rejects file is fed back.
            let bound = (cell_start + LONGEST_CELL + 1).min(LONGEST_RECORD);
            let keeping = filled < bound && record.len() < MOST_CELLS;
            if keeping {
                let want = (filled + (self.end - self.start).clamp(64, 1024)).min(bound);
                if record.bytes.len() < want {
                    record.bytes.resize(want, 0);
                }
            }
            let room = record.bytes.len().min(bound);
            let out = if keeping { &mut record.bytes[filled..room] } else { &mut self.waste[..] };
            let (result, read, written) = self.parser.read_field(&self.block[self.start..self.end], out);
            self.start += read;
            if closing {
                // The line end of `close` was taken as text: a quote is open.
                record.quote_left_open = written > 0;
            } else if keeping {
                filled += written;
            } else if written > 0 {
                record.cut_cell.get_or_insert(record.ends.len());
            }
            match result {
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
                ReadFieldResult::Field { record_end } => {
                    if record.ends.len() < MOST_CELLS {
                        record.ends.push(filled);
                    }
                    if filled - cell_start > LONGEST_CELL {
                        record.cut_cell.get_or_insert(record.ends.len() - 1);
                    }
                    cell_start = filled;
                    if record_end {
                        record.bytes.truncate(filled);
                        record.last_line = self.last_line(record);
                        return Ok(true);
                    }
                }
                ReadFieldResult::End => return Ok(false),
            }
        }
    }

    /// Passes over empty lines here, so that a record's first line is the line on which it stands.
    fn skip_line_ends(&mut self) -> io::Result<()> {
        loop {
            self.fill()?;
            let waiting = &self.block[self.start..self.end];
            let ends = waiting.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            let lines = waiting[..ends].iter().filter(|b| **b == b'\n').count();
            self.parser.set_line(self.parser.line() + u64::try_from(lines).unwrap_or(0));
            self.start += ends;
            if ends == 0 || self.start < self.end {
                return Ok(());
            }
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.start == self.end && !self.source_ended {
            self.start = 0;
            self.end = 0;
            loop {
                match self.source.read(&mut self.block) {
                    Ok(read) => {
                        self.end = read;
                        self.source_ended = read == 0;
                        return Ok(());
                    }
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(())
    }

    /// The line on which a record stands that was just read: its own line end is counted already.
    fn last_line(&self, record: &Record) -> u64 {
        let own = u64::from(self.start > 0 && self.block[self.start - 1] == b'\n');
        let last_of_file = u64::from(record.quote_left_open && record.bytes.ends_with(b"\n"));
        self.parser.line().saturating_sub(own + last_of_file)
    }

    /// Puts one line end behind the source, once: it ends a record that the file leaves without one, and shows by being
    /// taken as text that a quote was left open. True when that line end is what comes next.
    fn close(&mut self) -> bool {
        let at_end = self.start == self.end && self.source_ended && !self.closed;
        if at_end {
            self.closed = true;
            self.block[0] = b'\n';
            (self.start, self.end) = (0, 1);
        }
        at_end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells, first and last line, the cell that was cut, whether a quote was left open.
    type Found = (Vec<Vec<u8>>, u64, u64, Option<usize>, bool);

    fn records(text: &[u8]) -> Vec<Found> {
        let mut reader = RecordReader::new(text, b',');
        let mut record = Record::default();
        let mut all = Vec::new();
        while reader.read(&mut record).expect("memory does not fail") {
            let cells = record.cells().map(<[u8]>::to_vec).collect();
            all.push((cells, record.first_line, record.last_line, record.cut_cell, record.quote_left_open));
        }
        all
    }

    #[test]
    fn quotes_line_ends_and_blank_lines_are_understood() {
        let found = records(b"\r\na,\"b\r\n\"\"c\"\"\",\r\n\r\n , \r\nd,e,f\n\"\"\ng");
        let cells: Vec<Vec<Vec<u8>>> = found.iter().map(|r| r.0.clone()).collect();
        let want: Vec<Vec<&[u8]>> = vec![vec![b"a", b"b\r\n\"c\"", b""], vec![b"d", b"e", b"f"], vec![b"g"]];
        assert_eq!(cells, want);
        assert_eq!(found.iter().map(|r| (r.1, r.2)).collect::<Vec<_>>(), [(2, 3), (6, 6), (8, 8)]);
        assert!(found.iter().all(|r| !r.4));
    }

    #[test]
    fn a_quote_left_open_is_noticed_with_its_line() {
        let found = records(b"a,b\nc,\"d\ne,f\ng,h\n");
        assert_eq!(found.len(), 2);
        assert_eq!((found[1].1, found[1].2, found[1].4), (2, 4, true));
        assert!(!records(b"a,\"b\"")[0].4);
    }

    #[test]
    fn a_huge_cell_is_cut_and_the_next_record_is_whole() {
        let mut text = b"a,".to_vec();
        text.extend(std::iter::repeat_n(b'x', 10_000_000));
        text.extend_from_slice(b",c\nd,e,f\n");
        let found = records(&text);
        assert_eq!(found[0].0.iter().map(Vec::len).collect::<Vec<_>>(), [1, LONGEST_CELL + 1, 1]);
        assert_eq!(found[0].3, Some(1));
        assert_eq!((found[1].0.concat(), found[1].3), (b"def".to_vec(), None));
    }

    #[test]
    fn a_cell_that_just_fits_is_not_cut_and_a_record_without_end_stays_bounded() {
        let fits = [vec![b'x'; LONGEST_CELL], b",b\n".to_vec()].concat();
        assert_eq!(records(&fits)[0].3, None);
        let mut reader = RecordReader::new(io::repeat(b',').take(50_000_000), b',');
        let mut record = Record::default();
        assert!(!reader.read(&mut record).expect("memory does not fail"));
        assert!(record.len() <= MOST_CELLS);
        let mut reader = RecordReader::new(io::repeat(b'x').take(9_000_000), b',');
        assert!(reader.read(&mut record).expect("memory does not fail"));
        assert!(record.bytes.capacity() <= 2 * LONGEST_RECORD);
    }
}

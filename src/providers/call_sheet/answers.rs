//! What the callers found out, read back from the table.
//!
//! Spreadsheets change what they save: the delimiter, the encoding and the order of columns are found out, unknown
//! columns are passed over. Each row is an answer or a problem of its own; a row without a disposition is a call not
//! yet made.

use crate::model::disposition::{Disposition, Dispositions};
use crate::model::personal::Personal;
use crate::model::problem::Problem;
use encoding_rs::Encoding;
use std::collections::HashMap;

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub row: u64,
    pub notice: String,
    pub disposition: Disposition,
    pub note: Personal,
    /// Which call of the notice it was, from 1; `None` where the table does not say.
    pub call: Option<u32>,
}

/// The answers of a filled-in table, row by row.
pub fn read(content: &[u8], dispositions: &Dispositions) -> Vec<Result<Answer, Problem>> {
    let text = decode(content);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(&text))
        .flexible(true)
        .has_headers(true)
        .from_reader(text.as_bytes());
    let columns = match reader.headers().map(Columns::find) {
        Ok(Ok(columns)) => columns,
        Ok(Err(problem)) => return vec![Err(problem)],
        Err(_) => return vec![Err(Problem::new("unreadable", "", "the table cannot be read: save it as CSV (UTF-8)"))],
    };
    let mut seen: HashMap<String, u64> = HashMap::new();
    let mut answers = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let row = index as u64 + 1;
        let answer = match record {
            Ok(record) => columns.answer(&record, row, dispositions),
            Err(_) => Some(Err(Problem::new("unreadable", "", "the row cannot be read").at_row(row))),
        };
        match answer {
            None => {}
            Some(Ok(answer)) => match seen.insert(answer.notice.clone(), row) {
                None => answers.push(Ok(answer)),
                Some(first) => {
                    let message = format!("the notice was already answered in row {first}: keep one of the two");
                    answers.push(Err(Problem::new("answered-twice", "notice", message).at_row(row)));
                }
            },
            Some(problem) => answers.push(problem),
        }
    }
    answers
}

/// By byte order mark; else UTF-8 where it is valid; else the most likely one.
fn decode(content: &[u8]) -> String {
    if let Some((encoding, mark)) = Encoding::for_bom(content) {
        let rest = content.get(mark..).unwrap_or_default();
        return encoding.decode_without_bom_handling(rest).0.into_owned();
    }
    if let Ok(text) = std::str::from_utf8(content) {
        return text.to_owned();
    }
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
    detector.feed(content, true);
    detector.guess(None, chardetng::Utf8Detection::Deny).decode(content).0.into_owned()
}

/// The one of comma, semicolon and tab that the heading holds most of.
fn delimiter(text: &str) -> u8 {
    let heading = text.lines().next().unwrap_or_default();
    let count = |delimiter: u8| heading.bytes().filter(|byte| *byte == delimiter).count();
    [b',', b';', b'\t'].into_iter().rev().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

struct Columns {
    notice: usize,
    disposition: usize,
    note: Option<usize>,
    call: Option<usize>,
}

impl Columns {
    fn find(headings: &csv::StringRecord) -> Result<Columns, Problem> {
        let position = |name: &str| headings.iter().position(|heading| heading.trim().eq_ignore_ascii_case(name));
        let needed = |name: &str| {
            position(name).ok_or_else(|| {
                let message = format!("the table has no column `{name}`: keep the headings of the exported file");
                Problem::new("no-column", name, message)
            })
        };
        Ok(Columns {
            notice: needed("notice")?,
            disposition: needed("disposition")?,
            note: position("note"),
            call: position("call"),
        })
    }

    fn answer(
        &self,
        record: &csv::StringRecord,
        row: u64,
        dispositions: &Dispositions,
    ) -> Option<Result<Answer, Problem>> {
        let cell = |at: usize| record.get(at).map(str::trim).unwrap_or_default();
        let written = cell(self.disposition);
        if written.is_empty() {
            return None;
        }
        let notice = cell(self.notice).trim_start_matches('\'');
        if notice.is_empty() {
            let message = "the row has a disposition and no notice: restore the notice from the exported file";
            return Some(Err(Problem::new("no-notice", "notice", message).at_row(row)));
        }
        let Some(disposition) = dispositions.find(written) else {
            // A caller may have typed anything into the wrong cell: what stands there is not repeated.
            let ids: Vec<&str> = dispositions.iter().map(|d| d.id.as_str()).collect();
            let message = format!("this is no disposition: write one of {}", ids.join(", "));
            return Some(Err(Problem::new("bad-disposition", "disposition", message).at_row(row)));
        };
        let note = self.note.map(cell).unwrap_or_default().trim_start_matches('\'');
        let call = match self.call.map(cell).unwrap_or_default() {
            "" => None,
            written => match written.parse() {
                Ok(call) => Some(call),
                Err(_) => {
                    let message = "this is no number of a call: restore the column from the exported file";
                    return Some(Err(Problem::new("bad-call", "call", message).at_row(row)));
                }
            },
        };
        let disposition = disposition.clone();
        Some(Ok(Answer { row, notice: notice.to_owned(), disposition, note: Personal::new(note), call }))
    }
}

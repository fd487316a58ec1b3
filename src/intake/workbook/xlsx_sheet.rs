//! The rows of an XLSX sheet, cell by cell.

use super::formats::{NumberFault, Shown, text_of};
use super::package::{Node, Tag, Xml};
use super::rows::{Rows, SheetRow, cell_name, cell_place};
use super::xlsx::{Texts, unescaped};
use super::{Stop, WorkbookProblem};
use crate::intake::table::Fault;

/// Cells of a row that are kept; a sheet can have 16,384.
const MOST_CELLS: u64 = 16_384;

/// What the value of a cell is, by the letters of its `t`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Number,
    Shared,
    Text,
    Flag,
    Error,
    IsoDate,
}

#[derive(Debug, Default)]
struct Cell {
    /// From 1.
    column: u64,
    kind: Kind,
    style: usize,
    formula: bool,
    value: String,
}

/// Reads one sheet.
pub(super) struct SheetReader<'a> {
    xml: Xml<'a>,
    texts: &'a Texts,
    formats: &'a [Shown],
    since_1904: bool,
    row: SheetRow,
    /// The column of the last cell, for cells that do not say theirs.
    column: u64,
}

impl<'a> SheetReader<'a> {
    pub(super) fn new(xml: Xml<'a>, texts: &'a Texts, formats: &'a [Shown], since_1904: bool) -> SheetReader<'a> {
        SheetReader { xml, texts, formats, since_1904, row: SheetRow::default(), column: 0 }
    }

    pub(super) fn read(mut self, rows: &mut Rows<'_>) -> Result<(), Stop> {
        while let Some(node) = self.xml.next()? {
            match node {
                Node::Begin(tag) => match tag.name() {
                    "row" => {
                        let number = tag.number("r").unwrap_or(self.row.number + 1);
                        self.row = SheetRow { number, hidden: tag.flag("hidden"), ..SheetRow::default() };
                        self.column = 0;
                    }
                    "c" => self.cell(&tag)?,
                    _ => {}
                },
                Node::End(name) => match name.as_str() {
                    "row" => {
                        let number = self.row.number;
                        rows.take(std::mem::take(&mut self.row))?;
                        self.row.number = number;
                    }
                    "sheetData" => return Ok(()),
                    _ => {}
                },
                Node::Text(_) => {}
            }
        }
        Ok(())
    }

    /// Reads to the end of the cell that begins with `tag`.
    fn cell(&mut self, tag: &Tag) -> Result<(), WorkbookProblem> {
        let column = tag.get("r").and_then(|name| cell_place(&name)).map_or(self.column + 1, |(column, _)| column);
        let mut cell = Cell { column, kind: kind(tag), ..Cell::default() };
        cell.style = tag.number("s").unwrap_or(0) as usize;
        let (mut inside, mut phonetic) = (false, false);
        while let Some(node) = self.xml.next()? {
            match node {
                Node::Begin(tag) => match tag.name() {
                    "f" => cell.formula = true,
                    "rPh" => phonetic = true,
                    name => inside = matches!(name, "v" | "t") && !phonetic,
                },
                Node::Text(piece) if inside => cell.value.push_str(&piece),
                Node::Text(_) => {}
                Node::End(name) => match name.as_str() {
                    "rPh" => phonetic = false,
                    "c" => break,
                    _ => inside = false,
                },
            }
        }
        self.column = column;
        if column <= MOST_CELLS {
            self.put(cell);
        }
        Ok(())
    }

    fn put(&mut self, cell: Cell) {
        let place = || cell_name(cell.column, self.row.number);
        let mut fault = None;
        let lost = |code, message: String| Some((code, message, true));
        let text = match cell.kind {
            _ if cell.value.is_empty() && !(cell.formula && cell.kind != Kind::Text) => String::new(),
            _ if cell.value.is_empty() => {
                fault = lost("formula-without-value", uncalculated(&place()));
                String::new()
            }
            Kind::Error => {
                fault = lost("cell-error", error_value(&place(), &cell.value));
                String::new()
            }
            Kind::Shared => match cell.value.trim().parse().ok().and_then(|index| self.texts.get(index)) {
                Some(text) => text.to_owned(),
                None => {
                    fault =
                        lost("cell-error", format!("cell {} refers to a text that is not in the workbook", place()));
                    String::new()
                }
            },
            Kind::Text => unescaped(&cell.value),
            Kind::IsoDate => cell.value.clone(),
            Kind::Flag => if cell.value.trim() == "1" { "true" } else { "false" }.to_owned(),
            Kind::Number => {
                let shown = self.formats.get(cell.style).copied().unwrap_or(Shown::Plain);
                let (text, wrong) = text_of(&cell.value, shown, self.since_1904);
                fault = wrong.map(|wrong| number_fault(&place(), wrong));
                text
            }
        };
        let index = (cell.column - 1) as usize;
        if let Some((code, message, lost)) = fault {
            self.row.faults.push(Fault { column: index, code, message, lost });
        }
        if !text.is_empty() {
            if self.row.cells.len() <= index {
                self.row.cells.resize(index + 1, String::new());
            }
            self.row.cells[index] = text;
        }
    }
}

fn kind(tag: &Tag) -> Kind {
    match tag.get("t").as_deref() {
        Some("s") => Kind::Shared,
        Some("str" | "inlineStr") => Kind::Text,
        Some("b") => Kind::Flag,
        Some("e") => Kind::Error,
        Some("d") => Kind::IsoDate,
        Some(_) | None => Kind::Number,
    }
}

pub(super) fn uncalculated(place: &str) -> String {
    format!(
        "cell {place} holds a formula without its result, so it was taken as empty; open the workbook in a spreadsheet \
         program, save it, and read it again"
    )
}

/// The value is shown only where it is one of the marks that spreadsheets write.
pub(super) fn error_value(place: &str, value: &str) -> String {
    let is_mark = value.len() <= 16 && value.starts_with('#') && value.is_ascii();
    let mark = if is_mark { format!(" {value}") } else { String::new() };
    format!("cell {place} holds the error{mark} instead of a value, and was taken as empty; correct the cell")
}

pub(super) fn number_fault(place: &str, fault: NumberFault) -> (&'static str, String, bool) {
    match fault {
        NumberFault::NoNumber => {
            let message =
                format!("cell {place} holds a number that cannot be read, and was taken as empty; type it again");
            ("cell-error", message, true)
        }
        NumberFault::Rounded => {
            let message = format!(
                "cell {place} holds a number of more than 15 digits, whose last digits spreadsheets turn into zeros; take \
                 the value from where it came from, and keep it as text"
            );
            ("rounded-number", message, true)
        }
    }
}

//! The rows of an ODS sheet. All sheets are in one part, so it is gone through once to see what there is, and once for
//! the rows.

use super::formats::{Shown, text_of};
use super::package::{Node, Package, Tag, Xml};
use super::rows::{Area, Rows, SheetRow, cell_name};
use super::xlsx_sheet::{error_value, number_fault, uncalculated};
use super::{Sheet, Stop, WorkbookProblem};
use crate::intake::table::Fault;

const CONTENT: &str = "content.xml";
/// The most rows and columns that a sheet can have.
const MOST_ROWS: u64 = 1_048_576;
const MOST_COLUMNS: u64 = 16_384;

/// The sheets, and which of them have rows.
pub(super) fn sheets(package: &mut Package) -> Result<Vec<Sheet>, WorkbookProblem> {
    if package.has("META-INF/manifest.xml") {
        let mut xml = package.xml("META-INF/manifest.xml")?;
        while let Some(node) = xml.next()? {
            if matches!(node, Node::Begin(tag) if tag.name() == "encryption-data") {
                return Err(WorkbookProblem::Protected);
            }
        }
    }
    let mut sheets: Vec<Sheet> = Vec::new();
    let mut is_spreadsheet = false;
    let mut xml = package.xml(CONTENT)?;
    while let Some(node) = xml.next()? {
        match node {
            Node::Begin(tag) => match tag.name() {
                "spreadsheet" => is_spreadsheet = true,
                "table" => {
                    let name = tag.get("name").unwrap_or_default();
                    sheets.push(Sheet { name, hidden: false, has_rows: false });
                }
                "table-cell" => {
                    let has_rows = tag.get("value-type").is_some() || tag.get("formula").is_some();
                    if let Some(sheet) = sheets.last_mut() {
                        sheet.has_rows |= has_rows;
                    }
                }
                _ => {}
            },
            Node::End(_) | Node::Text(_) => {}
        }
    }
    if is_spreadsheet { Ok(sheets) } else { Err(WorkbookProblem::NotAWorkbook) }
}

/// Hands over the rows of the sheet at this place.
pub(super) fn read(package: &mut Package, at: usize, rows: &mut Rows<'_>) -> Result<(), Stop> {
    let mut xml = package.xml(CONTENT)?;
    let mut tables = 0;
    while let Some(node) = xml.next()? {
        if matches!(node, Node::Begin(tag) if tag.name() == "table") {
            tables += 1;
            if tables == at + 1 {
                return SheetReader { xml, number: 1 }.read(rows);
            }
        }
    }
    Ok(())
}

struct SheetReader<'a> {
    xml: Xml<'a>,
    /// The row that comes next, from 1.
    number: u64,
}

impl SheetReader<'_> {
    fn read(mut self, rows: &mut Rows<'_>) -> Result<(), Stop> {
        while let Some(node) = self.xml.next()? {
            match node {
                Node::Begin(tag) if tag.name() == "table-row" => self.row(&tag, rows)?,
                Node::End(name) if name == "table" => return Ok(()),
                Node::Begin(_) | Node::End(_) | Node::Text(_) => {}
            }
        }
        Ok(())
    }

    /// Reads to the end of a row, which may stand for several that are the same.
    fn row(&mut self, tag: &Tag, rows: &mut Rows<'_>) -> Result<(), Stop> {
        let times = tag.number("number-rows-repeated").unwrap_or(1).max(1);
        let hidden = matches!(tag.get("visibility").as_deref(), Some("collapse" | "filter"));
        let mut row = SheetRow { number: self.number, hidden, ..SheetRow::default() };
        let mut column = 0;
        while let Some(node) = self.xml.next()? {
            match node {
                Node::Begin(tag) => match tag.name() {
                    "table-cell" => self.cell(&tag, &mut column, &mut row, rows)?,
                    "covered-table-cell" => {
                        column += tag.number("number-columns-repeated").unwrap_or(1);
                        self.skip("covered-table-cell")?;
                    }
                    _ => {}
                },
                Node::End(name) if name == "table-row" => break,
                Node::End(_) | Node::Text(_) => {}
            }
        }
        let blank = row.cells.iter().all(|cell| cell.trim().is_empty()) && row.faults.is_empty();
        if !blank && self.number.saturating_add(times) > MOST_ROWS + 1 {
            return Err(WorkbookProblem::TooLarge { part: CONTENT.to_owned() }.into());
        }
        if times == 1 {
            rows.take(row)?;
        } else if !blank {
            for offset in 0..times {
                let faults = row.faults.iter().map(Fault::again).collect();
                rows.take(SheetRow { number: self.number + offset, hidden, cells: row.cells.clone(), faults })?;
            }
        }
        self.number = self.number.saturating_add(times);
        Ok(())
    }

    /// Reads to the end of a cell, which may stand for several that are the same.
    fn cell(
        &mut self,
        tag: &Tag,
        column: &mut u64,
        row: &mut SheetRow,
        rows: &mut Rows<'_>,
    ) -> Result<(), WorkbookProblem> {
        let first = *column + 1;
        let times = tag.number("number-columns-repeated").unwrap_or(1).clamp(1, MOST_COLUMNS);
        *column += times;
        let span = |name: &str| tag.number(name).unwrap_or(1).max(1);
        let (down, across) = (span("number-rows-spanned"), span("number-columns-spanned"));
        if down > 1 || across > 1 {
            rows.merge(Area {
                first_row: row.number,
                last_row: row.number.saturating_add(down - 1),
                first_column: first,
                last_column: first.saturating_add(across - 1),
            });
        }
        let shown = self.shown_text()?;
        let place = cell_name(first, row.number);
        let (text, fault) = value(tag, shown, &place);
        for index in (first - 1)..(first - 1 + times).min(MOST_COLUMNS) {
            let index = index as usize;
            if let Some((code, message, lost)) = &fault {
                row.faults.push(Fault { column: index, code, message: message.clone(), lost: *lost });
            }
            if !text.is_empty() {
                if row.cells.len() <= index {
                    row.cells.resize(index + 1, String::new());
                }
                row.cells[index].clone_from(&text);
            }
        }
        Ok(())
    }

    /// What a cell shows, to the end of the cell: its paragraphs, a line each, without remarks pinned to it.
    fn shown_text(&mut self) -> Result<String, WorkbookProblem> {
        let mut text = String::new();
        let (mut paragraphs, mut inside) = (0, false);
        while let Some(node) = self.xml.next()? {
            match node {
                Node::Begin(tag) => match tag.name() {
                    "annotation" => self.skip("annotation")?,
                    "p" => {
                        if paragraphs > 0 {
                            text.push('\n');
                        }
                        paragraphs += 1;
                        inside = true;
                    }
                    "s" => text.extend(std::iter::repeat_n(' ', tag.number("c").unwrap_or(1).min(1_000) as usize)),
                    "tab" => text.push('\t'),
                    "line-break" => text.push('\n'),
                    _ => {}
                },
                Node::Text(piece) if inside => text.push_str(&piece),
                Node::Text(_) => {}
                Node::End(name) => match name.as_str() {
                    "p" => inside = false,
                    "table-cell" => break,
                    _ => {}
                },
            }
        }
        Ok(text)
    }

    /// Passes over what is left of an element.
    fn skip(&mut self, element: &str) -> Result<(), WorkbookProblem> {
        while let Some(node) = self.xml.next()? {
            if matches!(node, Node::End(name) if name == element) {
                break;
            }
        }
        Ok(())
    }
}

type Found = (String, Option<(&'static str, String, bool)>);

/// The text of a cell's value, and what is wrong with it.
fn value(tag: &Tag, shown: String, place: &str) -> Found {
    let is_formula = tag.get("formula").is_some();
    // LibreOffice calls an error a string, and says so in an attribute of its own.
    let is_error = tag.get_exactly("calcext:value-type").as_deref() == Some("error");
    let is_mark = is_formula && (shown.starts_with("Err:") || shown.starts_with("#N") || shown.starts_with("#VALUE!"));
    if is_error || is_mark {
        return (String::new(), Some(("cell-error", error_value(place, &shown), true)));
    }
    let lost = || (String::new(), Some(("formula-without-value", uncalculated(place), true)));
    match tag.get_exactly("office:value-type").as_deref() {
        Some("float" | "percentage" | "currency") => match tag.get_exactly("office:value") {
            Some(number) => {
                let (text, fault) = text_of(&number, Shown::Plain, false);
                (text, fault.map(|fault| number_fault(place, fault)))
            }
            None if is_formula => lost(),
            None => (shown, None),
        },
        Some("date") => (tag.get_exactly("office:date-value").unwrap_or(shown), None),
        Some("boolean") => (tag.get_exactly("office:boolean-value").unwrap_or(shown), None),
        Some(_) => (tag.get_exactly("office:string-value").filter(|_| shown.is_empty()).unwrap_or(shown), None),
        None if is_formula && shown.is_empty() => lost(),
        None => (shown, None),
    }
}

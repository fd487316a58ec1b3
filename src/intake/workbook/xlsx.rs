//! What an XLSX workbook has beside its rows: the sheets, the texts that cells refer to, the formats of numbers.

use super::formats::{Shown, built_in, of_code};
use super::package::{Node, Package, Tag, Xml};
use super::rows::{Area, Rows, cell_place};
use super::xlsx_sheet::SheetReader;
use super::{Sheet, Stop, WorkbookProblem};
use std::collections::HashMap;

/// Merged areas of one sheet; more are a file made to do harm.
const MOST_AREAS: usize = 1_000_000;

/// A workbook, opened.
pub(super) struct Workbook {
    pub(super) sheets: Vec<Sheet>,
    /// The parts of the sheets, in the same order.
    parts: Vec<String>,
    texts: Texts,
    formats: Vec<Shown>,
    since_1904: bool,
}

/// The texts that several cells may share, one behind the other.
#[derive(Default)]
pub(super) struct Texts {
    all: String,
    ends: Vec<usize>,
}

impl Texts {
    pub(super) fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.all.get(start..end)
    }
}

impl Workbook {
    pub(super) fn open(package: &mut Package) -> Result<Workbook, WorkbookProblem> {
        let main = main_part(package)?;
        if main.ends_with(".bin") {
            return Err(WorkbookProblem::OldKind);
        }
        let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let related = relations(package, &main)?;
        let mut sheets = Vec::new();
        let mut parts = Vec::new();
        let mut since_1904 = false;
        let mut xml = package.xml(&main)?;
        while let Some(node) = xml.next()? {
            let Node::Begin(tag) = node else { continue };
            match tag.name() {
                "workbookPr" => since_1904 = tag.flag("date1904"),
                "sheet" => {
                    let relation = tag.get_exactly("r:id").or_else(|| tag.get("id")).unwrap_or_default();
                    // A chart that has a tab of its own is no sheet of cells.
                    let Some((kind, target)) = related.get(&relation) else { continue };
                    if kind.ends_with("/worksheet") {
                        let hidden = tag.get("state").is_some_and(|state| state != "visible");
                        let name = tag.get("name").unwrap_or_default();
                        sheets.push(Sheet { name, hidden, has_rows: false });
                        parts.push(resolved(&folder, target));
                    }
                }
                _ => {}
            }
        }
        drop(xml);
        let of_kind = |end: &str| related.values().find(|(kind, _)| kind.ends_with(end));
        let shared = of_kind("/sharedStrings").map(|(_, target)| resolved(&folder, target));
        let styles = of_kind("/styles").map(|(_, target)| resolved(&folder, target));
        for (sheet, part) in sheets.iter_mut().zip(&parts) {
            sheet.has_rows = has_rows(package.xml(part)?)?;
        }
        let texts = match shared {
            Some(part) => texts(package.xml(&part)?)?,
            None => Texts::default(),
        };
        let formats = match styles {
            Some(part) => formats(package.xml(&part)?)?,
            None => Vec::new(),
        };
        Ok(Workbook { sheets, parts, texts, formats, since_1904 })
    }

    /// The merged cells of a sheet. They stand behind its rows, so it is gone through once before.
    pub(super) fn merged(&self, package: &mut Package, at: usize) -> Result<Vec<Area>, WorkbookProblem> {
        let mut areas = Vec::new();
        package.xml(&self.parts[at])?.pieces(|piece| {
            let begins = piece.split(|b| *b == b' ').next().unwrap_or(&[]);
            if (begins == b"mergeCell" || begins.ends_with(b":mergeCell")) && areas.len() <= MOST_AREAS {
                areas.extend(area_of(&String::from_utf8_lossy(piece)));
            }
        })?;
        if areas.len() > MOST_AREAS {
            return Err(WorkbookProblem::TooLarge { part: "the list of merged cells".to_owned() });
        }
        Ok(areas)
    }

    pub(super) fn read(&self, package: &mut Package, at: usize, rows: &mut Rows<'_>) -> Result<(), Stop> {
        let xml = package.xml(&self.parts[at])?;
        SheetReader::new(xml, &self.texts, &self.formats, self.since_1904).read(rows)
    }
}

/// The area of `mergeCell ref="A1:B2"/>`.
fn area_of(element: &str) -> Option<Area> {
    let (_, named) = element.split_once("ref=")?;
    let named = named.trim_start_matches(['"', '\'']).split(['"', '\'']).next()?;
    let (first, last) = named.split_once(':')?;
    let ((first_column, first_row), (last_column, last_row)) = (cell_place(first)?, cell_place(last)?);
    Some(Area { first_row, last_row, first_column, last_column })
}

/// The part that says what the workbook consists of.
fn main_part(package: &mut Package) -> Result<String, WorkbookProblem> {
    if !package.has("_rels/.rels") {
        return Err(WorkbookProblem::NotAWorkbook);
    }
    let related = relations(package, "")?;
    let main = related.values().find(|(kind, _)| kind.ends_with("/officeDocument"));
    let main = main.map(|(_, target)| resolved("", target)).ok_or(WorkbookProblem::NotAWorkbook)?;
    // A text document has such a part too.
    let is_workbook = main.starts_with("xl/") || main.contains("workbook");
    if is_workbook { Ok(main) } else { Err(WorkbookProblem::NotAWorkbook) }
}

/// The parts that a part refers to, by the name of the relation: kind and target.
fn relations(package: &mut Package, part: &str) -> Result<HashMap<String, (String, String)>, WorkbookProblem> {
    let (folder, name) = part.rsplit_once('/').map_or(("", part), |(folder, name)| (folder, name));
    let slash = if folder.is_empty() { "" } else { "/" };
    let mut xml = package.xml(&format!("{folder}{slash}_rels/{name}.rels"))?;
    let mut related = HashMap::new();
    while let Some(node) = xml.next()? {
        let Node::Begin(tag) = node else { continue };
        if tag.name() == "Relationship" {
            let get = |name: &str| tag.get(name).unwrap_or_default();
            related.insert(get("Id"), (get("Type"), get("Target")));
        }
    }
    Ok(related)
}

/// The path of a target that is named from within `folder`.
fn resolved(folder: &str, target: &str) -> String {
    if let Some(absolute) = target.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut steps: Vec<&str> = folder.split('/').filter(|step| !step.is_empty()).collect();
    for step in target.split('/') {
        match step {
            "." | "" => {}
            ".." => drop(steps.pop()),
            other => steps.push(other),
        }
    }
    steps.join("/")
}

/// Whether there is a cell with anything in it; read as far as it takes to see one.
fn has_rows(mut xml: Xml<'_>) -> Result<bool, WorkbookProblem> {
    let mut inside = false;
    while let Some(node) = xml.next()? {
        match node {
            Node::Begin(tag) => match tag.name() {
                "f" => return Ok(true),
                name => inside = matches!(name, "v" | "t"),
            },
            Node::Text(text) if inside && !text.trim().is_empty() => return Ok(true),
            Node::Text(_) => {}
            Node::End(name) if name == "sheetData" => return Ok(false),
            Node::End(_) => inside = false,
        }
    }
    Ok(false)
}

fn texts(mut xml: Xml<'_>) -> Result<Texts, WorkbookProblem> {
    let mut texts = Texts::default();
    let (mut inside, mut phonetic) = (false, false);
    let mut text = String::new();
    while let Some(node) = xml.next()? {
        match node {
            Node::Begin(tag) => match tag.name() {
                "si" => text.clear(),
                // How a name is read aloud stands beside it, and is no part of it.
                "rPh" => phonetic = true,
                name => inside = name == "t" && !phonetic,
            },
            Node::Text(piece) if inside => text.push_str(&piece),
            Node::Text(_) => {}
            Node::End(name) => match name.as_str() {
                "t" => inside = false,
                "rPh" => phonetic = false,
                "si" => {
                    texts.all.push_str(&unescaped(&text));
                    texts.ends.push(texts.all.len());
                }
                _ => {}
            },
        }
    }
    Ok(texts)
}

/// Control characters are written `_x000D_`, and an underscore before such letters `_x005F_`.
pub(super) fn unescaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("_x") {
        result.push_str(&rest[..at]);
        rest = &rest[at..];
        let code = rest.get(2..6).filter(|_| rest.as_bytes().get(6) == Some(&b'_'));
        match code.and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32) {
            Some(sign) => {
                result.push(sign);
                rest = &rest[7..];
            }
            None => {
                result.push_str("_x");
                rest = &rest[2..];
            }
        }
    }
    result + rest
}

/// How numbers are shown, by the style that a cell names.
fn formats(mut xml: Xml<'_>) -> Result<Vec<Shown>, WorkbookProblem> {
    let mut own: HashMap<u64, Shown> = HashMap::new();
    let mut formats = Vec::new();
    let mut in_cells = false;
    let of = |own: &HashMap<u64, Shown>, tag: &Tag| {
        let id = tag.number("numFmtId").unwrap_or(0);
        own.get(&id).copied().unwrap_or_else(|| built_in(id))
    };
    while let Some(node) = xml.next()? {
        match node {
            Node::Begin(tag) => match tag.name() {
                "numFmt" => {
                    let code = tag.get("formatCode").unwrap_or_default();
                    own.extend(tag.number("numFmtId").map(|id| (id, of_code(&code))));
                }
                "cellXfs" => in_cells = true,
                "xf" if in_cells => formats.push(of(&own, &tag)),
                _ => {}
            },
            Node::End(name) if name == "cellXfs" => in_cells = false,
            Node::End(_) | Node::Text(_) => {}
        }
    }
    Ok(formats)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_signs_are_what_they_stand_for() {
        for (written, want) in [
            ("a_x000D_b", "a\rb"),
            ("_x005F_x0041_", "_x0041_"),
            ("_x", "_x"),
            ("_x00", "_x00"),
            ("_xZZZZ_", "_xZZZZ_"),
            ("first_xmas", "first_xmas"),
            ("é_x0041_é", "éAé"),
            ("_x刘倩啊", "_x刘倩啊"),
        ] {
            assert_eq!(unescaped(written), want);
        }
    }

    #[test]
    fn targets_are_found_from_their_folder() {
        assert_eq!(resolved("xl", "worksheets/sheet1.xml"), "xl/worksheets/sheet1.xml");
        assert_eq!(resolved("xl", "/xl/worksheets/sheet1.xml"), "xl/worksheets/sheet1.xml");
        assert_eq!(resolved("xl/a", "../b.xml"), "xl/b.xml");
    }

    #[test]
    fn merged_areas_are_read() {
        let area = Area { first_row: 2, last_row: 4, first_column: 2, last_column: 27 };
        assert_eq!(area_of("mergeCell ref=\"B2:AA4\"/><"), Some(area));
        assert_eq!(area_of("mergeCell />"), None);
    }
}

//! Small workbooks, written by hand as spreadsheet programs write them.

use std::io::Write as _;
use zip::write::{SimpleFileOptions, ZipWriter};

/// A ZIP file of these parts.
pub(super) fn package(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in parts {
        writer.start_file(*name, SimpleFileOptions::default()).expect("a part");
        writer.write_all(text.as_bytes()).expect("memory does not fail");
    }
    writer.finish().expect("a file").into_inner()
}

/// A sheet of an XLSX file: its name, its attributes in the list, its `sheetData` and what stands behind.
pub(super) struct Sheet<'s> {
    pub(super) name: &'s str,
    pub(super) attributes: &'s str,
    pub(super) rows: &'s str,
    pub(super) behind: &'s str,
}

impl<'s> Sheet<'s> {
    pub(super) fn of(name: &'s str, rows: &'s str) -> Sheet<'s> {
        Sheet { name, attributes: "", rows, behind: "" }
    }
}

const STYLES: &str = r#"<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><numFmts count="2">
<numFmt numFmtId="164" formatCode="yyyy\-mm\-dd"/><numFmt numFmtId="165" formatCode="000000"/></numFmts>
<cellStyleXfs count="1"><xf numFmtId="14"/></cellStyleXfs>
<cellXfs count="4"><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="165"/><xf numFmtId="22"/></cellXfs></styleSheet>"#;

/// Texts that cells of kind `s` name: 0 to 3. The first is in runs and has its reading beside it.
const TEXTS: &str = r#"<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" count="4" uniqueCount="4">
<si><r><t>佐藤 </t></r><r><t>裕太</t></r><rPh sb="0" eb="2"><t>サトウ</t></rPh></si>
<si><t>tom&amp;co@example.org</t></si><si><t xml:space="preserve"> +44 7400 114336</t></si><si><t>two_x000D_&#10;lines</t></si></sst>"#;

/// An XLSX file. Style 1 is a date, 2 six digits, 3 date and time.
pub(super) fn xlsx(sheets: &[Sheet<'_>]) -> Vec<u8> {
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
    let relation = |id: &str, kind: &str, target: &str| {
        format!(r#"<Relationship Id="{id}" Type="{OFFICE}/{kind}" Target="{target}"/>"#)
    };
    let relations =
        |inside: &str| format!(r#"<?xml version="1.0"?><Relationships xmlns="{PACKAGE}">{inside}</Relationships>"#);
    let (mut list, mut related) = (String::new(), String::new());
    let mut parts: Vec<(String, String)> = Vec::new();
    for (at, sheet) in sheets.iter().enumerate() {
        let number = at + 1;
        let Sheet { name, attributes, rows, behind } = sheet;
        list += &format!(r#"<sheet name="{name}" sheetId="{number}" {attributes} r:id="rId{number}"/>"#);
        related += &relation(&format!("rId{number}"), "worksheet", &format!("worksheets/sheet{number}.xml"));
        let text = format!(r#"<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData>{behind}</worksheet>"#);
        parts.push((format!("xl/worksheets/sheet{number}.xml"), text));
    }
    related += &relation("rId90", "sharedStrings", "sharedStrings.xml");
    related += &relation("rId91", "styles", "/xl/styles.xml");
    parts.push(("_rels/.rels".into(), relations(&relation("rId1", "officeDocument", "xl/workbook.xml"))));
    parts.push(("xl/_rels/workbook.xml.rels".into(), relations(&related)));
    parts.push(("xl/sharedStrings.xml".into(), TEXTS.into()));
    parts.push(("xl/styles.xml".into(), STYLES.into()));
    let workbook = format!(r#"<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{list}</sheets></workbook>"#);
    parts.push(("xl/workbook.xml".into(), workbook));
    let parts: Vec<(&str, &str)> = parts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    package(&parts)
}

/// A row of inline texts that name no places, as some exporters write them.
pub(super) fn texts(attributes: &str, cells: &[&str]) -> String {
    let cell = |text: &&str| format!(r#"<c t="inlineStr"><is><t>{text}</t></is></c>"#);
    format!("<row {attributes}>{}</row>", cells.iter().map(cell).collect::<String>())
}

/// An ODS file with these tables.
pub(super) fn ods(tables: &str, manifest: &str) -> Vec<u8> {
    let content = format!(
        r#"<?xml version="1.0"?><office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
        xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
        xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"><office:body>
        <office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>"#
    );
    package(&[
        ("mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
        ("content.xml", &content),
        ("META-INF/manifest.xml", manifest),
    ])
}

//! Workbooks: what is in a sheet is taken in, and what could surprise is said.

use super::workbook_files::{Sheet, ods, package, texts, xlsx};
use super::{Place, message, problems, sums};
use std::io::Write as _;

const HEADING: [&str; 6] = ["Customer No.", "Full Name", "E-mail", "Mobile", "Country", "Date of Birth"];

fn heading() -> String {
    texts("r=\"1\"", &HEADING)
}

fn checked(bytes: &[u8], more: &str) -> (Place, serde_json::Value) {
    let place = Place::new();
    place.write("list.xlsx", bytes);
    place.sources(&[&format!("file = \"list.xlsx\"\n{more}")]);
    let report = place.check();
    (place, report)
}

fn refused(bytes: &[u8], more: &str) -> String {
    let place = Place::new();
    place.write("list.xlsx", bytes);
    place.sources(&[&format!("file = \"list.xlsx\"\n{more}")]);
    place.refused("check incident.toml --json")
}

#[test]
fn numbers_dates_and_shared_texts_become_what_people_see() {
    let rows = heading()
        + r#"<row r="2"><c r="A2" s="2"><v>42</v></c><c r="B2" t="s"><v>0</v></c><c r="C2" t="s"><v>1</v></c>
            <c r="D2"><v>1.3800138E+10</v></c><c r="E2" t="inlineStr"><is><t>CN</t></is></c><c r="F2" s="1"><v>45658</v></c></row>
            <row r="5"><c r="A5"><v>7</v></c><c r="B5" t="str"><f>"A"&amp;"B"</f><v>AB</v></c><c r="D5" t="s"><v>2</v></c>
            <c r="F5" s="3"><v>45658.5</v></c></row>"#;
    let (place, report) = checked(&xlsx(&[Sheet::of("Clients", &rows)]), "");
    assert_eq!(sums(&report), [2, 2, 0, 0], "{report}");
    assert_eq!(problems(&report), []);
    let found = place.rows();
    assert_eq!((&found[0]["ref"], &found[0]["phone"]), (&"000042".into(), &"+8613800138000".into()));
    assert_eq!(found[0]["email"], "tom&co@example.org");
    assert_eq!((&found[1]["row"], &found[1]["phone"]), (&2.into(), &"+447400114336".into()));
    let source = &report["sources"][0];
    assert_eq!((&source["name"], &source["encoding"]), (&"list.xlsx".into(), &"XLSX, sheet Clients".into()));
    assert_eq!(source["digest"].as_str().map(str::len), Some(64));
}

#[test]
fn names_in_runs_have_no_reading_in_them_and_dates_are_iso() {
    use forewarn::intake::{ListReader, Verdict};
    use forewarn::model::incident::FileSource;
    let rows = heading()
        + r#"<row r="2"><c r="A2"><v>1</v></c><c r="B2" t="s"><v>0</v></c><c r="C2" t="s"><v>1</v></c><c r="F2" s="1"><v>45658</v></c></row>
            <row r="3"><c r="A3"><v>2</v></c><c r="B3" t="s"><v>3</v></c><c r="C3" t="s"><v>1</v></c><c r="F3" t="b"><v>1</v></c></row>"#;
    let place = Place::new();
    place.write("list.xlsx", xlsx(&[Sheet::of("Clients", &rows)]));
    let source = FileSource { path: place.path("list.xlsx"), ..FileSource::default() };
    let mut reader = ListReader::open(&source).expect("opens");
    let mut found = Vec::new();
    while let Some(row) = reader.next_row().expect("readable") {
        let Verdict::Person { person, .. } = row.verdict else { panic!("a person") };
        found.push((person.name.reveal().to_owned(), person.birth_date.reveal().to_owned()));
    }
    assert_eq!(found, [("佐藤 裕太".into(), "2025-01-01".into()), ("two lines".into(), "true".to_owned())]);
}

#[test]
fn hidden_rows_are_taken_in_and_told() {
    let rows = heading()
        + &texts("r=\"2\"", &["1", "A", "a@example.org"])
        + &texts("r=\"3\" hidden=\"1\"", &["2", "B", "b@example.org"])
        + &texts("r=\"4\" hidden=\"true\"", &["3", "C", "c@example.org"])
        + "<row r=\"9\" hidden=\"1\"/>";
    let (_place, report) = checked(&xlsx(&[Sheet::of("Clients", &rows)]), "");
    assert_eq!(sums(&report), [3, 3, 0, 0]);
    assert_eq!(problems(&report), [(0, "hidden-rows")]);
    assert!(message(&report, "hidden-rows").starts_with("2 of the rows of sheet \"Clients\" are hidden"));
}

#[test]
fn formulas_errors_and_rounded_numbers_are_problems_of_their_rows() {
    let mail = |name: &str| format!(r#"<c r="C{name}" t="inlineStr"><is><t>p{name}@example.org</t></is></c>"#);
    let rows = heading()
        + &format!(
            r#"<row r="2"><c r="A2"><v>1</v></c><c r="B2"><f>HYPERLINK("x","y")</f><v/></c>{}</row>"#,
            mail("2")
        )
        + &format!(r##"<row r="3"><c r="A3"><v>2</v></c><c r="B3" t="e"><v>#N/A</v></c>{}</row>"##, mail("3"))
        + &format!(r##"<row r="4"><c r="A4" t="e"><f>A9</f><v>#REF!</v></c>{}</row>"##, mail("4"))
        + &format!(r#"<row r="5"><c r="A5"><v>1234567890123456</v></c>{}</row>"#, mail("5"))
        + r##"<row r="6"><c r="A6"><v>5</v></c><c r="C6" t="e"><v>#VALUE!</v></c></row>"##
        + &format!(r#"<row r="7"><c r="A7"><v>6</v></c><c r="B7" t="str"><f>""</f><v></v></c>{}</row>"#, mail("7"))
        + &format!(r#"<row r="8"><c r="A8"><v>7</v></c>{}<c r="J8"><v>1</v></c></row>"#, mail("8"));
    let (place, report) = checked(&xlsx(&[Sheet::of("Clients", &rows)]), "");
    assert_eq!(sums(&report), [7, 3, 0, 4], "{report}");
    let want = [
        (1, "formula-without-value"),
        (2, "cell-error"),
        (3, "cell-error"),
        (4, "rounded-number"),
        (5, "no-contact"),
        (5, "cell-error"),
        (7, "ragged-row"),
    ];
    assert_eq!(problems(&report), want);
    assert!(message(&report, "formula-without-value").starts_with("cell B2 holds a formula without its result"));
    assert!(message(&report, "cell-error").contains("cell B3 holds the error #N/A"));
    let rejects = place.rejects();
    assert_eq!(rejects[0].iter().map(String::as_str).collect::<Vec<_>>()[..6], HEADING.map(|h| h));
    assert_eq!(rejects.iter().skip(1).map(|r| r[6].as_str()).collect::<Vec<_>>(), ["3", "4", "5", "7"]);
    assert_eq!(rejects[2][0], "1234567890123456");
}

#[test]
fn merged_cells_give_their_value_to_the_first_row_and_the_others_are_told() {
    let rows = heading()
        + &texts("r=\"2\"", &["1", "A", "a@example.org"])
        + &texts("r=\"3\"", &["2", "", "b@example.org"])
        + "<row r=\"4\"><c r=\"A4\"/></row>"
        + &texts("r=\"5\"", &["3", "C", "c@example.org"]);
    let behind = r#"<mergeCells count="2"><mergeCell ref="B2:B3"/><mergeCell ref="A3:C4" /></mergeCells>"#;
    let (_place, report) = checked(&xlsx(&[Sheet { behind, ..Sheet::of("Clients", &rows) }]), "");
    // Row 4 of the sheet looks filled on the screen: it is a row, and it has nobody.
    assert_eq!(sums(&report), [4, 3, 0, 1], "{report}");
    let want = [(1, "merged-cells"), (2, "merged-cells"), (2, "merged-cells"), (3, "no-contact"), (3, "merged-cells")];
    assert_eq!(problems(&report), want);
    assert!(message(&report, "merged-cells").starts_with("cells B2:B3 are merged"));
}

#[test]
fn a_sheet_is_chosen_only_where_there_is_no_choice() {
    let one = heading() + &texts("", &["1", "A", "a@example.org"]);
    let other = heading() + &texts("", &["2", "B", "b@example.org"]) + &texts("", &["3", "C", "c@example.org"]);
    let empty = "<row r=\"1\"><c r=\"A1\" s=\"1\"/></row>";
    let (_place, report) = checked(&xlsx(&[Sheet::of("Notes", empty), Sheet::of("Clients", &one)]), "");
    assert_eq!(sums(&report), [1, 1, 0, 0]);
    assert_eq!(problems(&report), [(0, "sheet-chosen")]);
    let hidden = Sheet { attributes: "state=\"hidden\"", ..Sheet::of("Old", &other) };
    let both = xlsx(&[Sheet::of("Clients", &one), hidden]);
    assert!(refused(&both, "").contains(r#"several sheets have rows: \"Clients\", \"Old\" (hidden)"#));
    assert!(refused(&both, "sheet = \"Klienten\"").contains(r#"there is no sheet \"Klienten\""#));
    let (_place, report) = checked(&both, "sheet = \"old\"");
    assert_eq!(sums(&report), [2, 2, 0, 0]);
    assert!(refused(&xlsx(&[Sheet::of("A", empty)]), "").contains("no sheet has a row"));
}

#[test]
fn what_is_no_readable_workbook_says_what_to_do() {
    let rows = heading() + &texts("", &["1", "A", "a@example.org"]);
    let good = xlsx(&[Sheet::of("A", &rows)]);
    assert!(refused(&good[..good.len() / 2], "").contains("the workbook is damaged"));
    let mut protected = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    protected.resize(70_000, 0);
    assert!(refused(&protected, "").contains("save it as XLSX"));
    protected.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
    assert!(refused(&protected, "").contains("protected with a password"));
    assert!(refused(&package(&[("readme.txt", "hello")]), "").contains("a ZIP file and no workbook"));
    assert!(refused(&good, "encoding = \"utf-8\"").contains("`encoding` is for text files"));
    let torn = xlsx(&[Sheet::of("A", &(rows.clone() + "<row><c t=\"inlineStr\"><is><t>2</t></row>"))]);
    assert!(refused(&torn, "").contains("the workbook is damaged"), "a sheet that ends wrongly is not half a list");
    let locked = ods("", "<m:manifest><m:file-entry><m:encryption-data/></m:file-entry></m:manifest>");
    assert!(refused(&locked, "").contains("protected with a password"));
}

#[test]
fn a_workbook_made_to_do_harm_is_refused_in_bounded_memory() {
    let mut writer = zip::write::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let mut part = |name: &str, head: &str, block: &str, times: usize| {
        writer.start_file(name, zip::write::SimpleFileOptions::default()).expect("a part");
        writer.write_all(head.as_bytes()).expect("memory");
        for _ in 0..times {
            writer.write_all(block.as_bytes()).expect("memory");
        }
    };
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let relation = |kind_end: &str, target: &str| {
        format!("<R><Relationship Id=\"r1\" Type=\"{kind}/{kind_end}\" Target=\"{target}\"/></R>")
    };
    part("_rels/.rels", &relation("officeDocument", "xl/workbook.xml"), "", 0);
    part("xl/_rels/workbook.xml.rels", &relation("worksheet", "sheet1.xml"), "", 0);
    part("xl/workbook.xml", "<w><sheets><sheet name=\"A\" r:id=\"r1\"/></sheets></w>", "", 0);
    part("xl/sheet1.xml", "<w><sheetData><row>", &format!("<c/>{}", " ".repeat(4 << 20)), 20);
    let bomb = writer.finish().expect("a file").into_inner();
    assert!(bomb.len() < 1_000_000);
    assert!(refused(&bomb, "").contains("unpacks to more than a list can need"));
    let endless = format!("<row><c t=\"inlineStr\"><is><t>{}</t></is></c></row>", "x".repeat(10 << 20));
    assert!(refused(&xlsx(&[Sheet::of("A", &endless)]), "").contains("unpacks to more than a list can need"));
}

#[test]
fn an_ods_sheet_is_read_with_what_repeats_what_is_hidden_and_what_is_merged() {
    let text = |text: &str| {
        format!(r#"<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>"#)
    };
    let number = |n: &str| {
        format!(
            r#"<table:table-cell office:value-type="float" office:value="{n}"><text:p>1,38E+10</text:p></table:table-cell>"#
        )
    };
    let row = |attributes: &str, cells: &[String]| {
        format!("<table:table-row {attributes}>{}</table:table-row>", cells.concat())
    };
    let merged = r#"<table:table-cell table:number-rows-spanned="2" office:value-type="string"><text:p>Zoë<text:s/>G.</text:p>
        <office:annotation><text:p>a remark</text:p></office:annotation></table:table-cell>"#;
    let covered = "<table:covered-table-cell/>".to_owned();
    let blank = r#"<table:table-cell table:number-columns-repeated="2"/>"#.to_owned();
    let failed = r##"<table:table-cell table:formula="of:=NA()" office:value-type="string" calcext:value-type="error"><text:p>#N/A</text:p></table:table-cell>"##;
    let date = r#"<table:table-cell office:value-type="date" office:date-value="2025-01-01"><text:p>1. Jan</text:p></table:table-cell>"#;
    let heading = HEADING.map(text);
    let sheet = [
        row("", &heading),
        row(
            "",
            &[text("1"), merged.to_owned(), text("a@example.org"), number("13800138000"), text("CN"), date.to_owned()],
        ),
        row("", &[text("2"), covered, text("b@example.org")]),
        row("table:visibility=\"filter\"", &[text("3"), text("C"), text("c@example.org"), blank]),
        row("table:number-rows-repeated=\"3\"", &[text("4"), text("D"), text("d@example.org")]),
        row(
            "table:number-rows-repeated=\"1048000\"",
            &["<table:table-cell table:number-columns-repeated=\"16384\"/>".to_owned()],
        ),
        row("", &[text("5"), failed.to_owned(), text("e@example.org")]),
    ];
    let tables = format!(
        "<table:table table:name=\"Kunden\">{}</table:table><table:table table:name=\"Leer\"/>",
        sheet.concat()
    );
    let (place, report) = checked(&ods(&tables, "<m/>"), "");
    assert_eq!(sums(&report), [7, 5, 2, 0], "{report}");
    let want = [(0, "sheet-chosen"), (0, "hidden-rows"), (1, "merged-cells"), (2, "merged-cells"), (7, "cell-error")];
    assert_eq!(problems(&report), want);
    assert_eq!(place.rows()[0]["phone"], "+8613800138000");
    assert_eq!(report["sources"][0]["encoding"], "ODS, sheet Kunden");
}

//! The reader as a whole, over files.

use super::*;
use crate::model::channel::ContactKind;
use crate::model::contact::Role;
use encoding_rs::GB18030;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::NamedTempFile;

fn fixture(name: &str) -> FileSource {
    FileSource { path: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name), ..FileSource::default() }
}

fn file(bytes: &[u8]) -> (NamedTempFile, FileSource) {
    let file = NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("room for it");
    let source = FileSource { path: file.path().to_owned(), ..FileSource::default() };
    (file, source)
}

fn rows(source: &FileSource) -> (ListFacts, Vec<Row>) {
    let mut reader = ListReader::open(source).expect("the list opens");
    let rows: Vec<Row> = reader.by_ref().map(|row| row.expect("the file is readable")).collect();
    assert_eq!(reader.rows(), rows.len() as u64);
    (reader.facts().clone(), rows)
}

fn persons(rows: &[Row]) -> Vec<&Person> {
    rows.iter()
        .filter_map(|row| match &row.verdict {
            Verdict::Person { person, .. } => Some(person),
            Verdict::Rejected(..) => None,
        })
        .collect()
}

fn codes(row: &Row) -> (bool, Vec<&'static str>) {
    match &row.verdict {
        Verdict::Person { problems, .. } => (true, problems.iter().map(|p| p.code).collect()),
        Verdict::Rejected(main, all) => {
            assert!(all.contains(main) && all.iter().all(|p| p.row == Some(row.number)));
            (false, all.iter().map(|p| p.code).collect())
        }
    }
}

fn addresses(person: &Person) -> Vec<&str> {
    person.contacts.iter().map(|c| c.address.reveal()).collect()
}

#[test]
fn a_german_list_with_two_addresses_of_a_kind_and_excels_separator_line() {
    let (facts, rows) = rows(&fixture("clients-de.csv"));
    assert_eq!((facts.encoding, facts.delimiter, facts.headings.len()), ("UTF-8", Some(';'), 13));
    assert_eq!(facts.fields[3..7], [Some(Field::Email), Some(Field::Email), Some(Field::Phone), Some(Field::Phone)]);
    let found = persons(&rows);
    assert_eq!(found.len(), 3);
    assert_eq!((found[0].reference.reveal(), found[0].name.reveal()), ("K1", "Jörg Müller"));
    assert_eq!(addresses(found[0]), ["j.mueller@example.org", "j@xn--bcher-kva.example", "+4915128159083"]);
    assert_eq!((found[0].locale.as_str(), found[0].country.as_str(), found[0].reach().as_str()), ("de", "DE", "eep"));
    assert_eq!(found[0].data_types, ["name", "email"]);
    let extra: BTreeMap<_, _> = found[0].extra.iter().map(|(k, v)| (k.as_str(), v.reveal())).collect();
    assert_eq!(extra, BTreeMap::from([("Notiz", "mehr; als\neine Zeile"), ("Notiz 2", "x")]));
    assert_eq!((addresses(found[1]), found[1].locale.as_str()), (vec!["+4930123456"], "de-DE"));
    assert_eq!(codes(&rows[2]), (true, vec!["bad-locale", "bad-country", "bad-email"]));
}

#[test]
fn a_japanese_list_puts_the_family_name_first_and_takes_the_country_from_the_column_or_the_tag() {
    let mut source = fixture("kyaku-ja.tsv");
    let (facts, all) = rows(&source);
    assert_eq!((facts.encoding, facts.delimiter), ("UTF-8", Some('\t')));
    let found = persons(&all);
    assert_eq!(found.len(), 1, "a national number needs a country");
    assert_eq!((found[0].name.reveal(), found[0].locale.as_str(), found[0].role), ("山本さゆり", "ja", Role::OneSelf));
    assert_eq!(codes(&all[1]), (false, vec!["no-contact", "bad-phone"]));
    let text = std::fs::read_to_string(&source.path).expect("the fixture").replace("\tja\t", "\tja-JP\t");
    let (_kept, with_region) = file(text.as_bytes());
    source.path = with_region.path;
    let (_, all) = rows(&source);
    assert_eq!(addresses(persons(&all)[1]), ["+819012122331"]);
    assert_eq!(persons(&all)[1].contacts[0].role, Role::Guardian);
}

#[test]
fn each_bad_row_is_rejected_or_kept_with_its_reason() {
    let (_, rows) = rows(&fixture("bad-rows.csv"));
    let found: Vec<_> = rows.iter().map(codes).collect();
    let want: Vec<(bool, Vec<&str>)> = vec![
        (true, vec![]),
        (false, vec!["no-contact"]),
        (false, vec!["ragged-row"]),
        (true, vec![]),
        (true, vec!["short-row"]),
        (false, vec!["ragged-row"]),
        (false, vec!["nul-byte"]),
        (false, vec!["bad-encoding"]),
        (false, vec!["no-contact", "phone-scientific"]),
        (true, vec!["bad-email"]),
        (true, vec![]),
        (true, vec!["control-character", "phone-extension"]),
        (false, vec!["unclosed-quote"]),
    ];
    assert_eq!(found, want);
    let found = persons(&rows);
    assert_eq!(found[5].name.reveal(), "Two lines and a  bell");
    assert!(found[4].reference.reveal().starts_with("auto-") && found[4].reference.reveal().len() == 21);
    let Verdict::Rejected(open, _) = &rows[12].verdict else { panic!("the open quote is rejected") };
    assert!(open.message.contains("line 17 ") && open.message.contains("line 18)"), "{}", open.message);
}

#[test]
fn chinese_lists_read_the_same_in_every_encoding() {
    let text = "客户编号,姓名,电子邮箱,手机号,语言,国家\r\n1,刘倩,liu@example.org,13800138000,中文,中国\r\n";
    let utf16 = |mark: &[u8], units: Vec<u8>| [mark, &units].concat();
    let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for (bytes, encoding) in [
        (text.as_bytes().to_vec(), "UTF-8"),
        (["\u{feff}".as_bytes(), text.as_bytes()].concat(), "UTF-8"),
        (GB18030.encode(text).0.into_owned(), "gb18030"),
        (utf16(b"\xff\xfe", le.clone()), "UTF-16LE"),
        (utf16(b"\xfe\xff", be.clone()), "UTF-16BE"),
        (le, "UTF-16LE"),
        (be, "UTF-16BE"),
    ] {
        let (_kept, source) = file(&bytes);
        let (facts, rows) = rows(&source);
        let person = persons(&rows)[0];
        assert_eq!((facts.encoding, person.name.reveal()), (encoding, "刘倩"));
        assert_eq!(addresses(person), ["liu@example.org", "+8613800138000"]);
        assert_eq!((person.locale.as_str(), person.country.as_str()), ("zh", "CN"));
    }
}

#[test]
fn the_encoding_given_wins_and_what_it_cannot_read_is_rejected_by_row() {
    let mut bytes = "ref,姓名,email\n1,刘倩,a@example.org\n2,".to_owned().into_bytes();
    bytes.extend_from_slice(b"\x81\xff,b@example.org\n3,x,c@example.org\n");
    let (_kept, mut source) = file(&bytes);
    source.encoding = Some("utf8".to_owned());
    let (facts, rows) = rows(&source);
    assert!(facts.encoding_given);
    assert_eq!(rows.iter().map(|r| codes(r).1).collect::<Vec<_>>(), [vec![], vec!["bad-encoding"], vec![]]);
}

#[test]
fn the_digest_is_known_at_the_end_and_is_that_of_the_file() {
    let (_kept, source) = file(b"email\na@example.org\n");
    let mut reader = ListReader::open(&source).expect("the list opens");
    assert_eq!(reader.digest(), None);
    while reader.next_row().expect("the file is readable").is_some() {}
    assert_eq!(reader.digest().as_deref(), Some("e346706d87b8a11b1720a6eb9370649a1c996a6c8891e9e3f332323115e05ed4"));
}

#[test]
fn a_list_that_cannot_be_read_says_what_to_do() {
    let opened = |bytes: &[u8], change: fn(&mut FileSource)| {
        let (kept, mut source) = file(bytes);
        change(&mut source);
        let message = ListReader::open(&source).err().map_or_else(String::new, |e| e.to_string());
        assert!(message.is_empty() || message.contains(&*source.path.to_string_lossy()), "names the file: {message}");
        drop(kept);
        message
    };
    let as_is: fn(&mut FileSource) = |_| {};
    for (message, want) in [
        (opened(b"", as_is), "the file is empty"),
        (opened(b"\xef\xbb\xbf\r\n\r\n", as_is), "the file is empty"),
        (opened(b"PK\x03\x04....", as_is), "the workbook is damaged"),
        (opened(b"\xd0\xcf\x11\xe0....", as_is), "save it as XLSX"),
        (opened(b"PK\x03\x04....", |s| s.delimiter = Some(';')), "`delimiter` is for text files"),
        (opened(b"email\n", |s| s.sheet = Some("A".into())), "`sheet` is for workbooks"),
        (opened(b"a,b\n1,2\n", as_is), "no column holds"),
        (opened(b"Jane,jane@example.org\n", as_is), "no heading row"),
        (opened(b"email,\"open\n1,2\n", as_is), "heading row cannot be read"),
        (opened(b"email\n", |s| s.encoding = Some("gb18303".into())), "did you mean \"gb18030\""),
        (opened(b"email\n", |s| s.delimiter = Some('，')), "one ASCII character"),
        (opened(b"email\n", |s| s.path = "/nowhere/list.csv".into()), "there is no such file"),
        (opened(b"email\n", |s| s.path = std::env::temp_dir()), "not a regular file"),
    ] {
        assert!(message.contains(want), "{want:?} in {message:?}");
    }
}

#[test]
fn a_huge_cell_is_one_rejected_row_and_stays_so_when_fed_back() {
    let mut bytes = b"email,note\na@example.org,".to_vec();
    bytes.extend(std::iter::repeat_n(b'x', 10_000_000));
    bytes.extend_from_slice(b"\nb@example.org,y\n");
    let (_kept, source) = file(&bytes);
    let (facts, all) = rows(&source);
    assert_eq!(all.iter().map(|r| codes(r).1).collect::<Vec<_>>(), [vec!["cell-too-long"], vec![]]);
    let again = fed_back(&facts, &all);
    assert_eq!(again.iter().map(|r| codes(r).1).collect::<Vec<_>>(), [vec!["cell-too-long"]]);
}

/// Writes the rejected rows and reads the file again.
fn fed_back(facts: &ListFacts, rows: &[Row]) -> Vec<Row> {
    let kept = NamedTempFile::new().expect("a temporary file");
    let mut writer = RejectsWriter::create(kept.path(), &facts.headings).expect("the rejects file opens");
    rows.iter().for_each(|row| writer.write_row(row).expect("room for it"));
    assert!(writer.finish().is_ok());
    let source = FileSource { path: kept.path().to_owned(), ..FileSource::default() };
    let (again, rows) = super::tests::rows(&source);
    assert_eq!(
        (again.headings, again.fields, again.is_rejects_file),
        (facts.headings.clone(), facts.fields.clone(), true)
    );
    rows
}

#[test]
fn rejects_are_private_harmless_and_the_same_when_fed_back() {
    let (facts, all) = rows(&fixture("bad-rows.csv"));
    let again = fed_back(&facts, &all);
    let rejected: Vec<&Row> = all.iter().filter(|r| !codes(r).0).collect();
    assert_eq!(again.len(), rejected.len());
    let (_kept, source) = file(b"email,note\n-,=1+1\n@,'+86 1\n");
    let (facts, all) = rows(&source);
    let kept = NamedTempFile::new().expect("a temporary file");
    let mut writer = RejectsWriter::create(kept.path(), &facts.headings).expect("the rejects file opens");
    all.iter().for_each(|row| writer.write_row(row).expect("room for it"));
    assert_eq!(writer.finish().expect("room for it"), 2);
    let text = std::fs::read_to_string(kept.path()).expect("it is there");
    assert!(text.starts_with("\u{feff}email,note,forewarn_row,forewarn_code,forewarn_message\n'-,'=1+1,1,no-contact,"));
    assert!(text.contains("\n'@,''+86 1,2,no-contact,"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(kept.path()).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert_eq!(
        fed_back(&facts, &all).iter().map(|r| r.raw.clone()).collect::<Vec<_>>(),
        all.iter().map(|r| r.raw.clone()).collect::<Vec<_>>()
    );
}

#[test]
fn a_corrected_row_that_was_fed_back_is_a_person() {
    let text = "\u{feff}email,phone,forewarn_row,forewarn_code,forewarn_message\njane@example.org,'+86 138 0013 8000,7,no-contact,because\n";
    let (_kept, source) = file(text.as_bytes());
    let (facts, all) = rows(&source);
    assert_eq!(facts.headings, ["email", "phone"]);
    assert_eq!(addresses(persons(&all)[0]), ["jane@example.org", "+8613800138000"]);
    assert!(persons(&all)[0].extra.is_empty());
    assert_eq!(persons(&all)[0].first(ContactKind::Phone).map(|c| c.role), Some(Role::OneSelf));
}

#[test]
fn the_same_row_without_a_reference_gets_the_same_one_again() {
    let reference = |text: &str| {
        let (_kept, source) = file(text.as_bytes());
        persons(&rows(&source).1)[0].reference.reveal().to_owned()
    };
    let first = reference("name,email,phone\nJane,J@Example.org,\n");
    assert_eq!(first, reference("phone,name,email\n-, Jane ,J@example.ORG\n"));
    assert_ne!(first, reference("name,email\nJane,k@example.org\n"));
}

/// A cell that is no address, so that the row is rejected and its cells are kept.
fn harmless_cell() -> impl Strategy<Value = String> {
    proptest::string::string_regex("['=+\\-@\t\r\n \",;a-z客é]{0,12}").expect("a pattern")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic_and_every_record_is_a_row(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let (_kept, source) = file(&[b"email,name\n", bytes.as_slice()].concat());
        if let Ok(mut reader) = ListReader::open(&source) {
            let mut seen = 0;
            while let Some(row) = reader.next_row().expect("the file is readable") {
                seen += 1;
                prop_assert_eq!(row.number, seen);
            }
            prop_assert_eq!(reader.rows(), seen);
        }
    }

    #[test]
    fn every_record_of_a_list_is_counted(cells in proptest::collection::vec(harmless_cell(), 1..30)) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["email", "name"]).expect("memory does not fail");
        for cell in &cells {
            writer.write_record([cell.as_str(), "x"]).expect("memory does not fail");
        }
        let (_kept, source) = file(&writer.into_inner().expect("memory does not fail"));
        let (_, all) = rows(&source);
        prop_assert_eq!(all.len(), cells.len());
    }

    #[test]
    fn a_rejects_file_fed_back_gives_the_same_cells(
        cells in proptest::collection::vec((harmless_cell(), harmless_cell()), 1..20),
    ) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["email", "note", "name"]).expect("memory does not fail");
        for (first, second) in &cells {
            writer.write_record([first.as_str(), second.as_str(), "x"]).expect("memory does not fail");
        }
        let (_kept, source) = file(&writer.into_inner().expect("memory does not fail"));
        let (facts, all) = rows(&source);
        let raw = |rows: &[Row]| rows.iter().map(|r| r.raw.iter().map(|c| c.reveal().to_owned()).collect::<Vec<_>>()).collect::<Vec<_>>();
        let written: Vec<Vec<String>> = cells.iter().map(|(a, b)| vec![a.clone(), b.clone(), "x".to_owned()]).collect();
        prop_assert_eq!(&raw(&all), &written);
        prop_assert_eq!(raw(&fed_back(&facts, &all)), written);
    }
}

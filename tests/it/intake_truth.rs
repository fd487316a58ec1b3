//! Intake against lists whose truth is known: what libphonenumber and email-validator say about every row.
//!
//! The lists lie outside the repository: in the directory that `FOREWARN_LISTS` names, or in the `data` of a directory
//! beside the repository. Without them the test says so and checks nothing. Where a row repeats one whose e-mail stands behind a display name, the truth has no e-mail
//! (its maker strips names only in rows of that kind) and intake has one: two rows of these lists. The rules themselves are tested beside the code.

use forewarn::intake::{ListReader, Row, Verdict};
use forewarn::model::channel::ContactKind;
use forewarn::model::incident::FileSource;
use forewarn::model::personal::Personal;
use std::io::Write;
use std::path::{Path, PathBuf};

const LISTS: [(&str, &str); 4] =
    [("messy.csv", "UTF-8"), ("zh-gb18030.csv", "gb18030"), ("semicolon-utf16.csv", "UTF-16LE"), ("list.xlsx", "XLSX")];

/// Past the test harness, which shows what a passing test prints to nobody.
fn say(text: std::fmt::Arguments<'_>) {
    // A closed stderr must not fail the test.
    drop(writeln!(std::io::stderr(), "intake_truth: {text}"));
}

/// The directory with the lists and their truths.
fn lists() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("FOREWARN_LISTS") {
        return Some(PathBuf::from(given));
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.read_dir().ok()?;
    let mut found = beside.filter_map(|entry| Some(entry.ok()?.path().join("data")));
    found.find(|data| data.join("messy.truth.jsonl").is_file())
}

#[test]
fn emails_and_phones_are_judged_as_the_truth_has_them() {
    let Some(directory) = lists() else {
        say(format_args!(
            "NOT CHECKED: there are no lists beside the repository; set FOREWARN_LISTS to the directory with them"
        ));
        return;
    };
    for (file, encoding) in LISTS {
        let source = FileSource { path: directory.join(file), ..FileSource::default() };
        let list = file.split('.').next().expect("a name");
        let truth = std::fs::read_to_string(directory.join(format!("{list}.truth.jsonl"))).expect("the truth is there");
        let truth: Vec<serde_json::Value> =
            truth.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect();
        let mut reader = ListReader::open(&source).expect("the list opens");
        assert_eq!(reader.facts().encoding, encoding, "{list}");
        let mut differing = 0;
        for expected in &truth {
            let row = reader.next_row().expect("the file is readable").expect("as many rows as the truth has");
            differing += u32::from(!same(list, &row, expected));
        }
        assert!(reader.next_row().expect("the file is readable").is_none(), "{list}: more rows than the truth has");
        assert_eq!(reader.rows(), truth.len() as u64, "{list}");
        assert_eq!(reader.digest().map(|d| d.len()), Some(64));
        let share = f64::from(differing) / truth.len() as f64;
        say(format_args!("{list}: {} rows, {differing} differ", truth.len()));
        assert!(share <= 0.005, "{list}: {differing} of {} rows differ", truth.len());
    }
}

/// Prints the fields that differ, never their values.
fn same(list: &str, row: &Row, expected: &serde_json::Value) -> bool {
    let text = |key: &str| expected[key].as_str().unwrap_or("").to_owned();
    let reached = expected["reachable"].as_bool();
    let (found, codes) = match &row.verdict {
        Verdict::Person { person, problems } => {
            let first = |kind| person.first(kind).map_or("", |c| c.address.reveal()).to_owned();
            let fields = [
                ("email", first(ContactKind::Email), text("email")),
                ("phone", first(ContactKind::Phone), text("phone")),
                ("ref", person.reference.reveal().to_owned(), text("ref")),
                ("locale", person.locale.clone(), text("locale")),
            ];
            (fields.to_vec(), problems)
        }
        Verdict::Rejected(_, all) => {
            assert!(row.raw.iter().any(|cell: &Personal| !cell.is_empty()), "a rejected row keeps its cells");
            (vec![("email", String::new(), text("email")), ("phone", String::new(), text("phone"))], all)
        }
    };
    let codes: Vec<&str> = codes.iter().map(|p| p.code).collect();
    let mut same = reached == Some(matches!(row.verdict, Verdict::Person { .. }));
    for (field, ours, theirs) in found {
        if ours != theirs {
            say(format_args!("{list} row {} field {field} codes {codes:?} mess {}", row.number, expected["mess"]));
            same = false;
        }
    }
    same
}

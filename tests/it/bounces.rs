//! Reports by email against bounces whose truth is known: whom each is about, and of what kind it is.
//!
//! They lie outside the repository: in the folder that `FOREWARN_BOUNCES` names, or in the `bounces` of a folder beside
//! the repository. Without them the test says so and checks nothing. The rules themselves are tested beside the code.

use forewarn::receipts::{Kind, read};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Past the test harness, which shows what a passing test prints to nobody.
fn say(text: std::fmt::Arguments<'_>) {
    // A closed stderr must not fail the test.
    drop(writeln!(std::io::stderr(), "bounces: {text}"));
}

fn bounces() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("FOREWARN_BOUNCES") {
        return Some(PathBuf::from(given));
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.read_dir().ok()?;
    let mut found = beside.filter_map(|entry| Some(entry.ok()?.path().join("bounces")));
    found.find(|folder| folder.join("expected.tsv").is_file())
}

/// The kind that the truth's words stand for: its hardness, but for what is no bounce.
fn kind_of(reason: &str, hardness: &str) -> Kind {
    match (reason, hardness) {
        ("feedback", _) => Kind::Complaint,
        ("vacation", _) => Kind::AutoReply,
        ("delivered", _) => Kind::Delivered,
        (_, "hard") => Kind::Hard,
        _ => Kind::Soft,
    }
}

#[test]
fn recipients_and_kinds_are_those_of_the_truth() {
    let Some(folder) = bounces() else {
        say(format_args!("NOT CHECKED: there are none beside the repository; set FOREWARN_BOUNCES to the folder"));
        return;
    };
    let truth = fs_err::read_to_string(folder.join("expected.tsv")).expect("the truth is there");
    let mut reports = BTreeMap::new();
    let (mut all, mut named, mut judged, mut killed) = (0u32, 0u32, 0u32, 0u32);
    for line in truth.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [file, address, _, _, reason, hardness] = fields[..] else { panic!("six fields a line") };
        let report =
            reports.entry(file).or_insert_with(|| read(&fs_err::read(folder.join(file)).expect("the report is there")));
        let is_it = |at: &Option<_>| {
            at.as_ref().is_some_and(|a: &forewarn::model::personal::Personal| a.reveal().eq_ignore_ascii_case(address))
        };
        let found = report.recipients.iter().find(|one| is_it(&one.address));
        let (kind, want) = (found.map_or(report.kind, |one| one.kind), kind_of(reason, hardness));
        all += 1;
        named += u32::from(found.is_some());
        judged += u32::from(kind == want);
        killed += u32::from(want == Kind::AutoReply && kind == Kind::Hard);
    }
    let share = |n: u32| f64::from(n) / f64::from(all);
    let (files, by_name, by_kind) = (reports.len(), share(named) * 100.0, share(judged) * 100.0);
    say(format_args!(
        "{files} files, {all} recipients: {by_name:.2} % named, {by_kind:.2} % of the kind, {killed} killed by an automatic answer"
    ));
    assert!(share(named) >= 0.99 && share(judged) >= 0.99, "{named} and {judged} of {all}");
    assert_eq!(killed, 0);
}

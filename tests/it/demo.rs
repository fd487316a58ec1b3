//! `forewarn demo` from outside: the sums, what it must show, the files it leaves, and that no personal data of its
//! list is printed, logged or stored in the clear.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

fn forewarn(folder: &Path, log: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
    command.current_dir(folder).env_remove("FOREWARN_CONFIG").env("FOREWARN_LOG", log).stdin(Stdio::null());
    command.args(arguments).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What of a list must never be seen: every address, number, name and reference, in each form it could take.
fn needles() -> BTreeSet<String> {
    let list = fs_err::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/customers.csv")).expect("the list");
    let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(list.as_slice());
    let mut needles = BTreeSet::new();
    for row in rows.records() {
        let row = row.expect("a row");
        let cell = |at: usize| row.get(at).unwrap_or_default().trim().to_owned();
        needles.extend([cell(0), cell(2), cell(2).to_lowercase(), cell(3)]);
        // However a number is written, its last digits stand together once it is normalised.
        let digits: String = cell(3).chars().filter_map(|c| c.to_digit(10)).map(|d| d.to_string()).collect();
        needles.insert(digits[digits.len().saturating_sub(9)..].to_owned());
        // One customer is called `{{name}}`, which the templates say too.
        needles.extend([cell(1)].into_iter().filter(|name| !name.contains("{{")));
    }
    needles.retain(|needle| needle.len() >= 6);
    assert!(needles.len() > 600, "{}", needles.len());
    needles
}

/// How many of the needles occur in the bytes.
fn found(needles: &BTreeSet<String>, bytes: &[u8]) -> usize {
    let matcher = regex::bytes::RegexSet::new(needles.iter().map(|n| regex::escape(n))).expect("a matcher");
    matcher.matches(bytes).iter().count()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn number(answer: &Value, key: &str) -> i64 {
    answer[key].as_i64().unwrap_or_else(|| panic!("{key} in {answer}"))
}

/// The rows of a table of the answer, as the terminal prints them.
fn printed(answer: &Value, table: &str, word: &str, channel: &str) -> String {
    let rows = answer[table].as_array().expect(table).iter().filter(|row| row["channel"] == channel);
    let words: Vec<String> =
        rows.map(|row| format!("{} {}", row[word].as_str().expect(word), number(row, "n"))).collect();
    words.join(", ")
}

#[test]
fn one_run_shows_everything_and_the_next_run_the_same() {
    let dir = tempfile::tempdir().expect("folder");
    let (answered, read) = std::thread::scope(|scope| {
        let answered = scope.spawn(|| forewarn(dir.path(), "trace", &["demo", "--dir", "a", "--json", "--no-serve"]));
        let read = scope.spawn(|| forewarn(dir.path(), "trace", &["demo", "--dir", "it's a folder/b"]));
        (answered.join().expect("ran"), read.join().expect("ran"))
    });
    assert_eq!(answered.status.code(), Some(0), "{}", text(&answered.stderr));
    assert_eq!(read.status.code(), Some(0), "{}", text(&read.stderr));

    let answer: Value = serde_json::from_slice(&answered.stdout).expect("one JSON object");
    the_sums_hold(&answer);
    for key in ["retried", "next_step", "resent", "held", "exhausted"] {
        assert!(number(&answer, key) > 0, "no {key} in {answer}");
    }
    let page = text(&read.stdout);
    for channel in ["email", "sms", "phone"] {
        let line = format!(
            "{channel:<6} notices: {}; attempts: {}\n",
            printed(&answer, "by_channel", "state", channel),
            printed(&answer, "outcomes", "class", channel)
        );
        assert!(page.contains(&line), "another run had other luck: {line}{page}");
    }
    for part in ["need", "who acts next:", "cd 'it'\\''s a folder/b'\n", "  forewarn campaign status 2026-001-"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    nothing_personal_leaks(dir.path(), &answer, &[answered, read]);
    the_files_are_there(&dir.path().join("a"), &answer);

    let looked = forewarn(&dir.path().join("a"), "warn", &["doctor", "--json"]);
    assert_eq!(looked.status.code(), Some(0), "{}", text(&looked.stdout));
    assert!(text(&looked.stdout).contains("the books add up: rows 200 = "));
    let campaign = answer["campaign"].as_str().expect("id");
    let status = forewarn(&dir.path().join("a"), "warn", &["campaign", "status", campaign, "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).expect("one JSON object");
    assert_eq!((&status["needs_human"], &status["notices"]), (&answer["needs_human"], &answer["notices"]));
}

fn the_sums_hold(answer: &Value) {
    let n = |key: &str| number(answer, key);
    assert_eq!(n("rows"), 200);
    assert_eq!(n("rows"), n("persons") + n("merged") + n("rejected"));
    let standings = ["satisfied", "in_flight", "needs_human", "unreachable", "excluded"];
    assert_eq!(n("persons"), standings.iter().map(|s| n(s)).sum::<i64>());
    assert_eq!((n("in_flight"), n("needs_human")), (0, n("exhausted") + n("held")));
    let total = |table: &str| answer[table].as_array().expect(table).iter().map(|row| number(row, "n")).sum::<i64>();
    assert_eq!(total("outcomes"), n("attempts"));
    let notices = answer["notices"].as_object().expect("notices").values().filter_map(Value::as_i64);
    assert_eq!(total("by_channel"), notices.sum::<i64>());
}

fn nothing_personal_leaks(folder: &Path, answer: &Value, runs: &[Output]) {
    let needles = needles();
    for run in runs {
        let attempts = text(&run.stderr).matches("attempt ended").count() as i64;
        assert_eq!(attempts, number(answer, "attempts"), "a log that says nothing would prove nothing");
        assert_eq!(found(&needles, &run.stdout), 0, "on stdout");
        assert_eq!(found(&needles, &run.stderr), 0, "in the log");
    }
    for name in ["forewarn.db", "forewarn.db-wal", "config.toml", "incident.toml"] {
        let Ok(bytes) = fs_err::read(folder.join("a").join(name)) else {
            assert_eq!(name, "forewarn.db-wal");
            continue;
        };
        assert_eq!(found(&needles, &bytes), 0, "in {name}");
    }
    // The report names who needs a human by reference, and nothing else of anybody.
    let report = fs_err::read(folder.join("a/report.html")).expect("report");
    assert_eq!(found(&needles, &report) as i64, number(answer, "needs_human"));
    let outbox: Vec<u8> = files(&folder.join("a/outbox")).iter().flat_map(|f| fs_err::read(f).expect("file")).collect();
    assert!(found(&needles, &outbox) > 300, "the search does not find what is there");
}

fn the_files_are_there(place: &Path, answer: &Value) {
    for name in ["config.toml", "master.key", "incident.toml", "customers.csv", "report.html", "rejects.csv"] {
        assert!(place.join(name).is_file(), "{name}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs_err::metadata(place.join(name)).expect(name).permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{name}");
        }
    }
    let outbox = files(&place.join("outbox"));
    let accepted = answer["notices"]["accepted"].as_i64().expect("accepted");
    let unknown = answer["outcomes"].as_array().expect("outcomes").iter().filter(|row| row["class"] == "unknown");
    let unknown: i64 = unknown.map(|row| number(row, "n")).sum();
    // An unknown attempt may have arrived or not.
    assert!((accepted..=accepted + unknown).contains(&(outbox.len() as i64)), "{} files", outbox.len());
    assert!(outbox.iter().any(|f| f.extension().is_some_and(|e| e == "eml")));
    let rejects = fs_err::read_to_string(place.join("rejects.csv")).expect("rejects");
    assert_eq!(csv::Reader::from_reader(rejects.as_bytes()).records().count() as i64, number(answer, "rejected"));
    let report = fs_err::read_to_string(place.join("report.html")).expect("report");
    for foreign in ["http://", "https://", "<script", "<img", "<link", "@import", "url("] {
        assert!(!report.contains(foreign), "the page must stand alone: {foreign}");
    }
    assert!(report.contains("<html lang=\"en\">") && report.contains("<title>") && report.contains("@media print"));
}

#[cfg(unix)]
#[test]
fn a_stopped_demo_says_how_to_go_on_and_goes_on() {
    use std::io::{BufRead as _, BufReader, Read as _};
    let dir = tempfile::tempdir().expect("folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
    command.current_dir(dir.path()).env_remove("FOREWARN_CONFIG").args(["demo", "--dir", "d"]);
    let mut demo = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("runs");
    let mut out = BufReader::new(demo.stdout.take().expect("stdout"));
    let mut page = String::new();
    while !page.contains("\nstart ") {
        assert!(out.read_line(&mut page).expect("a line") > 0, "ended before it started: {page}");
    }
    // One notice is told "later" twice, half a second each at least: sending cannot be over before that.
    std::thread::sleep(Duration::from_millis(500));
    let killed = Command::new("kill").args(["-TERM", &demo.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
    out.read_to_string(&mut page).expect("the rest");
    assert_eq!(demo.wait().expect("ended").code(), Some(0), "{page}");
    assert!(page.contains("stopped before its end") && page.contains("  forewarn worker --once "), "{page}");

    let place = dir.path().join("d");
    assert_eq!(forewarn(&place, "warn", &["worker", "--once"]).status.code(), Some(0));
    let campaign = page.split("made the campaign ").nth(1).and_then(|rest| rest.lines().next()).expect("id");
    let status = forewarn(&place, "warn", &["campaign", "status", campaign, "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).expect("one JSON object");
    assert_eq!((number(&status, "rows"), number(&status, "in_flight")), (200, 0), "{status}");
}

#[test]
fn nothing_is_overwritten() {
    let dir = tempfile::tempdir().expect("folder");
    fs_err::write(dir.path().join("precious"), "mine").expect("written");
    for place in [".", "precious"] {
        let refused = forewarn(dir.path(), "warn", &["demo", "--json", "--dir", place]);
        assert_eq!(refused.status.code(), Some(3), "{place}");
        let answer: Value = serde_json::from_slice(&refused.stdout).expect("one JSON object");
        assert_eq!(answer["refused"][0]["code"], "not-empty", "{place}");
    }
    assert_eq!(files(dir.path()).len(), 1);
    assert_eq!(fs_err::read_to_string(dir.path().join("precious")).expect("still there"), "mine");
}

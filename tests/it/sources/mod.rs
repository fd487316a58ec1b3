//! Lists that are no text files: workbooks, and queries of the customer's own databases, by the binary.

mod database;
mod workbook;
mod workbook_files;

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// An installation of its own whose incident has the sources that a story wants.
struct Place {
    folder: tempfile::TempDir,
    /// Set for each run.
    environment: Vec<(&'static str, String)>,
}

impl Place {
    fn new() -> Place {
        let place = Place { folder: tempfile::tempdir().expect("folder"), environment: Vec::new() };
        place.json("init --json");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs_err::write(self.path(name), bytes).expect("written");
    }

    /// Writes the incident file; each source is the inside of its table.
    fn sources(&self, sources: &[&str]) {
        let tables: String = sources.iter().map(|source| format!("[[source]]\n{source}\n")).collect();
        let text = "what_happened = \"Somebody read files.\"\nlikely_consequences = \"Somebody may pretend to be \
                    us.\"\nmeasures_taken = \"We closed the hole.\"\nwhat_you_can_do = \"Change your \
                    password.\"\ncontact = \"privacy@example.com, 9-18\"\n";
        let incident = format!(
            "[incident]\nid = \"s-1\"\ntitle = \"Portal\"\noccurred = 2026-11-01T02:00:00+08:00\n\
             discovered = 2026-11-03T09:30:00+08:00\ndata_types = [\"name\", \"email\"]\n[incident.text.en]\n{text}\
             [campaign]\nkind = \"initial\"\ntemplates = \"breach-notice\"\ndefault_locale = \"en\"\n\
             ladder = [{{ channel = \"email\" }}, {{ channel = \"sms\", when = \"not-delivered\", after = \"4h\" }}]\n{tables}"
        );
        self.write("incident.toml", incident);
    }

    fn run(&self, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
        command.current_dir(self.folder.path()).env_remove("FOREWARN_CONFIG").env_remove("FOREWARN_LOG");
        command.env("USER", "carol").envs(self.environment.iter().map(|(name, value)| (*name, value.as_str())));
        command.stdin(Stdio::null()).args(line.split_whitespace()).output().expect("the binary runs")
    }

    /// What a command prints that must succeed.
    fn json(&self, line: &str) -> Value {
        let output = self.run(line);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{line}: {e}: {errors}"))
    }

    fn check(&self) -> Value {
        self.json("check incident.toml --json --rejects rejects.csv --rows rows.jsonl")
    }

    /// What a command says that must not succeed, on both streams.
    fn refused(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(!output.status.success(), "{line} was not refused");
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }

    /// The rows as `--rows` tells of them.
    fn rows(&self) -> Vec<Value> {
        let text = fs_err::read_to_string(self.path("rows.jsonl")).expect("the rows file");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn rejects(&self) -> Vec<Vec<String>> {
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(self.path("rejects.csv"));
        let records = reader.as_mut().expect("the rejects file").records();
        records.map(|record| record.expect("a record").iter().map(str::to_owned).collect()).collect()
    }
}

/// (rows, persons, merged, rejected) of a report.
fn sums(report: &Value) -> [i64; 4] {
    ["rows", "persons", "merged", "rejected"].map(|key| report[key].as_i64().expect("a number"))
}

/// (row, code) of each problem of a report; row 0 is the list as a whole.
fn problems(report: &Value) -> Vec<(u64, &str)> {
    let all = report["problems"].as_array().expect("a list");
    all.iter().map(|p| (p["row"].as_u64().unwrap_or(0), p["code"].as_str().expect("a code"))).collect()
}

fn message<'r>(report: &'r Value, code: &str) -> &'r str {
    let all = report["problems"].as_array().expect("a list");
    let found = all.iter().find(|p| p["code"] == code).unwrap_or_else(|| panic!("{code} in {all:?}"));
    found["message"].as_str().expect("a text")
}

//! What the documents promise: commands that the program understands, links that lead somewhere.

use clap::Parser;
use clap::error::ErrorKind;
use forewarn::cli::Cli;
use std::path::{Path, PathBuf};

const DOCUMENTS: [&str; 10] = [
    "README.md",
    "docs/architecture.md",
    "docs/bounces.md",
    "docs/bundle.md",
    "docs/desk.md",
    "docs/operation.md",
    "docs/providers.md",
    "docs/templates.md",
    "providers/README.md",
    "templates/README.md",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(document: &str) -> String {
    fs_err::read_to_string(root().join(document)).expect("a document")
}

/// What stands between backticks: whole lines of a block (true), or words within a sentence (false).
fn quoted(text: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            found.push((line.to_owned(), true));
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(|words| (words.to_owned(), false)));
        }
    }
    found
}

/// Why the program would not understand the command; a sentence may leave out what a command needs.
fn objection(command: &str, whole: bool) -> Option<String> {
    let error = Cli::try_parse_from(command.split_whitespace()).err()?;
    let left_out = [ErrorKind::MissingRequiredArgument, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
    (whole || !left_out.contains(&error.kind())).then(|| error.to_string())
}

#[test]
fn every_command_in_the_documents_is_understood() {
    let mut commands = 0;
    for document in DOCUMENTS {
        for (command, whole) in quoted(&read(document)) {
            let arguments = command.strip_prefix("cargo run --release -- ").map(|rest| format!("forewarn {rest}"));
            let command = arguments.unwrap_or(command);
            if command.starts_with("forewarn ") && !command.contains('…') {
                commands += 1;
                assert_eq!(objection(&command, whole), None, "{document}: {command}");
            }
        }
    }
    assert!(commands > 15, "only {commands} commands were found in the documents");
    assert!(objection("forewarn init --di x", true).is_some() && objection("forewarn nonsense", false).is_some());
    assert!(objection("forewarn completions", true).is_some() && objection("forewarn completions", false).is_none());
}

#[test]
fn every_link_in_the_documents_leads_to_a_file() {
    let mut links = 0;
    for document in DOCUMENTS {
        let text = read(document);
        let folder = Path::new(document).parent().expect("a file has a folder");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !target.starts_with("https://") && !target.starts_with('#') {
                links += 1;
                assert!(root().join(folder).join(target).exists(), "{document}: nothing at {target}");
            }
        }
    }
    assert!(links >= 8, "only {links} links were found in the documents");
}

#[test]
fn the_table_of_reasons_is_that_of_the_program() {
    let document = read("docs/bounces.md");
    let reasons: toml::Table = read("src/receipts/reasons.toml").parse().expect("TOML");
    let reasons = reasons["reason"].as_array().expect("a list");
    assert!(reasons.len() > 20);
    for reason in reasons {
        let [name, about, kind, class] = ["name", "about", "kind", "class"].map(|key| reason[key].as_str().expect(key));
        let row = format!("| `{name}` | {about} | {kind} | `{class}` |");
        assert!(document.lines().any(|line| line == row), "docs/bounces.md lacks: {row}");
    }
}

#[test]
fn the_document_on_bundles_names_every_reason_and_no_other() {
    use forewarn::evidence::bundle::verdict::Reason;
    let document = read("docs/bundle.md");
    let rows = document.lines().skip_while(|line| !line.starts_with("| code |")).skip(2);
    let cells = rows.take_while(|line| line.starts_with('|')).map(|row| row.split('|').nth(1).expect("a cell"));
    let mut named: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    named.extend(["clock-back", "ended-twice", "unknown-file"]);
    assert!(named.iter().all(|code| document.contains(&format!("`{code}`"))));
    named.sort_unstable();
    let mut reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(named, reasons);
}

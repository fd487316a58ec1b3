//! The rules of the house, checked on the sources: who imports whom, where SQL and personal data may appear, how
//! long a file may be. Each rule is a row of data; each checker is tried on a bad sample before it is believed.

use std::path::{Path, PathBuf};

/// What each top-level module may import. A module that is not listed is a violation: decide where it belongs.
const LAYERS: [(&str, &[&str]); 20] = [
    ("model", &[]),
    ("secrets", &["model"]),
    ("toml_file", &["model"]),
    ("incident_file", &["model", "toml_file"]),
    ("config", &["model", "toml_file", "secrets", "providers"]),
    ("vault", &["model", "secrets"]),
    ("evidence", &["model"]),
    ("store", &["model", "vault", "evidence"]),
    ("intake", &["model"]),
    ("content", &["model"]),
    ("providers", &["model"]),
    ("receipts", &["model"]),
    ("mailbox", &["model"]),
    ("desk", &["model"]),
    ("dispatch", &["model", "store", "evidence"]),
    // These compose the others.
    ("worker", &["*"]),
    ("app", &["*"]),
    // Faces of what `app` composes.
    ("server", &["model", "app"]),
    ("cli", &["*"]),
    ("main", &["cli"]),
];

/// Words that stand in certain places only: (what, needle, where it is allowed, why).
const CONFINED: [(&str, &[&str], &[&str], &str); 5] = [
    (
        "sqlx",
        &["sqlx::"],
        // The customer's own databases, as sources: the query is theirs, and nothing of it touches ours.
        &["src/store/", "src/intake/database/"],
        "the database is spoken to in src/store only",
    ),
    (
        "SQL",
        &["\"select ", "\"insert into ", "\"insert or ", "\"update ", "\"delete from ", "\"create table ", "\"pragma "],
        &["src/store/"],
        "SQL stands in src/store only",
    ),
    (
        "personal data",
        &[".reveal()"],
        &[
            "src/intake/",
            "src/content/",
            "src/providers/",
            "src/vault",
            "src/model/contact.rs",
            // Sealing, merging and carrying: what the composition hands from one step to the next.
            "src/app/carrier.rs",
            // What a person's commitments are made of, and what opens them.
            "src/app/proof/",
            // A corrected address is compared with those there are; a script and a story are shown to who takes the case.
            "src/app/desk/",
            "src/app/import.rs",
            "src/app/reading.rs",
            "src/cli/campaign_preview.rs",
            "src/cli/campaign_log.rs",
            "src/cli/desk_list.rs",
            "src/cli/desk_show.rs",
            "src/cli/demo_report.rs",
        ],
        "personal data is taken out of its wrapping in few places only",
    ),
    (
        "secrets",
        &[".expose_secret()"],
        &[
            "src/secrets.rs",
            "src/vault",
            "src/app/mod.rs",
            // The key that signs the evidence log.
            "src/app/proof/log.rs",
            "src/providers/",
            "src/config/route_settings.rs",
            // The login of a mailbox.
            "src/mailbox/imap.rs",
            // The driver takes the connection string of a source.
            "src/intake/database/mod.rs",
        ],
        "secrets are taken out of their wrapping in few places only",
    ),
    (
        "printing",
        &["println!", "print!(", "eprint!(", "dbg!(", "io::stdout()"],
        &["src/cli/output.rs"],
        "everything is printed through cli::output",
    ),
];

/// A file longer than this lacks a room.
const LONGEST_FILE: usize = 500;

/// A function longer than this does more than one thing.
const LONGEST_FUNCTION: usize = 60;

/// One source file as the checkers see it.
struct Source {
    /// From the root of the repository, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// The lines that are code: number from 1, and the text without line comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, without_comment(line)))
    }

    /// As [`Source::code`], without the tests that stand at the end of the file: their personal data is made up, and a
    /// table of cases may be long.
    fn code_before_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let tests = lines.windows(2).position(|two| two[0] == "#[cfg(test)]" && two[1].starts_with("mod tests {"));
        let alone = self.path.ends_with("tests.rs");
        self.code().take(if alone { 0 } else { tests.unwrap_or(usize::MAX) })
    }

    /// `src/store/claim.rs` as `["store", "claim"]`, `src/store/mod.rs` as `["store"]`, `src/lib.rs` as `[]`.
    fn module(&self) -> Vec<&str> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        inner.split('/').filter(|part| *part != "mod" && *part != "lib").collect()
    }
}

/// The line without its comment. A `//` inside a text (`"https://…"`) is kept.
fn without_comment(line: &str) -> &str {
    let mut inside = false;
    let mut before = ' ';
    for (at, sign) in line.char_indices() {
        match sign {
            '"' if before != '\\' => inside = !inside,
            '/' if before == '/' && !inside => return &line[..at - 1],
            _ => {}
        }
        before = sign;
    }
    line
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below the folders, in order.
fn sources(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for folder in folders {
        collect(&root().join(folder), &mut found);
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = fs_err::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("folder entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs_err::read_to_string(&path).expect("UTF-8 source");
            let path = path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
            found.push(Source { path, text });
        }
    }
}

/// The top-level modules that a line of `source` names, by `crate::`, `forewarn::` or a chain of `super::`.
fn imported<'l>(source: &Source, line: &'l str) -> Vec<&'l str> {
    let mut names = Vec::new();
    for prefix in ["crate::", "forewarn::"] {
        for (at, _) in line.match_indices(prefix) {
            let outside = line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if !outside && (prefix == "crate::" || source.path == "src/main.rs") {
                names.extend(heads(&line[at + prefix.len()..]));
            }
        }
    }
    let depth = source.module().len();
    let climb = "super::".repeat(depth);
    if depth > 0 {
        for (at, _) in line.match_indices(climb.as_str()) {
            let rest = &line[at + climb.len()..];
            if !rest.starts_with("super::") {
                let known = |name: &&str| LAYERS.iter().any(|(module, _)| module == name);
                names.extend(heads(rest).into_iter().filter(known));
            }
        }
    }
    names
}

/// The first names of a path: `a::b` gives `a`, `{a::b, c}` gives `a` and `c`.
fn heads(path: &str) -> Vec<&str> {
    let word = |text: &'_ str| text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let Some(list) = path.strip_prefix('{') else { return vec![&path[..word(path)]] };
    let mut names = Vec::new();
    let mut depth = 0;
    let mut start = 0;
    for (at, sign) in list.char_indices().chain([(list.len(), ',')]) {
        match sign {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let part = list[start..at].trim();
                names.extend((!part.is_empty()).then(|| &part[..word(part)]));
                start = at + 1;
            }
            _ => {}
        }
    }
    names
}

fn layer_violations(source: &Source) -> Vec<String> {
    let module = source.module();
    let Some(top) = module.first() else { return Vec::new() };
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| name == top) else {
        return vec![format!("{}:1: `{top}` is in no layer; add it to LAYERS in tests/it/rules.rs", source.path)];
    };
    let mut found = Vec::new();
    for (number, line) in source.code() {
        for name in imported(source, line) {
            let fine = name == *top || allowed.contains(&name) || allowed.contains(&"*");
            // `crate::` may also be followed by a macro or an item of lib.rs; only modules are layered.
            if !fine && LAYERS.iter().any(|(module, _)| *module == name) {
                found.push(format!("{}:{number}: `{top}` may not import `{name}`", source.path));
            }
        }
    }
    found
}

fn confinement_violations(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (what, needles, allowed, why) in CONFINED {
        if allowed.iter().any(|place| source.path.starts_with(place)) {
            continue;
        }
        for (number, line) in source.code_before_tests() {
            let lower = line.to_lowercase();
            if needles.iter().any(|needle| lower.contains(needle)) {
                found.push(format!("{}:{number}: {what}: {why}", source.path));
            }
        }
    }
    found
}

fn length_violations(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    if lines > LONGEST_FILE {
        return vec![format!("{}:{lines}: longer than {LONGEST_FILE} lines; a room is missing", source.path)];
    }
    Vec::new()
}

/// Functions by the layout that rustfmt gives them: the closing brace stands where the line of `fn` began.
fn function_violations(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<(usize, usize)> = Vec::new();
    for (number, line) in source.code_before_tests() {
        let indent = line.len() - line.trim_start().len();
        let starts = starts_function(line.trim_start());
        if starts && !line.ends_with(['}', ';']) {
            open.push((indent, number));
        } else if line.trim_end() == format!("{}}}", " ".repeat(indent))
            && let Some((_, start)) = open.pop_if(|(at, _)| *at == indent)
        {
            let length = number - start + 1;
            if length > LONGEST_FUNCTION {
                found.push(format!("{}:{start}: a function of {length} lines", source.path));
            }
        }
    }
    found
}

/// Whether the line begins a function, after its visibility and qualifiers.
fn starts_function(line: &str) -> bool {
    let mut rest = match line.strip_prefix("pub(") {
        Some(restricted) => restricted.split_once(") ").map_or("", |(_, rest)| rest),
        None => line.strip_prefix("pub ").unwrap_or(line),
    };
    for word in ["const ", "async "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    rest.starts_with("fn ")
}

/// Every module begins by saying what it is for.
fn opening_violations(source: &Source) -> Vec<String> {
    if source.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![format!("{}:1: no module documentation on top", source.path)]
}

fn check(folders: &[&str], rule: impl Fn(&Source) -> Vec<String>) {
    let sources = sources(folders);
    assert!(sources.len() > 3, "no sources found: the rule would hold for nothing");
    let found: Vec<String> = sources.iter().flat_map(rule).collect();
    assert!(found.is_empty(), "{} violation(s):\n{}", found.len(), found.join("\n"));
}

#[test]
fn modules_import_only_what_their_layer_allows() {
    check(&["src"], layer_violations);
}

#[test]
fn sql_personal_data_secrets_and_printing_stay_in_their_places() {
    check(&["src"], confinement_violations);
}

#[test]
fn no_file_is_longer_than_it_should_be() {
    check(&["src", "tests", "benches", "examples"], length_violations);
}

#[test]
fn no_function_is_longer_than_it_should_be() {
    check(&["src"], function_violations);
}

#[test]
fn every_module_says_what_it_is_for() {
    check(&["src", "tests", "benches", "examples"], opening_violations);
}

fn sample(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

#[test]
fn the_layer_checker_sees_every_way_to_import() {
    for (path, line, want) in [
        ("src/model/person.rs", "use crate::store::Store;", 1),
        ("src/model/person.rs", "    let x = crate::store::open();", 1),
        ("src/model/person.rs", "use super::super::store::Store;", 1),
        ("src/model/mod.rs", "use super::store::Store;", 1),
        ("src/intake/csv.rs", "use crate::{content::Render, model::person::Person, dispatch};", 2),
        ("src/intake/csv.rs", "use crate::{model::{person, contact}, intake::x};", 0),
        ("src/intake/csv.rs", "use crate::model::person::Person; // not crate::content", 0),
        ("src/intake/csv.rs", "use super::super::model::person::Person;", 0),
        ("src/intake/normalise/phone.rs", "use super::super::super::content::x;", 1),
        ("src/intake/normalise/phone.rs", "use super::super::columns::x;", 0),
        ("src/store/claim.rs", "use crate::cli::output;", 1),
        ("src/dispatch/claim.rs", "use crate::store::claim;", 0),
        ("src/cli/init.rs", "use crate::config; use crate::store::Store;", 0),
        ("src/main.rs", "use forewarn::store::Store;", 1),
        ("src/main.rs", "forewarn::cli::main()", 0),
        ("src/newcomer.rs", "", 1),
        ("src/lib.rs", "pub mod model;", 0),
        ("src/providers/http/mod.rs", "use mycrate::store::X; use crate::model::outcome;", 0),
    ] {
        let found = layer_violations(&sample(path, line));
        assert_eq!(found.len(), want, "{path}: {line}: {found:?}");
    }
    let second_line = layer_violations(&sample("src/model/x.rs", "//! x\nuse crate::cli::x;"));
    assert_eq!(second_line, ["src/model/x.rs:2: `model` may not import `cli`"]);
}

#[test]
fn the_other_checkers_see_bad_samples() {
    for (path, line, want) in [
        ("src/dispatch/claim.rs", "sqlx::query(\"SELECT 1\")", 2),
        ("src/dispatch/claim.rs", "let kind = \"update\"; // select all", 0),
        ("src/store/claim.rs", "sqlx::query(\"select 1\")", 0),
        ("src/dispatch/claim.rs", "info!(to = contact.reveal());", 1),
        ("src/model/person.rs", "self.name.reveal()", 1),
        ("src/model/contact.rs", "self.0.reveal()", 0),
        ("src/cli/campaign_log.rs", "contact.reveal()", 0),
        ("src/cli/check.rs", "println!(\"x\")", 1),
        ("src/cli/check.rs", "key.expose_secret()", 1),
        ("src/cli/output.rs", "io::stdout().lock()", 0),
        ("src/cli/check.rs", "let url = \"https://x\"; dbg!(url);", 1),
        ("src/dispatch/claim.rs", "#[cfg(test)]\nmod tests {\n  contact.reveal();\n}", 0),
        ("src/dispatch/claim.rs", "#[cfg(test)]\nuse x;\ncontact.reveal();", 1),
        ("src/dispatch/claim_tests.rs", "contact.reveal();", 0),
    ] {
        let found = confinement_violations(&sample(path, line));
        assert_eq!(found.len(), want, "{path}: {line}: {found:?}");
    }
    assert_eq!(length_violations(&sample("src/a.rs", &"x\n".repeat(500))).len(), 0);
    assert_eq!(length_violations(&sample("src/a.rs", &"x\n".repeat(501))).len(), 1);
    for (head, lines, want) in [
        ("fn long() {", 59, 1),
        ("pub(super) async fn long(", 59, 1),
        ("pub const fn long<T>(a: T) -> T {", 59, 1),
        ("fn short() {", 58, 0),
        ("struct NoFunction {", 99, 0),
        ("fn declared(&self);", 99, 0),
    ] {
        let text = format!("{head}\n{}}}\n", "    x;\n".repeat(lines));
        assert_eq!(function_violations(&sample("src/a.rs", &text)).len(), want, "{head}");
        let inside = format!("impl X {{\n{}}}\n", text.lines().map(|l| format!("    {l}\n")).collect::<String>());
        assert_eq!(function_violations(&sample("src/a.rs", &inside)).len(), want, "impl {head}");
    }
    assert_eq!(opening_violations(&sample("src/a.rs", "use x;\n")).len(), 1);
}

//! Call sheets for people: a page per call to print, and a table to fill in.
//!
//! The HTML file is complete in itself (no script, nothing loaded). The CSV file opens in a spreadsheet without
//! anything in it becoming a formula, and goes back through [`super::answers`]. Tasks are read one at a time.

use super::super::private_file;
use super::{Section, Task, tasks_of};
use crate::model::disposition::Dispositions;
use handlebars::html_escape;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The columns of the table, in order.
/// `call` counts the calls of a notice from 1: it tells
/// the answer to a second call from the first answer read twice.
pub const COLUMNS: [&str; 8] = ["notice", "reference", "name", "phone", "language", "disposition", "note", "call"];

const STYLE: &str = "
body{font:16px/1.5 system-ui,sans-serif;color:#111;background:#fff;margin:0 auto;max-width:46rem;padding:1rem}
.call{border-top:3px solid #111;padding:1rem 0 2rem}
h1{font-size:1.3rem;margin:0 0 .5rem}h2{font-size:1.05rem;margin:1.2rem 0 .2rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:0}dt{color:#444}dd{margin:0;font-weight:600}
.said{white-space:pre-line;margin:0}
.ends{list-style:none;padding:0;columns:2;column-gap:2rem}.ends li{break-inside:avoid;padding:.15rem 0}
.box{display:inline-block;width:.9rem;height:.9rem;border:1.5px solid #111;vertical-align:-.12rem;margin-right:.5rem}
.line{border-bottom:1px solid #444;height:2rem}
code{color:#444;font-size:.85em}
@media print{body{max-width:none;padding:0;font-size:11pt}.call{break-after:page;border:0;padding:0}.call:last-child{break-after:auto}}
";

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("the call sheets cannot be read or written")]
    File {
        #[from]
        source: io::Error,
    },
    #[error("the table of calls cannot be written")]
    Table {
        #[from]
        source: csv::Error,
    },
    #[error("call sheets: the task {file} is damaged ({message}); send its notice again, or remove the file")]
    Task { file: String, message: String },
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    pub html: PathBuf,
    pub csv: PathBuf,
    pub calls: usize,
}

/// Writes `call-sheet.html` and `call-sheet.csv` into `out` from the tasks of the sheet directory. `due` says which
/// call of its notice a task is, and `None` for a task that is no call to make now.
pub fn export(
    directory: &Path,
    out: &Path,
    dispositions: &Dispositions,
    due: &dyn Fn(&Task) -> Option<u32>,
) -> Result<Exported, ExportError> {
    private_file::create_dir(out)?;
    let exported = Exported { html: out.join("call-sheet.html"), csv: out.join("call-sheet.csv"), calls: 0 };
    let mut page = BufWriter::new(private_file::create(&exported.html)?);
    let mut file = BufWriter::new(private_file::create(&exported.csv)?);
    // Without the mark, spreadsheets take the file for a local code page.
    file.write_all("\u{feff}".as_bytes())?;
    let mut table = csv::Writer::from_writer(file);
    table.write_record(COLUMNS)?;
    write!(page, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>forewarn</title>\n")?;
    write!(page, "<meta name=\"viewport\" content=\"width=device-width\">\n<style>{STYLE}</style>\n<main>\n")?;
    let mut calls = 0;
    for path in task_files(&tasks_of(directory))? {
        let task = read_task(&path)?;
        let Some(call) = due(&task) else { continue };
        write_call(&mut page, &task, dispositions)?;
        let cells = [&task.notice, &task.reference, &task.name, &task.phone, &task.language];
        let cells = cells.map(|cell| sheet_safe(cell));
        table.write_record(cells.iter().map(String::as_str).chain(["", "", &call.to_string()]))?;
        calls += 1;
    }
    writeln!(page, "</main>\n</html>")?;
    page.flush()?;
    table.flush()?;
    Ok(Exported { calls, ..exported })
}

/// The finished task files, in the order of their names.
fn task_files(tasks: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(tasks)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_task(path: &Path) -> Result<Task, ExportError> {
    let content = fs_err::read(path)?;
    serde_json::from_slice(&content).map_err(|error| {
        // Serde repeats values in its message, which are a person's: only the place is said.
        let message = format!("line {}, column {}", error.line(), error.column());
        ExportError::Task { file: path.display().to_string(), message }
    })
}

fn write_call(page: &mut impl Write, task: &Task, dispositions: &Dispositions) -> io::Result<()> {
    let language = &task.language;
    let word = |id: &str| html_escape(dispositions.word(id, language));
    let esc = html_escape;
    writeln!(page, "<article class=\"call\" lang=\"{}\">", esc(language))?;
    writeln!(page, "<h1>{}: {}</h1>\n<dl>", word("title"), esc(&task.name))?;
    writeln!(page, "<dt>{}</dt><dd>{}</dd>", word("phone"), esc(&task.phone))?;
    writeln!(page, "<dt>{}</dt><dd>{}</dd>\n</dl>", word("reference"), esc(&task.reference))?;
    for Section { heading, text, .. } in &task.sections {
        writeln!(page, "<h2>{}</h2>\n<p class=\"said\">{}</p>", esc(heading), esc(text))?;
    }
    writeln!(page, "<h2>{}</h2>\n<ul class=\"ends\">", word("outcome"))?;
    for disposition in dispositions.iter() {
        let (name, id) = (esc(disposition.name(language)), esc(&disposition.id));
        writeln!(page, "<li><span class=\"box\"></span>{name} <code>{id}</code></li>")?;
    }
    writeln!(page, "</ul>")?;
    for id in ["note", "caller"] {
        writeln!(page, "<h2>{}</h2><div class=\"line\"></div>", word(id))?;
    }
    writeln!(page, "<p><code>{}</code></p>\n</article>", esc(&task.notice))
}

/// A cell that no spreadsheet takes for a formula: an apostrophe goes before the signs that begin one.
pub fn sheet_safe(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

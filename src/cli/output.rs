//! The only way to the terminal: data on stdout, notes and progress on stderr.
//!
//! A reader that goes away (`| head`) is no fault: what cannot be printed any more is dropped, and a command that
//! only prints is told by [`Failure::OutputClosed`].

use super::failure::Failure;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often progress is told where no terminal can show a bar.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Prints for people, or one JSON object for scripts.
#[derive(Clone, Debug)]
pub struct Printer {
    json: bool,
    bars: MultiProgress,
}

impl Printer {
    pub fn new(json: bool) -> Printer {
        let target =
            if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Printer { json, bars: MultiProgress::with_draw_target(target) }
    }

    pub fn is_json(&self) -> bool {
        self.json
    }

    /// A line for people; nothing with `--json`.
    pub fn line(&self, text: impl Display) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        self.forgiving(|out| writeln!(out, "{text}"))
    }

    /// The JSON object of the command; nothing without `--json`.
    pub fn object(&self, value: &impl Serialize) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        let text = serde_json::to_string(value).map_err(Failure::fault)?;
        self.forgiving(|out| writeln!(out, "{text}"))
    }

    /// Writes a stream of data as it is, in both modes. Ends with [`Failure::OutputClosed`] when nobody reads on.
    pub fn stream(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        match write(&mut out).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::OutputClosed),
            Err(error) => Err(cannot_print(error)),
        }
    }

    /// A line on stderr, above the bars. A closed stderr is nobody's problem.
    pub fn note(&self, text: impl Display) {
        self.bars.suspend(|| writeln!(io::stderr().lock(), "{text}").unwrap_or_default());
    }

    /// Progress of long work; `total` is what it counts up to, where that is known.
    pub fn progress(&self, what: &'static str, total: Option<u64>) -> Progress {
        let bar = match total {
            Some(total) => ProgressBar::new(total).with_style(style("{msg} {wide_bar} {human_pos}/{human_len} {eta}")),
            None => ProgressBar::no_length().with_style(style("{msg} {spinner} {human_pos} {per_sec}")),
        };
        let bar = self.bars.add(bar.with_message(what));
        Progress { printer: self.clone(), bar, what, total, told: Instant::now() }
    }

    /// A writer for logs that does not tear the bars.
    pub(super) fn log_writer(&self) -> LogWriter {
        LogWriter(self.bars.clone())
    }

    fn forgiving(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
        self.bars.suspend(|| match self.stream(write) {
            Err(Failure::OutputClosed) => Ok(()),
            other => other,
        })
    }
}

/// What a list or a text might hold to command a terminal is shown as a sign instead.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// The rows as lines: every column as wide as its widest cell, the last three, which are numbers, to the right.
pub(super) fn aligned<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| printable(cell))).collect();
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(at, (cell, width))| if at + 3 < N { format!("{cell:<width$}") } else { format!("{cell:>width$}") })
            .collect();
        cells.join("  ")
    };
    rows.iter().map(line).collect()
}

fn cannot_print(error: io::Error) -> Failure {
    Failure::Fault(anyhow::Error::new(error).context("cannot write to standard output"))
}

fn style(template: &str) -> ProgressStyle {
    // The templates stand above; a wrong one would only cost the looks.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A bar on a terminal, a line a minute elsewhere. It goes away when it is dropped.
#[derive(Debug)]
pub struct Progress {
    printer: Printer,
    bar: ProgressBar,
    what: &'static str,
    total: Option<u64>,
    told: Instant,
}

impl Progress {
    /// Says how far the work is.
    pub fn set(&mut self, done: u64) {
        self.bar.set_position(done);
        if self.printer.bars.is_hidden()
            && let Some(line) = self.line_if_due(done, Instant::now())
        {
            self.printer.note(line);
        }
    }

    /// The line to tell, once in [`TELL_EVERY`].
    fn line_if_due(&mut self, done: u64, now: Instant) -> Option<String> {
        if now.duration_since(self.told) < TELL_EVERY {
            return None;
        }
        self.told = now;
        Some(match self.total {
            Some(total) => format!("{}: {done} of {total}", self.what),
            None => format!("{}: {done}", self.what),
        })
    }

    /// Corrects what the work counts up to.
    pub fn set_total(&mut self, total: u64) {
        self.total = Some(total);
        self.bar.set_length(total);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Writes log lines to stderr, between two drawings of the bars.
pub(super) struct LogWriter(MultiProgress);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().lock().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_progress_is_a_line_a_minute() {
        let mut progress = Printer::new(false).progress("reading rows", Some(300));
        let start = progress.told;
        let told: Vec<String> =
            (0..300).filter_map(|s| progress.line_if_due(s, start + Duration::from_secs(s))).collect();
        assert_eq!(told, [60, 120, 180, 240].map(|s| format!("reading rows: {s} of 300")));
        let mut unknown = Printer::new(true).progress("reading rows", None);
        let later = unknown.told + TELL_EVERY;
        assert_eq!(unknown.line_if_due(7, later).as_deref(), Some("reading rows: 7"));
    }
}

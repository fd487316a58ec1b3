//! Logs on stderr, as much as `FOREWARN_LOG` asks for (`info`, `debug`, `forewarn::dispatch=trace`; else `warn`).
//!
//! Other crates may only warn, whatever is asked: their debug output quotes what is on the wire, and that is
//! personal data.

use super::output::Printer;
use std::io::IsTerminal;
use tracing::Level;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// The variable that says how much is logged.
pub(super) const VARIABLE: &str = "FOREWARN_LOG";

/// Starts logging for the rest of the process.
pub(super) fn start(printer: &Printer) {
    let asked = std::env::var(VARIABLE).unwrap_or_else(|_| "warn".to_owned());
    let filter = EnvFilter::try_new(&asked).unwrap_or_else(|error| {
        printer.note(format_args!("{VARIABLE} is not understood ({error}); logging warnings only"));
        EnvFilter::new("warn")
    });
    // Said aloud, so that what nobody asked for costs nothing, not even where other crates would log it.
    let most = filter.max_level_hint().unwrap_or(LevelFilter::TRACE);
    let writer = printer.clone();
    let layer = fmt::layer()
        .with_writer(move || writer.log_writer())
        .with_ansi(std::io::stderr().is_terminal())
        .with_filter(filter)
        .with_filter(filter_fn(|about| may_speak(about.target(), *about.level())).with_max_level_hint(most));
    if tracing_subscriber::registry().with(layer).try_init().is_err() {
        printer.note("logging was started before; keeping that");
    }
}

fn may_speak(target: &str, level: Level) -> bool {
    target == "forewarn" || target.starts_with("forewarn::") || level <= Level::WARN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_crates_may_only_warn() {
        for (target, level, allowed) in [
            ("forewarn::dispatch", Level::TRACE, true),
            ("forewarn", Level::DEBUG, true),
            ("lettre::transport", Level::DEBUG, false),
            ("log", Level::INFO, false),
            ("forewarned", Level::INFO, false),
            ("hyper::client", Level::WARN, true),
            ("hyper", Level::ERROR, true),
        ] {
            assert_eq!(may_speak(target, level), allowed, "{target} {level}");
        }
    }
}

//! Sending from this process: the signals to stop, and the picture on the terminal.

use super::output::Printer;
use super::{Context, Failure};
use crate::app::App;
use crate::dispatch::{End, Pulse, Until};
use crate::store::WorkerLock;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How long after the signal to stop it is said that it takes its time, and how often again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends until the end; the first Ctrl-C (or SIGTERM) finishes what is on the wire, the second one ends at once.
pub(super) async fn send(context: &Context, app: &App, lock: &WorkerLock, until: Until) -> Result<End, Failure> {
    send_shown_by(context, app, lock, until, Pulse::default()).await
}

/// As [`send`], shown by `pulse` meanwhile.
pub(super) async fn send_shown_by(
    context: &Context,
    app: &App,
    lock: &WorkerLock,
    until: Until,
    pulse: Pulse,
) -> Result<End, Failure> {
    let (stop, stopped) = watch::channel(false);
    // Before anything is sent, so that no signal finds nobody.
    let signals = tokio::spawn(stop_when_asked(Signals::listen()?, stop, pulse.clone(), context.printer.clone()));
    let watching = tokio::spawn(watch_progress(context.clone(), app.clone(), until.clone()));
    let end = app.work(lock, until, stopped, pulse, || jiff::Timestamp::now().as_microsecond()).await;
    watching.abort();
    signals.abort();
    Ok(end?)
}

async fn stop_when_asked(mut signals: Signals, stop: watch::Sender<bool>, pulse: Pulse, printer: Printer) {
    signals.next().await;
    let asked = Instant::now();
    printer.note("stopping: what is on the wire is finished, nothing new is taken (again to stop at once)");
    pulse.drains();
    if stop.send(true).is_err() {
        return;
    }
    loop {
        tokio::select! {
            () = signals.next() => std::process::exit(1),
            () = tokio::time::sleep(PATIENCE) => printer.note(format_args!(
                "still stopping after {} s: {} notices are on the wire or wait to be recorded (again to stop at once; \
                 what is not recorded then becomes `unknown`)",
                asked.elapsed().as_secs(),
                pulse.in_flight()
            )),
        }
    }
}

/// The two signals by which a process is asked to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// A bar of one campaign's persons on a terminal, a line a minute elsewhere.
async fn watch_progress(context: Context, app: App, until: Until) {
    let Until::Settled(no) = until else { return };
    let mut progress = context.printer.progress("persons settled", None);
    loop {
        if let Ok(sums) = app.store.sums(no).await {
            let total = sums.persons_total();
            progress.set_total(total as u64);
            progress.set((total - sums.person(crate::model::person::Standing::InFlight)) as u64);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

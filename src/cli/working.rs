//! Sending from this process: the worker lock, Ctrl-C, and the picture on the terminal.

use super::{Context, Failure};
use crate::app::App;
use crate::dispatch::{End, Until};
use crate::store::WorkerLock;
use std::time::Duration;
use tokio::sync::watch;

/// Sends until the end; the first Ctrl-C (or SIGTERM) finishes what is on the wire, the second one ends at once.
pub(super) async fn send(context: &Context, app: &App, lock: &WorkerLock, until: Until) -> Result<End, Failure> {
    let (stop, stopped) = watch::channel(false);
    let printer = context.printer.clone();
    let signals = tokio::spawn(async move {
        wait_for_signal().await;
        printer.note("stopping: what is on the wire is finished, nothing new is taken (again to stop at once)");
        if stop.send(true).is_err() {
            return;
        }
        wait_for_signal().await;
        std::process::exit(1);
    });
    let watching = tokio::spawn(watch_progress(context.clone(), app.clone(), until.clone()));
    let end = app.work(lock, until, stopped, || jiff::Timestamp::now().as_microsecond()).await;
    watching.abort();
    signals.abort();
    Ok(end?)
}

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => std::future::pending().await,
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

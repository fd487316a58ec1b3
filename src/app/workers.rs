//! The workers of an installation, as `doctor` and `status` show them.

use super::doctor::{Finding, chain};
use crate::model::problem::Problem;
use crate::model::time::{Micros, SECOND, rfc3339};
use crate::store::worker::WorkerRow;
use crate::store::{Store, StoreError};
use serde_json::{Value, json};

/// Longest silence of a worker that gives nobody cause to look: its lease.
pub(super) const SILENCE: Micros = 15 * SECOND;

/// The workers by name, and those that vanished.
pub(super) async fn the_workers(store: &Store) -> Vec<Finding> {
    let locked = matches!(store.lock_for_worker(), Err(StoreError::WorkerRuns { .. }));
    let workers = match store.workers(0).await {
        Ok(workers) => workers,
        Err(error) => {
            return vec![Finding::bad("worker", Problem::new("worker", "", chain(&error)), "")];
        }
    };
    if locked {
        // One at a time may send, so it is the last of those that never said that they ended.
        let which = workers.last().map(|w| format!(": {}", described(w))).unwrap_or_default();
        return vec![Finding::ok("worker", format!("a worker runs on this database{which}"))];
    }
    if !store.is_shared() || workers.is_empty() {
        return vec![Finding::ok("worker", "no worker runs; `forewarn worker` starts one")];
    }
    let look = |w: &WorkerRow| {
        let message = described(w);
        if w.silent > SILENCE {
            Finding::warn("worker", message, "if it is gone, the others take its notices over; start one if none runs")
        } else if w.version != env!("CARGO_PKG_VERSION") {
            Finding::warn("worker", message, "bring all workers to the same version")
        } else {
            Finding::ok("worker", message)
        }
    };
    workers.iter().map(look).collect()
}

/// A worker for people.
pub(super) fn described(w: &WorkerRow) -> String {
    let (silent, started) = (w.silent / SECOND, rfc3339(w.started_at));
    format!(
        "worker {} on {} (process {}, version {}) since {started}, last sign of life {silent} s ago",
        w.id, w.host, w.process, w.version
    )
}

/// Whether somebody is sending.
pub(super) async fn is_worked(store: &Store) -> bool {
    if store.is_shared() {
        return store.workers(0).await.is_ok_and(|workers| workers.iter().any(|w| w.silent <= SILENCE));
    }
    matches!(store.lock_for_worker(), Err(StoreError::WorkerRuns { .. }))
}

/// A worker for scripts.
pub(super) fn worker_json(w: &WorkerRow) -> Value {
    json!({
        "id": w.id,
        "host": w.host,
        "process": w.process,
        "version": w.version,
        "started_at": rfc3339(w.started_at),
        "seen_at": rfc3339(w.seen_at),
        "silent_seconds": w.silent / SECOND,
    })
}

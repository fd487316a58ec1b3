//! Whether this process can do its work, for probes, and its numbers, for metrics.
//!
//! Invariants: an answer names no person, no secret and no place of the database; however many ask at once, one query
//! at a time is made for all of them. Deliberately absent: mending anything.

use super::App;
use super::doctor::chain;
use super::hooks::Hooks;
use super::metrics::{Metrics, Shared};
use crate::dispatch::Pulse;
use crate::store::StoreError;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared as SharedFuture};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// A database that has not answered by then is not there.
const PATIENCE: Duration = Duration::from_secs(2);
/// Sums may take longer than a sign of life.
const PATIENCE_FOR_SUMS: Duration = Duration::from_secs(5);
/// How long an answer of the database serves everybody who asks.
const FRESH: Duration = Duration::from_millis(500);
/// A question that hangs is given up, so that the next one may find another connection.
const LONGEST_QUESTION: Duration = Duration::from_secs(10);

/// Why a process should get no work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct NotReady {
    pub code: &'static str,
    pub message: &'static str,
}

const STARTING: NotReady = NotReady { code: "starting", message: "the database is not open yet" };
const DRAINING: NotReady =
    NotReady { code: "draining", message: "asked to stop: what is on the wire ends, nothing new is taken" };
const LEASE_ENDED: NotReady = NotReady {
    code: "lease-ended",
    message: "this worker lost touch with the database for too long; it sends nothing until it is registered again",
};
const SILENT: NotReady = NotReady { code: "database-silent", message: "the database did not answer within 2 s" };
const NEWER: &str = "a newer version of forewarn has changed the tables; this process must be started as that version";
const DATABASE: &str =
    "the database does not answer as it should; the log of this process and `forewarn doctor` say why";

/// What a process that serves shows of itself.
#[derive(Debug)]
pub struct Health {
    pulse: Pulse,
    hooks: Arc<Hooks>,
    app: OnceLock<App>,
    sign: OneAtATime<Result<(), NotReady>>,
    sums: OneAtATime<Option<Shared>>,
    /// What was said last, so that the log has each change once.
    said: Mutex<Option<Result<(), NotReady>>>,
}

impl Health {
    /// Of a worker that shows itself by `pulse`; it is starting.
    pub fn new(pulse: Pulse, hooks: Arc<Hooks>) -> Health {
        Health {
            pulse,
            hooks,
            app: OnceLock::new(),
            sign: OneAtATime::default(),
            sums: OneAtATime::default(),
            said: Mutex::new(None),
        }
    }

    /// The installation is open.
    pub fn opened(&self, app: App) {
        // Opened once; a second time would be the same installation.
        self.app.get_or_init(|| app);
    }

    /// Whether this process does its work, or why not.
    pub async fn ready(&self) -> Result<(), NotReady> {
        let answer = self.look().await;
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if *said != Some(answer) {
            match answer {
                Ok(()) => tracing::info!("ready"),
                Err(why @ (STARTING | DRAINING)) => tracing::info!(code = why.code, "not ready: {}", why.message),
                Err(why) => tracing::warn!(code = why.code, "not ready: {}", why.message),
            }
            *said = Some(answer);
        }
        answer
    }

    async fn look(&self) -> Result<(), NotReady> {
        if self.pulse.is_draining() {
            return Err(DRAINING);
        }
        let app = self.app.get().ok_or(STARTING)?;
        let store = app.store.clone();
        let question = self.sign.ask(move || async move { store.is_ready().await.map_err(|e| unanswered(&e)) });
        tokio::time::timeout(PATIENCE, question).await.ok().flatten().unwrap_or(Err(SILENT))?;
        let lease = self.pulse.lease().ok_or(STARTING)?;
        if lease.holds(Instant::now()) { Ok(()) } else { Err(LEASE_ENDED) }
    }

    /// The numbers, in the text form that Prometheus reads. Without the database's, where it does not answer.
    pub async fn metrics(&self) -> String {
        let shared = match self.app.get() {
            None => None,
            Some(app) => {
                let app = app.clone();
                let question = self.sums.ask(move || async move {
                    Shared::read(&app, jiff::Timestamp::now().as_microsecond())
                        .await
                        .map_err(|e| tracing::warn!(error = %chain(&e), "the sums could not be read for metrics"))
                        .ok()
                });
                tokio::time::timeout(PATIENCE_FOR_SUMS, question).await.ok().flatten().flatten()
            }
        };
        let lease = self.pulse.lease();
        Metrics {
            lease_left: lease.map(|lease| lease.left(Instant::now())),
            in_flight: self.pulse.in_flight(),
            draining: self.pulse.is_draining(),
            hooks: self.hooks.counts(),
            asked: self.app.get().map(|app| app.asked.counts()).unwrap_or_default(),
            shared,
        }
        .text()
    }
}

/// What is said of an error; the error itself goes to the log, since it may name the place of the database. Quietly: the
/// worker says the same aloud.
fn unanswered(error: &StoreError) -> NotReady {
    tracing::debug!(error = %chain(error), "the database gave no sign of life");
    let message = if matches!(error, StoreError::Newer { .. }) { NEWER } else { DATABASE };
    NotReady { code: error.code().unwrap_or("database"), message }
}

type Answer<T> = SharedFuture<BoxFuture<'static, Option<T>>>;

/// A question that is put once, however many ask; `None` where it was given up.
#[derive(Debug)]
struct OneAtATime<T: Clone>(Mutex<Option<(Instant, Answer<T>)>>);

impl<T: Clone> Default for OneAtATime<T> {
    fn default() -> OneAtATime<T> {
        OneAtATime(Mutex::new(None))
    }
}

impl<T: Clone + Send + Sync + 'static> OneAtATime<T> {
    fn ask<F: Future<Output = T> + Send + 'static>(&self, put: impl FnOnce() -> F) -> Answer<T> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, answer)) = last.as_ref()
            && (answer.peek().is_none() || at.elapsed() < FRESH)
        {
            return answer.clone();
        }
        // A task of its own: whoever asked may go away, and what hangs must not take a connection for each of them.
        let asked = tokio::spawn(tokio::time::timeout(LONGEST_QUESTION, put()));
        let answer = asked.map(|ended| ended.ok().and_then(Result::ok)).boxed().shared();
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_at_once_are_one_question() {
        let asked = Arc::new(AtomicUsize::new(0));
        let once = OneAtATime::default();
        let ask = || {
            let asked = asked.clone();
            once.ask(move || async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                asked.fetch_add(1, Ordering::Relaxed)
            })
        };
        let (first, second) = (ask(), ask());
        assert_eq!((first.await, second.await), (Some(0), Some(0)));
        std::thread::sleep(FRESH);
        assert_eq!(ask().await, Some(1), "an old answer is asked for again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_hangs_is_given_up() {
        let once: OneAtATime<()> = OneAtATime::default();
        assert_eq!(once.ask(std::future::pending).await, None);
    }

    #[tokio::test]
    async fn before_the_database_is_open_it_is_starting_and_metrics_are_given_all_the_same() {
        let pulse = Pulse::default();
        let health = Health::new(pulse.clone(), Arc::default());
        assert_eq!(health.ready().await, Err(STARTING));
        assert!(health.metrics().await.contains("\nforewarn_database_up 0\n"));
        pulse.drains();
        assert_eq!(health.ready().await, Err(DRAINING));
    }
}

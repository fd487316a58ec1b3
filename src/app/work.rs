//! Running the dispatcher over the configured routes.

use super::bounces::Reader;
use super::carrier::AdapterCarrier;
use super::doctor::chain;
use super::overdue::Patience;
use super::receipts::Handler;
use super::reconcile::Asker;
use super::{App, AppError};
use crate::dispatch::{Dispatcher, End, Pulse, Until};
use crate::store::WorkerLock;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

impl App {
    /// The right to send on this database, or the refusal that names the other worker.
    pub fn lock_for_worker(&self) -> Result<WorkerLock, AppError> {
        Ok(self.store.lock_for_worker()?)
    }

    /// Sends until the end that `until` names, or until `stop` turns true; `pulse` shows meanwhile how it goes.
    pub async fn work(
        &self,
        _lock: &WorkerLock,
        until: Until,
        stop: watch::Receiver<bool>,
        pulse: Pulse,
        clock: fn() -> i64,
    ) -> Result<End, AppError> {
        let routes = self.ready_routes()?;
        let plans = routes.iter().map(|r| r.plan.clone()).collect();
        // First what came back while nobody worked: it may save somebody a notice.
        let mut mailboxes = Reader::all(self);
        if until != Until::Stopped {
            Reader::read_all_once(&mut mailboxes).await;
        }
        let reporting = routes.iter().map(|r| (r.plan.name.clone(), r.plan.reporting())).collect();
        let mut reports = Handler::new(self.clone(), reporting);
        if let Err(error) = reports.handle_all().await {
            tracing::warn!(%error, "reports wait to be handled");
        }
        let patience = Patience::new(self, &routes);
        let carrier = Arc::new(AdapterCarrier::new(self.clone(), routes));
        let mut dispatcher = Dispatcher::new(self.store.clone(), carrier.clone(), plans, stop, clock).shown_by(pulse);
        // The loop runs among the tasks that it starts: on a thread of its own, each outcome would have to wake that
        // thread. In a set, so that it ends when this is dropped.
        let mut own_task = JoinSet::new();
        let mut beside = JoinSet::new();
        // The first notice carries a head already.
        let mut log = self.sequencer().await?;
        log.catch_up().await?;
        beside.spawn(log.run());
        if self.config.proof.timestamp.is_some() {
            beside.spawn(self.clone().keep_stamped());
        }
        beside.spawn(reports.run());
        for mailbox in mailboxes {
            beside.spawn(mailbox.run());
        }
        beside.spawn(patience.run());
        for asker in Asker::all(self, &carrier) {
            beside.spawn(asker.run());
        }
        own_task.spawn(async move { dispatcher.run(until).await });
        let end = match own_task.join_next().await {
            Some(Ok(end)) => end,
            Some(Err(fault)) if fault.is_panic() => std::panic::resume_unwind(fault.into_panic()),
            // Only the drop of this very future cancels it.
            Some(Err(_)) | None => Ok(End::Stopped),
        };
        carrier.close_routes().await;
        drop(beside);
        let end = end?;
        // What waits for its place is kept, and whoever works next gives it one.
        if let Err(error) = self.keep_log_up().await {
            tracing::warn!(error = %chain(&error), "facts wait for their places in the evidence log");
        }
        Ok(end)
    }
}

//! Email through an SMTP relay, on lettre's connection.
//!
//! lettre's own pool and `send` are not used: they stall for want of `TCP_NODELAY`, ask NOOP before each message, never
//! pipeline and close the connection on each refusal. Here connections are kept and capped, and where the server allows
//! it a message goes in one write with the envelope of the next one that waits: one round trip a notice; two, where
//! none waits. A refused transaction is reset, not reconnected; a connection idle for more than half a minute is asked
//! first.
//!
//! Invariants: at most `concurrency` connections are open; the gate opens right before MAIL FROM, when the connection
//! stands, and once more before the message if its envelope was sent ahead; a notice is never sent twice by one call,
//! as a second connection is tried only if the first had died before it answered to anything.
//!
//! With `bounce_address` each notice has a sender of its own on the envelope, which holds its token: that is how a bounce,
//! which comes in by another door, finds it.
//!
//! Deliberately absent: asking for reports of delivery (DSN), DKIM (the relay signs), several recipients
//! in one transaction.

mod classify;
mod connection;
mod cork;
mod message;
mod options;
mod queue;
mod reply;
mod transaction;

use super::settings::{SettingDecl, Settings};
use super::{Abilities, Gate, Outgoing};
use crate::model::outcome::{Class, Outcome};
use crate::model::problem::Problem;
use crate::model::rendered::{EmailNotice, Rendered};
use connection::Connection;
use options::{Options, Protection};
use queue::{Handed, Queue};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use transaction::{Begun, Ended, Letter, deliver};

/// The adapter of one route.
pub struct Smtp {
    options: Options,
    /// As many as connections may be open.
    permits: Arc<Semaphore>,
    /// Who waits for a permit and may go at once.
    queue: Queue,
    /// Connections nobody uses, the last used on top. Each belongs to a permit that is free.
    idle: Mutex<Vec<Connection>>,
}

impl Smtp {
    /// The settings this adapter takes, for config and help.
    pub fn declarations() -> Vec<SettingDecl> {
        options::declarations()
    }

    /// Checks the settings. Nothing is dialled yet.
    pub fn build(route: &str, settings: &Settings, concurrency: usize) -> Result<Smtp, Vec<Problem>> {
        let options = Options::read(route, settings)?;
        let permits = Arc::new(Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS)));
        Ok(Smtp { options, permits, queue: Queue::default(), idle: Mutex::new(Vec::new()) })
    }

    pub fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    /// Sends one notice, waiting for a free connection if all are in use.
    pub async fn send(&self, out: &Outgoing, gate: &Gate) -> Outcome {
        match &out.rendered {
            Rendered::Email(notice) => self.send_email(out, notice, gate).await.unwrap_or_else(|outcome| outcome),
            Rendered::Sms(_) | Rendered::Call(_) => {
                let text = format!("route `{}` carries email only: check its `channel`", self.options.route);
                Outcome::new(Class::RouteBroken, "wrong-channel", &text)
            }
        }
    }

    /// Dials, sets up TLS, logs in and says goodbye; tells what was found.
    pub async fn check(&self) -> Result<String, Problem> {
        let options = &self.options;
        match Connection::open(options).await {
            Ok(connection) => {
                let offers = connection.offers.clone();
                connection.quit().await;
                let tls = match options.tls {
                    Protection::None => "in clear",
                    Protection::Implicit | Protection::StartTls => "over verified TLS",
                };
                let login = if options.login.is_some() { "logged in" } else { "without a login" };
                let pipelining = if offers.pipelining { "with" } else { "without" };
                let size = offers.size.map_or(String::new(), |n| format!(", messages up to {n} octets"));
                Ok(format!("{} answers {tls}, {login}, {pipelining} pipelining{size}", options.host))
            }
            Err(outcome) => Err(Problem::new(
                "route-check",
                "settings",
                format!("{} ({}): `{}`, port {}", outcome.text, outcome.code, options.host, options.port),
            )),
        }
    }

    /// Says goodbye on every idle connection.
    pub async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle());
        futures_util::future::join_all(idle.into_iter().map(Connection::quit)).await;
    }

    /// Both arms are outcomes; `Err` is only the short way out.
    async fn send_email(&self, out: &Outgoing, notice: &EmailNotice, gate: &Gate) -> Result<Outcome, Outcome> {
        let options = &self.options;
        let letter = Letter::new(out.to.reveal(), options.named(&out.notice), notice.mime.reveal())?;
        let (permit, handed) = self.seat(&letter, gate).await?;
        let (mut connection, mut begun) = match handed {
            Some(connection) => (connection, Begun::Envelope),
            None => (self.check_out().await?, Begun::Nothing),
        };
        loop {
            if matches!(begun, Begun::Nothing) {
                if let Some(unfit) = letter.envelope.unfit_for(&connection.offers) {
                    self.check_in(connection);
                    return Ok(unfit);
                }
                if let Err(shut) = gate.open().await {
                    self.check_in(connection);
                    return Ok(shut.outcome());
                }
            }
            match deliver(&mut connection, &letter, gate, begun, &self.queue, options).await {
                Ended::Keep(outcome) => {
                    self.check_in(connection);
                    return Ok(outcome);
                }
                Ended::PassOn(outcome, next) => {
                    next.hand(connection, permit);
                    return Ok(outcome);
                }
                Ended::Drop(outcome) => return Ok(outcome),
                // Its new connection is unused and so cannot be stale again.
                Ended::Stale => (connection, begun) = (self.open().await?, Begun::Nothing),
            }
        }
    }

    /// Waits for a permit; or for a connection from whoever had it before, who has sent this envelope along.
    async fn seat(
        &self,
        letter: &Letter<'_>,
        gate: &Gate,
    ) -> Result<(OwnedSemaphorePermit, Option<Connection>), Outcome> {
        let permits = || Arc::clone(&self.permits).acquire_owned();
        let with_it = |Handed { connection, permit }| Ok((permit, Some(connection)));
        let closed = || Outcome::new(Class::NotSent, "closed", "the route was closed before sending");
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok((permit, None));
        }
        if gate.is_free() {
            let (ticket, mut handed) = self.queue.enter(letter.envelope.clone(), gate.clone());
            let permit = tokio::select! {
                biased;
                handed = &mut handed => match handed {
                    Ok(handed) => return with_it(handed),
                    Err(_) => None,
                },
                permit = permits() => Some(permit),
            };
            match permit {
                Some(permit) if ticket.give_up() => return permit.map(|permit| (permit, None)).map_err(|_| closed()),
                // Taken in the same moment: the connection is on its way, or the one who took it fails.
                Some(permit) => {
                    drop(permit);
                    if let Ok(handed) = handed.await {
                        return with_it(handed);
                    }
                }
                None => {}
            }
        }
        permits().await.map(|permit| (permit, None)).map_err(|_| closed())
    }

    /// An idle connection that still answers, or a new one. The caller holds a permit.
    async fn check_out(&self) -> Result<Connection, Outcome> {
        loop {
            let Some(mut connection) = self.idle().pop() else {
                return self.open().await;
            };
            if connection.refresh(&self.options).await {
                return Ok(connection);
            }
            Box::pin(connection.quit()).await;
        }
    }

    /// Boxed, because it is rare and large: what waits to be sent moves from task to task and should be small.
    async fn open(&self) -> Result<Connection, Outcome> {
        Box::pin(Connection::open(&self.options)).await
    }

    fn check_in(&self, connection: Connection) {
        self.idle().push(connection);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A list of connections is whole whatever happened to the thread that held it.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The route's name only: the options hold a password.
impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp").field("route", &self.options.route).finish_non_exhaustive()
    }
}

//! Email through an SMTP relay, on lettre's connection.
//!
//! lettre's own pool and `send` are not used: they stall for want of `TCP_NODELAY`, ask NOOP before each message, never
//! pipeline and close the connection on each refusal. Here connections are kept and capped, the envelope goes in one
//! write where the server allows it, the message in another: two round trips a notice. A refused transaction is reset,
//! not reconnected; a connection idle for more than half a minute is asked first.
//!
//! Invariants: at most `concurrency` connections are open; the gate opens right before MAIL FROM, when the connection
//! stands; a notice is never sent twice by one call, as a second connection is tried only if the first had died before
//! it answered to anything.
//!
//! Deliberately absent: delivery reports (bounces come in by another door), DKIM (the relay signs), several recipients
//! in one transaction.

mod classify;
mod connection;
mod cork;
mod message;
mod options;
mod reply;
mod transaction;

use super::settings::{SettingDecl, Settings};
use super::{Abilities, Gate, Outgoing};
use crate::model::outcome::{Class, Outcome};
use crate::model::problem::Problem;
use crate::model::rendered::{EmailNotice, Rendered};
use connection::Connection;
use options::{Options, Protection};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Semaphore;
use transaction::{Ended, Letter, deliver};

/// The adapter of one route.
pub struct Smtp {
    options: Options,
    /// As many as connections may be open.
    permits: Semaphore,
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
        let permits = Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS));
        Ok(Smtp { options, permits, idle: Mutex::new(Vec::new()) })
    }

    pub fn abilities(&self) -> Abilities {
        Abilities { idempotent: false, reports_delivery: false }
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
        let idle: Vec<Connection> = std::mem::take(&mut *self.idle());
        futures_util::future::join_all(idle.into_iter().map(Connection::quit)).await;
    }

    /// Both arms are outcomes; `Err` is only the short way out.
    async fn send_email(&self, out: &Outgoing, notice: &EmailNotice, gate: &Gate) -> Result<Outcome, Outcome> {
        let options = &self.options;
        let letter = Letter::new(&options.envelope_from, out.to.reveal(), notice.mime.reveal())?;
        let Ok(_permit) = self.permits.acquire().await else {
            return Err(Outcome::new(Class::NotSent, "closed", "the route was closed before sending"));
        };
        let mut connection = self.check_out().await?;
        loop {
            if let Some(unfit) = letter.unfit_for(&connection) {
                self.check_in(connection);
                return Ok(unfit);
            }
            if let Err(shut) = gate.open().await {
                self.check_in(connection);
                return Ok(shut.outcome());
            }
            match deliver(&mut connection, &letter, options).await {
                Ended::Keep(outcome) => {
                    self.check_in(connection);
                    return Ok(outcome);
                }
                Ended::Drop(outcome) => return Ok(outcome),
                // Its new connection is unused and so cannot be stale again.
                Ended::Stale => connection = Connection::open(options).await?,
            }
        }
    }

    /// An idle connection that still answers, or a new one. The caller holds a permit.
    async fn check_out(&self) -> Result<Connection, Outcome> {
        loop {
            let Some(mut connection) = self.idle().pop() else {
                return Connection::open(&self.options).await;
            };
            if connection.refresh(&self.options).await {
                return Ok(connection);
            }
            connection.quit().await;
        }
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

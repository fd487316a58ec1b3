//! What a mail server delivers to our bounce addresses.
//!
//! Invariants: nothing is answered as taken before its report is on the disk, sealed; only the bounce addresses of our
//! routes are taken, with a token of ours or without one, so that nobody can send anything through us; who writes to one
//! of them by hand is told that nobody reads it.

use super::bounces::{aside, what_it_says};
use super::doctor::chain;
use super::{App, AppError};
use crate::config::LMTP;
use crate::store::StoreError;
use crate::store::mailbox::{Mail, reports_as};
use crate::vault::{MasterKey, RawReport, SealedReport, VaultError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Reports committed together at most, and those that wait for that.
const BATCH: usize = 100;
const QUEUE: usize = 200;
/// Whoever delivers has an answer by then.
const PATIENCE: Duration = Duration::from_secs(60);

pub use crate::config::LmtpListen;
/// What of a message is kept: its beginning, where reports say what they say.
pub use crate::mailbox::MOST_OCTETS;

/// Takes in what comes for our bounce addresses.
#[derive(Clone)]
pub struct Post {
    app: App,
    addresses: Arc<[Address]>,
    queue: mpsc::Sender<Waiting>,
}

/// One of ours, in lower case.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    local: String,
    domain: String,
}

/// A recipient that we take mail for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Of ours; none where the report must name its notice by itself.
    token: Option<String>,
}

/// What became of a message for one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// On the disk.
    Kept,
    /// Somebody wrote, and is to be told that nobody reads it here.
    NoReport,
    /// The database does not answer; to be delivered again.
    Away,
}

struct Waiting {
    mail: Mail,
    report: SealedReport,
    kept: oneshot::Sender<bool>,
}

/// The routes and the key stay out of it.
impl std::fmt::Debug for Post {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Post").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Post {
    /// Where to listen, and what to do with what comes; `None` where the configuration has no `[lmtp]`.
    pub fn open(app: &App) -> Option<(LmtpListen, Post)> {
        let listen = app.config.lmtp.clone()?;
        let address = |text: &str| {
            let (local, domain) = text.rsplit_once('@')?;
            Some(Address { local: local.to_ascii_lowercase(), domain: domain.to_ascii_lowercase() })
        };
        let addresses = app.config.routes.iter().filter_map(|route| address(route.bounce_address()?)).collect();
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(keep_all(app.clone(), waiting));
        Some((listen, Post { app: app.clone(), addresses, queue }))
    }

    /// The recipient that this address is, if it is one of ours.
    pub fn recipient(&self, address: &str) -> Option<Recipient> {
        let token = token_in(&self.addresses, address)?;
        if token.is_empty() {
            return Some(Recipient { token: None });
        }
        self.app.master.read_token(&token).map(|_| Recipient { token: Some(token) })
    }

    /// Takes a message for one recipient. `from_nobody`: its sender does not want to hear of it again.
    pub async fn keep(&self, recipient: &Recipient, from_nobody: bool, raw: Arc<[u8]>) -> Delivered {
        let (master, token) = (self.app.master.clone(), recipient.token.clone());
        let understood = aside(move || understand(&master, token.as_deref(), from_nobody, &raw)).await;
        let (mail, report) = match understood {
            Ok((mail, Some(report))) => (mail, report),
            Ok((_, None)) => return Delivered::NoReport,
            Err(error) => {
                tracing::error!(%error, "a report that came by LMTP could not be sealed");
                return Delivered::Away;
            }
        };
        let (kept, is_kept) = oneshot::channel();
        let waits = async {
            self.queue.send(Waiting { mail, report, kept }).await.ok()?;
            is_kept.await.ok()
        };
        match tokio::time::timeout(PATIENCE, waits).await {
            Ok(Some(true)) => Delivered::Kept,
            Ok(Some(false) | None) | Err(_) => Delivered::Away,
        }
    }
}

/// The token in an address of ours, empty where it has none; `None` where the address is none of ours.
fn token_in(ours: &[Address], address: &str) -> Option<String> {
    let (local, domain) = address.rsplit_once('@')?;
    let (local, domain) = (local.to_ascii_lowercase(), domain.to_ascii_lowercase());
    ours.iter().filter(|one| one.domain == domain).find_map(|one| match local.strip_prefix(&one.local)? {
        "" => Some(String::new()),
        rest => rest.strip_prefix('+').filter(|token| !token.is_empty()).map(str::to_owned),
    })
}

/// What it is, and its report; no report where somebody wrote who can be told that it was not taken.
fn understand(
    master: &MasterKey,
    token: Option<&str>,
    from_nobody: bool,
    raw: &[u8],
) -> Result<(Mail, Option<SealedReport>), VaultError> {
    let (mail, receipts) = what_it_says(master, token, raw);
    if mail == Mail::NoReport && !from_nobody {
        return Ok((mail, None));
    }
    // Also what is nobody's: whoever takes a message answers for it.
    let report = RawReport { route: reports_as(LMTP), came_as: LMTP.to_owned(), raw: raw.to_vec(), receipts };
    Ok((mail, Some(master.seal_report(&report)?)))
}

/// Commits what comes in: while one batch is being written, the next one gathers.
async fn keep_all(app: App, mut queue: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut is_away = false;
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let (mut mail, mut reports, mut senders) = (Vec::new(), Vec::new(), Vec::new());
        for waiting in batch.drain(..) {
            mail.push(waiting.mail);
            reports.push(waiting.report);
            senders.push(waiting.kept);
        }
        let kept = match keep_batch(&app, &reports, &mail).await {
            Ok(()) => true,
            Err(error) => {
                // Said once, not for every batch.
                if !is_away {
                    let error = chain(&AppError::from(error));
                    tracing::error!(error, "what comes by LMTP cannot be kept; its senders are told to come again");
                }
                false
            }
        };
        if kept && is_away {
            tracing::info!("what comes by LMTP is kept again");
        }
        is_away = !kept;
        app.came.notify_one();
        for sender in senders {
            // Whoever does not wait any more comes again, and the second report is a duplicate.
            if sender.send(kept).is_err() {
                tracing::debug!("who delivered a report did not wait for the answer");
            }
        }
    }
}

async fn keep_batch(app: &App, reports: &[SealedReport], mail: &[Mail]) -> Result<(), StoreError> {
    let now = jiff::Timestamp::now().as_microsecond();
    let mut tx = app.store.begin_beside().await?;
    tx.count_mail(LMTP, mail.iter().copied());
    tx.add_reports(reports, now).await?;
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_addresses_are_taken() {
        let ours = [Address { local: "bounces".into(), domain: "n.example.com".into() }];
        for (address, want) in [
            ("bounces@n.example.com", Some("")),
            ("Bounces+0A1b@N.Example.com", Some("0a1b")),
            ("bounces+@n.example.com", None),
            ("bouncesx@n.example.com", None),
            ("bounces+0a1b@example.com", None),
            ("root@n.example.com", None),
            ("bounces", None),
            ("", None),
        ] {
            assert_eq!(token_in(&ours, address).as_deref(), want, "{address}");
        }
    }
}

//! Mailboxes that bounces come back to, read for ever.
//!
//! Invariants: a message is marked as read in the transaction that keeps its report, sealed, so that it is taken once
//! however often a process dies; what it means is worked out as for every report, see [`super::receipts`]. Only a
//! message with a token of ours is kept; the others stay where they are, counted. What is wrong with one mailbox stops
//! neither another nor the worker.

use super::doctor::chain;
use super::{App, AppError};
use crate::config::{ImapAccount, ImapTls, Place, ReturnBox};
use crate::mailbox::imap::{self, Folder};
use crate::mailbox::maildir::{self, Walk};
use crate::mailbox::{Account, MailboxError, Message, Tls};
use crate::model::receipt::Receipt;
use crate::model::time::Micros;
use crate::receipts;
use crate::secrets::{ReadableByOthers, SecretError};
use crate::store::mailbox::{Mail, reports_as};
use crate::vault::{MasterKey, RawReport, SealedReport, VaultError};
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// Names of messages looked at together.
const NAMES: usize = 1_000;
/// Messages read together: so many, or so many octets.
const BATCH: usize = 100;
const OCTETS: usize = 8 << 20;
/// Marks remembered in memory; beyond, the database is asked again.
const KNOWN: usize = 1_000_000;
/// How long a command that ends by itself waits for its mailboxes.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a mail server may take to answer.
const ANSWER: Duration = Duration::from_secs(60);
/// The longest rest after failures.
const LONGEST_REST: Duration = Duration::from_secs(600);

/// Why a mailbox was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    #[error("its password: {0}")]
    Secret(#[from] SecretError),
    #[error("the database: {}", chain(.0))]
    App(#[from] AppError),
}

impl Failed {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Failed::Mailbox(error) => error.code(),
            Failed::Secret(_) => "no-secret",
            Failed::App(_) => "database",
        }
    }
}

/// The loop that reads one mailbox; one for each in each worker.
pub(super) struct Reader {
    app: App,
    mailbox: ReturnBox,
    /// Marks of messages that were read, as digests.
    known: HashSet<[u8; 16]>,
    /// The last message of an IMAP folder up to which all were read.
    up_to: Option<(u32, u32)>,
    /// What was wrong the last time; it is said once.
    fault: Option<&'static str>,
    failures: u32,
}

/// A message as it was understood.
struct Understood {
    mark: String,
    mail: Mail,
    report: Option<SealedReport>,
}

impl Reader {
    pub(super) fn all(app: &App) -> Vec<Reader> {
        let reader = |mailbox: &ReturnBox| Reader {
            app: app.clone(),
            mailbox: mailbox.clone(),
            known: HashSet::new(),
            up_to: None,
            fault: None,
            failures: 0,
        };
        app.config.mailboxes.iter().map(reader).collect()
    }

    /// Reads each once, all at the same time.
    pub(super) async fn read_all_once(readers: &mut [Reader]) {
        let one = async |reader: &mut Reader| {
            let name = reader.mailbox.name.clone();
            if tokio::time::timeout(PATIENCE, reader.read_and_tell()).await.is_err() {
                let waited = PATIENCE.as_secs();
                tracing::warn!(
                    mailbox = name,
                    "not read to its end within {waited} s; what is left is read the next time"
                );
            }
        };
        futures_util::future::join_all(readers.iter_mut().map(one)).await;
    }

    /// Reads, for ever.
    pub(super) async fn run(mut self) {
        loop {
            self.take_turn_and_read().await;
            tokio::time::sleep(self.rest()).await;
        }
    }

    fn every(&self) -> Duration {
        Duration::from_micros(self.mailbox.every.unsigned_abs())
    }

    /// Longer with each failure in a row, so that a login that is refused does not lock the account.
    fn rest(&self) -> Duration {
        let every = self.every();
        every.saturating_mul(1 << self.failures.min(10)).min(LONGEST_REST.max(every))
    }

    /// One worker of several looks into the mailbox in each of its intervals.
    async fn take_turn_and_read(&mut self) {
        let now = jiff::Timestamp::now().as_microsecond();
        match self.take_turn(now).await {
            Ok(true) => self.read_and_tell().await,
            Ok(false) => {}
            Err(error) => self.tell(Err(Failed::App(error))),
        }
    }

    async fn take_turn(&self, now: Micros) -> Result<bool, AppError> {
        let store = self.app.store.clone();
        let mut tx = store.begin_beside().await?;
        // A little less than the interval, else the next turn would often come a moment too early.
        let until = now.saturating_add(self.mailbox.every / 10 * 9);
        let taken = tx.take_look_up_turn(&reports_as(&self.mailbox.name), now, until).await?;
        tx.commit().await?;
        Ok(taken)
    }

    async fn read_and_tell(&mut self) {
        let begun = Instant::now();
        let read = self.read().await;
        if let Ok(messages @ 1..) = read {
            let (mailbox, took) = (self.mailbox.name.as_str(), begun.elapsed());
            tracing::info!(mailbox, messages, ?took, "a mailbox was read");
        }
        self.tell(read.map(|_| ()));
    }

    /// Says what is wrong, once, and that it is well again.
    fn tell(&mut self, read: Result<(), Failed>) {
        let mailbox = self.mailbox.name.as_str();
        match read {
            Ok(()) => {
                if self.fault.take().is_some() {
                    tracing::info!(mailbox, "the mailbox is read again");
                }
                self.failures = 0;
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let code = error.code();
                if self.fault != Some(code) {
                    tracing::error!(mailbox, code, "the mailbox is not read: {error}");
                }
                self.fault = Some(code);
            }
        }
    }

    /// Reads what was not read before; how many messages.
    async fn read(&mut self) -> Result<usize, Failed> {
        match self.mailbox.place.clone() {
            Place::Maildir(folder) => self.read_maildir(folder).await,
            Place::Imap(account) => {
                let mut folder = Folder::open(&opened(&account)?).await?;
                let read = self.read_folder(&mut folder).await;
                folder.close().await;
                read
            }
        }
    }

    async fn read_folder(&mut self, folder: &mut Folder) -> Result<usize, Failed> {
        let begin = self.up_to.filter(|(validity, _)| *validity == folder.validity()).map_or(0, |(_, uid)| uid);
        let (mut all, mut complete) = (0, true);
        for some in folder.above(begin).await?.chunks(NAMES) {
            let marks = self.unread(some.iter().map(|uid| folder.mark(*uid)).collect()).await?;
            let new: Vec<u32> = some.iter().copied().filter(|uid| marks.contains(&folder.mark(*uid))).collect();
            for few in new.chunks(imap::AT_ONCE) {
                let read = folder.read(few).await?;
                complete &= read.len() == few.len();
                all += read.len();
                let kept = self.keep("imap", read.iter().map(|(_, message)| message.clone()).collect()).await?;
                let kept: Vec<u32> = read.iter().filter(|(_, m)| kept.contains(&m.mark)).map(|(uid, _)| *uid).collect();
                if let Err(error) = folder.set_keyword(&kept).await {
                    tracing::debug!(mailbox = self.mailbox.name, %error, "what was kept carries no keyword");
                }
            }
            if let Some(last) = some.last().filter(|_| complete) {
                self.up_to = Some((folder.validity(), *last));
            }
        }
        if complete { Ok(all) } else { Err(MailboxError::Incomplete.into()) }
    }

    async fn read_maildir(&mut self, folder: PathBuf) -> Result<usize, Failed> {
        let mut walk = aside(move || Walk::begin(&folder)).await?;
        let mut all = 0;
        loop {
            let (went, names) = aside(move || {
                let names = walk.next(NAMES);
                names.map(|names| (walk, names))
            })
            .await?;
            walk = went;
            if names.is_empty() {
                return Ok(all);
            }
            let marks = self.unread(names.iter().map(|entry| entry.mark.clone()).collect()).await?;
            let mut new = names.into_iter().filter(|entry| marks.contains(&entry.mark)).peekable();
            while new.peek().is_some() {
                let some: Vec<_> = new.by_ref().take(BATCH).collect();
                let mut left = some.into_iter();
                while left.len() > 0 {
                    let (rest, messages) = aside(move || read_some(left)).await?;
                    left = rest;
                    all += messages.len();
                    self.keep("maildir", messages).await?;
                }
            }
        }
    }

    /// Those of the marks that are not known as read.
    async fn unread(&mut self, marks: Vec<String>) -> Result<BTreeSet<String>, Failed> {
        let marks: Vec<String> = marks.into_iter().filter(|mark| !self.known.contains(&digest(mark))).collect();
        if marks.is_empty() {
            return Ok(BTreeSet::new());
        }
        let unread = self.app.store.unread(&self.mailbox.name, &marks).await.map_err(AppError::from)?;
        self.remember(marks.iter().filter(|mark| !unread.contains(*mark)));
        Ok(unread)
    }

    fn remember<'m>(&mut self, marks: impl Iterator<Item = &'m String>) {
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        self.known.extend(marks.map(|mark| digest(mark)));
    }

    /// Understands messages and commits what they say, with their marks; the marks of those whose reports were kept.
    async fn keep(&mut self, came_as: &'static str, messages: Vec<Message>) -> Result<BTreeSet<String>, Failed> {
        if messages.is_empty() {
            return Ok(BTreeSet::new());
        }
        let (master, name) = (self.app.master.clone(), reports_as(&self.mailbox.name));
        let understood = aside(move || understand(&master, &name, came_as, messages)).await.map_err(AppError::from)?;
        let marks: Vec<(String, Mail)> = understood.iter().map(|one| (one.mark.clone(), one.mail)).collect();
        self.commit(&marks, understood).await?;
        self.remember(marks.iter().map(|(mark, _)| mark));
        Ok(marks.into_iter().filter(|(_, mail)| *mail == Mail::Matched).map(|(mark, _)| mark).collect())
    }

    async fn commit(&self, marks: &[(String, Mail)], understood: Vec<Understood>) -> Result<(), AppError> {
        let now = jiff::Timestamp::now().as_microsecond();
        let store = self.app.store.clone();
        let mut tx = store.begin_beside().await?;
        let mut new = tx.mark_read(&self.mailbox.name, marks, now).await?;
        let reports = understood.into_iter().filter(|one| new.remove(&one.mark)).filter_map(|one| one.report);
        let reports: Vec<SealedReport> = reports.collect();
        if !reports.is_empty() {
            tx.add_reports(&reports, now).await?;
        }
        tx.commit().await?;
        if !reports.is_empty() {
            self.app.came.notify_one();
        }
        Ok(())
    }
}

/// The account with its password.
pub(super) fn opened(account: &ImapAccount) -> Result<Account, SecretError> {
    Ok(Account {
        host: account.host.clone(),
        port: account.port,
        tls: match account.tls {
            ImapTls::Implicit => Tls::Implicit,
            ImapTls::StartTls => Tls::StartTls,
            ImapTls::None => Tls::None,
        },
        username: account.username.clone(),
        password: account.password.resolve(ReadableByOthers::Warn)?,
        folder: account.folder.clone(),
        ca_file: account.ca_file.clone(),
        patience: ANSWER,
    })
}

/// Opens messages until there are octets enough; the entries that are left, and the messages.
fn read_some(
    mut left: std::vec::IntoIter<maildir::Entry>,
) -> Result<(std::vec::IntoIter<maildir::Entry>, Vec<Message>), MailboxError> {
    let (mut messages, mut octets) = (Vec::new(), 0);
    while octets < OCTETS {
        let Some(entry) = left.next() else { break };
        if let Some(message) = maildir::read(entry)? {
            octets += message.raw.len();
            messages.push(message);
        }
    }
    Ok((left, messages))
}

/// What each message is, and its report where it speaks of a notice of ours.
fn understand(
    master: &MasterKey,
    reports_as: &str,
    came_as: &str,
    messages: Vec<Message>,
) -> Result<Vec<Understood>, VaultError> {
    let one = |message: Message| {
        let (mail, receipts) = what_it_says(master, None, &message.raw);
        let report = match mail {
            Mail::Matched => {
                let (route, came_as) = (reports_as.to_owned(), came_as.to_owned());
                Some(master.seal_report(&RawReport { route, came_as, raw: message.raw, receipts })?)
            }
            Mail::Nobodys | Mail::NoReport => None,
        };
        Ok(Understood { mark: message.mark, mail, report })
    };
    messages.into_iter().map(one).collect()
}

/// What a message is, and what it says of whom; `token` is of ours and stands on its envelope.
pub(super) fn what_it_says(master: &MasterKey, token: Option<&str>, raw: &[u8]) -> (Mail, Vec<Receipt>) {
    let mut report = receipts::read(raw);
    if let Some(token) = token {
        report.tokens.insert(0, token.to_owned());
    }
    let receipts = receipts::receipts(&report, |token| master.read_token(token).is_some());
    let mail = match receipts.first() {
        Some(receipt) if receipt.token.is_some() => Mail::Matched,
        Some(_) => Mail::Nobodys,
        None if report.kind == receipts::Kind::NotAReport => Mail::NoReport,
        None => Mail::Nobodys,
    };
    (mail, receipts)
}

/// A mark in little room.
fn digest(mark: &str) -> [u8; 16] {
    let hash = *blake3::hash(mark.as_bytes()).as_bytes();
    std::array::from_fn(|at| hash[at])
}

/// Work for the disk and the processor, beside what waits for the network.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(fault) if fault.is_panic() => std::panic::resume_unwind(fault.into_panic()),
        // Never started, since the process ends.
        Err(_) => std::future::pending().await,
    }
}

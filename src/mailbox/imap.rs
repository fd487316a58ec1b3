//! A folder of an IMAP account, read without taking a message as read.
//!
//! A message is known by the folder's UIDVALIDITY and its UID. Its first octets are asked for with BODY.PEEK, so that
//! nobody's mail program sees a change but for a keyword of ours on what was kept, where the server allows keywords.
//! Every question has an end, in time and in octets; what a server answers is never repeated but for its one line about
//! a refusal, since the rest may be somebody's mail.

use super::stream::{Account, Bounded, connect};
use super::{MOST_OCTETS, MailboxError, Message};
use crate::model::redact::redact;
use async_imap::error::Error;
use async_imap::types::Flag;
use async_imap::{Client, Session};
use futures_util::TryStreamExt as _;
use secrecy::ExposeSecret as _;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// What is kept carries it, so that it can be found and deleted.
pub const KEYWORD: &str = "$Forewarn";
/// Messages that are asked for together.
pub const AT_ONCE: usize = 16;
/// Octets of an answer: of a list of a few million numbers, and of messages.
const LARGEST_ANSWER: usize = 32 << 20;

/// An open folder.
pub struct Folder {
    session: Session<Bounded>,
    left: Arc<AtomicUsize>,
    patience: Duration,
    validity: u32,
    takes_keyword: bool,
    /// How many messages there are.
    pub messages: u32,
}

/// The session holds a password.
impl std::fmt::Debug for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Folder").field("messages", &self.messages).finish_non_exhaustive()
    }
}

impl Folder {
    /// Connects, logs in and opens the account's folder.
    pub async fn open(account: &Account) -> Result<Folder, MailboxError> {
        let left = Arc::new(AtomicUsize::new(LARGEST_ANSWER));
        let client = connect(account, &left).await?;
        let session = Self::log_in(client, account).await?;
        let mut folder =
            Folder { session, left, patience: account.patience, validity: 0, takes_keyword: false, messages: 0 };
        folder.refill();
        let about = match within(account.patience, folder.session.select(&account.folder)).await {
            Err(MailboxError::ImapRefused { said }) => {
                return Err(MailboxError::NoFolder { folder: account.folder.clone(), said });
            }
            other => other?,
        };
        folder.validity = about.uid_validity.ok_or(MailboxError::NoUids)?;
        folder.messages = about.exists;
        folder.takes_keyword = about.permanent_flags.iter().any(|flag| match flag {
            Flag::MayCreate => true,
            Flag::Custom(name) => name.eq_ignore_ascii_case(KEYWORD),
            Flag::Seen | Flag::Answered | Flag::Flagged | Flag::Deleted | Flag::Draft | Flag::Recent => false,
        });
        Ok(folder)
    }

    async fn log_in(client: Client<Bounded>, account: &Account) -> Result<Session<Bounded>, MailboxError> {
        let login = client.login(&account.username, account.password.expose_secret());
        match timeout(account.patience, login).await {
            Ok(Ok(session)) => Ok(session),
            Ok(Err((Error::No(said) | Error::Bad(said), _))) => Err(MailboxError::LoginRefused { said: redact(&said) }),
            Ok(Err((error, _))) => Err(fault(error)),
            Err(_) => Err(MailboxError::Silent { seconds: account.patience.as_secs() }),
        }
    }

    /// Changes when the numbers of all messages do.
    pub fn validity(&self) -> u32 {
        self.validity
    }

    /// What a message is known by.
    pub fn mark(&self, uid: u32) -> String {
        format!("{}/{uid}", self.validity)
    }

    /// The numbers of the messages above this one, in order.
    pub async fn above(&mut self, uid: u32) -> Result<Vec<u32>, MailboxError> {
        self.refill();
        let query = format!("UID {}:*", uid.saturating_add(1));
        let found = within(3 * self.patience, self.session.uid_search(query)).await?;
        // `*` is the last message, also where that is below.
        let mut found: Vec<u32> = found.into_iter().filter(|found| *found > uid).collect();
        found.sort_unstable();
        Ok(found)
    }

    /// The messages of these numbers, as far as they are still there.
    pub async fn read(&mut self, uids: &[u32]) -> Result<Vec<(u32, Message)>, MailboxError> {
        self.refill();
        let set = uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let query = format!("(UID BODY.PEEK[]<0.{MOST_OCTETS}>)");
        let patience = self.patience;
        let fetch = async { self.session.uid_fetch(set, query).await?.try_collect::<Vec<_>>().await };
        let fetched = within(3 * patience, fetch).await?;
        let message = |fetched: &async_imap::types::Fetch| {
            let uid = fetched.uid.filter(|uid| uids.contains(uid))?;
            let raw = fetched.body()?;
            let raw = raw.get(..MOST_OCTETS).unwrap_or(raw).to_vec();
            Some((uid, Message { mark: self.mark(uid), raw }))
        };
        Ok(fetched.iter().filter_map(message).collect())
    }

    /// Sets our keyword where the server takes it.
    pub async fn set_keyword(&mut self, uids: &[u32]) -> Result<(), MailboxError> {
        if uids.is_empty() || !self.takes_keyword {
            return Ok(());
        }
        self.refill();
        let set = uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let query = format!("+FLAGS.SILENT ({KEYWORD})");
        let patience = self.patience;
        let store = async { self.session.uid_store(set, query).await?.try_collect::<Vec<_>>().await };
        within(patience, store).await.map(|_| ())
    }

    /// Says goodbye; nobody minds how that goes.
    pub async fn close(mut self) {
        self.refill();
        if let Err(error) = within(Duration::from_secs(5), self.session.logout()).await {
            tracing::debug!(%error, "a mail server did not say goodbye");
        }
    }

    fn refill(&self) {
        self.left.store(LARGEST_ANSWER, Ordering::Relaxed);
    }
}

/// An answer within its time, with what may be said of a failure.
async fn within<T>(limit: Duration, answer: impl Future<Output = Result<T, Error>>) -> Result<T, MailboxError> {
    match timeout(limit, answer).await {
        Ok(answer) => answer.map_err(fault),
        Err(_) => Err(MailboxError::Silent { seconds: limit.as_secs() }),
    }
}

/// Never with the words of the library: they may quote what the server sent.
pub(super) fn fault(error: Error) -> MailboxError {
    if let Error::No(said) | Error::Bad(said) = &error {
        return MailboxError::ImapRefused { said: redact(said) };
    }
    let why = match &error {
        Error::Io(source) => Some(source.kind()),
        Error::ConnectionLost => Some(ErrorKind::UnexpectedEof),
        Error::No(_) | Error::Bad(_) | Error::Parse(_) | Error::Validate(_) | Error::Append | _ => None,
    };
    match why.filter(|kind| *kind != ErrorKind::Other) {
        Some(ErrorKind::FileTooLarge) => MailboxError::TooMuch,
        Some(kind) => MailboxError::Lost { why: kind.to_string() },
        None => MailboxError::NoImap,
    }
}

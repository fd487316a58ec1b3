//! Step: mailboxes that bounces come back to, as messages with a mark each.
//!
//! A mailbox is left as it is found: nothing is moved, deleted or taken as read by a human. What was read is remembered
//! by whoever asks, under the mark of each message, which stays the same as long as the message is there. Whatever lies
//! in a mailbox is read in bounded memory: of a message only the beginning, which is where reports say what they say.

pub mod maildir;

use std::path::PathBuf;

/// What is read of a message. Reports stand in front, the returned message behind them.
pub const MOST_OCTETS: usize = 1 << 20;

/// A message of a mailbox.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is known by.
    pub mark: String,
    /// The message, up to [`MOST_OCTETS`].
    pub raw: Vec<u8>,
}

/// Not what it says.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message").field("mark", &self.mark).field("octets", &self.raw.len()).finish()
    }
}

/// Why a mailbox cannot be read. Each says what to do about it; whoever prints it says which mailbox it is.
#[derive(Debug, thiserror::Error)]
pub enum MailboxError {
    #[error(
        "there is no folder {}: correct `maildir`, or let the mail server deliver the first message", path.display()
    )]
    Gone { path: PathBuf },
    #[error(
        "{} is no Maildir: it has no folder `{folder}` in it; name the folder that has `new`, `cur` and `tmp`",
        path.display()
    )]
    NoMaildir { path: PathBuf, folder: &'static str },
    #[error(
        "{} may not be read by the user that runs forewarn; give that user the right to (for example by its group)",
        path.display()
    )]
    Forbidden { path: PathBuf },
    #[error("{} cannot be read: {source}; it is tried again", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
}

impl MailboxError {
    /// For scripts.
    pub fn code(&self) -> &'static str {
        match self {
            MailboxError::Gone { .. } => "mailbox-gone",
            MailboxError::NoMaildir { .. } => "no-maildir",
            MailboxError::Forbidden { .. } => "mailbox-forbidden",
            MailboxError::Unreadable { .. } => "mailbox-unreadable",
        }
    }
}

//! Step: mailboxes that bounces come back to, as messages with a mark each.
//!
//! A mailbox is left as it is found: nothing is moved, deleted or taken as read by a human. What was read is remembered
//! by whoever asks, under the mark of each message, which stays the same as long as the message is there. Whatever lies
//! in a mailbox is read in bounded memory: of a message only the beginning, which is where reports say what they say.

pub mod imap;
pub mod maildir;
mod stream;

pub use stream::{Account, Tls};

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
    #[error("{host}, port {port}, cannot be reached: {why}; correct `host` and `port`, or see that the server runs")]
    Unreachable { host: String, port: u16, why: String },
    #[error("{host} is not this machine, and its mail would cross the network in clear: write tls = \"implicit\"")]
    ClearText { host: String },
    #[error("{host} offers no STARTTLS: write tls = \"implicit\" (port 993)")]
    NoStartTls { host: String },
    #[error("TLS with {host} failed: {why}; correct `host`, or name its authority's certificate as `ca_file`")]
    NoTls { host: String, why: String },
    #[error("{} holds no certificates in PEM form; correct `ca_file`", path.display())]
    BadCertificates { path: PathBuf },
    #[error(
        "the server refuses the login: {said}; correct `username` and `password` (some providers want a password made \
         for programs)"
    )]
    LoginRefused { said: String },
    #[error("there is no folder `{folder}`: {said}; correct `folder`")]
    NoFolder { folder: String, said: String },
    #[error("the server gives its messages no lasting numbers (UIDs); read this mailbox another way")]
    NoUids,
    #[error("the server refuses: {said}; it is tried again")]
    ImapRefused { said: String },
    #[error("the server did not answer within {seconds} s; it is tried again")]
    Silent { seconds: u64 },
    #[error("the connection was lost: {why}; it is tried again")]
    Lost { why: String },
    #[error("the server answers something that is no IMAP; correct `host`, `port` and `tls`")]
    NoImap,
    #[error("the server sends more than any answer has; it is not read on")]
    TooMuch,
    #[error("some messages were not handed out; they are asked for again")]
    Incomplete,
}

impl MailboxError {
    /// For scripts.
    pub fn code(&self) -> &'static str {
        match self {
            MailboxError::Gone { .. } => "mailbox-gone",
            MailboxError::NoMaildir { .. } => "no-maildir",
            MailboxError::Forbidden { .. } => "mailbox-forbidden",
            MailboxError::Unreadable { .. } => "mailbox-unreadable",
            MailboxError::Unreachable { .. } => "mailbox-unreachable",
            MailboxError::ClearText { .. } => "plaintext-refused",
            MailboxError::NoStartTls { .. } | MailboxError::NoTls { .. } => "no-tls",
            MailboxError::BadCertificates { .. } => "bad-certificates",
            MailboxError::LoginRefused { .. } => "login-refused",
            MailboxError::NoFolder { .. } => "no-folder",
            MailboxError::NoUids => "no-uids",
            MailboxError::ImapRefused { .. } => "mailbox-refused",
            MailboxError::Silent { .. } => "mailbox-silent",
            MailboxError::Lost { .. } => "connection-lost",
            MailboxError::NoImap => "no-imap",
            MailboxError::TooMuch => "too-much",
            MailboxError::Incomplete => "incomplete",
        }
    }
}

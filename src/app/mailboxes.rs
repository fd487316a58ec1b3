//! The mailboxes that bounces come back to, looked over: whether each opens, and whether each bounce is read by somebody.

use super::AppError;
use super::bounces::{Failed, aside, opened};
use super::doctor::Finding;
use crate::config::{Config, Place, ReturnBox, Route};
use crate::mailbox::MailboxError;
use crate::mailbox::imap::Folder;
use crate::mailbox::maildir::Walk;
use crate::model::problem::Problem;
use crate::store::Store;
use futures_util::future::join_all;
use std::path::PathBuf;
use std::time::Duration;

/// A mailbox that has not opened by then does not open.
const PATIENCE: Duration = Duration::from_secs(60);
/// Messages looked at together.
const PIECE: usize = 1_000;
/// Messages that are counted at most.
const COUNTED: usize = 100_000;

/// What lies in a mailbox.
#[derive(Default)]
struct Lies {
    all: usize,
    unread: usize,
    /// There are more, which were not counted.
    more: bool,
}

/// Looks into each mailbox, and for bounces that nobody would read. Without a database nothing counts as read.
pub(super) async fn findings(config: &Config, store: Option<&Store>) -> Vec<Finding> {
    let mut found = join_all(config.mailboxes.iter().map(|mailbox| the_mailbox(mailbox, store))).await;
    found.extend(config.routes.iter().filter_map(|route| unread_bounces(config, route)));
    found
}

async fn the_mailbox(mailbox: &ReturnBox, store: Option<&Store>) -> Finding {
    let about = format!("mailbox {}", mailbox.name);
    let looked = match tokio::time::timeout(PATIENCE, look_into(mailbox, store)).await {
        Ok(looked) => looked,
        Err(_) => Err(MailboxError::Silent { seconds: PATIENCE.as_secs() }.into()),
    };
    match looked {
        Ok(Lies { all, unread, more }) => {
            let more = if more { " at least" } else { "" };
            Finding::ok(about, format!("opens;{more} {all} messages lie there, {unread} of them wait to be read"))
        }
        Err(error) => {
            let problem = Problem::new(error.code(), "mailbox", error.to_string());
            Finding::bad(about, problem, "mend it: until then notices that came back count as accepted")
        }
    }
}

async fn look_into(mailbox: &ReturnBox, store: Option<&Store>) -> Result<Lies, Failed> {
    match &mailbox.place {
        Place::Maildir(folder) => look_into_maildir(mailbox, folder.clone(), store).await,
        Place::Imap(account) => {
            let mut folder = Folder::open(&opened(account)?).await?;
            let looked = look_into_folder(mailbox, &mut folder, store).await;
            folder.close().await;
            looked
        }
    }
}

async fn look_into_maildir(mailbox: &ReturnBox, folder: PathBuf, store: Option<&Store>) -> Result<Lies, Failed> {
    let mut walk = aside(move || Walk::begin(&folder)).await?;
    let mut lies = Lies::default();
    loop {
        let (went, names) = aside(move || {
            let names = walk.next(PIECE);
            names.map(|names| (walk, names))
        })
        .await?;
        walk = went;
        if names.is_empty() || lies.more {
            return Ok(lies);
        }
        let marks = names.into_iter().map(|entry| entry.mark).collect();
        lies.count(mailbox, marks, store).await?;
    }
}

async fn look_into_folder(mailbox: &ReturnBox, folder: &mut Folder, store: Option<&Store>) -> Result<Lies, Failed> {
    let mut lies = Lies::default();
    for some in folder.above(0).await?.chunks(PIECE) {
        if lies.more {
            break;
        }
        lies.count(mailbox, some.iter().map(|uid| folder.mark(*uid)).collect(), store).await?;
    }
    Ok(lies)
}

impl Lies {
    async fn count(&mut self, mailbox: &ReturnBox, marks: Vec<String>, store: Option<&Store>) -> Result<(), AppError> {
        self.all += marks.len();
        self.unread += match store {
            Some(store) => store.unread(&mailbox.name, &marks).await?.len(),
            None => marks.len(),
        };
        self.more = self.all >= COUNTED;
        Ok(())
    }
}

/// A route whose notices come back to where nobody looks.
fn unread_bounces(config: &Config, route: &Route) -> Option<Finding> {
    let address = route.bounce_address()?;
    let reads = |mailbox: &ReturnBox| mailbox.routes.is_empty() || mailbox.routes.contains(&route.name);
    if config.lmtp.is_some() || config.mailboxes.iter().any(reads) {
        return None;
    }
    let message = format!("its notices come back to {address}, where forewarn does not look");
    let next = "add a [[mailbox]] for it, or [lmtp]: docs/bounces.md says how";
    Some(Finding::warn(format!("route {}", route.name), message, next))
}

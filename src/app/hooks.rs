//! Taking in what providers report to our addresses.
//!
//! Invariants: nothing is answered as taken before it is on the disk; whoever does not know a route's token learns
//! nothing; however many come at once, no more than a fixed number of bytes waits in memory, and the others are told to
//! come again. What a report means for its notice is worked out afterwards, see [`super::receipts`].

use super::doctor::chain;
use super::documents::{Documents, Wanted};
use super::{App, AppError};
use crate::config::Config;
use crate::model::receipt::Receipt;
use crate::model::time::{DAY, HOUR, Micros};
use crate::providers::adapter::Adapter;
use crate::providers::receipt::{self, Action};
use crate::store::{Store, StoreError};
use crate::vault::{MasterKey, RawReport, SealedReport};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// The longest body that is taken: providers document 768 KiB at most.
pub const LARGEST_BODY: usize = 1 << 20;

/// Reports committed together at most.
const BATCH: usize = 500;
/// Reports that wait to be committed.
const QUEUE: usize = 2_000;
/// Octets of reports in memory at once, over all connections.
const ROOM: usize = 32 << 20;
/// Whoever reports has an answer by then: providers give up after ten seconds or more.
const PATIENCE: Duration = Duration::from_secs(8);
/// No definition believes a report that was signed longer ago, so what was signed need not be remembered longer.
const REMEMBERED: Micros = 32 * DAY;
/// How often what is older is forgotten.
const TIDY_EVERY: Micros = HOUR;

pub use crate::providers::definition::receipt::Reply;

/// A call at a route's address.
#[derive(Clone, Copy, Debug)]
pub struct Call<'c> {
    pub method: &'c Method,
    /// Path and query as they arrived.
    pub path: &'c str,
    pub headers: &'c HeaderMap,
    pub body: &'c [u8],
}

/// What reads the calls at a route's address: the adapter of the route.
pub type Reader = Arc<Adapter>;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// Kept, and answered as the provider expects.
    Kept,
    /// Nobody reports to this address.
    NotFound,
    /// It does not prove that the provider sent it, or is no report.
    Refused,
    TooLarge,
    /// Its sender was too slow.
    TooSlow,
    /// More came than is kept in memory.
    Overloaded,
    /// The database does not answer, or is not open yet.
    Away,
}

impl Came {
    const ALL: [Came; 7] =
        [Came::Kept, Came::NotFound, Came::Refused, Came::TooLarge, Came::TooSlow, Came::Overloaded, Came::Away];

    pub fn as_str(self) -> &'static str {
        match self {
            Came::Kept => "kept",
            Came::NotFound => "not-found",
            Came::Refused => "refused",
            Came::TooLarge => "too-large",
            Came::TooSlow => "too-slow",
            Came::Overloaded => "overloaded",
            Came::Away => "away",
        }
    }
}

/// What to answer.
#[derive(Clone, Debug)]
pub enum Answer {
    Kept(Reply),
    /// With this status, and no word why.
    Refused(u16),
    /// Come again.
    Again(Came),
}

/// The addresses of this process; nobody reports to them before the installation is open.
#[derive(Debug, Default)]
pub struct Hooks(OnceLock<Open>);

struct Open {
    master: Arc<MasterKey>,
    public_url: String,
    hooks: BTreeMap<String, Hook>,
    /// Calls at addresses that are none.
    nowhere: Counts,
    queue: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    documents: Documents,
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.hooks.keys()).finish()
    }
}

struct Hook {
    /// A hash of the token: two of them are compared in constant time.
    token: blake3::Hash,
    reader: Reader,
    counts: Counts,
}

/// A route whose token the caller knows.
#[derive(Clone, Copy)]
pub struct Known<'h> {
    open: &'h Open,
    route: &'h str,
    hook: &'h Hook,
}

/// A sealed report on its way to the disk, and who waits for that.
struct Waiting {
    report: SealedReport,
    kept: oneshot::Sender<bool>,
    _room: OwnedSemaphorePermit,
}

#[derive(Default)]
struct Counts([AtomicU64; Came::ALL.len()]);

impl Counts {
    fn add(&self, came: Came) {
        if let Some(at) = Came::ALL.iter().position(|c| *c == came) {
            self.0[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn all(&self) -> impl Iterator<Item = (Came, u64)> {
        Came::ALL.into_iter().zip(&self.0).map(|(came, n)| (came, n.load(Ordering::Relaxed)))
    }
}

impl App {
    /// The address to which the provider of a route reports; it holds a secret of the route.
    pub fn hook_url(&self, route: &str) -> Option<String> {
        hook_url(self.config.server.public_url.as_deref(), &self.master, route)
    }
}

/// The same of an installation whose database is not open.
pub fn address_of(config: &Config, route: &str) -> Result<Option<String>, AppError> {
    Ok(hook_url(config.server.public_url.as_deref(), &super::master_key(config)?, route))
}

/// `{public_url}/hooks/{route}/{token}`, where others reach this installation at all.
pub fn hook_url(public_url: Option<&str>, master: &MasterKey, route: &str) -> Option<String> {
    let base = public_url?.trim_end_matches('/');
    let name: String = url::form_urlencoded::byte_serialize(route.as_bytes()).collect();
    Some(format!("{base}/hooks/{}/{}", name.replace('+', "%20"), master.hook_token(route)))
}

impl Hooks {
    /// From now on reports are taken in, for the routes that `readers` can read.
    pub fn open(&self, app: &App, readers: BTreeMap<String, Reader>) {
        let public_url = app.config.server.public_url.clone().unwrap_or_default();
        self.open_over(&app.store, &app.master, &public_url, readers, &app.came);
    }

    /// As [`Hooks::open`], over the parts of an installation; `came` is told of every batch.
    pub fn open_over(
        &self,
        store: &Store,
        master: &Arc<MasterKey>,
        public_url: &str,
        readers: BTreeMap<String, Reader>,
        came: &Arc<Notify>,
    ) {
        let hook = |(route, reader): (String, Reader)| {
            let token = blake3::hash(master.hook_token(&route).as_bytes());
            (route, Hook { token, reader, counts: Counts::default() })
        };
        // Opened once; a second time would be the same installation.
        self.0.get_or_init(|| {
            let (queue, waiting) = mpsc::channel(QUEUE);
            tokio::spawn(keep_all(store.clone(), waiting, came.clone()));
            Open {
                master: master.clone(),
                public_url: public_url.trim_end_matches('/').to_owned(),
                hooks: readers.into_iter().map(hook).collect(),
                nowhere: Counts::default(),
                queue,
                room: Arc::new(Semaphore::new(ROOM)),
                documents: Documents::new(store.clone(), master.clone()),
            }
        });
    }

    /// The route of this name, to whoever knows its token. `Err`: what to answer.
    pub fn find(&self, route: &str, token: &str) -> Result<Known<'_>, Came> {
        let open = self.0.get().ok_or(Came::Away)?;
        let given = blake3::hash(token.as_bytes());
        let found = open.hooks.get_key_value(route).filter(|(_, hook)| hook.token == given);
        found.map(|(route, hook)| Known { open, route, hook }).ok_or_else(|| {
            open.nowhere.add(Came::NotFound);
            Came::NotFound
        })
    }

    /// How many calls came to what: (route, what, how many); without a route, those to no address of ours.
    pub(super) fn counts(&self) -> Vec<(&str, Came, u64)> {
        let Some(open) = self.0.get() else { return Vec::new() };
        let nowhere = open.nowhere.all().filter(|(came, _)| *came == Came::NotFound).map(|(came, n)| ("", came, n));
        let routes = open.hooks.iter().flat_map(|(route, hook)| {
            let known = hook.counts.all().filter(|(came, _)| *came != Came::NotFound);
            known.map(move |(came, n)| (route.as_str(), came, n))
        });
        nowhere.chain(routes).collect()
    }
}

impl Known<'_> {
    /// Room in memory for a body of at most so many octets, or none at this moment.
    pub fn room(&self, octets: usize) -> Option<OwnedSemaphorePermit> {
        let octets = u32::try_from(octets.max(1)).ok()?;
        self.open.room.clone().try_acquire_many_owned(octets).ok()
    }

    /// Counts a call that did not come as far as to be taken.
    pub fn note(&self, came: Came) {
        self.hook.counts.add(came);
    }

    /// Takes a call in: what it says of itself is verified and read, then it is kept, then answered.
    pub async fn take(&self, call: &Call<'_>, room: OwnedSemaphorePermit) -> Answer {
        let now = jiff::Timestamp::now().as_microsecond();
        let url = format!("{}{}", self.open.public_url, call.path);
        let called = receipt::Call { method: call.method, url: &url, headers: call.headers, body: call.body };
        let received = match self.hook.reader.receive(&called, now).await {
            Ok(received) => received,
            Err(refused) => {
                self.note(Came::Refused);
                let reason = refused.reason;
                tracing::warn!(route = self.route, reason, "a call at a hook was refused: {}", refused.message);
                return Answer::Refused(refused.status);
            }
        };
        let token = received.receipts.first().and_then(|receipt| receipt.token.clone());
        match self.keep(call, received.receipts, received.replay_key, room).await {
            Ok(()) => {
                self.note(Came::Kept);
                if let Some(action) = received.action {
                    self.perform(action);
                }
                let document = match received.answer.zip(token) {
                    Some((name, token)) => self.document(&name, &token, &url, now).await,
                    None => None,
                };
                Answer::Kept(document.unwrap_or(received.reply))
            }
            Err(came) => {
                self.note(came);
                Answer::Again(came)
            }
        }
    }

    /// What the provider asked for beside reporting.
    async fn document(&self, name: &str, token: &str, url: &str, now: Micros) -> Option<Reply> {
        let hook = url.split('?').next().unwrap_or_default();
        match self.open.documents.of(&self.hook.reader, Wanted { name, token, hook }, now).await {
            Ok(Some(reply)) => return Some(reply),
            Ok(None) => tracing::warn!(route = self.route, name, "a document was asked for about no notice of ours"),
            Err(error) => {
                tracing::error!(route = self.route, name, error = %chain(&error), "a document could not be made");
            }
        }
        None
    }

    /// What a report asks for is done beside its answer: the provider waits for that.
    fn perform(&self, action: Action) {
        let (route, reader) = (self.route.to_owned(), self.hook.reader.clone());
        tokio::spawn(async move {
            match reader.perform(&action).await {
                Ok(()) => tracing::info!(route, "the provider asked whether it may report here, and was told so"),
                Err(problem) => tracing::error!(route, code = problem.code, "{}", problem.message),
            }
        });
    }

    async fn keep(
        &self,
        call: &Call<'_>,
        receipts: Vec<Receipt>,
        once: Option<String>,
        room: OwnedSemaphorePermit,
    ) -> Result<(), Came> {
        let report =
            RawReport { route: self.route.to_owned(), came_as: call.method.to_string(), raw: raw_of(call), receipts };
        let sealed = self.open.master.seal_report(&report).map_err(|error| {
            tracing::error!(route = self.route, %error, "a report could not be sealed");
            Came::Away
        })?;
        let (kept, is_kept) = oneshot::channel();
        let sealed = SealedReport { once, ..sealed };
        let waiting = Waiting { report: sealed, kept, _room: room };
        self.open.queue.try_send(waiting).map_err(|_| Came::Overloaded)?;
        match tokio::time::timeout(PATIENCE, is_kept).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false) | Err(_)) | Err(_) => Err(Came::Away),
        }
    }
}

/// What is kept of a call: its query and body as they came. Not its path, which holds the route's token.
fn raw_of(call: &Call<'_>) -> Vec<u8> {
    let query = call.path.split_once('?').map_or("", |(_, query)| query);
    let content_type = call.headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    [query.as_bytes(), b"\n", content_type, b"\n\n", call.body].concat()
}

/// Commits what comes in: while one batch is being written, the next one gathers.
async fn keep_all(store: Store, mut queue: mpsc::Receiver<Waiting>, came: Arc<Notify>) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut is_away = false;
    let mut tidied = 0;
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let now = jiff::Timestamp::now().as_microsecond();
        let (reports, senders): (Vec<SealedReport>, Vec<_>) =
            batch.drain(..).map(|waiting| (waiting.report, (waiting.kept, waiting._room))).unzip();
        let tidy = now - tidied >= TIDY_EVERY;
        let kept = match keep_batch(&store, &reports, tidy, now).await {
            Ok(()) => {
                tidied = if tidy { now } else { tidied };
                true
            }
            Err(error) => {
                // Said once, not for every batch.
                if !is_away {
                    tracing::error!(error = %chain(&error), "reports cannot be kept; their senders are told to come again");
                }
                false
            }
        };
        if kept && is_away {
            tracing::info!("reports are kept again");
        }
        is_away = !kept;
        came.notify_one();
        for (sender, _room) in senders {
            // Whoever does not wait any more comes again, and the second report is a duplicate.
            if sender.send(kept).is_err() {
                tracing::debug!("the sender of a report did not wait for its answer");
            }
        }
    }
}

async fn keep_batch(store: &Store, reports: &[SealedReport], tidy: bool, now: Micros) -> Result<(), StoreError> {
    let mut tx = store.begin_beside().await?;
    if tidy {
        tx.forget_seen(now - REMEMBERED).await?;
    }
    tx.add_reports(reports, now).await?;
    tx.commit().await
}

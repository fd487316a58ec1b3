//! The parts of a campaign's bundle on their way from the database into the zip, in bounded memory: one side reads, a thread
//! of its own hashes, counts and packs.

use super::campaign::subtree;
use super::log::LogError;
use crate::app::{App, AppError};
use crate::evidence::bundle::campaign::lines::{Block, write_others};
use crate::evidence::bundle::campaign::recount::Recount;
use crate::evidence::bundle::campaign::{PART, SUBTREE, log_part};
use crate::evidence::canonical::read_object;
use crate::evidence::merkle::Hash;
use crate::store::leaf::leaves_of;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::Write as _;
use tokio::sync::{mpsc, oneshot};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// How hard it is packed: beyond this it takes much longer and gets little smaller.
const LEVEL: i64 = 3;
/// Rows of leaves read at a time: one has some thousand leaves where much is sent at once.
const ROWS: usize = 16;
/// Lines of whole subtrees of others in one part.
const SUBTREES: u64 = 10_000;

/// A file of the bundle.
#[derive(Debug)]
pub(super) struct Part {
    pub path: String,
    pub octets: Vec<u8>,
}

enum Order {
    Write(Part),
    /// The digests of all files so far.
    Tell(oneshot::Sender<BTreeMap<String, Hash>>),
}

/// The zip that is being written.
pub(super) struct Parts {
    orders: mpsc::Sender<Order>,
    writer: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Parts {
    pub(super) fn begin(out: fs_err::File) -> Parts {
        // One file is written while the next one is made.
        let (orders, taken) = mpsc::channel(1);
        Parts { orders, writer: tokio::task::spawn_blocking(move || write(taken, out)) }
    }

    pub(super) async fn add(&mut self, part: Part) -> Result<(), AppError> {
        self.order(Order::Write(part)).await
    }

    /// The digests of all files so far.
    pub(super) async fn written(&mut self) -> Result<BTreeMap<String, Hash>, AppError> {
        let (tell, told) = oneshot::channel();
        self.order(Order::Tell(tell)).await?;
        match told.await {
            Ok(digests) => Ok(digests),
            Err(_) => Err(self.why().await),
        }
    }

    pub(super) async fn finish(self) -> Result<(), AppError> {
        drop(self.orders);
        ended(self.writer.await)
    }

    async fn order(&mut self, order: Order) -> Result<(), AppError> {
        match self.orders.send(order).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.why().await),
        }
    }

    /// Why the writer stopped.
    async fn why(&mut self) -> AppError {
        let ended = ended((&mut self.writer).await);
        ended.err().unwrap_or_else(|| LogError::Broken("the bundle was not written to its end".to_owned()).into())
    }
}

fn ended(ended: Result<std::io::Result<()>, tokio::task::JoinError>) -> Result<(), AppError> {
    match ended {
        Ok(written) => written.map_err(AppError::io("the bundle cannot be written")),
        Err(fault) if fault.is_panic() => std::panic::resume_unwind(fault.into_panic()),
        Err(_) => Err(LogError::Broken("the bundle was not written to its end".to_owned()).into()),
    }
}

fn write(mut orders: mpsc::Receiver<Order>, out: fs_err::File) -> std::io::Result<()> {
    let mut zip = ZipWriter::new(std::io::BufWriter::with_capacity(1 << 20, out));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(LEVEL))
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut digests = BTreeMap::new();
    while let Some(order) = orders.blocking_recv() {
        match order {
            Order::Write(part) => {
                zip.start_file(part.path.as_str(), options).map_err(std::io::Error::other)?;
                zip.write_all(&part.octets)?;
                digests.insert(part.path, Sha256::digest(&part.octets).into());
            }
            Order::Tell(told) => {
                // Whoever asked may have given up.
                drop(told.send(digests.clone()));
            }
        }
    }
    zip.finish().map_err(std::io::Error::other)?.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()
}

/// What a thread makes of the leaves that are read for it.
struct Making {
    campaign: String,
    /// The number of the next leaf.
    next: u64,
    first: u64,
    out: Vec<u8>,
    block: Block,
    recount: Recount,
}

impl Making {
    /// Adds a row of leaves; a part that is full with it.
    fn row(&mut self, from: u64, octets: &[u8]) -> Result<Option<Part>, LogError> {
        let broken = |what: &str| LogError::Broken(format!("{what} behind its fact {}", self.next));
        let leaves = leaves_of(octets).ok_or_else(|| broken("a row is cut"))?;
        if from > self.next {
            return Err(broken("there is a gap"));
        }
        let skip = usize::try_from(self.next - from).unwrap_or(usize::MAX);
        let mut full = None;
        for octets in leaves.into_iter().skip(skip) {
            let leaf = read_object(octets).map_err(|e| LogError::Broken(format!("fact {}: {e}", self.next)))?;
            let of = leaf.text("camp");
            let ours = of == Some(&self.campaign);
            if ours {
                self.recount.add(&leaf);
            }
            self.block.push(octets, ours || of.is_none(), &mut self.out);
            self.next += 1;
            if self.next.is_multiple_of(PART) {
                // A row has fewer leaves than a part.
                full = Some(self.part());
            }
        }
        Ok(full)
    }

    fn part(&mut self) -> Part {
        self.block.finish(&mut self.out);
        let part = Part { path: log_part(self.first), octets: std::mem::take(&mut self.out) };
        self.first = self.next;
        part
    }
}

/// Writes the log up to its head: hashes for what comes before the campaign's first fact, then its facts.
pub(super) async fn write_log(
    app: &App,
    parts: &mut Parts,
    campaign: &str,
    first: u64,
    size: u64,
) -> Result<Recount, AppError> {
    let start = first - first % SUBTREE;
    let (mut lines, mut tile, mut from) = (Vec::new(), None, 0);
    for index in 0..start / SUBTREE {
        write_others(&mut lines, SUBTREE.trailing_zeros(), &subtree(app, index, &mut tile).await?);
        let next = (index + 1) * SUBTREE;
        if next - from == SUBTREES * SUBTREE || next == start {
            parts.add(Part { path: log_part(from), octets: std::mem::take(&mut lines) }).await?;
            from = next;
        }
    }
    let mut making = Making {
        campaign: campaign.to_owned(),
        next: start,
        first: start,
        out: Vec::new(),
        block: Block::default(),
        recount: Recount::default(),
    };
    let mut at = app.store.row_start(start).await?.unwrap_or(start);
    while making.next < size {
        let rows = app.store.leaf_rows(at, ROWS).await?;
        let Some((last, octets)) = rows.last() else {
            return Err(LogError::Broken(format!("its facts end at {} of {size}", making.next)).into());
        };
        at = last + leaves_of(octets).map_or(1, |leaves| leaves.len() as u64);
        let work = tokio::task::spawn_blocking(move || {
            let mut full = Vec::new();
            for (first, octets) in &rows {
                // A head ends with a row.
                if *first < size {
                    full.extend(making.row(*first, octets)?);
                }
            }
            Ok::<_, LogError>((making, full))
        });
        let (made, full) = match work.await {
            Ok(done) => done?,
            Err(fault) => std::panic::resume_unwind(fault.into_panic()),
        };
        making = made;
        for part in full {
            parts.add(part).await?;
        }
    }
    if making.next > making.first {
        let part = making.part();
        parts.add(part).await?;
    }
    Ok(making.recount)
}

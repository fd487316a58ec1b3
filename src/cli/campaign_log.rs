//! `forewarn campaign log ID`: the delivery log, every attempt and every receipt.
//!
//! It is read and written page by page, so its length costs no memory. Attempts stand in the order of their start,
//! receipts in that of their coming in, notes between them.

use super::{Context, Failure, owner_only};
use crate::app::App;
use crate::model::apply_disposition::logged_as;
use crate::model::disposition::Dispositions;
use crate::model::notice::NoticeId;
use crate::model::outcome::Class;
use crate::model::person::Person;
use crate::model::time::{Micros, rfc3339};
use crate::providers::call_sheet::export::sheet_safe;
use crate::store::Store;
use crate::store::campaign::Campaign;
use crate::store::log::{LoggedAttempt, LoggedNote, LoggedReceipt};
use crate::vault::{CampaignKeys, SealedPerson, VaultError};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::Write;
use std::path::PathBuf;

/// Stands in the place of the reference of whoever was erased.
const ERASED: &str = "(erased)";
/// Attempts, receipts or notes read at once.
const PAGE: usize = 2_000;

/// Print the delivery log
#[derive(Args, Debug)]
pub struct LogArgs {
    /// The campaign
    #[arg(value_name = "ID")]
    pub campaign: String,
    /// How to write it [default: csv; jsonl with --json]
    #[arg(long, value_enum)]
    pub format: Option<LogFormat>,
    /// Write it here instead of to stdout (readable by you only)
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print contacts in full instead of masked; the campaign's record keeps who did
    #[arg(long)]
    pub reveal: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Csv,
    Jsonl,
}

/// One line of the log. The names are the columns.
#[derive(Serialize, Default)]
struct Line {
    at: String,
    #[serde(rename = "ref")]
    reference: String,
    channel: String,
    contact: String,
    route: String,
    provider: String,
    attempt: Option<i64>,
    event: &'static str,
    class: String,
    state: String,
    code: String,
    text: String,
    provider_id: String,
    notice: String,
    campaign: String,
    /// When what a receipt says happened, by the provider.
    reported_at: String,
}

const COLUMNS: [&str; 16] = [
    "at",
    "ref",
    "channel",
    "contact",
    "route",
    "provider",
    "attempt",
    "event",
    "class",
    "state",
    "code",
    "text",
    "provider_id",
    "notice",
    "campaign",
    "reported_at",
];

pub(super) fn run(args: &LogArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        let campaign = app.campaign(&args.campaign).await?;
        if args.reveal {
            // Recorded before anything is shown: what cannot be recorded is not shown.
            let mut tx = app.store.begin().await?;
            tx.add_note(campaign.no, context.now(), &context.actor(None), "log revealed", "contacts in full").await?;
            tx.commit().await?;
        }
        let format = match args.format {
            Some(format) => format,
            None if context.printer.is_json() => LogFormat::Jsonl,
            None => LogFormat::Csv,
        };
        let log = Log::open(app, campaign, args.reveal)?;
        match &args.out {
            None => log.write(format, |page| context.printer.stream(|out| out.write_all(page))).await.map(|_| ()),
            Some(path) => {
                let mut file = owner_only::create(path)?;
                let lines = log.write(format, |page| Ok(file.write_all(page)?)).await?;
                file.sync_all().or_else(not_a_file)?;
                context.printer.object(&json!({ "campaign": args.campaign, "file": path, "lines": lines }))?;
                context.printer.line(format_args!("wrote {lines} lines to {}", path.display()))
            }
        }
    })
}

/// A pipe or a terminal has nothing to flush to a disk.
fn not_a_file(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::InvalidInput { Ok(()) } else { Err(error) }
}

/// Reads the log of one campaign.
struct Log {
    app: App,
    campaign: Campaign,
    /// None once they were destroyed.
    keys: Option<CampaignKeys>,
    dispositions: Dispositions,
    reveal: bool,
}

impl Log {
    fn open(app: App, campaign: Campaign, reveal: bool) -> Result<Log, Failure> {
        let keys = match app.master.open_campaign_keys(campaign.no, &campaign.keys) {
            Ok(keys) => Some(keys),
            Err(VaultError::Erased) => None,
            Err(error) => return Err(Failure::fault(error)),
        };
        let dispositions = Dispositions::built_in().map_err(Failure::fault)?;
        Ok(Log { app, campaign, keys, dispositions, reveal })
    }

    /// Hands the log over in pages; how many lines it had.
    async fn write(
        &self,
        format: LogFormat,
        mut put: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<u64, Failure> {
        let mut streams = Streams::default();
        let mut page = Page::new(format)?;
        let mut lines = 0;
        loop {
            streams.fill(&self.app.store, self.campaign.no).await?;
            let line = match streams.next() {
                None => break,
                Some(Logged::Note(note)) => self.note(note),
                Some(Logged::Receipt(receipt)) => self.receipt(receipt),
                Some(Logged::Attempt(attempt)) => self.attempt(attempt),
            };
            page.add(&line?)?;
            lines += 1;
            page.hand_over(false, &mut put)?;
        }
        page.hand_over(true, &mut put)?;
        Ok(lines)
    }

    fn attempt(&self, a: LoggedAttempt) -> Result<Line, Failure> {
        let running = a.class.is_none();
        Ok(Line {
            channel: a.channel,
            route: a.route,
            provider: a.provider,
            attempt: Some(a.no),
            event: "attempt",
            class: a.class.unwrap_or_default(),
            state: if running { "sending".to_owned() } else { a.state.unwrap_or_default() },
            code: a.code.unwrap_or_default(),
            text: a.text.unwrap_or_default(),
            provider_id: a.provider_id.unwrap_or_default(),
            ..self.line(a.finished_at.unwrap_or(a.started_at), Some((a.notice, &a.sealed)))?
        })
    }

    fn receipt(&self, r: LoggedReceipt) -> Result<Line, Failure> {
        Ok(Line {
            channel: r.notice.channel().map_or("", |c| c.as_str()).to_owned(),
            route: r.route,
            provider: r.provider,
            attempt: Some(r.attempt),
            event: "receipt",
            class: r.class.unwrap_or(r.event),
            state: r.state.unwrap_or_else(|| "sending".to_owned()),
            code: r.code,
            text: r.text,
            provider_id: r.provider_id.unwrap_or_default(),
            reported_at: r.at.map(rfc3339).unwrap_or_default(),
            ..self.line(r.received_at, Some((r.notice, &r.sealed)))?
        })
    }

    fn note(&self, n: LoggedNote) -> Result<Line, Failure> {
        let Some(about) = n.about else {
            let text = if n.text.is_empty() { n.by } else { format!("{}: {}", n.by, n.text) };
            return Ok(Line { event: "note", code: n.what, text, ..self.line(n.at, None)? });
        };
        let means = self.dispositions.iter().find(|d| n.what == "call" && d.id == n.text).map(|d| logged_as(d.means));
        let line = Line {
            channel: about.notice.channel().map_or("", |c| c.as_str()).to_owned(),
            route: about.route,
            provider: about.provider,
            attempt: Some(about.attempts),
            ..self.line(n.at, Some((about.notice, &about.sealed)))?
        };
        Ok(match means {
            None => Line { event: "note", code: n.what, text: format!("{}: {}", n.by, n.text), ..line },
            Some((state, class)) => Line {
                event: "receipt",
                class: class.map_or("", Class::as_str).to_owned(),
                state: state.as_str().to_owned(),
                code: n.text,
                text: n.by,
                ..line
            },
        })
    }

    /// What every line has: when, and whom it is about.
    fn line(&self, at: Micros, about: Option<(NoticeId, &SealedPerson)>) -> Result<Line, Failure> {
        let mut line = Line { at: rfc3339(at), campaign: self.campaign.id.clone(), ..Line::default() };
        if let Some((notice, sealed)) = about {
            match self.keys.as_ref().map(|keys| keys.open_person(notice.person(), sealed)) {
                Some(Ok(person)) => {
                    line.contact = self.contact(&person, notice);
                    line.reference = person.reference.reveal().to_owned();
                }
                None | Some(Err(VaultError::Erased)) => line.reference = ERASED.to_owned(),
                Some(Err(error)) => return Err(Failure::fault(error)),
            }
            line.notice = self.app.master.token(self.campaign.no, notice);
        }
        Ok(line)
    }

    fn contact(&self, person: &Person, notice: NoticeId) -> String {
        match person.contacts.get(usize::from(notice.contact())) {
            None => String::new(),
            Some(contact) if self.reveal => contact.address.reveal().to_owned(),
            Some(contact) => contact.masked(),
        }
    }
}

/// What the log is made of.
enum Logged {
    Attempt(LoggedAttempt),
    Receipt(LoggedReceipt),
    Note(LoggedNote),
}

/// The three, each in its order, a page at a time.
struct Streams {
    attempts: VecDeque<LoggedAttempt>,
    receipts: VecDeque<LoggedReceipt>,
    notes: VecDeque<LoggedNote>,
    /// After which ids to go on; `None` at the end.
    after: [Option<i64>; 3],
}

impl Default for Streams {
    fn default() -> Streams {
        Streams { attempts: VecDeque::new(), receipts: VecDeque::new(), notes: VecDeque::new(), after: [Some(0); 3] }
    }
}

impl Streams {
    async fn fill(&mut self, store: &Store, campaign: i64) -> Result<(), Failure> {
        let [attempts, receipts, notes] = &mut self.after;
        if let Some(after) = attempts.filter(|_| self.attempts.is_empty()) {
            self.attempts.extend(store.attempts_after(campaign, after, PAGE).await?);
            *attempts = self.attempts.back().map(|a| a.id);
        }
        if let Some(after) = receipts.filter(|_| self.receipts.is_empty()) {
            self.receipts.extend(store.receipts_after(campaign, after, PAGE).await?);
            *receipts = self.receipts.back().map(|r| r.id);
        }
        if let Some(after) = notes.filter(|_| self.notes.is_empty()) {
            self.notes.extend(store.notes_after(campaign, after, PAGE).await?);
            *notes = self.notes.back().map(|n| n.id);
        }
        Ok(())
    }

    /// The earliest of what comes next.
    fn next(&mut self) -> Option<Logged> {
        let late = Micros::MAX;
        let note = self.notes.front().map_or(late, |n| n.at);
        let receipt = self.receipts.front().map_or(late, |r| r.received_at);
        let attempt = self.attempts.front().map_or(late, |a| a.started_at);
        if note <= receipt.min(attempt)
            && let Some(note) = self.notes.pop_front()
        {
            return Some(Logged::Note(note));
        }
        // A receipt cannot come before its attempt: at the same moment the attempt stands first.
        if receipt < attempt
            && let Some(receipt) = self.receipts.pop_front()
        {
            return Some(Logged::Receipt(receipt));
        }
        self.attempts.pop_front().map(Logged::Attempt)
    }
}

/// Lines on their way out.
struct Page {
    format: LogFormat,
    table: csv::Writer<Vec<u8>>,
    lines: Vec<u8>,
}

/// Bytes that travel together.
const PAGE_BYTES: usize = 64 * 1024;

impl Page {
    fn new(format: LogFormat) -> Result<Page, Failure> {
        let mut page = Page { format, table: table(), lines: Vec::new() };
        if format == LogFormat::Csv {
            page.table.write_record(COLUMNS).map_err(Failure::fault)?;
        }
        Ok(page)
    }

    fn add(&mut self, line: &Line) -> Result<(), Failure> {
        match self.format {
            LogFormat::Csv => {
                let attempt = line.attempt.map(|n| n.to_string()).unwrap_or_default();
                let cells = [
                    &line.at,
                    &line.reference,
                    &line.channel,
                    &line.contact,
                    &line.route,
                    &line.provider,
                    &attempt,
                    line.event,
                    &line.class,
                    &line.state,
                    &line.code,
                    &line.text,
                    &line.provider_id,
                    &line.notice,
                    &line.campaign,
                    &line.reported_at,
                ];
                self.table.write_record(cells.iter().map(|c| safe(c).into_owned())).map_err(Failure::fault)
            }
            LogFormat::Jsonl => {
                serde_json::to_writer(&mut self.lines, line).map_err(Failure::fault)?;
                self.lines.push(b'\n');
                Ok(())
            }
        }
    }

    /// Gives what has gathered to `put`, once it is enough or `all` is to go.
    fn hand_over(&mut self, all: bool, put: &mut impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        if self.format == LogFormat::Csv && (all || self.table.get_ref().len() >= PAGE_BYTES) {
            let full = std::mem::replace(&mut self.table, table());
            self.lines = full.into_inner().map_err(|e| Failure::fault(e.into_error()))?;
        } else if self.format == LogFormat::Csv || !(all || self.lines.len() >= PAGE_BYTES) {
            return Ok(());
        }
        let gathered = std::mem::take(&mut self.lines);
        if gathered.is_empty() { Ok(()) } else { put(&gathered) }
    }
}

fn table() -> csv::Writer<Vec<u8>> {
    csv::Writer::from_writer(Vec::with_capacity(PAGE_BYTES + PAGE_BYTES / 4))
}

/// A cell that no spreadsheet takes for a formula.
fn safe(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(|c: char| c.is_ascii_alphanumeric()) { Cow::Borrowed(cell) } else { sheet_safe(cell).into() }
}

//! Taking a source into a campaign: read, seal and write on threads of their own, in batches of bounded number.

use super::reading::{Batch, ReadingError, Trial, WAITING, read_list, seal_list};
use super::{App, AppError, sources};
use crate::content::Texts;
use crate::intake::{ListFacts, RejectsWriter, Row, Verdict};
use crate::model::channel::ContactKind;
use crate::model::incident::{CampaignPlan, Source};
use crate::model::merge::{Merge, merge};
use crate::model::person::Person;
use crate::model::problem::Problem;
use crate::store::Tx;
use crate::store::import::{NewPerson, References, SourceSums, StoredPerson};
use crate::vault::CampaignKeys;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Where the rows of an import are told about, on request.
#[derive(Default)]
pub struct Outputs<'p> {
    /// The rejects file; made when the first row is rejected.
    pub rejects: Option<&'p Path>,
    /// One JSON line a row: personal data, mode 0600.
    pub rows: Option<&'p Path>,
}

/// What the campaign's persons are taken in for.
pub(super) struct Into<'a> {
    pub campaign: i64,
    pub keys: Arc<CampaignKeys>,
    pub texts: Arc<Texts>,
    pub plan: Arc<CampaignPlan>,
    /// Who has a reference already; of all sources together.
    pub references: &'a mut References,
    /// Called with the number of rows done.
    pub progress: &'a mut (dyn FnMut(u64) + Send),
}

/// What one source came to.
#[derive(Debug)]
pub struct Imported {
    pub facts: ListFacts,
    pub digest: String,
    pub sums: SourceSums,
    pub next_person: i64,
}

/// Takes one source in. When it fails half-way the source stays incomplete and the campaign cannot start.
pub(super) async fn import(
    app: &App,
    into: &mut Into<'_>,
    source: &Source,
    no: i64,
    first_person: i64,
    files: &mut Files,
) -> Result<Imported, AppError> {
    let reader = sources::open(source).await?;
    let facts = reader.facts().clone();
    let mut tx = app.store.begin().await?;
    tx.begin_source(into.campaign, &sources::described(no, source, &facts)).await?;
    tx.commit().await?;
    files.headings = facts.headings.clone();
    let (to, mut from) = mpsc::channel(WAITING);
    let keys = into.keys.clone();
    let trial = Trial::new(into.texts.clone(), into.plan.clone(), app.approved_routes()?);
    let (to_seal, to_be_sealed) = std::sync::mpsc::sync_channel(1);
    let reading = tokio::task::spawn_blocking(move || read_list(reader, trial, first_person, &to_seal));
    let sealing = tokio::task::spawn_blocking(move || seal_list(&keys, &to_be_sealed, &to));
    let mut writing = Writing {
        campaign: into.campaign,
        source: no,
        keys: into.keys.clone(),
        sums: SourceSums::default(),
        tallies: Tallies::default(),
        unclosed_quote: None,
    };
    while let Some(first) = from.recv().await {
        let mut tx = app.store.begin().await?;
        let mut next = Some(first);
        let mut batches = 0;
        while let Some(batch) = next {
            writing.write(&mut tx, into.references, batch, files).await?;
            batches += 1;
            next = if batches < BATCHES_PER_COMMIT { from.recv().await } else { None };
        }
        tx.write_many_references(into.references).await?;
        tx.commit().await?;
        (into.progress)(writing.sums.rows as u64);
    }
    // Where sealing failed the reader stopped for want of it: the first says why.
    ended(sealing.await)?;
    let read = ended(reading.await)?;
    // The file ended inside a quoted cell: rows may be missing, so the list must not be used.
    if let Some(problem) = writing.unclosed_quote {
        return Err(problem.into());
    }
    let tallies = writing.tallies.changes();
    let mut tx = app.store.begin().await?;
    // Row 0: what is to be said of the source as a whole.
    let notices: Vec<(bool, Problem)> = read.notices.iter().map(|notice| (false, notice.clone())).collect();
    notices.iter().for_each(|(_, notice)| files.note(notice));
    tx.add_problems(into.campaign, no, &notices).await?;
    tx.write_references(into.references).await?;
    let ends = (read.next_person - 1, jiff::Timestamp::now().as_microsecond());
    tx.finish_source(into.campaign, no, &read.digest, &writing.sums, &tallies, ends).await?;
    tx.commit().await?;
    Ok(Imported { facts, digest: read.digest, sums: writing.sums, next_person: read.next_person })
}

/// How a thread of the reading half ended.
fn ended<T>(joined: Result<Result<T, ReadingError>, tokio::task::JoinError>) -> Result<T, AppError> {
    match joined {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(ReadingError::Read(error))) => Err(error.into()),
        Ok(Err(ReadingError::Vault(error))) => Err(error.into()),
        Ok(Err(ReadingError::Abandoned)) | Err(_) => {
            Err(AppError::io("reading the list")(std::io::Error::other("the reader stopped")))
        }
    }
}

/// The files that rows are told about in, opened when first needed.
#[derive(Default)]
pub(super) struct Files {
    rejects_path: Option<std::path::PathBuf>,
    rejects: Option<RejectsWriter>,
    rows: Option<BufWriter<fs_err::File>>,
    headings: Vec<String>,
    row_problems: Vec<Problem>,
}

/// Batches written in one transaction, for one flush of the disk.
const BATCHES_PER_COMMIT: usize = 40;

/// How many problems a report lists; all are in the rejects file.
const LISTED: usize = 100;

impl Files {
    pub(super) fn create(outputs: &Outputs<'_>) -> Result<Files, AppError> {
        let rows = match outputs.rows {
            None => None,
            Some(path) => {
                let file = private_file(path).map_err(AppError::io(format!("making {}", path.display())))?;
                Some(BufWriter::new(file))
            }
        };
        Ok(Files { rejects_path: outputs.rejects.map(Path::to_owned), rows, ..Files::default() })
    }

    fn reject(&mut self, row: &Row) -> Result<(), AppError> {
        let Some(path) = &self.rejects_path else { return Ok(()) };
        let writer = match &mut self.rejects {
            Some(writer) => writer,
            none => none.insert(RejectsWriter::create(path, &self.headings)?),
        };
        Ok(writer.write_row(row)?)
    }

    fn tell(&mut self, lines: impl IntoIterator<Item = Value>) -> Result<(), AppError> {
        let Some(rows) = &mut self.rows else { return Ok(()) };
        for line in lines {
            writeln!(rows, "{line}").map_err(AppError::io("writing the rows file"))?;
        }
        Ok(())
    }

    fn note(&mut self, problem: &Problem) {
        if self.row_problems.len() < LISTED {
            self.row_problems.push(problem.clone());
        }
    }

    /// Completes the files; the first problems of the rows.
    pub(super) fn finish(mut self) -> Result<Vec<Problem>, AppError> {
        if let Some(mut rows) = self.rows.take() {
            rows.flush().map_err(AppError::io("writing the rows file"))?;
        }
        if let Some(rejects) = self.rejects.take() {
            rejects.finish()?;
        }
        Ok(self.row_problems)
    }
}

fn private_file(path: &Path) -> std::io::Result<fs_err::File> {
    use fs_err::os::unix::fs::OpenOptionsExt as _;
    let file = fs_err::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
    // A file that was there keeps its mode otherwise.
    fs_err::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

struct Writing {
    campaign: i64,
    source: i64,
    keys: Arc<CampaignKeys>,
    sums: SourceSums,
    tallies: Tallies,
    unclosed_quote: Option<Problem>,
}

impl Writing {
    async fn write(
        &mut self,
        tx: &mut Tx<'_>,
        references: &mut References,
        mut batch: Batch,
        files: &mut Files,
    ) -> Result<(), AppError> {
        let wanted = batch.candidates.iter().map(|c| (c.new.ref_hash, c.new.no));
        let owners = tx.take_references(references, wanted).await?;
        let first_rows = || batch.candidates.iter().zip(&owners).filter(|(_, owner)| owner.is_none());
        let new: Vec<&NewPerson> = first_rows().map(|(candidate, _)| &candidate.new).collect();
        tx.add_persons(self.campaign, self.source, &new).await?;
        let mut rejected = std::mem::take(&mut batch.rejected);
        let mut lines: Vec<(u64, Value)> = Vec::new();
        let mut problems: Vec<(bool, Problem)> = Vec::new();
        for (at, (candidate, owner)) in batch.candidates.iter().zip(&owners).enumerate() {
            let new = &candidate.new;
            let mut merged_into = None;
            match owner {
                None => self.tallies.count_person(new),
                Some(owner) => match self.merge_into(tx, *owner, new).await? {
                    Ok(row) => merged_into = Some(row),
                    Err(problem) => {
                        let problem = problem.at_row(new.row);
                        let verdict = Verdict::Rejected(problem.clone(), vec![problem]);
                        rejected.push(Row { number: new.row, raw: batch.cells_of(at), verdict });
                        continue;
                    }
                },
            }
            if files.rows.is_some() {
                let person = self.keys.open_person(new.no, &new.sealed)?;
                lines.push((new.row, person_line(new.row, &person, merged_into, &candidate.problems)));
            }
            self.sums.persons += i64::from(merged_into.is_none());
            self.sums.merged += i64::from(merged_into.is_some());
            problems.extend(candidate.problems.iter().map(|p| (false, p.clone())));
        }
        rejected.sort_by_key(|row| row.number);
        for row in &rejected {
            let Verdict::Rejected(main, all) = &row.verdict else { continue };
            self.count_rejected(main);
            files.reject(row)?;
            lines.push((row.number, rejected_line(row.number, all)));
            problems.extend(all.iter().map(|p| (true, p.clone())));
        }
        problems.sort_by_key(|(_, p)| p.row);
        problems.iter().for_each(|(_, p)| files.note(p));
        self.sums.rows += batch.rows as i64;
        tx.add_problems(self.campaign, self.source, &problems).await?;
        lines.sort_by_key(|(row, _)| *row);
        files.tell(lines.into_iter().map(|(_, line)| line))
    }

    fn count_rejected(&mut self, main: &Problem) {
        self.sums.rejected += 1;
        if main.code == "no-contact" {
            self.sums.without_contact += 1;
        }
        if main.code == "unclosed-quote" {
            self.unclosed_quote = Some(main.clone());
        }
    }

    /// The row the person came from, or what contradicts it.
    async fn merge_into(
        &mut self,
        tx: &mut Tx<'_>,
        owner: i64,
        new: &NewPerson,
    ) -> Result<Result<u64, Problem>, AppError> {
        let Some(existing) = tx.stored_person(self.campaign, owner).await? else {
            let what = "the person that holds this reference is not readable; run the command again";
            return Ok(Err(Problem::new("ref-conflict", "ref", what)));
        };
        let first = self.keys.open_person(existing.no, &existing.sealed)?;
        let person = self.keys.open_person(new.no, &new.sealed)?;
        match merge(&first, &person) {
            Merge::Same => Ok(Ok(existing.row)),
            Merge::Extended(whole) => {
                self.extend(tx, &existing, &first, &whole).await?;
                Ok(Ok(existing.row))
            }
            Merge::Conflict(field) => {
                let message = format!(
                    "row {} has the same reference but another {field}; give one of them its own reference, or make \
                     the two rows agree",
                    existing.row
                );
                Ok(Err(Problem::new("ref-conflict", field, message)))
            }
        }
    }

    async fn extend(
        &mut self,
        tx: &mut Tx<'_>,
        existing: &StoredPerson,
        first: &Person,
        whole: &Person,
    ) -> Result<(), AppError> {
        // Under the same key: remarks about the person are sealed with it.
        let sealed = self.keys.reseal_person(existing.no, &existing.sealed.key, whole)?;
        tx.extend_person(self.campaign, existing.no, &whole.reach(), &sealed).await?;
        let (before, after) = (first.reach(), whole.reach());
        for letter in ["e", "p"] {
            if after.contains(letter) && !before.contains(letter) {
                count(&mut self.tallies.contacts, letter);
            }
        }
        Ok(())
    }
}

/// What the persons of a source add to the sums.
#[derive(Default)]
struct Tallies {
    persons: i64,
    locales: BTreeMap<String, i64>,
    countries: BTreeMap<String, i64>,
    contacts: BTreeMap<String, i64>,
}

impl Tallies {
    fn count_person(&mut self, new: &NewPerson) {
        self.persons += 1;
        count(&mut self.locales, &new.locale);
        count(&mut self.countries, &new.country);
        for letter in ["e", "p"].into_iter().filter(|l| new.reach.contains(l)) {
            count(&mut self.contacts, letter);
        }
    }

    /// Kind, name, number: the form in which the store takes sums.
    fn changes(self) -> Vec<(String, String, i64)> {
        let persons = BTreeMap::from([("in_flight".to_owned(), self.persons)]);
        let kinds =
            [("contact", self.contacts), ("country", self.countries), ("locale", self.locales), ("person", persons)];
        let of = |(kind, sums): (&str, BTreeMap<String, i64>)| {
            let kind = kind.to_owned();
            sums.into_iter().map(move |(name, n)| (kind.clone(), name, n))
        };
        kinds.into_iter().flat_map(of).collect()
    }
}

/// Names are few and come a million times: only a new one is copied.
fn count(sums: &mut BTreeMap<String, i64>, name: &str) {
    match sums.get_mut(name) {
        Some(n) => *n += 1,
        None => _ = sums.insert(name.to_owned(), 1),
    }
}

fn person_line(row: u64, person: &Person, merged_into: Option<u64>, problems: &[Problem]) -> Value {
    let address = |kind: ContactKind| person.first(kind).map(|c| c.address.reveal());
    let mut line = json!({
        "row": row,
        "verdict": if merged_into.is_some() { "merged" } else { "person" },
        "ref": person.reference.reveal(),
        "email": address(ContactKind::Email),
        "phone": address(ContactKind::Phone),
        "locale": person.locale,
        "problems": problems.iter().map(|p| p.code).collect::<Vec<_>>(),
    });
    if let Some(into) = merged_into {
        line["merged_into"] = into.into();
    }
    line
}

fn rejected_line(row: u64, problems: &[Problem]) -> Value {
    json!({
        "row": row,
        "verdict": "rejected",
        "ref": null,
        "email": null,
        "phone": null,
        "locale": null,
        "problems": problems.iter().map(|p| p.code).collect::<Vec<_>>(),
    })
}

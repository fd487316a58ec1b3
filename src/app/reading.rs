//! The reading half of an import: one thread reads and checks, another seals, a batch at a time.

use super::approved::ApprovedRoute;
use crate::content::{Envelope, Texts};
use crate::intake::{ListReader, ReadError, Row, Verdict};
use crate::model::incident::CampaignPlan;
use crate::model::notice::MAX_CONTACTS;
use crate::model::person::Person;
use crate::model::personal::Personal;
use crate::model::problem::Problem;
use crate::store::import::NewPerson;
use crate::vault::{CampaignKeys, VaultError};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use tokio::sync::mpsc;

/// Rows that travel and are written together.
const BATCH: usize = 500;
/// Batches that may wait for the writer: what bounds the memory.
pub(super) const WAITING: usize = 6;

/// A row that is a person, ready to be written unless its reference is taken. The person themselves is in the seal.
pub(super) struct Candidate {
    pub new: NewPerson,
    pub problems: Vec<Problem>,
    /// Where the row's cells end among those of the batch.
    cells_end: usize,
}

/// A row that is a person, as it was read.
pub(super) struct Unsealed {
    no: i64,
    row: u64,
    person: Person,
    problems: Vec<Problem>,
    cells_end: usize,
}

/// Some rows of a source: of `C`, which are persons, and rejected ones.
pub(super) struct Batch<C = Candidate> {
    pub candidates: Vec<C>,
    pub rejected: Vec<Row>,
    pub rows: u64,
    cells: Cells,
}

impl<C> Default for Batch<C> {
    fn default() -> Self {
        Batch { candidates: Vec::new(), rejected: Vec::new(), rows: 0, cells: Cells::default() }
    }
}

impl Batch<Unsealed> {
    fn add(&mut self, no: i64, row: u64, person: Person, problems: Vec<Problem>, cells: &[Personal]) {
        for cell in cells {
            self.cells.text.push_str(cell.reveal());
            self.cells.ends.push(self.cells.text.len());
        }
        let cells_end = self.cells.ends.len();
        self.candidates.push(Unsealed { no, row, person, problems, cells_end });
    }

    fn sealed(self, keys: &CampaignKeys) -> Result<Batch, VaultError> {
        let seal = |read: Unsealed| {
            let new = sealed(keys, read.no, read.row, &read.person)?;
            Ok(Candidate { new, problems: read.problems, cells_end: read.cells_end })
        };
        let candidates = self.candidates.into_iter().map(seal).collect::<Result<_, _>>()?;
        Ok(Batch { candidates, rejected: self.rejected, rows: self.rows, cells: self.cells })
    }
}

impl Batch {
    /// The row of a candidate as written, should it have to go to the rejects file after all.
    pub(super) fn cells_of(&self, candidate: usize) -> Vec<Personal> {
        let end_before = |at: usize, ends: &dyn Fn(usize) -> usize| if at == 0 { 0 } else { ends(at - 1) };
        let first = end_before(candidate, &|at| self.candidates[at].cells_end);
        let cells = first..self.candidates[candidate].cells_end;
        let start_of = |cell| end_before(cell, &|at| self.cells.ends[at]);
        cells.map(|at| Personal::new(&self.cells.text[start_of(at)..self.cells.ends[at]])).collect()
    }
}

/// The cells of many rows one after the other: nearly none of them is ever looked at again.
#[derive(Default)]
struct Cells {
    text: String,
    ends: Vec<usize>,
}

/// How the reading ended.
pub(super) struct Read {
    pub digest: String,
    /// What is to be said of the source as a whole.
    pub notices: Vec<Problem>,
    pub next_person: i64,
}

#[derive(Debug)]
pub(super) enum ReadingError {
    Read(ReadError),
    Vault(VaultError),
    /// The writer gave up; its own error says why.
    Abandoned,
}

/// Reads the list to its end. Persons are numbered from `next_person`.
pub(super) fn read_list(
    mut reader: ListReader,
    mut trial: Trial,
    mut next_person: i64,
    to: &SyncSender<Batch<Unsealed>>,
) -> Result<Read, ReadingError> {
    let mut batch = Batch::default();
    while let Some(row) = reader.next_row().map_err(ReadingError::Read)? {
        batch.rows += 1;
        match row.verdict {
            Verdict::Rejected(..) => batch.rejected.push(row),
            Verdict::Person { mut person, mut problems } => {
                person.contacts.truncate(MAX_CONTACTS);
                if let Some(problem) = trial.render(&person) {
                    let problem = problem.at_row(row.number);
                    problems.insert(0, problem.clone());
                    let verdict = Verdict::Rejected(problem, problems);
                    batch.rejected.push(Row { number: row.number, raw: reader.cells(), verdict });
                } else {
                    problems.extend(trial.approved(&person).map(|problem| problem.at_row(row.number)));
                    batch.add(next_person, row.number, person, problems, &reader.cells());
                    next_person += 1;
                }
            }
        }
        if batch.rows as usize >= BATCH {
            to.send(std::mem::take(&mut batch)).map_err(|_| ReadingError::Abandoned)?;
        }
    }
    to.send(batch).map_err(|_| ReadingError::Abandoned)?;
    Ok(Read { digest: reader.digest().unwrap_or_default(), notices: reader.notices().to_vec(), next_person })
}

/// Seals what was read, until there is no more.
pub(super) fn seal_list(
    keys: &CampaignKeys,
    from: &Receiver<Batch<Unsealed>>,
    to: &mpsc::Sender<Batch>,
) -> Result<(), ReadingError> {
    for batch in from {
        let batch = batch.sealed(keys).map_err(ReadingError::Vault)?;
        to.blocking_send(batch).map_err(|_| ReadingError::Abandoned)?;
    }
    Ok(())
}

fn sealed(keys: &CampaignKeys, no: i64, row: u64, person: &Person) -> Result<NewPerson, VaultError> {
    Ok(NewPerson {
        no,
        row,
        ref_hash: keys.reference_hash(person.reference.reveal()),
        reach: person.reach(),
        locale: person.locale.clone(),
        country: person.country.clone(),
        sealed: keys.seal_person(no, person)?,
    })
}

/// Renders notices on trial, so that a missing value is found before the start. Persons who differ in nothing that the
/// words depend on are tried once.
pub(super) struct Trial {
    texts: Arc<Texts>,
    plan: Arc<CampaignPlan>,
    extras: Vec<String>,
    /// Routes that send approved words only.
    approved: Vec<ApprovedRoute>,
    tried: HashSet<u64>,
}

impl Trial {
    pub(super) fn new(texts: Arc<Texts>, plan: Arc<CampaignPlan>, approved: Vec<ApprovedRoute>) -> Trial {
        let extras = texts.extras().keys().map(|k| (*k).to_owned()).collect();
        Trial { texts, plan, extras, approved, tried: HashSet::new() }
    }

    /// A value of this person that a provider of approved words would refuse. The row is no worse for it: what cannot be
    /// sent by that route ends at the next step, or with a human.
    fn approved(&self, person: &Person) -> Option<Problem> {
        if self.approved.is_empty() {
            return None;
        }
        self.plan.ladder.plan(&person.reach()).into_iter().find_map(|planned| {
            let contact = person.contacts.get(usize::from(planned.contact))?;
            let mut routes = self.approved.iter().filter(|route| route.channel == planned.channel);
            routes.find_map(|route| route.objection(&self.texts, person, contact))
        })
    }

    fn render(&mut self, person: &Person) -> Option<Problem> {
        let mut hasher = DefaultHasher::new();
        self.texts.language_for(&person.locale).hash(&mut hasher);
        person.data_types.hash(&mut hasher);
        person.role.as_str().hash(&mut hasher);
        person.reach().hash(&mut hasher);
        for text in [&person.name, &person.reference] {
            // Length in steps and whether it is plain: what the parts of an SMS depend on.
            (text.reveal().chars().count().div_ceil(8), text.reveal().is_ascii()).hash(&mut hasher);
        }
        for (heading, value) in person.extra.iter().filter(|(heading, _)| self.extras.contains(heading)) {
            (heading, value.reveal().chars().count().div_ceil(8), value.reveal().is_ascii()).hash(&mut hasher);
        }
        if !self.tried.insert(hasher.finish()) {
            return None;
        }
        let problem = self.plan.ladder.plan(&person.reach()).into_iter().find_map(|planned| {
            let contact = person.contacts.get(usize::from(planned.contact))?;
            let envelope = Envelope {
                // As long as a real one.
                log_head: Some([0; 32]),
                message_id: "trial@trial.invalid".into(),
                date: 0,
                notice: "trial".into(),
                campaign: "trial".into(),
            };
            self.texts.render(person, contact, planned.channel, &envelope).err()
        });
        if problem.is_some() {
            // The next row like this one has the same fault and must be told so too.
            self.tried.remove(&hasher.finish());
        }
        problem
    }
}

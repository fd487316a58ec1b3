//! The tree of recipients: who is to be told, and at which contacts, sealed into the log before anybody is.
//!
//! An approval seals all persons that no tree holds yet. Afterwards nobody can be skipped, or have been somebody else,
//! without its showing.

use super::log::{LogError, tile_rows};
use crate::app::carrier::OpenCampaign;
use crate::app::{App, AppError};
use crate::evidence::canonical::Writer;
use crate::evidence::disclosure::{Commitment, DisclosureError, SaltKey};
use crate::evidence::merkle::{Hash, leaf_hash};
use crate::evidence::tiles::TileBuilder;
use crate::model::person::Person;
use crate::model::time::Micros;
use crate::store::campaign::Campaign;
use crate::store::preview::PersonRow;
use crate::store::tree::{NewTree, Subjects, TreeKind};
use crate::vault::IdentityKey;
use std::sync::Arc;

/// Persons of one transaction.
const PAGE: usize = 5_000;
/// The name of this fact among those of its person.
pub const RECIPIENT: &str = "recipient";
/// The label of the customer reference; contacts are `to.0`, `to.1`, …
pub const REFERENCE: &str = "ref";

/// The label of a contact.
pub fn contact_label(ordinal: usize) -> String {
    format!("to.{ordinal}")
}

/// What the leaf of a person commits to, by label: reference and contacts.
pub fn values(person: &Person) -> Vec<(String, &str)> {
    let contacts = person.contacts.iter().enumerate();
    let contacts = contacts.map(|(at, contact)| (contact_label(at), contact.address.reveal()));
    std::iter::once((REFERENCE.to_owned(), person.reference.reveal())).chain(contacts).collect()
}

/// The leaf of a person.
pub fn leaf(no: i64, subject: &str, person: &Person, identity: &IdentityKey) -> Result<String, LogError> {
    let key = SaltKey::new(identity.bytes());
    let commit = |(label, value): (String, &str)| Ok((label.clone(), key.commit(RECIPIENT, &label, value)?));
    let mut committed: Vec<(String, Commitment)> =
        values(person).into_iter().map(commit).collect::<Result<_, DisclosureError>>().map_err(broken)?;
    committed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let leaf = Writer::object(|leaf| {
        leaf.nested("com", |com| committed.iter().for_each(|(label, c)| com.text(label, c.as_str())));
        leaf.number("ord", no.unsigned_abs());
        leaf.text("subj", subject);
        leaf.number("v", 1);
    });
    leaf.map_err(broken)
}

fn broken(error: impl std::fmt::Display) -> LogError {
    LogError::Broken(format!("the leaf of a recipient: {error}"))
}

impl App {
    /// Seals the persons of a campaign that no tree of recipients holds yet; how many.
    pub async fn seal_recipients(&self, campaign: &Campaign, now: Micros) -> Result<u64, AppError> {
        let trees = self.store.trees(campaign.no, TreeKind::Recipients).await?;
        let first = trees.last().map_or(0, |tree| tree.last) + 1;
        if first > campaign.last_person {
            return Ok(0);
        }
        let open = Arc::new(OpenCampaign::open(&self.master, campaign)?);
        let tree =
            NewTree { campaign: campaign.no, kind: TreeKind::Recipients, first, last: campaign.last_person, size: 0 };
        let mut tx = self.store.begin().await?;
        let id = tx.begin_tree(&tree, now).await?;
        let subjects = tx.subjects(campaign.no).await?;
        tx.commit().await?;
        let mut builder = TileBuilder::new();
        let mut page = self.store.persons_after(campaign.no, first - 1, PAGE).await?;
        loop {
            let last = page.last().map(|row| row.no);
            let (work, next) = (hashed(open.clone(), subjects.clone(), page), async {
                match last {
                    Some(last) => self.store.persons_after(campaign.no, last, PAGE).await,
                    None => Ok(Vec::new()),
                }
            });
            let (hashes, next) = tokio::join!(work, next);
            let growth = builder.append(&hashes?);
            page = next?;
            let rows = tile_rows(growth.tiles);
            let mut tx = self.store.begin().await?;
            if page.is_empty() {
                tx.finish_tree((id, &tree), &rows, (builder.size(), builder.root()), &[], now).await?;
                tx.commit().await?;
                return Ok(builder.size());
            }
            tx.write_tiles(id, &rows).await?;
            tx.commit().await?;
        }
    }
}

async fn hashed(open: Arc<OpenCampaign>, subjects: Subjects, page: Vec<PersonRow>) -> Result<Vec<Hash>, AppError> {
    let work = tokio::task::spawn_blocking(move || {
        let hash = |row: &PersonRow| {
            let (person, identity, _) = open.keys.open_with_keys(row.no, &row.sealed)?;
            Ok(leaf_hash(leaf(row.no, &subjects.of(row.no), &person, &identity)?.as_bytes()))
        };
        page.iter().map(hash).collect::<Result<Vec<Hash>, AppError>>()
    });
    match work.await {
        Ok(hashes) => hashes,
        Err(fault) => std::panic::resume_unwind(fault.into_panic()),
    }
}

//! The closing tree: which facts of the log are about whom, so that none about a person can be left out.
//!
//! It tells of all facts up to a size of the log; what comes later is told by the next one.

use super::log::{LogError, tile_rows};
use crate::app::{App, AppError};
use crate::evidence::fact::closing_leaf;
use crate::evidence::merkle::{Hash, leaf_hash};
use crate::evidence::tiles::TileBuilder;
use crate::model::person::Standing;
use crate::model::time::Micros;
use crate::store::campaign::Campaign;
use crate::store::status::Sums;
use crate::store::tree::{NewTree, TreeKind};
use std::collections::{BTreeMap, BTreeSet};

/// Persons of one transaction.
const PAGE: i64 = 5_000;

impl App {
    /// Closes a campaign as it stands: every fact that is in the log by now is told of. How many persons.
    pub async fn close_log(&self, campaign: &Campaign, now: Micros) -> Result<u64, AppError> {
        self.sequencer().await?.catch_up().await?;
        let size = self.store.log_head().await?.signed;
        let tree =
            NewTree { campaign: campaign.no, kind: TreeKind::Closing, first: 1, last: campaign.last_person, size };
        let mut tx = self.store.begin().await?;
        let id = tx.begin_tree(&tree, now).await?;
        let subjects = tx.subjects(campaign.no).await?;
        tx.commit().await?;
        let mut builder = TileBuilder::new();
        let mut first = 1;
        while first <= campaign.last_person {
            let last = (first + PAGE - 1).min(campaign.last_person);
            let facts = self.facts_about(campaign.no, first, last, size).await?;
            let mut hashes: Vec<Hash> = Vec::with_capacity(PAGE as usize);
            for no in self.store.person_numbers(campaign.no, first, last).await? {
                let facts = facts.get(&no).into_iter().flatten().copied();
                let leaf = closing_leaf(no.unsigned_abs(), &subjects.of(no), facts)
                    .map_err(|e| LogError::Broken(e.to_string()))?;
                hashes.push(leaf_hash(leaf.as_bytes()));
            }
            let rows = tile_rows(builder.append(&hashes).tiles);
            let mut tx = self.store.begin().await?;
            tx.write_tiles(id, &rows).await?;
            tx.commit().await?;
            first = last + 1;
        }
        let notices = self.store.notices_by_channel(campaign.no).await?;
        let counts = counts(&self.store.sums(campaign.no).await?, &notices);
        let mut tx = self.store.begin().await?;
        tx.finish_tree((id, &tree), &[], (builder.size(), builder.root()), &counts, now).await?;
        tx.commit().await?;
        self.sequencer().await?.catch_up().await?;
        Ok(builder.size())
    }

    /// By person, the indices of the facts about them that are in the log before `size`.
    pub(super) async fn facts_about(
        &self,
        campaign: i64,
        first: i64,
        last: i64,
        size: u64,
    ) -> Result<BTreeMap<i64, BTreeSet<u64>>, AppError> {
        let about = self.store.leaves_about(campaign, first, last).await?;
        let places = self.store.places(&about.iter().map(|a| a.leaf.parts().0).collect()).await?;
        let mut facts: BTreeMap<i64, BTreeSet<u64>> = BTreeMap::new();
        for a in about {
            let (key, place) = a.leaf.parts();
            if let Some(index) = places.get(&key).map(|first| first + place as u64).filter(|index| *index < size) {
                facts.entry(a.person).or_default().insert(index);
            }
        }
        Ok(facts)
    }
}

/// Where persons and notices stand, as the fact of a closing says it: `p.STANDING`, `n.CHANNEL.STATE`.
fn counts(sums: &Sums, notices: &[(String, String, i64)]) -> Vec<(String, u64)> {
    let n = |standing| sums.person(standing).unsigned_abs();
    let persons = [
        ("p.excluded", n(Standing::Excluded)),
        ("p.human", n(Standing::NeedsHuman)),
        ("p.in_flight", n(Standing::InFlight)),
        ("p.satisfied", n(Standing::Satisfied)),
        ("p.unreachable", n(Standing::Unreachable)),
    ];
    let notices = notices.iter().map(|(channel, state, n)| (format!("n.{channel}.{state}"), n.unsigned_abs()));
    persons.into_iter().map(|(name, n)| (name.to_owned(), n)).chain(notices).collect()
}

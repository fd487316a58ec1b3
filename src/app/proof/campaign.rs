//! The bundle that proves how a whole campaign went: all its facts, without anybody's name, and the sums of them.
//!
//! It is written as it is read, a part at a time, so that its size does not matter.

use super::campaign_page::{self, for_people};
use super::campaign_parts::{Part, Parts, write_log};
use super::log::{LogError, LogKey, load_tiles};
use super::person::of_campaign;
use crate::app::carrier::OpenCampaign;
use crate::app::{App, AppError};
use crate::evidence::bundle::campaign::manifest::Manifest;
use crate::evidence::bundle::campaign::persons::{self, Listed};
use crate::evidence::bundle::campaign::summary::Summary;
use crate::evidence::bundle::campaign::{PERSONS, SUMMARY, persons_part};
use crate::evidence::bundle::{Files, layout, sums};
use crate::evidence::canonical::{Value, read_object};
use crate::evidence::disclosure::SaltKey;
use crate::evidence::fact::seconds;
use crate::evidence::merkle::Hash;
use crate::evidence::tiles::{TileId, Tiles};
use crate::model::time::Micros;
use crate::store::campaign::Campaign;
use crate::store::fact::FACT;
use crate::store::leaf::LeafRef;
use crate::store::sequence::{LOG, SignedHead};
use crate::store::shown::ShownFact;
use crate::store::tree::{TreeKind, TreeRow};
use std::collections::BTreeMap;

/// Persons read at a time.
const PAGE: i64 = 5_000;

/// What a command says of a finished bundle.
#[derive(Debug)]
pub struct CampaignBundle {
    pub summary: Summary,
    pub files: usize,
    /// What is left out, in sentences.
    pub withheld: Vec<String>,
    /// The log's key as it is published.
    pub key: String,
}

/// What is known before the parts are written.
struct Facts {
    head: SignedHead,
    /// Where the facts about the whole campaign are.
    at: BTreeMap<LeafRef, u64>,
    of_campaign: Vec<ShownFact>,
    disclosures: Files,
    recipients: Vec<TreeRow>,
    seals: Vec<u64>,
    closing: Option<u64>,
}

impl App {
    /// Writes the bundle of a campaign. That `by` asked for it is a fact in it.
    pub async fn prove_campaign(
        &self,
        id: &str,
        by: &str,
        now: Micros,
        out: fs_err::File,
    ) -> Result<CampaignBundle, AppError> {
        let campaign = self.campaign(id).await?;
        let open = OpenCampaign::open(&self.master, &campaign)?;
        let file = std::path::Path::new("the stored incident file");
        let incident = crate::incident_file::parse(file, &campaign.incident_file, i64::MAX / 2)?.value;
        let discovered = incident.discovered.timestamp().as_microsecond();
        let mut tx = self.store.begin().await?;
        tx.add_note(campaign.no, now, by, "proof", "a bundle of the campaign was made").await?;
        tx.commit().await?;
        let mut sequencer = self.sequencer().await?;
        sequencer.catch_up().await?;
        let facts = self.facts_of_campaign(&campaign).await?;
        let mut parts = Parts::begin(out);
        let recount = write_log(self, &mut parts, &campaign.id, facts.first(), facts.head.size).await?;
        let mut withheld = self.write_persons(&mut parts, &campaign, &facts).await?;
        if facts.closing.is_none() {
            withheld
                .push("The campaign was not closed: `forewarn proof close` seals where everybody stands.".to_owned());
        }
        let summary = recount.finish(facts.recipients.iter().map(|tree| tree.n).sum());
        let page = campaign_page::Shown {
            campaign: &campaign,
            discovered,
            organisation: &self.config.sender.organisation,
            language: open.texts.language_for(&open.plan.default_locale),
            summary: &summary,
            facts: &facts.of_campaign,
            at: &facts.at,
            head: &facts.head,
            key: sequencer.key().verifier(),
            withheld: &withheld,
            made: now,
        };
        let mut files = facts.disclosures.clone();
        files.extend(for_people(&page)?);
        files.insert(SUMMARY.to_owned(), summary.to_octets());
        files.extend(frame(&facts, sequencer.key(), (&campaign.id, &withheld), now)?);
        let files = finish(parts, files, sequencer.key()).await?;
        Ok(CampaignBundle { summary, files, withheld, key: sequencer.key().verifier().to_string() })
    }

    async fn facts_of_campaign(&self, campaign: &Campaign) -> Result<Facts, AppError> {
        let Some(head) = self.store.newest_head().await? else {
            return Err(LogError::Broken("it is empty".to_owned()).into());
        };
        let mut all = self.store.shown_of_campaign(campaign.no).await?;
        let refs: Vec<LeafRef> = all.iter().map(|fact| fact.leaf).collect();
        let found = self.store.leaves_at(&refs).await?;
        let mut at = BTreeMap::new();
        let mut disclosures = Files::new();
        for (fact, found) in all.iter_mut().zip(found) {
            let Some((index, octets)) = found.filter(|(index, _)| *index < head.size) else { continue };
            at.insert(fact.leaf, index);
            if fact.at == 0 {
                // The row of a list does not say when it was taken in; its leaf does.
                let time = read_object(&octets).ok().and_then(|leaf| leaf.text("t")?.parse::<jiff::Timestamp>().ok());
                fact.at = time.map_or(0, jiff::Timestamp::as_microsecond);
            }
            if of_campaign(fact) {
                disclose(fact, index, &octets, &mut disclosures);
            }
        }
        all.retain(of_campaign);
        let recipients = self.store.trees(campaign.no, TreeKind::Recipients).await?;
        let closings = self.store.trees(campaign.no, TreeKind::Closing).await?;
        let trees: Vec<LeafRef> = recipients.iter().chain(closings.last()).map(|tree| tree.leaf).collect();
        let mut places: Vec<u64> =
            self.store.leaves_at(&trees).await?.into_iter().flatten().map(|(at, _)| at).collect();
        let closing = if closings.is_empty() { None } else { places.pop() };
        Ok(Facts { head, at, of_campaign: all, disclosures, recipients, seals: places, closing })
    }

    /// Writes who the persons are; what is left out of it.
    async fn write_persons(
        &self,
        parts: &mut Parts,
        campaign: &Campaign,
        facts: &Facts,
    ) -> Result<Vec<String>, AppError> {
        let mut tx = self.store.begin_beside().await?;
        let names = tx.subjects(campaign.no).await?;
        tx.commit().await?;
        if names.of(1).is_empty() {
            let text = "The persons, even by their random names: what these are made of was destroyed.";
            return Ok(vec![text.to_owned()]);
        }
        let mut withheld = Vec::new();
        if facts.recipients.is_empty() {
            withheld.push("The list was not sealed before the sending began: it is older than the log.".to_owned());
        }
        let mut trees = facts.recipients.iter().peekable();
        let mut leaves = Leaves::default();
        let (mut part, mut first, mut written) = (Vec::new(), 0u64, 0u64);
        let mut from = 1;
        while from <= campaign.last_person {
            let last = (from + PAGE - 1).min(campaign.last_person);
            for no in self.store.person_numbers(campaign.no, from, last).await? {
                if trees.peek().is_some_and(|tree| tree.last < no) {
                    trees.next();
                    leaves = Leaves::default();
                }
                let leaf = match trees.peek().filter(|tree| tree.first <= no) {
                    Some(tree) => Some(leaves.next(self, tree).await?),
                    None => None,
                };
                let name = const_hex::decode_to_array(names.of(no));
                let name = name.map_err(|_| LogError::Broken("a person's name is none".to_owned()))?;
                persons::write(&mut part, &Listed { number: no.unsigned_abs(), name, leaf });
                written += 1;
                if written - first == PERSONS {
                    parts.add(Part { path: persons_part(first), octets: std::mem::take(&mut part) }).await?;
                    first = written;
                }
            }
            from = last + 1;
        }
        if !part.is_empty() {
            parts.add(Part { path: persons_part(first), octets: part }).await?;
        }
        Ok(withheld)
    }
}

impl Facts {
    /// Where the campaign's own facts begin, as far as is known without looking at all of them.
    fn first(&self) -> u64 {
        self.at.values().copied().min().unwrap_or_default()
    }
}

/// Reads the leaves of a tree of recipients one after the other.
#[derive(Default)]
struct Leaves {
    next: usize,
    tile: Vec<Hash>,
}

impl Leaves {
    async fn next(&mut self, app: &App, tree: &TreeRow) -> Result<Hash, AppError> {
        const WIDTH: usize = 256;
        let within = self.next % WIDTH;
        if within == 0 {
            let id = TileId { level: 0, index: (self.next / WIDTH) as u64 };
            let mut tiles: Tiles = load_tiles(&app.store, tree.id, &[id]).await?;
            self.tile = tiles.remove(&id).unwrap_or_default();
        }
        self.next += 1;
        let hash = self.tile.get(within).copied();
        Ok(hash.ok_or_else(|| LogError::Broken("a tree of recipients is not whole".to_owned()))?)
    }
}

/// Opens the commitments of a fact, where they are to what is kept.
fn disclose(fact: &ShownFact, index: u64, octets: &[u8], files: &mut Files) {
    let (Ok(salt), Ok(leaf)) = (<&[u8; 32]>::try_from(fact.salt.as_slice()), read_object(octets)) else { return };
    let key = SaltKey::new(salt);
    for (label, value) in &fact.values {
        let Ok(opened) = key.disclose(FACT, label, Value::Text(value.clone())) else { continue };
        let committed = leaf.object("com").and_then(|com| com.text(label));
        if committed == Some(opened.commitment().as_str()) {
            files.insert(layout::disclosure(index, label), opened.to_octets().into_bytes());
        }
    }
}

/// Manifest, head and key.
fn frame(facts: &Facts, key: &LogKey, (campaign, withheld): (&str, &[String]), now: Micros) -> Result<Files, AppError> {
    let manifest = Manifest {
        campaign: campaign.to_owned(),
        checkpoint: facts.head.size,
        closing: facts.closing,
        made: seconds(now),
        origin: key.origin().to_owned(),
        seals: facts.seals.clone(),
        withheld: withheld.to_vec(),
    };
    let manifest = manifest.to_octets().map_err(|e| LogError::Broken(format!("the manifest: {e}")))?;
    Ok(Files::from([
        (layout::MANIFEST.to_owned(), manifest.into_bytes()),
        (layout::CHECKPOINT.to_owned(), facts.head.note.clone().into_bytes()),
        (layout::VKEY.to_owned(), format!("{}\n", key.verifier()).into_bytes()),
    ]))
}

/// Writes the other files, sums and seal; how many files there are.
async fn finish(mut parts: Parts, files: Files, key: &LogKey) -> Result<usize, AppError> {
    for (path, octets) in files {
        parts.add(Part { path, octets }).await?;
    }
    let digests = parts.written().await?;
    let sums = sums::sums_of_digests(&digests);
    let seal = sums::seal(&sums, key.signing()).map_err(|e| LogError::Broken(format!("it cannot be sealed: {e}")))?;
    parts.add(Part { path: layout::SUMS.to_owned(), octets: sums.into_bytes() }).await?;
    parts.add(Part { path: layout::SEAL.to_owned(), octets: seal.into_bytes() }).await?;
    parts.finish().await?;
    Ok(digests.len() + 2)
}

/// The tile that holds the hashes of subtrees of others, one read at a time.
pub(super) async fn subtree(app: &App, index: u64, tile: &mut Option<(TileId, Vec<Hash>)>) -> Result<Hash, LogError> {
    let (id, place) = crate::evidence::tiles::place_of_subtree(index);
    if tile.as_ref().is_none_or(|(held, _)| *held != id) {
        let mut tiles = load_tiles(&app.store, LOG, &[id]).await?;
        *tile = Some((id, tiles.remove(&id).unwrap_or_default()));
    }
    let hash = tile.as_ref().and_then(|(_, row)| row.get(place).copied());
    hash.ok_or_else(|| LogError::Broken(format!("tile {} of level {} is not whole", id.index, id.level)))
}

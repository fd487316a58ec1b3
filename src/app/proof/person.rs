//! The bundle that proves how one person was told.
//!
//! Everything in it is made again from what the store keeps and compared with what the log committed to; what cannot be
//! made again, or differs, is left out and said so in the manifest. Nobody else's data enters it: of others there are only
//! hashes over hashes.

use super::attempt::{ADDRESS, EXCHANGE, MESSAGE, exchange, octets, uid};
use super::certificate::Shown;
use super::log::{LogError, LogKey, load_tiles};
use super::recipients::{self, RECIPIENT};
use super::words;
use crate::app::carrier::{AdapterCarrier, OpenCampaign};
use crate::app::{App, AppError};
use crate::evidence::bundle::manifest::{About, Listed, Manifest};
use crate::evidence::bundle::tree_proof::TreeProof;
use crate::evidence::bundle::{Files, layout, sums};
use crate::evidence::canonical::{Value, read_object};
use crate::evidence::disclosure::{Disclosure, SaltKey};
use crate::evidence::fact::{closing_leaf, seconds};
use crate::evidence::proof_file::ProofFile;
use crate::evidence::tiles::{self, Tiles};
use crate::model::channel::Channel;
use crate::model::notice::NoticeId;
use crate::model::outcome::{Class, Outcome};
use crate::model::person::Person;
use crate::model::problem::Problem;
use crate::model::time::Micros;
use crate::store::campaign::Campaign;
use crate::store::desk::NewNote;
use crate::store::fact::FACT;
use crate::store::leaf::LeafRef;
use crate::store::preview::PersonRow;
use crate::store::sequence::{LOG, SignedHead};
use crate::store::shown::{ShownAttempt, ShownFact};
use crate::store::tree::{TreeKind, TreeRow};
use crate::vault::{ContentKey, IdentityKey};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// What was done to the campaign and belongs into the bundle of each of its persons.
const OF_CAMPAIGN: [&str; 9] =
    ["list", "approval", "created", "content", "approved", "started", "paused", "resumed", "cancelled"];

/// The word of the note that a bundle was asked for.
const ASKED: &str = "proof";

/// Whether a fact about the campaign as a whole is shown to others.
pub(super) fn of_campaign(fact: &ShownFact) -> bool {
    OF_CAMPAIGN.contains(&fact.what.as_str())
}

/// A finished bundle, and what a command says of it.
#[derive(Debug)]
pub struct PersonBundle {
    pub files: Files,
    /// Facts of the log in it.
    pub events: usize,
    /// What is left out, in sentences.
    pub withheld: Vec<String>,
    /// The log's key as it is published, whose fingerprint a reader must have from elsewhere.
    pub key: String,
}

/// A leaf that the bundle shows.
#[derive(Clone, Debug)]
pub struct ShownLeaf {
    pub index: u64,
    pub octets: Vec<u8>,
    pub about: About,
}

/// A bundle that is being put together.
struct Making {
    files: Files,
    leaves: BTreeMap<u64, ShownLeaf>,
    withheld: Vec<String>,
    head: SignedHead,
}

/// The person, opened, and what opens their commitments.
struct Subject {
    row: PersonRow,
    person: Person,
    identity: IdentityKey,
    content: ContentKey,
    name: String,
}

impl App {
    /// The bundle of the person with this customer reference.
    /// That `by` asked for it is a fact in it.
    pub async fn prove_person(
        &self,
        id: &str,
        reference: &str,
        by: &str,
        now: Micros,
    ) -> Result<PersonBundle, AppError> {
        let campaign = self.campaign(id).await?;
        let open = OpenCampaign::open(&self.master, &campaign)?;
        let subject = self.opened(&campaign, &open, reference).await?;
        self.note_who_asked(&campaign, subject.row.no, by, now).await?;
        let mut sequencer = self.sequencer().await?;
        sequencer.catch_up().await?;
        let Some(head) = self.store.newest_head().await? else {
            return Err(LogError::Broken("it is empty".to_owned()).into());
        };
        let mut making = Making { files: Files::new(), leaves: BTreeMap::new(), withheld: Vec::new(), head };
        let attempts = self.store.shown_attempts(campaign.no, subject.row.no).await?;
        let facts = self.store.shown_of_person(campaign.no, subject.row.no).await?;
        let of_campaign = self.of_campaign(&campaign).await?;
        let at = self.take_leaves(&mut making, &attempts, &facts, &of_campaign).await?;
        for fact in facts.iter().chain(&of_campaign) {
            disclose_fact(&mut making, fact, &at);
        }
        let carrier = AdapterCarrier::new(self.clone(), self.ready_routes().unwrap_or_default());
        let mut shown = Vec::with_capacity(attempts.len());
        for attempt in &attempts {
            self.show_attempt(&mut making, &carrier, (&campaign, &open), &subject, attempt, &at).await?;
            shown.push((attempt, attempt.ended.and_then(|leaf| at.get(&leaf).copied())));
        }
        self.show_recipient(&mut making, &campaign, &subject).await?;
        self.show_closing(&mut making, &campaign, &subject).await?;
        self.prove_leaves(&mut making).await?;
        let stamps = self.shown_stamps(&making.head, sequencer.key(), making.span()).await?;
        making.files.extend(stamps.files);
        making.withheld.extend(stamps.withheld);
        let certificate = Shown {
            campaign: &campaign,
            organisation: &self.config.sender.organisation,
            language: open.texts.language_for(&open.plan.default_locale),
            person: &subject.person,
            attempts: &shown,
            facts: &facts,
            of_campaign: &of_campaign,
            at: &at,
            leaves: &making.leaves,
            head: &making.head,
            stamps: &stamps.times,
            key: sequencer.key().verifier(),
            withheld: &making.withheld,
            closed: making.files.contains_key(layout::CLOSING_LEAF),
            made: now,
        };
        making.files.extend(words::for_people(&certificate)?);
        let key = sequencer.key();
        making.finish(&campaign.id, &subject.name, key, now)?;
        let key = key.verifier().to_string();
        Ok(PersonBundle { events: making.leaves.len(), files: making.files, withheld: making.withheld, key })
    }

    /// The person with this customer reference, opened.
    async fn opened(&self, campaign: &Campaign, open: &OpenCampaign, reference: &str) -> Result<Subject, AppError> {
        let id = &campaign.id;
        let hash = open.keys.reference_hash(reference);
        let row = self.store.person_with(campaign.no, &hash).await?.ok_or_else(|| {
            let message = format!("nobody in campaign {id} has this customer reference; is it written as in the list?");
            Problem::new("no-such-person", "", message)
        })?;
        let (person, identity, content) = open.keys.open_with_keys(row.no, &row.sealed).map_err(|_| {
            let message = format!(
                "the data of this person was erased from campaign {}; earlier bundles about them still verify",
                campaign.id
            );
            AppError::from(Problem::new("erased", "", message))
        })?;
        let mut tx = self.store.begin_beside().await?;
        let name = tx.subjects(campaign.no).await?.of(row.no);
        tx.commit().await?;
        Ok(Subject { row, person, identity, content, name })
    }

    /// What was done to the campaign and belongs into the bundle of each of its persons.
    async fn of_campaign(&self, campaign: &Campaign) -> Result<Vec<ShownFact>, AppError> {
        let mut facts = self.store.shown_of_campaign(campaign.no).await?;
        facts.retain(of_campaign);
        Ok(facts)
    }

    async fn note_who_asked(&self, campaign: &Campaign, person: i64, by: &str, now: Micros) -> Result<(), AppError> {
        let (notice, text) = (NoticeId::of_person(person), "a bundle with the person's data was made");
        let mut tx = self.store.begin().await?;
        let note = NewNote { notice, at: now, by, what: ASKED, text, sealed: None };
        tx.add_person_note(campaign.no, &note).await?;
        Ok(tx.commit().await?)
    }

    /// Takes the leaves of these facts into the bundle; where each of them is in the log.
    async fn take_leaves(
        &self,
        making: &mut Making,
        attempts: &[ShownAttempt],
        facts: &[ShownFact],
        of_campaign: &[ShownFact],
    ) -> Result<BTreeMap<LeafRef, u64>, AppError> {
        let mut wanted: Vec<(LeafRef, About)> = Vec::new();
        wanted.extend(attempts.iter().flat_map(|a| [a.started, a.ended]).flatten().map(|leaf| (leaf, About::Person)));
        wanted.extend(facts.iter().map(|fact| (fact.leaf, About::Person)));
        wanted.extend(of_campaign.iter().map(|fact| (fact.leaf, About::Campaign)));
        let refs: Vec<LeafRef> = wanted.iter().map(|(leaf, _)| *leaf).collect();
        let found = self.store.leaves_at(&refs).await?;
        let mut at = BTreeMap::new();
        for ((leaf, about), found) in wanted.into_iter().zip(found) {
            let Some((index, octets)) = found.filter(|(index, _)| *index < making.head.size) else { continue };
            at.insert(leaf, index);
            making.leaves.insert(index, ShownLeaf { index, octets, about });
        }
        if attempts.iter().any(|attempt| attempt.started.is_none()) {
            making.withheld.push("Attempts of before the evidence log began are not in it.".to_owned());
        }
        Ok(at)
    }

    /// Opens what an attempt is bound to, and adds what was sent and what was answered.
    async fn show_attempt(
        &self,
        making: &mut Making,
        carrier: &AdapterCarrier,
        (campaign, open): (&Campaign, &OpenCampaign),
        subject: &Subject,
        attempt: &ShownAttempt,
        at: &BTreeMap<LeafRef, u64>,
    ) -> Result<(), AppError> {
        let Some(index) = attempt.ended.and_then(|leaf| at.get(&leaf).copied()) else { return Ok(()) };
        let uid = uid(attempt.notice, attempt.no);
        let contact = subject.person.contacts.get(usize::from(attempt.notice.contact()));
        if let Some(contact) = contact {
            let key = SaltKey::new(subject.identity.bytes());
            making.disclose(index, &key, &uid, ADDRESS, contact.address.reveal());
        }
        let key = SaltKey::new(subject.content.bytes());
        let outcome = Outcome {
            class: Class::parse(&attempt.class).unwrap_or(Class::Unknown),
            code: attempt.code.clone(),
            text: attempt.text.clone(),
            provider_id: attempt.provider_id.clone(),
            retry_after: None,
        };
        let exchange = exchange((&attempt.route, &attempt.provider), &outcome);
        making.pay(index, &key, (&uid, EXCHANGE), "exchange.txt", exchange.as_bytes());
        let started = attempt.started.and_then(|leaf| at.get(&leaf)).and_then(|index| making.leaves.get(index));
        let size = started.and_then(|leaf| read_object(&leaf.octets).ok()?.number("head"));
        let head = match size {
            Some(size) => self.store.head_of(size).await?.map(|head| Sha256::digest(head.note.as_bytes()).into()),
            None => None,
        };
        let name = match attempt.notice.channel() {
            Some(Channel::Email) => "message.eml",
            Some(Channel::Sms) => "message.txt",
            Some(Channel::Phone) | None => "script.txt",
        };
        let sent = (campaign.no, attempt.notice, attempt.no, attempt.started_at);
        match carrier.again(&attempt.route, open, sent, &subject.row.sealed, head) {
            Ok(rendered) => making.pay(index, &key, (&uid, MESSAGE), name, &octets(&rendered)),
            Err(why) => making.withheld.push(format!("What was sent by fact {index} cannot be made again: {why}")),
        }
        Ok(())
    }

    async fn show_recipient(
        &self,
        making: &mut Making,
        campaign: &Campaign,
        subject: &Subject,
    ) -> Result<(), AppError> {
        let no = subject.row.no;
        let trees = self.store.trees(campaign.no, TreeKind::Recipients).await?;
        let Some(tree) = trees.into_iter().find(|tree| (tree.first..=tree.last).contains(&no)) else {
            making
                .withheld
                .push("The list was not sealed before the sending began: it is older than the log.".to_owned());
            return Ok(());
        };
        let leaf = recipients::leaf(no, &subject.name, &subject.person, &subject.identity)?;
        let Some(proof) = self.proven(making, campaign, &tree, no, leaf.as_bytes()).await? else {
            // A contact was added since: the list as it was sealed is proven by what was committed then.
            making.withheld.push("The person's contacts were changed after the list was sealed.".to_owned());
            return Ok(());
        };
        making.files.insert(layout::RECIPIENT_LEAF.to_owned(), leaf.into_bytes());
        making.files.insert(layout::RECIPIENT_PROOF.to_owned(), proof);
        let key = SaltKey::new(subject.identity.bytes());
        for (label, value) in recipients::values(&subject.person) {
            if let Ok(disclosure) = key.disclose(RECIPIENT, &label, Value::Text(value.to_owned())) {
                making.files.insert(layout::recipient_disclosure(&label), disclosure.to_octets().into_bytes());
            }
        }
        Ok(())
    }

    async fn show_closing(&self, making: &mut Making, campaign: &Campaign, subject: &Subject) -> Result<(), AppError> {
        let no = subject.row.no;
        let trees = self.store.trees(campaign.no, TreeKind::Closing).await?;
        let Some(tree) = trees.into_iter().rev().find(|tree| (tree.first..=tree.last).contains(&no)) else {
            let text = "The campaign was not closed yet: nothing proves that no fact about the person is missing. `forewarn \
                        proof close` closes it.";
            making.withheld.push(text.to_owned());
            return Ok(());
        };
        let facts = self.facts_about(campaign.no, no, no, tree.size).await?;
        let facts: BTreeSet<u64> = facts.into_values().flatten().collect();
        let leaf =
            closing_leaf(no.unsigned_abs(), &subject.name, facts).map_err(|e| LogError::Broken(e.to_string()))?;
        let Some(proof) = self.proven(making, campaign, &tree, no, leaf.as_bytes()).await? else {
            return Err(LogError::Broken(
                "the facts about a person are not those that the closing tree holds".to_owned(),
            )
            .into());
        };
        making.files.insert(layout::CLOSING_LEAF.to_owned(), leaf.into_bytes());
        making.files.insert(layout::CLOSING_PROOF.to_owned(), proof);
        Ok(())
    }

    /// The proof that this leaf stands for the person in a tree; none where it is another leaf.
    async fn proven(
        &self,
        making: &mut Making,
        campaign: &Campaign,
        tree: &TreeRow,
        no: i64,
        leaf: &[u8],
    ) -> Result<Option<Vec<u8>>, AppError> {
        let dense = tree.last - tree.first + 1 == tree.n as i64;
        let index = if dense {
            (no - tree.first).unsigned_abs()
        } else {
            self.store.persons_between(campaign.no, tree.first, no).await?
        };
        let tiles = load_tiles(&self.store, tree.id, &tiles::tiles_for_inclusion(index, tree.n)).await?;
        let path = tiles::inclusion_proof(index, tree.n, &tiles).map_err(LogError::from)?;
        let leaf = crate::evidence::merkle::leaf_hash(leaf);
        if crate::evidence::merkle::verify_inclusion(&leaf, index, tree.n, &path, &tree.root).is_err() {
            return Ok(None);
        }
        let found = self.store.leaves_at(&[tree.leaf]).await?.into_iter().next().flatten();
        let Some((seal, octets)) = found else { return Ok(None) };
        making.leaves.insert(seal, ShownLeaf { index: seal, octets, about: About::Campaign });
        let proof = TreeProof { index, path, root: tree.root, seal, size: tree.n };
        Ok(Some(proof.to_octets().map_err(|e| LogError::Broken(e.to_string()))?.into_bytes()))
    }

    /// Adds each leaf and the proof that it is in the log.
    async fn prove_leaves(&self, making: &mut Making) -> Result<(), AppError> {
        let size = making.head.size;
        let wanted: BTreeSet<_> =
            making.leaves.keys().flat_map(|index| tiles::tiles_for_inclusion(*index, size)).collect();
        let tiles: Tiles = load_tiles(&self.store, LOG, &wanted.into_iter().collect::<Vec<_>>()).await?;
        for leaf in making.leaves.values() {
            let hashes = tiles::inclusion_proof(leaf.index, size, &tiles).map_err(LogError::from)?;
            let proof = ProofFile { index: leaf.index, hashes, extra: None, checkpoint: making.head.note.clone() };
            making.files.insert(layout::event(leaf.index), leaf.octets.clone());
            making.files.insert(layout::event_proof(leaf.index), proof.to_string().into_bytes());
        }
        Ok(())
    }
}

impl Making {
    /// Adds what says whose bundle it is, and seals it.
    fn finish(&mut self, campaign: &str, subject: &str, key: &LogKey, now: Micros) -> Result<(), AppError> {
        let manifest = Manifest {
            campaign: campaign.to_owned(),
            checkpoint: self.head.size,
            events: self.leaves.values().map(|leaf| Listed { index: leaf.index, about: leaf.about }).collect(),
            made: seconds(now),
            origin: key.origin().to_owned(),
            subject: subject.to_owned(),
            withheld: self.withheld.clone(),
        };
        let manifest = manifest.to_octets().map_err(|e| LogError::Broken(format!("the manifest: {e}")))?;
        self.files.insert(layout::MANIFEST.to_owned(), manifest.into_bytes());
        self.files.insert(layout::CHECKPOINT.to_owned(), self.head.note.clone().into_bytes());
        self.files.insert(layout::VKEY.to_owned(), format!("{}\n", key.verifier()).into_bytes());
        key.seal(&mut self.files)
    }

    /// From which to which fact the bundle tells of the person; that it was asked for does not count.
    fn span(&self) -> (u64, u64) {
        let asked = |leaf: &ShownLeaf| read_object(&leaf.octets).is_ok_and(|leaf| leaf.text("act") == Some(ASKED));
        let own = self.leaves.values().filter(|leaf| leaf.about == About::Person && !asked(leaf));
        let (mut first, mut last) = (u64::MAX, 0);
        for leaf in own {
            (first, last) = (first.min(leaf.index), last.max(leaf.index));
        }
        (first.min(last), last)
    }

    /// Opens a commitment of a leaf, where the value is what was committed to; whether it is.
    fn disclose(&mut self, index: u64, key: &SaltKey, uid: &str, label: &str, value: &str) -> bool {
        let disclosure = key.disclose(uid, label, Value::Text(value.to_owned())).ok();
        let opened = disclosure.filter(|disclosure| self.commits(index, label, disclosure));
        let Some(opened) = opened else {
            let text = format!("`{label}` of fact {index} is not shown: what is kept is not what was committed to.");
            self.withheld.push(text);
            return false;
        };
        self.files.insert(layout::disclosure(index, label), opened.to_octets().into_bytes());
        true
    }

    fn commits(&self, index: u64, label: &str, disclosure: &Disclosure) -> bool {
        let leaf = self.leaves.get(&index).and_then(|leaf| read_object(&leaf.octets).ok());
        let committed = leaf.as_ref().and_then(|leaf| leaf.object("com")?.text(label));
        committed == Some(disclosure.commitment().as_str())
    }

    /// Adds octets whose digest a leaf commits to.
    fn pay(&mut self, index: u64, key: &SaltKey, (uid, label): (&str, &str), name: &str, octets: &[u8]) {
        let has = self.leaves.get(&index).and_then(|leaf| read_object(&leaf.octets).ok());
        if has.is_none_or(|leaf| leaf.object("com").is_none()) {
            // The notice was never made: nothing was bound to this attempt.
            return;
        }
        if self.disclose(index, key, uid, label, &const_hex::encode(Sha256::digest(octets))) {
            self.files.insert(layout::payload(index, name), octets.to_vec());
        }
    }
}

/// Opens the commitments of a fact that has a salt of its own.
fn disclose_fact(making: &mut Making, fact: &ShownFact, at: &BTreeMap<LeafRef, u64>) {
    let (Some(index), Ok(salt)) = (at.get(&fact.leaf).copied(), <&[u8; 32]>::try_from(fact.salt.as_slice())) else {
        return;
    };
    let key = SaltKey::new(salt);
    for (label, value) in &fact.values {
        making.disclose(index, &key, FACT, label, value);
    }
}

impl LogKey {
    /// Adds sums and seal to the files of a bundle.
    pub fn seal(&self, files: &mut Files) -> Result<(), AppError> {
        sums::finish(files, self.signing())
            .map_err(|e| LogError::Broken(format!("a bundle cannot be sealed: {e}")).into())
    }
}

//! A small campaign in memory, and the bundle of one of its two persons; a thief who holds the key may tell it otherwise.

use super::super::{ORIGIN, signing_key};
use crate::support::authority::{Authority, How};
use forewarn::evidence::bundle::anchors::{ANCHOR, consistency_file};
use forewarn::evidence::bundle::layout::Stamp;
use forewarn::evidence::bundle::manifest::{About, Listed, Manifest};
use forewarn::evidence::bundle::tree_proof::TreeProof;
use forewarn::evidence::bundle::{Files, VERIFIER_IN_A_PAGE, VERIFIER_IN_PYTHON, layout, sums};
use forewarn::evidence::canonical::{Value, Writer};
use forewarn::evidence::checkpoint::Checkpoint;
use forewarn::evidence::disclosure::{Commitment, SaltKey};
use forewarn::evidence::fact::{self, Attempt, AttemptProof, Part, Scene};
use forewarn::evidence::merkle::leaf_hash;
use forewarn::evidence::note::SigningKey;
use forewarn::evidence::proof_file::ProofFile;
use forewarn::evidence::tiles::{Growth, TileBuilder, consistency_proof, inclusion_proof};
use forewarn::evidence::timestamp::Request;
use forewarn::model::channel::Channel;
use forewarn::model::notice::NoticeId;
use forewarn::model::time::SECOND;
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;

pub(super) const JANE: &str = "0123456789abcdef0123456789abcdef";
pub(super) const OTHER: &str = "fedcba9876543210fedcba9876543210";
const CAMPAIGN: &str = "2026-001-abcde";
const BEGIN: i64 = 1_790_000_000 * SECOND;

/// How the story goes, where it is not the ordinary one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plot {
    /// Jane is not on the list that is sealed; her proof is made up.
    pub skipped: bool,
    /// The list is sealed when everything was sent.
    pub late: bool,
    /// The closing tree does not know of Jane's receipt.
    pub forgetful: bool,
    /// The closing tree tells of more facts than there were when it was made.
    pub foresees: bool,
    /// The clock goes back before the receipt.
    pub clock_back: bool,
    /// Jane's first attempt never began.
    pub unstarted: bool,
    /// Whose facts Jane's facts are.
    pub of_other: bool,
    /// Who signs; 7 is the log's key.
    pub seed: Option<u8>,
    /// An authority stamps the log as it is told of otherwise, then the head with the fact about that. Nothing is stamped
    /// where openssl is not installed.
    pub stamped: bool,
}

/// Numbers of facts that tests speak of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places {
    pub first_start: u64,
    pub second_end: u64,
    pub receipt: u64,
    pub seal: u64,
    pub close: u64,
}

/// The bundle, and where its facts are.
#[derive(Clone)]
pub(super) struct Made {
    pub files: Files,
    pub at: Places,
    pub key: SigningKey,
}

/// The authority of all bundles: making its keys takes a while.
pub(super) fn authority() -> Option<&'static Authority> {
    static ONE: LazyLock<Option<Authority>> = LazyLock::new(Authority::start);
    ONE.as_ref()
}

/// What it answers about a note.
pub(super) fn stamp(how: How, note: &str) -> Option<Vec<u8>> {
    let request = Request::new(Sha256::digest(note).into(), [5; 8]);
    Some(authority()?.reply(how, &request.to_der()))
}

struct Making {
    leaves: Vec<String>,
    shown: Vec<Listed>,
    files: Files,
    time: i64,
}

pub(super) fn commit(key: &SaltKey, uid: &str, label: &str, value: &str) -> Commitment {
    key.commit(uid, label, value).expect("a commitment")
}

impl Making {
    fn scene(&mut self, seconds: i64) -> Scene {
        self.time += seconds * SECOND;
        Scene::new(CAMPAIGN, self.time)
    }

    /// Adds a leaf; Jane's bundle shows it where it is about her or about the campaign.
    fn add(&mut self, leaf: String, about: Option<About>) -> u64 {
        let index = self.leaves.len() as u64;
        self.leaves.push(leaf);
        self.shown.extend(about.map(|about| Listed { index, about }));
        index
    }

    fn other(&mut self, event: &str, about: About, parts: &[(&'static str, Part<'_>)]) -> u64 {
        let scene = self.scene(10);
        self.add(fact::other(&scene, event, parts).expect("a leaf"), Some(about))
    }

    fn disclose(&mut self, index: u64, key: &SaltKey, uid: &str, (label, value): (&str, &str)) {
        let disclosure = key.disclose(uid, label, Value::Text(value.to_owned())).expect("a disclosure");
        self.files.insert(layout::disclosure(index, label), disclosure.to_octets().into_bytes());
    }

    fn start(&mut self, subject: &str, no: i64) -> u64 {
        let scene = self.scene(60);
        let notice = NoticeId::new(1, 1, Channel::Email);
        let attempt = Attempt { notice, no, route: "relay", subject };
        let leaf = fact::attempt_started(&scene, &attempt, Some(1)).expect("a leaf");
        self.add(leaf, (subject != OTHER).then_some(About::Person))
    }

    /// Ends an attempt; Jane's is opened, with message and exchange.
    fn end(&mut self, subject: &str, no: i64, outcome: (&str, &str)) -> u64 {
        let scene = self.scene(5);
        let notice = NoticeId::new(1, 1, Channel::Email);
        let attempt = Attempt { notice, no, route: "relay", subject };
        let (key, uid) = (SaltKey::new(&[no as u8; 32]), format!("attempt/1/email/{no}"));
        let message = format!("Subject: your data\r\n\r\nattempt {no}: we must tell you of a breach\r\n");
        let exchange = format!("route: relay\nanswer: {}\n", outcome.1);
        let digest = |octets: &str| const_hex::encode(Sha256::digest(octets));
        let values = [
            ("addr", "jane@example.org".to_owned()),
            ("exch_sha256", digest(&exchange)),
            ("msg_sha256", digest(&message)),
        ];
        let [address, exchanged, sent] = values.each_ref().map(|(label, value)| commit(&key, &uid, label, value));
        let proof = AttemptProof { address, exchange: exchanged, message: sent };
        let leaf = fact::attempt_ended(&scene, &attempt, outcome, Some(&proof)).expect("a leaf");
        let shown = subject != OTHER;
        let index = self.add(leaf, shown.then_some(About::Person));
        if shown {
            for (label, value) in &values {
                self.disclose(index, &key, &uid, (label, value));
            }
            self.files.insert(layout::payload(index, "message.eml"), message.into_bytes());
            self.files.insert(layout::payload(index, "exchange.txt"), exchange.into_bytes());
        }
        index
    }

    fn receipt(&mut self, subject: &str, clock_back: bool) -> u64 {
        if clock_back {
            self.time -= 3600 * SECOND;
        }
        let key = SaltKey::new(&[9; 32]);
        let committed = [("id", commit(&key, "fact", "id", "abc")), ("text", commit(&key, "fact", "text", "250 ok"))];
        let parts = [
            ("chan", Part::Text("email")),
            ("com", Part::Commitments(&committed)),
            ("contact", Part::Number(1)),
            ("n", Part::Number(2)),
            ("res", Part::Text("delivered")),
            ("route", Part::Text("relay")),
            ("subj", Part::Text(subject)),
        ];
        let index = self.other("receipt", About::Person, &parts);
        // What the provider called it stays closed.
        self.disclose(index, &key, "fact", ("text", "250 ok"));
        index
    }

    /// Puts Jane's leaf and its proof under `folder`, where the fact `seal` holds the root.
    fn tree(&mut self, folder: &str, leaves: &[String], index: u64, seal: u64) {
        let hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(leaf.as_bytes())).collect();
        let growth = TileBuilder::new().append(&hashes);
        let path = inclusion_proof(index, growth.size, &growth.tiles).expect("a proof");
        let proof = TreeProof { index, path, root: growth.root, seal, size: growth.size };
        self.files.insert(format!("{folder}/leaf.json"), leaves[index as usize].clone().into_bytes());
        self.files.insert(format!("{folder}/proof.json"), proof.to_octets().expect("a proof").into_bytes());
    }
}

fn root(leaves: &[String]) -> String {
    let hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(leaf.as_bytes())).collect();
    const_hex::encode(TileBuilder::new().append(&hashes).root)
}

fn recipient(subject: &str, ordinal: u64) -> String {
    let key = SaltKey::new(&[ordinal as u8; 32]);
    let leaf = Writer::object(|leaf| {
        leaf.nested("com", |com| {
            com.text("ref", commit(&key, "recipient", "ref", "R-1").as_str());
            com.text("to.0", commit(&key, "recipient", "to.0", "jane@example.org").as_str());
        });
        leaf.number("ord", ordinal);
        leaf.text("subj", subject);
        leaf.number("v", 1);
    });
    leaf.expect("a leaf")
}

fn closing(subject: &str, ordinal: u64, facts: &[u64]) -> String {
    let leaf = Writer::object(|leaf| {
        leaf.numbers("ev", facts.iter().copied());
        leaf.number("ord", ordinal);
        leaf.text("subj", subject);
        leaf.number("v", 1);
    });
    leaf.expect("a leaf")
}

/// The bundle of Jane, as the story goes.
pub(super) fn bundle(plot: Plot) -> Made {
    let mut making = Making { leaves: Vec::new(), shown: Vec::new(), files: Files::new(), time: BEGIN };
    let mut at = Places::default();
    let jane = if plot.of_other { "00000000000000000000000000000000" } else { JANE };
    let (jane_leaf, others_leaf) = (recipient(JANE, 1), recipient(OTHER, 2));
    let list = if plot.skipped { vec![others_leaf] } else { vec![jane_leaf.clone(), others_leaf] };
    making.other("list", About::Campaign, &[("n", Part::Number(1)), ("rows", Part::Number(2))]);
    let sealed = root(&list);
    let seal = |making: &mut Making| {
        let parts = [("n", Part::Number(list.len() as u64)), ("root", Part::Text(&sealed))];
        making.other("campaign.seal", About::Campaign, &parts)
    };
    if !plot.late {
        at.seal = seal(&mut making);
    }
    if !plot.unstarted {
        at.first_start = making.start(jane, 1);
    }
    making.start(OTHER, 1);
    making.end(jane, 1, ("temporary", "451 4.7.1"));
    making.end(OTHER, 1, ("accepted", "250 2.0.0"));
    making.start(jane, 2);
    at.second_end = making.end(jane, 2, ("accepted", "250 2.0.0"));
    at.receipt = making.receipt(jane, plot.clock_back);
    if plot.late {
        at.seal = seal(&mut making);
    }
    let persons = |making: &Making| {
        let shown = making.shown.iter().filter(|listed| listed.about == About::Person);
        shown.map(|listed| listed.index).collect::<Vec<u64>>()
    };
    let mut known = persons(&making);
    if plot.forgetful {
        known.retain(|index| *index != at.receipt);
    }
    let closed = [closing(JANE, 1, &known), closing(OTHER, 2, &[3, 5])];
    let size = making.leaves.len() as u64 + if plot.foresees { 5 } else { 0 };
    let closing_root = root(&closed);
    let parts = [("n", Part::Number(2)), ("root", Part::Text(&closing_root)), ("size", Part::Number(size))];
    at.close = making.other("campaign.close", About::Campaign, &parts);
    making.other("note", About::Person, &[("act", Part::Text("proof")), ("subj", Part::Text(jane))]);
    if plot.skipped {
        // The thief's tree has another root than the one that is sealed; all else of it is right.
        making.tree("recipient", &[jane_leaf], 0, at.seal);
        let path = "recipient/proof.json";
        let proof = TreeProof::parse(&making.files[path]).expect("a proof");
        let hash = const_hex::decode_to_array(&sealed).expect("a root");
        let forged = TreeProof { root: hash, ..proof }.to_octets().expect("a proof");
        making.files.insert(path.to_owned(), forged.into_bytes());
    } else {
        making.tree("recipient", &list, 0, at.seal);
    }
    let opened = SaltKey::new(&[1; 32]).disclose("recipient", "ref", Value::Text("R-1".to_owned()));
    let opened = opened.expect("a disclosure").to_octets();
    making.files.insert(layout::recipient_disclosure("ref"), opened.into_bytes());
    making.tree("closing", &closed, 0, at.close);
    let key = SigningKey::from_seed(ORIGIN, &[plot.seed.unwrap_or(7); 32]).expect("a key");
    assert!(plot.seed.is_some() || key.verifier() == signing_key().verifier());
    if plot.stamped {
        stamped(&mut making, &key);
    }
    Made { files: finished(making, &key), at, key }
}

/// The signed head over these leaves, and their tree.
fn head(leaves: &[String], key: &SigningKey) -> (String, Growth) {
    let hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(leaf.as_bytes())).collect();
    let growth = TileBuilder::new().append(&hashes);
    let head = Checkpoint { origin: ORIGIN.to_owned(), size: growth.size, root: growth.root };
    (head.sign(&[key]).expect("signed"), growth)
}

/// Has the log stamped, adds the fact about that, and has it stamped again.
fn stamped(making: &mut Making, key: &SigningKey) {
    let (first, grown) = head(&making.leaves, key);
    let Some(reply) = stamp(How::Good, &first) else { return };
    let digest = const_hex::encode(Sha256::digest(&reply));
    let parts = [("size", Part::Number(grown.size)), ("sha256", Part::Text(&digest))];
    let fact = fact::other(&Scene::new("", making.time), ANCHOR, &parts).expect("a leaf");
    let index = making.add(fact.clone(), None);
    let (second, whole) = head(&making.leaves, key);
    let hashes = consistency_proof(grown.size, whole.size, &whole.tiles).expect("a proof");
    let proof = inclusion_proof(index, whole.size, &whole.tiles).expect("a proof");
    let proof = ProofFile { index, hashes: proof, extra: None, checkpoint: second.clone() };
    let mut put = |size: u64, file: Stamp, octets: &[u8]| {
        making.files.insert(layout::stamp(size, file), octets.to_vec());
    };
    put(grown.size, Stamp::Head, first.as_bytes());
    put(grown.size, Stamp::Reply, &reply);
    put(grown.size, Stamp::Consistency, consistency_file(grown.size, &hashes).as_bytes());
    put(grown.size, Stamp::Fact, fact.as_bytes());
    put(grown.size, Stamp::FactProof, proof.to_string().as_bytes());
    put(whole.size, Stamp::Head, second.as_bytes());
    put(whole.size, Stamp::Reply, &stamp(How::ByRsa, &second).expect("it was there"));
    put(whole.size, Stamp::Consistency, consistency_file(whole.size, &[]).as_bytes());
    let roots = fs_err::read(authority().expect("it was there").root()).expect("read");
    making.files.insert(layout::TSA_CA.to_owned(), roots);
}

/// The files with head, proofs, manifest, what people read, sums and seal.
fn finished(making: Making, key: &SigningKey) -> Files {
    let (checkpoint, growth) = head(&making.leaves, key);
    let Making { leaves, shown, mut files, .. } = making;
    for Listed { index, .. } in &shown {
        let hashes = inclusion_proof(*index, growth.size, &growth.tiles).expect("a proof");
        let proof = ProofFile { index: *index, hashes, extra: None, checkpoint: checkpoint.clone() };
        files.insert(layout::event(*index), leaves[*index as usize].clone().into_bytes());
        files.insert(layout::event_proof(*index), proof.to_string().into_bytes());
    }
    let manifest = Manifest {
        campaign: CAMPAIGN.to_owned(),
        checkpoint: growth.size,
        events: shown,
        made: "2026-11-25T14:00:00Z".to_owned(),
        origin: ORIGIN.to_owned(),
        subject: JANE.to_owned(),
        withheld: Vec::new(),
    };
    let mut put = |path: &str, text: &str| files.insert(path.to_owned(), text.as_bytes().to_vec());
    put(layout::MANIFEST, &manifest.to_octets().expect("a manifest"));
    put(layout::CHECKPOINT, &checkpoint);
    put(layout::VKEY, &format!("{}\n", key.verifier()));
    put("README.txt", "Read this first.\n");
    put("certificate.html", "<!doctype html><title>Certificate</title>\n");
    put(layout::VERIFY_PY, VERIFIER_IN_PYTHON);
    put(layout::VERIFY_HTML, VERIFIER_IN_A_PAGE);
    sums::finish(&mut files, key).expect("sealed");
    files
}

impl Made {
    /// What a thief with the key can do: change files, and make sums and seal anew.
    pub(super) fn stolen(&self, change: impl FnOnce(&mut Files)) -> Files {
        let mut files = self.files.clone();
        change(&mut files);
        sums::finish(&mut files, &self.key).expect("sealed");
        files
    }
}

/// Changes the manifest as whoever knows the format can.
pub(super) fn with_manifest(files: &mut Files, change: impl FnOnce(&mut Manifest)) {
    let mut manifest = Manifest::parse(&files[layout::MANIFEST]).expect("a manifest");
    change(&mut manifest);
    files.insert(layout::MANIFEST.to_owned(), manifest.to_octets().expect("a manifest").into_bytes());
}

/// Leaves a fact out, wherever the bundle speaks of it.
pub(super) fn without_fact(files: &mut Files, index: u64) {
    let own = [format!("events/{index}."), format!("disclosures/{index}/"), format!("payload/{index}/")];
    files.retain(|path, _| !own.iter().any(|start| path.starts_with(start)));
    with_manifest(files, |manifest| manifest.events.retain(|listed| listed.index != index));
}

/// Replaces a text in a file, once.
pub(super) fn replace(files: &mut Files, path: &str, from: &str, to: &str) {
    let text = String::from_utf8(files[path].clone()).expect("text");
    assert!(text.contains(from), "{path} has no {from}");
    files.insert(path.to_owned(), text.replacen(from, to, 1).into_bytes());
}

//! Rust libraries of others verify what ours makes: Cloudflare's port of Go's `sumdb`, and ct-merkle.

use super::{ORIGIN, leaf, leaf_hashes, signing_key};
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use forewarn::evidence::checkpoint::Checkpoint;
use forewarn::evidence::merkle::Hash;
use forewarn::evidence::note;
use forewarn::evidence::tiles::{TileBuilder, consistency_proof, inclusion_proof, root};
use proptest::prelude::*;
use sha2::Sha256;
use signed_note::{Note, StandardVerifier, VerifierList};
use std::sync::OnceLock;

const MOST: u64 = 1500;

struct Tree {
    leaves: Vec<Hash>,
    tiles: forewarn::evidence::tiles::Tiles,
}

fn tree() -> &'static Tree {
    static TREE: OnceLock<Tree> = OnceLock::new();
    TREE.get_or_init(|| {
        let leaves = leaf_hashes(MOST);
        let tiles = TileBuilder::new().append(&leaves).tiles;
        Tree { leaves, tiles }
    })
}

fn theirs(hashes: &[Hash]) -> Vec<tlog_tiles::Hash> {
    hashes.iter().map(|hash| tlog_tiles::Hash(*hash)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_verify_our_proofs(size in 1..=MOST, older in 0..MOST, index in 0..MOST) {
        let (older, index) = (older % size + 1, index % size);
        let tree = tree();
        let (new, old) = (root(size, &tree.tiles).expect("whole"), root(older, &tree.tiles).expect("whole"));
        let path = inclusion_proof(index, size, &tree.tiles).expect("a proof");
        let between = consistency_proof(older, size, &tree.tiles).expect("a proof");

        let hash = tlog_tiles::Hash;
        let leaf_hash = hash(tree.leaves[index as usize]);
        prop_assert_eq!(tlog_tiles::record_hash(&leaf(index)).0, leaf_hash.0);
        prop_assert!(tlog_tiles::check_record(&theirs(&path), size, hash(new), index, leaf_hash).is_ok());
        prop_assert!(tlog_tiles::check_tree(&theirs(&between), size, hash(new), older, hash(old)).is_ok());
        // And they are no yes-men.
        prop_assert!(tlog_tiles::check_record(&theirs(&path), size, hash([1; 32]), index, leaf_hash).is_err());

        let new_root = RootHash::<Sha256>::new(new.into(), size);
        let proof = InclusionProof::<Sha256>::try_from_bytes(path.concat()).expect("hashes");
        prop_assert!(new_root.verify_inclusion(&leaf(index), index, &proof).is_ok());
        prop_assert!(new_root.verify_inclusion(&leaf(index + 1), index, &proof).is_err());
        let proof = ConsistencyProof::<Sha256>::try_from_bytes(between.concat()).expect("hashes");
        prop_assert!(new_root.verify_consistency(&RootHash::new(old.into(), older), &proof).is_ok());
        prop_assert!(new_root.verify_consistency(&RootHash::new([1; 32].into(), older), &proof).is_err());
    }

    #[test]
    fn the_port_of_sumdb_opens_our_checkpoints(size in 0..=MOST, seed: [u8; 32]) {
        let key = note::SigningKey::from_seed(ORIGIN, &seed).expect("a key");
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root: root(size, &tree().tiles).expect("whole") };
        let signed = checkpoint.sign(&[&key, &signing_key()]).expect("a note");
        let opened = Note::from_bytes(signed.as_bytes()).expect("a note");
        let verifier = StandardVerifier::new(&key.verifier().to_string()).expect("a key");
        let (right, unknown) = opened.verify(&VerifierList::new(vec![Box::new(verifier)])).expect("verified");
        prop_assert_eq!((right.len(), unknown.len()), (1, 1));
        prop_assert_eq!(right[0].id(), key.verifier().id());
        let read = tlog_tiles::Checkpoint::from_bytes(opened.text()).expect("a checkpoint");
        prop_assert_eq!((read.origin(), read.size(), read.hash().0), (ORIGIN, size, checkpoint.root));
        // And ours opens what theirs has signed, with our key as they read it.
        let signer = signed_note::StandardSigner::new(&key.to_text()).expect("a key");
        let mut note = Note::new(checkpoint.to_string().as_bytes(), &[]).expect("a text");
        note.add_sigs(&[&signer]).expect("signed");
        let trusted = [key.verifier().clone()];
        let ours = Checkpoint::open(&note.to_bytes(), ORIGIN, &trusted).map(|signed| signed.checkpoint);
        prop_assert_eq!(ours, Ok(checkpoint));
    }
}

//! Published vectors: what others say is a proof and what is none.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use forewarn::evidence::merkle::{Hash, MerkleError, leaf_hash, verify_consistency, verify_inclusion};
use serde_json::Value;

fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/evidence/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&fs_err::read(path).expect("a fixture")).expect("JSON")
}

fn octets(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().expect("a text")).expect("base64")
}

/// A hash, if it has the length of one: what has another cannot even be given to ours.
fn hash(value: &Value) -> Option<Hash> {
    octets(value).try_into().ok()
}

fn hashes(value: &Value) -> Option<Vec<Hash>> {
    value.as_array().expect("a list").iter().map(hash).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

/// Whether both agree on each, but for those of which a hash has another length; of these there are `untyped`.
fn agree(kind: &str, untyped: [usize; 2], verify: impl Fn(&Value) -> Option<Result<(), MerkleError>>) {
    let all = fixture("merkle.json");
    let vectors = all[kind].as_array().expect("a list");
    assert_eq!(vectors.len(), 98);
    let mut counted = [0, 0];
    let mut good = 0;
    for vector in vectors {
        let wrong = vector["wantErr"].as_bool().expect("a verdict");
        match verify(vector) {
            Some(verdict) => assert_eq!(verdict.is_err(), wrong, "{vector}: {verdict:?}"),
            None => counted[usize::from(wrong)] += 1,
        }
        good += usize::from(!wrong);
    }
    assert_eq!((counted, good), (untyped, 6), "{kind}");
}

#[test]
fn transparency_dev_agrees_on_inclusion() {
    agree("inclusion", [0, 26], |v| {
        let (leaf, root, proof) = (hash(&v["leafHash"])?, hash(&v["root"])?, hashes(&v["proof"])?);
        Some(verify_inclusion(&leaf, number(&v["leafIdx"]), number(&v["treeSize"]), &proof, &root))
    });
}

#[test]
fn transparency_dev_agrees_on_consistency() {
    // The good one that has no root of 32 octets: two equal texts as roots of the same size.
    agree("consistency", [1, 26], |v| {
        let (old, new, proof) = (hash(&v["root1"])?, hash(&v["root2"])?, hashes(&v["proof"])?);
        Some(verify_consistency(number(&v["size1"]), &old, number(&v["size2"]), &new, &proof))
    });
}

#[test]
fn a_log_of_a_thousand_million_leaves_is_proven() {
    let log = fixture("ct-log.json");
    let (size, root) = (number(&log["size"]), hash(&log["root"]).expect("a hash"));
    let leaf = leaf_hash(&octets(&log["leaf"]));
    let path = hashes(&log["path"]).expect("hashes");
    assert_eq!(verify_inclusion(&leaf, number(&log["index"]), size, &path, &root), Ok(()));
    assert_eq!(verify_inclusion(&leaf, number(&log["index"]) + 1, size, &path, &root), Err(MerkleError::OtherRoot));
    let (old, old_root) = (number(&log["oldSize"]), hash(&log["oldRoot"]).expect("a hash"));
    let proof = hashes(&log["consistency"]).expect("hashes");
    assert_eq!(verify_consistency(old, &old_root, size, &root, &proof), Ok(()));
    assert!(verify_consistency(old + 1, &old_root, size, &root, &proof).is_err());
    assert_eq!(verify_consistency(old, &root, size, &root, &proof), Err(MerkleError::OtherOldRoot));
}

//! What anybody has at hand verifies our files: the openssl command line, and WebCrypto in Node.js.

use super::{ORIGIN, leaf, leaf_hashes, signing_key};
use crate::support::verifiers::{NODE, OPENSSL};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use forewarn::evidence::checkpoint::Checkpoint;
use forewarn::evidence::disclosure::SaltKey;
use forewarn::evidence::proof_file::{ProofFile, Trust};
use forewarn::evidence::tiles::{TileBuilder, inclusion_proof};

const SIZE: u64 = 1000;
const INDEX: u64 = 777;

fn proof() -> ProofFile {
    let growth = TileBuilder::new().append(&leaf_hashes(SIZE));
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: growth.size, root: growth.root };
    ProofFile {
        index: INDEX,
        hashes: inclusion_proof(INDEX, SIZE, &growth.tiles).expect("a proof"),
        extra: None,
        checkpoint: checkpoint.sign(&[&signing_key()]).expect("signed"),
    }
}

#[test]
fn openssl_verifies_a_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, octets: &[u8]| fs_err::write(folder.path().join(name), octets).expect("written");
    let proof = proof();
    let (text, lines) = proof.checkpoint.split_once("\n\n").expect("a note");
    let signature = STANDARD.decode(lines.trim_end().rsplit(' ').next().expect("a signature")).expect("base64");
    // A public key as X.509 has it: a fixed beginning, then the 32 octets.
    let spki =
        [&const_hex::decode("302a300506032b6570032100").expect("digits")[..], &signing_key().verifier().octets()];
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(spki.concat()));
    write("log.pem", pem.as_bytes());
    write("signature", &signature[4..]);
    write("good", format!("{text}\n").as_bytes());
    write("other", format!("{text}\n").replacen("\n1000\n", "\n1001\n", 1).as_bytes());
    let verify = |file: &str| {
        let line = format!("pkeyutl -verify -pubin -inkey log.pem -rawin -in {file} -sigfile signature");
        OPENSSL.run(folder.path(), &line)
    };
    let Some((well, said)) = verify("good") else { return };
    assert!(well && said.contains("Signature Verified Successfully"), "{said}");
    let (well, said) = verify("other").expect("it is there");
    assert!(!well && said.contains("Signature Verification Failure"), "{said}");
}

#[test]
fn openssl_makes_the_commitment_of_a_disclosure() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = SaltKey::new(&[3; 32]);
    let value = forewarn::evidence::canonical::Value::Text("jürgen \"j\" <j@example.org>\n".to_owned());
    let disclosure = key.disclose("01JD", "addr", value).expect("a disclosure");
    fs_err::write(folder.path().join("addr.json"), disclosure.to_octets()).expect("written");
    let Some((well, said)) = OPENSSL.run(folder.path(), "dgst -sha256 -r addr.json") else { return };
    assert!(well, "{said}");
    let commitment = key.commit("01JD", "addr", "jürgen \"j\" <j@example.org>\n").expect("a commitment");
    assert_eq!(said.split(' ').next(), Some(commitment.as_str()));
}

#[test]
fn node_verifies_a_proof_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/evidence/verify.mjs");
    let proof = proof();
    let vkey = signing_key().verifier().to_string();
    fs_err::write(path("leaf.json"), leaf(INDEX)).expect("written");
    let verdict = |text: &str| {
        fs_err::write(path("leaf.tlog-proof"), text).expect("written");
        NODE.run(folder.path(), &format!("--no-warnings {script} leaf.tlog-proof leaf.json {vkey}"))
    };
    let text = proof.to_string();
    let Some((well, said)) = verdict(&text) else { return };
    assert!(well && said.trim() == "VALID: leaf 777 of 1000", "{said}");
    let log_keys = vec![signing_key().verifier().clone()];
    let trust = Trust { origin: ORIGIN.to_owned(), log_keys, witnesses: Vec::new(), quorum: 0 };
    assert!(proof.verify(&leaf(INDEX), &trust).is_ok());
    for (bad, why) in [
        (text.replacen("index 777", "index 776", 1), "INVALID: the leaf is not in the log"),
        (text.replacen("\n1000\n", "\n1001\n", 1), "INVALID: the signature is wrong"),
        (text.replacen("tlog-proof@v1", "tlog-proof@v2", 1), "INVALID: no proof"),
    ] {
        let (well, said) = verdict(&bad).expect("it is there");
        assert!(!well && said.trim() == why, "{said}");
        let ours = ProofFile::parse(bad.as_bytes()).is_ok_and(|proof| proof.verify(&leaf(INDEX), &trust).is_ok());
        assert!(!ours, "{why}");
    }
    let other = fs_err::write(path("leaf.json"), leaf(INDEX + 1));
    other.expect("written");
    let (well, said) = verdict(&text).expect("it is there");
    assert!(!well && said.trim() == "INVALID: the leaf is not in the log", "{said}");
}

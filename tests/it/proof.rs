//! Proof of notification by the binary: bundles, what they show and do not show, lost databases and keys, erasure.

use crate::support::place::{Place, unzipped};
use forewarn::evidence::note::VerifierKey;
use forewarn::evidence::proof_file::{ProofFile, Trust};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

const LIST: &str = "ref,name,email,phone,locale\nP-1,Ann Smith,ann@example.com,+4915112345671,en\nP-2,王小明,\
                    w@example.org,+8613912345678,en\nP-3,Bob Brown,,+4915112345673,de\n";
const LADDER: &str = "{ channel = \"email\" }, { channel = \"sms\", when = \"not-delivered\", after = \"4h\" }";

fn text(files: &BTreeMap<String, Vec<u8>>, name: &str) -> String {
    let octets = files.get(name).unwrap_or_else(|| panic!("no {name}"));
    String::from_utf8(octets.clone()).expect("UTF-8")
}

/// Everything in a folder, with the files below it.
fn everything(folder: &Path) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for entry in fs_err::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { all.extend(everything(&path)) } else { all.push(fs_err::read(path).expect("read")) }
    }
    all
}

fn holds(octets: &[u8], what: &[u8]) -> bool {
    octets.windows(what.len()).any(|window| window == what)
}

#[test]
fn a_bundle_shows_what_was_sent_to_the_octet_and_nothing_of_others() {
    let place = Place::started(LADDER, LIST);
    place.ok("proof close ID");
    let made = place.json("proof person ID P-2 --out p2.zip --by dora --json");
    place.ok("proof verify p2.zip");
    place.ok(&format!("proof verify p2.zip --vkey {}", made["vkey"].as_str().expect("a key")));
    assert_eq!(made["withheld"], serde_json::json!([]), "{made}");
    let files = unzipped(&place.path("p2.zip"));
    let (name, message) = files.iter().find(|(name, _)| name.ends_with("message.eml")).expect("the message");
    assert!(everything(&place.path("outbox")).iter().any(|sent| sent == message), "what was written out was another");
    assert!(holds(message, b"\r\nForewarn-Log: sha256="), "a witness of the log");
    let index = name.split('/').nth(1).expect("a number");
    let disclosed = text(&files, &format!("disclosures/{index}/msg_sha256.json"));
    assert!(disclosed.contains(&const_hex::encode(Sha256::digest(message))));
    let leaf: Value = serde_json::from_slice(&files[&format!("events/{index}.json")]).expect("JSON");
    assert_eq!(leaf["com"]["msg_sha256"], const_hex::encode(Sha256::digest(&disclosed)));
    for (name, octets) in &files {
        for other in ["Ann Smith", "ann@example.com", "4915112345671", "P-1", "Bob Brown", "4915112345673", "P-3"] {
            assert!(!holds(octets, other.as_bytes()), "{other} in {name}");
        }
    }
    let page = text(&files, "certificate.html");
    for word in ["王小明", "P-2", "w@example.org", "Example Ltd", "alice", "bob", "Certificate of notification"] {
        assert!(page.contains(word), "{word}");
    }
    // That it was asked for is a fact of the next one.
    place.ok("proof person ID P-2 --out again.zip --by dora");
    let again = unzipped(&place.path("again.zip"));
    assert!(again.values().any(|octets| holds(octets, b"\"by\",\"dora\"")));
    assert_eq!(place.refused("proof person ID P-2 --out p2.zip"), "already-exists");
    assert_eq!(place.refused("proof person ID P-9 --out p9.zip"), "no-such-person");
    assert!(!place.path("p9.zip").exists());
}

#[test]
fn no_leaf_names_anybody() {
    let place = Place::started(LADDER, LIST);
    place.ok("campaign pause ID --reason Ann-Smith-called");
    place.ok("proof close ID");
    let database = fs_err::read(place.path("forewarn.db")).expect("read");
    assert!(holds(&database, b"\"ev\":\"attempt.ended\""), "leaves are in it");
    for (what, known) in [("Ann Smith", false), ("ann@example.com", false), ("13912345678", false), ("P-2", false)] {
        assert_eq!(holds(&database, what.as_bytes()), known, "{what}");
    }
}

#[test]
fn a_database_that_was_rolled_back_or_went_on_by_itself_is_refused() {
    let place = Place::new(LADDER, LIST);
    place.ok("campaign approve ID --by bob");
    place.ok("worker --once");
    let yesterday = fs_err::read(place.path("forewarn.db")).expect("read");
    place.ok("campaign start ID --wait");
    let today = fs_err::read(place.path("forewarn.db")).expect("read");
    fs_err::write(place.path("forewarn.db"), &yesterday).expect("restored");
    assert_eq!(place.refused("campaign status ID"), "log-rolled-back");
    assert_eq!(place.refused("worker --once"), "log-rolled-back");

    // Somebody who hides the file of heads, lets the old database go on and puts the file back.
    let heads = fs_err::read(place.path("checkpoints.log")).expect("read");
    fs_err::remove_file(place.path("checkpoints.log")).expect("hidden");
    place.ok("campaign start ID --wait");
    place.ok("proof person ID P-1 --out thief.zip");
    place.ok("proof person ID P-1 --out thief2.zip");
    fs_err::write(place.path("checkpoints.log"), &heads).expect("put back");
    assert_eq!(place.refused("campaign status ID"), "log-forked");

    fs_err::write(place.path("forewarn.db"), &today).expect("the right one");
    place.ok("campaign status ID");
    assert_eq!(place.refused("proof recover --accept-loss --reason none"), "nothing-lost");

    // Where the right one is lost, a new log says so.
    fs_err::write(place.path("forewarn.db"), &yesterday).expect("restored");
    let done = place.json("proof recover --accept-loss --reason fire --by erin --json");
    assert!(done["lost"].as_u64().expect("a number") > 0, "{done}");
    assert_eq!(done["kept"].as_array().expect("a list").len(), 2);
    place.ok("campaign start ID --wait");
    place.ok("proof close ID");
    place.ok("proof person ID P-1 --out after.zip");
    let database = fs_err::read(place.path("forewarn.db")).expect("read");
    assert!(holds(&database, b"\"ev\":\"log.restored\""));
}

#[test]
fn a_leaf_that_was_changed_is_found_when_the_log_is_read() {
    let place = Place::started(LADDER, "ref,name,email\nP-1,Ann Smith,ann@example.com\n");
    place.ok("proof person ID P-1 --out before.zip");
    let path = place.path("forewarn.db");
    let mut database = fs_err::read(&path).expect("read");
    let at = database.windows(20).position(|window| window == b"\"res\":\"accepted\",\"ro").expect("a leaf");
    database[at + 8] = b'x';
    fs_err::write(&path, &database).expect("written");
    // What is hashed already does not change with the leaf: the leaf is what no proof leads from.
    let done = place.run("proof person ID P-1 --out after.zip");
    let files = if done.status.success() { unzipped(&place.path("after.zip")) } else { return };
    let before = unzipped(&place.path("before.zip"));
    let mut changed = files.iter().filter(|(name, octets)| {
        name.starts_with("events/") && name.ends_with(".json") && before.get(*name).is_some_and(|b| b != *octets)
    });
    let (name, octets) = changed.next().expect("the leaf is in the bundle");
    let proof = text(&files, &name.replace(".json", ".tlog-proof"));
    let key = VerifierKey::parse(text(&files, "log.vkey").trim()).expect("a key");
    let trust = Trust { origin: key.name().to_owned(), log_keys: vec![key], witnesses: Vec::new(), quorum: 0 };
    let proof = ProofFile::parse(proof.as_bytes()).expect("a proof");
    assert!(proof.verify(octets, &trust).is_err(), "{name}");
    assert!(proof.verify(&before[name], &trust).is_ok(), "{name}");
    let verdict = place.refused("proof verify after.zip");
    assert!(verdict.as_str().is_some_and(|code| !code.is_empty()), "{verdict}");
}

#[test]
fn the_key_of_the_log_is_guarded() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::started(LADDER, LIST);
    let key = place.path("log.key");
    assert_eq!(fs_err::metadata(&key).expect("there").permissions().mode() & 0o777, 0o600);
    fs_err::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("set");
    assert_eq!(place.refused("proof close ID"), "log-key");
    fs_err::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("set");
    let right = fs_err::read(&key).expect("read");
    fs_err::write(&key, "PRIVATE+KEY+rubbish\n").expect("written");
    assert_eq!(place.refused("proof close ID"), "log-key");
    fs_err::remove_file(&key).expect("lost");
    assert_eq!(place.refused("proof close ID"), "log-key");
    assert!(!key.exists(), "no new key is made in its place");
    fs_err::write(&key, right).expect("put back");
    fs_err::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("set");
    place.ok("proof close ID");
}

#[test]
fn whoever_is_owed_something_is_not_erased() {
    let place = Place::new(LADDER, LIST);
    assert_eq!(place.refused("erase ID --ref P-1 --reason asked-for"), "still-owed");
    assert_eq!(place.refused("erase ID --reason asked-for"), "still-owed");
    place.ok("campaign cancel ID --reason over");
    place.ok("erase ID --ref P-1 --reason asked-for");
}

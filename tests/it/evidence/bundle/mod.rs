//! Bundles: a valid one passes everywhere, and whatever is changed in one is found, by us and by verifiers that share no
//! code with us.

mod changes;
mod command;
mod judges;
mod made;
mod zips;

use super::ORIGIN;
use forewarn::evidence::bundle::layout;
use forewarn::evidence::bundle::tree_proof::TreeProof;
use forewarn::evidence::checkpoint::Checkpoint;
use forewarn::evidence::merkle::leaf_hash;
use forewarn::evidence::proof_file::ProofFile;
use forewarn::evidence::timestamp::authority::Authority;
use judges::{codes, ours, zipped};
use made::{Plot, bundle};
use signed_note::{Note, StandardVerifier, VerifierList};
use zip::CompressionMethod;

#[test]
fn a_valid_bundle_passes_everywhere() {
    let made = bundle(Plot { stamped: true, ..Plot::default() });
    let folder = tempfile::tempdir().expect("a folder");
    let key = made.key.verifier();
    for (name, method) in [("stored.zip", CompressionMethod::Stored), ("packed.zip", CompressionMethod::Deflated)] {
        let zip = zipped(&made.files, method);
        let verdict = ours(&zip, Some(key));
        assert!(verdict.is_valid() && verdict.warnings.is_empty(), "{:?} {:?}", verdict.refused, verdict.warnings);
        fs_err::write(folder.path().join(name), zip).expect("written");
    }
    let written = std::io::Cursor::new(Vec::new());
    let mut zip = written;
    forewarn::app::proof::zip::write(&made.files, &mut zip).expect("written");
    assert!(ours(zip.get_ref(), None).is_valid());
    fs_err::write(folder.path().join("written.zip"), zip.get_ref()).expect("written");
    let names = ["stored.zip", "packed.zip", "written.zip"];
    for trusted in [None, Some(key.to_string())] {
        for (who, verdicts) in judges::others(folder.path(), &names, trusted.as_deref()) {
            for (file, codes) in verdicts {
                assert!(codes.is_empty(), "{who} on {file}: {codes:?}");
            }
        }
    }
}

#[test]
fn the_verdict_says_what_is_proven_what_is_not_shown_and_what_stays_closed() {
    let made = bundle(Plot::default());
    let verdict = forewarn::evidence::bundle::verify(&made.files, None);
    let proven = verdict.proven.join("\n");
    let (end, seal, close) = (made.at.second_end, made.at.seal, made.at.close);
    for part in [
        format!("All {} files are as the key of the log sealed them.", made.files.len()),
        "6 facts about the person and 3 about the campaign 2026-001-abcde are in the log".to_owned(),
        format!(
            "Fact {end}, 2026-09-21T14:16:55Z: attempt 2 by email to contact 1 ended: accepted, answer 250 2.0.0; disclosed \
             and right: the address, the message, the exchange."
        ),
        "a report came back on attempt 2 by email to contact 1: delivered.".to_owned(),
        format!("in a list of 2 persons to be told (fact {seal}), before any attempt"),
        format!("(fact {close}) names exactly the 5 shown here, of all facts before number {close}."),
    ] {
        assert!(proven.contains(&part), "{part}\nis not in\n{proven}");
    }
    let undisclosed: Vec<_> = verdict.undisclosed.iter().map(|u| (u.file.as_str(), u.label.as_str())).collect();
    let receipt = layout::event(made.at.receipt);
    assert_eq!(undisclosed, [(receipt.as_str(), "id"), (layout::RECIPIENT_LEAF, "to.0")]);
    let no_stamps = "When anything happened, by another clock than the sender's: there is no anchors/.";
    assert_eq!(verdict.not_shown, [no_stamps]);
    let signer = verdict.signer.expect("a key");
    assert_eq!((signer.known, signer.fingerprint), (false, made.key.verifier().fingerprint()));
    let known = forewarn::evidence::bundle::verify(&made.files, Some(made.key.verifier()));
    assert!(known.signer.expect("a key").known);
    // Nothing that was disclosed is in the verdict: it may be logged.
    let all = format!("{proven} {:?} {:?}", verdict.undisclosed, verdict.manifest);
    assert!(!all.contains("jane@") && !all.contains("R-1"));
}

#[test]
fn the_verdict_says_what_an_authority_has_stamped() {
    let made = bundle(Plot { stamped: true, ..Plot::default() });
    let Some(authority) = made::authority() else { return };
    let roots = Authority::parse(&fs_err::read(authority.root()).expect("read")).expect("certificates");
    let verdict = forewarn::evidence::bundle::verify(&made.files, None);
    assert!(verdict.is_valid() && verdict.not_shown.is_empty(), "{:?} {:?}", verdict.refused, verdict.not_shown);
    let proven = verdict.proven.join("\n");
    for part in [
        "The log had its first 11 facts by 20",
        "says a time-stamping authority: 9 of the 9 shown here.",
        roots.fingerprints()[0].as_str(),
        "Fact 11 of the log holds the digest of that time stamp",
        "0 of the facts shown here.",
        "The log had its first 12 facts by 20",
    ] {
        assert!(proven.contains(part), "{part}\nis not in\n{proven}");
    }
}

#[test]
fn what_a_bundle_leaves_out_is_said_and_is_no_fault() {
    let made = bundle(Plot::default());
    let files = made.stolen(|files| {
        files.retain(|path, _| !path.starts_with("recipient/") && !path.starts_with("closing/"));
        files.remove(&layout::payload(made.at.second_end, "message.eml"));
        files.insert("witnesses/1.txt".to_owned(), b"a cosignature".to_vec());
        made::with_manifest(files, |manifest| manifest.withheld.push("The message: it was erased.".to_owned()));
    });
    let verdict = forewarn::evidence::bundle::verify(&files, None);
    assert!(verdict.is_valid(), "{:?}", verdict.refused);
    let not_shown = verdict.not_shown.join("\n");
    for part in
        ["no recipient/", "no closing/", "The message of fact", "Withheld, as the bundle says: The message: it was"]
    {
        assert!(not_shown.contains(part), "{part}: {not_shown}");
    }
    let warned: Vec<_> = verdict.warnings.iter().map(|w| (w.reason.as_str(), w.file.as_str())).collect();
    assert_eq!(warned, [("unknown-file", "witnesses/1.txt")]);
}

#[test]
fn a_clock_that_was_set_back_is_a_warning() {
    let made = bundle(Plot { clock_back: true, ..Plot::default() });
    let verdict = forewarn::evidence::bundle::verify(&made.files, None);
    assert!(verdict.is_valid(), "{:?}", verdict.refused);
    let warned: Vec<_> = verdict.warnings.iter().map(|w| (w.reason.as_str(), w.file.clone())).collect();
    assert_eq!(warned, [("clock-back", layout::event(made.at.receipt))]);
}

/// The port of Go's sumdb to Rust opens seal and head, and follows every path; ct-merkle follows those of the trees.
#[test]
fn libraries_of_others_verify_a_bundle() {
    let made = bundle(Plot::default());
    let vkey = String::from_utf8(made.files[layout::VKEY].clone()).expect("text");
    let text_of = |path: &str| {
        let note = Note::from_bytes(&made.files[path]).expect("a note");
        let verifier = StandardVerifier::new(vkey.trim_end()).expect("a key");
        let (right, unknown) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).expect("verified");
        assert_eq!((right.len(), unknown.len()), (1, 0), "{path}");
        note.text().to_vec()
    };
    assert!(text_of(layout::SEAL).starts_with(b"forewarn bundle\nsha256 "));
    let head = tlog_tiles::Checkpoint::from_bytes(&text_of(layout::CHECKPOINT)).expect("a head");
    assert_eq!(head.origin(), ORIGIN);
    let own =
        Checkpoint::open(&made.files[layout::CHECKPOINT], ORIGIN, &[made.key.verifier().clone()]).expect("a head");
    assert_eq!((head.size(), head.hash().0), (own.checkpoint.size, own.checkpoint.root));
    let theirs = |hashes: &[[u8; 32]]| hashes.iter().map(|hash| tlog_tiles::Hash(*hash)).collect::<Vec<_>>();
    let mut followed = 0;
    for (path, leaf) in made.files.iter().filter(|(path, _)| path.starts_with("events/") && path.ends_with(".json")) {
        let proof = ProofFile::parse(&made.files[&path.replace(".json", ".tlog-proof")]).expect("a proof");
        let hash = tlog_tiles::record_hash(leaf);
        let size = own.checkpoint.size;
        let root = tlog_tiles::Hash(own.checkpoint.root);
        assert!(tlog_tiles::check_record(&theirs(&proof.hashes), size, root, proof.index, hash).is_ok(), "{path}");
        followed += 1;
    }
    assert_eq!(followed, 9);
    for (leaf, proof) in
        [(layout::RECIPIENT_LEAF, layout::RECIPIENT_PROOF), (layout::CLOSING_LEAF, layout::CLOSING_PROOF)]
    {
        let proof = TreeProof::parse(&made.files[proof]).expect("a proof");
        let root = ct_merkle::RootHash::<sha2::Sha256>::new(proof.root.into(), proof.size);
        let path = ct_merkle::InclusionProof::<sha2::Sha256>::try_from_bytes(proof.path.concat()).expect("hashes");
        assert!(root.verify_inclusion(&made.files[leaf], proof.index, &path).is_ok(), "{leaf}");
        let hash = tlog_tiles::Hash(leaf_hash(&made.files[leaf]));
        let root = tlog_tiles::Hash(proof.root);
        assert!(tlog_tiles::check_record(&theirs(&proof.path), proof.size, root, proof.index, hash).is_ok(), "{leaf}");
    }
}

#[test]
fn a_key_that_is_not_the_readers_is_refused_everywhere() {
    let made = bundle(Plot { seed: Some(8), ..Plot::default() });
    let zip = zipped(&made.files, CompressionMethod::Stored);
    assert!(ours(&zip, None).is_valid(), "it is a sound bundle of somebody else's log");
    let own = super::signing_key();
    let verdict = ours(&zip, Some(own.verifier()));
    assert_eq!(codes(&verdict).into_iter().collect::<Vec<_>>(), ["other-key"]);
    let message = &verdict.refused[0].message;
    assert!(message.contains(&made.key.verifier().fingerprint()) && message.contains(&own.verifier().fingerprint()));
    let folder = tempfile::tempdir().expect("a folder");
    fs_err::write(folder.path().join("a.zip"), zip).expect("written");
    for (who, verdicts) in judges::others(folder.path(), &["a.zip"], Some(&own.verifier().to_string())) {
        assert_eq!(verdicts["a.zip"], codes(&verdict), "{who}");
    }
}

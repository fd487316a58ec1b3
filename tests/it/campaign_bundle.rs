//! The bundle of a whole campaign: what it shows, that a stranger can make its sums again, and that lies are found, also
//! those of somebody who holds the log's key.

use crate::support::app::{Engine, on_both_engines};
use crate::support::place::{Place, unzipped};
use crate::support::verifiers::PYTHON;
use forewarn::app::proof::{open_campaign, zip as zip_file};
use forewarn::evidence::bundle::campaign::{LARGEST_PART, log_part, persons_part};
use forewarn::evidence::bundle::{Files, layout, sums};
use forewarn::evidence::merkle::leaf_hash;
use forewarn::evidence::note::SigningKey;
use rand::{Rng as _, SeedableRng as _};
use std::path::Path;

const LADDER: &str = "{ channel = \"email\" }, { channel = \"sms\", when = \"not-delivered\", after = \"4h\" }";
const LIST: &str = "ref,name,email,phone,locale\nP-1,Ann Smith,ann@example.com,+4915112345671,en\nP-2,王小明,\
                    w@example.org,+8613912345678,en\nP-3,Bob Brown,,+4915112345673,de\n";

/// A campaign of three, behind one of four hundred others in the same log, closed after one of the three was erased.
fn closed(place: Place) -> Place {
    let others: String = (0..400).map(|n| format!("Q-{n},Jane Roe {n},roe{n}@example.net,,en\n")).collect();
    let place = place.with_campaign(LADDER, &format!("ref,name,email,phone,locale\n{others}"));
    place.ok("campaign approve ID --by bob");
    place.ok("campaign start ID --wait");
    let place = place.with_campaign(LADDER, LIST);
    place.ok("campaign approve ID --by bob");
    place.ok("campaign start ID --wait");
    place.ok("campaign pause ID --reason lunch");
    place.ok("erase ID --ref P-3 --reason asked-for");
    place.ok("proof close ID");
    place
}

/// The codes with which a bundle is refused; none where it is valid.
fn codes(zip: &Path) -> Vec<String> {
    let verdict = open_campaign::verify(zip, None);
    match verdict {
        Ok(verdict) => verdict.expect("a campaign's").refused.iter().map(|f| f.reason.as_str().to_owned()).collect(),
        Err(error) => vec![error.to_string()],
    }
}

async fn a_stranger_makes_the_sums_again_and_sees_nobody(engine: Engine) {
    let place = closed(Place::on(engine).await);
    let made = place.json("proof campaign ID --out c.zip --by dora --json");
    assert_eq!(made["withheld"], serde_json::json!([]), "{made}");
    let summary = &made["summary"];
    assert_eq!(summary["persons"], 3);
    assert_eq!(summary["closing"]["persons"]["satisfied"], 3, "{made}");
    assert_eq!(summary["closing"]["notices"]["email"]["accepted"], 2, "{made}");
    assert_eq!(summary["attempts"]["sms"]["accepted"], 1, "{made}");
    let said = place.json("proof verify c.zip --json");
    assert_eq!((&said["valid"], &said["summary"], &said["warnings"]), (&true.into(), summary, &serde_json::json!([])));
    place.ok(&format!("proof verify c.zip --vkey {}", made["vkey"].as_str().expect("a key")));
    let files = unzipped(&place.path("c.zip"));
    let log = String::from_utf8(files[&log_part(0)].clone()).expect("UTF-8");
    assert!(log.lines().filter(|line| line.starts_with("8 ")).count() >= 2, "facts of others are hashes, 256 at once");
    let of_others = log.lines().filter(|line| line.starts_with('{') && !line.contains(&place.campaign)).count();
    assert_eq!(of_others, 0);
    for (name, octets) in &files {
        for other in ["Ann Smith", "ann@example.com", "4915112345671", "P-1", "王小明", "Jane Roe", "Q-17"] {
            let found = octets.windows(other.len()).any(|window| window == other.as_bytes());
            assert!(!found, "{other} in {name}");
        }
    }
    fs_err::create_dir_all(place.path("verify")).expect("made");
    for name in [layout::VERIFY_PY, "verify/verify_campaign.py"] {
        fs_err::write(place.path(name), &files[name]).expect("written");
    }
    if let Some((valid, said)) = PYTHON.run(&place.path(""), "verify/verify_campaign.py c.zip") {
        assert!(valid && said.contains("no fact before number"), "{said}");
    }
    // That it was asked for is a fact of the next one; and nothing is written over.
    let again = place.json("proof campaign ID --out again.zip --json");
    assert_eq!(again["summary"]["facts"]["note"], summary["facts"]["note"].as_u64().expect("a number") + 1);
    assert_eq!(place.refused("proof campaign ID --out c.zip"), "already-exists");
    assert_eq!(place.run("proof campaign 2026-999-xxxxx --out n.zip").status.code(), Some(2));
    assert!(!place.path("n.zip").exists());
}

on_both_engines!(a_stranger_makes_the_sums_again_and_sees_nobody);

#[test]
fn any_changed_octet_is_found() {
    let place = Place::started(LADDER, LIST);
    place.ok("proof close ID");
    place.ok("proof campaign ID --out c.zip");
    let files = unzipped(&place.path("c.zip"));
    let names: Vec<&String> = files.keys().collect();
    let mut lots = rand::rngs::StdRng::seed_from_u64(5);
    let changed = place.path("changed.zip");
    for turn in 0..200 {
        let name = names[turn % names.len()];
        let mut files = files.clone();
        let octets = files.get_mut(name).expect("there");
        let at = usize::try_from(lots.next_u64()).expect("64 bits") % octets.len();
        let old = octets[at];
        while octets[at] == old {
            octets[at] = lots.next_u64() as u8;
        }
        zip_file::write(&files, fs_err::File::create(&changed).expect("made")).expect("written");
        assert!(!codes(&changed).is_empty(), "octet {at} of {name}");
    }
    for name in names {
        let mut files = files.clone();
        files.remove(name);
        zip_file::write(&files, fs_err::File::create(&changed).expect("made")).expect("written");
        let whole = open_campaign::verify(&changed, None).expect("a zip");
        assert!(whole.is_none_or(|verdict| !verdict.is_valid()), "without {name}");
    }
}

/// A lie of somebody who can sign as the log: what is changed, and the code that names it.
type Lie = (&'static str, fn(&mut Files), &'static str);

fn edit(files: &mut Files, name: &str, change: impl FnOnce(Vec<String>) -> Vec<String>) {
    let text = String::from_utf8(files[name].clone()).expect("UTF-8");
    let lines = change(text.lines().map(str::to_owned).collect());
    files.insert(name.to_owned(), lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes());
}

fn replace(files: &mut Files, name: &str, from: &str, to: &str) {
    let text = String::from_utf8(files[name].clone()).expect("UTF-8");
    assert!(text.contains(from), "{from} in {name}");
    files.insert(name.to_owned(), text.replacen(from, to, 1).into_bytes());
}

fn disclosure_of(files: &Files, label: &str) -> String {
    let end = format!("/{label}.json");
    files.keys().find(|name| name.starts_with("disclosures/") && name.ends_with(&end)).expect("one").clone()
}

const LIES: [Lie; 12] = [
    ("a person is left out", |files| edit(files, &persons_part(0), |lines| lines[1..].to_vec()), "bad-recipient"),
    (
        "a person is another",
        |files| {
            edit(files, &persons_part(0), |mut lines| {
                let last = lines[2].rsplit(' ').next().expect("a hash").to_owned();
                let first = lines[0].rsplit(' ').next().expect("a hash").to_owned();
                lines[0] = lines[0].replace(&first, &last);
                lines
            });
        },
        "bad-recipient",
    ),
    (
        "names are exchanged",
        |files| {
            edit(files, &persons_part(0), |mut lines| {
                let name = |line: &str| line.split(' ').nth(1).expect("a name").to_owned();
                let (first, second) = (name(&lines[0]), name(&lines[1]));
                lines[0] = lines[0].replace(&first, &second);
                lines[1] = lines[1].replace(&second, &first);
                lines
            });
        },
        "bad-closing",
    ),
    (
        "a fact is withheld behind its hash",
        |files| {
            edit(files, &log_part(0), |lines| {
                let hide = |line: String| {
                    if line.contains("attempt.ended") && line.contains("sms") {
                        format!("0 {}", const_hex::encode(leaf_hash(line.as_bytes())))
                    } else {
                        line
                    }
                };
                lines.into_iter().map(hide).collect()
            });
        },
        "bad-closing",
    ),
    ("a fact is changed", |files| replace(files, &log_part(0), "\"accepted\"", "\"bad-address\""), "bad-log"),
    ("the log is cut", |files| edit(files, &log_part(0), |lines| lines[..lines.len() - 1].to_vec()), "bad-log"),
    (
        "facts change places",
        |files| {
            edit(files, &log_part(0), |mut lines| {
                let last = lines.len() - 1;
                lines.swap(last - 1, last);
                lines
            });
        },
        "bad-log",
    ),
    ("the sums are nicer", |files| replace(files, "summary.json", "\"persons\": 3", "\"persons\": 4"), "bad-summary"),
    (
        "a closing is hidden",
        |files| {
            let from = String::from_utf8(files[layout::MANIFEST].clone()).expect("UTF-8");
            let at = from.find("\"closing\":[").expect("there") + 11;
            let number = from[at..].split(']').next().expect("a number").to_owned();
            replace(files, layout::MANIFEST, &format!("\"closing\":[{number}]"), "\"closing\":[]");
        },
        "bad-closing",
    ),
    (
        "it is another campaign",
        |files| replace(files, layout::MANIFEST, "{\"campaign\":\"t", "{\"campaign\":\"u"),
        "other-campaign",
    ),
    (
        "somebody else approved",
        |files| {
            let name = disclosure_of(files, "list");
            replace(files, &name, "\",\"list\",\"", "\",\"list\",\"x");
        },
        "wrong-disclosure",
    ),
    (
        "a disclosure belongs nowhere",
        |files| {
            let octets = files[&disclosure_of(files, "by")].clone();
            files.insert(layout::disclosure(1_000_000, "by"), octets);
        },
        "stray-file",
    ),
];

#[test]
fn whoever_holds_the_key_cannot_lie_either() {
    let place = closed(Place::empty());
    place.ok("proof campaign ID --out c.zip");
    let files = unzipped(&place.path("c.zip"));
    let key = fs_err::read_to_string(place.path("log.key")).expect("the key");
    let key = SigningKey::parse(key.trim()).expect("a key");
    fs_err::create_dir_all(place.path("verify")).expect("made");
    for name in [layout::VERIFY_PY, "verify/verify_campaign.py"] {
        fs_err::write(place.path(name), &files[name]).expect("written");
    }
    let sealed = |lie: fn(&mut Files)| {
        let mut files = files.clone();
        lie(&mut files);
        sums::finish(&mut files, &key).expect("sealed");
        let path = place.path("lie.zip");
        zip_file::write(&files, fs_err::File::create(&path).expect("made")).expect("written");
        path
    };
    assert_eq!(codes(&sealed(|_| {})), Vec::<String>::new(), "sealed again it is what it was");
    for (what, lie, want) in LIES {
        let found = codes(&sealed(lie));
        assert!(found.iter().any(|code| code == want), "{what}: {found:?}");
        if let Some((valid, said)) = PYTHON.run(&place.path(""), "verify/verify_campaign.py lie.zip") {
            assert!(!valid && said.contains("REFUSED"), "{what}: {said}");
        }
    }
}

#[test]
fn a_part_that_would_fill_the_memory_is_not_unpacked() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bomb.zip");
    let zeros = usize::try_from(LARGEST_PART).expect("fits") + 1;
    let files = Files::from([(log_part(0), vec![b'0'; zeros])]);
    zip_file::write(&files, fs_err::File::create(&path).expect("made")).expect("written");
    match open_campaign::verify(&path, None) {
        Err(error) => assert!(error.to_string().contains("octets"), "{error}"),
        Ok(verdict) => panic!("{verdict:?}"),
    }
    assert!(fs_err::metadata(&path).expect("there").len() < 1 << 20);
}

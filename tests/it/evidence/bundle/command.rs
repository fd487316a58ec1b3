//! `forewarn proof verify` from outside, and the bundles that the program itself makes.

use super::judges::{self, zipped};
use super::made::{Plot, bundle, without_fact};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use zip::CompressionMethod;

/// In a folder without configuration or database.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
    command.current_dir(folder).env_remove("FOREWARN_CONFIG").env("FOREWARN_LOG", "warn").stdin(Stdio::null());
    command.args(arguments).output().expect("the binary runs")
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

#[test]
fn the_command_says_what_it_found_in_words_and_codes() {
    let made = bundle(Plot::default());
    let folder = tempfile::tempdir().expect("a folder");
    let put = |name: &str, octets: &[u8]| fs_err::write(folder.path().join(name), octets).expect("written");
    let files = made.stolen(|files| without_fact(files, made.at.receipt));
    put("good.zip", &zipped(&made.files, CompressionMethod::Deflated));
    put("bad.zip", &zipped(&files, CompressionMethod::Deflated));
    put("not.zip", b"no zip");
    let vkey = made.key.verifier().to_string();
    put("log.vkey", format!("{vkey}\n").as_bytes());

    let good = run(folder.path(), &["proof", "verify", "good.zip"]);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stderr));
    let page = text(&good.stdout);
    for part in ["VALID: good.zip\n", &made.key.verifier().fingerprint(), "compare the fingerprint", "Proven:\n- All "]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    for key in [vkey.as_str(), "log.vkey"] {
        let known = run(folder.path(), &["proof", "verify", "good.zip", "--vkey", key, "--json"]);
        assert_eq!(known.status.code(), Some(0), "{}", text(&known.stderr));
        let answer: Value = serde_json::from_slice(&known.stdout).expect("one JSON object");
        assert_eq!((&answer["valid"], &answer["key"]["known"]), (&Value::Bool(true), &Value::Bool(true)));
        assert_eq!(answer["facts"], 9);
        assert!(answer.get("refused").is_none());
    }
    let bad = run(folder.path(), &["proof", "verify", "bad.zip", "--json"]);
    assert_eq!(bad.status.code(), Some(3));
    let answer: Value = serde_json::from_slice(&bad.stdout).expect("one JSON object");
    assert_eq!(answer["refused"][0]["code"], "fact-withheld");
    assert_eq!(answer["refused"][0]["file"], format!("events/{}.json", made.at.receipt));
    assert!(text(&bad.stderr).contains("refused: fact-withheld: A fact is withheld: "), "{}", text(&bad.stderr));
    for (arguments, code, said) in [
        (["not.zip", "--vkey", &vkey], 3, "refused: not-a-zip: "),
        (["none.zip", "--vkey", &vkey], 2, "there is no file none.zip"),
        (["good.zip", "--vkey", "nothing"], 2, "--vkey is neither a key nor a file"),
        (["good.zip", "--vkey", "not.zip"], 2, "the file not.zip holds no key"),
        ([".", "--vkey", &vkey], 2, "is a folder"),
    ] {
        let done = run(folder.path(), &[&["proof", "verify"], &arguments[..]].concat());
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {}", text(&done.stderr));
        assert!(text(&done.stderr).contains(said), "{arguments:?}: {}", text(&done.stderr));
    }
}

#[test]
fn the_page_says_what_it_found_in_words() {
    let made = bundle(Plot::default());
    let folder = tempfile::tempdir().expect("a folder");
    let put = |name: &str, octets: &[u8]| fs_err::write(folder.path().join(name), octets).expect("written");
    let files = made.stolen(|files| without_fact(files, made.at.receipt));
    put("good.zip", &zipped(&made.files, CompressionMethod::Deflated));
    put("dropped.zip", &zipped(&files, CompressionMethod::Deflated));
    put("no.zip", b"<script>alert(1)</script>");
    let vkey = made.key.verifier().to_string();
    let (all, end) = (["good.zip", "dropped.zip", "no.zip"], made.at.second_end);
    let Some(shown) = judges::shown(folder.path(), &all, Some(&vkey)) else { return };
    for part in [
        "<p valid> VALID: good.zip\n".to_owned(),
        format!("<li> All {} files are as they were sealed.\n", made.files.len()),
        format!("<li> Fact {end}, 2026-09-21T14:16:55Z: attempt 2 by email to contact 1 ended: accepted.\n"),
        format!("<code> {}\n<p> It is the key you gave.\n", made.key.verifier().fingerprint()),
        format!("<li> Not disclosed: id of events/{}.json\n", made.at.receipt),
        "<p refused> REFUSED: dropped.zip\n".to_owned(),
        "closing/leaf.json names it, and the bundle does not show it (fact-withheld).\n".to_owned(),
        "<p refused> REFUSED: no.zip\n<h2> Why it is refused\n<li> The zip: the file is no zip (not-a-zip).\n"
            .to_owned(),
    ] {
        assert!(shown.contains(&part), "{part} is not in {shown}");
    }
    let shown = judges::shown(folder.path(), &["good.zip"], None).expect("it is there");
    assert!(shown.contains("anybody can make a key: compare its fingerprint"), "{shown}");
    let shown = judges::shown(folder.path(), &["good.zip"], Some("nonsense")).expect("it is there");
    assert!(shown.contains("<p refused> It could not be checked: a key is written NAME+ID+BASE64."), "{shown}");
}

/// The page loads nothing and asks for nothing, so that it may be used without a network.
#[test]
fn the_page_reaches_out_to_nobody() {
    let page = forewarn::evidence::bundle::VERIFIER_IN_A_PAGE;
    assert!(page.contains("content=\"default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'\""));
    for word in ["http", "src=", "href=", "import", "fetch(", "XMLHttpRequest", "innerHTML", "eval(", "url("] {
        let allowed = usize::from(word == "http") + usize::from(word == "import");
        // `http-equiv` of the policy itself, and `importKey`.
        assert!(page.matches(word).count() <= allowed, "{word}");
    }
}

/// The whole way: a demonstration sends, the campaign is closed, and each kind of person is proven and verified.
#[test]
fn what_the_program_proves_passes_everywhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("demo");
    let done = run(folder.path(), &["demo", "--dir", "demo", "--json", "--no-serve"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let answer: Value = serde_json::from_slice(&done.stdout).expect("one JSON object");
    let campaign = answer["campaign"].as_str().expect("an id");
    let ok = |arguments: &[&str]| {
        let done = run(&place, arguments);
        assert_eq!(done.status.code(), Some(0), "{arguments:?}: {}", text(&done.stderr));
        done
    };
    ok(&["proof", "close", campaign]);
    let mut names = Vec::new();
    for reference in ["LB-24001", "LB-24002", "LB-24006", "LB-24009"] {
        let name = format!("{reference}.zip");
        let made = ok(&["proof", "person", campaign, reference, "--out", &name, "--json"]);
        let made: Value = serde_json::from_slice(&made.stdout).expect("one JSON object");
        let vkey = made["vkey"].as_str().expect("a key");
        let verified = ok(&["proof", "verify", &name, "--vkey", vkey, "--json"]);
        let verdict: Value = serde_json::from_slice(&verified.stdout).expect("one JSON object");
        // What is known only when it is over is written down later than it began.
        let warnings = verdict["warnings"].as_array().expect("a list");
        assert!(warnings.iter().all(|warning| warning["code"] == "clock-back"), "{reference}: {warnings:?}");
        let proven = verdict["proven"].to_string();
        for part in ["ended: ", "before any attempt", "No fact about the person is left out"] {
            assert!(proven.contains(part), "{reference}: {part}: {proven} {}", verdict["not_shown"]);
        }
        names.push(name);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (who, verdicts) in judges::others(&place, &names, None) {
        for (file, codes) in verdicts {
            assert!(codes.is_empty(), "{who} on {file}: {codes:?}");
        }
    }
}

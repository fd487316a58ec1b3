//! A zip that is not a plain one is refused before anything in it is believed.

use super::judges::{self, Codes, codes, ours, zipped};
use super::made::{Plot, bundle};
use forewarn::evidence::bundle::Files;
use std::io::{Cursor, Write as _};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

const LOCAL: &[u8] = b"PK\x03\x04";
const LISTED: &[u8] = b"PK\x01\x02";
/// How long the record at the end is.
const END: usize = 22;

fn plain() -> Vec<u8> {
    let files = Files::from([("aaaa", "first"), ("bbbb", "second")].map(|(path, text)| (path.to_owned(), text.into())));
    zipped(&files, CompressionMethod::Stored)
}

fn named(names: &[&str]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for name in names {
        zip.start_file(*name, SimpleFileOptions::default()).expect("a file");
        zip.write_all(b"x").expect("written");
    }
    zip.finish().expect("a zip").into_inner()
}

/// Every place of these octets.
fn places(zip: &[u8], what: &[u8]) -> Vec<usize> {
    zip.windows(what.len()).enumerate().filter(|(_, part)| *part == what).map(|(at, _)| at).collect()
}

/// Replaces octets wherever they are, by as many.
fn replaced(mut zip: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let places = places(&zip, from);
    assert!(places.len() >= 2, "{from:?} is not in both headers");
    for at in places {
        zip[at..at + to.len()].copy_from_slice(to);
    }
    zip
}

/// Sets octets at a distance from the beginning of each header of this kind.
fn patched(mut zip: Vec<u8>, header: &[u8], at: usize, octets: &[u8]) -> Vec<u8> {
    for place in places(&zip, header) {
        zip[place + at..place + at + octets.len()].copy_from_slice(octets);
    }
    zip
}

fn both(zip: Vec<u8>, at: usize, octets: &[u8]) -> Vec<u8> {
    patched(patched(zip, LOCAL, at, octets), LISTED, at + 2, octets)
}

fn number(zip: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(zip[at..at + 4].try_into().expect("four octets"))
}

/// Puts octets in, and corrects all that says where things are: to a program that trusts the list, all is well.
fn inserted(zip: &[u8], at: usize, octets: &[u8]) -> Vec<u8> {
    let mut zip = zip.to_vec();
    let add = octets.len() as u32;
    for place in places(&zip, LISTED) {
        let start = number(&zip, place + 42);
        if start as usize >= at {
            zip[place + 42..place + 46].copy_from_slice(&(start + add).to_le_bytes());
        }
    }
    let end = zip.len() - END;
    let directory = number(&zip, end + 16);
    zip[end + 16..end + 20].copy_from_slice(&(directory + add).to_le_bytes());
    zip.splice(at..at, octets.iter().copied());
    zip
}

fn link() -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_symlink("log.vkey", "/etc/passwd", SimpleFileOptions::default()).expect("a link");
    zip.finish().expect("a zip").into_inner()
}

/// Twenty megabytes of zeros that say they were ten octets.
fn bomb() -> Vec<u8> {
    let files = Files::from([("zeros".to_owned(), vec![0; 20 << 20])]);
    both(zipped(&files, CompressionMethod::Deflated), 22, &10u32.to_le_bytes())
}

fn many() -> Vec<u8> {
    let names: Vec<String> = (0..10_001).map(|number| format!("f{number}")).collect();
    named(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn cases() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let zip = plain();
    let second = places(&zip, LOCAL)[1];
    let list = places(&zip, LISTED)[0];
    let mut comment = zip.clone();
    comment.splice(zip.len() - 2.., [2, 0, b'h', b'i']);
    let mut other_count = zip.clone();
    other_count[zip.len() - 14..zip.len() - 10].copy_from_slice(&[1, 0, 1, 0]);
    let mut cases = vec![
        ("nothing", Vec::new(), "not-a-zip"),
        ("a text", b"Dear Sir or Madam".to_vec(), "not-a-zip"),
        ("a program before it", [b"#!/bin/sh\n".to_vec(), zip.clone()].concat(), "zip-hidden"),
        ("a program before it that is counted in", inserted(&zip, 0, b"PK#!/bin/sh\n"), "zip-hidden"),
        ("something between", inserted(&zip, second, b"hidden"), "zip-hidden"),
        ("something before the list", inserted(&zip, list, b"hidden"), "zip-hidden"),
        ("something behind it", [zip.clone(), b"more".to_vec()].concat(), "zip-hidden"),
        ("another zip behind it", [zip.clone(), zip.clone()].concat(), "zip-hidden"),
        ("a comment", comment, "zip-hidden"),
        ("a list that is cut", other_count, "zip-hidden"),
        ("cut", zip[..zip.len() - 30].to_vec(), "zip-hidden"),
        ("another name before the file", patched(zip.clone(), LOCAL, 30, b"cccc"), "zip-hidden"),
        ("the same name twice", replaced(named(&["aaaa", "bbbb"]), b"bbbb", b"aaaa"), "zip-duplicate"),
        ("the same name in capitals", named(&["SEAL", "Seal"]), "zip-duplicate"),
        ("a file that is a folder", named(&["events", "events/1.json"]), "zip-path"),
        ("a link", link(), "zip-link"),
        ("a folder with content", replaced(named(&["aaaa", "bbbb"]), b"bbbb", b"bbb/"), "zip-link"),
        ("encrypted", both(zip.clone(), 6, &[1, 0]), "zip-encrypted"),
        ("packed in another way", both(zip.clone(), 8, &[12, 0]), "zip-method"),
        ("another checksum", both(zip.clone(), 14, &[1, 2, 3, 4]), "zip-damaged"),
        ("too many files", many(), "zip-too-many"),
        ("said to be large", both(zip.clone(), 22, &(300u32 << 20).to_le_bytes()), "zip-too-large"),
        ("a bomb", bomb(), "zip-damaged"),
    ];
    for name in [
        "/etc/passwd",
        "../evil.py",
        "a/../../evil",
        "a//b",
        "./a",
        "..",
        "a\\b",
        "C:evil",
        "a\nb",
        "a\u{1b}[2J",
        "ü",
        "a b",
    ] {
        cases.push((name, named(&[name]), "zip-path"));
    }
    cases
}

#[test]
fn every_attack_on_the_zip_is_refused_with_its_reason() {
    let cases = cases();
    let folder = tempfile::tempdir().expect("a folder");
    let mut names = Vec::new();
    for (number, (what, zip, code)) in cases.iter().enumerate() {
        let verdict = ours(zip, None);
        assert_eq!(codes(&verdict), Codes::from([(*code).to_owned()]), "{what:?}: {:?}", verdict.refused);
        let finding = &verdict.refused[0];
        assert!(finding.message.ends_with('.') && !finding.message.contains(['\u{1b}', '\n']), "{finding:?}");
        let name = format!("{number}.zip");
        fs_err::write(folder.path().join(&name), zip).expect("written");
        names.push(name);
    }
    // The others need not say the same, but must not fall over, nor believe a thing.
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (who, verdicts) in judges::others(folder.path(), &names, None) {
        for ((what, ..), name) in cases.iter().zip(&names) {
            assert!(!verdicts[*name].is_empty(), "{who} believes {what:?}");
        }
    }
}

#[test]
fn folders_without_content_are_let_pass() {
    let made = bundle(Plot::default());
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_directory("events", SimpleFileOptions::default()).expect("a folder");
    for (path, octets) in &made.files {
        zip.start_file(path.as_str(), SimpleFileOptions::default()).expect("a file");
        zip.write_all(octets).expect("written");
    }
    let zip = zip.finish().expect("a zip").into_inner();
    let verdict = ours(&zip, None);
    assert!(verdict.is_valid(), "{:?}", verdict.refused);
    let folder = tempfile::tempdir().expect("a folder");
    fs_err::write(folder.path().join("a.zip"), zip).expect("written");
    for (who, verdicts) in judges::others(folder.path(), &["a.zip"], None) {
        assert!(verdicts["a.zip"].is_empty(), "{who}: {verdicts:?}");
    }
}

#[test]
fn no_beginning_of_a_zip_makes_the_reader_fall() {
    let made = bundle(Plot::default());
    let zip = zipped(&made.files, CompressionMethod::Deflated);
    for length in (0..zip.len()).step_by(97).chain(zip.len() - 200..zip.len()) {
        assert!(!ours(&zip[..length], None).is_valid(), "{length}");
    }
}

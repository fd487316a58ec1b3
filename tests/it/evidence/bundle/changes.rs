//! Whatever is changed in a bundle is found, with the reason that it should have.

use super::judges::{self, Lots, codes, ours, zipped};
use super::made::{self, Made, OTHER, Plot, bundle, replace, with_manifest, without_fact};
use crate::support::authority::How;
use forewarn::app::proof::open::read_bundle;
use forewarn::evidence::bundle::layout::Stamp;
use forewarn::evidence::bundle::manifest::{About, Listed};
use forewarn::evidence::bundle::{Files, layout, sums};
use std::collections::BTreeMap;
use zip::CompressionMethod;

/// Who finds a change: all verifiers, all but the page (who has signed a time stamp), or only ours (the order of attempts).
#[derive(Clone, Copy, PartialEq)]
enum By {
    All,
    Terminal,
    Us,
}

type Case = (&'static str, Files, &'static str, By);

/// What somebody without the key can do to the files.
fn by_anybody(made: &Made, elsewhere: &Made) -> Vec<Case> {
    let changed = |change: &dyn Fn(&mut Files)| {
        let mut files = made.files.clone();
        change(&mut files);
        files
    };
    let rename = |files: &mut Files, from: &str, to: &str| {
        let octets = files.remove(from).expect("it is there");
        files.insert(to.to_owned(), octets);
    };
    let cut = |path: &str| changed(&|files| files.get_mut(path).expect("it is there").truncate(20));
    let swapped =
        |path: &'static str| changed(&|files| drop(files.insert(path.to_owned(), elsewhere.files[path].clone())));
    let resummed = changed(&|files| {
        files.insert("README.txt".to_owned(), b"Believe everything.\n".to_vec());
        let text = sums::sums_of(files);
        files.insert(layout::SUMS.to_owned(), text.into_bytes());
    });
    let event = layout::event(made.at.receipt);
    vec![
        ("a file is missing", changed(&|files| drop(files.remove("README.txt"))), "missing-file", By::All),
        ("a fact is missing", changed(&|files| drop(files.remove(&event))), "missing-file", By::All),
        ("no sums", changed(&|files| drop(files.remove(layout::SUMS))), "missing-file", By::All),
        ("no seal", changed(&|files| drop(files.remove(layout::SEAL))), "missing-file", By::All),
        ("no key", changed(&|files| drop(files.remove(layout::VKEY))), "missing-file", By::All),
        ("no head", changed(&|files| drop(files.remove(layout::CHECKPOINT))), "missing-file", By::All),
        ("no manifest", changed(&|files| drop(files.remove(layout::MANIFEST))), "missing-file", By::All),
        ("nothing at all", Files::new(), "missing-file", By::All),
        ("added", changed(&|files| drop(files.insert("more.txt".to_owned(), vec![1]))), "added-file", By::All),
        ("renamed", changed(&|files| rename(files, "README.txt", "LIESMICH.txt")), "renamed-file", By::All),
        ("a fact renamed", changed(&|files| rename(files, &event, "events/99.json")), "renamed-file", By::All),
        ("a fact under no name", changed(&|files| rename(files, &event, "events/x.json")), "stray-file", By::All),
        ("a file of another bundle", swapped("events/1.json"), "changed-file", By::All),
        ("sums of another", swapped(layout::SUMS), "bad-seal", By::All),
        ("seal of another", swapped(layout::SEAL), "bad-seal", By::All),
        ("key of another", swapped(layout::VKEY), "bad-seal", By::All),
        ("head of another", swapped(layout::CHECKPOINT), "bad-checkpoint", By::All),
        ("sums made again", resummed, "bad-seal", By::All),
        ("sums cut", cut(layout::SUMS), "bad-sums", By::All),
        ("key cut", cut(layout::VKEY), "bad-key", By::All),
    ]
}

/// What whoever has the key of the log can do, who did not have it when the facts were signed.
fn by_a_thief(made: &Made, elsewhere: &Made) -> Vec<Case> {
    let at = made.at;
    let (event, proof) = (layout::event(at.second_end), layout::event_proof(at.second_end));
    let address = layout::disclosure(at.second_end, "addr");
    let message = layout::payload(at.second_end, "message.eml");
    let edit = |path: &str, from: &str, to: &str| made.stolen(|files| replace(files, path, from, to));
    let remove = |path: &str| made.stolen(|files| drop(files.remove(path)));
    let put = |path: &str, octets: &[u8]| made.stolen(|files| drop(files.insert(path.to_owned(), octets.to_vec())));
    let manifest = layout::MANIFEST;
    vec![
        ("another answer", edit(&event, "\"res\":\"accepted\"", "\"res\":\"delivered\""), "bad-proof", By::All),
        ("another time", edit(&event, "2026-09-21T14", "2026-09-20T14"), "bad-proof", By::All),
        ("no canonical form", edit(&event, "{\"camp\"", "{ \"camp\""), "bad-event", By::All),
        ("a key twice", edit(&event, "\"v\":1}", "\"v\":1,\"v\":1}"), "bad-event", By::All),
        ("no fact", edit(&event, "\"ev\":", "\"ew\":"), "bad-event", By::All),
        ("a proof of another fact", edit(&proof, &format!("index {}", at.second_end), "index 2"), "bad-proof", By::All),
        ("no proof", edit(&proof, "tlog-proof@v1", "tlog-proof@v2"), "bad-proof", By::All),
        ("proof missing", remove(&proof), "missing-event", By::All),
        ("fact missing", remove(&event), "missing-event", By::All),
        ("another head in a proof", edit(&proof, "\n11\n", "\n12\n"), "other-checkpoint", By::All),
        ("another head", put(layout::CHECKPOINT, &elsewhere.files[layout::CHECKPOINT]), "bad-checkpoint", By::All),
        ("another size", edit(manifest, "\"checkpoint\":11", "\"checkpoint\":12"), "other-checkpoint", By::All),
        ("another log", edit(manifest, "forewarn/test", "forewarn/other"), "other-checkpoint", By::All),
        ("another campaign", edit(manifest, "2026-001-abcde", "2026-002-abcde"), "other-campaign", By::All),
        ("another person", edit(manifest, super::made::JANE, OTHER), "other-person", By::All),
        ("another format", edit(manifest, "bundle/1", "bundle/2"), "bad-manifest", By::All),
        ("a manifest that says more", edit(manifest, "\"kind\"", "\"and\":1,\"kind\""), "bad-manifest", By::All),
        (
            "about the campaign",
            made.stolen(|files| {
                with_manifest(files, |m| {
                    let listed = m.events.iter_mut().find(|listed| listed.index == at.receipt).expect("listed");
                    listed.about = About::Campaign;
                });
            }),
            "other-person",
            By::All,
        ),
        (
            "unlisted",
            made.stolen(|files| with_manifest(files, |m| m.events.retain(|listed| listed.index != at.receipt))),
            "unlisted-event",
            By::All,
        ),
        (
            "listed, not there",
            made.stolen(|files| {
                with_manifest(files, |m| m.events.insert(3, Listed { index: 3, about: About::Person }))
            }),
            "missing-event",
            By::All,
        ),
        ("another address", edit(&address, "jane@", "joan@"), "wrong-disclosure", By::All),
        ("another label", edit(&address, "\"addr\"", "\"cust\""), "bad-disclosure", By::All),
        ("no disclosure", edit(&address, "[", " ["), "bad-disclosure", By::All),
        ("to nothing", put(&layout::disclosure(at.second_end, "x"), br#"["","x",1]"#), "bad-disclosure", By::All),
        ("another message", edit(&message, "a breach", "no breach"), "payload-changed", By::All),
        ("not opened", remove(&layout::disclosure(at.second_end, "msg_sha256")), "payload-undisclosed", By::All),
        ("payload of nobody", put("payload/99/message.eml", b"x"), "stray-file", By::All),
        ("payload of no kind", put(&layout::payload(at.second_end, "x.bin"), b"x"), "stray-file", By::All),
    ]
}

/// What a thief can do to the trees, or could not do when the campaign ran.
fn by_a_thief_of_trees(made: &Made) -> Vec<Case> {
    let at = made.at;
    let told = |plot: Plot| bundle(plot).files;
    let edit = |path: &str, from: &str, to: &str| made.stolen(|files| replace(files, path, from, to));
    let remove = |path: &str| made.stolen(|files| drop(files.remove(path)));
    let open = |files: &mut Files| files.retain(|path, _| !path.starts_with("closing/"));
    let seal = format!("\"seal\":{}", at.seal);
    let (recipient, closing) = (layout::RECIPIENT_PROOF, layout::CLOSING_PROOF);
    vec![
        ("a receipt is withheld", made.stolen(|files| without_fact(files, at.receipt)), "fact-withheld", By::All),
        ("an attempt is withheld", made.stolen(|files| without_fact(files, at.first_start)), "fact-withheld", By::All),
        ("skipped", told(Plot { skipped: true, ..Plot::default() }), "not-a-recipient", By::All),
        ("sealed late", told(Plot { late: true, ..Plot::default() }), "sealed-too-late", By::All),
        ("a closing that forgets", told(Plot { forgetful: true, ..Plot::default() }), "fact-unknown", By::All),
        ("a closing that foresees", told(Plot { foresees: true, ..Plot::default() }), "bad-closing", By::All),
        ("facts of others", told(Plot { of_other: true, ..Plot::default() }), "other-person", By::All),
        ("ended, never begun", told(Plot { unstarted: true, ..Plot::default() }), "attempt-not-started", By::Us),
        (
            "an attempt before is left out, and nothing is closed",
            made.stolen(|files| {
                open(files);
                without_fact(files, at.first_start);
                without_fact(files, at.first_start + 2);
            }),
            "attempt-missing",
            By::Us,
        ),
        ("no leaf", remove(layout::RECIPIENT_LEAF), "bad-recipient", By::All),
        ("no path", remove(recipient), "bad-recipient", By::All),
        ("no closing leaf", remove(layout::CLOSING_LEAF), "bad-closing", By::All),
        ("another person's leaf", edit(layout::RECIPIENT_LEAF, "\"ord\":1", "\"ord\":2"), "not-a-recipient", By::All),
        ("another name", edit(layout::RECIPIENT_LEAF, super::made::JANE, OTHER), "other-person", By::All),
        ("a path to another fact", edit(recipient, &seal, "\"seal\":0"), "bad-recipient", By::All),
        ("a tree of another size", edit(recipient, "\"size\":2", "\"size\":3"), "bad-recipient", By::All),
        ("no path at all", edit(recipient, "\"index\"", "\"inbox\""), "bad-recipient", By::All),
        ("another place", edit(closing, "\"index\":0", "\"index\":1"), "not-in-closing", By::All),
        (
            "a closing without the receipt",
            edit(layout::CLOSING_LEAF, &format!(",{}]", at.receipt), "]"),
            "not-in-closing",
            By::All,
        ),
        (
            "disclosures of a leaf that is not there",
            made.stolen(|files| files.retain(|path, _| path != layout::RECIPIENT_LEAF && path != recipient)),
            "stray-file",
            By::All,
        ),
        (
            "a wrong disclosure of the list",
            edit(&layout::recipient_disclosure("ref"), "R-1", "R-2"),
            "wrong-disclosure",
            By::All,
        ),
    ]
}

/// What a thief can do to time stamps, with whatever answer he gets from an authority.
fn by_a_thief_of_stamps() -> Vec<Case> {
    let made = bundle(Plot { stamped: true, ..Plot::default() });
    if made::authority().is_none() {
        return Vec::new();
    }
    let path = |file: Stamp| layout::stamp(11, file);
    let note = String::from_utf8(made.files[&path(Stamp::Head)].clone()).expect("text");
    let edit = |file: Stamp, from: &str, to: &str| made.stolen(|files| replace(files, &path(file), from, to));
    let remove = |path: &str| made.stolen(|files| drop(files.remove(path)));
    let put = |path: &str, octets: &[u8]| made.stolen(|files| drop(files.insert(path.to_owned(), octets.to_vec())));
    // Without the fact, which holds the digest of the true answer.
    let answered = |how: How| {
        made.stolen(|files| {
            files.remove(&path(Stamp::Fact));
            files.remove(&path(Stamp::FactProof));
            files.insert(path(Stamp::Reply), made::stamp(how, &note).expect("it was there"));
        })
    };
    // A log of the same length with another past, under the same key, and stamped as well.
    let past = bundle(Plot { of_other: true, stamped: true, ..Plot::default() });
    let forked = made.stolen(|files| {
        for file in [Stamp::Head, Stamp::Reply, Stamp::Consistency] {
            files.insert(path(file), past.files[&path(file)].clone());
        }
    });
    let only_roots =
        made.stolen(|files| files.retain(|path, _| !path.starts_with("anchors/") || path == layout::TSA_CA));
    vec![
        ("no head that was stamped", remove(&path(Stamp::Head)), "anchor-missing", By::All),
        ("no answer", remove(&path(Stamp::Reply)), "anchor-missing", By::All),
        ("no growth", remove(&path(Stamp::Consistency)), "anchor-missing", By::All),
        ("a fact without proof", remove(&path(Stamp::FactProof)), "anchor-missing", By::All),
        ("a proof without fact", remove(&path(Stamp::Fact)), "anchor-missing", By::All),
        ("no root", remove(layout::TSA_CA), "anchor-missing", By::All),
        ("roots of nothing", only_roots, "stray-file", By::All),
        ("no stamp at all", put("anchors/x.tsr", b"x"), "stray-file", By::All),
        ("a head that is not signed", edit(Stamp::Head, "\n11\n", "\n10\n"), "bad-anchor", By::All),
        ("growth from elsewhere", edit(Stamp::Consistency, "old 11", "old 10"), "bad-anchor", By::All),
        ("no hashes", edit(Stamp::Consistency, "=\n", "\n"), "bad-anchor", By::All),
        ("no growth shown", put(&path(Stamp::Consistency), b"old 11\n"), "anchor-forked", By::All),
        ("another past", forked, "anchor-forked", By::All),
        ("another fact", edit(Stamp::Fact, "\"size\":11", "\"size\":10"), "bad-anchor", By::All),
        ("another place", edit(Stamp::FactProof, "index 11", "index 10"), "bad-anchor", By::All),
        ("a stamp that the log does not know", put(&path(Stamp::Reply), b"x"), "bad-anchor", By::All),
        ("no token", put(&layout::stamp(12, Stamp::Reply), b"0\x03\x02\x01\x02"), "bad-timestamp", By::All),
        ("a stamp over something else", answered(How::OtherImprint), "other-timestamp", By::All),
        ("another authority", answered(How::OtherRoot), "bad-timestamp", By::Terminal),
        ("an expired one", answered(How::Expired), "bad-timestamp", By::Terminal),
        ("a mailer's certificate", answered(How::NotForTimestamps), "bad-timestamp", By::Terminal),
        ("nobody's certificate", answered(How::NoCertificate), "bad-timestamp", By::Terminal),
        ("a broken signature", answered(How::Broken), "bad-timestamp", By::Terminal),
        ("roots that are none", put(layout::TSA_CA, b"-----BEGIN CERTIFICATE-----\n"), "bad-timestamp", By::Terminal),
    ]
}

#[test]
fn each_change_is_refused_with_its_reason_by_all_who_look_for_it() {
    let made = bundle(Plot::default());
    let elsewhere = bundle(Plot { seed: Some(8), late: true, ..Plot::default() });
    let mut cases = by_anybody(&made, &elsewhere);
    cases.extend(by_a_thief(&made, &elsewhere));
    cases.extend(by_a_thief_of_trees(&made));
    cases.extend(by_a_thief_of_stamps());
    let folder = tempfile::tempdir().expect("a folder");
    let mut names = Vec::new();
    for (number, (what, files, code, _)) in cases.iter().enumerate() {
        let zip = zipped(files, CompressionMethod::Stored);
        let verdict = ours(&zip, None);
        assert!(codes(&verdict).contains(*code), "{what}: {:?}", verdict.refused);
        assert!(verdict.proven.is_empty(), "{what}: what is refused proves nothing");
        for finding in &verdict.refused {
            assert!(finding.file.is_empty() || finding.message.contains(&finding.file), "{what}: {finding:?}");
            assert!(finding.message.ends_with('.') && !finding.message.contains("jane@"), "{what}: {finding:?}");
        }
        let name = format!("{number}.zip");
        fs_err::write(folder.path().join(&name), zip).expect("written");
        names.push(name);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (who, verdicts) in judges::others(folder.path(), &names, None) {
        for ((what, _, code, by), name) in cases.iter().zip(&names) {
            let said = &verdicts[*name];
            let looks = *by == By::All || *by == By::Terminal && who == "Python";
            assert!(!looks || said.contains(*code), "{who}: {what} should be {code}, is {said:?}");
        }
    }
}

#[test]
fn two_hundred_changed_octets_are_each_refused() {
    let made = bundle(Plot { stamped: true, ..Plot::default() });
    let paths: Vec<&String> = made.files.keys().collect();
    let mut lots = Lots::new(1);
    let folder = tempfile::tempdir().expect("a folder");
    let mut names = Vec::new();
    let mut seen: BTreeMap<&String, usize> = BTreeMap::new();
    for number in 0..200 {
        // Every file has its turn.
        let path = paths[number % paths.len()];
        let mut files = made.files.clone();
        let octets = files.get_mut(path).expect("it is there");
        let place = lots.below(octets.len());
        octets[place] ^= 1 + lots.below(255) as u8;
        let zip = zipped(&files, CompressionMethod::Stored);
        let verdict = ours(&zip, None);
        assert!(!verdict.is_valid(), "{path} at {place}");
        assert!(verdict.refused.iter().all(|finding| !finding.message.is_empty()));
        *seen.entry(path).or_default() += 1;
        let name = format!("{number}.zip");
        fs_err::write(folder.path().join(&name), zip).expect("written");
        names.push(name);
    }
    assert_eq!(seen.len(), made.files.len());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (who, verdicts) in judges::others(folder.path(), &names, None) {
        for (number, name) in names.iter().enumerate() {
            assert!(
                !verdicts[*name].is_empty(),
                "{who} believes {name}, where {} was changed",
                paths[number % paths.len()]
            );
        }
    }
}

/// A thief changes what he likes and seals it again: all verifiers come to one verdict, for the same reasons.
#[test]
fn whatever_a_thief_seals_all_verifiers_say_the_same() {
    let made = bundle(Plot { stamped: true, ..Plot::default() });
    // What is of a form; the text for people may say anything.
    // Who has signed a time stamp the page does not say.
    let stamped = |path: &str| path.ends_with(".tsr") || path == layout::TSA_CA;
    let people = ["README.txt", "certificate.html", layout::VERIFY_PY, layout::VERIFY_HTML];
    let sealed = [layout::SUMS, layout::SEAL];
    let formal = made.files.keys().filter(|path| !people.contains(&path.as_str()) && !sealed.contains(&path.as_str()));
    let paths: Vec<&String> = formal.filter(|path| !stamped(path)).collect();
    let signs: Vec<char> = "0123456789abcdefABCDEF{}[],:\"\\ \n+/=-.\u{0}\u{7f}\u{e9}\u{2028}".chars().collect();
    let mut lots = Lots::new(3);
    let folder = tempfile::tempdir().expect("a folder");
    let (mut names, mut verdicts) = (Vec::new(), Vec::new());
    for number in 0..400 {
        let path = paths[number % paths.len()];
        let files = made.stolen(|files| {
            for slim in people {
                files.remove(slim);
            }
            let mut text: Vec<char> = String::from_utf8(files[path].clone()).expect("text").chars().collect();
            let place = lots.below(text.len());
            let sign = signs[lots.below(signs.len())];
            match lots.below(4) {
                0 => drop(text.splice(place..place, [sign])),
                1 => drop(text.drain(place..=place)),
                _ => text[place] = sign,
            }
            files.insert(path.clone(), text.into_iter().collect::<String>().into_bytes());
        });
        let zip = zipped(&files, CompressionMethod::Stored);
        verdicts.push(codes(&ours(&zip, None)));
        let name = format!("{number}.zip");
        fs_err::write(folder.path().join(&name), zip).expect("written");
        names.push(name);
    }
    let refused = verdicts.iter().filter(|codes| !codes.is_empty()).count();
    assert!(refused > 350, "{refused} of 400");
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (who, theirs) in judges::others(folder.path(), &names, None) {
        for (number, name) in names.iter().enumerate() {
            let path = paths[number % paths.len()];
            let (theirs, own) = (&theirs[*name], &verdicts[number]);
            // Only we look at the order of attempts, which a fact that cannot be read upsets.
            let same = if path.starts_with("events/") { theirs.is_empty() == own.is_empty() } else { theirs == own };
            assert!(same, "{who}, {name}: a change of {path} is {theirs:?}, and {own:?} for us");
        }
    }
}

/// A changed zip is refused, or gives the very files that were put in (a time, say, means nothing).
#[test]
fn changed_octets_of_the_zip_are_refused_where_they_change_the_files() {
    let made = bundle(Plot::default());
    let mut lots = Lots::new(2);
    let (mut refused, mut same) = (0, 0);
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let zip = zipped(&made.files, method);
        // Most octets are content; headers and the list have as many turns.
        let list = zip.len() - 100 * made.files.len();
        for number in 0..400 {
            let mut zip = zip.clone();
            let place = if number % 2 == 0 { lots.below(zip.len()) } else { list + lots.below(zip.len() - list) };
            zip[place] ^= 1 + lots.below(255) as u8;
            let verdict = ours(&zip, None);
            if verdict.is_valid() {
                assert_eq!(read_bundle(&zip).expect("files"), made.files, "at {place}");
                same += 1;
            } else {
                refused += 1;
            }
        }
    }
    assert!(refused > 300 && same > 0, "{refused} refused, {same} the same");
}

//! Bundles of a whole campaign: every fact of it in the log, without anybody's name, and the sums that they add up to.
//!
//! | file | what |
//! |---|---|
//! | `log/FIRST.jsonl` | the log from leaf FIRST on, a line each: a leaf of the campaign or of the log itself to the octet; of others a hash ([`lines`]) |
//! | `persons/FIRST.txt` | every person: number, random name, hash of the leaf in the tree of recipients ([`persons`]) |
//! | `summary.json` | the sums, which follow from the log ([`summary`]) |
//! | `MANIFEST.json` | the campaign, the head, the facts that sealed its list and closed it ([`manifest`]) |
//!
//! The rest is as in the bundle of a person. Parts are bounded, so that they are made and checked one at a time, and next
//! to each other ([`check`]).

pub mod check;
pub mod lines;
pub mod manifest;
pub mod persons;
pub mod recount;
pub mod summary;
mod whole;

use super::super::decimal;

pub const SUMMARY: &str = "summary.json";
pub const CERTIFICATE: &str = "certificate.html";
pub const README: &str = "README.txt";
pub const DECLARATION: &str = "declaration.md";
pub const VERIFY: &str = "verify/verify_campaign.py";

/// A verifier for a terminal, to go into every bundle of a campaign as [`VERIFY`].
pub const VERIFIER_IN_PYTHON: &str = include_str!("verify_campaign.py");

/// A part of the log that shows facts begins with a leaf whose number is a multiple of this, and has as many at most.
pub const PART: u64 = 1 << 14;
/// Leaves of the largest subtree of others that is one line.
pub const SUBTREE: u64 = 1 << 16;
/// The most octets that a part of the log or of the persons has.
pub const LARGEST_PART: u64 = 64 << 20;
/// The most octets that the other files have together.
pub const LARGEST_REST: u64 = 64 << 20;
/// Persons of a part.
pub const PERSONS: u64 = 100_000;

/// The part of the log that begins with this leaf.
pub fn log_part(first: u64) -> String {
    format!("log/{first:012}.jsonl")
}

/// The part of the persons that begins with this one, counted from 0.
pub fn persons_part(first: u64) -> String {
    format!("persons/{first:012}.txt")
}

/// What a file of a campaign's bundle is, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Log(u64),
    Persons(u64),
    Disclosure(u64),
    /// It has a name of its own, or nothing is checked of it.
    Other,
}

/// What stands under this path.
pub fn place_of(path: &str) -> Place {
    let number = |file: &str, end: &str| file.strip_suffix(end).filter(|n| n.len() == 12).and_then(padded);
    let place = match path.split_once('/') {
        Some(("log", file)) => number(file, ".jsonl").map(Place::Log),
        Some(("persons", file)) => number(file, ".txt").map(Place::Persons),
        Some(("disclosures", rest)) => rest.split_once('/').and_then(|(n, _)| decimal(n)).map(Place::Disclosure),
        _ => None,
    };
    place.unwrap_or(Place::Other)
}

fn padded(digits: &str) -> Option<u64> {
    let short = digits.trim_start_matches('0');
    decimal(if short.is_empty() { "0" } else { short })
}

/// Whether the files are those of a campaign's bundle, by their names.
pub fn is_campaign<'n>(mut names: impl Iterator<Item = &'n str>) -> bool {
    names.any(|name| name == log_part(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_by_their_names() {
        for (path, want) in [
            (log_part(0).as_str(), Place::Log(0)),
            (log_part(65_536).as_str(), Place::Log(65_536)),
            (persons_part(100_000).as_str(), Place::Persons(100_000)),
            ("disclosures/7/by.json", Place::Disclosure(7)),
            ("log/7.jsonl", Place::Other),
            ("log/00000000000x.jsonl", Place::Other),
            ("log/0000000000000.jsonl", Place::Other),
            ("summary.json", Place::Other),
        ] {
            assert_eq!(place_of(path), want, "{path}");
        }
    }
}

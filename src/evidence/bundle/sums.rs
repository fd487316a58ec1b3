//! `SHA256SUMS` and `SEAL`: that no file of a bundle was changed, taken away or added since the log's key sealed it.

use super::super::merkle::Hash;
use super::super::note::{self, NoteError, SigningKey};
use super::Files;
use super::layout::{SEAL, SUMS};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// The sums of these files in the form of `sha256sum`, by path: of all but the sums themselves and their seal.
pub fn sums_of(files: &Files) -> String {
    let line = |(path, octets): (&String, &Vec<u8>)| format!("{}  {path}\n", const_hex::encode(Sha256::digest(octets)));
    files.iter().filter(|(path, _)| is_summed(path)).map(line).collect()
}

/// The same of files of which only the digests are at hand.
pub fn sums_of_digests(digests: &BTreeMap<String, Hash>) -> String {
    let summed = digests.iter().filter(|(path, _)| is_summed(path));
    summed.map(|(path, digest)| format!("{}  {path}\n", const_hex::encode(digest))).collect()
}

/// The seal over sums.
pub fn seal(sums: &str, key: &SigningKey) -> Result<String, NoteError> {
    note::sign(&seal_text(sums.as_bytes()), &[key])
}

/// The text that is sealed.
pub fn seal_text(sums: &[u8]) -> String {
    format!("forewarn bundle\nsha256 {}\n", const_hex::encode(Sha256::digest(sums)))
}

/// Adds sums and seal to files that are complete otherwise.
pub fn finish(files: &mut Files, key: &SigningKey) -> Result<(), NoteError> {
    let sums = sums_of(files);
    let seal = seal(&sums, key)?;
    files.insert(SUMS.to_owned(), sums.into_bytes());
    files.insert(SEAL.to_owned(), seal.into_bytes());
    Ok(())
}

pub(super) fn is_summed(path: &str) -> bool {
    path != SUMS && path != SEAL
}

/// Reads sums to the octet; else the number of the line that is wrong.
pub(super) fn parse(octets: &[u8]) -> Result<BTreeMap<&str, Hash>, usize> {
    let text = std::str::from_utf8(octets).map_err(|_| 1usize)?;
    let mut sums: BTreeMap<&str, Hash> = BTreeMap::new();
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let (path, digest) = sum(line).ok_or(number)?;
        if sums.last_key_value().is_some_and(|(before, _)| *before >= path) {
            return Err(number);
        }
        sums.insert(path, digest);
    }
    Ok(sums)
}

/// Path and digest of a line.
fn sum(line: &str) -> Option<(&str, Hash)> {
    let (digits, path) = line.strip_suffix('\n')?.split_once("  ")?;
    let small = digits.len() == 64 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let digest = const_hex::decode_to_array(digits).ok().filter(|_| small)?;
    (!path.is_empty() && is_summed(path)).then_some((path, digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_sha256sum() {
        let mut files = Files::from([("b".to_owned(), b"two".to_vec()), ("a/x".to_owned(), b"one".to_vec())]);
        let key = SigningKey::from_seed("a/log", &[1; 32]).unwrap();
        finish(&mut files, &key).unwrap();
        let want = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed  a/x\n\
                    3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3  b\n";
        assert_eq!(files[SUMS], want.as_bytes());
        assert_eq!(parse(want.as_bytes()).unwrap().keys().copied().collect::<Vec<_>>(), ["a/x", "b"]);
        let keys = [key.verifier().clone()];
        let opened = note::open(&files[SEAL], &keys).unwrap();
        assert_eq!(opened.text, format!("forewarn bundle\nsha256 {}\n", const_hex::encode(Sha256::digest(want))));
        // Sums and seal are not summed themselves.
        assert_eq!(sums_of(&files), want);
    }

    #[test]
    fn sums_have_one_form() {
        let digest = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
        let good = format!("{digest}  a\n{digest}  b\n");
        assert!(parse(good.as_bytes()).is_ok());
        for (from, to, line) in [
            ("  a", " *a", 1),
            ("  a", " a", 1),
            ("  a", "  ", 1),
            ("  a", "  SEAL", 1),
            ("  a", "  b", 2),
            ("  a", "  c", 2),
            ("  b\n", "  b", 2),
            ("7692c3ad", "7692C3AD", 1),
            ("7692", "0x92", 1),
            ("7692", "92", 1),
        ] {
            assert_eq!(parse(good.replacen(from, to, 1).as_bytes()).err(), Some(line), "{from:?} {to:?}");
        }
        assert_eq!(parse(&[0xff, b'\n']).err(), Some(1));
    }
}

//! `recipient/proof.json` and `closing/proof.json`: that a person's leaf is in a tree whose root is a fact of the log.

use super::super::canonical::{CannotWrite, NotCanonical, Object, Writer, read_object};
use super::super::merkle::Hash;

/// The longest path that a tree of less than 2^64 leaves has.
const LONGEST: usize = 64;

/// A path from a person's leaf to a root, and the fact that holds the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeProof {
    /// The number of the leaf in its tree, from 0.
    pub index: u64,
    /// The hashes beside the way to the root, the leaf's sibling first.
    pub path: Vec<Hash>,
    pub root: Hash,
    /// The number of the fact in the log that holds the root: of `campaign.seal`, or of `campaign.close`.
    pub seal: u64,
    /// How many leaves the tree has.
    pub size: u64,
}

/// Why there is no such proof.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum TreeProofError {
    #[error(transparent)]
    NotCanonical(#[from] NotCanonical),
    #[error("not a path to a root: it should have `index`, `path`, `root`, `seal` and `size`, and nothing else")]
    OtherForm,
}

impl TreeProof {
    /// The file.
    pub fn to_octets(&self) -> Result<String, CannotWrite> {
        let path: Vec<String> = self.path.iter().map(const_hex::encode).collect();
        Writer::object(|proof| {
            proof.number("index", self.index);
            proof.texts("path", path.iter().map(String::as_str));
            proof.text("root", &const_hex::encode(self.root));
            proof.number("seal", self.seal);
            proof.number("size", self.size);
        })
    }

    /// Reads the file to the octet: what is accepted is what [`TreeProof::to_octets`] writes.
    pub fn parse(octets: &[u8]) -> Result<TreeProof, TreeProofError> {
        let proof = read(&read_object(octets)?).ok_or(TreeProofError::OtherForm)?;
        let same = proof.to_octets().is_ok_and(|again| again.as_bytes() == octets);
        if same { Ok(proof) } else { Err(TreeProofError::OtherForm) }
    }
}

fn read(object: &Object) -> Option<TreeProof> {
    let hash = |text: &str| const_hex::decode_to_array(text).ok();
    let path = object.list("path").filter(|path| path.len() <= LONGEST)?;
    Some(TreeProof {
        index: object.number("index")?,
        path: path.iter().map(|text| hash(text.as_text()?)).collect::<Option<_>>()?,
        root: hash(object.text("root")?)?,
        seal: object.number("seal")?,
        size: object.number("size")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_the_format_says_and_read_back() {
        let proof = TreeProof { index: 1, path: vec![[0xab; 32]], root: [0xcd; 32], seal: 9, size: 2 };
        let octets = proof.to_octets().unwrap();
        let (ab, cd) = ("ab".repeat(32), "cd".repeat(32));
        assert_eq!(octets, format!(r#"{{"index":1,"path":["{ab}"],"root":"{cd}","seal":9,"size":2}}"#));
        assert_eq!(TreeProof::parse(octets.as_bytes()), Ok(proof));
        for (from, to) in [
            ("abab", "ABAB"),
            ("abab", "0xab"),
            ("abab", "ab"),
            ("\"seal\":9", "\"seal\":\"9\""),
            ("\"size\":2", "\"size\":2,\"sizes\":2"),
            ("\"index\":1,", ""),
            ("}", "}\n"),
        ] {
            let bad = octets.replacen(from, to, 1);
            assert!(bad != octets && TreeProof::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}

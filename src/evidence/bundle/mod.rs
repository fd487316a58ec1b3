//! Bundles: what shows a stranger how one person was told, as the files of a zip, and the verdict on them.
//!
//! Pure, as all of the log is: the files come as a map from path to octets. Whoever writes a bundle puts the files into
//! the map, with the names of [`layout`], and calls [`sums::finish`]; whoever reads one calls [`verify`].
//!
//! | module | what it is for |
//! |---|---|
//! | [`layout`] | where each file stands |
//! | [`manifest`] | `MANIFEST.json`: whose bundle it is, and which facts it shows |
//! | [`sums`] | `SHA256SUMS` and `SEAL`: that no file was changed, taken away or added |
//! | [`tree_proof`] | that a person is in the tree of recipients, or in a closing tree |

pub mod layout;
pub mod manifest;
pub mod sums;
pub mod tree_proof;

use std::collections::BTreeMap;

/// What the format is called.
pub const FORMAT: &str = "forewarn-bundle/1";

/// The files of a bundle by their path, in the order in which they stand in the zip.
pub type Files = BTreeMap<String, Vec<u8>>;

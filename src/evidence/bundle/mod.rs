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
//! | [`verdict`] | what is said of a bundle |
//! | [`anchors`] | the times that an authority has stamped |
//! | `frame`, `events`, `attempts`, `trees` | the other checks, in their order |
//! | `told` | what is proven, in sentences |
//! | [`campaign`] | the same for a whole campaign, whose facts come in parts |

pub mod anchors;
mod attempts;
pub mod campaign;
mod events;
mod frame;
pub mod layout;
pub mod manifest;
pub mod sums;
mod told;
pub mod tree_proof;
mod trees;
pub mod verdict;

use super::note::VerifierKey;
use std::collections::BTreeMap;
use verdict::Verdict;

/// What the format is called.
pub const FORMAT: &str = "forewarn-bundle/1";

/// The files of a bundle by their path, in the order in which they stand in the zip.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A verifier for a terminal, to go into every bundle as [`layout::VERIFY_PY`]: Python and `openssl` are all it needs.
pub const VERIFIER_IN_PYTHON: &str = include_str!("verify.py");

/// A verifier for a browser, to go into every bundle as [`layout::VERIFY_HTML`]: one page that loads nothing.
pub const VERIFIER_IN_A_PAGE: &str = include_str!("verify.html");

/// The verdict on a bundle. `trusted` is the log's key where the reader has it from elsewhere; without it the key in the
/// bundle is believed, and the verdict says so.
pub fn verify(files: &Files, trusted: Option<&VerifierKey>) -> Verdict {
    let mut verdict = Verdict::default();
    let frame = frame::check(files, trusted, &mut verdict);
    let facts = events::check(files, &frame, &mut verdict);
    attempts::check(&facts, &mut verdict);
    trees::check(files, &frame, &facts, &mut verdict);
    anchors::check(files, &frame, &facts, &mut verdict);
    told::tell(files.len(), &frame, &facts, &mut verdict);
    if let Some(manifest) = frame.manifest {
        verdict.not_shown.extend(manifest.withheld.iter().map(|why| format!("Withheld, as the bundle says: {why}")));
        verdict.manifest = Some(manifest);
    }
    if !verdict.is_valid() {
        verdict.proven.clear();
    }
    verdict
}

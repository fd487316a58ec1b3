//! The evidence log in memory: what is hashed, signed and proven, and how a stranger checks it.
//!
//! Pure: octets in, octets or a typed error out; no I/O, no clock, no drawing of lots. All formats are public ones, so
//! that others verify what we wrote without us: RFC 6962 trees, and the text files of C2SP (signed notes, checkpoints,
//! tiles, proofs). The shortest way through the house:
//!
//! | module | what it is for |
//! |---|---|
//! | [`canonical`] | a leaf: JSON in the one form that its octets may have |
//! | [`disclosure`] | the salted file whose SHA-256 stands in a leaf in the place of a personal value |
//! | [`fact`] | what happened, as a leaf |
//! | [`merkle`] | hashes, the right edge of a growing tree, and the verification of both kinds of proof |
//! | [`tiles`] | a tree as rows of 256 hashes, and the making of proofs from them, for any earlier size too |
//! | [`note`] | text with signature lines: keys, signing, opening |
//! | [`checkpoint`] | a tree's size and root as such a text |
//! | [`policy`] | which logs and witnesses a reader believes, as a file |
//! | [`proof_file`] | leaf, path and checkpoint in one file that is checked offline |
//! | [`timestamp`] | time stamps of an authority (RFC 3161) over heads of the log |
//! | [`bundle`] | all that is shown of one person, as the files of a zip, and the verdict on them |

pub mod bundle;
pub mod canonical;
pub mod checkpoint;
pub mod disclosure;
pub mod fact;
pub mod merkle;
pub mod note;
pub mod policy;
pub mod proof_file;
pub mod tiles;
pub mod timestamp;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use merkle::Hash;

/// A whole number as every format here writes it: decimal digits, no sign, no leading zero.
fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    (canonical && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// A hash in base64: padded, of 32 octets, no bit left over.
fn hash_from_base64(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

fn base64(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_form() {
        for (text, want) in [("0", 0), ("7", 7), ("10", 10), ("18446744073709551615", u64::MAX)] {
            assert_eq!(decimal(text), Some(want));
        }
        for text in ["", "00", "01", "+1", "-1", " 1", "1 ", "1_0", "0x1", "١", "18446744073709551616", "1e3"] {
            assert_eq!(decimal(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_hash_has_one_form() {
        let text = base64(&[7; 32]);
        assert_eq!(hash_from_base64(&text), Some([7; 32]));
        let unpadded = text.trim_end_matches('=');
        // The last digit before the padding has two bits that are not of the hash: Bwc= and Bwd= would be the same octets.
        let spare = text.replace("c=", "d=");
        assert_ne!(text, spare);
        for bad in
            [unpadded, &spare, &base64(&[7; 31]), &base64(&[7; 33]), &format!("{text}\n"), &format!(" {text}"), ""]
        {
            assert_eq!(hash_from_base64(bad), None, "{bad:?}");
        }
    }
}

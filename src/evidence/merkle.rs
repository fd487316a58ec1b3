//! RFC 6962 trees over SHA-256, as RFC 9162 verifies them: hashes, the right edge of a growing tree, both proofs.

use sha2::{Digest as _, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// The root of a tree without leaves: the hash of nothing.
pub const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// Why a proof proves nothing, or a tree cannot be continued.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum MerkleError {
    #[error("leaf {index} is not in a tree of {size} leaves")]
    NoSuchLeaf { index: u64, size: u64 },
    #[error("a tree of {new} leaves is no continuation of one of {old}")]
    Shrunk { old: u64, new: u64 },
    #[error("every tree continues the empty one: there is nothing to prove")]
    FromEmpty,
    #[error("the proof has {have} hashes, which is not the number for these sizes; it is for other ones, or was cut")]
    WrongLength { have: usize },
    #[error("the proof does not lead to the root: the leaf, its number, the proof or the root was changed")]
    OtherRoot,
    #[error("the proof does not lead to the older root: the log was not only added to")]
    OtherOldRoot,
    #[error("a tree of {size} leaves has {want} full subtrees at its edge, not {have}")]
    WrongPeaks { size: u64, want: u32, have: usize },
}

/// The hash of a leaf with these octets: `SHA-256(0x00 || octets)`.
pub fn leaf_hash(octets: &[u8]) -> Hash {
    Sha256::new_with_prefix([0]).chain_update(octets).finalize().into()
}

/// The hash of an inner node: `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut octets = [1u8; 65];
    octets[1..33].copy_from_slice(left);
    octets[33..].copy_from_slice(right);
    Sha256::digest(octets).into()
}

/// The root over hashes that stand for equally large full subtrees, of which there is a power of two.
pub(super) fn perfect_root(row: &[Hash]) -> Hash {
    match row {
        [] => EMPTY_ROOT,
        [one] => *one,
        more => {
            let (left, right) = more.split_at(more.len() / 2);
            node_hash(&perfect_root(left), &perfect_root(right))
        }
    }
}

/// The root over full subtrees of falling size.
pub(super) fn fold(subtrees: impl DoubleEndedIterator<Item = Hash>) -> Option<Hash> {
    subtrees.rev().reduce(|right, left| node_hash(&left, &right))
}

/// All of a growing tree that its next root depends on: its size, and the roots of the full subtrees at its right edge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// The largest first: one for each bit that is set in the size.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The frontier of a tree of `size` leaves, from the roots of its full subtrees, the largest first.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Result<Frontier, MerkleError> {
        let want = size.count_ones();
        if usize::try_from(want) == Ok(peaks.len()) {
            return Ok(Frontier { size, peaks });
        }
        Err(MerkleError::WrongPeaks { size, want, have: peaks.len() })
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the full subtrees at the edge, the largest first.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    pub fn root(&self) -> Hash {
        fold(self.peaks.iter().copied()).unwrap_or(EMPTY_ROOT)
    }

    /// Adds the hash of one leaf: one hash more on average, the logarithm of the size at most.
    pub fn push(&mut self, leaf: Hash) {
        self.push_with(leaf, |_, _| {});
    }

    /// As [`Frontier::push`]; `full` is told of each subtree of 256, 65,536, … leaves that is complete with this leaf, as
    /// 1, 2, … and its hash: a row of tiles one level up has one hash more.
    pub fn push_with(&mut self, leaf: Hash, mut full: impl FnMut(u8, Hash)) {
        let mut hash = leaf;
        // One merge for each 1 that the size ends in, as in counting.
        for height in 1..=self.size.trailing_ones() {
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
            if height % 8 == 0 {
                full((height / 8) as u8, hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }
}

/// Whether `proof` shows that the leaf with this hash has this number (from 0) in the tree with this size and root
/// (RFC 9162, 2.1.3.2).
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), MerkleError> {
    if index >= size {
        return Err(MerkleError::NoSuchLeaf { index, size });
    }
    let mut place = index;
    let mut last = size - 1;
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(MerkleError::WrongLength { have: proof.len() });
        }
        if place & 1 == 1 || place == last {
            hash = node_hash(sibling, &hash);
            climb_to_sibling(&mut place, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(MerkleError::WrongLength { have: proof.len() });
    }
    if hash == *root { Ok(()) } else { Err(MerkleError::OtherRoot) }
}

/// Whether `proof` shows that the tree of `new_size` leaves has the one of `old_size` leaves as its beginning
/// (RFC 9162, 2.1.4.2). Between equal sizes the proof is empty and the roots are the same.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), MerkleError> {
    if old_size > new_size {
        return Err(MerkleError::Shrunk { old: old_size, new: new_size });
    }
    if old_size == 0 {
        return Err(MerkleError::FromEmpty);
    }
    let wrong_length = MerkleError::WrongLength { have: proof.len() };
    if old_size == new_size {
        let same = if old_root == new_root { Ok(()) } else { Err(MerkleError::OtherRoot) };
        return if proof.is_empty() { same } else { Err(wrong_length) };
    }
    // The older root is itself the first hash where the older tree is a full one.
    let (first, rest) = if old_size.is_power_of_two() {
        (if proof.is_empty() { None } else { Some(old_root) }, proof)
    } else {
        (proof.first(), proof.get(1..).unwrap_or_default())
    };
    let first = *first.ok_or(wrong_length)?;
    let shift = (old_size - 1).trailing_ones();
    let mut place = (old_size - 1).checked_shr(shift).unwrap_or(0);
    let mut last = (new_size - 1).checked_shr(shift).unwrap_or(0);
    let (mut old, mut new) = (first, first);
    for hash in rest {
        if last == 0 {
            return Err(wrong_length);
        }
        if place & 1 == 1 || place == last {
            old = node_hash(hash, &old);
            new = node_hash(hash, &new);
            climb_to_sibling(&mut place, &mut last);
        } else {
            new = node_hash(&new, hash);
        }
        place >>= 1;
        last >>= 1;
    }
    match (last, old == *old_root, new == *new_root) {
        (0, true, true) => Ok(()),
        (0, true, false) => Err(MerkleError::OtherRoot),
        (0, false, _) => Err(MerkleError::OtherOldRoot),
        _ => Err(wrong_length),
    }
}

/// Climbs to the next node that is a right child: what is last in its row has no sibling until then.
fn climb_to_sibling(place: &mut u64, last: &mut u64) {
    if *place & 1 == 0 {
        while *place != 0 && *place & 1 == 0 {
            *place >>= 1;
            *last >>= 1;
        }
    }
}

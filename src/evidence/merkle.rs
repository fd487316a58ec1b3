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
    #[error("a subtree of 2^{height} leaves has no place behind {size} leaves")]
    NoPlace { size: u64, height: u32 },
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

    /// Adds a full subtree of `2^height` leaves, by its hash. The size must be a multiple of its leaves.
    pub fn push_full(&mut self, height: u32, hash: Hash) -> Result<(), MerkleError> {
        let more = 1u64.checked_shl(height).filter(|more| self.size.is_multiple_of(*more));
        let size = more.and_then(|more| self.size.checked_add(more));
        let Some(size) = size else { return Err(MerkleError::NoPlace { size: self.size, height }) };
        let mut hash = hash;
        for _ in 0..(self.size >> height).trailing_ones() {
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
        }
        self.peaks.push(hash);
        self.size = size;
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962, 2.1, as it stands there.
    fn by_the_book(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            more => {
                let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
                node_hash(&by_the_book(left), &by_the_book(right))
            }
        }
    }

    fn leaves(count: u32) -> Vec<Hash> {
        (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
    }

    fn grown(leaves: &[Hash]) -> Frontier {
        let mut frontier = Frontier::default();
        leaves.iter().for_each(|leaf| frontier.push(*leaf));
        frontier
    }

    #[test]
    fn the_reference_leaves_of_certificate_transparency_give_their_roots() {
        let leaves =
            ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut frontier = Frontier::default();
        assert_eq!(
            const_hex::encode(frontier.root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        for (leaf, root) in leaves.iter().zip(roots) {
            frontier.push(leaf_hash(&const_hex::decode(leaf).unwrap()));
            assert_eq!(const_hex::encode(frontier.root()), root);
        }
    }

    #[test]
    fn the_frontier_has_the_root_of_the_book_at_every_size() {
        let leaves = leaves(530);
        let mut frontier = Frontier::default();
        for size in 0..=leaves.len() {
            assert_eq!(frontier.root(), by_the_book(&leaves[..size]), "{size}");
            let again = Frontier::from_peaks(frontier.size(), frontier.peaks().to_vec()).unwrap();
            assert_eq!(again, frontier);
            if let Some(leaf) = leaves.get(size) {
                frontier.push(*leaf);
            }
        }
    }

    #[test]
    fn peaks_that_do_not_fit_the_size_are_refused() {
        let peaks = grown(&leaves(7)).peaks().to_vec();
        for size in [0, 4, 8, 15] {
            let wrong = MerkleError::WrongPeaks { size, want: size.count_ones(), have: 3 };
            assert_eq!(Frontier::from_peaks(size, peaks.clone()), Err(wrong));
        }
    }

    #[test]
    fn each_full_subtree_of_256_and_65536_leaves_is_told_of() {
        let leaves = leaves(65_536 + 256);
        let mut frontier = Frontier::default();
        let mut told = Vec::new();
        for leaf in &leaves {
            frontier.push_with(*leaf, |level, hash| told.push((level, hash)));
        }
        let lower: Vec<Hash> = told.iter().filter(|(level, _)| *level == 1).map(|(_, hash)| *hash).collect();
        let want: Vec<Hash> = leaves.chunks(256).map(by_the_book).collect();
        assert_eq!(lower, want);
        assert_eq!(told.iter().position(|(level, _)| *level == 2), Some(256), "after the tile that completes it");
        assert_eq!(told[256].1, by_the_book(&leaves[..65_536]));
        assert_eq!(told.len(), 258);
    }

    #[test]
    fn a_proof_of_another_length_is_told_from_one_that_leads_elsewhere() {
        let leaves = leaves(3);
        let root = by_the_book(&leaves);
        let proof = [leaves[1], leaves[2]];
        let verify = |leaf: &Hash, index, size, proof: &[Hash]| verify_inclusion(leaf, index, size, proof, &root);
        assert_eq!(verify(&leaves[0], 0, 3, &proof), Ok(()));
        assert_eq!(verify(&leaves[0], 3, 3, &proof), Err(MerkleError::NoSuchLeaf { index: 3, size: 3 }));
        assert_eq!(verify(&leaves[0], 0, 0, &[]), Err(MerkleError::NoSuchLeaf { index: 0, size: 0 }));
        assert_eq!(verify(&leaves[0], 0, 3, &proof[..1]), Err(MerkleError::WrongLength { have: 1 }));
        assert_eq!(verify(&leaves[0], 0, 2, &proof), Err(MerkleError::WrongLength { have: 2 }));
        assert_eq!(verify(&leaves[1], 0, 3, &proof), Err(MerkleError::OtherRoot));
        assert_eq!(verify(&leaves[0], 1, 3, &proof), Err(MerkleError::OtherRoot));
    }

    #[test]
    fn a_consistency_proof_says_which_root_it_does_not_lead_to() {
        let leaves = leaves(3);
        let (old, new) = (by_the_book(&leaves[..2]), by_the_book(&leaves));
        let proof = [leaves[2]];
        assert_eq!(verify_consistency(2, &old, 3, &new, &proof), Ok(()));
        assert_eq!(verify_consistency(3, &new, 3, &new, &[]), Ok(()));
        for (first, old, second, new, proof, want) in [
            (3, &new, 2, &old, &proof[..], MerkleError::Shrunk { old: 3, new: 2 }),
            (0, &EMPTY_ROOT, 3, &new, &[], MerkleError::FromEmpty),
            (0, &EMPTY_ROOT, 0, &EMPTY_ROOT, &[], MerkleError::FromEmpty),
            (2, &old, 3, &new, &[], MerkleError::WrongLength { have: 0 }),
            (2, &old, 5, &new, &proof, MerkleError::WrongLength { have: 1 }),
            (3, &new, 3, &new, &proof, MerkleError::WrongLength { have: 1 }),
            (3, &old, 3, &new, &[], MerkleError::OtherRoot),
            (2, &old, 3, &old, &proof, MerkleError::OtherRoot),
        ] {
            assert_eq!(verify_consistency(first, old, second, new, proof), Err(want), "{first} {second}");
        }
        let five = super::tests::leaves(5);
        // From 3 to 5: the third leaf, the fourth, the first two, the fifth.
        let proof = [five[2], five[3], by_the_book(&five[..2]), five[4]];
        let (three, whole) = (by_the_book(&five[..3]), by_the_book(&five));
        assert_eq!(verify_consistency(3, &three, 5, &whole, &proof), Ok(()));
        assert_eq!(verify_consistency(3, &whole, 5, &whole, &proof), Err(MerkleError::OtherOldRoot));
        assert_eq!(verify_consistency(3, &three, 5, &three, &proof), Err(MerkleError::OtherRoot));
    }
}

//! Trees of any size, grown in batches of any size: every proof from the tiles holds, also for a size of long ago.

use super::{leaf, leaf_hashes};
use forewarn::evidence::merkle::{
    Frontier, Hash, MerkleError, leaf_hash, node_hash, verify_consistency, verify_inclusion,
};
use forewarn::evidence::tiles::{
    TileBuilder, Tiles, consistency_proof, inclusion_proof, root, tiles_for_consistency, tiles_for_inclusion,
    tiles_for_root,
};
use proptest::prelude::*;
use std::sync::OnceLock;

const MOST: u64 = 2000;

/// All leaves of the largest tree, hashed once.
fn leaves() -> &'static [Hash] {
    static LEAVES: OnceLock<Vec<Hash>> = OnceLock::new();
    LEAVES.get_or_init(|| leaf_hashes(MOST))
}

/// The roots of all sizes.
fn roots() -> &'static [Hash] {
    static ROOTS: OnceLock<Vec<Hash>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut frontier = Frontier::default();
        let mut roots = vec![frontier.root()];
        for leaf in leaves() {
            frontier.push(*leaf);
            roots.push(frontier.root());
        }
        roots
    })
}

/// The tiles of the largest tree.
fn tiles() -> &'static Tiles {
    static TILES: OnceLock<Tiles> = OnceLock::new();
    TILES.get_or_init(|| TileBuilder::new().append(leaves()).tiles)
}

/// Only the tiles that were asked for, as whoever keeps them hands them over.
fn only(wanted: Vec<forewarn::evidence::tiles::TileId>, of: &Tiles) -> Tiles {
    wanted.into_iter().map(|id| (id, of.get(&id).expect("no tile is asked for that is not there").clone())).collect()
}

/// RFC 9162, 2.1.3.1 and 2.1.4.1, as they stand there.
fn by_the_book(leaves: &[Hash]) -> Hash {
    match leaves {
        [one] => *one,
        more => {
            let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
            node_hash(&by_the_book(left), &by_the_book(right))
        }
    }
}

fn path_by_the_book(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut path, beside) = if index < left.len() {
        (path_by_the_book(index, left), right)
    } else {
        (path_by_the_book(index - left.len(), right), left)
    };
    path.push(by_the_book(beside));
    path
}

fn subproof_by_the_book(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![by_the_book(leaves)] };
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut proof, beside) = if old <= left.len() {
        (subproof_by_the_book(old, left, whole), right)
    } else {
        (subproof_by_the_book(old - left.len(), right, false), left)
    };
    proof.push(by_the_book(beside));
    proof
}

#[test]
fn every_proof_of_every_small_tree_is_the_one_of_the_book() {
    let tiles = TileBuilder::new().append(&leaves()[..40]).tiles;
    for size in 1..=40 {
        let here = &leaves()[..size];
        assert_eq!(root(size as u64, &tiles), Ok(by_the_book(here)));
        for other in 0..size {
            let proof = inclusion_proof(other as u64, size as u64, &tiles).expect("a proof");
            assert_eq!(proof, path_by_the_book(other, here), "{other} of {size}");
            let proof = consistency_proof(other as u64 + 1, size as u64, &tiles).expect("a proof");
            assert_eq!(proof, subproof_by_the_book(other + 1, here, true), "{} to {size}", other + 1);
        }
    }
}

#[test]
fn an_empty_tree_has_its_root_and_no_tiles() {
    let mut builder = TileBuilder::new();
    let growth = builder.append(&[]);
    assert_eq!((growth.tiles.len(), growth.size, growth.root), (0, 0, roots()[0]));
    assert_eq!(root(0, &Tiles::new()), Ok(roots()[0]));
    assert!(tiles_for_root(0).is_empty());
    assert_eq!(TileBuilder::resume(0, &Tiles::new()).map(|b| b.root()), Ok(roots()[0]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the batches are, and wherever the builder was stopped and taken up again, the tiles are the same.
    #[test]
    fn batches_make_no_difference(batches in prop::collection::vec((0usize..700, any::<bool>()), 0..8)) {
        let mut builder = TileBuilder::new();
        let mut kept = Tiles::new();
        for (length, stopped) in batches {
            let from = builder.size() as usize;
            let to = (from + length).min(MOST as usize);
            let growth = builder.append(&leaves()[from..to]);
            prop_assert_eq!((growth.size, growth.root), (to as u64, roots()[to]));
            kept.extend(growth.tiles);
            if stopped {
                builder = TileBuilder::resume(to as u64, &only(tiles_for_root(to as u64), &kept)).expect("whole");
            }
        }
        let size = builder.size() as usize;
        prop_assert_eq!(kept, TileBuilder::new().append(&leaves()[..size]).tiles);
    }

    /// The tiles of today serve the sizes of yesterday.
    #[test]
    fn proofs_hold_for_older_sizes_too(size in 1..=MOST, older in 0..MOST, index in 0..MOST) {
        let (older, index) = (older % size + 1, index % size);
        prop_assert_eq!(root(size, &only(tiles_for_root(size), tiles())), Ok(roots()[size as usize]));
        let mine = only(tiles_for_inclusion(index, size), tiles());
        let proof = inclusion_proof(index, size, &mine).expect("a proof");
        let leaf = leaf_hash(&leaf(index));
        prop_assert_eq!(verify_inclusion(&leaf, index, size, &proof, &roots()[size as usize]), Ok(()));
        let mine = only(tiles_for_consistency(older, size), tiles());
        let proof = consistency_proof(older, size, &mine).expect("a proof");
        let (old, new) = (&roots()[older as usize], &roots()[size as usize]);
        prop_assert_eq!(verify_consistency(older, old, size, new, &proof), Ok(()));
        // A builder that is taken up at an older size makes the tree of that size, and of today, again.
        let mut builder = TileBuilder::resume(older, &only(tiles_for_root(older), tiles())).expect("whole");
        prop_assert_eq!(&builder.root(), old);
        prop_assert_eq!(&builder.append(&leaves()[older as usize..size as usize]).root, new);
    }

    /// What is changed in a proof, or said of it, makes it none.
    #[test]
    fn a_proof_proves_one_thing_only(
        size in 2..=MOST, place in 0..MOST, at in any::<prop::sample::Index>(), bit in 0usize..256, what in 0..5
    ) {
        let (index, older) = (place % size, place % (size - 1) + 1);
        let root = roots()[size as usize];
        let mut proof = inclusion_proof(index, size, tiles()).expect("a proof");
        let mut between = consistency_proof(older, size, tiles()).expect("a proof");
        let (mut leaf, mut said, mut old) = (leaves()[index as usize], index, roots()[older as usize]);
        match what {
            0 => for proof in [&mut proof, &mut between] {
                let hash = at.index(proof.len());
                proof[hash][bit / 8] ^= 1 << (bit % 8);
            },
            1 => for proof in [&mut proof, &mut between] {
                proof.remove(at.index(proof.len()));
            },
            2 => for proof in [&mut proof, &mut between] {
                proof.insert(at.index(proof.len() + 1), root);
            },
            3 => {
                leaf[bit / 8] ^= 1 << (bit % 8);
                old[bit / 8] ^= 1 << (bit % 8);
            }
            _ => {
                said = (index + 1) % size;
                old = roots()[older as usize - 1];
            }
        }
        let wrong = verify_inclusion(&leaf, said, size, &proof, &root);
        prop_assert!(matches!(wrong, Err(MerkleError::OtherRoot | MerkleError::WrongLength { .. })), "{wrong:?}");
        let wrong = verify_consistency(older, &old, size, &root, &between);
        prop_assert!(wrong.is_err());
    }
}

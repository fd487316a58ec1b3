//! A tree as tiles: rows of up to 256 hashes (C2SP tlog-tiles, height 8), and proofs made of them.
//!
//! A tile of level 0 holds leaf hashes, one of level L the hashes of full tiles of the level below. What is read for a
//! proof is asked for first ([`tiles_for_inclusion`] and its sisters), so that whoever keeps the tiles loads them all at
//! once; the proof is then made of a map. Tiles may have grown since the size that is asked about: only what the older
//! tree had is read of them.

use super::merkle::{EMPTY_ROOT, Frontier, Hash, fold, perfect_root};
use std::collections::{BTreeMap, BTreeSet};

/// How many hashes a full tile has.
pub const WIDTH: usize = 256;

/// How many levels of the tree a tile spans.
const HEIGHT: u32 = 8;

/// Tiles by their place.
pub type Tiles = BTreeMap<TileId, Vec<Hash>>;

/// The place of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// 0 holds leaf hashes.
    pub level: u8,
    /// From 0, from the left.
    pub index: u64,
}

/// Why a proof cannot be made.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum TilesError {
    #[error("leaf {index} is not in a tree of {size} leaves")]
    NoSuchLeaf { index: u64, size: u64 },
    #[error("there is no proof from {old} to {new} leaves: the first must be at least 1 and no more than the second")]
    NoSuchPair { old: u64, new: u64 },
    #[error("tile {} of level {} is not there; the log is not whole", id.index, id.level)]
    Missing { id: TileId },
    #[error("tile {} of level {} has {have} hashes, of which {need} are needed; the log is not whole", id.index, id.level)]
    Short { id: TileId, have: usize, need: usize },
}

impl TileId {
    /// Where the tile is found in an export: `tile/0/x001/x234/067`, and `.p/112` after it when it is not full.
    pub fn path(self, width: usize) -> String {
        format!("tile/{}/{}", self.level, numbered(self.index, width))
    }

    /// Where the leaves of a tile of level 0 are found in an export.
    pub fn entries_path(self, width: usize) -> String {
        format!("tile/entries/{}", numbered(self.index, width))
    }
}

/// A number in groups of three digits, each but the last with an `x`, so that no folder is named like a file.
fn numbered(index: u64, width: usize) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width < WIDTH { format!("{path}.p/{width}") } else { path }
}

/// A full subtree: of `1 << height` leaves, the `index`th of its row.
#[derive(Clone, Copy, Debug)]
struct Node {
    height: u32,
    index: u64,
}

impl Node {
    fn tile(self) -> TileId {
        TileId { level: (self.height / HEIGHT) as u8, index: self.index >> (HEIGHT - self.height % HEIGHT) }
    }

    /// The subtree's hash, made of the tile's row that spans it.
    fn hash(self, tiles: &Tiles) -> Result<Hash, TilesError> {
        let id = self.tile();
        let row = tiles.get(&id).ok_or(TilesError::Missing { id })?;
        let above = self.height % HEIGHT;
        let start = ((self.index % (1 << (HEIGHT - above))) << above) as usize;
        let end = start + (1 << above);
        let part = row.get(start..end).ok_or(TilesError::Short { id, have: row.len(), need: end })?;
        Ok(perfect_root(part))
    }
}

/// Leaves from `from` to before `to`, whose root is one hash of a proof.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: u64,
    to: u64,
}

impl Span {
    /// The full subtrees that it consists of, the largest first.
    fn nodes(self) -> impl DoubleEndedIterator<Item = Node> {
        let length = self.to - self.from;
        // A span begins where a subtree of its next larger power of two would, so its bits are its subtrees.
        (0..u64::BITS).rev().filter(move |height| length >> height & 1 == 1).map(move |height| {
            let before = if height == u64::BITS - 1 { 0 } else { length >> (height + 1) << (height + 1) };
            Node { height, index: (self.from + before) >> height }
        })
    }

    fn root(self, tiles: &Tiles) -> Result<Hash, TilesError> {
        let hashes = self.nodes().map(|node| node.hash(tiles)).collect::<Result<Vec<_>, _>>()?;
        Ok(fold(hashes.into_iter()).unwrap_or(EMPTY_ROOT))
    }

    /// The two halves that the tree has at this node: the left is the largest full subtree that leaves a right one.
    fn halves(self) -> (Span, Span) {
        let length = self.to - self.from;
        let middle = self.from + (1 << (u64::BITS - 1 - (length - 1).leading_zeros()));
        (Span { to: middle, ..self }, Span { from: middle, ..self })
    }
}

/// What the proof for a leaf consists of, its sibling first (RFC 9162, 2.1.3.1).
fn inclusion_spans(index: u64, size: u64) -> Result<Vec<Span>, TilesError> {
    if index >= size {
        return Err(TilesError::NoSuchLeaf { index, size });
    }
    let mut spans = Vec::new();
    let mut here = Span { from: 0, to: size };
    while here.to - here.from > 1 {
        let (left, right) = here.halves();
        let (next, beside) = if index < right.from { (left, right) } else { (right, left) };
        spans.push(beside);
        here = next;
    }
    spans.reverse();
    Ok(spans)
}

/// What the proof from an older size consists of (RFC 9162, 2.1.4.1).
fn consistency_spans(old: u64, new: u64) -> Result<Vec<Span>, TilesError> {
    if old == 0 || old > new {
        return Err(TilesError::NoSuchPair { old, new });
    }
    let mut spans = Vec::new();
    let mut here = Span { from: 0, to: new };
    while here.to != old {
        let (left, right) = here.halves();
        let (next, beside) = if old <= left.to { (left, right) } else { (right, left) };
        spans.push(beside);
        here = next;
    }
    // What begins with the first leaf is the older tree itself, whose root the verifier has.
    if here.from > 0 {
        spans.push(here);
    }
    spans.reverse();
    Ok(spans)
}

fn tiles_of(spans: &[Span]) -> Vec<TileId> {
    let all: BTreeSet<TileId> = spans.iter().flat_map(|span| span.nodes()).map(Node::tile).collect();
    all.into_iter().collect()
}

fn hashes_of(spans: &[Span], tiles: &Tiles) -> Result<Vec<Hash>, TilesError> {
    spans.iter().map(|span| span.root(tiles)).collect()
}

/// The tiles that [`inclusion_proof`] reads; none where there is no such leaf.
pub fn tiles_for_inclusion(index: u64, size: u64) -> Vec<TileId> {
    tiles_of(&inclusion_spans(index, size).unwrap_or_default())
}

/// The tiles that [`consistency_proof`] reads; none where there is no such proof.
pub fn tiles_for_consistency(old: u64, new: u64) -> Vec<TileId> {
    tiles_of(&consistency_spans(old, new).unwrap_or_default())
}

/// The tile that holds the hash of the `index`th subtree of 65,536 leaves, and its place in the tile.
pub fn place_of_subtree(index: u64) -> (TileId, usize) {
    (TileId { level: 2, index: index / WIDTH as u64 }, (index % WIDTH as u64) as usize)
}

/// The tiles that [`root`] and [`TileBuilder::resume`] read: the last ones of their rows, where these are not full.
pub fn tiles_for_root(size: u64) -> Vec<TileId> {
    tiles_of(&[Span { from: 0, to: size }])
}

/// The proof that the leaf with this number is in the tree of this size.
pub fn inclusion_proof(index: u64, size: u64, tiles: &Tiles) -> Result<Vec<Hash>, TilesError> {
    hashes_of(&inclusion_spans(index, size)?, tiles)
}

/// The proof that the tree of `new` leaves has that of `old` leaves as its beginning; empty where they are the same.
pub fn consistency_proof(old: u64, new: u64, tiles: &Tiles) -> Result<Vec<Hash>, TilesError> {
    hashes_of(&consistency_spans(old, new)?, tiles)
}

/// The root of the tree of this size.
pub fn root(size: u64, tiles: &Tiles) -> Result<Hash, TilesError> {
    Span { from: 0, to: size }.root(tiles)
}

/// The right edge of a tree that grows, with the tiles that are not yet full.
#[derive(Clone, Debug, Default)]
pub struct TileBuilder {
    frontier: Frontier,
    /// The last tile of each level; empty where that one is full, or none has begun.
    edge: Vec<Vec<Hash>>,
}

/// What a batch of leaves changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// The tiles that are new or have more hashes than before, whole.
    pub tiles: Tiles,
    /// The size of the tree with the batch.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

impl TileBuilder {
    /// A builder for a tree that is empty.
    pub fn new() -> TileBuilder {
        TileBuilder::default()
    }

    /// Goes on at `size` leaves, given the tiles that [`tiles_for_root`] names. Tiles that have more are cut to that size.
    pub fn resume(size: u64, tiles: &Tiles) -> Result<TileBuilder, TilesError> {
        let mut peaks = Vec::new();
        for node in (Span { from: 0, to: size }).nodes() {
            peaks.push(node.hash(tiles)?);
        }
        let mut edge = Vec::new();
        let mut row = size;
        while row > 0 {
            let id = TileId { level: edge.len() as u8, index: row / WIDTH as u64 };
            let width = (row % WIDTH as u64) as usize;
            // The peaks, read above, reach up to the last of these hashes.
            edge.push(tiles.get(&id).and_then(|tile| tile.get(..width)).unwrap_or_default().to_vec());
            row /= WIDTH as u64;
        }
        let frontier = Frontier::from_peaks(size, peaks).unwrap_or_default();
        Ok(TileBuilder { frontier, edge })
    }

    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Adds leaves by their hashes, in order.
    pub fn append(&mut self, leaves: &[Hash]) -> Growth {
        let before = self.size();
        let mut tiles = Tiles::new();
        let TileBuilder { frontier, edge } = self;
        for leaf in leaves {
            let number = frontier.size();
            add(edge, &mut tiles, 0, number, *leaf);
            frontier.push_with(*leaf, |level, hash| {
                add(edge, &mut tiles, level, number >> (HEIGHT * u32::from(level)), hash);
            });
        }
        for (level, row) in (0u8..).zip(&self.edge) {
            let shift = HEIGHT * u32::from(level);
            let grown = self.frontier.size() >> shift > before >> shift;
            if grown && !row.is_empty() {
                let id = TileId { level, index: (self.frontier.size() >> shift) / WIDTH as u64 };
                tiles.insert(id, row.clone());
            }
        }
        Growth { tiles, size: self.size(), root: self.root() }
    }
}

/// Adds the hash with this number in the row of a level, and hands the tile over when it is full.
fn add(edge: &mut Vec<Vec<Hash>>, tiles: &mut Tiles, level: u8, number: u64, hash: Hash) {
    let at = usize::from(level);
    if edge.len() <= at {
        edge.resize_with(at + 1, Vec::new);
    }
    let Some(row) = edge.get_mut(at) else { return };
    row.push(hash);
    if row.len() == WIDTH {
        let full = std::mem::take(row);
        row.reserve(WIDTH);
        tiles.insert(TileId { level, index: number / WIDTH as u64 }, full);
    }
}

#[cfg(test)]
mod tests {
    use super::super::merkle::{leaf_hash, verify_consistency, verify_inclusion};
    use super::*;

    fn leaves(count: u32) -> Vec<Hash> {
        (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
    }

    #[test]
    fn an_export_has_the_paths_of_the_format() {
        let id = |level, index| TileId { level, index };
        assert_eq!(id(0, 1_234_067).path(256), "tile/0/x001/x234/067");
        assert_eq!(id(1, 0).path(17), "tile/1/000.p/17");
        assert_eq!(id(2, 1000).path(256), "tile/2/x001/000");
        assert_eq!(id(0, 273).entries_path(112), "tile/entries/273.p/112");
    }

    #[test]
    fn seventy_thousand_leaves_have_the_tiles_that_the_format_names() {
        let mut builder = TileBuilder::new();
        let tiles = builder.append(&leaves(70_000)).tiles;
        let widths: Vec<usize> = tiles.values().map(Vec::len).collect();
        assert_eq!(widths[..273], [256; 273]);
        assert_eq!(widths[273..], [112, 256, 17, 1]);
        let places: Vec<(u8, u64)> = tiles.keys().skip(272).map(|id| (id.level, id.index)).collect();
        assert_eq!(places, [(0, 272), (0, 273), (1, 0), (1, 1), (2, 0)]);
        let last: Vec<TileId> = tiles_for_root(70_000);
        assert_eq!(last.iter().map(|id| (id.level, id.index)).collect::<Vec<_>>(), [(0, 273), (1, 1), (2, 0)]);
        assert_eq!(root(70_000, &tiles), Ok(builder.root()));
        // An older size is read from the tiles as they are now.
        let old = root(66_000, &tiles).unwrap();
        let proof = inclusion_proof(65_999, 66_000, &tiles).unwrap();
        let leaf = leaf_hash(&65_999u32.to_be_bytes());
        assert_eq!(verify_inclusion(&leaf, 65_999, 66_000, &proof, &old), Ok(()));
        let proof = consistency_proof(66_000, 70_000, &tiles).unwrap();
        assert_eq!(verify_consistency(66_000, &old, 70_000, &builder.root(), &proof), Ok(()));
    }

    #[test]
    fn a_tree_of_256_leaves_is_a_full_tile_and_one_above_it() {
        let tiles = TileBuilder::new().append(&leaves(256)).tiles;
        let widths: Vec<(u8, usize)> = tiles.iter().map(|(id, row)| (id.level, row.len())).collect();
        assert_eq!(widths, [(0, 256), (1, 1)]);
        assert_eq!(tiles_for_root(256), [TileId { level: 1, index: 0 }]);
    }

    #[test]
    fn only_what_changed_is_handed_over() {
        let mut builder = TileBuilder::new();
        builder.append(&leaves(255));
        let changed =
            |growth: Growth| growth.tiles.iter().map(|(id, row)| (id.level, id.index, row.len())).collect::<Vec<_>>();
        assert_eq!(changed(builder.append(&[])), []);
        assert_eq!(changed(builder.append(&leaves(1))), [(0, 0, 256), (1, 0, 1)]);
        assert_eq!(changed(builder.append(&leaves(2))), [(0, 1, 2)]);
    }

    #[test]
    fn what_is_missing_or_short_is_said() {
        let mut tiles = TileBuilder::new().append(&leaves(700)).tiles;
        let id = TileId { level: 0, index: 2 };
        tiles.get_mut(&id).unwrap().truncate(100);
        assert_eq!(root(612, &tiles), root(612, &TileBuilder::new().append(&leaves(700)).tiles));
        let short = Err(TilesError::Short { id, have: 100, need: 128 });
        assert_eq!(root(700, &tiles), short);
        assert_eq!(TileBuilder::resume(700, &tiles).map(|b| b.root()), short);
        tiles.remove(&id);
        let missing = Err(TilesError::Missing { id });
        assert_eq!(inclusion_proof(600, 700, &tiles), missing.clone());
        assert_eq!(consistency_proof(600, 700, &tiles), missing);
        assert_eq!(inclusion_proof(7, 7, &tiles), Err(TilesError::NoSuchLeaf { index: 7, size: 7 }));
        assert_eq!(consistency_proof(0, 7, &tiles), Err(TilesError::NoSuchPair { old: 0, new: 7 }));
        assert_eq!(consistency_proof(8, 7, &tiles), Err(TilesError::NoSuchPair { old: 8, new: 7 }));
        assert_eq!(tiles_for_inclusion(7, 7), []);
        assert_eq!(tiles_for_consistency(8, 7), []);
    }

    #[test]
    fn the_largest_sizes_are_no_danger() {
        let nothing = Tiles::new();
        let most = u64::MAX;
        assert!(matches!(root(most, &nothing), Err(TilesError::Missing { .. })));
        assert!(matches!(inclusion_proof(most - 1, most, &nothing), Err(TilesError::Missing { .. })));
        assert!(matches!(consistency_proof(1, most, &nothing), Err(TilesError::Missing { .. })));
        assert_eq!(inclusion_spans(1 << 62, most).unwrap().len(), 64);
        assert_eq!(tiles_for_root(1 << 63), [TileId { level: 7, index: 0 }]);
    }
}

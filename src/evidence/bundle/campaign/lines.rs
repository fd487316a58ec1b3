//! The lines of the log in a campaign's bundle.
//!
//! A line that begins with `{` is a leaf, to the octet; its hash is SHA-256 of an octet 0 and the line. Any other line is
//! `HEIGHT HASH`: a full subtree of `2^HEIGHT` leaves that are of others, HEIGHT being 0, 8 or 16, and its hash in 64 small
//! hexadecimal digits. Leaves are one line each, since canonical JSON has no line ends.

use super::super::super::merkle::{Frontier, Hash, leaf_hash};

/// Heights that subtrees of others have.
pub const HEIGHTS: [u32; 3] = [16, 8, 0];

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'l> {
    Leaf(&'l [u8]),
    Others { height: u32, hash: Hash },
}

impl Line<'_> {
    /// How many leaves it stands for.
    pub fn leaves(&self) -> u64 {
        match self {
            Line::Leaf(_) => 1,
            Line::Others { height, .. } => 1 << height,
        }
    }
}

/// The lines of a part; what is none is an error with its number, from 1.
pub fn lines(part: &[u8]) -> impl Iterator<Item = Result<Line<'_>, usize>> {
    let ended = part.is_empty() || part.ends_with(b"\n");
    let lines = part.strip_suffix(b"\n").unwrap_or(part).split(|octet| *octet == b'\n');
    lines.zip(1..).filter(move |(line, _)| !(line.is_empty() && part.is_empty())).map(move |(line, number)| {
        let line = if line.starts_with(b"{") { Some(Line::Leaf(line)) } else { others(line) };
        line.filter(|_| ended).ok_or(number)
    })
}

fn others(line: &[u8]) -> Option<Line<'static>> {
    let (height, digits) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let height = HEIGHTS.into_iter().find(|h| h.to_string() == height)?;
    let small = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let hash = const_hex::decode_to_array(digits).ok().filter(|_| small && digits.len() == 64)?;
    Some(Line::Others { height, hash })
}

/// Writes a line for leaves of others.
pub fn write_others(out: &mut Vec<u8>, height: u32, hash: &Hash) {
    out.extend_from_slice(height.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(const_hex::encode(hash).as_bytes());
    out.push(b'\n');
}

/// Writes leaves from a multiple of 256 on: those of others become one hash for 256, where all of these are of others.
#[derive(Debug, Default)]
pub struct Block {
    lines: Vec<u8>,
    tree: Frontier,
    ours: bool,
}

impl Block {
    /// How many leaves of a block of 256 it has.
    pub fn len(&self) -> u64 {
        self.tree.size()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the next leaf; whether it is shown.
    pub fn push(&mut self, leaf: &[u8], shown: bool, out: &mut Vec<u8>) {
        let hash = leaf_hash(leaf);
        if shown {
            self.lines.extend_from_slice(leaf);
            self.lines.push(b'\n');
            self.ours = true;
        } else {
            write_others(&mut self.lines, 0, &hash);
        }
        self.tree.push(hash);
        if self.len() == 256 {
            self.finish(out);
        }
    }

    /// Writes what is there.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.ours && self.len() == 256 {
            write_others(out, 8, &self.tree.root());
        } else {
            out.extend_from_slice(&self.lines);
        }
        self.lines.clear();
        self.tree = Frontier::default();
        self.ours = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_gives_the_same_tree() {
        let (mut out, mut block, mut whole) = (Vec::new(), Block::default(), Frontier::default());
        for n in 0..1000u32 {
            let leaf = format!("{{\"n\":{n}}}");
            block.push(leaf.as_bytes(), n == 300 || n == 999, &mut out);
            whole.push(leaf_hash(leaf.as_bytes()));
        }
        block.finish(&mut out);
        let mut tree = Frontier::default();
        let mut shown = 0;
        for line in lines(&out) {
            match line.unwrap() {
                Line::Leaf(leaf) => {
                    shown += 1;
                    tree.push(leaf_hash(leaf));
                }
                Line::Others { height, hash } => tree.push_full(height, hash).unwrap(),
            }
        }
        assert_eq!((tree.size(), tree.root(), shown), (1000, whole.root(), 2));
        assert_eq!(lines(&out).count(), 2 + 256 + (1000 - 768), "whole blocks of others are one line");
    }

    #[test]
    fn other_lines_are_none() {
        let hash = "0".repeat(64);
        let good = format!("{{}}\n8 {hash}\n");
        assert!(lines(good.as_bytes()).all(|line| line.is_ok()));
        assert_eq!(lines(b"").count(), 0);
        for bad in [format!("9 {hash}\n"), format!("8 {}\n", "A".repeat(64)), format!("8  {hash}\n"), "\n".to_owned()] {
            assert_eq!(lines(bad.as_bytes()).next(), Some(Err(1)), "{bad}");
        }
        assert_eq!(lines(format!("{{}}\n0 {hash}").as_bytes()).last(), Some(Err(2)), "the last line has no end");
    }
}

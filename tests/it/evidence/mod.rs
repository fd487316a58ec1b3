//! The evidence log, checked by others: their vectors on our verification, their programs on what we make.

mod bundle;
mod others;
mod tools;
mod trees;
mod vectors;

use forewarn::evidence::merkle::{Hash, leaf_hash};
use forewarn::evidence::note::SigningKey;

const ORIGIN: &str = "notices.example.com/forewarn/test";

fn signing_key() -> SigningKey {
    SigningKey::from_seed(ORIGIN, &[7; 32]).expect("a key")
}

/// The octets of a leaf, each another.
fn leaf(number: u64) -> Vec<u8> {
    format!(r#"{{"ev":"attempt","n":{number}}}"#).into_bytes()
}

fn leaf_hashes(count: u64) -> Vec<Hash> {
    (0..count).map(|number| leaf_hash(&leaf(number))).collect()
}

//! The keys that a person's commitments in the evidence log hang on.
//!
//! Two, so that one can be destroyed before the other: under the identity key stand customer reference and addresses,
//! under the content key the messages and what providers answered. Neither can be had from the other, and the person's
//! random name in the log from neither: it comes from a key of the campaign's.

use super::{CampaignKeys, KEY, VaultError, WRAPPED, random};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// What a person's reference and addresses are committed to under. Zeroed when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct IdentityKey([u8; KEY]);

/// What a person's messages are committed to under. Zeroed when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct ContentKey([u8; KEY]);

/// What the random names of a campaign's persons in the log are made from. It protects nobody by itself: the database
/// says which number has which name, and the numbers say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubjectKey([u8; KEY]);

impl std::fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdentityKey(…)")
    }
}

impl std::fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContentKey(…)")
    }
}

impl IdentityKey {
    pub fn bytes(&self) -> &[u8; KEY] {
        &self.0
    }
}

impl ContentKey {
    pub(super) fn of(own: &[u8; KEY]) -> ContentKey {
        ContentKey(blake3::derive_key("forewarn 2026 content", own))
    }

    pub fn bytes(&self) -> &[u8; KEY] {
        &self.0
    }
}

impl SubjectKey {
    pub fn new() -> SubjectKey {
        SubjectKey(random())
    }

    pub fn read(bytes: &[u8]) -> Option<SubjectKey> {
        Some(SubjectKey(bytes.try_into().ok()?))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The random name of a person: 32 hex digits.
    pub fn subject(&self, person: i64) -> String {
        blake3::keyed_hash(&self.0, &person.to_be_bytes()).to_hex()[..32].to_owned()
    }
}

impl Default for SubjectKey {
    fn default() -> SubjectKey {
        SubjectKey::new()
    }
}

impl CampaignKeys {
    /// The key of a person's identity, from what the store keeps beside their sealed data; an error where it was destroyed.
    /// Persons that are older than the log have none of its own: theirs goes with their content.
    pub fn identity(&self, number: i64, kept: &[u8]) -> Result<IdentityKey, VaultError> {
        match self.identity_by_seed(number, kept) {
            Some(key) => Ok(key),
            None => Ok(old_identity(&*self.own_key(number, kept)?)),
        }
    }

    pub(super) fn identity_of(&self, number: i64, kept: &[u8], own: &[u8; KEY]) -> IdentityKey {
        self.identity_by_seed(number, kept).unwrap_or_else(|| old_identity(own))
    }

    fn identity_by_seed(&self, number: i64, kept: &[u8]) -> Option<IdentityKey> {
        let seed = kept.get(WRAPPED..).filter(|seed| seed.len() == KEY)?;
        let root = Zeroizing::new(blake3::derive_key("forewarn 2026 identities", &self.lookup));
        let mut hasher = blake3::Hasher::new_keyed(&root);
        hasher.update(&number.to_be_bytes()).update(seed);
        Some(IdentityKey(*hasher.finalize().as_bytes()))
    }

    /// The key of a person's content; an error where it was destroyed.
    pub fn content(&self, number: i64, kept: &[u8]) -> Result<ContentKey, VaultError> {
        Ok(ContentKey::of(&*self.own_key(number, kept)?))
    }
}

fn old_identity(own: &[u8; KEY]) -> IdentityKey {
    IdentityKey(blake3::derive_key("forewarn 2026 identity", own))
}

/// What stays of a wrapped key when the content is destroyed and the identity is not.
pub fn without_content(kept: &[u8]) -> Vec<u8> {
    match kept.get(WRAPPED..) {
        Some(seed) if seed.len() == KEY => [&[0u8; WRAPPED], seed].concat(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::MasterKey;
    use super::*;
    use crate::model::person::Person;

    #[test]
    fn identity_outlives_content_and_names_come_from_neither() {
        let master = MasterKey::parse(&MasterKey::generate()).unwrap();
        let (keys, _) = master.new_campaign_keys(3).unwrap();
        let sealed = keys.seal_person(5, &Person::default()).unwrap();
        assert_eq!(sealed.key.len(), WRAPPED + KEY);
        let identity = keys.identity(5, &sealed.key).unwrap();
        let content = keys.content(5, &sealed.key).unwrap();
        assert_ne!(identity.bytes(), content.bytes());
        let left = without_content(&sealed.key);
        assert_eq!(keys.identity(5, &left).unwrap().bytes(), identity.bytes());
        assert_eq!(keys.content(5, &left).unwrap_err(), VaultError::Erased);
        assert!(keys.identity(5, &[]).is_err() && keys.content(5, &[]).is_err());
        assert_ne!(keys.identity(6, &sealed.key).unwrap().bytes(), identity.bytes());
        // A person of before the log: one key, and the same each time.
        let old = &sealed.key[..WRAPPED];
        assert_eq!(keys.identity(5, old).unwrap().bytes(), keys.identity(5, old).unwrap().bytes());
        assert_eq!(without_content(old), Vec::<u8>::new());
        let names = SubjectKey::new();
        let name = names.subject(5);
        assert_eq!((name.len(), names.subject(5) == name, names.subject(6) == name), (32, true, false));
        for secret in [identity.bytes(), content.bytes(), sealed.key.last_chunk().unwrap()] {
            assert!(!const_hex::encode(secret).contains(&name) && SubjectKey::read(secret).unwrap().subject(5) != name);
        }
    }
}

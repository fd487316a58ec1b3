//! Sealing of personal data.
//!
//! A person is one blob, XChaCha20-Poly1305 under a key of its own; that key is wrapped by the campaign's key, and the
//! campaign's keys by the master key, which never enters the database. Destroying a person's wrapped key destroys the
//! person. Look-ups go through keyed hashes, so that the database alone cannot be asked "is this address in it?".
//! Every seal is bound to its place (campaign and person number), so that rows cannot be swapped.

mod proof;
mod report;

pub use proof::{ContentKey, IdentityKey, SubjectKey, without_content};
pub use report::{RawReport, SealedReport};

use crate::model::channel::ContactKind;
use crate::model::contact::{Contact, Role};
use crate::model::notice::NoticeId;
use crate::model::person::Person;
use crate::model::personal::Personal;
use base64::Engine as _;
use chacha20::{R20, hchacha};
use rand::Rng as _;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const KEY: usize = 32;
const NONCE: usize = 24;
/// A wrapped key: nonce, key and tag.
const WRAPPED: usize = NONCE + KEY + 16;
/// A token's bytes: 6 of synthetic nonce and MAC, 12 of campaign and notice number.
const TOKEN_MAC: usize = 6;
const TOKEN_BODY: usize = 12;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VaultError {
    #[error("the master key must be 32 bytes in base64 (44 characters), as `forewarn init` writes it")]
    NotAKey,
    #[error("sealed data does not open: the master key is not the one it was sealed with, or the data was changed")]
    DoesNotOpen,
    #[error("the data was erased, and the key that would open it destroyed")]
    Erased,
    #[error("sealed data opened, but is not in the form this version knows")]
    UnknownForm,
}

/// The key outside the database. Zeroed when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; KEY]);

/// The keys of one campaign, in memory only.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct CampaignKeys {
    campaign: i64,
    wrap: [u8; KEY],
    lookup: [u8; KEY],
}

/// A person as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedPerson {
    /// The person's own key, wrapped, and behind it the seed of their identity in the log: 104 bytes. Of persons that are
    /// older than the log the first 72. Whose content was erased has zeroes and the seed; whose identity was, nothing.
    pub key: Vec<u8>,
    /// Nonce, ciphertext and tag.
    pub blob: Vec<u8>,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

impl std::fmt::Debug for CampaignKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CampaignKeys({})", self.campaign)
    }
}

impl MasterKey {
    /// Reads the key from its base64 text, white space around it ignored.
    pub fn parse(text: &str) -> Result<MasterKey, VaultError> {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).map_err(|_| VaultError::NotAKey)?;
        let bytes = Zeroizing::new(bytes);
        Ok(MasterKey(bytes.as_slice().try_into().map_err(|_| VaultError::NotAKey)?))
    }

    /// A new random key as base64 text with a line end, the form of a key file.
    pub fn generate() -> Zeroizing<String> {
        let key = Zeroizing::new(random::<KEY>());
        Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(key.as_slice()) + "\n")
    }

    /// A value that tells whether a database belongs to this key, and tells nothing of the key.
    pub fn fingerprint(&self) -> String {
        blake3::Hash::from(self.derive("forewarn 2026 key fingerprint")).to_hex()[..32].to_owned()
    }

    fn derive(&self, context: &str) -> [u8; KEY] {
        blake3::derive_key(context, &self.0)
    }

    /// New random keys for a campaign, and their sealed form for the store.
    pub fn new_campaign_keys(&self, campaign: i64) -> Result<(CampaignKeys, Vec<u8>), VaultError> {
        let keys = CampaignKeys { campaign, wrap: random(), lookup: random() };
        let clear = Zeroizing::new([keys.wrap, keys.lookup].concat());
        let sealed = seal(&self.derive("forewarn 2026 campaign keys"), &clear, &campaign.to_be_bytes())?;
        Ok((keys, sealed))
    }

    /// Opens a campaign's keys as [`MasterKey::new_campaign_keys`] sealed them.
    pub fn open_campaign_keys(&self, campaign: i64, sealed: &[u8]) -> Result<CampaignKeys, VaultError> {
        if sealed.is_empty() {
            return Err(VaultError::Erased);
        }
        let clear = open(&self.derive("forewarn 2026 campaign keys"), sealed, &campaign.to_be_bytes())?;
        let (wrap, lookup) = clear.split_at_checked(KEY).ok_or(VaultError::UnknownForm)?;
        Ok(CampaignKeys {
            campaign,
            wrap: wrap.try_into().map_err(|_| VaultError::UnknownForm)?,
            lookup: lookup.try_into().map_err(|_| VaultError::UnknownForm)?,
        })
    }

    /// The opaque name of a notice outside the house (Message-ID, idempotency key, return address): 36 hex digits that
    /// only this key can make or read.
    pub fn token(&self, campaign: i64, notice: NoticeId) -> String {
        let mut body = [0u8; TOKEN_BODY];
        body[..4].copy_from_slice(&(campaign as u32).to_be_bytes());
        body[4..].copy_from_slice(&notice.0.to_be_bytes());
        let keys = TokenKeys::of(self);
        let mac = keys.mac(&body);
        let stream = keys.stream(&mac);
        let hidden = body.iter().zip(stream).map(|(b, s)| b ^ s);
        mac.iter().copied().chain(hidden).map(|b| format!("{b:02x}")).collect()
    }

    /// What stands behind a route's name in the address that its provider reports to: 32 hex digits that nobody can guess
    /// who does not have this key. Nothing of it is stored.
    pub fn hook_token(&self, route: &str) -> String {
        let key = self.derive("forewarn 2026 hook address");
        blake3::keyed_hash(&key, route.as_bytes()).to_hex()[..32].to_owned()
    }

    /// The campaign and notice behind a token, or `None` when this key did not make it.
    pub fn read_token(&self, token: &str) -> Option<(i64, NoticeId)> {
        if token.len() != 2 * (TOKEN_MAC + TOKEN_BODY) || !token.is_ascii() {
            return None;
        }
        let bytes: Vec<u8> = (0..token.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&token[i..i + 2], 16).ok())
            .collect::<Option<_>>()?;
        let (mac, hidden) = bytes.split_at(TOKEN_MAC);
        let keys = TokenKeys::of(self);
        let mut body = [0u8; TOKEN_BODY];
        for (clear, (h, s)) in body.iter_mut().zip(hidden.iter().zip(keys.stream(mac))) {
            *clear = h ^ s;
        }
        if keys.mac(&body) != mac {
            return None;
        }
        let campaign = u32::from_be_bytes(body[..4].try_into().ok()?);
        Some((i64::from(campaign), NoticeId(i64::from_be_bytes(body[4..].try_into().ok()?))))
    }
}

struct TokenKeys {
    mac: [u8; KEY],
    stream: [u8; KEY],
}

impl TokenKeys {
    fn of(master: &MasterKey) -> TokenKeys {
        TokenKeys {
            mac: master.derive("forewarn 2026 notice token mac"),
            stream: master.derive("forewarn 2026 notice token stream"),
        }
    }

    fn mac(&self, body: &[u8]) -> [u8; TOKEN_MAC] {
        first(blake3::keyed_hash(&self.mac, body).as_bytes())
    }

    fn stream(&self, mac: &[u8]) -> [u8; TOKEN_BODY] {
        first(blake3::keyed_hash(&self.stream, mac).as_bytes())
    }
}

/// The first bytes of a hash.
fn first<const N: usize>(hash: &[u8; 32]) -> [u8; N] {
    std::array::from_fn(|i| hash[i])
}

impl CampaignKeys {
    pub fn campaign(&self) -> i64 {
        self.campaign
    }

    /// Seals a person under a fresh key, bound to the person's number in the campaign.
    pub fn seal_person(&self, number: i64, person: &Person) -> Result<SealedPerson, VaultError> {
        let own = Zeroizing::new(random::<KEY>());
        let place = self.place(number);
        let clear = Zeroizing::new(serde_json::to_vec(&Stored::of(person)).map_err(|_| VaultError::UnknownForm)?);
        let mut key = seal(&self.wrap, own.as_slice(), &place)?;
        key.extend_from_slice(&random::<KEY>());
        Ok(SealedPerson { key, blob: seal(&own, &clear, &place)? })
    }

    /// Seals a person who has changed under the key they have: what else is sealed under it still opens.
    pub fn reseal_person(&self, number: i64, own: &[u8], person: &Person) -> Result<SealedPerson, VaultError> {
        let place = self.place(number);
        let clear = Zeroizing::new(serde_json::to_vec(&Stored::of(person)).map_err(|_| VaultError::UnknownForm)?);
        Ok(SealedPerson { key: own.to_vec(), blob: seal(&*self.own_key(number, own)?, &clear, &place)? })
    }

    /// Seals a remark about a person under the person's own key, so that it goes when the person is erased. `at` is when
    /// it was written.
    pub fn seal_remark(&self, number: i64, own: &[u8], at: i64, text: &Personal) -> Result<Vec<u8>, VaultError> {
        seal(&*self.own_key(number, own)?, text.reveal().as_bytes(), &self.remark_place(number, at))
    }

    /// Opens what [`CampaignKeys::seal_remark`] sealed of the same person and time.
    pub fn open_remark(&self, number: i64, own: &[u8], at: i64, sealed: &[u8]) -> Result<Personal, VaultError> {
        let clear = open(&*self.own_key(number, own)?, sealed, &self.remark_place(number, at))?;
        Ok(Personal::new(String::from_utf8(clear).map_err(|_| VaultError::UnknownForm)?))
    }

    fn own_key(&self, number: i64, wrapped: &[u8]) -> Result<Zeroizing<[u8; KEY]>, VaultError> {
        if wrapped.iter().take(WRAPPED).all(|octet| *octet == 0) {
            return Err(VaultError::Erased);
        }
        let wrapped = wrapped.get(..WRAPPED).ok_or(VaultError::DoesNotOpen)?;
        let own = Zeroizing::new(open(&self.wrap, wrapped, &self.place(number))?);
        Ok(Zeroizing::new(own.as_slice().try_into().map_err(|_| VaultError::UnknownForm)?))
    }

    fn remark_place(&self, number: i64, at: i64) -> Vec<u8> {
        [self.place(number).as_slice(), b"remark", &at.to_be_bytes()].concat()
    }

    /// Opens what [`CampaignKeys::seal_person`] sealed for the same number.
    pub fn open_person(&self, number: i64, sealed: &SealedPerson) -> Result<Person, VaultError> {
        self.open_under(number, &*self.own_key(number, &sealed.key)?, sealed)
    }

    /// As [`CampaignKeys::open_person`], with the keys that the person's commitments hang on.
    pub fn open_with_keys(
        &self,
        number: i64,
        sealed: &SealedPerson,
    ) -> Result<(Person, IdentityKey, ContentKey), VaultError> {
        let own = self.own_key(number, &sealed.key)?;
        let person = self.open_under(number, &own, sealed)?;
        Ok((person, self.identity_of(number, &sealed.key, &own), ContentKey::of(&own)))
    }

    fn open_under(&self, number: i64, own: &[u8; KEY], sealed: &SealedPerson) -> Result<Person, VaultError> {
        let clear = Zeroizing::new(open(own, &sealed.blob, &self.place(number))?);
        let stored: Stored<'_> = serde_json::from_slice(&clear).map_err(|_| VaultError::UnknownForm)?;
        stored.into_person()
    }

    /// The keyed hash a person is found by: 128 bits of the customer reference.
    pub fn reference_hash(&self, reference: &str) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.lookup);
        hasher.update(b"ref\0").update(reference.as_bytes());
        first(hasher.finalize().as_bytes())
    }

    fn place(&self, number: i64) -> [u8; 16] {
        let mut place = [0u8; 16];
        place[..8].copy_from_slice(&self.campaign.to_be_bytes());
        place[8..].copy_from_slice(&number.to_be_bytes());
        place
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0u8; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// XChaCha20-Poly1305: what HChaCha20 makes of the key and the nonce's first bytes, and its last bytes, go into *ring*'s
/// ChaCha20-Poly1305. For the few bytes of a person that takes a third of what the cipher of `chacha20poly1305` takes.
fn cipher(key: &[u8; KEY], nonce: &[u8; NONCE]) -> Result<(LessSafeKey, Nonce), VaultError> {
    let begin: [u8; 16] = std::array::from_fn(|i| nonce[i]);
    let own = Zeroizing::new(<[u8; KEY]>::from(hchacha::<R20>(key.into(), &begin.into())));
    let own = UnboundKey::new(&CHACHA20_POLY1305, own.as_slice()).map_err(|_| VaultError::UnknownForm)?;
    let end = std::array::from_fn(|i| if i < 4 { 0 } else { nonce[12 + i] });
    Ok((LessSafeKey::new(own), Nonce::assume_unique_for_key(end)))
}

fn seal(key: &[u8; KEY], clear: &[u8], place: &[u8]) -> Result<Vec<u8>, VaultError> {
    let nonce = random::<NONCE>();
    let (cipher, rest) = cipher(key, &nonce)?;
    let mut sealed = Vec::with_capacity(NONCE + clear.len() + CHACHA20_POLY1305.tag_len());
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(clear);
    let tag = cipher.seal_in_place_separate_tag(rest, Aad::from(place), &mut sealed[NONCE..]);
    sealed.extend_from_slice(tag.map_err(|_| VaultError::UnknownForm)?.as_ref());
    Ok(sealed)
}

fn open(key: &[u8; KEY], sealed: &[u8], place: &[u8]) -> Result<Vec<u8>, VaultError> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE>().ok_or(VaultError::DoesNotOpen)?;
    let (cipher, rest) = cipher(key, nonce)?;
    let mut clear = body.to_vec();
    let opened = cipher.open_in_place(rest, Aad::from(place), &mut clear).map_err(|_| VaultError::DoesNotOpen)?;
    let len = opened.len();
    clear.truncate(len);
    Ok(clear)
}

/// The sealed form: short keys, empty parts left out. Fields may be added, never renamed.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    r: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    n: Cow<'a, str>,
    c: Vec<(char, Cow<'a, str>, u8)>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    l: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    o: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    g: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    b: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    d: Vec<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_self")]
    w: u8,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    x: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Ordinals of contacts that are not used any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    z: Vec<u8>,
}

fn is_self(role: &u8) -> bool {
    *role == 0
}

fn role_number(role: Role) -> u8 {
    match role {
        Role::OneSelf => 0,
        Role::Guardian => 1,
        Role::NextOfKin => 2,
    }
}

fn role_of(number: u8) -> Result<Role, VaultError> {
    match number {
        0 => Ok(Role::OneSelf),
        1 => Ok(Role::Guardian),
        2 => Ok(Role::NextOfKin),
        _ => Err(VaultError::UnknownForm),
    }
}

impl<'a> Stored<'a> {
    fn of(person: &'a Person) -> Stored<'a> {
        Stored {
            r: person.reference.reveal().into(),
            n: person.name.reveal().into(),
            c: person
                .contacts
                .iter()
                .map(|c| (c.kind.letter(), c.address.reveal().into(), role_number(c.role)))
                .collect(),
            l: person.locale.as_str().into(),
            o: person.country.as_str().into(),
            g: person.region.as_str().into(),
            b: person.birth_date.reveal().into(),
            d: person.data_types.iter().map(|d| d.as_str().into()).collect(),
            w: role_number(person.role),
            x: person.extra.iter().map(|(k, v)| (k.as_str().into(), v.reveal().into())).collect(),
            z: person.retired.clone(),
        }
    }

    fn into_person(self) -> Result<Person, VaultError> {
        let contacts = self.c.into_iter().map(|(kind, address, role)| {
            let kind = match kind {
                'e' => ContactKind::Email,
                'p' => ContactKind::Phone,
                _ => return Err(VaultError::UnknownForm),
            };
            Ok(Contact { kind, address: Personal::new(address), role: role_of(role)? })
        });
        Ok(Person {
            reference: Personal::new(self.r),
            name: Personal::new(self.n),
            contacts: contacts.collect::<Result<_, _>>()?,
            retired: self.z,
            locale: self.l.into_owned(),
            country: self.o.into_owned(),
            region: self.g.into_owned(),
            birth_date: Personal::new(self.b),
            data_types: self.d.into_iter().map(Cow::into_owned).collect(),
            role: role_of(self.w)?,
            extra: self.x.into_iter().map(|(k, v)| (k.into_owned(), Personal::new(v))).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::channel::Channel;

    fn master() -> MasterKey {
        MasterKey::parse(&MasterKey::generate()).unwrap()
    }

    fn person() -> Person {
        Person {
            reference: Personal::new("K-1"),
            name: Personal::new("王小明"),
            contacts: vec![Contact {
                kind: ContactKind::Email,
                address: Personal::new("w@example.org"),
                role: Role::Guardian,
            }],
            locale: "zh-CN".into(),
            extra: vec![("Branch".into(), Personal::new("浦东"))],
            role: Role::NextOfKin,
            ..Person::default()
        }
    }

    #[test]
    fn a_person_opens_with_the_right_keys_in_the_right_place_only() {
        let master = master();
        let (keys, sealed_keys) = master.new_campaign_keys(7).unwrap();
        let sealed = keys.seal_person(1, &person()).unwrap();
        assert!(!sealed.blob.windows(7).any(|w| w == b"example"));
        let again = master.open_campaign_keys(7, &sealed_keys).unwrap();
        assert_eq!(again.open_person(1, &sealed).unwrap(), person());
        assert_eq!(again.open_person(2, &sealed), Err(VaultError::DoesNotOpen));
        assert!(master.open_campaign_keys(8, &sealed_keys).is_err());
        assert!(super::tests::master().open_campaign_keys(7, &sealed_keys).is_err());
        for at in [0, 30, sealed.blob.len() - 1] {
            let mut spoilt = sealed.clone();
            spoilt.blob[at] ^= 1;
            assert_eq!(keys.open_person(1, &spoilt), Err(VaultError::DoesNotOpen));
        }
    }

    #[test]
    fn a_remark_opens_after_the_person_changed_and_nowhere_else() {
        let (keys, _) = master().new_campaign_keys(7).unwrap();
        let sealed = keys.seal_person(1, &person()).unwrap();
        let text = Personal::new("asks for her sister");
        let remark = keys.seal_remark(1, &sealed.key, 99, &text).unwrap();
        let moved = Person { retired: vec![0], ..person() };
        let again = keys.reseal_person(1, &sealed.key, &moved).unwrap();
        assert_eq!(keys.open_person(1, &again).unwrap(), moved);
        assert_eq!(keys.open_remark(1, &again.key, 99, &remark).unwrap(), text);
        assert_eq!(keys.open_remark(1, &again.key, 98, &remark), Err(VaultError::DoesNotOpen));
        let other = keys.seal_person(2, &person()).unwrap();
        assert_eq!(keys.open_remark(2, &other.key, 99, &remark), Err(VaultError::DoesNotOpen));
        assert_eq!(keys.reseal_person(2, &sealed.key, &moved), Err(VaultError::DoesNotOpen));
    }

    #[test]
    fn what_is_sealed_is_xchacha20_poly1305() {
        use chacha20poly1305::aead::{Aead as _, Payload};
        use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
        let (key, place) = (random::<KEY>(), random::<16>());
        let other = XChaCha20Poly1305::new(&key.into());
        for len in [0, 1, 63, 64, 65, 1_000] {
            let clear: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let sealed = seal(&key, &clear, &place).unwrap();
            let nonce = XNonce::from(*sealed.first_chunk::<NONCE>().unwrap());
            let opened = other.decrypt(&nonce, Payload { msg: &sealed[NONCE..], aad: &place }).unwrap();
            assert_eq!(opened, clear, "theirs opens ours of {len}");
            let theirs = other.encrypt(&nonce, Payload { msg: &clear, aad: &place }).unwrap();
            let theirs = [nonce.as_slice(), theirs.as_slice()].concat();
            assert_eq!(theirs, sealed, "ours is theirs, of {len}");
            assert_eq!(open(&key, &theirs, &place).unwrap(), clear, "ours opens theirs of {len}");
            assert_eq!(open(&key, &theirs, b"elsewhere"), Err(VaultError::DoesNotOpen));
        }
        assert_eq!(open(&key, &[0; NONCE], &place), Err(VaultError::DoesNotOpen));
    }

    #[test]
    fn a_token_hides_its_numbers_and_cannot_be_forged() {
        let (one, other) = (master(), master());
        let notice = NoticeId::new(123_456, 1, Channel::Sms);
        let token = one.token(3, notice);
        assert_eq!(token.len(), 36);
        assert_eq!(one.read_token(&token), Some((3, notice)));
        assert_eq!(other.read_token(&token), None);
        assert_eq!(one.token(3, notice), token);
        for bad in ["", "zz", &token[..34], &token.replace(&token[..1], "g"), "é".repeat(18).as_str()] {
            assert_eq!(one.read_token(bad), None);
        }
        let mut flipped = token.clone();
        flipped.replace_range(35..36, if token.ends_with('0') { "1" } else { "0" });
        assert_eq!(one.read_token(&flipped), None);
    }

    #[test]
    fn a_key_file_is_read_back_and_rubbish_is_not() {
        assert!(MasterKey::parse("abc").is_err());
        assert!(MasterKey::parse("").is_err());
        assert_eq!(master().fingerprint().len(), 32);
    }
}

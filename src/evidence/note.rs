//! Signed notes (C2SP signed-note): a text, an empty line, and lines of signatures by named keys.
//!
//! The text counts for nothing until a key that the reader trusts has signed it. Lines of other keys are passed over,
//! so that keys change and witnesses are added without breaking anybody; a wrong signature of a trusted key spoils the
//! whole note. Ed25519 is verified strictly: no key and no signature of low order, one form of each.

use super::base64;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// The largest note that is opened.
pub const LARGEST_NOTE: usize = 1024 * 1024;

/// The most lines of signatures that a note may have.
pub const MOST_SIGNATURES: usize = 100;

const PRIVATE: &str = "PRIVATE+KEY+";
const DASH: &str = "— ";

/// The octet by which a key's name and a signature's key id say what is signed how.
const ED25519: u8 = 1;
const COSIGNATURE: u8 = 4;

/// Why a key cannot be read.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    #[error("a key is written NAME+ID+BASE64; one of the two plus signs is missing")]
    NotAKey,
    #[error("a private key begins with {PRIVATE}; is this the public one?")]
    NotPrivate,
    #[error("the name of a key must not be empty, nor have spaces, control characters or plus signs")]
    BadName,
    #[error("the id of a key is eight hexadecimal digits, in small letters")]
    BadId,
    #[error("the key is not 33 octets in base64 with padding")]
    BadBase64,
    #[error("keys of kind {kind:#04x} are not known here; Ed25519 is 0x01, the cosignature of a witness 0x04")]
    UnknownKind { kind: u8 },
    #[error("the 32 octets are no Ed25519 key that proves anything")]
    BadKey,
    #[error("the id says {said:08x}, but name and key give {real:08x}: one of them was changed")]
    OtherId { said: u32, real: u32 },
}

/// Why a note cannot be signed or believed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoteError {
    #[error("the note is larger than 1 MiB")]
    TooLarge,
    #[error("the note has more than {MOST_SIGNATURES} signatures")]
    TooManySignatures,
    #[error("the note is not UTF-8, or has control characters")]
    NotText,
    #[error("the text of a note must end with a line end")]
    OpenEnd,
    #[error("there are no lines of signatures after an empty line")]
    NoSignatures,
    #[error("signature {line} is not a dash, a name and base64, with a space between each")]
    BadLine { line: usize },
    #[error("the signature of {name}, key {id:08x}, is wrong: the note was changed, or is not by that key")]
    WrongSignature { name: String, id: u32 },
    #[error("two of the keys that are trusted are called {name} and have the id {id:08x}; give one of them only")]
    Ambiguous { name: String, id: u32 },
    #[error("none of the keys that are trusted has signed the note")]
    Unsigned,
}

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// The text (0x01).
    Ed25519,
    /// The text of a checkpoint together with the time at which a witness saw it (0x04, `cosignature/v1`).
    Cosignature,
}

impl KeyKind {
    fn octet(self) -> u8 {
        match self {
            KeyKind::Ed25519 => ED25519,
            KeyKind::Cosignature => COSIGNATURE,
        }
    }
}

/// A public key with its name, in the form that is published: `NAME+ID+BASE64`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    id: u32,
    key: VerifyingKey,
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}+{}", self.name, self.id, base64(&typed(self.kind, self.key.as_bytes())))
    }
}

impl VerifierKey {
    /// Reads a key as it is published.
    pub fn parse(text: &str) -> Result<VerifierKey, KeyError> {
        let parts = Parts::split(text)?;
        let kind = match parts.kind {
            ED25519 => KeyKind::Ed25519,
            COSIGNATURE => KeyKind::Cosignature,
            kind => return Err(KeyError::UnknownKind { kind }),
        };
        let key = VerifierKey::new(parts.name, kind, &parts.octets)?;
        parts.check(key.id)?;
        Ok(key)
    }

    /// A key of this kind from its 32 octets.
    pub fn new(name: &str, kind: KeyKind, octets: &[u8; 32]) -> Result<VerifierKey, KeyError> {
        if !is_name(name) {
            return Err(KeyError::BadName);
        }
        let key = VerifyingKey::from_bytes(octets).map_err(|_| KeyError::BadKey)?;
        // A point outside the group of prime order is nobody's honest key.
        if key.is_weak() || !key.to_edwards().is_torsion_free() {
            return Err(KeyError::BadKey);
        }
        Ok(VerifierKey { name: name.to_owned(), kind, id: key_id(name, kind, octets), key })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The first four octets of the hash over name, kind and key, by which a signature names its key.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The key alone, as other tools take it.
    pub fn octets(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// The fingerprint to print on paper and to compare by eye: the SHA-256 of the published form, in hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        const_hex::encode(Sha256::digest(self.to_string()))
    }

    /// The time of a cosignature where there is one, if the signature is right.
    fn verify(&self, text: &str, signature: &[u8]) -> Option<Option<u64>> {
        let strictly = |message: &[u8], signature: &[u8]| {
            let signature = Signature::from_slice(signature).ok()?;
            self.key.verify_strict(message, &signature).ok()
        };
        match self.kind {
            KeyKind::Ed25519 => strictly(text.as_bytes(), signature).map(|()| None),
            KeyKind::Cosignature => {
                let (time, signature) = signature.split_first_chunk::<8>()?;
                let time = u64::from_be_bytes(*time);
                i64::try_from(time).ok()?;
                strictly(cosigned(text, time).as_bytes(), signature).map(|()| Some(time))
            }
        }
    }
}

/// What a witness signs of a checkpoint at a time, in seconds since 1970.
fn cosigned(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// A private key with its name. Zeroed when dropped, and shown by nothing but [`SigningKey::to_text`].
#[derive(Clone)]
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    public: VerifierKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl SigningKey {
    /// The key that these 32 octets are the seed of; they must be drawn at random and be used for nothing else.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<SigningKey, KeyError> {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let public = VerifierKey::new(name, KeyKind::Ed25519, key.verifying_key().as_bytes())?;
        Ok(SigningKey { key, public })
    }

    /// Reads `PRIVATE+KEY+NAME+ID+BASE64`.
    pub fn parse(text: &str) -> Result<SigningKey, KeyError> {
        let parts = Parts::split(text.strip_prefix(PRIVATE).ok_or(KeyError::NotPrivate)?)?;
        if parts.kind != ED25519 {
            return Err(KeyError::UnknownKind { kind: parts.kind });
        }
        let key = SigningKey::from_seed(parts.name, &parts.octets)?;
        parts.check(key.public.id)?;
        Ok(key)
    }

    /// The form that [`SigningKey::parse`] reads, for a file that nobody else may read.
    pub fn to_text(&self) -> Zeroizing<String> {
        let seed = Zeroizing::new(self.key.to_bytes());
        let octets = Zeroizing::new(base64(&*Zeroizing::new(typed(KeyKind::Ed25519, &seed))));
        Zeroizing::new(format!("{PRIVATE}{}+{:08x}+{}", self.public.name, self.public.id, *octets))
    }

    /// The public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.public
    }
}

/// A key in its written form, taken apart.
struct Parts<'t> {
    name: &'t str,
    id: u32,
    kind: u8,
    octets: Zeroizing<[u8; 32]>,
}

impl<'t> Parts<'t> {
    /// Splits at the first two plus signs: base64 has some of its own.
    fn split(text: &'t str) -> Result<Parts<'t>, KeyError> {
        let (name, rest) = text.split_once('+').ok_or(KeyError::NotAKey)?;
        let (id, octets) = rest.split_once('+').ok_or(KeyError::NotAKey)?;
        if !is_name(name) {
            return Err(KeyError::BadName);
        }
        let small = id.len() == 8 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let id = u32::from_str_radix(id, 16).ok().filter(|_| small).ok_or(KeyError::BadId)?;
        let octets = Zeroizing::new(STANDARD.decode(octets).map_err(|_| KeyError::BadBase64)?);
        let (kind, octets) = octets.split_first().ok_or(KeyError::BadBase64)?;
        match octets.try_into() {
            Ok(octets) => Ok(Parts { name, id, kind: *kind, octets: Zeroizing::new(octets) }),
            // Keys of other kinds have other lengths.
            Err(_) if *kind != ED25519 && *kind != COSIGNATURE => Err(KeyError::UnknownKind { kind: *kind }),
            Err(_) => Err(KeyError::BadBase64),
        }
    }

    fn check(&self, real: u32) -> Result<(), KeyError> {
        if self.id == real { Ok(()) } else { Err(KeyError::OtherId { said: self.id, real }) }
    }
}

/// Whether this may be the name of a key.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

fn typed(kind: KeyKind, octets: &[u8; 32]) -> [u8; 33] {
    let mut typed = [kind.octet(); 33];
    typed[1..].copy_from_slice(octets);
    typed
}

fn key_id(name: &str, kind: KeyKind, octets: &[u8; 32]) -> u32 {
    let hash = Sha256::new_with_prefix(name).chain_update("\n").chain_update(typed(kind, octets)).finalize();
    hash.iter().take(4).fold(0, |id, octet| id << 8 | u32::from(*octet))
}

/// The note of this text with a line for each key.
pub fn sign(text: &str, keys: &[&SigningKey]) -> Result<String, NoteError> {
    is_clean(text)?;
    if !text.ends_with('\n') {
        return Err(NoteError::OpenEnd);
    }
    if keys.is_empty() {
        return Err(NoteError::Unsigned);
    }
    let mut note = format!("{text}\n");
    for SigningKey { key, public } in keys {
        let mut octets = public.id.to_be_bytes().to_vec();
        octets.extend(key.sign(text.as_bytes()).to_bytes());
        note.push_str(&format!("{DASH}{} {}\n", public.name, base64(&octets)));
    }
    Ok(note)
}

fn is_clean(text: &str) -> Result<(), NoteError> {
    let clean = !text.bytes().any(|octet| octet < b' ' && octet != b'\n');
    if clean { Ok(()) } else { Err(NoteError::NotText) }
}

/// A note of which at least one signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<'n> {
    /// The text that was signed, to its last line end.
    pub text: &'n str,
    /// The signatures that are right, in the order of the note, one a key.
    pub signatures: Vec<Verified>,
}

/// A signature that is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub name: String,
    pub id: u32,
    pub kind: KeyKind,
    /// When a witness signed, in seconds since 1970 by its own clock.
    pub time: Option<u64>,
}

/// Verifies a note by the keys that the reader trusts. Whether those who signed are enough is for the caller to say.
pub fn open<'n>(note: &'n [u8], keys: &[VerifierKey]) -> Result<Opened<'n>, NoteError> {
    let (text, lines) = split(note)?;
    let mut signatures: Vec<Verified> = Vec::new();
    for (number, line) in lines.lines().enumerate() {
        if number == MOST_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        let (name, id, signature) = signature(line).ok_or(NoteError::BadLine { line: number + 1 })?;
        let mut known = keys.iter().filter(|key| key.name == name && key.id == id);
        let Some(key) = known.next() else { continue };
        if known.next().is_some() {
            return Err(NoteError::Ambiguous { name: name.to_owned(), id });
        }
        if signatures.iter().any(|seen| seen.name == name && seen.id == id) {
            continue;
        }
        let wrong = || NoteError::WrongSignature { name: name.to_owned(), id };
        let time = key.verify(text, &signature).ok_or_else(wrong)?;
        signatures.push(Verified { name: name.to_owned(), id, kind: key.kind, time });
    }
    if signatures.is_empty() {
        return Err(NoteError::Unsigned);
    }
    Ok(Opened { text, signatures })
}

/// The text and the lines of signatures of a note, of which nothing is believed yet.
fn split(note: &[u8]) -> Result<(&str, &str), NoteError> {
    if note.len() > LARGEST_NOTE {
        return Err(NoteError::TooLarge);
    }
    let note = std::str::from_utf8(note).map_err(|_| NoteError::NotText)?;
    is_clean(note)?;
    let end = note.rfind("\n\n").ok_or(NoteError::NoSignatures)?;
    let (text, lines) = (&note[..=end], &note[end + 2..]);
    if lines.is_empty() {
        return Err(NoteError::NoSignatures);
    }
    if lines.ends_with('\n') { Ok((text, lines)) } else { Err(NoteError::OpenEnd) }
}

/// Name, key id and signature of a line.
fn signature(line: &str) -> Option<(&str, u32, Vec<u8>)> {
    let (name, octets) = line.strip_prefix(DASH)?.split_once(' ')?;
    let octets = STANDARD.decode(octets).ok()?;
    let (id, signature) = octets.split_first_chunk::<4>()?;
    (is_name(name) && !signature.is_empty()).then(|| (name, u32::from_be_bytes(*id), signature.to_vec()))
}

#[cfg(test)]
mod tests;

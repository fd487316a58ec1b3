//! Disclosures: small files that open the commitments in a leaf, one value each, for whoever may see that value.
//!
//! A disclosure is exactly the octets `["SALT","LABEL",VALUE]`: the salt as 64 small hexadecimal digits, the label, the
//! value in canonical JSON, most often a string; no white space, no line end. Its commitment is the SHA-256 of these octets
//! in small hexadecimal digits, so that `sha256sum addr.json` is all it takes to check one. A value that can be guessed is
//! never hashed without its salt.
//!
//! The salt is `HMAC-SHA256(K, "forewarn/salt/v1" || 0x00 || uid || 0x00 || label)`, where K are 32 random octets of the
//! recipient and uid is the unique id of the event. Both ids are printable ASCII, so a zero octet ends each and no two
//! places have the same input. One salt tells nothing about K or any other salt: values are disclosed one by one, and
//! with K gone nobody can open, nor guess at, what was not disclosed before.

use super::canonical::{self, NotCanonical, TOO_LONG, Value, is_plain, push_text, push_value};
use super::merkle::Hash;
use hmac::digest::KeyInit as _;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::Zeroizing;

const SALT: &[u8] = b"forewarn/salt/v1\0";

/// How long ids and labels may be.
const LONGEST_ID: usize = 128;

/// What there is around the value in a disclosure.
const AROUND: usize = r#"["","",]"#.len() + 64;

/// Why there is no such disclosure.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum DisclosureError {
    #[error("an event id or a label is empty, longer than {LONGEST_ID}, or not plain ASCII")]
    BadId,
    #[error("a disclosure would have 64 KiB or more; commit to the hash of the value instead")]
    TooLong,
    #[error("the disclosure is {0}")]
    NotCanonical(#[from] NotCanonical),
    #[error("the disclosure is not a list of a salt of 64 small hexadecimal digits, a label and a value")]
    OtherForm,
}

/// The key of a recipient, from which the salts of his or her values come. Zeroed when dropped; prints as nothing.
#[derive(Clone)]
pub struct SaltKey(Hmac<Sha256>);

impl fmt::Debug for SaltKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaltKey(…)")
    }
}

/// What stands in a leaf in the place of a value: 64 hexadecimal digits.
#[derive(Clone)]
pub struct Commitment(const_hex::Buffer<32>);

impl Commitment {
    fn of(octets: &[u8]) -> Commitment {
        Commitment(hexadecimal(&Sha256::digest(octets).into()))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for Commitment {
    fn eq(&self, other: &Commitment) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Commitment {}

fn hexadecimal(hash: &Hash) -> const_hex::Buffer<32> {
    let mut digits = const_hex::Buffer::new();
    digits.format(hash);
    digits
}

impl SaltKey {
    pub fn new(key: &[u8; 32]) -> SaltKey {
        // HMAC fills a short key up with zeros.
        let mut block = Zeroizing::new([0u8; 64]);
        block[..32].copy_from_slice(key);
        SaltKey(Hmac::new((&*block).into()))
    }

    /// The salt of one value of one event.
    pub fn salt(&self, uid: &str, label: &str) -> Result<Hash, DisclosureError> {
        if !is_id(uid) || !is_id(label) {
            return Err(DisclosureError::BadId);
        }
        let mac = self.0.clone().chain_update(SALT).chain_update(uid).chain_update([0]).chain_update(label);
        Ok(mac.finalize().into_bytes().into())
    }

    /// The commitment to a text, without keeping its disclosure: this is made for every message.
    pub fn commit(&self, uid: &str, label: &str, text: &str) -> Result<Commitment, DisclosureError> {
        let salt = self.salt(uid, label)?;
        let mut file = Zeroizing::new(String::with_capacity(AROUND + label.len() + text.len() + 16));
        begin(&mut file, &salt, label);
        push_text(&mut file, text);
        file.push(']');
        if file.len() < TOO_LONG { Ok(Commitment::of(file.as_bytes())) } else { Err(DisclosureError::TooLong) }
    }

    /// The disclosure that opens such a commitment.
    pub fn disclose(&self, uid: &str, label: &str, value: Value) -> Result<Disclosure, DisclosureError> {
        let disclosure = Disclosure { salt: self.salt(uid, label)?, label: label.to_owned(), value };
        if disclosure.to_octets().len() < TOO_LONG { Ok(disclosure) } else { Err(DisclosureError::TooLong) }
    }
}

/// Whether this may be an id or a label: plain, so that it needs no escape and holds no zero octet.
fn is_id(text: &str) -> bool {
    (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(is_plain)
}

fn begin(file: &mut String, salt: &Hash, label: &str) {
    file.push_str("[\"");
    file.push_str(hexadecimal(salt).as_str());
    file.push_str("\",\"");
    file.push_str(label);
    file.push_str("\",");
}

/// A value with what it takes to open its commitment. The value may be personal: it prints as nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Disclosure {
    salt: Hash,
    label: String,
    value: Value,
}

impl fmt::Debug for Disclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Disclosure({}, ‹personal›)", self.label)
    }
}

impl Disclosure {
    /// Reads a file to the octet: what is accepted is what [`Disclosure::to_octets`] writes.
    pub fn parse(octets: &[u8]) -> Result<Disclosure, DisclosureError> {
        let Value::List(parts) = canonical::read(octets)? else { return Err(DisclosureError::OtherForm) };
        let Ok([Value::Text(salt), Value::Text(label), value]) = <[Value; 3]>::try_from(parts) else {
            return Err(DisclosureError::OtherForm);
        };
        let small = salt.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let decoded = const_hex::decode_to_array(&salt).ok().filter(|_| small && is_id(&label) && salt.len() == 64);
        let salt = decoded.ok_or(DisclosureError::OtherForm)?;
        Ok(Disclosure { salt, label, value })
    }

    /// The file.
    pub fn to_octets(&self) -> String {
        let mut file = String::with_capacity(AROUND + self.label.len() + 64);
        begin(&mut file, &self.salt, &self.label);
        push_value(&mut file, &self.value);
        file.push(']');
        file
    }

    /// What stands in the leaf for this value.
    pub fn commitment(&self) -> Commitment {
        Commitment::of(self.to_octets().as_bytes())
    }

    pub fn label(&self) -> &str {
        &self.label
    }

    /// The value, which may be personal.
    pub fn value(&self) -> &Value {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::ZeroizeOnDrop;

    const UID: &str = "01JDEVENT";

    fn key() -> SaltKey {
        SaltKey::new(&std::array::from_fn(|at| at as u8))
    }

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    /// Made by Python's hmac and hashlib from what the documentation above says.
    #[test]
    fn salts_and_commitments_are_what_the_documentation_says() {
        let salt = "182b6ca02e82218cf94c0dd3de20c9a051963c54a095a80f1fd67869cc4975a1";
        assert_eq!(const_hex::encode(key().salt(UID, "addr").unwrap()), salt);
        let made = key().disclose(UID, "addr", text("jane@example.org")).unwrap();
        assert_eq!(made.to_octets(), format!(r#"["{salt}","addr","jane@example.org"]"#));
        let commitment = "16ca83a853417e9c866304c19578dc2a54690b90a3330ec307d6cef047f952da";
        assert_eq!(made.commitment().as_str(), commitment);
        assert_eq!(key().commit(UID, "addr", "jane@example.org").unwrap().as_str(), commitment);
        let escaped = "550 \"<jürgen@example.org>\"\r\n\\ \u{1}";
        let commitment = "afc6003d6b8cae0330342f699aa8aa8c99f04421414b5c187200b37ae4d6398d";
        assert_eq!(key().commit(UID, "text", escaped).unwrap().as_str(), commitment);
    }

    #[test]
    fn a_disclosure_is_read_as_it_was_written() {
        let list = Value::List(vec![text("a"), Value::Number(7)]);
        for value in [text(""), text("ü\n\"\\"), Value::Number(0), list, canonical::read(br#"{"a":1,"b":[]}"#).unwrap()]
        {
            let made = key().disclose(UID, "x", value).unwrap();
            let read = Disclosure::parse(made.to_octets().as_bytes()).unwrap();
            assert_eq!(read, made);
            assert_eq!(read.commitment(), made.commitment());
            assert_eq!((read.label(), read.value()), ("x", made.value()));
        }
    }

    #[test]
    fn one_salt_tells_nothing_of_another_place() {
        let key = key();
        let mut salts: Vec<Hash> = [("e1", "addr"), ("e1", "cust"), ("e2", "addr"), ("e1a", "ddr"), ("e", "1addr")]
            .iter()
            .map(|(uid, label)| key.salt(uid, label).unwrap())
            .collect();
        salts.push(SaltKey::new(&[0; 32]).salt("e1", "addr").unwrap());
        salts.sort_unstable();
        salts.dedup();
        assert_eq!(salts.len(), 6);
    }

    #[test]
    fn ids_that_would_be_ambiguous_are_refused() {
        let long = "a".repeat(129);
        for bad in ["", "a\0b", "a\"b", "a\\b", "ü", "a\n", &long] {
            assert_eq!(key().salt(bad, "addr"), Err(DisclosureError::BadId), "{bad:?}");
            assert_eq!(key().salt(UID, bad), Err(DisclosureError::BadId), "{bad:?}");
        }
        assert!(key().commit(UID, "addr", &"x".repeat(65_400)).is_ok());
        assert_eq!(key().commit(UID, "addr", &"x".repeat(65_536)), Err(DisclosureError::TooLong));
        assert_eq!(key().disclose(UID, "addr", text(&"x".repeat(65_536))), Err(DisclosureError::TooLong));
    }

    #[test]
    fn every_other_form_is_refused() {
        let salt = "0123456789abcdef".repeat(4);
        let good = format!(r#"["{salt}","addr","jane"]"#);
        assert!(Disclosure::parse(good.as_bytes()).is_ok());
        for bad in [
            format!("{good}\n"),
            format!(" {good}"),
            good.replace("\",\"", "\", \""),
            good.replace("addr", "\\u0061ddr"),
            good.replace("\"jane\"", "null"),
            good.replace("\"jane\"", "1.0"),
            good.replace("\"jane\"", "true"),
            good.replace("\"jane\"", r#"{"a":1,"a":2}"#),
            good.replace("jane", "j\\/ane"),
            good.replace("0123", "012"),
            good.replace("abcdef", "ABCDEF"),
            good.replace("\"0123", "\"0x0123"),
            good.replace("addr", ""),
            good.replace("addr", "ädr"),
            good.replace(",\"jane\"", ""),
            good.replace("\"jane\"", "\"jane\",1"),
            format!(r#"{{"salt":"{salt}"}}"#),
            good.replace(&salt, ""),
        ] {
            assert_ne!(bad, good);
            assert!(Disclosure::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn neither_key_nor_value_prints() {
        fn zeroed<T: ZeroizeOnDrop>() {}
        // Which is all that an HMAC consists of.
        zeroed::<Sha256>();
        let made = key().disclose(UID, "addr", text("jane@example.org")).unwrap();
        assert_eq!(format!("{:?} {made:?}", key()), "SaltKey(…) Disclosure(addr, ‹personal›)");
        let error = Disclosure::parse(b"[\"jane@example.org\",]").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("jane"));
    }
}

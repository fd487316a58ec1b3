//! What an answer of a time-stamping authority says: its status, what was stamped, when, and who signed how.

use super::der::{self, Der, Item};
use super::{Request, TimestampError};
use crate::evidence::merkle::Hash;
use crate::model::time::Micros;
use ring::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512, digest};

/// Object identifiers, as their content octets.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
const SIGNING_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x0c];
const SIGNING_CERTIFICATE_V2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x2f];
/// SHA-384 and SHA-512; SHA-256 is in [`der`].
const OID_SHA384: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
const OID_SHA512: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];

/// What a refusal says in words is shortened to this.
const LONGEST_WORDS: usize = 200;

/// An answer that grants a token.
#[derive(Clone, Debug)]
pub struct Token<'t> {
    /// When the authority says that it was asked, UTC.
    pub at: Micros,
    pub(super) imprint: &'t [u8],
    nonce: Option<&'t [u8]>,
    /// TSTInfo: what is signed.
    content: &'t [u8],
    /// DER of each.
    pub(super) certificates: Vec<&'t [u8]>,
    pub(super) signer: Signer<'t>,
}

/// Who signed, and how.
#[derive(Clone, Debug)]
pub(super) struct Signer<'t> {
    /// Issuer and serial number of the certificate; none where it is named by its key.
    pub named: Option<(&'t [u8], &'t [u8])>,
    pub digest: &'static Algorithm,
    /// The signed attributes as they are signed: a SET in DER.
    pub signed: Vec<u8>,
    pub algorithm: &'t [u8],
    pub signature: &'t [u8],
    message_digest: &'t [u8],
    /// The digest of the certificate that signed, and by which algorithm.
    pub certificate: (&'static Algorithm, &'t [u8]),
}

fn bad<T>(found: Option<T>, what: &'static str) -> Result<T, TimestampError> {
    found.ok_or(TimestampError::Malformed(what))
}

/// A digest by its name.
fn algorithm(oid: &[u8]) -> Result<&'static Algorithm, TimestampError> {
    match oid {
        der::SHA256 => Ok(&SHA256),
        OID_SHA384 => Ok(&SHA384),
        OID_SHA512 => Ok(&SHA512),
        _ => Err(TimestampError::Unsupported("a digest other than SHA-256, SHA-384 and SHA-512")),
    }
}

/// The object identifier at the start of an AlgorithmIdentifier.
fn identifier<'t>(from: &mut Der<'t>) -> Option<&'t [u8]> {
    from.inside(der::SEQUENCE)?.next(der::OID).map(|oid| oid.content)
}

impl<'t> Token<'t> {
    /// Reads the octets of an answer, all of them.
    pub fn read(reply: &'t [u8]) -> Result<Token<'t>, TimestampError> {
        let mut all = Der::new(reply);
        let mut response = bad(all.inside(der::SEQUENCE), "not in DER, or cut")?;
        if !all.is_empty() {
            return Err(TimestampError::Malformed("something is behind it"));
        }
        granted(bad(response.inside(der::SEQUENCE), "no status")?)?;
        let mut info = bad(response.inside(der::SEQUENCE), "no token")?;
        let kind = info.next(der::OID).map(|oid| oid.content);
        if kind != Some(SIGNED_DATA) || !response.is_empty() {
            return Err(TimestampError::Malformed("the token is not signed data"));
        }
        let signed = info.inside(der::TAG_0).and_then(|mut explicit| explicit.inside(der::SEQUENCE));
        signed_data(bad(signed, "the token is not signed data")?)
    }

    /// Whether it answers this question.
    pub fn answers(&self, request: &Request) -> Result<(), TimestampError> {
        self.stamps(request.digest())?;
        // A number in DER begins without a zero, and ours never needs one.
        if self.nonce == Some(request.nonce()) { Ok(()) } else { Err(TimestampError::OtherNonce) }
    }

    /// Whether it is this digest that is stamped.
    pub fn stamps(&self, digest: &Hash) -> Result<(), TimestampError> {
        if self.imprint == digest { Ok(()) } else { Err(TimestampError::OtherImprint) }
    }

    /// Whether what is signed is what the token says.
    pub(super) fn is_whole(&self) -> bool {
        digest(self.signer.digest, self.content).as_ref() == self.signer.message_digest
    }
}

/// PKIStatusInfo: 0 granted, 1 granted with modifications.
fn granted(mut status: Der<'_>) -> Result<(), TimestampError> {
    let number = status.next(der::INTEGER).and_then(|number| der::small(number.content));
    match bad(number, "no status")? {
        0 | 1 => Ok(()),
        number => {
            let words = status.inside(der::SEQUENCE).and_then(|mut texts| texts.next(der::UTF8));
            let words = words.map(|text| String::from_utf8_lossy(text.content).into_owned()).unwrap_or_default();
            let plain = |c: &char| c.is_ascii_graphic() || *c == ' ';
            let words: String = words.chars().filter(plain).take(LONGEST_WORDS).collect();
            let text = if words.is_empty() { words } else { format!(", {words}") };
            Err(TimestampError::Refused { status: number, text })
        }
    }
}

fn signed_data(mut data: Der<'_>) -> Result<Token<'_>, TimestampError> {
    bad(data.next(der::INTEGER), "no version")?;
    bad(data.next(der::SET), "no list of digests")?;
    let mut content = bad(data.inside(der::SEQUENCE), "nothing is signed")?;
    if content.next(der::OID).map(|oid| oid.content) != Some(TST_INFO) {
        return Err(TimestampError::Malformed("what is signed is no time stamp"));
    }
    let content = content.inside(der::TAG_0).and_then(|mut explicit| explicit.next(der::OCTETS));
    let content = bad(content, "nothing is signed")?.content;
    let mut certificates = Vec::new();
    if let Some(mut some) = data.inside(der::TAG_0) {
        while !some.is_empty() {
            let item = bad(some.any(), "its certificates are cut")?;
            // Certificates of other kinds than X.509 have tags of their own.
            certificates.extend((item.whole.first() == Some(&der::SEQUENCE)).then_some(item.whole));
        }
    }
    data.next(der::TAG_1);
    let mut signers = bad(data.inside(der::SET), "nobody signed it")?;
    let signer = signer(bad(signers.inside(der::SEQUENCE), "nobody signed it")?)?;
    if !signers.is_empty() || !data.is_empty() {
        return Err(TimestampError::Malformed("it has more than one signer"));
    }
    let info = Info::read(content)?;
    let Info { at, imprint, nonce } = info;
    Ok(Token { at, imprint, nonce, content, certificates, signer })
}

/// TSTInfo.
struct Info<'t> {
    at: Micros,
    imprint: &'t [u8],
    nonce: Option<&'t [u8]>,
}

impl<'t> Info<'t> {
    fn read(octets: &'t [u8]) -> Result<Info<'t>, TimestampError> {
        let mut all = Der::new(octets);
        let mut info = bad(all.inside(der::SEQUENCE), "what is signed is no time stamp")?;
        let version = info.next(der::INTEGER).and_then(|number| der::small(number.content));
        if version != Some(1) || info.next(der::OID).is_none() || !all.is_empty() {
            return Err(TimestampError::Malformed("what is signed is no time stamp of version 1"));
        }
        let mut imprint = bad(info.inside(der::SEQUENCE), "no digest is stamped")?;
        if identifier(&mut imprint) != Some(der::SHA256) {
            return Err(TimestampError::OtherImprint);
        }
        let imprint = bad(imprint.next(der::OCTETS), "no digest is stamped")?.content;
        bad(info.next(der::INTEGER), "it has no serial number")?;
        let at = bad(info.next(der::TIME).and_then(|time| moment(time.content)), "it has no time in UTC")?;
        // Accuracy and ordering.
        info.next(der::SEQUENCE);
        info.next(der::BOOLEAN);
        let nonce = info.next(der::INTEGER).map(|nonce| nonce.content);
        Ok(Info { at, imprint, nonce })
    }
}

/// GeneralizedTime in UTC: `YYYYMMDDHHMMSS[.fraction]Z`.
fn moment(text: &[u8]) -> Option<Micros> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() != 14 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let part = |from: usize, to: usize| whole.get(from..to)?.parse::<i8>().ok();
    let year = whole.get(..4)?.parse().ok()?;
    let (month, day, hour, minute) = (part(4, 6)?, part(6, 8)?, part(8, 10)?, part(10, 12)?);
    let date = jiff::civil::DateTime::new(year, month, day, hour, minute, part(12, 14)?, 0).ok()?;
    let micros = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    let micros = micros.fold(0, |micros, digit| micros * 10 + Micros::from(digit - b'0'));
    Some(jiff::tz::Offset::UTC.to_timestamp(date).ok()?.as_microsecond() + micros)
}

fn signer(mut info: Der<'_>) -> Result<Signer<'_>, TimestampError> {
    bad(info.next(der::INTEGER), "its signer has no version")?;
    let named = match info.inside(der::SEQUENCE) {
        Some(mut name) => {
            let (issuer, serial) = (name.next(der::SEQUENCE), name.next(der::INTEGER));
            let both = issuer.zip(serial).map(|(issuer, serial)| (issuer.whole, serial.content));
            Some(bad(both, "it does not name its signer")?)
        }
        // By the identifier of the key, [0] of octets.
        None => {
            bad(info.next(0x80), "it does not name its signer")?;
            None
        }
    };
    let digest = algorithm(bad(identifier(&mut info), "its signer has no digest")?)?;
    let attributes = bad(info.next(der::TAG_0), "it has no signed attributes")?;
    // They are signed as the SET that they are, not as the part of the signer that they stand as.
    let mut signed = attributes.whole.to_vec();
    signed[0] = der::SET;
    let (message_digest, certificate) = attributes_of(attributes)?;
    let algorithm = bad(identifier(&mut info), "its signature has no algorithm")?;
    let signature = bad(info.next(der::OCTETS), "it has no signature")?.content;
    Ok(Signer { named, digest, signed, algorithm, signature, message_digest, certificate })
}

/// The digest of what is signed, and that of the certificate that signed.
#[expect(clippy::type_complexity, reason = "two digests, one with its algorithm")]
fn attributes_of(attributes: Item<'_>) -> Result<(&[u8], (&'static Algorithm, &[u8])), TimestampError> {
    let mut all = Der::new(attributes.content);
    let (mut kind, mut message, mut certificate, mut old) = (None, None, None, None);
    while !all.is_empty() {
        let mut attribute = bad(all.inside(der::SEQUENCE), "a signed attribute is cut")?;
        let name = bad(attribute.next(der::OID), "a signed attribute is cut")?.content;
        let mut values = bad(attribute.inside(der::SET), "a signed attribute is cut")?;
        let twice = match name {
            CONTENT_TYPE => {
                kind.replace(bad(values.next(der::OID), "it does not say what is signed")?.content).is_some()
            }
            MESSAGE_DIGEST => {
                message.replace(bad(values.next(der::OCTETS), "it has no digest of what is signed")?.content).is_some()
            }
            SIGNING_CERTIFICATE_V2 => certificate.replace(certificate_named(values, &SHA256)?).is_some(),
            // Only says which of the certificates it is, whose own signatures are looked at: there SHA-1 does no harm.
            SIGNING_CERTIFICATE => old.replace(certificate_named(values, &SHA1_FOR_LEGACY_USE_ONLY)?).is_some(),
            _ => false,
        };
        if twice {
            return Err(TimestampError::Malformed("a signed attribute stands there twice"));
        }
    }
    if kind != Some(TST_INFO) {
        return Err(TimestampError::Malformed("its signature is not over a time stamp"));
    }
    let message = bad(message, "its signature has no digest of what is signed")?;
    Ok((message, bad(certificate.or(old), "its signature names no certificate")?))
}

/// SigningCertificate of both versions: the first certificate named is the one that signed. `usual` where no digest is named.
fn certificate_named<'t>(
    mut values: Der<'t>,
    usual: &'static Algorithm,
) -> Result<(&'static Algorithm, &'t [u8]), TimestampError> {
    let mut value = || values.inside(der::SEQUENCE)?.inside(der::SEQUENCE)?.inside(der::SEQUENCE);
    let mut first = bad(value(), "its signature names no certificate")?;
    let named = identifier(&mut first).map(algorithm).transpose()?;
    let hash = bad(first.next(der::OCTETS), "its signature names no certificate")?.content;
    Ok((named.unwrap_or(usual), hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_microsecond_and_in_utc_only() {
        for (text, want) in [
            ("20261125173000Z", Some(1_795_627_800_000_000)),
            ("20261125173000.5Z", Some(1_795_627_800_500_000)),
            ("20261125173000.1234567Z", Some(1_795_627_800_123_456)),
            ("20261125173000", None),
            ("20261125173000+0100", None),
            ("202611251730Z", None),
            ("20261325173000Z", None),
            ("20261125173000.Z", None),
            ("2026112517300-Z", None),
        ] {
            assert_eq!(moment(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn a_refusal_is_told_without_what_a_terminal_would_obey() {
        let mut reply = vec![0x30, 0x0f, 0x30, 0x0d, 0x02, 0x01, 0x02, 0x30, 0x08, 0x0c, 0x06];
        reply.extend_from_slice(b"no\x1b[2J");
        let refused = Token::read(&reply).unwrap_err();
        assert_eq!(refused, TimestampError::Refused { status: 2, text: ", no[2J".to_owned() });
    }

    #[test]
    fn what_is_no_answer_is_refused_in_words() {
        for bytes in [&b""[..], b"<html>", &[0x30], &[0x30, 0x00], &[0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x00]] {
            assert!(matches!(Token::read(bytes), Err(TimestampError::Malformed(_))), "{bytes:?}");
        }
        let behind = [0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x00, 0x00];
        assert_eq!(Token::read(&behind).unwrap_err(), TimestampError::Malformed("something is behind it"));
    }
}

//! Who is believed to tell the time: the certificates of an authority, as a file, and whether a token leads to them.
//!
//! The file is what `openssl ts -verify -CAfile` takes, and it is understood in the same way: certificates that are signed
//! by their own keys are believed; others in it only help to lead to those. Times are those of the token: a certificate
//! that has expired since does no harm to what it signed before.

use super::token::Token;
use super::{TimestampError, der};
use crate::model::time::{Micros, SECOND};
use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certificate::X509Certificate;

/// id-kp-timeStamping.
const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];
/// id-ce-extKeyUsage.
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// The names of algorithms of signatures but for their last octet: pkcs-1, ecdsa-with-SHA2, the curves of Edwards.
const PKCS1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
const EDWARDS: &[u8] = &[0x2b, 0x65];

/// A way to verify a signature.
type Method = &'static dyn SignatureVerificationAlgorithm;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Rsa,
    Pss,
    Ecdsa,
}

/// Why a file of certificates does not serve.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AuthorityError {
    #[error("holds something that is no certificate in PEM form")]
    NotCertificates,
    #[error("holds no certificate that is signed by its own key: the root of the authority must be in it")]
    NoRoot,
}

/// An authority that is believed.
#[derive(Clone, Debug)]
pub struct Authority {
    roots: Vec<Root>,
    others: Vec<CertificateDer<'static>>,
}

#[derive(Clone, Debug)]
struct Root {
    der: CertificateDer<'static>,
    /// Its first and last moment, in seconds.
    from: i64,
    to: i64,
}

impl Authority {
    /// Reads a file of certificates in PEM form.
    pub fn parse(pem: &[u8]) -> Result<Authority, AuthorityError> {
        let mut authority = Authority { roots: Vec::new(), others: Vec::new() };
        for der in CertificateDer::pem_slice_iter(pem) {
            let der = der.map_err(|_| AuthorityError::NotCertificates)?;
            let Ok((rest, certificate)) = X509Certificate::from_der(&der) else {
                return Err(AuthorityError::NotCertificates);
            };
            if !rest.is_empty() || anchor_from_trusted_cert(&der).is_err() {
                return Err(AuthorityError::NotCertificates);
            }
            if certificate.issuer().as_raw() == certificate.subject().as_raw() {
                let valid = certificate.validity();
                let (from, to) = (valid.not_before.timestamp(), valid.not_after.timestamp());
                authority.roots.push(Root { from, to, der: der.clone() });
            } else {
                authority.others.push(der);
            }
        }
        if authority.roots.is_empty() { Err(AuthorityError::NoRoot) } else { Ok(authority) }
    }

    /// The SHA-256 of each root, as `openssl x509 -fingerprint -sha256` prints it.
    pub fn fingerprints(&self) -> Vec<String> {
        let print = |root: &Root| {
            let pairs: Vec<String> = Sha256::digest(&root.der).iter().map(|octet| format!("{octet:02X}")).collect();
            pairs.join(":")
        };
        self.roots.iter().map(print).collect()
    }

    /// When the last of the roots expires.
    pub fn expires(&self) -> Micros {
        self.roots.iter().map(|root| root.to.saturating_mul(SECOND)).max().unwrap_or_default()
    }

    /// Whether this authority has signed the token, by a certificate that was good for it at the token's own time.
    pub fn check(&self, token: &Token<'_>) -> Result<(), TimestampError> {
        let (method, named) = token.signer.certificate;
        let signer = token.certificates.iter().find(|der| digest(method, der).as_ref() == named);
        let Some(signer) = signer else {
            return Err(if token.certificates.is_empty() {
                TimestampError::NoCertificate
            } else {
                TimestampError::Malformed("the certificate that its signature names is not in it")
            });
        };
        is_for_timestamps(signer, token)?;
        let der = CertificateDer::from(*signer);
        let certificate = EndEntityCert::try_from(&der).map_err(untrusted)?;
        if !token.is_whole() || !has_signed(&certificate, token)? {
            return Err(TimestampError::BadSignature);
        }
        self.leads_to(&certificate, token)
    }

    fn leads_to(&self, certificate: &EndEntityCert<'_>, token: &Token<'_>) -> Result<(), TimestampError> {
        let second = token.at.div_euclid(SECOND);
        // A root is believed as long as it says itself that it may be.
        let valid = self.roots.iter().filter(|root| (root.from..=root.to).contains(&second));
        let anchors: Vec<TrustAnchor<'_>> = valid.filter_map(|root| anchor_from_trusted_cert(&root.der).ok()).collect();
        if anchors.is_empty() {
            return Err(TimestampError::Untrusted("no root was valid when it stamped".to_owned()));
        }
        let between = token.certificates.iter().map(|der| CertificateDer::from(*der));
        let between: Vec<CertificateDer<'_>> = self.others.iter().cloned().chain(between).collect();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(second.unsigned_abs()));
        // Certificates between may leave out what they are for; the one that signs was looked at.
        let usage = KeyUsage::required_if_present(TIME_STAMPING);
        let algorithms = ALL_VERIFICATION_ALGS;
        certificate
            .verify_for_usage(algorithms, &anchors, &between, time, usage, None, None)
            .map(|_| ())
            .map_err(untrusted)
    }
}

fn untrusted(why: webpki::Error) -> TimestampError {
    use webpki::Error;
    let text = if let Error::CertExpired { .. } = why {
        "it had expired when it stamped".to_owned()
    } else if let Error::CertNotValidYet { .. } = why {
        "it was not valid yet when it stamped".to_owned()
    } else if let Error::UnknownIssuer = why {
        "it was issued by somebody else".to_owned()
    } else {
        why.to_string()
    };
    TimestampError::Untrusted(text)
}

/// The certificate is the one that the signer is named by, and is for time stamps and nothing else, as RFC 3161 asks.
fn is_for_timestamps(der: &[u8], token: &Token<'_>) -> Result<(), TimestampError> {
    let unreadable = TimestampError::Malformed("its certificate cannot be read");
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Err(unreadable) };
    if let Some((issuer, serial)) = token.signer.named
        && (certificate.issuer().as_raw() != issuer || certificate.raw_serial() != serial)
    {
        return Err(TimestampError::Malformed("its signer is named by two certificates"));
    }
    let extensions = certificate.extensions().iter();
    let usage = extensions.filter(|extension| extension.oid.as_bytes() == EXTENDED_KEY_USAGE);
    let [usage] = usage.collect::<Vec<_>>()[..] else { return Err(TimestampError::NotForTimestamps) };
    let mut list = der::Der::new(usage.value);
    let only = list.inside(der::SEQUENCE).and_then(|mut purposes| {
        let first = purposes.next(der::OID)?.content;
        purposes.is_empty().then_some(first)
    });
    if usage.critical && only == Some(TIME_STAMPING) { Ok(()) } else { Err(TimestampError::NotForTimestamps) }
}

/// Whether the key of the certificate has signed the attributes.
fn has_signed(certificate: &EndEntityCert<'_>, token: &Token<'_>) -> Result<bool, TimestampError> {
    let signer = &token.signer;
    let signed = |how: &Method| certificate.verify_signature(*how, &signer.signed, signer.signature).is_ok();
    Ok(algorithms(signer.algorithm, signer.digest)?.iter().any(signed))
}

/// How a signature may be verified, by the names of its algorithm and of its digest.
fn algorithms(name: &[u8], digest: &'static Algorithm) -> Result<Vec<Method>, TimestampError> {
    use webpki::ring as by;
    let hash = |number: Option<u8>| match number {
        Some(0) => Some(&SHA256),
        Some(1) => Some(&SHA384),
        Some(2) => Some(&SHA512),
        Some(_) | None => None,
    };
    let (last, family) = name.split_last().map(|(last, family)| (*last, family)).unwrap_or_default();
    let found: Option<(Family, &Algorithm)> = match family {
        // rsaEncryption, and RSASSA-PSS: the digest is that of the signer.
        PKCS1 if last == 1 => Some((Family::Rsa, digest)),
        PKCS1 if last == 10 => Some((Family::Pss, digest)),
        PKCS1 => hash(last.checked_sub(11)).map(|digest| (Family::Rsa, digest)),
        ECDSA => hash(last.checked_sub(2)).map(|digest| (Family::Ecdsa, digest)),
        EDWARDS if last == 0x70 => return Ok(vec![by::ED25519]),
        _ => None,
    };
    let methods = match found {
        Some((Family::Rsa, digest)) if *digest == SHA256 => vec![by::RSA_PKCS1_2048_8192_SHA256],
        Some((Family::Rsa, digest)) if *digest == SHA384 => vec![by::RSA_PKCS1_2048_8192_SHA384],
        Some((Family::Rsa, _)) => vec![by::RSA_PKCS1_2048_8192_SHA512],
        Some((Family::Pss, digest)) if *digest == SHA256 => vec![by::RSA_PSS_2048_8192_SHA256_LEGACY_KEY],
        Some((Family::Pss, digest)) if *digest == SHA384 => vec![by::RSA_PSS_2048_8192_SHA384_LEGACY_KEY],
        Some((Family::Pss, _)) => vec![by::RSA_PSS_2048_8192_SHA512_LEGACY_KEY],
        Some((Family::Ecdsa, digest)) if *digest == SHA256 => vec![by::ECDSA_P256_SHA256, by::ECDSA_P384_SHA256],
        Some((Family::Ecdsa, digest)) if *digest == SHA384 => vec![by::ECDSA_P256_SHA384, by::ECDSA_P384_SHA384],
        Some((Family::Ecdsa, _)) | None => {
            let known = "its algorithm is none of RSA, ECDSA (P-256 and P-384, not with SHA-512) and Ed25519";
            return Err(TimestampError::Unsupported(known));
        }
    };
    Ok(methods)
}

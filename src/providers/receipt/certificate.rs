//! A certificate as far as it matters here: an RSA key and the time for which it counts.
//!
//! Its chain is not followed: the server sends the certificate alone, and vouches for it by its own name over TLS.

use super::Refused;
use crate::model::time::{Micros, SECOND};
use ring::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use x509_parser::pem::parse_x509_pem;
use x509_parser::public_key::PublicKey;

/// A certificate is much shorter than this.
pub const LARGEST_CERTIFICATE: usize = 64 * 1024;

#[derive(Clone, Debug)]
pub struct Certificate {
    /// RSAPublicKey (RFC 8017), DER.
    key: Vec<u8>,
    not_before: Micros,
    not_after: Micros,
}

impl Certificate {
    /// The first certificate in a PEM text.
    pub fn read(pem: &[u8]) -> Result<Certificate, &'static str> {
        if pem.len() > LARGEST_CERTIFICATE {
            return Err("it is larger than a certificate");
        }
        let (_, pem) = parse_x509_pem(pem).map_err(|_| "it is no certificate in PEM form")?;
        let certificate = pem.parse_x509().map_err(|_| "it is no certificate in PEM form")?;
        let key = certificate.public_key();
        if !matches!(key.parsed(), Ok(PublicKey::RSA(_))) {
            return Err("it holds no RSA key");
        }
        let validity = certificate.validity();
        let micros = |seconds: i64| seconds.saturating_mul(SECOND);
        Ok(Certificate {
            key: key.subject_public_key.data.to_vec(),
            not_before: micros(validity.not_before.timestamp()),
            not_after: micros(validity.not_after.timestamp()),
        })
    }

    pub(super) fn verify(&self, sha256: bool, signed: &[u8], signature: &[u8], now: Micros) -> Result<(), Refused> {
        if !(self.not_before..=self.not_after).contains(&now) {
            return Err(Refused::signature("the certificate does not count at this time"));
        }
        let algorithm =
            if sha256 { &RSA_PKCS1_2048_8192_SHA256 } else { &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY };
        let fits = UnparsedPublicKey::new(algorithm, &self.key).verify(signed, signature);
        fits.map_err(|_| Refused::signature("the signature does not fit the report and its certificate"))
    }
}

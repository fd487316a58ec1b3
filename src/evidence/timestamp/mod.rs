//! Time stamps of an authority (RFC 3161): the question, the answer, and whether to believe it.
//!
//! Pure as all of the log: the octets of a question go out, those of an answer come in, and the reader says which
//! authorities are believed and what was stamped. An answer is kept as it came, so that `openssl ts -verify` reads it too.
//! It is strict: one signer, DER, the certificate in the token and named by its digest (RFC 5035), SHA-256 or better.
//! Deliberately absent: revocation lists, which cannot be asked for offline.
//!
//! | module | what it is for |
//! |---|---|
//! | [`token`] | what an answer says |
//! | [`authority`] | whose certificates lead to an authority that is believed, and whether they signed the answer |

pub mod authority;
mod der;
pub mod token;

use super::merkle::Hash;

/// The media types of question and answer.
pub const QUERY: &str = "application/timestamp-query";
pub const REPLY: &str = "application/timestamp-reply";

/// Why an answer is not believed. The sentences complete "the answer …".
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum TimestampError {
    #[error("is no answer of a time-stamping authority (RFC 3161): {0}")]
    Malformed(&'static str),
    #[error("says that the authority will not stamp: status {status}{text}")]
    Refused { status: u64, text: String },
    #[error("stamps another digest than ours")]
    OtherImprint,
    #[error("is to another question than ours: its nonce differs")]
    OtherNonce,
    #[error("holds no certificate of who signed it")]
    NoCertificate,
    #[error("is signed in a way that is not known here: {0}")]
    Unsupported(&'static str),
    #[error("is not signed by the certificate in it")]
    BadSignature,
    #[error(
        "is signed by a certificate that is not one for time stamps alone (extended key usage timeStamping, critical)"
    )]
    NotForTimestamps,
    #[error("is signed by a certificate that does not lead to the authority that is believed: {0}")]
    Untrusted(String),
}

/// A question: this digest, to be stamped with the certificate in the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    digest: Hash,
    nonce: [u8; 8],
}

impl Request {
    /// `lots` makes the question one of its kind, so that an old answer is not taken for one to it.
    pub fn new(digest: Hash, lots: [u8; 8]) -> Request {
        let mut nonce = lots;
        // Always eight octets as a number: not negative, and without a zero in front.
        nonce[0] = nonce[0] & 0x3f | 0x40;
        Request { digest, nonce }
    }

    pub fn digest(&self) -> &Hash {
        &self.digest
    }

    pub(super) fn nonce(&self) -> &[u8] {
        &self.nonce
    }

    /// The question in DER. Everything in it has a fixed length.
    pub fn to_der(&self) -> Vec<u8> {
        // TimeStampReq, version 1; MessageImprint: SHA-256 without parameters but NULL, and 32 octets.
        let mut der = vec![0x30, 0x43, 0x02, 0x01, 0x01, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09];
        der.extend_from_slice(der::SHA256);
        der.extend_from_slice(&[0x05, 0x00, 0x04, 0x20]);
        der.extend_from_slice(&self.digest);
        der.extend_from_slice(&[0x02, 0x08]);
        der.extend_from_slice(&self.nonce);
        // certReq.
        der.extend_from_slice(&[0x01, 0x01, 0xff]);
        der
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_one_length_whatever_the_lots() {
        for lots in [[0; 8], [0xff; 8], [0x80, 1, 2, 3, 4, 5, 6, 7]] {
            let der = Request::new([7; 32], lots).to_der();
            assert_eq!((der.len(), usize::from(der[1])), (69, 67));
            let mut der = der::Der::new(&der);
            let mut inner = der.inside(der::SEQUENCE).unwrap();
            assert!(inner.next(der::INTEGER).is_some() && inner.next(der::SEQUENCE).is_some());
            let nonce = inner.next(der::INTEGER).unwrap();
            assert!((0x40..0x80).contains(&nonce.content[0]) && nonce.content.len() == 8);
            assert!(inner.next(der::BOOLEAN).is_some() && inner.is_empty() && der.is_empty());
        }
    }
}

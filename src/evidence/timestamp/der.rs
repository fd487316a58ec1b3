//! Reading DER value by value: no more of ASN.1 than a token needs. Every value is one of a known tag, in its place.

use x509_parser::asn1_rs::{Any, FromDer as _};

/// How a value begins: its identifier octet.
pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const UTF8: u8 = 0x0c;
pub(super) const TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
pub(super) const TAG_0: u8 = 0xa0;
pub(super) const TAG_1: u8 = 0xa1;

/// SHA-256 as an object identifier.
pub(super) const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Der<'d>(&'d [u8]);

/// A value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'d> {
    pub content: &'d [u8],
    /// With tag and length.
    pub whole: &'d [u8],
}

impl<'d> Der<'d> {
    pub(super) fn new(octets: &'d [u8]) -> Der<'d> {
        Der(octets)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The next value, whatever it is.
    pub(super) fn any(&mut self) -> Option<Item<'d>> {
        let (rest, any) = Any::from_der(self.0).ok()?;
        let whole = self.0.get(..self.0.len() - rest.len())?;
        self.0 = rest;
        Some(Item { content: any.data, whole })
    }

    /// The next value, which must be of this kind. Where it is not, nothing is read.
    pub(super) fn next(&mut self, tag: u8) -> Option<Item<'d>> {
        if self.0.first() != Some(&tag) {
            return None;
        }
        self.any()
    }

    /// What is in the next value, which must be of this kind.
    pub(super) fn inside(&mut self, tag: u8) -> Option<Der<'d>> {
        self.next(tag).map(|item| Der(item.content))
    }
}

/// The number of an INTEGER, where it is small and not negative.
pub(super) fn small(content: &[u8]) -> Option<u64> {
    let negative = content.first().is_none_or(|first| first & 0x80 != 0);
    if negative || content.len() > 8 {
        return None;
    }
    Some(content.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
}

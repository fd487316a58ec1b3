//! Sealing of what providers report: it names addresses, and what was said of them.
//!
//! A report is one blob under a key of its own kind, bound to the route that it came to and to its digest: the bytes as
//! they came, and the events that were read from them, so that a crash between the two never has to read them anew under
//! another clock or another definition.

use super::{KEY, MasterKey, VaultError, open, seal};
use crate::model::outcome::Class;
use crate::model::personal::Personal;
use crate::model::receipt::{Event, Receipt};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use zeroize::Zeroizing;

/// What came back, as it came, and the events read from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawReport {
    /// The route whose address it came to; empty where it came another way and its notices name themselves.
    pub route: String,
    /// How it came: the request line or the mailbox, without any secret.
    pub came_as: String,
    pub raw: Vec<u8>,
    pub receipts: Vec<Receipt>,
}

/// The same, sealed for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedReport {
    pub route: String,
    /// A keyed hash of the bytes: the same for the same bytes, and useless to whoever has the database alone.
    pub digest: [u8; 16],
    /// What its provider signed for this report and for no other, as a digest: whatever comes with the same again is not
    /// believed.
    pub once: Option<String>,
    pub blob: Vec<u8>,
}

/// The sealed form of one event: short keys, empty parts left out. Fields may be added, never renamed.
#[derive(Serialize, Deserialize)]
struct StoredReceipt<'a> {
    e: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    c: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    t: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    a: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    k: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    x: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    w: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    i: Option<Cow<'a, str>>,
}

impl MasterKey {
    pub fn seal_report(&self, report: &RawReport) -> Result<SealedReport, VaultError> {
        let digest = self.report_digest(&report.raw);
        let stored: Vec<StoredReceipt<'_>> = report.receipts.iter().map(StoredReceipt::of).collect();
        let head =
            Zeroizing::new(serde_json::to_vec(&(&report.came_as, &stored)).map_err(|_| VaultError::UnknownForm)?);
        let mut clear = Zeroizing::new(Vec::with_capacity(8 + head.len() + report.raw.len()));
        clear.extend_from_slice(&(head.len() as u64).to_be_bytes());
        clear.extend_from_slice(&head);
        clear.extend_from_slice(&report.raw);
        let blob = seal(&self.report_key(), &clear, &place(&report.route, &digest))?;
        Ok(SealedReport { route: report.route.clone(), digest, once: None, blob })
    }

    pub fn open_report(&self, sealed: &SealedReport) -> Result<RawReport, VaultError> {
        let clear = Zeroizing::new(open(&self.report_key(), &sealed.blob, &place(&sealed.route, &sealed.digest))?);
        let (length, rest) = clear.split_first_chunk::<8>().ok_or(VaultError::UnknownForm)?;
        let length = usize::try_from(u64::from_be_bytes(*length)).map_err(|_| VaultError::UnknownForm)?;
        let (head, raw) = rest.split_at_checked(length).ok_or(VaultError::UnknownForm)?;
        let (came_as, stored): (String, Vec<StoredReceipt<'_>>) =
            serde_json::from_slice(head).map_err(|_| VaultError::UnknownForm)?;
        let receipts = stored.into_iter().map(StoredReceipt::into_receipt).collect::<Result<_, _>>()?;
        Ok(RawReport { route: sealed.route.clone(), came_as, raw: raw.to_vec(), receipts })
    }

    fn report_digest(&self, raw: &[u8]) -> [u8; 16] {
        super::first(blake3::keyed_hash(&self.derive("forewarn 2026 report digest"), raw).as_bytes())
    }

    fn report_key(&self) -> [u8; KEY] {
        self.derive("forewarn 2026 raw report")
    }
}

/// What the seal is bound to, so that reports cannot be moved to another route.
fn place(route: &str, digest: &[u8; 16]) -> Vec<u8> {
    [digest.as_slice(), route.as_bytes()].concat()
}

impl<'a> StoredReceipt<'a> {
    fn of(receipt: &'a Receipt) -> StoredReceipt<'a> {
        let class = match receipt.event {
            Event::Failed(class) => Some(class.as_str().into()),
            Event::Progress | Event::Delivered | Event::Acknowledged | Event::Complained => None,
        };
        StoredReceipt {
            e: receipt.event.as_str().into(),
            c: class,
            t: receipt.token.as_deref().map(Cow::Borrowed),
            p: receipt.provider_id.as_deref().map(Cow::Borrowed),
            a: receipt.address.as_ref().map(|a| a.reveal().into()),
            k: receipt.code.as_str().into(),
            x: receipt.text.as_str().into(),
            w: receipt.at,
            i: receipt.event_id.as_deref().map(Cow::Borrowed),
        }
    }

    fn into_receipt(self) -> Result<Receipt, VaultError> {
        let class = self.c.as_deref().and_then(Class::parse);
        Ok(Receipt {
            token: self.t.map(Cow::into_owned),
            provider_id: self.p.map(Cow::into_owned),
            address: self.a.map(Personal::new),
            event: Event::parse(&self.e, class).ok_or(VaultError::UnknownForm)?,
            code: self.k.into_owned(),
            text: self.x.into_owned(),
            at: self.w,
            event_id: self.i.map(Cow::into_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_opens_with_its_key_on_its_route_only() {
        let master = MasterKey::parse(&MasterKey::generate()).unwrap();
        let receipt = |event| Receipt {
            token: Some("t".repeat(36)),
            provider_id: None,
            address: Some(Personal::new("jane@example.org")),
            event,
            code: "5.1.1".into(),
            text: "gone".into(),
            at: Some(7),
            event_id: None,
        };
        let report = RawReport {
            route: "mail".into(),
            came_as: "POST".into(),
            raw: b"{\"to\":\"jane@example.org\"}".to_vec(),
            receipts: vec![receipt(Event::Failed(Class::BadAddress)), receipt(Event::Delivered)],
        };
        let sealed = master.seal_report(&report).unwrap();
        assert!(!sealed.blob.windows(4).any(|w| w == b"jane"));
        assert_eq!(master.open_report(&sealed).unwrap(), report);
        assert_eq!(master.seal_report(&report).unwrap().digest, sealed.digest);
        let moved = SealedReport { route: "text".into(), ..sealed.clone() };
        assert_eq!(master.open_report(&moved), Err(VaultError::DoesNotOpen));
        let other = MasterKey::parse(&MasterKey::generate()).unwrap();
        assert_ne!(other.seal_report(&report).unwrap().digest, sealed.digest);
        assert_eq!(other.open_report(&sealed), Err(VaultError::DoesNotOpen));
    }

    #[test]
    fn an_address_of_a_route_is_the_keys_and_the_routes() {
        let (one, other) =
            (MasterKey::parse(&MasterKey::generate()).unwrap(), MasterKey::parse(&MasterKey::generate()).unwrap());
        assert_eq!(one.hook_token("mail").len(), 32);
        assert_eq!(one.hook_token("mail"), one.hook_token("mail"));
        assert_ne!(one.hook_token("mail"), one.hook_token("text"));
        assert_ne!(one.hook_token("mail"), other.hook_token("mail"));
    }
}

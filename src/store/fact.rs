//! The rarer facts of the evidence log: what people did, lists, approvals, receipts.
//!
//! What could name somebody is committed to under a salt of its own, which stands in the fact's row and goes with it.

use super::import::SourceSums;
use super::leaf::LeafRef;
use super::settle::NewReceipt;
use super::{StoreError, Tx};
use crate::evidence::disclosure::{Commitment, DisclosureError, SaltKey};
use crate::evidence::fact::{self, Part, Scene, channel_of};
use crate::model::campaign::Digests;
use crate::model::notice::NoticeId;
use crate::model::receipt::Event;
use crate::model::time::Micros;
use rand::Rng as _;

/// The name of a fact in the salts of its values: each fact has a salt of its own.
pub const FACT: &str = "fact";

/// The word of notes about what was destroyed.
const ERASED: &str = "erased";

/// What a fact's row keeps of its leaf.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub leaf: LeafRef,
    pub salt: [u8; 32],
}

/// Commitments to these values, by label and in its order, each under a salt of its own.
fn commitments(
    salt: &[u8; 32],
    values: &[(&'static str, &str)],
) -> Result<Vec<(&'static str, Commitment)>, DisclosureError> {
    let key = SaltKey::new(salt);
    values.iter().map(|(label, value)| Ok((*label, key.commit(FACT, label, value)?))).collect()
}

fn new_salt() -> [u8; 32] {
    let mut octets = [0; 32];
    rand::rng().fill_bytes(&mut octets);
    octets
}

fn number(n: i64) -> Part<'static> {
    Part::Number(n.unsigned_abs())
}

impl Tx<'_> {
    fn committed(
        &self,
        salt: &[u8; 32],
        values: &[(&'static str, &str)],
    ) -> Result<Vec<(&'static str, Commitment)>, StoreError> {
        commitments(salt, values).map_err(|e| self.store.unreadable(format!("a fact for the evidence log: {e}")))
    }

    /// What somebody, or the program, did or found out: (who, what, their words), and a sealed remark.
    pub(super) async fn note_fact(
        &mut self,
        campaign: i64,
        about: Option<NoticeId>,
        at: Micros,
        (by, what, text): (&str, &str, &str),
        sealed: Option<&[u8]>,
    ) -> Result<Kept, StoreError> {
        let salt = new_salt();
        // Nobody can guess what is sealed: its digest says that it was not changed.
        let remark = sealed.map(|sealed| const_hex::encode(sha256(sealed)));
        let mut words = vec![("by", by)];
        words.extend(remark.as_deref().map(|remark| ("remark_sha256", remark)));
        words.push(("text", text));
        let committed = self.committed(&salt, &words)?;
        let subject = match about {
            Some(notice) => self.named(campaign).await?.subject(notice.person()),
            None => String::new(),
        };
        let mut parts = vec![("act", Part::Text(what)), ("com", Part::Commitments(&committed))];
        if let Some(notice) = about {
            parts.push(("subj", Part::Text(&subject)));
            if notice.channel().is_some() {
                parts.push(("chan", Part::Text(channel_of(notice))));
                parts.push(("contact", number(notice.contact().into())));
            }
        }
        if what == super::receipt::CALL {
            parts.push(("res", Part::Text(text)));
        }
        let event = if what == ERASED { "erase" } else { "note" };
        let leaf = self.fact(campaign, at, event, &parts).await?;
        Ok(Kept { leaf, salt })
    }

    /// A fact about the log itself; who did it and their words are committed to. Where its leaf is.
    pub async fn log_fact(
        &mut self,
        at: Micros,
        event: &str,
        (by, text): (&str, &str),
        parts: &[(&'static str, Part<'_>)],
    ) -> Result<LeafRef, StoreError> {
        let salt = new_salt();
        let committed = self.committed(&salt, &[("by", by), ("text", text)])?;
        let mut all = parts.to_vec();
        all.push(("com", Part::Commitments(&committed)));
        let leaf = self.leaf(fact::other(&Scene::new("", at), event, &all))?;
        sqlx::query("insert into log_note (at, by_name, what, text, leaf, salt) values ($1, $2, $3, $4, $5, $6)")
            .bind(at)
            .bind(by)
            .bind(event)
            .bind(text)
            .bind(leaf.0)
            .bind(salt.to_vec())
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        Ok(leaf)
    }

    /// An approval; who gave it is committed to.
    pub(super) async fn approval_fact(
        &mut self,
        campaign: i64,
        at: Micros,
        by: &str,
        digests: &Digests,
    ) -> Result<Kept, StoreError> {
        let salt = new_salt();
        // The digest of a short list could be guessed.
        let committed = self.committed(&salt, &[("by", by), ("list", &digests.list)])?;
        let parts = [
            ("com", Part::Commitments(&committed)),
            ("ladder", Part::Text(&digests.ladder)),
            ("notices", Part::Text(&digests.texts)),
        ];
        let leaf = self.fact(campaign, at, "approval", &parts).await?;
        Ok(Kept { leaf, salt })
    }

    /// A list that was taken in.
    pub(super) async fn list_fact(
        &mut self,
        campaign: i64,
        source: i64,
        digest: &str,
        sums: &SourceSums,
        at: Micros,
    ) -> Result<Kept, StoreError> {
        let salt = new_salt();
        let committed = self.committed(&salt, &[("list", digest)])?;
        let parts = [
            ("com", Part::Commitments(&committed)),
            ("merged", number(sums.merged)),
            ("n", number(source)),
            ("persons", number(sums.persons)),
            ("rejected", number(sums.rejected)),
            ("rows", number(sums.rows)),
        ];
        let leaf = self.fact(campaign, at, "list", &parts).await?;
        Ok(Kept { leaf, salt })
    }

    /// Something that came back about an attempt.
    pub(super) async fn receipt_fact(&mut self, campaign: i64, r: &NewReceipt) -> Result<Kept, StoreError> {
        let salt = new_salt();
        let id = r.provider_id.as_deref().unwrap_or_default();
        let committed = self.committed(&salt, &[("id", id), ("text", &r.text)])?;
        let subject = self.named(campaign).await?.subject(r.notice.person());
        let class = match r.event {
            Event::Failed(class) => class.as_str(),
            Event::Progress | Event::Delivered | Event::Acknowledged | Event::Complained => "",
        };
        let parts = [
            ("chan", Part::Text(channel_of(r.notice))),
            ("class", Part::Text(class)),
            ("com", Part::Commitments(&committed)),
            ("contact", number(r.notice.contact().into())),
            ("n", number(r.attempt)),
            ("res", Part::Text(r.event.as_str())),
            ("route", Part::Text(&r.route)),
            ("subj", Part::Text(&subject)),
        ];
        let leaf = self.fact(campaign, r.received_at, "receipt", &parts).await?;
        Ok(Kept { leaf, salt })
    }
}

fn sha256(octets: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(octets).into()
}

//! Erasing persons: what opens their data is destroyed, the log keeps that and when.
//!
//! In two steps, since somebody may ask years later whether a certain address was notified: as long as the identity is kept
//! that can be answered by whoever types the address ([`App::was_notified`]); afterwards by nobody. Bundles that were made
//! before still verify.

use super::attempt::{ADDRESS, uid};
use crate::app::{App, AppError};
use crate::evidence::canonical::read_object;
use crate::evidence::disclosure::SaltKey;
use crate::model::campaign::CampaignState;
use crate::model::notice::NoticeId;
use crate::model::person::Standing;
use crate::model::personal::Personal;
use crate::model::problem::Problem;
use crate::model::time::Micros;
use crate::store::campaign::Campaign;
use crate::store::desk::NewNote;
use crate::store::erase::Scope;
use crate::store::leaf::LeafRef;
use std::collections::HashMap;

/// Persons of one transaction.
const PAGE: usize = 500;

/// Who erases, and why.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    pub scope: Scope,
    pub by: &'a str,
    pub reason: &'a str,
}

/// What an order came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Erased {
    pub persons: u64,
    /// Erased before.
    pub already: u64,
    /// Nothing is left in the database's own log either.
    pub wiped: bool,
}

impl App {
    /// Erases one person of a campaign.
    pub async fn erase_person(
        &self,
        id: &str,
        reference: &str,
        order: Order<'_>,
        now: Micros,
    ) -> Result<Erased, AppError> {
        let campaign = self.campaign(id).await?;
        let keys = self.master.open_campaign_keys(campaign.no, &campaign.keys)?;
        let hash = keys.reference_hash(reference);
        let row = self.store.person_with(campaign.no, &hash).await?.ok_or_else(|| {
            let message =
                format!("nobody in campaign {id} has this customer reference, or they were erased altogether");
            Problem::new("no-such-person", "", message)
        })?;
        let found = self.store.to_erase(campaign.no, row.no - 1, order.scope, 1).await?;
        let Some(person) = found.into_iter().find(|person| person.no == row.no) else { return Ok(Erased::default()) };
        refuse_owed(&campaign, person.standing)?;
        if !person.left {
            return Ok(Erased { already: 1, wiped: true, ..Erased::default() });
        }
        self.erase(&campaign, &[row.no], order, now).await?;
        Ok(Erased { persons: 1, already: 0, wiped: self.store.wipe(campaign.no).await? })
    }

    /// Erases everybody of a campaign; at the end of identities also its keys.
    pub async fn erase_campaign(&self, id: &str, order: Order<'_>, now: Micros) -> Result<Erased, AppError> {
        let campaign = self.campaign(id).await?;
        let sums = self.store.sums(campaign.no).await?;
        for standing in [Standing::InFlight, Standing::NeedsHuman] {
            if sums.person(standing) > 0 {
                refuse_owed(&campaign, standing)?;
            }
        }
        let mut done = Erased::default();
        let mut after = 0;
        loop {
            let page = self.store.to_erase(campaign.no, after, order.scope, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.no;
            let persons: Vec<i64> = page.iter().filter(|person| person.left).map(|person| person.no).collect();
            done.persons += persons.len() as u64;
            done.already += (page.len() - persons.len()) as u64;
            self.erase(&campaign, &persons, order, now).await?;
        }
        if order.scope == Scope::Identity {
            let mut tx = self.store.begin().await?;
            tx.add_note(campaign.no, now, order.by, "erased", "the keys of the campaign").await?;
            tx.erase_keys(campaign.no).await?;
            tx.commit().await?;
        }
        done.wiped = self.store.wipe(campaign.no).await?;
        Ok(done)
    }

    async fn erase(&self, campaign: &Campaign, persons: &[i64], order: Order<'_>, now: Micros) -> Result<(), AppError> {
        if persons.is_empty() {
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        let text = format!("{}: {}", order.scope.as_str(), order.reason);
        for no in persons {
            let notice = NoticeId::of_person(*no);
            let note = NewNote { notice, at: now, by: order.by, what: "erased", text: &text, sealed: None };
            tx.add_person_note(campaign.no, &note).await?;
        }
        tx.erase(campaign.no, persons, order.scope).await?;
        Ok(tx.commit().await?)
    }

    /// The attempts of a campaign that went to this address or number, normalised, also where the content was erased: where
    /// they are in the log, and what came of each. Nobody whose identity was destroyed is found.
    pub async fn was_notified(&self, id: &str, address: &Personal) -> Result<Vec<(u64, String)>, AppError> {
        let campaign = self.campaign(id).await?;
        let keys = self.master.open_campaign_keys(campaign.no, &campaign.keys)?;
        let (mut found, mut after) = (Vec::new(), 0);
        loop {
            let page = self.store.attempts_after(campaign.no, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(found) };
            after = last.id;
            let refs: Vec<LeafRef> = page.iter().filter_map(|a| a.ended).collect();
            let leaves = self.store.leaves_at(&refs).await?;
            let leaves: HashMap<LeafRef, (u64, Vec<u8>)> =
                refs.into_iter().zip(leaves).filter_map(|(leaf, found)| Some((leaf, found?))).collect();
            for attempt in &page {
                let Some((index, octets)) = attempt.ended.and_then(|leaf| leaves.get(&leaf)) else { continue };
                let Ok(identity) = keys.identity(attempt.notice.person(), &attempt.sealed.key) else { continue };
                let key = SaltKey::new(identity.bytes());
                let Ok(commitment) = key.commit(&uid(attempt.notice, attempt.no), ADDRESS, address.reveal()) else {
                    continue;
                };
                let leaf = read_object(octets).ok();
                let committed = leaf.as_ref().and_then(|leaf| leaf.object("com")?.text(ADDRESS));
                if committed == Some(commitment.as_str()) {
                    found.push((*index, attempt.class.clone().unwrap_or_default()));
                }
            }
        }
    }
}

/// Nobody is forgotten: whoever is owed something is not erased.
fn refuse_owed(campaign: &Campaign, standing: Standing) -> Result<(), Problem> {
    let owed = matches!(standing, Standing::InFlight | Standing::NeedsHuman);
    if !owed || campaign.state == CampaignState::Cancelled {
        return Ok(());
    }
    let message = format!(
        "somebody in campaign {} is still owed a notice ({}); wait, close the case at the desk, or cancel the campaign",
        campaign.id,
        standing.as_str()
    );
    Err(Problem::new("still-owed", "", message))
}

//! Documents that a provider fetches about a notice: what a telephone call says, made when somebody has picked up.
//!
//! Only what a verified report asks for is made, for the notice that our own token in it names. Where it cannot be made
//! (a campaign that is gone, a person who was erased) the provider gets the usual reply, and the call ends.

use super::AppError;
use super::carrier::OpenCampaign;
use crate::model::time::Micros;
use crate::providers::adapter::Adapter;
use crate::providers::definition::receipt::Reply;
use crate::store::Store;
use crate::vault::MasterKey;
use std::collections::HashMap;
use std::sync::{Arc, RwLock};

/// Campaigns that are kept ready to speak; beyond that they are opened anew.
const KEPT: usize = 8;

/// Makes documents; keeps the campaigns it has opened.
pub(super) struct Documents {
    store: Store,
    master: Arc<MasterKey>,
    campaigns: RwLock<HashMap<i64, Arc<OpenCampaign>>>,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'w> {
    /// The name of the document in the route's definition.
    pub(super) name: &'w str,
    /// Our token of the notice.
    pub(super) token: &'w str,
    /// The address at which it was asked for, without its query: where the document sends the next question.
    pub(super) hook: &'w str,
}

impl Documents {
    pub(super) fn new(store: Store, master: Arc<MasterKey>) -> Documents {
        Documents { store, master, campaigns: RwLock::default() }
    }

    /// The document, as an adapter writes it; `None` where there is no such notice.
    pub(super) async fn of(
        &self,
        adapter: &Adapter,
        wanted: Wanted<'_>,
        now: Micros,
    ) -> Result<Option<Reply>, AppError> {
        let Some((campaign, notice)) = self.master.read_token(wanted.token) else { return Ok(None) };
        let (Some(open), Some(channel)) = (self.open(campaign).await?, notice.channel()) else { return Ok(None) };
        let found = self.store.persons_after(campaign, notice.person() - 1, 1).await?;
        let Some(row) = found.first().filter(|row| row.no == notice.person()) else { return Ok(None) };
        let person = open.keys.open_person(row.no, &row.sealed)?;
        let Some(contact) = person.contacts.get(usize::from(notice.contact())) else { return Ok(None) };
        let mut out = open.outgoing(&person, contact, channel, wanted.token, (now, None))?;
        out.hook = Some(wanted.hook.to_owned());
        let document = adapter.answer(wanted.name, &out);
        Ok(document.map(|(kind, body)| Reply { status: 200, content_type: kind.to_owned(), body }))
    }

    async fn open(&self, no: i64) -> Result<Option<Arc<OpenCampaign>>, AppError> {
        if let Some(open) = self.campaigns.read().ok().and_then(|kept| kept.get(&no).cloned()) {
            return Ok(Some(open));
        }
        let found = self.store.campaigns().await?.into_iter().find(|campaign| campaign.no == no);
        let Some(campaign) = found else { return Ok(None) };
        let open = Arc::new(OpenCampaign::open(&self.master, &campaign)?);
        if let Ok(mut kept) = self.campaigns.write() {
            if kept.len() >= KEPT {
                kept.clear();
            }
            kept.insert(no, open.clone());
        }
        Ok(Some(open))
    }
}

//! Documents that a provider fetches about a notice in the middle of a call: what it is to say next.
//!
//! Somebody waits on the telephone, so campaigns stay open from one answer to the next. What a provider is told is what
//! any notice says: the person's texts as approved, in their language.

use super::AppError;
use super::carrier::OpenCampaign;
use super::hooks::Reply;
use crate::model::problem::Problem;
use crate::model::time::Micros;
use crate::providers::Outgoing;
use crate::providers::adapter::Adapter;
use crate::store::Store;
use crate::vault::MasterKey;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, RwLock};

/// Campaigns held open; more do not call at once.
const MOST_CAMPAIGNS: usize = 8;

pub(super) struct Answers {
    store: Store,
    master: Arc<MasterKey>,
    campaigns: RwLock<HashMap<i64, Arc<OpenCampaign>>>,
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}

impl Answers {
    pub(super) fn new(store: Store, master: Arc<MasterKey>) -> Answers {
        Answers { store, master, campaigns: RwLock::default() }
    }

    /// The document `name` about the notice behind `token`; `hook` is the address of the route that is asked.
    pub(super) async fn document(
        &self,
        adapter: &Adapter,
        hook: String,
        name: &str,
        token: &str,
        now: Micros,
    ) -> Result<Reply, AppError> {
        let gone = || Problem::new("no-such-notice", "", "the call is about no notice of ours");
        let (campaign, notice) = self.master.read_token(token).ok_or_else(gone)?;
        let channel = notice.channel().ok_or_else(gone)?;
        let open = self.campaign(campaign).await?.ok_or_else(gone)?;
        let persons = self.store.persons_after(campaign, notice.person() - 1, 1).await?;
        let person = persons.into_iter().find(|person| person.no == notice.person()).ok_or_else(gone)?;
        let out = open.outgoing(notice, channel, &person.sealed, token.to_owned(), now)?;
        let out = Outgoing { hook: Some(hook), ..out };
        let nothing =
            || Problem::new("no-answer", "", format!("the definition has no document `{name}` for this notice"));
        let (media, document) = adapter.answer(name, &out).ok_or_else(nothing)?;
        Ok(Reply { status: 200, content_type: media.to_owned(), body: document })
    }

    async fn campaign(&self, no: i64) -> Result<Option<Arc<OpenCampaign>>, AppError> {
        if let Some(open) = self.campaigns.read().ok().and_then(|campaigns| campaigns.get(&no).cloned()) {
            return Ok(Some(open));
        }
        let Some(campaign) = self.store.campaigns().await?.into_iter().find(|campaign| campaign.no == no) else {
            return Ok(None);
        };
        let open = Arc::new(OpenCampaign::open(&self.master, &campaign)?);
        if let Ok(mut campaigns) = self.campaigns.write() {
            if campaigns.len() >= MOST_CAMPAIGNS {
                campaigns.clear();
            }
            campaigns.insert(no, open.clone());
        }
        Ok(Some(open))
    }
}

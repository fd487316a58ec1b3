//! Carrying one claimed notice: open the person, render, hand to the adapter.

use super::App;
use super::approved::ApprovedRoute;
use super::digests::approved_words_changed;
use super::proof::attempt::proof_of;
use super::routes::ReadyRoute;
use crate::content::{Envelope, Sender, TemplateFiles, Texts};
use crate::dispatch::{Carried, Carrier, Job, RoutePlan};
use crate::model::channel::Channel;
use crate::model::contact::Contact;
use crate::model::incident::CampaignPlan;
use crate::model::notice::NoticeId;
use crate::model::outcome::{Class, Outcome};
use crate::model::person::Person;
use crate::model::problem::Problem;
use crate::model::rendered::Rendered;
use crate::providers::lookup::{LookUp, Query};
use crate::providers::{Gate, Outgoing};
use crate::store::campaign::Campaign;
use crate::store::claim::Due;
use crate::store::reconcile::Doubt;
use crate::vault::{CampaignKeys, ContentKey, IdentityKey, MasterKey, SealedPerson};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, RwLock};
use tokio::sync::OwnedSemaphorePermit;

/// A campaign ready to be rendered: its keys, and its texts exactly as approved.
pub struct OpenCampaign {
    pub id: String,
    pub keys: CampaignKeys,
    pub texts: Texts,
    pub plan: Arc<CampaignPlan>,
    /// The right-hand side of the Message-IDs.
    domain: String,
}

impl OpenCampaign {
    /// Builds it from what the store kept; the disk is not asked.
    pub fn open(master: &MasterKey, campaign: &Campaign) -> Result<OpenCampaign, Vec<Problem>> {
        let unreadable = |what: &str| {
            let message =
                format!("campaign {}: the stored {what} cannot be read; was the database changed?", campaign.id);
            vec![Problem::new("stored-content", "", message)]
        };
        let keys = master
            .open_campaign_keys(campaign.no, &campaign.keys)
            .map_err(|e| vec![Problem::new("vault", "keys.master", format!("campaign {}: {e}", campaign.id))])?;
        let file = Path::new("the stored incident file");
        let incident = crate::incident_file::parse(file, &campaign.incident_file, i64::MAX / 2)?.value;
        let templates: std::collections::BTreeMap<String, String> =
            serde_json::from_str(&campaign.templates).map_err(|_| unreadable("templates"))?;
        let sender = sender_of(&campaign.sender).ok_or_else(|| unreadable("sender"))?;
        let domain = sender.from_address.rsplit('@').next().unwrap_or("localhost").to_owned();
        let texts = Texts::compile(&TemplateFiles(templates), &incident, &sender)?;
        if texts.digest() != campaign.digests.texts {
            let message = format!(
                "campaign {}: its texts no longer have the digest that was approved; if forewarn was updated, run \
                 `forewarn campaign create` again and approve anew",
                campaign.id
            );
            return Err(vec![Problem::new("texts-changed", "", message)]);
        }
        let plan = Arc::new(incident.campaign);
        Ok(OpenCampaign { id: campaign.id.clone(), keys, texts, plan, domain })
    }

    /// A person's notice in its final form, as a first attempt by a route that takes no reports.
    pub fn outgoing(
        &self,
        person: &Person,
        contact: &Contact,
        channel: Channel,
        token: &str,
        (date, head): (i64, Option<[u8; 32]>),
    ) -> Result<Outgoing, Problem> {
        let envelope = Envelope { log_head: head, ..self.envelope(token, date) };
        let rendered = self.texts.render(person, contact, channel, &envelope)?;
        Ok(Outgoing {
            channel,
            notice: token.to_owned(),
            campaign: self.id.clone(),
            reference: person.reference.clone(),
            name: person.name.clone(),
            attempt: 1,
            idempotency_key: format!("{token}-0"),
            to: contact.address.clone(),
            country: person.country.clone(),
            language: self.texts.language_for(&person.locale).to_owned(),
            hook: None,
            facts: self.texts.facts(&person.locale),
            rendered,
        })
    }

    /// What is on the envelope of a notice: the same in every attempt, but for the date and the head of the log.
    pub fn envelope(&self, token: &str, date: i64) -> Envelope {
        Envelope {
            message_id: format!("{token}@{}", self.domain),
            date,
            notice: token.to_owned(),
            campaign: self.id.clone(),
            log_head: None,
        }
    }
}

fn sender_of(text: &str) -> Option<Sender> {
    let value: Value = serde_json::from_str(text).ok()?;
    Some(Sender {
        organisation: value.get("organisation")?.as_str()?.to_owned(),
        from_name: value.get("from_name").and_then(Value::as_str).map(str::to_owned),
        from_address: value.get("from_address")?.as_str()?.to_owned(),
    })
}

/// A notice in its final form, and the keys that its commitments hang on.
struct Made {
    out: Outgoing,
    identity: IdentityKey,
    content: ContentKey,
}

/// The adapters and the campaigns at work.
pub struct AdapterCarrier {
    app: App,
    routes: Vec<ReadyRoute>,
    /// Those that send approved words only.
    approved: Vec<ApprovedRoute>,
    /// The address that each route's reports come to.
    hooks: Vec<Option<String>>,
    campaigns: RwLock<HashMap<i64, Arc<OpenCampaign>>>,
}

impl AdapterCarrier {
    pub fn new(app: App, routes: Vec<ReadyRoute>) -> AdapterCarrier {
        let hooks = routes.iter().map(|route| app.hook_url(&route.plan.name)).collect();
        // Routes that are ready for sending are ready for this.
        let approved = app.approved_routes().unwrap_or_default();
        AdapterCarrier { app, routes, approved, hooks, campaigns: RwLock::default() }
    }

    /// Says goodbye to all providers.
    pub async fn close_routes(&self) {
        for route in &self.routes {
            route.adapter.close().await;
        }
    }

    fn campaign(&self, no: i64) -> Option<Arc<OpenCampaign>> {
        self.campaigns.read().ok()?.get(&no).cloned()
    }

    /// The notice in its final form, or the outcome that says why there is none.
    fn outgoing(&self, job: &Job) -> Result<Made, Outcome> {
        let campaign = self
            .campaign(job.campaign)
            .ok_or_else(|| Outcome::new(Class::NotSent, "closed", "the campaign was closed before sending"))?;
        let attempt = Doubt {
            campaign: job.campaign,
            notice: job.due.notice,
            attempt: job.attempt,
            started_at: job.started_at,
            provider_id: None,
            refusals: job.due.refusals,
            first_due: job.due.first_due,
            taken_at: None,
            sealed: job.due.sealed.clone(),
        };
        self.made(job.route, &campaign, &attempt, job.head.map(|head| head.digest))
    }

    /// The notice as an attempt sends it, or sent it.
    fn made(
        &self,
        route: usize,
        campaign: &OpenCampaign,
        attempt: &Doubt,
        head: Option<[u8; 32]>,
    ) -> Result<Made, Outcome> {
        let fault = |code: &str, text: &str| Outcome::new(Class::ContentRefused, code, text);
        let notice = attempt.notice;
        let (person, identity, content) = campaign
            .keys
            .open_with_keys(notice.person(), &attempt.sealed)
            .map_err(|e| fault("vault", &format!("the person's data does not open: {e}")))?;
        let contact = contact_of(&person, notice)
            .ok_or_else(|| fault("no-contact", "the person no longer has the contact of this notice"))?;
        let token = self.app.master.token(attempt.campaign, notice);
        let mut out = campaign
            .outgoing(&person, contact, self.routes[route].plan.channel, &token, (attempt.started_at, head))
            .map_err(|p| fault(p.code, &p.message))?;
        // Some providers send no words but those they have approved.
        if let Some(words) = self.routes[route].adapter.worded(&out) {
            out.rendered = words;
        }
        let out = Outgoing {
            idempotency_key: format!("{token}-{}", attempt.refusals),
            attempt: u32::try_from(attempt.attempt).unwrap_or(u32::MAX),
            hook: self.hooks[route].clone(),
            ..out
        };
        Ok(Made { out, identity, content })
    }

    /// A notice as an attempt sent it: (campaign, notice, attempt, when), `head` being what it carried of the log. Made anew
    /// from the texts as approved, so it is the same to the octet; or why it cannot be made.
    pub(super) fn again(
        &self,
        route: &str,
        campaign: &OpenCampaign,
        (no, notice, attempt, started_at): (i64, NoticeId, i64, i64),
        sealed: &SealedPerson,
        head: Option<[u8; 32]>,
    ) -> Result<Rendered, String> {
        let route = self.routes.iter().position(|r| r.plan.name == route);
        let route = route.ok_or_else(|| "its route is not in the configuration any more.".to_owned())?;
        let attempt = Doubt {
            campaign: no,
            notice,
            attempt,
            started_at,
            provider_id: None,
            refusals: 0,
            first_due: 0,
            taken_at: None,
            sealed: sealed.clone(),
        };
        self.made(route, campaign, &attempt, head).map(|made| made.out.rendered).map_err(|outcome| outcome.text)
    }

    /// The routes whose providers can be asked what became of a notice: number and plan.
    pub(super) fn asked_routes(&self) -> impl Iterator<Item = (usize, &RoutePlan)> {
        let routes = self.routes.iter().map(|route| &route.plan).enumerate();
        routes.filter(|(_, plan)| plan.looks_up)
    }

    /// Asks the provider of a route what became of a notice; the code of what keeps us from asking, where it cannot be
    /// rendered any more.
    pub(super) async fn look_up(
        &self,
        route: usize,
        campaign: &OpenCampaign,
        doubt: &Doubt,
        now: i64,
    ) -> Result<LookUp, String> {
        // No provider is asked by a header.
        let Made { out, .. } = self.made(route, campaign, doubt, None).map_err(|outcome| outcome.code)?;
        let query = Query { out: &out, provider_id: doubt.provider_id.as_deref(), sent: doubt.started_at };
        Ok(self.routes[route].adapter.look_up(&query, now).await)
    }
}

fn contact_of(person: &Person, notice: NoticeId) -> Option<&Contact> {
    person.contacts.get(usize::from(notice.contact()))
}

impl Carrier for AdapterCarrier {
    fn open(&self, campaign: &Campaign) -> Result<Arc<CampaignPlan>, Problem> {
        let open = OpenCampaign::open(&self.app.master, campaign).map_err(|mut problems| {
            if problems.is_empty() { Problem::new("stored-content", "", "unreadable") } else { problems.remove(0) }
        })?;
        let plan = open.plan.clone();
        if approved_words_changed(&plan, &self.approved, &campaign.digests) {
            let message = format!(
                "campaign {}: the approved template of a route in the configuration is not the one that the campaign \
                 was approved with; undo the change, or run `forewarn campaign create` again and approve anew",
                campaign.id
            );
            return Err(Problem::new("texts-changed", "", message));
        }
        if let Ok(mut campaigns) = self.campaigns.write() {
            campaigns.insert(campaign.no, Arc::new(open));
        }
        Ok(plan)
    }

    fn close(&self, campaign: i64) {
        if let Ok(mut campaigns) = self.campaigns.write() {
            campaigns.remove(&campaign);
        }
    }

    async fn carry(&self, job: Job, place: OwnedSemaphorePermit) -> Carried {
        let notice = job.due.notice;
        let Made { out, identity, content } = match self.outgoing(&job) {
            Ok(made) => made,
            Err(outcome) => return outcome.into(),
        };
        let mut gate = Gate::default().holding(place).unless(job.halted).unless(job.stopping).under(job.lease);
        if let Some((slot, late)) = job.slot {
            gate = gate.at_slot(slot, late);
            if let Some(pace) = &self.routes[job.route].pace {
                gate = gate.paced_by(pace.clone());
            }
        }
        let route = &self.routes[job.route];
        let outcome = route.adapter.send(&out, &gate).await;
        let (class, code) = (outcome.class.as_str(), outcome.code.as_str());
        tracing::debug!(
            campaign = out.campaign,
            notice = out.notice,
            route = route.plan.name,
            attempt = out.attempt,
            class,
            code,
            "attempt ended: {}",
            outcome.text
        );
        let provider = (route.plan.name.as_str(), route.plan.provider.as_str());
        let proof = proof_of(notice, &out, provider, &outcome, (&identity, &content))
            .inspect_err(|error| tracing::error!(%error, "an attempt is not bound to its notice in the evidence log"));
        Carried { outcome, proof: proof.ok() }
    }

    fn domain(&self, campaign: i64, due: &Due) -> Option<String> {
        let person = self.campaign(campaign)?.keys.open_person(due.notice.person(), &due.sealed).ok()?;
        let address = contact_of(&person, due.notice)?.address.reveal();
        address.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase())
    }
}

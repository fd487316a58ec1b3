//! Routes whose provider sends approved words only: what people will read there, and whose values it would refuse, said
//! before the start.

use super::carrier::OpenCampaign;
use super::routes::ReadyRoute;
use super::{App, AppError};
use crate::content::Texts;
use crate::model::channel::Channel;
use crate::model::contact::Contact;
use crate::model::person::Person;
use crate::model::personal::Personal;
use crate::model::problem::Problem;
use crate::model::rendered::{CallScript, EmailNotice, Rendered, SmsCoding, SmsNotice};
use crate::providers::Outgoing;
use crate::providers::adapter::Adapter;
use std::sync::Arc;

/// A route with approved words.
#[derive(Clone, Debug)]
pub struct ApprovedRoute {
    pub name: String,
    pub channel: Channel,
    /// The provider's code for the words.
    pub code: String,
    /// All that decides what people read by it.
    pub(super) identity: String,
    adapter: Arc<Adapter>,
}

impl App {
    /// The routes that send approved words. Routes that are not ready are none: others say what is wrong with them.
    pub fn approved_routes(&self) -> Result<Vec<ApprovedRoute>, AppError> {
        let catalogue = self.catalogue()?;
        let ready = self.config.routes.iter().filter_map(|route| self.ready_route(route, &catalogue).ok());
        Ok(ready.filter_map(ApprovedRoute::of).collect())
    }

    /// What everybody should know about such routes before they approve: one sentence each, with the words.
    pub fn approved_words(&self) -> Result<Vec<Problem>, AppError> {
        let told = self.approved_routes()?.into_iter().filter_map(|route| {
            let approved = route.adapter.approved()?;
            let (code, words) = (&approved.code, &approved.text);
            let message = format!(
                "route `{}` sends no words of the template set by {}, but the approved template {code}, to everybody in \
                 the same language: {words}",
                route.name, route.channel
            );
            Some(Problem::new("approved-template", route.channel.as_str(), message).on_route(&route.name))
        });
        Ok(told.collect())
    }
}

impl ApprovedRoute {
    fn of(route: ReadyRoute) -> Option<ApprovedRoute> {
        let approved = route.adapter.approved()?;
        let (code, identity) = (approved.code.clone(), approved.identity.clone());
        Some(ApprovedRoute {
            name: route.plan.name,
            channel: route.plan.channel,
            code,
            identity,
            adapter: Arc::new(route.adapter),
        })
    }

    /// What the person will read or hear by this route.
    pub fn words(&self, open: &OpenCampaign, person: &Person, contact: &Contact) -> Option<Rendered> {
        self.adapter.worded(&outgoing(self.channel, &open.texts, person, contact))
    }

    /// Why the provider would refuse this person's values, by the name of the place.
    pub(super) fn objection(&self, texts: &Texts, person: &Person, contact: &Contact) -> Option<Problem> {
        let outcome = self.adapter.refusal(&outgoing(self.channel, texts, person, contact))?;
        let message = format!(
            "route `{}` could not tell this person: {}; correct the row, or let another route or step reach them",
            self.name, outcome.text
        );
        Some(Problem::new("template-value", self.channel.as_str(), message))
    }
}

/// The notice as the adapter gets it, but for the words of the template set, which such a route does not send.
fn outgoing(channel: Channel, texts: &Texts, person: &Person, contact: &Contact) -> Outgoing {
    let language = texts.language_for(&person.locale).to_owned();
    let rendered = match channel {
        Channel::Email => Rendered::Email(EmailNotice::default()),
        Channel::Sms => Rendered::Sms(SmsNotice { text: Personal::default(), coding: SmsCoding::Ucs2, segments: 1 }),
        Channel::Phone => Rendered::Call(CallScript { sections: Vec::new(), language: language.clone(), spoken: None }),
    };
    Outgoing {
        channel,
        notice: String::new(),
        campaign: String::new(),
        reference: person.reference.clone(),
        name: person.name.clone(),
        attempt: 1,
        idempotency_key: String::new(),
        to: contact.address.clone(),
        country: person.country.clone(),
        language,
        hook: None,
        facts: texts.facts(&person.locale),
        rendered,
    }
}

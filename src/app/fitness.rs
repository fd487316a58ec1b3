//! Whether the routes can carry the texts of a campaign: asked of imagined notices before there are real ones.
//!
//! A provider may have no voice for a language, or take only so many characters. Where no route of a channel can carry a
//! language, whoever reads it would be told by nobody on that channel, so the campaign is refused; where some can, it is
//! a warning.

use super::routes::ReadyRoute;
use super::{App, AppError};
use crate::content::Texts;
use crate::model::channel::Channel;
use crate::model::incident::CampaignPlan;
use crate::model::personal::Personal;
use crate::model::problem::Problem;
use crate::model::rendered::Rendered;
use crate::providers::Outgoing;

impl App {
    /// What the routes cannot carry: problems, and warnings. A route that is not ready is named elsewhere.
    pub(super) fn unfit(&self, texts: &Texts, plan: &CampaignPlan) -> Result<(Vec<Problem>, Vec<Problem>), AppError> {
        let catalogue = self.catalogue()?;
        let ready = self.config.routes.iter().filter_map(|route| self.ready_route(route, &catalogue).ok());
        let routes: Vec<ReadyRoute> = ready.collect();
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let used = |channel: &Channel| plan.ladder.steps.iter().any(|step| step.channel == *channel);
        for channel in Channel::ALL.into_iter().filter(used) {
            let of_channel: Vec<&ReadyRoute> = routes.iter().filter(|route| route.plan.channel == channel).collect();
            for (language, rendered) in texts.specimens(channel) {
                let out = specimen(channel, texts, &language, rendered);
                let refused: Vec<Problem> = of_channel.iter().filter_map(|route| refusal(route, &out)).collect();
                let nobody = refused.len() == of_channel.len();
                if nobody { problems.extend(refused) } else { warnings.extend(refused) }
            }
        }
        Ok((problems, warnings))
    }
}

fn refusal(route: &ReadyRoute, out: &Outgoing) -> Option<Problem> {
    // What a provider has approved is the same for everybody; its values are looked at row by row.
    if route.adapter.approved().is_some() {
        return None;
    }
    let outcome = route.adapter.refusal(out)?;
    let (name, language) = (&route.plan.name, &out.language);
    let message = format!("route `{name}` cannot carry the notice in {language}: {}", outcome.text);
    Some(Problem::new("route-cannot-carry", language, message).on_route(name))
}

fn specimen(channel: Channel, texts: &Texts, language: &str, rendered: Rendered) -> Outgoing {
    Outgoing {
        channel,
        notice: String::new(),
        campaign: String::new(),
        reference: Personal::default(),
        name: Personal::default(),
        attempt: 1,
        idempotency_key: String::new(),
        to: Personal::default(),
        country: String::new(),
        language: language.to_owned(),
        hook: None,
        facts: texts.facts(language),
        rendered,
    }
}

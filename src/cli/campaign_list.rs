//! `forewarn campaign list`: the campaigns and where each stands.

use super::{Context, Failure};
use crate::app::status::shown_state;
use crate::model::person::Standing;
use crate::model::time::rfc3339;
use clap::Args;
use serde_json::json;

/// List the campaigns
#[derive(Args, Debug)]
pub struct ListArgs {}

const HEADINGS: [&str; 7] = ["campaign", "incident", "kind", "state", "persons", "satisfied", "needs human"];

pub(super) fn run(_args: &ListArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        let mut table = vec![HEADINGS.map(str::to_owned)];
        let mut objects = Vec::new();
        for campaign in app.store.campaigns().await? {
            let sums = app.store.sums(campaign.no).await?;
            let state = shown_state(&campaign, &sums).as_str();
            let person = |s: Standing| sums.person(s);
            objects.push(json!({
                "campaign": campaign.id,
                "incident": campaign.incident,
                "kind": campaign.kind.as_str(),
                "title": campaign.title,
                "state": state,
                "created_at": rfc3339(campaign.created_at),
                "started_at": campaign.started_at.map(rfc3339),
                "persons": sums.persons_total(),
                "satisfied": person(Standing::Satisfied),
                "in_flight": person(Standing::InFlight),
                "needs_human": person(Standing::NeedsHuman),
                "unreachable": person(Standing::Unreachable),
                "excluded": person(Standing::Excluded),
            }));
            table.push([
                campaign.id,
                campaign.incident,
                campaign.kind.as_str().to_owned(),
                state.to_owned(),
                sums.persons_total().to_string(),
                person(Standing::Satisfied).to_string(),
                person(Standing::NeedsHuman).to_string(),
            ]);
        }
        context.printer.object(&json!({ "campaigns": objects }))?;
        if objects.is_empty() {
            return context
                .printer
                .line("there is no campaign yet; `forewarn campaign create INCIDENT.toml` makes one");
        }
        for line in super::output::aligned(&table) {
            context.printer.line(line)?;
        }
        Ok(())
    })
}

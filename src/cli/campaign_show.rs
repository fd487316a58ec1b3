//! `forewarn campaign show ID`: what a campaign is, and what an approval of it would be bound to.

use super::list_report::source_json;
use super::{Context, Failure};
use crate::app::carrier::OpenCampaign;
use crate::app::status::shown_state;
use crate::model::campaign::Digests;
use crate::model::incident::CampaignPlan;
use crate::model::ladder::{Step, When};
use crate::model::time::{print_duration, rfc3339};
use crate::store::approval::Approval;
use crate::store::campaign::Campaign;
use crate::store::status::SourceRow;
use clap::Args;
use serde_json::{Value, json};

/// Show a campaign: list, texts, ladder, approvals
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The campaign
    #[arg(value_name = "ID")]
    pub campaign: String,
}

/// Everything that is shown.
struct Shown {
    campaign: Campaign,
    state: &'static str,
    sources: Vec<SourceRow>,
    approvals: Vec<Approval>,
    plan: std::sync::Arc<CampaignPlan>,
    languages: Vec<String>,
}

pub(super) fn run(args: &ShowArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        let campaign = app.campaign(&args.campaign).await?;
        let open = OpenCampaign::open(&app.master, &campaign)?;
        let shown = Shown {
            state: shown_state(&campaign, &app.store.sums(campaign.no).await?).as_str(),
            sources: app.store.sources(campaign.no).await?,
            approvals: app.store.approvals(campaign.no).await?,
            plan: open.plan.clone(),
            languages: open.texts.languages().into_iter().map(str::to_owned).collect(),
            campaign,
        };
        context.printer.object(&shown.json())?;
        for line in shown.lines() {
            context.printer.line(line)?;
        }
        Ok(())
    })
}

impl Shown {
    fn json(&self) -> Value {
        let c = &self.campaign;
        json!({
            "campaign": c.id,
            "incident": c.incident,
            "kind": c.kind.as_str(),
            "title": c.title,
            "state": self.state,
            "reason": c.reason,
            "created_at": rfc3339(c.created_at),
            "created_by": c.created_by,
            "started_at": c.started_at.map(rfc3339),
            "sources": self.sources.iter().map(source_json).collect::<Vec<_>>(),
            "digests": digests_json(&c.digests),
            "approvals_required": self.plan.approvals,
            "approvals": self.approvals.iter().map(|a| json!({
                "at": rfc3339(a.at),
                "by": a.by,
                "digests": digests_json(&a.digests),
                "void_reason": self.void_reason(a),
            })).collect::<Vec<_>>(),
            "templates": self.plan.templates,
            "languages": self.languages,
            "default_locale": self.plan.default_locale,
            "ladder": self.plan.ladder.steps.iter().map(|s| json!({
                "channel": s.channel.as_str(), "when": s.when.as_str(), "after": print_duration(s.after),
            })).collect::<Vec<_>>(),
            "give_up_after": print_duration(self.plan.give_up_after),
        })
    }

    fn lines(&self) -> Vec<String> {
        let c = &self.campaign;
        let reason = c.reason.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
        let mut lines = vec![
            format!("{} ({})", c.id, c.title),
            format!("incident {}, kind {}, {}{reason}", c.incident, c.kind.as_str(), self.state),
            format!("created {} by {}", rfc3339(c.created_at), c.created_by),
        ];
        lines.extend(c.started_at.map(|at| format!("started {}", rfc3339(at))));
        lines.extend(self.sources.iter().map(source_line));
        for (name, digest) in [("list", &c.digests.list), ("texts", &c.digests.texts), ("ladder", &c.digests.ladder)] {
            lines.push(format!("digest of the {name:<6} {digest}"));
        }
        if self.approvals.is_empty() {
            lines.push(format!("approvals: none of {}", self.plan.approvals));
        }
        for a in &self.approvals {
            let void = self.void_reason(a).map(|why| format!(", void: {why}")).unwrap_or_default();
            lines.push(format!("approved {} by {}{void}", rfc3339(a.at), a.by));
        }
        lines.push(format!("templates {}, languages {}", self.plan.templates, self.languages.join(", ")));
        lines.push(format!("anybody else is written to in {}", self.plan.default_locale));
        lines.extend(self.plan.ladder.steps.iter().enumerate().map(|(at, step)| step_in_words(at, step)));
        lines.push(format!("a notice is tried for {} at most", print_duration(self.plan.give_up_after)));
        lines
    }

    /// Why an approval does not count: it was voided, or it is of something else than the campaign is now.
    fn void_reason(&self, approval: &Approval) -> Option<String> {
        approval.void_reason.clone().or_else(|| {
            let changed = approval.digests.changed(&self.campaign.digests);
            (!changed.is_empty()).then(|| format!("changed since: {}", changed.join(", ")))
        })
    }
}

fn source_line(source: &SourceRow) -> String {
    let delimiter = match source.delimiter.as_str() {
        "" => String::new(),
        "\t" => ", delimiter tab".to_owned(),
        other => format!(", delimiter {other}"),
    };
    let incomplete = if source.complete { "" } else { "; not completely in" };
    let s = &source.sums;
    format!(
        "source {} ({}{delimiter}): rows {} = persons {} + merged {} + rejected {}{incomplete}",
        source.name, source.encoding, s.rows, s.persons, s.merged, s.rejected
    )
}

fn digests_json(digests: &Digests) -> Value {
    json!({ "list": digests.list, "texts": digests.texts, "ladder": digests.ladder })
}

/// One step of the ladder as a sentence.
fn step_in_words(at: usize, step: &Step) -> String {
    let (channel, after) = (step.channel, print_duration(step.after));
    let number = at + 1;
    match (at, step.when) {
        (0, _) => format!("step {number}: {channel}, from the start"),
        (_, When::Always) => format!("step {number}: {channel} in any case, {after} later"),
        (_, When::NotDelivered) => {
            format!("step {number}: {channel} where that failed, or no delivery was reported within {after}")
        }
        (_, When::NotReached) => {
            format!("step {number}: {channel} where that failed, or nobody was known to be reached within {after}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::channel::Channel;
    use crate::model::time::HOUR;

    #[test]
    fn the_ladder_is_said_in_words() {
        for (at, channel, when, want) in [
            (0, Channel::Email, When::Always, "step 1: email, from the start"),
            (1, Channel::Sms, When::Always, "step 2: sms in any case, 4h later"),
            (
                1,
                Channel::Sms,
                When::NotDelivered,
                "step 2: sms where that failed, or no delivery was reported within 4h",
            ),
            (
                2,
                Channel::Phone,
                When::NotReached,
                "step 3: phone where that failed, or nobody was known to be reached within 4h",
            ),
        ] {
            assert_eq!(step_in_words(at, &Step { channel, when, after: 4 * HOUR }), want);
        }
    }
}

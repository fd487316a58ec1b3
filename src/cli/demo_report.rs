//! What a demo's campaign came to: lines for the terminal, and a page to keep and print.
//!
//! The terminal gets numbers only. The page names persons who need a human by their customer reference, which is what
//! support staff look them up by; no name, no address, no message.

use super::Failure;
use crate::app::story::{OpenPerson, Step, Story};
use crate::model::channel::Channel;
use crate::model::notice::NoticeState;
use crate::model::outcome::Class;
use crate::model::person::Standing;
use crate::model::time::{Micros, rfc3339};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::time::Duration;

const PAGE: &str = include_str!("demo_report.html.hbs");

/// The story in sentences.
pub(super) struct Report<'s> {
    story: &'s Story,
    approved_by: &'s str,
    took: Duration,
    sums: [String; 2],
    did: Vec<String>,
    /// Who acts next.
    pub(super) next: Vec<String>,
    look: Vec<String>,
}

impl<'s> Report<'s> {
    pub(super) fn new(story: &'s Story, approved_by: &'s str, took: Duration) -> Report<'s> {
        Report { story, approved_by, took, sums: sums(story), did: did(story), next: next(story), look: look(story) }
    }

    /// What the terminal shows.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = self.sums.to_vec();
        lines.push(String::new());
        for channel in Channel::ALL {
            let states = of_channel(&self.story.notices, channel);
            let classes = of_channel(&self.story.outcomes, channel);
            lines.push(format!("{:<6} notices: {states}; attempts: {classes}", channel.as_str()));
        }
        for (heading, sentences) in [
            ("what the program did by itself:", &self.did),
            ("who acts next:", &self.next),
            ("where to look:", &self.look),
        ] {
            lines.push(format!("\n{heading}"));
            lines.extend(sentences.iter().map(|sentence| format!("  - {sentence}")));
        }
        lines
    }

    /// The page.
    pub(super) fn page(&self, now: Micros) -> Result<String, Failure> {
        let mut engine = handlebars::Handlebars::new();
        engine.set_strict_mode(true);
        let page = engine.render_template(PAGE, &self.values(now)).context("the report cannot be written")?;
        Ok(page)
    }

    fn values(&self, now: Micros) -> Value {
        let status = &self.story.status;
        let row = |name: &'static str| move |(channel, word, n): &(String, String, i64)| json!({"channel": channel, name: word, "n": n});
        json!({
            "title": status.campaign.title,
            "campaign": status.campaign.id,
            "created_by": status.campaign.created_by,
            "approved_by": self.approved_by,
            "at": rfc3339(now),
            "seconds": format!("{:.1}", self.took.as_secs_f64()),
            "sums": marked_up(&self.sums),
            "notices": self.story.notices.iter().map(row("state")).collect::<Vec<_>>(),
            "outcomes": self.story.outcomes.iter().map(row("class")).collect::<Vec<_>>(),
            "attempts": status.sums.attempts,
            "did": marked_up(&self.did),
            "next": marked_up(&self.next),
            "look": marked_up(&self.look),
            "persons": self.story.needs_human.iter().map(open_person).collect::<Vec<_>>(),
        })
    }
}

/// Sentences as HTML; what stands between back-ticks is code.
fn marked_up(sentences: &[String]) -> Vec<String> {
    let sentence = |text: &String| {
        let pieces = text.split('`').map(handlebars::html_escape).enumerate();
        pieces.map(|(at, piece)| if at % 2 == 1 { format!("<code>{piece}</code>") } else { piece }).collect()
    };
    sentences.iter().map(sentence).collect()
}

/// `accepted 120, failed 3`.
fn of_channel(rows: &[(String, String, i64)], channel: Channel) -> String {
    let rows = rows.iter().filter(|(c, _, _)| c == channel.as_str());
    let words: Vec<String> = rows.map(|(_, word, n)| format!("{word} {n}")).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

fn sums(story: &Story) -> [String; 2] {
    let (list, sums) = (&story.status.list, &story.status.sums);
    let person = |standing: Standing| sums.person(standing);
    [
        format!("rows {} = persons {} + merged {} + rejected {}", list.rows, list.persons, list.merged, list.rejected),
        format!(
            "persons {} = satisfied {} + in flight {} + needs a human {} + unreachable {} + excluded {}",
            sums.persons_total(),
            person(Standing::Satisfied),
            person(Standing::InFlight),
            person(Standing::NeedsHuman),
            person(Standing::Unreachable),
            person(Standing::Excluded),
        ),
    ]
}

fn did(story: &Story) -> Vec<String> {
    let counts = &story.counts;
    let faults: Vec<String> = Class::ALL
        .into_iter()
        .filter(|class| !matches!(class, Class::Accepted | Class::NotSent))
        .map(|class| (class, story.outcomes_of(class)))
        .filter(|(_, n)| *n > 0)
        .map(|(class, n)| format!("{} {n}", class.as_str()))
        .collect();
    vec![
        format!("the routes failed on purpose: {}", faults.join(", ")),
        format!("tried again after \"later\", and then taken: {}", notices(counts.retried)),
        format!("told on the next step of the ladder, because an address or number did not work: {}", {
            persons(counts.next_step)
        }),
        format!(
            "sent again after `unknown` (the connection was lost, so nobody knows whether the email was taken): {}; the \
             log has both attempts",
            notices(counts.resent)
        ),
        format!("held after `unknown`, because an SMS twice is worse than a question: {}", notices(counts.held)),
    ]
}

fn next(story: &Story) -> Vec<String> {
    let id = &story.status.campaign.id;
    let counts = &story.counts;
    let mut next = Vec::new();
    if counts.exhausted > 0 {
        next.push(format!(
            "{} on no channel of the ladder: support staff find another address, or write a letter; report.html names \
             them by customer reference",
            persons_were(counts.exhausted)
        ));
    }
    if counts.held > 0 {
        next.push(format!(
            "{} with an unknown outcome: support staff ask the provider or the person; \
             `forewarn campaign retry {id} --reason-class unknown` sends again, perhaps twice",
            notices(counts.held)
        ));
    }
    let rejected = story.status.list.rejected;
    if rejected > 0 {
        next.push(format!(
            "{rejected} rows rejected: whoever keeps the list corrects rejects.csv (its last columns say what is wrong) \
             and adds it to incident.toml as another [[source]]"
        ));
    }
    let waiting = story.status.sums.person(Standing::InFlight);
    if waiting > 0 {
        next.push(format!("{} still in flight: `forewarn worker --once` goes on", persons(waiting)));
    }
    if next.is_empty() {
        next.push("nobody: everyone was told".to_owned());
    }
    next
}

fn look(story: &Story) -> Vec<String> {
    let id = &story.status.campaign.id;
    vec![
        "report.html: this page of what happened, to keep or print".to_owned(),
        "outbox/: what would have been sent, .eml and .txt; in the clear, as a provider would have got it".to_owned(),
        "rejects.csv: the rejected rows, each with what is wrong".to_owned(),
        format!("`forewarn campaign log {id}`: every attempt, addresses masked"),
        "forewarn.db: everything else; names and addresses are sealed in it under master.key".to_owned(),
    ]
}

fn open_person(person: &OpenPerson) -> Value {
    let last = person.steps.last();
    let tried: Vec<String> = person.steps.iter().map(|s| format!("{}: {}", s.channel, s.class)).collect();
    json!({
        "reference": person.reference.reveal(),
        "tried": if tried.is_empty() { "nothing: no step of the ladder has a contact".to_owned() } else { tried.join(", ") },
        "todo": todo(last),
    })
}

fn todo(last: Option<&Step>) -> &'static str {
    let Some(last) = last else { return "Write a letter." };
    match (NoticeState::parse(&last.state), Class::parse(&last.class)) {
        (Some(NoticeState::Unknown), _) => "Ask whether it arrived; if not, send it again.",
        (_, Some(Class::RefusedByPerson)) => "Do not call again; write a letter.",
        _ => "Find another address or number, or write a letter.",
    }
}

fn notices(n: i64) -> String {
    format!("{n} {}", if n == 1 { "notice" } else { "notices" })
}

fn persons(n: i64) -> String {
    format!("{n} {}", if n == 1 { "person" } else { "persons" })
}

fn persons_were(n: i64) -> String {
    format!("{} reached", if n == 1 { "1 person was".to_owned() } else { format!("{n} persons were") })
}

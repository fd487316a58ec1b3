//! `forewarn desk show REF`: the whole story of a person, and the script of the call.

use super::desk::Whose;
use super::{Context, Failure};
use crate::app::desk::{Actor, PersonStory};
use crate::model::time::rfc3339;
use clap::Args;
use serde_json::Value;

/// Show the whole story of a person, who acts next, and the call script in their language
#[derive(Args, Debug)]
pub struct ShowArgs {
    #[command(flatten)]
    pub whose: Whose,
    /// Print contacts and remarks in clear; the person's record keeps who did
    #[arg(long)]
    pub reveal: bool,
}

pub(super) fn run(args: &ShowArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        let (campaign, no) = args.whose.find(&app).await?;
        let name = context.actor(args.whose.by.as_deref());
        let actor = Actor { by: &name, now: context.now() };
        let story = app.desk_story((&campaign, no), args.reveal, actor).await?;
        context.printer.object(&story.json())?;
        print(&story, context)
    })
}

/// Prints the story for a reader.
pub(super) fn print(story: &PersonStory, context: &Context) -> Result<(), Failure> {
    for line in lines(story) {
        context.printer.line(super::output::printable(&line))?;
    }
    Ok(())
}

fn lines(story: &PersonStory) -> Vec<String> {
    let told = story.json();
    let mut lines = vec![
        format!("{} {}, campaign {}", story.reference.reveal(), story.name.reveal(), story.campaign),
        about(story, &told),
    ];
    for contact in told["contacts"].as_array().into_iter().flatten() {
        let retired = if contact["retired"] == true { ", not used any more" } else { "" };
        lines.push(format!(
            "  contact {}: {} {} ({}){retired}",
            contact["contact"],
            word(contact, "kind"),
            word(contact, "address"),
            word(contact, "role")
        ));
    }
    for notice in told["notices"].as_array().into_iter().flatten() {
        let to = notice["contact"].as_u64().map_or("by hand".to_owned(), |n| format!("to contact {n}"));
        let (channel, means) = (word(notice, "channel"), word(notice, "means"));
        lines.push(format!("  notice by {channel} {to}: {means}; {} attempts", notice["attempts"]));
    }
    for attempt in told["attempts"].as_array().into_iter().flatten() {
        let said = [word(attempt, "class"), word(attempt, "code"), word(attempt, "text")].join(" ");
        let (at, channel, route) = (word(attempt, "at"), word(attempt, "channel"), word(attempt, "route"));
        lines.push(format!("  {at} {channel} by {route}: {}", said.trim()));
    }
    for note in &story.notes {
        let remark = match (&note.remark, note.has_remark) {
            (Some(remark), _) => format!(": {}", remark.reveal()),
            (None, true) => " (with a remark; --reveal shows it)".to_owned(),
            (None, false) => String::new(),
        };
        let n = &note.note;
        lines.push(format!("  {} {} {} {}{remark}", rfc3339(n.at), n.by, n.what, n.text));
    }
    lines.push(format!("next: {}", story.next()));
    lines.push(String::new());
    match &story.script {
        Ok(script) => {
            lines.push(format!("== what to say, in {}", script.language));
            lines.extend(script.sections.iter().map(|(_, heading, text)| format!("\n{heading}\n{}", text.reveal())));
        }
        Err(why) => lines.push(format!("there is no call script: {why}")),
    }
    lines
}

fn about(story: &PersonStory, told: &Value) -> String {
    let case = &told["case"];
    let mut parts = vec![word(told, "standing").replace('_', " ")];
    if case["state"].is_string() && case["state"] != "closed" {
        parts.push(format!("case {}, {}, {}", word(case, "state"), word(case, "urgency"), word(case, "tier")));
    }
    if let Some(reason) = case["reason"].as_str() {
        parts.push(format!("closed: {reason}"));
    }
    if let Some(at) = case["call_back"].as_str() {
        parts.push(format!("call back from {at}"));
    }
    if story.minor == Some(true) {
        parts.push("a minor".to_owned());
    }
    parts.push(format!("speak to: {}", word(told, "speak_to")));
    if let Some(local) = told["local_time"].as_str() {
        let may = if told["may_call_now"] == true {
            "may be called now".to_owned()
        } else {
            format!("may be called from {}", word(told, "may_call_from"))
        };
        parts.push(format!("it is {local} there, {may}"));
    }
    parts.join("; ")
}

fn word<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or("")
}

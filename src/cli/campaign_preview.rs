//! `forewarn campaign preview ID`: each variant of the notices with rows of the list, as they would go out.

use super::output::printable;
use super::{Context, Failure, owner_only};
use crate::app::App;
use crate::app::approved::ApprovedRoute;
use crate::app::carrier::OpenCampaign;
use crate::app::preview::Shown;
use crate::model::channel::Channel;
use crate::model::problem::Problem;
use crate::model::rendered::Rendered;
use crate::providers::private_file;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Show the notices as real persons would get them
///
/// For every language, channel and role that occurs, the notice of one person of the list. It is their real data, and
/// that is what is printed: choose where you run this. Nothing is sent.
#[derive(Args, Debug)]
pub struct PreviewArgs {
    /// The campaign
    #[arg(value_name = "ID")]
    pub campaign: String,
    /// For this person only, by customer reference
    #[arg(long = "ref", value_name = "REF")]
    pub reference: Option<String>,
    /// On this channel only
    #[arg(long, value_name = "C", value_parser = channel())]
    pub channel: Option<Channel>,
    /// Write the notices as files into this folder (readable by you only) and print their names instead
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

fn channel() -> impl TypedValueParser<Value = Channel> {
    PossibleValuesParser::new(Channel::ALL.map(Channel::as_str))
        .try_map(|name| Channel::parse(&name).ok_or("is no channel"))
}

pub(super) fn run(args: &PreviewArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        let campaign = app.campaign(&args.campaign).await?;
        let open = OpenCampaign::open(&app.master, &campaign)?;
        let shown = match &args.reference {
            Some(reference) => app.notices_of(campaign.no, &open, reference, args.channel).await?,
            None => app.variants(campaign.no, &open, args.channel).await?,
        };
        if shown.is_empty() {
            let by = args.channel.map(|c| format!(" by {c}")).unwrap_or_default();
            let message =
                format!("campaign {} foresees no such notice{by}; `campaign show` has its ladder", campaign.id);
            return Err(Problem::new("no-notice", "channel", message).into());
        }
        if let Some(directory) = &args.out {
            private_file::create_dir(directory)?;
        }
        let mut previews = Vec::new();
        let approved = app.approved_routes()?;
        for one in &shown {
            let rendered = render(&app, campaign.no, &open, one, context.now())?;
            let mut preview = about(one);
            let by_route = by_route(&approved, &open, one);
            if !by_route.is_empty() {
                preview["by_route"] = by_route.iter().map(|(route, words)| approved_json(route, words)).collect();
            }
            match &args.out {
                None => {
                    for line in lines(one, &rendered) {
                        context.printer.line(line)?;
                    }
                    for (route, words) in &by_route {
                        context.printer.line(approved_line(route, words))?;
                    }
                    preview["content"] = content(&rendered);
                }
                Some(directory) => {
                    let mut files = write(directory, one, args.reference.is_some(), &rendered)?;
                    for (route, words) in &by_route {
                        files.push(write_approved(directory, one, args.reference.is_some(), route, words)?);
                    }
                    for file in &files {
                        context.printer.line(file.display())?;
                    }
                    preview["files"] = json!(files);
                }
            }
            previews.push(preview);
        }
        context.printer.object(&json!({ "campaign": campaign.id, "previews": previews }))
    })
}

/// The notice exactly as it would go out now.
fn render(app: &App, no: i64, open: &OpenCampaign, one: &Shown, now: i64) -> Result<Rendered, Failure> {
    let token = app.master.token(no, one.notice);
    let contact = one.person.contacts.get(usize::from(one.notice.contact()));
    let contact = contact.ok_or_else(|| Problem::new("no-contact", "", "the person no longer has this contact"))?;
    Ok(open.texts.render(&one.person, contact, one.channel, &open.envelope(&token, now))?)
}

/// What the person gets by the routes that send approved words instead.
fn by_route<'a>(approved: &'a [ApprovedRoute], open: &OpenCampaign, one: &Shown) -> Vec<(&'a ApprovedRoute, String)> {
    let Some(contact) = one.person.contacts.get(usize::from(one.notice.contact())) else { return Vec::new() };
    let routes = approved.iter().filter(|route| route.channel == one.channel);
    routes.filter_map(|route| Some((route, words(&route.words(open, &one.person, contact)?)))).collect()
}

/// The text of a short message, or what a machine says.
fn words(rendered: &Rendered) -> String {
    match rendered {
        Rendered::Email(mail) => mail.text.reveal().to_owned(),
        Rendered::Sms(sms) => sms.text.reveal().to_owned(),
        Rendered::Call(call) => call.spoken.as_ref().map_or_else(String::new, |s| s.message.reveal().to_owned()),
    }
}

fn approved_json(route: &ApprovedRoute, words: &str) -> Value {
    json!({ "route": route.name, "template": route.code, "text": words })
}

fn approved_line(route: &ApprovedRoute, words: &str) -> String {
    let line = format!("-- by route {} instead, as the approved template {}\n\n{words}\n", route.name, route.code);
    printable(&line)
}

fn address(one: &Shown) -> &str {
    one.person.contacts.get(usize::from(one.notice.contact())).map_or("", |c| c.address.reveal())
}

fn about(one: &Shown) -> Value {
    json!({
        "language": one.language,
        "channel": one.channel.as_str(),
        "role": one.role.as_str(),
        "ref": one.person.reference.reveal(),
        "contact": address(one),
    })
}

fn content(rendered: &Rendered) -> Value {
    match rendered {
        Rendered::Email(mail) => json!({
            "subject": mail.subject.reveal(), "text": mail.text.reveal(), "html": mail.html.reveal(),
        }),
        Rendered::Sms(sms) => json!({
            "text": sms.text.reveal(), "coding": sms.coding.as_str(), "segments": sms.segments,
        }),
        Rendered::Call(script) => json!({
            "sections": script.sections.iter().map(|(id, heading, text)| json!({
                "id": id, "heading": heading, "text": text.reveal(),
            })).collect::<Vec<_>>(),
            "spoken": script.spoken.as_ref().map(|spoken| json!({
                "opening": spoken.opening.reveal(), "message": spoken.message.reveal(),
            })),
        }),
    }
}

fn lines(one: &Shown, rendered: &Rendered) -> Vec<String> {
    let (channel, language, role) = (one.channel, &one.language, one.role.as_str());
    let reference = one.person.reference.reveal();
    let mut lines = vec![format!("== {channel} in {language} to {role}: {reference}, {}", address(one))];
    lines.push(match rendered {
        Rendered::Email(mail) => format!("Subject: {}\n\n{}", mail.subject.reveal(), mail.text.reveal()),
        Rendered::Sms(sms) => {
            let parts = if sms.segments == 1 { "segment" } else { "segments" };
            format!("{}, {} {parts}\n\n{}", sms.coding.as_str(), sms.segments, sms.text.reveal())
        }
        Rendered::Call(script) => {
            let sections = script.sections.iter().map(|(_, heading, text)| format!("{heading}\n{}\n", text.reveal()));
            let spoken = script.spoken.iter().map(|spoken| {
                format!("Spoken by a machine\n{}\n\n{}\n", spoken.opening.reveal(), spoken.message.reveal())
            });
            sections.chain(spoken).collect::<Vec<_>>().join("\n")
        }
    });
    lines.push(String::new());
    lines.into_iter().map(|line| super::output::printable(&line)).collect()
}

fn write_approved(
    directory: &Path,
    one: &Shown,
    of_one_person: bool,
    route: &ApprovedRoute,
    words: &str,
) -> Result<PathBuf, Failure> {
    let path = directory.join(format!("{}-{}.txt", stem(one, of_one_person), route.name));
    owner_only::write(&path, words)?;
    Ok(path)
}

fn stem(one: &Shown, of_one_person: bool) -> String {
    match of_one_person {
        true => format!("{}-{}-{}", one.channel, one.notice.contact(), one.language),
        false => format!("{}-{}-{}", one.channel, one.language, one.role.as_str()),
    }
}

/// The notice as files whose names tell the variant and nobody's name.
fn write(directory: &Path, one: &Shown, of_one_person: bool, rendered: &Rendered) -> Result<Vec<PathBuf>, Failure> {
    let stem = stem(one, of_one_person);
    let mut files = Vec::new();
    let mut put = |extension: &str, content: &str| -> Result<(), Failure> {
        let path = directory.join(format!("{stem}.{extension}"));
        owner_only::write(&path, content)?;
        files.push(path);
        Ok(())
    };
    match rendered {
        Rendered::Email(mail) => {
            put("eml", mail.mime.reveal())?;
            put("html", mail.html.reveal())?;
            put("txt", mail.text.reveal())?;
        }
        Rendered::Sms(sms) => put("txt", sms.text.reveal())?,
        Rendered::Call(_) => put("txt", &lines(one, rendered).join("\n"))?,
    }
    Ok(files)
}

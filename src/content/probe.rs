//! Renders every template for imagined persons before the start: what they would hit, no real person will.

use super::{Envelope, Language, Texts, render};
use crate::model::channel::{Channel, ContactKind};
use crate::model::contact::{Contact, Role};
use crate::model::person::Person;
use crate::model::personal::Personal;
use crate::model::problem::Problem;
use crate::model::rendered::Rendered;

/// A usual name, none, and one that no GSM alphabet has.
const NAMES: [&str; 3] = ["Alexandra Mustermann", "", "Łukasz Brzęczyszczykiewicz 王小明"];

/// Problems, and warnings.
pub(super) fn probe(texts: &Texts) -> (Vec<Problem>, Vec<Problem>) {
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    for language in &texts.languages {
        for (channel, templates) in
            [(Channel::Email, &language.email), (Channel::Sms, &language.sms), (Channel::Phone, &language.call)]
        {
            let Some(templates) = templates else { continue };
            for name in NAMES {
                for role in [Role::OneSelf, Role::Guardian, Role::NextOfKin] {
                    let extras =
                        templates.uses.extras.iter().map(|(h, _)| (h.clone(), Personal::new("0000"))).collect();
                    let found = one(texts, language, channel, name, role, extras);
                    let to = if name == NAMES[2] { &mut warnings } else { &mut problems };
                    to.extend(found.filter(|p| !to.contains(p)));
                }
            }
        }
    }
    (problems, warnings)
}

/// The notice of an imagined person by this channel, in every language that has one: what a route can be asked about
/// before there are persons.
pub(super) fn specimens(texts: &Texts, channel: Channel) -> Vec<(String, Rendered)> {
    let rendered = |language: &Language| {
        let templates = match channel {
            Channel::Email => &language.email,
            Channel::Sms => &language.sms,
            Channel::Phone => &language.call,
        };
        let extras = templates.as_ref()?.uses.extras.iter().map(|(h, _)| (h.clone(), Personal::new("0000"))).collect();
        let found = rendered(texts, language, channel, NAMES[0], Role::OneSelf, extras).ok()?;
        Some((language.tag.clone(), found))
    };
    texts.languages.iter().filter_map(rendered).collect()
}

fn one(
    texts: &Texts,
    language: &Language,
    channel: Channel,
    name: &str,
    role: Role,
    extra: Vec<(String, Personal)>,
) -> Option<Problem> {
    match rendered(texts, language, channel, name, role, extra) {
        Err(problem) => Some(problem),
        Ok(rendered) => empty_part(&rendered).map(|part| {
            let message = format!(
                "the {part} in {} is empty for a person with role {}; give every choice some words",
                language.tag,
                role.as_str()
            );
            Problem::new("missing-value", format!("{} {part}", language.tag), message)
        }),
    }
}

fn rendered(
    texts: &Texts,
    language: &Language,
    channel: Channel,
    name: &str,
    role: Role,
    extra: Vec<(String, Personal)>,
) -> Result<Rendered, Problem> {
    let kind = channel.contact_kind();
    let address = if kind == ContactKind::Email { "somebody@example.com" } else { "+12025550100" };
    let contact = Contact { kind, address: Personal::new(address), role };
    let who =
        Person { reference: Personal::new("1000000001"), name: Personal::new(name), extra, role, ..Person::default() };
    let token = "probe@forewarn.invalid".to_owned();
    let envelope =
        Envelope { message_id: token.clone(), date: 0, notice: token.clone(), campaign: token, log_head: None };
    render::render_in(texts, language, &who, &contact, channel, &envelope)
}

/// The part that would say nothing.
fn empty_part(rendered: &Rendered) -> Option<&str> {
    match rendered {
        Rendered::Email(email) if email.subject.is_empty() => Some("subject"),
        Rendered::Email(email) => email.text.reveal().trim().is_empty().then_some("email"),
        Rendered::Sms(sms) => sms.text.is_empty().then_some("sms"),
        Rendered::Call(call) => {
            let silent = call.spoken.as_ref().is_some_and(|said| said.opening.is_empty() || said.message.is_empty());
            let empty = call.sections.iter().find(|(_, _, text)| text.is_empty()).map(|(id, ..)| id.as_str());
            empty.or(silent.then_some("voice"))
        }
    }
}

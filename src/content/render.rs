//! Fills in one person: one context, rendered to all the texts of a channel.

use super::mime::{Parts, one_line};
use super::resolve::Uses;
use super::{Envelope, Language, Templates, Texts};
use crate::model::channel::Channel;
use crate::model::contact::{Contact, Role};
use crate::model::incident::Zoned;
use crate::model::person::Person;
use crate::model::personal::Personal;
use crate::model::problem::Problem;
use crate::model::rendered::{CallScript, EmailNotice, Rendered, SmsNotice};
use crate::model::time::Micros;
use handlebars::{Context, Handlebars};
use serde_json::{Map, Value};
use unicode_normalization::{UnicodeNormalization, is_nfc};

pub(super) fn render(
    texts: &Texts,
    who: &Person,
    contact: &Contact,
    channel: Channel,
    envelope: &Envelope,
) -> Result<Rendered, Problem> {
    if contact.kind != channel.contact_kind() {
        let message =
            format!("a notice by {channel} was asked for a contact of another kind; this is a fault of forewarn");
        return Err(Problem::new("wrong-contact", channel.as_str(), message));
    }
    let language = texts.language(&who.locale).ok_or_else(|| no_template(channel, ""))?;
    render_in(texts, language, who, contact, channel, envelope)
}

/// As [`render`], in a given language.
pub(super) fn render_in(
    texts: &Texts,
    language: &Language,
    who: &Person,
    contact: &Contact,
    channel: Channel,
    envelope: &Envelope,
) -> Result<Rendered, Problem> {
    let templates = match channel {
        Channel::Email => &language.email,
        Channel::Sms => &language.sms,
        Channel::Phone => &language.call,
    };
    let templates = templates.as_ref().ok_or_else(|| no_template(channel, &language.tag))?;
    let person = Filled { texts, language, who, role: contact.role, date: envelope.date, channel };
    let context = person.context(&templates.uses)?;
    match channel {
        Channel::Email => email(texts, language, templates, &context, who, contact, envelope).map(Rendered::Email),
        Channel::Sms => sms(texts, language, templates, &context).map(Rendered::Sms),
        Channel::Phone => call(texts, language, templates, &context).map(Rendered::Call),
    }
}

fn no_template(channel: Channel, language: &str) -> Problem {
    let message = format!(
        "the template set has no {channel} template in `{language}`; add it, or leave {channel} out of the ladder"
    );
    Problem::new("missing-template", channel.as_str(), message)
}

fn fill(engine: &Handlebars<'static>, name: Option<&String>, context: &Context) -> Result<String, Problem> {
    let name = name.map_or("", String::as_str);
    // The cause could quote a value, so it stays out of the message.
    engine.render_with_context(name, context).map_err(|_| {
        let message = format!("{name} could not be filled in; this is a fault of forewarn");
        Problem::new("template-fault", name, message)
    })
}

fn email(
    texts: &Texts,
    language: &Language,
    templates: &Templates,
    context: &Context,
    who: &Person,
    contact: &Contact,
    envelope: &Envelope,
) -> Result<EmailNotice, Problem> {
    let subject = fill(&texts.text, templates.names.first(), context)?;
    let subject = subject.split([' ', '\n']).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
    let mut text = fill(&texts.text, templates.names.get(1), context)?;
    text.truncate(text.trim_end().len());
    text.push('\n');
    let html = fill(&texts.html, templates.names.get(1), context)?;
    // A guardian's address does not carry the child's name.
    let to_name = if contact.role == Role::OneSelf { one_line(who.name.reveal()) } else { String::new() };
    let parts =
        Parts { to_name: &to_name, to_address: contact.address.reveal(), subject: &subject, text: &text, html: &html };
    let mime = Personal::new(language.frame.message(&parts, envelope)?);
    Ok(EmailNotice { subject: Personal::new(subject), text: Personal::new(text), html: Personal::new(html), mime })
}

fn sms(texts: &Texts, language: &Language, templates: &Templates, context: &Context) -> Result<SmsNotice, Problem> {
    let text = fill(&texts.text, templates.names.first(), context)?;
    let text = text.trim();
    let text = if is_nfc(text) { text.to_owned() } else { text.nfc().collect() };
    let (coding, segments) = super::sms_segments(&text);
    let cap = texts.sms_max_segments;
    if segments > cap {
        let message = format!(
            "the SMS in {} needs {segments} parts in {} and the set allows {cap}; shorten {}/sms.hbs or raise sms_max_segments",
            language.tag,
            coding.as_str(),
            language.tag
        );
        return Err(Problem::new("sms-too-long", "sms", message));
    }
    Ok(SmsNotice { text: Personal::new(text), coding, segments })
}

fn call(texts: &Texts, language: &Language, templates: &Templates, context: &Context) -> Result<CallScript, Problem> {
    let mut sections = Vec::with_capacity(templates.names.len());
    for ((id, heading), name) in language.sections.iter().zip(&templates.names) {
        let text = fill(&texts.text, Some(name), context)?;
        sections.push((id.clone(), heading.clone(), Personal::new(text.trim())));
    }
    Ok(CallScript { sections, language: language.tag.clone() })
}

/// A person in a language: the values that templates may ask for.
struct Filled<'a> {
    texts: &'a Texts,
    language: &'a Language,
    who: &'a Person,
    role: Role,
    date: Micros,
    channel: Channel,
}

impl Filled<'_> {
    fn context(&self, uses: &Uses) -> Result<Context, Problem> {
        let mut values = Map::new();
        for name in &uses.values {
            let value = match *name {
                "name" => Value::String(one_line(self.who.name.reveal())),
                "reference" => Value::String(one_line(self.who.reference.reveal())),
                "data_types" => self.data_types()?.into_iter().map(|w| Value::String(w.to_owned())).collect(),
                "data_types_list" => Value::String(self.language.terms.join(&self.data_types()?)),
                "sent_date" => Value::String(self.sent_date()?),
                "role_self" => Value::Bool(self.role == Role::OneSelf),
                "role_guardian" => Value::Bool(self.role == Role::Guardian),
                "role_next_of_kin" => Value::Bool(self.role == Role::NextOfKin),
                _ => continue,
            };
            values.insert((*name).to_owned(), value);
        }
        for (at, (heading, required)) in uses.extras.iter().enumerate() {
            let found = self.who.extra.iter().find(|(known, _)| known == heading);
            let value = found.map(|(_, value)| one_line(value.reveal())).unwrap_or_default();
            if *required && value.is_empty() {
                return Err(self.missing_extra(heading));
            }
            values.insert(format!("x{at}"), Value::String(value));
        }
        let mut context = Context::null();
        *context.data_mut() = Value::Object(values);
        Ok(context)
    }

    fn missing_extra(&self, heading: &str) -> Problem {
        let message = format!(
            "the {} in {} prints the column `{heading}`, and this row has nothing there; fill it in, or put \
             {{{{#if extra.{heading}}}}} around it in the template",
            self.channel, self.language.tag
        );
        Problem::new("missing-value", format!("extra.{heading}"), message)
    }

    fn data_types(&self) -> Result<Vec<&str>, Problem> {
        let own = &self.who.data_types;
        if own.is_empty() {
            return Ok(self.language.data_types.iter().map(String::as_str).collect());
        }
        own.iter()
            .map(|id| {
                self.language.terms.data_types.get(id).map(String::as_str).ok_or_else(|| {
                    let tag = &self.language.tag;
                    let message = format!("this row names a kind of data that {tag}/terms.toml has no words for; correct the row, or add it under [data_types]");
                    Problem::new("unknown-data-type", "data_types", message)
                })
            })
            .collect()
    }

    fn sent_date(&self) -> Result<String, Problem> {
        let at = jiff::Timestamp::from_microsecond(self.date).map_err(|_| {
            Problem::new("bad-envelope", "date", "the date of a notice is out of range; check the system clock")
        })?;
        Ok(self.language.terms.date(&Zoned::new(at, self.texts.zone.clone())))
    }
}

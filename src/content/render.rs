//! Fills in one person. An email is poured into the mould of the person's shape; the short texts of the other channels
//! are rendered from one context.

use super::mime::{Parts, Writing, one_line};
use super::mould::{Mould, escaped, mark};
use super::resolve::Uses;
use super::{Envelope, Language, Templates, Texts, voice};
use crate::model::channel::Channel;
use crate::model::contact::{Contact, Role};
use crate::model::incident::Zoned;
use crate::model::person::Person;
use crate::model::personal::Personal;
use crate::model::problem::Problem;
use crate::model::rendered::{CallScript, EmailNotice, Rendered, SmsNotice, Spoken};
use crate::model::time::Micros;
use handlebars::{Context, Handlebars};
use serde_json::{Map, Value};
use std::borrow::Cow;
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
    let values = person.values(&templates.uses)?;
    match channel {
        Channel::Email => email(texts, language, templates, &values, who, contact, envelope).map(Rendered::Email),
        Channel::Sms => sms(texts, language, templates, &values.context(false)).map(Rendered::Sms),
        Channel::Phone => call(texts, language, templates, &values.context(false)).map(Rendered::Call),
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
    values: &Values<'_>,
    who: &Person,
    contact: &Contact,
    envelope: &Envelope,
) -> Result<EmailNotice, Problem> {
    let mould = templates.moulds.of(&values.shape, || mould(texts, templates, values))?;
    let (subject, subject_header) = mould.subject(&values.strings);
    let in_html = escaped(&values.strings);
    let (text, html) = (mould.text.plain(&values.strings), mould.html.plain(&in_html));
    // A guardian's address does not carry the child's name.
    let to_name = if contact.role == Role::OneSelf { one_line(who.name.reveal()) } else { String::new() };
    let parts = Parts {
        to_name: &to_name,
        to_address: contact.address.reveal(),
        subject_header: &subject_header,
        text: Writing { plain: &text, quoted: &|out| mould.text.quoted(&values.strings, out) },
        html: Writing { plain: &html, quoted: &|out| mould.html.quoted(&in_html, out) },
    };
    let mime = Personal::new(language.frame.message(&parts, envelope)?);
    Ok(EmailNotice {
        subject: Personal::new(subject),
        text: Personal::new(text),
        html: Personal::new(html),
        mime,
        message_id: envelope.message_id.clone(),
        sender_name: language.frame.sender_name.clone(),
        sender_address: language.frame.sender_address.clone(),
        sender_mailbox: language.frame.sender_mailbox.clone(),
    })
}

/// The templates filled in with marks, for everybody of the shape that these values have.
fn mould(texts: &Texts, templates: &Templates, values: &Values<'_>) -> Result<Mould, Problem> {
    let context = values.context(true);
    let subject = fill(&texts.text, templates.names.first(), &context)?;
    let text = fill(&texts.text, templates.names.get(1), &context)?;
    let html = fill(&texts.html, templates.names.get(1), &context)?;
    Ok(Mould::new(&subject, &text, &html))
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
    let speak = |name: Option<&String>| {
        let text = fill(&texts.text, name, context)?;
        Ok::<_, Problem>(Personal::new(voice::sentences(&text, language.joins_lines)))
    };
    let spoken = match templates.names.get(sections.len()..) {
        Some([opening, message]) if language.spoken => {
            Some(Spoken { opening: speak(Some(opening))?, message: speak(Some(message))? })
        }
        Some(_) | None => None,
    };
    Ok(CallScript { sections, language: language.tag.clone(), spoken })
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

/// What the templates of a channel use of a person.
#[derive(Default)]
struct Values<'a> {
    /// All that is printed, numbered as the marks of a mould are.
    strings: Vec<Cow<'a, str>>,
    entries: Vec<(Name, Entry)>,
    /// All that conditions and loops can see.
    shape: Vec<u8>,
}

/// How the context calls a value.
enum Name {
    Of(&'static str),
    Extra(usize),
}

/// A value, by its place in the strings.
enum Entry {
    Text(usize),
    List(std::ops::Range<usize>),
    Flag(bool),
}

impl<'a> Values<'a> {
    fn text(&mut self, name: Name, text: impl Into<Cow<'a, str>>) {
        let text = text.into();
        self.shape.push(u8::from(!text.is_empty()));
        self.entries.push((name, Entry::Text(self.strings.len())));
        self.strings.push(text);
    }

    fn list(&mut self, name: Name, items: Vec<&'a str>) {
        self.shape.extend_from_slice(&items.len().to_be_bytes());
        let first = self.strings.len();
        self.strings.extend(items.into_iter().map(Cow::Borrowed));
        self.entries.push((name, Entry::List(first..self.strings.len())));
    }

    fn flag(&mut self, name: Name, flag: bool) {
        self.shape.push(u8::from(flag));
        self.entries.push((name, Entry::Flag(flag)));
    }

    /// What Handlebars reads; `marked`: with marks in place of values that are not empty.
    fn context(&self, marked: bool) -> Context {
        let string = |at: usize| {
            let text = self.strings.get(at).map_or("", |text| text);
            Value::String(if marked && !text.is_empty() { mark(at) } else { text.to_owned() })
        };
        let mut values = Map::new();
        for (name, entry) in &self.entries {
            let value = match entry {
                Entry::Text(at) => string(*at),
                Entry::List(all) => all.clone().map(string).collect(),
                Entry::Flag(flag) => Value::Bool(*flag),
            };
            let name = match name {
                Name::Of(name) => (*name).to_owned(),
                Name::Extra(at) => format!("x{at}"),
            };
            values.insert(name, value);
        }
        let mut context = Context::null();
        *context.data_mut() = Value::Object(values);
        context
    }
}

impl<'a> Filled<'a> {
    fn values(&self, uses: &Uses) -> Result<Values<'a>, Problem> {
        let mut values = Values::default();
        for name in &uses.values {
            let of = Name::Of(name);
            match *name {
                "name" => values.text(of, one_line(self.who.name.reveal())),
                "reference" => values.text(of, one_line(self.who.reference.reveal())),
                "data_types" => values.list(of, self.data_types()?),
                "data_types_list" => values.text(of, self.language.terms.join(&self.data_types()?)),
                "sent_date" => values.text(of, self.sent_date()?),
                "role_self" => values.flag(of, self.role == Role::OneSelf),
                "role_guardian" => values.flag(of, self.role == Role::Guardian),
                "role_next_of_kin" => values.flag(of, self.role == Role::NextOfKin),
                _ => {}
            }
        }
        for (at, (heading, required)) in uses.extras.iter().enumerate() {
            let found = self.who.extra.iter().find(|(known, _)| known == heading);
            let value = found.map(|(_, value)| one_line(value.reveal())).unwrap_or_default();
            if *required && value.is_empty() {
                return Err(self.missing_extra(heading));
            }
            values.text(Name::Extra(at), value);
        }
        Ok(values)
    }

    fn missing_extra(&self, heading: &str) -> Problem {
        let message = format!(
            "the {} in {} prints the column `{heading}`, and this row has nothing there; fill it in, or put \
             {{{{#if extra.{heading}}}}} around it in the template",
            self.channel, self.language.tag
        );
        Problem::new("missing-value", format!("extra.{heading}"), message)
    }

    fn data_types(&self) -> Result<Vec<&'a str>, Problem> {
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

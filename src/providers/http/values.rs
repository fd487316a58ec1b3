//! What the names in a definition stand for, for one notice on one route.

use super::super::definition::RECEIPTS;
use super::super::definition::form::escape_json;
use super::super::definition::leaf::{Leaf, Name, Value};
use super::super::definition::{Definition, Escape, Field};
use super::super::settings::{Declared, SettingKind};
use super::approved::Approved;
use crate::model::rendered::{EmailNotice, Rendered, SmsCoding, Spoken};
use crate::model::telephone::dialled_within;
use crate::model::time::{MINUTE, Micros, SECOND};
use crate::providers::Outgoing;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// A look-up asks from so long before the attempt on: the provider's clock is another one.
pub const MARGIN: Micros = 10 * MINUTE;

/// Digits of a short token.
const SHORT: usize = 15;

/// The settings, and the notice where there is one (a probe has none).
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    pub definition: &'a Definition,
    pub settings: &'a Declared,
    pub out: Option<&'a Outgoing>,
    /// The approved words of the route, where the provider sends no others.
    pub approved: Option<&'a Approved>,
    /// What a look-up knows of the attempt: the provider's id, and when it began.
    pub asked: Option<(Option<&'a str>, Micros)>,
}

impl<'a> Values<'a> {
    /// Absent settings and what the channel does not have are empty.
    pub fn of(&self, name: &Name) -> Value<'a> {
        if let Name::Setting(setting) = name {
            return self.setting(setting);
        }
        let Some(out) = self.out else { return text("") };
        match name {
            Name::Setting(_) => text(""),
            Name::ByLanguage(table) => text(self.definition.word(table, &out.language).unwrap_or_default()),
            Name::ProviderId => text(self.asked.and_then(|(id, _)| id).unwrap_or_default()),
            Name::SentUnix => self.since().map_or(text(""), |since| Value::Number(since.as_second())),
            Name::SentTime => {
                self.since().map_or(text(""), |since| owned(since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
            }
            Name::SentDate => self.since().map_or(text(""), |since| owned(since.strftime("%Y-%m-%d").to_string())),
            Name::Mime => text(email(&out.rendered).map_or("", |email| email.mime.reveal())),
            Name::MessageId => text(email(&out.rendered).map_or("", |email| &email.message_id)),
            Name::SenderAddress => text(email(&out.rendered).map_or("", |email| &email.sender_address)),
            Name::SenderName => text(email(&out.rendered).map_or("", |email| &email.sender_name)),
            Name::SenderMailbox => text(email(&out.rendered).map_or("", |email| &email.sender_mailbox)),
            Name::SpokenOpening => text(spoken(&out.rendered).map_or("", |spoken| spoken.opening.reveal())),
            Name::SpokenMessage => text(spoken(&out.rendered).map_or("", |spoken| spoken.message.reveal())),
            Name::To => text(out.to.reveal()),
            Name::ToDigits => text(out.to.reveal().trim_start_matches('+')),
            Name::Text | Name::Subject | Name::Html => text(words(&out.rendered, name)),
            Name::Notice => text(&out.notice),
            Name::Campaign => text(&out.campaign),
            Name::Channel => text(out.channel.as_str()),
            Name::Attempt => Value::Number(out.attempt.into()),
            Name::IdempotencyKey => text(&out.idempotency_key),
            Name::Language => text(&out.language),
            Name::Country => text(&out.country),
            Name::SmsCoding => text(coding(&out.rendered).map_or("", SmsCoding::as_str)),
            Name::SmsUcs2 => Value::Flag(coding(&out.rendered) == Some(SmsCoding::Ucs2)),
            Name::SmsDcs => text(match coding(&out.rendered) {
                Some(SmsCoding::Gsm7) => "0",
                Some(SmsCoding::Ucs2) => "2",
                None => "",
            }),
            Name::SmsKind => text(match coding(&out.rendered) {
                Some(SmsCoding::Gsm7) => "text",
                Some(SmsCoding::Ucs2) => "unicode",
                None => "",
            }),
            Name::SmsSegments => Value::Number(segments(&out.rendered).into()),
            Name::Hook => text(if self.takes_reports() { out.hook.as_deref().unwrap_or_default() } else { "" }),
            Name::SentDay(hours) => owned(self.day_at(*hours)),
            Name::MimeBase64 => {
                owned(email(&out.rendered).map_or_else(String::new, |e| STANDARD.encode(e.mime.reveal())))
            }
            Name::NoticeShort => text(out.notice.get(..SHORT).unwrap_or(&out.notice)),
            Name::PersonName => text(out.name.reveal()),
            Name::Reference => text(out.reference.reveal()),
            Name::ToWithin(country) => owned(dialled_within(out.to.reveal(), country)),
            Name::Fact(name) => text(out.facts.get(name).map_or("", String::as_str)),
            Name::TemplateNamed => self.approved.map_or(text(""), |a| Value::Json(a.named(self))),
            Name::TemplateList => self.approved.map_or(text(""), |a| Value::Json(a.list(self))),
            Name::UnixTime => Value::Number(jiff::Timestamp::now().as_second()),
        }
    }

    /// A provider is told where to report only by a route that listens.
    fn takes_reports(&self) -> bool {
        self.settings.boolean(RECEIPTS) == Some(true)
    }

    fn setting(&self, name: &str) -> Value<'a> {
        let kind = self.definition.settings.iter().find(|d| d.name == name).map(|d| d.kind);
        let number = self.settings.integer(name).filter(|_| kind == Some(SettingKind::Integer));
        let flag = self.settings.boolean(name).filter(|_| kind == Some(SettingKind::Boolean));
        match (number, flag) {
            (Some(number), _) => Value::Number(number),
            (None, Some(flag)) => Value::Flag(flag),
            (None, None) => text(self.settings.text(name).unwrap_or_default()),
        }
    }

    pub fn render(&self, leaf: &Leaf) -> String {
        leaf.render_with(|name| self.of(name), str::to_owned)
    }

    /// The value of a field as its place wants it.
    pub fn field(&self, field: &Field) -> String {
        match field.escape {
            Escape::None => self.render(&field.value),
            Escape::Xml => field.value.render_with(|name| self.of(name), escape_xml),
            Escape::Json => field.value.render_with(|name| self.of(name), escape_json),
        }
    }

    /// Whether a field that may be left out is.
    pub fn leaves_out(&self, field: &Field) -> bool {
        field.omit_empty && self.is_absent(&field.value)
    }

    /// True where the leaf is empty, or a name in it stands for nothing: half an address would be worse than none.
    pub fn is_absent(&self, leaf: &Leaf) -> bool {
        leaf.0.is_empty() || leaf.names().any(|name| self.of(name).as_text().is_empty())
    }

    /// From when on a look-up asks.
    fn since(&self) -> Option<jiff::Timestamp> {
        let (_, sent) = self.asked?;
        jiff::Timestamp::from_second(sent.saturating_sub(MARGIN) / SECOND).ok()
    }

    /// The day of the attempt itself in a zone so many hours east of Greenwich, `20261125`.
    fn day_at(&self, hours: i8) -> String {
        let sent = self.asked.and_then(|(_, sent)| jiff::Timestamp::from_microsecond(sent).ok());
        let there = sent.map(|sent| jiff::tz::Offset::constant(hours).to_datetime(sent));
        there.map_or_else(String::new, |there| there.strftime("%Y%m%d").to_string())
    }

    /// What must never come back in a code or an id: the route's secrets and the person's address.
    pub fn secret(&self) -> impl Iterator<Item = &'a str> {
        let settings = self.settings;
        let secrets = self.definition.settings.iter().filter(|d| d.kind == SettingKind::Secret);
        let secrets = secrets.filter_map(move |d| settings.text(&d.name));
        let address = self.out.map(|out| out.to.reveal());
        // A provider may repeat a number as its own country writes it: without a country code of one to three digits.
        let digits = address.map(|to| to.trim_start_matches('+'));
        let within = address.into_iter().filter(|to| to.starts_with('+'));
        let within = within.flat_map(|to| (2..=4).filter_map(move |from| to.get(from..)));
        secrets.chain(address).chain(digits).chain(within)
    }

    /// What must never come back in words: also the person's name and reference. They are short and may stand by
    /// chance inside an id, so ids are not searched for them.
    pub fn hidden(&self) -> impl Iterator<Item = &'a str> {
        let personal = self.out.into_iter().flat_map(|out| [out.name.reveal(), out.reference.reveal()]);
        self.secret().chain(personal)
    }
}

fn text(text: &str) -> Value<'_> {
    Value::Text(Cow::Borrowed(text))
}

fn owned(text: String) -> Value<'static> {
    Value::Text(Cow::Owned(text))
}

/// For the text of an element and for an attribute's value; what XML 1.0 has no place for becomes a blank.
fn escape_xml(text: &str) -> String {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    let clean: String = text.chars().map(|c| if allowed(c) { c } else { ' ' }).collect();
    quick_xml::escape::escape(clean).into_owned()
}

fn email(rendered: &Rendered) -> Option<&EmailNotice> {
    if let Rendered::Email(email) = rendered { Some(email) } else { None }
}

/// What a machine reads aloud.
pub fn spoken(rendered: &Rendered) -> Option<&Spoken> {
    if let Rendered::Call(script) = rendered { script.spoken.as_ref() } else { None }
}

fn words<'a>(rendered: &'a Rendered, name: &Name) -> &'a str {
    match (rendered, name) {
        (Rendered::Email(email), Name::Subject) => email.subject.reveal(),
        (Rendered::Email(email), Name::Html) => email.html.reveal(),
        (Rendered::Email(email), _) => email.text.reveal(),
        (Rendered::Sms(sms), Name::Text) => sms.text.reveal(),
        (Rendered::Sms(_) | Rendered::Call(_), _) => "",
    }
}

fn coding(rendered: &Rendered) -> Option<SmsCoding> {
    match rendered {
        Rendered::Sms(sms) => Some(sms.coding),
        Rendered::Email(_) | Rendered::Call(_) => None,
    }
}

pub fn segments(rendered: &Rendered) -> u32 {
    match rendered {
        Rendered::Sms(sms) => sms.segments,
        Rendered::Email(_) | Rendered::Call(_) => 0,
    }
}

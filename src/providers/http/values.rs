//! What the names in a definition stand for, for one notice on one route.

use super::super::definition::RECEIPTS;
use super::super::definition::leaf::{Leaf, Name, Value};
use super::super::settings::{Declared, SettingDecl, SettingKind};
use crate::model::rendered::{Rendered, SmsCoding};
use crate::providers::Outgoing;
use std::borrow::Cow;

/// The settings, and the notice where there is one (a probe has none).
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    pub declarations: &'a [SettingDecl],
    pub settings: &'a Declared,
    pub out: Option<&'a Outgoing>,
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
            Name::SmsSegments => Value::Number(segments(&out.rendered).into()),
            Name::Hook => text(if self.takes_reports() { out.hook.as_deref().unwrap_or_default() } else { "" }),
            Name::UnixTime => Value::Number(jiff::Timestamp::now().as_second()),
        }
    }

    /// A provider is told where to report only by a route that listens.
    fn takes_reports(&self) -> bool {
        self.settings.boolean(RECEIPTS) == Some(true)
    }

    fn setting(&self, name: &str) -> Value<'a> {
        let kind = self.declarations.iter().find(|d| d.name == name).map(|d| d.kind);
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

    /// What must never come back in a code or an id: the route's secrets and the person's address.
    pub fn secret(&self) -> impl Iterator<Item = &'a str> {
        let settings = self.settings;
        let secrets = self.declarations.iter().filter(|d| d.kind == SettingKind::Secret);
        let secrets = secrets.filter_map(move |d| settings.text(&d.name));
        let address = self.out.map(|out| out.to.reveal());
        secrets.chain(address).chain(address.map(|to| to.trim_start_matches('+')))
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

//! Content: from a template set, an incident and a person to the exact words of a notice on each channel.
//!
//! What can be decided once per campaign is decided by [`Texts::compile`], which reports every problem of a set before
//! anything is sent; [`Texts::render`] then only fills in what differs by person. Pure, except for [`TemplateFiles::load`].
//!
//! Invariants: the same input gives the same octets; a person's data is never read as Markdown, HTML, Handlebars or a
//! header; nothing prints as a blank. Absent on purpose: attachments, pictures, tracking, unsubscribing.

mod call;
mod compile;
mod files;
mod locale;
mod markdown;
mod mime;
mod mould;
mod page;
mod probe;
mod render;
mod resolve;
mod scan;
mod sms;
mod terms;
mod transfer;
mod trial;
mod voice;
mod write;

#[cfg(test)]
mod tests;

pub use files::{LoadError, TemplateFiles};
pub use sms::sms_segments;
pub use trial::{TRIAL_LANGUAGE, trial, trial_facts};

use crate::model::channel::Channel;
use crate::model::contact::Contact;
use crate::model::incident::Incident;
use crate::model::person::Person;
use crate::model::problem::Problem;
use crate::model::rendered::Rendered;
use crate::model::time::Micros;
use handlebars::Handlebars;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who sends: `[sender]` of the configuration, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    pub organisation: String,
    /// Shown beside the address; the organisation where there is none.
    pub from_name: Option<String>,
    pub from_address: String,
}

/// What identifies one notice, beside its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Without `<` and `>`; the same in every attempt.
    pub message_id: String,
    pub date: Micros,
    /// An opaque token; travels as the header `X-Forewarn-Notice`.
    pub notice: String,
    pub campaign: String,
    /// SHA-256 of the newest signed head of the evidence log: whoever keeps the email is a witness of the log as it was.
    /// Travels as the header `Forewarn-Log`.
    pub log_head: Option<[u8; 32]>,
}

/// The texts of a campaign, compiled: every language that has both templates and the incident's own text.
pub struct Texts {
    languages: Vec<Language>,
    default: usize,
    html: Handlebars<'static>,
    text: Handlebars<'static>,
    zone: jiff::tz::TimeZone,
    sms_max_segments: u32,
    warnings: Vec<Problem>,
    digest: String,
}

/// One language, ready to be filled in.
struct Language {
    tag: String,
    terms: terms::Terms,
    /// The words for the incident's own list of data.
    data_types: Vec<String>,
    frame: mime::Frame,
    email: Option<Templates>,
    sms: Option<Templates>,
    call: Option<Templates>,
    /// The last two templates of `call` are those that a machine speaks.
    spoken: bool,
    joins_lines: bool,
    /// What does not differ by person, by dotted name: `organisation`, `incident.title`, `text.contact`.
    facts: Arc<BTreeMap<String, String>>,
    /// Id and heading of each section of the call script.
    sections: Vec<(String, String)>,
}

/// What is registered with Handlebars for one channel of a language.
#[derive(Default)]
struct Templates {
    uses: resolve::Uses,
    /// Email: subject, text, and the page under the name of the text; SMS: one; call: one a section, and the spoken two.
    names: Vec<String>,
    /// Of the email.
    moulds: mould::Moulds,
}

impl Texts {
    /// Compiles a set for an incident. All problems are reported at once, each with file, line, language or key.
    pub fn compile(files: &TemplateFiles, incident: &Incident, sender: &Sender) -> Result<Texts, Vec<Problem>> {
        compile::compile(files, incident, sender)
    }

    /// The language in which somebody with this locale is written to.
    pub fn language_for(&self, locale: &str) -> &str {
        self.language(locale).map_or("", |l| l.tag.as_str())
    }

    /// The languages that are complete, sorted.
    pub fn languages(&self) -> Vec<&str> {
        self.languages.iter().map(|l| l.tag.as_str()).collect()
    }

    /// What is no obstacle but worth knowing: a language without incident text, an SMS that some names make too long.
    pub fn warnings(&self) -> Vec<Problem> {
        self.warnings.clone()
    }

    /// What the campaign says in the language of somebody with this locale, by the names that templates use.
    pub fn facts(&self, locale: &str) -> Arc<BTreeMap<String, String>> {
        self.language(locale).map(|language| Arc::clone(&language.facts)).unwrap_or_default()
    }

    /// The headings that `{{extra.…}}` reaches for, and whether every person must have something there.
    pub fn extras(&self) -> BTreeMap<&str, bool> {
        let mut all = BTreeMap::new();
        for language in &self.languages {
            for templates in [&language.email, &language.sms, &language.call].into_iter().flatten() {
                for (heading, required) in &templates.uses.extras {
                    *all.entry(heading.as_str()).or_insert(false) |= required;
                }
            }
        }
        all
    }

    /// What an approver signs: files, the incident's facts and texts, and the sender, as SHA-256 in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The exact content of one notice.
    pub fn render(
        &self,
        who: &Person,
        contact: &Contact,
        channel: Channel,
        envelope: &Envelope,
    ) -> Result<Rendered, Problem> {
        render::render(self, who, contact, channel, envelope)
    }

    /// The notice of an imagined person by this channel, in every language that has one.
    pub fn specimens(&self, channel: Channel) -> Vec<(String, Rendered)> {
        probe::specimens(self, channel)
    }

    fn language(&self, locale: &str) -> Option<&Language> {
        if let Some(same) = self.languages.iter().find(|l| l.tag == locale) {
            return Some(same);
        }
        let tags = self.languages();
        let found = locale::best(locale, &tags).and_then(|tag| self.languages.iter().find(|l| l.tag == tag));
        found.or_else(|| self.languages.get(self.default))
    }
}

impl std::fmt::Debug for Texts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Texts").field("languages", &self.languages()).field("digest", &self.digest).finish()
    }
}

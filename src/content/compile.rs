//! Compiles a template set for an incident, and finds everything that is wrong with it before the start.

use super::files::hex;
use super::locale;
use super::mime::{Frame, one_line};
use super::resolve::{Kind, Known, Resolved, Uses, resolve};
use super::terms::{Manifest, Terms};
use super::write::{escape_html, plain};
use super::{Language, Sender, TemplateFiles, Templates, Texts, call, markdown, page, probe, voice};
use crate::model::channel::Channel;
use crate::model::incident::{Incident, IncidentText};
use crate::model::nearest::suggestion;
use crate::model::problem::Problem;
use handlebars::{Context, Handlebars, Helper, HelperResult, Output, RenderContext};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

const TERMS: &str = "terms.toml";
const SUBJECT: &str = "email.subject.hbs";
const EMAIL: &str = "email.md.hbs";
const SMS: &str = "sms.hbs";
const CALL: &str = "call.md.hbs";
const VOICE: &str = "voice.hbs";
const FILES: [&str; 6] = [TERMS, SUBJECT, EMAIL, SMS, CALL, VOICE];

/// The files of one language by name.
type Folder<'a> = BTreeMap<&'a str, &'a str>;

pub(super) fn compile(files: &TemplateFiles, incident: &Incident, sender: &Sender) -> Result<Texts, Vec<Problem>> {
    let mut problems = Vec::new();
    let folders = folders(files, &mut problems);
    let manifest = match files.0.get("template.toml") {
        Some(text) => Manifest::parse(text),
        None => Err(vec![Problem::new(
            "missing-template",
            "template.toml",
            "the template set has no template.toml; add it",
        )]),
    };
    let manifest = manifest.map_err(|found| problems.extend(found)).ok();
    let Some(manifest) = manifest else { return Err(problems) };

    let mut compiler =
        Compiler { incident, sender, manifest: &manifest, html: engine(true), text: engine(false), problems };
    let (pairs, warnings) = pair(&folders, incident);
    let mut languages = Vec::new();
    for (tag, text_tag) in pairs {
        if let (Some(folder), Some(text)) = (folders.get(tag), incident.texts.get(text_tag)) {
            languages.extend(compiler.language(tag, folder, text_tag, text));
        }
    }
    let tags: Vec<&str> = languages.iter().map(|l: &Language| l.tag.as_str()).collect();
    let default = locale::best(&incident.campaign.default_locale, &tags);
    let default = default.and_then(|tag| languages.iter().position(|l| l.tag == tag));
    if default.is_none() && compiler.problems.is_empty() {
        compiler.problems.push(missing_default(&folders, incident));
    }
    let Compiler { html, text, mut problems, .. } = compiler;
    let (Some(default), true) = (default, problems.is_empty()) else { return Err(problems) };
    let zone = incident.discovered.time_zone().clone();
    let digest = digest(files, incident, sender);
    let sms_max_segments = manifest.sms_max_segments;
    let mut texts = Texts { languages, default, html, text, zone, sms_max_segments, warnings, digest };
    let (found, more) = probe::probe(&texts);
    problems.extend(found);
    texts.warnings.extend(more);
    if problems.is_empty() { Ok(texts) } else { Err(problems) }
}

/// Handlebars with no escaping, or with ours; strict in both. The helpers print what [`markdown::uncode`] hides.
fn engine(html: bool) -> Handlebars<'static> {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    for (name, text) in [("nl", "\n"), ("nl2", "\n\n"), ("lb", "{"), ("bs", "\\"), ("rb", "}")] {
        let print = move |_: &Helper<'_>,
                          _: &Handlebars<'_>,
                          _: &Context,
                          _: &mut RenderContext<'_, '_>,
                          out: &mut dyn Output|
              -> HelperResult { Ok(out.write(text)?) };
        engine.register_helper(name, Box::new(print));
    }
    if html {
        engine.register_escape_fn(|text| escape_html(text).into_owned());
    } else {
        engine.register_escape_fn(handlebars::no_escape);
    }
    engine
}

/// The files by language; a file that nothing would read is a problem, because its name is probably mistyped.
fn folders<'a>(files: &'a TemplateFiles, problems: &mut Vec<Problem>) -> BTreeMap<&'a str, Folder<'a>> {
    let mut folders: BTreeMap<&str, Folder<'_>> = BTreeMap::new();
    for (path, text) in files.0.iter().filter(|(path, _)| *path != "template.toml") {
        match path.split_once('/') {
            Some((tag, name)) if FILES.contains(&name) && is_tag(tag) => {
                folders.entry(tag).or_default().insert(name, text);
            }
            Some((tag, name)) if is_tag(tag) => {
                let message = format!("{path} is not a file of a template set{}", suggestion(name, FILES));
                problems.push(Problem::new("unknown-file", path, message));
            }
            Some((tag, _)) => {
                let message = format!("{path}: `{tag}` is not a language tag; write it like en, zh-CN or pt-BR");
                problems.push(Problem::new("unknown-file", path, message));
            }
            None => {
                let message = format!("{path} is not a file of a template set{}", suggestion(path, ["template.toml"]));
                problems.push(Problem::new("unknown-file", path, message));
            }
        }
    }
    folders
}

/// It becomes part of headers and pages.
fn is_tag(tag: &str) -> bool {
    tag.len() <= 35
        && tag.split('-').all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Each language of the set with the incident text that serves it; and what has no partner, as warnings.
fn pair<'a>(
    folders: &BTreeMap<&'a str, Folder<'a>>,
    incident: &'a Incident,
) -> (Vec<(&'a str, &'a str)>, Vec<Problem>) {
    let tags: Vec<&str> = folders.keys().copied().collect();
    let text_tags: Vec<&str> = incident.texts.keys().map(String::as_str).collect();
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    let mut warnings = Vec::new();
    for tag in &tags {
        let exact = text_tags.iter().find(|t| t.eq_ignore_ascii_case(tag));
        match exact.or_else(|| text_tags.iter().find(|t| locale::best(t, &tags) == Some(tag))) {
            Some(text_tag) => pairs.push((tag, text_tag)),
            None => {
                let message = format!(
                    "the template set speaks `{tag}`, and the incident file has no [incident.text.{tag}]; persons of that language get the default language"
                );
                warnings.push(Problem::new("language-without-text", *tag, message));
            }
        }
    }
    for text_tag in text_tags.iter().filter(|t| !pairs.iter().any(|(_, used)| used == *t)) {
        let message = format!(
            "the incident file has [incident.text.{text_tag}], and the template set has no templates of its own for it; it is not used"
        );
        warnings.push(Problem::new("text-without-template", *text_tag, message));
    }
    (pairs, warnings)
}

fn missing_default(folders: &BTreeMap<&str, Folder<'_>>, incident: &Incident) -> Problem {
    let locale = &incident.campaign.default_locale;
    let tags: Vec<&str> = folders.keys().copied().collect();
    let message = match locale::best(locale, &tags) {
        Some(tag) => {
            format!("default_locale is `{locale}`, and the incident file has no [incident.text.{tag}]; add it")
        }
        None => format!(
            "default_locale is `{locale}`, and the template set has no templates in it{}",
            suggestion(locale, &tags)
        ),
    };
    Problem::new("missing-language", "campaign.default_locale", message)
}

struct Compiler<'a> {
    incident: &'a Incident,
    sender: &'a Sender,
    manifest: &'a Manifest,
    html: Handlebars<'static>,
    text: Handlebars<'static>,
    problems: Vec<Problem>,
}

impl Compiler<'_> {
    fn language(&mut self, tag: &str, folder: &Folder<'_>, text_tag: &str, text: &IncidentText) -> Option<Language> {
        let terms = match folder.get(TERMS) {
            Some(text) => Terms::parse(&format!("{tag}/{TERMS}"), text),
            None => Err(vec![Problem::new(
                "missing-template",
                tag,
                format!("the template set has no {tag}/{TERMS}; add it"),
            )]),
        };
        let terms = terms.map_err(|found| self.problems.extend(found)).ok();
        let frame = Frame::new(self.sender, tag).map_err(|found| self.once(found)).ok();
        let texts = self.texts(text_tag, text);
        let (terms, frame) = (terms?, frame?);
        let data_types = self.data_types(tag, &terms);
        let known = self.known(tag, &terms, texts, format!("[incident.text.{text_tag}]"));
        for channel in
            Channel::ALL.into_iter().filter(|c| self.incident.campaign.ladder.steps.iter().any(|s| s.channel == *c))
        {
            self.needs_channel(tag, folder, channel);
        }
        let email = self.email(tag, folder, &known);
        let sms = self.sms(tag, folder, &known);
        let (sections, call) = self.call(tag, folder, &known).unzip();
        let sections = sections.unwrap_or_default();
        let spoken = call.as_ref().is_some_and(|call| call.names.len() > sections.len());
        let joins_lines = known.joins_lines;
        let of_text = known.texts.iter().map(|(key, text)| (format!("text.{key}"), text.clone()));
        let facts = Arc::new(known.fixed.clone().into_iter().chain(of_text).collect());
        Some(Language {
            tag: tag.to_owned(),
            terms,
            data_types,
            frame,
            email,
            sms,
            call,
            spoken,
            joins_lines,
            facts,
            sections,
        })
    }

    /// The sender is the same in every language: its problem is told once.
    fn once(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn needs_channel(&mut self, tag: &str, folder: &Folder<'_>, channel: Channel) {
        let names: &[&str] = match channel {
            Channel::Email => &[SUBJECT, EMAIL],
            Channel::Sms => &[SMS],
            Channel::Phone => &[CALL],
        };
        for name in names.iter().filter(|name| !folder.contains_key(*name)) {
            let message = format!("the ladder uses {channel}, and the template set has no {tag}/{name}; add it");
            self.problems.push(Problem::new("missing-template", format!("{tag}/{name}"), message));
        }
    }

    /// The incident's texts in a language. A required one that is missing is a problem here, and only here.
    fn texts(&mut self, tag: &str, text: &IncidentText) -> IncidentText {
        let mut texts = text.clone();
        let keys: Vec<&String> = self.manifest.required.iter().chain(&self.manifest.optional).collect();
        for key in text.keys().filter(|k| !keys.contains(k)) {
            let message = format!(
                "incident file: [incident.text.{tag}] `{key}` is not a text the template set asks for{}",
                suggestion(key, &keys)
            );
            self.problems.push(Problem::new("unknown-key", format!("incident.text.{tag}.{key}"), message));
        }
        for key in &self.manifest.required {
            if text.get(key).is_none_or(|t| t.trim().is_empty()) {
                let message = format!("incident file: [incident.text.{tag}] needs `{key}`; write it");
                self.problems.push(Problem::new("missing-value", format!("incident.text.{tag}.{key}"), message));
                texts.insert(key.clone(), "-".to_owned());
            }
        }
        texts
    }

    fn data_types(&mut self, tag: &str, terms: &Terms) -> Vec<String> {
        let mut words = Vec::new();
        for id in &self.incident.data_types {
            match terms.data_types.get(id) {
                Some(word) => words.push(word.clone()),
                None => {
                    let ids: Vec<&String> = terms.data_types.keys().collect();
                    let message = format!(
                        "{tag}/{TERMS}: [data_types] has no words for `{id}` of the incident{}",
                        suggestion(id, &ids)
                    );
                    self.problems.push(Problem::new("missing-value", "incident.data_types", message));
                }
            }
        }
        words
    }

    fn known(&self, tag: &str, terms: &Terms, texts: IncidentText, text_place: String) -> Known {
        let incident = self.incident;
        let occurred = match (&incident.occurred_from, &incident.occurred_until) {
            (Some(from), until) => terms.dates(from, until.as_ref()),
            (None, Some(until)) => terms.date(until),
            (None, None) => String::new(),
        };
        let mut fixed: BTreeMap<String, String> = [
            ("organisation", one_line(&self.sender.organisation)),
            ("incident.id", one_line(&incident.id)),
            ("incident.title", one_line(&incident.title)),
            ("incident.occurred", occurred),
            ("incident.discovered", terms.date(&incident.discovered)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        fixed.extend(terms.words.iter().map(|(key, word)| (format!("word.{key}"), one_line(word))));
        let text_keys = self.manifest.required.iter().chain(&self.manifest.optional).cloned().collect();
        let has_data_types = !incident.data_types.is_empty();
        let joins_lines = ["zh", "ja"].contains(&tag.split('-').next().unwrap_or_default());
        Known { fixed, texts, text_keys, text_place, has_data_types, joins_lines }
    }

    fn resolved(
        &mut self,
        file: &str,
        source: &str,
        line: u32,
        kind: Kind,
        known: &Known,
        uses: &mut Uses,
    ) -> Option<Resolved> {
        resolve(file, source, line, kind, known, uses).map_err(|found| self.problems.extend(found)).ok()
    }

    fn document(&mut self, file: &str, resolved: &Resolved) -> Option<markdown::Document> {
        markdown::parse(resolved).map_err(|faults| self.faults(file, faults)).ok()
    }

    fn faults(&mut self, file: &str, faults: Vec<super::scan::Fault>) {
        let problem = |(line, message): super::scan::Fault| {
            let place = if line == 0 { file.to_owned() } else { format!("{file}:{line}") };
            Problem::new("template-syntax", file, format!("{place}: {message}"))
        };
        self.problems.extend(faults.into_iter().map(problem));
    }

    fn register(&mut self, html: bool, name: &str, coded: &str) -> Option<()> {
        let engine = if html { &mut self.html } else { &mut self.text };
        if engine.register_template_string(name, markdown::uncode(coded)).is_err() {
            let message = format!("{name} cannot be read as a template; reduce it until it can, and report the fault");
            self.problems.push(Problem::new("template-syntax", name, message));
            return None;
        }
        Some(())
    }

    fn email(&mut self, tag: &str, folder: &Folder<'_>, known: &Known) -> Option<Templates> {
        let (subject_file, file) = (format!("{tag}/{SUBJECT}"), format!("{tag}/{EMAIL}"));
        let mut uses = Uses::default();
        let (subject, body) = (folder.get(SUBJECT)?, folder.get(EMAIL)?);
        let subject = self.resolved(&subject_file, subject.trim_end(), 1, Kind::Plain, known, &mut uses);
        let body = self.resolved(&file, body, 1, Kind::Markdown, known, &mut uses);
        let document = body.as_ref().and_then(|body| self.document(&file, body));
        let (subject, body, document) = (subject?, body?, document?);
        let html = page::page(tag, &plain(&subject, true), &document.html(&body.slots, known.joins_lines));
        self.register(false, &subject_file, &plain(&subject, false))?;
        self.register(false, &file, &document.text(&body.slots, known.joins_lines))?;
        self.register(true, &file, &html)?;
        Some(Templates { uses, names: vec![subject_file, file], ..Templates::default() })
    }

    fn sms(&mut self, tag: &str, folder: &Folder<'_>, known: &Known) -> Option<Templates> {
        let file = format!("{tag}/{SMS}");
        let mut uses = Uses::default();
        let text = self.resolved(&file, folder.get(SMS)?, 1, Kind::Plain, known, &mut uses)?;
        self.register(false, &file, &plain(&text, false))?;
        Some(Templates { uses, names: vec![file], ..Templates::default() })
    }

    fn call(&mut self, tag: &str, folder: &Folder<'_>, known: &Known) -> Option<(Vec<(String, String)>, Templates)> {
        let file = format!("{tag}/{CALL}");
        let sections = call::sections(folder.get(CALL)?).map_err(|faults| self.faults(&file, faults)).ok()?;
        let mut templates = Templates::default();
        let mut headings = Vec::new();
        for section in sections {
            let body =
                self.resolved(&file, &section.body, section.first_line, Kind::Markdown, known, &mut templates.uses);
            let document = body.as_ref().and_then(|body| self.document(&file, body));
            if let (Some(body), Some(document)) = (body, document) {
                let name = format!("{file} {}", section.id);
                self.register(false, &name, &document.text(&body.slots, known.joins_lines))?;
                templates.names.push(name);
                headings.push((section.id, section.heading));
            }
        }
        self.voice(tag, folder, known, &mut templates);
        Some((headings, templates))
    }

    /// The words for a machine, behind the sections of the script; a set need not have them.
    fn voice(&mut self, tag: &str, folder: &Folder<'_>, known: &Known, call: &mut Templates) -> Option<()> {
        let file = format!("{tag}/{VOICE}");
        let parts = voice::parts(folder.get(VOICE)?).map_err(|faults| self.faults(&file, faults)).ok()?;
        for (name, (source, line)) in ["opening", "message"].into_iter().zip(parts) {
            let text = self.resolved(&file, source, line, Kind::Plain, known, &mut call.uses)?;
            let name = format!("{file} {name}");
            self.register(false, &name, &plain(&text, false))?;
            call.names.push(name);
        }
        Some(())
    }
}

/// Everything that decides what a notice says, but for the person: files, facts, texts, sender.
fn digest(files: &TemplateFiles, incident: &Incident, sender: &Sender) -> String {
    let zoned = |at: &Option<crate::model::incident::Zoned>| at.as_ref().map(|z| z.to_string()).unwrap_or_default();
    let mut parts = vec![
        files.digest(),
        incident.id.clone(),
        incident.title.clone(),
        zoned(&incident.occurred_from),
        zoned(&incident.occurred_until),
        incident.discovered.to_string(),
        incident.data_types.len().to_string(),
    ];
    parts.extend(incident.data_types.iter().cloned());
    for (tag, text) in &incident.texts {
        parts.extend([tag.clone(), text.len().to_string()]);
        parts.extend(text.iter().flat_map(|(key, words)| [key.clone(), words.clone()]));
    }
    parts.extend([
        incident.campaign.templates.clone(),
        incident.campaign.default_locale.clone(),
        sender.organisation.clone(),
        sender.from_name.clone().unwrap_or_default(),
        sender.from_address.clone(),
    ]);
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}

//! Ties every tag of a template to its value: what is known of the campaign becomes fixed text, what differs by person
//! becomes a tag that Handlebars fills in at the end, and both are held by *slots* while Markdown does its work.
//!
//! Invariant: what comes out names only values that [`super::render`] provides, and a value that may be empty stands
//! inside its own `{{#if}}`; so rendering cannot print a blank. All problems are reported, not the first.

use super::markdown;
use super::scan::{Path, Piece, What, scan};
use crate::model::incident::IncidentText;
use crate::model::nearest::suggestion;
use crate::model::problem::Problem;
use std::collections::{BTreeMap, BTreeSet};

/// What a slot stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// Fixed text, still to be escaped.
    Fixed(String),
    /// Text already in the form of [`super::markdown::code`].
    Coded(String),
    /// A Handlebars tag that prints a value.
    Value(String),
    Open {
        tag: String,
        each: bool,
        line: u32,
    },
    Else {
        tag: String,
        line: u32,
    },
    Close {
        tag: String,
        line: u32,
    },
}

/// What is known of the campaign, in one language.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// By dotted name: `organisation`, `incident.title`, `word.salutation`. Empty where the incident does not say.
    pub(super) fixed: BTreeMap<String, String>,
    pub(super) texts: IncidentText,
    /// The keys the set asks or allows for.
    pub(super) text_keys: Vec<String>,
    /// `[incident.text.de]`
    pub(super) text_place: String,
    pub(super) has_data_types: bool,
    /// Chinese and Japanese: a line end within a paragraph is no blank.
    pub(super) joins_lines: bool,
}

/// Which values of a person the templates of one channel use.
#[derive(Clone, Debug, Default)]
pub(super) struct Uses {
    pub(super) values: BTreeSet<&'static str>,
    /// The heading, and whether an empty one is a problem. The position makes the name in the context: `x0`, `x1`.
    pub(super) extras: Vec<(String, bool)>,
}

/// A source with slots in place of tags.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) source: String,
    pub(super) slots: Vec<Slot>,
}

/// Stands before a slot's number in the source while Markdown is read: letters only, so that Markdown sees a word.
pub(super) const SLOT: &str = "QfwSlotQ";

pub(super) const PERSONAL: [&str; 8] = [
    "name",
    "reference",
    "data_types",
    "data_types_list",
    "sent_date",
    "role_self",
    "role_guardian",
    "role_next_of_kin",
];

/// Whether the source is Markdown or already plain text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Markdown,
    Plain,
}

/// Ties the tags of one file (from `first_line` on) to their values.
pub(super) fn resolve(
    file: &str,
    source: &str,
    first_line: u32,
    kind: Kind,
    known: &Known,
    uses: &mut Uses,
) -> Result<Resolved, Vec<Problem>> {
    let mut resolver = Resolver {
        place: file.to_owned(),
        in_text: false,
        kind,
        known,
        uses,
        out: Resolved::default(),
        blocks: Vec::new(),
        problems: Vec::new(),
    };
    resolver.source(source, first_line, "");
    if resolver.problems.is_empty() { Ok(resolver.out) } else { Err(resolver.problems) }
}

struct Block {
    name: &'static str,
    condition: Path,
    /// The value that is certainly not empty in the branch we are in.
    guards: Option<String>,
}

struct Resolver<'a> {
    place: String,
    in_text: bool,
    kind: Kind,
    known: &'a Known,
    uses: &'a mut Uses,
    out: Resolved,
    blocks: Vec<Block>,
    problems: Vec<Problem>,
}

impl Resolver<'_> {
    fn problem(&mut self, code: &'static str, field: &str, line: u32, message: &str) {
        let place = if line == 0 { self.place.clone() } else { format!("{}:{line}", self.place) };
        self.problems.push(Problem::new(code, field, format!("{place}: {message}")));
    }

    fn source(&mut self, source: &str, first_line: u32, indent: &str) {
        if source.contains(SLOT) {
            self.problem("template-syntax", "", first_line, "contains a word that forewarn keeps for itself");
        }
        match scan(source, first_line) {
            Ok(pieces) => pieces.into_iter().for_each(|piece| self.piece(piece, indent)),
            Err(faults) => {
                for (line, message) in faults {
                    self.problem("template-syntax", "", line, &message);
                }
            }
        }
    }

    fn piece(&mut self, piece: Piece, indent: &str) {
        let (line, alone) = (piece.line, piece.alone);
        let slot = match piece.what {
            What::Text(text) if indent.is_empty() => return self.out.source.push_str(&text),
            What::Text(text) => return self.out.source.push_str(&text.replace('\n', &format!("\n{indent}"))),
            What::Value(path) => match self.value(&path, line) {
                Some(slot) => slot,
                None => return,
            },
            What::If(path) => self.open("if", path, line),
            What::Unless(path) => self.open("unless", path, line),
            What::Each(path) => {
                if path.dotted() != "data_types" {
                    let message = format!("`{}` is not a list; the only one is `data_types`", path.dotted());
                    self.problem("template-syntax", &path.dotted(), line, &message);
                }
                self.open("each", path, line)
            }
            What::ElseIf(path) => {
                let condition = self.condition(&path, line);
                if let Some(block) = self.blocks.last_mut() {
                    block.guards = Some(path.dotted());
                }
                Slot::Else { tag: format!("{{{{else if {condition}}}}}"), line }
            }
            What::Else => {
                if let Some(block) = self.blocks.last_mut() {
                    block.guards = (block.name == "unless").then(|| block.condition.dotted());
                }
                Slot::Else { tag: "{{else}}".to_owned(), line }
            }
            What::End => {
                let name = self.blocks.pop().map_or("if", |b| b.name);
                Slot::Close { tag: format!("{{{{/{name}}}}}"), line }
            }
        };
        self.slot(slot, alone.then_some(format!("{indent}{}", piece.indent)));
    }

    /// A block tag alone on its line becomes a paragraph of its own, which Markdown then hands back as a mark.
    fn slot(&mut self, slot: Slot, alone: Option<String>) {
        let number = self.out.slots.len();
        self.out.slots.push(slot);
        let source = &mut self.out.source;
        match alone.filter(|_| self.kind == Kind::Markdown) {
            Some(indent) => source.push_str(&format!("\n\n{indent}{SLOT}{number}Q\n\n")),
            None => source.push_str(&format!("{SLOT}{number}Q")),
        }
    }

    fn open(&mut self, name: &'static str, condition: Path, line: u32) -> Slot {
        let expression = self.condition(&condition, line);
        let guards = (name != "unless").then(|| condition.dotted());
        self.blocks.push(Block { name, condition, guards });
        Slot::Open { tag: format!("{{{{#{name} {expression}}}}}"), each: name == "each", line }
    }

    fn each_depth(&self) -> usize {
        self.blocks.iter().filter(|b| b.name == "each").count()
    }

    /// How the context reaches a person's value from here.
    fn personal(&mut self, name: &'static str) -> String {
        self.uses.values.insert(name);
        self.reach(name)
    }

    fn reach(&self, name: &str) -> String {
        if self.each_depth() > 0 { format!("@root.{name}") } else { name.to_owned() }
    }

    fn extra(&mut self, heading: &str, required: bool) -> String {
        let extras = &mut self.uses.extras;
        let at = extras.iter().position(|(known, _)| known == heading).unwrap_or_else(|| {
            extras.push((heading.to_owned(), false));
            extras.len() - 1
        });
        if let Some(extra) = extras.get_mut(at) {
            extra.1 |= required;
        }
        self.reach(&format!("x{at}"))
    }

    fn guarded(&self, name: &str) -> bool {
        self.blocks.iter().any(|b| b.guards.as_deref() == Some(name))
    }

    /// The Handlebars expression of a condition; what the campaign knows is decided now.
    fn condition(&mut self, path: &Path, line: u32) -> String {
        let name = path.dotted();
        if let Some(known) = PERSONAL.into_iter().find(|p| *p == name) {
            return self.personal(known);
        }
        if path.root == "extra" && !path.rest.is_empty() {
            return self.extra(&path.rest, false);
        }
        let value = match path.root.as_str() {
            "text" if self.known.text_keys.contains(&path.rest) => {
                Some(self.known.texts.get(&path.rest).is_some_and(|t| !t.trim().is_empty()))
            }
            _ => self.known.fixed.get(&name).map(|v| !v.is_empty()),
        };
        match value {
            Some(value) => value.to_string(),
            None => {
                self.unknown(path, line);
                "false".to_owned()
            }
        }
    }

    fn value(&mut self, path: &Path, line: u32) -> Option<Slot> {
        let name = path.dotted();
        match name.as_str() {
            "this" if self.each_depth() > 0 => return Some(Slot::Value("{{this}}".to_owned())),
            "name" if !self.guarded(&name) => {
                self.may_be_empty(&name, line, "the list need not hold everybody's name");
                return None;
            }
            "data_types_list" if !self.known.has_data_types && !self.guarded(&name) => {
                self.may_be_empty(&name, line, "the incident has no data_types");
                return None;
            }
            "data_types" => {
                let message = "`data_types` is a list: write `{{data_types_list}}`, or `{{#each data_types}}`";
                self.problem("template-syntax", &name, line, message);
                return None;
            }
            "role_self" | "role_guardian" | "role_next_of_kin" => {
                self.problem("template-syntax", &name, line, &format!("`{name}` is for `{{{{#if {name}}}}}` only"));
                return None;
            }
            _ => {}
        }
        if let Some(known) = PERSONAL.into_iter().find(|p| *p == name) {
            return Some(Slot::Value(format!("{{{{{}}}}}", self.personal(known))));
        }
        if path.root == "extra" && !path.rest.is_empty() {
            let required = !self.guarded(&name);
            return Some(Slot::Value(format!("{{{{{}}}}}", self.extra(&path.rest, required))));
        }
        if path.root == "text" && self.known.text_keys.contains(&path.rest) {
            return self.text(path, line);
        }
        match self.known.fixed.get(&name) {
            Some(value) if value.is_empty() && !self.guarded(&name) => {
                self.may_be_empty(&name, line, "the incident file does not say it");
                None
            }
            Some(value) => Some(Slot::Fixed(value.clone())),
            None => {
                self.unknown(path, line);
                None
            }
        }
    }

    fn may_be_empty(&mut self, name: &str, line: u32, why: &str) {
        let message = format!("`{name}` may be empty ({why}): put it inside `{{{{#if {name}}}}} … {{{{/if}}}}`");
        self.problem("missing-value", name, line, &message);
    }

    fn unknown(&mut self, path: &Path, line: u32) {
        let mut known: Vec<String> = PERSONAL.iter().map(|p| (*p).to_owned()).collect();
        known.extend(self.known.fixed.keys().cloned());
        known.extend(self.known.text_keys.iter().map(|k| format!("text.{k}")));
        known.push("extra.NAME".to_owned());
        let name = path.dotted();
        self.problem(
            "missing-value",
            &name,
            line,
            &format!("`{name}` is not a known value{}", suggestion(&name, &known)),
        );
    }

    /// Puts in a text of the incident file. A required text that is missing is reported once, for the language.
    fn text(&mut self, path: &Path, line: u32) -> Option<Slot> {
        let name = path.dotted();
        if self.in_text {
            self.problem("template-syntax", &name, line, &format!("`{name}` cannot stand in an incident text itself"));
            return None;
        }
        let text = self.known.texts.get(&path.rest).map(|t| t.trim()).unwrap_or_default();
        if text.is_empty() {
            if !self.guarded(&name) {
                self.may_be_empty(&name, line, &format!("{} does not fill it", self.known.text_place));
            }
            return None;
        }
        let text_place = format!("incident file, {} {}", self.known.text_place, path.rest);
        let place = std::mem::replace(&mut self.place, text_place);
        self.in_text = true;
        let slot = match self.kind {
            Kind::Markdown => {
                let line = self.out.source.rsplit('\n').next().unwrap_or_default();
                let indent = if line.trim().is_empty() { line.to_owned() } else { String::new() };
                self.source(text, 1, &indent);
                None
            }
            Kind::Plain => self.plain_text(text),
        };
        self.in_text = false;
        self.place = place;
        slot
    }

    /// The text with its Markdown taken off, for the subject and the SMS.
    fn plain_text(&mut self, text: &str) -> Option<Slot> {
        let outer = std::mem::take(&mut self.out);
        self.kind = Kind::Markdown;
        self.source(text, 1, "");
        self.kind = Kind::Plain;
        let inner = std::mem::replace(&mut self.out, outer);
        match markdown::parse(&inner) {
            Ok(document) => {
                let coded = document.text(&inner.slots, self.known.joins_lines);
                Some(Slot::Coded(coded.trim_end_matches(['\u{1}', ' ']).to_owned()))
            }
            Err(faults) => {
                for (line, message) in faults {
                    self.problem("template-syntax", "", line, &message);
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let pairs = |list: &[(&str, &str)]| list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Known {
            fixed: pairs(&[("organisation", "Example {{Ltd}}"), ("incident.occurred", ""), ("word.hello", "Hello")]),
            texts: pairs(&[("contact", "Call *us*, {{reference}}"), ("loop", "{{text.contact}}")]),
            text_keys: ["contact", "likely_consequences", "loop"].map(str::to_owned).to_vec(),
            text_place: "[incident.text.en]".to_owned(),
            has_data_types: true,
            joins_lines: false,
        }
    }

    fn codes(source: &str) -> String {
        let mut uses = Uses::default();
        match resolve("en/x.hbs", source, 1, Kind::Markdown, &known(), &mut uses) {
            Ok(_) => "fine".to_owned(),
            Err(problems) => {
                problems.iter().map(|p| format!("{} {}", p.code, p.message)).collect::<Vec<_>>().join("; ")
            }
        }
    }

    #[test]
    fn a_value_that_may_be_empty_must_be_guarded() {
        for source in [
            "{{#if name}}{{name}}{{else}}x{{/if}}",
            "{{#unless name}}x{{else}}{{name}}{{/unless}}",
            "{{#if role_self}}a{{else if name}}{{name}}{{/if}}",
            "{{#if incident.occurred}}{{incident.occurred}}{{/if}}",
            "{{#if text.likely_consequences}}{{text.likely_consequences}}{{/if}}",
            "{{#each data_types}}{{this}} {{reference}}{{/each}}",
            "{{organisation}} {{word.hello}} {{extra.Any thing}}".replace("Any thing", "[Any thing]").as_str(),
        ] {
            assert_eq!(codes(source), "fine", "{source}");
        }
        for (source, want) in [
            ("{{name}}", "missing-value en/x.hbs:1: `name` may be empty"),
            ("\n{{#if name}}{{else}}{{name}}{{/if}}", "missing-value en/x.hbs:2: `name` may be empty"),
            ("{{#unless name}}{{name}}{{/unless}}", "missing-value en/x.hbs:1: `name` may be empty"),
            ("{{incident.occurred}}", "missing-value"),
            ("{{text.likely_consequences}}", "missing-value"),
            ("{{refrence}}", "did you mean `reference`?"),
            ("{{#if text.contct}}{{/if}}", "did you mean `text.contact`?"),
            ("{{text.loop}}", "incident file, [incident.text.en] loop:1: `text.contact` cannot stand"),
            ("{{this}}", "`this` is not a known value"),
            ("{{data_types}}", "is a list"),
            ("{{role_self}}", "is for `{{#if role_self}}` only"),
            ("{{#each name}}{{/each}}", "is not a list"),
            ("{{name}}\n{{oops}}", "en/x.hbs:2: `oops`"),
        ] {
            assert!(codes(source).contains(want), "{source}: {}", codes(source));
        }
    }

    #[test]
    fn extras_are_required_unless_guarded_everywhere() {
        let mut uses = Uses::default();
        let source = "{{#if extra.a}}{{extra.a}}{{/if}}{{extra.b}}{{#if extra.b}}{{extra.b}}{{/if}}";
        resolve("x", source, 1, Kind::Plain, &known(), &mut uses).unwrap();
        assert_eq!(uses.extras, [("a".to_owned(), false), ("b".to_owned(), true)]);
    }
}

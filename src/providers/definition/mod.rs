//! A provider definition, compiled and valid.
//!
//! A definition is a file in `providers/`: pure data, no conditions, no expressions. `file` holds what serde reads,
//! `check` turns it into the types here or says everything that is wrong with it; nothing in a [`Definition`] can
//! fail later for a reason that lies in the file. The language is described in `providers/README.md`.

pub mod answer;
mod auth;
pub mod check;
mod declare;
pub mod event;
pub mod file;
pub mod form;
pub mod leaf;
pub mod lookup;
pub mod pointer;
pub mod receipt;
pub mod rule;
mod secrets;
pub mod signing;
pub mod template;

use super::settings::{Declared, SettingDecl, Settings};
use crate::model::channel::Channel;
use crate::model::problem::Problem;
use answer::Answer;
use leaf::{Leaf, Name};
use lookup::Lookup;
use receipt::Reports;
use reqwest::Method;
use reqwest::header::HeaderName;
use rule::Rule;
use signing::Signing;
use std::collections::BTreeMap;
use std::time::Duration;
use template::Template;

/// Settings that the engine itself takes, for every definition.
pub const ENGINE_SETTINGS: [&str; 4] = ["ca_file", "allow_plaintext", "timeout", RECEIPTS];

/// The engine's setting of a definition with a `[receipt]` section: the provider reports to this installation.
pub const RECEIPTS: &str = "receipts";

/// What can keep a route from working, and what a probe may find out without a message. `rate`: whether the provider
/// takes as many notices as the route's limits allow.
pub const PROBED: [&str; 5] = ["credentials", "sender", "credit", "template", "rate"];

/// What a file in `providers/` says.
#[derive(Clone, Debug)]
pub struct Definition {
    pub name: String,
    pub channels: Vec<Channel>,
    pub docs: String,
    pub about: String,
    /// The file's own settings and the engine's.
    pub settings: Vec<SettingDecl>,
    /// Settings that take the value of another one where they are absent.
    pub inherited: Vec<(String, String)>,
    /// Settings whose default is made of other settings.
    pub derived: Vec<(String, Leaf)>,
    pub send: Exchange,
    /// A harmless request that shows whether the credentials work.
    pub probe: Option<Exchange>,
    /// Which of [`PROBED`] the probe finds out.
    pub probe_checks: Vec<&'static str>,
    /// The provider sends approved words only; a route says which.
    pub template: Option<Template>,
    /// What the provider reports later, where it does.
    pub receipt: Option<Reports>,
    /// What became of a message, where the provider can be asked.
    pub lookup: Option<Lookup>,
    /// The same for a message whose id at the provider is known.
    pub lookup_by_id: Option<Lookup>,
    /// Documents that the provider fetches about a notice, by name.
    pub answers: BTreeMap<String, Answer>,
    /// Words by the language of a notice: table, then language; `*` for every other language.
    pub by_language: BTreeMap<String, BTreeMap<String, String>>,
    pub examples: Vec<file::Example>,
    pub example_settings: Settings,
}

/// One request and how its reply is read.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub method: Method,
    /// Begins with `{{settings.base_url}}` or another setting that is a url; what follows is percent-encoded value by value.
    pub url: Leaf,
    pub headers: Vec<(HeaderName, bool, Leaf)>,
    pub query: Vec<Field>,
    pub body: Body,
    pub auth: Auth,
    pub timeout: Duration,
    pub idempotency_header: Option<HeaderName>,
    /// Renders `true` where the provider takes the same key twice for one message.
    pub idempotent: Leaf,
    pub max_segments: Option<Leaf>,
    /// The longest spoken text, in characters.
    pub max_spoken: Option<Leaf>,
    /// In order; the last one matches everything and says `unknown`.
    pub rules: Vec<Rule>,
}

/// A name and its value in a query or a form.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    /// Written with `?` behind the name: left out where it renders empty.
    pub omit_empty: bool,
    pub value: Leaf,
    /// How what goes into the leaf is written.
    pub escape: Escape,
}

/// What a leaf is, so that nothing that goes into it can change its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    None,
    Xml,
    Json,
}

/// A part of a `multipart/form-data` body.
#[derive(Clone, Debug)]
pub struct Part {
    pub field: Field,
    /// File name and media type, where the part is a file.
    pub file: Option<(String, String)>,
}

#[derive(Clone, Debug)]
pub enum Body {
    None,
    Form(Vec<Field>),
    Json(Node),
    Multipart(Vec<Part>),
}

/// A JSON template: the tree is the file's, only the string leaves are filled in.
#[derive(Clone, Debug)]
pub enum Node {
    Leaf(Leaf),
    Literal(serde_json::Value),
    List(Vec<Node>),
    Table(Vec<(String, bool, Node)>),
}

/// How we say who we are. The strings are names of settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    None,
    Basic {
        user: String,
        password: String,
    },
    Bearer {
        token: String,
    },
    Header {
        name: HeaderName,
        value: String,
    },
    Query {
        name: String,
        value: String,
    },
    Jwt {
        key: String,
        application: String,
    },
    VonageSig {
        secret: String,
        method: String,
    },
    /// The whole request is signed.
    Signed(Signing),
}

impl Body {
    /// Every leaf in it.
    pub fn leaves(&self) -> Vec<&Leaf> {
        match self {
            Body::None => Vec::new(),
            Body::Form(fields) => fields.iter().map(|field| &field.value).collect(),
            Body::Multipart(parts) => parts.iter().map(|part| &part.field.value).collect(),
            Body::Json(node) => node.leaves(),
        }
    }
}

impl Node {
    fn needs(&self, has: &dyn Fn(&Leaf) -> bool) -> bool {
        match self {
            Node::Leaf(leaf) => has(leaf),
            Node::Literal(_) => false,
            Node::List(items) => items.iter().any(|item| item.needs(has)),
            Node::Table(entries) => entries.iter().any(|(_, omit, node)| !*omit && node.needs(has)),
        }
    }

    fn leaves(&self) -> Vec<&Leaf> {
        match self {
            Node::Leaf(leaf) => vec![leaf],
            Node::Literal(_) => Vec::new(),
            Node::List(items) => items.iter().flat_map(Node::leaves).collect(),
            Node::Table(entries) => entries.iter().flat_map(|(_, _, node)| node.leaves()).collect(),
        }
    }
}

impl Exchange {
    /// True where the request cannot be made without what the name stands for.
    pub fn needs(&self, name: &Name) -> bool {
        let has = |leaf: &Leaf| leaf.names().any(|found| found == name);
        let of_fields = |fields: &[Field]| fields.iter().any(|field| !field.omit_empty && has(&field.value));
        let in_body = match &self.body {
            Body::None => false,
            Body::Form(fields) => of_fields(fields),
            Body::Multipart(parts) => parts.iter().any(|part| !part.field.omit_empty && has(&part.field.value)),
            Body::Json(node) => node.needs(&has),
        };
        has(&self.url) || of_fields(&self.query) || in_body
    }

    /// Every leaf of the request.
    pub fn leaves(&self) -> impl Iterator<Item = &Leaf> {
        let headers = self.headers.iter().map(|(_, _, leaf)| leaf);
        let query = self.query.iter().map(|field| &field.value);
        [&self.url].into_iter().chain(headers).chain(query).chain(self.body.leaves())
    }
}

impl Answer {
    fn leaves(&self) -> Vec<&Leaf> {
        match self {
            Answer::Xml(field) => vec![&field.value],
            Answer::Json(node) => node.leaves(),
        }
    }
}

impl Definition {
    /// The tables of `[by_language]` that a notice needs.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        let answers = self.answers.values().flat_map(Answer::leaves);
        self.send
            .leaves()
            .chain(answers)
            .flat_map(Leaf::names)
            .filter_map(|name| if let Name::ByLanguage(table) = name { Some(table.as_str()) } else { None })
    }

    /// The word of a table for a language: its own, that of the language without its region, or that of `*`.
    pub fn word(&self, table: &str, language: &str) -> Option<&str> {
        let words = self.by_language.get(table)?;
        let bare = language.split('-').next().unwrap_or(language);
        [language, bare, "*"].iter().find_map(|tag| words.get(*tag)).map(String::as_str)
    }

    /// A route's settings checked against this definition, defaults and inherited values filled in.
    pub fn declare(&self, settings: &Settings, route: &str) -> Result<Declared, Vec<Problem>> {
        let mut declared = settings.declared(&self.settings, route)?;
        for (name, from) in &self.inherited {
            declared.inherit(name, from);
        }
        for (name, leaf) in &self.derived {
            let made = leaf.render_with(|name| declared.value(name), str::to_owned);
            let objection = self.settings.iter().find(|d| d.name == *name).and_then(|d| d.objection(&made));
            if let Some(objection) = objection.filter(|_| declared.text(name).is_none()) {
                let message = format!("route `{route}`: the setting `{name}`, made of others, {objection}");
                return Err(vec![Problem::new("bad-setting", name, message)]);
            }
            declared.fill(name, made);
        }
        Ok(declared)
    }
}

#[cfg(test)]
mod tests;

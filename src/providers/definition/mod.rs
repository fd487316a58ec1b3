//! A provider definition, compiled and valid.
//!
//! A definition is a file in `providers/`: pure data, no conditions, no expressions. `file` holds what serde reads,
//! `check` turns it into the types here or says everything that is wrong with it; nothing in a [`Definition`] can
//! fail later for a reason that lies in the file. The language is described in `providers/README.md`.

pub mod check;
pub mod file;
pub mod leaf;
pub mod rule;

use super::settings::{Declared, SettingDecl, Settings};
use crate::model::channel::Channel;
use crate::model::problem::Problem;
use leaf::Leaf;
use reqwest::Method;
use reqwest::header::HeaderName;
use rule::Rule;
use std::time::Duration;

/// Settings that the engine itself takes, for every definition.
pub const ENGINE_SETTINGS: [&str; 4] = ["ca_file", "allow_plaintext", "timeout", RECEIPTS];

/// The engine's setting of a definition with a `[receipt]` section: the provider reports to this installation.
pub const RECEIPTS: &str = "receipts";

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
    pub send: Exchange,
    /// A harmless request that shows whether the credentials work.
    pub probe: Option<Exchange>,
    pub examples: Vec<file::Example>,
    pub example_settings: Settings,
}

/// One request and how its reply is read.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub method: Method,
    /// Begins with `{{settings.base_url}}`; what follows is percent-encoded value by value.
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
}

#[derive(Clone, Debug)]
pub enum Body {
    None,
    Form(Vec<Field>),
    Json(Node),
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
    Basic { user: String, password: String },
    Bearer { token: String },
    Header { name: HeaderName, value: String },
    Query { name: String, value: String },
}

impl Definition {
    /// A route's settings checked against this definition, defaults and inherited values filled in.
    pub fn declare(&self, settings: &Settings, route: &str) -> Result<Declared, Vec<Problem>> {
        let mut declared = settings.declared(&self.settings, route)?;
        for (name, from) in &self.inherited {
            declared.inherit(name, from);
        }
        Ok(declared)
    }
}

#[cfg(test)]
mod tests;

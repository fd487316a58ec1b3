//! The sections `[answer.NAME]`: documents that a provider fetches from us, made of the notice it is about. What a
//! telephone call says is fetched when somebody has picked up, so no provider keeps it in the list of its requests.

use super::check::{Findings, Scope, node};
use super::form::an_xml;
use super::{Field, Node};
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerEntry {
    pub xml: Option<String>,
    pub json: Option<toml::Value>,
}

/// A document to be filled in.
#[derive(Clone, Debug)]
pub enum Answer {
    Xml(Field),
    Json(Node),
}

pub(super) fn compile(
    name: &str,
    entry: &AnswerEntry,
    scope: &Scope<'_>,
    findings: &mut Findings<'_>,
) -> Option<Answer> {
    let place = format!("answer.{name}");
    match (&entry.xml, &entry.json) {
        (Some(xml), None) => findings.take(&place, an_xml(&place, xml, scope)).map(Answer::Xml),
        (None, Some(json)) => Some(Answer::Json(node(&place, json, scope, findings))),
        (Some(_), Some(_)) | (None, None) => findings.take(&place, Err("is either `xml` or `json`".to_owned())),
    }
}

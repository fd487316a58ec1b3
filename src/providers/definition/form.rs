//! Fields of a query, a form or a multipart body: what a definition may write as their value.
//!
//! A value is a text with names in it; a list is a key that is repeated; `{ xml = "…" }` is a text that is XML, where
//! whatever a name stands for is escaped, `{ json = "…" }` the same for JSON; in a multipart body `{ file = "…", type = "…", content = "…" }` is a file.

use super::check::{Findings, Scope};
use super::{Escape, Field, Part};
use quick_xml::Reader;
use quick_xml::events::Event;

/// `Some-Header?` is left out where its value is empty.
pub(super) fn optional_key(key: &str) -> (&str, bool) {
    key.strip_suffix('?').map_or((key, false), |name| (name, true))
}

pub(super) fn fields(place: &str, table: &toml::Table, scope: &Scope<'_>, findings: &mut Findings<'_>) -> Vec<Field> {
    let mut fields = Vec::new();
    for (key, value) in table {
        let values = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            fields.extend(findings.take(&format!("{place}.{key}"), field(key, value, scope)));
        }
    }
    fields
}

fn field(key: &str, value: &toml::Value, scope: &Scope<'_>) -> Result<Field, String> {
    let (name, omit_empty) = optional_key(key);
    let field = match value {
        toml::Value::String(text) => plain(name, text, scope)?,
        toml::Value::Table(table) => {
            let word = |key: &str| table.get(key).and_then(toml::Value::as_str).filter(|_| table.len() == 1);
            match (word("xml"), word("json")) {
                (Some(text), None) => an_xml(name, text, scope)?,
                (None, Some(text)) => a_json(name, text, scope)?,
                _ => return Err("a table can only be `{ xml = \"…\" }` or `{ json = \"…\" }`".to_owned()),
            }
        }
        toml::Value::Array(_) => return Err("a list holds texts".to_owned()),
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) | toml::Value::Datetime(_) => {
            plain(name, &value.to_string(), scope)?
        }
    };
    Ok(Field { omit_empty, ..field })
}

fn plain(name: &str, text: &str, scope: &Scope<'_>) -> Result<Field, String> {
    Ok(Field { name: name.to_owned(), omit_empty: false, value: scope.leaf(text)?, escape: Escape::None })
}

/// A field that is XML.
pub(super) fn an_xml(name: &str, text: &str, scope: &Scope<'_>) -> Result<Field, String> {
    let field = plain(name, text, scope)?;
    well_formed(&field.value.render_with(|_| super::leaf::Value::Number(1), str::to_owned))?;
    Ok(Field { escape: Escape::Xml, ..field })
}

/// A field that is JSON. With a quotation mark in place of every name it must still be: so a name can stand inside a text
/// only.
fn a_json(name: &str, text: &str, scope: &Scope<'_>) -> Result<Field, String> {
    let field = plain(name, text, scope)?;
    let tried = field.value.render_with(|_| super::leaf::Value::Text("\"".into()), escape_json);
    serde_json::from_str::<serde_json::Value>(&tried)
        .map_err(|_| "its JSON is not well-formed, or a name stands outside a text".to_owned())?;
    Ok(Field { escape: Escape::Json, ..field })
}

/// What stands between the quotation marks of a JSON text.
pub fn escape_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned()
}

/// With a number in place of every name: so a name can stand in a text or in an attribute, never for an element.
fn well_formed(xml: &str) -> Result<(), String> {
    let mut reader = Reader::from_str(xml);
    let mut depth = 0usize;
    loop {
        match reader.read_event() {
            Ok(Event::Start(element)) => {
                depth += 1;
                if element.attributes().any(|attribute| attribute.is_err()) {
                    return Err("the attributes of its XML are not well-formed".to_owned());
                }
            }
            Ok(Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(Event::Eof) if depth == 0 => return Ok(()),
            Ok(Event::Eof) => return Err("its XML ends inside an element".to_owned()),
            Ok(_) => {}
            Err(error) => return Err(format!("its XML is not well-formed: {error}")),
        }
    }
}

pub(super) fn parts(place: &str, table: &toml::Table, scope: &Scope<'_>, findings: &mut Findings<'_>) -> Vec<Part> {
    let mut parts = Vec::new();
    for (key, value) in table {
        let place = format!("{place}.{key}");
        if optional_key(key).0.bytes().any(|b| b.is_ascii_control() || b == b'"') {
            findings.add(&place, "is no name for a part");
        }
        let file = value.as_table().filter(|table| table.contains_key("file"));
        let part = match file {
            Some(table) => as_file(key, table, scope),
            None => field(key, value, scope).map(|field| Part { field, file: None }),
        };
        parts.extend(findings.take(&place, part));
    }
    parts
}

fn as_file(key: &str, table: &toml::Table, scope: &Scope<'_>) -> Result<Part, String> {
    let word = |name: &str| {
        let word = table.get(name).and_then(toml::Value::as_str);
        let plain = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
        word.filter(plain).map(str::to_owned).ok_or_else(|| format!("a file needs `{name}`, one word in quotes"))
    };
    let content = table.get("content").cloned().ok_or("a file needs its `content`")?;
    if table.len() != 3 {
        return Err("a file has `file`, `type` and `content`, nothing else".to_owned());
    }
    Ok(Part { field: field(key, &content, scope)?, file: Some((word("file")?, word("type")?)) })
}

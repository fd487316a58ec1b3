//! Builds the request of a definition. Values go in through the serialiser of the place they stand in (path, query,
//! form, JSON, header), so no text can change the shape of a request.

use super::super::definition::leaf::{Name, Piece, Value};
use super::super::definition::{Auth, Body, Exchange, Field, Node};
use super::sign::{self, Moment, percent_encoded};
use super::values::Values;
use super::{jwt, multipart, vonage_sig};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Request, Url};

/// Why a request cannot be made; names the place, never the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpreparable {
    #[error("the address made from the route's settings is not valid")]
    Address,
    #[error("a value in the path of the address is empty or made of dots")]
    Path,
    #[error("the value of the header `{name}` holds characters that no header may hold")]
    Header { name: String },
    #[error("the body could not be written as JSON")]
    Json,
    #[error("the request could not be signed: the setting `{setting}` {why}")]
    Unsigned { setting: String, why: String },
}

pub fn build(exchange: &Exchange, values: &Values<'_>) -> Result<Request, Unpreparable> {
    let mut url = address(exchange, values)?;
    let mut query = pairs(&exchange.query, values);
    if let Auth::Query { name, value } = &exchange.auth
        && let Some(value) = values.settings.text(value)
    {
        query.push((name.clone(), value.to_owned()));
    }
    if !matches!(exchange.body, Body::Form(_)) {
        sign_parameters(&mut query, &exchange.auth, values)?;
    }
    if !query.is_empty() {
        if let Auth::Signed(_) = exchange.auth {
            url.set_query(Some(&sign::query(&query)));
        } else {
            url.query_pairs_mut().extend_pairs(&query);
        }
    }
    let mut request = Request::new(exchange.method.clone(), url);
    *request.timeout_mut() = Some(exchange.timeout);
    match &exchange.body {
        Body::None => {}
        Body::Form(fields) => {
            let mut pairs = pairs(fields, values);
            sign_parameters(&mut pairs, &exchange.auth, values)?;
            // What is signed is written as the makers of the schemes write it, so that a server that signs anew agrees.
            let signed = matches!(exchange.auth, Auth::Signed(_));
            let form = if signed { sign::form(&pairs) } else { encode_form(&pairs) };
            set_body(&mut request, "application/x-www-form-urlencoded", form)?;
        }
        Body::Json(node) => {
            let body = serde_json::to_string(&json(node, values)).map_err(|_| Unpreparable::Json)?;
            set_body(&mut request, "application/json", body)?;
        }
        Body::Multipart(parts) => {
            let (body, boundary) = multipart::encode(parts, values);
            set_body(&mut request, &format!("multipart/form-data; boundary={boundary}"), body)?;
        }
    }
    for (name, omit_empty, leaf) in &exchange.headers {
        let value = values.render(leaf);
        if !(*omit_empty && values.is_absent(leaf)) {
            request.headers_mut().insert(name, header_value(name.as_str(), &value)?);
        }
    }
    if let (Some(name), Some(out)) = (&exchange.idempotency_header, values.out) {
        request.headers_mut().insert(name, header_value(name.as_str(), &out.idempotency_key)?);
    }
    authorise(&mut request, &exchange.auth, values)?;
    if let Auth::Signed(signing) = &exchange.auth {
        sign::sign(&mut request, signing, values, &Moment::now())?;
    }
    Ok(request)
}

/// The url with every value behind the host percent-encoded.
fn address(exchange: &Exchange, values: &Values<'_>) -> Result<Url, Unpreparable> {
    let mut path = exchange.url.clone();
    let Piece::Value(Name::Setting(base)) = path.0.remove(0) else { return Err(Unpreparable::Address) };
    let base = values.settings.text(&base).unwrap_or_default();
    let dotted = path.names().any(|name| values.of(name).as_text().chars().all(|c| c == '.'));
    if dotted {
        return Err(Unpreparable::Path);
    }
    let path = path.render_with(|name| values.of(name), percent_encoded);
    let base = if path.is_empty() { base } else { base.trim_end_matches('/') };
    Url::parse(&format!("{base}{path}")).map_err(|_| Unpreparable::Address)
}

fn pairs(fields: &[Field], values: &Values<'_>) -> Vec<(String, String)> {
    let written = fields.iter().filter(|field| !values.leaves_out(field));
    written.map(|field| (field.name.clone(), values.field(field))).collect()
}

/// Vonage signs what it is sent, so the signature comes last.
fn sign_parameters(pairs: &mut Vec<(String, String)>, auth: &Auth, values: &Values<'_>) -> Result<(), Unpreparable> {
    let Auth::VonageSig { secret, method } = auth else { return Ok(()) };
    let setting = |name: &str| values.settings.text(name).unwrap_or_default();
    if setting(secret).is_empty() {
        return Ok(());
    }
    pairs.push(("timestamp".to_owned(), jiff::Timestamp::now().as_second().to_string()));
    let signature = vonage_sig::signature(pairs, setting(secret), setting(method)).ok_or_else(|| {
        let why = format!("must be one of {}", vonage_sig::METHODS.join(", "));
        Unpreparable::Unsigned { setting: method.clone(), why }
    })?;
    pairs.push(("sig".to_owned(), signature));
    Ok(())
}

/// `application/x-www-form-urlencoded`, by the serialiser that also writes queries.
fn encode_form(pairs: &[(String, String)]) -> String {
    let Ok(mut carrier) = Url::parse("http://form.invalid/") else { return String::new() };
    carrier.query_pairs_mut().extend_pairs(pairs);
    carrier.query().unwrap_or_default().to_owned()
}

pub fn json(node: &Node, values: &Values<'_>) -> serde_json::Value {
    match node {
        Node::Literal(value) => value.clone(),
        Node::List(items) => items.iter().map(|item| json(item, values)).collect(),
        Node::Table(entries) => {
            let present = entries.iter().filter(|(_, omit, node)| !(*omit && is_absent(node, values)));
            let rendered = present.map(|(name, omit, node)| (name, *omit, json(node, values)));
            rendered
                .filter(|(_, omit, value)| !(*omit && is_empty(value)))
                .map(|(name, _, value)| (name.clone(), value))
                .collect()
        }
        // A leaf that is one name keeps the type of what it names.
        Node::Leaf(leaf) => match leaf.only_name().map(|name| values.of(name)) {
            Some(Value::Number(number)) => number.into(),
            Some(Value::Flag(flag)) => flag.into(),
            Some(Value::Json(json)) => json,
            Some(Value::Text(text)) => text.into_owned().into(),
            None => values.render(leaf).into(),
        },
    }
}

fn is_absent(node: &Node, values: &Values<'_>) -> bool {
    if let Node::Leaf(leaf) = node { values.is_absent(leaf) } else { false }
}

fn is_empty(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null => true,
        serde_json::Value::String(text) => text.is_empty(),
        serde_json::Value::Array(items) => items.is_empty(),
        serde_json::Value::Object(entries) => entries.is_empty(),
        serde_json::Value::Bool(_) | serde_json::Value::Number(_) => false,
    }
}

fn set_body(request: &mut Request, kind: &str, body: String) -> Result<(), Unpreparable> {
    request.headers_mut().insert(CONTENT_TYPE, header_value("content-type", kind)?);
    *request.body_mut() = Some(body.into());
    Ok(())
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, Unpreparable> {
    HeaderValue::from_str(value).map_err(|_| Unpreparable::Header { name: name.to_owned() })
}

/// An optional credential that is not set leaves the request without one.
fn authorise(request: &mut Request, auth: &Auth, values: &Values<'_>) -> Result<(), Unpreparable> {
    let setting = |name: &str| values.settings.text(name).filter(|value| !value.is_empty());
    let (name, value) = match auth {
        Auth::None | Auth::Query { .. } | Auth::VonageSig { .. } | Auth::Signed(_) => return Ok(()),
        Auth::Basic { user, password } => {
            let pair = format!("{}:{}", setting(user).unwrap_or_default(), setting(password).unwrap_or_default());
            (AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)))
        }
        Auth::Bearer { token } => match setting(token) {
            Some(token) => (AUTHORIZATION, format!("Bearer {token}")),
            None => return Ok(()),
        },
        Auth::Jwt { key, application } => {
            let now = jiff::Timestamp::now().as_second();
            let token = jwt::token(setting(key).unwrap_or_default(), setting(application).unwrap_or_default(), now)
                .map_err(|why| Unpreparable::Unsigned { setting: key.clone(), why })?;
            (AUTHORIZATION, format!("Bearer {token}"))
        }
        Auth::Header { name, value } => match setting(value) {
            Some(value) => (name.clone(), value.to_owned()),
            None => return Ok(()),
        },
    };
    let mut value = header_value(name.as_str(), &value)?;
    value.set_sensitive(true);
    request.headers_mut().insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_leave_their_place() {
        assert_eq!(percent_encoded("a/../b?c#d é"), "a%2F..%2Fb%3Fc%23d%20%C3%A9");
        let pairs = [("a&b".to_owned(), "1=2&c=3+4 \u{6d4b}".to_owned())];
        assert_eq!(encode_form(&pairs), "a%26b=1%3D2%26c%3D3%2B4+%E6%B5%8B");
    }
}

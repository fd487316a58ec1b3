//! Signs a request that is otherwise complete: the schemes that a definition names under `auth`, one file each.
//!
//! Time and nonce come from outside, so that each scheme reproduces the vectors its provider published. What is signed
//! is read off the request itself, never built a second time.

mod acs3;
mod sigv4;
mod tc3;

use super::super::definition::signing::{Scheme, Signing};
use super::request::Unpreparable;
use super::values::Values;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Request, Url};
use ring::{digest, hmac};
use std::fmt::Write;

/// When a request is signed, and what makes it unlike every other.
#[derive(Clone, Debug)]
pub struct Moment {
    pub now: jiff::Timestamp,
    pub nonce: String,
}

/// A key as the provider gave it.
#[derive(Clone, Copy)]
struct Credentials<'a> {
    key_id: &'a str,
    secret: &'a str,
    /// Of temporary credentials; empty for those that last.
    token: &'a str,
}

impl Moment {
    /// Now, with a fresh nonce.
    pub fn now() -> Moment {
        Moment { now: jiff::Timestamp::now(), nonce: const_hex::encode(rand::random::<[u8; 16]>()) }
    }
}

/// Signs by the scheme of the definition with the credentials of the route.
pub fn sign(
    request: &mut Request,
    signing: &Signing,
    values: &Values<'_>,
    moment: &Moment,
) -> Result<(), Unpreparable> {
    let setting = |name: &str| values.settings.text(name).unwrap_or_default();
    let credentials = Credentials {
        key_id: setting(&signing.key_id),
        secret: setting(&signing.secret),
        token: signing.token.as_deref().map(setting).unwrap_or_default(),
    };
    match &signing.scheme {
        Scheme::Sigv4 { service, region } => sigv4::sign(request, credentials, service, setting(region), moment),
        Scheme::Acs3 => acs3::sign(request, credentials, moment),
        Scheme::Tc3 { service } => tc3::sign(request, credentials, service, moment),
    }
}

/// A query as it must stand in the address of a signed request: a space is `%20`, because `+` is read in two ways.
pub fn query(pairs: &[(String, String)]) -> String {
    let encoded = pairs.iter().map(|(name, value)| format!("{}={}", percent_encoded(name), percent_encoded(value)));
    encoded.collect::<Vec<_>>().join("&")
}

/// A form as it must stand in a signed request: as a query, with `+` for a space.
pub fn form(pairs: &[(String, String)]) -> String {
    query(pairs).replace("%20", "+")
}

/// Everything but the unreserved characters of RFC 3986 as `%XX`.
pub fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte.into());
        } else {
            // Writing into a String cannot fail.
            let _written = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The query of the address in the order of its names, encoded by RFC 3986.
fn canonical_query(url: &Url) -> String {
    let mut pairs: Vec<(String, String)> =
        url.query_pairs().map(|(name, value)| (percent_encoded(&name), percent_encoded(&value))).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// The headers to sign, sorted, in lower case: the host as the client writes it, and those that `wanted` takes.
fn signed_headers(request: &Request, wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let host = request.url().host_str().unwrap_or_default();
    let host = request.url().port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let mut headers = vec![("host".to_owned(), host)];
    for (name, value) in request.headers() {
        if wanted(name.as_str()) {
            // A value is written into the header as UTF-8; what is no text cannot have come from a definition.
            let words = String::from_utf8_lossy(value.as_bytes());
            let value = words.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
            headers.push((name.as_str().to_owned(), value));
        }
    }
    headers.sort();
    headers
}

/// `name:value` lines, and the names with semicolons.
fn lines_and_names(headers: &[(String, String)]) -> (String, String) {
    let lines = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let names = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    (lines, names)
}

fn body(request: &Request) -> &[u8] {
    request.body().and_then(|body| body.as_bytes()).unwrap_or_default()
}

fn sha256(data: &[u8]) -> String {
    const_hex::encode(digest::digest(&digest::SHA256, data))
}

fn hmac_sha256(key: &[u8], data: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data)
}

/// A time in UTC by the letters of `strftime`.
fn utc(now: jiff::Timestamp, format: &str) -> String {
    now.strftime(format).to_string()
}

fn set(request: &mut Request, name: &'static str, value: &str) -> Result<(), Unpreparable> {
    let mut value = HeaderValue::from_str(value).map_err(|_| Unpreparable::Header { name: name.to_owned() })?;
    value.set_sensitive(true);
    request.headers_mut().insert(HeaderName::from_static(name), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_sorted_and_encoded_the_strict_way() {
        let url = Url::parse("https://example.com/?b=1&a=x+y&a=%2A~&c").expect("valid");
        assert_eq!(canonical_query(&url), "a=%2A~&a=x%20y&b=1&c=");
        let pairs = [("a b".to_owned(), "1+2 'é".to_owned())];
        assert_eq!(query(&pairs), "a%20b=1%2B2%20%27%C3%A9");
        assert_eq!(form(&pairs), "a+b=1%2B2+%27%C3%A9");
        let mut url = Url::parse("https://example.com/").expect("valid");
        url.set_query(Some(&query(&pairs)));
        assert_eq!(url.query(), Some("a%20b=1%2B2%20%27%C3%A9"), "the address keeps it as it is");
    }

    #[test]
    fn a_port_is_part_of_the_host_where_the_client_writes_it() {
        for (url, want) in [
            ("http://127.0.0.1:5005/x", "127.0.0.1:5005"),
            ("https://Example.com:443/", "example.com"),
            ("http://[::1]:80/", "[::1]"),
        ] {
            let request = Request::new(reqwest::Method::POST, Url::parse(url).expect("valid"));
            assert_eq!(signed_headers(&request, |_| true), [("host".to_owned(), want.to_owned())]);
        }
    }

    #[test]
    fn no_two_requests_have_one_nonce() {
        let (one, other) = (Moment::now(), Moment::now());
        assert!(one.nonce != other.nonce && one.nonce.len() == 32);
    }
}

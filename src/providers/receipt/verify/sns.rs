//! The scheme `sns`: RSA over fields of Amazon's envelope, with the key of a certificate that the envelope names.
//!
//! The address of the certificate must be Amazon's: whoever could choose it could sign. A subscription to the route's
//! own topic is confirmed, to any other refused.

use super::{Case, Genuine, forged};
use crate::providers::receipt::{Action, Certificate, KnownCertificates, Refused};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::sync::Arc;
use url::Url;

const OF_NOTIFICATION: [&str; 6] = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
const OF_CONFIRMATION: [&str; 7] = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];

pub(super) fn verify(
    case: &Case<'_>,
    topic: &str,
    server: Option<&str>,
    certificates: KnownCertificates<'_>,
) -> Result<Genuine, Refused> {
    let envelope = case.opened.json(case.call)?;
    let field = |name: &str| envelope.get(name).and_then(Value::as_str);
    let needed = |name: &str| field(name).ok_or_else(|| Refused::body(format!("the envelope has no {name}")));
    let kind = needed("Type")?;
    let signed = signed(kind, &field)?;
    let sha256 = match needed("SignatureVersion")? {
        "1" => false,
        "2" => true,
        _ => return Err(Refused::signature("the signature has a version that is not known")),
    };
    let signature = STANDARD.decode(needed("Signature")?).map_err(|_| forged())?;
    let certificate = certificate(field("SigningCertURL").or(field("SigningCertUrl")), server, certificates)?;
    certificate.verify(sha256, signed.as_bytes(), &signature, case.now)?;
    if needed("TopicArn")? != topic {
        return Err(Refused::signature("the report comes from another topic than the route's"));
    }
    let sent: Option<jiff::Timestamp> = needed("Timestamp")?.parse().ok();
    case.is_fresh(sent.ok_or_else(|| Refused::body("its Timestamp is no time"))?.as_microsecond())?;
    let genuine = Genuine::once(needed("MessageId")?);
    match kind {
        "Notification" => Ok(genuine),
        "SubscriptionConfirmation" => {
            let url = needed("SubscribeURL")?;
            if !is_subscription_address(url, server) {
                return Err(Refused::signature("the address that would confirm the subscription is not Amazon's"));
            }
            Ok(Genuine { action: Some(Action::Confirm { url: url.to_owned() }), empty: true, ..genuine })
        }
        _ => Ok(Genuine { empty: true, ..genuine }),
    }
}

fn certificate(
    address: Option<&str>,
    server: Option<&str>,
    certificates: KnownCertificates<'_>,
) -> Result<Arc<Certificate>, Refused> {
    let address = address.filter(|address| is_certificate_address(address, server));
    let address = address.ok_or_else(|| Refused::signature("the address of the certificate is not Amazon's"))?;
    certificates(address).ok_or_else(|| Refused {
        wants: Some(address.to_owned()),
        ..Refused::new("certificate", 503, "the certificate that the report names could not be fetched")
    })
}

/// The text under the signature.
fn signed<'v>(kind: &str, field: &impl Fn(&str) -> Option<&'v str>) -> Result<String, Refused> {
    let names: &[&str] = match kind {
        "Notification" => &OF_NOTIFICATION,
        "SubscriptionConfirmation" | "UnsubscribeConfirmation" => &OF_CONFIRMATION,
        _ => return Err(Refused::body("the envelope has a Type that is not known")),
    };
    let mut text = String::new();
    for name in names {
        match field(name) {
            Some(value) => text.extend([name, "\n", value, "\n"]),
            None if *name == "Subject" => {}
            None => return Err(Refused::body(format!("the envelope has no {name}"))),
        }
    }
    Ok(text)
}

/// `https://sns.REGION.amazonaws.com/….pem`; or at the server that the route's settings name.
fn is_certificate_address(address: &str, server: Option<&str>) -> bool {
    address_of(address, server).is_some_and(|url| url.path().ends_with(".pem") && url.query().is_none())
}

fn is_subscription_address(address: &str, server: Option<&str>) -> bool {
    address_of(address, server).is_some()
}

fn address_of(address: &str, server: Option<&str>) -> Option<Url> {
    let url = Url::parse(address).ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let amazons = url.scheme() == "https" && url.port().is_none() && url.host_str().is_some_and(is_amazons);
    let chosen = server.and_then(|server| Url::parse(server).ok()).is_some_and(|own| own.origin() == url.origin());
    (plain && (amazons || chosen)).then_some(url)
}

/// `sns.eu-west-1.amazonaws.com`, `sns.cn-north-1.amazonaws.com.cn`.
fn is_amazons(host: &str) -> bool {
    let host = host.strip_suffix(".cn").unwrap_or(host);
    let region = host.strip_prefix("sns.").and_then(|rest| rest.strip_suffix(".amazonaws.com"));
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    region.is_some_and(|region| !region.is_empty() && region.chars().all(plain))
}

/// Where it is fetched: at the server that the settings name, where they name one.
pub fn reached_at(address: &str, server: Option<&str>) -> Option<Url> {
    let mut url = address_of(address, server)?;
    if let Some(server) = server {
        let own = Url::parse(server).ok()?;
        url.set_scheme(own.scheme()).ok()?;
        url.set_host(own.host_str()).ok()?;
        url.set_port(own.port()).ok()?;
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_amazons_addresses_are_called() {
        for (address, fine) in [
            ("https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-01.pem", true),
            ("https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-01.pem", true),
            ("http://sns.eu-west-1.amazonaws.com/a.pem", false),
            ("https://sns.eu-west-1.amazonaws.com:8443/a.pem", false),
            ("https://sns.eu-west-1.amazonaws.com.evil.example/a.pem", false),
            ("https://evil.example/sns.eu-west-1.amazonaws.com/a.pem", false),
            ("https://sns.eu-west-1.amazonaws.com@evil.example/a.pem", false),
            ("https://user@sns.eu-west-1.amazonaws.com/a.pem", false),
            ("https://sns.evil.example/.amazonaws.com/a.pem", false),
            ("https://sns.a.b.amazonaws.com/a.pem", false),
            ("https://sns..amazonaws.com/a.pem", false),
            ("https://sns.eu-west-1.amazonaws.com/a.txt", false),
            ("https://sns.eu-west-1.amazonaws.com/a.txt?x=.pem", false),
            ("https://sns.eu-west-1.amazonaws.com/a.pem#b", false),
            ("http://127.0.0.1:5000/a.pem", false),
            ("file:///etc/a.pem", false),
            ("", false),
        ] {
            assert_eq!(is_certificate_address(address, None), fine, "{address}");
        }
        let server = Some("http://127.0.0.1:5000");
        assert!(is_certificate_address("http://127.0.0.1:5000/a.pem", server));
        assert!(!is_certificate_address("http://127.0.0.1:5001/a.pem", server));
        assert!(is_subscription_address("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription", None));
        let reached = |address: &str| reached_at(address, server).map(String::from);
        let there = reached("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=1");
        assert_eq!(there.as_deref(), Some("http://127.0.0.1:5000/?Action=ConfirmSubscription&Token=1"));
        assert_eq!(reached("https://evil.example/a.pem"), None);
    }
}

//! The scheme `twilio`: HMAC over the address as Twilio called it and, for a form, its sorted parameters.
//!
//! SHA-1 under the account's token; SHA-256 where the header says so, under a shared key. A JSON body is covered by its
//! digest in the address. Twilio signs no time.

use super::{Case, Genuine, forged, header};
use crate::providers::definition::receipt::BodyForm;
use crate::providers::receipt::Refused;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::Url;

const SIGNATURE: &str = "x-twilio-signature";
const VARIANT: &str = "x-twilio-webhooks-signature-settings";
const BODY_DIGEST: &str = "bodySHA256";

pub(super) fn verify(case: &Case<'_>, token: &str) -> Result<Genuine, Refused> {
    let written = case.header(SIGNATURE)?;
    let signature = STANDARD.decode(written).map_err(|_| forged())?;
    let sha256 = header(case.call.headers, VARIANT).is_some_and(|variant| variant.contains("algorithm=HMAC_SHA256"));
    let algorithm = if sha256 { hmac::HMAC_SHA256 } else { hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY };
    let key = hmac::Key::new(algorithm, token.as_bytes());
    let parameters = parameters(case)?;
    let fits = addresses(case.call.url)
        .any(|address| hmac::verify(&key, format!("{address}{parameters}").as_bytes(), &signature).is_ok());
    if fits { Ok(Genuine::once(written)) } else { Err(forged()) }
}

/// What is signed beside the address.
fn parameters(case: &Case<'_>) -> Result<String, Refused> {
    let digest = case.opened.query.iter().find(|(name, _)| name == BODY_DIGEST);
    match (digest, case.opened.form) {
        (Some((_, digest)), _) => {
            let own = const_hex::encode(Sha256::digest(case.call.body));
            let same = bool::from(own.as_bytes().ct_eq(digest.to_ascii_lowercase().as_bytes()));
            if same { Ok(String::new()) } else { Err(Refused::signature("the body is not the one that was signed")) }
        }
        (None, BodyForm::Json) => Err(Refused::signature("nothing covers the body")),
        (None, BodyForm::Query) => Ok(String::new()),
        (None, BodyForm::Form) => Ok(sorted(case.opened.pairs(case.call)?)),
    }
}

/// Name and value, sorted by octets, each different value of a name once.
fn sorted(pairs: &[(String, String)]) -> String {
    let mut sorted: Vec<&(String, String)> = pairs.iter().collect();
    sorted.sort();
    sorted.dedup();
    sorted.into_iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect()
}

/// The address as it is, without its port, and with the usual one: Twilio signs either.
fn addresses(called: &str) -> impl Iterator<Item = String> {
    let called = called.split('#').next().unwrap_or_default();
    let with = |port: Option<u16>| {
        let url = Url::parse(called).ok()?;
        let host = url.host_str()?.to_owned();
        let (_, rest) = called.split_once("://")?;
        let rest = rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or_default();
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{}://{host}{port}{rest}", url.scheme()))
    };
    let usual = if called.starts_with("https:") { 443 } else { 80 };
    [Some(called.to_owned()), with(None), with(Some(usual))].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::receipt::tests::Sample;

    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
    const CALL: &str =
        "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";

    fn outcome(url: &str, kind: &str, body: &str, signature: &str) -> Result<(), &'static str> {
        let sample = Sample::new(&format!("verify = {{ twilio = \"secret\" }}\nbody = \"{kind}\""));
        sample.called(url).with("X-Twilio-Signature", signature).verify(body.as_bytes(), &[("secret", "12345")])
    }

    #[test]
    fn the_published_vectors_come_out() {
        let more = format!("{CALL}&Reason=Participant&ReasonConferenceEnded=test");
        let digest = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
        let of_json = format!("https://mycompany.com/myapp.php?bodySHA256={digest}");
        let json = r#"{"property": "value", "boolean": true}"#;
        let http = URL.replace("https", "http");
        for (url, kind, body, signature) in [
            (URL, "form", CALL, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            (URL, "form", more.as_str(), "vOEb5UThFn24KEfnOFLQY2AE5FY="),
            (&http, "form", &more, "n2xBNyzSW7rfYStDtOFiFMv7qNo="),
            (&of_json, "json", json, "y77kIzt2vzLz71DgmJGsen2scGs="),
            ("https://e.com/x", "form", "A=b&A=a&A=b&C=d", "GOwfKRl7UGvd5xVzjH43QxgEy0k="),
            ("https://e.com:443/x", "form", "A=b&A=a&A=b&C=d", "GOwfKRl7UGvd5xVzjH43QxgEy0k="),
            ("https://e.com:8443/x", "form", "A=b&A=a&A=b&C=d", "GOwfKRl7UGvd5xVzjH43QxgEy0k="),
        ] {
            assert_eq!(outcome(url, kind, body, signature), Ok(()), "{url} {body}");
        }
        for (url, kind, body, signature) in [
            (URL, "form", more.as_str(), "95+Bu0JVPi0r/SsESZCVf0dWAjw="),
            (URL, "form", CALL, "vOEb5UThFn24KEfnOFLQY2AE5FY="),
            (URL, "form", CALL, "not base64"),
            (URL, "form", CALL, ""),
            (&format!("{URL}&x=1"), "form", CALL, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            (&of_json, "json", "{}", "y77kIzt2vzLz71DgmJGsen2scGs="),
            (URL, "json", json, "y77kIzt2vzLz71DgmJGsen2scGs="),
        ] {
            assert_eq!(outcome(url, kind, body, signature), Err("signature"), "{url} {body} {signature}");
        }
    }

    #[test]
    fn a_shared_key_signs_with_sha_256() {
        let sample = Sample::new("verify = { twilio = \"secret\" }\nbody = \"form\"");
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"12345");
        let signature = STANDARD.encode(hmac::sign(&key, b"https://e.com/xAaAbCd"));
        let call = sample.called("https://e.com/x").with("X-Twilio-Signature", &signature);
        let settings = [("secret", "12345")];
        assert_eq!(call.clone().verify(b"A=b&A=a&C=d", &settings), Err("signature"));
        let call = call.with("X-Twilio-Webhooks-Signature-Settings", "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256");
        assert_eq!(call.verify(b"A=b&A=a&C=d", &settings), Ok(()));
    }
}

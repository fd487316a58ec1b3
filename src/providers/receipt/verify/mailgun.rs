//! The scheme `mailgun`: HMAC-SHA256 over a time and a token that stand in the body beside the event.
//!
//! The signature does not cover the event, so the token counts once: the replay key is the token.

use super::{Case, Genuine, forged, seconds};
use crate::providers::receipt::Refused;
use ring::hmac;
use serde_json::Value;
use std::borrow::Cow;

pub(super) fn verify(case: &Case<'_>, key: &str) -> Result<Genuine, Refused> {
    let body = case.opened.json(case.call)?;
    let (time, token, signature) = (field(body, "timestamp")?, field(body, "token")?, field(body, "signature")?);
    let signature = const_hex::decode(signature.as_bytes()).map_err(|_| forged())?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    hmac::verify(&key, format!("{time}{token}").as_bytes(), &signature).map_err(|_| forged())?;
    case.is_fresh(seconds(&time).ok_or_else(forged)?)?;
    Ok(Genuine::once(&token))
}

fn field<'v>(body: &'v Value, name: &str) -> Result<Cow<'v, str>, Refused> {
    let found = match body.pointer("/signature").and_then(|signature| signature.get(name)) {
        Some(Value::String(text)) => Some(Cow::Borrowed(text.as_str())),
        Some(Value::Number(number)) => Some(Cow::Owned(number.to_string())),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => None,
    };
    found.ok_or_else(|| Refused::signature(format!("/signature/{name} is missing")))
}

#[cfg(test)]
mod tests {
    use crate::model::time::SECOND;
    use crate::providers::receipt::tests::Sample;

    #[test]
    fn the_known_vector_comes_out() {
        let sent = 1_529_006_854 * SECOND;
        let sample = Sample::new("verify = { mailgun = \"secret\" }\nbody = \"json\"\nwindow = \"1d\"");
        let of = |time: &str, token: &str, signature: &str, now| {
            let body = format!(r#"{{"signature":{{"timestamp":{time},"token":"{token}","signature":"{signature}"}}}}"#);
            sample.at(now).verify(body.as_bytes(), &[("secret", "key-signing-example")])
        };
        let token = "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0";
        let signature = "de25c2e70a4c4953acd8d3288a642bac6320659af55f87626cd29cbe7647a004";
        assert_eq!(of("\"1529006854\"", token, signature, sent), Ok(()));
        assert_eq!(of("1529006854", token, signature, sent), Ok(()));
        assert_eq!(of("\"1529006855\"", token, signature, sent), Err("signature"));
        assert_eq!(of("\"1529006854\"", "a", signature, sent), Err("signature"));
        assert_eq!(of("\"1529006854\"", token, "de25", sent), Err("signature"));
        assert_eq!(of("\"1529006854\"", token, "zz", sent), Err("signature"));
        assert_eq!(of("null", token, signature, sent), Err("signature"));
        assert_eq!(of("\"1529006854\"", token, signature, sent + 90_000 * SECOND), Err("too-old"));
    }
}

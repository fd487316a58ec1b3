//! The scheme `vonage-jwt`: a JSON Web Token signed with HS256 that names the digest of the body.

use super::{Case, Genuine, forged};
use crate::model::time::SECOND;
use crate::providers::receipt::Refused;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

pub(super) fn verify(case: &Case<'_>, secret: &str) -> Result<Genuine, Refused> {
    let given = case.header("authorization")?;
    let token = given.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = token.map(|(_, token)| token.trim()).ok_or_else(|| Refused::signature("no bearer token came along"))?;
    let claims = claims(token, secret).ok_or_else(forged)?;
    let own = const_hex::encode(Sha256::digest(case.call.body));
    let digest = claims.get("payload_hash").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    if !case.call.body.is_empty() && !bool::from(own.as_bytes().ct_eq(digest.as_bytes())) {
        return Err(Refused::signature("the body is not the one that was signed"));
    }
    let issued = claims.get("iat").and_then(Value::as_i64).and_then(|at| at.checked_mul(SECOND)).ok_or_else(forged)?;
    case.is_fresh(issued)?;
    let id = claims.get("jti").and_then(Value::as_str).filter(|id| !id.is_empty());
    Ok(Genuine::once(id.unwrap_or(token)))
}

/// The claims of a token that was signed with the secret by HS256, and by nothing else.
fn claims(token: &str, secret: &str) -> Option<Value> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (head, payload) = signed.split_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::verify(&key, signed.as_bytes(), &signature).ok()?;
    let part = |text: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(text).ok()?).ok();
    (part(head)?.get("alg")?.as_str()? == "HS256").then(|| part(payload))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::receipt::tests::Sample;
    use serde_json::json;

    const SECRET: &str = "qwertyuiopasdfghjklzxcvbnm123456";
    const TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJPbmxpbmUgSldUIEJ1aWxkZXIiLCJpYXQiOjE2OTc2MzQ2ODAsImV4cCI6MzMyNTQ1NDA4MjgsImF1ZCI6IiIsInN1YiI6IiJ9.88vJc3I2HhuqEDixHXVhc9R30tA6U_HQHZTC29y6CGM";

    fn sign(claims: &Value, secret: &str) -> String {
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes())))
    }

    #[test]
    fn the_published_vector_comes_out() {
        let found = claims(TOKEN, SECRET).expect("the signature fits");
        assert_eq!(found.get("iat"), Some(&json!(1_697_634_680)));
        assert_eq!(claims(TOKEN, "asdf"), None);
        for broken in ["", ".", "..", "a.b.c", &TOKEN.replace("88vJ", "88vK")] {
            assert_eq!(claims(broken, SECRET), None, "{broken}");
        }
    }

    #[test]
    fn the_token_must_fit_body_and_time() {
        let sample = Sample::new("verify = { vonage-jwt = \"secret\" }\nbody = \"json\"\nwindow = \"1d\"");
        let (now, body) = (1_700_000_000, r#"{"status":"delivered"}"#);
        let digest = const_hex::encode(Sha256::digest(body));
        let of = |claims: Value| {
            let authorization = format!("Bearer {}", sign(&claims, SECRET));
            let call = sample.at(now * SECOND).with("Authorization", &authorization);
            call.verify(body.as_bytes(), &[("secret", SECRET)])
        };
        assert_eq!(of(json!({ "iat": now, "payload_hash": digest, "jti": "1" })), Ok(()));
        assert_eq!(of(json!({ "iat": now, "payload_hash": digest.to_uppercase() })), Ok(()));
        assert_eq!(of(json!({ "iat": now, "payload_hash": "00" })), Err("signature"));
        assert_eq!(of(json!({ "iat": now })), Err("signature"));
        assert_eq!(of(json!({ "payload_hash": digest })), Err("signature"));
        assert_eq!(of(json!({ "iat": now - 90_000, "payload_hash": digest })), Err("too-old"));
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        let claims = URL_SAFE_NO_PAD.encode(json!({ "iat": now, "payload_hash": digest }).to_string());
        let call = sample.at(now * SECOND).with("Authorization", &format!("Bearer {none}.{claims}."));
        assert_eq!(call.verify(body.as_bytes(), &[("secret", SECRET)]), Err("signature"));
    }
}

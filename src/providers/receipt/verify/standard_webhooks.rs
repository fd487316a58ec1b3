//! The scheme `standard-webhooks` (Standard Webhooks, Svix): HMAC-SHA256 over id, time and body, in base64.
//!
//! A secret that begins with `whsec_` is base64 behind that; any other is taken as it is.

use super::{Case, Genuine, forged, header, seconds};
use crate::providers::receipt::Refused;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use std::borrow::Cow;

/// Signatures in one header that are tried; two stand there while a secret is exchanged.
const MOST_SIGNATURES: usize = 8;

pub(super) fn verify(case: &Case<'_>, secret: &str) -> Result<Genuine, Refused> {
    let [id, time, signatures] = ["id", "timestamp", "signature"].map(|part| {
        let found = header(case.call.headers, &format!("webhook-{part}"));
        found.or_else(|| header(case.call.headers, &format!("svix-{part}")))
    });
    let missing = || Refused::signature("the headers webhook-id, webhook-timestamp and webhook-signature are needed");
    let (id, time, signatures) = (id.ok_or_else(missing)?, time.ok_or_else(missing)?, signatures.ok_or_else(missing)?);
    let key = key(secret).ok_or_else(|| Refused::new("not-set-up", 503, "the route's secret is no base64"))?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signed = [id.as_bytes(), b".", time.as_bytes(), b".", case.call.body].concat();
    let fits = signatures
        .split(' ')
        .take(MOST_SIGNATURES)
        .filter_map(|one| one.strip_prefix("v1,"))
        .any(|one| STANDARD.decode(one).is_ok_and(|signature| hmac::verify(&key, &signed, &signature).is_ok()));
    if !fits {
        return Err(forged());
    }
    case.is_fresh(seconds(time).ok_or_else(forged)?)?;
    Ok(Genuine::once(id))
}

fn key(secret: &str) -> Option<Cow<'_, [u8]>> {
    match secret.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).ok().filter(|key| !key.is_empty()).map(Cow::Owned),
        None => Some(Cow::Borrowed(secret.as_bytes())),
    }
}

pub(super) fn objection(secret: &str) -> Option<String> {
    key(secret).is_none().then(|| "begins with `whsec_` and is no base64 behind it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::{MINUTE, SECOND};
    use crate::providers::receipt::tests::Sample;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SENT: i64 = 1_614_265_330 * SECOND;

    fn outcome(prefix: &str, signature: &str, body: &str, now: i64) -> Result<(), &'static str> {
        let sample = Sample::new("verify = { standard-webhooks = \"secret\" }\nbody = \"json\"\nwindow = \"5m\"");
        let call = sample.at(now).with(&format!("{prefix}-id"), "msg_p5jXN8AQM9LWM0D4loKWxJek");
        let call = call.with(&format!("{prefix}-timestamp"), "1614265330");
        call.with(&format!("{prefix}-signature"), signature).verify(body.as_bytes(), &[("secret", SECRET)])
    }

    #[test]
    fn the_published_vector_comes_out() {
        let (body, good) = (r#"{"test": 2432232314}"#, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(outcome("svix", good, body, SENT), Ok(()));
        assert_eq!(outcome("webhook", good, body, SENT), Ok(()));
        assert_eq!(outcome("webhook", &format!("v1a,AAAA v1,AAAA {good}"), body, SENT), Ok(()));
        assert_eq!(outcome("webhook", &good.replace("v1,", "v2,"), body, SENT), Err("signature"));
        assert_eq!(outcome("webhook", good, r#"{"test":2432232314}"#, SENT), Err("signature"));
        assert_eq!(outcome("other", good, body, SENT), Err("signature"));
        assert_eq!(outcome("webhook", good, body, SENT + 6 * MINUTE), Err("too-old"));
        assert_eq!(outcome("webhook", good, body, SENT - 6 * MINUTE), Err("too-old"));
        assert!(objection(SECRET).is_none() && objection("whsec_?").is_some() && objection("plain").is_none());
    }
}

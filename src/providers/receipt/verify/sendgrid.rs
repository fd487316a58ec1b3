//! The scheme `sendgrid`: ECDSA on P-256 over the time in a header and the body as it came.

use super::{Case, Genuine, forged, seconds};
use crate::providers::receipt::Refused;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

/// What stands before the point in the SubjectPublicKeyInfo of every P-256 key (RFC 5480).
const BEFORE_POINT: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

pub(super) fn verify(case: &Case<'_>, key: &str) -> Result<Genuine, Refused> {
    let written = case.header("x-twilio-email-event-webhook-signature")?;
    let time = case.header("x-twilio-email-event-webhook-timestamp")?;
    let signature = STANDARD.decode(written).map_err(|_| forged())?;
    let key = point(key).ok_or_else(|| Refused::new("not-set-up", 503, "the route's public key is none"))?;
    let signed = [time.as_bytes(), case.call.body].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(&signed, &signature).map_err(|_| forged())?;
    case.is_fresh(seconds(time).ok_or_else(forged)?)?;
    // Another valid signature can be made from one of ECDSA, so what was signed is the key.
    Ok(Genuine::once(&String::from_utf8_lossy(&signed)))
}

/// The public key as a point, from what the provider shows: SubjectPublicKeyInfo in base64.
fn point(key: &str) -> Option<Vec<u8>> {
    let key = STANDARD.decode(key.trim()).ok()?;
    key.strip_prefix(&BEFORE_POINT).filter(|point| point.len() == 65).map(<[u8]>::to_vec)
}

pub(super) fn objection(key: &str) -> Option<String> {
    let why = "is no public key: copy the Verification Key of the Signed Event Webhook, which begins with MFkw";
    point(key).is_none().then(|| why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::{DAY, SECOND};
    use crate::providers::receipt::tests::Sample;

    const KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==";
    const SIGNATURE: &str =
        "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=";
    const SENT: i64 = 1_600_112_502 * SECOND;
    const BODY: &str = concat!(
        r#"[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address","sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA","#,
        r#""sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0","smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]"#,
        "\r\n"
    );

    fn outcome(key: &str, time: &str, signature: &str, body: &str, now: i64) -> Result<(), &'static str> {
        let sample = Sample::new("verify = { sendgrid = \"key\" }\nbody = \"json\"\nwindow = \"1d\"");
        let call = sample.at(now).with("X-Twilio-Email-Event-Webhook-Timestamp", time);
        let call = call.with("X-Twilio-Email-Event-Webhook-Signature", signature);
        call.verify(body.as_bytes(), &[("key", key)])
    }

    #[test]
    fn the_published_vector_comes_out() {
        let of = |body: &str, now| outcome(KEY, "1600112502", SIGNATURE, body, now);
        assert_eq!(BODY.len(), 327);
        assert_eq!(of(BODY, SENT), Ok(()));
        assert_eq!(of(BODY.trim_end(), SENT), Err("signature"));
        assert_eq!(of(BODY, SENT + DAY + SECOND), Err("too-old"));
        assert_eq!(of(BODY, SENT - DAY), Err("too-old"));
        assert_eq!(outcome(KEY, "1600112503", SIGNATURE, BODY, SENT), Err("signature"));
        assert_eq!(outcome(KEY, "1600112502", "MEUC", BODY, SENT), Err("signature"));
        assert_eq!(outcome("MFkw", "1600112502", SIGNATURE, BODY, SENT), Err("not-set-up"));
        assert!(objection(KEY).is_none() && objection("MFkw").is_some());
    }
}

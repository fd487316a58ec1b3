//! The scheme `vonage-sig`: Vonage's signature over the parameters of a request, in place of the secret itself.
//!
//! All parameters sorted by name, each as `&name=value` with `&` and `=` in the value replaced by `_`; then either MD5 of
//! that and the secret, or an HMAC of it under the secret.

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use ring::hmac as ring_hmac;

/// Names of the setting that chooses one.
pub const METHODS: [&str; 5] = ["md5hash", "md5", "sha1", "sha256", "sha512"];

/// The value of `sig` for these parameters; `None` for a method that is none.
pub fn signature(parameters: &[(String, String)], secret: &str, method: &str) -> Option<String> {
    let text = joined(parameters);
    let by_ring = |algorithm| {
        let key = ring_hmac::Key::new(algorithm, secret.as_bytes());
        Some(const_hex::encode(ring_hmac::sign(&key, text.as_bytes())))
    };
    match method {
        "md5hash" => Some(const_hex::encode(Md5::new().chain_update(&text).chain_update(secret).finalize())),
        "md5" => {
            let mac = Hmac::<Md5>::new_from_slice(secret.as_bytes()).ok()?;
            Some(const_hex::encode(mac.chain_update(&text).finalize().into_bytes()))
        }
        "sha1" => by_ring(ring_hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        "sha256" => by_ring(ring_hmac::HMAC_SHA256),
        "sha512" => by_ring(ring_hmac::HMAC_SHA512),
        _ => None,
    }
}

fn joined(parameters: &[(String, String)]) -> String {
    let mut sorted: Vec<&(String, String)> = parameters.iter().filter(|(name, _)| name != "sig").collect();
    sorted.sort();
    sorted.iter().map(|(name, value)| format!("&{name}={}", value.replace(['&', '='], "_"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vectors_come_out() {
        let parameters: Vec<(String, String)> = [
            ("message-timestamp", "2013-11-21 15:27:30"),
            ("messageId", "020000001B0FE827"),
            ("msisdn", "14843472194"),
            ("text", "Test again"),
            ("timestamp", "1385047698"),
            ("to", "13239877404"),
            ("type", "text"),
            ("sig", "is not signed"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for (method, want) in [
            ("md5hash", "d2e7b1dc968737c5998ad624e02f90b7"),
            ("md5", "DDEBD46008C2D4E93CCE578A332A52D5"),
            ("sha1", "27D0D05C2876C7CB1720DBCDBA4D492E1E55C09A"),
            ("sha256", "DDB8397C2B90AAC7F3882D306475C9A5058C92322EEF43C92B298B6E0FC0D330"),
        ] {
            let found = signature(&parameters, "my_secret_key_for_testing", method).expect(method);
            assert_eq!(found, want.to_lowercase(), "{method}");
        }
        assert_eq!(METHODS.iter().filter(|m| signature(&parameters, "s", m).is_none()).count(), 0);
        assert_eq!(signature(&parameters, "s", "none"), None);
    }

    #[test]
    fn what_would_end_a_parameter_is_replaced() {
        let one = |value: &str| joined(&[("a".to_owned(), value.to_owned())]);
        assert_eq!(one("1&b=2"), "&a=1_b_2");
    }
}

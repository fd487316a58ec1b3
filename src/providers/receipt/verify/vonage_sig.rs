//! The scheme `vonage-sig`: Vonage's signature over the sorted parameters of a report, its own name `sig` left out.

use super::{Case, Genuine, forged, seconds};
use crate::providers::http::vonage_sig::{METHODS, signature};
use crate::providers::receipt::Refused;
use subtle::ConstantTimeEq;

pub(super) fn verify(case: &Case<'_>, secret: &str, method: &str) -> Result<Genuine, Refused> {
    let pairs = case.opened.pairs(case.call)?;
    let value = |name: &str| pairs.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let given = value("sig").ok_or_else(|| Refused::signature("the parameter sig is missing"))?.to_ascii_lowercase();
    let wanted = signature(pairs, secret, method)
        .ok_or_else(|| Refused::new("not-set-up", 503, "the route's signature method is none"))?;
    if !bool::from(given.as_bytes().ct_eq(wanted.as_bytes())) {
        return Err(forged());
    }
    let time = value("timestamp").and_then(seconds);
    case.is_fresh(time.ok_or_else(|| Refused::signature("the parameter timestamp is missing"))?)?;
    Ok(Genuine::once(&given))
}

pub(super) fn objection(method: &str) -> Option<String> {
    (!METHODS.contains(&method)).then(|| format!("must be one of {}", METHODS.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::SECOND;
    use crate::providers::receipt::tests::Sample;

    const PARAMETERS: &str = "message-timestamp=2013-11-21+15%3A27%3A30&messageId=020000001B0FE827&msisdn=14843472194&\
                              text=Test+again&timestamp=1385047698&to=13239877404&type=text";

    fn outcome(method: &str, parameters: &str, now: i64) -> Result<(), &'static str> {
        let text = "verify = { vonage-sig = [\"secret\", \"method\"] }\nbody = [\"query\", \"form\"]\n\
                    methods = [\"GET\", \"POST\"]\nwindow = \"1d\"";
        let settings = [("secret", "my_secret_key_for_testing"), ("method", method)];
        let sample = Sample::new(text).at(now);
        let by_post = sample.clone().verify(parameters.as_bytes(), &settings);
        let by_get = sample.get().called(&format!("https://e.com/hook?{parameters}")).verify(b"", &settings);
        assert_eq!(by_post, by_get);
        by_post
    }

    #[test]
    fn the_published_vectors_come_out() {
        let sent = 1_385_047_698 * SECOND;
        let vectors = [
            ("md5hash", "d2e7b1dc968737c5998ad624e02f90b7"),
            ("md5", "DDEBD46008C2D4E93CCE578A332A52D5"),
            ("sha1", "27D0D05C2876C7CB1720DBCDBA4D492E1E55C09A"),
            ("sha256", "DDB8397C2B90AAC7F3882D306475C9A5058C92322EEF43C92B298B6E0FC0D330"),
        ];
        for (method, signature) in vectors {
            assert_eq!(outcome(method, &format!("{PARAMETERS}&sig={signature}"), sent), Ok(()), "{method}");
            let more = format!("{PARAMETERS}&sig={signature}&more=1");
            assert_eq!(outcome(method, &more, sent), Err("signature"), "{method}");
            assert_eq!(outcome("sha512", &format!("{PARAMETERS}&sig={signature}"), sent), Err("signature"));
            assert!(objection(method).is_none());
        }
        let one = format!("{PARAMETERS}&sig={}", vectors[0].1);
        assert_eq!(outcome("md5hash", &one, sent + 90_000 * SECOND), Err("too-old"));
        assert_eq!(outcome("md5hash", PARAMETERS, sent), Err("signature"));
        assert_eq!(outcome("rot13", &one, sent), Err("not-set-up"));
        assert!(objection("rot13").is_some());
    }
}

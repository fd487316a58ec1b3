//! The scheme `jwt`: a JSON Web Token made anew for every request, signed with RS256 (RFC 7515, RFC 7519).
//!
//! The claims are those of Vonage: `application_id`, `iat`, `exp`, and a `jti` that is used once.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;

/// A token is for one request; clocks may differ by some minutes.
const SECONDS: i64 = 900;
const HEADER: &str = r#"{"alg":"RS256","typ":"JWT"}"#;

/// The private key in a PEM text, PKCS #8 or PKCS #1; the error says what to do and nothing of the key.
pub fn key(pem: &str) -> Result<RsaKeyPair, String> {
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| "holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)".to_owned())?;
    let pair = match &der {
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(_) | _ => {
            return Err("holds a key that is no RSA key; the provider's application has one".to_owned());
        }
    };
    pair.map_err(|_| "holds no usable RSA key: it needs 2048 to 4096 bits".to_owned())
}

/// A token for one request at `now` (seconds since 1970).
pub fn token(pem: &str, application: &str, now: i64) -> Result<String, String> {
    let (jti, expires) = (a_uuid(), now.saturating_add(SECONDS));
    let claims = json!({ "application_id": application, "iat": now, "exp": expires, "jti": jti });
    signed(&key(pem)?, HEADER, &claims.to_string())
}

fn signed(key: &RsaKeyPair, header: &str, claims: &str) -> Result<String, String> {
    let content = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), content.as_bytes(), &mut signature)
        .map_err(|_| "could not sign".to_owned())?;
    Ok(format!("{content}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// A random UUID (RFC 9562, version 4).
fn a_uuid() -> String {
    let number = (rand::random::<u128>() & !(0xf000 << 64) & !(0xc << 60)) | (0x4000 << 64) | (0x8 << 60);
    let digits = format!("{number:032x}");
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Made by `openssl dgst -sha256 -sign example_key.pem` over the same header and claims.
    const SIGNATURE: &str = concat!(
        "vBubc6NsWrI85YQnkgzQ8G6_FHBqfXOc6bNhdgn086AySMSYN1j3wJ--Dm59mKhw2r85CStUcYVaurzvNseAkJdn_P",
        "JuV79WWcWFVarMXY2qTFJKmvjYnNdDNbvKCUcJdphcRYvFG0Uoq0FkPFc07yUEWMVvz3zt9lFxbxqudVEsceB1hUzZ",
        "dx6UjMb_tqffdRsqtMgqUAw1cofHaKfwKyz4TIkxHpRlhrj8U7xQUMG2RrRkVrpefuNZMMnkPyZZJeqDL_zrpP6FSL",
        "MdRR0iyS1C7xLsPeEEUbDHPf6aoXQ6gFSXuZLQfKmWnuF8sdKsUaEBFQ3jLmXv7Z6HM6gYoQ",
    );
    const KEY: &str = include_str!("example_key.pem");

    #[test]
    fn the_signature_is_that_of_another_implementation() {
        let claims = concat!(
            r#"{"application_id":"aaaaaaaa-bbbb-cccc-dddd-0123456789ab","iat":1764043506,"exp":1764044406,"#,
            r#""jti":"00000000-0000-4000-8000-000000000001"}"#
        );
        let token = signed(&key(KEY).expect("a key"), HEADER, claims).expect("signed");
        assert_eq!(token.rsplit('.').next(), Some(SIGNATURE));
    }

    #[test]
    fn every_token_is_another_one_and_says_what_the_provider_wants() {
        let claims_of = |token: &str| {
            let part = token.split('.').nth(1).expect("claims").to_owned();
            serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
        };
        let [one, other] = [(); 2].map(|()| claims_of(&token(KEY, "app", 1_764_043_506).expect("a token")));
        assert_eq!((one["application_id"].as_str(), one["iat"].as_i64()), (Some("app"), Some(1_764_043_506)));
        assert_eq!(one["exp"].as_i64(), Some(1_764_044_406));
        assert_ne!(one["jti"], other["jti"]);
        let jti = one["jti"].as_str().expect("a text");
        let form =
            regex::Regex::new("^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$").expect("valid");
        assert!(form.is_match(jti), "{jti}");
    }

    #[test]
    fn what_is_no_key_is_said_without_quoting_it() {
        let ec = "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----\n";
        let short = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        for (text, want) in
            [("s3cret", "no private key"), ("", "no private key"), (ec, "no RSA key"), (short, "no usable")]
        {
            let problem = key(text).expect_err(want);
            assert!(problem.contains(want) && !problem.contains("s3cret"), "{problem}");
        }
    }
}

//! AWS Signature Version 4, in the headers (not for S3, whose paths are encoded otherwise).

use super::{
    Credentials, Moment, Unpreparable, body, canonical_query, hmac_sha256, lines_and_names, percent_encoded, set,
    sha256, signed_headers, utc,
};
use reqwest::Request;

pub(super) fn sign(
    request: &mut Request,
    credentials: Credentials<'_>,
    service: &str,
    region: &str,
    moment: &Moment,
) -> Result<(), Unpreparable> {
    let (date, time) = (utc(moment.now, "%Y%m%d"), utc(moment.now, "%Y%m%dT%H%M%SZ"));
    set(request, "x-amz-date", &time)?;
    if !credentials.token.is_empty() {
        set(request, "x-amz-security-token", credentials.token)?;
    }
    let (canonical, names) = canonical(request);
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let mut key = format!("AWS4{}", credentials.secret).into_bytes();
    for part in [&date, region, service, "aws4_request"] {
        key = hmac_sha256(&key, part.as_bytes()).as_ref().to_vec();
    }
    let signature = const_hex::encode(hmac_sha256(&key, to_sign.as_bytes()));
    let key_id = credentials.key_id;
    let value = format!("AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}");
    set(request, "authorization", &value)
}

/// The request in its canonical form, and the names of the headers in it.
fn canonical(request: &Request) -> (String, String) {
    let headers = signed_headers(request, |name| name == "content-type" || name.starts_with("x-amz-"));
    let (lines, names) = lines_and_names(&headers);
    // The path is encoded already; the signature wants each segment encoded once more.
    let path = request.url().path().split('/').map(percent_encoded).collect::<Vec<_>>().join("/");
    let query = canonical_query(request.url());
    let (method, body) = (request.method(), sha256(body(request)));
    (format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{body}"), names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::{Method, Url};

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const SES_BODY: &str = r#"{"FromEmailAddress":"notice@example.org","Destination":{"ToAddresses":["a@example.com"]},"Content":{"Simple":{"Subject":{"Data":"Notice","Charset":"UTF-8"},"Body":{"Text":{"Data":"Hello","Charset":"UTF-8"}}}}}"#;

    fn credentials(token: &str) -> Credentials<'_> {
        Credentials { key_id: "AKIDEXAMPLE", secret: SECRET, token }
    }

    fn at(time: &str) -> Moment {
        Moment { now: time.parse().expect("a time"), nonce: String::new() }
    }

    fn authorization(request: &Request) -> &str {
        request.headers()["authorization"].to_str().expect("text")
    }

    #[test]
    fn the_published_vectors_come_out() {
        for (method, signature) in [
            (Method::GET, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            (Method::POST, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ] {
            let mut request = Request::new(method, Url::parse("https://example.amazonaws.com/").expect("valid"));
            sign(&mut request, credentials(""), "service", "us-east-1", &at("2015-08-30T12:36:00Z")).expect("signed");
            let want = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature={signature}"
            );
            assert_eq!(authorization(&request), want);
            assert_eq!(request.headers()["x-amz-date"], "20150830T123600Z");
        }
    }

    fn ses() -> Request {
        let url = Url::parse("https://email.us-east-1.amazonaws.com/v2/email/outbound-emails").expect("valid");
        let mut request = Request::new(Method::POST, url);
        set(&mut request, "content-type", "application/json").expect("a header");
        *request.body_mut() = Some(SES_BODY.into());
        request
    }

    #[test]
    fn a_message_for_ses_is_signed_as_aws_tools_sign_it() {
        let mut request = ses();
        sign(&mut request, credentials(""), "ses", "us-east-1", &at("2026-01-02T03:04:05Z")).expect("signed");
        assert_eq!(sha256(body(&request)), "0f25561ce8957e5c0c97fa09b497506f580b58cb2d6a66bc38a6fdafafdaea79");
        let (canonical, names) = canonical(&request);
        assert_eq!(names, "content-type;host;x-amz-date");
        assert_eq!(sha256(canonical.as_bytes()), "20f408c227972e81ae616716b53fcedef748e3e813f0c84beaf53b5a8505bbb4");
        let signature = "Signature=987f2234218ba02055fd14a18f8bf41a885f6664a79636533cb9f0c411e17056";
        assert!(authorization(&request).ends_with(signature), "{}", authorization(&request));
    }

    #[test]
    fn temporary_credentials_bring_their_token_into_the_signature() {
        let mut request = ses();
        sign(&mut request, credentials("TOKEN"), "ses", "us-east-1", &at("2026-01-02T03:04:05Z")).expect("signed");
        assert_eq!(request.headers()["x-amz-security-token"], "TOKEN");
        assert!(authorization(&request).contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,"));
        assert!(!format!("{:?}", request.headers()).contains("TOKEN"));
    }

    #[test]
    fn a_path_is_encoded_twice() {
        let url = Url::parse("https://h.example/a%20b/c").expect("valid");
        assert!(canonical(&Request::new(Method::GET, url)).0.starts_with("GET\n/a%2520b/c\n\n"));
    }
}

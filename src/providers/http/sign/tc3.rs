//! TC3-HMAC-SHA256 of Tencent Cloud. Action, version and region are headers of the definition; the time and the
//! signature are added here.

use super::{
    Credentials, Moment, Unpreparable, body, canonical_query, hmac_sha256, lines_and_names, set, sha256,
    signed_headers, utc,
};
use reqwest::Request;

const ACTION: &str = "x-tc-action";

pub(super) fn sign(
    request: &mut Request,
    credentials: Credentials<'_>,
    service: &str,
    moment: &Moment,
) -> Result<(), Unpreparable> {
    let (date, time) = (utc(moment.now, "%Y-%m-%d"), moment.now.as_second().to_string());
    set(request, "x-tc-timestamp", &time)?;
    if !credentials.token.is_empty() {
        set(request, "x-tc-token", credentials.token)?;
    }
    let (canonical, names) = canonical(request);
    let scope = format!("{date}/{service}/tc3_request");
    let to_sign = format!("TC3-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let mut key = format!("TC3{}", credentials.secret).into_bytes();
    for part in [&date, service, "tc3_request"] {
        key = hmac_sha256(&key, part.as_bytes()).as_ref().to_vec();
    }
    let signature = const_hex::encode(hmac_sha256(&key, to_sign.as_bytes()));
    let key_id = credentials.key_id;
    let value = format!("TC3-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}");
    set(request, "authorization", &value)
}

/// The request in its canonical form, and the names of the headers in it. The action is signed in lower case.
fn canonical(request: &Request) -> (String, String) {
    let mut headers = signed_headers(request, |name| name == "content-type" || name == ACTION);
    for (_, value) in headers.iter_mut().filter(|(name, _)| name == ACTION) {
        *value = value.to_lowercase();
    }
    let (lines, names) = lines_and_names(&headers);
    let (method, url, body) = (request.method(), request.url(), sha256(body(request)));
    (format!("{method}\n/\n{}\n{lines}\n{names}\n{body}", canonical_query(url)), names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::{Method, Url};

    const STARS: &str = "********************************";
    const FIND: &str = r#"{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}"#;
    const SEND: &str = r#"{"PhoneNumberSet":["+8613900000000"],"SmsSdkAppId":"1400006666","TemplateId":"1110","SignName":"示例签名","TemplateParamSet":["张三"],"SessionContext":"fw-0001"}"#;

    /// Hash of the canonical form, and the authorization.
    fn signed(service: &str, body: &'static str, action: Option<&str>, secret: &str) -> (String, String) {
        let url = Url::parse(&format!("https://{service}.tencentcloudapi.com/")).expect("valid");
        let mut request = Request::new(Method::POST, url);
        set(&mut request, "content-type", "application/json; charset=utf-8").expect("a header");
        if let Some(action) = action {
            set(&mut request, ACTION, action).expect("a header");
        }
        *request.body_mut() = Some(body.into());
        let now = jiff::Timestamp::from_second(1_551_113_065).expect("a time");
        let credentials = Credentials { key_id: "AKID", secret, token: "" };
        sign(&mut request, credentials, service, &Moment { now, nonce: String::new() }).expect("signed");
        let authorization = request.headers()["authorization"].to_str().expect("text").to_owned();
        (sha256(canonical(&request).0.as_bytes()), authorization)
    }

    #[test]
    fn the_published_vectors_come_out() {
        assert_eq!(sha256(FIND.as_bytes()), "35e9c5b0e3ae67532d3c9f17ead6c90222632e5b1ff7f6e89887f1398934f064");
        let (hash, authorization) = signed("cvm", FIND, Some("DescribeInstances"), STARS);
        assert_eq!(hash, "7019a55be8395899b900fb5564e4200d984910f34794a27cb3fb7d10ff6a1e84");
        assert_eq!(
            authorization,
            "TC3-HMAC-SHA256 Credential=AKID/2019-02-25/cvm/tc3_request, SignedHeaders=content-type;host;x-tc-action, \
             Signature=10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f"
        );
        let (hash, authorization) = signed("cvm", FIND, None, "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE");
        assert_eq!(hash, "5ffe6a04c0664d6b969fab9a13bdab201d63ee709638e2749d62a09ca18d7031");
        let signature = "Signature=72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168";
        assert!(authorization.ends_with(signature), "{authorization}");
    }

    #[test]
    fn a_message_is_signed_as_tencents_tools_sign_it() {
        assert_eq!(sha256(SEND.as_bytes()), "a7ba5fb5a859684918179ea7ea585024afaefb7ab828fa3189fd659046635de0");
        let (hash, authorization) = signed("sms", SEND, Some("SendSms"), STARS);
        assert_eq!(hash, "82b832a34c10b1258693cf50d6f69c498c098983c68031701152ba4f93ba95b3");
        let signature = "Signature=4d210d7ca2a1c938f8d2815cf0e2e3d72d7def96dab719094b1ab44581e00f0e";
        assert!(authorization.ends_with(signature), "{authorization}");
    }
}

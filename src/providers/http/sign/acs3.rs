//! ACS3-HMAC-SHA256 of Alibaba Cloud. Action and version are headers of the definition (`x-acs-action`,
//! `x-acs-version`); the rest is added here.

use super::{
    Credentials, Moment, Unpreparable, body, canonical_query, hmac_sha256, lines_and_names, set, sha256,
    signed_headers, utc,
};
use reqwest::Request;

pub(super) fn sign(request: &mut Request, credentials: Credentials<'_>, moment: &Moment) -> Result<(), Unpreparable> {
    set(request, "x-acs-date", &utc(moment.now, "%Y-%m-%dT%H:%M:%SZ"))?;
    set(request, "x-acs-signature-nonce", &moment.nonce)?;
    let hash = sha256(body(request));
    set(request, "x-acs-content-sha256", &hash)?;
    if !credentials.token.is_empty() {
        set(request, "x-acs-security-token", credentials.token)?;
    }
    let (canonical, names) = canonical(request, &hash);
    let to_sign = format!("ACS3-HMAC-SHA256\n{}", sha256(canonical.as_bytes()));
    let signature = const_hex::encode(hmac_sha256(credentials.secret.as_bytes(), to_sign.as_bytes()));
    let key_id = credentials.key_id;
    let value = format!("ACS3-HMAC-SHA256 Credential={key_id},SignedHeaders={names},Signature={signature}");
    set(request, "authorization", &value)
}

/// The request in its canonical form, and the names of the headers in it.
fn canonical(request: &Request, hash: &str) -> (String, String) {
    let headers = signed_headers(request, |name| name == "content-type" || name.starts_with("x-acs-"));
    let (lines, names) = lines_and_names(&headers);
    let (method, url) = (request.method(), request.url());
    (format!("{method}\n{}\n{}\n{lines}\n{names}\n{hash}", url.path(), canonical_query(url)), names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::{Method, Url};

    const KEY: Credentials<'_> = Credentials { key_id: "YourAccessKeyId", secret: "YourAccessKeySecret", token: "" };

    fn request(host: &str, query: &str, action: &str, version: &str) -> Request {
        let url = Url::parse(&format!("https://{host}/?{query}")).expect("valid");
        let mut request = Request::new(Method::POST, url);
        set(&mut request, "x-acs-action", action).expect("a header");
        set(&mut request, "x-acs-version", version).expect("a header");
        request
    }

    fn signed(mut request: Request, time: &str, nonce: &str) -> (String, String) {
        let moment = Moment { now: time.parse().expect("a time"), nonce: nonce.to_owned() };
        sign(&mut request, KEY, &moment).expect("signed");
        let (canonical, _) = canonical(&request, &sha256(b""));
        let authorization = request.headers()["authorization"].to_str().expect("text").to_owned();
        (sha256(canonical.as_bytes()), authorization)
    }

    #[test]
    fn the_published_vector_comes_out() {
        let query = "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai";
        let request = request("ecs.cn-shanghai.aliyuncs.com", query, "RunInstances", "2014-05-26");
        let (hash, authorization) = signed(request, "2023-10-26T10:22:32Z", "3156853299f313e23d1673dc12e1703d");
        assert_eq!(hash, "7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259");
        assert_eq!(
            authorization,
            "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;\
             x-acs-date;x-acs-signature-nonce;x-acs-version,\
             Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
        );
    }

    #[test]
    fn a_message_in_chinese_is_signed_as_alibabas_tools_sign_it() {
        let query = "OutId=fw-0001&PhoneNumbers=13900000000&SignName=%E7%A4%BA%E4%BE%8B%E7%AD%BE%E5%90%8D\
            &TemplateCode=SMS_123456789&TemplateParam=%7B%22name%22%3A%22%E5%BC%A0%E4%B8%89%22%2C%22url%22%3A%22\
            https%3A%2F%2Fn.example.org%2Fa%22%7D";
        let request = request("dysmsapi.aliyuncs.com", query, "SendSms", "2017-05-25");
        let (hash, authorization) = signed(request, "2026-01-02T03:04:05Z", "00000000000000000000000000000001");
        assert_eq!(hash, "d8219f508c6524a983b0a6871e075a58427e6891b2e8fddb256860ce17b0c0f3");
        let signature = "Signature=d9b28159b26597bf5b3a88918970cb5e09bf3b443df484ab814cb02c9cebe246";
        assert!(authorization.ends_with(signature), "{authorization}");
    }

    #[test]
    fn a_body_and_a_token_are_signed_too() {
        let mut request = request("dm.aliyuncs.com", "", "SingleSendMail", "2015-11-23");
        set(&mut request, "content-type", "application/x-www-form-urlencoded").expect("a header");
        *request.body_mut() = Some("a=b".into());
        let moment = Moment { now: "2026-01-02T03:04:05Z".parse().expect("a time"), nonce: "1".to_owned() };
        sign(&mut request, Credentials { token: "STS", ..KEY }, &moment).expect("signed");
        assert_eq!(request.headers()["x-acs-content-sha256"], sha256(b"a=b").as_str());
        let authorization = request.headers()["authorization"].to_str().expect("text");
        assert!(authorization.contains("SignedHeaders=content-type;host;x-acs-action;"), "{authorization}");
        assert!(authorization.contains(";x-acs-security-token;"), "{authorization}");
    }
}

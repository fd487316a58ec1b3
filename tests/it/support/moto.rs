//! A private moto: a twin of Amazon's services that checks signatures and rights as Amazon does, and shows what it was
//! given. Each test has its own.

use super::{Server, free_port, missing, program, wait_until};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

/// The address that may send.
pub(crate) const VERIFIED: &str = "dpo@example.com";
/// Calls that are open: making the user, its key and its rights, and verifying the address. From then on all is checked.
const OPEN_CALLS: &str = "4";

const FORM: &str = "application/x-www-form-urlencoded";

pub(crate) struct Moto {
    /// `http://127.0.0.1:PORT`.
    pub(crate) base_url: String,
    port: u16,
    /// Of a user that may send by SES and SNS.
    pub(crate) key_id: String,
    pub(crate) secret: String,
    // Stopped before its folder goes.
    _server: Server,
    _dir: tempfile::TempDir,
}

impl Moto {
    /// A twin in which one user may do what the policy `actions` (a JSON list of texts) says.
    pub(crate) fn start(actions: &str) -> Option<Moto> {
        let mut moto = Moto::launch(Some(OPEN_CALLS))?;
        let port = moto.port;
        let iam = |form: &str| call(port, "iam", "/", FORM, form);
        iam("Action=CreateUser&Version=2010-05-08&UserName=fw");
        let key = iam("Action=CreateAccessKey&Version=2010-05-08&UserName=fw");
        let policy = format!(
            "{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",\"Action\":{actions},\"Resource\":\"*\"}}]}}"
        );
        let encoded: String = url::form_urlencoded::byte_serialize(policy.as_bytes()).collect();
        iam(&format!("Action=PutUserPolicy&Version=2010-05-08&UserName=fw&PolicyName=p&PolicyDocument={encoded}"));
        let identity = format!("{{\"EmailIdentity\":\"{VERIFIED}\"}}");
        call(port, "ses", "/v2/email/identities", "application/json", &identity);
        (moto.key_id, moto.secret) = (between(&key, "AccessKeyId"), between(&key, "SecretAccessKey"));
        Some(moto)
    }

    /// A twin that checks nothing.
    pub(crate) fn open() -> Option<Moto> {
        Moto::launch(None)
    }

    fn launch(open_calls: Option<&str>) -> Option<Moto> {
        let Some(file) = program("moto_server") else {
            missing("moto_server is not installed: `pip install 'moto[server]'` in a virtual environment on the path");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let log = dir.path().join("moto.log");
        let mut command = Command::new(file);
        command.args(["-H", "127.0.0.1", "-p"]).arg(port.to_string());
        command.envs(open_calls.map(|calls| ("INITIAL_NO_AUTH_ACTION_COUNT", calls))).current_dir(dir.path());
        let mut server = Server::start(&mut command, &log);
        let listens = wait_until(|| {
            server.must_live("moto_server", &log);
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        assert!(listens, "moto_server did not listen on {port}");
        let base_url = format!("http://127.0.0.1:{port}");
        let (key_id, secret) = (String::new(), String::new());
        Some(Moto { base_url, port, key_id, secret, _server: server, _dir: dir })
    }

    /// One open call of SNS; its reply's body.
    pub(crate) fn sns(&self, form: &[(&str, &str)]) -> String {
        let form: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        call(self.port, "sns", "/", FORM, &form)
    }

    /// A certificate of SNS. Moto tells its services by the names of their hosts, or by the signature's scope.
    pub(crate) fn certificate(&self, path: &str) -> String {
        exchange(self.port, &format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\n{}\r\n", self.port, scope("sns")))
    }

    /// What a service of moto holds: lists by kind.
    pub(crate) fn held(&self, service: &str, kind: &str) -> Vec<Value> {
        let reply = exchange(self.port, "GET /moto-api/data.json HTTP/1.0\r\n\r\n");
        let all: Value = serde_json::from_str(&reply).expect("moto's JSON");
        all[service][kind].as_array().cloned().unwrap_or_default()
    }
}

/// What stands between the tags of this name, the first of them.
pub(crate) fn between(xml: &str, tag: &str) -> String {
    let inside = xml.split_once(&format!("<{tag}>")).and_then(|(_, rest)| rest.split_once("</"));
    inside.map(|(word, _)| word.to_owned()).unwrap_or_else(|| panic!("no {tag} in {xml}"))
}

fn scope(service: &str) -> String {
    format!(
        "Authorization: AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, \
         Signature=0\r\n"
    )
}

/// One open call; its reply's body.
fn call(port: u16, service: &str, path: &str, kind: &str, body: &str) -> String {
    exchange(
        port,
        &format!(
            "POST {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{}\r\n{body}",
            body.len(),
            scope(service)
        ),
    )
}

fn exchange(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("moto listens");
    stream.write_all(request.as_bytes()).expect("written");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply");
    let (head, body) = reply.split_once("\r\n\r\n").expect("a whole reply");
    assert!(head.contains(" 200 "), "{head}\n{body}");
    body.to_owned()
}

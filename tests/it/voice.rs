//! A telephone call by a provider, from the list to the key that was pressed: the provider is given an address, fetches
//! from it what to say, and reports to it; nobody else is told a thing.

use crate::support::free_port;
use crate::verbs::{CONFIG, Place};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use url::form_urlencoded;

const LIST: &str = "ref,name,email,phone,locale\nA1,Ada Lovelace,,+4915112345678,en\n";
const SID: &str = "CA00000000000000000000000000000001";

/// What Twilio was asked for, form by form. Ends with the process.
fn twilio() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let forms: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&forms);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            stream.and_then(|stream| answer(stream, &kept)).expect("a request");
        }
    });
    (url, forms)
}

fn answer(mut stream: TcpStream, forms: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut octets = Vec::new();
    let mut buffer = [0; 4096];
    let (mut head, mut length) = (None, 0);
    while head.is_none_or(|head: usize| octets.len() < head + length) {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        octets.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&octets).to_lowercase();
        if let Some((before, _)) = text.split_once("\r\n\r\n") {
            head = Some(before.len() + 4);
            let announced = before.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            length = announced.unwrap_or(0);
        }
    }
    let form = String::from_utf8_lossy(&octets[head.unwrap_or(0)..]).into_owned();
    let body = format!(r#"{{"sid":"{SID}","status":"queued"}}"#);
    if !form.is_empty() {
        forms.lock().unwrap().push(form);
    }
    write!(stream, "HTTP/1.1 201 Created\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// Ends with the test.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("it ran");
    }
}

fn serve(place: &Place) -> Serving {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
    command.current_dir(place.path("")).env_remove("FOREWARN_CONFIG").env_remove("FOREWARN_LOG").arg("serve");
    let said = fs_err::File::create(place.path("serve.log")).expect("a file").into_parts().0;
    Serving(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn().expect("the binary runs"))
}

/// A call of Twilio's at an address, signed with `token`: status, content type and document.
async fn call(token: &str, url: &str, fields: &[(&str, &str)]) -> (u16, String, String) {
    let mut sorted = fields.to_vec();
    sorted.sort_unstable();
    let signed: String = sorted.iter().flat_map(|(name, value)| [*name, *value]).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, format!("{url}{signed}").as_bytes()));
    let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    // Another test may have been first.
    rustls::crypto::ring::default_provider().install_default().ok();
    let request = reqwest::Client::new().post(url).header("X-Twilio-Signature", signature).body(body);
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    let response = request.send().await.expect("an answer");
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    (response.status().as_u16(), kind.unwrap_or_default(), response.text().await.expect("text"))
}

/// The address that a document sends the next key to.
fn action(document: &str) -> String {
    let rest = document.split_once("action=\"").expect("an action").1;
    rest.split_once('"').expect("its end").0.replace("&amp;", "&")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_presses_the_key_is_told_and_the_notice_is_acknowledged() {
    let (base_url, forms) = twilio();
    let place = Place::new("{ channel = \"phone\" }", LIST);
    let sheet = "name = \"callers\"\nchannel = \"phone\"\nprovider = \"call-sheet\"\nsettings = { dir = \"calls\" }";
    assert!(CONFIG.contains(sheet));
    let port = free_port();
    let route = format!(
        "name = \"caller\"\nchannel = \"phone\"\nprovider = \"twilio-voice\"\nsettings = {{ base_url = \"{base_url}\", \
         account_sid = \"AC00000000000000000000000000000001\", auth_token = \"file:twilio.secret\", from = \
         \"+15005550006\", receipts = true }}\n[server]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"http://127.0.0.1:{port}\""
    );
    fs_err::write(place.path("config.toml"), CONFIG.replace(sheet, &route)).unwrap();
    fs_err::write(place.path("twilio.secret"), "example-token\n").unwrap();
    place.ok("campaign approve ID --by bob");
    place.ok("campaign start ID");
    let _serving = serve(&place);
    for _ in 0..400 {
        if !forms.lock().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let form = forms.lock().unwrap().first().cloned().expect("a call was asked for");
    let asked = |name: &str| {
        let found = form_urlencoded::parse(form.as_bytes()).find(|(known, _)| known == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_else(|| panic!("no {name} in {form}"))
    };
    assert_eq!(asked("To"), "+4915112345678");
    let start = asked("Url");
    assert!(start.starts_with(&format!("http://127.0.0.1:{port}/hooks/caller/")), "{start}");
    assert!(!form.contains("Ada") && !form.contains("Portal"), "Twilio is told what to say when it asks: {form}");

    let picked_up = [("CallSid", SID), ("CallStatus", "in-progress"), ("AnsweredBy", "human")];
    assert_eq!(call("guessed", &start, &picked_up).await.0, 401);
    let (status, kind, opening) = call("example-token", &start, &picked_up).await;
    assert_eq!((status, kind.as_str()), (200, "text/xml; charset=utf-8"), "{opening}");
    assert!(opening.contains("Example Ltd") && !opening.contains("Somebody read files"), "{opening}");
    let pressed = [("CallSid", SID), ("CallStatus", "in-progress"), ("Digits", "1")];
    let (_, _, message) = call("example-token", &action(&opening), &pressed).await;
    assert!(message.contains("Somebody read files"), "{message}");
    let (_, _, end) = call("example-token", &action(&message), &pressed).await;
    assert!(end.contains("<Hangup/>") && !end.contains("<Say"), "{end}");

    let mut status = Value::Null;
    for _ in 0..100 {
        status = place.json("campaign status ID --json");
        if status["notices"]["acknowledged"] == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let said = fs_err::read_to_string(place.path("serve.log")).unwrap();
    let log = place.ok("campaign log ID --format jsonl");
    assert_eq!((&status["notices"]["acknowledged"], &status["satisfied"]), (&1.into(), &1.into()), "{said}\n{log}");
    assert_eq!(place.sum(), "1=1+0+0+0+0");
}

//! A provider that sends approved words only: people are shown what will be read, whose values would be refused, and
//! exactly that is sent.

use crate::support::place::{CONFIG, Place};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

const WORDS: &str = "${name}您好,${org}发现一起安全事件。详情请致电${tel}。";
const LIST: &str = "ref,name,email,phone,locale\n\
    A1,Ada Lovelace,,+4915112345678,en\n\
    B2,Bartholomew Maximilian Featherstonehaugh-Cholmondeley,,+4915112345679,en\n\
    C3,visit www.example.org,,+8613900000000,de\n";

/// What came, head by head. Ends with the process.
struct Aliyun {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Aliyun {
    /// `words`: the template as this provider has it.
    fn start(words: &'static str) -> Aliyun {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&heads);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                stream.and_then(|stream| answer(stream, words, &kept)).expect("a request");
            }
        });
        Aliyun { url, heads }
    }

    /// The requests that would have sent something.
    fn sent(&self) -> Vec<String> {
        let heads = self.heads.lock().unwrap();
        heads.iter().filter(|head| head.contains("x-acs-action: SendSms")).cloned().collect()
    }
}

fn answer(mut stream: TcpStream, words: &str, heads: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        head.extend_from_slice(&buffer[..read]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let body = if head.contains("x-acs-action: SendSms") {
        r#"{"Code":"OK","Message":"OK","BizId":"900^0"}"#.to_owned()
    } else {
        serde_json::json!({ "Code": "OK", "TemplateStatus": 1, "TemplateContent": words }).to_string()
    };
    heads.lock().unwrap().push(head);
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// A place whose text messages go by Alibaba Cloud.
fn place(aliyun: &Aliyun, values: &str) -> Place {
    let place = Place::new("{ channel = \"sms\" }", LIST);
    let settings = format!(
        "settings = {{ base_url = \"{}\", access_key_id = \"LTAI5tEXAMPLE\", access_key_secret = \"file:aliyun.secret\", \
         sign_name = \"示例公司\", template_code = \"SMS_123\", template_text = \"{WORDS}\", template_values = {values} }}",
        aliyun.url
    );
    let sandbox = "name = \"text\"\nchannel = \"sms\"\nprovider = \"sandbox\"\nsettings = { dir = \"outbox\" }";
    assert!(CONFIG.contains(sandbox));
    let route = format!("name = \"hangzhou\"\nchannel = \"sms\"\nprovider = \"aliyun-sms\"\n{settings}");
    fs_err::write(place.path("config.toml"), CONFIG.replace(sandbox, &route)).unwrap();
    let secret = place.path("aliyun.secret");
    fs_err::write(&secret, "example-secret\n").unwrap();
    // The approval is bound to these words too.
    assert_eq!(place.json("campaign create incident.toml --by alice --json")["unchanged"], false);
    place
}

const VALUES: &str = "{ name = \"{{name}}\", org = \"{{organisation}}\", tel = \"021-55550100\" }";

#[test]
fn people_are_shown_what_is_sent_and_exactly_that_is_sent() {
    let aliyun = Aliyun::start(WORDS);
    let place = place(&aliyun, VALUES);
    let report = place.json("check incident.toml --json");
    assert_eq!((&report["persons"], &report["rejected"]), (&3.into(), &0.into()));
    let found: Vec<(i64, &str)> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| {
            let message = problem["message"].as_str().unwrap();
            assert!(
                message.contains("`name`") && !message.contains("Cholmondeley") && !message.contains("www."),
                "{message}"
            );
            (problem["row"].as_i64().unwrap(), problem["code"].as_str().unwrap())
        })
        .collect();
    assert_eq!(found, [(2, "template-value"), (3, "template-value")]);
    let warnings = report["warnings"].as_array().unwrap();
    let told = warnings.iter().find(|warning| warning["code"] == "approved-template").expect("told before the start");
    let told = told["message"].as_str().unwrap();
    assert!(told.contains("route `hangzhou`") && told.contains("SMS_123") && told.contains(WORDS), "{told}");

    let reads = "【示例公司】Ada Lovelace您好,Example Ltd发现一起安全事件。详情请致电021-55550100。";
    let shown = place.ok("campaign preview ID --ref A1 --channel sms");
    assert!(shown.contains(reads) && shown.contains("by route hangzhou"), "{shown}");
    let shown = place.json("campaign preview ID --ref A1 --channel sms --json");
    assert_eq!(shown["previews"][0]["by_route"][0]["text"], reads);

    place.ok("campaign approve ID --by bob");
    place.ok("campaign start ID");
    place.ok("worker --once");
    let sent = aliyun.sent();
    assert_eq!(sent.len(), 1, "one person's values can be sent");
    for part in ["PhoneNumbers=4915112345678&", "%22name%22%3A%22Ada%20Lovelace%22", "%22org%22%3A%22Example%20Ltd%22"]
    {
        assert!(sent[0].contains(part), "{part} in {}", sent[0]);
    }
    assert_eq!(place.sum(), "3=1+0+2+0+0", "nobody is forgotten");
    let log = place.ok("campaign log ID --format jsonl");
    assert_eq!(log.matches("template-value").count(), 2, "{log}");
    assert!(!log.contains("Cholmondeley") && !log.contains("example-secret"), "{log}");
}

#[test]
fn words_that_the_provider_has_not_approved_and_values_without_a_place_are_found_before() {
    let aliyun = Aliyun::start("${name}您好,有其他内容。");
    let place = place(&aliyun, VALUES);
    let doctor = place.run("doctor");
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("template-differs"), "{said}");
    assert!(aliyun.sent().is_empty());

    let config = fs_err::read_to_string(place.path("config.toml")).unwrap();
    fs_err::write(place.path("config.toml"), config.replace("tel = ", "telephone = ")).unwrap();
    let said = String::from_utf8_lossy(&place.run("doctor").stdout).into_owned();
    assert!(said.contains("a place `tel`, and nothing is said to go there"), "{said}");
    assert!(said.contains("no place `telephone`"), "{said}");
}

#[test]
fn other_words_than_those_of_the_approval_are_not_sent() {
    let aliyun = Aliyun::start(WORDS);
    let place = place(&aliyun, VALUES);
    place.ok("campaign approve ID --by bob");
    place.ok("campaign start ID");
    let config = fs_err::read_to_string(place.path("config.toml")).unwrap();
    fs_err::write(place.path("config.toml"), config.replace("021-55550100", "021-66660100")).unwrap();
    assert_eq!(place.json("campaign status ID --json")["words_changed"], true);
    let done = place.run("worker --once");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(said.contains("is not the one that the campaign was approved with"), "{said}");
    assert!(aliyun.sent().is_empty());
    assert_eq!(place.sum(), "3=0+3+0+0+0");
    // With the words of the approval it goes on.
    fs_err::write(place.path("config.toml"), config).unwrap();
    place.ok("worker --once");
    assert_eq!(aliyun.sent().len(), 1);
}

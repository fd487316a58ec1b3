//! A private Kannel: bearerbox, smsbox and an operator (`fakesmsc`) that writes down every part it is given.

use super::{Server, free_port, missing, program, wait_until};
use forewarn::providers::settings::Settings;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The `sendsms-user` of the gateway, and how many parts it lets a text have.
pub(crate) const USERNAME: &str = "fw";
pub(crate) const PASSWORD: &str = "pass word&";
pub(crate) const MAX_MESSAGES: u32 = 6;

pub(crate) struct Kannel {
    /// `http://127.0.0.1:PORT`, where smsbox takes sendsms requests.
    pub(crate) base_url: String,
    // In the order in which they are stopped.
    operator: Option<Server>,
    smsbox: Option<Server>,
    bearerbox: Server,
    dir: tempfile::TempDir,
}

/// One short message as it came to the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) to: String,
    /// Place in its series and length of the series, from 1; (1, 1) for a text of one part.
    pub(crate) place: (u8, u8),
    /// As on the air: UTF-16BE for what was sent as UCS-2, else UTF-8.
    pub(crate) octets: Vec<u8>,
}

struct Programs {
    bearerbox: PathBuf,
    smsbox: PathBuf,
    fakesmsc: PathBuf,
}

struct Ports {
    admin: u16,
    boxes: u16,
    operator: u16,
    sendsms: u16,
}

impl Kannel {
    /// Starts all three and waits until they are connected to one another.
    pub(crate) fn start() -> Option<Kannel> {
        let all = [program("bearerbox"), program("smsbox"), program("fakesmsc")];
        let [Some(bearerbox), Some(smsbox), Some(fakesmsc)] = all else {
            missing("Kannel is not installed: on Debian `apt-get install kannel kannel-extras` (no daemon need run)");
            return None;
        };
        Some(Kannel::launch(&Programs { bearerbox, smsbox, fakesmsc }))
    }

    fn launch(programs: &Programs) -> Kannel {
        let ports = Ports { admin: free_port(), boxes: free_port(), operator: free_port(), sendsms: free_port() };
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("kannel.conf");
        fs_err::write(&config, configuration(&ports, dir.path())).unwrap();
        let log = |name: &str| dir.path().join(name);
        let gateway = |program: &Path| {
            let mut command = Command::new(program);
            command.args(["-v", "4"]).arg(&config).current_dir(dir.path());
            command
        };
        // Each as soon as what it connects to listens: they would try again only after seconds.
        let mut bearerbox = Server::start(&mut gateway(&programs.bearerbox), &log("bearerbox.log"));
        for port in [ports.admin, ports.boxes] {
            let listens = wait_until(|| {
                bearerbox.must_live("bearerbox", &log("bearerbox.log"));
                TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
            });
            assert!(listens, "bearerbox did not listen on {port}");
        }
        let mut smsbox = Server::start(&mut gateway(&programs.smsbox), &log("smsbox.log"));
        let mut command = Command::new(&programs.fakesmsc);
        // It sends none itself, but will not start without one to send.
        command.args(["-H", "127.0.0.1", "-m", "0", "-r"]).arg(ports.operator.to_string()).arg("1 2 text hello");
        let mut operator = Server::start(&mut command, &log("operator.log"));
        let ready = wait_until(|| {
            bearerbox.must_live("bearerbox", &log("bearerbox.log"));
            smsbox.must_live("smsbox", &log("smsbox.log"));
            operator.must_live("fakesmsc", &log("operator.log"));
            let status = get(ports.admin, "/status.txt?password=status").unwrap_or_default();
            status.contains("(online") && status.contains("smsbox:") && get(ports.sendsms, "/").is_ok()
        });
        assert!(ready, "Kannel did not become ready");
        let base_url = format!("http://127.0.0.1:{}", ports.sendsms);
        Kannel { base_url, operator: Some(operator), smsbox: Some(smsbox), bearerbox, dir }
    }

    /// The settings of a route over this gateway.
    pub(crate) fn settings(&self) -> Settings {
        Settings::new()
            .with("base_url", &self.base_url)
            .with("username", USERNAME)
            .with_secret("password", PASSWORD)
            .with("max_messages", MAX_MESSAGES)
    }

    /// Nobody listens for sendsms requests any more; what is in the gateway goes on to the operator.
    pub(crate) fn stop_smsbox(&mut self) {
        self.smsbox = None;
    }

    /// The link to the operator is down: texts wait in the gateway.
    pub(crate) fn stop_operator(&mut self) {
        self.operator = None;
    }

    /// The parts that the operator has, in the order in which they came.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let log = fs_err::read(self.dir.path().join("operator.log")).unwrap();
        parts_in(&String::from_utf8_lossy(&log))
    }

    /// The parts, as soon as there are so many: the gateway accepts a text before it hands it on. Fewer where no more
    /// came for a long time.
    pub(crate) fn wait_for_parts(&mut self, count: usize) -> Vec<Part> {
        let log = self.dir.path().join("bearerbox.log");
        let mut parts = self.parts();
        while parts.len() < count {
            let more = wait_until(|| {
                self.bearerbox.must_live("bearerbox", &log);
                self.parts().len() > parts.len()
            });
            parts = self.parts();
            if !more {
                break;
            }
        }
        parts
    }
}

/// Only the operator's port listens beyond the loopback; it takes connections from there alone.
fn configuration(ports: &Ports, dir: &Path) -> String {
    let Ports { admin, boxes, operator, sendsms } = ports;
    let store = dir.join("store");
    format!(
        r#"group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = admin
status-password = status
smsbox-port = {boxes}
smsbox-interface = 127.0.0.1
box-allow-ip = "127.0.0.1"
box-deny-ip = "*.*.*.*"
store-type = file
store-location = "{store}"
dlr-storage = internal

group = smsc
smsc = fake
smsc-id = FAKE
host = 127.0.0.1
port = {operator}
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1
global-sender = 10690000

group = sendsms-user
username = {USERNAME}
password = "{PASSWORD}"
max-messages = {MAX_MESSAGES}
concatenation = true
user-deny-ip = "*.*.*.*"
user-allow-ip = "127.0.0.1"

group = sms-service
keyword = default
text = "no service"
"#,
        store = store.display()
    )
}

fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply)
}

/// Reads `… Got message 3: <SENDER RECEIVER KIND …>` lines: kind `text` in clear, `ucs-2` and `data` URL-encoded, with the
/// user data header in front of `data` where a text has several parts. A line break in a clear text begins a new line.
fn parts_in(log: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for line in log.lines() {
        let Some((_, got)) = line.split_once("Got message ") else { continue };
        let got = got.split_once(": <").map_or("", |(_, got)| got.strip_suffix('>').unwrap_or(got));
        let words: Vec<&str> = got.splitn(4, ' ').collect();
        let part = match words[..] {
            [_, to, "text", text] => (to, (1, 1), text.as_bytes().to_vec()),
            [_, to, "ucs-2", text] => (to, (1, 1), url_decoded(text)),
            [_, to, "udh", rest] => {
                let (header, text) = rest.split_once(" data ").expect("a series is sent as data");
                let header = url_decoded(header);
                let [.., total, number] = header[..] else { panic!("a header of a series: {header:?}") };
                (to, (number, total), url_decoded(text))
            }
            _ => {
                let before = parts.last_mut().expect("a text begins before it goes on");
                before.octets.push(b'\n');
                before.octets.extend_from_slice(got.as_bytes());
                continue;
            }
        };
        parts.push(Part { to: part.0.to_owned(), place: part.1, octets: part.2 });
    }
    parts
}

fn url_decoded(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    octets
}

#[test]
fn the_operators_log_is_understood() {
    let log = "2026 [1] [0] INFO: fakesmsc starting\n\
        2026 [1] [0] DEBUG: Got message 1: <10690000 +491 text Hello 100% <world> a>\n\
        2026 [1] [0] DEBUG: Got message 2: <b>\n\
        2026 [1] [0] DEBUG: Got message 3: <10690000 +862 ucs-2 %60%A8v%84>\n\
        2026 [1] [0] DEBUG: Got message 4: <10690000 +863 udh %05%00%03%02%03%01 data Abc~d+%5B>\n";
    let part = |to: &str, place, octets: &[u8]| Part { to: to.to_owned(), place, octets: octets.to_vec() };
    assert_eq!(
        parts_in(log),
        [
            part("+491", (1, 1), b"Hello 100% <world> a\nb"),
            part("+862", (1, 1), &[0x60, 0xa8, 0x76, 0x84]),
            part("+863", (1, 3), b"Abc~d ["),
        ]
    );
}

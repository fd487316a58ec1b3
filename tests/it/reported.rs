//! What comes back, through the whole program: `serve` sends, providers report to its addresses, and the campaign knows.

use crate::support::kannel::{Kannel, MAX_MESSAGES, PASSWORD, USERNAME};
use crate::support::place::incident;
use crate::support::{free_port, provider, wait_until};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

pub(crate) const TOKEN: &str = "account-token";

/// An installation whose providers can reach it.
pub(crate) struct Installation {
    folder: tempfile::TempDir,
    port: u16,
    campaign: String,
    serving: Option<Child>,
}

impl Installation {
    /// A started campaign by this ladder, with these secrets and routes; it is being sent.
    pub(crate) fn serving(ladder: &str, list: &str, secrets: &[(&str, &str)], routes: &str) -> Installation {
        Installation::serving_on("sqlite://forewarn.db", ladder, list, secrets, routes)
    }

    /// The same on this database; what is secret may be any file, its folder is made.
    pub(crate) fn serving_on(
        database: &str,
        ladder: &str,
        list: &str,
        secrets: &[(&str, &str)],
        routes: &str,
    ) -> Installation {
        let folder = tempfile::tempdir().expect("folder");
        let mut place = Installation { folder, port: free_port(), campaign: String::new(), serving: None };
        place.ok("init");
        for (name, secret) in secrets {
            let mut options = fs_err::OpenOptions::new();
            options.write(true).create(true);
            options.options_mut().mode(0o600);
            let path = place.folder.path().join(name);
            fs_err::create_dir_all(path.parent().expect("a folder")).expect("made");
            let mut file = options.open(path).expect("made");
            file.write_all(secret.as_bytes()).expect("written");
        }
        let port = place.port;
        let config = format!(
            "[database]\nurl = \"{database}\"\n[keys]\nmaster = \"file:master.key\"\n[sender]\norganisation = \
             \"Example & Sons\"\nemail = \"dpo@example.com\"\n[server]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \
             \"http://127.0.0.1:{port}\"\n{routes}"
        );
        for (name, content) in [("config.toml", &*config), ("incident.toml", &incident(ladder)), ("list.csv", list)] {
            fs_err::write(place.folder.path().join(name), content).expect("written");
        }
        let made: Value =
            serde_json::from_str(&place.ok("campaign create incident.toml --by alice --json")).expect("JSON");
        place.campaign = made["campaign"].as_str().expect("an id").to_owned();
        place.ok("campaign approve ID --by bob");
        place.ok("campaign start ID");
        let log = fs_err::File::create(place.folder.path().join("serve.log")).expect("a log");
        let mut command = place.command("serve");
        command.stdout(Stdio::null()).stderr(log.into_parts().0);
        place.serving = Some(command.spawn().expect("started"));
        place
    }

    fn command(&self, line: &str) -> Command {
        let words = line.split_whitespace().map(|w| if w == "ID" { self.campaign.as_str() } else { w });
        let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
        command.current_dir(self.folder.path()).env_remove("FOREWARN_CONFIG").env_remove("FOREWARN_LOG");
        command.stdin(Stdio::null()).args(words);
        command
    }

    pub(crate) fn ok(&self, line: &str) -> String {
        let done = self.command(line).output().expect("the binary runs");
        assert_eq!(done.status.code(), Some(0), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("UTF-8")
    }

    /// One more process of the installation, ended when it is dropped.
    pub(crate) fn beside(&self, line: &str) -> Beside {
        Beside(self.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started"))
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.ok("campaign status ID --json")).expect("JSON")
    }

    /// Waits until so many notices are in a state.
    pub(crate) fn wait_for(&self, state: &str, count: i64) {
        let there = wait_until(|| self.status()["notices"][state] == count);
        assert!(there, "not {count} {state}: {}\n{}", self.status(), self.said());
    }

    /// Posts a form to an address of ours, signed as Twilio does; status and body.
    pub(crate) fn post(&self, url: &str, form: &[(&str, &str)], token: &str) -> (u16, String) {
        let mut sorted = form.to_vec();
        sorted.sort_unstable();
        let text: String =
            std::iter::once(url.to_owned()).chain(sorted.iter().map(|(k, v)| format!("{k}{v}"))).collect();
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
        let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let headers = format!("X-Twilio-Signature: {signature}\r\nContent-Type: application/x-www-form-urlencoded");
        let (status, head, body) = self.post_raw(url, &headers, body.as_bytes());
        let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default().to_owned();
        assert_eq!(kind.is_empty(), body.is_empty(), "{head}");
        assert!(kind.is_empty() || kind == "text/xml; charset=utf-8", "{kind}");
        (status, body)
    }

    /// Posts this body to an address of ours: status, head in small letters, body.
    pub(crate) fn post_raw(&self, url: &str, headers: &str, body: &[u8]) -> (u16, String, String) {
        let length = body.len();
        let head = format!("{headers}\r\nConnection: close\r\nContent-Length: {length}");
        let mut stream = self.begin_post(url, &head);
        stream.write_all(body).expect("asked");
        answer(&mut stream)
    }

    /// Sends the head of a POST at an address of ours.
    pub(crate) fn begin_post(&self, url: &str, headers: &str) -> TcpStream {
        let path = url.strip_prefix(&format!("http://127.0.0.1:{}", self.port)).expect("an address of ours");
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
        write!(stream, "POST {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n").expect("asked");
        stream
    }

    /// A connection that says where it would report, and nothing more.
    pub(crate) fn begin_silence(&self, url: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        write!(stream, "POST {url} HTTP/1.1\r\nHost:").expect("begun");
        stream
    }

    /// What a metric says, by its labels.
    pub(crate) fn metric(&self, line: &str) -> Option<u64> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
        let (_, _, body) = answer(&mut stream);
        body.lines().find_map(|l| l.strip_prefix(line)?.trim().parse().ok())
    }

    /// Starts `serve` with this configuration and waits until it takes reports.
    pub(crate) fn serve(&mut self, config: &str) {
        let log = fs_err::OpenOptions::new().create(true).append(true).open(self.path("serve.log")).expect("a log");
        let mut command = self.command(&format!("serve --config {config}"));
        command.stdout(Stdio::null()).stderr(log.into_parts().0);
        self.serving = Some(command.spawn().expect("started"));
        assert!(wait_until(|| self.metric("forewarn_database_up") == Some(1)), "{}", self.said());
    }

    /// Kills `serve`, as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut serving) = self.serving.take() {
            serving.kill().expect("killed");
            serving.wait().expect("ended");
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What `serve` has logged.
    pub(crate) fn said(&self) -> String {
        fs_err::read_to_string(self.path("serve.log")).unwrap_or_default()
    }
}

/// Status, head in small letters and body of an answer; status 0 where the connection ended without one.
pub(crate) fn answer(stream: &mut TcpStream) -> (u16, String, String) {
    let mut reply = Vec::new();
    // Whoever does not read to the end resets the connection behind its answer.
    stream.read_to_end(&mut reply).ok();
    let reply = String::from_utf8_lossy(&reply);
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or((&reply, ""));
    (head.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0), head.to_lowercase(), body.to_owned())
}

impl Drop for Installation {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process beside the one that serves.
pub(crate) struct Beside(Child);

impl Drop for Beside {
    fn drop(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("ended");
    }
}

/// A Twilio that takes every call, and tells the form it came with.
pub(crate) fn twilio() -> (String, mpsc::Receiver<Vec<(String, String)>>) {
    let (calls, came) = mpsc::channel();
    let url = provider::listen(move |_, body| {
        // The test may be over.
        calls.send(url::form_urlencoded::parse(body).into_owned().collect()).ok();
        (201, r#"{"sid":"CA00000000000000000000000000000001","status":"queued"}"#.to_owned())
    });
    (url, came)
}

#[test]
fn a_call_speaks_in_the_persons_language_to_whoever_presses_a_key_and_a_key_acknowledges_it() {
    let (base_url, calls) = twilio();
    let routes = format!(
        "[[route]]\nname = \"calls\"\nchannel = \"phone\"\nprovider = \"twilio-voice\"\nsettings = {{ base_url = \
         \"{base_url}\", account_sid = \"AC00000000000000000000000000000001\", auth_token = \"file:token\", from = \
         \"+15005550006\", receipts = true }}\n"
    );
    let list = "ref,name,phone,locale\nP-1,Ann <b> & Co,+4915112345678,de\n";
    let place = Installation::serving(r#"{ channel = "phone" }"#, list, &[("token", TOKEN)], &routes);
    let call = calls.recv_timeout(Duration::from_secs(30)).expect("a call");
    let value = |name: &str| call.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).expect(name);
    assert_eq!((value("To").as_str(), value("MachineDetection").as_str()), ("+4915112345678", "Enable"));
    assert!(!call.iter().any(|(_, value)| value.contains("Ann") || value.contains("files")), "the words stay here");
    place.wait_for("accepted", 1);

    let sid = [("CallSid", "CA00000000000000000000000000000001"), ("To", "+4915112345678")];
    let form = |more: &[(&'static str, &'static str)]| [&sid[..], more].concat();
    let start = value("Url");
    assert!(start.starts_with(&format!("http://127.0.0.1:{}/hooks/calls/", place.port)), "{start}");
    // Whoever cannot sign hears nothing; a machine hears nothing either.
    let (status, body) = place.post(&start, &form(&[("CallStatus", "in-progress")]), "guessed");
    assert_eq!((status, body.as_str()), (401, ""));
    let (_, body) = place.post(&start, &form(&[("AnsweredBy", "machine_start")]), TOKEN);
    assert!(body.ends_with("<Response><Hangup/></Response>"), "{body}");
    let (status, body) = place.post(&start, &form(&[("AnsweredBy", "human")]), TOKEN);
    assert_eq!(status, 200);
    assert!(body.contains("<Say language=\"de-DE\" loop=\"2\">Guten Tag."), "{body}");
    assert!(body.contains("Example &amp; Sons für Ann &lt;b&gt; &amp; Co."), "{body}");
    assert!(!body.contains("Somebody read files"), "the opening tells nothing: {body}");

    let next = |body: &str| {
        let action = body.split("action=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a next question");
        action.replace("&amp;", "&")
    };
    let pressed = form(&[("CallStatus", "in-progress"), ("Digits", "1")]);
    let (_, body) = place.post(&next(&body), &pressed, TOKEN);
    assert!(body.contains("Somebody read files.") && body.contains("Change your password."), "{body}");
    place.wait_for("delivered", 1);
    let (_, body) = place.post(&next(&body), &pressed, TOKEN);
    assert!(body.ends_with("<Response><Hangup/></Response>"), "{body}");
    place.wait_for("acknowledged", 1);
    let (status, _) =
        place.post(&value("StatusCallback").replace("#rc=5&rp=all", ""), &form(&[("CallStatus", "completed")]), TOKEN);
    assert_eq!(status, 204);
    let ended = place.status();
    assert_eq!((&ended["satisfied"], &ended["in_flight"], &ended["needs_human"]), (&1.into(), &0.into(), &0.into()));
}

#[test]
fn what_kannel_delivered_is_known_to_the_campaign() {
    let Some(kannel) = Kannel::start() else { return };
    let routes = format!(
        "[[route]]\nname = \"gateway\"\nchannel = \"sms\"\nprovider = \"kannel\"\nsettings = {{ base_url = \"{}\", \
         username = \"{USERNAME}\", password = \"file:password\", max_messages = {MAX_MESSAGES}, receipts = true }}\n",
        kannel.base_url
    );
    let rows: String =
        (0..12).map(|n| format!("P-{n},Person {n},+49151{n:08},{}\n", if n % 2 == 0 { "en" } else { "de" })).collect();
    let list = format!("ref,name,phone,locale\n{rows}");
    let place = Installation::serving(r#"{ channel = "sms" }"#, &list, &[("password", PASSWORD)], &routes);
    place.wait_for("delivered", 12);
    let ended = place.status();
    assert_eq!((&ended["satisfied"], &ended["attempts"]), (&12.into(), &12.into()), "{ended}");
}

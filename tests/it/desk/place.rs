//! An installation whose campaign leaves cases behind: routes that refuse on purpose, on SQLite or PostgreSQL.

use crate::support::app::Engine;
use crate::support::place::incident;
use crate::support::servers;
use serde_json::Value;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// Routes whose faults the story chooses; nothing leaves this machine.
fn config(database: &str, email: &str, sms: &str, phone: bool) -> String {
    let callers = r#"
[[route]]
name = "callers"
channel = "phone"
provider = "call-sheet"
settings = { dir = "calls" }
"#;
    format!(
        r#"
[database]
url = "{database}"
[keys]
master = "file:master.key"
[sender]
organisation = "Example Ltd"
email = "Data Protection <dpo@example.com>"
[[route]]
name = "mail"
channel = "email"
provider = "sandbox"
settings = {{ dir = "outbox", faults = "{email}" }}
[[route]]
name = "text"
channel = "sms"
provider = "sandbox"
settings = {{ dir = "outbox", faults = "{sms}" }}
{}"#,
        if phone { callers } else { "" }
    )
}

/// One campaign that has run as far as the program gets by itself.
pub(super) struct Desk {
    folder: tempfile::TempDir,
    pub(super) campaign: String,
    engine: (String, bool),
}

impl Desk {
    /// `faults` are those of the email and the SMS route.
    pub(super) async fn open(engine: Engine, ladder: &str, list: &str, faults: (&str, &str)) -> Desk {
        let folder = tempfile::tempdir().expect("folder");
        let database = match engine {
            Engine::Sqlite => "sqlite://forewarn.db".to_owned(),
            Engine::Postgres => {
                // An address with a password stands in no configuration.
                let url = servers::postgres().await.expect("the caller has asked").new_database().await;
                fs_err::write(folder.path().join("database.url"), url).expect("written");
                "file:database.url".to_owned()
            }
        };
        let phone = ladder.contains("phone");
        let mut desk = Desk { folder, campaign: String::new(), engine: (database, phone) };
        desk.ok("init");
        desk.routes(faults);
        for (name, content) in [("incident.toml", incident(ladder).as_str()), ("list.csv", list)] {
            fs_err::write(desk.path(name), content).expect("written");
        }
        let made = desk.json("campaign create incident.toml --by alice --json");
        desk.campaign = made["campaign"].as_str().expect("an id").to_owned();
        desk.ok("campaign approve ID --by bob");
        desk.ok("campaign start ID");
        desk.ok("worker --once");
        desk
    }

    /// Changes what the routes refuse from now on.
    pub(super) fn routes(&self, (email, sms): (&str, &str)) {
        let config = config(&self.engine.0, email, sms, self.engine.1);
        fs_err::write(self.path("config.toml"), config).expect("written");
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command; `ID` stands for the campaign, `_` within a word for a space.
    pub(super) fn command(&self, line: &str) -> Command {
        let word = |w: &str| if w == "ID" { self.campaign.clone() } else { w.replace('_', " ") };
        let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
        command.current_dir(self.folder.path()).env_remove("FOREWARN_CONFIG").env_remove("FOREWARN_LOG");
        command.env("USER", "dora").stdin(Stdio::null()).args(line.split_whitespace().map(word));
        command
    }

    pub(super) fn run(&self, line: &str) -> Output {
        self.command(line).output().expect("the binary runs")
    }

    /// Starts it without waiting for its end.
    pub(super) fn start(&self, line: &str) -> Child {
        self.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts")
    }

    pub(super) fn ok(&self, line: &str) -> String {
        let done = self.run(line);
        assert_eq!(done.status.code(), Some(0), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("UTF-8")
    }

    pub(super) fn json(&self, line: &str) -> Value {
        let line = if line.contains("--json") { line.to_owned() } else { format!("{line} --json") };
        serde_json::from_str(&self.ok(&line)).expect("one JSON object")
    }

    /// The code and the words of a refusal.
    pub(super) fn refused(&self, line: &str) -> (String, String) {
        let done = self.run(&format!("{line} --json"));
        assert_eq!(done.status.code(), Some(3), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        let answer: Value = serde_json::from_slice(&done.stdout).expect("one JSON object");
        let text = |key: &str| answer["refused"][0][key].as_str().expect("a text").to_owned();
        (text("code"), text("message"))
    }

    /// Gives a text on standard input.
    pub(super) fn with_input(&self, line: &str, input: &str) -> Output {
        let mut child = self
            .command(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
        child.wait_with_output().expect("it ends")
    }

    /// `persons=satisfied+in_flight+needs_human+unreachable+excluded`, after checking that it is true, and that the doctor
    /// counts the same.
    pub(super) fn sum(&self) -> String {
        let status = self.json("campaign status ID");
        let n = |key: &str| status[key].as_i64().expect("a number");
        let parts = ["satisfied", "in_flight", "needs_human", "unreachable", "excluded"].map(n);
        assert_eq!(n("persons"), parts.iter().sum::<i64>(), "{status}");
        let doctor = self.ok("doctor");
        assert!(doctor.contains("the books add up"), "{doctor}");
        format!("{}={}", n("persons"), parts.map(|p| p.to_string()).join("+"))
    }

    pub(super) fn log(&self) -> Vec<Value> {
        self.ok("campaign log ID --json").lines().map(|l| serde_json::from_str(l).expect("a JSON line")).collect()
    }

    /// The notes of the log about people, as `code text`.
    pub(super) fn noted(&self, reference: &str) -> Vec<String> {
        let about = |l: &&Value| l["ref"] == reference && l["event"] != "attempt";
        let words = |l: &Value| format!("{} {}", l["code"], l["text"]).replace('"', "");
        self.log().iter().filter(about).map(words).collect()
    }

    /// The files that the sandbox wrote, by channel: to whom.
    pub(super) fn sent(&self, channel: &str) -> Vec<String> {
        let mut found = Vec::new();
        for shelf in fs_err::read_dir(self.path("outbox").join(channel)).into_iter().flatten() {
            for file in fs_err::read_dir(shelf.expect("entry").path()).into_iter().flatten() {
                let text = fs_err::read_to_string(file.expect("entry").path()).expect("readable");
                found.extend(text.lines().find_map(|line| line.strip_prefix("To: ").map(str::to_owned)));
            }
        }
        found.sort();
        found
    }
}

//! An installation of its own in a temporary folder, worked by the binary, with routes that send nothing.

use crate::support::app::Engine;
use crate::support::servers;
use forewarn::evidence::bundle::Files;
use serde_json::Value;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub(crate) const CONFIG: &str = r#"
[database]
url = "sqlite://forewarn.db"
[keys]
master = "file:master.key"
[sender]
organisation = "Example Ltd"
email = "Data Protection <dpo@example.com>"
[[route]]
name = "mail"
channel = "email"
provider = "sandbox"
settings = { dir = "outbox" }
[[route]]
name = "text"
channel = "sms"
provider = "sandbox"
settings = { dir = "outbox" }
[[route]]
name = "callers"
channel = "phone"
provider = "call-sheet"
settings = { dir = "calls" }
"#;

/// An incident with two languages; the ladder differs by story.
pub(crate) fn incident(ladder: &str) -> String {
    let text = |language: &str| {
        format!(
            "[incident.text.{language}]\nwhat_happened = \"Somebody read files.\"\nlikely_consequences = \"Somebody may \
             pretend to be us.\"\nmeasures_taken = \"We closed the hole.\"\nwhat_you_can_do = \"Change your \
             password.\"\ncontact = \"privacy@example.com, 9-18\"\n"
        )
    };
    format!(
        "[incident]\nid = \"t-1\"\ntitle = \"Portal\"\noccurred = 2026-11-01T02:00:00+08:00\n\
         discovered = 2026-11-03T09:30:00+08:00\ndata_types = [\"name\", \"email\"]\n{}{}\
         [campaign]\nkind = \"initial\"\ntemplates = \"breach-notice\"\ndefault_locale = \"en\"\nladder = [{ladder}]\n\
         [[source]]\nfile = \"list.csv\"\n",
        text("en"),
        text("de")
    )
}

/// An installation of its own with one campaign.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    pub(crate) campaign: String,
}

impl Place {
    /// An installation without a campaign.
    pub(crate) fn empty() -> Place {
        let place = Place { folder: tempfile::tempdir().expect("folder"), campaign: String::new() };
        place.ok("init");
        fs_err::write(place.path("config.toml"), CONFIG).expect("written");
        place
    }

    /// The same on this engine, with a database of its own.
    pub(crate) async fn on(engine: Engine) -> Place {
        let place = Place::empty();
        if engine == Engine::Postgres {
            let url = servers::postgres().await.expect("a server").new_database().await;
            place.use_database(&url);
        }
        place
    }

    /// Has the installation use this database from now on.
    pub(crate) fn use_database(&self, url: &str) {
        let mut options = fs_err::OpenOptions::new();
        #[cfg(unix)]
        fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.write(true).create(true).open(self.path("database")).expect("made");
        std::io::Write::write_all(&mut file, url.as_bytes()).expect("written");
        let config = CONFIG.replace("sqlite://forewarn.db", "file:database");
        fs_err::write(self.path("config.toml"), config).expect("written");
    }

    /// Creates the campaign of a list; it waits for approval.
    pub(crate) fn new(ladder: &str, list: &str) -> Place {
        Place::empty().with_campaign(ladder, list)
    }

    /// The same in an installation that there is; after another campaign, it is one of another incident.
    pub(crate) fn with_campaign(mut self, ladder: &str, list: &str) -> Place {
        let place = &mut self;
        let id = if place.campaign.is_empty() { "id = \"t-1\"" } else { "id = \"t-2\"" };
        let incident = incident(ladder).replace("id = \"t-1\"", id);
        for (name, content) in [("incident.toml", &*incident), ("list.csv", list)] {
            fs_err::write(place.path(name), content).expect("written");
        }
        let made = place.json("campaign create incident.toml --by alice --json");
        place.campaign = made["campaign"].as_str().expect("an id").to_owned();
        self
    }

    pub(crate) fn started(ladder: &str, list: &str) -> Place {
        let place = Place::new(ladder, list);
        place.ok("campaign approve ID --by bob");
        place.ok("campaign start ID --wait");
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command line; `ID` stands for the campaign.
    pub(crate) fn run(&self, line: &str) -> Output {
        let words = line.split_whitespace().map(|w| if w == "ID" { self.campaign.as_str() } else { w });
        let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
        command.current_dir(self.folder.path()).env_remove("FOREWARN_CONFIG").env_remove("FOREWARN_LOG");
        command.env("USER", "carol").stdin(Stdio::null()).args(words).output().expect("the binary runs")
    }

    pub(crate) fn ok(&self, line: &str) -> String {
        let done = self.run(line);
        assert_eq!(done.status.code(), Some(0), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("UTF-8")
    }

    pub(crate) fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.ok(line)).expect("one JSON object")
    }

    pub(crate) fn refused(&self, line: &str) -> Value {
        let done = self.run(&format!("{line} --json"));
        assert_eq!(done.status.code(), Some(3), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        let answer: Value = serde_json::from_slice(&done.stdout).expect("one JSON object");
        answer["refused"][0]["code"].clone()
    }

    /// `persons=satisfied+in_flight+needs_human+unreachable+excluded`, after checking that it is true.
    pub(crate) fn sum(&self) -> String {
        let status = self.json("campaign status ID --json");
        let n = |key: &str| status[key].as_i64().expect("a number");
        let parts = ["satisfied", "in_flight", "needs_human", "unreachable", "excluded"].map(n);
        assert_eq!(n("persons"), parts.iter().sum::<i64>(), "{status}");
        format!("{}={}", n("persons"), parts.map(|p| p.to_string()).join("+"))
    }

    pub(crate) fn log(&self) -> Vec<Value> {
        self.ok("campaign log ID --json").lines().map(|l| serde_json::from_str(l).expect("a JSON line")).collect()
    }
}

pub(crate) const EMAIL_SMS: &str =
    r#"{ channel = "email" }, { channel = "sms", when = "not-delivered", after = "4h" }"#;

pub(crate) const LIST: &str = "ref,name,email,phone,locale,role\n\
    A-1,Ada Example,ada@example.org,,en,self\n\
    =B-2,Bert Beispiel,,+49 171 3920001,de,self\n\
    A-3,Cleo Example,cleo@example.org,+1 202 555 0101,en,guardian\n";

/// The files of a zip.
pub(crate) fn unzipped(zip: &Path) -> Files {
    let mut archive = zip::ZipArchive::new(fs_err::File::open(zip).expect("a zip")).expect("a zip");
    let mut files = Files::new();
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).expect("an entry");
        let name = file.name().expect("a name").into_owned();
        let mut octets = Vec::new();
        file.read_to_end(&mut octets).expect("whole");
        files.insert(name, octets);
    }
    files
}

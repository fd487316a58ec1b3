//! `forewarn doctor` and `forewarn provider` from outside: what is found, what is advised, and the exit codes.

use crate::support::place::{EMAIL_SMS, LIST, Place};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// Exit code, stdout and stderr of a command line.
fn run(folder: &Path, line: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
    command.current_dir(folder).env_remove("FOREWARN_CONFIG").env_remove("FOREWARN_LOG").stdin(Stdio::null());
    let done = command.args(line.split_whitespace()).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (done.status.code().expect("an exit code"), text(done.stdout), text(done.stderr))
}

/// A folder after `forewarn init`, with more text at the end of its configuration.
fn installation(more: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("folder");
    assert_eq!(run(dir.path(), "init").0, 0);
    let path = dir.path().join("config.toml");
    let config = fs_err::read_to_string(&path).expect("config");
    fs_err::write(&path, config + more).expect("written");
    dir
}

fn codes(stdout: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(stdout).expect("one JSON object");
    let refused = answer["refused"].as_array().cloned().unwrap_or_default();
    refused.iter().map(|r| r["code"].as_str().expect("a code").to_owned()).collect()
}

const BROKEN: &str = r#"
[[route]]
name = "relay"
channel = "email"
provider = "smtp"
settings = { host = "127.0.0.1", port = 9, tls = "none" }
[[route]]
name = "gateway"
channel = "sms"
provider = "kanel"
[[route]]
name = "half"
channel = "sms"
provider = "kannel"
settings = { base_url = "http://127.0.0.1:9" }
"#;

#[test]
fn a_fresh_installation_is_healthy_and_is_not_changed_by_looking() {
    let dir = installation("");
    let (code, stdout, stderr) = run(dir.path(), "doctor");
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    let lines: Vec<&str> = stdout.lines().filter(|l| !l.is_empty()).collect();
    for about in ["config", "key", "database", "disk", "route sandbox-sms", "templates breach-notice"] {
        assert!(lines.iter().any(|l| l.starts_with("ok ") && l.contains(&format!(" {about}: "))), "{about}: {stdout}");
    }
    assert!(!dir.path().join("forewarn.db").exists(), "looking makes no database");
    assert!(stdout.ends_with("nothing bad, 0 to look at\n"));
}

#[test]
fn each_broken_thing_is_named_with_what_to_do() {
    let dir = installation(BROKEN);
    let (code, stdout, _) = run(dir.path(), "doctor");
    assert_eq!(code, 3);
    for part in [
        "bad   route relay: the relay cannot be reached",
        "`forewarn provider test relay --to ADDRESS`",
        "did you mean `kannel`?; `forewarn provider list` says what there is",
        "bad   route half: the setting `max_messages` is missing",
        "`forewarn provider show kannel`",
        "ok    route sandbox-email",
    ] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let (code, stdout, _) = run(dir.path(), "doctor --json");
    assert_eq!(code, 3);
    let codes = codes(&stdout);
    assert!(codes.contains(&"route-check".to_owned()) && codes.contains(&"unknown-provider".to_owned()), "{codes:?}");
    let answer: Value = serde_json::from_str(&stdout).expect("JSON");
    assert!(answer["refused"].as_array().expect("refused").iter().any(|r| r["route"] == "relay"));
}

#[test]
fn configuration_key_and_database_are_looked_at() {
    let nowhere = tempfile::tempdir().expect("folder");
    let (code, stdout, _) = run(nowhere.path(), "doctor --json");
    assert_eq!((code, codes(&stdout)), (3, vec!["no-config".to_owned()]));

    let dir = installation("[databse]\n");
    assert_eq!(codes(&run(dir.path(), "doctor --json").1), ["unknown-key"]);

    let dir = installation("");
    fs_err::remove_file(dir.path().join("master.key")).expect("removed");
    let (code, stdout, _) = run(dir.path(), "doctor --json");
    assert_eq!((code, codes(&stdout)), (3, vec!["master-key".to_owned()]));

    let dir = installation("");
    fs_err::write(dir.path().join("forewarn.db"), "this is no database, it is a letter\n".repeat(200))
        .expect("written");
    let (code, stdout, _) = run(dir.path(), "doctor --json");
    assert_eq!((code, codes(&stdout)), (3, vec!["database".to_owned()]));
    assert!(stdout.contains("not an SQLite database"), "{stdout}");
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_is_bad() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = installation("");
    let key = dir.path().join("master.key");
    fs_err::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("mode");
    let (code, stdout, _) = run(dir.path(), "doctor");
    assert!(code == 3 && stdout.contains("chmod 600 master.key"), "{stdout}");
    let written = fs_err::read_to_string(&key).expect("key");
    assert!(!stdout.contains(written.trim()));
}

#[test]
fn a_worker_that_runs_is_seen_and_a_damaged_database_is_bad() {
    let dir = installation("");
    let place = dir.path().join("config.toml");
    let config = || forewarn::config::load(&place).expect("config");
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let app = runtime.block_on(forewarn::app::App::open(config())).expect("opened");
    assert!(run(dir.path(), "doctor").1.contains("ok    worker: no worker runs"));
    let lock = app.lock_for_worker().expect("the lock");
    let (code, stdout, _) = run(dir.path(), "doctor");
    assert!(code == 0 && stdout.contains("ok    worker: a worker runs on this database"), "{stdout}");
    drop(lock);
    runtime.block_on(app.store.close());

    // Another key than the one the database was sealed with.
    let key = dir.path().join("master.key");
    fs_err::rename(&key, dir.path().join("right.key")).expect("moved");
    fs_err::remove_file(&place).expect("removed");
    assert_eq!(run(dir.path(), "init").0, 0);
    let (code, stdout, _) = run(dir.path(), "doctor --json");
    assert_eq!((code, codes(&stdout)), (3, vec!["database".to_owned()]));
    assert!(stdout.contains("another master key"), "{stdout}");
    fs_err::rename(dir.path().join("right.key"), &key).expect("moved back");

    // Pages full of nothing where tables should be.
    let file = dir.path().join("forewarn.db");
    let mut bytes = fs_err::read(&file).expect("database");
    assert!(bytes.len() > 3 * 4096);
    bytes[3 * 4096..].fill(0xee);
    fs_err::write(&file, bytes).expect("damaged");
    let (code, stdout, _) = run(dir.path(), "doctor --json");
    assert_eq!(code, 3, "{stdout}");
    assert!(codes(&stdout).iter().all(|code| code.starts_with("database")), "{stdout}");
}

#[test]
fn providers_are_listed_and_shown_with_and_without_a_configuration() {
    let nowhere = tempfile::tempdir().expect("folder");
    let (code, stdout, _) = run(nowhere.path(), "provider list --json");
    assert_eq!(code, 0);
    let answer: Value = serde_json::from_str(&stdout).expect("JSON");
    let names: Vec<&str> =
        answer["providers"].as_array().expect("list").iter().filter_map(|p| p["name"].as_str()).collect();
    for name in ["smtp", "call-sheet", "sandbox", "kannel", "twilio-sms", "webhook"] {
        assert!(names.contains(&name), "{name}: {names:?}");
        let (code, stdout, _) = run(nowhere.path(), &format!("provider show {name}"));
        assert!(code == 0 && stdout.contains("\nsettings:\n"), "{stdout}");
    }
    let (code, _, stderr) = run(nowhere.path(), "provider show kanel");
    assert!(code == 2 && stderr.contains("did you mean `kannel`?"), "{stderr}");
    assert_eq!(run(nowhere.path(), "--config no.toml provider list").0, 2, "a named configuration must be there");

    let shown: Value = serde_json::from_str(&run(nowhere.path(), "provider show kannel --json").1).expect("JSON");
    let setting =
        |name: &str| shown["settings"].as_array().expect("settings").iter().find(|s| s["name"] == name).cloned();
    let password = setting("password").expect("password");
    assert_eq!((&password["required"], &password["secret"]), (&true.into(), &true.into()));

    let dir = installation("[paths]\nproviders = \"mine\"\n");
    fs_err::create_dir(dir.path().join("mine")).expect("folder");
    let webhook =
        fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("providers/webhook.toml")).expect("text");
    fs_err::write(dir.path().join("mine/webhook.toml"), webhook).expect("written");
    let shown: Value = serde_json::from_str(&run(dir.path(), "provider show webhook --json").1).expect("JSON");
    assert!(shown["origin"].as_str().expect("origin").ends_with("webhook.toml"), "{shown}");
}

#[test]
fn a_test_message_goes_out_once_and_says_what_it_is() {
    let dir = installation(BROKEN);
    let (code, stdout, _) = run(dir.path(), "provider test sandbox-email --to Jane.Doe@Example.org --json");
    assert_eq!(code, 0, "{stdout}");
    let answer: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((&answer["class"], &answer["route"]), (&"accepted".into(), &"sandbox-email".into()));
    let shelves = fs_err::read_dir(dir.path().join("outbox/email")).expect("outbox").map(|e| e.expect("entry").path());
    let mails: Vec<_> =
        shelves.flat_map(|s| fs_err::read_dir(s).expect("shelf")).map(|e| e.expect("entry").path()).collect();
    assert_eq!(mails.len(), 1);
    let mail = fs_err::read_to_string(&mails[0]).expect("mail");
    assert!(
        mail.contains("To: <Jane.Doe@example.org>\r\n") && mail.contains("\r\nThis is a test of forewarn"),
        "{mail}"
    );
    assert!(!dir.path().join("forewarn.db").exists(), "it needs no database");

    for (line, code, word) in [
        ("provider test relay --to jane@example.org", 3, "refused: test-failed: route relay: temporary"),
        ("provider test gateway --to +15555550100", 3, "refused: bad-phone"),
        ("provider test gateway --to +4915112345678", 3, "refused: unknown-provider"),
        ("provider test sandbox-sms --to jane@example.org", 3, "refused: bad-phone"),
        ("provider test sandbox-email --to jane", 3, "refused: bad-email"),
        ("provider test sandbox-mail --to jane@example.org", 2, "did you mean `sandbox-email`?"),
    ] {
        let (got, stdout, stderr) = run(dir.path(), line);
        assert!(got == code && stderr.contains(word), "{line}: {got} {stderr}");
        assert!(!(stdout + &stderr).contains("jane@"), "{line}: the address is not repeated");
    }
    let (code, stdout, _) = run(dir.path(), "provider test relay --to jane@example.org --json");
    assert_eq!((code, codes(&stdout)), (3, vec!["test-failed".to_owned()]));
    assert_eq!(serde_json::from_str::<Value>(&stdout).expect("JSON")["class"], "temporary");
}

#[test]
fn a_route_that_waits_for_reports_needs_an_address_and_a_secret_and_tells_its_address() {
    let route = |settings: &str| {
        format!(
            "[[route]]\nname = \"bridge\"\nchannel = \"sms\"\nprovider = \"webhook\"\n\
             settings = {{ base_url = \"http://127.0.0.1:9\"{settings} }}\n"
        )
    };
    let server = "[server]\npublic_url = \"https://notices.example.com\"\n";
    let secret = ", receipts = true, hook_secret = \"file:hook.secret\"";
    let tried = |config: &str| {
        let dir = installation(config);
        fs_err::write(dir.path().join("hook.secret"), "whsec_Zm9yZXdhcm4tZXhhbXBsZS1zZWNyZXQ=").expect("written");
        let (_, stdout, _) = run(dir.path(), "doctor");
        (dir, stdout)
    };
    for (config, want) in [
        (route(secret), "`receipts = true` needs the address at which the provider reaches"),
        (format!("{server}{}", route(", receipts = true")), "`receipts = true`: the setting `hook_secret` is missing"),
    ] {
        let (_dir, stdout) = tried(&config);
        assert!(stdout.contains(want), "{want}: {stdout}");
    }
    let (dir, stdout) = tried(&format!("{server}{}", route(secret)));
    assert!(!stdout.contains("receipts"), "{stdout}");
    let (code, stdout, stderr) = run(dir.path(), "provider hook bridge");
    assert!(code == 0 && !stderr.contains("does not wait"), "{stderr}");
    let token = stdout.trim().strip_prefix("https://notices.example.com/hooks/bridge/").expect("an address");
    assert!(token.len() >= 20 && token.bytes().all(|b| b.is_ascii_alphanumeric()), "{token}");
    assert_eq!(run(dir.path(), "provider hook bridge").1, stdout, "the same every time");
    let relay = "[[route]]\nname = \"box\"\nchannel = \"sms\"\nprovider = \"sandbox\"\nsettings = { dir = \"out\" }\n";
    let (dir, _) = tried(&format!("{server}{relay}"));
    assert_eq!(run(dir.path(), "provider hook box").0, 3, "a sandbox reports nothing");
    assert_eq!(run(dir.path(), "provider hook bridge").0, 2, "there is no such route");
}

#[test]
fn a_definition_is_linted_and_nothing_is_sent() {
    let dir = tempfile::tempdir().expect("folder");
    let place = dir.path().join("webhook.toml");
    let good = include_str!("../../providers/webhook.toml");
    fs_err::write(&place, good).expect("written");
    let (code, stdout, _) = run(dir.path(), "provider lint webhook.toml");
    assert_eq!(code, 0, "{stdout}");
    for part in ["ok   webhook.toml, example 1\n", "ok   webhook.toml, receipt.example 2\n", "webhook.toml is sound"] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let lint = |text: &str| {
        fs_err::write(&place, text).expect("written");
        let (code, stdout, _) = run(dir.path(), "provider lint webhook.toml --json");
        (code, serde_json::from_str::<Value>(&stdout).expect("JSON"))
    };
    let (code, answer) = lint(good);
    assert_eq!((code, &answer["ok"], answer.get("refused")), (0, &true.into(), None));
    assert!(answer["checks"].as_array().is_some_and(|checks| checks.len() > 20));
    // A report that is taken for genuine, and a rule that nobody has seen.
    let changed =
        good.replace("refused = \"too-old\"", "refused = \"signature\"").replace("404,405,410\"", "404,405,410,411\"");
    let changed = changed.replace("[[receipt.rule]]\nevent = \"progress\"", "[[receipt.rule]]\nis = { \"/event\" = \"read\" }\nevent = \"delivered\"\n\n[[receipt.rule]]\nevent = \"progress\"");
    let (code, answer) = lint(&changed);
    let told = answer["refused"].to_string();
    assert_eq!((code, &answer["ok"]), (3, &false.into()), "{told}");
    for part in ["refused: expected signature, found too-old", "receipt.rule 9: no example reaches it"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let (code, answer) = lint(&good.replace("[send.read]", "[send.raed]"));
    assert_eq!((code, answer["checks"].as_array().map(Vec::len)), (3, Some(0)));
    assert!(
        answer["refused"][0]["message"].as_str().is_some_and(|said| said.contains("did you mean `read`?")),
        "{answer}"
    );
    assert_eq!(run(dir.path(), "provider lint nowhere.toml").0, 1);
    assert_eq!(run(dir.path(), "provider lint").0, 2);
}

#[test]
fn limits_too_low_for_the_list_are_said_before_the_start_and_at_it() {
    let place = Place::new(EMAIL_SMS, LIST);
    let config = fs_err::read_to_string(place.path("config.toml")).expect("config");
    let limited =
        config.replace("channel = \"email\"\n", "channel = \"email\"\nlimits = [{ rate = 1, per = \"4d\" }]\n");
    fs_err::write(place.path("config.toml"), limited).expect("written");
    let doctor = || String::from_utf8_lossy(&place.run("doctor").stdout).into_owned();
    let slow = "by the limits of its routes it sends at the soonest 2 email notices in 4d";
    assert!(!doctor().contains("at the soonest"), "not before it is approved");
    place.ok("campaign approve ID --by bob");
    let said = doctor();
    let line = said.lines().find(|l| l.contains(slow)).unwrap_or_else(|| panic!("{said}"));
    assert!(line.starts_with("warn "), "{line}");
    assert!(place.ok("campaign start ID").contains(slow));
    assert!(doctor().contains(slow), "while it runs");
    // Without limits nothing is said.
    fs_err::write(place.path("config.toml"), config).expect("written");
    assert!(!doctor().contains("at the soonest"));
}

//! The command line from outside: exit codes, what is printed where, and that nothing is overwritten.

use base64::Engine;
use forewarn::cli::output::Printer;
use forewarn::cli::{Context, Failure};
use forewarn::config;
use forewarn::model::channel::Channel;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn forewarn(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
    command.current_dir(folder).env_remove("FOREWARN_CONFIG").env_remove("FOREWARN_LOG").stdin(Stdio::null());
    command
}

fn run(folder: &Path, line: &str) -> Output {
    forewarn(folder).args(line.split_whitespace()).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn init_makes_a_configuration_that_works_at_once() {
    let dir = tempfile::tempdir().expect("folder");
    let done = run(dir.path(), "init --dir new/place");
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let place = dir.path().join("new/place");
    let config = config::load(&place.join("config.toml")).expect("it works at once");
    let channels: Vec<_> = config.routes.iter().map(|r| (r.channel, r.provider.as_str())).collect();
    assert_eq!(channels, [(Channel::Email, "sandbox"), (Channel::Sms, "sandbox"), (Channel::Phone, "sandbox")]);
    let key = fs_err::read_to_string(place.join("master.key")).expect("key");
    let bytes = base64::engine::general_purpose::STANDARD.decode(key.trim_end()).expect("base64");
    assert_eq!(bytes.len(), 32);
    assert!(bytes.iter().any(|b| *b != bytes[0]), "not a constant");
    use forewarn::secrets::ReadableByOthers;
    config.master_key.resolve(ReadableByOthers::Refuse).expect("only the owner reads it");
    assert!(!text(&done.stdout).contains(key.trim_end()) && !text(&done.stderr).contains(key.trim_end()));
}

#[test]
fn init_overwrites_nothing() {
    let dir = tempfile::tempdir().expect("folder");
    fs_err::write(dir.path().join("master.key"), "precious").expect("write");
    let refused = run(dir.path(), "init --json");
    assert_eq!(refused.status.code(), Some(3));
    assert_eq!(fs_err::read_to_string(dir.path().join("master.key")).expect("still there"), "precious");
    assert!(!dir.path().join("config.toml").exists(), "half an installation is worse than none");
    let answer: Value = serde_json::from_slice(&refused.stdout).expect("one JSON object");
    assert_eq!(answer["refused"][0]["code"], "already-exists");
    assert!(text(&refused.stderr).starts_with("refused: already-exists: "), "{}", text(&refused.stderr));

    fs_err::remove_file(dir.path().join("master.key")).expect("moved away");
    assert_eq!(run(dir.path(), "init").status.code(), Some(0));
    let before = fs_err::read(dir.path().join("master.key")).expect("key");
    let again = run(dir.path(), "init");
    assert_eq!(again.status.code(), Some(3));
    assert_eq!(text(&again.stderr).lines().count(), 2, "both files are in the way");
    assert_eq!(fs_err::read(dir.path().join("master.key")).expect("key"), before);
}

#[test]
fn examples_in_the_starter_configuration_are_valid_when_uncommented() {
    let dir = tempfile::tempdir().expect("folder");
    assert_eq!(run(dir.path(), "init").status.code(), Some(0));
    let written = fs_err::read_to_string(dir.path().join("config.toml")).expect("config");
    let is_toml = |line: &str| line.starts_with("[[") || line.split(' ').nth(1) == Some("=");
    let uncommented: Vec<&str> =
        written.lines().map(|line| line.strip_prefix("# ").filter(|rest| is_toml(rest)).unwrap_or(line)).collect();
    let config = config::parse(Path::new("config.toml"), &uncommented.join("\n")).expect("valid").value;
    let names: Vec<_> = config.routes.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["sandbox-email", "sandbox-sms", "sandbox-phone", "relay", "gateway", "callers"]);
}

#[test]
fn usage_errors_exit_with_two_and_help_with_zero() {
    let dir = tempfile::tempdir().expect("folder");
    for (line, code) in [
        ("", 2),
        ("--help", 0),
        ("help init", 0),
        ("--version", 0),
        ("no-such-verb", 2),
        ("init --no-such-flag", 2),
        ("completions tcsh", 2),
    ] {
        let done = run(dir.path(), line);
        assert_eq!(done.status.code(), Some(code), "{line}: {}", text(&done.stderr));
        assert_eq!(done.stdout.is_empty(), code != 0, "{line}");
    }
}

#[test]
fn usage_errors_are_an_object_where_json_is_asked_for() {
    let dir = tempfile::tempdir().expect("folder");
    for (line, says) in [
        ("--json", "requires a subcommand"),
        ("--json campaign", "not complete"),
        ("no-such-verb --json", "unrecognized subcommand 'no-such-verb'"),
        ("campaign list --json --no-such-flag", "unexpected argument '--no-such-flag' found"),
        ("campaign pause c --json", "--reason"),
    ] {
        let done = run(dir.path(), line);
        assert_eq!(done.status.code(), Some(2), "{line}");
        let answer: Value = serde_json::from_slice(&done.stdout).expect("one JSON object");
        let error = answer["error"].as_str().expect("a message");
        assert!(error.contains(says) && !error.contains("Usage") && !error.starts_with("error"), "{line}: {error}");
        assert!(!done.stderr.is_empty(), "{line}");
    }
    assert!(text(&run(dir.path(), "--help --json").stdout).starts_with("Tells every person"));
    assert_eq!(run(dir.path(), "no-such-verb -- --json").stdout, b"");
}

#[test]
fn help_names_no_verb_that_is_not_there() {
    let dir = tempfile::tempdir().expect("folder");
    let help = text(&run(dir.path(), "--help").stdout);
    let listed: Vec<&str> = help.lines().filter_map(|l| l.strip_prefix("  ")?.split(' ').next()).collect();
    for verb in ["init", "serve", "bounce", "desk", "proof", "erase", "completions"] {
        assert!(listed.contains(&verb), "{help}");
    }
    for later in ["duties", "drill"] {
        assert!(!listed.contains(&later), "{later} is not there yet");
    }
}

#[test]
fn completions_are_printed_for_every_shell() {
    let dir = tempfile::tempdir().expect("folder");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = run(dir.path(), &format!("completions {shell}"));
        assert_eq!(done.status.code(), Some(0));
        assert!(text(&done.stdout).contains("forewarn"), "{shell}");
        assert!(done.stderr.is_empty(), "{shell}");
    }
    let answer: Value = serde_json::from_slice(&run(dir.path(), "completions fish --json").stdout).expect("JSON");
    assert!(answer["script"].as_str().is_some_and(|s| s.contains("complete -c forewarn")));
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let dir = tempfile::tempdir().expect("folder");
    for line in ["completions bash", "init", "--help"] {
        let (reader, writer) = std::io::pipe().expect("pipe");
        drop(reader);
        let done = forewarn(dir.path()).args(line.split(' ')).stdout(writer).stderr(Stdio::piped()).output();
        let done = done.expect("the binary runs");
        assert_eq!(done.status.code(), Some(0), "{line}: {}", text(&done.stderr));
        assert_eq!(text(&done.stderr), "", "{line}");
    }
}

#[test]
fn a_log_level_that_is_not_understood_is_said_and_survived() {
    let dir = tempfile::tempdir().expect("folder");
    let done = forewarn(dir.path()).args(["completions", "bash"]).env("FOREWARN_LOG", "loud=very").output();
    let done = done.expect("the binary runs");
    assert_eq!(done.status.code(), Some(0));
    assert!(text(&done.stderr).starts_with("FOREWARN_LOG is not understood"), "{}", text(&done.stderr));
}

#[test]
fn files_that_are_wrong_or_absent_fail_as_promised() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("config.toml");
    let context = Context::new(Some(path.clone()), Printer::new(false));
    assert!(matches!(context.config(), Err(Failure::Usage(message)) if message.contains("forewarn init")));
    assert!(matches!(context.incident(&path), Err(Failure::Usage(_))));
    fs_err::write(&path, "[databse]\n").expect("write");
    assert!(matches!(context.config(), Err(Failure::Refused(problems)) if problems.len() == 5));
    assert!(matches!(context.incident(&path), Err(Failure::Refused(_))));
    let folder = Context::new(Some(dir.path().to_path_buf()), Printer::new(false));
    assert!(matches!(folder.config(), Err(Failure::Usage(_))));
}

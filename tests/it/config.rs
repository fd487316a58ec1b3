//! config.toml: the example is complete, and every mistake is answered with its place and what to do.

use forewarn::config::{self, Config, Database, Limit};
use forewarn::model::channel::Channel;
use forewarn::model::problem::Problem;
use forewarn::model::time::{DAY, SECOND};
use forewarn::secrets::SecretRef;
use std::path::{Path, PathBuf};

const EXAMPLE: &str = include_str!("../../config.example.toml");

fn file() -> &'static Path {
    Path::new("conf/config.toml")
}

#[test]
fn the_example_parses_and_sets_every_key() {
    let examined = config::parse(file(), EXAMPLE).expect("the example is valid");
    assert_eq!(examined.absent, [""; 0], "keys that the example does not show");
    let config = examined.value;
    assert_eq!(config.database, Database::Sqlite { file: PathBuf::from("conf/forewarn.db") });
    assert_eq!(config.master_key, SecretRef::File(PathBuf::from("conf/master.key")));
    assert_eq!(config.paths.providers, Some(PathBuf::from("conf/providers")));
    assert_eq!(config.sender.email.name, "Data Protection");
    assert_eq!(config.sender.email.address, "dpo@example.com");
    let route = &config.routes[0];
    assert_eq!(
        (route.name.as_str(), route.channel, route.weight, route.concurrency),
        ("relay", Channel::Email, 100, 16)
    );
    assert_eq!(route.limits, [Limit { rate: 50, per: SECOND }, Limit { rate: 100_000, per: DAY }]);
    assert_eq!(route.domain_limits[0].domain, "gmail.com");
    assert_eq!(config.server.public_url.as_deref(), Some("https://notices.example.com"));
}

/// The smallest valid file, with `more` appended.
fn with(more: &str) -> Result<Config, Vec<Problem>> {
    let base = "database.url = 'sqlite:///var/f.db'\nkeys.master = 'env:KEY'\n\
                sender = { organisation = 'X', email = 'a@example.com' }\n";
    config::parse(file(), &format!("{base}{more}")).map(|examined| examined.value)
}

/// `code field` of every problem, in the order of the file.
fn problems(result: Result<Config, Vec<Problem>>) -> Vec<String> {
    result.err().unwrap_or_default().iter().map(|p| format!("{} {}", p.code, p.field)).collect()
}

#[test]
fn what_is_not_said_has_its_default() {
    let config = with(
        "[[route]]\nname='a'\nchannel='email'\nprovider='smtp'\n[[route]]\nname='b'\nchannel='sms'\nprovider='kannel'\n\
         [[route]]\nname='c'\nchannel='phone'\nprovider='call-sheet'\n",
    )
    .expect("valid");
    assert_eq!(config.database, Database::Sqlite { file: PathBuf::from("/var/f.db") });
    assert_eq!(config.routes.iter().map(|r| r.concurrency).collect::<Vec<_>>(), [16, 8, 4]);
    assert!(config.routes.iter().all(|r| r.weight == 100 && r.limits.is_empty()));
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
}

#[test]
fn every_problem_of_a_file_is_reported_at_once() {
    let text = "[database]\nurl = 'mysql://u@h/db'\n[keys]\nmaster = 'kQ3v0hJ5'\n[sender]\norganization = 'X'\n\
                email = \"X\\r\\nBcc: y@example.org <a@example.com>\"\n[[route]]\nname = 'a b'\nchannel = 'emial'\n\
                provider = 'smtp'\nweight = -1\nlimits = [{ rate = 0, per = '1 fortnight' }]\n";
    let found = config::parse(file(), text).map(|e| e.value);
    let messages: Vec<String> = found.as_ref().err().into_iter().flatten().map(|p| p.message.clone()).collect();
    assert_eq!(
        problems(found),
        [
            "bad-database database.url",
            "bad-reference keys.master",
            "missing-key sender.organisation",
            "unknown-key sender.organization",
            "bad-mailbox sender.email",
            "bad-name route[1].name",
            "unknown-word route[1].channel",
            "out-of-range route[1].weight",
            "out-of-range route[1].limits[1].rate",
            "bad-duration route[1].limits[1].per",
        ]
    );
    let all = messages.join("\n");
    assert!(
        all.contains("conf/config.toml line 2: `database.url` is of a kind of database that is not supported"),
        "{all}"
    );
    assert!(
        all.contains("line 6: `sender.organization` is not a key that is known here; did you mean `organisation`?")
    );
    assert!(all.contains("line 10: `route[1].channel` cannot be `emial`; did you mean `email`?"), "{all}");
    assert!(!all.contains("kQ3v0hJ5"), "a key written into the file is not repeated in a message");
}

#[test]
fn routes_are_checked_one_by_one_and_together() {
    let route = |more: &str| format!("[[route]]\nname='a'\nchannel='sms'\nprovider='kannel'\n{more}\n");
    for (text, want) in [
        (route("") + &route(""), vec!["route-twice route[2]"]),
        (route("domain_limits=[{domain='example.com',rate=1,per='1s'}]"), vec!["email-only route[1].domain_limits"]),
        (route("domain_limit=[]"), vec!["unknown-key route[1].domain_limit"]),
        (route("settings={a=[1],b=1.5}"), vec!["wrong-type route[1].settings.a", "wrong-type route[1].settings.b"]),
        (route("limits=[{rate=5}]"), vec!["missing-key route[1].limits[1].per"]),
        (route("limits={rate=5,per='1s'}"), vec!["wrong-type route[1].limits"]),
        (route("limits=[{rate=5,per='10ms'}]"), vec!["bad-duration route[1].limits[1].per"]),
        (route("concurrency=0"), vec!["out-of-range route[1].concurrency"]),
        ("server.listen='localhost'\n".to_owned(), vec!["bad-address server.listen"]),
        ("server.public_url='http://example.com'\n".to_owned(), vec!["bad-url server.public_url"]),
        ("server.public_url='http://127.0.0.1:8080'\n".to_owned(), vec![]),
    ] {
        assert_eq!(problems(with(&text)), want, "{text}");
    }
}

#[test]
fn settings_come_with_their_references_resolved() {
    let dir = tempfile::tempdir().expect("folder");
    fs_err::write(dir.path().join("token"), "s3cret\n").expect("write");
    let text = "database.url = 'sqlite://f.db'\nkeys.master = 'env:KEY'\n\
                sender = { organisation = 'X', email = 'Y <a@example.com>' }\n\
                [[route]]\nname='a'\nchannel='email'\nprovider='smtp'\n\
                settings = { host='h', port=2525, allow_plaintext=true, password='file:token' }\n\
                [[route]]\nname='b'\nchannel='email'\nprovider='smtp'\n\
                settings = { envelope_from='b@example.com', password='env:FOREWARN_NOT_SET', key='file:absent' }\n";
    let config = config::parse(&dir.path().join("config.toml"), text).expect("valid").value;
    assert!(!format!("{config:?}").contains("2525"), "settings may be secrets and stay out of Debug");

    let settings = config.settings(&config.routes[0]).expect("all resolved");
    use forewarn::providers::settings::{SettingDecl, SettingKind};
    let declared = settings
        .declared(
            &[
                SettingDecl::required("host", SettingKind::Text),
                SettingDecl::required("port", SettingKind::Integer),
                SettingDecl::required("allow_plaintext", SettingKind::Boolean),
                SettingDecl::required("password", SettingKind::Secret),
                SettingDecl::required("envelope_from", SettingKind::Text),
            ],
            "a",
        )
        .expect("as declared");
    assert_eq!(declared.integer("port"), Some(2525));
    assert_eq!(declared.boolean("allow_plaintext"), Some(true));
    assert_eq!(declared.text("password"), Some("s3cret"));
    assert_eq!(declared.text("envelope_from"), Some("a@example.com"));

    let problems = config.settings(&config.routes[1]).expect_err("two references lead nowhere");
    let told: Vec<_> = problems.iter().map(|p| (p.code, p.field.as_str(), p.route.as_deref())).collect();
    assert_eq!(told, [("no-secret", "key", Some("b")), ("no-secret", "password", Some("b"))]);
    assert!(problems[1].message.contains("FOREWARN_NOT_SET is not set"), "{}", problems[1].message);
}

#[test]
fn places_in_settings_are_relative_to_the_file() {
    use forewarn::providers::settings::{SettingDecl, SettingKind};
    let route = |provider: &str| {
        let config = with(&format!(
            "[[route]]\nname='a'\nchannel='phone'\nprovider='{provider}'\n\
             settings={{ dir='out', ca_file='/etc/ca.pem', from='out' }}\n"
        ));
        let config = config.expect("valid");
        let settings = config.settings(&config.routes[0]).expect("nothing to resolve");
        let names = ["dir", "ca_file", "from"];
        let declared = settings.declared(&names.map(|n| SettingDecl::required(n, SettingKind::Text)), "a");
        let declared = declared.expect("as declared");
        names.map(|name| declared.text(name).unwrap_or_default().to_owned())
    };
    assert_eq!(route("sandbox"), ["conf/out", "/etc/ca.pem", "out"]);
    assert_eq!(route("call-sheet"), ["conf/out", "/etc/ca.pem", "out"]);
    assert_eq!(route("webhook"), ["out", "/etc/ca.pem", "out"], "a definition may mean something else by `dir`");
}

#[test]
fn the_flag_comes_before_the_variable_and_the_variable_before_the_folder() {
    let (a, b) = (Path::new("a.toml"), Path::new("b.toml"));
    assert_eq!(config::find(Some(a), Some(b)), a);
    assert_eq!(config::find(None, Some(b)), b);
    assert_eq!(config::find(None, Some(Path::new(""))), Path::new("config.toml"));
    assert_eq!(config::find(None, None), Path::new("config.toml"));
    let error = config::load(Path::new("no/such/config.toml")).expect_err("absent");
    assert!(error.to_string().contains("forewarn init") && error.to_string().contains("no/such/config.toml"));
}

#[test]
fn the_database_is_a_file_or_a_server_and_its_password_is_kept_elsewhere() {
    for (url, ours) in [
        ("sqlite://f.db", true),
        ("postgres://u@h/db", true),
        ("postgresql://u@h:5433/db?sslmode=require", true),
        ("env:DB", true),
        ("file:database.url", true),
        ("postgres://u:secret@h/db", false),
        ("postgres://u@h/db?password=secret", false),
        ("postgres://u@h", false),
        ("mysql://u@h/db", false),
        ("f.db", false),
    ] {
        let text =
            format!("database.url='{url}'\nkeys.master='env:KEY'\n[sender]\norganisation='X'\nemail='a@example.com'\n");
        let found = config::parse(file(), &text).map(|e| e.value);
        let messages =
            format!("{:?}", found.as_ref().err().map(|all| all.iter().map(|p| &p.message).collect::<Vec<_>>()));
        assert!(!messages.contains("secret"));
        assert_eq!(problems(found).is_empty(), ours, "{url}: {messages}");
    }
}

//! incident.toml: what a lead writes in a hurry is understood, or answered line by line.

use forewarn::incident_file;
use forewarn::model::channel::Channel;
use forewarn::model::incident::{CampaignKind, Connection, FileSource, Incident, OnUnknown, QuerySource, Source};
use forewarn::model::ladder::When;
use forewarn::model::problem::Problem;
use forewarn::model::time::{HOUR, MINUTE, Micros};
use std::path::{Path, PathBuf};

/// 2026-11-04T00:00:00Z.
const NOW: Micros = 1_793_750_400_000_000;

const FULL: &str = r#"
[incident]
id = "2026-001"
title = "Unauthorised access to the client portal"
occurred = 2026-11-01T02:00:00+08:00
discovered = 2026-11-03T09:30:00+08:00
aware = 2026-11-03T10:00:00+08:00
data_types = ["name", "phone", "id-number"]
[incident.text.en]
what_happened = "Somebody read the list."
contact = "privacy@example.com"
[incident.text.zh-CN]
what_happened = "有人读取了名单。"
[campaign]
kind = "initial"
templates = "breach-notice"
default_locale = "en"
ladder = [
  { channel = "email" },
  { channel = "sms",   when = "not-delivered", after = "4h" },
  { channel = "phone", when = "not-reached",   after = "24h" },
]
on_unknown = { email = "hold", phone = "hold" }
give_up_after = "48h"
approvals = 2
retry = { first = "2m", max = "30m" }
[[source]]
file = "customers.csv"
encoding = "gb18030"
delimiter = ";"
[source.columns]
ref = "Customer No."
[[source]]
file = "/lists/more.tsv"
"#;

fn parse(text: &str) -> Result<Incident, Vec<Problem>> {
    incident_file::parse(Path::new("case/incident.toml"), text, NOW).map(|examined| examined.value)
}

#[test]
fn the_whole_of_a_file_is_read() {
    let incident = parse(FULL).expect("valid");
    assert_eq!(incident.id, "2026-001");
    assert_eq!(incident.discovered.to_string(), "2026-11-03T09:30:00+08:00[+08:00]");
    assert_eq!(incident.occurred_from, incident.occurred_until);
    assert_eq!(incident.occurred_from.map(|at| at.timestamp().to_string()).as_deref(), Some("2026-10-31T18:00:00Z"));
    assert_eq!(incident.clocks.keys().collect::<Vec<_>>(), ["aware"]);
    assert_eq!(incident.data_types, ["name", "phone", "id-number"]);
    assert_eq!(incident.texts["zh-CN"]["what_happened"], "有人读取了名单。");
    let plan = &incident.campaign;
    let steps: Vec<_> = plan.ladder.steps.iter().map(|s| (s.channel, s.when, s.after / HOUR)).collect();
    assert_eq!(
        steps,
        [
            (Channel::Email, When::Always, 0),
            (Channel::Sms, When::NotDelivered, 4),
            (Channel::Phone, When::NotReached, 24)
        ]
    );
    assert_eq!(plan.on_unknown(Channel::Email), OnUnknown::Hold);
    assert_eq!(plan.on_unknown(Channel::Sms), OnUnknown::Hold);
    assert_eq!((plan.give_up_after, plan.approvals), (48 * HOUR, 2));
    assert_eq!((plan.retry_first, plan.retry_max), (2 * MINUTE, 30 * MINUTE));
    let [Source::File(first), Source::File(second)] = &incident.sources[..] else { panic!("two files") };
    assert_eq!(first.path, PathBuf::from("case/customers.csv"));
    assert_eq!(first.encoding.as_deref(), Some("gb18030"));
    assert_eq!(first.delimiter, Some(';'));
    assert_eq!(first.columns["ref"], "Customer No.");
    assert_eq!(second.path, PathBuf::from("/lists/more.tsv"));
}

#[test]
fn what_is_not_said_has_its_default() {
    let short = |kind: &str| {
        format!(
            "[incident]\nid='a'\ntitle='t'\ndiscovered=2026-11-03T09:30:00Z\ndata_types=['name']\n\
             [campaign]\nkind='{kind}'\nladder=[{{channel='sms'}}]\n[[source]]\nfile='a.csv'\n"
        )
    };
    let plan = parse(&short("update")).expect("valid").campaign;
    assert_eq!((plan.kind, plan.approvals), (CampaignKind::Update, 1));
    assert_eq!((plan.templates.as_str(), plan.default_locale.as_str()), ("breach-notice", "en"));
    assert_eq!((plan.give_up_after, plan.retry_first, plan.retry_max), (72 * HOUR, MINUTE, HOUR));
    assert_eq!(plan.on_unknown(Channel::Email), OnUnknown::Resend);
    assert_eq!(parse(&short("drill")).expect("valid").campaign.approvals, 0, "a drill needs no approval");
}

/// The full file with `from` replaced by `to`: the codes and fields of what is wrong with it.
fn changed(from: &str, to: &str) -> Vec<String> {
    assert!(FULL.contains(from), "{from}");
    let found = parse(&FULL.replacen(from, to, 1)).err().unwrap_or_default();
    for problem in &found {
        assert!(problem.message.starts_with("case/incident.toml line "), "{}", problem.message);
    }
    found.iter().map(|p| format!("{} {}", p.code, p.field)).collect()
}

#[test]
fn each_mistake_is_named_with_its_place() {
    let discovered = "discovered = 2026-11-03T09:30:00+08:00";
    let occurred = "occurred = 2026-11-01T02:00:00+08:00";
    for (from, to, want) in [
        (discovered, "", "missing-key incident.discovered"),
        (discovered, "discovered = 2026-11-04T09:30:00+08:00", "in-the-future incident.discovered"),
        (discovered, "discovered = 2026-11-03T09:30:00", "bad-time incident.discovered"),
        (discovered, "discovered = 2026-11-03", "bad-time incident.discovered"),
        (discovered, "discovered = '2026-11-03T09:30:00Z'", "wrong-type incident.discovered"),
        (occurred, "occurred = 2026-11-03T09:31:00+08:00", "bad-order incident.occurred"),
        (occurred, "occurred = 2027-11-01T02:00:00Z", "in-the-future incident.occurred"),
        (
            occurred,
            "occurred_from = 2026-11-02T00:00:00Z\noccurred_until = 2026-11-01T00:00:00Z",
            "bad-order incident.occurred_from",
        ),
        ("id = \"2026-001\"", "id = '../x'", "bad-id incident.id"),
        ("id = \"2026-001\"", "id = 2026", "wrong-type incident.id"),
        ("the client portal\"", "the\\r\\nBcc: x@example.org\"", "bad-text incident.title"),
        ("[incident.text.zh-CN]", "[incident.text.\"zh CN\"]", "bad-language incident.text.zh CN"),
        ("\"phone\", \"id", "\"name\", \"id", "bad-id incident.data_types[2]"),
        ("kind = \"initial\"", "kind = 'inital'", "unknown-word campaign.kind"),
        ("channel = \"sms\"", "channel = 'smss'", "unknown-word campaign.ladder[2].channel"),
        ("channel = \"sms\"", "channel = 'email'", "channel-twice campaign.ladder[2]"),
        ("when = \"not-delivered\"", "when = 'not_delivered'", "unknown-word campaign.ladder[2].when"),
        ("{ channel = \"email\" }", "{ channel = \"email\", after = '1h' }", "first-step campaign.ladder[1].after"),
        (", after = \"4h\"", "", "missing-key campaign.ladder[2].after"),
        ("after = \"4h\"", "after = 4", "wrong-type campaign.ladder[2].after"),
        ("after = \"4h\"", "after = 'soon'", "bad-duration campaign.ladder[2].after"),
        ("email = \"hold\"", "mail = 'hold'", "unknown-key campaign.on_unknown.mail"),
        ("templates = \"breach-notice\"", "templates = '../etc'", "bad-name campaign.templates"),
        ("first = \"2m\"", "first = '2h'", "bad-order campaign.retry"),
        ("approvals = 2", "approvals = -1", "out-of-range campaign.approvals"),
        ("give_up_after", "giveup_after", "unknown-key campaign.giveup_after"),
        ("customers.csv", "customers.XLS", "bad-path source[1].file"),
        ("file = \"/lists/more.tsv\"", "database = 'env:X'", "missing-key source[2].query"),
        ("file = \"/lists/more.tsv\"", "query = 'select 1'", "missing-key source[2].database"),
        ("file = \"/lists/more.tsv\"", "database = 'env:X'\nquery = ' '", "bad-query source[2].query"),
        ("file = \"/lists/more.tsv\"", "database = 'oracle://x'\nquery = 'q'", "bad-database source[2].database"),
        ("file = \"/lists/more.tsv\"", "database = 'mysql://u:p@h/d'\nquery = 'q'", "bad-database source[2].database"),
        ("delimiter = \";\"", "query = 'select 1'", "two-sources source[1].query"),
        ("delimiter = \";\"", "sheet = ''", "bad-sheet source[1].sheet"),
        ("file = \"customers.csv\"", "", "missing-key source[1].file"),
        ("gb18030", "klingon", "unknown-encoding source[1].encoding"),
        ("delimiter = \";\"", "delimiter = '||'", "bad-delimiter source[1].delimiter"),
        ("ref = \"Customer No.\"", "reff = 'Customer No.'", "unknown-key source[1].columns.reff"),
        ("ref = \"Customer No.\"", "ref = 'A'\nname = 'A'", "bad-column source[1].columns.name"),
    ] {
        assert_eq!(changed(from, to), [want], "{from} → {to}");
    }
}

#[test]
fn an_empty_file_says_everything_that_is_missing() {
    let missing: Vec<String> =
        parse("").expect_err("empty").iter().map(|p| format!("{} {}", p.code, p.field)).collect();
    assert_eq!(
        missing,
        [
            "missing-key incident.id",
            "missing-key incident.title",
            "missing-key incident.discovered",
            "missing-key incident.data_types",
            "missing-key campaign.ladder",
            "missing-key source",
        ]
    );
    let broken = changed("channel = \"email\" },", "channel = \"email\" }]#");
    assert!(!broken.is_empty() && broken.iter().all(|p| p == "bad-toml "), "{broken:?}");
    let no_steps = "[incident]\nid='a'\ntitle='t'\ndiscovered=2026-11-03T09:30:00Z\ndata_types=['name']\n\
                    [campaign]\nladder=[]\n[[source]]\nfile='a.csv'\n";
    assert_eq!(parse(no_steps).expect_err("no steps").first().map(|p| p.code), Some("empty-ladder"));
}

#[test]
fn a_file_that_is_not_utf8_or_not_there_is_said_so() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("incident.toml");
    fs_err::write(&path, b"[incident]\ntitle = 'M\xfcller'\n").expect("write");
    let error = incident_file::load(&path, NOW).expect_err("Windows-1252");
    let forewarn::toml_file::ReadTomlError::Refused { problems, .. } = error else { panic!("refused, not unreadable") };
    assert_eq!(problems[0].code, "not-utf8");
    assert!(problems[0].message.contains("line 2"), "{}", problems[0].message);
    assert!(incident_file::load(&dir.path().join("absent.toml"), NOW).is_err());
}

/// The full file with its second list replaced.
fn second_source(table: &str) -> Result<Source, Vec<Problem>> {
    parse(&FULL.replacen("file = \"/lists/more.tsv\"", table, 1)).map(|mut incident| incident.sources.remove(1))
}

#[test]
fn a_query_and_a_sheet_are_sources() {
    for (written, want) in [
        ("env:CRM", Connection::Env("CRM".into())),
        ("file:crm.url", Connection::File("case/crm.url".into())),
        (
            "postgres://reader@db.example/crm?sslmode=verify-full",
            Connection::Written("postgres://reader@db.example/crm?sslmode=verify-full".into()),
        ),
        ("sqlite://crm.db", Connection::Written("sqlite://case/crm.db".into())),
        ("sqlite:/var/crm.db?immutable=true", Connection::Written("sqlite:///var/crm.db?immutable=true".into())),
    ] {
        let table = format!("database = '{written}'\nquery = 'select 1'\ncolumns = {{ ref = 'id' }}");
        let Source::Query(QuerySource { database, query, columns }) = second_source(&table).expect("valid") else {
            panic!("a query")
        };
        assert_eq!((database, query.as_str(), columns["ref"].as_str()), (want, "select 1", "id"));
    }
    let sheet = second_source("file = 'list.xlsx'\nsheet = 'Clients'").expect("valid");
    assert!(matches!(sheet, Source::File(FileSource { sheet: Some(name), .. }) if name == "Clients"));
}

#[test]
fn a_connection_string_with_a_password_is_refused_and_not_repeated() {
    for written in [
        "postgres://reader:hunter2@db.example/crm",
        "mysql://reader:hun/ter2@db.example/crm",
        "postgres://db.example/crm?user=reader&password=hunter2",
        "mssql://reader:hunter2@db.example",
    ] {
        let refused = second_source(&format!("database = '{written}'\nquery = 'select 1'"));
        let Err(problems) = refused else { panic!("{written} is taken") };
        for problem in problems {
            assert_eq!((problem.code, problem.field.as_str()), ("bad-database", "source[2].database"));
            assert!(!problem.message.contains("hun"), "{}", problem.message);
        }
    }
}

//! Definitions that must be refused, each with words that say why.

use super::check::compile;
use crate::providers::settings::Settings;

const GOOD: &str = r#"
name = "acme"
channels = ["sms"]
docs = "https://example.com/api"
[settings]
base_url = { kind = "url", default = "https://api.example.com" }
token = { kind = "secret" }
sender = { kind = "text", default_from = "region", pattern = "^[a-z]+$" }
region = { kind = "text" }
[send]
method = "POST"
url = "{{settings.base_url}}/v1/{{settings.region}}/send"
auth = { bearer = "token" }
json = { to = "{{to}}", parts = ["{{text}}", 1, true], "from?" = "{{settings.sender}}" }
[[send.rule]]
status = "201"
outcome = "accepted"
message_id = "header:X-Id"
[[send.rule]]
status = "400"
json = { "/error/code" = [1, 2] }
outcome = "bad-address"
wait = "5m"
[[send.rule]]
status = "*"
outcome = "unknown"
"#;

const CATCH_ALL: &str = "[[send.rule]]\nstatus = \"*\"\noutcome = \"unknown\"\n";

/// What is replaced in [`GOOD`], by what, and words of the problem that must be found.
const BAD: [(&str, &str, &str); 36] = [
    ("name = \"acme\"", "name = \"other\"", "name: is `other`, but the file is called `acme.toml`"),
    ("docs = \"https", "docs = \"http", "docs: must be the https:// address"),
    ("docs =", "dosc =", "line 4: there is no key or word `dosc` here; did you mean `docs`?"),
    ("status = \"201\"", "statsu = \"201\"", "line 16: there is no key or word `statsu` here; did you mean `status`?"),
    ("kind = \"secret\"", "kind = \"secert\"", "did you mean `secret`?"),
    ("bearer =", "baerer =", "did you mean `bearer`?"),
    ("[\"sms\"]", "[\"fax\"]", "no definition can serve the channel `fax`"),
    ("base_url = { kind = \"url\"", "base_url = { kind = \"text\"", "declare `base_url"),
    ("default = \"https://api", "default = \"ftp://api", "settings.base_url: its default must be an address"),
    ("kind = \"secret\"", "kind = \"secret\", default = \"x\"", "a secret has no default"),
    ("pattern = \"^[a-z", "pattern = \"^[[a-z", "pattern is no regular expression"),
    ("default_from = \"region\"", "default_from = \"regoin\"", "no setting `regoin`"),
    ("region = { kind", "timeout = { kind", "settings.timeout: is a setting of the engine"),
    ("method = \"POST\"", "method = \"DELETE\"", "send.method: must be GET, POST or PUT"),
    ("\"{{settings.base_url}}/v1", "\"https://evil.example/v1", "the host is the route's to say"),
    ("\"{{settings.base_url}}/v1", "\"{{settings.base_url}}.evil.example/v1", "the host is the route's to say"),
    ("\"{{settings.base_url}}/v1", "\"{{settings.base_url}}{{to}}/v1", "the host is the route's to say"),
    ("/send\"", "/send?to={{to}}\"", "write the query as a table"),
    ("{{settings.region}}/send", "{{settings.token}}/send", "must not hold a secret"),
    ("{{text}}", "{{txet}}", "send.json.parts: nothing is called `txet`; did you mean `text`?"),
    (
        "bearer = \"token\"",
        "bearer = \"tokn\"",
        "send.auth: the file declares no setting `tokn`; did you mean `token`?",
    ),
    ("wait = \"5m\"", "wait = \"soon\"", "`soon` is no duration"),
    ("\"bad-address\"", "\"bad-adress\"", "no outcome is called `bad-adress`; did you mean `bad-address`?"),
    ("\"bad-address\"", "\"not-sent\"", "no outcome is called `not-sent`"),
    ("status = \"201\"", "status = \"2xx,404\"", "rule 1: only a 2xx reply can be `accepted`"),
    ("status = \"201\"", "status = \"701\"", "status `701` is none"),
    ("\"/error/code\"", "\"error.code\"", "is no JSON pointer"),
    ("[1, 2]", "[]", "can never match"),
    ("[1, 2]", "[1.5]", "can be compared with"),
    ("header:X-Id", "sid", "`sid` is no place"),
    ("[send]", "[send]\nform = { a = \"b\" }", "a request has one body"),
    ("[send]", "[send]\nmax_segments = \"{{settings.most}}\"", "send.max_segments"),
    (CATCH_ALL, "", "the last rule must catch everything"),
    (
        "status = \"*\"\noutcome = \"unknown\"",
        "status = \"*\"\noutcome = \"temporary\"",
        "the last rule must catch everything",
    ),
    (
        "status = \"201\"",
        "status = \"201\"\noutcome = \"unknown\"\n[[send.rule]]\nstatus = \"201\"",
        "rule 2: can never match",
    ),
    (
        "[[send.rule]]\nstatus = \"*\"",
        "[[send.rule]]\nstatus = \"4xx\"\noutcome = \"unknown\"\n[[send.rule]]\nstatus = \"400\"\njson = { \"/error/code\" = [2, 3] }\noutcome = \"bad-address\"\n[[send.rule]]\nstatus = \"*\"",
        "rule 4: the value 2 is taken by the rules before it",
    ),
];

fn problems(text: &str) -> String {
    match compile("acme", "acme.toml", text) {
        Ok(_) => String::new(),
        Err(problems) => problems.into_iter().map(|p| p.message).collect::<Vec<_>>().join("\n"),
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    assert_eq!(problems(GOOD), "");
    for (from, to, want) in BAD {
        assert!(GOOD.contains(from), "{from}");
        let found = problems(&GOOD.replacen(from, to, 1));
        assert!(found.contains(want), "{to}: {want} is not in: {found}");
        assert!(found.lines().all(|line| line.starts_with("acme.toml, ")), "{found}");
    }
}

#[test]
fn a_probe_must_be_harmless() {
    let probe = |inside: &str| {
        let rule = "[[probe.rule]]\nstatus = \"*\"\noutcome = \"unknown\"\n";
        format!("{GOOD}\n[probe]\nmethod = \"GET\"\nurl = \"{{{{settings.base_url}}}}/me\"\n{inside}\n{rule}")
    };
    assert_eq!(problems(&probe("")), "");
    assert!(problems(&probe("query = { to = \"{{to}}\" }")).contains("a probe knows the settings only"));
    assert_eq!(problems(&probe("json = { a = 1 }")), "");
    assert!(problems(&probe("json = { a = \"{{notice}}\" }")).contains("a probe knows the settings only"));
    assert_eq!(problems(&probe("checks = [\"credentials\", \"sender\"]")), "");
    assert!(problems(&probe("checks = [\"luck\"]")).contains("`luck` is none of credentials, sender"));
}

#[test]
fn only_a_definition_that_reads_reports_can_be_told_to_wait_for_them() {
    let declares = |text: &str| {
        let definition = compile("acme", "acme.toml", text).expect("valid");
        definition.settings.iter().any(|setting| setting.name == "receipts")
    };
    assert!(!declares(GOOD));
    assert!(declares(&format!("{GOOD}\n{REPORTS}")));
    let own = GOOD.replace("region = { kind", "receipts = { kind");
    assert!(problems(&own).contains("settings.receipts: is a setting of the engine"));
}

#[test]
fn every_problem_of_a_file_is_said_at_once() {
    let text = GOOD.replace("{{text}}", "{{txet}}").replace("\"acme\"", "\"x\"").replace("POST", "DELETE");
    assert_eq!(problems(&text).lines().count(), 3, "{}", problems(&text));
}

#[test]
fn the_definition_that_explains_the_language_is_valid() {
    let page = include_str!("../../../providers/README.md");
    let block = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of TOML");
    let definition = compile("acme-sms", "README.md", block).expect("valid");
    assert!(definition.probe.is_some() && definition.examples.len() == 1);
}

#[test]
fn secrets_stand_in_no_definition() {
    for (from, to, want) in [
        ("token = { kind = \"secret\"", "token = { kind = \"text\"", "settings.token: is a secret by its name"),
        ("bearer = \"token\"", "bearer = \"region\"", "send.auth: the setting `region` must be declared with kind"),
        (
            "auth = {",
            "headers = { X-Api-Key = \"hunter2\" }\nauth = {",
            "send.headers.X-Api-Key: a secret stands in clear",
        ),
        ("auth = {", "query = { password = \"hunter2\" }\nauth = {", "send.query.password: a secret stands in clear"),
        ("to = \"{{to}}\"", "a = [{ apiKey = \"hunter2\" }]", "send.json.a.apiKey: a secret stands in clear"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let found = problems(&GOOD.replacen(from, to, 1));
        assert!(found.contains(want), "{to}: {want} is not in: {found}");
        assert!(!found.contains("hunter2"), "{found}");
    }
    let fine =
        GOOD.replace("auth = {", "headers = { X-Api-Token = \"{{settings.token}}\", X-Secret-Id = \"7\" }\nauth = {");
    assert_eq!(problems(&fine), "");
}

const REPORTS: &str = r#"
[receipt]
methods = ["POST"]
body = "json"
verify = { standard-webhooks = "token" }
window = "5m"
events = "/events"
reply = { status = 200, body = "ok" }
[receipt.read]
token = ["/notice", "query:n"]
code = "/code"
zone = "+08:00"
[[receipt.rule]]
is = { "/status" = ["delivered", "read"] }
event = "delivered"
[[receipt.rule]]
like = { "/code" = "^5" }
event = "failed"
class = "bad-address"
[[receipt.rule]]
event = "progress"
"#;

/// What is replaced in [`REPORTS`], by what, and words of the problem that must be found.
const BAD_REPORTS: [(&str, &str, &str); 33] = [
    ("body = \"json\"", "boyd = \"json\"", "there is no key or word `boyd` here; did you mean `body`?"),
    ("like = {", "lik = {", "there is no key or word `lik` here; did you mean `like`?"),
    ("standard-webhooks", "standard-webhook", "did you mean `standard-webhooks`?"),
    ("verify = { standard-webhooks = \"token\" }\nwindow = \"5m\"", "", "missing field `verify`"),
    ("[\"POST\"]", "[\"PUT\"]", "receipt.methods: `PUT` is neither GET nor POST"),
    ("[\"POST\"]", "[]", "receipt.methods: name at least one"),
    ("[\"POST\"]", "[\"GET\"]", "receipt.body: `query` is the body of a GET"),
    ("body = \"json\"", "body = \"jsno\"", "receipt.body: no body is called `jsno`; did you mean `json`?"),
    ("body = \"json\"", "body = [\"json\", \"query\"]", "receipt.body: `query` is the body of a GET"),
    ("body = \"json\"", "body = []", "receipt.body: name at least one"),
    ("webhooks = \"token\"", "webhooks = \"tokn\"", "receipt.verify: the file declares no setting `tokn`"),
    (
        "webhooks = \"token\"",
        "webhooks = \"region\"",
        "receipt.verify: the setting `region` must be declared with kind = \"secret\"",
    ),
    ("window = \"5m\"", "", "receipt.window: say how old"),
    ("window = \"5m\"", "window = \"soon\"", "receipt.window: `soon` is no duration"),
    ("window = \"5m\"", "window = \"40d\"", "receipt.window: `40d` is no duration up to 31d"),
    ("{ standard-webhooks = \"token\" }", "\"none\"", "receipt.window: this way of verifying covers no time"),
    ("events = \"/events\"", "events = \"events\"", "receipt.events: `events` is no JSON pointer"),
    ("events = \"/events\"", "inner = \"Message\"", "receipt.inner: `Message` is no JSON pointer"),
    ("status = 200", "status = 302", "receipt.reply: a report that was kept is answered with 200 to 299"),
    ("body = \"ok\"", "type = \"a\\nb\"", "is no content type"),
    ("\"query:n\"", "\"qeury:n\"", "receipt.read.token: `qeury:n` is no place"),
    ("token = [\"/notice\", \"query:n\"]", "", "receipt.read: say where `token` or `message_id` is"),
    ("+08:00", "8 hours", "receipt.read.zone: `8 hours` is no offset"),
    ("\"delivered\", \"read\"", "", "receipt.rule 1: `/status` has no words"),
    ("\"read\"]", "1.5]", "receipt.rule 1: `/status` can be compared with"),
    ("\"^5\"", "\"^[5\"", "receipt.rule 2: `^[5` is no regular expression"),
    ("event = \"failed\"", "event = \"faild\"", "receipt.rule 2: `faild` has no class"),
    ("event = \"delivered\"", "event = \"deliverd\"", "no event is called `deliverd`; did you mean `delivered`?"),
    ("class = \"bad-address\"", "", "receipt.rule 2: `failed` needs a class"),
    ("class = \"bad-address\"", "class = \"accepted\"", "no failure has the class `accepted`"),
    ("event = \"progress\"", "event = \"delivered\"", "receipt.rule: the last rule must catch everything"),
    (
        "[[receipt.rule]]\nevent = \"progress\"",
        "[[receipt.rule]]\nis = { \"/status\" = \"read\", \"/x\" = 1 }\nevent = \"complained\"\n[[receipt.rule]]\nevent = \"ignore\"",
        "receipt.rule 3: can never match: the rules before it take every such event",
    ),
    (
        "[[receipt.rule]]\nevent = \"progress\"",
        "[[receipt.rule]]\nis = { \"/code\" = [400, 500] }\nevent = \"complained\"\n[[receipt.rule]]\nevent = \"ignore\"",
        "receipt.rule 3: the word `500` is taken by the rules before it",
    ),
];

#[test]
fn what_is_wrong_with_a_section_on_reports_is_said_with_its_place() {
    assert_eq!(problems(&format!("{GOOD}{REPORTS}")), "");
    for (from, to, want) in BAD_REPORTS {
        assert!(REPORTS.contains(from), "{from}");
        let found = problems(&format!("{GOOD}{}", REPORTS.replacen(from, to, 1)));
        assert!(found.contains(want), "{to}: {want} is not in: {found}");
        assert!(found.lines().all(|line| line.starts_with("acme.toml, ")), "{found}");
    }
}

/// [`GOOD`] with an approved template, and `more` in the section.
fn with_template(more: &str) -> String {
    let settings = "[settings]\ncode = { kind = \"text\" }\nwords = { kind = \"text\" }\nvalues = { kind = \"table\" }";
    let section = "[template]\ncode = \"code\"\ntext = \"words\"\nvalues = \"values\"\nplaceholder = \"${name}\"";
    format!("{}{section}\n{more}\n", GOOD.replace("[settings]", settings))
}

#[test]
fn what_is_wrong_with_an_approved_template_is_said_with_its_place() {
    assert_eq!(problems(&with_template("longest_value = 35\nprefix = \"[{{settings.code}}]\"")), "");
    for (from, to, want) in [
        ("\"${name}\"", "\"${x}\"", "template.placeholder: must show a place, as `${name}` or `{1}`"),
        ("\"${name}\"", "\"name}\"", "template.placeholder: needs a sign before the name"),
        ("values = \"values\"", "values = \"code\"", "template.values: the setting `code` must hold a table of texts"),
        ("code = \"code\"", "code = \"values\"", "template.code: the setting `values` must hold a text"),
        ("text = \"words\"", "text = \"wrods\"", "did you mean `words`?"),
        ("placeholder =", "forbidden = \"[\"\nplaceholder =", "template.forbidden: `[` is no regular expression"),
        ("placeholder =", "prefix = \"{{to}}\"\nplaceholder =", "template.prefix: can be made of settings only"),
        ("placeholder =", "approved = \"here\"\nplaceholder =", "template.approved: `here` is no place"),
        ("placeholder =", "longest = 3\nplaceholder =", "there is no key or word `longest` here"),
    ] {
        let text = with_template("");
        assert!(text.contains(from), "{from}");
        let found = problems(&text.replacen(from, to, 1));
        assert!(found.contains(want), "{to}: {want} is not in: {found}");
    }
}

#[test]
fn schemes_that_sign_name_settings_and_nothing_else() {
    let signed = |auth: &str| problems(&GOOD.replace("{ bearer = \"token\" }", auth));
    for good in [
        "{ sigv4 = { service = \"ses\", region = \"region\", access_key = \"region\", secret = \"token\" } }",
        "{ acs3 = { access_key = \"region\", secret = \"token\", security_token = \"token\" } }",
        "{ tc3 = { service = \"sms\", secret_id = \"region\", secret_key = \"token\" } }",
    ] {
        assert_eq!(signed(good), "");
        assert!(signed(&good.replace("\"token\"", "\"tokn\"")).contains("no setting `tokn`; did you mean `token`?"));
        assert!(signed(&good.replace("secret", "sercet")).contains("did you mean"), "{good}");
        assert!(signed(&good.replace("\"token\"", "\"region\"")).contains("declared with kind = \"secret\""), "{good}");
    }
}

#[test]
fn a_default_may_be_made_of_other_settings() {
    let base = |default: &str| GOOD.replace("\"https://api.example.com\"", default);
    assert_eq!(problems(&base("\"https://{{settings.region}}.example.com\"")), "");
    for (default, want) in [
        ("\"https://{{settings.regoin}}.example.com\"", "did you mean `region`?"),
        ("\"https://{{to}}.example.com\"", "made of settings only"),
        ("\"https://{{settings.token}}.example.com\"", "no setting `token`"),
    ] {
        assert!(problems(&base(default)).contains(want), "{default}: {}", problems(&base(default)));
    }
    let definition = compile("acme", "acme.toml", &base("\"https://{{settings.region}}.example.com\"")).expect("valid");
    let settings = |region: &str| Settings::new().with("region", region).with_secret("token", "t");
    let declared = definition.declare(&settings("eu-1"), "r").expect("valid");
    assert_eq!(declared.text("base_url"), Some("https://eu-1.example.com"));
    let own = definition.declare(&settings("eu-1").with("base_url", "http://127.0.0.1:1"), "r").expect("valid");
    assert_eq!(own.text("base_url"), Some("http://127.0.0.1:1"));
    // What is made of settings is checked as what is written is.
    let problem = definition.declare(&settings("x/?q="), "r").expect_err("no plain address");
    assert!(problem[0].message.contains("made of others, must be an address"), "{}", problem[0].message);
}

#[test]
fn replies_without_json_and_fields_with_json_are_read_and_written_safely() {
    for (from, to, want) in [
        ("message_id = \"header:X-Id\"", "message_id = \"find:<id>(.+)</id>\"", ""),
        ("message_id = \"header:X-Id\"", "message_id = \"find:<id>.+</id>\"", "no regular expression with one group"),
        ("status = \"201\"", "status = \"201\"\nheaders = { X-Error = \"^Busy\" }", ""),
        ("status = \"201\"", "status = \"201\"\nheaders = { X-Error = \"[\" }", "`[` is no regular expression"),
        ("status = \"201\"", "status = \"201\"\nheaders = { \"X Error\" = \"a\" }", "is no possible header name"),
        ("json = { to", "query = { h = { json = '{\"a\":\"<{{notice}}>\"}' } }\njson = { to", ""),
        ("json = { to", "query = { h = { json = '{\"a\":{{notice}}}' } }\njson = { to", "a name stands outside a text"),
        ("json = { to", "query = { n = \"{{to_within.cn}}\" }\njson = { to", "two capital letters"),
        ("json = { to", "query = { n = \"{{sent.day.x}}\" }\njson = { to", "write the hours east"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let found = problems(&GOOD.replacen(from, to, 1));
        assert!(if want.is_empty() { found.is_empty() } else { found.contains(want) }, "{to}: {found}");
    }
}

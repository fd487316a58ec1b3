//! The whole of content, from files in memory to octets that a mail parser reads back.

use super::*;
use crate::model::channel::ContactKind;
use crate::model::contact::Role;
use crate::model::incident::{CampaignKind, CampaignPlan, IncidentText};
use crate::model::ladder::{Ladder, Step, When};
use crate::model::personal::Personal;
use crate::model::rendered::{EmailNotice, SmsCoding};
use crate::model::time::HOUR;
use mail_parser::{Message, MessageParser};
use proptest::prelude::*;
use std::sync::LazyLock;

const TERMS: &str = "language = 'x'\n[date]\npattern = '{day} {month} {year}'\nrange = '{from} to {until}'\n\
    months = ['January','February','March','April','May','June','July','August','September','October','November','December']\n\
    [list]\nseparator = ', '\nlast = ' and '\n[data_types]\nname = 'name'\nphone = 'phone number'\n";
const EMAIL: &str = "# {{incident.title}}\n\n{{#if name}}Dear {{name}},{{else}}Good day,{{/if}}\n\n\
    {{#if role_guardian}}\nYou get this for a child.\n{{/if}}\n\n{{text.what_happened}}\n\nOn {{incident.discovered}} we \
    ({{organisation}}) found:\n\n{{#each data_types}}\n- {{this}}\n{{/each}}\n\n\
    {{#if text.likely_consequences}}\n## Consequences\n\n{{text.likely_consequences}}\n{{/if}}\n\n\
    Yours, {{reference}} {{#if extra.note}}({{extra.note}}){{/if}}\n";
const CALL: &str = "## greeting | Greeting\nHello {{#if name}}{{name}}{{/if}}\n## identity | Identity\nYou?\n\
    ## message | Message\n{{text.what_happened}}\n## questions | Questions\n**Why?**\\\nBecause.\n## closing | Closing\nBye.";

fn files() -> TemplateFiles {
    let manifest = "description = 'test'\nrequired = ['what_happened']\noptional = ['likely_consequences']\nsms_max_segments = 3\n";
    let mut files = TemplateFiles([("template.toml".to_owned(), manifest.to_owned())].into());
    let chinese =
        TERMS.replace("{day} {month} {year}", "{year}年{month_number}月{day}日").replace("phone number", "电话");
    for (tag, terms, email, sms) in [
        ("en", TERMS, EMAIL.to_owned(), "{{organisation}}: your data leaked. Ref {{reference}}"),
        ("zh-CN", chinese.as_str(), EMAIL.replace("Good day", "您好").repeat(2), "{{organisation}}：您的数据泄露。"),
    ] {
        let subject = if tag == "en" {
            "Your data: {{incident.title}}\n"
        } else {
            "【重要】关于您个人信息安全的通知，请您务必仔细阅读：{{incident.title}}"
        };
        for (name, text) in [
            ("terms.toml", terms),
            ("email.subject.hbs", subject),
            ("email.md.hbs", &email),
            ("sms.hbs", sms),
            ("call.md.hbs", CALL),
        ] {
            files.0.insert(format!("{tag}/{name}"), text.to_owned());
        }
    }
    files
}

fn with(path: &str, text: &str) -> TemplateFiles {
    let mut files = files();
    files.0.insert(path.to_owned(), text.to_owned());
    files
}

fn incident() -> Incident {
    let text = |words: &str| -> IncidentText { [("what_happened".to_owned(), words.to_owned())].into() };
    let steps = Channel::ALL.map(|channel| Step { channel, when: When::Always, after: 0 }).to_vec();
    Incident {
        id: "2026-001".into(),
        title: "Portal & <data> {{leak}}".into(),
        occurred_from: None,
        occurred_until: None,
        discovered: "2026-11-03T09:30:00+08:00[+08:00]".parse().unwrap(),
        clocks: BTreeMap::new(),
        data_types: vec!["name".into(), "phone".into()],
        texts: [
            ("en".to_owned(), text("A thief *copied*:\n\n- files\n- [more](https://x.example)")),
            ("zh-Hans".to_owned(), text("有人**复制**了文件。")),
        ]
        .into(),
        campaign: CampaignPlan {
            kind: CampaignKind::Initial,
            templates: "test".into(),
            default_locale: "en-GB".into(),
            ladder: Ladder { steps },
            on_unknown: BTreeMap::new(),
            give_up_after: 72 * HOUR,
            approvals: 1,
            retry_first: HOUR,
            retry_max: HOUR,
        },
        sources: Vec::new(),
    }
}

fn sender() -> Sender {
    Sender { organisation: "Example Ltd".into(), from_name: None, from_address: "dpo@example.com".into() }
}

fn texts() -> &'static Texts {
    static TEXTS: LazyLock<Texts> = LazyLock::new(|| Texts::compile(&files(), &incident(), &sender()).unwrap());
    &TEXTS
}

fn person(name: &str, locale: &str) -> Person {
    Person { reference: Personal::new("C-1"), name: Personal::new(name), locale: locale.into(), ..Person::default() }
}

fn envelope() -> Envelope {
    Envelope {
        log_head: None,
        message_id: "n1.c1@example.com".into(),
        date: 1_794_000_000_000_000,
        notice: "tok-1".into(),
        campaign: "c1".into(),
    }
}

fn render_email(who: &Person, address: &str, role: Role) -> EmailNotice {
    let contact = Contact { kind: ContactKind::Email, address: Personal::new(address), role };
    let Rendered::Email(email) = texts().render(who, &contact, Channel::Email, &envelope()).unwrap() else {
        panic!("not Email")
    };
    email
}

fn render_by_phone(texts: &Texts, who: &Person, channel: Channel) -> Result<Rendered, Problem> {
    let contact = Contact { kind: ContactKind::Phone, address: Personal::new("+4930123456"), role: Role::OneSelf };
    texts.render(who, &contact, channel, &envelope())
}

fn parse(email: &EmailNotice) -> Message<'_> {
    MessageParser::default().parse(email.mime.reveal()).unwrap()
}

/// The names of the headers of the message itself, in order.
fn header_names(mime: &str) -> Vec<&str> {
    let head = mime.split("\r\n\r\n").next().unwrap();
    head.split("\r\n").filter(|l| !l.starts_with(' ')).map(|l| l.split_once(':').unwrap().0).collect()
}

const HEADERS: [&str; 10] = [
    "From",
    "MIME-Version",
    "Auto-Submitted",
    "Content-Language",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "X-Forewarn-Notice",
    "Content-Type",
];

fn assert_wire_safe(mime: &str) {
    assert!(mime.is_ascii());
    assert!(mime.ends_with("\r\n"));
    for line in mime.split("\r\n") {
        assert!(line.len() <= 998 && !line.contains(['\r', '\n', '\0']), "{line:?}");
    }
    assert_eq!(header_names(mime), HEADERS);
}

#[test]
fn an_email_says_the_same_in_text_and_html() {
    let email = render_email(&person("Ann <b>{{reference}}</b> *Lee*", "en"), "ann@x.example", Role::OneSelf);
    let text = "Portal & <data> {{leak}}\n========================\n\nDear Ann <b>{{reference}}</b> *Lee*,\n\nA thief copied:\n\n- files\n\
        - more (https://x.example)\n\nOn 3 November 2026 we (Example Ltd) found:\n\n- name\n- phone number\n\nYours, C-1\n";
    assert_eq!(email.text.reveal(), text);
    let html = email.html.reveal();
    for part in [
        "<html lang=\"en\" dir=\"ltr\">",
        "<title>Your data: Portal &amp; &lt;data&gt; {{leak}}</title>",
        "<p>Dear Ann &lt;b&gt;{{reference}}&lt;/b&gt; *Lee*,</p>\n<p>A thief <em>copied</em>:</p>",
        "<ul>\n<li>name</li>\n<li>phone number</li>\n</ul>",
        ":root { color-scheme: light dark; }",
    ] {
        assert!(html.contains(part), "{part}\n{html}");
    }
    assert!(!html.contains("<p></p>") && !html.contains("Consequences") && !html.contains("child"), "{html}");
    assert!(!html.contains("<img") && !html.contains("<script") && !html.contains("src="));
}

#[test]
fn a_mail_parser_reads_the_message_back() {
    let who = person("王小明", "zh-CN");
    let email = render_email(&who, "wang@x.example", Role::OneSelf);
    assert_wire_safe(email.mime.reveal());
    let message = parse(&email);
    assert_eq!(message.subject(), Some(email.subject.reveal()));
    assert_eq!(message.message_id(), Some("n1.c1@example.com"));
    let to = message.to().unwrap().first().unwrap();
    assert_eq!((to.name(), to.address()), (Some("王小明"), Some("wang@x.example")));
    let from = message.from().unwrap().first().unwrap();
    assert_eq!((from.name(), from.address()), (Some("Example Ltd"), Some("dpo@example.com")));
    assert_eq!(message.date().unwrap().to_timestamp(), 1_794_000_000);
    assert_eq!(message.header_raw("Auto-Submitted").map(str::trim), Some("auto-generated"));
    assert_eq!(message.header_raw("Content-Language").map(str::trim), Some("zh-CN"));
    assert_eq!(message.header_raw("X-Forewarn-Notice").map(str::trim), Some("tok-1"));
    assert_eq!(message.body_text(0).unwrap().replace("\r\n", "\n").trim_end(), email.text.reveal().trim_end());
    assert_eq!(message.body_html(0).unwrap().replace("\r\n", "\n").trim_end(), email.html.reveal().trim_end());
    assert!(email.text.reveal().contains("有人复制了文件。"));
    assert_eq!(email.mime, render_email(&who, "wang@x.example", Role::OneSelf).mime, "the same input, the same octets");
}

#[test]
fn a_guardian_is_addressed_as_one_and_not_by_the_childs_name() {
    let email = render_email(&person("Ann", "en"), "parent@x.example", Role::Guardian);
    assert!(email.text.reveal().contains("\n\nYou get this for a child.\n\n"));
    assert_eq!(parse(&email).to().unwrap().first().unwrap().name(), None);
    let email = render_email(&person("", "fr"), "jürgen@x.example", Role::OneSelf);
    assert!(email.text.reveal().contains("\n\nGood day,\n\n"));
    assert_wire_safe(email.mime.reveal());
    assert!(email.mime.reveal().contains("\r\nTo: undisclosed-recipients:;\r\n"));
}

#[test]
fn an_address_that_would_leave_its_header_is_refused() {
    let contact = Contact {
        kind: ContactKind::Email,
        address: Personal::new("a@x.example>\r\nBcc: <b@y.example"),
        role: Role::OneSelf,
    };
    let problem = texts().render(&person("A", "en"), &contact, Channel::Email, &envelope()).unwrap_err();
    assert_eq!((problem.code, problem.field.as_str()), ("bad-email", "email"));
    assert!(!problem.message.contains("Bcc"));
    let bad = Envelope { notice: "a\r\nBcc: b".into(), ..envelope() };
    let contact = Contact { address: Personal::new("a@x.example"), ..contact };
    assert_eq!(texts().render(&person("A", "en"), &contact, Channel::Email, &bad).unwrap_err().code, "bad-envelope");
}

#[test]
fn a_short_message_is_counted_and_capped() {
    let texts = texts();
    let Rendered::Sms(sms) = render_by_phone(texts, &person("A", "de"), Channel::Sms).unwrap() else {
        panic!("not Sms")
    };
    assert_eq!(sms.text.reveal(), "Example Ltd: your data leaked. Ref C-1");
    assert_eq!((sms.coding, sms.segments), (SmsCoding::Gsm7, 1));
    let long = Person { reference: Personal::new("e\u{301}".repeat(500)), ..person("A", "en") };
    let problem = render_by_phone(texts, &long, Channel::Sms).unwrap_err();
    assert_eq!(problem.code, "sms-too-long");
    let accents = Person { reference: Personal::new("e\u{301}"), ..person("A", "en") };
    let Rendered::Sms(sms) = render_by_phone(texts, &accents, Channel::Sms).unwrap() else { panic!("not Sms") };
    assert_eq!((sms.text.reveal().ends_with("Ref é"), sms.coding), (true, SmsCoding::Gsm7));
}

#[test]
fn what_looks_like_handlebars_in_a_text_prints_as_it_is() {
    let mut incident = incident();
    incident.title = "{{x}} \\ { { {{{ }}} \\{{".into();
    for source in [
        "{{incident.title}}{{reference}}{{incident.title}}}",
        "\n {{incident.title}}\n\n{{#if name}}\n{\n{{/if}}\n\\{{reference}}\n",
    ] {
        let texts = Texts::compile(&with("en/sms.hbs", source), &incident, &sender()).unwrap();
        let Rendered::Sms(sms) = render_by_phone(&texts, &person("A", "en"), Channel::Sms).unwrap() else {
            panic!("not Sms")
        };
        let title = &incident.title;
        let want = [format!("{title}C-1{title}}}"), format!("{title}\n\n{{\n\\C-1")];
        assert!(want.iter().any(|w| w == sms.text.reveal()), "{source:?} {:?}", sms.text.reveal());
    }
}

#[test]
fn a_call_script_has_its_sections_in_plain_text() {
    let Rendered::Call(script) = render_by_phone(texts(), &person("Ann", "en"), Channel::Phone).unwrap() else {
        panic!("not Call")
    };
    let shown: Vec<(&str, &str)> = script.sections.iter().map(|(id, _, text)| (id.as_str(), text.reveal())).collect();
    assert_eq!(shown[0], ("greeting", "Hello Ann"));
    assert_eq!(shown[2], ("message", "A thief copied:\n\n- files\n- more (https://x.example)"));
    assert_eq!(shown[3], ("questions", "Why?\nBecause."));
    assert_eq!((script.language.as_str(), script.sections[4].1.as_str()), ("en", "Closing"));
}

#[test]
fn persons_have_their_own_data_and_columns() {
    let texts =
        &Texts::compile(&with("en/sms.hbs", "{{data_types_list}} {{extra.[Customer No.]}}"), &incident(), &sender())
            .unwrap();
    assert_eq!(texts.extras(), [("Customer No.", true), ("note", false)].into());
    let mut who = person("A", "en");
    let problem = render_by_phone(texts, &who, Channel::Sms).unwrap_err();
    assert_eq!((problem.code, problem.field.as_str()), ("missing-value", "extra.Customer No."));
    who.extra = vec![("Customer No.".into(), Personal::new("{{name}}\r\n7"))];
    who.data_types = vec!["phone".into()];
    let Rendered::Sms(sms) = render_by_phone(texts, &who, Channel::Sms).unwrap() else { panic!("not Sms") };
    assert_eq!(sms.text.reveal(), "phone number {{name}}  7");
    who.data_types = vec!["secret".into()];
    let problem = render_by_phone(texts, &who, Channel::Sms).unwrap_err();
    assert_eq!(problem.code, "unknown-data-type");
    assert!(!problem.message.contains("secret"));
}

#[test]
fn languages_are_chosen_and_their_gaps_told() {
    let texts = texts();
    assert_eq!(texts.languages(), ["en", "zh-CN"]);
    for (locale, want) in [("zh-Hans-SG", "zh-CN"), ("en-US", "en"), ("ko", "en"), ("", "en")] {
        assert_eq!(texts.language_for(locale), want);
    }
    assert!(texts.warnings().is_empty(), "{:?}", texts.warnings());
    let mut incident = incident();
    let chinese = incident.texts.remove("zh-Hans").unwrap();
    incident.texts.insert("ko".into(), chinese);
    let codes: Vec<&str> =
        Texts::compile(&files(), &incident, &sender()).unwrap().warnings().iter().map(|w| w.code).collect();
    assert_eq!(codes, ["language-without-text", "text-without-template"]);
}

#[test]
fn every_problem_of_a_set_is_found_before_the_start() {
    let check = |files: TemplateFiles, incident: Incident, want: &str| {
        let problems = Texts::compile(&files, &incident, &sender()).unwrap_err();
        let all: Vec<String> = problems.iter().map(|p| format!("{} {} | {}", p.code, p.field, p.message)).collect();
        assert!(all.iter().any(|p| p.contains(want)), "{want}\n{all:#?}");
    };
    for (path, text, want) in [
        ("en/email.md.hbs", "a\n\n{{oops}}", "missing-value oops | en/email.md.hbs:3"),
        ("en/email.md.hbs", "a\n\n{{#if name}}", "template-syntax  | en/email.md.hbs:3"),
        ("en/call.md.hbs", &CALL.replace("Bye.", "{{name}}"), "missing-value name | en/call.md.hbs:11"),
        ("en/email.md.hbs", &">".repeat(100_000), "nested too deeply"),
        ("en/email.md.hbs", &format!("{}a", "- ".repeat(10_000)), "nested too deeply"),
        ("en/emial.md.hbs", "x", "did you mean `email.md.hbs`?"),
        ("en/sms.hbs", &"x".repeat(700), "sms-too-long"),
        ("en/sms.hbs", "{{#if role_self}}x{{/if}}", "role guardian; give every choice"),
        ("en/terms.toml", "langage = 'x'", "did you mean `language`?"),
        (
            "template.toml",
            "description = 'x'\nrequired = ['what_happened', 'more']\nsms_max_segments = 6",
            "[incident.text.en] needs `more`",
        ),
    ] {
        check(with(path, text), incident(), want);
    }
    for (path, want) in [
        ("en/sms.hbs", "missing-template en/sms.hbs"),
        ("zh-CN/email.subject.hbs", "missing-template zh-CN/email.subject.hbs"),
        ("template.toml", "missing-template template.toml"),
        ("en/terms.toml", "missing-template en"),
    ] {
        let mut files = files();
        files.0.remove(path);
        check(files, incident(), want);
    }
    let mut other = incident();
    other.campaign.default_locale = "ko".into();
    check(files(), other, "missing-language campaign.default_locale");
    let mut other = incident();
    other.data_types.push("pasport".into());
    check(files(), other, "has no words for `pasport`");
    let mut other = incident();
    if let Some(text) = other.texts.get_mut("en") {
        text.insert("likely_consequence".into(), "x".into());
        text.insert("what_happened".into(), "a {{nam}}".into());
    }
    check(files(), other.clone(), "did you mean `likely_consequences`?");
    check(files(), other, "incident file, [incident.text.en] what_happened:1: `nam`");
    let bad = Sender { from_address: "x\r\nBcc: y@z".into(), ..sender() };
    assert_eq!(Texts::compile(&files(), &incident(), &bad).unwrap_err()[0].code, "bad-sender");
}

/// The set compiles in every language it has, whether or not the incident fills what is optional.
fn check_set(set: &str, files: &TemplateFiles) {
    let manifest = terms::Manifest::parse(&files.0["template.toml"]).unwrap();
    let mut tags: Vec<&str> = files.0.keys().filter_map(|path| Some(path.split_once('/')?.0)).collect();
    tags.dedup();
    let first = format!("{}/terms.toml", tags[0]);
    let words = terms::Terms::parse(&first, &files.0[&first]).unwrap();
    for optional in [&[][..], &manifest.optional] {
        let keys = manifest.required.iter().chain(optional);
        let text: IncidentText =
            keys.map(|key| (key.clone(), format!("*Text* of {key}, {{{{reference}}}}."))).collect();
        let mut incident = incident();
        incident.texts = tags.iter().map(|tag| ((*tag).to_owned(), text.clone())).collect();
        incident.data_types = words.data_types.keys().cloned().collect();
        incident.occurred_from = (!optional.is_empty()).then(|| incident.discovered.clone());
        let texts =
            Texts::compile(files, &incident, &sender()).unwrap_or_else(|problems| panic!("{set}: {problems:#?}"));
        assert_eq!(texts.languages(), tags, "{set}");
        assert!(texts.warnings().is_empty(), "{set}: {:?}", texts.warnings());
    }
}

#[test]
fn every_set_compiles_in_all_its_languages() {
    check_set("the set of these tests", &files());
    for set in TemplateFiles::sets(None).unwrap() {
        check_set(&set, &TemplateFiles::load(&set, None).unwrap());
    }
}

#[test]
fn what_is_approved_covers_files_facts_texts_and_sender() {
    let base = texts().digest().to_owned();
    assert_eq!(base, texts().digest());
    let mut digests = vec![base];
    digests.push(Texts::compile(&with("en/sms.hbs", "other"), &incident(), &sender()).unwrap().digest().to_owned());
    let mut other = incident();
    other.title = "Other".into();
    digests.push(Texts::compile(&files(), &other, &sender()).unwrap().digest().to_owned());
    let mut other = incident();
    other.texts.values_mut().for_each(|t| *t = [("what_happened".to_owned(), "Other".to_owned())].into());
    digests.push(Texts::compile(&files(), &other, &sender()).unwrap().digest().to_owned());
    let named = Sender { from_name: Some("DPO".into()), ..sender() };
    digests.push(Texts::compile(&files(), &incident(), &named).unwrap().digest().to_owned());
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 5);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_value_of_a_person_breaks_a_message(
        name in prop_oneof![".{0,200}", "(?s)(\r\nBcc: a@b|\\{\\{name\\}\\}|=\\?utf-8\\?Q\\?|😀|\u{202e}|[\u{0}-\u{1f}]|é|测|.){0,60}"],
        note in "(?s).{0,3000}", reference in "(?s).{0,40}", chinese in any::<bool>(),
    ) {
        let mut who = person(&name, if chinese { "zh" } else { "en" });
        who.reference = Personal::new(reference);
        who.extra = vec![("note".into(), Personal::new(note))];
        let email = render_email(&who, "ann@x.example", Role::OneSelf);
        assert_wire_safe(email.mime.reveal());
        let message = parse(&email);
        prop_assert_eq!(message.subject(), Some(email.subject.reveal()));
        prop_assert_eq!(message.to().unwrap().first().unwrap().address(), Some("ann@x.example"));
        prop_assert_eq!(message.parts.len(), 3);
        let read = message.body_text(0).unwrap().replace("\r\n", "\n");
        prop_assert_eq!(read.trim_end_matches('\n'), email.text.reveal().trim_end_matches('\n'));
        let read = message.body_html(0).unwrap().replace("\r\n", "\n");
        prop_assert_eq!(read.trim_end_matches('\n'), email.html.reveal().trim_end_matches('\n'));
    }

    #[test]
    fn any_incident_text_compiles_to_balanced_html_or_is_refused(
        text in "(?s)([-*>#+ \\n`_~|<>()!&\\[\\]\\\\=.:/]|1\\.|[ab]|    |\n\n|https://x\\.example|\\{\\{reference\\}\\}|\\{\\{#if name\\}\\}|\\{\\{/if\\}\\}){1,40}",
    ) {
        let mut incident = incident();
        incident.texts.remove("zh-Hans");
        incident.texts.insert("en".into(), [("what_happened".to_owned(), text)].into());
        if let Ok(texts) = Texts::compile(&files(), &incident, &sender()) {
            for name in ["Ann", ""] {
                let contact = Contact { kind: ContactKind::Email, address: Personal::new("a@x.example"), role: Role::OneSelf };
                let rendered = texts.render(&person(name, "en"), &contact, Channel::Email, &envelope()).unwrap();
                let Rendered::Email(email) = rendered else { panic!("not Email") };
                prop_assert_eq!(unbalanced(email.html.reveal()), None);
            }
        }
    }
}

/// The first element that closes out of order, or never.
fn unbalanced(html: &str) -> Option<String> {
    let mut open: Vec<&str> = Vec::new();
    for tag in html.split('<').skip(1).filter_map(|part| part.split_once('>')).map(|(tag, _)| tag) {
        let name = tag.split([' ', '\n']).next().unwrap_or_default();
        match name.strip_prefix('/') {
            Some(name) if open.pop() != Some(name) => return Some(name.to_owned()),
            Some(_) => {}
            None if ["!DOCTYPE", "meta", "hr", "br"].contains(&name) => {}
            None => open.push(name),
        }
    }
    open.pop().map(str::to_owned)
}

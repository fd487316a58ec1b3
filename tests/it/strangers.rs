//! What strangers put into a mailbox: it names, kills and breaks nothing that is not theirs.

use crate::reported::Installation;
use crate::support::wait_until;
use forewarn::model::channel::Channel;
use forewarn::model::notice::NoticeId;
use forewarn::vault::MasterKey;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const PERSONS: i64 = 11;

fn address(person: i64) -> String {
    format!("p{person}@example.org")
}

/// A report in the usual form about these recipients, sent to this address of ours.
fn report(to: &str, recipients: &[String], status: &str, behind: &str) -> Vec<u8> {
    let blocks: String = recipients
        .iter()
        .map(|r| format!("\r\nFinal-Recipient: rfc822; {r}\r\nAction: failed\r\nStatus: {status}\r\n"))
        .collect();
    format!(
        "From: MAILER-DAEMON@mx.test\r\nTo: {to}\r\nSubject: Undelivered Mail Returned to Sender\r\nMessage-ID: \
         <{n}@mx.test>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; \
         boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nIt could not be delivered.\r\n\r\n--b\r\nContent-Type: \
         message/delivery-status\r\n\r\nReporting-MTA: dns; mx.test\r\n{blocks}\r\n--b\r\n{behind}\r\n--b--\r\n",
        n = blake3::hash(to.as_bytes()).to_hex()
    )
    .into_bytes()
}

fn header(to: &str, more: &str) -> String {
    format!("From: {}\r\nTo: {to}\r\nMIME-Version: 1.0\r\n{more}", address(2))
}

/// What lies in the mailbox; `bounce` gives the address of a person's notice.
fn messages(bounce: &dyn Fn(i64) -> String, foreign: &str) -> Vec<Vec<u8>> {
    let one = |person: i64| vec![address(person)];
    let crowd: Vec<String> = (0..10_000).map(|n| format!("u{n}@example.net")).collect();
    let nested = (0..3_000).fold(String::new(), |mut text, n| {
        text.push_str(&format!("Content-Type: multipart/mixed; boundary=n{n}\r\n\r\n--n{n}\r\n"));
        text
    });
    let storm = "Content-Type: application/x; name=a\r\n\r\nx\r\n--b\r\n".repeat(20_000);
    let complaint = "Subject: complaint\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain\r\n\r\nspam\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: \
        abuse\r\nUser-Agent: x\r\nVersion: 1\r\n--b--\r\n";
    let elsewhere =
        format!("Content-Type: message/rfc822\r\n\r\nTo: {}\r\nMessage-ID: <1@elsewhere.test>\r\n", address(8));
    vec![
        report(&bounce(1), &crowd, "5.1.1", ""),
        header(&bounce(2), "Auto-Submitted: auto-replied\r\nSubject: Out of office\r\n\r\nuser unknown, 550 5.1.1\r\n")
            .into(),
        header(&bounce(3), complaint).into(),
        // Forwarded to somebody who is a customer, too.
        report(&bounce(4), &one(5), "5.1.1", ""),
        header(&bounce(6), &format!("Subject: deep\r\n{nested}")).into(),
        [report(&bounce(7), &one(7), "5.1.1", ""), vec![b'x'; 30 << 20]].concat(),
        report("bounces@n.example.com", &one(8), "5.1.1", &elsewhere),
        report(&bounce(9), &one(9), "5.1.1", ""),
        report(&bounce(9), &one(9), "5.1.1", ""),
        report(&format!("bounces+{foreign}@n.example.com"), &one(10), "5.1.1", ""),
        report(&bounce(11), &one(11), "5.2.2", &storm),
        Vec::new(),
        (0..=255u8).cycle().take(100_000).collect(),
        header("bounces@n.example.com", "Subject: question\r\n\r\nWhom do I call?\r\n").into(),
    ]
}

/// By person, the state of their notice, and how many receipts there are.
fn told(place: &Installation) -> BTreeMap<String, (String, usize)> {
    let mut told: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for line in place.ok("campaign log ID --json").lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let text = |key: &str| event[key].as_str().unwrap_or_default();
        // What people did to the campaign is nobody's.
        if text("ref").is_empty() {
            continue;
        }
        let person = told.entry(text("ref").to_owned()).or_default();
        if !text("state").is_empty() {
            text("state").clone_into(&mut person.0);
        }
        person.1 += usize::from(text("event") == "receipt");
    }
    told
}

fn master(key: &Path) -> MasterKey {
    MasterKey::parse(&fs_err::read_to_string(key).expect("a key")).expect("a key")
}

#[test]
fn what_strangers_send_moves_only_the_notice_whose_token_it_has() {
    let maildir = tempfile::tempdir().expect("a folder");
    let sandbox = tempfile::tempdir().expect("a folder");
    for name in ["new", "cur", "tmp"] {
        fs_err::create_dir(maildir.path().join(name)).expect("made");
    }
    let routes = format!(
        "[[route]]\nname = \"box\"\nchannel = \"email\"\nprovider = \"sandbox\"\nsettings = {{ dir = \"{}\" }}\n[[mailbox]]\n\
         name = \"gone\"\nmaildir = \"nowhere\"\nevery = \"1s\"\n[[mailbox]]\nname = \"bounces\"\nmaildir = \"{}\"\nevery = \
         \"1s\"\n",
        sandbox.path().display(),
        maildir.path().display()
    );
    let rows: String = (1..=PERSONS).map(|n| format!("P{n:02},Person {n},{},en\n", address(n))).collect();
    let list = format!("ref,name,email,locale\n{rows}");
    let place = Installation::serving_on("sqlite://forewarn.db", r#"{ channel = "email" }"#, &list, &[], &routes);
    place.wait_for("accepted", PERSONS);
    let (ours, other) = (master(&place.path("master.key")), MasterKey::parse(&MasterKey::generate()).expect("a key"));
    let notice = |person| NoticeId::new(person, 0, Channel::Email);
    let bounce = |person| format!("bounces+{}@n.example.com", ours.token(1, notice(person)));
    let messages = messages(&bounce, &other.token(1, notice(10)));
    for (n, message) in messages.iter().enumerate() {
        fs_err::write(maildir.path().join(format!("new/{n}")), message).expect("written");
    }
    let mailbox = || place.status()["mailboxes"].as_array().expect("a list")[0].clone();
    assert!(wait_until(|| mailbox()["read"] == messages.len()), "{}\n{}", mailbox(), place.said());
    place.wait_for("failed", 5);
    let told = told(&place);
    let states: Vec<&str> = told.values().map(|(state, _)| state.as_str()).collect();
    let (a, f, d) = ("accepted", "failed", "delivered");
    assert_eq!(states, [f, a, d, f, a, a, f, a, f, a, f], "{told:?}");
    assert_eq!(told["P09"].1, 1, "the same report twice is one receipt");
    let found = mailbox();
    assert_eq!(
        (&found["name"], &found["matched"], &found["nobodys"]),
        (&"bounces".into(), &8.into(), &2.into()),
        "{found}"
    );
    assert_eq!(fs_err::read_dir(maildir.path().join("new")).expect("a folder").count(), messages.len());
    let log = place.said();
    assert!(log.contains("mailbox-gone") && log.contains("nowhere"), "the mailbox that is gone is named: {log}");
    assert!(!log.contains("example.org"), "nobody is named in the log: {log}");
}

//! Reports of the common servers, written for these tests.

use super::*;
use proptest::prelude::*;

const TOKEN: &str = "0123456789abcdef0123456789abcdef0123";

fn told(raw: &str) -> String {
    let report = read(raw.replace('\n', "\r\n").as_bytes());
    let one = |f: &Finding| {
        let address = f.address.as_ref().map_or("-", Personal::reveal);
        format!(" | {address} {} {} {}", f.kind.as_str(), f.class.as_str(), f.status)
    };
    format!("{}{}", report.kind.as_str(), report.recipients.iter().map(one).collect::<String>())
}

fn dsn(action: &str, status: &str, diagnostic: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.example.net\nTo: bounce+{TOKEN}@notices.example.com\nSubject: Delivery report\n\
         Auto-Submitted: auto-replied\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\n\n\
         --b\nContent-Type: text/plain\n\nYour message is reported on below.\n\n\
         --b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n\
         Final-Recipient: rfc822; jane@example.org\nAction: {action}\nStatus: {status}\n\
         Diagnostic-Code: smtp; {diagnostic}\n\n\
         --b\nContent-Type: message/rfc822\n\nMessage-ID: <{TOKEN}@notices.example.com>\nTo: jane@example.org\n\nx\n\n--b--\n"
    )
}

#[test]
fn a_notification_for_machines_is_read_by_its_action_and_code() {
    for (action, status, diagnostic, want) in [
        ("failed", "5.1.1", "550 5.1.1 User unknown", "hard | jane@example.org hard bad-address 5.1.1"),
        ("failed", "5.2.2", "552 5.2.2 Mailbox full", "soft | jane@example.org soft temporary 5.2.2"),
        ("delayed", "4.4.1", "connect: timed out", "soft | jane@example.org soft temporary 4.4.1"),
        ("delivered", "2.0.0", "250 2.0.0 Ok", "delivered | jane@example.org delivered accepted 2.0.0"),
    ] {
        assert_eq!(told(&dsn(action, status, diagnostic)), want, "{action} {status}");
    }
    let report = read(dsn("failed", "5.1.1", "550 no").replace('\n', "\r\n").as_bytes());
    assert_eq!(report.tokens.first().map(String::as_str), Some(TOKEN));
}

#[test]
fn an_automatic_answer_kills_no_address() {
    for head in ["Auto-Submitted: auto-replied", "X-Autoreply: yes", "Precedence: auto_reply"] {
        let mail = format!(
            "From: jane@example.org\nTo: dpo@example.com\nSubject: Out of office\n{head}\n\n\
             I am away. The mailbox you wrote to, 550 5.1.1 user unknown, is not read.\n"
        );
        let told = told(&mail);
        assert!(told.starts_with("auto-reply") && !told.contains("bad-address"), "{head}: {told}");
    }
    let quoting = "From: jane@example.org\nTo: dpo@example.com\nSubject: Re: your letter\nAuto-Submitted: auto-replied\n\n\
        I am away until Monday.\n\n> Final-Recipient: rfc822; jane@example.org\n> Action: failed\n> Status: 5.1.1\n\n\
        Final-Recipient: rfc822; jane@example.org\nAction: failed\nStatus: 5.1.1\n";
    assert!(told(quoting).starts_with("auto-reply"), "{}", told(quoting));
    assert!(!told(&quoting.replace("Auto-Submitted: auto-replied\n", "")).contains("hard"));
    assert_eq!(told("From: jane@example.org\nTo: dpo@example.com\nSubject: Hello\n\nWhat happened?\n"), "not-a-report");
}

#[test]
fn a_complaint_names_whoever_complained() {
    let mail = "From: fbl@example.net\nTo: dpo@example.com\nMIME-Version: 1.0\n\
        Content-Type: multipart/report; report-type=feedback-report; boundary=\"b\"\n\n\
        --b\nContent-Type: text/plain\n\nAn abuse report.\n\n\
        --b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: x/1\nVersion: 1\n\
        Original-Rcpt-To: jane@example.org\n\n\
        --b\nContent-Type: message/rfc822\n\nTo: jane@example.org\n\nx\n\n--b--\n";
    let told = told(mail);
    assert!(told.starts_with("complaint | jane@example.org complaint"), "{told}");
}

#[test]
fn a_bounce_in_words_alone_is_read_by_its_words() {
    let mail = "From: MAILER-DAEMON@mx.example.net\nTo: dpo@example.com\nSubject: failure notice\n\n\
        Hi. This is the qmail-send program at mx.example.net.\n\
        I'm afraid I wasn't able to deliver your message to the following addresses.\n\n\
        <jane@example.org>:\n192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 no such user\n\
        Giving up on 192.0.2.1.\n\n--- Below this line is a copy of the message.\n\nTo: jane@example.org\n\nx\n";
    let told = told(mail);
    assert!(told.starts_with("hard | jane@example.org hard bad-address"), "{told}");
}

#[test]
fn where_the_server_refused_is_read_behind_the_words_that_speak_of_the_message() {
    let report = |command: &str| {
        let words = format!(
            "I'm sorry to have to inform you that your message could not\nbe delivered to one or more recipients.\n\n\
             delete your own text from the attached returned message.\n\n\
             <jane@example.org>: host mx.example.org[192.0.2.1] said: 550 User not\n    found (in reply to {command}\n    command)"
        );
        told(&dsn("failed", "5.0.0", "550 User not found").replace("Your message is reported on below.", &words))
    };
    assert_eq!(report("RCPT TO"), "hard | jane@example.org hard bad-address 5.0.0");
    assert_eq!(report("end of DATA"), "soft | jane@example.org soft refused-by-person 5.0.0");
}

#[test]
fn ten_thousand_recipients_and_deep_nesting_are_read_in_bounds() {
    let mut many = dsn("failed", "5.1.1", "550 no");
    let one = "\nFinal-Recipient: rfc822; p@example.org\nAction: failed\nStatus: 5.1.1\n";
    many = many.replacen(
        "\n\n--b\nContent-Type: message/rfc822",
        &format!("\n{}\n\n--b\nContent-Type: message/rfc822", one.repeat(10_000)),
        1,
    );
    assert_eq!(read(many.as_bytes()).kind, Kind::Hard);
    let mut deep = String::new();
    for n in 0..5_000 {
        deep.push_str(&format!("Content-Type: multipart/mixed; boundary=\"n{n}\"\n\n--n{n}\n"));
    }
    assert_eq!(read(deep.as_bytes()).kind, Kind::NotAReport);
}

proptest! {
    #[test]
    fn whatever_comes_is_read(raw in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let _report = read(&raw);
    }

    #[test]
    fn a_damaged_notification_is_read(at in 0usize..900, by in any::<u8>(), cut in 0usize..900) {
        let mut raw = dsn("failed", "5.1.1", "550 5.1.1 no").into_bytes();
        let at = at % raw.len();
        raw[at] = by;
        raw.truncate(raw.len() - cut % raw.len());
        let _report = read(&raw);
    }
}

//! The table: every row of the sheet on SMTP replies, then what real servers say.

use super::Phase::{Auth, Data, Dot, Greeting, Mail, Rcpt, StartTls};
use super::*;
use crate::model::outcome::Class::{
    BadAddress, ContentRefused, RefusedByPerson, RouteBroken, Temporary, Throttled, Unknown,
};

fn check(rows: &[(Phase, u16, &str, Class)]) {
    for (phase, code, text, want) in rows {
        assert_eq!(classify(*phase, &Reply::new(*code, *text)), *want, "{phase:?} {code} {text}");
    }
}

#[test]
fn four_hundreds_by_phase() {
    check(&[
        (Greeting, 421, "4.3.2 shutting down", Temporary),
        (Greeting, 450, "later", Temporary),
        (Greeting, 421, "4.7.0 too many connections from you", Throttled),
        (StartTls, 454, "4.7.0 TLS not available", Temporary),
        (Auth, 454, "4.7.0 Temporary authentication failure", Temporary),
        (Auth, 421, "bye", Temporary),
        (Mail, 451, "4.3.0 try again", Temporary),
        (Mail, 452, "4.3.1 no room", Temporary),
        (Mail, 421, "4.7.0 going down", Temporary),
        (Mail, 421, "4.7.0 sending rate limit reached", Throttled),
        (Rcpt, 450, "4.2.1 mailbox busy", Temporary),
        (Rcpt, 450, "4.2.1 The user is receiving mail too quickly", Temporary),
        (Rcpt, 451, "4.7.1 greylisted", Temporary),
        (Rcpt, 452, "4.2.2 mailbox full", Temporary),
        (Rcpt, 452, "4.5.3 too many messages in this envelope", Temporary),
        (Rcpt, 450, "4.1.1 unverified", Temporary),
        (Rcpt, 450, "4.1.8 sender domain not found", Temporary),
        (Rcpt, 451, "4.7.28 unusual rate", Throttled),
        (Data, 451, "4.3.0 error", Temporary),
        (Dot, 451, "4.3.0 error", Temporary),
        (Dot, 452, "4.3.1 insufficient system storage", Temporary),
        (Dot, 421, "4.3.2 shutting down", Unknown),
    ]);
}

#[test]
fn five_hundreds_without_an_enhanced_code() {
    check(&[
        (Greeting, 521, "no mail here", RouteBroken),
        (Greeting, 554, "no service", RouteBroken),
        (StartTls, 501, "syntax", RouteBroken),
        (Auth, 535, "bad credentials", RouteBroken),
        (Auth, 504, "mechanism", RouteBroken),
        (Mail, 550, "sender refused", RouteBroken),
        (Mail, 553, "sender refused", RouteBroken),
        (Mail, 530, "login first", RouteBroken),
        (Mail, 501, "syntax", RouteBroken),
        (Mail, 552, "message size exceeds limit", ContentRefused),
        (Rcpt, 550, "no such user", BadAddress),
        (Rcpt, 551, "user moved", BadAddress),
        (Rcpt, 553, "mailbox name not allowed", BadAddress),
        (Rcpt, 521, "host takes no mail", BadAddress),
        (Rcpt, 556, "domain takes no mail", BadAddress),
        (Rcpt, 552, "exceeded storage allocation", Temporary),
        (Rcpt, 552, "message too large", ContentRefused),
        (Rcpt, 554, "transaction failed", ContentRefused),
        (Rcpt, 501, "syntax", RouteBroken),
        (Rcpt, 503, "nested MAIL", RouteBroken),
        (Rcpt, 504, "parameter", RouteBroken),
        (Rcpt, 530, "login first", RouteBroken),
        (Data, 554, "no", ContentRefused),
        (Data, 503, "need RCPT", RouteBroken),
        (Dot, 554, "refused", ContentRefused),
        (Dot, 550, "refused", ContentRefused),
        (Dot, 552, "too large", ContentRefused),
        (Dot, 552, "over quota", Temporary),
        (Rcpt, 571, "delivery not authorized", ContentRefused),
        (Dot, 571, "message refused", ContentRefused),
        (Rcpt, 571, "relaying not allowed", RouteBroken),
    ]);
}

#[test]
fn every_enhanced_code_of_the_sheet() {
    let at_rcpt: &[(&str, Class)] = &[
        ("5.1.1", BadAddress),
        ("5.1.2", BadAddress),
        ("5.1.3", BadAddress),
        ("5.1.4", BadAddress),
        ("5.1.6", BadAddress),
        ("5.1.10", BadAddress),
        ("5.1.7", RouteBroken),
        ("5.1.8", RouteBroken),
        ("5.2.1", BadAddress),
        ("5.2.2", Temporary),
        ("5.2.3", ContentRefused),
        ("5.3.4", ContentRefused),
        ("5.3.1", Temporary),
        ("5.3.2", Temporary),
        ("5.4.1", Temporary),
        ("5.4.2", Temporary),
        ("5.4.3", Temporary),
        ("5.4.5", Temporary),
        ("5.4.4", BadAddress),
        ("5.4.6", BadAddress),
        ("5.5.0", RouteBroken),
        ("5.5.1", RouteBroken),
        ("5.5.2", RouteBroken),
        ("5.5.3", RouteBroken),
        ("5.5.4", RouteBroken),
        ("5.5.5", RouteBroken),
        ("5.5.6", RouteBroken),
        ("5.6.0", ContentRefused),
        ("5.6.3", ContentRefused),
        ("5.6.7", BadAddress),
        ("5.6.9", ContentRefused),
        ("5.7.0", ContentRefused),
        ("5.7.1", ContentRefused),
        ("5.7.2", ContentRefused),
        ("5.7.8", RouteBroken),
        ("5.7.9", RouteBroken),
        ("5.7.10", RouteBroken),
        ("5.7.11", RouteBroken),
        ("5.7.13", RouteBroken),
        ("5.7.14", RouteBroken),
        ("5.7.20", RouteBroken),
        ("5.7.23", RouteBroken),
        ("5.7.25", RouteBroken),
        ("5.7.26", RouteBroken),
        ("5.7.28", Throttled),
        ("5.7.29", RouteBroken),
        ("5.7.30", RouteBroken),
    ];
    for (enhanced, want) in at_rcpt {
        check(&[(Rcpt, 550, &format!("{enhanced} words"), *want), (Dot, 554, &format!("{enhanced} words"), *want)]);
    }
}

#[test]
fn the_sender_and_the_host_are_not_the_recipient() {
    check(&[
        (Mail, 550, "5.1.1 sender unknown", RouteBroken),
        (Mail, 550, "5.1.7 bad sender", RouteBroken),
        (Mail, 553, "5.1.8 sender domain", RouteBroken),
        (Mail, 550, "5.7.1 not yours", RouteBroken),
        (Mail, 552, "5.3.4 too big", ContentRefused),
        (Mail, 550, "5.3.2 not accepting", Temporary),
        (Mail, 553, "5.6.7 not without SMTPUTF8", BadAddress),
        (Mail, 550, "5.2.2 your quota", RouteBroken),
        (Greeting, 554, "5.3.2 not now", Temporary),
        (Greeting, 554, "5.7.1 listed", RouteBroken),
        (Greeting, 550, "5.4.5 congestion", Temporary),
    ]);
}

#[test]
fn words_where_codes_say_too_little() {
    check(&[
        (Rcpt, 554, "5.7.1 <x>: Relay access denied", RouteBroken),
        (Rcpt, 550, "relay not permitted", RouteBroken),
        (Rcpt, 554, "Message rejected: Email address is not verified.", RouteBroken),
        (Rcpt, 530, "5.7.0 Must issue a STARTTLS command first", RouteBroken),
        (Rcpt, 550, "5.7.1 Sender is blocked by the recipient", RefusedByPerson),
        (Rcpt, 550, "Domain frequency limited", Throttled),
        (Dot, 550, "Mail content denied", ContentRefused),
        (Rcpt, 550, "5.7.1 Client host blocked by a blocklist", ContentRefused),
        (Rcpt, 550, "spam source", ContentRefused),
        (Dot, 550, "5.7.26 unauthenticated, DMARC", RouteBroken),
        (Dot, 550, "SPF check failed", RouteBroken),
        (Dot, 552, "5.7.0 blocked attachment", ContentRefused),
        (Rcpt, 550, "5.3.0 no such user", BadAddress),
        (Rcpt, 550, "5.1.0 Address rejected", BadAddress),
    ]);
}

#[test]
fn a_reply_out_of_place_and_a_lost_connection() {
    check(&[(Data, 250, "ok", Temporary), (Mail, 354, "go", Temporary), (Dot, 354, "more", Unknown)]);
    for phase in [Greeting, StartTls, Auth, Mail, Rcpt, Data] {
        assert_eq!(lost(phase), Temporary);
    }
    assert_eq!(lost(Dot), Unknown);
}

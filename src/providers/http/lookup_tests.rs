//! Look-ups against servers that misbehave: no answer, no matter how odd, may pass for "never sent".

use super::*;
use crate::model::receipt::Event;
use crate::providers::catalogue::Catalogue;
use crate::providers::examples::sample;
use crate::providers::lookup::{LookUp, Query};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SECRET: &str = "hunter2-secret";
/// 2026-11-25T12:00:00Z, and a day later.
const SENT: i64 = 1_795_608_000_000_000;
const NOW: i64 = SENT + 86_400_000_000;
const EMPTY: &str = r#"{"messages":[],"next_page_uri":null}"#;

/// Answers every request with the same octets.
async fn serve(reply: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0u8; 4096];
            if stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                stream.write_all(reply.as_bytes()).await.expect("answered");
                stream.shutdown().await.expect("closed");
            }
        }
    });
    url
}

fn twilio(base_url: &str) -> Http {
    let settings = Settings::new()
        .with("base_url", base_url)
        .with("account_sid", "AC00000000000000000000000000000001")
        .with_secret("auth_token", SECRET)
        .with("timeout", "400ms");
    let definition = Arc::clone(&Catalogue::load(None).expect("valid").get("twilio-sms").expect("built in").definition);
    Http::build("numbers", Channel::Sms, &settings, 1, definition).expect("valid settings")
}

fn reply(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}", body.len())
}

async fn asked(reply: String, provider_id: Option<&str>) -> LookUp {
    let out = sample(Channel::Sms, "hello");
    let http = twilio(&serve(reply).await);
    http.look_up(&Query { out: &out, provider_id, sent: SENT }, NOW).await
}

fn class(found: &LookUp) -> Option<(Class, &str)> {
    if let LookUp::Unknown(outcome) = found { Some((outcome.class, outcome.code.as_str())) } else { None }
}

#[tokio::test]
async fn only_an_empty_list_in_full_means_never_sent() {
    assert_eq!(asked(reply("200 OK", "", EMPTY), None).await, LookUp::NotFound);
    let huge = format!("{{\"messages\":[{}null]}}", "null,".repeat(600_000));
    let goes_on = r#"{"messages":[{"body":"other","date_created":"Wed, 25 Nov 2026 10:00:00 +0000"}],"next_page_uri":"/more?p=1"}"#;
    for (name, octets, want) in [
        ("html", reply("200 OK", "Content-Type: text/html\r\n", "<html>"), (Class::Unknown, "200")),
        ("no list", reply("200 OK", "", r#"{"messages":null}"#), (Class::Unknown, "no-list")),
        ("another shape", reply("200 OK", "", "[]"), (Class::Unknown, "no-list")),
        ("too large", reply("200 OK", "", &huge), (Class::Unknown, "200")),
        (
            "cut off",
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"messages\":[".to_owned(),
            (Class::Unknown, "connection-lost"),
        ),
        ("login", reply("401 Unauthorized", "", ""), (Class::RouteBroken, "401")),
        ("too fast", reply("429 Too Many", "Retry-After: 7\r\n", ""), (Class::Throttled, "429")),
        ("down", reply("503 Down", "", ""), (Class::Temporary, "503")),
        ("moved", reply("301 Moved", "Location: http://127.0.0.1:9/\r\n", ""), (Class::Unknown, "301")),
        ("missing", reply("404 Not Found", "", "{}"), (Class::Unknown, "404")),
        // The first page, and on from it for ever to the page that it names.
        ("a list without end", reply("200 OK", "", goes_on), (Class::Unknown, "no-end")),
    ] {
        let found = asked(octets, None).await;
        assert_eq!(class(&found), Some(want), "{name}: {found:?}");
    }
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let out = sample(Channel::Sms, "hello");
    let found = twilio(&url).look_up(&Query { out: &out, provider_id: None, sent: SENT }, NOW).await;
    assert_eq!(class(&found), Some((Class::Temporary, "connect")));
}

#[tokio::test]
async fn the_next_page_is_asked_of_our_provider_whatever_address_it_has() {
    let elsewhere = serve(reply("200 OK", "", EMPTY)).await;
    let page = format!(
        r#"{{"messages":[{{"body":"other","date_created":"Wed, 25 Nov 2026 10:00:00 +0000"}}],"next_page_uri":"{elsewhere}/steal"}}"#
    );
    // The other server would have said "nothing there"; ours says the same page again.
    let found = asked(reply("200 OK", "", &page), None).await;
    assert_eq!(class(&found).map(|(class, _)| class), Some(Class::Unknown), "{found:?}");
}

#[tokio::test]
async fn a_receipt_shows_neither_secret_nor_person() {
    let body = format!(
        r#"{{"sid":"SM1","status":"failed","error_code":30003,"error_message":"{SECRET} cannot reach +15555550100, Jane Example"}}"#
    );
    let LookUp::Found(receipt) = asked(reply("200 OK", "", &body), Some("SM1")).await else { panic!("not found") };
    assert_eq!((receipt.event, receipt.token.as_deref()), (Event::Failed(Class::Temporary), Some("nTOKEN")));
    let shown = format!("{receipt:?}");
    for hidden in [SECRET, "15555550100", "Jane"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

#[tokio::test]
async fn a_definition_without_a_question_asks_nobody() {
    let settings = Settings::new().with("base_url", "http://127.0.0.1:9");
    let definition = Arc::clone(&Catalogue::load(None).expect("valid").get("webhook").expect("built in").definition);
    let http = Http::build("bridge", Channel::Sms, &settings, 1, definition).expect("valid");
    let out = sample(Channel::Sms, "hello");
    let found = http.look_up(&Query { out: &out, provider_id: Some("x"), sent: SENT }, NOW).await;
    assert_eq!((http.looks_up(), class(&found)), (false, Some((Class::Unknown, "no-lookup"))));
}

//! Email over SES and SMS over SNS, on a twin of Amazon's that checks every signature.

use crate::support::caller::Address;
use crate::support::moto::{Moto, VERIFIED, between};
use forewarn::model::channel::Channel;
use forewarn::model::outcome::{Class, Outcome};
use forewarn::model::personal::Personal;
use forewarn::model::receipt::Event;
use forewarn::model::rendered::{EmailNotice, Rendered};
use forewarn::providers::adapter::Adapter;
use forewarn::providers::catalogue::Catalogue;
use forewarn::providers::receipt::{Call, Certificate};
use forewarn::providers::settings::Settings;
use forewarn::providers::{Gate, Outgoing, examples};

const TO_SEND: &str = r#"["ses:SendEmail","ses:SendRawEmail","sns:Publish"]"#;

fn adapter(provider: &str, channel: Channel, settings: &Settings) -> Adapter {
    let catalogue = Catalogue::load(None).expect("the built-in definitions are valid");
    Adapter::build("amazon", provider, channel, settings, 8, &catalogue)
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn settings(moto: &Moto) -> Settings {
    Settings::new()
        .with("base_url", &moto.base_url)
        .with("region", "us-east-1")
        .with("access_key_id", &moto.key_id)
        .with_secret("secret_access_key", &moto.secret)
}

/// A message as `content` makes them: ASCII, with CRLF, from this sender.
fn email(from: &str, token: &str) -> Outgoing {
    let mime = format!(
        "From: Example Ltd <{from}>\r\nTo: <jane@example.org>\r\nMessage-ID: <{token}@example.com>\r\n\
         X-Forewarn-Notice: {token}\r\nSubject: =?utf-8?q?Ihre_Daten_=28=C3=A4=29?=\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
         Guten Tag, 100=25 ernst: =C3=A4=C3=B6=C3=BC.\r\n"
    );
    let email = EmailNotice { mime: Personal::new(mime), sender_address: from.to_owned(), ..EmailNotice::default() };
    Outgoing { notice: token.to_owned(), rendered: Rendered::Email(email), ..examples::sample(Channel::Email, "") }
}

async fn outcome(adapter: &Adapter, out: &Outgoing) -> Outcome {
    adapter.send(out, &Gate::default()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_email_comes_to_ses_octet_by_octet() {
    let Some(moto) = Moto::start(TO_SEND) else { return };
    let ses = adapter("amazon-ses", Channel::Email, &settings(&moto));
    for number in 0..20 {
        let out = email(VERIFIED, &format!("{number:036x}"));
        let outcome = outcome(&ses, &out).await;
        assert_eq!(outcome.class, Class::Accepted, "{}: {}", outcome.code, outcome.text);
        let held = moto.held("ses", "RawMessage");
        assert_eq!(held.len(), number + 1, "one message a notice");
        let last = held.last().expect("a message");
        let Rendered::Email(sent) = &out.rendered else { panic!("an email") };
        assert!(last["raw_data"] == sent.mime.reveal(), "the message was changed on its way");
        assert_eq!(last["id"].as_str(), outcome.provider_id.as_deref());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_amazon_refuses_breaks_the_route_and_nothing_is_sent() {
    let Some(moto) = Moto::start(TO_SEND) else { return };
    let good = settings(&moto);
    let wrong_secret = good.clone().with_secret("secret_access_key", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    let unknown_key = good.clone().with("access_key_id", "AKIAIOSFODNN7EXAMPLE");
    for (provider, channel) in [("amazon-ses", Channel::Email), ("aws-sns", Channel::Sms)] {
        for bad in [&wrong_secret, &unknown_key] {
            let out = match channel {
                Channel::Email => email(VERIFIED, "t"),
                Channel::Sms | Channel::Phone => examples::sample(Channel::Sms, "hello"),
            };
            let outcome = outcome(&adapter(provider, channel, bad), &out).await;
            let shown = format!("{provider}: {outcome:?}");
            assert_eq!(outcome.class, Class::RouteBroken, "{shown}");
            assert!(!shown.contains("wJalr") && !shown.contains(&moto.secret), "{shown}");
        }
    }
    let ses = adapter("amazon-ses", Channel::Email, &good);
    let unverified = outcome(&ses, &email("somebody@example.net", "t")).await;
    assert_eq!(unverified.class, Class::RouteBroken, "{}: {}", unverified.code, unverified.text);
    assert!(!unverified.text.contains("somebody@"), "{}", unverified.text);
    assert!(moto.held("ses", "RawMessage").is_empty() && moto.held("sns", "SMS").is_empty());
    // The same twin takes what is signed well: it was the signature that it minded.
    assert_eq!(outcome(&ses, &email(VERIFIED, "t")).await.class, Class::Accepted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_without_the_right_breaks_the_route() {
    let Some(moto) = Moto::start(r#"["s3:ListBuckets"]"#) else { return };
    let sns = adapter("aws-sns", Channel::Sms, &settings(&moto));
    let outcome = outcome(&sns, &examples::sample(Channel::Sms, "hello")).await;
    assert_eq!(outcome.class, Class::RouteBroken, "{}: {}", outcome.code, outcome.text);
    assert!(moto.held("sns", "SMS").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_comes_to_sns_unchanged_and_a_bad_number_is_told_apart() {
    let Some(moto) = Moto::start(TO_SEND) else { return };
    let sns = adapter("aws-sns", Channel::Sms, &settings(&moto));
    let words = "100% sure? Ask @ £5 {free} ~Ä & 您的姓名和电话号码\nsecond line";
    let mut out = examples::sample(Channel::Sms, words);
    let accepted = outcome(&sns, &out).await;
    assert_eq!(accepted.class, Class::Accepted, "{}: {}", accepted.code, accepted.text);
    let held = moto.held("sns", "SMS");
    assert_eq!(held.len(), 1);
    assert_eq!((held[0]["phone_number"].as_str(), held[0]["message"].as_str()), (Some("+15555550100"), Some(words)));
    assert_eq!(held[0]["message_id"].as_str(), accepted.provider_id.as_deref());

    out.to = Personal::new("+155555501001234567");
    let bad = outcome(&sns, &out).await;
    assert_eq!((bad.class, bad.code.as_str()), (Class::BadAddress, "InvalidParameter"), "{}", bad.text);
    assert_eq!(moto.held("sns", "SMS").len(), 1);
}

/// What SES reports to a topic when it has delivered the message of this notice.
fn delivery(token: &str) -> String {
    format!(
        r#"{{"eventType":"Delivery","mail":{{"messageId":"m-{token}","tags":{{"forewarn_notice":["{token}"]}}}},"delivery":{{"timestamp":"2026-11-25T12:00:00.000Z","smtpResponse":"250 ok"}}}}"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_sns_signed_is_believed_and_nothing_else() {
    let Some(moto) = Moto::open() else { return };
    let address = Address::listen().await;
    let hook = format!("{}/hooks/amazon/secret", address.base_url);
    let made = moto.sns(&[("Action", "CreateTopic"), ("Version", "2010-03-31"), ("Name", "forewarn")]);
    let topic = between(&made, "TopicArn");
    let subscribe = [("Action", "Subscribe"), ("TopicArn", &topic), ("Protocol", "http"), ("Endpoint", &hook)];
    moto.sns(&[&[("Version", "2010-03-31")], &subscribe[..]].concat());
    for number in 0..5 {
        let message = delivery(&format!("{number:036x}"));
        moto.sns(&[("Action", "Publish"), ("Version", "2010-03-31"), ("TopicArn", &topic), ("Message", &message)]);
    }
    let calls = address.wait_for(5).await;
    assert_eq!(calls.len(), 5);

    // Moto serves certificates under the scope of a signature only, which nobody else asks for.
    let certificates = serve_certificates(moto).await;
    let settings = Settings::new()
        .with("region", "us-east-1")
        .with("access_key_id", "AKIAIOSFODNN7EXAMPLE")
        .with_secret("secret_access_key", "none")
        .with("topic_arn", &topic)
        .with("sns_server", &certificates)
        .with("receipts", true);
    let ses = adapter("amazon-ses", Channel::Email, &settings);
    let other = adapter("amazon-ses", Channel::Email, &settings.clone().with("topic_arn", format!("{topic}-other")));
    let now = jiff::Timestamp::now().as_microsecond();
    for (number, call) in calls.iter().enumerate() {
        let url = format!("{}{}", address.base_url, call.path);
        let called = Call { method: &call.method, url: &url, headers: &call.headers, body: &call.body };
        let received = ses.receive(&called, now).await.expect("moto signs as Amazon does");
        let [receipt] = received.receipts.as_slice() else { panic!("one event") };
        assert_eq!((receipt.event, receipt.token.clone()), (Event::Delivered, Some(format!("{number:036x}"))));
        assert_eq!(other.receive(&called, now).await.expect_err("another topic").reason, "signature");
        let changed = String::from_utf8(call.body.clone()).unwrap().replace("Delivery", "Complaint");
        let changed = Call { body: changed.as_bytes(), ..called };
        assert_eq!(ses.receive(&changed, now).await.expect_err("changed").reason, "signature");
    }
}

/// A server that hands on what moto serves; its address.
async fn serve_certificates(moto: Moto) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let path = request.split(' ').nth(1).expect("a path");
            let pem = moto.certificate(path);
            assert!(Certificate::read(pem.as_bytes()).is_ok(), "{pem}");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", pem.len());
            stream.write_all(format!("{head}{pem}").as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    address
}

//! Amazon's envelopes: signed by a key that was made for these tests and thrown away, and changed in every way.

use super::tests::Sample;
use super::*;
use crate::model::receipt::Event;
use serde_json::json;

const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIICsTCCAZmgAwIBAgIBATANBgkqhkiG9w0BAQsFADAcMRowGAYDVQQDDBFzbnMu\n\
YW1hem9uYXdzLmNvbTAeFw0yNjAxMDEwMDAwMDBaFw0zNjAxMDEwMDAwMDBaMBwx\n\
GjAYBgNVBAMMEXNucy5hbWF6b25hd3MuY29tMIIBIjANBgkqhkiG9w0BAQEFAAOC\n\
AQ8AMIIBCgKCAQEAinDvlCmx5kXcR7M1PhPxPMyLrB1j0GXXP+xKWM1kkWX0nqCX\n\
WNCcTNXeh0PhzCpGPZbzNlt56reFXZ7EpMVFzrHGPJOawRty3xXN+WZRWbZnjcYe\n\
SLLs/ug5s9DnEMVV984mB+AmTD6IlyKM6AnL/uWdkC1dQtdy/rKXwybSDbD3faYK\n\
LnI3Y0llRxjqFyVWBHx/VbQu4LFBVjnsruR5Uv3hwOuQouMPVs1MF8l3yDrEN9TF\n\
ROco4fjvx//tFpqB+Ou5qMJZoEuHUj3qouRDYThsMrhHUlxnEuD6cOnhZUOC7aCz\n\
w86lf/qhB+aEwDiEtr0x89h2wFjssaGfzZS4cwIDAQABMA0GCSqGSIb3DQEBCwUA\n\
A4IBAQASAImZlTuRReuSCQ+BljrIku91sScB+tofW9Q4T1tePTFdgLxAc1J3U/kM\n\
t9kHuUYA7lxB7kVzNF8Iz8um6gtMyJqQxRL3zQvwwRxxpfLufB17t2Z/WwTzGsaV\n\
0Z8wzibZbpck3Tqj1qXcKEmIbU9SR0IBNGZVJ47xRxcs5NAYh1VPU20aByEg2pv3\n\
dUTf2p/k8jcATp1NPr/joXhYW/pdQkNvXxywhfx6RarC5toWIO4L39nTLWgyiK2Z\n\
D0l/XNtW1KweY0ELOWk9214UfGYL5EFhLp9jWyOryzwD1OKgYQPfcQcM4Wey3oLq\n\
pfqnxxHRkFECZLkxmzhfZITPByT5\n\
-----END CERTIFICATE-----\n\
";
const V1: &str = "gNIT1Ii15j1UzGIPEHKXvVW31eytFb3ULNCEMtpOLomUOuw3KC4/ckYVeZJSKOpzvt4w3ZgQx1TvDo1jafZQp7IFzfpf1y/2y+gzq1heNBUsyyMNcrLsyJT6KuMS8AKLEgcnEeDvfL1vTCHMhiZELrioOvs0FJu5QDkXaeO/qY82675CVqxb/KyXhwLbGPO6MjK1HXBHuUo0Cc+wxpY62PvoQcZKiii/vuNY2p5SE98zoqnDK4P3YmkDBsr2VHbKsZTXZcsBqgxX3ZGCXp7X+7S/D+xbEbl8cDOJnz4EdRYgS9lXZPjK7UXTy5pf70/ttCb4ndk16hkYj319oaj2Dw==";
const V2: &str = "PwLRkHc+HDF26x4IomshZPducCMW9Z1MuKgQCEziI/YtveLA6BrzU4YYodGMM43C5LsrBZPHSKBDt9+L0j2CCo5ojh1hgzuUP11yw31BMiUS1z4t+UwGyP+UJZcSdtuC0SKuTyhrxT5+x/MA1AQfLEHyDXuZ1PJu6pAciyHLSi+yUe2+Truzc/g59Sa7ED8zGXFEJKjR+dbdzeGguC/0X10XL8fKAN7eIC9K9BMGqilbEIO0B1QVPuGyd3sIkl6pXhUUFpRM+c5xfNlkmvGnAfEtuwrMEILlQ3Tcw0dEjCxcbm/3WnV5SHQGKzlmZb1EK1MfMwY48QG5WrA8TKhK2Q==";
const CONFIRM: &str = "ea5KR1RYUL/iYlHlELOuJ5DPu/4eNagCseJfh6QJsiDQ2+Vckmr/UX5wpTAFaXUA8637lJJsZsOeu7vHY5CNxAidE78w2jIc7UFELhjdY20/Ve2wbXACYQKH0mIf8Mb2AVZdWvYrtspk6wcy8oypvO+G4iPbHn8w1Ew9VbXrd6YLZEKWfMCvSIKYTY8eoL2LsbNlQ4iRA6qN19cSHs5cCY2VTOOVCAek05Y1ToGAEfrKNPHYOxJQsxhN5HXswuiWUg8jopx8HAZ9kcMdS5lr40ad9uZkmgjq3zzHHI1zv5AZsWt8l8kkZ4yvdtPeshBuWUqZkQRVFMX7APy2L2TX8Q==";
const ELSEWHERE: &str = "hbA7KgdsgrYftB7fUes1rlOEWvo9lK8O9SpBXjLyIxT5HHexyJ0ex3OAYdfWOgt9Oq0p8K3YYiMbaIYAhd79FM9dtdSy3HqUvCGU2AMU6+g3iTH7gABqX32LcIuBvP/bfgxRZ9uWSqTwhLnGo3LAjZa8/3EYH79id9F6iLdMNCKaOf7OK/W+nYbLamR9IiyJsp5yK9PaO1q98PNVxqpSay6o3dg1JoQVUXGSWziWpC382vecIstQCUwAEHg+hOg9Km6YqbuOQiTs5fSpQ3q4QbHJdOWD1uLFXC7Cx6Vu2+mvJ+CKlbXzHuWGgPczA2nU67MOryX8bJUSrTCYfHU1qw==";
const BYE: &str = "U73b8qgc3C3l6Vf6O40xWc8T0vtXvcUBswOg48VdVFmo0Ubto3aMbJyPKQYlZuhV9uCYQicnXsVMNl6TxhJgTN8vRBuUQZTOvcJdfW73bwSLOP8zmp8HqWcB9YVsT2pAsxaXm9OQaGB/hpYKqhdSsFHkW3UkVUQpiAz1uZwFxVttRSRpAONhSP49ZS9ANposs8NECv8eyCzB9Sy39lhyLFmm4oVZ1mv+nxnZCt8pvRi0W8SjHZ60syDFkgXUHW5F+55q7m2N56+hG2kyVFsCZQa63WPG3XGM2dmeYa+K9BFdXMhdg3sv9eDPQNI6gXWBFz7Y6LTBmt3OoUBfRjOIQQ==";
const HELLO: &str = "QSVYf3uhBmmstDlw9XK0FeMWh1l1SpRjwMZO30THh1h3aSxIewY8g+cFDl0cuP32d62j7X9G6FIp6rabAvAuwMOAW/trdJVoBsTX2ww+Q4x9tkSHtSklNrokx16kpA622OXj251g89yKr/sWcMI7DqL1DyB3WgCBJ+9i+Ff35gTER6f6j1EsDveb9l97YeOn5ACtgifuYE42ifoqoejzyaxrI1BG3ZQVnYpD/hpQLxJIGNTlPStOwhEXObfZiaR27awd6BSHwb1hK4dKnDxZ7kYOMDQe9Ki6qAgT28+XQeT+re7pf9/2SJYlXixlPZfcLfrEGc5GVSdHcqNI97uYRg==";

const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:forewarn";
const SENT: Micros = 1_795_579_506_789_000;

/// Amazon's envelope with these fields changed or added.
fn envelope(more: &[(&str, &str)]) -> String {
    let mut fields = json!({
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Message": r#"{"notice":"t1","status":"delivered"}"#,
        "Timestamp": "2026-11-25T04:05:06.789Z",
        "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-01.pem",
        "SignatureVersion": "1",
        "Signature": V1,
    });
    more.iter().for_each(|(name, value)| fields[*name] = (*value).into());
    fields.to_string()
}

fn took(more: &[(&str, &str)], now: Micros) -> Result<Received, Refused> {
    let section = "verify = { sns = [\"topic\", \"server\"] }\nbody = \"json\"\nwindow = \"1d\"\ninner = \"/Message\"";
    let certificate = Arc::new(Certificate::read(CERTIFICATE.as_bytes()).expect("a certificate"));
    let known = |address: &str| address.contains("Service-01").then(|| certificate.clone());
    let sample = Sample::new(section).with("Content-Type", "text/plain; charset=UTF-8").at(now);
    sample.receive(envelope(more).as_bytes(), &[("topic", TOPIC)], &known)
}

#[test]
fn what_amazon_signed_is_believed() {
    let one = took(&[], SENT).expect("genuine");
    assert_eq!((one.receipts[0].event, one.receipts[0].token.as_deref()), (Event::Delivered, Some("t1")));
    let subject = ("Subject", "Amazon SES Email Event Notification");
    let two = took(&[subject, ("SignatureVersion", "2"), ("Signature", V2)], SENT).expect("genuine");
    assert_eq!((&two.receipts, &two.replay_key), (&one.receipts, &one.replay_key), "the id of the message tells");
    let hello = "Successfully validated SNS topic for Amazon SES event publishing.";
    let hello = took(&[("Message", hello), ("Signature", HELLO)], SENT).expect("genuine");
    assert_eq!(hello.receipts[0].event, Event::Progress);
}

#[test]
fn a_subscription_to_the_routes_topic_is_confirmed_and_no_other() {
    let url =
        format!("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37");
    let question = |kind, url, signature| {
        let text = "You have chosen to subscribe to the topic.";
        took(
            &[
                ("Type", kind),
                ("Message", text),
                ("Token", "2336412f37"),
                ("SubscribeURL", url),
                ("Signature", signature),
            ],
            SENT,
        )
    };
    let asked = question("SubscriptionConfirmation", &url, CONFIRM).expect("genuine");
    assert_eq!((asked.action, asked.receipts.len()), (Some(Action::Confirm { url: url.clone() }), 0));
    let elsewhere = question("SubscriptionConfirmation", "https://evil.example/?Action=ConfirmSubscription", ELSEWHERE);
    assert!(elsewhere.expect_err("refused").message.contains("not Amazon's"));
    assert!(question("SubscriptionConfirmation", &url, V1).is_err());
    let bye = took(
        &[
            ("Type", "UnsubscribeConfirmation"),
            ("Message", "You have chosen to subscribe to the topic."),
            ("Token", "2336412f37"),
            ("SubscribeURL", &url),
            ("SignatureVersion", "2"),
            ("Signature", BYE),
        ],
        SENT,
    )
    .expect("genuine");
    assert_eq!((bye.action, bye.receipts.len()), (None, 0));
}

#[test]
fn what_amazon_did_not_sign_is_refused() {
    let reason = |more: &[(&str, &str)], now| took(more, now).expect_err("refused").reason;
    for (field, value, want) in [
        ("Message", r#"{"notice":"t2","status":"delivered"}"#, "signature"),
        ("Subject", "added", "signature"),
        ("SignatureVersion", "2", "signature"),
        ("SignatureVersion", "3", "signature"),
        ("Signature", "AAAA", "signature"),
        ("Signature", "?", "signature"),
        ("Type", "Other", "body"),
        ("TopicArn", "arn:aws:sns:eu-west-1:999999999999:other", "signature"),
        ("SigningCertURL", "https://evil.example/SimpleNotificationService-01.pem", "signature"),
        ("SigningCertURL", "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-02.pem", "certificate"),
    ] {
        assert_eq!(reason(&[(field, value)], SENT), want, "{field} {value}");
    }
    assert_eq!(reason(&[], SENT + 2 * crate::model::time::DAY), "too-old");
    let unknown = [("SigningCertURL", "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-02.pem")];
    let refused = took(&unknown, SENT).expect_err("not known");
    assert_eq!((refused.wants.as_deref(), refused.status), (Some(unknown[0].1), 503));
    // After ten years the certificate does not count any more.
    assert!(took(&[], SENT + 3_650 * crate::model::time::DAY).expect_err("refused").message.contains("at this time"));
    for (pem, why) in [
        (&b""[..], "no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no certificate"),
        (&[b'-'; LARGEST_CERTIFICATE + 1], "larger"),
    ] {
        assert!(Certificate::read(pem).expect_err("none").contains(why));
    }
}

//! The test message of `provider test`: fixed words that say what they are, in the form of a notice.
//!
//! It holds nothing of an incident or a person, so that it can be sent before there is either.

use super::mime::{Frame, Parts, Writing};
use super::sms::sms_segments;
use super::transfer::{Transfer, header_text};
use super::write::escape_html;
use super::{Envelope, Sender};
use crate::model::channel::Channel;
use crate::model::personal::Personal;
use crate::model::problem::Problem;
use crate::model::rendered::{CallScript, EmailNotice, Rendered, SmsNotice, Spoken};
use std::collections::BTreeMap;

/// The language of the words.
pub const TRIAL_LANGUAGE: &str = "en";

/// A test message for the channel.
pub fn trial(channel: Channel, sender: &Sender, to: &Personal, envelope: &Envelope) -> Result<Rendered, Problem> {
    let from = &sender.organisation;
    Ok(match channel {
        Channel::Email => email(sender, to, envelope)?,
        Channel::Sms => {
            let text = format!("This is a test of forewarn by {from}. It is about nobody. You need not do anything.");
            let (coding, segments) = sms_segments(&text);
            Rendered::Sms(SmsNotice { text: Personal::new(text), coding, segments })
        }
        Channel::Phone => {
            let greeting = format!("This is a test of forewarn by {from}, not a real call.");
            let message = "There is nothing to tell anybody. Please note that the test has arrived, and close it.";
            let section =
                |id: &str, heading: &str, body: &str| (id.to_owned(), heading.to_owned(), Personal::new(body));
            let sections = vec![section("greeting", "Greeting", &greeting), section("message", "Message", message)];
            let opening = Personal::new(format!("{greeting} Press 1 to hear it."));
            let spoken =
                Some(Spoken { opening, message: Personal::new("This test has arrived. It is about nobody. Goodbye.") });
            Rendered::Call(CallScript { sections, language: TRIAL_LANGUAGE.to_owned(), spoken })
        }
    })
}

/// What a test says of an incident, for providers that fill such values into approved words.
pub fn trial_facts(sender: &Sender) -> BTreeMap<String, String> {
    let incident = ["id", "title", "occurred", "discovered"].map(|name| format!("incident.{name}"));
    let texts = ["what_happened", "likely_consequences", "measures_taken", "what_you_can_do", "contact"];
    let texts = texts.map(|name| format!("text.{name}"));
    let tests = incident.into_iter().chain(texts).map(|name| (name, "test".to_owned()));
    tests.chain([("organisation".to_owned(), sender.organisation.clone())]).collect()
}

fn email(sender: &Sender, to: &Personal, envelope: &Envelope) -> Result<Rendered, Problem> {
    let from = &sender.organisation;
    let subject = format!("This is a test of forewarn by {from}");
    let text = format!(
        "This is a test of forewarn by {from}.\n\nIt shows that this route takes messages. It is about nobody, and you \
         need not do anything.\n"
    );
    let paragraphs: Vec<String> =
        text.trim_end().split("\n\n").map(|p| format!("<p>{}</p>\n", escape_html(p))).collect();
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"{TRIAL_LANGUAGE}\">\n<head>\n<meta charset=\"utf-8\">\n<title>{}</title>\n\
         </head>\n<body>\n{}</body>\n</html>\n",
        escape_html(&subject),
        paragraphs.concat()
    );
    let parts = Parts {
        to_name: "",
        to_address: to.reveal(),
        subject_header: &header_text(&subject, "Subject: ".len()),
        text: Writing { plain: &text, quoted: &|out| Transfer::QuotedPrintable.write(&text, out) },
        html: Writing { plain: &html, quoted: &|out| Transfer::QuotedPrintable.write(&html, out) },
    };
    let frame = Frame::new(sender, TRIAL_LANGUAGE)?;
    let mime = frame.message(&parts, envelope)?;
    Ok(Rendered::Email(EmailNotice {
        subject: Personal::new(subject),
        text: Personal::new(text),
        html: Personal::new(html),
        mime: Personal::new(mime),
        message_id: envelope.message_id.clone(),
        sender_name: frame.sender_name,
        sender_address: frame.sender_address,
        sender_mailbox: frame.sender_mailbox,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rendered::SmsCoding;

    #[test]
    fn it_says_on_every_channel_that_it_is_a_test() {
        let sender = Sender {
            organisation: "Müller & Söhne".into(),
            from_name: None,
            from_address: "privacy@example.com".into(),
        };
        let envelope = Envelope {
            message_id: "t@example.com".into(),
            date: 0,
            notice: "t".into(),
            campaign: "test".into(),
            log_head: None,
        };
        for channel in Channel::ALL {
            let rendered = trial(channel, &sender, &Personal::new("a@example.org"), &envelope).expect("rendered");
            assert_eq!(rendered.channel(), channel);
            let words = match rendered {
                Rendered::Email(email) => {
                    let parsed =
                        mail_parser::MessageParser::default().parse(email.mime.reveal()).expect("mail").into_owned();
                    assert!(parsed.subject().expect("subject").starts_with("This is a test"));
                    assert!(parsed.body_html(0).expect("html").contains("Müller &amp; Söhne"));
                    parsed.body_text(0).expect("text").into_owned()
                }
                Rendered::Sms(sms) => {
                    assert_eq!((sms.coding, sms.segments), (SmsCoding::Gsm7, 1));
                    sms.text.reveal().to_owned()
                }
                Rendered::Call(script) => script.sections[0].2.reveal().to_owned(),
            };
            assert!(words.starts_with("This is a test of forewarn by Müller & Söhne"), "{words}");
        }
    }
}

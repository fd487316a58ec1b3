//! Runs the examples of a definition through the real engine, against a server on this machine that answers as the
//! example says. The test suite does so for every built-in file, `provider lint` for one that somebody is writing.
//!
//! A rule without an example is a problem: nobody has seen it match.

use super::definition::Definition;
use super::definition::check::example_settings;
use super::definition::file::{Example, Respond};
use super::http::Http;
use super::settings::Settings;
use super::{Gate, Outgoing};
use crate::model::channel::Channel;
use crate::model::outcome::Outcome;
use crate::model::personal::Personal;
use crate::model::problem::Problem;
use crate::model::rendered::{EmailNotice, Rendered, SmsCoding, SmsNotice};
use crate::model::time::{parse_duration, print_duration};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SAMPLE_TEXT: &str = "Your data was affected. Call us.";

/// Everything that does not come out as the file says.
pub async fn run(definition: &Arc<Definition>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, example) in definition.examples.iter().enumerate() {
        let place = format!("{}.toml, example {}", definition.name, index + 1);
        match one(definition, example).await {
            Ok((trace, rule)) => {
                let differences = differences(example, &trace);
                problems.extend(differences.into_iter().map(|difference| problem(&place, &difference)));
                seen.extend(rule.map(|rule| (example.probe, rule)));
            }
            Err(message) => problems.push(problem(&place, &message)),
        }
    }
    let exchanges = [(false, Some(&definition.send)), (true, definition.probe.as_ref())];
    for (probe, exchange) in exchanges {
        for rule in 0..exchange.map_or(0, |exchange| exchange.rules.len()) {
            if !seen.contains(&(probe, rule)) {
                let section = if probe { "probe" } else { "send" };
                let place = format!("{}.toml, {section}.rule {}", definition.name, rule + 1);
                problems.push(problem(&place, "no example reaches it: add one that does"));
            }
        }
    }
    problems
}

fn problem(place: &str, message: &str) -> Problem {
    Problem::new("bad-example", place, format!("{place}: {message}"))
}

struct Trace {
    outcome: Outcome,
    /// The request as it went over the wire, or empty.
    request: String,
}

async fn one(definition: &Arc<Definition>, example: &Example) -> Result<(Trace, Option<usize>), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| format!("no local port: {error}"))?;
    let port = listener.local_addr().map_err(|error| format!("no local port: {error}"))?.port();
    let mut settings: Settings = definition.example_settings.clone();
    settings.merge(example_settings(&definition.settings, &example.settings));
    let settings = settings.with("base_url", format!("http://127.0.0.1:{port}"));
    let channel = match &example.channel {
        Some(name) => Channel::parse(name).ok_or_else(|| format!("no channel is called `{name}`"))?,
        None => *definition.channels.first().ok_or("the definition serves no channel")?,
    };
    let http = Http::build("example", channel, &settings, 1, Arc::clone(definition))
        .map_err(|problems| problems.into_iter().map(|p| p.message).collect::<Vec<_>>().join("; "))?;
    let out = sample(channel, example.text.as_deref().unwrap_or(SAMPLE_TEXT));
    let gate = Gate::default();
    let exchange =
        async { if example.probe { http.probe_traced().await } else { http.send_traced(&out, &gate).await } };
    let ((outcome, rule), request) = match &example.respond {
        Some(respond) => {
            let (traced, request) = tokio::join!(exchange, answer_once(&listener, respond));
            (traced, request?)
        }
        None => (exchange.await, String::new()),
    };
    Ok((Trace { outcome, request }, rule))
}

/// Takes one request and answers it.
async fn answer_once(listener: &TcpListener, respond: &Respond) -> Result<String, String> {
    let served = async {
        let (mut stream, _) = listener.accept().await?;
        let mut request = Vec::new();
        while !is_whole(&request) {
            if stream.read_buf(&mut request).await? == 0 {
                break;
            }
        }
        let mut reply = format!(
            "HTTP/1.1 {} Example\r\nContent-Length: {}\r\nConnection: close\r\n",
            respond.status,
            respond.body.len()
        );
        for (name, value) in &respond.headers {
            reply.push_str(&format!("{name}: {value}\r\n"));
        }
        reply.push_str("\r\n");
        reply.push_str(&respond.body);
        stream.write_all(reply.as_bytes()).await?;
        stream.shutdown().await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&request).into_owned())
    };
    match tokio::time::timeout(Duration::from_secs(10), served).await {
        Ok(Ok(request)) => Ok(request),
        Ok(Err(error)) => Err(format!("the example's server failed: {error}")),
        Err(_) => Err("no request came: remove `respond` if the notice is refused before sending".to_owned()),
    }
}

/// True when the head and as much body as it announces are there.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    request.len() >= head.len() + 4 + length.unwrap_or(0)
}

/// A notice to a number and an address that are reserved for examples.
pub fn sample(channel: Channel, text: &str) -> Outgoing {
    let (to, rendered) = match channel {
        Channel::Email => {
            let html = format!("<p>{text}</p>");
            let email = EmailNotice {
                subject: Personal::new("About your data"),
                text: Personal::new(text),
                html: Personal::new(html),
                mime: Personal::default(),
            };
            ("jane@example.org", Rendered::Email(email))
        }
        Channel::Sms | Channel::Phone => ("+15555550100", Rendered::Sms(sample_sms(text))),
    };
    Outgoing {
        channel,
        notice: "nTOKEN".to_owned(),
        campaign: "cTOKEN".to_owned(),
        reference: Personal::new("C-77"),
        name: Personal::new("Jane Example"),
        attempt: 1,
        idempotency_key: "kTOKEN-0".to_owned(),
        to: Personal::new(to),
        country: "US".to_owned(),
        language: "en".to_owned(),
        hook: Some("https://notices.example.com/hooks/example/hTOKEN".to_owned()),
        rendered,
    }
}

/// Coding and segments of an example's text. Examples are short of the odd cases, which `content` counts exactly:
/// ASCII is GSM-7, everything else UCS-2.
fn sample_sms(text: &str) -> SmsNotice {
    let ascii = text.is_ascii();
    let coding = if ascii { SmsCoding::Gsm7 } else { SmsCoding::Ucs2 };
    let (one, part) = if ascii { (160, 153) } else { (70, 67) };
    let units = text.encode_utf16().count();
    let segments = if units <= one { 1 } else { units.div_ceil(part) };
    SmsNotice { text: Personal::new(text), coding, segments: u32::try_from(segments).unwrap_or(u32::MAX) }
}

fn differences(example: &Example, trace: &Trace) -> Vec<String> {
    let expect = &example.expect;
    let outcome = &trace.outcome;
    let mut differences = Vec::new();
    let mut compare = |what: &str, wanted: Option<&String>, found: Option<String>| {
        if let Some(wanted) = wanted
            && found.as_ref() != Some(wanted)
        {
            let found = found.unwrap_or_else(|| "nothing".to_owned());
            differences.push(format!("{what}: expected {wanted}, found {found}"));
        }
    };
    compare("class", Some(&expect.class), Some(outcome.class.as_str().to_owned()));
    compare("code", expect.code.as_ref(), Some(outcome.code.clone()));
    compare("message_id", expect.message_id.as_ref(), outcome.provider_id.clone());
    let wanted =
        expect.retry_after.as_ref().map(|wait| parse_duration(wait).map_or_else(|| wait.clone(), print_duration));
    compare("retry_after", wanted.as_ref(), outcome.retry_after.map(print_duration));
    let missing = expect.request_has.iter().filter(|part| !trace.request.contains(*part));
    let present = expect.request_lacks.iter().filter(|part| trace.request.contains(*part));
    differences.extend(missing.map(|part| format!("the request lacks `{part}`")));
    differences.extend(present.map(|part| format!("the request holds `{part}`")));
    differences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::catalogue::Catalogue;
    use crate::providers::definition::check::compile;

    #[tokio::test]
    async fn every_rule_of_every_built_in_definition_is_seen_to_match() {
        let catalogue = Catalogue::load(None).expect("the built-in definitions are valid");
        assert_eq!(catalogue.names().collect::<Vec<_>>(), ["kannel", "twilio-sms", "webhook"]);
        for entry in catalogue.entries() {
            assert!(!entry.definition.examples.is_empty());
            assert_eq!(run(&entry.definition).await, []);
        }
    }

    #[tokio::test]
    async fn a_wrong_example_and_a_rule_without_one_are_found() {
        let catalogue = Catalogue::load(None).expect("valid");
        let text = &catalogue.get("kannel").expect("built in").text;
        let text =
            text.replace("class = \"temporary\", retry_after = \"90s\"", "class = \"accepted\", retry_after = \"91s\"");
        let text =
            text.replace("body = \"Unknown request.\"", "body = \"else\"").replace("\"GET /cgi-bin", "\"PUT /cgi-bin");
        let definition = compile("kannel", "kannel.toml", &text).expect("still valid");
        let problems = run(&Arc::new(definition)).await;
        let all = problems.iter().map(|p| p.message.as_str()).collect::<Vec<_>>().join("\n");
        for part in [
            "class: expected accepted, found temporary",
            "retry_after: expected 91s, found 90s",
            "send.rule 8: no example reaches it",
            "the request lacks `PUT /cgi-bin",
        ] {
            assert!(all.contains(part), "{part} in {all}");
        }
    }
}

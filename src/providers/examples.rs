//! Runs the examples of a definition through the real engine, against a server on this machine that answers as the
//! example says. The test suite does so for every built-in file, `provider lint` for one that somebody is writing.
//!
//! A rule without an example is a problem: nobody has seen it match.

use super::definition::check::example_settings;
use super::definition::file::{Example, Respond};
use super::definition::{Auth, Definition};
use super::http::Http;
use super::settings::{SettingKind, Settings};
use super::{Gate, Outgoing, lookup_examples, receipt_examples};
use crate::model::channel::Channel;
use crate::model::outcome::Outcome;
use crate::model::personal::Personal;
use crate::model::problem::Problem;
use crate::model::rendered::{CallScript, EmailNotice, Rendered, SmsCoding, SmsNotice, Spoken};
use crate::model::time::{parse_duration, print_duration};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SAMPLE_TEXT: &str = "Your data was affected. Call us.";
const SAMPLE_MIME: &str = "From: Example Ltd <dpo@example.com>\r\nTo: <jane@example.org>\r\n\
    Subject: About your data\r\nMessage-ID: <nTOKEN@example.com>\r\n\r\nYour data was affected.\r\n";
/// A key of nobody, for definitions that sign.
const EXAMPLE_KEY: &str = include_str!("http/example_key.pem");

/// A rule that nobody has seen match.
pub(super) const NEVER_SEEN: &str = "no example reaches it: add one that does";

/// Something that was tried, and what did not come out as the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The place in the file: `acme.toml, example 3`.
    pub what: String,
    pub wrong: Vec<String>,
}

impl Tried {
    pub(super) fn new(what: impl Into<String>) -> Tried {
        Tried { what: what.into(), wrong: Vec::new() }
    }

    pub(super) fn wrong(what: impl Into<String>, wrong: &str) -> Tried {
        Tried { what: what.into(), wrong: vec![wrong.to_owned()] }
    }

    pub fn problems(&self) -> impl Iterator<Item = Problem> {
        self.wrong.iter().map(|wrong| Problem::new("bad-example", &self.what, format!("{}: {wrong}", self.what)))
    }
}

/// Everything that does not come out as the file says.
pub async fn run(definition: &Arc<Definition>) -> Vec<Problem> {
    try_all(definition).await.iter().flat_map(Tried::problems).collect()
}

/// Every example, and every rule that has none.
pub async fn try_all(definition: &Arc<Definition>) -> Vec<Tried> {
    let mut tried = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, example) in definition.examples.iter().enumerate() {
        let mut result = Tried::new(format!("{}.toml, example {}", definition.name, index + 1));
        match one(definition, example).await {
            Ok((trace, rule)) => {
                result.wrong = differences(example, &trace);
                seen.extend(rule.map(|rule| (example.probe, rule)));
            }
            Err(message) => result.wrong.push(message),
        }
        tried.push(result);
    }
    let exchanges = [(false, Some(&definition.send)), (true, definition.probe.as_ref())];
    for (probe, exchange) in exchanges {
        for rule in 0..exchange.map_or(0, |exchange| exchange.rules.len()) {
            if !seen.contains(&(probe, rule)) {
                let section = if probe { "probe" } else { "send" };
                let place = format!("{}.toml, {section}.rule {}", definition.name, rule + 1);
                tried.push(Tried::wrong(place, NEVER_SEEN));
            }
        }
    }
    tried.extend(lookup_examples::run(definition).await);
    tried.extend(receipt_examples::run(definition));
    tried
}

struct Trace {
    outcome: Outcome,
    /// The request as it went over the wire, or empty.
    request: String,
}

async fn one(definition: &Arc<Definition>, example: &Example) -> Result<(Trace, Option<usize>), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| format!("no local port: {error}"))?;
    let port = listener.local_addr().map_err(|error| format!("no local port: {error}"))?.port();
    let (http, mut out) =
        route(definition, &example.settings, example.channel.as_deref(), example.text.as_deref(), port)?;
    if let Some(language) = &example.language {
        out.language.clone_from(language);
    }
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

/// The settings of the file's examples, with those of one of them over them.
pub(super) fn settings_of(definition: &Definition, own: &BTreeMap<String, toml::Value>) -> Settings {
    let mut settings = Settings::new();
    if let Auth::Jwt { key, .. } = &definition.send.auth {
        settings = settings.with_secret(key, EXAMPLE_KEY);
    }
    settings.merge(definition.example_settings.clone());
    settings.merge(example_settings(&definition.settings, own));
    settings
}

/// A route of the definition to a server on this machine, and a notice for it.
pub(super) fn route(
    definition: &Arc<Definition>,
    own: &BTreeMap<String, toml::Value>,
    channel: Option<&str>,
    text: Option<&str>,
    port: u16,
) -> Result<(Http, Outgoing), String> {
    let settings = settings_of(definition, own);
    let urls = definition.settings.iter().filter(|declared| declared.kind == SettingKind::Url);
    let settings = urls.fold(settings, |settings, url| settings.with(&url.name, format!("http://127.0.0.1:{port}")));
    let channel = match channel {
        Some(name) => Channel::parse(name).ok_or_else(|| format!("no channel is called `{name}`"))?,
        None => *definition.channels.first().ok_or("the definition serves no channel")?,
    };
    let http = Http::build("example", channel, &settings, 1, Arc::clone(definition))
        .map_err(|problems| problems.into_iter().map(|p| p.message).collect::<Vec<_>>().join("; "))?;
    Ok((http, sample(channel, text.unwrap_or(SAMPLE_TEXT))))
}

/// Takes one request and answers it.
pub(super) async fn answer_once(listener: &TcpListener, respond: &Respond) -> Result<String, String> {
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
                mime: Personal::new(SAMPLE_MIME),
                message_id: "nTOKEN@example.com".to_owned(),
                sender_name: "Example Ltd".to_owned(),
                sender_address: "dpo@example.com".to_owned(),
                sender_mailbox: "Example Ltd <dpo@example.com>".to_owned(),
            };
            ("jane@example.org", Rendered::Email(email))
        }
        Channel::Sms => ("+15555550100", Rendered::Sms(sample_sms(text))),
        Channel::Phone => {
            let spoken = Spoken {
                opening: Personal::new("This is a call of Example & Sons for <you>. Press 1."),
                message: Personal::new(text),
            };
            let script = CallScript { sections: Vec::new(), language: "en".to_owned(), spoken: Some(spoken) };
            ("+15555550100", Rendered::Call(script))
        }
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
        facts: Arc::new(BTreeMap::from([
            ("organisation".to_owned(), "Example Ltd".to_owned()),
            ("text.contact".to_owned(), "+1 555 555 0199".to_owned()),
        ])),
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
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/providers");
        let files = fs_err::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        let files = files.filter_map(|name| name.to_str()?.strip_suffix(".toml").map(str::to_owned));
        let files: BTreeSet<String> = files.collect();
        assert_eq!(catalogue.names().map(str::to_owned).collect::<BTreeSet<_>>(), files);
        assert!(files.len() > 10);
        let mut problems = Vec::new();
        for entry in catalogue.entries() {
            assert!(!entry.definition.examples.is_empty());
            problems.extend(run(&entry.definition).await.into_iter().map(|problem| problem.message));
        }
        assert!(problems.is_empty(), "{}", problems.join("\n"));
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

//! A route's adapter: a closed set of engines, one of which runs every definition.

use super::call_sheet::CallSheet;
use super::catalogue::Catalogue;
use super::http::Http;
use super::http::approved::Approved;
use super::lookup::{LookUp, Query};
use super::receipt::{Action, Call, Received, Refused};
use super::sandbox::Sandbox;
use super::settings::Settings;
use super::smtp::Smtp;
use super::{Abilities, Gate, NATIVE, Outgoing};
use crate::model::channel::Channel;
use crate::model::nearest::suggestion;
use crate::model::outcome::{Class, Outcome};
use crate::model::problem::Problem;
use crate::model::rendered::Rendered;
use crate::model::time::Micros;
use std::sync::Arc;

#[derive(Debug)]
pub enum Adapter {
    Smtp(Box<Smtp>),
    Http(Box<Http>),
    CallSheet(CallSheet),
    Sandbox(Sandbox),
}

impl Adapter {
    /// The adapter of a route, or everything that is wrong with its settings. Nothing is connected yet.
    pub fn build(
        route: &str,
        provider: &str,
        channel: Channel,
        settings: &Settings,
        concurrency: usize,
        catalogue: &Catalogue,
    ) -> Result<Adapter, Vec<Problem>> {
        match provider {
            "smtp" => {
                if channel != Channel::Email {
                    let message =
                        format!("route `{route}`: smtp carries email, not {channel}; set channel = \"email\"");
                    return Err(vec![Problem::new("wrong-channel", "channel", message)]);
                }
                Smtp::build(route, settings, concurrency).map(|smtp| Adapter::Smtp(Box::new(smtp)))
            }
            "call-sheet" => CallSheet::build(route, channel, settings).map(Adapter::CallSheet),
            "sandbox" => Sandbox::build(route, channel, settings).map(Adapter::Sandbox),
            name => {
                let Some(entry) = catalogue.get(name) else { return Err(vec![unknown(route, name, catalogue)]) };
                let http = Http::build(route, channel, settings, concurrency, Arc::clone(&entry.definition))?;
                Ok(Adapter::Http(Box::new(http)))
            }
        }
    }

    /// Hands the notice over, through the gate. Whatever a provider can say is an outcome, never an error.
    pub async fn send(&self, out: &Outgoing, gate: &Gate) -> Outcome {
        match self {
            Adapter::Smtp(smtp) => smtp.send(out, gate).await,
            Adapter::Http(http) => http.send(out, gate).await,
            Adapter::CallSheet(sheet) => sheet.send(out, gate).await,
            Adapter::Sandbox(sandbox) => sandbox.send(out, gate).await,
        }
    }

    /// Notices it can use at once when it sends `concurrency` at a time: for SMTP as many again, since the envelope of
    /// a notice that waits travels with the message before it.
    pub fn at_hand(&self, concurrency: usize) -> usize {
        match self {
            Adapter::Smtp(_) => concurrency.saturating_mul(2),
            Adapter::Http(_) | Adapter::CallSheet(_) | Adapter::Sandbox(_) => concurrency,
        }
    }

    pub fn abilities(&self) -> Abilities {
        match self {
            Adapter::Smtp(smtp) => smtp.abilities(),
            Adapter::Http(http) => http.abilities(),
            Adapter::CallSheet(sheet) => sheet.abilities(),
            Adapter::Sandbox(sandbox) => sandbox.abilities(),
        }
    }

    /// Takes a call at the route's address: receipts, and what to answer; or why it is refused, and with which status.
    pub async fn receive(&self, call: &Call<'_>, now: Micros) -> Result<Received, Refused> {
        match self {
            Adapter::Http(http) => http.receive(call, now).await,
            Adapter::Smtp(_) | Adapter::CallSheet(_) | Adapter::Sandbox(_) => Err(Refused::nobody_listens()),
        }
    }

    /// A document that the provider fetches about a notice: its media type, and itself.
    pub fn answer(&self, name: &str, out: &Outgoing) -> Option<(&'static str, String)> {
        match self {
            Adapter::Http(http) => http.answer(name, out),
            Adapter::Smtp(_) | Adapter::CallSheet(_) | Adapter::Sandbox(_) => None,
        }
    }

    /// Does what a received call asked for on the network.
    pub async fn perform(&self, action: &Action) -> Result<(), Problem> {
        match self {
            Adapter::Http(http) => http.perform(action).await,
            Adapter::Smtp(_) | Adapter::CallSheet(_) | Adapter::Sandbox(_) => Ok(()),
        }
    }

    /// Whether its provider can report to an address of ours at all. What it reports is taken also where the ladder does
    /// not wait for it.
    pub fn has_reports(&self) -> bool {
        match self {
            Adapter::Http(http) => http.has_reports(),
            Adapter::Smtp(_) | Adapter::CallSheet(_) | Adapter::Sandbox(_) => false,
        }
    }

    /// Whether its provider reports to an address of ours: then `[server] public_url` must be there.
    pub fn listens(&self) -> bool {
        match self {
            Adapter::Http(http) => http.listens(),
            Adapter::Smtp(_) | Adapter::CallSheet(_) | Adapter::Sandbox(_) => false,
        }
    }

    /// Whether the route would work, found out without sending anything: a sentence for the operator either way.
    pub async fn check(&self) -> Result<String, Problem> {
        match self {
            Adapter::Smtp(smtp) => smtp.check().await,
            Adapter::Http(http) => http.check().await,
            Adapter::CallSheet(sheet) => sheet.check().await,
            Adapter::Sandbox(sandbox) => sandbox.check().await,
        }
    }

    /// What [`Adapter::check`] does not find out, in words for the operator.
    pub fn unchecked(&self) -> Vec<&'static str> {
        match self {
            Adapter::Smtp(_) => vec!["sender", "rate"],
            Adapter::Http(http) => http.unchecked(),
            Adapter::CallSheet(_) | Adapter::Sandbox(_) => Vec::new(),
        }
    }

    /// The approved words, where the provider sends no others.
    pub fn approved(&self) -> Option<&Approved> {
        match self {
            Adapter::Http(http) => http.approved(),
            Adapter::Smtp(_) | Adapter::CallSheet(_) | Adapter::Sandbox(_) => None,
        }
    }

    /// What the person will really receive, where that is not the text of the campaign but an approved template.
    pub fn worded(&self, out: &Outgoing) -> Option<Rendered> {
        match self {
            Adapter::Http(http) => http.worded(out),
            Adapter::Smtp(_) | Adapter::CallSheet(_) | Adapter::Sandbox(_) => None,
        }
    }

    /// Why the route cannot carry this notice whoever it is for, found out without asking anybody: a text that is too
    /// long for the provider, a language it has no voice for.
    pub fn refusal(&self, out: &Outgoing) -> Option<Outcome> {
        match self {
            Adapter::Http(http) => http.refusal(out),
            Adapter::Smtp(_) | Adapter::CallSheet(_) | Adapter::Sandbox(_) => None,
        }
    }

    /// True where the provider can be asked what became of a notice.
    pub fn looks_up(&self) -> bool {
        match self {
            Adapter::Http(http) => http.looks_up(),
            Adapter::Smtp(_) | Adapter::CallSheet(_) | Adapter::Sandbox(_) => false,
        }
    }

    /// How long after a notice was taken its provider's report should be there, where the definition says so.
    pub fn report_within(&self) -> Option<Micros> {
        match self {
            Adapter::Http(http) => http.report_within(),
            Adapter::Smtp(_) | Adapter::CallSheet(_) | Adapter::Sandbox(_) => None,
        }
    }

    /// Asks the provider what became of a notice. Nothing is sent to anybody.
    pub async fn look_up(&self, query: &Query<'_>, now: Micros) -> LookUp {
        match self {
            Adapter::Http(http) => http.look_up(query, now).await,
            Adapter::Smtp(_) | Adapter::CallSheet(_) | Adapter::Sandbox(_) => {
                LookUp::Unknown(Outcome::new(Class::Unknown, "no-lookup", "this provider cannot be asked"))
            }
        }
    }

    /// Says goodbye to the provider where its protocol has a word for it. Call it once nothing is on the wire.
    pub async fn close(&self) {
        match self {
            Adapter::Smtp(smtp) => smtp.close().await,
            Adapter::Http(_) | Adapter::CallSheet(_) | Adapter::Sandbox(_) => {}
        }
    }
}

fn unknown(route: &str, name: &str, catalogue: &Catalogue) -> Problem {
    let hint = suggestion(name, catalogue.names().chain(NATIVE));
    Problem::new("unknown-provider", "provider", format!("route `{route}`: no provider is called `{name}`{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::examples::sample;
    use std::path::Path;

    const MINE: &str = r#"
name = "mine"
channels = ["email"]
docs = "https://example.com"
[settings]
base_url = { kind = "url" }
[send]
method = "POST"
url = "{{settings.base_url}}"
[[send.rule]]
status = "*"
outcome = "unknown"
"#;

    fn overlay(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Catalogue, Vec<Problem>>) {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            fs_err::write(directory.path().join(name), text).expect("written");
        }
        let catalogue = Catalogue::load(Some(directory.path()));
        (directory, catalogue)
    }

    #[test]
    fn a_directory_adds_and_replaces_definitions() {
        let built_in = Catalogue::load(None).expect("valid");
        let kannel = built_in.get("kannel").expect("built in");
        let changed = kannel.text.replace("20s", "21s");
        let (_directory, catalogue) = overlay(&[("mine.toml", MINE), ("kannel.toml", &changed), ("README.md", "x")]);
        let catalogue = catalogue.expect("valid");
        let mut all: Vec<&str> = built_in.names().chain(["mine"]).collect();
        all.sort_unstable();
        assert_eq!(catalogue.names().collect::<Vec<_>>(), all);
        let replaced = catalogue.get("kannel").expect("there");
        assert!(replaced.digest != kannel.digest && replaced.digest.len() == 64);
        assert!(replaced.origin.ends_with("kannel.toml") && kannel.origin == "built in");
        assert_eq!(replaced.definition.send.timeout.as_secs(), 21);
    }

    #[test]
    fn bad_files_are_named_and_the_adapters_of_the_program_cannot_be_replaced() {
        let (_directory, catalogue) = overlay(&[("mine.toml", "name = 1"), ("smtp.toml", MINE), ("other.toml", MINE)]);
        let mut fields: Vec<String> = catalogue.expect_err("bad").into_iter().map(|p| p.message).collect();
        fields.sort();
        for (message, part) in fields.iter().zip(["mine.toml, line 1", "other.toml, name", "smtp.toml: `smtp` is"]) {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(fields.len(), 3);
        let missing = Catalogue::load(Some(Path::new("no/such/directory"))).expect_err("missing");
        assert_eq!(missing[0].code, "unreadable");
    }

    #[tokio::test]
    async fn a_route_gets_the_adapter_its_provider_names() {
        let catalogue = Catalogue::load(None).expect("valid");
        let directory = tempfile::tempdir().expect("a directory");
        let settings = Settings::new().with("dir", directory.path().display());
        let build = |provider: &str, channel| Adapter::build("r", provider, channel, &settings, 1, &catalogue);
        let sandbox = build("sandbox", Channel::Sms).expect("valid");
        let outcome = sandbox.send(&sample(Channel::Sms, "hello"), &Gate::default()).await;
        assert_eq!(outcome.class, crate::model::outcome::Class::Accepted);
        assert!(sandbox.check().await.is_ok() && !sandbox.abilities().idempotent);
        assert_eq!(sandbox.at_hand(4), 4);
        let relay = Settings::new().with("host", "mail.example.com").with("envelope_from", "dpo@example.com");
        let smtp = Adapter::build("r", "smtp", Channel::Email, &relay, 4, &catalogue).expect("valid");
        assert_eq!(smtp.at_hand(4), 8);
        assert!(build("call-sheet", Channel::Phone).expect("valid").abilities().idempotent);
        for (provider, channel, codes) in [
            ("kanel", Channel::Sms, vec!["unknown-provider"]),
            ("call-sheet", Channel::Email, vec!["wrong-channel"]),
            ("twilio-sms", Channel::Email, vec!["wrong-channel"]),
            ("webhook", Channel::Email, vec!["unknown-setting", "missing-setting"]),
        ] {
            let problems = build(provider, channel).expect_err(provider);
            assert_eq!(problems.iter().map(|p| p.code).collect::<Vec<_>>(), codes, "{provider}");
        }
        let problems = build("kanel", Channel::Sms).expect_err("unknown");
        assert!(problems[0].message.contains("did you mean `kannel`?"));
    }
}

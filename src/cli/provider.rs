//! `forewarn provider …`: what can carry a message, what it needs, and whether it does.
//!
//! `list` and `show` work without a configuration: then there are the providers of the program alone.

use super::provider_hook::ProviderHookArgs;
use super::provider_suspend::{ProviderResumeArgs, ProviderSuspendArgs};
use super::{Context, Failure, provider_hook, provider_lint, provider_suspend, provider_test};
use crate::config::{self, Config};
use crate::model::channel::Channel;
use crate::model::nearest::suggestion;
use crate::providers::catalogue::{Catalogue, Entry};
use crate::providers::definition::RECEIPTS;
use crate::providers::definition::leaf::{Leaf, Name, Piece};
use crate::providers::native::{Native, native, natives};
use crate::providers::settings::SettingDecl;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Look at providers and try routes
#[derive(Subcommand, Debug)]
pub enum ProviderCommand {
    /// List the built-in adapters and the definitions
    List,
    /// Show what a provider needs and what it can do
    Show(ProviderShowArgs),
    /// Send one test message through a route
    Test(ProviderTestArgs),
    /// Check a definition file and run its examples; nothing is sent
    Lint(ProviderLintArgs),
    /// Print the address to which a route's provider reports
    Hook(ProviderHookArgs),
    /// Let a route, or all email to a domain, rest for a while
    Suspend(ProviderSuspendArgs),
    /// End such a rest before its time
    Resume(ProviderResumeArgs),
}

#[derive(Args, Debug)]
pub struct ProviderShowArgs {
    /// The adapter or definition
    pub name: String,
}

#[derive(Args, Debug)]
pub struct ProviderLintArgs {
    /// The definition, such as providers/acme-sms.toml
    pub file: PathBuf,
}

#[derive(Args, Debug)]
pub struct ProviderTestArgs {
    /// The route of the configuration
    pub route: String,
    /// The address or number that gets the test message
    #[arg(long, value_name = "ADDRESS")]
    pub to: String,
}

pub(super) fn run(command: &ProviderCommand, context: &Context) -> Result<(), Failure> {
    match command {
        ProviderCommand::List => list(context),
        ProviderCommand::Show(args) => show(&args.name, context),
        ProviderCommand::Test(args) => provider_test::run(args, context),
        ProviderCommand::Lint(args) => provider_lint::run(args, context),
        ProviderCommand::Hook(args) => provider_hook::run(args, context),
        ProviderCommand::Suspend(args) => provider_suspend::suspend(args, context),
        ProviderCommand::Resume(args) => provider_suspend::resume(args, context),
    }
}

/// A provider in the words of a reader and of a script.
struct Card<'c> {
    name: &'c str,
    channels: Vec<&'static str>,
    about: &'c str,
    docs: &'c str,
    origin: &'c str,
    digest: Option<&'c str>,
    settings: &'c [SettingDecl],
    /// Sentences on what bounds it.
    limits: Vec<String>,
    /// `yes`, `no`, or the setting that says so.
    idempotent: String,
    reports_delivery: bool,
}

fn list(context: &Context) -> Result<(), Failure> {
    let catalogue = catalogue(context)?;
    let natives = natives();
    let cards: Vec<Card<'_>> = natives.iter().map(of_native).chain(catalogue.entries().map(of_entry)).collect();
    let short = |card: &Card<'_>| {
        json!({
            "name": card.name, "channels": card.channels, "about": card.about, "docs": card.docs,
            "origin": card.origin,
        })
    };
    context.printer.object(&json!({ "providers": cards.iter().map(short).collect::<Vec<_>>() }))?;
    for card in &cards {
        let origin = if card.origin == "built in" { "" } else { card.origin };
        let line = format!("{:<12} {:<17} {}", card.name, card.channels.join(" "), card.docs);
        context.printer.line(format_args!("{} {origin}", line.trim_end()).to_string().trim_end())?;
    }
    context.printer.line("\n`forewarn provider show NAME` says what a route needs")
}

fn show(name: &str, context: &Context) -> Result<(), Failure> {
    let catalogue = catalogue(context)?;
    let of_the_program = native(name);
    let card = match (&of_the_program, catalogue.get(name)) {
        (Some(native), _) => of_native(native),
        (None, Some(entry)) => of_entry(entry),
        (None, None) => {
            let hint = suggestion(name, catalogue.names().chain(crate::providers::NATIVE));
            return Err(Failure::Usage(format!(
                "no provider is called `{name}`{hint}; `forewarn provider list` has all"
            )));
        }
    };
    context.printer.object(&card.json())?;
    for line in card.lines() {
        context.printer.line(line)?;
    }
    Ok(())
}

/// With the configured folder of definitions, where there is a configuration.
fn catalogue(context: &Context) -> Result<Catalogue, Failure> {
    let config: Option<Config> = match context.config() {
        Ok(config) => Some(config),
        Err(Failure::Usage(_)) if !context.names_a_config() => {
            context.printer.note(format_args!("no {} here: only the built-in providers", config::DEFAULT_FILE));
            None
        }
        Err(failure) => return Err(failure),
    };
    Ok(Catalogue::load(config.as_ref().and_then(|c| c.paths.providers.as_deref()))?)
}

fn of_native(native: &Native) -> Card<'_> {
    Card {
        name: native.name,
        channels: native.channels.iter().map(|c| c.as_str()).collect(),
        about: native.about,
        docs: native.docs,
        origin: "built in",
        digest: None,
        settings: &native.settings,
        limits: Vec::new(),
        idempotent: if native.abilities.idempotent { "yes" } else { "no" }.to_owned(),
        reports_delivery: native.abilities.reports_delivery,
    }
}

fn of_entry(entry: &Entry) -> Card<'_> {
    let definition = &entry.definition;
    let send = &definition.send;
    let mut limits = vec![format!("a reply is waited for {}s", send.timeout.as_secs())];
    if let Some(most) = &send.max_segments {
        limits.push(format!("most parts of an SMS: {}", words_of(most)));
    }
    Card {
        name: &definition.name,
        channels: definition.channels.iter().map(|c: &Channel| c.as_str()).collect(),
        about: &definition.about,
        docs: &definition.docs,
        origin: &entry.origin,
        digest: Some(&entry.digest),
        settings: &definition.settings,
        limits,
        idempotent: match words_of(&send.idempotent).as_str() {
            "true" => "yes".to_owned(),
            "false" => "no".to_owned(),
            setting => setting.to_owned(),
        },
        reports_delivery: definition.receipt.is_some(),
    }
}

/// A leaf for a reader: plain text as it is, a setting by its name.
fn words_of(leaf: &Leaf) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Literal(text) => text.clone(),
        Piece::Value(Name::Setting(name)) => format!("as the setting `{name}` says"),
        Piece::Value(other) => format!("{other:?}"),
    };
    leaf.0.iter().map(piece).collect()
}

impl Card<'_> {
    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "channels": self.channels,
            "about": self.about,
            "docs": self.docs,
            "origin": self.origin,
            "digest": self.digest,
            "settings": self.settings.iter().map(setting_json).collect::<Vec<_>>(),
            "limits": self.limits,
            "abilities": { "idempotent": self.idempotent, "reports_delivery": self.reports_delivery },
        })
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{}: {}", self.name, self.channels.join(", "))];
        lines.extend([self.about, self.docs].iter().filter(|text| !text.is_empty()).map(|text| (*text).to_owned()));
        lines.push(format!("origin: {}", self.origin));
        lines.push("\nsettings:".to_owned());
        lines.extend(self.settings.iter().map(setting_line));
        lines.push(String::new());
        lines.extend(self.limits.iter().map(|limit| format!("limit: {limit}")));
        lines.push(match self.idempotent.as_str() {
            "yes" => "a notice given twice goes out once: after an unknown outcome it is given again".to_owned(),
            "no" => "a notice given twice goes out twice: after an unknown outcome `on_unknown` decides".to_owned(),
            setting => format!("whether a notice given twice goes out once: {setting}"),
        });
        let listens = self.settings.iter().any(|setting| setting.name == RECEIPTS);
        let reports = match (self.reports_delivery, listens) {
            (true, true) => "yes, where its settings say `receipts = true`",
            (true, false) => "yes",
            (false, _) => "no",
        };
        lines.push(format!("reports deliveries later: {reports}"));
        lines
    }
}

fn setting_json(setting: &SettingDecl) -> Value {
    json!({
        "name": setting.name,
        "kind": setting.kind.described(),
        "required": setting.required,
        "secret": is_secret(setting),
        "default": setting.default,
        "pattern": setting.pattern.as_ref().map(regex::Regex::as_str),
        "about": setting.about,
    })
}

fn setting_line(setting: &SettingDecl) -> String {
    let must = match (&setting.default, setting.required) {
        (Some(default), _) => format!("default {default:?}"),
        (None, true) => "required".to_owned(),
        (None, false) => "optional".to_owned(),
    };
    let about = if setting.about.is_empty() { String::new() } else { format!("; {}", setting.about) };
    format!("  {:<18} {must}, {}{about}", setting.name, setting.kind.described())
}

fn is_secret(setting: &SettingDecl) -> bool {
    setting.kind == crate::providers::settings::SettingKind::Secret
}

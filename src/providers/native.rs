//! What the adapters of the program itself are and take, in the words of `provider list` and `provider show`.
//!
//! Definitions describe themselves in their files; this is the same for the adapters that are code.

use super::call_sheet::CallSheet;
use super::sandbox::Sandbox;
use super::settings::SettingDecl;
use super::smtp::Smtp;
use super::{Abilities, NATIVE};
use crate::model::channel::Channel;

/// An adapter of the program, described.
#[derive(Clone, Debug)]
pub struct Native {
    pub name: &'static str,
    pub channels: &'static [Channel],
    pub about: &'static str,
    /// Where its protocol is described; empty where it speaks to nobody.
    pub docs: &'static str,
    pub settings: Vec<SettingDecl>,
    pub abilities: Abilities,
}

const SMTP: [(&str, &str); 13] = [
    ("host", "the relay's name or address"),
    ("port", "587, or 465 with tls = \"implicit\", or 25 with tls = \"none\", unless given"),
    ("tls", "implicit, starttls, or none (to this machine or a private network only)"),
    ("username", "together with password"),
    ("password", "together with username"),
    ("allow_plaintext", "allows tls = \"none\" to any address, and a password over it"),
    ("envelope_from", "where bounces go; the address of [sender] unless given"),
    (
        "bounce_address",
        "bounces@notices.example.com: each notice's bounces come back to bounces+TOKEN@…, see [[mailbox]]",
    ),
    ("hello", "the name said in EHLO; this machine's address unless given"),
    ("ca_file", "certificates (PEM) that are trusted beside the usual ones"),
    ("timeout", "seconds to wait for a reply"),
    ("final_timeout", "seconds to wait for the reply to the whole message"),
    ("max_per_connection", "messages before a fresh connection"),
];
const CALL_SHEET: [(&str, &str); 1] = [("dir", "the folder of the tasks; names and numbers lie there in the clear")];
const SANDBOX: [(&str, &str); 4] = [
    ("dir", "the folder to write into; what would have been sent lies there in the clear"),
    ("faults", "outcome classes and their shares, as \"bad-address:3%, unknown:0.5%\""),
    ("latency", "how long an attempt takes, as \"20ms\""),
    ("seed", "another seed, other luck"),
];

/// The adapters of the program, in the order of [`NATIVE`].
pub fn natives() -> Vec<Native> {
    NATIVE.into_iter().filter_map(native).collect()
}

/// The adapter of that name.
pub fn native(name: &str) -> Option<Native> {
    match name {
        "smtp" => Some(Native {
            name: "smtp",
            channels: &[Channel::Email],
            about: "Email through a relay.",
            docs: "https://www.rfc-editor.org/rfc/rfc5321",
            settings: described(smtp_settings(), &SMTP),
            abilities: Abilities::default(),
        }),
        "call-sheet" => Some(Native {
            name: "call-sheet",
            channels: &[Channel::Phone],
            about: "Telephone by people: a sheet with a script for each person; how the calls ended is read back.",
            docs: "",
            settings: described(CallSheet::declarations(), &CALL_SHEET),
            abilities: Abilities { idempotent: true, reports_delivery: true, acknowledges: true },
        }),
        "sandbox" => Some(Native {
            name: "sandbox",
            channels: &Channel::ALL,
            about: "Writes what would have been sent into a folder, and fails on request; sends nothing.",
            docs: "",
            settings: described(Sandbox::declarations(), &SANDBOX),
            abilities: Abilities::default(),
        }),
        _ => None,
    }
}

/// The configuration fills in `envelope_from`, so nobody must write it.
fn smtp_settings() -> Vec<SettingDecl> {
    let mut settings = Smtp::declarations();
    for setting in settings.iter_mut().filter(|s| s.name == "envelope_from") {
        setting.required = false;
    }
    settings
}

fn described(mut settings: Vec<SettingDecl>, words: &[(&str, &str)]) -> Vec<SettingDecl> {
    for setting in &mut settings {
        if let Some((_, about)) = words.iter().find(|(name, _)| *name == setting.name) {
            setting.about = (*about).to_owned();
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::adapter::Adapter;
    use crate::providers::catalogue::Catalogue;
    use crate::providers::settings::{SettingKind, Settings};

    #[test]
    fn every_adapter_and_every_setting_is_described() {
        let natives = natives();
        assert_eq!(natives.iter().map(|n| n.name).collect::<Vec<_>>(), NATIVE);
        for native in natives {
            for setting in &native.settings {
                assert!(!setting.about.is_empty(), "{}: {}", native.name, setting.name);
            }
        }
        for (name, words) in [("smtp", &SMTP[..]), ("call-sheet", &CALL_SHEET[..]), ("sandbox", &SANDBOX[..])] {
            let settings = native(name).expect(name).settings;
            for (word, _) in words {
                assert!(settings.iter().any(|s| s.name == *word), "{name} takes no `{word}`");
            }
        }
    }

    #[test]
    fn channels_and_abilities_are_those_of_the_adapter() {
        let catalogue = Catalogue::load(None).expect("valid");
        for native in natives() {
            for channel in Channel::ALL {
                let mut settings = Settings::new();
                for setting in native.settings.iter().filter(|s| s.required) {
                    assert_eq!(setting.kind, SettingKind::Text);
                    settings = settings.with(&setting.name, "localhost");
                }
                if native.name == "smtp" {
                    settings = settings.with("envelope_from", "a@example.com");
                }
                let built = Adapter::build("r", native.name, channel, &settings, 1, &catalogue);
                assert_eq!(built.is_ok(), native.channels.contains(&channel), "{} {channel}", native.name);
                if let Ok(adapter) = built {
                    assert_eq!(adapter.abilities(), native.abilities, "{}", native.name);
                }
            }
        }
    }
}

//! A route's settings with its references resolved, ready for the adapter to check.

use super::{Config, Route};
use crate::model::problem::Problem;
use crate::providers::settings::{Setting, Settings};
use crate::secrets::{ReadableByOthers, SecretRef};
use secrecy::ExposeSecret;
use std::path::Path;

/// Whether a setting names a place on this machine: relative to the config file, as all paths in it are.
fn is_path(provider: &str, name: &str) -> bool {
    name == "ca_file" || (name == "dir" && ["sandbox", "call-sheet"].contains(&provider))
}

impl Config {
    /// The settings of one of its routes, or what is wrong with every reference that could not be resolved.
    pub fn settings(&self, route: &Route) -> Result<Settings, Vec<Problem>> {
        let folder = self.file.parent().unwrap_or(Path::new(""));
        let mut settings = Settings::new();
        let mut problems = Vec::new();
        for raw in &route.settings {
            match SecretRef::parse(&raw.value, folder) {
                _ if raw.table => settings.insert(&raw.name, Setting::table(&raw.value)),
                None => {
                    let value = if is_path(&route.provider, &raw.name) && !raw.value.is_empty() {
                        folder.join(&raw.value).display().to_string()
                    } else {
                        raw.value.clone()
                    };
                    settings.insert(&raw.name, Setting::clear(value));
                }
                Some(reference) => match reference.resolve(ReadableByOthers::Warn) {
                    Ok(secret) => settings.insert(&raw.name, Setting::referenced(secret.expose_secret())),
                    Err(error) => {
                        let message =
                            format!("{}: route `{}`, setting `{}`: {error}", self.file.display(), route.name, raw.name);
                        problems.push(Problem::new("no-secret", &raw.name, message).on_route(&route.name));
                    }
                },
            }
        }
        if route.provider == "smtp" && !route.settings.iter().any(|s| s.name == "envelope_from") {
            settings.insert("envelope_from", Setting::clear(&self.sender.email.address));
        }
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }
}

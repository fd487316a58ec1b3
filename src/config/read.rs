//! The tables of config.toml, key by key.

use super::{Config, Database, DatabaseAddress, DomainLimit, Limit, Mailbox, Paths, RawSetting, Route, Sender, Server};
use crate::model::channel::Channel;
use crate::model::time::{self, Micros};
use crate::secrets::SecretRef;
use crate::toml_file::{Located, Table, Value};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use toml::de::DeValue;
use url::Url;

/// Longest name of a route or provider.
const LONGEST_NAME: usize = 64;
/// A shorter window cannot be kept by clocks that several machines share.
const SHORTEST_WINDOW: Micros = 100_000;
const LONGEST_WINDOW: Micros = 31 * time::DAY;

/// The whole file. Everything is read before anything is given up, so that every problem is reported.
pub(super) fn config(file: &Path, root: &mut Table<'_>) -> Option<Config> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let database = database(folder, root.table("database"));
    let master_key = master_key(folder, root.table("keys"));
    let paths = paths(folder, root.table("paths"));
    let sender = sender(root.table("sender"));
    let routes = routes(root.tables("route"));
    let mailboxes = super::mailboxes::mailboxes(folder, root.tables("mailbox"), &routes);
    let lmtp = super::mailboxes::lmtp(folder, root.table("lmtp"), &routes);
    let server = server(root.table("server"));
    let proof = super::proof::proof(folder, root.table("proof"));
    Some(Config {
        file: file.to_path_buf(),
        database: database?,
        master_key: master_key?,
        paths,
        sender: sender?,
        routes,
        mailboxes,
        lmtp,
        server: server?,
        proof: proof?,
    })
}

fn database(folder: &Path, mut table: Table<'_>) -> Option<Database> {
    let url = table.required("url", "write url = \"sqlite://forewarn.db\"")?.text()?;
    url.parse("bad-database", |url| {
        if let Some(reference @ (SecretRef::Env(_) | SecretRef::File(_))) = kept_elsewhere(url, folder) {
            return Ok(Database::Postgres { address: DatabaseAddress::Kept(reference) });
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(
                "is not the address of a database; write sqlite://FILE or postgres://user@host/database".to_owned()
            );
        };
        match scheme {
            "sqlite" if rest.is_empty() || rest.contains(['?', '#']) => {
                Err("must be sqlite:// and the path of a file, without parameters".to_owned())
            }
            "sqlite" => Ok(Database::Sqlite { file: folder.join(rest) }),
            "postgres" | "postgresql" => match Url::parse(url) {
                Ok(url) if url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password") => {
                    Err("holds a password; keep the whole address elsewhere and write env:NAME or file:PATH".to_owned())
                }
                Ok(url) if url.path().trim_matches('/').is_empty() => {
                    Err("names no database; write postgres://user@host/database".to_owned())
                }
                Ok(url) => Ok(Database::Postgres { address: DatabaseAddress::Plain(url) }),
                Err(error) => Err(format!("cannot be read ({error}); write postgres://user@host/database")),
            },
            _ => Err("is of a kind of database that is not supported; write sqlite://FILE or \
                      postgres://user@host/database"
                .to_owned()),
        }
    })
}

/// The reference that stands where the whole address is a secret.
fn kept_elsewhere(text: &str, folder: &Path) -> Option<SecretRef> {
    let known = text.starts_with("env:") || text.starts_with("file:");
    SecretRef::parse(text, folder).filter(|_| known && text.len() > "file:".len())
}

fn master_key(folder: &Path, mut table: Table<'_>) -> Option<SecretRef> {
    let how = "write master = \"file:master.key\"; `forewarn init` makes the file";
    let written = table.required("master", how)?.text()?;
    written.parse("bad-reference", |text| reference(folder, text))
}

/// Where a key is kept. The text is never printed: it may be the key itself.
pub(super) fn reference(folder: &Path, text: &str) -> Result<SecretRef, String> {
    match SecretRef::parse(text, folder) {
        Some(SecretRef::Env(name)) if name.is_empty() => Err("names no variable after env:".to_owned()),
        Some(SecretRef::File(_)) if text == "file:" => Err("names no file after file:".to_owned()),
        Some(reference) => Ok(reference),
        None => Err("must be env:NAME or file:PATH; a key never stands in this file".to_owned()),
    }
}

fn paths(folder: &Path, mut table: Table<'_>) -> Paths {
    let mut path = |key| -> Option<PathBuf> {
        table.value(key)?.text()?.parse("bad-path", |text| match text {
            "" => Err("is empty; name a folder, or take the key away".to_owned()),
            text => Ok(folder.join(text)),
        })
    };
    Paths { templates: path("templates"), providers: path("providers"), regimes: path("regimes") }
}

fn sender(mut table: Table<'_>) -> Option<Sender> {
    let organisation = table.required("organisation", "write the name that customers know you by");
    let organisation = organisation.and_then(Value::text).and_then(|text| {
        text.parse("bad-name", |name| match name.trim() {
            "" => Err("is empty; write the name that customers know you by".to_owned()),
            name if name.chars().any(char::is_control) => Err("must be one line of text".to_owned()),
            name => Ok(name.to_owned()),
        })
    });
    let email = table.required("email", "write email = \"Data Protection <dpo@example.com>\"");
    let email = email.and_then(Value::text).and_then(|text| text.parse("bad-mailbox", Mailbox::parse));
    Some(Sender { organisation: organisation?, email: email? })
}

fn server(mut table: Table<'_>) -> Option<Server> {
    let listen = match table.value("listen") {
        None => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
        Some(value) => value.text().and_then(|text| {
            text.parse("bad-address", |text| {
                text.parse().map_err(|_| "must be an IP address and a port, as 127.0.0.1:8080".to_owned())
            })
        }),
    };
    let public_url = match table.value("public_url") {
        None => Some(None),
        Some(value) => value.text().and_then(|text| text.parse("bad-url", public_url)).map(Some),
    };
    Some(Server { listen: listen?, public_url: public_url? })
}

fn public_url(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).map_err(|_| "must be an address as https://notices.example.com".to_owned())?;
    let at_home = url.host_str().is_some_and(|h| ["localhost", "127.0.0.1", "[::1]"].contains(&h));
    match url.scheme() {
        "https" => {}
        "http" if at_home => {}
        _ => return Err("must begin with https:// (http:// only for this machine)".to_owned()),
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err("must have no user, query or fragment".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn routes(tables: Vec<Table<'_>>) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    for table in tables {
        let place = table.place().clone();
        let Some(route) = route(table) else { continue };
        if routes.iter().any(|r| r.name.eq_ignore_ascii_case(&route.name)) {
            place.problem("route-twice", format!("has the name `{}` of a route above; give it its own", route.name));
        }
        routes.push(route);
    }
    routes
}

fn route(mut table: Table<'_>) -> Option<Route> {
    let name = name(&mut table, "name", "give the route a name of its own");
    let channel = table.required("channel", "write email, sms or phone").and_then(Value::text);
    let channel = channel.and_then(|text| text.choose(&Channel::ALL.map(|c| (c.as_str(), c))));
    let provider = name_of_provider(&mut table);
    let weight = number(&mut table, "weight", 0, 1_000_000);
    let concurrency = number(&mut table, "concurrency", 1, 1_000);
    let limits = table.tables("limits").into_iter().filter_map(limit).collect();
    let domain_limits = domain_limits(&mut table, channel);
    let settings = settings(table.table("settings"));
    let channel = channel?;
    Some(Route {
        name: name?,
        channel,
        provider: provider?,
        weight: weight.and_then(|w| u32::try_from(w).ok()).unwrap_or(100),
        concurrency: concurrency
            .and_then(|c| usize::try_from(c).ok())
            .unwrap_or_else(|| Route::default_concurrency(channel)),
        limits,
        domain_limits,
        settings,
    })
}

fn name_of_provider(table: &mut Table<'_>) -> Option<String> {
    name(table, "provider", "write smtp, call-sheet, sandbox, or the name of a file in providers/")
}

/// A name that can stand in an address, a file name and a log line as it is.
pub(super) fn name(table: &mut Table<'_>, key: &'static str, how: &str) -> Option<String> {
    table.required(key, how)?.text()?.parse("bad-name", |name| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(plain) || name.starts_with('.') {
            return Err(format!(
                "must be 1 to {LONGEST_NAME} letters, digits, `.`, `_` or `-`, not beginning with `.`"
            ));
        }
        Ok(name.to_owned())
    })
}

fn number(table: &mut Table<'_>, key: &'static str, least: i64, most: i64) -> Option<i64> {
    table.value(key)?.number(least, most).map(|n| n.value)
}

fn limit(mut table: Table<'_>) -> Option<Limit> {
    rate_and_window(&mut table)
}

fn rate_and_window(table: &mut Table<'_>) -> Option<Limit> {
    let rate = table.required("rate", "say how many, as rate = 50").and_then(|v| v.number(1, 1_000_000_000));
    let per = table.required("per", "say in which time, as per = \"1s\"").and_then(Value::text).and_then(window);
    Some(Limit { rate: u64::try_from(rate?.value).ok()?, per: per? })
}

fn window(text: Located<'_, &str>) -> Option<Micros> {
    text.parse("bad-duration", |text| match time::parse_duration(text) {
        Some(per) if (SHORTEST_WINDOW..=LONGEST_WINDOW).contains(&per) => Ok(per),
        Some(_) => Err("must be from 100ms to 31d".to_owned()),
        None => Err("must be a duration as 250ms, 1s, 5m, 1h or 1d".to_owned()),
    })
}

fn domain_limits(table: &mut Table<'_>, channel: Option<Channel>) -> Vec<DomainLimit> {
    let Some(value) = table.value("domain_limits") else { return Vec::new() };
    if channel.is_some_and(|c| c != Channel::Email) {
        value.place.problem("email-only", "belongs to email routes only; take it away, or use `limits`");
    }
    let tables = value.list().unwrap_or_default();
    tables.into_iter().filter_map(Value::table).filter_map(domain_limit).collect()
}

fn domain_limit(mut table: Table<'_>) -> Option<DomainLimit> {
    let domain = table.required("domain", "name the domain of the receivers, as domain = \"example.com\"");
    let domain = domain.and_then(Value::text).and_then(|text| {
        text.parse("bad-domain", |text| {
            idna::domain_to_ascii_strict(text.trim())
                .ok()
                .filter(|d| !d.is_empty())
                .ok_or_else(|| "must be a domain name, as example.com".to_owned())
        })
    });
    let limit = rate_and_window(&mut table);
    Some(DomainLimit { domain: domain?, limit: limit? })
}

fn settings(mut table: Table<'_>) -> Vec<RawSetting> {
    table.entries().into_iter().filter_map(|(name, value)| setting(name, value)).collect()
}

fn setting(name: &str, value: Value<'_>) -> Option<RawSetting> {
    let table = matches!(value.value, DeValue::Table(_));
    let written = match value.value {
        DeValue::String(text) => text.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Integer(_) => value.number(i64::MIN, i64::MAX)?.value.to_string(),
        DeValue::Table(_) => table_of_texts(value)?,
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) => {
            value.place.problem("wrong-type", "must be a text in quotes, a whole number, true or false");
            return None;
        }
    };
    Some(RawSetting { name: name.to_owned(), value: written, table })
}

/// A table in a route's settings, as JSON; the adapter reads it again.
fn table_of_texts(value: Value<'_>) -> Option<String> {
    let entries = value.table()?.entries();
    let texts: Option<serde_json::Map<String, serde_json::Value>> =
        entries.into_iter().map(|(name, value)| Some((name.to_owned(), value.text()?.value.into()))).collect();
    serde_json::to_string(&texts?).ok()
}

//! The mailboxes that bounces come back to, as `[[mailbox]]` tables.

use super::Route;
use super::read::name;
use crate::model::channel::Channel;
use crate::model::time::{self, Micros, SECOND};
use crate::secrets::SecretRef;
use crate::toml_file::{Table, Value};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// What comes by LMTP is counted as that of a mailbox of this name.
pub const LMTP: &str = "lmtp";
/// How often a mailbox is looked into where the file does not say.
const EVERY: Micros = 30 * SECOND;
const SELDOMEST: Micros = time::DAY;

/// A mailbox whose messages are read for what they say of notices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnBox {
    pub name: String,
    /// The routes whose notices come back there; empty: all of them.
    pub routes: Vec<String>,
    pub place: Place,
    /// How often somebody looks into it.
    pub every: Micros,
}

/// Where a mailbox is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Maildir(PathBuf),
    Imap(ImapAccount),
}

/// A folder of an account at a mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImapAccount {
    pub host: String,
    pub port: u16,
    pub tls: ImapTls,
    pub username: String,
    pub password: SecretRef,
    pub folder: String,
    /// Certificates (PEM) that are trusted beside the usual ones.
    pub ca_file: Option<PathBuf>,
}

/// How the connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImapTls {
    Implicit,
    StartTls,
    /// To this machine only.
    None,
}

impl ImapTls {
    const WORDS: [(&str, ImapTls); 3] =
        [("implicit", ImapTls::Implicit), ("starttls", ImapTls::StartTls), ("none", ImapTls::None)];

    fn port(self) -> u16 {
        match self {
            ImapTls::Implicit => 993,
            ImapTls::StartTls | ImapTls::None => 143,
        }
    }
}

/// Where mail servers deliver bounces to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LmtpListen {
    Address(SocketAddr),
    Socket(PathBuf),
}

impl fmt::Display for LmtpListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LmtpListen::Address(address) => write!(f, "{address}"),
            LmtpListen::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `[lmtp]`; `None` where there is none.
pub(super) fn lmtp(folder: &Path, mut table: Table<'_>, routes: &[Route]) -> Option<LmtpListen> {
    if !table.is_present() {
        return None;
    }
    let listen = table.required("listen", "write listen = \"127.0.0.1:2424\", or unix:PATH")?.text()?;
    if !routes.iter().any(|route| route.bounce_address().is_some()) {
        let what = "takes mail for the bounce addresses of smtp routes, and no route has one: add bounce_address = \
                    \"bounces@notices.example.com\" to its settings";
        table.place().problem("no-bounce-address", what);
    }
    listen.parse("bad-address", |text| match (text.strip_prefix("unix:"), text.parse::<SocketAddr>()) {
        (Some(""), _) => Err("names no file after unix:".to_owned()),
        (Some(path), _) => Ok(LmtpListen::Socket(folder.join(path))),
        (None, Ok(address)) if is_near(address.ip()) => Ok(LmtpListen::Address(address)),
        (None, Ok(_)) => {
            Err("must be an address of this machine or of a private network: nobody logs in over LMTP".to_owned())
        }
        (None, Err(_)) => Err("must be an IP address and a port, as 127.0.0.1:2424, or unix:PATH".to_owned()),
    })
}

/// Loopback, private and unique local addresses.
fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
    }
}

pub(super) fn mailboxes(folder: &Path, tables: Vec<Table<'_>>, routes: &[Route]) -> Vec<ReturnBox> {
    let mut boxes: Vec<ReturnBox> = Vec::new();
    for table in tables {
        let place = table.place().clone();
        let Some(mailbox) = mailbox(folder, table, routes) else { continue };
        if boxes.iter().any(|b| b.name.eq_ignore_ascii_case(&mailbox.name)) {
            let what = format!("has the name `{}` of a mailbox above; give it its own", mailbox.name);
            place.problem("mailbox-twice", what);
        }
        boxes.push(mailbox);
    }
    boxes
}

fn mailbox(folder: &Path, mut table: Table<'_>, known: &[Route]) -> Option<ReturnBox> {
    let name = name(&mut table, "name", "give the mailbox a name of its own").filter(|name| {
        let free = !name.eq_ignore_ascii_case(LMTP);
        if !free {
            table.place().problem("bad-name", "cannot have the name `lmtp`: what comes by [lmtp] is counted under it");
        }
        free
    });
    let routes = routes(&mut table, known);
    let every = every(&mut table);
    let place = place(folder, &mut table);
    Some(ReturnBox { name: name?, routes, place: place?, every: every? })
}

fn place(folder: &Path, table: &mut Table<'_>) -> Option<Place> {
    let maildir = table.value("maildir");
    let mut imap = table.table("imap");
    match (maildir, imap.is_present()) {
        (Some(maildir), true) => {
            imap.entries();
            maildir.place.problem("mailbox-twice", "stands beside `imap`: a mailbox is one or the other");
            None
        }
        (None, false) => {
            drop(imap);
            table.missing("maildir", "write maildir = \"/var/mail/bounces\", or imap = { host = \"…\", … }");
            None
        }
        (None, true) => imap_account(folder, imap).map(Place::Imap),
        (Some(maildir), false) => maildir.text()?.parse("bad-path", |text| match text {
            "" => Err("is empty; name the folder that has `new` and `cur` in it".to_owned()),
            text => Ok(Place::Maildir(folder.join(text))),
        }),
    }
}

fn imap_account(folder: &Path, mut table: Table<'_>) -> Option<ImapAccount> {
    let text = |value: Option<Value<'_>>| {
        value?.text()?.parse("bad-setting", |text| match text {
            "" => Err("is empty".to_owned()),
            text if text.chars().any(char::is_control) => Err("must be one line of text".to_owned()),
            text => Ok(text.to_owned()),
        })
    };
    let host = text(table.required("host", "write host = \"imap.example.com\""));
    let tls = table.value("tls").map_or(Some(ImapTls::Implicit), |value| value.text()?.choose(&ImapTls::WORDS));
    let port = table.value("port").map(|value| value.number(1, 65_535).and_then(|n| u16::try_from(n.value).ok()));
    let username = text(table.required("username", "write username = \"bounces@example.com\""));
    let password = table.required("password", "write password = \"env:BOUNCES_PASSWORD\", or file:PATH");
    let password = password.and_then(|value| {
        // Never print the text: it may be the password itself.
        value.text()?.parse("bad-reference", |text| {
            let named = text.split_once(':').is_some_and(|(_, name)| !name.is_empty());
            SecretRef::parse(text, folder)
                .filter(|_| named)
                .ok_or_else(|| "must be env:NAME or file:PATH; a password never stands in this file".to_owned())
        })
    });
    let in_box = table.value("folder").map_or(Some("INBOX".to_owned()), |value| text(Some(value)));
    let ca_file = table.value("ca_file").map(|value| text(Some(value)).map(|path| folder.join(path)));
    let (host, tls) = (host?, tls?);
    if tls == ImapTls::None && !is_loopback(&host) {
        let what = "is `none`, which is for this machine only: write \"implicit\" or \"starttls\"";
        table.place().problem("plaintext-refused", format!("`tls` {what}"));
        return None;
    }
    let port = port.unwrap_or_else(|| Some(tls.port()));
    let ca_file = ca_file.map_or(Some(None), |path| path.map(Some));
    Some(ImapAccount {
        host,
        port: port?,
        tls,
        username: username?,
        password: password?,
        folder: in_box?,
        ca_file: ca_file?,
    })
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

fn every(table: &mut Table<'_>) -> Option<Micros> {
    let Some(value) = table.value("every") else { return Some(EVERY) };
    value.text()?.parse("bad-duration", |text| match time::parse_duration(text) {
        Some(every) if (SECOND..=SELDOMEST).contains(&every) => Ok(every),
        Some(_) => Err("must be from 1s to 1d".to_owned()),
        None => Err("must be a duration as 30s, 5m or 1h".to_owned()),
    })
}

/// Names of email routes of this file; what is wrong with one was said.
fn routes(table: &mut Table<'_>, known: &[Route]) -> Vec<String> {
    let list = table.value("routes").and_then(Value::list).unwrap_or_default();
    let route = |value: Value<'_>| {
        value.text()?.parse("unknown-route", |name| match known.iter().find(|r| r.name == name) {
            Some(route) if route.channel == Channel::Email => Ok(name.to_owned()),
            Some(route) => Err(format!("cannot be `{name}`, which carries {} and no email", route.channel)),
            None => {
                let hint = crate::model::nearest::suggestion(name, known.iter().map(|r| r.name.as_str()));
                Err(format!("cannot be `{}`: no [[route]] has that name{hint}", name.escape_debug()))
            }
        })
    };
    list.into_iter().filter_map(route).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Config, parse};
    use super::*;

    const HEAD: &str = "[database]\nurl = \"sqlite://f.db\"\n[keys]\nmaster = \"file:k\"\n[sender]\norganisation = \"O\"\n\
        email = \"a@example.com\"\n[[route]]\nname = \"relay\"\nchannel = \"email\"\nprovider = \"smtp\"\nsettings = { host \
        = \"h\", bounce_address = \"b@n.example.com\" }\n[[route]]\nname = \"texts\"\nchannel = \"sms\"\nprovider = \
        \"sandbox\"\n";

    fn read(text: &str) -> Result<Config, Vec<&'static str>> {
        match parse(Path::new("/etc/forewarn/config.toml"), &format!("{HEAD}{text}")) {
            Ok(examined) => Ok(examined.value),
            Err(problems) => Err(problems.into_iter().map(|problem| problem.code).collect()),
        }
    }

    #[test]
    fn mailboxes_are_read_with_what_they_need_not_say() {
        let text = "[lmtp]\nlisten = \"unix:run/lmtp\"\n[[mailbox]]\nname = \"one\"\nmaildir = \"box\"\nroutes = \
            [\"relay\"]\n[[mailbox]]\nname = \"two\"\nevery = \"5m\"\nimap = { host = \"h\", username = \"u\", password = \
            \"env:P\" }\n";
        let config = read(text).unwrap_or_else(|codes| panic!("{codes:?}"));
        assert_eq!(config.lmtp, Some(LmtpListen::Socket("/etc/forewarn/run/lmtp".into())));
        let [one, two] = config.mailboxes.as_slice() else { panic!("two") };
        assert_eq!(one.place, Place::Maildir("/etc/forewarn/box".into()));
        assert_eq!((one.every, two.every, one.routes.len(), two.routes.len()), (EVERY, 300 * SECOND, 1, 0));
        let Place::Imap(account) = &two.place else { panic!("over IMAP") };
        assert_eq!((account.port, account.tls, account.folder.as_str()), (993, ImapTls::Implicit, "INBOX"));
        let near =
            text.replace("host = \"h\"", "host = \"::1\", tls = \"none\"").replace("unix:run/lmtp", "10.0.0.1:24");
        let config = read(&near).unwrap_or_else(|codes| panic!("{codes:?}"));
        assert_eq!(config.lmtp, Some(LmtpListen::Address(SocketAddr::from(([10, 0, 0, 1], 24)))));
        assert!(read("").is_ok_and(|config| config.lmtp.is_none() && config.mailboxes.is_empty()));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let named = |rest: &str| format!("[[mailbox]]\nname = \"one\"\n{rest}\n");
        let imap = |rest: &str| named(&format!("imap = {{ username = \"u\", password = \"env:P\", {rest} }}"));
        for (text, codes) in [
            (named(""), vec!["missing-key"]),
            (named("maildir = \"\""), vec!["bad-path"]),
            (
                named("maildir = \"x\"\nimap = { host = \"h\", username = \"u\", password = \"env:P\" }"),
                vec!["mailbox-twice"],
            ),
            (named("maildir = \"x\"\nevery = \"10ms\""), vec!["bad-duration"]),
            (named("maildir = \"x\"\nroutes = [\"rely\"]"), vec!["unknown-route"]),
            (named("maildir = \"x\"\nroutes = [\"texts\"]"), vec!["unknown-route"]),
            (named("maildir = \"x\"").repeat(2), vec!["mailbox-twice"]),
            (named("maildir = \"x\"").replace("one", "lmtp"), vec!["bad-name"]),
            (imap("host = \"h\", tls = \"none\""), vec!["plaintext-refused"]),
            (imap("host = \"h\", port = 0"), vec!["out-of-range"]),
            (imap("host = \"h\", tls = \"maybe\""), vec!["unknown-word"]),
            (imap("folder = \"x\""), vec!["missing-key"]),
            (imap("host = \"h\"").replace("env:P", "secret"), vec!["bad-reference"]),
            ("[lmtp]\n".to_owned(), vec!["missing-key"]),
            ("[lmtp]\nlisten = \"8.8.8.8:24\"\n".to_owned(), vec!["bad-address"]),
            ("[lmtp]\nlisten = \"unix:\"\n".to_owned(), vec!["bad-address"]),
        ] {
            assert_eq!(read(&text).map(|_| ()), Err(codes), "{text}");
        }
        let without = HEAD.replace(", bounce_address = \"b@n.example.com\"", "");
        let found = parse(Path::new("c"), &format!("{without}[lmtp]\nlisten = \"127.0.0.1:24\"\n"));
        assert_eq!(found.map(|_| ()).map_err(|p| p[0].code), Err("no-bounce-address"));
    }
}

//! A route's settings, checked once: what cannot work is found before the first notice.

use super::message::{bare_address, check_address};
use crate::model::problem::Problem;
use crate::providers::settings::{Declared, SettingDecl, SettingKind, Settings};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// So that the name with `+` and the token stays within the 64 octets of RFC 5321.
const LONGEST_BOUNCE_NAME: usize = 27;

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    /// From the first octet (port 465).
    Implicit,
    /// After STARTTLS (port 587); never without when it is missing.
    StartTls,
    /// Not at all; to loopback and private addresses, or where the operator allowed it.
    None,
}

/// Everything a connection needs to know.
pub(super) struct Options {
    pub route: String,
    pub host: String,
    pub port: u16,
    pub tls: Protection,
    pub allow_plaintext: bool,
    pub login: Option<Credentials>,
    pub envelope_from: String,
    /// Where each notice's bounces come back under its own token, if the operator has such a mailbox.
    pub bounce_address: Option<BounceAddress>,
    /// The address of our end of the connection where the operator named nothing.
    pub hello: Option<ClientId>,
    /// For each reply but the last.
    pub timeout: Duration,
    /// For the reply to the final dot.
    pub final_timeout: Duration,
    pub max_per_connection: u32,
    pub server_name: ServerName<'static>,
    /// `None` where nothing is to be encrypted.
    pub tls_config: Option<Arc<ClientConfig>>,
}

/// The parts of an address that takes what comes back: `bounces` and `notices.example.com`.
pub(super) struct BounceAddress {
    local: String,
    domain: String,
}

/// The settings this adapter takes.
pub(super) fn declarations() -> Vec<SettingDecl> {
    use SettingKind::{Boolean, Integer, Secret, Text};
    vec![
        SettingDecl::required("host", Text),
        SettingDecl::optional("port", Integer),
        SettingDecl::with_default("tls", Text, "starttls"),
        SettingDecl::optional("username", Text),
        SettingDecl::optional("password", Secret),
        SettingDecl::with_default("allow_plaintext", Boolean, "false"),
        SettingDecl::required("envelope_from", Text),
        SettingDecl::optional("bounce_address", Text),
        SettingDecl::optional("hello", Text),
        SettingDecl::optional("ca_file", Text),
        SettingDecl::with_default("timeout", Integer, "60"),
        SettingDecl::with_default("final_timeout", Integer, "300"),
        SettingDecl::with_default("max_per_connection", Integer, "100"),
    ]
}

impl Options {
    pub(super) fn read(route: &str, settings: &Settings) -> Result<Options, Vec<Problem>> {
        let declared = settings.declared(&declarations(), route)?;
        let mut reader = Reader { route, declared: &declared, problems: Vec::new() };
        let tls = reader.tls();
        let (host, server_name) = reader.host();
        let options = Options {
            route: route.to_owned(),
            port: reader.port(tls),
            tls,
            allow_plaintext: declared.boolean("allow_plaintext").unwrap_or(false),
            login: reader.login(),
            envelope_from: reader.envelope_from(),
            bounce_address: reader.bounce_address(),
            hello: reader.hello(),
            timeout: Duration::from_secs(reader.between("timeout", 1, 3600)),
            final_timeout: Duration::from_secs(reader.between("final_timeout", 1, 3600)),
            max_per_connection: u32::try_from(reader.between("max_per_connection", 1, 1_000_000)).unwrap_or(u32::MAX),
            tls_config: reader.tls_config(tls),
            host,
            server_name,
        };
        reader.plaintext(&options);
        if reader.problems.is_empty() { Ok(options) } else { Err(reader.problems) }
    }

    /// What the envelope must know of a notice: its token, if the sender is to have it.
    pub(super) fn named<'n>(&self, notice: &'n str) -> &'n str {
        if self.bounce_address.is_some() { notice } else { "" }
    }

    /// Adds the sender for the envelope of a notice: its own, by which a bounce names it, or that of all.
    pub(super) fn add_sender(&self, notice: &str, command: &mut String) {
        match &self.bounce_address {
            Some(BounceAddress { local, domain }) => {
                for part in [local, "+", notice, "@", domain] {
                    command.push_str(part);
                }
            }
            None => command.push_str(&self.envelope_from),
        }
    }

    /// Whether a connection in clear to this address is within what the operator allowed.
    pub(super) fn may_speak_in_clear_to(&self, address: IpAddr) -> bool {
        self.allow_plaintext || is_near(address)
    }

    /// Whether a password may cross an unprotected connection to this address: only inside this machine, or where
    /// the operator said so.
    pub(super) fn may_log_in_in_clear_to(&self, address: IpAddr) -> bool {
        self.allow_plaintext || address.to_canonical().is_loopback()
    }
}

/// How an address is said in EHLO.
pub(super) fn literal(address: IpAddr) -> ClientId {
    match address.to_canonical() {
        IpAddr::V4(v4) => ClientId::Ipv4(v4),
        IpAddr::V6(v6) => ClientId::Ipv6(v6),
    }
}

/// Loopback, private, link-local and unique local addresses.
fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// Reads single settings and gathers what is wrong; a value that is wrong is replaced by a stand-in, as the whole is
/// then refused.
struct Reader<'a> {
    route: &'a str,
    declared: &'a Declared,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn object(&mut self, code: &'static str, field: &str, what: &str) {
        let message = format!("route `{}`: the setting `{field}` {what}", self.route);
        self.problems.push(Problem::new(code, field, message));
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.declared.text(name)
    }

    fn between(&mut self, name: &str, least: u64, most: u64) -> u64 {
        let value = self.declared.integer(name).and_then(|v| u64::try_from(v).ok());
        match value {
            Some(value) if (least..=most).contains(&value) => value,
            Some(_) | None => {
                self.object("bad-setting", name, &format!("must be between {least} and {most}"));
                least
            }
        }
    }

    fn tls(&mut self) -> Protection {
        match self.text("tls") {
            Some("implicit") => Protection::Implicit,
            Some("starttls") => Protection::StartTls,
            Some("none") => Protection::None,
            Some(_) | None => {
                self.object("bad-setting", "tls", "must be `implicit`, `starttls` or `none`");
                Protection::StartTls
            }
        }
    }

    fn port(&mut self, tls: Protection) -> u16 {
        if self.text("port").is_some() {
            return u16::try_from(self.between("port", 1, 65_535)).unwrap_or(u16::MAX);
        }
        match tls {
            Protection::Implicit => 465,
            Protection::StartTls => 587,
            Protection::None => 25,
        }
    }

    fn host(&mut self) -> (String, ServerName<'static>) {
        let host = self.text("host").unwrap_or_default().trim_matches(['[', ']']).to_owned();
        match ServerName::try_from(host.clone()) {
            Ok(name) => (host, name),
            Err(_) => {
                self.object("bad-setting", "host", "must be a host name or an IP address, without a port");
                (host, ServerName::IpAddress(IpAddr::from([127, 0, 0, 1]).into()))
            }
        }
    }

    fn login(&mut self) -> Option<Credentials> {
        match (self.text("username"), self.text("password")) {
            (Some(user), Some(password)) => Some(Credentials::new(user.to_owned(), password.to_owned())),
            (None, None) => None,
            (Some(_), None) => {
                self.object("missing-setting", "password", "is missing though `username` is set");
                None
            }
            (None, Some(_)) => {
                self.object("missing-setting", "username", "is missing though `password` is set");
                None
            }
        }
    }

    fn envelope_from(&mut self) -> String {
        let address = bare_address(self.text("envelope_from").unwrap_or_default()).to_owned();
        if check_address(&address).is_err() || !address.is_ascii() {
            let what = "must be an address of the form name@domain in ASCII; bounces come back to it";
            self.object("bad-setting", "envelope_from", what);
        }
        address
    }

    fn bounce_address(&mut self) -> Option<BounceAddress> {
        let address = bare_address(self.text("bounce_address")?).to_owned();
        let parts = address.rsplit_once('@').filter(|_| check_address(&address).is_ok() && address.is_ascii());
        match parts {
            Some((local, domain)) if local.len() <= LONGEST_BOUNCE_NAME && !local.contains(['+', '"']) => {
                Some(BounceAddress { local: local.to_owned(), domain: domain.to_owned() })
            }
            Some(_) | None => {
                let what = format!(
                    "must be an address of the form name@domain in ASCII, with up to {LONGEST_BOUNCE_NAME} letters and \
                     no `+` before the @: bounces come back to name+TOKEN@domain"
                );
                self.object("bad-setting", "bounce_address", &what);
                None
            }
        }
    }

    fn hello(&mut self) -> Option<ClientId> {
        let name = self.text("hello")?.to_owned();
        if let Ok(address) = name.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Some(literal(address));
        }
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.') {
            self.object("bad-setting", "hello", "must be the full name of this machine, or its IP address");
        }
        Some(ClientId::Domain(name))
    }

    fn plaintext(&mut self, options: &Options) {
        let local_name = options.host.eq_ignore_ascii_case("localhost");
        let literal = options.host.parse::<IpAddr>().ok();
        let refused = literal.is_some_and(|address| !options.may_speak_in_clear_to(address)) && !local_name;
        if options.tls == Protection::None && refused {
            let what = "is `none`, but `host` is a public address and the notices would cross the network in clear: \
                        use `starttls` or `implicit`, or set `allow_plaintext = true` if you accept that";
            self.object("plaintext-refused", "tls", what);
        }
        let far = literal.is_some_and(|address| !options.may_log_in_in_clear_to(address));
        if options.tls == Protection::None && !refused && far && options.login.is_some() {
            let what = "would cross the network in clear: use `starttls` or `implicit`, or set \
                        `allow_plaintext = true` if you accept that";
            self.object("plaintext-refused", "password", what);
        }
    }

    fn tls_config(&mut self, tls: Protection) -> Option<Arc<ClientConfig>> {
        if tls == Protection::None {
            return None;
        }
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        // A machine without a store, or with a broken certificate in it, still has the built-in roots.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(file) = self.text("ca_file").map(str::to_owned) {
            self.add_roots(Path::new(&file), &mut roots);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        match ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions() {
            Ok(builder) => Some(Arc::new(builder.with_root_certificates(roots).with_no_client_auth())),
            Err(_) => {
                self.object("tls-unavailable", "tls", "cannot be met: this build has neither TLS 1.2 nor 1.3");
                None
            }
        }
    }

    fn add_roots(&mut self, file: &Path, roots: &mut RootCertStore) {
        let pem = match fs_err::read(file) {
            Ok(pem) => pem,
            Err(error) => return self.object("bad-setting", "ca_file", &format!("cannot be read: {error}")),
        };
        let certificates: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
        let (added, ignored) = roots.add_parsable_certificates(certificates);
        if added == 0 || ignored > 0 {
            let what = "must name a PEM file with the certificate of the authority that signed the relay's";
            self.object("bad-setting", "ca_file", what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Settings {
        Settings::new().with("host", "mail.example.com").with("envelope_from", "DPO <dpo@example.com>")
    }

    fn codes(settings: &Settings) -> Vec<(&'static str, String)> {
        match Options::read("relay", settings) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.into_iter().map(|p| (p.code, p.field)).collect(),
        }
    }

    #[test]
    fn ports_follow_tls_and_the_sender_is_made_bare() {
        for (tls, port) in [("implicit", 465), ("starttls", 587)] {
            let options = Options::read("relay", &base().with("tls", tls)).unwrap_or_else(|p| panic!("{p:?}"));
            assert_eq!((options.port, options.envelope_from.as_str()), (port, "dpo@example.com"));
        }
        let near = base().with("host", "10.1.2.3").with("tls", "none");
        assert_eq!(Options::read("relay", &near).map(|o| o.port).ok(), Some(25));
    }

    #[test]
    fn each_notice_has_its_own_sender_where_bounces_are_read() {
        let sender = |settings: &Settings| {
            let options = Options::read("relay", settings).unwrap_or_else(|p| panic!("{p:?}"));
            let mut command = String::new();
            options.add_sender("0a1b", &mut command);
            command
        };
        assert_eq!(sender(&base()), "dpo@example.com");
        assert_eq!(sender(&base().with("bounce_address", "bounces@n.example.com")), "bounces+0a1b@n.example.com");
        for bad in
            ["bounces", "b+c@example.com", "b c@example.com", "bü@example.com", &format!("{}@x.org", "b".repeat(28))]
        {
            let found = codes(&base().with("bounce_address", bad));
            assert_eq!(found, [("bad-setting", "bounce_address".to_owned())], "{bad}");
        }
    }

    #[test]
    fn clear_text_goes_only_to_near_addresses_or_where_allowed() {
        for (host, code) in [
            ("127.0.0.1", None),
            ("::1", None),
            ("[fd00::5]", None),
            ("192.168.4.4", None),
            ("localhost", None),
            ("::ffff:8.8.8.8", Some("plaintext-refused")),
            ("8.8.8.8", Some("plaintext-refused")),
        ] {
            let settings = base().with("host", host).with("tls", "none");
            assert_eq!(codes(&settings).first().map(|(code, _)| *code), code, "{host}");
            assert_eq!(codes(&settings.with("allow_plaintext", true)), [], "{host}");
        }
        let login = base().with("tls", "none").with("username", "u").with_secret("password", "p");
        assert_eq!(codes(&login.clone().with("host", "127.0.0.1")), []);
        assert_eq!(codes(&login.with("host", "10.0.0.1")), [("plaintext-refused", "password".to_owned())]);
    }

    #[test]
    fn every_wrong_setting_is_named() {
        let bad = base()
            .with("tls", "maybe")
            .with("port", 70_000)
            .with("timeout", 0)
            .with("username", "u")
            .with("hello", "two words")
            .with("envelope_from", "nobody")
            .with("ca_file", "no-such-file.pem");
        let fields: Vec<String> = codes(&bad).into_iter().map(|(_, field)| field).collect();
        assert_eq!(fields, ["tls", "port", "password", "envelope_from", "hello", "timeout", "ca_file"]);
        assert_eq!(codes(&Settings::new()).len(), 2);
        assert_eq!(codes(&base().with("host", "mail.example.com:25")), [("bad-setting", "host".to_owned())]);
    }
}

//! `config.toml` as checked values: what this installation is, not what happened (that is the incident file).
//!
//! [`load`] either gives a [`Config`] that cannot be wrong in itself, or every problem of the file at once. Whether
//! the named providers exist and take the given settings is checked by whoever builds the routes. Secrets stay
//! references until they are asked for. Deliberately absent: layers of defaults from several files, and settings
//! by environment variable other than secrets.

mod mailboxes;
mod proof;
mod read;
mod route_settings;
mod sender;

use crate::model::channel::Channel;
use crate::model::time::Micros;
use crate::secrets::SecretRef;
use crate::toml_file::{self, Examined, ReadTomlError};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use url::Url;

pub use mailboxes::{ImapAccount, ImapTls, LMTP, LmtpListen, Place, ReturnBox};
pub use proof::{Proof, Timestamp};
pub use sender::Mailbox;

/// The variable that names the config file.
pub const VARIABLE: &str = "FOREWARN_CONFIG";
/// The file in the current folder that is taken when nothing else is said.
pub const DEFAULT_FILE: &str = "config.toml";

#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from; relative paths were resolved against its folder.
    pub file: PathBuf,
    pub database: Database,
    pub master_key: SecretRef,
    pub paths: Paths,
    pub sender: Sender,
    pub routes: Vec<Route>,
    /// Where bounces come back to.
    pub mailboxes: Vec<ReturnBox>,
    /// Where mail servers deliver bounces to.
    pub lmtp: Option<LmtpListen>,
    pub server: Server,
    pub proof: Proof,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite { file: PathBuf },
    Postgres { address: DatabaseAddress },
}

/// Where a server's database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseAddress {
    /// As it stands in the file: no password.
    Plain(Url),
    /// The whole address, password and all, is kept elsewhere.
    Kept(SecretRef),
}

/// Folders laid over what the binary carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    pub templates: Option<PathBuf>,
    pub providers: Option<PathBuf>,
    pub regimes: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    pub organisation: String,
    pub email: Mailbox,
}

/// A configured account at a provider.
#[derive(Clone, Debug)]
pub struct Route {
    pub name: String,
    pub channel: Channel,
    /// A built-in adapter or a definition; not looked up here.
    pub provider: String,
    /// Share among the routes of the channel; 0 only when the others are down.
    pub weight: u32,
    /// Connections or requests at once, per worker.
    pub concurrency: usize,
    /// Exact over all workers.
    pub limits: Vec<Limit>,
    /// Of email routes only.
    pub domain_limits: Vec<DomainLimit>,
    settings: Vec<RawSetting>,
}

/// At most `rate` notices in any window of length `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub rate: u64,
    pub per: Micros,
}

/// A limit for one domain of receivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainLimit {
    /// Lower case, A-label.
    pub domain: String,
    pub limit: Limit,
}

/// Where the console listens, and under what address others reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub listen: SocketAddr,
    pub public_url: Option<String>,
}

/// A setting as written: plain, or a reference. It may be a secret that should not be there, so `Debug` hides it.
#[derive(Clone)]
struct RawSetting {
    name: String,
    value: String,
    /// The value was a table of texts and is JSON.
    table: bool,
}

impl fmt::Debug for RawSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = ‹set›", self.name)
    }
}

impl Route {
    /// The address that its notices come back to, each with its token behind a `+`.
    pub fn bounce_address(&self) -> Option<&str> {
        self.settings.iter().find(|s| s.name == "bounce_address").map(|s| s.value.as_str())
    }

    /// Connections or requests at once when the file does not say.
    pub fn default_concurrency(channel: Channel) -> usize {
        match channel {
            Channel::Email => 16,
            Channel::Sms => 8,
            Channel::Phone => 4,
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadConfigError {
    #[error(
        "there is no configuration: name one with --config or {VARIABLE}, or make one here with `forewarn init` \
         (looked for {})",
        looked_for.display()
    )]
    NotFound { looked_for: PathBuf },
    #[error(transparent)]
    Read(#[from] ReadTomlError),
}

/// The file to read: what the flag says, else what the variable says, else `config.toml` here.
pub fn find(flag: Option<&Path>, variable: Option<&Path>) -> PathBuf {
    flag.or(variable.filter(|v| !v.as_os_str().is_empty())).unwrap_or(Path::new(DEFAULT_FILE)).to_path_buf()
}

/// Reads and checks a config file.
pub fn load(file: &Path) -> Result<Config, LoadConfigError> {
    let text = match toml_file::read_text(file) {
        Err(ReadTomlError::Unreadable { path, source }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(LoadConfigError::NotFound { looked_for: path });
        }
        other => other?,
    };
    match parse(file, &text) {
        Ok(examined) => Ok(examined.value),
        Err(problems) => Err(ReadTomlError::Refused { path: file.to_path_buf(), problems }.into()),
    }
}

/// Checks the text of a config file; `file` is where it stands, for messages and relative paths.
pub fn parse(file: &Path, text: &str) -> Result<Examined<Config>, Vec<crate::model::problem::Problem>> {
    toml_file::examine(&file.display().to_string(), text, |root| read::config(file, root))
}

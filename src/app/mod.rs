//! Composition: the steps put together into what a person asks for. The command line (and later the console) only
//! read arguments and print; everything they do with campaigns is here.

pub mod approved;
pub mod asked;
mod bounces;
pub mod calls;
pub mod carrier;
pub mod create;
pub mod desk;
pub mod digests;
pub mod doctor;
mod documents;
mod fitness;
pub mod health;
pub mod hooks;
pub mod import;
mod least;
pub mod lifecycle;
pub mod lmtp;
mod mailboxes;
mod metrics;
mod overdue;
pub mod preview;
pub mod proof;
mod reading;
pub mod receipts;
mod reconcile;
mod reports;
pub mod routes;
mod sources;
pub mod status;
pub mod story;
pub mod suspension;
pub mod work;
mod workers;

use crate::config::{Config, Database, DatabaseAddress};
use crate::model::problem::Problem;
use crate::secrets::ReadableByOthers;
use crate::store::{Store, StoreError};
use crate::vault::{MasterKey, VaultError};
use secrecy::ExposeSecret as _;
use std::path::Path;
use std::sync::Arc;
use url::Url;

/// An installation, opened: its configuration, database and master key.
#[derive(Clone, Debug)]
pub struct App {
    pub config: Arc<Config>,
    pub store: Store,
    pub master: Arc<MasterKey>,
    /// Told when a report was taken in, so that it is handled at once.
    pub(crate) came: Arc<tokio::sync::Notify>,
    /// The questions that this process has put to providers.
    pub(crate) asked: Arc<asked::Asked>,
}

/// Why something asked for was not done.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A check says no; each reason by itself.
    #[error("refused")]
    Refused(Vec<Problem>),
    /// There is no campaign of that name.
    #[error("there is no campaign `{0}`; `forewarn campaign list` shows those there are")]
    NoCampaign(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the vault: {0}")]
    Vault(#[from] VaultError),
    #[error("{what}")]
    Io {
        what: String,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Reading(#[from] crate::intake::ReadError),
    #[error(transparent)]
    Rejects(#[from] crate::intake::RejectsError),
}

impl From<Problem> for AppError {
    fn from(problem: Problem) -> AppError {
        AppError::Refused(vec![problem])
    }
}

impl From<Vec<Problem>> for AppError {
    fn from(problems: Vec<Problem>) -> AppError {
        AppError::Refused(problems)
    }
}

impl AppError {
    /// An I/O error with what was being done.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> AppError {
        let what = what.into();
        move |source| AppError::Io { what, source }
    }
}

impl App {
    /// Opens the database that the configuration names, with its master key.
    pub async fn open(config: Config) -> Result<App, AppError> {
        let app = App::open_unchecked(config).await?;
        app.check_log().await?;
        Ok(app)
    }

    /// The same without a look at the evidence log: for putting it right.
    pub async fn open_unchecked(config: Config) -> Result<App, AppError> {
        let master = master_key(&config)?;
        let store = open_store(&config).await?;
        App::with(config, store, master).await
    }

    /// The same over a database of its own, for a dry run; nothing of it outlives the folder.
    pub async fn open_scratch(config: Config, folder: &Path) -> Result<App, AppError> {
        let store = Store::open(&folder.join("dry-run.db")).await?;
        let master = MasterKey::parse(&MasterKey::generate())?;
        App::with(config, store, master).await
    }

    async fn with(config: Config, store: Store, master: MasterKey) -> Result<App, AppError> {
        store.claim_key(&master.fingerprint()).await?;
        Ok(App {
            config: Arc::new(config),
            store,
            master: Arc::new(master),
            came: Arc::default(),
            asked: Arc::default(),
        })
    }

    /// The campaign with this id.
    pub async fn campaign(&self, id: &str) -> Result<crate::store::campaign::Campaign, AppError> {
        self.store.campaign(id).await?.ok_or_else(|| AppError::NoCampaign(id.to_owned()))
    }
}

async fn open_store(config: &Config) -> Result<Store, AppError> {
    Ok(match &config.database {
        Database::Sqlite { file } => Store::open(file).await?,
        Database::Postgres { address } => Store::connect(&address_of(address)?).await?,
    })
}

/// The address to connect to; never to be printed.
fn address_of(address: &DatabaseAddress) -> Result<Url, Problem> {
    let reference = match address {
        DatabaseAddress::Plain(url) => return Ok(url.clone()),
        DatabaseAddress::Kept(reference) => reference,
    };
    let refused = |why: String| Problem::new("bad-database", "database.url", why);
    let text = reference.resolve(ReadableByOthers::Warn).map_err(|e| refused(e.to_string()))?;
    let what = || refused(format!("{reference} does not hold the address of a database (postgres://…)"));
    let url = Url::parse(text.expose_secret()).map_err(|_| what())?;
    if matches!(url.scheme(), "postgres" | "postgresql") { Ok(url) } else { Err(what()) }
}

fn master_key(config: &Config) -> Result<MasterKey, AppError> {
    let text = config
        .master_key
        .resolve(ReadableByOthers::Refuse)
        .map_err(|e| Problem::new("master-key", "keys.master", e.to_string()))?;
    Ok(MasterKey::parse(text.expose_secret())
        .map_err(|e| Problem::new("master-key", "keys.master", format!("{}: {e}", config.file.display())))?)
}

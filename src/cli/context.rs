//! What every verb gets beside its arguments: where to print, and the files that were named.

use super::failure::Failure;
use super::output::Printer;
use crate::app::{App, AppError};
use crate::config::{self, Config};
use crate::incident_file;
use crate::model::incident::Incident;
use crate::model::time::Micros;
use crate::store::{Store, StoreError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The surroundings of one command.
#[derive(Clone, Debug)]
pub struct Context {
    pub printer: Printer,
    config_flag: Option<PathBuf>,
    /// The databases that this command opened, to be closed at its end.
    opened: Arc<Mutex<Vec<Store>>>,
}

impl Context {
    pub fn new(config_flag: Option<PathBuf>, printer: Printer) -> Context {
        Context { printer, config_flag, opened: Arc::default() }
    }

    /// The configuration, checked.
    pub fn config(&self) -> Result<Config, Failure> {
        let variable = std::env::var_os(config::VARIABLE).map(PathBuf::from);
        Ok(config::load(&config::find(self.config_flag.as_deref(), variable.as_deref()))?)
    }

    /// Whether somebody named a configuration, so that its absence is an error.
    pub fn names_a_config(&self) -> bool {
        self.config_flag.is_some() || std::env::var_os(config::VARIABLE).is_some_and(|name| !name.is_empty())
    }

    /// An incident file, checked.
    pub fn incident(&self, file: &Path) -> Result<Incident, Failure> {
        Ok(incident_file::load(file, self.now())?)
    }

    /// The installation that the configuration names, opened.
    pub async fn app(&self) -> Result<App, Failure> {
        let app = App::open(self.config()?).await?;
        Ok(self.keep(app))
    }

    /// As [`Context::app`], for a service: a database server that is not there yet is waited for.
    pub async fn app_of_service(&self) -> Result<App, Failure> {
        let mut pause = Duration::from_millis(500);
        loop {
            match App::open(self.config()?).await {
                Err(AppError::Store(error @ StoreError::Unreachable { .. })) => {
                    tracing::error!(%error, "waiting for the database");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(15));
                }
                opened => return Ok(self.keep(opened?)),
            }
        }
    }

    fn keep(&self, app: App) -> App {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(app.store.clone());
        app
    }

    /// The name that the record keeps of whoever gave the command: the given one, else the user of this machine.
    pub fn actor(&self, given: Option<&str>) -> String {
        let user = || ["USER", "LOGNAME"].iter().find_map(|v| std::env::var(v).ok().filter(|n| !n.is_empty()));
        given.map(str::to_owned).or_else(user).unwrap_or_else(|| "operator".to_owned())
    }

    /// Runs asynchronous work to its end on a runtime of its own, and closes the databases it opened: the file is then
    /// complete without its WAL, unless another process has it open.
    pub fn block_on<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        // A core is left to the database, whose thread is busy as long as anything is sent: two that wake each other on one
        // core cost more than they bring.
        let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get() - 1).max(1);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
        runtime.block_on(async {
            let done = work.await;
            let opened = std::mem::take(&mut *self.opened.lock().unwrap_or_else(PoisonError::into_inner));
            for store in opened {
                store.close().await;
            }
            done
        })
    }

    /// The time of this machine; the only clock that verbs hand to the core.
    pub fn now(&self) -> Micros {
        jiff::Timestamp::now().as_microsecond()
    }
}

//! The listening side of a route: reports that come in, and what they ask for on the network.

use super::Http;
use crate::model::problem::Problem;
use crate::model::time::Micros;
use crate::providers::definition::receipt::Verify;
use crate::providers::receipt::verify::{objection, reached_at};
use crate::providers::receipt::{Action, Call, Certificate, LARGEST_CERTIFICATE, Received, Refused, receive};
use crate::providers::settings::Declared;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, RwLock};

/// A provider changes its certificate once in years.
const MOST_CERTIFICATES: usize = 16;

/// Certificates that were fetched, by their addresses.
#[derive(Default)]
pub struct Certificates(RwLock<HashMap<String, Arc<Certificate>>>);

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates")
    }
}

impl Certificates {
    fn get(&self, address: &str) -> Option<Arc<Certificate>> {
        self.0.read().ok()?.get(address).cloned()
    }

    fn keep(&self, address: &str, certificate: Certificate) {
        if let Ok(mut known) = self.0.write() {
            if known.len() >= MOST_CERTIFICATES {
                known.clear();
            }
            known.insert(address.to_owned(), Arc::new(certificate));
        }
    }
}

impl Http {
    /// Takes a call at the route's address for what its definition says it is. Fetches a certificate where the report
    /// names one that is not known yet.
    pub async fn receive(&self, call: &Call<'_>, now: Micros) -> Result<Received, Refused> {
        let Some(reports) = &self.definition.receipt else {
            return Err(Refused::nobody_listens());
        };
        let take = || receive(reports, &self.settings, call, &|address| self.certificates.get(address), now);
        let refused = match take() {
            Err(refused) if refused.wants.is_some() => refused,
            other => return other,
        };
        let address = refused.wants.as_deref().unwrap_or_default();
        match self.fetch_certificate(address).await {
            Ok(certificate) => {
                self.certificates.keep(address, certificate);
                take()
            }
            Err(why) => Err(Refused { message: format!("{}: {why}", refused.message), wants: None, ..refused }),
        }
    }

    /// Does what a report asked for.
    pub async fn perform(&self, action: &Action) -> Result<(), Problem> {
        let Action::Confirm { url } = action;
        let fault = |why: String| {
            let message = format!("the provider's question whether it may report here could not be answered: {why}");
            Problem::new("not-confirmed", "", message)
        };
        self.get(url, LARGEST_CERTIFICATE).await.map(|_| ()).map_err(fault)
    }

    async fn fetch_certificate(&self, address: &str) -> Result<Certificate, String> {
        Certificate::read(&self.get(address, LARGEST_CERTIFICATE).await?).map_err(str::to_owned)
    }

    /// What stands at an address of the provider's, or at the server that the settings name in its place.
    async fn get(&self, address: &str, longest: usize) -> Result<Vec<u8>, String> {
        let url = reached_at(address, self.server()).ok_or("its address is not the provider's")?;
        let no_answer = |error: reqwest::Error| error.without_url().to_string();
        let mut response =
            self.client.get(url).timeout(self.definition.send.timeout).send().await.map_err(no_answer)?;
        if !response.status().is_success() {
            return Err(format!("the provider answered {}", response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
            body.extend_from_slice(&chunk);
            if body.len() > longest {
                return Err("the answer is too large".to_owned());
            }
        }
        Ok(body)
    }

    fn server(&self) -> Option<&str> {
        let Some(Verify::Sns([_, server])) = self.definition.receipt.as_ref().map(|reports| &reports.verify) else {
            return None;
        };
        self.settings.text(server).filter(|server| !server.is_empty())
    }
}

/// A route that waits for reports must be able to tell them from forgeries.
pub fn can_verify(route: &str, verify: &Verify, settings: &Declared) -> Result<(), Problem> {
    match objection(verify, settings) {
        None => Ok(()),
        Some((name, why)) => {
            let message = format!("route `{route}`: `receipts = true`: the setting `{name}` {why}");
            Err(Problem::new("bad-setting", name, message))
        }
    }
}

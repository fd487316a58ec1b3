//! What providers report back: from a call at our address to receipts, by what a definition says of it.
//!
//! Pure: no clock, no network, no database. The signature is looked at before anything in the body is believed; a body
//! is taken apart only within bounds of size, depth and number, so a hostile one costs no more than its bytes. What a
//! report makes necessary (a certificate to fetch, a subscription to confirm) comes back as a value.

mod body;
mod certificate;
mod read;
pub mod verify;

pub use certificate::{Certificate, LARGEST_CERTIFICATE};

use super::definition::receipt::{Reply, Reports};
use super::settings::Declared;
use crate::model::receipt::Receipt;
use crate::model::time::Micros;
use reqwest::Method;
use reqwest::header::HeaderMap;
use std::sync::Arc;

/// A longer body is refused: the longest that a provider documents is 768 KB.
pub const LARGEST_BODY: usize = 2 * 1024 * 1024;

/// A call at our address, as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub method: &'a Method,
    /// The whole address as the provider called it: `[server] public_url`, then path and query as they arrived.
    pub url: &'a str,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

/// A report that is genuine and understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub receipts: Vec<Receipt>,
    /// What to answer once the receipts are kept.
    pub reply: Reply,
    /// The document that is the answer instead: the name of it, which is about the notice of the first receipt.
    pub answer: Option<String>,
    /// The same for a second delivery of the same signed report; `None` where the provider signs nothing that tells.
    pub replay_key: Option<String>,
    /// What to do before more reports can come.
    pub action: Option<Action>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Call this address once by GET: the provider asks whether it may report here.
    Confirm { url: String },
}

/// Why a call is no report. Nothing of the call stands in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Refused {
    /// A stable word: `signature`, `too-old`, `body`, `method`, `too-large`, `certificate`,
    /// `not-set-up`.
    pub reason: &'static str,
    pub message: String,
    /// The HTTP status to answer with.
    pub status: u16,
    /// The address of a certificate: with it, the same call may be taken after all.
    pub wants: Option<String>,
}

impl Refused {
    fn new(reason: &'static str, status: u16, message: impl Into<String>) -> Refused {
        Refused { reason, message: message.into(), status, wants: None }
    }

    /// The route's provider has nothing to report.
    pub fn nobody_listens() -> Refused {
        Refused::new("not-set-up", 404, "this route takes no reports")
    }

    fn signature(message: impl Into<String>) -> Refused {
        Refused::new("signature", 401, message)
    }

    fn body(message: impl Into<String>) -> Refused {
        Refused::new("body", 400, message)
    }
}

/// A certificate that was fetched before, by its address.
pub type KnownCertificates<'a> = &'a dyn Fn(&str) -> Option<Arc<Certificate>>;

/// Takes a call for what the section says it is.
pub fn receive(
    reports: &Reports,
    settings: &Declared,
    call: &Call<'_>,
    certificates: KnownCertificates<'_>,
    now: Micros,
) -> Result<Received, Refused> {
    let parsed = open(reports, call)?;
    let genuine = verify::verify(reports, settings, call, &parsed, certificates, now)?;
    let reply = reports.reply.clone();
    let receipts = if genuine.empty { Vec::new() } else { read::receipts(reports, call, &parsed)? };
    let answer = if genuine.empty { None } else { read::answer(reports, call, &parsed)? };
    Ok(Received { receipts, reply, answer, replay_key: genuine.replay_key, action: genuine.action })
}

/// What the report means, believing it. For examples that are about meaning.
pub fn interpret(reports: &Reports, call: &Call<'_>) -> Result<Received, Refused> {
    let parsed = open(reports, call)?;
    let (receipts, answer) = (read::receipts(reports, call, &parsed)?, read::answer(reports, call, &parsed)?);
    Ok(Received { receipts, reply: reports.reply.clone(), answer, replay_key: None, action: None })
}

/// The numbers of the rules that decide about its events.
pub fn deciding_rules(reports: &Reports, call: &Call<'_>) -> Result<Vec<usize>, Refused> {
    read::deciding_rules(reports, call, &open(reports, call)?)
}

fn open(reports: &Reports, call: &Call<'_>) -> Result<body::Opened, Refused> {
    if !reports.methods.contains(call.method) {
        return Err(Refused::new("method", 405, format!("reports come by {}", words(&reports.methods))));
    }
    if call.body.len() > LARGEST_BODY {
        return Err(Refused::new("too-large", 413, format!("a report has at most {LARGEST_BODY} octets")));
    }
    body::Opened::new(reports, call)
}

fn words(methods: &[Method]) -> String {
    methods.iter().map(Method::as_str).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod sns_tests;
#[cfg(test)]
mod tests;

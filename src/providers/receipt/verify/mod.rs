//! Telling a report from a forgery: the schemes that a definition can name.
//!
//! Each holds itself to what its provider publishes, and to the published vectors in its tests. Secrets and signatures
//! are compared in constant time. What a scheme needs of the body it reads itself, within the bounds of [`super::body`].

mod basic;
mod mailgun;
mod sendgrid;
mod sns;
mod standard_webhooks;
mod twilio;
mod vonage_jwt;
mod vonage_sig;

use super::body::Opened;
use super::{Action, Call, KnownCertificates, Refused};
use crate::model::time::{MINUTE, Micros, SECOND};
use crate::providers::definition::receipt::{Reports, Verify};
use crate::providers::settings::Declared;
use reqwest::header::HeaderMap;
use sha2::{Digest, Sha256};

pub use sns::reached_at;

/// A provider's clock may be ahead of ours by so much.
const SKEW: Micros = 5 * MINUTE;

/// A call that comes from the provider.
#[derive(Debug, Default)]
pub(super) struct Genuine {
    /// What is the same in a second delivery of the same report, and in no other.
    pub replay_key: Option<String>,
    pub action: Option<Action>,
    /// The call says something to us and reports nothing.
    pub empty: bool,
}

impl Genuine {
    /// Keyed by what the provider signed; hashed, because it may be long and is nobody's business.
    fn once(what: &str) -> Genuine {
        Genuine { replay_key: Some(const_hex::encode(Sha256::digest(what))), ..Genuine::default() }
    }
}

/// What every scheme is given.
struct Case<'a> {
    call: &'a Call<'a>,
    opened: &'a Opened,
    settings: &'a Declared,
    /// How old a signed report may be.
    window: Micros,
    now: Micros,
}

pub(super) fn verify(
    reports: &Reports,
    settings: &Declared,
    call: &Call<'_>,
    opened: &Opened,
    certificates: KnownCertificates<'_>,
    now: Micros,
) -> Result<Genuine, Refused> {
    let case = Case { call, opened, settings, window: reports.window.unwrap_or(0), now };
    match &reports.verify {
        Verify::None => Ok(Genuine::default()),
        Verify::Basic([user, password]) => basic::verify(&case, case.setting(user)?, case.setting(password)?),
        Verify::Twilio(token) => twilio::verify(&case, case.setting(token)?),
        Verify::Sendgrid(key) => sendgrid::verify(&case, case.setting(key)?),
        Verify::Mailgun(key) => mailgun::verify(&case, case.setting(key)?),
        Verify::VonageSig([secret, method]) => vonage_sig::verify(&case, case.setting(secret)?, case.setting(method)?),
        Verify::VonageJwt(secret) => vonage_jwt::verify(&case, case.setting(secret)?),
        Verify::StandardWebhooks(secret) => standard_webhooks::verify(&case, case.setting(secret)?),
        Verify::Sns([topic, server]) => {
            sns::verify(&case, case.setting(topic)?, settings.text(server).filter(|s| !s.is_empty()), certificates)
        }
    }
}

/// What is wrong with the setting that a scheme verifies with, where it can be told by looking at it.
pub fn objection(verify: &Verify, settings: &Declared) -> Option<(String, String)> {
    let missing = verify.needs().into_iter().find(|(name, _)| settings.text(name).is_none_or(str::is_empty));
    if let Some((name, _)) = missing {
        return Some((name.to_owned(), "is missing: without it no report can be told from a forgery".to_owned()));
    }
    let setting = |name: &String| settings.text(name).unwrap_or_default();
    let (name, why) = match verify {
        Verify::Sendgrid(key) => (key, sendgrid::objection(setting(key))),
        Verify::StandardWebhooks(secret) => (secret, standard_webhooks::objection(setting(secret))),
        Verify::VonageSig([_, method]) => (method, vonage_sig::objection(setting(method))),
        Verify::None
        | Verify::Basic(_)
        | Verify::Twilio(_)
        | Verify::Mailgun(_)
        | Verify::VonageJwt(_)
        | Verify::Sns(_) => return None,
    };
    why.map(|why| (name.clone(), why))
}

impl Case<'_> {
    fn setting(&self, name: &str) -> Result<&str, Refused> {
        let found = self.settings.text(name).filter(|value| !value.is_empty());
        found.ok_or_else(|| Refused::new("not-set-up", 503, format!("the route has no setting `{name}`")))
    }

    fn header(&self, name: &str) -> Result<&str, Refused> {
        header(self.call.headers, name).ok_or_else(|| Refused::signature(format!("the header {name} is missing")))
    }

    /// Whether a signed time is inside the window.
    fn is_fresh(&self, sent: Micros) -> Result<(), Refused> {
        let age = self.now.saturating_sub(sent);
        if age > self.window {
            return Err(Refused::new("too-old", 401, "the report was signed too long ago"));
        }
        if age < -SKEW {
            return Err(Refused::new("too-old", 401, "the report was signed in the future: compare the clocks"));
        }
        Ok(())
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|value| !value.is_empty())
}

/// Seconds since 1970, as schemes write them.
fn seconds(text: &str) -> Option<Micros> {
    text.parse::<i64>().ok().filter(|seconds| *seconds >= 0)?.checked_mul(SECOND)
}

fn forged() -> Refused {
    Refused::signature("the signature does not fit the report and the secret of the route")
}

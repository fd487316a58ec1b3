//! Has heads of the evidence log stamped by a time-stamping authority (RFC 3161), so that nobody need believe our clock.
//!
//! A stamp is asked for over the newest signed head: at once after a list was sealed or a campaign closed, else every so
//! often while facts come. That it came is a fact itself, so a fact lies between two stamps. An authority that is slow,
//! silent or lies holds up nothing: it is tried again later, and the log, `doctor` and the program's own log say so.

use super::log::LogError;
use crate::app::doctor::{Finding, chain};
use crate::app::{App, AppError};
use crate::config::{Config, Timestamp};
use crate::evidence::fact::seconds;
use crate::evidence::timestamp::authority::{Authority, AuthorityError};
use crate::evidence::timestamp::token::Token;
use crate::evidence::timestamp::{QUERY, REPLY, Request, TimestampError};
use crate::model::problem::Problem;
use crate::model::time::{DAY, HOUR, MINUTE, Micros, SECOND, print_duration};
use crate::providers::http::tls::client;
use crate::store::sequence::SignedHead;
use crate::store::{Store, StoreError};
use rand::Rng as _;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often somebody looks whether a stamp is due.
const NAP: Duration = Duration::from_secs(2);
/// After a database that does not answer.
const REST: Duration = Duration::from_secs(30);
/// An authority that has not answered by then does not answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// For so long nobody else asks: longer than it takes, so that only a crash leaves the turn to its end.
const TURN: Micros = MINUTE;
/// The longest answer.
const LONGEST: usize = 256 * 1024;
/// The authority's clock and ours may differ by so much; whoever says another time is not believed.
const SKEW: Micros = 5 * MINUTE;
/// Waits after failures: the first, doubled each time, and the longest.
const FIRST_WAIT: Micros = 30 * SECOND;
const LONGEST_WAIT: Micros = HOUR;
/// The longest reason that is kept.
const LONGEST_WHY: usize = 500;
/// A root that expires within this time is told of.
const SOON: Micros = 90 * DAY;

/// Why there is no stamp.
#[derive(Debug, thiserror::Error)]
pub enum StampError {
    #[error("the certificates of the authority, {}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("the certificates of the authority: {} {why}", path.display())]
    Authority { path: PathBuf, why: AuthorityError },
    #[error("the HTTP client could not be made")]
    Client,
    #[error("the authority did not answer: {0}")]
    Silent(String),
    #[error("the authority answered with the status {0} of HTTP")]
    Status(u16),
    #[error("the answer of the authority is longer than {} KiB", LONGEST / 1024)]
    TooLong,
    #[error("the answer {0}")]
    Answer(TimestampError),
    #[error(
        "the authority says that it is {theirs}, and our clock says {ours}: they differ by more than {}. One of them is \
         wrong; the answer was not kept",
        print_duration(SKEW)
    )]
    Clock { theirs: String, ours: String },
}

impl From<TimestampError> for StampError {
    fn from(why: TimestampError) -> StampError {
        // Its words are the end of our sentence, not another one behind it.
        StampError::Answer(why)
    }
}

/// An answer that is believed.
struct Stamped {
    at: Micros,
    taken_at: Micros,
    reply: Vec<u8>,
}

fn now() -> Micros {
    jiff::Timestamp::now().as_microsecond()
}

impl App {
    /// Has heads stamped as they become due, for ever.
    pub(crate) async fn keep_stamped(self) {
        loop {
            let rest = if self.stamp_or_say_why().await { NAP } else { REST };
            tokio::time::sleep(rest).await;
        }
    }

    /// Has the newest head stamped where that is due; what goes wrong is said, and stops nobody. False where our own
    /// database is what failed.
    pub(crate) async fn stamp_or_say_why(&self) -> bool {
        let done = self.stamp_if_due().await;
        if let Err(error) = &done {
            let error = chain(error);
            tracing::warn!(error, "the evidence log waits to be stamped; trying again");
        }
        done.is_ok()
    }

    /// Where there is an authority, has what was just done stamped; else the workers see to it. Nothing fails by it.
    pub async fn stamp_now(&self) {
        if self.config.proof.timestamp.is_some()
            && let Err(error) = self.keep_log_up().await
        {
            let error = chain(&error);
            tracing::warn!(error, "facts wait for their places in the evidence log, and for a time stamp");
        }
    }

    /// Has the newest head stamped where that is due; whether it was. That the authority failed is written down.
    pub async fn stamp_if_due(&self) -> Result<bool, AppError> {
        let Some(timestamp) = &self.config.proof.timestamp else { return Ok(false) };
        let began = now();
        if self.store.stamp_turn().await?.next_at > began || self.due(timestamp, began).await?.is_none() {
            return Ok(false);
        }
        let mut tx = self.store.begin_beside().await?;
        let ours = tx.take_stamp_turn(began, began + TURN).await?;
        tx.commit().await?;
        if !ours {
            return Ok(false);
        }
        // Another may have had it stamped between the look and the turn.
        let Some(head) = self.due(timestamp, began).await? else { return Ok(false) };
        let answer = stamped(timestamp, &head).await;
        self.write_down(timestamp, &head, answer).await
    }

    /// The newest head, where it is to be stamped now.
    async fn due(&self, timestamp: &Timestamp, now: Micros) -> Result<Option<SignedHead>, StoreError> {
        let Some(newest) = self.store.newest_head().await? else { return Ok(None) };
        let Some(last) = self.store.newest_stamp().await? else { return Ok(Some(newest)) };
        if newest.size <= last.size {
            return Ok(None);
        }
        let since = self.store.since_stamp(last.size, newest.size).await?;
        let waited = now.saturating_sub(last.taken_at) >= timestamp.every;
        let due = since.facts > 0 && (waited || since.sealed);
        Ok(due.then_some(newest))
    }

    async fn write_down(
        &self,
        timestamp: &Timestamp,
        head: &SignedHead,
        answer: Result<Stamped, StampError>,
    ) -> Result<bool, AppError> {
        let tries = self.store.stamp_turn().await?.tries;
        let mut tx = self.store.begin_beside().await?;
        match answer {
            Ok(Stamped { at, taken_at, reply }) => {
                let kept = tx.add_stamp(head, (at, taken_at), &reply, timestamp.url.as_str()).await?;
                tx.stamp_succeeded().await?;
                tx.commit().await?;
                tracing::debug!(facts = head.size, at = seconds(at), "the evidence log was stamped");
                Ok(kept)
            }
            Err(error) => {
                let why: String = chain(&error).chars().take(LONGEST_WHY).collect();
                let wait = FIRST_WAIT.saturating_mul(1 << tries.min(10)).min(LONGEST_WAIT);
                let failed = now();
                tx.stamp_failed(failed, failed + wait, &why).await?;
                tx.commit().await?;
                let again = print_duration(wait);
                tracing::warn!(error = why, again, "no time stamp for the evidence log; everything else goes on");
                Ok(false)
            }
        }
    }
}

/// The certificates that lead to the authority, as they are now.
pub(super) fn authority(path: &Path) -> Result<(Vec<u8>, Authority), StampError> {
    let pem = fs_err::read(path).map_err(|source| StampError::File { path: path.to_owned(), source })?;
    let authority = Authority::parse(&pem).map_err(|why| StampError::Authority { path: path.to_owned(), why })?;
    Ok((pem, authority))
}

/// Asks for a stamp over a head, and looks whether the answer is to be believed.
async fn stamped(timestamp: &Timestamp, head: &SignedHead) -> Result<Stamped, StampError> {
    let (_, authority) = authority(&timestamp.ca_file)?;
    let mut lots = [0; 8];
    rand::rng().fill_bytes(&mut lots);
    let request = Request::new(Sha256::digest(head.note.as_bytes()).into(), lots);
    let asked = now();
    let reply = ask(timestamp, request.to_der()).await?;
    let taken_at = now();
    let token = Token::read(&reply)?;
    token.answers(&request)?;
    authority.check(&token)?;
    let at = token.at;
    if at < asked.min(taken_at) - SKEW || at > taken_at + SKEW {
        return Err(StampError::Clock { theirs: seconds(at), ours: seconds(taken_at) });
    }
    Ok(Stamped { at, taken_at, reply })
}

/// Puts the question; the octets of the answer.
async fn ask(timestamp: &Timestamp, query: Vec<u8>) -> Result<Vec<u8>, StampError> {
    let client = client("timestamp", None, PATIENCE, 1).map_err(|_| StampError::Client)?;
    let silent = |error: reqwest::Error| StampError::Silent(chain(&error.without_url()));
    let request = client.post(timestamp.url.clone()).header(CONTENT_TYPE, QUERY).header(ACCEPT, REPLY);
    let mut response = request.timeout(PATIENCE).body(query).send().await.map_err(silent)?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(StampError::Status(response.status().as_u16()));
    }
    let mut reply = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(silent)? {
        if reply.len() + piece.len() > LONGEST {
            return Err(StampError::TooLong);
        }
        reply.extend_from_slice(&piece);
    }
    Ok(reply)
}

/// The authority, looked over for `doctor`: its certificates, the last stamp, and what goes wrong. It is not asked.
pub(crate) async fn findings(config: &Config, store: Option<&Store>, now: Micros) -> Vec<Finding> {
    let Some(timestamp) = &config.proof.timestamp else { return Vec::new() };
    let mut found = vec![the_certificates(timestamp, now)];
    let Some(store) = store else { return found };
    found.push(match the_stamps(store).await {
        Ok(finding) => finding,
        Err(error) => {
            let problem = Problem::new("timestamp", "proof.timestamp", LogError::from(error).to_string());
            Finding::bad(ABOUT, problem, "")
        }
    });
    found
}

const ABOUT: &str = "timestamp";

fn the_certificates(timestamp: &Timestamp, now: Micros) -> Finding {
    match authority(&timestamp.ca_file) {
        Ok((_, authority)) => {
            let (file, prints) = (timestamp.ca_file.display(), authority.fingerprints().join(", "));
            let expires = seconds(authority.expires());
            let message = format!("{file} holds the root {prints}, good until {expires}");
            if authority.expires() > now + SOON {
                return Finding::ok(ABOUT, message);
            }
            let next =
                "name the root of an authority that lasts longer, so that the log is stamped anew before this one ends";
            Finding::warn(ABOUT, message, next)
        }
        Err(error) => {
            let problem = Problem::new("timestamp", "proof.timestamp.ca_file", chain(&error));
            let next = "put the root certificate of the authority there, as PEM; until then nothing is stamped";
            Finding::bad(ABOUT, problem, next)
        }
    }
}

async fn the_stamps(store: &Store) -> Result<Finding, StoreError> {
    let (last, turn) = (store.newest_stamp().await?, store.stamp_turn().await?);
    let last = match last {
        Some(stamp) => format!("the last time stamp is of {}, over {} facts", seconds(stamp.at), stamp.size),
        None => "there is no time stamp yet".to_owned(),
    };
    Ok(match turn.failing_since {
        Some(since) => {
            let message = format!("{last}; none came since {}: {}", seconds(since), turn.why);
            let next = format!("look at [proof] timestamp; it is tried again at {}", seconds(turn.next_at));
            Finding::warn(ABOUT, message, next)
        }
        None => Finding::ok(ABOUT, last),
    })
}

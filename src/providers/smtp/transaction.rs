//! One notice through one connection: MAIL, RCPT, DATA, the message, and what came of it.
//!
//! One recipient a transaction, so that each person has a final reply of their own. The point of no return is the
//! final dot: until it has left our hands a failure is temporary, after it silence is `unknown`.

use super::classify::{Phase, classify, lost};
use super::connection::{Connection, NoReply};
use super::message::{check_address, stuffed};
use super::options::Options;
use super::reply::{Reply, without_local_part};
use crate::model::outcome::{Class, Outcome};
use std::time::Duration;

/// The server begins to listen to the message.
const GO_AHEAD: u16 = 354;
/// The server closes the connection behind this reply.
const CLOSING: u16 = 421;
/// Octets of the dot that ends the message and is no part of it.
const FINAL_DOT: usize = 3;

/// A notice made ready for any connection.
pub(super) struct Letter<'a> {
    from: &'a str,
    to: &'a str,
    /// Octets of the message itself.
    size: u64,
    /// Dot-stuffed, with the final dot.
    body: String,
}

/// How a transaction ended.
pub(super) enum Ended {
    /// With an outcome; the connection can go on.
    Keep(Outcome),
    /// With an outcome; the connection is of no more use.
    Drop(Outcome),
    /// The connection had died before the server answered to anything of this notice.
    Stale,
}

impl<'a> Letter<'a> {
    /// Checks the address and prepares the body; an error is the outcome.
    pub(super) fn new(from: &'a str, to: &'a str, mime: &str) -> Result<Letter<'a>, Outcome> {
        if let Err(problem) = check_address(to) {
            let text = format!("the recipient's address cannot be written to: {problem}");
            return Err(Outcome::new(Class::BadAddress, "5.1.3", &text));
        }
        let body = stuffed(mime);
        let size = u64::try_from(body.len() - FINAL_DOT).unwrap_or(u64::MAX);
        Ok(Letter { from, to, size, body })
    }

    /// What this connection cannot carry, found before the wire.
    pub(super) fn unfit_for(&self, connection: &Connection) -> Option<Outcome> {
        if !self.to.is_ascii() && !connection.offers.smtputf8 {
            let text = "the address has letters beyond ASCII in its name part and the relay does not offer SMTPUTF8: use \
                        another address, or another relay";
            return Some(Outcome::new(Class::BadAddress, "5.6.7", text));
        }
        match connection.offers.size {
            Some(limit) if self.size > limit => {
                let text = format!("the message has {} octets and the relay takes {limit}: shorten it", self.size);
                Some(Outcome::new(Class::ContentRefused, "5.3.4", &text))
            }
            Some(_) | None => None,
        }
    }

    fn mail(&self, connection: &Connection) -> String {
        let mut command = format!("MAIL FROM:<{}>", self.from);
        if connection.offers.takes_size {
            command.push_str(&format!(" SIZE={}", self.size));
        }
        if !self.to.is_ascii() {
            command.push_str(" SMTPUTF8");
        }
        command.push_str("\r\n");
        command
    }

    fn rcpt(&self) -> String {
        format!("RCPT TO:<{}>\r\n", self.to)
    }
}

/// Carries the letter through the connection.
pub(super) async fn deliver(connection: &mut Connection, letter: &Letter<'_>, options: &Options) -> Ended {
    let first_use = connection.used == 0;
    connection.used += 1;
    let envelope = if connection.offers.pipelining {
        envelope_at_once(connection, letter, options.timeout).await
    } else {
        envelope_step_by_step(connection, letter, options.timeout).await
    };
    match envelope {
        Ok(()) => message(connection, letter, options).await,
        Err(failed) => failed.ended(first_use, letter, connection),
    }
}

/// Why the server is not listening to the message.
struct Failed {
    phase: Phase,
    said: Result<Reply, NoReply>,
    /// The dialogue is out of step or over.
    useless: bool,
}

impl Failed {
    fn refused(phase: Phase, reply: Reply) -> Failed {
        // A positive reply that does not fit shows that we and the server disagree about where we are.
        let useless = reply.code == CLOSING || !matches!(reply.code / 100, 4 | 5);
        Failed { phase, said: Ok(reply), useless }
    }

    fn silent(phase: Phase, why: NoReply) -> Failed {
        Failed { phase, said: Err(why), useless: true }
    }

    fn ended(self, first_use: bool, letter: &Letter<'_>, connection: &mut Connection) -> Ended {
        connection.dirty = true;
        let closed = match &self.said {
            Ok(reply) => reply.code == CLOSING,
            Err(NoReply::Lost) => true,
            Err(NoReply::Silence(_) | NoReply::Garbage) => false,
        };
        let outcome = match &self.said {
            Ok(reply) => refused(self.phase, reply, letter),
            Err(why) => Outcome::new(lost(self.phase), why.code(), &format!("at {}: {why}", self.phase.named())),
        };
        if closed && self.phase == Phase::Mail && !first_use {
            Ended::Stale
        } else if self.useless {
            Ended::Drop(outcome)
        } else {
            Ended::Keep(outcome)
        }
    }
}

async fn envelope_step_by_step(
    connection: &mut Connection,
    letter: &Letter<'_>,
    limit: Duration,
) -> Result<(), Failed> {
    let steps =
        [(Phase::Mail, letter.mail(connection)), (Phase::Rcpt, letter.rcpt()), (Phase::Data, "DATA\r\n".to_owned())];
    for (phase, command) in steps {
        match connection.command(&command, limit).await {
            Ok(reply) if goes_on(phase, &reply) => {}
            Ok(reply) => return Err(Failed::refused(phase, reply)),
            Err(why) => return Err(Failed::silent(phase, why)),
        }
    }
    Ok(())
}

/// The three commands in one write (RFC 2920). Every reply is read, whatever the first one said.
async fn envelope_at_once(connection: &mut Connection, letter: &Letter<'_>, limit: Duration) -> Result<(), Failed> {
    let group = format!("{}{}DATA\r\n", letter.mail(connection), letter.rcpt());
    let mut failed: Option<Failed> = None;
    let mut listening = false;
    for phase in [Phase::Mail, Phase::Rcpt, Phase::Data] {
        let answer = match phase {
            Phase::Mail => connection.command(&group, limit).await,
            Phase::Rcpt | Phase::Data | Phase::Greeting | Phase::StartTls | Phase::Auth | Phase::Dot => {
                connection.next_reply(limit).await
            }
        };
        match answer {
            Ok(reply) if goes_on(phase, &reply) => listening = phase == Phase::Data,
            Ok(reply) => {
                let over = reply.code == CLOSING;
                let first = failed.get_or_insert_with(|| Failed::refused(phase, reply));
                first.useless |= over;
                if over {
                    break;
                }
            }
            Err(why) => {
                let first = failed.get_or_insert_with(|| Failed::silent(phase, why));
                first.useless = true;
                break;
            }
        }
    }
    let Some(mut failed) = failed else {
        return Ok(());
    };
    if listening && !failed.useless {
        // It waits for a message although nobody is to get it: give it none. What it says to that is of no interest,
        // but must be read to stay in step.
        failed.useless = connection.command(".\r\n", limit).await.is_err();
    } else if listening {
        failed.useless = true;
    }
    Err(failed)
}

fn goes_on(phase: Phase, reply: &Reply) -> bool {
    match phase {
        Phase::Data => reply.code == GO_AHEAD,
        Phase::Greeting | Phase::StartTls | Phase::Auth | Phase::Mail | Phase::Rcpt | Phase::Dot => reply.is_done(),
    }
}

/// The message with its final dot in one write, and the reply that counts.
async fn message(connection: &mut Connection, letter: &Letter<'_>, options: &Options) -> Ended {
    match connection.command(&letter.body, options.final_timeout).await {
        Ok(reply) if reply.is_done() => {
            let text = without_local_part(&reply.text, letter.to);
            let outcome = Outcome::new(Class::Accepted, reply.label(), &text);
            Ended::Keep(match reply.queue_id() {
                Some(id) => outcome.with_provider_id(id),
                None => outcome,
            })
        }
        Ok(reply) => {
            connection.dirty = true;
            let outcome = refused(Phase::Dot, &reply, letter);
            if matches!(reply.code / 100, 4 | 5) && reply.code != CLOSING {
                Ended::Keep(outcome)
            } else {
                Ended::Drop(outcome)
            }
        }
        Err(why) if connection.all_written() => {
            let text = format!("{why} after the whole message was sent: the relay may have taken it or not");
            Ended::Drop(Outcome::new(lost(Phase::Dot), "no-reply", &text))
        }
        Err(why) => {
            let text = format!("{why} before the message was sent to its end: the relay cannot have taken it");
            Ended::Drop(Outcome::new(Class::Temporary, why.code(), &text))
        }
    }
}

fn refused(phase: Phase, reply: &Reply, letter: &Letter<'_>) -> Outcome {
    let text = format!("at {}: {}", phase.named(), without_local_part(&reply.text, letter.to));
    Outcome::new(classify(phase, reply), reply.label(), &text)
}

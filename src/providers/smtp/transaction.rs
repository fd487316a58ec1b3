//! One notice through one connection: MAIL, RCPT, DATA, the message, and what came of it.
//!
//! One recipient a transaction, so that each person has a final reply of their own. The point of no return is the
//! final dot: until it has left our hands a failure is temporary, after it silence is `unknown`. An envelope that went
//! ahead, behind the message before, changes nothing of that: see [`super::queue`].

use super::classify::{Phase, classify, lost};
use super::connection::{Connection, NoReply, Offers};
use super::message::{check_address, stuffed};
use super::options::Options;
use super::queue::{Next, Queue};
use super::reply::{Reply, without_local_part};
use crate::model::outcome::{Class, Outcome};
use crate::providers::Gate;
use std::borrow::Cow;

/// The server begins to listen to the message.
const GO_AHEAD: u16 = 354;
/// The server closes the connection behind this reply.
const CLOSING: u16 = 421;
/// The server is not where we believe it to be.
const OUT_OF_STEP: u16 = 503;

/// What the commands before a message say of it.
#[derive(Clone)]
pub(super) struct Envelope {
    to: String,
    /// Our token, for the sender that this notice has of its own.
    notice: String,
    /// Octets of the message itself.
    size: u64,
}

/// A notice made ready for any connection.
pub(super) struct Letter<'a> {
    pub(super) envelope: Envelope,
    /// Dot-stuffed, without the final dot.
    body: Cow<'a, str>,
}

/// How a transaction ended.
pub(super) enum Ended {
    /// With an outcome; the connection can go on.
    Keep(Outcome),
    /// With an outcome; the connection goes on with this notice, whose envelope was sent.
    PassOn(Outcome, Next),
    /// With an outcome; the connection is of no more use.
    Drop(Outcome),
    /// The connection had died before the server answered to anything of this notice.
    Stale,
}

/// What of a transaction is done when it begins.
#[derive(Clone, Copy)]
pub(super) enum Begun {
    Nothing,
    /// The envelope was sent ahead; the gate is asked again before the message.
    Envelope,
}

impl Envelope {
    pub(super) fn new(to: &str, notice: &str, size: usize) -> Envelope {
        Envelope { to: to.to_owned(), notice: notice.to_owned(), size: u64::try_from(size).unwrap_or(u64::MAX) }
    }

    #[cfg(test)]
    pub(super) fn to(&self) -> &str {
        &self.to
    }

    /// What a connection with these offers cannot carry, found before the wire.
    pub(super) fn unfit_for(&self, offers: &Offers) -> Option<Outcome> {
        if !self.to.is_ascii() && !offers.smtputf8 {
            let text = "the address has letters beyond ASCII in its name part and the relay does not offer SMTPUTF8: use \
                        another address, or another relay";
            return Some(Outcome::new(Class::BadAddress, "5.6.7", text));
        }
        match offers.size {
            Some(limit) if self.size > limit => {
                let text = format!("the message has {} octets and the relay takes {limit}: shorten it", self.size);
                Some(Outcome::new(Class::ContentRefused, "5.3.4", &text))
            }
            Some(_) | None => None,
        }
    }

    fn mail(&self, options: &Options, offers: &Offers) -> String {
        let mut command = "MAIL FROM:<".to_owned();
        options.add_sender(&self.notice, &mut command);
        command.push('>');
        if offers.takes_size {
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

    /// The three commands for one write.
    fn group(&self, options: &Options, offers: &Offers) -> String {
        let mut group = self.mail(options, offers);
        group.push_str(&self.rcpt());
        group.push_str("DATA\r\n");
        group
    }
}

impl<'a> Letter<'a> {
    /// Checks the address and prepares the body; an error is the outcome.
    pub(super) fn new(to: &str, notice: &str, mime: &'a str) -> Result<Letter<'a>, Outcome> {
        if let Err(problem) = check_address(to) {
            let text = format!("the recipient's address cannot be written to: {problem}");
            return Err(Outcome::new(Class::BadAddress, "5.1.3", &text));
        }
        let body = stuffed(mime);
        Ok(Letter { envelope: Envelope::new(to, notice, body.len()), body })
    }
}

/// Carries the letter through the connection, and sends the envelope of the next one along if one waits.
pub(super) async fn deliver(
    connection: &mut Connection,
    letter: &Letter<'_>,
    gate: &Gate,
    begun: Begun,
    queue: &Queue,
    options: &Options,
) -> Ended {
    let first_use = connection.used == 0;
    connection.used += 1;
    let envelope = if connection.offers.pipelining {
        envelope_at_once(connection, letter, begun, options).await
    } else {
        envelope_step_by_step(connection, letter, options).await
    };
    if let Err(failed) = envelope {
        let ahead = matches!(begun, Begun::Envelope);
        return failed.ended(first_use, ahead, letter, connection);
    }
    if matches!(begun, Begun::Envelope)
        && let Err(shut) = gate.open().await
    {
        // It listens to a message that is not to be sent: closing is the only way out that delivers nothing.
        return Ended::Drop(shut.outcome());
    }
    gate.pass();
    message(connection, letter, queue, options).await
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

    fn ended(self, first_use: bool, ahead: bool, letter: &Letter<'_>, connection: &mut Connection) -> Ended {
        connection.dirty = true;
        let closed = match &self.said {
            // Sent ahead, the envelope met a server that was not done with the message before: no word about this one.
            Ok(reply) => reply.code == CLOSING || (ahead && reply.code == OUT_OF_STEP),
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
    options: &Options,
) -> Result<(), Failed> {
    let mail = letter.envelope.mail(options, &connection.offers);
    for (phase, command) in
        [(Phase::Mail, mail), (Phase::Rcpt, letter.envelope.rcpt()), (Phase::Data, "DATA\r\n".to_owned())]
    {
        match connection.command(&command, options.timeout).await {
            Ok(reply) if goes_on(phase, &reply) => {}
            Ok(reply) => return Err(Failed::refused(phase, reply)),
            Err(why) => return Err(Failed::silent(phase, why)),
        }
    }
    Ok(())
}

/// The three commands in one write (RFC 2920), if they were not sent before. Every reply is read, whatever the first
/// one said.
async fn envelope_at_once(
    connection: &mut Connection,
    letter: &Letter<'_>,
    begun: Begun,
    options: &Options,
) -> Result<(), Failed> {
    let limit = options.timeout;
    let mut group = match begun {
        Begun::Nothing => letter.envelope.group(options, &connection.offers),
        Begun::Envelope => String::new(),
    };
    let mut failed: Option<Failed> = None;
    let mut listening = false;
    for phase in [Phase::Mail, Phase::Rcpt, Phase::Data] {
        let answer = connection.command(&std::mem::take(&mut group), limit).await;
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

/// The message with its final dot and the next envelope in one write, and the reply that counts.
async fn message(connection: &mut Connection, letter: &Letter<'_>, queue: &Queue, options: &Options) -> Ended {
    let may_go_on = connection.offers.pipelining && connection.used < options.max_per_connection;
    let next = if may_go_on { queue.next(&connection.offers) } else { None };
    let behind = next.as_ref().map(|next| next.envelope.group(options, &connection.offers));
    let answer = connection.message(&letter.body, behind.as_deref().unwrap_or_default(), options.final_timeout).await;
    let outcome = match answer {
        Ok(reply) if reply.is_done() => {
            let text = without_local_part(&reply.text, &letter.envelope.to);
            let outcome = Outcome::new(Class::Accepted, reply.label(), &text);
            match reply.queue_id() {
                Some(id) => outcome.with_provider_id(id),
                None => outcome,
            }
        }
        Ok(reply) => {
            connection.dirty = next.is_none();
            let outcome = refused(Phase::Dot, &reply, letter);
            if !matches!(reply.code / 100, 4 | 5) || reply.code == CLOSING {
                return Ended::Drop(outcome);
            }
            outcome
        }
        Err(why) if connection.dot_has_left() => {
            let text = format!("{why} after the whole message was sent: the relay may have taken it or not");
            return Ended::Drop(Outcome::new(lost(Phase::Dot), "no-reply", &text));
        }
        Err(why) => {
            let text = format!("{why} before the message was sent to its end: the relay cannot have taken it");
            return Ended::Drop(Outcome::new(Class::Temporary, why.code(), &text));
        }
    };
    match next {
        Some(next) => Ended::PassOn(outcome, next),
        None => Ended::Keep(outcome),
    }
}

fn refused(phase: Phase, reply: &Reply, letter: &Letter<'_>) -> Outcome {
    let text = format!("at {}: {}", phase.named(), without_local_part(&reply.text, &letter.envelope.to));
    Outcome::new(classify(phase, reply), reply.label(), &text)
}

//! The faces of a process that serves: what listens, and who gets which answer.
//!
//! Over HTTP probes, metrics, and the addresses that providers report to; over LMTP what comes back by email. Invariants: no answer names a person, a secret or the
//! place of the database; a client that is slow, silent or greedy holds one of a fixed number of connections for a short
//! time and nothing else. Deliberately absent: TLS, which belongs to
//! whatever stands in front, and log-in: listen where only those can reach it who may know these numbers.

mod connection;
mod hooks;
mod lmtp;
mod lmtp_session;
mod probes;

pub use connection::{CannotListen, Listening};
pub use lmtp::receive_over_lmtp;

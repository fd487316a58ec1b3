//! The HTTP face of a process that serves: what listens, and who gets which answer.
//!
//! Probes, metrics, and the addresses that providers report to. Invariants: no answer names a person, a secret or the
//! place of the database; a client that is slow, silent or greedy holds one of a fixed number of connections for a short
//! time and nothing else. Deliberately absent: TLS, which belongs to
//! whatever stands in front, and log-in: listen where only those can reach it who may know these numbers.

mod connection;
mod hooks;
mod probes;

pub use connection::{CannotListen, Listening};

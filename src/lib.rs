//! forewarn: tells every person affected by a data breach, and keeps the record of it.
//!
//! This is the map, in the order in which data flows; `docs/architecture.md` says why things are as they are.
//!
//! | module | what it is for, and what it never does |
//! |---|---|
//! | [`cli`] | arguments in, lines and JSON out; the only printing |
//! | [`app`] | puts the steps together into what a person asks for; no words and no wires of its own |
//! | [`toml_file`] | reads the files that people write, strictly: every problem at once, with its line |
//! | [`secrets`] | secrets by reference (`env:`, `file:`); a resolved one prints as nothing |
//! | [`config`] | `config.toml` as types: database, keys, sender, routes |
//! | [`incident_file`] | an incident file as types: facts, texts, ladder, lists |
//! | [`intake`] | step: a list's bytes to persons and rejected rows, as a stream; no row without a verdict |
//! | [`vault`] | seals persons, hashes references and addresses, makes tokens; no key is stored in the clear |
//! | [`store`] | the only SQL; a batch is a transaction, and sums change with the facts they count |
//! | [`server`] | the HTTP face of a process that serves: probes and metrics; decides nothing |
//! | [`dispatch`] | step: claim, send, decide, record, in one loop; `sending` is on disk before a byte is on the wire |
//! | [`content`] | step: templates to the exact words of a notice; what it could not fill it refuses before the start |
//! | [`providers`] | step: hands a message to whoever carries it; what goes wrong is an outcome, never an error |
//! | [`mailbox`] | step: the messages that came back to a mailbox, which is left as it is found |
//! | [`receipts`] | step: what a report by email says of whom; pure, and believes no address |
//! | [`evidence`] | the evidence log in memory: leaves, trees, proofs, signed checkpoints; in public formats only, and pure |
//! | [`desk`] | step: whose case comes next, when somebody may be called, why a case may be closed; pure |
//! | [`model`] | the words and rules all of them share; pure: no I/O, no clock, no drawing of lots |
//!
//! Two promises hold everywhere. Nobody is forgotten: rows = persons + merged + rejected, and the standings of persons
//! add up to all persons. Nobody is told twice by our fault: the key of a notice is its person, contact and channel.
//! Steps import `model` and, where the table in `tests/it/rules.rs` says so, `store`; never each other.

pub mod app;
pub mod cli;
pub mod config;
pub mod content;
pub mod desk;
pub mod dispatch;
pub mod evidence;
pub mod incident_file;
pub mod intake;
pub mod mailbox;
pub mod model;
pub mod providers;
pub mod receipts;
pub mod secrets;
pub mod server;
pub mod store;
pub mod toml_file;
pub mod vault;

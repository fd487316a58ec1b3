//! Asking a provider what became of a notice: the question, and what can come of it.

use super::Outgoing;
use crate::model::outcome::Outcome;
use crate::model::receipt::Receipt;
use crate::model::time::Micros;

/// A notice whose fate is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The notice as it was sent: some providers know it by its words and address only.
    pub out: &'a Outgoing,
    /// The provider's id of the message, where the attempt has one.
    pub provider_id: Option<&'a str>,
    /// When the attempt began.
    pub sent: Micros,
}

/// What the provider knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUp {
    /// It has the message, and this is the last that it says of it.
    Found(Receipt),
    /// It never took the message, and would know if it had: sending it tells nobody twice.
    NotFound,
    /// Nobody can say yet, for the reason in the outcome; its wait says when to ask again.
    Unknown(Outcome),
}

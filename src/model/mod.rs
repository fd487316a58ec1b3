//! The words of the house as types. No I/O, no clock, no SQL: values in, values out.

pub mod apply_disposition;
pub mod apply_receipt;
pub mod book;
pub mod campaign;
pub mod channel;
pub mod contact;
pub mod decide;
pub mod disposition;
pub mod email;
pub mod incident;
pub mod ladder;
pub mod lease;
pub mod merge;
pub mod nearest;
pub mod notice;
pub mod outcome;
pub mod overdue;
pub mod person;
pub mod personal;
pub mod problem;
pub mod receipt;
pub mod redact;
pub mod rendered;
pub mod suspension;
pub mod telephone;
pub mod time;

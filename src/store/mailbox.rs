//! Which messages of a mailbox were read, and how many of what kind.
//!
//! A message is marked in the transaction that keeps its report, so that a crash between the two cannot be. The marks
//! stand beside the signatures of webhooks, under the name of their mailbox, and are not forgotten like those.

use super::{Store, StoreError, Tx, json};
use crate::model::time::Micros;
use std::collections::{BTreeMap, BTreeSet};

/// Sums that belong to no campaign.
const NO_CAMPAIGN: i64 = 0;
/// The sums of messages: what they were, and the mailbox.
const READ: &str = "mail";
/// What a mailbox is called where routes are; no route is.
const PREFIX: &str = "mailbox:";

/// The name under which a mailbox reports, where otherwise a route would stand.
pub fn reports_as(mailbox: &str) -> String {
    format!("{PREFIX}{mailbox}")
}

/// The mailbox that reports under this name.
pub fn mailbox_of(reports_as: &str) -> Option<&str> {
    reports_as.strip_prefix(PREFIX)
}

/// What a message of a mailbox was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mail {
    /// A report about a notice of ours; it was kept.
    Matched,
    /// A report about something that is none of ours.
    Nobodys,
    /// No report at all: a person wrote, or a machine about something else.
    NoReport,
}

impl Mail {
    pub const ALL: [Mail; 3] = [Mail::Matched, Mail::Nobodys, Mail::NoReport];

    pub fn as_str(self) -> &'static str {
        match self {
            Mail::Matched => "matched",
            Mail::Nobodys => "nobodys",
            Mail::NoReport => "no-report",
        }
    }
}

/// The messages of a mailbox, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailSums(pub BTreeMap<&'static str, i64>);

impl MailSums {
    pub fn of(&self, mail: Mail) -> i64 {
        self.0.get(mail.as_str()).copied().unwrap_or(0)
    }

    /// All that were read.
    pub fn read(&self) -> i64 {
        self.0.values().sum()
    }
}

impl Store {
    /// Those of these marks that are not set.
    pub async fn unread(&self, mailbox: &str, marks: &[String]) -> Result<BTreeSet<String>, StoreError> {
        let rows: Vec<String> = sqlx::query_scalar(
            "select j.value ->> 0 from json_each($1) as j
             where not exists (select 1 from report_seen s where s.route = $2 and s.once = j.value ->> 0)",
        )
        .bind(json(&marks.iter().map(|mark| [mark]).collect::<Vec<_>>()))
        .bind(reports_as(mailbox))
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        Ok(rows.into_iter().collect())
    }

    /// What was read, by mailbox.
    pub async fn mail_sums(&self) -> Result<BTreeMap<String, MailSums>, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as("select name, n from tally where campaign = $1 and kind = $2")
            .bind(NO_CAMPAIGN)
            .bind(READ)
            .fetch_all(&self.readers)
            .await
            .map_err(|e| self.fail(e))?;
        let mut sums: BTreeMap<String, MailSums> = BTreeMap::new();
        for (name, n) in rows {
            let Some((mail, mailbox)) = name.split_once(' ') else { continue };
            if let Some(mail) = Mail::ALL.into_iter().find(|m| m.as_str() == mail) {
                sums.entry(mailbox.to_owned()).or_default().0.insert(mail.as_str(), n);
            }
        }
        Ok(sums)
    }
}

impl Tx<'_> {
    /// Marks messages as read, and counts them; those that were not marked before.
    pub async fn mark_read(
        &mut self,
        mailbox: &str,
        messages: &[(String, Mail)],
        now: Micros,
    ) -> Result<BTreeSet<String>, StoreError> {
        let once: BTreeMap<&str, Mail> = messages.iter().map(|(mark, mail)| (mark.as_str(), *mail)).collect();
        let marks: Vec<[&str; 1]> = once.keys().map(|mark| [*mark]).collect();
        let new: Vec<String> = sqlx::query_scalar(
            "insert into report_seen (route, once, seen_at)
             select $1, value ->> 0, cast($2 as bigint) from json_each($3) where true
             on conflict do nothing returning once",
        )
        .bind(reports_as(mailbox))
        .bind(now)
        .bind(json(&marks))
        .fetch_all(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        let new: BTreeSet<String> = new.into_iter().collect();
        self.count_mail(mailbox, once.into_iter().filter(|(mark, _)| new.contains(*mark)).map(|(_, mail)| mail));
        Ok(new)
    }

    /// Counts messages that have no mark, since nobody can read them again.
    pub fn count_mail(&mut self, mailbox: &str, messages: impl Iterator<Item = Mail>) {
        let sum = |mail: Mail| (READ.to_owned(), format!("{} {mailbox}", mail.as_str()), 1);
        self.tally(NO_CAMPAIGN, messages.map(sum));
    }
}

//! Reading the delivery log, page by page in the order of starting.

use super::leaf::LeafRef;
use super::{Store, StoreError};
use crate::model::notice::NoticeId;
use crate::model::time::Micros;
use crate::vault::SealedPerson;
use sqlx::any::AnyRow;

/// One attempt with the sealed person it was for.
#[derive(Clone, Debug)]
pub struct LoggedAttempt {
    pub id: i64,
    pub notice: NoticeId,
    pub channel: String,
    pub no: i64,
    pub route: String,
    pub provider: String,
    pub started_at: Micros,
    pub finished_at: Option<Micros>,
    pub class: Option<String>,
    pub state: Option<String>,
    pub code: Option<String>,
    pub text: Option<String>,
    pub provider_id: Option<String>,
    pub sealed: SealedPerson,
    /// The leaf that tells how it ended.
    pub ended: Option<LeafRef>,
}

/// One receipt with the sealed person it is about.
#[derive(Clone, Debug)]
pub struct LoggedReceipt {
    pub id: i64,
    pub notice: NoticeId,
    pub attempt: i64,
    pub route: String,
    pub provider: String,
    pub event: String,
    pub class: Option<String>,
    pub code: String,
    pub text: String,
    pub provider_id: Option<String>,
    /// When it happened, by the provider.
    pub at: Option<Micros>,
    pub received_at: Micros,
    /// None while the attempt has not ended that it speaks of.
    pub state: Option<String>,
    pub sealed: SealedPerson,
}

/// What people and the program did to the campaign, or found out about one notice.
#[derive(Clone, Debug)]
pub struct LoggedNote {
    pub id: i64,
    pub about: Option<About>,
    pub at: Micros,
    pub by: String,
    pub what: String,
    pub text: String,
}

/// The notice that a note is about.
#[derive(Clone, Debug)]
pub struct About {
    pub notice: NoticeId,
    pub route: String,
    pub provider: String,
    pub attempts: i64,
    pub sealed: SealedPerson,
}

impl Store {
    /// Up to `limit` attempts after the one with this id.
    pub async fn attempts_after(
        &self,
        campaign: i64,
        after: i64,
        limit: usize,
    ) -> Result<Vec<LoggedAttempt>, StoreError> {
        let rows = sqlx::query(
            "select a.id, a.notice, n.channel, a.no, a.route, a.provider, a.started_at, a.finished_at, a.class, a.state,
                    a.code, a.text, a.provider_id, s.wrapped_key, s.sealed, a.end_leaf
             from attempt a
             join notice n on n.campaign = a.campaign and n.id = a.notice
             join sealed_person s on s.campaign = a.campaign and s.no = a.notice / 4096
             where a.campaign = $1 and a.id > $2 order by a.id limit $3",
        )
        .bind(campaign)
        .bind(after)
        .bind(limit as i64)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        rows.iter()
            .map(|row| {
                Ok(LoggedAttempt {
                    id: self.get(row, 0)?,
                    notice: NoticeId(self.get(row, 1)?),
                    channel: self.get(row, 2)?,
                    no: self.get(row, 3)?,
                    route: self.get(row, 4)?,
                    provider: self.get(row, 5)?,
                    started_at: self.get(row, 6)?,
                    finished_at: self.get(row, 7)?,
                    class: self.get(row, 8)?,
                    state: self.get(row, 9)?,
                    code: self.get(row, 10)?,
                    text: self.get(row, 11)?,
                    provider_id: self.get(row, 12)?,
                    sealed: SealedPerson { key: self.get(row, 13)?, blob: self.get(row, 14)? },
                    ended: self.get::<Option<i64>>(row, 15)?.map(LeafRef),
                })
            })
            .collect()
    }

    /// Up to `limit` receipts after the one with this id.
    pub async fn receipts_after(
        &self,
        campaign: i64,
        after: i64,
        limit: usize,
    ) -> Result<Vec<LoggedReceipt>, StoreError> {
        let rows = sqlx::query(
            "select r.id, r.notice, r.attempt, r.route, a.provider, r.event, r.class, r.code, r.text, r.provider_id, r.at,
                    r.received_at, r.state, s.wrapped_key, s.sealed
             from receipt r
             join attempt a on a.campaign = r.campaign and a.notice = r.notice and a.no = r.attempt
             join sealed_person s on s.campaign = r.campaign and s.no = r.notice / 4096
             where r.campaign = $1 and r.id > $2 order by r.id limit $3",
        )
        .bind(campaign)
        .bind(after)
        .bind(limit as i64)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        rows.iter()
            .map(|row| {
                Ok(LoggedReceipt {
                    id: self.get(row, 0)?,
                    notice: NoticeId(self.get(row, 1)?),
                    attempt: self.get(row, 2)?,
                    route: self.get(row, 3)?,
                    provider: self.get(row, 4)?,
                    event: self.get(row, 5)?,
                    class: self.get(row, 6)?,
                    code: self.get(row, 7)?,
                    text: self.get(row, 8)?,
                    provider_id: self.get(row, 9)?,
                    at: self.get(row, 10)?,
                    received_at: self.get(row, 11)?,
                    state: self.get(row, 12)?,
                    sealed: SealedPerson { key: self.get(row, 13)?, blob: self.get(row, 14)? },
                })
            })
            .collect()
    }

    /// Up to `limit` notes after the one with this id.
    pub async fn notes_after(&self, campaign: i64, after: i64, limit: usize) -> Result<Vec<LoggedNote>, StoreError> {
        let rows = sqlx::query(
            "select o.id, o.at, o.by_name, o.what, o.text, o.notice, n.route, n.attempts, s.wrapped_key, s.sealed,
                    (select a.provider from attempt a where a.campaign = o.campaign and a.notice = o.notice
                     order by a.no desc limit 1)
             from note o
             left join notice n on n.campaign = o.campaign and n.id = o.notice
             left join sealed_person s on s.campaign = o.campaign and s.no = o.notice / 4096
             where o.campaign = $1 and o.id > $2 order by o.id limit $3",
        )
        .bind(campaign)
        .bind(after)
        .bind(limit as i64)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        rows.iter()
            .map(|row| {
                Ok(LoggedNote {
                    id: self.get(row, 0)?,
                    about: self.about_of(row)?,
                    at: self.get(row, 1)?,
                    by: self.get(row, 2)?,
                    what: self.get(row, 3)?,
                    text: self.get(row, 4)?,
                })
            })
            .collect()
    }

    fn about_of(&self, row: &AnyRow) -> Result<Option<About>, StoreError> {
        let notice: Option<i64> = self.get(row, 5)?;
        let (key, blob): (Option<Vec<u8>>, Option<Vec<u8>>) = (self.get(row, 8)?, self.get(row, 9)?);
        let (Some(notice), Some(key), Some(blob)) = (notice, key, blob) else { return Ok(None) };
        Ok(Some(About {
            notice: NoticeId(notice),
            route: self.get::<Option<String>>(row, 6)?.unwrap_or_default(),
            attempts: self.get::<Option<i64>>(row, 7)?.unwrap_or_default(),
            sealed: SealedPerson { key, blob },
            provider: self.get::<Option<String>>(row, 10)?.unwrap_or_default(),
        }))
    }
}

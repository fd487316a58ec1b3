//! What happened in a campaign, counted: for the story that is told at its end.

use super::{Store, StoreError};
use crate::model::person::Standing;
use crate::vault::SealedPerson;

impl Store {
    /// Notices by channel and state: (channel, state, how many).
    pub async fn notices_by_channel(&self, campaign: i64) -> Result<Vec<(String, String, i64)>, StoreError> {
        sqlx::query_as(
            "select channel, state, count(*) from notice where campaign = $1 group by channel, state
             order by channel, state",
        )
        .bind(campaign)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))
    }

    /// Ended attempts by channel and class: (channel, class, how many).
    pub async fn outcomes_by_channel(&self, campaign: i64) -> Result<Vec<(String, String, i64)>, StoreError> {
        sqlx::query_as(
            "select n.channel, a.class, count(*) from attempt a
             join notice n on n.campaign = a.campaign and n.id = a.notice
             where a.campaign = $1 and a.class is not null group by n.channel, a.class order by n.channel, a.class",
        )
        .bind(campaign)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))
    }

    /// Up to `most` persons of this standing, in the order of the list: (number, sealed).
    pub async fn persons_standing(
        &self,
        campaign: i64,
        standing: Standing,
        most: usize,
    ) -> Result<Vec<(i64, SealedPerson)>, StoreError> {
        let rows = sqlx::query(
            "select p.no, s.wrapped_key, s.sealed from person p
             join sealed_person s on s.campaign = p.campaign and s.no = p.no
             where p.campaign = $1 and p.standing = $2 order by p.no limit $3",
        )
        .bind(campaign)
        .bind(standing.as_str())
        .bind(most as i64)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        let sealed = |row| Ok(SealedPerson { key: self.get(row, 1)?, blob: self.get(row, 2)? });
        rows.iter().map(|row| Ok((self.get(row, 0)?, sealed(row)?))).collect()
    }
}

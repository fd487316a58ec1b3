//! What a campaign has still to send, by channel.

use super::{Store, StoreError};
use crate::model::channel::Channel;

impl Store {
    /// Notices of the channel that are to be sent, at once or later.
    pub async fn waiting(&self, campaign: i64, channel: Channel) -> Result<i64, StoreError> {
        sqlx::query_scalar("select count(*) from notice where campaign = $1 and channel = $2 and due_at is not null")
            .bind(campaign)
            .bind(channel.as_str())
            .fetch_one(&self.readers)
            .await
            .map_err(|e| self.fail(e))
    }

    /// Persons in flight of whom there is no notice of the channel, by the kinds of their contacts. Those above `planned`
    /// have no notice at all, so nothing is looked up for them.
    pub async fn without_notice(
        &self,
        campaign: i64,
        planned: i64,
        channel: Channel,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        sqlx::query_as(
            "select p.reach, count(*) from person p
             where p.campaign = $1 and p.standing = 'in_flight' and (p.no > $2 or not exists (
               select 1 from notice n where n.campaign = $1 and n.channel = $3
                  and n.id >= p.no * 4096 and n.id < (p.no + 1) * 4096))
             group by 1",
        )
        .bind(campaign)
        .bind(planned)
        .bind(channel.as_str())
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))
    }
}

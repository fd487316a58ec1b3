//! Turning persons into their first notices, a range of person numbers at a time.

use super::{StoreError, Tx};
use crate::model::ladder::Planned;
use crate::model::notice::NoticeId;
use crate::model::time::Micros;

impl Tx<'_> {
    /// The combinations of contacts that occur among these persons: a handful, however long the list.
    pub async fn reaches(&mut self, campaign: i64, after: i64, upto: i64) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar("select distinct reach from person where campaign = $1 and no > $2 and no <= $3")
            .bind(campaign)
            .bind(after)
            .bind(upto)
            .fetch_all(self.conn())
            .await
            .map_err(|e| self.fail(e))
    }

    /// Queues the first notice of every person of the range with this `reach`; `None`: no step can reach them, so a
    /// human must.
    pub async fn plan_notices(
        &mut self,
        campaign: i64,
        (after, upto): (i64, i64),
        reach: &str,
        first: Option<Planned>,
        now: Micros,
    ) -> Result<(), StoreError> {
        let Some(first) = first else {
            let held = sqlx::query(
                "update person set standing = 'needs_human'
                 where campaign = $1 and no > $2 and no <= $3 and reach = $4 and standing = 'in_flight'",
            )
            .bind(campaign)
            .bind(after)
            .bind(upto)
            .bind(reach)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?
            .rows_affected() as i64;
            let moved = [("person".into(), "in_flight".into(), -held), ("person".into(), "needs_human".into(), held)];
            self.tally(campaign, moved);
            return Ok(());
        };
        // The id of person 0 holds the channel and contact bits alone; the person's own bits are added in SQL.
        let low = first.id(0).0;
        let unit = NoticeId::range_of(1).0;
        let queued = sqlx::query(
            "insert into notice (campaign, id, channel, state, due_at, first_due, changed_at)
             select campaign, no * $5 + $6, $7, 'queued', $8, $8, $8 from person
             where campaign = $1 and no > $2 and no <= $3 and reach = $4 and standing = 'in_flight'
             order by no
             on conflict do nothing",
        )
        .bind(campaign)
        .bind(after)
        .bind(upto)
        .bind(reach)
        .bind(unit)
        .bind(low)
        .bind(first.channel.as_str())
        .bind(now)
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?
        .rows_affected() as i64;
        self.tally(campaign, [("notice".into(), "queued".into(), queued)]);
        Ok(())
    }

    /// Remembers up to which person the plan is made.
    pub async fn set_planned(&mut self, campaign: i64, upto: i64) -> Result<(), StoreError> {
        sqlx::query("update campaign set planned = $2 where no = $1 and planned < $2")
            .bind(campaign)
            .bind(upto)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        Ok(())
    }
}

//! Approvals: who signed which digests, and what voided them.

use super::{Store, StoreError, Tx};
use crate::model::campaign::Digests;
use crate::model::time::Micros;

#[derive(Clone, Debug)]
pub struct Approval {
    pub at: Micros,
    pub by: String,
    pub digests: Digests,
    pub void_reason: Option<String>,
}

impl Store {
    pub async fn approvals(&self, campaign: i64) -> Result<Vec<Approval>, StoreError> {
        let rows = sqlx::query(
            "select at, by_name, list_digest, texts_digest, ladder_digest, void_reason from approval
             where campaign = $1 order by id",
        )
        .bind(campaign)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        rows.iter()
            .map(|row| {
                Ok(Approval {
                    at: self.get(row, 0)?,
                    by: self.get(row, 1)?,
                    digests: Digests { list: self.get(row, 2)?, texts: self.get(row, 3)?, ladder: self.get(row, 4)? },
                    void_reason: self.get(row, 5)?,
                })
            })
            .collect()
    }
}

impl Tx<'_> {
    pub async fn add_approval(
        &mut self,
        campaign: i64,
        at: Micros,
        by: &str,
        digests: &Digests,
    ) -> Result<(), StoreError> {
        let kept = self.approval_fact(campaign, at, by, digests).await?;
        sqlx::query(
            "insert into approval (campaign, at, by_name, list_digest, texts_digest, ladder_digest, leaf, salt)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(campaign)
        .bind(at)
        .bind(by)
        .bind(&digests.list)
        .bind(&digests.texts)
        .bind(&digests.ladder)
        .bind(kept.leaf.0)
        .bind(kept.salt.to_vec())
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// Voids every standing approval; how many there were.
    pub async fn void_approvals(&mut self, campaign: i64, at: Micros, reason: &str) -> Result<u64, StoreError> {
        let done =
            sqlx::query("update approval set void_at = $2, void_reason = $3 where campaign = $1 and void_at is null")
                .bind(campaign)
                .bind(at)
                .bind(reason)
                .execute(self.conn())
                .await
                .map_err(|e| self.fail(e))?;
        if done.rows_affected() > 0 {
            self.fact(campaign, at, "approval.void", &[]).await?;
        }
        Ok(done.rows_affected())
    }
}

//! Single persons, still sealed, for showing what the notices of a campaign look like.

use super::{Store, StoreError};
use crate::vault::SealedPerson;
use sqlx::any::AnyRow;

/// One person with the two properties that are kept in the clear.
#[derive(Clone, Debug)]
pub struct PersonRow {
    pub no: i64,
    pub locale: String,
    pub reach: String,
    pub sealed: SealedPerson,
}

const COLUMNS: &str = "p.no, p.locale, p.reach, s.wrapped_key, s.sealed";
const FROM: &str = "from person p join sealed_person s on s.campaign = p.campaign and s.no = p.no";

impl Store {
    /// The first person of each combination of locale and contacts: few, however long the list.
    pub async fn one_of_each(&self, campaign: i64) -> Result<Vec<PersonRow>, StoreError> {
        let sql = format!(
            "select {COLUMNS} {FROM}
             where p.campaign = $1
               and p.no in (select min(no) from person where campaign = $1 group by locale, reach)
             order by p.no"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(campaign)
            .fetch_all(&self.readers)
            .await
            .map_err(|e| self.fail(e))?;
        rows.iter().map(|row| self.person_row(row)).collect()
    }

    /// Up to `limit` persons after the one with this number.
    pub async fn persons_after(&self, campaign: i64, after: i64, limit: usize) -> Result<Vec<PersonRow>, StoreError> {
        let sql = format!("select {COLUMNS} {FROM} where p.campaign = $1 and p.no > $2 order by p.no limit $3");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(campaign)
            .bind(after)
            .bind(limit as i64)
            .fetch_all(&self.readers)
            .await
            .map_err(|e| self.fail(e))?;
        rows.iter().map(|row| self.person_row(row)).collect()
    }

    /// The person with this reference, by the keyed hash it is found by.
    pub async fn person_with(&self, campaign: i64, ref_hash: &[u8; 16]) -> Result<Option<PersonRow>, StoreError> {
        let sql = format!(
            "select {COLUMNS} {FROM}
             where p.campaign = $1 and p.no = (select person from reference where campaign = $1 and hash = $2)"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(campaign)
            .bind(ref_hash.to_vec())
            .fetch_optional(&self.readers)
            .await
            .map_err(|e| self.fail(e))?;
        row.as_ref().map(|row| self.person_row(row)).transpose()
    }

    fn person_row(&self, row: &AnyRow) -> Result<PersonRow, StoreError> {
        Ok(PersonRow {
            no: self.get(row, 0)?,
            locale: self.get(row, 1)?,
            reach: self.get(row, 2)?,
            sealed: SealedPerson { key: self.get(row, 3)?, blob: self.get(row, 4)? },
        })
    }
}

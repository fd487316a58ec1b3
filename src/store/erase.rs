//! Destroying what opens a person's data: first their content, later their identity.
//!
//! SQLite overwrites what is deleted (`secure_delete`), and [`Store::wipe`] empties its log; PostgreSQL leaves old versions
//! of rows to VACUUM and to its own log, and what they hold is wrapped under keys that are elsewhere.

use super::{Engine, Store, StoreError, Tx, json};
use crate::model::notice::NoticeId;
use crate::model::person::Standing;
use crate::vault::without_content;

/// What is destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Name, contacts, fields, remarks, and with them messages and answers.
    Content,
    /// That too, and what a typed address could be compared with.
    Identity,
}

impl Scope {
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Content => "content",
            Scope::Identity => "identity",
        }
    }
}

/// A person whose keys are to be destroyed.
#[derive(Clone, Copy, Debug)]
pub struct ToErase {
    pub no: i64,
    pub standing: Standing,
    /// Something is left that this scope destroys.
    pub left: bool,
}

impl Store {
    /// Up to `limit` persons after this one.
    pub async fn to_erase(
        &self,
        campaign: i64,
        after: i64,
        scope: Scope,
        limit: usize,
    ) -> Result<Vec<ToErase>, StoreError> {
        let rows: Vec<(i64, String, i64, i64)> = sqlx::query_as(
            "select p.no, p.standing, length(s.wrapped_key), length(s.sealed) from person p
             join sealed_person s on s.campaign = p.campaign and s.no = p.no
             where p.campaign = $1 and p.no > $2 order by p.no limit $3",
        )
        .bind(campaign)
        .bind(after)
        .bind(limit as i64)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        let person = |(no, standing, key, sealed): (i64, String, i64, i64)| {
            let left = sealed > 0 || (scope == Scope::Identity && key > 0);
            Ok(ToErase { no, standing: self.word(&standing, Standing::parse)?, left })
        };
        rows.into_iter().map(person).collect()
    }

    /// Leaves nothing of what was erased in SQLite's own log; on PostgreSQL rewrites the campaign's part of the table. False
    /// where another process keeps that from happening just now.
    pub async fn wipe(&self, campaign: i64) -> Result<bool, StoreError> {
        match self.engine() {
            Engine::Sqlite => {
                let row = sqlx::query("pragma wal_checkpoint(truncate)").fetch_one(&self.writer).await;
                let busy: i64 = self.get(&row.map_err(|e| self.fail(e))?, 0)?;
                Ok(busy == 0)
            }
            Engine::Postgres => {
                let sql = format!("vacuum full sealed_person_{campaign}");
                let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&self.writer).await;
                done.map(|_| true).map_err(|e| self.fail(e))
            }
        }
    }
}

impl Tx<'_> {
    /// Destroys what opens the data of these persons.
    pub async fn erase(&mut self, campaign: i64, persons: &[i64], scope: Scope) -> Result<(), StoreError> {
        let rows: Vec<[i64; 1]> = persons.iter().map(|no| [*no]).collect();
        let kept: Vec<(i64, Vec<u8>)> = sqlx::query_as(self.engine().by_batch(
            "select s.no, s.wrapped_key from json_each($2) as j
             join sealed_person s on s.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
                                 and s.no = cast(j.value ->> 0 as bigint)",
        ))
        .bind(campaign)
        .bind(json(&rows))
        .fetch_all(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        let left = |(no, key): &(i64, Vec<u8>)| match scope {
            Scope::Content => (*no, const_hex::encode(without_content(key))),
            Scope::Identity => (*no, String::new()),
        };
        let changed: Vec<(i64, String)> = kept.iter().map(left).collect();
        let (nothing, octets) = (self.engine().octets("''"), self.engine().octets("j.value ->> 1"));
        let sql = format!(
            "update sealed_person set wrapped_key = {octets}, sealed = {nothing} from json_each($2) as j
             where sealed_person.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and sealed_person.no = cast(j.value ->> 0 as bigint)"
        );
        sqlx::query(self.engine().by_batch_of(sql))
            .bind(campaign)
            .bind(json(&changed))
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        for no in persons {
            let (first, last) = NoticeId::range_of(*no);
            sqlx::query("update note set sealed = null where campaign = $1 and notice >= $2 and notice <= $3 and sealed is not null")
                .bind(campaign)
                .bind(first)
                .bind(last)
                .execute(self.conn())
                .await
                .map_err(|e| self.fail(e))?;
        }
        if scope == Scope::Identity {
            let sql = "delete from reference where campaign = $1
                         and person in (select cast(value ->> 0 as bigint) from json_each($2))";
            let query = sqlx::query(sql).bind(campaign).bind(json(&rows));
            query.execute(self.conn()).await.map_err(|e| self.fail(e))?;
        }
        Ok(())
    }

    /// Destroys the keys of a campaign all of whose persons are erased; after the identities also their random names.
    pub async fn erase_keys(&mut self, campaign: i64) -> Result<(), StoreError> {
        let nothing = self.engine().octets("''");
        let sql = format!("update campaign set keys = {nothing}, subjects = null where no = $1");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(campaign);
        query.execute(self.conn()).await.map_err(|e| self.fail(e))?;
        self.store.forget_names(campaign);
        Ok(())
    }
}

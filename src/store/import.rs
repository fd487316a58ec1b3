//! Taking a source in: persons, their sealed data and the keyed hashes of their contacts, in batches.

use super::{Engine, ROWS_PER_STATEMENT, Store, StoreError, Tx, json};
use crate::model::problem::Problem;
use crate::vault::SealedPerson;
use serde_json::json;
use sqlx::{AssertSqlSafe, Row as _};

/// Contacts that one transaction puts into their table: what others wait for at most.
const CONTACTS_PER_COMMIT: usize = 100_000;

/// A person ready to be written.
#[derive(Clone, Debug)]
pub struct NewPerson {
    pub no: i64,
    /// Row in the source, from 1 below the heading.
    pub row: u64,
    pub ref_hash: [u8; 16],
    pub reach: String,
    pub locale: String,
    pub country: String,
    pub sealed: SealedPerson,
    /// Keyed hashes of the contacts, in order.
    pub contacts: Vec<i64>,
}

/// A person who is there already.
#[derive(Clone, Debug)]
pub struct StoredPerson {
    pub no: i64,
    pub source: i64,
    pub row: u64,
    pub sealed: SealedPerson,
}

/// What is known of a source when its first row is read.
#[derive(Clone, Debug)]
pub struct NewSource {
    pub no: i64,
    pub name: String,
    pub encoding: String,
    pub delimiter: String,
}

/// What a source came to; `rows = persons + merged + rejected`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceSums {
    pub rows: i64,
    pub persons: i64,
    pub merged: i64,
    pub rejected: i64,
    pub without_contact: i64,
}

impl Tx<'_> {
    pub async fn begin_source(&mut self, campaign: i64, source: &NewSource) -> Result<(), StoreError> {
        for sql in [
            "drop table if exists incoming_contact",
            "create temporary table incoming_contact (hash bigint not null, person bigint not null, ordinal bigint not null)",
        ] {
            sqlx::query(sql).execute(self.conn()).await.map_err(|e| self.fail(e))?;
        }
        sqlx::query(
            "insert into source (campaign, no, name, digest, encoding, delimiter, rows_read, persons, merged, rejected,
                                 without_contact, complete)
             values ($1, $2, $3, '', $4, $5, 0, 0, 0, 0, 0, 0)",
        )
        .bind(campaign)
        .bind(source.no)
        .bind(&source.name)
        .bind(&source.encoding)
        .bind(&source.delimiter)
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// Writes persons whose reference is new to the campaign and gives back their numbers; the others are left for
    /// the caller to merge or refuse.
    pub async fn add_persons(
        &mut self,
        campaign: i64,
        source: i64,
        persons: &[NewPerson],
    ) -> Result<std::collections::HashSet<i64>, StoreError> {
        let mut added = std::collections::HashSet::with_capacity(persons.len());
        for some in persons.chunks(ROWS_PER_STATEMENT) {
            let sql = format!(
                "insert into person (campaign, no, source, row_no, ref_hash, reach, locale, country, standing) values {}
                 on conflict do nothing",
                values(self.engine(), some.len(), 8, ", 'in_flight'")
            );
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for p in some {
                query = query.bind(campaign).bind(p.no).bind(source).bind(p.row as i64).bind(p.ref_hash.to_vec());
                query = query.bind(p.reach.as_str()).bind(p.locale.as_str()).bind(p.country.as_str());
            }
            let written = query.execute(self.conn()).await.map_err(|e| self.fail(e))?.rows_affected();
            if written == some.len() as u64 {
                added.extend(some.iter().map(|p| p.no));
            } else {
                // Only where somebody was there already: asking for every row's number costs more than writing it.
                added.extend(self.numbers_written(campaign, some).await?);
            }
        }
        let new: Vec<&NewPerson> = persons.iter().filter(|p| added.contains(&p.no)).collect();
        self.add_sealed(campaign, &new).await?;
        self.add_contacts(&new).await?;
        Ok(added)
    }

    /// Those of the persons whom the database has under these numbers.
    async fn numbers_written(&mut self, campaign: i64, persons: &[NewPerson]) -> Result<Vec<i64>, StoreError> {
        let numbers = || persons.iter().map(|p| p.no);
        sqlx::query_scalar("select no from person where campaign = $1 and no >= $2 and no <= $3")
            .bind(campaign)
            .bind(numbers().min().unwrap_or_default())
            .bind(numbers().max().unwrap_or_default())
            .fetch_all(self.conn())
            .await
            .map_err(|e| self.fail(e))
    }

    async fn add_sealed(&mut self, campaign: i64, persons: &[&NewPerson]) -> Result<(), StoreError> {
        for some in persons.chunks(ROWS_PER_STATEMENT) {
            let sql = format!(
                "insert into sealed_person (campaign, no, wrapped_key, sealed) values {}",
                values(self.engine(), some.len(), 4, "")
            );
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for p in some {
                query = query.bind(campaign).bind(p.no).bind(p.sealed.key.as_slice()).bind(p.sealed.blob.as_slice());
            }
            query.execute(self.conn()).await.map_err(|e| self.fail(e))?;
        }
        Ok(())
    }

    /// Keyed hashes fall anywhere in their table: they wait aside and go in sorted, see [`Store::take_in_contacts`].
    async fn add_contacts(&mut self, persons: &[&NewPerson]) -> Result<(), StoreError> {
        let contacts: Vec<(i64, i64, i64)> = persons
            .iter()
            .flat_map(|p| p.contacts.iter().enumerate().map(|(ordinal, hash)| (*hash, p.no, ordinal as i64)))
            .collect();
        for some in contacts.chunks(ROWS_PER_STATEMENT) {
            let sql = format!(
                "insert into incoming_contact (hash, person, ordinal) values {}",
                values(self.engine(), some.len(), 3, "")
            );
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for (hash, person, ordinal) in some {
                query = query.bind(hash).bind(person).bind(ordinal);
            }
            query.execute(self.conn()).await.map_err(|e| self.fail(e))?;
        }
        Ok(())
    }

    pub async fn person_by_reference(
        &mut self,
        campaign: i64,
        ref_hash: &[u8; 16],
    ) -> Result<Option<StoredPerson>, StoreError> {
        let row = sqlx::query(
            "select p.no, p.source, p.row_no, s.wrapped_key, s.sealed
             from person p join sealed_person s on s.campaign = p.campaign and s.no = p.no
             where p.campaign = $1 and p.ref_hash = $2",
        )
        .bind(campaign)
        .bind(ref_hash.to_vec())
        .fetch_optional(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        let Some(row) = row else { return Ok(None) };
        let read = || -> Result<StoredPerson, sqlx::Error> {
            Ok(StoredPerson {
                no: row.try_get(0)?,
                source: row.try_get(1)?,
                row: row.try_get::<i64, _>(2)? as u64,
                sealed: SealedPerson { key: row.try_get(3)?, blob: row.try_get(4)? },
            })
        };
        read().map(Some).map_err(|e| self.fail(e))
    }

    /// Gives a person further contacts (a second row completed the first).
    pub async fn extend_person(
        &mut self,
        campaign: i64,
        no: i64,
        reach: &str,
        sealed: &SealedPerson,
        contacts: &[i64],
    ) -> Result<(), StoreError> {
        sqlx::query("update person set reach = $3 where campaign = $1 and no = $2")
            .bind(campaign)
            .bind(no)
            .bind(reach)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        sqlx::query("update sealed_person set wrapped_key = $3, sealed = $4 where campaign = $1 and no = $2")
            .bind(campaign)
            .bind(no)
            .bind(sealed.key.as_slice())
            .bind(sealed.blob.as_slice())
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        for (ordinal, hash) in contacts.iter().enumerate() {
            sqlx::query(
                "insert into contact (campaign, hash, person, ordinal) values ($1, $2, $3, $4) on conflict do nothing",
            )
            .bind(campaign)
            .bind(*hash)
            .bind(no)
            .bind(ordinal as i64)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        }
        Ok(())
    }

    /// Keeps what was wrong with rows: (rejected, problem).
    pub async fn add_problems(
        &mut self,
        campaign: i64,
        source: i64,
        problems: &[(bool, Problem)],
    ) -> Result<(), StoreError> {
        for some in problems.chunks(ROWS_PER_STATEMENT) {
            let mut last = (0, 0);
            let rows: Vec<serde_json::Value> = some
                .iter()
                .map(|(rejected, p)| {
                    let row = p.row.unwrap_or(0);
                    last = if last.0 == row { (row, last.1 + 1) } else { (row, 0) };
                    json!([row, last.1, i64::from(*rejected), p.field, p.code, p.message])
                })
                .collect();
            sqlx::query(
                "insert into row_problem (campaign, source, row_no, n, rejected, field, code, message)
                 select $1, $2, cast(value ->> 0 as bigint), cast(value ->> 1 as bigint), cast(value ->> 2 as bigint),
                        value ->> 3, value ->> 4, value ->> 5
                 from json_each($3) where true on conflict do nothing",
            )
            .bind(campaign)
            .bind(source)
            .bind(json(&rows))
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        }
        Ok(())
    }

    /// Ends a source: its sums and digest stand, and its persons count.
    pub async fn finish_source(
        &mut self,
        campaign: i64,
        source: i64,
        digest: &str,
        sums: &SourceSums,
        tallies: &[(String, String, i64)],
        last_person: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "update source set digest = $3, rows_read = $4, persons = $5, merged = $6, rejected = $7,
                               without_contact = $8, complete = 1
             where campaign = $1 and no = $2",
        )
        .bind(campaign)
        .bind(source)
        .bind(digest)
        .bind(sums.rows)
        .bind(sums.persons)
        .bind(sums.merged)
        .bind(sums.rejected)
        .bind(sums.without_contact)
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        sqlx::query("update campaign set last_person = $2 where no = $1")
            .bind(campaign)
            .bind(last_person)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        self.tally(campaign, tallies.iter().cloned());
        Ok(())
    }
}

impl Store {
    /// Puts the contacts of the source being taken in into their table, in its own order: written once from one end to
    /// the other instead of a page here and a page there for every row. Sorting holds no lock on the database.
    pub async fn take_in_contacts(&self, campaign: i64) -> Result<(), StoreError> {
        match self.engine() {
            Engine::Sqlite => self.take_in_contacts_by_parts(campaign).await,
            Engine::Postgres => {
                // Nobody waits for this transaction, however long it takes.
                let mut tx = self.begin().await?;
                for sql in [
                    "insert into contact (campaign, hash, person, ordinal)
                     select $1, hash, person, ordinal from incoming_contact order by hash, person, ordinal
                     on conflict do nothing",
                    "drop table incoming_contact",
                ] {
                    let query = sqlx::query(sql);
                    let query = if sql.contains("$1") { query.bind(campaign) } else { query };
                    query.execute(tx.conn()).await.map_err(|e| self.fail(e))?;
                }
                tx.commit().await
            }
        }
    }

    async fn take_in_contacts_by_parts(&self, campaign: i64) -> Result<(), StoreError> {
        for sql in [
            "drop table if exists sorted_contact",
            "create temporary table sorted_contact as
             select hash, person, ordinal from incoming_contact order by hash, person, ordinal",
            "drop table incoming_contact",
        ] {
            sqlx::query(sql).execute(&self.writer).await.map_err(|e| self.fail(e))?;
        }
        let last: i64 = sqlx::query_scalar("select coalesce(max(rowid), 0) from sorted_contact")
            .fetch_one(&self.writer)
            .await
            .map_err(|e| self.fail(e))?;
        for after in (0..last).step_by(CONTACTS_PER_COMMIT) {
            let mut tx = self.begin().await?;
            sqlx::query(
                "insert into contact (campaign, hash, person, ordinal)
                 select $1, hash, person, ordinal from sorted_contact where rowid > $2 and rowid <= $3
                 order by rowid on conflict do nothing",
            )
            .bind(campaign)
            .bind(after)
            .bind(after + CONTACTS_PER_COMMIT as i64)
            .execute(tx.conn())
            .await
            .map_err(|e| self.fail(e))?;
            tx.commit().await?;
        }
        sqlx::query("drop table sorted_contact").execute(&self.writer).await.map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// The digests of the sources that are completely in.
    pub async fn source_digests(&self, campaign: i64) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar("select digest from source where campaign = $1 and complete = 1 order by no")
            .bind(campaign)
            .fetch_all(&self.readers)
            .await
            .map_err(|e| self.fail(e))
    }
}

/// `(…), (…)` with `columns` bound values a row, then the same literal text in each. SQLite gets bare question marks:
/// it looks numbered ones up one by one, which makes a statement of thousands quadratic.
fn values(engine: Engine, rows: usize, columns: usize, literal: &str) -> String {
    match engine {
        Engine::Sqlite => {
            let row = format!("({}{literal})", vec!["?"; columns].join(","));
            vec![row; rows].join(",")
        }
        Engine::Postgres => {
            let place = |row: usize, column: usize| format!("${}", row * columns + column + 1);
            let row = |row| (0..columns).map(|column| place(row, column)).collect::<Vec<_>>().join(",");
            (0..rows).map(|r| format!("({}{literal})", row(r))).collect::<Vec<_>>().join(",")
        }
    }
}

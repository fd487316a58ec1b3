//! Taking a source in: persons, their sealed data and the keyed hashes of their references, in batches.
//!
//! While the database executes a statement the next one is put together, so that neither waits for the other. What is
//! the same in all rows of an import stands in the statement's text, which stays the same and is prepared once.

mod references;

use super::{Engine, ROWS_PER_STATEMENT, Store, StoreError, Tx, json};
use crate::model::problem::Problem;
use crate::model::time::Micros;
use crate::vault::SealedPerson;
pub use references::{ReferenceHash, References};
use serde_json::json;
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row as _};

/// How the large inserts begin. When a row of one breaks a rule of its table the whole transaction is undone, and not
/// the statement only: SQLite then needs no copy of every page that the statement touches.
const INSERT: &str = "insert or rollback into";

/// A person ready to be written.
#[derive(Clone, Debug)]
pub struct NewPerson {
    pub no: i64,
    /// Row in the source, from 1 below the heading.
    pub row: u64,
    pub ref_hash: ReferenceHash,
    pub reach: String,
    pub locale: String,
    pub country: String,
    pub sealed: SealedPerson,
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

    /// Writes persons. Their references are theirs by [`Tx::take_references`].
    pub async fn add_persons(&mut self, campaign: i64, source: i64, persons: &[&NewPerson]) -> Result<(), StoreError> {
        let engine = self.engine();
        let statements = |some| {
            let persons = insert_persons(engine, campaign, source, some);
            std::iter::once(persons).chain(std::iter::once_with(move || insert_sealed(engine, campaign, some)))
        };
        let mut queries = persons.chunks(ROWS_PER_STATEMENT).flat_map(statements);
        let mut next = queries.next();
        while let Some(query) = next {
            let (done, following) = tokio::join!(query.execute(self.conn()), async { queries.next() });
            done.map_err(|e| self.fail(e))?;
            next = following;
        }
        Ok(())
    }

    /// The person with this number.
    pub async fn stored_person(&mut self, campaign: i64, no: i64) -> Result<Option<StoredPerson>, StoreError> {
        let row = sqlx::query(
            "select p.no, p.source, p.row_no, s.wrapped_key, s.sealed
             from person p join sealed_person s on s.campaign = p.campaign and s.no = p.no
             where p.campaign = $1 and p.no = $2",
        )
        .bind(campaign)
        .bind(no)
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
        (last_person, now): (i64, Micros),
    ) -> Result<(), StoreError> {
        let kept = self.list_fact(campaign, source, digest, sums, now).await?;
        sqlx::query(
            "update source set digest = $3, rows_read = $4, persons = $5, merged = $6, rejected = $7,
                               without_contact = $8, complete = 1, leaf = $9, salt = $10
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
        .bind(kept.leaf.0)
        .bind(kept.salt.to_vec())
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
    /// The digests of the sources that are completely in.
    pub async fn source_digests(&self, campaign: i64) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar("select digest from source where campaign = $1 and complete = 1 order by no")
            .bind(campaign)
            .fetch_all(&self.readers)
            .await
            .map_err(|e| self.fail(e))
    }
}

type Insert = Query<'static, Any, AnyArguments>;

fn insert_persons(engine: Engine, campaign: i64, source: i64, persons: &[&NewPerson]) -> Insert {
    let row = format!("({campaign},?,{source},?,?,?,?,'in_flight'),");
    let columns = "person (campaign, no, source, row_no, reach, locale, country, standing)";
    let mut query = insert(engine, columns, &row, persons.len());
    for p in persons {
        query = query.bind(p.no).bind(p.row as i64);
        query = query.bind(p.reach.as_str()).bind(p.locale.as_str()).bind(p.country.as_str());
    }
    query
}

fn insert_sealed(engine: Engine, campaign: i64, persons: &[&NewPerson]) -> Insert {
    let columns = "sealed_person (campaign, no, wrapped_key, sealed)";
    let mut query = insert(engine, columns, &format!("({campaign},?,?,?),"), persons.len());
    for p in persons {
        query = query.bind(p.no).bind(p.sealed.key.as_slice()).bind(p.sealed.blob.as_slice());
    }
    query
}

/// An insert of many rows, each of the form `row` and with a comma behind it. SQLite gets bare question marks for the
/// places: it looks numbered ones up one by one, which makes a statement of thousands quadratic.
fn insert(engine: Engine, table: &str, row: &str, rows: usize) -> Insert {
    let rows = row.repeat(rows);
    let rows = rows.trim_end_matches(',');
    let sql = match engine {
        Engine::Sqlite => format!("{INSERT} {table} values {rows}"),
        Engine::Postgres => {
            let mut places = rows.split('?').zip(0..);
            let first = places.next().map_or("", |(text, _)| text);
            let numbered: String = places.map(|(text, n)| format!("${n}{text}")).collect();
            format!("insert into {table} values {first}{numbered}")
        }
    };
    sqlx::query(AssertSqlSafe(sql))
}

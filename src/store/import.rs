//! Taking a source in: persons, their sealed data and the keyed hashes of their contacts, in batches.
//!
//! While the database executes a statement the next one is put together, so that neither waits for the other. What is
//! the same in all rows of an import stands in the statement's text, which stays the same and is prepared once.

mod contacts;

use super::{Engine, ROWS_PER_STATEMENT, Store, StoreError, Tx, json};
use crate::model::problem::Problem;
use crate::vault::SealedPerson;
pub use contacts::ContactRuns;
use contacts::HashedContact;
use serde_json::json;
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row as _};
use std::path::{Path, PathBuf};

/// Contacts that one transaction puts into their table: what others wait for at most.
const CONTACTS_PER_COMMIT: usize = 100_000;

/// How the large inserts begin. When a row of one breaks a rule of its table the whole transaction is undone, and not
/// the statement only: SQLite then needs no copy of every page that the statement touches.
const INSERT: &str = "insert or rollback into";

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

impl AsRef<NewPerson> for NewPerson {
    fn as_ref(&self) -> &NewPerson {
        self
    }
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

    /// Writes persons whose reference is new to the campaign and gives back their numbers in order; the others are
    /// left for the caller to merge or refuse. The contacts go another way, see [`Store::take_in_contacts`].
    pub async fn add_persons(
        &mut self,
        campaign: i64,
        source: i64,
        persons: &[impl AsRef<NewPerson>],
    ) -> Result<Vec<i64>, StoreError> {
        let engine = self.engine();
        let mut added = Vec::with_capacity(persons.len());
        let mut chunks = persons.chunks(ROWS_PER_STATEMENT);
        let mut next = chunks.next().map(|some| (some, insert_persons(engine, campaign, source, some)));
        while let Some((some, query)) = next.take() {
            let (written, mut sealed) =
                tokio::join!(query.execute(self.conn()), async { insert_sealed(engine, campaign, some) });
            let written = written.map_err(|e| self.fail(e))?.rows_affected();
            if written == some.len() as u64 {
                added.extend(some.iter().map(|p| p.as_ref().no));
            } else {
                // Only where somebody was there already: asking for every row's number costs more than writing it.
                let numbers = self.numbers_written(campaign, some).await?;
                sealed = insert_sealed(
                    engine,
                    campaign,
                    some.iter().filter(|p| numbers.binary_search(&p.as_ref().no).is_ok()),
                );
                added.extend(numbers);
            }
            let following = async { chunks.next().map(|some| (some, insert_persons(engine, campaign, source, some))) };
            let (done, query) = match sealed {
                Some(sealed) => tokio::join!(sealed.execute(self.conn()), following),
                None => (Ok(Default::default()), following.await),
            };
            done.map_err(|e| self.fail(e))?;
            next = query;
        }
        Ok(added)
    }

    /// Those of the persons whom the database has under these numbers.
    async fn numbers_written(
        &mut self,
        campaign: i64,
        persons: &[impl AsRef<NewPerson>],
    ) -> Result<Vec<i64>, StoreError> {
        let numbers = || persons.iter().map(|p| p.as_ref().no);
        sqlx::query_scalar("select no from person where campaign = $1 and no >= $2 and no <= $3 order by no")
            .bind(campaign)
            .bind(numbers().min().unwrap_or_default())
            .bind(numbers().max().unwrap_or_default())
            .fetch_all(self.conn())
            .await
            .map_err(|e| self.fail(e))
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
    /// Where the contacts of a source wait until it is read.
    pub fn contact_runs(&self) -> ContactRuns {
        let beside = self.path().and_then(Path::parent).filter(|p| !p.as_os_str().is_empty());
        let elsewhere = if self.is_shared() { std::env::temp_dir() } else { PathBuf::from(".") };
        ContactRuns::new(beside.unwrap_or(&elsewhere))
    }

    /// Puts the contacts of a source into their table, in its own order: written once from one end to the other instead
    /// of a page here and a page there for every row.
    pub async fn take_in_contacts(&self, campaign: i64, runs: ContactRuns) -> Result<(), StoreError> {
        let waits = |source| StoreError::Contacts { path: self.shown(), source };
        let mut contacts = runs.sorted().map_err(waits)?;
        let mut some = Vec::with_capacity(ROWS_PER_STATEMENT);
        let mut following = || {
            contacts.take(ROWS_PER_STATEMENT, &mut some).map_err(waits)?;
            Ok::<_, StoreError>((!some.is_empty()).then(|| insert_contacts(self.engine(), campaign, &some)))
        };
        let mut next = following()?;
        while next.is_some() {
            let mut tx = self.begin().await?;
            for _ in 0..CONTACTS_PER_COMMIT / ROWS_PER_STATEMENT {
                let Some(query) = next.take() else { break };
                let (done, query) = tokio::join!(query.execute(tx.conn()), async { following() });
                done.map_err(|e| self.fail(e))?;
                next = query?;
            }
            tx.commit().await?;
        }
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

type Insert = Query<'static, Any, AnyArguments>;

fn insert_persons(engine: Engine, campaign: i64, source: i64, persons: &[impl AsRef<NewPerson>]) -> Insert {
    let row = format!("({campaign},?,{source},?,?,?,?,?,'in_flight'),");
    let columns = "person (campaign, no, source, row_no, ref_hash, reach, locale, country, standing)";
    let mut query = insert(engine, columns, &row, persons.len(), "on conflict do nothing");
    for p in persons.iter().map(AsRef::as_ref) {
        query = query.bind(p.no).bind(p.row as i64).bind(p.ref_hash.as_slice());
        query = query.bind(p.reach.as_str()).bind(p.locale.as_str()).bind(p.country.as_str());
    }
    query
}

/// Nothing where there is nobody.
fn insert_sealed<'p, P: AsRef<NewPerson> + 'p>(
    engine: Engine,
    campaign: i64,
    persons: impl IntoIterator<Item = &'p P>,
) -> Option<Insert> {
    let persons: Vec<&NewPerson> = persons.into_iter().map(AsRef::as_ref).collect();
    if persons.is_empty() {
        return None;
    }
    let columns = "sealed_person (campaign, no, wrapped_key, sealed)";
    let mut query = insert(engine, columns, &format!("({campaign},?,?,?),"), persons.len(), "");
    for p in persons {
        query = query.bind(p.no).bind(p.sealed.key.as_slice()).bind(p.sealed.blob.as_slice());
    }
    Some(query)
}

fn insert_contacts(engine: Engine, campaign: i64, contacts: &[HashedContact]) -> Insert {
    let columns = "contact (campaign, hash, person, ordinal)";
    let mut query = insert(engine, columns, &format!("({campaign},?,?,?),"), contacts.len(), "on conflict do nothing");
    for contact in contacts {
        query = query.bind(contact.hash).bind(contact.person).bind(i64::from(contact.ordinal));
    }
    query
}

/// An insert of many rows, each of the form `row` and with a comma behind it. SQLite gets bare question marks for the
/// places: it looks numbered ones up one by one, which makes a statement of thousands quadratic.
fn insert(engine: Engine, table: &str, row: &str, rows: usize, after: &str) -> Insert {
    let rows = row.repeat(rows);
    let rows = rows.trim_end_matches(',');
    let sql = match engine {
        Engine::Sqlite => format!("{INSERT} {table} values {rows} {after}"),
        Engine::Postgres => {
            let mut places = rows.split('?').zip(0..);
            let first = places.next().map_or("", |(text, _)| text);
            let numbered: String = places.map(|(text, n)| format!("${n}{text}")).collect();
            format!("insert into {table} values {first}{numbered} {after}")
        }
    };
    sqlx::query(AssertSqlSafe(sql))
}

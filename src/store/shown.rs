//! What stands behind the leaves of the log, as far as a proof shows it.

use super::leaf::LeafRef;
use super::{Store, StoreError, json};
use crate::model::notice::NoticeId;
use crate::model::time::Micros;
use sqlx::any::AnyRow;
use std::collections::{BTreeSet, HashMap};

/// An attempt with its two leaves.
#[derive(Clone, Debug)]
pub struct ShownAttempt {
    pub notice: NoticeId,
    pub no: i64,
    pub route: String,
    pub provider: String,
    pub started_at: Micros,
    pub finished_at: Option<Micros>,
    pub class: String,
    pub code: String,
    pub text: String,
    pub provider_id: Option<String>,
    pub started: Option<LeafRef>,
    pub ended: Option<LeafRef>,
}

/// A fact with a salt of its own: its leaf, and what is committed to in it, by label.
#[derive(Clone, Debug)]
pub struct ShownFact {
    pub at: Micros,
    /// What it is: `list`, `approval`, `receipt`, or the word of a note.
    pub what: String,
    pub leaf: LeafRef,
    pub salt: Vec<u8>,
    pub values: Vec<(&'static str, String)>,
    /// The notice it is about, if any.
    pub notice: Option<NoticeId>,
}

impl Store {
    /// Every attempt to reach a person, in the order of starting.
    pub async fn shown_attempts(&self, campaign: i64, person: i64) -> Result<Vec<ShownAttempt>, StoreError> {
        let (first, last) = NoticeId::range_of(person);
        let rows = sqlx::query(
            "select notice, no, route, provider, started_at, finished_at, class, code, text, provider_id, start_leaf,
                    end_leaf
             from attempt where campaign = $1 and notice >= $2 and notice <= $3 order by started_at, notice, no",
        )
        .bind(campaign)
        .bind(first)
        .bind(last)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        let text = |row: &AnyRow, at| Ok::<_, StoreError>(self.get::<Option<String>>(row, at)?.unwrap_or_default());
        rows.iter()
            .map(|row| {
                Ok(ShownAttempt {
                    notice: NoticeId(self.get(row, 0)?),
                    no: self.get(row, 1)?,
                    route: self.get(row, 2)?,
                    provider: self.get(row, 3)?,
                    started_at: self.get(row, 4)?,
                    finished_at: self.get(row, 5)?,
                    class: text(row, 6)?,
                    code: text(row, 7)?,
                    text: text(row, 8)?,
                    provider_id: self.get(row, 9)?,
                    started: self.get::<Option<i64>>(row, 10)?.map(LeafRef),
                    ended: self.get::<Option<i64>>(row, 11)?.map(LeafRef),
                })
            })
            .collect()
    }

    /// The other facts about a person: what came back, and what people did and found out.
    pub async fn shown_of_person(&self, campaign: i64, person: i64) -> Result<Vec<ShownFact>, StoreError> {
        let (first, last) = NoticeId::range_of(person);
        let mut facts = Vec::new();
        let receipts = sqlx::query(
            "select received_at, leaf, salt, coalesce(provider_id, ''), text, notice from receipt
             where campaign = $1 and notice >= $2 and notice <= $3 and leaf is not null",
        );
        let rows = receipts.bind(campaign).bind(first).bind(last).fetch_all(&self.readers).await;
        for row in rows.map_err(|e| self.fail(e))? {
            let values = vec![("id", self.get(&row, 3)?), ("text", self.get(&row, 4)?)];
            let notice = Some(NoticeId(self.get(&row, 5)?));
            facts.push(self.fact_shown(&row, "receipt".to_owned(), values, notice)?);
        }
        let notes = sqlx::query(
            "select at, leaf, salt, what, by_name, text, notice from note
             where campaign = $1 and notice >= $2 and notice <= $3 and leaf is not null",
        );
        let rows = notes.bind(campaign).bind(first).bind(last).fetch_all(&self.readers).await;
        for row in rows.map_err(|e| self.fail(e))? {
            let values = vec![("by", self.get(&row, 4)?), ("text", self.get(&row, 5)?)];
            let notice = Some(NoticeId(self.get(&row, 6)?));
            facts.push(self.fact_shown(&row, self.get(&row, 3)?, values, notice)?);
        }
        facts.sort_by_key(|fact| fact.at);
        Ok(facts)
    }

    /// The facts about the campaign as a whole: lists, approvals, and what was done to it.
    pub async fn shown_of_campaign(&self, campaign: i64) -> Result<Vec<ShownFact>, StoreError> {
        let mut facts = Vec::new();
        let fetch = |sql: &'static str| sqlx::query(sql).bind(campaign).fetch_all(&self.readers);
        let rows = fetch("select 0, leaf, salt, digest from source where campaign = $1 and leaf is not null").await;
        for row in rows.map_err(|e| self.fail(e))? {
            facts.push(self.fact_shown(&row, "list".to_owned(), vec![("list", self.get(&row, 3)?)], None)?);
        }
        let rows =
            fetch("select at, leaf, salt, by_name, list_digest from approval where campaign = $1 and leaf is not null");
        for row in rows.await.map_err(|e| self.fail(e))? {
            let values = vec![("by", self.get(&row, 3)?), ("list", self.get(&row, 4)?)];
            facts.push(self.fact_shown(&row, "approval".to_owned(), values, None)?);
        }
        let rows = fetch(
            "select at, leaf, salt, what, by_name, text from note
             where campaign = $1 and notice is null and leaf is not null",
        );
        for row in rows.await.map_err(|e| self.fail(e))? {
            let values = vec![("by", self.get(&row, 4)?), ("text", self.get(&row, 5)?)];
            facts.push(self.fact_shown(&row, self.get(&row, 3)?, values, None)?);
        }
        Ok(facts)
    }

    fn fact_shown(
        &self,
        row: &AnyRow,
        what: String,
        values: Vec<(&'static str, String)>,
        notice: Option<NoticeId>,
    ) -> Result<ShownFact, StoreError> {
        let (at, leaf, salt) = (self.get(row, 0)?, LeafRef(self.get(row, 1)?), self.get(row, 2)?);
        Ok(ShownFact { at, what, leaf, salt, values, notice })
    }
}

/// A leaf about a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AboutPerson {
    pub person: i64,
    pub leaf: LeafRef,
}

impl Store {
    /// Every leaf about the persons with these numbers, in no order.
    pub async fn leaves_about(&self, campaign: i64, first: i64, last: i64) -> Result<Vec<AboutPerson>, StoreError> {
        let (from, to) = (NoticeId::range_of(first).0, NoticeId::range_of(last).1);
        let rows: Vec<(i64, Option<i64>, Option<i64>)> = sqlx::query_as(
            "select notice, start_leaf, end_leaf from attempt where campaign = $1 and notice >= $2 and notice <= $3
             union all
             select notice, leaf, null from receipt where campaign = $1 and notice >= $2 and notice <= $3
             union all
             select notice, leaf, null from note where campaign = $1 and notice >= $2 and notice <= $3",
        )
        .bind(campaign)
        .bind(from)
        .bind(to)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        let leaves = rows.into_iter().flat_map(|(notice, one, two)| {
            let person = NoticeId(notice).person();
            [one, two].into_iter().flatten().map(move |leaf| AboutPerson { person, leaf: LeafRef(leaf) })
        });
        Ok(leaves.collect())
    }

    /// The index in the log of the first leaf of these rows of leaves, by their keys.
    pub async fn places(&self, keys: &BTreeSet<i64>) -> Result<HashMap<i64, u64>, StoreError> {
        let mut places = HashMap::with_capacity(keys.len());
        let keys: Vec<[i64; 1]> = keys.iter().map(|key| [*key]).collect();
        for some in keys.chunks(5_000) {
            let rows: Vec<(i64, i64)> = sqlx::query_as(
                "select b.key, p.first from json_each($1) as j
                 join leaf_batch b on b.key = cast(j.value ->> 0 as bigint) join leaf_place p on p.batch = b.id",
            )
            .bind(json(some))
            .fetch_all(&self.readers)
            .await
            .map_err(|e| self.fail(e))?;
            places.extend(rows.into_iter().map(|(key, first)| (key, first.unsigned_abs())));
        }
        Ok(places)
    }
}

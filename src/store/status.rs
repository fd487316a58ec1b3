//! The sums of a campaign, read from the tallies; and the same sums counted anew, to check them.

use super::import::SourceSums;
use super::{Store, StoreError};
use crate::model::campaign::CampaignState;
use crate::model::notice::NoticeState;
use crate::model::person::Standing;
use crate::model::problem::Problem;
use std::collections::BTreeMap;

/// Where a campaign stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub persons: BTreeMap<&'static str, i64>,
    pub notices: BTreeMap<&'static str, i64>,
    pub attempts: i64,
    /// Accepted notices by route.
    pub sent: BTreeMap<String, i64>,
    /// What came back, by event.
    pub receipts: BTreeMap<String, i64>,
    pub by_locale: BTreeMap<String, i64>,
    pub by_country: BTreeMap<String, i64>,
    /// Persons with at least one contact of the kind, by `e` and `p`.
    pub by_contact: BTreeMap<String, i64>,
}

impl Sums {
    pub fn person(&self, standing: Standing) -> i64 {
        self.persons.get(standing.as_str()).copied().unwrap_or(0)
    }

    pub fn notice(&self, state: NoticeState) -> i64 {
        self.notices.get(state.as_str()).copied().unwrap_or(0)
    }

    /// The number of persons: always the sum of the standings.
    pub fn persons_total(&self) -> i64 {
        self.persons.values().sum()
    }
}

/// A source as reports show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRow {
    pub no: i64,
    pub name: String,
    pub digest: String,
    pub encoding: String,
    pub delimiter: String,
    pub sums: SourceSums,
    pub complete: bool,
}

impl Store {
    pub async fn sums(&self, campaign: i64) -> Result<Sums, StoreError> {
        let rows: Vec<(String, String, i64)> = sqlx::query_as("select kind, name, n from tally where campaign = $1")
            .bind(campaign)
            .fetch_all(&self.readers)
            .await
            .map_err(|e| self.fail(e))?;
        let mut sums = empty();
        for (kind, name, n) in rows {
            self.add(&mut sums, &kind, name, n)?;
        }
        Ok(sums)
    }

    /// Of every campaign, by its id: its state, and of its sums those that metrics show.
    pub async fn sums_of_all(&self) -> Result<BTreeMap<String, (CampaignState, Sums)>, StoreError> {
        let rows: Vec<(String, String, String, String, i64)> = sqlx::query_as(
            "select c.id, c.state, coalesce(t.kind, ''), coalesce(t.name, ''), coalesce(t.n, 0)
             from campaign c
             left join tally t on t.campaign = c.no and t.kind in ('person', 'notice', 'attempts', 'sent', 'receipt')",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        let mut all = BTreeMap::new();
        for (id, state, kind, name, n) in rows {
            let state = self.word(&state, CampaignState::parse)?;
            let (_, sums) = all.entry(id).or_insert_with(|| (state, empty()));
            // A campaign without a sum yet.
            if !kind.is_empty() {
                self.add(sums, &kind, name, n)?;
            }
        }
        Ok(all)
    }

    fn add(&self, sums: &mut Sums, kind: &str, name: String, n: i64) -> Result<(), StoreError> {
        match kind {
            "person" => *sums.persons.entry(self.word(&name, Standing::parse)?.as_str()).or_default() += n,
            "notice" => *sums.notices.entry(self.word(&name, NoticeState::parse)?.as_str()).or_default() += n,
            "attempts" => sums.attempts += n,
            "sent" => *sums.sent.entry(name).or_default() += n,
            "receipt" => *sums.receipts.entry(name).or_default() += n,
            "locale" => *sums.by_locale.entry(name).or_default() += n,
            "country" => *sums.by_country.entry(name).or_default() += n,
            "contact" => *sums.by_contact.entry(name).or_default() += n,
            other => return Err(self.unreadable(format!("the sum `{other}`"))),
        }
        Ok(())
    }

    /// The standings counted from the persons themselves.
    pub async fn counted_persons(&self, campaign: i64) -> Result<BTreeMap<&'static str, i64>, StoreError> {
        let sql = "select standing, count(*) from person where campaign = $1 group by 1";
        let query = sqlx::query_as::<_, (String, i64)>(sql).bind(campaign);
        let mut persons = empty().persons;
        for (name, n) in query.fetch_all(&self.readers).await.map_err(|e| self.fail(e))? {
            persons.insert(self.word(&name, Standing::parse)?.as_str(), n);
        }
        Ok(persons)
    }

    /// The same sums counted from the rows themselves: what `doctor` and the tests compare with [`Store::sums`].
    pub async fn counted(&self, campaign: i64) -> Result<Sums, StoreError> {
        let mut sums = empty();
        let pairs = |sql: &'static str| sqlx::query_as::<_, (String, i64)>(sql).bind(campaign).fetch_all(&self.readers);
        let fail = |e| self.fail(e);
        sums.persons = self.counted_persons(campaign).await?;
        for (name, n) in
            pairs("select state, count(*) from notice where campaign = $1 group by 1").await.map_err(fail)?
        {
            sums.notices.insert(self.word(&name, NoticeState::parse)?.as_str(), n);
        }
        for (_, n) in pairs("select '', count(*) from attempt where campaign = $1").await.map_err(fail)? {
            sums.attempts = n;
        }
        let sent = "select route, count(*) from attempt where campaign = $1 and class = 'accepted' group by 1";
        sums.sent = pairs(sent).await.map_err(fail)?.into_iter().collect();
        let receipts = "select event, count(*) from receipt where campaign = $1 group by 1";
        sums.receipts = pairs(receipts).await.map_err(fail)?.into_iter().collect();
        let locale = "select locale, count(*) from person where campaign = $1 group by 1";
        sums.by_locale = pairs(locale).await.map_err(fail)?.into_iter().collect();
        let country = "select country, count(*) from person where campaign = $1 group by 1";
        sums.by_country = pairs(country).await.map_err(fail)?.into_iter().collect();
        for (reach, n) in
            pairs("select reach, count(*) from person where campaign = $1 group by 1").await.map_err(fail)?
        {
            for letter in ["e", "p"] {
                if reach.contains(letter) {
                    *sums.by_contact.entry(letter.into()).or_default() += n;
                }
            }
        }
        Ok(sums)
    }

    pub async fn sources(&self, campaign: i64) -> Result<Vec<SourceRow>, StoreError> {
        let rows = sqlx::query(
            "select no, name, digest, encoding, delimiter, rows_read, persons, merged, rejected, without_contact, complete
             from source where campaign = $1 order by no",
        )
        .bind(campaign)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        rows.iter()
            .map(|row| {
                Ok(SourceRow {
                    no: self.get(row, 0)?,
                    name: self.get(row, 1)?,
                    digest: self.get(row, 2)?,
                    encoding: self.get(row, 3)?,
                    delimiter: self.get(row, 4)?,
                    sums: SourceSums {
                        rows: self.get(row, 5)?,
                        persons: self.get(row, 6)?,
                        merged: self.get(row, 7)?,
                        rejected: self.get(row, 8)?,
                        without_contact: self.get(row, 9)?,
                    },
                    complete: self.get::<i64>(row, 10)? == 1,
                })
            })
            .collect()
    }

    /// The first problems of a campaign's rows: (code kept as text, since older versions may have known others).
    pub async fn row_problems(&self, campaign: i64, most: usize) -> Result<Vec<(String, Problem)>, StoreError> {
        let rows = sqlx::query(
            "select row_no, field, code, message from row_problem where campaign = $1
             order by source, row_no, n limit $2",
        )
        .bind(campaign)
        .bind(most as i64)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        rows.iter()
            .map(|row| {
                let code: String = self.get(row, 2)?;
                let mut problem = Problem::new("row", self.get::<String>(row, 1)?, self.get::<String>(row, 3)?);
                // Row 0 is the source as a whole.
                problem.row = Some(self.get::<i64>(row, 0)? as u64).filter(|row| *row > 0);
                Ok((code, problem))
            })
            .collect()
    }

    /// Failed and held notices by why: (state, reason, how many).
    pub async fn failures(&self, campaign: i64) -> Result<Vec<(String, String, i64)>, StoreError> {
        sqlx::query_as(
            "select state, coalesce(reason, ''), count(*) from notice
             where campaign = $1 and (state = 'failed' or (state = 'unknown' and due_at is null))
             group by 1, 2 order by 1, 2",
        )
        .bind(campaign)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))
    }
}

fn empty() -> Sums {
    Sums {
        persons: Standing::ALL.iter().map(|s| (s.as_str(), 0)).collect(),
        notices: NoticeState::ALL.iter().map(|s| (s.as_str(), 0)).collect(),
        ..Sums::default()
    }
}

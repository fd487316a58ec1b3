//! The queue of open cases: ranking new ones, finding the most urgent, taking one, giving it back.

use super::super::{Store, StoreError, Tx, json};
use super::CaseRow;
use crate::model::contact::Role;
use crate::model::notice::{NoticeId, NoticeState};
use crate::model::outcome::Class;
use crate::model::time::Micros;
use crate::vault::SealedPerson;
use sqlx::AssertSqlSafe;
use std::collections::HashMap;

/// An open case that the desk has not looked at.
#[derive(Clone, Debug)]
pub struct Unranked {
    pub person: i64,
    pub call_owed: bool,
    pub opened_at: Micros,
    pub speak_to: Option<Role>,
    pub sealed: SealedPerson,
    pub notices: Vec<(NoticeState, Option<Class>)>,
}

/// An open case that may be taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub campaign: i64,
    pub person: i64,
    pub due_at: Micros,
    pub call_back: Option<Micros>,
}

/// A case in a list.
#[derive(Clone, Debug)]
pub struct CaseLine {
    pub person: i64,
    pub case: CaseRow,
    pub standing: String,
    pub locale: String,
    pub country: String,
    pub sealed: SealedPerson,
}

/// Behind which case a list goes on: its due time and person.
pub type ListPlace = (Micros, i64);

impl Store {
    /// How many cases are open, counted up to `most`.
    pub async fn count_open_cases(&self, campaign: i64, most: i64) -> Result<i64, StoreError> {
        sqlx::query_scalar(
            "select count(*) from (select 1 from desk_case where campaign = $1 and is_open = 1 limit $2) as open_case",
        )
        .bind(campaign)
        .bind(most)
        .fetch_one(&self.readers)
        .await
        .map_err(|e| self.fail(e))
    }

    /// Up to `limit` open cases that the desk has not looked at, with what their rank is made from.
    pub async fn unranked_cases(&self, campaign: i64, limit: usize) -> Result<Vec<Unranked>, StoreError> {
        let rows = sqlx::query(
            "select c.person, c.why, c.opened_at, c.speak_to, s.wrapped_key, s.sealed from desk_case c
             join sealed_person s on s.campaign = c.campaign and s.no = c.person
             where c.campaign = $1 and c.is_open = 1 and c.due_at is null order by c.person limit $2",
        )
        .bind(campaign)
        .bind(limit as i64)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        let mut found: Vec<Unranked> = Vec::with_capacity(rows.len());
        for row in &rows {
            let role = self.get::<Option<String>>(row, 3)?.map(|role| self.word(&role, Role::parse)).transpose()?;
            found.push(Unranked {
                person: self.get(row, 0)?,
                call_owed: self.get::<String>(row, 1)? == "call",
                opened_at: self.get(row, 2)?,
                speak_to: role,
                sealed: SealedPerson { key: self.get(row, 4)?, blob: self.get(row, 5)? },
                notices: Vec::new(),
            });
        }
        let persons: Vec<serde_json::Value> = found.iter().map(|c| serde_json::json!([c.person])).collect();
        let notices: Vec<(i64, String, Option<String>)> = sqlx::query_as(self.engine().by_batch(
            "select n.id, n.state, n.reason from json_each($2) as j
             join notice n on n.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
                          and n.id >= cast(j.value ->> 0 as bigint) * 4096
                          and n.id < (cast(j.value ->> 0 as bigint) + 1) * 4096",
        ))
        .bind(campaign)
        .bind(json(&persons))
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        let mut of: HashMap<i64, Vec<(NoticeState, Option<Class>)>> = HashMap::new();
        for (id, state, reason) in notices {
            let reason = reason.map(|class| self.word(&class, Class::parse)).transpose()?;
            of.entry(NoticeId(id).person()).or_default().push((self.word(&state, NoticeState::parse)?, reason));
        }
        for case in &mut found {
            case.notices = of.remove(&case.person).unwrap_or_default();
        }
        Ok(found)
    }

    /// Up to `limit` cases of each kind that may be taken now, the most urgent first: call-backs whose time has come, and
    /// the others.
    pub async fn candidates(&self, campaign: i64, limit: usize) -> Result<Vec<Candidate>, StoreError> {
        let now = self.engine().now();
        let free = format!("(lease_until is null or lease_until <= {now})");
        let called_back = format!(
            "select person, not_before, not_before from desk_case
             where campaign = $1 and is_open = 1 and not_before is not null and not_before <= {now} and {free}
             order by not_before, person limit $2"
        );
        let others = format!(
            "select person, due_at, not_before from desk_case
             where campaign = $1 and is_open = 1 and not_before is null and due_at is not null and {free}
             order by due_at, person limit $2"
        );
        let mut found = Vec::new();
        for sql in [called_back, others] {
            let rows: Vec<(i64, Micros, Option<Micros>)> = sqlx::query_as(AssertSqlSafe(sql))
                .bind(campaign)
                .bind(limit as i64)
                .fetch_all(&self.readers)
                .await
                .map_err(|e| self.fail(e))?;
            found.extend(rows.into_iter().map(|(person, due_at, call_back)| Candidate {
                campaign,
                person,
                due_at,
                call_back,
            }));
        }
        Ok(found)
    }

    /// Up to `limit` open cases behind `after`, by the time they are due: held ones, those with a call-back, and free ones.
    pub async fn list_cases(
        &self,
        campaign: i64,
        holder: Option<&str>,
        after: ListPlace,
        limit: usize,
    ) -> Result<Vec<CaseLine>, StoreError> {
        let (sql, by) = match holder {
            Some(holder) => ("c.holder = $5", holder),
            None => ("$5 = $5", ""),
        };
        // Two ranges of two indexes, each read no further than a page.
        let part = |time: &str, which: &str| {
            format!(
                "select * from (select c.person, {time} as place, {}, p.standing, p.locale, p.country, s.wrapped_key, s.sealed
                 from desk_case c
                 join person p on p.campaign = c.campaign and p.no = c.person
                 join sealed_person s on s.campaign = c.campaign and s.no = c.person
                 where c.campaign = $1 and c.is_open = 1 and {which} and {time} >= $2
                   and ({time} > $2 or c.person > $3) and {sql}
                 order by {time}, c.person limit $4) as some_{}",
                super::CASE,
                &time[2..]
            )
        };
        let sql = format!(
            "{} union all {} order by 2, 1 limit $4",
            part("c.due_at", "c.not_before is null"),
            part("c.not_before", "c.not_before is not null")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(campaign)
            .bind(after.0)
            .bind(after.1)
            .bind(limit as i64)
            .bind(by)
            .fetch_all(&self.readers)
            .await
            .map_err(|e| self.fail(e))?;
        rows.iter()
            .map(|row| {
                Ok(CaseLine {
                    person: self.get(row, 0)?,
                    case: self.case_of(row, 2)?.ok_or_else(|| self.unreadable("a case without a reason"))?,
                    standing: self.get(row, 13)?,
                    locale: self.get(row, 14)?,
                    country: self.get(row, 15)?,
                    sealed: SealedPerson { key: self.get(row, 16)?, blob: self.get(row, 17)? },
                })
            })
            .collect()
    }
}

impl Tx<'_> {
    /// Writes down how urgent cases are: (person, tier, due at). One that was closed or ranked meanwhile stays as it is.
    pub async fn rank_cases(&mut self, campaign: i64, ranks: &[(i64, &'static str, Micros)]) -> Result<(), StoreError> {
        let rows: Vec<_> = ranks.iter().map(|(person, tier, due_at)| (person, tier, due_at)).collect();
        sqlx::query(self.engine().by_batch(
            "update desk_case set tier = j.value ->> 1, due_at = cast(j.value ->> 2 as bigint)
             from json_each($2) as j
             where desk_case.campaign = $1 + 0 * cast(j.value ->> 0 as bigint)
               and desk_case.person = cast(j.value ->> 0 as bigint)
               and desk_case.is_open = 1 and desk_case.due_at is null",
        ))
        .bind(campaign)
        .bind(json(&rows))
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// Gives an open case to somebody for so long, unless somebody else holds it; until when, by the database's clock.
    pub async fn take_case(
        &mut self,
        campaign: i64,
        person: i64,
        by: &str,
        lease: Micros,
    ) -> Result<Option<Micros>, StoreError> {
        self.hold_case(campaign, person, by, lease, "holder = $3 or").await
    }

    /// As [`Tx::take_case`], also not where the same person holds it already: what the next case is.
    pub async fn take_free_case(
        &mut self,
        campaign: i64,
        person: i64,
        by: &str,
        lease: Micros,
    ) -> Result<Option<Micros>, StoreError> {
        self.hold_case(campaign, person, by, lease, "").await
    }

    async fn hold_case(
        &mut self,
        campaign: i64,
        person: i64,
        by: &str,
        lease: Micros,
        or: &str,
    ) -> Result<Option<Micros>, StoreError> {
        let now = self.engine().now();
        let sql = format!(
            "update desk_case set holder = $3, lease_until = {now} + $4, changed_at = {now}
             where campaign = $1 and person = $2 and is_open = 1
               and ({or} lease_until is null or lease_until <= {now}) returning lease_until"
        );
        sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(campaign)
            .bind(person)
            .bind(by)
            .bind(lease)
            .fetch_optional(self.conn())
            .await
            .map_err(|e| self.fail(e))
    }

    /// Gives a case back; false where it is not theirs.
    pub async fn release_case(
        &mut self,
        campaign: i64,
        person: i64,
        by: &str,
        now: Micros,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "update desk_case set holder = null, lease_until = null, changed_at = $4
             where campaign = $1 and person = $2 and holder = $3",
        )
        .bind(campaign)
        .bind(person)
        .bind(by)
        .bind(now)
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives back everything that somebody holds; how many cases.
    pub async fn release_all(&mut self, campaign: i64, by: &str, now: Micros) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "update desk_case set holder = null, lease_until = null, changed_at = $3 where campaign = $1 and holder = $2",
        )
        .bind(campaign)
        .bind(by)
        .bind(now)
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(done.rows_affected())
    }

    /// Puts an open case off until then and gives it back.
    pub async fn put_off(&mut self, campaign: i64, person: i64, until: Micros, now: Micros) -> Result<(), StoreError> {
        sqlx::query(
            "update desk_case set not_before = $3, holder = null, lease_until = null, changed_at = $4
             where campaign = $1 and person = $2 and is_open = 1",
        )
        .bind(campaign)
        .bind(person)
        .bind(until)
        .bind(now)
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// The script speaks to somebody else from now on; the case is ranked anew.
    pub async fn speak_to(&mut self, campaign: i64, person: i64, role: Role) -> Result<(), StoreError> {
        sqlx::query(
            "update desk_case set speak_to = $3, tier = null, due_at = null where campaign = $1 and person = $2",
        )
        .bind(campaign)
        .bind(person)
        .bind(role.as_str())
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }
}

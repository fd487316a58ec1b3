//! The cases of the desk: who needs a human, who works on it, what was noted about a person.
//!
//! Cases are made and closed by triggers on what makes them so (see the migrations); here they are read, ranked, taken
//! and given back. All leases go by the database's clock, so that the clocks of the hosts do not matter.

mod correct;
mod queue;

pub use correct::Correction;
pub use queue::{Candidate, CaseLine, ListPlace, Unranked};

use super::receipt::{CALL, OPEN_CALL};
use super::{Store, StoreError, Tx};
use crate::model::contact::Role;
use crate::model::notice::{NoticeId, NoticeState};
use crate::model::outcome::Class;
use crate::model::person::Standing;
use crate::model::time::Micros;
use crate::vault::SealedPerson;
use sqlx::any::AnyRow;

/// A case as stored.
#[derive(Clone, Debug)]
pub struct CaseRow {
    /// `human` or `call`.
    pub why: String,
    pub is_open: bool,
    pub opened_at: Micros,
    pub tier: Option<String>,
    pub due_at: Option<Micros>,
    pub not_before: Option<Micros>,
    pub calls: i64,
    pub speak_to: Option<Role>,
    pub holder: Option<String>,
    pub lease_until: Option<Micros>,
    pub reason: Option<String>,
}

/// One notice of a person, as the desk sees it.
#[derive(Clone, Debug)]
pub struct PersonNotice {
    pub id: NoticeId,
    pub state: NoticeState,
    pub reason: Option<Class>,
    pub due_at: Option<Micros>,
    pub attempts: i64,
    pub route: Option<String>,
    pub changed_at: Micros,
    /// A call that lies on a sheet and was not made.
    pub open_call: bool,
}

/// A person with everything the desk decides by.
#[derive(Clone, Debug)]
pub struct DeskPerson {
    pub no: i64,
    pub source: i64,
    pub row: i64,
    pub locale: String,
    pub country: String,
    pub reach: String,
    pub standing: Standing,
    pub sealed: SealedPerson,
    pub case: Option<CaseRow>,
    pub notices: Vec<PersonNotice>,
    /// The database's time.
    pub now: Micros,
}

/// A note about one person.
#[derive(Clone, Copy, Debug)]
pub struct NewNote<'a> {
    pub notice: NoticeId,
    pub at: Micros,
    pub by: &'a str,
    pub what: &'a str,
    pub text: &'a str,
    pub sealed: Option<&'a [u8]>,
}

/// A note about one person, as stored.
#[derive(Clone, Debug)]
pub struct PersonNote {
    pub notice: NoticeId,
    pub at: Micros,
    pub by: String,
    pub what: String,
    pub text: String,
    pub sealed: Option<Vec<u8>>,
}

/// An attempt to reach a person.
#[derive(Clone, Debug)]
pub struct PersonAttempt {
    pub notice: NoticeId,
    pub no: i64,
    pub route: String,
    pub provider: String,
    pub started_at: Micros,
    pub finished_at: Option<Micros>,
    pub class: Option<String>,
    pub code: Option<String>,
    pub text: Option<String>,
}

const CASE: &str = "c.why, c.is_open, c.opened_at, c.tier, c.due_at, c.not_before, c.calls, c.speak_to, c.holder,
    c.lease_until, c.reason";

impl Store {
    /// The person with this reference, by the keyed hash it is found by.
    pub async fn desk_person(&self, campaign: i64, ref_hash: &[u8; 16]) -> Result<Option<DeskPerson>, StoreError> {
        let mut tx = self.begin().await?;
        let no: Option<i64> = sqlx::query_scalar("select person from reference where campaign = $1 and hash = $2")
            .bind(campaign)
            .bind(ref_hash.to_vec())
            .fetch_optional(tx.conn())
            .await
            .map_err(|e| self.fail(e))?;
        let found = match no {
            None => None,
            Some(no) => tx.desk_person(campaign, no).await?,
        };
        tx.commit().await?;
        Ok(found)
    }

    /// What was noted about a person, in order.
    pub async fn person_notes(&self, campaign: i64, person: i64) -> Result<Vec<PersonNote>, StoreError> {
        let (first, last) = NoticeId::range_of(person);
        let rows = sqlx::query(
            "select notice, at, by_name, what, text, sealed from note
             where campaign = $1 and notice >= $2 and notice <= $3 order by at, id",
        )
        .bind(campaign)
        .bind(first)
        .bind(last)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        rows.iter()
            .map(|row| {
                Ok(PersonNote {
                    notice: NoticeId(self.get(row, 0)?),
                    at: self.get(row, 1)?,
                    by: self.get(row, 2)?,
                    what: self.get(row, 3)?,
                    text: self.get(row, 4)?,
                    sealed: self.get(row, 5)?,
                })
            })
            .collect()
    }

    /// Every attempt to reach a person, in the order of starting.
    pub async fn person_attempts(&self, campaign: i64, person: i64) -> Result<Vec<PersonAttempt>, StoreError> {
        let (first, last) = NoticeId::range_of(person);
        let rows = sqlx::query(
            "select notice, no, route, provider, started_at, finished_at, class, code, text from attempt
             where campaign = $1 and notice >= $2 and notice <= $3 order by started_at, notice, no",
        )
        .bind(campaign)
        .bind(first)
        .bind(last)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.fail(e))?;
        rows.iter()
            .map(|row| {
                Ok(PersonAttempt {
                    notice: NoticeId(self.get(row, 0)?),
                    no: self.get(row, 1)?,
                    route: self.get(row, 2)?,
                    provider: self.get(row, 3)?,
                    started_at: self.get(row, 4)?,
                    finished_at: self.get(row, 5)?,
                    class: self.get(row, 6)?,
                    code: self.get(row, 7)?,
                    text: self.get(row, 8)?,
                })
            })
            .collect()
    }

    fn case_of(&self, row: &AnyRow, from: usize) -> Result<Option<CaseRow>, StoreError> {
        let Some(why) = self.get::<Option<String>>(row, from)? else { return Ok(None) };
        let speak_to =
            self.get::<Option<String>>(row, from + 7)?.map(|role| self.word(&role, Role::parse)).transpose()?;
        Ok(Some(CaseRow {
            why,
            is_open: self.get::<i64>(row, from + 1)? == 1,
            opened_at: self.get(row, from + 2)?,
            tier: self.get(row, from + 3)?,
            due_at: self.get(row, from + 4)?,
            not_before: self.get(row, from + 5)?,
            calls: self.get(row, from + 6)?,
            speak_to,
            holder: self.get(row, from + 8)?,
            lease_until: self.get(row, from + 9)?,
            reason: self.get(row, from + 10)?,
        }))
    }

    fn notice_of(&self, row: &AnyRow) -> Result<PersonNotice, StoreError> {
        let reason = self.get::<Option<String>>(row, 2)?.map(|class| self.word(&class, Class::parse)).transpose()?;
        Ok(PersonNotice {
            id: NoticeId(self.get(row, 0)?),
            state: self.word(&self.get::<String>(row, 1)?, NoticeState::parse)?,
            reason,
            due_at: self.get(row, 3)?,
            attempts: self.get(row, 4)?,
            route: self.get(row, 5)?,
            changed_at: self.get(row, 6)?,
            open_call: self.get::<i64>(row, 7)? == 1,
        })
    }
}

impl Tx<'_> {
    /// A person as the desk sees them; nobody else changes person or notices before this transaction ends.
    pub async fn desk_person(&mut self, campaign: i64, no: i64) -> Result<Option<DeskPerson>, StoreError> {
        self.hold_persons(campaign, [no].into_iter()).await?;
        let sql = format!(
            "select p.source, p.row_no, p.locale, p.country, p.reach, p.standing, s.wrapped_key, s.sealed, {}, {CASE}
             from person p
             join sealed_person s on s.campaign = p.campaign and s.no = p.no
             left join desk_case c on c.campaign = p.campaign and c.person = p.no
             where p.campaign = $1 and p.no = $2",
            self.engine().now()
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(campaign)
            .bind(no)
            .fetch_optional(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        let Some(row) = row else { return Ok(None) };
        let notices = self.person_notices(campaign, no).await?;
        let store = self.store;
        Ok(Some(DeskPerson {
            no,
            source: store.get(&row, 0)?,
            row: store.get(&row, 1)?,
            locale: store.get(&row, 2)?,
            country: store.get(&row, 3)?,
            reach: store.get(&row, 4)?,
            standing: store.word(&store.get::<String>(&row, 5)?, Standing::parse)?,
            sealed: SealedPerson { key: store.get(&row, 6)?, blob: store.get(&row, 7)? },
            now: store.get(&row, 8)?,
            case: store.case_of(&row, 9)?,
            notices,
        }))
    }

    async fn person_notices(&mut self, campaign: i64, person: i64) -> Result<Vec<PersonNotice>, StoreError> {
        let (first, last) = NoticeId::range_of(person);
        let sql = format!(
            "select n.id, n.state, n.reason, n.due_at, n.attempts, n.route, n.changed_at,
                    case when {OPEN_CALL} then 1 else 0 end
             from notice n where n.campaign = $1 and n.id >= $2 and n.id <= $3 order by n.id{}",
            self.engine().locking("n")
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(campaign)
            .bind(first)
            .bind(last)
            .fetch_all(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        rows.iter().map(|row| self.store.notice_of(row)).collect()
    }

    /// How the calls that stand under this notice ended so far, in order.
    pub async fn calls_under(&mut self, campaign: i64, notice: NoticeId) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar("select text from note where campaign = $1 and notice = $2 and what = $3 order by id")
            .bind(campaign)
            .bind(notice.0)
            .bind(CALL)
            .fetch_all(self.conn())
            .await
            .map_err(|e| self.fail(e))
    }

    /// Notes something about one person.
    pub async fn add_person_note(&mut self, campaign: i64, note: &NewNote<'_>) -> Result<(), StoreError> {
        let words = (note.by, note.what, note.text);
        let kept = self.note_fact(campaign, Some(note.notice), note.at, words, note.sealed).await?;
        sqlx::query(
            "insert into note (campaign, notice, at, by_name, what, text, sealed, leaf, salt)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(campaign)
        .bind(note.notice.0)
        .bind(note.at)
        .bind(note.by)
        .bind(note.what)
        .bind(note.text)
        .bind(note.sealed.map(<[u8]>::to_vec))
        .bind(kept.leaf.0)
        .bind(kept.salt.to_vec())
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// A call was made: counted, and where the case was open for a call on a sheet alone, closed when that has ended.
    pub(super) async fn count_call(&mut self, campaign: i64, person: i64, now: Micros) -> Result<(), StoreError> {
        sqlx::query("update desk_case set calls = calls + 1, changed_at = $3 where campaign = $1 and person = $2")
            .bind(campaign)
            .bind(person)
            .bind(now)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        self.close_needless(campaign, person, now).await?;
        Ok(())
    }

    /// Closes the case of a call that lies on no sheet any more, unless the person needs a human; true where it is closed.
    pub async fn close_needless(&mut self, campaign: i64, person: i64, now: Micros) -> Result<bool, StoreError> {
        let sql = format!(
            "update desk_case set is_open = 0, not_before = null, holder = null, lease_until = null, changed_at = $3
             where campaign = $1 and person = $2 and is_open = 1
               and not exists (select 1 from person p where p.campaign = $1 and p.no = $2 and p.standing = 'needs_human')
               and not exists (select 1 from notice n where n.campaign = $1 and n.id >= $4 and n.id <= $5 and {OPEN_CALL})"
        );
        let (first, last) = NoticeId::range_of(person);
        let closed = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(campaign)
            .bind(person)
            .bind(now)
            .bind(first)
            .bind(last)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        Ok(closed.rows_affected() == 1)
    }
}

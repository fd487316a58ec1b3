//! Campaigns and the notes of what people did to them.

use super::engine::{Engine, Hold, lock_campaign};
use super::{Store, StoreError, Tx};
use crate::model::campaign::{CampaignState, Digests};
use crate::model::incident::CampaignKind;
use crate::model::time::Micros;
use crate::vault::SubjectKey;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

/// A campaign as stored.
#[derive(Clone, Debug)]
pub struct Campaign {
    pub no: i64,
    pub id: String,
    pub incident: String,
    pub kind: CampaignKind,
    pub title: String,
    /// Never `Finished`: see [`crate::store::status`].
    pub state: CampaignState,
    pub reason: Option<String>,
    pub created_at: Micros,
    pub created_by: String,
    pub started_at: Option<Micros>,
    /// The text of the incident file.
    pub incident_file: String,
    /// JSON of the template files.
    pub templates: String,
    /// JSON of the sender.
    pub sender: String,
    pub digests: Digests,
    pub keys: Vec<u8>,
    pub last_person: i64,
    pub planned: i64,
}

const COLUMNS: &str = "no, id, incident, kind, title, state, reason, created_at, created_by, started_at, incident_file,
    templates, sender, list_digest, texts_digest, ladder_digest, keys, last_person, planned";

/// The tables that hold a part of their own for every campaign.
const PARTITIONED: [&str; 10] = [
    "row_problem",
    "person",
    "sealed_person",
    "reference",
    "notice",
    "attempt",
    "known_as",
    "receipt",
    "note",
    "desk_case",
];

const STATES: &str = "select no, state from campaign order by no";

impl Store {
    pub async fn campaigns(&self) -> Result<Vec<Campaign>, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(format!("select {COLUMNS} from campaign order by no")))
            .fetch_all(&self.readers)
            .await
            .map_err(|e| self.fail(e))?;
        rows.iter().map(|row| self.campaign_of(row)).collect()
    }

    pub async fn campaign(&self, id: &str) -> Result<Option<Campaign>, StoreError> {
        let row = sqlx::query(AssertSqlSafe(format!("select {COLUMNS} from campaign where id = $1")))
            .bind(id)
            .fetch_optional(&self.readers)
            .await
            .map_err(|e| self.fail(e))?;
        row.as_ref().map(|row| self.campaign_of(row)).transpose()
    }

    pub async fn campaign_of_incident(
        &self,
        incident: &str,
        kind: CampaignKind,
    ) -> Result<Option<Campaign>, StoreError> {
        let sql = format!("select {COLUMNS} from campaign where incident = $1 and kind = $2");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(incident)
            .bind(kind.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(|e| self.fail(e))?;
        row.as_ref().map(|row| self.campaign_of(row)).transpose()
    }

    /// Number and state of every campaign: what a worker asks for several times a second.
    pub async fn campaign_states(&self) -> Result<Vec<(i64, CampaignState)>, StoreError> {
        let rows = sqlx::query(STATES).fetch_all(&self.readers).await.map_err(|e| self.fail(e))?;
        self.states_of(&rows)
    }

    fn states_of(&self, rows: &[AnyRow]) -> Result<Vec<(i64, CampaignState)>, StoreError> {
        rows.iter()
            .map(|row| Ok((self.get(row, 0)?, self.word(&self.get::<String>(row, 1)?, CampaignState::parse)?)))
            .collect()
    }

    fn campaign_of(&self, row: &AnyRow) -> Result<Campaign, StoreError> {
        Ok(Campaign {
            no: self.get(row, 0)?,
            id: self.get(row, 1)?,
            incident: self.get(row, 2)?,
            kind: self.word(&self.get::<String>(row, 3)?, CampaignKind::parse)?,
            title: self.get(row, 4)?,
            state: self.word(&self.get::<String>(row, 5)?, CampaignState::parse)?,
            reason: self.get(row, 6)?,
            created_at: self.get(row, 7)?,
            created_by: self.get(row, 8)?,
            started_at: self.get(row, 9)?,
            incident_file: self.get(row, 10)?,
            templates: self.get(row, 11)?,
            sender: self.get(row, 12)?,
            digests: Digests { list: self.get(row, 13)?, texts: self.get(row, 14)?, ladder: self.get(row, 15)? },
            keys: self.get(row, 16)?,
            last_person: self.get(row, 17)?,
            planned: self.get(row, 18)?,
        })
    }

    pub(super) fn get<'r, T>(&self, row: &'r AnyRow, at: usize) -> Result<T, StoreError>
    where
        T: sqlx::Decode<'r, sqlx::Any> + sqlx::Type<sqlx::Any>,
    {
        row.try_get(at).map_err(|e| self.fail(e))
    }

    /// A stored word as its enum.
    pub(super) fn word<T>(&self, word: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, StoreError> {
        parse(word).ok_or_else(|| self.unreadable(format!("the word `{word}`")))
    }
}

impl Tx<'_> {
    /// As [`Store::campaign_states`]; nobody can change them before this transaction ends.
    pub async fn campaign_states(&mut self) -> Result<Vec<(i64, CampaignState)>, StoreError> {
        let rows = sqlx::query(STATES).fetch_all(self.conn()).await.map_err(|e| self.fail(e))?;
        self.store.states_of(&rows)
    }

    /// The number the next campaign gets; nobody else is given it before this transaction ends, or ever: what was made
    /// for a campaign (tokens that providers know, an archive) must not fit another after it was dropped.
    pub async fn next_campaign_no(&mut self) -> Result<i64, StoreError> {
        if self.engine() == Engine::Postgres {
            let alone = "lock table campaign in share row exclusive mode";
            sqlx::query(alone).execute(self.conn()).await.map_err(|e| self.fail(e))?;
        }
        let given: String = sqlx::query_scalar(
            "insert into meta (name, value)
             values ('last-campaign', (select cast(coalesce(max(no), 0) + 1 as text) from campaign))
             on conflict (name) do update set value = (select cast(max(n) + 1 as text) from (
                 select cast(meta.value as bigint) as n union all select coalesce(max(no), 0) from campaign) as known)
             returning value",
        )
        .fetch_one(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        given.parse().map_err(|_| self.store.unreadable(format!("the campaign number `{given}`")))
    }

    pub async fn insert_campaign(&mut self, c: &Campaign) -> Result<(), StoreError> {
        sqlx::query(
            "insert into campaign (no, id, incident, kind, title, state, created_at, created_by, incident_file, templates,
                                   sender, list_digest, texts_digest, ladder_digest, keys, subjects)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        )
        .bind(c.no)
        .bind(&c.id)
        .bind(&c.incident)
        .bind(c.kind.as_str())
        .bind(&c.title)
        .bind(c.state.as_str())
        .bind(c.created_at)
        .bind(&c.created_by)
        .bind(&c.incident_file)
        .bind(&c.templates)
        .bind(&c.sender)
        .bind(&c.digests.list)
        .bind(&c.digests.texts)
        .bind(&c.digests.ladder)
        .bind(c.keys.as_slice())
        .bind(SubjectKey::new().bytes().to_vec())
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        self.made_campaign = true;
        self.make_partitions(c.no).await
    }

    /// Gives a campaign its own part of the large tables.
    async fn make_partitions(&mut self, no: i64) -> Result<(), StoreError> {
        if self.engine() == Engine::Sqlite {
            return Ok(());
        }
        for table in PARTITIONED {
            // Made first and attached then: to make it as a partition would lock the table against all who send.
            let sql = format!(
                "create table {table}_{no} (like {table} including all) with (fillfactor = {});
                 alter table {table} attach partition {table}_{no} for values in ({no})",
                if matches!(table, "notice" | "attempt" | "person" | "desk_case") { 70 } else { 100 }
            );
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.conn()).await.map_err(|e| self.fail(e))?;
        }
        // The planner's samples would keep keys after they were erased.
        let sql = format!(
            "alter table sealed_person_{no} alter column wrapped_key set statistics 0, alter column sealed set statistics 0"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.conn()).await.map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// Replaces what the campaign says and whom it tells; only before its start.
    pub async fn update_campaign_content(&mut self, c: &Campaign) -> Result<(), StoreError> {
        sqlx::query(
            "update campaign set title = $2, incident_file = $3, templates = $4, sender = $5, list_digest = $6,
                                 texts_digest = $7, ladder_digest = $8
             where no = $1",
        )
        .bind(c.no)
        .bind(&c.title)
        .bind(&c.incident_file)
        .bind(&c.templates)
        .bind(&c.sender)
        .bind(&c.digests.list)
        .bind(&c.digests.texts)
        .bind(&c.digests.ladder)
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// Moves the campaign from one of `from` to `to`; false when it was in none of them.
    pub async fn move_campaign(
        &mut self,
        no: i64,
        from: &[CampaignState],
        to: CampaignState,
        reason: Option<&str>,
        now: Micros,
    ) -> Result<bool, StoreError> {
        if self.engine() == Engine::Postgres {
            let sql = lock_campaign(no, Hold::Alone);
            let sql = sql.trim_start_matches("; ").to_owned();
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.conn()).await.map_err(|e| self.fail(e))?;
        }
        let from: Vec<serde_json::Value> = from.iter().map(|s| serde_json::json!([s.as_str()])).collect();
        let changed = sqlx::query(
            "update campaign set state = $2, reason = $3,
                    started_at = case when $2 = 'running' then coalesce(started_at, $4) else started_at end
             where no = $1 and state in (select value ->> 0 from json_each($5))",
        )
        .bind(no)
        .bind(to.as_str())
        .bind(reason)
        .bind(now)
        .bind(super::json(&from))
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(changed.rows_affected() == 1)
    }

    /// Takes a campaign that has sent nothing out of the database, its list and all.
    pub async fn drop_list(&mut self, no: i64) -> Result<(), StoreError> {
        if self.engine() == Engine::Postgres {
            let parts = ["reference", "sealed_person", "person", "row_problem"].map(|table| format!("{table}_{no}"));
            let sql = format!("truncate {}", parts.join(", "));
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.conn()).await.map_err(|e| self.fail(e))?;
        }
        self.drop_trees(no).await?;
        for sql in [
            "delete from reference where campaign = $1",
            "delete from sealed_person where campaign = $1",
            "delete from person where campaign = $1",
            "delete from row_problem where campaign = $1",
            "delete from source where campaign = $1",
            "delete from tally where campaign = $1",
            "update campaign set last_person = 0, planned = 0 where no = $1",
        ] {
            sqlx::query(sql).bind(no).execute(self.conn()).await.map_err(|e| self.fail(e))?;
        }
        Ok(())
    }

    /// Removes what an interrupted import left behind: its source, and persons beyond the last one that counts.
    pub async fn drop_incomplete_source(&mut self, no: i64) -> Result<(), StoreError> {
        for sql in [
            "delete from reference where campaign = $1
                and person > (select last_person from campaign where campaign.no = $1)",
            "delete from sealed_person where campaign = $1
                and no > (select last_person from campaign where campaign.no = $1)",
            "delete from person where campaign = $1 and no > (select last_person from campaign where campaign.no = $1)",
            "delete from row_problem where campaign = $1
                and source in (select no from source where campaign = $1 and complete = 0)",
            "delete from source where campaign = $1 and complete = 0",
        ] {
            sqlx::query(sql).bind(no).execute(self.conn()).await.map_err(|e| self.fail(e))?;
        }
        Ok(())
    }

    pub async fn add_note(
        &mut self,
        campaign: i64,
        at: Micros,
        by: &str,
        what: &str,
        text: &str,
    ) -> Result<(), StoreError> {
        let kept = self.note_fact(campaign, None, at, (by, what, text), None).await?;
        sqlx::query(
            "insert into note (campaign, at, by_name, what, text, leaf, salt) values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(campaign)
        .bind(at)
        .bind(by)
        .bind(what)
        .bind(text)
        .bind(kept.leaf.0)
        .bind(kept.salt.to_vec())
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }
}

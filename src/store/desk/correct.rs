//! What the desk changes about a person: contacts, language, standing.

use super::super::{StoreError, Tx};
use super::DeskPerson;
use crate::model::channel::Channel;
use crate::model::notice::{NoticeId, NoticeState};
use crate::model::person::Standing;
use crate::model::time::Micros;
use crate::vault::SealedPerson;
use std::collections::BTreeMap;

/// A person as they are after a correction.
#[derive(Clone, Debug)]
pub struct Correction {
    pub reach: String,
    pub locale: String,
    pub sealed: SealedPerson,
}

/// Sums by kind of contact count the persons who can be reached that way.
const KINDS: [char; 2] = ['e', 'p'];

impl Tx<'_> {
    /// Writes a changed person down; contacts that are not used any more keep their place.
    pub async fn correct_person(
        &mut self,
        campaign: i64,
        before: &DeskPerson,
        after: &Correction,
    ) -> Result<(), StoreError> {
        sqlx::query("update person set reach = $3, locale = $4 where campaign = $1 and no = $2")
            .bind(campaign)
            .bind(before.no)
            .bind(&after.reach)
            .bind(&after.locale)
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        sqlx::query("update sealed_person set wrapped_key = $3, sealed = $4 where campaign = $1 and no = $2")
            .bind(campaign)
            .bind(before.no)
            .bind(after.sealed.key.as_slice())
            .bind(after.sealed.blob.as_slice())
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        let mut changes = Vec::new();
        for kind in KINDS {
            let n = i64::from(after.reach.contains(kind)) - i64::from(before.reach.contains(kind));
            changes.push(("contact".to_owned(), kind.to_string(), n));
        }
        changes.push(("locale".to_owned(), before.locale.clone(), -1));
        changes.push(("locale".to_owned(), after.locale.clone(), 1));
        self.tally(campaign, changes);
        Ok(())
    }

    /// Queues a notice to a contact at once and has the person in flight. Calls that lie on a sheet are called off, and
    /// what waits for the person at contacts that are not used any more (`needless`) is suppressed.
    pub async fn send_to_corrected(
        &mut self,
        campaign: i64,
        notice: NoticeId,
        channel: Channel,
        needless: impl Fn(NoticeId) -> bool,
        now: Micros,
    ) -> Result<(), StoreError> {
        let mut changes = self.suppress_waiting(campaign, notice, needless, now).await?;
        changes.extend(self.cancel_calls_of(campaign, notice.person(), now).await?);
        let queued = self.queue_at_once(campaign, notice, channel, now).await?;
        changes.push(("notice".into(), "queued".into(), queued));
        let wanted = BTreeMap::from([(notice.person(), Standing::InFlight)]);
        changes.extend(self.stand_anew(campaign, &wanted).await?);
        self.tally(campaign, changes);
        sqlx::query("update desk_case set reason = null where campaign = $1 and person = $2")
            .bind(campaign)
            .bind(notice.person())
            .execute(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// Suppresses what waits for a person and is needless.
    pub async fn suppress_needless_of(
        &mut self,
        campaign: i64,
        person: i64,
        needless: impl Fn(NoticeId) -> bool,
        now: Micros,
    ) -> Result<(), StoreError> {
        let changes = self.suppress_waiting(campaign, NoticeId::of_person(person), needless, now).await?;
        self.tally(campaign, changes);
        Ok(())
    }

    /// Ends a case: the person stands there for the reason, and nothing that waits for them is sent. `told`: a human told
    /// them, which a notice of its own says from now on.
    pub async fn close_case(
        &mut self,
        campaign: i64,
        person: i64,
        (standing, reason, told): (Standing, &str, bool),
        now: Micros,
    ) -> Result<(), StoreError> {
        let by_hand = NoticeId::by_hand(person);
        let mut changes = self.suppress_waiting(campaign, by_hand, |_| true, now).await?;
        changes.extend(self.cancel_calls_of(campaign, person, now).await?);
        if told {
            changes.extend(self.put_notice(campaign, by_hand, NoticeState::Acknowledged, now).await?);
        }
        changes.extend(self.stand_anew(campaign, &BTreeMap::from([(person, standing)])).await?);
        self.tally(campaign, changes);
        sqlx::query(
            "update desk_case set is_open = 0, not_before = null, holder = null, lease_until = null, reason = $3,
                    changed_at = $4 where campaign = $1 and person = $2",
        )
        .bind(campaign)
        .bind(person)
        .bind(reason)
        .bind(now)
        .execute(self.conn())
        .await
        .map_err(|e| self.fail(e))?;
        Ok(())
    }

    /// Opens a case again: whoever was told by a human only is not known to be told any more.
    pub async fn reopen_case(&mut self, campaign: i64, person: &DeskPerson, now: Micros) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        for notice in person.notices.iter().filter(|n| n.state == NoticeState::Acknowledged) {
            if notice.id.channel() == Some(Channel::Phone) {
                changes.extend(self.put_notice(campaign, notice.id, NoticeState::Unknown, now).await?);
            }
        }
        changes.extend(self.stand_anew(campaign, &BTreeMap::from([(person.no, Standing::NeedsHuman)])).await?);
        self.tally(campaign, changes);
        Ok(())
    }

    /// Calls off the calls to a person that lie on a sheet; the changes to the sums.
    async fn cancel_calls_of(
        &mut self,
        campaign: i64,
        person: i64,
        now: Micros,
    ) -> Result<Vec<(String, String, i64)>, StoreError> {
        let (first, last) = NoticeId::range_of(person);
        let sql = format!(
            "select n.id, n.state from notice n where n.campaign = $1 and n.id >= $2 and n.id <= $3 and {}",
            super::OPEN_CALL
        );
        let calls: Vec<(i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(campaign)
            .bind(first)
            .bind(last)
            .fetch_all(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        self.suppress(campaign, calls, now).await
    }

    /// Gives a notice of a call this state, making it where there is none; the changes to the sums.
    async fn put_notice(
        &mut self,
        campaign: i64,
        notice: NoticeId,
        state: NoticeState,
        now: Micros,
    ) -> Result<Vec<(String, String, i64)>, StoreError> {
        let before: Option<String> = sqlx::query_scalar("select state from notice where campaign = $1 and id = $2")
            .bind(campaign)
            .bind(notice.0)
            .fetch_optional(self.conn())
            .await
            .map_err(|e| self.fail(e))?;
        self.move_call(campaign, notice, (state, None), now).await?;
        let mut changes = vec![("notice".to_owned(), state.as_str().to_owned(), 1)];
        changes.extend(before.map(|state| ("notice".to_owned(), state, -1)));
        Ok(changes)
    }
}

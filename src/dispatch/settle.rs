//! Moving notices by what came back: the rules of [`crate::model::apply_receipt`] applied to a batch.
//!
//! A receipt is taken once: the same event twice is a duplicate, whichever report brought it. One that speaks of an
//! attempt which has not ended is written down and applied with that attempt's outcome, in its transaction.

use crate::model::book::{Book, Spoken, Taken};
use crate::model::incident::CampaignPlan;
use crate::model::ladder::Evidence;
use crate::model::notice::{NoticeId, NoticeState};
use crate::model::overdue::Reporting;
use crate::model::receipt::{Event, Receipt};
use crate::model::time::Micros;
use crate::store::settle::{KnownReceipt, NewReceipt};
use crate::store::{StoreError, Tx};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A receipt that has found its notice.
#[derive(Clone, Debug)]
pub struct Matched {
    pub notice: NoticeId,
    pub attempt: i64,
    pub report: i64,
    /// Of the attempt.
    pub route: String,
    pub receipt: Receipt,
    pub received_at: Micros,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It moved something, or will when its attempt ends.
    Applied,
    /// It is written down and changed nothing.
    Late,
    /// It was written down before.
    Duplicate,
    /// Another has the notice in hand at this moment; nothing is written down.
    Busy,
}

/// What the attempts of a notice have said so far.
#[derive(Default)]
struct Said {
    /// Signs of what was written down.
    signs: BTreeSet<i64>,
    /// By attempt: it failed by a receipt, and when.
    failed: BTreeMap<i64, Option<Micros>>,
}

/// Settles receipts of one campaign in their order; what became of each. The campaign's state is held.
pub async fn settle(
    tx: &mut Tx<'_>,
    campaign: i64,
    plan: &CampaignPlan,
    reporting: &(dyn Fn(&str) -> Reporting + Sync),
    matched: Vec<Matched>,
    now: Micros,
) -> Result<Vec<Settled>, StoreError> {
    let notices: BTreeSet<NoticeId> = matched.iter().map(|m| m.notice).collect();
    let persons: BTreeSet<i64> = notices.iter().map(|n| n.person()).collect();
    let mut books = tx.open_books(campaign, &persons).await?;
    let mut said = said(tx.receipts_of(campaign, &notices).await?);
    let mut settled = Vec::with_capacity(matched.len());
    let mut new = Vec::new();
    for m in matched {
        let Some(book) = books.get_mut(&m.notice.person()) else {
            settled.push(Settled::Busy);
            continue;
        };
        let sign = sign(&m);
        let said = said.entry(m.notice).or_default();
        if !said.signs.insert(sign) {
            settled.push(Settled::Duplicate);
            continue;
        }
        let failed = said.failed.get(&m.attempt).copied();
        let spoken = Spoken {
            notice: m.notice,
            attempt: m.attempt,
            event: m.receipt.event,
            at: m.receipt.at,
            reporting: at_least_deliveries(reporting(&m.route)),
            failed,
        };
        let taken = book.apply(plan, &spoken, now, rand::random());
        if taken != Taken::Early {
            note_failure(said, &spoken);
        }
        settled.push(if taken == Taken::Late { Settled::Late } else { Settled::Applied });
        let state = (taken != Taken::Early).then(|| state_of(book, m.notice));
        new.push(written(m, sign, state));
    }
    tx.close_books(campaign, &books, now).await?;
    tx.add_receipts(campaign, &new).await?;
    Ok(settled)
}

/// Applies the receipts that came before the outcomes which are recorded in this transaction.
pub(super) async fn settle_early(
    tx: &mut Tx<'_>,
    campaign: i64,
    plan: &CampaignPlan,
    reporting: &(dyn Fn(&str) -> Reporting + Sync),
    notices: impl Iterator<Item = NoticeId>,
    now: Micros,
) -> Result<(), StoreError> {
    if !tx.any_early(campaign).await? {
        return Ok(());
    }
    let early = tx.early_receipts(campaign, &notices.collect()).await?;
    if early.is_empty() {
        return Ok(());
    }
    let notices: BTreeSet<NoticeId> = early.iter().map(|r| r.notice).collect();
    let persons: BTreeSet<i64> = notices.iter().map(|n| n.person()).collect();
    // This transaction has these notices; another notice of the same person may be with somebody else for a moment, and
    // is then waited for: what came early must not be left behind.
    let mut books = tx.open_books_patiently(campaign, &persons).await?;
    let mut said = said(tx.receipts_of(campaign, &notices).await?);
    let mut applied = Vec::with_capacity(early.len());
    for receipt in early {
        let Some(book) = books.get_mut(&receipt.notice.person()) else { continue };
        let said = said.entry(receipt.notice).or_default();
        let spoken = Spoken {
            notice: receipt.notice,
            attempt: receipt.attempt,
            event: receipt.event,
            at: receipt.at,
            reporting: at_least_deliveries(reporting(&receipt.route)),
            failed: said.failed.get(&receipt.attempt).copied(),
        };
        if book.apply(plan, &spoken, now, rand::random()) == Taken::Early {
            continue;
        }
        note_failure(said, &spoken);
        applied.push((receipt.id, state_of(book, receipt.notice)));
    }
    tx.close_books(campaign, &books, now).await?;
    tx.applied_after_all(campaign, &applied).await
}

/// Nobody waits any more for the reports of these notices; those that are unknown by that. The campaign's state is held.
pub async fn end_waiting(
    tx: &mut Tx<'_>,
    campaign: i64,
    plan: &CampaignPlan,
    notices: &[NoticeId],
    now: Micros,
) -> Result<Vec<NoticeId>, StoreError> {
    let persons: BTreeSet<i64> = notices.iter().map(|n| n.person()).collect();
    let mut books = tx.open_books(campaign, &persons).await?;
    // Whose person another has in hand at this moment waits for the next time.
    let mut lost = |notice: &&NoticeId| {
        let book = books.get_mut(&notice.person());
        book.is_some_and(|book| book.end_waiting(plan, **notice, now))
    };
    let lost: Vec<NoticeId> = notices.iter().filter(|notice| lost(notice)).copied().collect();
    tx.close_books(campaign, &books, now).await?;
    Ok(lost)
}

/// Whoever has reported something about a notice reports deliveries.
fn at_least_deliveries(reporting: Reporting) -> Reporting {
    Reporting { best: reporting.best.max(Evidence::Delivered), ..reporting }
}

fn said(known: Vec<KnownReceipt>) -> HashMap<NoticeId, Said> {
    let mut said: HashMap<NoticeId, Said> = HashMap::new();
    for receipt in known {
        let of_notice = said.entry(receipt.notice).or_default();
        of_notice.signs.insert(receipt.sign);
        if receipt.applied && matches!(receipt.event, Event::Failed(_)) {
            of_notice.failed.insert(receipt.attempt, receipt.at);
        }
    }
    said
}

fn note_failure(said: &mut Said, spoken: &Spoken) {
    if matches!(spoken.event, Event::Failed(_)) {
        said.failed.insert(spoken.attempt, spoken.at);
    }
}

fn state_of(book: &Book, notice: NoticeId) -> NoticeState {
    book.entry(notice).map_or(NoticeState::Unknown, |entry| entry.state)
}

fn written(m: Matched, sign: i64, state: Option<NoticeState>) -> NewReceipt {
    NewReceipt {
        notice: m.notice,
        attempt: m.attempt,
        report: m.report,
        route: m.route,
        event: m.receipt.event,
        code: m.receipt.code,
        text: m.receipt.text,
        provider_id: m.receipt.provider_id,
        at: m.receipt.at,
        received_at: m.received_at,
        sign,
        state,
    }
}

/// What two reports of the same event have in common. Where the provider numbers its events, the number; else all that
/// it says of the event, but for its words.
fn sign(m: &Matched) -> i64 {
    let r = &m.receipt;
    let class = match r.event {
        Event::Failed(class) => class.as_str(),
        Event::Progress | Event::Delivered | Event::Acknowledged | Event::Complained => "",
    };
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: &str| {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    };
    add(r.event.as_str());
    match &r.event_id {
        Some(id) => add(id),
        None => {
            for part in [class, &r.code, r.provider_id.as_deref().unwrap_or_default()] {
                add(part);
            }
            add(&r.at.map(|at| at.to_string()).unwrap_or_default());
            add(&m.attempt.to_string());
        }
    }
    let hash = *hasher.finalize().as_bytes();
    i64::from_be_bytes(std::array::from_fn(|at| hash[at]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::channel::Channel;
    use crate::model::outcome::Class;

    #[test]
    fn the_same_event_has_the_same_sign() {
        let one = Matched {
            notice: NoticeId::new(1, 0, Channel::Email),
            attempt: 1,
            report: 1,
            route: "mail".into(),
            receipt: Receipt {
                token: None,
                provider_id: Some("m1".into()),
                address: None,
                event: Event::Failed(Class::BadAddress),
                code: "550".into(),
                text: "gone".into(),
                at: Some(5),
                event_id: None,
            },
            received_at: 7,
        };
        let with = |change: fn(&mut Matched)| {
            let mut other = one.clone();
            change(&mut other);
            sign(&other)
        };
        let same: [fn(&mut Matched); 3] =
            [|m| m.report = 2, |m| m.received_at = 8, |m| m.receipt.text = "no such user".into()];
        let other: [fn(&mut Matched); 5] = [
            |m| m.attempt = 2,
            |m| m.receipt.event = Event::Delivered,
            |m| m.receipt.code = "551".into(),
            |m| m.receipt.at = Some(6),
            |m| m.receipt.event_id = Some("e1".into()),
        ];
        assert!(same.into_iter().all(|change| with(change) == sign(&one)));
        assert!(other.into_iter().all(|change| with(change) != sign(&one)));
        let numbered = |at: i64, id: &str| {
            let mut m = one.clone();
            (m.receipt.at, m.receipt.event_id) = (Some(at), Some(id.to_owned()));
            sign(&m)
        };
        assert!(numbered(1, "e1") == numbered(2, "e1") && numbered(1, "e1") != numbered(1, "e2"));
    }
}

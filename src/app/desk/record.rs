//! How a call ended, whether it was read from a call sheet or said at the desk: one path for both.

use super::{Actor, DeskCampaign};
use crate::app::{App, AppError};
use crate::desk::hours::Hours;
use crate::intake::locale_of;
use crate::model::apply_disposition::{AfterCall, DeskCall, NotACall, apply_at_desk, apply_disposition, turns_to};
use crate::model::campaign::CampaignState;
use crate::model::channel::{Channel, ContactKind};
use crate::model::contact::Role;
use crate::model::disposition::{Disposition, Dispositions, Then};
use crate::model::nearest::suggestion;
use crate::model::notice::{NoticeId, NoticeState};
use crate::model::person::{Person, RETIRED, Standing};
use crate::model::personal::Personal;
use crate::model::problem::Problem;
use crate::model::time::{HOUR, Micros};
use crate::store::Tx;
use crate::store::desk::{Correction, DeskPerson};
use crate::store::receipt::EndedCall;

/// How long after a call that reached nobody the next one is proposed.
const APART: Micros = 2 * HOUR;

/// A call that somebody at the desk made or took.
#[derive(Clone, Debug, Default)]
pub struct Call<'a> {
    /// Id or name of the disposition.
    pub disposition: &'a str,
    /// The number that was called, counted from 1 among the person's contacts; else the one on the sheet, else the first.
    pub contact: Option<usize>,
    pub remark: Option<Personal>,
    /// When to call back, see [`crate::desk::hours::Clock::call_back`].
    pub call_back: Option<&'a str>,
    /// A call-back outside the person's hours, because they asked for it.
    pub anyway: bool,
    /// The language that is needed, as a tag or a name.
    pub language: Option<&'a str>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Called {
    pub campaign: String,
    pub disposition: String,
    pub standing: Standing,
    pub call_back: Option<Micros>,
    /// The call-back by the clock on the person's wall.
    pub call_back_there: Option<String>,
    /// The channel on which a notice was queued.
    pub queued: Option<Channel>,
    pub next: String,
}

/// A disposition on its way into the books.
pub(in crate::app) struct Ending<'a> {
    pub notice: NoticeId,
    pub disposition: &'a Disposition,
    pub remark: Option<&'a Personal>,
    /// The person is spoken and written to in this language from now on.
    pub locale: Option<String>,
}

impl App {
    /// Records how a call ended that somebody made for a person, whether a call was foreseen or not.
    pub async fn desk_call(
        &self,
        (campaign, no): (&DeskCampaign, i64),
        call: &Call<'_>,
        actor: Actor<'_>,
    ) -> Result<Called, AppError> {
        let list = dispositions()?;
        let disposition = find(&list, call.disposition)?;
        let mut tx = self.store.begin().await?;
        let before = campaign.held_person(&mut tx, no).await?;
        campaign.take(&mut tx, &before, actor.by).await?;
        let person = campaign.open(&before)?;
        let notice = called(&before, &person, call.contact)?;
        let call_back = call_back(&before, &person, disposition, call, actor.now)?;
        let ending =
            Ending { notice, disposition, remark: call.remark.as_ref(), locale: locale(disposition, call.language)? };
        let after = match decided(campaign, &before, notice, disposition) {
            Ok(after) => after,
            Err(why) => return Err(refusal(why, &before).into()),
        };
        let after = campaign.record(&mut tx, &before, &ending, after, actor).await?;
        if let Some(at) = call_back {
            tx.put_off(campaign.campaign.no, no, at, actor.now).await?;
        }
        let now_stands = campaign.held_person(&mut tx, no).await?;
        tx.commit().await?;
        self.remove_tasks(campaign.campaign.no, &settled_calls(&before, &now_stands))?;
        Ok(Called {
            campaign: campaign.campaign.id.clone(),
            disposition: disposition.id.clone(),
            standing: now_stands.standing,
            call_back_there: match call_back {
                Some(at) => Hours::built_in()?.of(&super::story::country(&person)).local(at),
                None => None,
            },
            call_back,
            queued: after.next.map(|planned| planned.channel),
            next: super::story::next_step(&now_stands, &person, disposition.then),
        })
    }
}

impl DeskCampaign {
    /// Writes down how a call ended: remark, person, notices, standing, sums, case. `before` is the person as held by this
    /// transaction, `after` what the disposition means by itself.
    pub(in crate::app) async fn record(
        &self,
        tx: &mut Tx<'_>,
        before: &DeskPerson,
        ending: &Ending<'_>,
        mut after: AfterCall,
        actor: Actor<'_>,
    ) -> Result<AfterCall, AppError> {
        let (no, ladder) = (self.campaign.no, &self.plan.ladder);
        let person = self.open(before)?;
        let changed = changed(&person, ending);
        let now_is = changed.as_ref().unwrap_or(&person);
        let role = turns_to(ending.disposition.then);
        if let Some(role) = role {
            let roles: Vec<Role> = now_is.contacts.iter().map(|c| c.role).collect();
            let noticed: Vec<NoticeId> = before.notices.iter().map(|n| n.id).collect();
            after.turn_to(role, ladder, before.no, &now_is.reach(), &roles, &noticed);
        }
        if self.campaign.state == CampaignState::Cancelled {
            after.next = None;
        }
        if let Some(changed) = &changed {
            let correction = Correction {
                reach: changed.reach(),
                locale: changed.locale.clone(),
                sealed: self.keys.reseal_person(before.no, &before.sealed.key, changed)?,
            };
            tx.correct_person(no, before, &correction).await?;
        }
        let state = before.notices.iter().find(|n| n.id == ending.notice).map(|n| n.state);
        let remark = self.sealed(before, actor.now, ending.remark)?;
        let ended = EndedCall {
            notice: ending.notice,
            disposition: &ending.disposition.id,
            by: actor.by,
            remark: remark.as_deref(),
            at: actor.now,
        };
        let needless = |waits| after.waiting.suppresses(ladder, ending.notice, waits);
        tx.record_call(no, &ended, (state, before.standing), &after, needless).await?;
        if let Some(role) = role {
            tx.speak_to(no, before.no, role).await?;
        }
        Ok(after)
    }
}

/// What the disposition means: by the sheet where the call lies on one, else by the rules of the desk.
fn decided(
    campaign: &DeskCampaign,
    before: &DeskPerson,
    notice: NoticeId,
    disposition: &Disposition,
) -> Result<AfterCall, NotACall> {
    let ladder = &campaign.plan.ladder;
    let stands = before.notices.iter().find(|n| n.id == notice);
    if stands.is_some_and(|n| n.open_call) {
        return apply_disposition(ladder, notice, NoticeState::Accepted, &before.reach, disposition);
    }
    let noticed: Vec<NoticeId> = before.notices.iter().map(|n| n.id).collect();
    let call = DeskCall {
        notice,
        state: stands.map(|n| n.state),
        standing: before.standing,
        reach: &before.reach,
        noticed: &noticed,
    };
    apply_at_desk(ladder, &call, disposition)
}

/// The person as the end of the call shows them, where it shows something new.
fn changed(person: &Person, ending: &Ending<'_>) -> Option<Person> {
    let mut changed = person.clone();
    match ending.disposition.then {
        // Somebody else's number: neither calls nor messages go there again.
        Some(Then::CorrectContact) => retire(&mut changed, |at, _| at == ending.notice.contact()),
        // Nobody reads what is sent to somebody who died; the family has addresses of its own.
        Some(Then::NextOfKin) => retire(&mut changed, |_, role| role == Role::OneSelf),
        Some(Then::OtherChannel | Then::Guardian) | None => {}
    }
    if let Some(locale) = &ending.locale {
        changed.locale.clone_from(locale);
    }
    (changed != *person).then_some(changed)
}

fn retire(person: &mut Person, which: impl Fn(u8, Role) -> bool) {
    let gone: Vec<u8> = person.live().filter(|(at, contact)| which(*at, contact.role)).map(|(at, _)| at).collect();
    person.retired.extend(gone);
}

/// What the call stands under: the number that was named, the one on the sheet, the first that can be used, or none.
fn called(before: &DeskPerson, person: &Person, named: Option<usize>) -> Result<NoticeId, Problem> {
    let phone = |at: u8| NoticeId::new(before.no, at, Channel::Phone);
    if let Some(number) = named {
        let at =
            number.checked_sub(1).filter(|at| person.contacts.get(*at).is_some_and(|c| c.kind == ContactKind::Phone));
        return at.and_then(|at| u8::try_from(at).ok()).map(phone).ok_or_else(|| {
            let message = format!("contact {number} is no telephone number of this person; `desk show` counts them");
            Problem::new("bad-contact", "contact", message)
        });
    }
    let on_sheet = before.notices.iter().find(|n| n.open_call).map(|n| n.id);
    let bad = |at: u8| before.notices.iter().any(|n| n.id == phone(at) && n.state == NoticeState::Failed);
    let numbers = || person.live().filter(|(_, c)| c.kind == ContactKind::Phone).map(|(at, _)| at);
    let number = numbers().find(|at| !bad(*at)).or_else(|| numbers().next()).map(phone);
    Ok(on_sheet.or(number).unwrap_or(NoticeId::by_hand(before.no)))
}

/// When the person is to be called again: as agreed, else a while later in their hours; `None` where they are not.
fn call_back(
    before: &DeskPerson,
    person: &Person,
    disposition: &Disposition,
    call: &Call<'_>,
    now: Micros,
) -> Result<Option<Micros>, AppError> {
    let clock = Hours::built_in()?.of(&super::story::country(person));
    match call.call_back {
        Some(_) if !disposition.again => {
            let message = format!("after `{}` nobody is called back; leave --call-back out", disposition.id);
            Err(Problem::new("no-call-back", "call-back", message).into())
        }
        Some(text) => Ok(Some(clock.call_back(text, now, call.anyway)?)),
        None if disposition.again && before.case.as_ref().is_some_and(|case| case.is_open) => {
            Ok(Some(clock.next_open(now.saturating_add(APART))))
        }
        None => Ok(None),
    }
}

fn locale(disposition: &Disposition, language: Option<&str>) -> Result<Option<String>, Problem> {
    let Some(written) = language else { return Ok(None) };
    let known = locale_of(written).filter(|tag| tag != "na");
    known.map(Some).ok_or_else(|| {
        let message = format!(
            "`--language` of `{}`: this is no language that is known; write a tag such as en, zh-CN or pt-BR",
            disposition.id
        );
        Problem::new("bad-locale", "language", message)
    })
}

/// The list of dispositions, or the refusal that says what is wrong with it.
pub(in crate::app) fn dispositions() -> Result<Dispositions, Problem> {
    Dispositions::built_in().map_err(|e| Problem::new("dispositions", "", e.to_string()))
}

fn find<'l>(list: &'l Dispositions, written: &str) -> Result<&'l Disposition, Problem> {
    list.find(written).ok_or_else(|| {
        let ids: Vec<&str> = list.iter().map(|d| d.id.as_str()).collect();
        let message = format!("there is no such disposition{}", suggestion(written, ids));
        Problem::new("bad-disposition", "disposition", message)
    })
}

fn refusal(why: NotACall, before: &DeskPerson) -> Problem {
    let (code, message) = match why {
        NotACall::OtherChannel => {
            ("not-a-call", "the notice is no telephone call; this is a fault of forewarn".to_owned())
        }
        NotACall::Sending => (
            "notice-moving",
            "a call to this person is being handed over at this moment; run the command again".to_owned(),
        ),
        NotACall::NotOnSheet => (
            "not-on-sheet",
            "the call is not on a sheet any more; only that the person was informed can be recorded".to_owned(),
        ),
        NotACall::Settled => ("call-settled", "that the person was informed is recorded already".to_owned()),
        NotACall::NoCase => (
            "no-case",
            format!(
                "the person is {} and nobody waits for a call; `desk reopen` opens the case again",
                before.standing.as_str()
            ),
        ),
    };
    Problem::new(code, "disposition", message)
}

/// The calls that lay on a sheet and do not any more.
pub(super) fn settled_calls(before: &DeskPerson, after: &DeskPerson) -> Vec<NoticeId> {
    let open = |person: &DeskPerson, call: NoticeId| person.notices.iter().any(|n| n.id == call && n.open_call);
    before.notices.iter().map(|n| n.id).filter(|call| open(before, *call) && !open(after, *call)).collect()
}

/// Whether the contact with this ordinal may still be used.
pub(super) fn is_live(reach: &str, contact: u8) -> bool {
    reach.chars().nth(usize::from(contact)).is_some_and(|letter| letter != RETIRED)
}

//! Correcting a contact: the old one stays in the history and is never used again, the new one gets one notice at once.

use super::record::{is_live, settled_calls};
use super::{Actor, DeskCampaign};
use crate::app::{App, AppError};
use crate::model::channel::{Channel, ContactKind};
use crate::model::contact::{Contact, Role, parse_email, parse_telephone};
use crate::model::notice::{MAX_CONTACTS, NoticeId, NoticeState};
use crate::model::person::{Person, Standing};
use crate::model::personal::Personal;
use crate::model::problem::Problem;
use crate::model::time::Micros;
use crate::store::Tx;
use crate::store::desk::{Correction, DeskPerson};

/// A contact as somebody at the desk gives it.
#[derive(Clone, Debug)]
pub struct Correct<'a> {
    pub kind: ContactKind,
    pub address: &'a Personal,
    /// Whose it is; else that of the contact it replaces.
    pub role: Option<Role>,
    /// The contact it replaces, counted from 1; else all of its kind and role.
    pub replaces: Option<usize>,
    pub remark: Option<&'a Personal>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Corrected {
    pub campaign: String,
    pub standing: Standing,
    /// The new contact, masked, and its number from 1.
    pub contact: String,
    pub number: usize,
    /// The numbers of the contacts that are not used any more.
    pub retired: Vec<usize>,
    /// The channel of the notice that was queued; `None` where the ladder has none for it.
    pub queued: Option<Channel>,
    /// What was left out of the text that was given.
    pub warnings: Vec<&'static str>,
}

impl App {
    /// Takes a corrected contact down and queues its notice.
    pub async fn desk_correct(
        &self,
        (campaign, no): (&DeskCampaign, i64),
        correct: &Correct<'_>,
        actor: Actor<'_>,
    ) -> Result<Corrected, AppError> {
        campaign.must_be_alive()?;
        let mut tx = self.store.begin().await?;
        let before = campaign.held_person(&mut tx, no).await?;
        campaign.take(&mut tx, &before, actor.by).await?;
        campaign.must_stand_still(&before)?;
        may_be_told(&before)?;
        let person = campaign.open(&before)?;
        let (address, warnings) = parsed(correct, &person)?;
        let (contact, gone) = replaced(&before, &person, correct, address)?;
        let masked = contact.masked();
        let (ordinal, reach) = campaign.swap_contact(&mut tx, &before, person, contact, &gone).await?;
        let queued = campaign.send_to(&mut tx, &before, (correct.kind, ordinal), &reach, actor.now).await?;
        let number = usize::from(ordinal) + 1;
        let retired: Vec<usize> = gone.iter().map(|at| usize::from(*at) + 1).collect();
        let text = in_words(correct.kind, number, &retired);
        campaign.note(&mut tx, &before, actor, ("contact corrected", &text), correct.remark).await?;
        let after = campaign.held_person(&mut tx, no).await?;
        tx.commit().await?;
        self.remove_tasks(campaign.campaign.no, &settled_calls(&before, &after))?;
        Ok(Corrected {
            campaign: campaign.campaign.id.clone(),
            standing: after.standing,
            contact: masked,
            number,
            retired,
            queued,
            warnings,
        })
    }
}

impl DeskCampaign {
    /// Gives the person the contact, and gives up those it replaces; its ordinal, and the person's contacts from then on.
    async fn swap_contact(
        &self,
        tx: &mut Tx<'_>,
        before: &DeskPerson,
        mut person: Person,
        contact: Contact,
        gone: &[u8],
    ) -> Result<(u8, String), AppError> {
        let ordinal = u8::try_from(person.contacts.len()).ok().filter(|_| person.contacts.len() < MAX_CONTACTS);
        let ordinal = ordinal.ok_or_else(|| {
            Problem::new("too-many-contacts", "", "the person has as many contacts as anybody can have")
        })?;
        person.contacts.push(contact);
        person.retired.extend(gone);
        let correction = Correction {
            reach: person.reach(),
            locale: person.locale.clone(),
            sealed: self.keys.reseal_person(before.no, &before.sealed.key, &person)?,
        };
        tx.correct_person(self.campaign.no, before, &correction).await?;
        Ok((ordinal, correction.reach))
    }

    /// Queues the one notice to a new contact, by the first step of the ladder that can use it; on which channel.
    async fn send_to(
        &self,
        tx: &mut Tx<'_>,
        before: &DeskPerson,
        (kind, ordinal): (ContactKind, u8),
        reach: &str,
        now: Micros,
    ) -> Result<Option<Channel>, AppError> {
        let no = self.campaign.no;
        let channel = self.plan.ladder.steps.iter().map(|s| s.channel).find(|c| c.contact_kind() == kind);
        let needless = |waits: NoticeId| !is_live(reach, waits.contact());
        match channel {
            Some(channel) => {
                let notice = NoticeId::new(before.no, ordinal, channel);
                let behind = behind(before, reach, now.saturating_add(self.plan.give_up_after));
                tx.send_to_corrected(no, notice, channel, needless, now).await?;
                tx.postpone(no, &behind).await?;
            }
            None => tx.suppress_needless_of(no, before.no, needless, now).await?,
        }
        Ok(channel)
    }
}

/// The text as a contact that can be used: by the rules of the list.
fn parsed(correct: &Correct<'_>, person: &Person) -> Result<(Personal, Vec<&'static str>), Problem> {
    let text = correct.address.reveal();
    match correct.kind {
        ContactKind::Email => {
            let address = parse_email(text).map_err(|e| Problem::new(e.code(), "email", e.to_string()))?;
            Ok((address, Vec::new()))
        }
        ContactKind::Phone => {
            let country = super::story::country_of(person);
            let found = parse_telephone(text, country).map_err(|e| Problem::new(e.code(), "phone", e.to_string()))?;
            let dropped = found.extension_dropped.then_some("the extension was left out: a message cannot dial it");
            Ok((found.number, dropped.into_iter().collect()))
        }
    }
}

/// The new contact, and the ordinals of those it replaces; or why it is refused.
fn replaced(
    before: &DeskPerson,
    person: &Person,
    correct: &Correct<'_>,
    address: Personal,
) -> Result<(Contact, Vec<u8>), Problem> {
    let field = match correct.kind {
        ContactKind::Email => "email",
        ContactKind::Phone => "phone",
    };
    let refused = |code, message: String| Err(Problem::new(code, field, message));
    let same = person.contacts.iter().position(|c| c.kind == correct.kind && c.address == address);
    if let Some(at) = same {
        let number = at + 1;
        let told =
            before.notices.iter().any(|n| usize::from(n.id.contact()) == at && was_told(n.state) && !n.open_call);
        return match (told, person.retired.iter().any(|r| usize::from(*r) == at)) {
            (true, _) => {
                refused("already-told", format!("a notice has reached this address already (contact {number})"))
            }
            (false, true) => refused(
                "retired-contact",
                format!("this is contact {number}, which was corrected before and is never used again"),
            ),
            (false, false) => refused(
                "known-contact",
                format!("this is contact {number} of the person already; `campaign retry` tries failed notices again"),
            ),
        };
    }
    let named = match correct.replaces {
        None => None,
        Some(number) => match number.checked_sub(1).and_then(|at| Some((at, person.contacts.get(at)?))) {
            Some((at, contact)) if contact.kind == correct.kind => Some((at, contact.role)),
            _ => return refused("bad-contact", format!("contact {number} is no {field} of this person")),
        },
    };
    let speak_to = before.case.as_ref().and_then(|case| case.speak_to);
    let of_kind = person.live().find(|(_, c)| c.kind == correct.kind).map(|(_, c)| c.role);
    let role = correct.role.or(named.map(|(_, role)| role)).or(speak_to).or(of_kind).unwrap_or(person.role);
    let gone = person.live().filter(|(at, c)| match named {
        Some((named, _)) => usize::from(*at) == named,
        None => c.kind == correct.kind && c.role == role,
    });
    Ok((Contact { kind: correct.kind, address, role }, gone.map(|(at, _)| at).collect()))
}

/// Whoever was told is not told again, whatever address turns up.
fn may_be_told(person: &DeskPerson) -> Result<(), Problem> {
    match person.standing {
        Standing::NeedsHuman | Standing::InFlight | Standing::Unreachable => Ok(()),
        Standing::Satisfied => {
            let message = "the person was told already; a notice to another address would tell them twice";
            Err(Problem::new("already-told", "ref", message))
        }
        Standing::Excluded => {
            let message = "the person is excluded from this campaign; `desk reopen` takes them in again";
            Err(Problem::new("no-case", "ref", message))
        }
    }
}

/// What waits for the person at contacts that stay waits behind the new one: it is sent when that fails.
fn behind(before: &DeskPerson, reach: &str, until: Micros) -> Vec<(NoticeId, Micros)> {
    let waits = before.notices.iter().filter(|n| n.due_at.is_some() && is_live(reach, n.id.contact()));
    waits.map(|n| (n.id, until)).collect()
}

fn was_told(state: NoticeState) -> bool {
    matches!(state, NoticeState::Accepted | NoticeState::Delivered | NoticeState::Acknowledged)
}

/// For the record, which never holds an address.
fn in_words(kind: ContactKind, number: usize, retired: &[usize]) -> String {
    let kind = match kind {
        ContactKind::Email => "email",
        ContactKind::Phone => "phone",
    };
    let old: Vec<String> = retired.iter().map(usize::to_string).collect();
    match old.is_empty() {
        true => format!("{kind}: contact {number} added"),
        false => format!("{kind}: contact {number} in place of {}", old.join(", ")),
    }
}

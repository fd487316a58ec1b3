//! The whole story of a person, as whoever takes the case needs it: contacts, notices, attempts, calls, corrections,
//! remarks, who acts next, and the call script in the person's language.

use super::{Actor, DeskCampaign};
use crate::app::carrier::OpenCampaign;
use crate::app::{App, AppError};
use crate::desk::hours::{Clock, Hours};
use crate::intake::region_of;
use crate::model::channel::{Channel, ContactKind};
use crate::model::contact::{Contact, Role};
use crate::model::disposition::{Dispositions, Then};
use crate::model::notice::{NoticeId, NoticeState};
use crate::model::person::{Person, Standing};
use crate::model::personal::Personal;
use crate::model::rendered::{CallScript, Rendered};
use crate::model::time::{Micros, rfc3339};
use crate::store::desk::{DeskPerson, PersonAttempt, PersonNote, PersonNotice};

/// A contact as the desk shows it.
#[derive(Clone, Debug)]
pub struct ContactLine {
    /// Counted from 1.
    pub number: usize,
    pub kind: ContactKind,
    /// Masked, unless it was asked for in clear.
    pub address: Personal,
    pub role: Role,
    pub retired: bool,
}

/// A note, with its remark where that was asked for.
#[derive(Clone, Debug)]
pub struct NoteLine {
    pub note: PersonNote,
    pub has_remark: bool,
    pub remark: Option<Personal>,
}

/// Everything the desk knows of a person.
pub struct PersonStory {
    pub campaign: String,
    pub person: DeskPerson,
    pub reference: Personal,
    pub name: Personal,
    pub minor: Option<bool>,
    pub role: Role,
    pub contacts: Vec<ContactLine>,
    pub attempts: Vec<PersonAttempt>,
    pub notes: Vec<NoteLine>,
    /// The language that the person is spoken to in.
    pub language: String,
    pub script: Result<CallScript, String>,
    pub clock: Clock,
    pub now: Micros,
    pub revealed: bool,
}

impl App {
    /// The story of a person. With `reveal` contacts and remarks are in clear, and a note keeps who looked.
    pub async fn desk_story(
        &self,
        (campaign, no): (&DeskCampaign, i64),
        reveal: bool,
        actor: Actor<'_>,
    ) -> Result<PersonStory, AppError> {
        let mut tx = self.store.begin().await?;
        let row = campaign.held_person(&mut tx, no).await?;
        if reveal {
            // Recorded before anything is shown: what cannot be recorded is not shown.
            campaign.note(&mut tx, &row, actor, ("contacts revealed", "contacts and remarks in clear"), None).await?;
        }
        tx.commit().await?;
        let person = campaign.open(&row)?;
        let role = row.case.as_ref().and_then(|case| case.speak_to).unwrap_or(person.role);
        let (language, script) = self.script(campaign, &person, role, &row, actor.now);
        let notes = self.store.person_notes(campaign.campaign.no, no).await?;
        let today =
            jiff::Timestamp::from_microsecond(actor.now).unwrap_or_default().to_zoned_datetime(jiff::tz::TimeZone::UTC);
        Ok(PersonStory {
            campaign: campaign.campaign.id.clone(),
            contacts: contacts(&person, reveal),
            attempts: self.store.person_attempts(campaign.campaign.no, no).await?,
            notes: notes.into_iter().map(|note| campaign.note_line(&row, note, reveal)).collect::<Result<_, _>>()?,
            minor: crate::desk::urgency::is_minor(person.birth_date.reveal(), today.date()),
            clock: Hours::built_in()?.of(&country(&person)),
            reference: person.reference,
            name: person.name,
            person: row,
            role,
            language,
            script,
            now: actor.now,
            revealed: reveal,
        })
    }

    /// The words to say, in the person's language; or why there are none.
    fn script(
        &self,
        campaign: &DeskCampaign,
        person: &Person,
        role: Role,
        row: &DeskPerson,
        now: Micros,
    ) -> (String, Result<CallScript, String>) {
        let open = match OpenCampaign::open(&self.master, &campaign.campaign) {
            Ok(open) => open,
            Err(problems) => {
                return (
                    person.locale.clone(),
                    Err(problems.into_iter().map(|p| p.message).collect::<Vec<_>>().join("; ")),
                );
            }
        };
        let language = open.texts.language_for(&person.locale).to_owned();
        // The script needs whom it speaks to, and no number.
        let contact = Contact { kind: ContactKind::Phone, address: Personal::default(), role };
        let token = self.master.token(campaign.campaign.no, NoticeId::by_hand(row.no));
        let script = match open.texts.render(person, &contact, Channel::Phone, &open.envelope(&token, now)) {
            Ok(Rendered::Call(script)) => Ok(script),
            Ok(Rendered::Email(_) | Rendered::Sms(_)) => Err("the templates gave no script".to_owned()),
            Err(problem) => Err(problem.message),
        };
        (language, script)
    }
}

impl DeskCampaign {
    fn note_line(&self, row: &DeskPerson, note: PersonNote, reveal: bool) -> Result<NoteLine, AppError> {
        let remark = match (&note.sealed, reveal) {
            (Some(sealed), true) => Some(self.keys.open_remark(row.no, &row.sealed.key, note.at, sealed)?),
            _ => None,
        };
        Ok(NoteLine { has_remark: note.sealed.is_some(), note, remark })
    }
}

fn contacts(person: &Person, reveal: bool) -> Vec<ContactLine> {
    let line = |(at, contact): (usize, &Contact)| ContactLine {
        number: at + 1,
        kind: contact.kind,
        address: if reveal { contact.address.clone() } else { Personal::new(contact.masked()) },
        role: contact.role,
        retired: person.retired.iter().any(|r| usize::from(*r) == at),
    };
    person.contacts.iter().enumerate().map(line).collect()
}

/// The country whose numbers and hours are the person's: their own, else that of their language.
pub(super) fn country_of(person: &Person) -> &str {
    if person.country.is_empty() { region_of(&person.locale) } else { &person.country }
}

/// The same, as the table of hours is asked.
pub(super) fn country(person: &Person) -> String {
    country_of(person).to_owned()
}

/// What is to be done next for a person, and by whom. `then` is the further step of the call that was just recorded.
pub(super) fn next_step(row: &DeskPerson, person: &Person, then: Option<Then>) -> String {
    let waits = row.notices.iter().filter(|n| n.due_at.is_some()).min_by_key(|n| n.due_at);
    match row.standing {
        Standing::Satisfied => "nothing: the person was told".to_owned(),
        Standing::Unreachable => "nothing: the case was closed as unreachable".to_owned(),
        Standing::Excluded => "nothing: the person is excluded".to_owned(),
        Standing::InFlight => match waits {
            Some(n) => {
                let channel = n.id.channel().map_or("", |c| c.as_str());
                format!("the worker sends the notice by {channel} at {}", n.due_at.map(rfc3339).unwrap_or_default())
            }
            None if row.notices.iter().any(|n| n.open_call) => {
                "support staff: call the person, and record how it ended with `desk call`".to_owned()
            }
            None => "the program: a notice is on its way".to_owned(),
        },
        Standing::NeedsHuman => human_step(row, person, then),
    }
}

fn human_step(row: &DeskPerson, person: &Person, then: Option<Then>) -> String {
    let speak_to = row.case.as_ref().and_then(|case| case.speak_to);
    let what = match (then, speak_to) {
        (Some(Then::CorrectContact), _) => "find the right number or address and give it to `desk correct`",
        (Some(Then::OtherChannel), _) => "find another address and give it to `desk correct`, or close the case",
        (Some(Then::NextOfKin), _) | (None, Some(Role::NextOfKin)) => {
            "reach the next of kin (`desk correct --role next-of-kin` takes their address), or close the case with \
             --reason deceased-without-kin"
        }
        (Some(Then::Guardian), _) | (None, Some(Role::Guardian)) => {
            "ask for the guardian (`desk correct --role guardian` takes their address)"
        }
        (None, Some(Role::OneSelf) | None) if person.live().any(|(_, c)| c.kind == ContactKind::Phone) => {
            "call the person and record how it ended with `desk call`; correct a contact with `desk correct`, or close the case"
        }
        (None, Some(Role::OneSelf) | None) => {
            "find an address or a number and give it to `desk correct`, tell the person another way, or close the case"
        }
    };
    let when = row.case.as_ref().and_then(|case| case.not_before).map(|at| format!(", from {}", rfc3339(at)));
    format!("support staff{}: {what}", when.unwrap_or_default())
}

/// Who acts next on one notice.
pub(super) fn notice_in_words(notice: &PersonNotice) -> String {
    let at = notice.due_at.map(rfc3339).unwrap_or_default();
    match notice.state {
        NoticeState::Queued if notice.attempts == 0 => format!("the worker sends it at {at}"),
        NoticeState::Queued | NoticeState::Deferred => format!("the worker tries it again at {at}"),
        NoticeState::Sending => "it is being sent".to_owned(),
        NoticeState::Accepted if notice.open_call => "a caller calls".to_owned(),
        NoticeState::Accepted => "it was taken by the provider".to_owned(),
        NoticeState::Delivered => "it was delivered".to_owned(),
        NoticeState::Acknowledged => "the person was told by a human".to_owned(),
        NoticeState::Failed => {
            format!("it failed: {}", notice.reason.map_or("", crate::model::outcome::Class::as_str))
        }
        NoticeState::Unknown if notice.due_at.is_some() => format!("nobody knows; the worker sends it again at {at}"),
        NoticeState::Unknown => "nobody knows whether it told the person".to_owned(),
        NoticeState::Suppressed => "it is not needed any more".to_owned(),
        NoticeState::Cancelled => "it was called off".to_owned(),
    }
}

impl PersonStory {
    /// Who acts next.
    pub fn next(&self) -> String {
        let live = Person {
            contacts: self
                .contacts
                .iter()
                .map(|c| Contact { kind: c.kind, address: Personal::default(), role: c.role })
                .collect(),
            retired: self
                .contacts
                .iter()
                .filter(|c| c.retired)
                .filter_map(|c| u8::try_from(c.number - 1).ok())
                .collect(),
            ..Person::default()
        };
        let last = self.notes.iter().rev().find(|n| n.note.what == "call").map(|n| n.note.text.as_str());
        let then = Dispositions::built_in().ok().and_then(|list| list.find(last?).and_then(|d| d.then));
        next_step(&self.person, &live, then)
    }
}

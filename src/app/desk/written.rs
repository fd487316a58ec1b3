//! Cases and stories as JSON: the stable keys that scripts and a console read.

use super::queue::is_held;
use super::record::Called;
use super::story::{ContactLine, NoteLine, PersonStory, notice_in_words};
use crate::desk::urgency::in_words;
use crate::model::channel::ContactKind;
use crate::model::contact::Role;
use crate::model::notice::NoticeId;
use crate::model::outcome::Class;
use crate::model::time::{Micros, rfc3339};
use crate::store::desk::{CaseRow, PersonAttempt, PersonNotice};
use serde_json::{Value, json};

/// A case, as every command of the desk shows it.
pub fn case_json(case: &CaseRow, now: Micros) -> Value {
    let held = is_held(case, now);
    let state = match (case.is_open, held, case.not_before) {
        (false, _, _) => "closed",
        (true, true, _) => "held",
        (true, false, Some(at)) if at > now => "call-back",
        (true, false, _) => "free",
    };
    json!({
        "state": state,
        "why": case.why,
        "opened_at": rfc3339(case.opened_at),
        "tier": case.tier,
        "due": case.due_at.map(rfc3339),
        "urgency": case.not_before.or(case.due_at).map(|at| in_words(at, now)),
        "call_back": case.not_before.map(rfc3339),
        "calls": case.calls,
        "speak_to": case.speak_to.map(Role::as_str),
        "holder": case.holder.as_ref().filter(|_| held),
        "held_until": case.lease_until.filter(|_| held).map(rfc3339),
        "reason": case.reason,
    })
}

/// What came of a recorded call.
pub fn call_json(called: &Called) -> Value {
    json!({
        "campaign": called.campaign,
        "disposition": called.disposition,
        "standing": called.standing.as_str(),
        "call_back": called.call_back.map(rfc3339),
        "call_back_there": called.call_back_there,
        "queued": called.queued.map(|c| c.as_str()),
        "next": called.next,
    })
}

/// The name of a kind of contact, as lists of the desk write it.
pub(super) fn kind(kind: ContactKind) -> &'static str {
    match kind {
        ContactKind::Email => "email",
        ContactKind::Phone => "phone",
    }
}

/// The number of a notice's contact, from 1; none where a human told the person by other means.
fn contact_number(notice: NoticeId) -> Option<usize> {
    (!notice.is_by_hand() && notice.channel().is_some()).then(|| usize::from(notice.contact()) + 1)
}

fn channel(notice: NoticeId) -> Option<&'static str> {
    notice.channel().map(|c| c.as_str())
}

impl PersonStory {
    /// The stable JSON form.
    pub fn json(&self) -> Value {
        let row = &self.person;
        json!({
            "campaign": self.campaign,
            "ref": self.reference.reveal(),
            "name": self.name.reveal(),
            "source": row.source,
            "row": row.row,
            "standing": row.standing.as_str(),
            "case": row.case.as_ref().map(|case| case_json(case, row.now)),
            "locale": row.locale,
            "country": row.country,
            "minor": self.minor,
            "speak_to": self.role.as_str(),
            "local_time": self.clock.local(self.now),
            "may_call_now": self.clock.is_open(self.now),
            "may_call_from": rfc3339(self.clock.next_open(self.now)),
            "contacts": self.contacts.iter().map(ContactLine::json).collect::<Vec<_>>(),
            "revealed": self.revealed,
            "notices": row.notices.iter().map(notice_json).collect::<Vec<_>>(),
            "attempts": self.attempts.iter().map(attempt_json).collect::<Vec<_>>(),
            "notes": self.notes.iter().map(NoteLine::json).collect::<Vec<_>>(),
            "next": self.next(),
            "script": match &self.script {
                Ok(script) => json!({
                    "language": script.language,
                    "sections": script.sections.iter().map(|(id, heading, text)| json!({
                        "id": id, "heading": heading, "text": text.reveal(),
                    })).collect::<Vec<_>>(),
                }),
                Err(why) => json!({ "language": self.language, "sections": [], "missing": why }),
            },
        })
    }
}

impl ContactLine {
    fn json(&self) -> Value {
        json!({
            "contact": self.number,
            "kind": kind(self.kind),
            "address": self.address.reveal(),
            "role": self.role.as_str(),
            "retired": self.retired,
        })
    }
}

impl NoteLine {
    fn json(&self) -> Value {
        let mut line = json!({
            "at": rfc3339(self.note.at),
            "by": self.note.by,
            "what": self.note.what,
            "text": self.note.text,
            "contact": contact_number(self.note.notice),
            "has_remark": self.has_remark,
        });
        if let Some(remark) = &self.remark {
            line["remark"] = remark.reveal().into();
        }
        line
    }
}

fn notice_json(notice: &PersonNotice) -> Value {
    json!({
        "channel": channel(notice.id),
        "contact": contact_number(notice.id),
        "state": notice.state.as_str(),
        "reason": notice.reason.map(Class::as_str),
        "attempts": notice.attempts,
        "route": notice.route,
        "due": notice.due_at.map(rfc3339),
        "changed_at": rfc3339(notice.changed_at),
        "means": notice_in_words(notice),
    })
}

fn attempt_json(attempt: &PersonAttempt) -> Value {
    json!({
        "at": rfc3339(attempt.finished_at.unwrap_or(attempt.started_at)),
        "channel": channel(attempt.notice),
        "contact": contact_number(attempt.notice),
        "attempt": attempt.no,
        "route": attempt.route,
        "provider": attempt.provider,
        "class": attempt.class,
        "code": attempt.code,
        "text": attempt.text,
    })
}

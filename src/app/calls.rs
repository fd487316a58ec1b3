//! Calls by people: the sheets out, and how the calls ended back in.
//!
//! Invariants: only a call that is owed is printed; each answer changes notice, person and sums in one transaction;
//! reading the same file twice changes nothing; a task of a settled call is taken off the disk. What a caller wrote
//! into the column `note` may be anything about a person: it is sealed, and the desk shows it on request.

use super::desk::record::{Ending, dispositions};
use super::desk::{Actor, DeskCampaign};
use super::{App, AppError};
use crate::model::apply_disposition::{NotACall, apply_disposition};
use crate::model::notice::{NoticeId, NoticeState};
use crate::model::problem::Problem;
use crate::model::time::Micros;
use crate::providers::call_sheet::answers::{self, Answer};
use crate::providers::call_sheet::export::{ExportError, Exported, export};
use crate::providers::call_sheet::{self, Task, tasks_of};
use crate::providers::private_file;
use crate::store::Tx;
use crate::store::desk::DeskPerson;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Open calls read at once, and answers written in one transaction.
const CHUNK: usize = 500;

/// What reading a filled-in table came to.
#[derive(Debug, Default)]
pub struct CallsImported {
    /// Answers written down now, by disposition.
    pub recorded: BTreeMap<String, u64>,
    /// Answers that had been written down before.
    pub unchanged: u64,
    /// Remarks in the column `note` that were sealed and kept with the answers.
    pub remarks: u64,
    /// Rows of which nothing was taken.
    pub problems: Vec<Problem>,
}

enum Taken {
    Recorded { settled: bool },
    Unchanged { settled: bool },
}

/// What answers are weighed by.
struct Desk<'a> {
    app: &'a App,
    campaign: &'a DeskCampaign,
    actor: Actor<'a>,
}

impl App {
    /// Writes the sheets of all calls that are due, a pair of files a sheet directory: (route, files).
    pub async fn export_calls(&self, id: &str, out: &Path) -> Result<Vec<(String, Exported)>, AppError> {
        let campaign = self.campaign(id).await?;
        let sheets = self.call_sheets()?;
        let mut open: HashMap<NoticeId, u32> = HashMap::new();
        let mut after = NoticeId(0);
        loop {
            let page = self.store.open_calls(campaign.no, after, CHUNK).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            open.extend(page);
        }
        let dispositions = dispositions()?;
        let alone = sheets.len() == 1;
        let app = self.clone();
        let out = out.to_owned();
        let work = tokio::task::spawn_blocking(move || {
            let due = |task: &Task| match app.master.read_token(&task.notice) {
                Some((no, notice)) if no == campaign.no => open.get(&notice).map(|calls| calls + 1),
                _ => None,
            };
            let mut exported = Vec::new();
            for (route, directory) in sheets {
                private_file::create_dir(&tasks_of(&directory))?;
                let place = if alone { out.clone() } else { out.join(private_file::name_of(&route)) };
                exported.push((route, export(&directory, &place, &dispositions, &due)?));
            }
            Ok::<_, ExportError>(exported)
        });
        let done = work.await.map_err(|e| AppError::io("writing the call sheets")(std::io::Error::other(e)))?;
        done.map_err(|e| AppError::io("writing the call sheets")(std::io::Error::other(e)))
    }

    /// Takes in how calls ended. Each bad row is a problem of its own, and the others count.
    pub async fn import_calls(&self, id: &str, file: &Path, by: &str, now: Micros) -> Result<CallsImported, AppError> {
        let campaign = self.at_desk(self.campaign(id).await?)?;
        let sheets = self.call_sheets()?;
        let content = fs_err::read(file).map_err(AppError::io("reading the answers"))?;
        let desk = Desk { app: self, campaign: &campaign, actor: Actor { by, now } };
        let mut imported = CallsImported::default();
        let mut good = Vec::new();
        for answer in answers::read(&content, &dispositions()?) {
            match answer {
                Ok(answer) => good.push(answer),
                Err(problem) => imported.problems.push(problem),
            }
        }
        for chunk in good.chunks(CHUNK) {
            let mut settled = Vec::new();
            let mut tx = self.store.begin().await?;
            for answer in chunk {
                match desk.take(&mut tx, answer).await? {
                    Err(problem) => imported.problems.push(problem.at_row(answer.row)),
                    Ok(Taken::Unchanged { settled: done }) => {
                        imported.unchanged += 1;
                        settled.extend(done.then_some(answer.notice.as_str()));
                    }
                    Ok(Taken::Recorded { settled: done }) => {
                        imported.remarks += u64::from(!answer.note.is_empty());
                        *imported.recorded.entry(answer.disposition.id.clone()).or_default() += 1;
                        settled.extend(done.then_some(answer.notice.as_str()));
                    }
                }
            }
            tx.commit().await?;
            // After the commit: a task lost before it would be a call forgotten.
            for notice in settled {
                for (_, directory) in &sheets {
                    call_sheet::remove_task(directory, notice)
                        .map_err(AppError::io("taking a settled call off its sheet"))?;
                }
            }
        }
        imported.problems.sort_by_key(|p| p.row);
        Ok(imported)
    }

    /// The routes whose calls people make, each with its sheet directory; one name a directory.
    pub(in crate::app) fn call_sheets(&self) -> Result<Vec<(String, PathBuf)>, AppError> {
        let mut sheets: Vec<(String, PathBuf)> = Vec::new();
        for route in self.config.routes.iter().filter(|r| r.provider == "call-sheet") {
            let directory = call_sheet::directory_of(&route.name, &self.config.settings(route)?)?;
            if !sheets.iter().any(|(_, known)| *known == directory) {
                sheets.push((route.name.clone(), directory));
            }
        }
        if sheets.is_empty() {
            let message = format!(
                "{} has no route with provider = \"call-sheet\", so there are no calls by people; add one",
                self.config.file.display()
            );
            return Err(Problem::new("no-call-sheet", "route", message).into());
        }
        Ok(sheets)
    }
}

impl Desk<'_> {
    /// Writes one answer down, or says why it cannot be.
    async fn take(&self, tx: &mut Tx<'_>, answer: &Answer) -> Result<Result<Taken, Problem>, AppError> {
        let campaign = &self.campaign.campaign;
        let problem = |code, message: String| Ok(Err(Problem::new(code, "notice", message)));
        let known = self.app.master.read_token(&answer.notice).filter(|(no, _)| *no == campaign.no);
        let Some((no, notice)) = known else {
            return problem(
                "unknown-notice",
                format!("this is no notice of campaign {}; keep it as it was exported", campaign.id),
            );
        };
        let person = tx.desk_person(no, notice.person()).await?;
        let Some((person, state)) = person.and_then(|p| state_of(&p, notice).map(|state| (p, state))) else {
            return problem("unknown-notice", format!("campaign {} no longer has this notice", campaign.id));
        };
        let calls = tx.calls_under(no, notice).await?;
        let disposition = &answer.disposition;
        if recorded_before(&calls, answer) {
            // A retry may have put the call on a sheet anew: then the old answer does not take it off.
            let open = matches!(
                state,
                NoticeState::Queued | NoticeState::Deferred | NoticeState::Sending | NoticeState::Accepted
            );
            return Ok(Ok(Taken::Unchanged { settled: !open }));
        }
        let ladder = &self.campaign.plan.ladder;
        let after = match apply_disposition(ladder, notice, state, &person.reach, disposition) {
            Ok(after) => after,
            Err(why) => return Ok(Err(not_taken(why, calls.last().map(String::as_str)))),
        };
        let ending = Ending { notice, disposition, remark: Some(&answer.note), locale: None };
        let _follows = self.campaign.record(tx, &person, &ending, after, self.actor).await?;
        Ok(Ok(Taken::Recorded { settled: !disposition.again }))
    }
}

fn state_of(person: &DeskPerson, notice: NoticeId) -> Option<NoticeState> {
    person.notices.iter().find(|n| n.id == notice).map(|n| n.state)
}

/// Whether this very answer stands in the record: as the call it says it was, or as the last one.
fn recorded_before(calls: &[String], answer: &Answer) -> bool {
    let is_last = calls.last() == Some(&answer.disposition.id);
    match answer.call.and_then(|call| (call as usize).checked_sub(1)) {
        None => is_last,
        Some(at) => at < calls.len() && (is_last || calls.get(at) == Some(&answer.disposition.id)),
    }
}

fn not_taken(why: NotACall, last: Option<&str>) -> Problem {
    let (code, message) = match why {
        NotACall::OtherChannel => {
            ("not-a-call", "the notice is no telephone call; keep it as it was exported".to_owned())
        }
        NotACall::Sending => {
            ("call-moving", "the call is being put on a sheet at this moment; run the command again".to_owned())
        }
        NotACall::NoCase => ("no-case", "nobody waits for a call to this person any more".to_owned()),
        NotACall::NotOnSheet => {
            let message =
                "the call is not on a sheet (any more); only that the person was informed can be recorded now";
            ("not-on-sheet", message.to_owned())
        }
        NotACall::Settled => (
            "call-settled",
            format!(
                "the call was settled before ({}); if that is wrong, write `informed`, or have support staff look at it",
                last.unwrap_or("without an answer of a caller")
            ),
        ),
    };
    Problem::new(code, "disposition", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::disposition::Dispositions;
    use crate::model::personal::Personal;

    #[test]
    fn an_answer_read_twice_is_told_from_the_same_end_of_a_second_call() {
        let list = Dispositions::built_in().unwrap();
        let answer = |id: &str, call| Answer {
            row: 1,
            notice: "n".into(),
            disposition: list.find(id).unwrap().clone(),
            note: Personal::default(),
            call,
        };
        let calls = ["no-answer".to_owned(), "voicemail".to_owned()];
        for (recorded, id, call, want) in [
            (&calls[..0], "no-answer", Some(1), false),
            (&calls[..1], "no-answer", Some(1), true),
            (&calls[..1], "no-answer", Some(2), false),
            (&calls[..1], "no-answer", None, true),
            (&calls[..2], "no-answer", Some(1), true),
            (&calls[..2], "voicemail", Some(2), true),
            // A correction of the first answer, read a second time.
            (&calls[..2], "voicemail", Some(1), true),
            (&calls[..2], "informed", Some(2), false),
            (&calls[..2], "no-answer", Some(0), false),
        ] {
            assert_eq!(recorded_before(recorded, &answer(id, call)), want, "{id} {call:?}");
        }
    }
}

//! The adapter `call-sheet`: human callers. A notice becomes a task file; the sheets are printed from the tasks, and
//! what the callers found out comes back as a CSV file.
//!
//! `accepted` with the code `on-sheet` means that the task lies on the disk, not that anybody was called. Writing the
//! same notice twice leaves one task, so the adapter counts as idempotent. A task holds a person's name, number and
//! script in clear, for its owner's eyes only (mode 0600): it must lie where call sheets may lie.

pub mod answers;
pub mod export;

use super::private_file;
use super::settings::{SettingDecl, SettingKind, Settings};
use super::{Abilities, Gate, Outgoing};
use crate::model::channel::Channel;
use crate::model::outcome::{Class, Outcome};
use crate::model::problem::Problem;
use crate::model::rendered::{CallScript, Rendered};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// One call to make, as it lies on the disk.
#[derive(Clone, Serialize, Deserialize)]
pub struct Task {
    pub notice: String,
    pub campaign: String,
    pub reference: String,
    pub name: String,
    pub phone: String,
    pub country: String,
    pub language: String,
    pub attempt: u32,
    pub sections: Vec<Section>,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Section {
    pub id: String,
    pub heading: String,
    pub text: String,
}

/// Shows the notice and nothing of the person.
impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("notice", &self.notice).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
pub struct CallSheet {
    tasks: PathBuf,
}

/// Where the tasks of a sheet directory lie.
pub fn tasks_of(directory: &Path) -> PathBuf {
    directory.join("tasks")
}

/// Takes a call that is settled off the sheet; true where it was there.
pub fn remove_task(directory: &Path, notice: &str) -> std::io::Result<bool> {
    match fs_err::remove_file(task_file(&tasks_of(directory), notice)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn task_file(tasks: &Path, notice: &str) -> PathBuf {
    tasks.join(format!("{}.json", private_file::name_of(notice)))
}

/// The sheet directory that the settings of a route name.
pub fn directory_of(route: &str, settings: &Settings) -> Result<PathBuf, Vec<Problem>> {
    let settings = settings.declared(&CallSheet::declarations(), route)?;
    Ok(PathBuf::from(settings.text("dir").unwrap_or_default()))
}

impl CallSheet {
    pub fn declarations() -> Vec<SettingDecl> {
        vec![SettingDecl::required("dir", SettingKind::Text)]
    }

    pub fn build(route: &str, channel: Channel, settings: &Settings) -> Result<CallSheet, Vec<Problem>> {
        if channel != Channel::Phone {
            let message = format!("route `{route}`: `call-sheet` serves the channel phone only, not {channel}");
            return Err(vec![Problem::new("wrong-channel", "channel", message)]);
        }
        Ok(CallSheet { tasks: tasks_of(&directory_of(route, settings)?) })
    }

    pub async fn send(&self, out: &Outgoing, gate: &Gate) -> Outcome {
        let Rendered::Call(script) = &out.rendered else {
            return Outcome::new(Class::ContentRefused, "no-script", "a call sheet needs a call script");
        };
        let Ok(content) = serde_json::to_vec_pretty(&task(out, script)) else {
            return Outcome::new(Class::ContentRefused, "no-script", "the script cannot be written as JSON");
        };
        if let Err(shut) = gate.open().await {
            return shut.outcome();
        }
        let tasks = self.tasks.clone();
        let file = task_file(&tasks, &out.notice);
        let written = tokio::task::spawn_blocking(move || {
            private_file::create_dir(&tasks)?;
            private_file::write_whole(&file, &content, true)
        });
        match written.await {
            Ok(Ok(())) => Outcome::new(Class::Accepted, "on-sheet", "").with_provider_id(&out.notice),
            Ok(Err(error)) => Outcome::new(Class::RouteBroken, "file", &error.to_string()),
            Err(_) => Outcome::new(Class::Unknown, "file", "writing was interrupted"),
        }
    }

    pub fn abilities(&self) -> Abilities {
        // What the callers find out is the report.
        Abilities { idempotent: true, reports_delivery: true, acknowledges: true }
    }

    pub async fn check(&self) -> Result<String, Problem> {
        let tasks = self.tasks.clone();
        let made = tokio::task::spawn_blocking(move || private_file::create_dir(&tasks)).await;
        match made {
            Ok(Ok(())) => Ok(format!("call-sheet: tasks go to {}", self.tasks.display())),
            Ok(Err(error)) => Err(Problem::new("route-check", "dir", format!("call-sheet: {error}"))),
            Err(_) => Err(Problem::new("route-check", "dir", "call-sheet: the check was interrupted")),
        }
    }
}

fn task(out: &Outgoing, script: &CallScript) -> Task {
    let section = |(id, heading, text): &(String, String, crate::model::personal::Personal)| Section {
        id: id.clone(),
        heading: heading.clone(),
        text: text.reveal().to_owned(),
    };
    Task {
        notice: out.notice.clone(),
        campaign: out.campaign.clone(),
        reference: out.reference.reveal().to_owned(),
        name: out.name.reveal().to_owned(),
        phone: out.to.reveal().to_owned(),
        country: out.country.clone(),
        language: script.language.clone(),
        attempt: out.attempt,
        sections: script.sections.iter().map(section).collect(),
    }
}

#[cfg(test)]
mod tests;

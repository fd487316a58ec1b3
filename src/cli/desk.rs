//! `forewarn desk …`: the verbs of support staff, each in a file of its own.

use super::campaign::recorded_words;
use super::desk_call::CallArgs;
use super::desk_close::{CloseArgs, ReopenArgs};
use super::desk_correct::CorrectArgs;
use super::desk_list::ListArgs;
use super::desk_next::NextArgs;
use super::desk_note::{NoteArgs, ReleaseArgs};
use super::desk_show::ShowArgs;
use super::{Context, Failure};
use crate::app::App;
use crate::app::desk::DeskCampaign;
use crate::model::contact::Role;
use crate::model::personal::Personal;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use std::io::Read as _;

/// Work off everybody who needs a human: take the next case, call, correct, close
#[derive(Subcommand, Debug)]
pub enum DeskCommand {
    List(ListArgs),
    Next(NextArgs),
    Show(ShowArgs),
    Call(CallArgs),
    Correct(CorrectArgs),
    Close(CloseArgs),
    Reopen(ReopenArgs),
    Note(NoteArgs),
    Release(ReleaseArgs),
}

/// Whose case it is, and who works on it.
#[derive(Args, Debug)]
pub struct Whose {
    /// The customer reference, as the list writes it
    #[arg(value_name = "REF")]
    pub reference: String,
    /// The campaign, where several have this reference
    #[arg(long, value_name = "ID")]
    pub campaign: Option<String>,
    /// Your name, for the record [default: the user of this machine]
    #[arg(long, value_name = "NAME", value_parser = recorded_words)]
    pub by: Option<String>,
}

impl Whose {
    pub(super) async fn find(&self, app: &App) -> Result<(DeskCampaign, i64), Failure> {
        Ok(app.desk_campaign(self.campaign.as_deref(), &self.reference).await?)
    }
}

pub(super) fn run(command: DeskCommand, context: &Context) -> Result<(), Failure> {
    match command {
        DeskCommand::List(args) => super::desk_list::run(&args, context),
        DeskCommand::Next(args) => super::desk_next::run(&args, context),
        DeskCommand::Show(args) => super::desk_show::run(&args, context),
        DeskCommand::Call(args) => super::desk_call::run(&args, context),
        DeskCommand::Correct(args) => super::desk_correct::run(&args, context),
        DeskCommand::Close(args) => super::desk_close::close(&args, context),
        DeskCommand::Reopen(args) => super::desk_close::reopen(&args, context),
        DeskCommand::Note(args) => super::desk_note::note(&args, context),
        DeskCommand::Release(args) => super::desk_note::release(&args, context),
    }
}

/// Longest remark: a page.
const LONGEST_REMARK: usize = 4_000;

/// A text about a person: as given, or from standard input where it is `-`, so that it need not stand in a list of
/// processes or in the history of a shell.
pub(super) fn said(text: &str) -> Result<Personal, Failure> {
    if text != "-" {
        return Ok(Personal::new(text.trim()));
    }
    let mut read = String::new();
    std::io::stdin().take(LONGEST_REMARK as u64 * 4 + 1).read_to_string(&mut read)?;
    Ok(Personal::new(read.trim()))
}

/// A remark: some text, and no book.
pub(super) fn remark(text: Option<&str>) -> Result<Option<Personal>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let remark = said(text)?;
    if remark.chars() > LONGEST_REMARK {
        return Err(Failure::Usage(format!("the note is longer than {LONGEST_REMARK} characters; shorten it")));
    }
    Ok(Some(remark))
}

pub(super) fn role() -> impl TypedValueParser<Value = Role> {
    let roles = [Role::OneSelf, Role::Guardian, Role::NextOfKin].map(Role::as_str);
    PossibleValuesParser::new(roles).try_map(|name| Role::parse(&name).ok_or("is no role"))
}

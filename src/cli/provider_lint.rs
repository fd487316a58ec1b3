//! `forewarn provider lint FILE`: whether a definition can be loaded, and whether its examples come out as it says.
//!
//! Nothing is sent to a provider: the examples' requests go to a server on this machine that answers as they say.

use super::failure::refusal_object;
use super::provider::ProviderLintArgs;
use super::{Context, Failure};
use crate::model::problem::Problem;
use crate::providers::definition::check::compile;
use crate::providers::examples::{Tried, try_all};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn run(args: &ProviderLintArgs, context: &Context) -> Result<(), Failure> {
    let file = args.file.display().to_string();
    let stem = args.file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let bytes = fs_err::read(&args.file).context("the definition cannot be read").map_err(Failure::Fault)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Problem::new("not-utf8", "", format!("{file} is not UTF-8 text; save the file as UTF-8")))?;
    let definition = match compile(stem, &file, &text) {
        Ok(definition) => Arc::new(definition),
        Err(problems) => return tell(context, &file, &[], &problems),
    };
    let tried = context.block_on(async { Ok(try_all(&definition).await) })?;
    let problems: Vec<Problem> = tried.iter().flat_map(Tried::problems).collect();
    tell(context, &file, &tried, &problems)
}

fn tell(context: &Context, file: &str, tried: &[Tried], problems: &[Problem]) -> Result<(), Failure> {
    let ok = problems.is_empty();
    let one = |tried: &Tried| json!({ "what": tried.what, "ok": tried.wrong.is_empty(), "wrong": tried.wrong });
    let mut answer = json!({ "file": file, "ok": ok, "checks": tried.iter().map(one).collect::<Vec<Value>>() });
    if !ok {
        answer["refused"] = problems.iter().map(refusal_object).collect();
    }
    context.printer.object(&answer)?;
    for tried in tried {
        if tried.wrong.is_empty() {
            context.printer.line(format_args!("ok   {}", tried.what))?;
        }
    }
    for problem in problems {
        context.printer.line(format_args!("not  {}", problem.message))?;
    }
    if !ok {
        let (number, them) = if problems.len() == 1 {
            ("1 thing is".to_owned(), "it")
        } else {
            (format!("{} things are", problems.len()), "them")
        };
        context
            .printer
            .note(format_args!("refused: {file}: {number} not as they should be; correct {them} and try again"));
        return Err(Failure::RefusedAsReported);
    }
    context.printer.line(format_args!("\n{file} is sound: {} examples came out as written", tried.len()))
}

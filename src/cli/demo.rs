//! `forewarn demo`: the whole story on this machine, without a server, a network or a question.
//!
//! It goes the way of a real campaign (check, create, approve, start, send) through the same code, over an installation
//! of its own in a new folder. Nothing that exists is overwritten. Deliberately absent: any short cut that a real
//! campaign does not have; only the names of creator and approver are given.

use super::demo_report::Report;
use super::{Context, Failure, init, working};
use crate::app::App;
use crate::app::import::Outputs;
use crate::app::story::Story;
use crate::config;
use crate::dispatch::{End, Until};
use crate::model::problem::Problem;
use crate::model::time::Micros;
use crate::vault::MasterKey;
use clap::Args;
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const CONFIG: &str = include_str!("demo_config.toml");
const CAMPAIGN: &str = include_str!("demo_campaign.toml");
const EXAMPLE: &str = include_str!("../../examples/incident.toml");
const CUSTOMERS: &str = include_str!("../../examples/customers.csv");

const INCIDENT_FILE: &str = "incident.toml";
const REJECTS_FILE: &str = "rejects.csv";
const REPORT_FILE: &str = "report.html";
const LEAD: &str = "demo lead";
const COUNSEL: &str = "demo counsel";

/// Run a sample campaign to its end on this machine; nothing leaves it
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Where to put the sample and what happened; must be empty or new
    #[arg(long, value_name = "DIR", default_value = "forewarn-demo")]
    pub dir: PathBuf,
    /// Taken for scripts written for versions that open a console at the end; there is none yet to leave out
    #[arg(long, hide = true)]
    pub no_serve: bool,
}

pub(super) fn run(args: &DemoArgs, context: &Context) -> Result<(), Failure> {
    let dir = args.dir.as_path();
    refuse_what_is_in_the_way(dir)?;
    fs_err::create_dir_all(dir)?;
    write_sample(dir, context.now())?;
    context.printer.line(format_args!(
        "a demo in {}: 200 rows of invented customers, three routes that write into a folder and fail now and then on \
         purpose; nothing leaves this machine\n",
        dir.display()
    ))?;
    let (story, took, end) = context.block_on(campaign(dir, context))?;
    let report = Report::new(&story, COUNSEL, took);
    let page = report.page(context.now())?;
    init::write_new(&dir.join(REPORT_FILE), page.as_bytes())?;
    context.printer.object(&answer(dir, &story, &report, took))?;
    for line in report.lines() {
        context.printer.line(line)?;
    }
    for line in farewell(dir, &story.status.campaign.id, end) {
        context.printer.line(line)?;
    }
    Ok(())
}

/// The folder must be new or empty: the demo overwrites nothing and mixes with nothing.
fn refuse_what_is_in_the_way(dir: &Path) -> Result<(), Failure> {
    let shown = dir.display();
    let message = match fs_err::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => return Ok(()),
            Some(_) => {
                format!("{shown} is not empty, and the demo overwrites nothing; name another folder with --dir")
            }
        },
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            format!("{shown} is a file; name a new folder with --dir")
        }
        Err(error) => return Err(error.into()),
    };
    Err(Problem::new("not-empty", "", message).into())
}

fn write_sample(dir: &Path, now: Micros) -> Result<(), Failure> {
    init::write_new(&dir.join("master.key"), MasterKey::generate().as_bytes())?;
    init::write_new(&dir.join(config::DEFAULT_FILE), CONFIG.as_bytes())?;
    init::write_new(&dir.join(INCIDENT_FILE), incident_text(now).as_bytes())?;
    init::write_new(&dir.join("customers.csv"), CUSTOMERS.as_bytes())
}

/// The incident of the examples as if it had been found yesterday, with the demo's own campaign.
fn incident_text(now: Micros) -> String {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
    let today = zone.to_datetime(jiff::Timestamp::from_microsecond(now).unwrap_or_default()).date();
    let days_ago = |days: i64| today.saturating_sub(jiff::Span::new().days(days));
    let from_incident = EXAMPLE.split_once("[incident]").map_or(EXAMPLE, |(_, rest)| rest);
    let incident = from_incident.split_once("[campaign]").map_or(from_incident, |(incident, _)| incident);
    let mut text = String::from(
        "# Made by `forewarn demo`: an invented incident of an invented bookkeeping agency, found yesterday.\n\n[incident]",
    );
    for line in incident.lines() {
        match line.split(" = ").next().unwrap_or_default() {
            "occurred_from" => text.push_str(&format!("occurred_from = {}T02:10:00+08:00", days_ago(3))),
            "occurred_until" => text.push_str(&format!("occurred_until = {}T02:40:00+08:00", days_ago(1))),
            "discovered" => text.push_str(&format!("discovered = {}T09:30:00+08:00", days_ago(1))),
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text + CAMPAIGN
}

/// The way of a real campaign, from the dry run to the end of sending.
async fn campaign(dir: &Path, context: &Context) -> Result<(Story, Duration, End), Failure> {
    let say = |what: &str, text: String| context.printer.line(format_args!("{what:<8} {text}"));
    let incident = dir.join(INCIDENT_FILE);
    let load = || config::load(&dir.join(config::DEFAULT_FILE));
    let scratch = tempfile::Builder::new().prefix("forewarn-check-").tempdir()?;
    let trial = App::open_scratch(load()?, scratch.path()).await?;
    trial.create_campaign(&incident, "check", &Outputs::default(), context.now(), &mut |_| {}).await?;
    trial.store.close().await;
    say("check", "the list, the texts and the routes of incident.toml are sound; nothing stored, nothing sent".into())?;

    let app = App::open(load()?).await?;
    let rejects = dir.join(REJECTS_FILE);
    let outputs = Outputs { rejects: Some(&rejects), rows: None };
    let created = app.create_campaign(&incident, LEAD, &outputs, context.now(), &mut |_| {}).await?;
    let id = created.campaign.id.as_str();
    say("create", format!("{LEAD} made the campaign {id}"))?;
    app.approve(id, COUNSEL, context.now()).await?;
    say("approve", format!("{COUNSEL} approved exactly this list, these texts and this ladder; {LEAD} could not"))?;
    let lock = app.lock_for_worker()?;
    app.start(id, LEAD, context.now()).await?;
    say("start", "email first, SMS to whom that fails, then a call".into())?;
    let began = Instant::now();
    let end = working::send(context, &app, &lock, Until::Settled(created.campaign.no)).await?;
    let took = began.elapsed();
    let how = match end {
        End::Done => "nobody is left in flight",
        End::Stopped => "stopped before its end",
    };
    say("send", format!("{how} after {:.1} seconds\n", took.as_secs_f64()))?;
    let story = app.story(id, context.now()).await?;
    app.store.close().await;
    Ok((story, took, end))
}

/// The JSON form: that of `campaign status`, and what the demo adds.
fn answer(dir: &Path, story: &Story, report: &Report<'_>, took: Duration) -> Value {
    let mut answer = story.status.json();
    answer["dir"] = json!(dir);
    answer["report"] = json!(dir.join(REPORT_FILE));
    answer["rejects"] = json!(dir.join(REJECTS_FILE));
    answer["seconds"] = json!((took.as_secs_f64() * 10.0).round() / 10.0);
    let table = |rows: &[(String, String, i64)], name: &str| -> Vec<Value> {
        rows.iter().map(|(channel, word, n)| json!({"channel": channel, name: word, "n": n})).collect()
    };
    answer["by_channel"] = table(&story.notices, "state").into();
    answer["outcomes"] = table(&story.outcomes, "class").into();
    let counts = &story.counts;
    answer["retried"] = counts.retried.into();
    answer["next_step"] = counts.next_step.into();
    answer["resent"] = counts.resent.into();
    answer["held"] = counts.held.into();
    answer["exhausted"] = counts.exhausted.into();
    answer["next"] = json!(report.next);
    answer
}

fn farewell(dir: &Path, id: &str, end: End) -> Vec<String> {
    let mut lines = vec!["\ngo on with:".to_owned(), format!("  cd {}", quoted(&dir.display().to_string()))];
    if std::env::var_os(config::VARIABLE).is_some_and(|v| !v.is_empty()) {
        lines.push(format!("  unset {}", config::VARIABLE));
    }
    if end == End::Stopped {
        lines.push("  forewarn worker --once                 # goes on where it was stopped".to_owned());
    }
    lines.push(format!("  forewarn campaign status {id}"));
    lines.push(format!("  forewarn campaign log {id}"));
    lines.push(format!("  forewarn campaign preview {id} --channel sms"));
    lines.push("  forewarn doctor".to_owned());
    lines
}

/// A path as a shell takes it for one word.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+,@%".contains(c);
    if !path.is_empty() && !path.starts_with('-') && path.chars().all(plain) {
        return path.to_owned();
    }
    let path = if path.starts_with('-') { format!("./{path}") } else { path.to_owned() };
    format!("'{}'", path.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_incident_was_found_yesterday_whenever_the_demo_runs() {
        for at in ["2026-01-01T00:00:00Z", "2028-02-29T23:59:59Z", "2031-03-01T15:59:59Z", "2031-03-01T16:00:00Z"] {
            let now = at.parse::<jiff::Timestamp>().unwrap().as_microsecond();
            let text = incident_text(now);
            let incident = crate::incident_file::parse(Path::new("incident.toml"), &text, now).expect(at).value;
            assert_eq!(incident.campaign.ladder.steps.len(), 3, "{at}");
            assert!(text.lines().filter(|l| l.starts_with("discovered = ")).count() == 1, "{at}");
        }
        let now = "2031-03-01T15:59:59Z".parse::<jiff::Timestamp>().unwrap().as_microsecond();
        assert!(incident_text(now).contains("discovered = 2031-02-28T09:30:00+08:00\n"));
    }

    #[test]
    fn paths_are_one_word_for_a_shell() {
        for (path, want) in
            [("a/b-c", "a/b-c"), ("my demo", "'my demo'"), ("it's", "'it'\\''s'"), ("-d", "'./-d'"), ("a$b", "'a$b'")]
        {
            assert_eq!(quoted(path), want);
        }
    }
}

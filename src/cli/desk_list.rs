//! `forewarn desk list`: the open cases, the most urgent first.

use super::{Context, Failure};
use crate::app::desk::{COUNTED, ListState, Listed, ListedCase, case_json};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Value, json};

/// List the open cases, the most urgent first
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Of this campaign only [default: all that run or are paused]
    #[arg(long, value_name = "ID")]
    pub campaign: Option<String>,
    /// Only cases that you took
    #[arg(long)]
    pub mine: bool,
    /// Your name, for --mine [default: the user of this machine]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Which cases
    #[arg(long, value_name = "STATE", default_value = "open", value_parser = state())]
    pub state: ListState,
    /// How many cases
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=5_000))]
    pub limit: u16,
    /// Go on behind the last page: what it printed as `next`
    #[arg(long, value_name = "PLACE", value_parser = place)]
    pub after: Option<(String, (i64, i64))>,
}

fn state() -> impl TypedValueParser<Value = ListState> {
    PossibleValuesParser::new(ListState::ALL.map(ListState::as_str))
        .try_map(|name| ListState::parse(&name).ok_or("is no state"))
}

/// `CAMPAIGN:TIME:PERSON`, as a page says where it ended.
fn place(text: &str) -> Result<(String, (i64, i64)), String> {
    let mut parts = text.rsplitn(3, ':');
    let mut number = || parts.next().and_then(|n| n.parse::<i64>().ok());
    let (person, time) = (number(), number());
    match (parts.next(), time, person) {
        (Some(campaign), Some(time), Some(person)) => Ok((campaign.to_owned(), (time, person))),
        _ => Err("is not what a page printed as `next`".to_owned()),
    }
}

const HEADINGS: [&str; 7] = ["ref", "campaign", "urgency", "tier", "state", "calls", "country"];

pub(super) fn run(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    context.block_on(async {
        let app = context.app().await?;
        let name = context.actor(args.by.as_deref());
        let holder = args.mine.then_some(name.as_str());
        let asked = (args.state, holder);
        let (campaign, limit) = (args.campaign.as_deref(), usize::from(args.limit));
        let listed = app.desk_list(campaign, asked, args.after.clone(), limit, context.now()).await?;
        context.printer.object(&written(&listed))?;
        let mut table = vec![HEADINGS.map(str::to_owned)];
        table.extend(listed.cases.iter().map(|case| cells(case, listed.now)));
        if listed.cases.is_empty() {
            context.printer.line("no such case is open")?;
        } else {
            for line in super::output::aligned(&table) {
                context.printer.line(line)?;
            }
        }
        for (campaign, open) in &listed.open {
            let more = if *open == COUNTED { "at least " } else { "" };
            context.printer.line(format_args!("{campaign}: {more}{open} open cases"))?;
        }
        match next(&listed) {
            Some(place) => context.printer.line(format_args!("more: forewarn desk list --after {place}")),
            None => Ok(()),
        }
    })
}

fn next(listed: &Listed) -> Option<String> {
    listed.next.as_ref().map(|(campaign, (time, person))| format!("{campaign}:{time}:{person}"))
}

fn object(case: &ListedCase, now: i64) -> Value {
    let mut object = json!({
        "campaign": case.campaign,
        "ref": case.reference.reveal(),
        "standing": case.standing,
        "locale": case.locale,
        "country": case.country,
    });
    if let (Value::Object(all), Value::Object(of_case)) = (&mut object, case_json(&case.case, now)) {
        all.extend(of_case);
    }
    object
}

fn written(listed: &Listed) -> Value {
    json!({
        "cases": listed.cases.iter().map(|case| object(case, listed.now)).collect::<Vec<_>>(),
        "open": listed.open.iter().map(|(campaign, open)| json!({ "campaign": campaign, "cases": open })).collect::<Vec<_>>(),
        "next": next(listed),
    })
}

fn cells(case: &ListedCase, now: i64) -> [String; 7] {
    let of = case_json(&case.case, now);
    let text = |key: &str| of[key].as_str().unwrap_or("").to_owned();
    let state = match (text("holder"), text("call_back")) {
        (holder, _) if !holder.is_empty() => format!("held by {holder}"),
        (_, at) if !at.is_empty() => format!("call back {at}"),
        _ => text("state"),
    };
    [
        case.reference.reveal().to_owned(),
        case.campaign.clone(),
        text("urgency"),
        text("tier"),
        state,
        case.case.calls.to_string(),
        case.country.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_place_is_read_as_it_was_printed() {
        assert_eq!(place("2026-001-initial:17:-4"), Ok(("2026-001-initial".to_owned(), (17, -4))));
        for bad in ["", "x", "a:1", "a:b:1", "a:1:"] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}

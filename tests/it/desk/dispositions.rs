//! How calls end at the desk, and what follows.

use super::place::Desk;
use crate::support::app::{Engine, on_both_engines};

on_both_engines!(
    told_by_a_human_is_told_whatever_the_list_knows_of_the_person,
    what_a_caller_finds_out_decides_what_follows,
    a_call_of_the_desk_and_one_of_a_sheet_are_the_same,
    a_case_is_closed_with_a_reason_and_opened_again,
);

const EMAIL: &str = r#"{ channel = "email" }"#;
const EMAIL_SMS: &str = r#"{ channel = "email" }, { channel = "sms", when = "not-delivered", after = "4h" }"#;

async fn told_by_a_human_is_told_whatever_the_list_knows_of_the_person(engine: Engine) {
    let list =
        "ref,name,email,phone,country\nA-1,Ada,ada@example.org,,DE\nA-2,Bea,bea@example.org,+49 171 3920002,DE\n";
    let desk = Desk::open(engine, EMAIL, list, ("bad-address:100%", "")).await;
    assert_eq!(desk.sum(), "2=0+0+2+0+0");
    // No number, and no telephone in the ladder: the person rang us up.
    let told = desk.json("desk call A-1 --disposition informed --note rang_us_up,_sounded_relieved");
    assert_eq!((&told["standing"], &told["queued"]), (&"satisfied".into(), &serde_json::Value::Null));
    assert_eq!(desk.sum(), "2=1+0+1+0+0");
    assert_eq!(desk.refused("desk call A-1 --disposition informed").0, "call-settled");
    assert_eq!(desk.refused("desk call A-1 --disposition no-answer").0, "no-case");
    desk.json("desk call A-2 --disposition Person_informiert");
    assert_eq!(desk.sum(), "2=2+0+0+0+0");
    let status = desk.json("campaign status ID");
    assert_eq!((&status["state"], &status["notices"]["acknowledged"]), (&"finished".into(), &2.into()));
    // The remark stands nowhere in the clear, and is shown on request only.
    let shown = desk.ok("desk show A-1");
    assert!(!shown.contains("relieved") && shown.contains("with a remark"), "{shown}");
    assert!(!desk.ok("campaign log ID").contains("relieved"));
    assert!(!desk.ok("campaign log ID --reveal").contains("relieved"));
    let revealed = desk.json("desk show A-1 --reveal --by erin");
    let notes = revealed["notes"].as_array().expect("notes");
    assert!(notes.iter().any(|n| n["remark"] == "rang us up, sounded relieved"), "{notes:?}");
    assert!(revealed["contacts"][0]["address"] == "ada@example.org" && desk.json("desk show A-1")["revealed"] == false);
    assert!(desk.noted("A-1").contains(&"contacts revealed erin: contacts and remarks in clear".to_owned()));
    // A retry leaves alone what only a human did.
    assert_eq!(desk.json("campaign retry ID --reason-class bad-address")["queued"], 0);
}

async fn what_a_caller_finds_out_decides_what_follows(engine: Engine) {
    let names = ["WR", "DI", "NO", "WW", "DN", "FR", "LA", "DE", "MI", "VM"];
    let row = |(at, name): (usize, &&str)| {
        format!("{name},Person {name},p{at}@example.org,+49 171 392000{at},de,DE,self,1980-01-01\n")
    };
    let rows: String = names.iter().enumerate().map(row).collect();
    let list = format!("ref,name,email,phone,locale,country,role,birth_date\n{rows}");
    // Every number takes the SMS, but the ladder has not come to it: the first step is still refused for now.
    let desk = Desk::open(engine, EMAIL, &list, ("bad-address:100%", "")).await;
    let before = desk.sum();
    assert!(before.starts_with("10=0+0+10"), "{before}");
    desk.routes(("", ""));
    let call = |line: &str| desk.json(&format!("desk call {line}"));
    let wrong = call("WR --disposition wrong-number");
    assert!(wrong["next"].as_str().is_some_and(|n| n.contains("desk correct")), "{wrong}");
    assert_eq!(desk.json("desk show WR")["contacts"][1]["retired"], true, "nobody calls there again");
    call("DI --disposition disconnected");
    let again = call("NO --disposition no-answer");
    assert!(again["call_back"].is_string() && again["standing"] == "needs_human", "{again}");
    call("WW --disposition wants-writing");
    call("DN --disposition do-not-call");
    call("FR --disposition suspected-fraud");
    let other = call("LA --disposition other-language --language English");
    assert!(other["call_back_there"].as_str().is_some_and(|t| t.contains("Europe/Berlin")), "{other}");
    let shown = desk.json("desk show LA");
    assert_eq!((&shown["locale"], &shown["script"]["language"]), (&"en".into(), &"en".into()));
    assert_eq!(desk.json("desk show NO")["script"]["language"], "de");
    call("MI --disposition minor");
    let minor = desk.json("desk show MI");
    assert_eq!(minor["speak_to"], "guardian");
    assert!(minor["script"]["sections"][0]["text"].as_str().is_some_and(|t| !t.is_empty()));
    call("VM --disposition voicemail --call-back 3h --anyway");
    assert_eq!(desk.json("desk show VM")["case"]["state"], "call-back");
    // The family is written to, and nothing goes to the dead any more.
    let dead = call("DE --disposition deceased");
    assert_eq!(dead["standing"], "needs_human", "nobody knows the family yet: {dead}");
    let kin = desk.json("desk correct DE --role next-of-kin --email kin@example.org");
    assert_eq!((&kin["standing"], &kin["queued"]), (&"in_flight".into(), &"email".into()), "{kin}");
    desk.ok("worker --once");
    assert_eq!(desk.sent("email"), ["<kin@example.org>"], "not under the name of the dead");
    assert_eq!(desk.sum(), "10=1+0+9+0+0");
    for reference in ["WR", "DI", "NO", "WW", "DN", "FR", "LA", "MI", "VM"] {
        desk.json(&format!("desk call {reference} --disposition informed"));
    }
    assert_eq!(desk.sum(), "10=10+0+0+0+0");
}

async fn a_call_of_the_desk_and_one_of_a_sheet_are_the_same(engine: Engine) {
    let list =
        "ref,name,phone,country\nC-1,Ada,+1 202 555 0101,US\nC-2,Bea,+1 202 555 0102,US\nC-3,Cal,+1 202 555 0103,US\n";
    let ladder = r#"{ channel = "phone" }, { channel = "sms", when = "not-reached", after = "4h" }"#;
    let desk = Desk::open(engine, ladder, list, ("", "")).await;
    assert_eq!(desk.sum(), "3=0+3+0+0+0");
    // Calls that are owed are cases, too.
    let listed = desk.json("desk list");
    assert_eq!(listed["cases"].as_array().map(Vec::len), Some(3), "{listed}");
    assert_eq!((&listed["cases"][0]["why"], &listed["cases"][0]["tier"]), (&"call".into(), &"call-owed".into()));
    desk.json("desk call C-1 --disposition informed");
    let refused = desk.json("desk call C-2 --disposition do-not-call");
    assert_eq!(refused["standing"], "in_flight", "the SMS takes over: {refused}");
    let again = desk.json("desk call C-3 --disposition no-answer");
    assert_eq!(again["standing"], "in_flight");
    assert_eq!(
        fs_err::read_dir(desk.path("calls/tasks")).expect("tasks").count(),
        1,
        "settled calls are off the sheet"
    );
    assert_eq!(desk.json("campaign calls ID --export sheets")["calls"], 1);
    let csv = fs_err::read_to_string(desk.path("sheets/call-sheet.csv")).expect("exported");
    assert!(csv.contains("C-3"), "{csv}");
    desk.ok("worker --once");
    assert_eq!(desk.sum(), "3=2+1+0+0+0");
    assert_eq!(desk.json("desk list")["cases"].as_array().map(Vec::len), Some(1));
    // A remark of a sheet is kept as one of the desk is.
    let answered: Vec<String> = csv
        .lines()
        .map(|line| {
            let mut cells: Vec<&str> = line.split(',').collect();
            if cells[1] == "C-3" {
                (cells[5], cells[6]) = ("informed", "asked for a letter");
            }
            cells.join(",")
        })
        .collect();
    fs_err::write(desk.path("answers.csv"), answered.join("\n")).expect("written");
    assert_eq!(desk.json("campaign calls ID --import answers.csv")["recorded"], 1);
    let shown = desk.json("desk show C-3 --reveal");
    assert!(shown["notes"].as_array().expect("notes").iter().any(|n| n["remark"] == "asked for a letter"), "{shown}");
    assert_eq!(desk.sum(), "3=3+0+0+0+0");
    assert_eq!(desk.json("desk list")["cases"].as_array().map(Vec::len), Some(0));
}

async fn a_case_is_closed_with_a_reason_and_opened_again(engine: Engine) {
    let rows: String = (1..=5).map(|n| format!("R-{n},Person {n},p{n}@example.org,+49 171 392000{n},DE\n")).collect();
    let list = format!("ref,name,email,phone,country\n{rows}");
    let desk = Desk::open(engine, EMAIL_SMS, &list, ("bad-address:100%", "bad-address:100%")).await;
    assert_eq!(desk.sum(), "5=0+0+5+0+0");
    assert_eq!(desk.refused("desk close R-1 --reason bored").0, "bad-reason");
    for (reference, reason, sum) in [
        ("R-1", "informed-otherwise", "5=1+0+4+0+0"),
        ("R-2", "unreachable", "5=1+0+3+1+0"),
        ("R-3", "not-affected", "5=1+0+2+1+1"),
        ("R-4", "deceased-without-kin", "5=1+0+1+1+2"),
        ("R-5", "declined", "5=1+0+0+2+2"),
    ] {
        desk.json(&format!("desk close {reference} --reason {reason} --note as_agreed"));
        assert_eq!(desk.sum(), sum, "{reason}");
    }
    assert_eq!(desk.json("campaign status ID")["state"], "finished");
    assert_eq!(desk.refused("desk close R-2 --reason withdrawn").0, "no-case");
    assert!(
        desk.noted("R-3").contains(&"case closed dora: not-affected (excluded)".to_owned()),
        "{:?}",
        desk.noted("R-3")
    );
    assert_eq!(desk.refused("desk correct R-3 --email new@example.org").0, "no-case");
    assert_eq!(desk.json("campaign retry ID --reason-class bad-address")["queued"], 4, "of two who are unreachable");
    desk.ok("worker --once");
    assert_eq!(desk.sum(), "5=1+0+2+0+2", "and they need a human again");
    for reference in ["R-1", "R-3"] {
        desk.json(&format!("desk reopen {reference}"));
    }
    assert_eq!(desk.refused("desk reopen R-1").0, "not-reopened");
    assert_eq!(desk.sum(), "5=0+0+4+0+1");
    assert_eq!(desk.json("campaign retry ID --reason-class unknown")["queued"], 0, "a human did that, not a route");
}

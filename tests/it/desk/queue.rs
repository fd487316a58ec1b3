//! Who gets which case: never two people the same one.

use super::place::Desk;
use crate::support::app::{Engine, on_both_engines};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

on_both_engines!(
    two_people_at_once_work_everything_off_and_never_get_the_same,
    a_case_comes_back_when_it_is_released_or_its_time_is_over,
    the_most_urgent_comes_first_and_a_list_is_read_in_pages,
);

const EMAIL: &str = r#"{ channel = "email" }"#;

fn list(persons: usize) -> String {
    let row = |n: usize| format!("R-{n},Person {n},p{n}@example.org,+49 171 39{n:05},DE\n");
    format!("ref,name,email,phone,country\n{}", (1..=persons).map(row).collect::<String>())
}

async fn two_people_at_once_work_everything_off_and_never_get_the_same(engine: Engine) {
    let persons = 200;
    let desk = Desk::open(engine, EMAIL, &list(persons), ("bad-address:100%", "")).await;
    let handed: Mutex<Vec<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for name in ["dora", "erin"] {
            let (desk, handed) = (&desk, &handed);
            scope.spawn(move || {
                loop {
                    let next = desk.json(&format!("desk next --by {name}"));
                    let Some(reference) = next["ref"].as_str() else { break };
                    assert_eq!((&next["case"]["holder"], &next["case"]["state"]), (&name.into(), &"held".into()));
                    let n = {
                        let mut all = handed.lock().unwrap();
                        all.push(reference.to_owned());
                        all.len()
                    };
                    let done = match n % 3 {
                        0 => format!("desk close {reference} --reason unreachable --by {name}"),
                        _ => format!("desk call {reference} --disposition informed --by {name}"),
                    };
                    desk.json(&done);
                }
            });
        }
    });
    let handed = handed.into_inner().unwrap();
    let different: BTreeSet<&String> = handed.iter().collect();
    assert_eq!((handed.len(), different.len()), (persons, persons), "each case once");
    assert_eq!(desk.sum(), format!("{persons}={}+0+0+{}+0", persons - persons / 3, persons / 3));
    assert_eq!(desk.json("campaign status ID")["state"], "finished");
}

async fn a_case_comes_back_when_it_is_released_or_its_time_is_over(engine: Engine) {
    let desk = Desk::open(engine, EMAIL, &list(2), ("bad-address:100%", "")).await;
    let next = |line: &str| desk.json(&format!("desk next {line}"))["ref"].clone();
    let (first, second) = (next("--by dora --for 1h"), next("--by erin --for 2s"));
    assert!(first.is_string() && second.is_string() && first != second);
    assert!(next("--by fay").is_null(), "both are taken");
    assert_eq!(desk.json("desk list --state held")["cases"].as_array().map(Vec::len), Some(2));
    assert_eq!(desk.json("desk list --mine --by dora")["cases"][0]["ref"], first);
    std::thread::sleep(Duration::from_millis(2_200));
    assert_eq!(next("--by fay"), second, "the time was over");
    let (code, _) = desk.refused(&format!("desk call {} --disposition informed --by erin", second.as_str().unwrap()));
    assert_eq!(code, "held", "and it is somebody else's now");
    assert_eq!(desk.json("desk release --mine --by dora")["released"], 1);
    assert_eq!(next("--by gil"), first);
    // Taken by a command that is killed: it is held, and comes back.
    desk.json("desk release --mine --by gil");
    let mut child = desk.start("desk next --by hal --for 1s");
    std::thread::sleep(Duration::from_millis(60));
    child.kill().and_then(|()| child.wait()).expect("it ends");
    std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(next("--by ida"), first);
    assert_eq!(desk.sum(), "2=0+0+2+0+0");
}

async fn the_most_urgent_comes_first_and_a_list_is_read_in_pages(engine: Engine) {
    let list = "ref,name,email,country,role,birth_date\nA,Ann,a@example.org,DE,self,1970-01-01\n\
        B,Ben,b@example.org,DE,self,2015-01-01\nC,Cy,c@example.org,DE,guardian,\nD,Di,d@example.org,DE,self,\n";
    let desk = Desk::open(engine, EMAIL, list, ("bad-address:100%", "")).await;
    let all = desk.json("desk list");
    let tier = |at: usize| format!("{} {}", all["cases"][at]["ref"], all["cases"][at]["tier"]).replace('"', "");
    assert_eq!([0, 1, 2, 3].map(tier), ["B vulnerable", "C vulnerable", "A not-told", "D not-told"]);
    let mut seen = Vec::new();
    let mut page = desk.json("desk list --limit 3");
    loop {
        seen.extend(page["cases"].as_array().expect("cases").iter().map(|c| c["ref"].as_str().unwrap().to_owned()));
        let Some(place) = page["next"].as_str() else { break };
        page = desk.json(&format!("desk list --limit 3 --after {place}"));
    }
    assert_eq!(seen, ["B", "C", "A", "D"]);
    desk.json("desk call B --disposition voicemail --call-back 1h --anyway");
    assert_eq!(desk.json("desk next --by erin")["ref"], "C", "B is called back later");
    assert_eq!(desk.json("desk list --state call-back")["cases"][0]["ref"], "B");
    assert_eq!(desk.json("desk list --state free")["cases"].as_array().map(Vec::len), Some(2));
    let table = desk.ok("desk list");
    assert!(table.contains("held by erin") && table.contains("4 open cases"), "{table}");
}

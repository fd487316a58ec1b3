//! The verbs of a campaign's life, by the binary: what they print, write and change, with routes that send nothing.

use crate::support::place::{CONFIG, EMAIL_SMS, LIST, Place, incident};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const PHONE: &str = r#"{ channel = "phone" }"#;

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[test]
fn list_and_show_say_what_there_is() {
    let empty = tempfile::tempdir().expect("folder");
    let place = Place::new(EMAIL_SMS, LIST);
    let listed = place.json("campaign list --json");
    let one = &listed["campaigns"][0];
    assert_eq!(listed["campaigns"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&one["campaign"], &one["state"], &one["persons"]),
        (&place.campaign.as_str().into(), &"draft".into(), &3.into())
    );
    let table = place.ok("campaign list");
    assert!(table.starts_with("campaign ") && table.contains(&place.campaign) && table.lines().count() == 2, "{table}");

    place.ok("campaign approve ID --by bob");
    let shown = place.json("campaign show ID --json");
    assert_eq!((&shown["approvals"][0]["by"], &shown["approvals"][0]["void_reason"]), (&"bob".into(), &Value::Null));
    assert_eq!(shown["languages"], serde_json::json!(["de", "en"]));
    let source = &shown["sources"][0];
    let n = |key: &str| source[key].as_i64().expect("a number");
    assert_eq!(n("rows"), n("persons") + n("merged") + n("rejected"));
    assert_eq!((&source["delimiter"], n("rows")), (&",".into(), 3));
    let words = place.ok("campaign show ID");
    for part in ["step 2: sms where that failed", "by bob", "by alice", "rows 3 = persons 3", "digest of the texts"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    // A change of the texts voids the approval, and `show` says so.
    let changed = incident(EMAIL_SMS).replace("We closed the hole.", "We closed it.");
    fs_err::write(place.path("incident.toml"), changed).expect("written");
    place.ok("campaign create incident.toml --by alice");
    let words = place.ok("campaign show ID");
    assert!(words.contains("by bob, void: the campaign was changed"), "{words}");

    assert_eq!(place.run("campaign show nothing").status.code(), Some(2));
    let none =
        Command::new(env!("CARGO_BIN_EXE_forewarn")).args(["campaign", "list"]).current_dir(empty.path()).output();
    assert_eq!(none.expect("runs").status.code(), Some(2), "no configuration");
}

#[test]
fn preview_shows_each_variant_with_a_real_row() {
    let place = Place::new(EMAIL_SMS, LIST);
    let answer = place.json("campaign preview ID --json");
    let previews = answer["previews"].as_array().expect("a list");
    let of = |p: &Value| format!("{} {} {} {}", p["language"], p["channel"], p["role"], p["ref"]).replace('"', "");
    let variants: Vec<String> = previews.iter().map(of).collect();
    let want = ["de sms self =B-2", "en email guardian A-3", "en email self A-1", "en sms guardian A-3"];
    assert_eq!(variants, want);
    assert!(
        previews[0]["content"]["segments"].as_i64().is_some_and(|n| n > 0)
            && previews[0]["content"]["coding"].is_string()
    );
    assert!(
        previews[2]["content"]["text"].as_str().is_some_and(|t| t.contains("Ada Example")),
        "the words of a real row"
    );

    let words = place.ok("campaign preview ID --ref A-3");
    assert!(words.contains("Subject: ") && words.contains("cleo@example.org") && words.contains(" segment"), "{words}");
    assert!(!words.contains("Ada"), "of this person only");
    let one = place.json("campaign preview ID --ref A-3 --channel sms --json");
    assert_eq!(one["previews"].as_array().map(Vec::len), Some(1));
    assert_eq!(place.refused("campaign preview ID --ref nobody"), "no-such-person");
    assert_eq!(place.refused("campaign preview ID --channel phone"), "no-notice");

    let printed = place.ok("campaign preview ID --out shown/here");
    assert!(!printed.contains("Ada Example"), "names of files only: {printed}");
    let mail = place.path("shown/here/email-en-self.eml");
    assert!(fs_err::read_to_string(&mail).expect("written").contains("To: Ada Example <ada@example.org>"));
    for name in ["email-en-self.html", "email-en-self.txt", "sms-de-self.txt", "sms-en-guardian.txt"] {
        assert!(place.path("shown/here").join(name).is_file(), "{name}");
    }
    #[cfg(unix)]
    assert_eq!(mode(&mail), 0o600);
}

#[test]
fn a_campaign_is_paused_resumed_and_cancelled_with_its_reasons() {
    let place = Place::new(EMAIL_SMS, LIST);
    assert_eq!(place.refused("campaign pause ID --reason lunch"), "wrong-state");
    place.ok("campaign approve ID --by bob");
    place.ok("campaign start ID");
    assert_eq!(place.json("campaign pause ID --reason lunch --json")["state"], "paused");
    place.ok("worker --once");
    assert_eq!(place.json("campaign status ID --json")["attempts"], 0, "nothing is sent while it is paused");
    assert_eq!(place.json("campaign resume ID --json")["state"], "running");
    let cancelled = place.json("campaign cancel ID --reason mistake --json");
    assert_eq!((&cancelled["state"], &cancelled["excluded"]), (&"cancelled".into(), &3.into()));
    place.ok("worker --once");
    assert_eq!(place.sum(), "3=0+0+0+0+3");
    assert_eq!(place.refused("campaign resume ID"), "wrong-state");
    assert_eq!(place.refused("campaign retry ID --reason-class bad-address"), "wrong-state");
    let notes: Vec<String> =
        place.log().iter().map(|l| format!("{} {}", l["code"], l["text"]).replace('"', "")).collect();
    for want in ["paused carol: lunch", "resumed carol", "cancelled carol: mistake", "approved bob: "] {
        assert!(notes.iter().any(|n| n.starts_with(want)), "{want}: {notes:?}");
    }
}

#[test]
fn the_log_has_every_attempt_masks_contacts_and_is_safe_in_a_spreadsheet() {
    let place = Place::started(EMAIL_SMS, LIST);
    assert_eq!(place.sum(), "3=3+0+0+0+0");
    let csv = place.ok("campaign log ID");
    let mut table = csv::Reader::from_reader(csv.as_bytes());
    let columns = "at ref channel contact route provider attempt event class state code text provider_id notice campaign reported_at";
    assert_eq!(table.headers().expect("headings").iter().collect::<Vec<_>>().join(" "), columns);
    let rows: Vec<csv::StringRecord> = table.records().map(|r| r.expect("a row")).collect();
    let attempts: Vec<&csv::StringRecord> = rows.iter().filter(|r| &r[7] == "attempt").collect();
    let mut told: Vec<String> = attempts.iter().map(|r| format!("{} {} {} {}", &r[1], &r[2], &r[3], &r[9])).collect();
    told.sort();
    let want = [
        "'=B-2 sms '+49******0001 accepted",
        "A-1 email a***@example.org accepted",
        "A-3 email c***@example.org accepted",
    ];
    assert_eq!(told, want);
    assert!(attempts.iter().all(|r| r[13].len() == 36 && &r[14] == place.campaign.as_str() && r[0].ends_with('Z')));
    assert!(rows.iter().any(|r| &r[7] == "note" && &r[10] == "started"), "{csv}");
    assert!(!csv.contains("ada@") && !csv.contains("revealed"));

    fs_err::write(place.path("log.jsonl"), "older and readable by all").expect("written");
    place.ok("campaign log ID --format jsonl --reveal --out log.jsonl");
    let written = fs_err::read_to_string(place.path("log.jsonl")).expect("written");
    let lines: Vec<Value> = written.lines().map(|l| serde_json::from_str(l).expect("a JSON line")).collect();
    assert!(lines.iter().any(|l| l["contact"] == "+491713920001" && l["ref"] == "=B-2" && l["attempt"] == 1));
    let last = lines.last().expect("a line");
    assert_eq!((&last["code"], &last["event"]), (&"log revealed".into(), &"note".into()), "who looked is recorded");
    assert!(last["text"].as_str().is_some_and(|t| t.starts_with("carol")));
    #[cfg(unix)]
    assert_eq!(mode(&place.path("log.jsonl")), 0o600);
}

/// Fills in the exported table: the disposition of each reference.
fn fill(place: &Place, answers: &[(&str, &str)]) {
    let csv = fs_err::read_to_string(place.path("sheets/call-sheet.csv")).expect("exported");
    let mut lines: Vec<String> = Vec::new();
    for line in csv.lines() {
        let mut cells: Vec<&str> = line.split(',').collect();
        if let Some((_, disposition)) = answers.iter().find(|(reference, _)| cells[1] == *reference) {
            cells[5] = disposition;
        }
        lines.push(cells.join(","));
    }
    fs_err::write(place.path("answers.csv"), lines.join("\n")).expect("written");
}

const CALLED: &str = "ref,name,phone,locale\n\
    C-1,Ada,+1 202 555 0101,en\nC-2,Bea,+1 202 555 0102,en\nC-3,Cal,+1 202 555 0103,en\nC-4,Dan,+1 202 555 0104,en\n\
    C-5,Eli,+1 202 555 0105,en\n";

#[test]
fn calls_are_owed_until_a_caller_says_how_they_ended() {
    let place = Place::started(PHONE, CALLED);
    assert_eq!(place.sum(), "5=0+5+0+0+0", "a call on a sheet tells nobody");
    assert_eq!(place.json("campaign status ID --json")["state"], "running");
    let told = place.ok("campaign status ID");
    assert!(told.contains("5 calls are to be made: `forewarn campaign calls"), "{told}");
    assert_eq!(place.json("campaign calls ID --export sheets --json")["calls"], 5);
    fill(
        &place,
        &[
            ("C-1", "informed"),
            ("C-2", "wrong-number"),
            ("C-3", "no-answer"),
            ("C-4", "Do not call again"),
            ("C-5", "asleep"),
        ],
    );
    let first = place.json("campaign calls ID --import answers.csv --json");
    assert_eq!((&first["recorded"], &first["unchanged"]), (&4.into(), &0.into()), "{first}");
    let answers = fs_err::read_to_string(place.path("answers.csv")).expect("filled in");
    let asleep = answers.lines().position(|l| l.contains("asleep")).expect("a row");
    let problems = &first["problems"];
    assert_eq!((&problems[0]["row"], &problems[0]["code"]), (&asleep.into(), &"bad-disposition".into()));
    let after = "5=1+2+2+0+0";
    assert_eq!(place.sum(), after);
    let status = place.json("campaign status ID --json");
    let notices = |key: &str| status["notices"][key].as_i64();
    assert_eq!((notices("acknowledged"), notices("failed"), notices("accepted")), (Some(1), Some(2), Some(2)));

    // The same file again changes nothing.
    let lines = place.log().len();
    let second = place.json("campaign calls ID --import answers.csv --json");
    assert_eq!((&second["recorded"], &second["unchanged"]), (&0.into(), &4.into()), "{second}");
    assert_eq!((place.sum().as_str(), place.log().len()), (after, lines));

    // What is settled is off the sheet; what is owed comes again, as the next call.
    assert_eq!(place.json("campaign calls ID --export sheets --json")["calls"], 2);
    assert_eq!(fs_err::read_dir(place.path("calls/tasks")).expect("tasks").count(), 2);
    let csv = fs_err::read_to_string(place.path("sheets/call-sheet.csv")).expect("exported");
    assert!(csv.lines().any(|l| l.contains("C-3") && l.ends_with(",2")) && !csv.contains("C-1"), "{csv}");
    fill(&place, &[("C-3", "no-answer"), ("C-5", "deceased")]);
    let third = place.json("campaign calls ID --import answers.csv --json");
    assert_eq!(
        (&third["recorded"], &third["unchanged"]),
        (&2.into(), &0.into()),
        "a second call is not the first: {third}"
    );
    assert_eq!(place.sum(), "5=1+1+3+0+0");

    let receipts: Vec<String> = place
        .log()
        .iter()
        .filter(|l| l["event"] == "receipt")
        .map(|l| format!("{} {} {} {} {}", l["ref"], l["code"], l["state"], l["class"], l["text"]).replace('"', ""))
        .collect();
    let mut sorted = receipts.clone();
    sorted.sort();
    let want = [
        "C-1 informed acknowledged  carol",
        "C-2 wrong-number failed bad-address carol",
        "C-3 no-answer accepted  carol",
        "C-3 no-answer accepted  carol",
        "C-4 do-not-call failed refused-by-person carol",
        "C-5 deceased unknown  carol",
    ];
    assert_eq!(sorted, want);

    // A retry puts the refused call on the sheet again, and reading the old answers does not take it off.
    assert_eq!(place.json("campaign retry ID --reason-class refused-by-person --json")["queued"], 1);
    place.ok("worker --once");
    fs_err::write(place.path("old.csv"), answers).expect("written");
    let old = place.json("campaign calls ID --import old.csv --json");
    assert_eq!((&old["recorded"], &old["unchanged"]), (&0.into(), &4.into()), "{old}");
    assert_eq!(place.sum(), "5=1+2+2+0+0");
    assert_eq!(place.json("campaign calls ID --export sheets --json")["calls"], 2);

    place.ok("campaign cancel ID --reason over");
    assert_eq!(place.sum(), "5=1+0+2+0+2", "calls that were not made never will be");
    assert!(!place.ok("campaign status ID").contains("calls are to be made"));
    assert_eq!(place.json("campaign calls ID --export sheets --json")["calls"], 0);
}

#[test]
fn a_wrong_number_goes_on_up_the_ladder_and_being_told_ends_it() {
    let ladder = r#"{ channel = "phone" }, { channel = "sms", when = "not-reached", after = "4h" }"#;
    let place = Place::new(ladder, CALLED);
    place.ok("campaign approve ID --by bob");
    place.ok("campaign start ID");
    place.ok("worker --once");
    assert_eq!(place.sum(), "5=0+5+0+0+0");
    let waiting = place.json("campaign status ID --json");
    assert_eq!(waiting["notices"]["queued"], 5, "the SMS wait four hours for the calls: {waiting}");
    assert_eq!(place.json("campaign calls ID --export sheets --json")["calls"], 5);
    fill(&place, &[("C-1", "informed"), ("C-2", "wrong-number"), ("C-3", "suspected-fraud")]);
    assert_eq!(place.json("campaign calls ID --import answers.csv --json")["recorded"], 3);
    let status = place.json("campaign status ID --json");
    let notices = |key: &str| status["notices"][key].as_i64();
    assert_eq!(
        (notices("suppressed"), notices("queued")),
        (Some(3), Some(2)),
        "no SMS to who was told, to who may be a fraud, or to a number that is somebody else's"
    );
    place.ok("worker --once");
    assert_eq!(place.sum(), "5=1+2+2+0+0", "whose number is wrong needs a human");
    fill(&place, &[("C-4", "wants-writing")]);
    assert_eq!(place.json("campaign calls ID --import answers.csv --json")["recorded"], 1);
    place.ok("worker --once");
    assert_eq!(place.sum(), "5=2+1+2+0+0", "the SMS of who does not want to listen went out at once");
    let problems = [("unknown-notice", "notice,disposition\n00,informed\n"), ("no-column", "a,b\n1,2\n")];
    for (code, table) in problems {
        fs_err::write(place.path("bad.csv"), table).expect("written");
        assert_eq!(place.json("campaign calls ID --import bad.csv --json")["problems"][0]["code"], code);
    }
    assert_eq!(place.run("campaign calls ID --import nowhere.csv").status.code(), Some(2));
}

#[test]
fn a_cancelled_campaign_excludes_nobody_who_was_told_and_a_call_not_made_tells_nobody() {
    let ladder = r#"{ channel = "email" }, { channel = "phone", when = "always", after = "0s" }"#;
    let list = "ref,name,email,phone\nA-1,Ada,ada@example.org,+1 202 555 0101\nA-2,Bea,,+1 202 555 0102\n";
    let place = Place::started(ladder, list);
    place.ok("worker --once");
    assert_eq!(place.json("campaign calls ID --export sheets --json")["calls"], 2);
    assert_eq!(place.sum(), "2=0+2+0+0+0", "Ada is told, and owed a call");
    place.ok("campaign cancel ID --reason over");
    assert_eq!(place.sum(), "2=1+0+0+0+1");
}

#[tokio::test]
async fn what_the_operator_can_put_right_is_refused_with_its_reason() {
    let place = Place::new("{ channel = \"email\" }", "ref,name,email\n1,Ann,ann@example.com\n");
    assert!(!place.path("forewarn.db-wal").exists(), "a command leaves the file whole behind it");
    let store = forewarn::store::Store::open(&place.path("forewarn.db")).await.expect("opened");
    let lock = store.lock_for_worker().expect("the lock");
    assert_eq!(place.refused("worker --once"), "worker-runs");
    drop(lock);
    store.close().await;
    let key = fs_err::read(place.path("master.key")).expect("the key");
    fs_err::remove_file(place.path("master.key")).expect("removed");
    assert_eq!(place.refused("campaign list"), "master-key");
    fs_err::create_dir(place.path("other")).expect("a folder");
    place.ok("init --dir other");
    fs_err::copy(place.path("other/master.key"), place.path("master.key")).expect("copied");
    assert_eq!(place.refused("campaign list"), "wrong-key");
    fs_err::write(place.path("master.key"), key).expect("written");
    place.ok("campaign list");
    fs_err::write(place.path("forewarn.db"), [7u8; 5000]).expect("written");
    assert_eq!(place.refused("campaign list"), "database-unusable");
    assert_eq!(place.run("check other").status.code(), Some(2), "a folder is no incident file");
}

#[test]
fn a_cancellation_can_be_given_again_and_finishes_what_was_interrupted() {
    let place = Place::new("{ channel = \"email\" }", "ref,name,email\n1,Ann,ann@example.com\n");
    for _ in 0..2 {
        let done = place.json("campaign cancel ID --reason over --json");
        assert_eq!((&done["state"], &done["reason"]), (&"cancelled".into(), &"over".into()));
        assert_eq!(place.sum(), "1=0+0+0+0+1");
    }
    assert_eq!(place.refused("campaign pause ID --reason x"), "wrong-state");
}

#[tokio::test]
async fn waiting_for_another_worker_ends_when_only_calls_are_left() {
    let place = Place::started("{ channel = \"phone\" }", "ref,name,phone\n1,Ann,+4915112345678\n");
    assert_eq!(place.sum(), "1=0+1+0+0+0");
    let store = forewarn::store::Store::open(&place.path("forewarn.db")).await.expect("opened");
    let lock = store.lock_for_worker().expect("the lock");
    place.ok("campaign start ID --wait");
    drop(lock);
    store.close().await;
}

#[test]
fn routes_that_are_not_right_are_told_with_the_list_and_missing_templates_refuse_it() {
    let place = Place::new("{ channel = \"email\" }", "ref,name,email\n1,Ann,ann@example.com\n");
    fs_err::write(place.path("config.toml"), CONFIG.replacen("{ dir", "{ dirr", 1)).expect("written");
    let told = place.json("check incident.toml --json");
    let warned = told["warnings"].as_array().expect("warnings").iter().any(|w| w["code"] == "unknown-setting");
    assert!(warned, "{told}");
    assert_eq!(place.refused("campaign approve ID --by bob"), "unknown-setting");
    fs_err::write(place.path("config.toml"), format!("{CONFIG}[paths]\ntemplates = \"nope\"\n")).expect("written");
    assert_eq!(place.refused("check incident.toml"), "missing-template");
}

#[test]
fn what_a_command_reads_is_never_written_over() {
    let list = "ref,name,email\n1,Ann,ann@example.com\n2,Bob,bad\n";
    let place = Place::new("{ channel = \"email\" }", list);
    for name in ["list.csv", "./list.csv", "incident.toml", "config.toml", "master.key", "forewarn.db"] {
        let before = fs_err::read(place.path(name)).expect("there");
        assert_eq!(place.refused(&format!("check incident.toml --rows {name}")), "would-overwrite", "{name}");
        assert_eq!(place.refused(&format!("check incident.toml --rejects {name}")), "would-overwrite", "{name}");
        assert_eq!(fs_err::read(place.path(name)).expect("there"), before, "{name}");
    }
    assert_eq!(place.refused("check incident.toml --rejects x.csv --rows x.csv"), "would-overwrite");
    place.ok("check incident.toml --rejects x.csv --rows y.jsonl");
}

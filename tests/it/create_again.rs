//! `campaign create` for a campaign that is there already, and files that were changed or left behind since.

use crate::support::app::{Engine, TestApp, on_both_engines};
use crate::support::place::{EMAIL_SMS, LIST, Place};

#[test]
fn a_cancelled_campaign_is_not_called_unchanged() {
    let place = Place::new(EMAIL_SMS, LIST);
    assert_eq!(place.json("campaign create incident.toml --by alice --json")["unchanged"], true);
    place.ok("campaign cancel ID --reason mistake");
    let done = place.run("campaign create incident.toml --by alice");
    assert_eq!(done.status.code(), Some(3));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(said.contains("is cancelled") && said.contains("kind = \"update\""), "{said}");
    assert_eq!(place.refused("campaign create incident.toml --by alice"), "wrong-state");
    assert_eq!(place.sum(), "3=0+0+0+0+3");
}

#[test]
fn rejects_of_an_earlier_run_do_not_pass_for_those_of_this_one() {
    let place = Place::new(EMAIL_SMS, LIST);
    let rejects = place.path("rejects.csv");
    let good = fs_err::read_to_string(place.path("list.csv")).unwrap();
    fs_err::write(place.path("list.csv"), format!("{good}X9,Nobody,not-an-address,,en,\n")).unwrap();
    let create = "campaign create incident.toml --by alice --rejects rejects.csv --json";
    assert_eq!(place.json(create)["rejected"], 1);
    assert!(fs_err::read_to_string(&rejects).unwrap().contains("X9"));
    // Nothing is read anew: the file still says what became of the list.
    assert_eq!(place.json(create)["unchanged"], true);
    assert!(rejects.exists());
    fs_err::write(place.path("list.csv"), good).unwrap();
    assert_eq!(place.json(create)["rejected"], 0);
    assert!(!rejects.exists());
    place.ok("check incident.toml --rejects /dev/null");
    assert!(std::path::Path::new("/dev/null").exists());
}

#[test]
fn a_retry_is_suggested_only_while_it_would_find_somebody() {
    let config = crate::support::place::CONFIG.replacen(
        "settings = { dir = \"outbox\" }",
        "settings = { dir = \"outbox\", faults = \"bad-address:100%\" }",
        1,
    );
    let place = Place::new(EMAIL_SMS, "ref,name,email,phone\nA1,Ada,ada@example.com,+4915112345678\n");
    fs_err::write(place.path("config.toml"), config).unwrap();
    place.ok("campaign approve ID --by bob");
    place.ok("campaign start ID");
    let status = |want: &str, not: &str| {
        let said = place.ok("campaign status ID");
        assert!(said.contains(want) && !said.contains(not), "{said}");
    };
    place.ok("worker --once");
    assert_eq!(place.sum(), "1=1+0+0+0+0");
    status("1 notices failed: bad-address; nobody waits for them", "campaign retry");
    // One more person, whom nothing reaches: now a retry finds somebody.
    place.ok("campaign pause ID --reason more");
    let more = "ref,name,email\nB1,Bo,bo@example.com\n";
    fs_err::write(place.path("more.csv"), more).unwrap();
    let file = fs_err::read_to_string(place.path("incident.toml")).unwrap();
    fs_err::write(place.path("incident.toml"), format!("{file}[[source]]\nfile = \"more.csv\"\n")).unwrap();
    place.ok("campaign create incident.toml --by alice");
    place.ok("campaign approve ID --by bob");
    place.ok("campaign resume ID");
    place.ok("worker --once");
    assert_eq!(place.sum(), "2=1+0+1+0+0");
    status("campaign retry", "nobody waits for them");
}

#[test]
fn words_that_were_changed_since_are_said_not_to_be_used() {
    let place = Place::new(EMAIL_SMS, LIST);
    let says = |line: &str, changed: bool, what_to_do: &str| {
        let status = place.json("campaign status ID --json");
        let said = place.ok(line);
        assert_eq!((status["words_changed"].clone(), said.contains("were changed since")), (changed.into(), changed));
        assert!(said.contains(what_to_do), "{said}");
    };
    let config = fs_err::read_to_string(place.path("config.toml")).unwrap();
    fs_err::write(place.path("config.toml"), format!("{config}[paths]\ntemplates = \"words\"\n")).unwrap();
    fs_err::create_dir_all(place.path("words/breach-notice/en")).unwrap();
    says("campaign status ID", false, "approve");
    let subject = place.path("words/breach-notice/en/email.subject.hbs");
    fs_err::write(&subject, "Please read this: {{incident.title}}\n").unwrap();
    says("campaign status ID", true, "forewarn campaign create INCIDENT.toml");
    place.ok("campaign create incident.toml --by alice");
    says("campaign status ID", false, "approve");
    place.ok("campaign approve ID --by bob");
    // Edited once more: what was approved goes out, and the start says so.
    fs_err::write(&subject, "Please read: {{incident.title}}\n").unwrap();
    says("campaign status ID", true, "have it approved");
    says("campaign start ID", true, "kind = \"update\"");
    fs_err::write(&subject, "Please read: {{incident.title\n").unwrap();
    says("campaign status ID", true, "keeps the words it has");
    // What cannot be read is not guessed about.
    fs_err::remove_dir_all(place.path("words")).unwrap();
    says("campaign status ID", false, "");
    place.ok("worker --once");
    assert_eq!(place.sum(), "3=3+0+0+0+0");
}

async fn a_campaigns_number_is_never_given_again(engine: Engine) {
    let app = TestApp::new(engine, Vec::new()).await;
    assert_eq!(app.campaign(1, &["e"]).await, 1);
    // Nothing of it stays, as of a campaign that was archived and dropped.
    let mut tx = app.store.begin().await.unwrap();
    assert_eq!(tx.next_campaign_no().await.unwrap(), 2);
    tx.commit().await.unwrap();
    assert_eq!(app.campaign(1, &["e"]).await, 3);
    assert_eq!(app.store.begin().await.unwrap().next_campaign_no().await.unwrap(), 4);
    assert_eq!(app.campaign(1, &["e"]).await, 4, "what was not committed was given to nobody");
}

on_both_engines!(a_campaigns_number_is_never_given_again);

//! `campaign create` for a campaign that is there already, and files that were changed or left behind since.

use crate::verbs::{EMAIL_SMS, LIST, Place};

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

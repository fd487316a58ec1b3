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

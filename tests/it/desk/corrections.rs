//! Corrected contacts: the old one is never used again, and the new one gets exactly one notice.

use super::place::Desk;
use crate::support::app::{Engine, on_both_engines};

on_both_engines!(
    a_corrected_contact_receives_exactly_one_notice,
    what_cannot_be_corrected_is_refused_with_its_reason,
    a_correction_that_is_killed_is_done_or_not_done,
);

const EMAIL_SMS: &str = r#"{ channel = "email" }, { channel = "sms", when = "not-delivered", after = "4h" }"#;

fn list(persons: usize) -> String {
    let row = |n: usize| format!("R-{n},Person {n},p{n}@example.org,+49 171 39200{n:02},DE\n");
    format!("ref,name,email,phone,country\n{}", (1..=persons).map(row).collect::<String>())
}

async fn a_corrected_contact_receives_exactly_one_notice(engine: Engine) {
    let desk = Desk::open(engine, EMAIL_SMS, &list(3), ("bad-address:100%", "refused-by-person:100%")).await;
    assert_eq!(desk.sum(), "3=0+0+3+0+0");
    desk.routes(("", ""));
    let done = desk.json("desk correct R-1 --email Ada_<New@EXAMPLE.org>");
    assert_eq!(
        (&done["queued"], &done["contact"], &done["retired"], &done["standing"]),
        (&"email".into(), &3.into(), &serde_json::json!([1]), &"in_flight".into()),
        "{done}"
    );
    assert_eq!(done["address"], "N***@example.org", "masked, and normalised");
    let typed = desk.with_input("desk correct R-2 --phone - --json", "0171 4567890\n");
    assert_eq!(typed.status.code(), Some(0), "{}", String::from_utf8_lossy(&typed.stderr));
    assert_eq!(desk.sum(), "3=0+2+1+0+0");
    desk.ok("worker --once");
    desk.ok("worker --once");
    assert_eq!(
        (desk.sent("email"), desk.sent("sms")),
        (vec!["Person 1 <New@example.org>".into()], vec!["+491714567890".into()])
    );
    assert_eq!(desk.sum(), "3=2+0+1+0+0");
    // What failed at the old contacts stays where it is, and a retry does not go there.
    assert_eq!(desk.json("campaign retry ID --reason-class bad-address")["queued"], 1, "of R-3 alone");
    desk.ok("worker --once");
    assert_eq!(desk.sent("email").len(), 2);
    let shown = desk.json("desk show R-1");
    let contacts: Vec<String> = shown["contacts"]
        .as_array()
        .expect("contacts")
        .iter()
        .map(|c| format!("{} {} {}", c["contact"], c["address"], c["retired"]).replace('"', ""))
        .collect();
    assert_eq!(contacts, ["1 p***@example.org true", "2 +49******0001 false", "3 N***@example.org false"]);
    assert!(desk.noted("R-1").contains(&"contact corrected dora: email: contact 3 in place of 1".to_owned()));
}

async fn what_cannot_be_corrected_is_refused_with_its_reason(engine: Engine) {
    let desk = Desk::open(engine, EMAIL_SMS, &list(2), ("bad-address:100%", "bad-address:100%")).await;
    let code = |line: &str| desk.refused(line).0;
    assert_eq!(code("desk correct R-1 --email p1@EXAMPLE.org"), "known-contact");
    assert_eq!(code("desk correct R-1 --email nobody"), "bad-email");
    assert_eq!(code("desk correct R-1 --phone 12"), "bad-phone");
    assert_eq!(code("desk correct R-1 --email new@example.org --replaces 2"), "bad-contact");
    assert_eq!(code("desk correct R-9 --email new@example.org"), "no-such-person");
    desk.json("desk correct R-1 --email new@example.org");
    assert_eq!(code("desk correct R-1 --email p1@example.org"), "retired-contact");
    assert_eq!(code("desk correct R-1 --email new@example.org"), "known-contact", "its notice waits");
    desk.routes(("", ""));
    desk.ok("worker --once");
    let (told, why) = desk.refused("desk correct R-1 --email another@example.org");
    assert!(told == "already-told" && why.contains("twice"), "{told}: {why}");
    assert!(!why.contains("another@"), "no address in a message");
    // Somebody else works on it.
    desk.json("desk next --by erin");
    let (held, who) = desk.refused("desk correct R-2 --email new2@example.org");
    assert!(held == "held" && who.starts_with("erin works on this case until"), "{who}");
    assert_eq!(code("desk release R-2"), "not-held");
    desk.json("desk release R-2 --by erin");
    desk.json("desk correct R-2 --email new2@example.org");
    desk.ok("campaign cancel ID --reason over");
    assert_eq!(code("desk correct R-2 --phone +491714567890"), "wrong-state");
}

async fn a_correction_that_is_killed_is_done_or_not_done(engine: Engine) {
    let persons = 12;
    let desk = Desk::open(engine, EMAIL_SMS, &list(persons), ("bad-address:100%", "bad-address:100%")).await;
    desk.routes(("", ""));
    for n in 1..=persons {
        let mut child = desk.start(&format!("desk correct R-{n} --email new{n}@example.org"));
        std::thread::sleep(std::time::Duration::from_millis(8 * n as u64));
        child.kill().and_then(|()| child.wait()).expect("it ends");
    }
    let mut done = 0;
    for n in 1..=persons {
        let shown = desk.json(&format!("desk show R-{n}"));
        let contacts = shown["contacts"].as_array().expect("contacts").len();
        let queued = shown["notices"].as_array().expect("notices").iter().filter(|n| n["state"] == "queued").count();
        let noted = desk.noted(&format!("R-{n}")).iter().filter(|n| n.starts_with("contact corrected")).count();
        let whole = [(2, "needs_human", 0, 0), (3, "in_flight", 1, 1)];
        let standing = shown["standing"].as_str().expect("a standing");
        assert!(whole.contains(&(contacts, standing, queued, noted)), "R-{n}: {shown}");
        done += queued;
        if queued == 0 {
            // The same command again.
            desk.json(&format!("desk correct R-{n} --email new{n}@example.org"));
        }
    }
    assert!(done < persons, "not one was killed in time");
    desk.ok("worker --once");
    assert_eq!(desk.sum(), format!("{persons}={persons}+0+0+0+0"));
    assert_eq!(desk.sent("email").len(), persons, "each once");
}

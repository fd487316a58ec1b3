//! The promises of sending, each as a story with a scripted carrier. The books are checked when the app is dropped.

mod control;
mod faults;
mod limits;
mod properties;
mod sharing;
mod suspension;
mod told_once;
mod workers;

use crate::support::app::{Act, Engine, TestApp, now, on_both_engines, route};
use forewarn::dispatch::{End, Until};
use forewarn::model::channel::Channel;
use forewarn::model::incident::OnUnknown;
use forewarn::model::notice::{NoticeId, NoticeState};
use forewarn::model::outcome::Class;
use forewarn::model::person::Standing;
use forewarn::model::time::{HOUR, SECOND};
use std::collections::HashSet;
use std::time::Duration;

fn three_routes() -> Vec<forewarn::dispatch::RoutePlan> {
    vec![route("mail", Channel::Email), route("text", Channel::Sms), route("calls", Channel::Phone)]
}

async fn everybody_is_told_once(engine: Engine) {
    let app = TestApp::new(engine, three_routes()).await;
    let no = app.campaign(700, &["e", "p", "ep"]).await;
    let carrier = app.carrier(|_| Act::Say(Class::Accepted));
    assert_eq!(app.run(&carrier, Until::Settled(no)).await.unwrap(), End::Done);
    assert_eq!(app.standing(no, Standing::Satisfied).await, 700);
    let told: Vec<i64> = carrier.carried.lock().unwrap().iter().map(|c| c.notice.person()).collect();
    assert_eq!((told.len(), told.iter().collect::<HashSet<_>>().len()), (700, 700));
}

async fn whoever_no_step_can_reach_needs_a_human(engine: Engine) {
    let app = TestApp::new(engine, three_routes()).await;
    let no = app.campaign(9, &["", "e", "p"]).await;
    app.run(&app.carrier(|_| Act::Say(Class::Accepted)), Until::Settled(no)).await.unwrap();
    assert_eq!((app.standing(no, Standing::Satisfied).await, app.standing(no, Standing::NeedsHuman).await), (6, 3));
}

async fn a_bad_address_falls_to_the_next_contact_and_then_to_the_next_step(engine: Engine) {
    let app = TestApp::new(engine, three_routes()).await;
    let no = app.campaign(20, &["eep"]).await;
    let carrier = app.carrier(|c| Act::Say(if c.route == "mail" { Class::BadAddress } else { Class::Accepted }));
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 20);
    assert_eq!(app.state(no, NoticeState::Failed).await, 40);
    let all = carrier.carried.lock().unwrap().clone();
    let of_one: Vec<(&str, u8)> =
        all.iter().filter(|c| c.notice.person() == 7).map(|c| (c.route.as_str(), c.notice.contact())).collect();
    assert_eq!(of_one, [("mail", 0), ("mail", 1), ("text", 2)]);
}

async fn whoever_no_step_reached_needs_a_human_and_can_be_tried_again(engine: Engine) {
    let app = TestApp::new(engine, three_routes()).await;
    let no = app.campaign(30, &["ep"]).await;
    app.run(&app.carrier(|_| Act::Say(Class::BadAddress)), Until::Settled(no)).await.unwrap();
    assert_eq!(app.standing(no, Standing::NeedsHuman).await, 30);
    for (class, standing) in [(Class::BadAddress, Standing::NeedsHuman), (Class::Accepted, Standing::Satisfied)] {
        let mut tx = app.store.begin().await.unwrap();
        assert_eq!(tx.requeue(no, Class::BadAddress, NoticeId(0), now(), HOUR, 1_000).await.unwrap().len(), 90);
        tx.commit().await.unwrap();
        assert_eq!(app.standing(no, Standing::InFlight).await, 30);
        // Every next step is there already: none of them may count as a way on.
        app.run(&app.carrier(move |_| Act::Say(class)), Until::NothingDue).await.unwrap();
        assert_eq!(app.standing(no, standing).await, 30, "{}", class.as_str());
    }
}

async fn whoever_was_told_another_way_is_not_told_again_by_a_retry(engine: Engine) {
    let app = TestApp::new(engine, three_routes()).await;
    let no = app.campaign(40, &["ep"]).await;
    // Every email fails; the text reaches the first 25 and the rest fail on every channel.
    let carrier = app.carrier(|c| {
        Act::Say(if c.route != "mail" && c.notice.person() <= 25 { Class::Accepted } else { Class::BadAddress })
    });
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert_eq!((app.standing(no, Standing::Satisfied).await, app.standing(no, Standing::NeedsHuman).await), (25, 15));
    let mut queued = Vec::new();
    loop {
        let mut tx = app.store.begin().await.unwrap();
        let after = queued.last().copied().unwrap_or(NoticeId(0));
        let some = tx.requeue(no, Class::BadAddress, after, now(), HOUR, 7).await.unwrap();
        tx.commit().await.unwrap();
        queued.extend(some.iter().copied());
        if some.is_empty() {
            break;
        }
    }
    assert_eq!(queued.len(), 15 * 3, "email, text and call of those whom nothing reached");
    assert!(queued.iter().all(|n| n.person() > 25));
    assert_eq!((app.standing(no, Standing::Satisfied).await, app.standing(no, Standing::InFlight).await), (25, 15));
}

async fn temporary_is_tried_again_and_given_up_in_time(engine: Engine) {
    let mut app = TestApp::new(engine, three_routes()).await;
    app.plan.give_up_after = SECOND;
    let no = app.campaign(10, &["e"]).await;
    let later = app.carrier(|c| Act::Say(if c.attempt < 4 { Class::Temporary } else { Class::Accepted }));
    app.run(&later, Until::Settled(no)).await.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 10);
    assert_eq!(app.classes(no).await["temporary"], 30);
    let refusals: HashSet<(i64, u32)> = later.carried.lock().unwrap().iter().map(|c| (c.attempt, c.refusals)).collect();
    assert_eq!(refusals, HashSet::from([(1, 0), (2, 1), (3, 2), (4, 3)]), "each refusal renews the key");

    let no = app.campaign(10, &["e"]).await;
    let never = app.carrier(|_| Act::Say(Class::Temporary));
    app.run(&never, Until::Settled(no)).await.unwrap();
    assert_eq!(app.standing(no, Standing::NeedsHuman).await, 10);
    let tries = never.carried.lock().unwrap().len() / 10;
    assert!((6..=25).contains(&tries), "{tries} tries in a second");
}

async fn the_time_to_give_up_counts_from_the_first_try(engine: Engine) {
    let mut app = TestApp::new(engine, three_routes()).await;
    app.plan.give_up_after = SECOND;
    let no = app.campaign(5, &["ep"]).await;
    // All are planned, then wait for longer than that.
    let routes = std::mem::replace(&mut app.routes, vec![route("calls", Channel::Phone)]);
    app.run(&app.carrier(|_| Act::Panic), Until::NothingDue).await.unwrap();
    assert_eq!(app.state(no, NoticeState::Queued).await, 5);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    app.routes = routes;
    let carrier = app.carrier(|c| Act::Say(if c.refusals == 0 { Class::Temporary } else { Class::Accepted }));
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert!(carrier.carried.lock().unwrap().iter().all(|c| c.route == "mail"), "nobody was given up");
}

async fn an_unknown_email_is_sent_again_under_the_same_key_and_an_unknown_sms_is_held(engine: Engine) {
    let app = TestApp::new(engine, three_routes()).await;
    let no = app.campaign(20, &["e", "p"]).await;
    let carrier = app.carrier(|c| {
        // One in doubt, not all: a route that answers nobody would rest.
        let doubtful = c.attempt == 1 && c.notice.person() <= 4;
        Act::Say(if doubtful { Class::Unknown } else { Class::Accepted })
    });
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert_eq!((app.standing(no, Standing::Satisfied).await, app.standing(no, Standing::NeedsHuman).await), (18, 2));
    assert_eq!(app.state(no, NoticeState::Unknown).await, 2);
    assert!(carrier.carried.lock().unwrap().iter().all(|c| c.refusals == 0));
    let mut tx = app.store.begin().await.unwrap();
    assert_eq!(tx.requeue(no, Class::Unknown, NoticeId(0), now(), HOUR, 10).await.unwrap().len(), 2);
    tx.commit().await.unwrap();
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 20);
}

async fn unknown_follows_the_campaigns_word_and_the_providers_keys(engine: Engine) {
    let mut routes = three_routes();
    routes[1].idempotent = true;
    let mut app = TestApp::new(engine, routes).await;
    app.plan.on_unknown.insert("email", OnUnknown::Hold);
    let no = app.campaign(8, &["e", "p"]).await;
    let carrier = app
        .carrier(|c| Act::Say(if c.attempt == 1 && c.notice.person() <= 2 { Class::Unknown } else { Class::Accepted }));
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert_eq!((app.standing(no, Standing::Satisfied).await, app.standing(no, Standing::NeedsHuman).await), (7, 1));
}

async fn a_carrier_that_panics_leaves_its_notice_unknown(engine: Engine) {
    let app = TestApp::new(engine, three_routes()).await;
    let no = app.campaign(30, &["p"]).await;
    let carrier = app.carrier(|c| if c.notice.person() == 3 { Act::Panic } else { Act::Say(Class::Accepted) });
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert_eq!(app.classes(no).await["unknown"], 1);
    assert_eq!(app.standing(no, Standing::NeedsHuman).await, 1);
}

async fn an_always_step_follows_an_accepted_notice(engine: Engine) {
    let mut app = TestApp::new(engine, three_routes()).await;
    app.plan.ladder.steps.truncate(2);
    app.plan.ladder.steps[1].when = forewarn::model::ladder::When::Always;
    app.plan.ladder.steps[1].after = SECOND / 5;
    let no = app.campaign(12, &["ep"]).await;
    let carrier = app.carrier(|_| Act::Say(Class::Accepted));
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert_eq!(carrier.carried.lock().unwrap().len(), 24);
    assert_eq!(app.standing(no, Standing::Satisfied).await, 12);
    assert!(app.plan.give_up_after == HOUR);
}

on_both_engines!(
    everybody_is_told_once,
    whoever_no_step_can_reach_needs_a_human,
    a_bad_address_falls_to_the_next_contact_and_then_to_the_next_step,
    whoever_no_step_reached_needs_a_human_and_can_be_tried_again,
    whoever_was_told_another_way_is_not_told_again_by_a_retry,
    temporary_is_tried_again_and_given_up_in_time,
    the_time_to_give_up_counts_from_the_first_try,
    an_unknown_email_is_sent_again_under_the_same_key_and_an_unknown_sms_is_held,
    unknown_follows_the_campaigns_word_and_the_providers_keys,
    a_carrier_that_panics_leaves_its_notice_unknown,
    an_always_step_follows_an_accepted_notice,
);

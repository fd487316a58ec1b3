//! Two notices of one person: whoever was told by one is left alone by the other, and a wait ends when nothing waits.

use super::three_routes;
use crate::support::app::{Act, Engine, TestApp, now, on_both_engines};
use forewarn::dispatch::Until;
use forewarn::model::apply_disposition::{Waiting, apply_disposition};
use forewarn::model::channel::Channel;
use forewarn::model::disposition::Dispositions;
use forewarn::model::ladder::{Evidence, When};
use forewarn::model::notice::{NoticeId, NoticeState};
use forewarn::model::outcome::Class;
use forewarn::model::person::Standing;
use forewarn::model::time::{HOUR, Micros, SECOND};
use std::time::Duration;

/// Calls first, then texts.
async fn calls_then_texts(engine: Engine, when: When, after: Micros) -> TestApp {
    let mut routes = three_routes();
    routes[2].best = Evidence::Acknowledged;
    let mut app = TestApp::new(engine, routes).await;
    let (call, mut text) = (app.plan.ladder.steps[2], app.plan.ladder.steps[1]);
    (text.when, text.after) = (when, after);
    app.plan.ladder.steps = vec![call, text];
    app.plan.ladder.steps[0].when = When::Always;
    app
}

/// Writes down that these persons were told on the telephone.
async fn told_by_telephone(app: &TestApp, no: i64, persons: impl Iterator<Item = i64>) {
    let list = Dispositions::built_in().unwrap();
    let (informed, ladder) = (list.find("informed").unwrap(), &app.plan.ladder);
    let mut tx = app.store.begin().await.unwrap();
    for person in persons {
        let notice = NoticeId::new(person, 0, Channel::Phone);
        let before = tx.call_notice(no, notice).await.unwrap().unwrap();
        let after = apply_disposition(ladder, notice, before.state, &before.reach, informed).unwrap();
        assert_eq!(after.waiting, Waiting::SuppressUnlessAlways);
        let suppress: Vec<Channel> =
            Channel::ALL.into_iter().filter(|c| after.waiting.suppresses(ladder, *c)).collect();
        tx.record_call(no, notice, ("informed", "a test"), &before, &after, &suppress, now()).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn retry(app: &TestApp, no: i64, class: Class, apart: Micros) -> usize {
    let mut tx = app.store.begin().await.unwrap();
    let queued = tx.requeue(no, class, NoticeId(0), now(), apart, 10_000).await.unwrap().len();
    tx.commit().await.unwrap();
    queued
}

async fn nothing_waits(app: &TestApp, no: i64) -> bool {
    for channel in Channel::ALL {
        if app.store.next_due(no, channel).await.unwrap().is_some() {
            return false;
        }
    }
    true
}

async fn a_retry_of_all_channels_tells_nobody_more_than_once(engine: Engine) {
    let app = TestApp::new(engine, three_routes()).await;
    let no = app.campaign(60, &["ep", "pe"]).await;
    app.run(&app.carrier(|_| Act::Say(Class::BadAddress)), Until::Settled(no)).await.unwrap();
    assert_eq!(retry(&app, no, Class::BadAddress, HOUR).await, 60 * 3);
    // The first third by email, the next by text, the rest on no channel.
    let carrier = app.carrier(|c| {
        let told = match c.notice.person() {
            1..=20 => true,
            21..=40 => c.route != "mail",
            _ => false,
        };
        Act::Wait(Duration::from_millis(20), if told { Class::Accepted } else { Class::BadAddress })
    });
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert_eq!((app.standing(no, Standing::Satisfied).await, app.standing(no, Standing::NeedsHuman).await), (40, 20));
    assert_eq!(app.classes(no).await["accepted"], 40, "one notice each");
    assert!(nothing_waits(&app, no).await);
    let routes = |person| -> Vec<String> {
        let all = carrier.carried.lock().unwrap();
        all.iter().filter(|c| c.notice.person() == person).map(|c| c.route.clone()).collect()
    };
    for person in [1, 2, 19, 20] {
        assert_eq!(routes(person), ["mail"], "the ladder's first step is tried first");
    }
    assert_eq!(
        (routes(21), routes(41)),
        (vec!["mail".into(), "text".into()], ["mail", "text", "calls"].map(String::from).to_vec())
    );
    assert_eq!(app.state(no, NoticeState::Suppressed).await, 20 * 2 + 20);
}

async fn what_waits_for_somebody_who_was_told_is_not_sent_any_more(engine: Engine) {
    let app = TestApp::new(engine, three_routes()).await;
    let no = app.campaign(30, &["ep"]).await;
    app.run(&app.carrier(|_| Act::Say(Class::BadAddress)), Until::Settled(no)).await.unwrap();
    // All at once: the email is put off, the text is taken meanwhile.
    assert_eq!(retry(&app, no, Class::BadAddress, 0).await, 90);
    let carrier = app.carrier(|c| Act::Say(if c.route == "text" { Class::Accepted } else { Class::Temporary }));
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 30);
    assert_eq!((app.state(no, NoticeState::Accepted).await, app.state(no, NoticeState::Suppressed).await), (30, 60));
    assert!(nothing_waits(&app, no).await);
}

async fn a_wait_stays_for_a_step_that_is_taken_in_any_case(engine: Engine) {
    let app = calls_then_texts(engine, When::Always, 3 * SECOND).await;
    let no = app.campaign(8, &["p"]).await;
    let carrier = app.carrier(|_| Act::Say(Class::Accepted));
    app.run(&carrier, Until::NothingDue).await.unwrap();
    told_by_telephone(&app, no, 1..=8).await;
    assert_eq!(app.standing(no, Standing::InFlight).await, 0);
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert!(nothing_waits(&app, no).await);
    assert_eq!((app.state(no, NoticeState::Acknowledged).await, app.state(no, NoticeState::Accepted).await), (8, 8));
}

async fn a_text_that_was_on_the_wire_while_its_person_was_told_by_telephone_is_not_sent_again(engine: Engine) {
    let app = calls_then_texts(engine, When::NotReached, 0).await;
    let no = app.campaign(4, &["p"]).await;
    let carrier = app.carrier(|c| match c.route.as_str() {
        "text" => Act::Wait(Duration::from_millis(1_500), Class::Temporary),
        _ => Act::Say(Class::Accepted),
    });
    let told = async {
        while app.state(no, NoticeState::Sending).await < 4 || carrier.carried.lock().unwrap().len() < 8 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        told_by_telephone(&app, no, 1..=4).await;
    };
    let (ended, ()) = tokio::join!(app.run(&carrier, Until::Settled(no)), told);
    ended.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 4);
    assert_eq!(app.state(no, NoticeState::Suppressed).await, 4);
    assert_eq!(carrier.carried.lock().unwrap().len(), 8, "a call and one text each");
    assert!(nothing_waits(&app, no).await);
}

on_both_engines!(
    a_retry_of_all_channels_tells_nobody_more_than_once,
    what_waits_for_somebody_who_was_told_is_not_sent_any_more,
    a_wait_stays_for_a_step_that_is_taken_in_any_case,
    a_text_that_was_on_the_wire_while_its_person_was_told_by_telephone_is_not_sent_again
);

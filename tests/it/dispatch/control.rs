//! Pausing, resuming, cancelling and stopping.

use super::three_routes;
use crate::support::app::{Act, Engine, TestApp, limited, now, on_both_engines, route};
use forewarn::dispatch::{End, Until};
use forewarn::model::campaign::CampaignState;
use forewarn::model::channel::Channel;
use forewarn::model::notice::NoticeState;
use forewarn::model::outcome::Class;
use forewarn::model::person::Standing;
use forewarn::model::time::SECOND;
use std::time::{Duration, Instant};
use tokio::sync::watch;

async fn a_pause_takes_hold_even_for_notices_that_wait_for_their_slot(engine: Engine) {
    let app = TestApp::new(engine, vec![limited(route("mail", Channel::Email), &[(20, SECOND)])]).await;
    let no = app.campaign(60, &["e"]).await;
    let carrier = app.carrier(|_| Act::Say(Class::Accepted));
    let (stop, stopped) = watch::channel(false);
    let mut dispatcher = app.dispatcher(&carrier, stopped);
    let loop_ = tokio::spawn(async move { dispatcher.run(Until::Stopped).await });
    tokio::time::sleep(Duration::from_millis(700)).await;
    app.move_to(no, CampaignState::Paused).await;
    // Once it has taken hold what waited is given back and nothing more goes out.
    let deadline = Instant::now() + Duration::from_secs(20);
    let (mut before, mut carried) = (usize::MAX, 0);
    while (app.state(no, NoticeState::Sending).await > 0 || carried != before) && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(300)).await;
        (before, carried) = (carried, carrier.carried.lock().unwrap().len());
    }
    assert!(carried > 0 && carried < 60, "{carried}");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(carrier.carried.lock().unwrap().len(), carried);
    assert_eq!(app.state(no, NoticeState::Sending).await, 0, "what waited was given back");
    app.move_to(no, CampaignState::Running).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while app.standing(no, Standing::InFlight).await > 0 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(app.standing(no, Standing::Satisfied).await, 60);
    stop.send(true).unwrap();
    assert_eq!(loop_.await.unwrap().unwrap(), End::Stopped);
}

async fn after_a_cancellation_nothing_waits_and_whoever_was_told_stays_told(engine: Engine) {
    let mut app = TestApp::new(engine, three_routes()).await;
    app.plan.ladder.steps.truncate(2);
    app.plan.ladder.steps[1].when = forewarn::model::ladder::When::Always;
    let no = app.campaign(400, &["ep"]).await;
    let carrier = app.carrier(|_| Act::Wait(Duration::from_millis(100), Class::Accepted));
    let (stop, stopped) = watch::channel(false);
    let mut dispatcher = app.dispatcher(&carrier, stopped);
    let loop_ = tokio::spawn(async move { dispatcher.run(Until::Stopped).await });
    while carrier.carried.lock().unwrap().len() < 12 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    app.move_to(no, CampaignState::Cancelled).await;
    loop {
        let mut tx = app.store.begin().await.unwrap();
        let done = tx.cancel_waiting(no, now(), 50).await.unwrap() + tx.exclude_unplanned(no, 50).await.unwrap();
        tx.commit().await.unwrap();
        if done == 0 {
            break;
        }
    }
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    stop.send(true).unwrap();
    loop_.await.unwrap().unwrap();
    let told = carrier.carried.lock().unwrap().len() as i64;
    assert!(told > 4 && told < 200, "{told}");
    let sums = app.sums(no).await;
    assert_eq!(
        (sums.person(Standing::Satisfied), sums.person(Standing::Excluded), sums.person(Standing::InFlight)),
        (told, 400 - told, 0)
    );
    assert_eq!(app.store.next_due(no, Channel::Sms).await.unwrap(), None);
}

async fn a_stop_finishes_what_is_on_the_wire_and_gives_back_the_rest(engine: Engine) {
    let app = TestApp::new(engine, vec![route("mail", Channel::Email)]).await;
    let no = app.campaign(200, &["e"]).await;
    let carrier = app.carrier(|_| Act::Wait(Duration::from_millis(300), Class::Accepted));
    let (stop, stopped) = watch::channel(false);
    let mut dispatcher = app.dispatcher(&carrier, stopped);
    let loop_ = tokio::spawn(async move { dispatcher.run(Until::Settled(no)).await });
    while carrier.carried.lock().unwrap().len() < 6 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.send(true).unwrap();
    assert_eq!(loop_.await.unwrap().unwrap(), End::Stopped);
    let on_the_wire = carrier.carried.lock().unwrap().len();
    let classes = app.classes(no).await;
    assert_eq!(classes["accepted"], on_the_wire);
    assert!(classes["not-sent"] > 10, "{classes:?}");
    assert_eq!(app.state(no, NoticeState::Sending).await, 0);
    app.run(&app.carrier(|_| Act::Say(Class::Accepted)), Until::Settled(no)).await.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 200);
}

async fn two_campaigns_go_on_side_by_side(engine: Engine) {
    let app = TestApp::new(engine, three_routes()).await;
    let (one, two) = (app.campaign(300, &["e"]).await, app.campaign(300, &["e"]).await);
    let carrier = app.carrier(|_| Act::Wait(Duration::from_millis(5), Class::Accepted));
    app.run(&carrier, Until::NothingDue).await.unwrap();
    assert_eq!(app.standing(one, Standing::Satisfied).await + app.standing(two, Standing::Satisfied).await, 600);
    let carried = carrier.carried.lock().unwrap();
    let early = carried.iter().take(300).filter(|c| c.campaign == two).count();
    assert!((75..=225).contains(&early), "{early} of the first 300 are the second campaign's");
}

async fn an_idle_worker_costs_nothing(engine: Engine) {
    let app = TestApp::new(engine, three_routes()).await;
    let no = app.campaign(10, &["e"]).await;
    let carrier = app.carrier(|_| Act::Say(Class::Accepted));
    let (stop, stopped) = watch::channel(false);
    let mut dispatcher = app.dispatcher(&carrier, stopped);
    let loop_ = tokio::spawn(async move { (dispatcher.run(Until::Stopped).await.map(|_| ()), dispatcher.turns()) });
    tokio::time::sleep(Duration::from_millis(3_000)).await;
    stop.send(true).unwrap();
    let (end, turns) = loop_.await.unwrap();
    end.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 10);
    assert!(turns < 40, "{turns} turns in three seconds with nothing to do");
}

async fn nobody_left_to_stop_it_is_no_reason_to_spin(engine: Engine) {
    let app = TestApp::new(engine, vec![route("mail", Channel::Email)]).await;
    let no = app.campaign(5, &["e"]).await;
    let carrier = app.carrier(|_| Act::Wait(Duration::from_millis(800), Class::Accepted));
    let (stop, stopped) = watch::channel(false);
    drop(stop);
    let mut dispatcher = app.dispatcher(&carrier, stopped);
    dispatcher.run(Until::Settled(no)).await.unwrap();
    assert!(dispatcher.turns() < 200, "{}", dispatcher.turns());
}

on_both_engines!(
    a_pause_takes_hold_even_for_notices_that_wait_for_their_slot,
    after_a_cancellation_nothing_waits_and_whoever_was_told_stays_told,
    a_stop_finishes_what_is_on_the_wire_and_gives_back_the_rest,
    two_campaigns_go_on_side_by_side,
    an_idle_worker_costs_nothing,
    nobody_left_to_stop_it_is_no_reason_to_spin,
);

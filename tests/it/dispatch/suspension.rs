//! What a person told to rest is left alone, and nobody is forgotten over it.

use super::three_routes;
use crate::support::app::{Act, Engine, TestApp, domain_of, now, on_both_engines, route};
use forewarn::dispatch::Until;
use forewarn::model::channel::Channel;
use forewarn::model::outcome::Class;
use forewarn::model::person::Standing;
use forewarn::model::suspension::{Rested, Suspension};
use forewarn::model::time::{HOUR, SECOND};
use std::time::{Duration, Instant};
use tokio::sync::watch;

async fn suspend(app: &TestApp, what: Rested, span: i64) -> i64 {
    let at = now();
    let order = Suspension { what, reason: "as they asked".into(), by: "a test".into(), at, until: at + span };
    let mut tx = app.store.begin().await.unwrap();
    tx.suspend(&order).await.unwrap();
    tx.commit().await.unwrap();
    order.until
}

async fn a_route_at_rest_is_given_nothing_and_another_takes_its_share(engine: Engine) {
    let app = TestApp::new(engine, vec![route("first", Channel::Email), route("second", Channel::Email)]).await;
    suspend(&app, Rested::Route("first".into()), HOUR).await;
    let no = app.campaign(60, &["e"]).await;
    let carrier = app.carrier(|_| Act::Say(Class::Accepted));
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 60);
    assert!(carrier.carried.lock().unwrap().iter().all(|c| c.route == "second"));
}

async fn a_rest_ends_by_itself(engine: Engine) {
    let app = TestApp::new(engine, three_routes()).await;
    let until = suspend(&app, Rested::Route("mail".into()), 2 * SECOND).await;
    let no = app.campaign(20, &["e"]).await;
    let carrier = app.carrier(|_| Act::Say(Class::Accepted));
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 20);
    assert!(now() >= until);
}

async fn email_to_a_domain_at_rest_waits_and_goes_out_when_it_is_lifted(engine: Engine) {
    let app = TestApp::new(engine, three_routes()).await;
    let rested = Rested::Domain("even.example".into());
    let until = suspend(&app, rested.clone(), HOUR).await;
    let no = app.campaign(40, &["e"]).await;
    let carrier = app.carrier(|_| Act::Say(Class::Accepted));
    let (stop, stopped) = watch::channel(false);
    let mut dispatcher = app.dispatcher(&carrier, stopped);
    let loop_ = tokio::spawn(async move { dispatcher.run(Until::Stopped).await });
    let wait_for = async |satisfied: i64| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while app.standing(no, Standing::Satisfied).await < satisfied && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(app.standing(no, Standing::Satisfied).await, satisfied);
    };
    wait_for(20).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(carrier.carried.lock().unwrap().iter().all(|c| domain_of(c.notice.person()) == "odd.example"));
    assert_eq!(app.standing(no, Standing::InFlight).await, 20, "they wait, and are not forgotten");
    let mut tx = app.store.begin().await.unwrap();
    assert_eq!(tx.lift(&rested, "a test", now()).await.unwrap(), [until]);
    assert_eq!(tx.bring_forward(no, until, now()).await.unwrap(), 20);
    tx.commit().await.unwrap();
    wait_for(40).await;
    assert!(app.store.suspensions(now()).await.unwrap().is_empty());
    stop.send(true).unwrap();
    loop_.await.unwrap().unwrap();
    assert_eq!(carrier.carried.lock().unwrap().len(), 40, "each once");
}

on_both_engines!(
    a_route_at_rest_is_given_nothing_and_another_takes_its_share,
    a_rest_ends_by_itself,
    email_to_a_domain_at_rest_waits_and_goes_out_when_it_is_lifted,
);

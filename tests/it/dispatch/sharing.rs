//! Several routes of one channel: shares, failures, and who stands by.

use crate::support::app::{Act, Engine, TestApp, on_both_engines, route};
use forewarn::dispatch::{RoutePlan, Until};
use forewarn::model::channel::Channel;
use forewarn::model::outcome::Class;
use forewarn::model::person::Standing;
use std::time::Duration;

fn weighted(name: &str, weight: u32) -> RoutePlan {
    RoutePlan { weight, ..route(name, Channel::Email) }
}

fn by_route(carrier: &crate::support::app::Scripted, name: &str) -> usize {
    carrier.carried.lock().unwrap().iter().filter(|c| c.route == name).count()
}

async fn a_broken_route_rests_and_the_others_take_over(engine: Engine) {
    let app = TestApp::new(engine, vec![weighted("good", 100), weighted("bad", 100)]).await;
    let no = app.campaign(600, &["e"]).await;
    let carrier = app.carrier(|c| {
        if c.route == "bad" {
            Act::Say(Class::RouteBroken)
        } else {
            Act::Wait(Duration::from_millis(5), Class::Accepted)
        }
    });
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 600);
    // No more than found out before anybody knew: those that waited behind them were given back.
    assert!(by_route(&carrier, "bad") <= 24, "{}", by_route(&carrier, "bad"));
    let health = app.store.route_health().await.unwrap();
    assert_eq!(health.iter().map(|h| h.state.as_str()).collect::<Vec<_>>(), ["broken", "ok"]);
}

async fn a_route_of_weight_0_stands_by_until_the_others_are_down(engine: Engine) {
    let app = TestApp::new(engine, vec![weighted("first", 100), weighted("reserve", 0)]).await;
    let no = app.campaign(300, &["e"]).await;
    let fine = app.carrier(|_| Act::Wait(Duration::from_millis(2), Class::Accepted));
    app.run(&fine, Until::Settled(no)).await.unwrap();
    assert_eq!(by_route(&fine, "reserve"), 0);
    let no = app.campaign(300, &["e"]).await;
    let down = app.carrier(|c| Act::Say(if c.route == "first" { Class::RouteBroken } else { Class::Accepted }));
    app.run(&down, Until::Settled(no)).await.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 300);
    assert_eq!(down.carried.lock().unwrap().iter().filter(|c| c.outcome == Some(Class::Accepted)).count(), 300);
}

async fn shares_follow_the_weights_while_the_routes_have_room(engine: Engine) {
    let mut routes = vec![weighted("three", 75), weighted("one", 25)];
    routes.iter_mut().for_each(|r| r.concurrency = 64);
    let app = TestApp::new(engine, routes).await;
    let no = app.campaign(400, &["e"]).await;
    let carrier = app.carrier(|_| Act::Say(Class::Accepted));
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    let three = by_route(&carrier, "three");
    assert!((260..=340).contains(&three), "{three} of 400");
}

/// A text in doubt on a route with keys is sent again there, and nowhere else: another route does not know the key.
async fn a_text_in_doubt_goes_back_to_the_route_that_knows_its_key(engine: Engine) {
    let keyed = RoutePlan { idempotent: true, ..route("keyed", Channel::Sms) };
    let app = TestApp::new(engine, vec![keyed, route("plain", Channel::Sms)]).await;
    let no = app.campaign(200, &["p"]).await;
    let carrier = app.carrier(|c| {
        let lost = c.route == "keyed" && c.attempt == 1 && c.notice.person() % 4 == 0;
        Act::Say(if lost { Class::Unknown } else { Class::Accepted })
    });
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 200);
    let carried = carrier.carried.lock().unwrap();
    let again: Vec<&str> = carried.iter().filter(|c| c.attempt > 1).map(|c| c.route.as_str()).collect();
    assert!(!again.is_empty() && again.iter().all(|route| *route == "keyed"), "{again:?}");
}

async fn too_fast_slows_the_route_down_and_harms_no_notice(engine: Engine) {
    let app = TestApp::new(engine, vec![weighted("only", 100)]).await;
    let no = app.campaign(100, &["e"]).await;
    let first = std::sync::OnceLock::new();
    let carrier = app.carrier(move |_| {
        let early = first.get_or_init(std::time::Instant::now).elapsed() < Duration::from_millis(300);
        Act::Wait(Duration::from_millis(20), if early { Class::Throttled } else { Class::Accepted })
    });
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 100);
    let throttled = app.classes(no).await["throttled"];
    assert!(throttled <= 20, "{throttled}");
}

on_both_engines!(
    a_broken_route_rests_and_the_others_take_over,
    a_route_of_weight_0_stands_by_until_the_others_are_down,
    shares_follow_the_weights_while_the_routes_have_room,
    a_text_in_doubt_goes_back_to_the_route_that_knows_its_key,
    too_fast_slows_the_route_down_and_harms_no_notice,
);

//! Limits, measured where a provider would measure them: when the carrier is let through the gate.

use crate::support::app::{Act, Carried, Engine, TestApp, domain_of, limited, route};
use crate::support::receiver::most_in_any_window;
use forewarn::dispatch::Until;
use forewarn::dispatch::limiter::Window;
use forewarn::model::channel::Channel;
use forewarn::model::outcome::Class;
use forewarn::model::person::Standing;
use forewarn::model::time::SECOND;
use std::time::{Duration, Instant};

/// When each was let through.
fn began(carried: &[Carried]) -> impl Iterator<Item = Instant> + '_ {
    carried.iter().map(|c| c.began)
}

fn span(carried: &[Carried]) -> Duration {
    began(carried).max().unwrap() - began(carried).min().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_windows_are_never_exceeded_and_used_to_the_full() {
    let mut plan = limited(route("mail", Channel::Email), &[(50, SECOND), (100, 4 * SECOND)]);
    plan.concurrency = 16;
    let app = TestApp::new(Engine::Sqlite, vec![plan]).await;
    let no = app.campaign(280, &["e"]).await;
    let carrier = app.carrier(|_| Act::Wait(Duration::from_millis(30), Class::Accepted));
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 280);
    let carried = carrier.carried.lock().unwrap().clone();
    let (short, long) = (
        most_in_any_window(began(&carried), Duration::from_secs(1)),
        most_in_any_window(began(&carried), Duration::from_secs(4)),
    );
    assert!(short <= 50 && long <= 100, "{short} in a second, {long} in four");
    // The first 100 in two seconds, the next two seconds later, the last 80 in 1.6 seconds: 9.6 seconds at best.
    assert!(span(&carried).as_secs_f64() <= 9.6 * 2.5, "{:?}", span(&carried));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_slower_than_its_limit_wastes_no_slots() {
    let mut plan = limited(route("text", Channel::Sms), &[(100, SECOND)]);
    plan.concurrency = 2;
    let app = TestApp::new(Engine::Sqlite, vec![plan]).await;
    let no = app.campaign(40, &["p"]).await;
    let carrier = app.carrier(|_| Act::Wait(Duration::from_millis(100), Class::Accepted));
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    let classes = app.classes(no).await;
    assert_eq!(classes["accepted"], 40);
    assert!(classes.get("not-sent").copied().unwrap_or(0) <= 4, "{classes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domains_limit_holds_its_notices_and_nobody_elses() {
    let mut plan = route("mail", Channel::Email);
    plan.concurrency = 16;
    plan.domain_limits = vec![("even.example".to_owned(), Window { rate: 20, per: SECOND })];
    let app = TestApp::new(Engine::Sqlite, vec![plan]).await;
    let no = app.campaign(200, &["e"]).await;
    let carrier = app.carrier(|_| Act::Wait(Duration::from_millis(5), Class::Accepted));
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 200);
    let carried = carrier.carried.lock().unwrap().clone();
    let (even, odd): (Vec<Carried>, Vec<Carried>) =
        carried.into_iter().partition(|c| domain_of(c.notice.person()) == "even.example");
    assert!(most_in_any_window(began(&even), Duration::from_secs(1)) <= 20);
    // The limited half needs at least four seconds on any machine.
    assert!(span(&odd) < span(&even), "{:?} {:?}", span(&odd), span(&even));
}

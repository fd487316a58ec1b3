//! How fast the loop itself is, with a carrier that takes everything at once. Only a release build says anything.

use crate::support::app::{Act, TestApp, route};
use forewarn::dispatch::Until;
use forewarn::model::channel::Channel;
use forewarn::model::outcome::Class;
use forewarn::model::person::Standing;
use std::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo test --profile quick --test it -- --ignored --nocapture null_carrier"]
async fn null_carrier() {
    let persons = 100_000;
    let mut plan = route("mail", Channel::Email);
    plan.concurrency = 64;
    let app = TestApp::new(vec![plan]).await;
    for round in 1..=3 {
        let no = app.campaign(persons, &["e"]).await;
        let carrier = app.carrier(|_| Act::Say(Class::Accepted));
        let began = Instant::now();
        app.run(&carrier, Until::Settled(no)).await.unwrap();
        let seconds = began.elapsed().as_secs_f64();
        assert_eq!(app.standing(no, Standing::Satisfied).await, persons);
        let line = format!("round {round}: {:.0} notices a second\n", persons as f64 / seconds);
        std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
    }
}

/// A statement that walks the campaign for every batch makes this take minutes; [`TestApp::run`] waits for one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_costs_the_same_in_a_long_list() {
    let app = TestApp::new(vec![route("mail", Channel::Email)]).await;
    let no = app.campaign(5_000, &["e"]).await;
    app.run(&app.carrier(|_| Act::Say(Class::Accepted)), Until::Settled(no)).await.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 5_000);
}

//! Receipts upon notices, with a scripted carrier on both engines. The books are checked when the app is dropped.

use crate::support::app::{Act, Engine, TestApp, now, on_both_engines, route};
use forewarn::dispatch::settle::{Matched, Settled, settle};
use forewarn::dispatch::{RoutePlan, Until};
use forewarn::model::campaign::CampaignState;
use forewarn::model::channel::Channel;
use forewarn::model::incident::OnUnknown;
use forewarn::model::ladder::{Evidence, When};
use forewarn::model::notice::{NoticeId, NoticeState};
use forewarn::model::outcome::Class;
use forewarn::model::overdue::Reporting;
use forewarn::model::person::Standing;
use forewarn::model::receipt::{Event, Receipt};
use forewarn::model::time::{DAY, HOUR};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Email, text and calls over routes that report.
fn reporting() -> Vec<RoutePlan> {
    let reports = |name, channel| RoutePlan { best: Evidence::Delivered, ..route(name, channel) };
    vec![reports("mail", Channel::Email), reports("text", Channel::Sms), reports("calls", Channel::Phone)]
}

/// A receipt of the first notice of each of the persons, of this attempt.
fn of(persons: impl Iterator<Item = i64>, attempt: i64, event: Event) -> Vec<Matched> {
    let matched = |person| Matched {
        notice: NoticeId::new(person, 0, Channel::Email),
        attempt,
        report: 1,
        route: "mail".to_owned(),
        receipt: Receipt {
            token: None,
            provider_id: None,
            address: None,
            event,
            code: "said".to_owned(),
            text: String::new(),
            at: None,
            event_id: None,
        },
        received_at: now(),
    };
    persons.map(matched).collect()
}

async fn settled(app: &TestApp, no: i64, matched: Vec<Matched>) -> Vec<Settled> {
    let mut tx = app.store.begin_beside().await.unwrap();
    tx.hold_campaigns([no].into_iter()).await.unwrap();
    let route = |name: &str| app.routes.iter().find(|r| r.name == name);
    let reporting = |name: &str| route(name).map_or(Reporting::up_to(Evidence::Accepted), RoutePlan::reporting);
    let done = settle(&mut tx, no, &app.plan, &reporting, matched, now()).await.unwrap();
    if app.store.campaign_states().await.unwrap().contains(&(no, CampaignState::Cancelled)) {
        tx.cancel_waiting(no, now(), 1_000).await.unwrap();
    }
    tx.commit().await.unwrap();
    done
}

fn all(n: usize, what: Settled) -> Vec<Settled> {
    vec![what; n]
}

async fn a_delivery_takes_the_next_step_away_and_a_bounce_makes_it_due(engine: Engine) {
    let app = TestApp::new(engine, reporting()).await;
    let no = app.campaign(60, &["ep"]).await;
    let carrier = app.carrier(|_| Act::Say(Class::Accepted));
    app.run(&carrier, Until::NothingDue).await.unwrap();
    assert_eq!((app.standing(no, Standing::InFlight).await, app.state(no, NoticeState::Queued).await), (60, 60));
    assert_eq!(settled(&app, no, of(1..=20, 1, Event::Delivered)).await, all(20, Settled::Applied));
    assert_eq!((app.standing(no, Standing::Satisfied).await, app.state(no, NoticeState::Suppressed).await), (20, 20));
    let bounce = Event::Failed(Class::BadAddress);
    assert_eq!(settled(&app, no, of(21..=30, 1, bounce)).await, all(10, Settled::Applied));
    assert_eq!((app.standing(no, Standing::InFlight).await, app.state(no, NoticeState::Failed).await), (40, 10));
    app.run(&carrier, Until::NothingDue).await.unwrap();
    // The text of those whose mail bounced went out at once; it waits for its own report.
    let carried = carrier.carried.lock().unwrap().clone();
    let sent: BTreeSet<i64> = carried.iter().filter(|c| c.route == "text").map(|c| c.notice.person()).collect();
    assert_eq!(sent, (21..=30).collect());
    // The same again changes nothing, nor does a delivery that was reported after the bounce.
    assert_eq!(settled(&app, no, of(1..=30, 1, Event::Delivered)).await[..20], all(20, Settled::Duplicate));
    assert_eq!(app.state(no, NoticeState::Failed).await, 10);
    // A late bounce of what was delivered: nobody is forgotten.
    assert_eq!(settled(&app, no, of(1..=5, 1, bounce)).await, all(5, Settled::Applied));
    assert_eq!((app.standing(no, Standing::Satisfied).await, app.standing(no, Standing::NeedsHuman).await), (15, 5));
    assert_eq!(app.sums(no).await.receipts["failed"], 15);
}

async fn a_receipt_before_its_outcome_is_applied_with_it(engine: Engine) {
    let mut app = TestApp::new(engine, reporting()).await;
    app.plan.on_unknown.insert("email", OnUnknown::Hold);
    let app = Arc::new(app);
    let no = app.campaign(8, &["ep"]).await;
    let class = |person: i64| if person % 2 == 0 { Class::Unknown } else { Class::Accepted };
    let carrier = app.carrier(move |c| Act::Wait(Duration::from_millis(1500), class(c.notice.person())));
    let running = {
        let (app, carrier) = (app.clone(), carrier.clone());
        tokio::spawn(async move { app.run(&carrier, Until::NothingDue).await.unwrap() })
    };
    while app.state(no, NoticeState::Sending).await < 8 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The first four are on the wire, and the provider is faster than its own answer.
    assert_eq!(settled(&app, no, of(1..=8, 1, Event::Delivered)).await, all(8, Settled::Applied));
    assert_eq!(app.state(no, NoticeState::Sending).await, 8, "nothing is moved under the worker");
    running.await.unwrap();
    assert_eq!((app.state(no, NoticeState::Delivered).await, app.standing(no, Standing::Satisfied).await), (8, 8));
    assert_eq!(app.state(no, NoticeState::Suppressed).await, 4, "the steps that followed the accepted ones");
    let states: Vec<_> = app.store.receipts_after(no, 0, 100).await.unwrap().into_iter().map(|r| r.state).collect();
    assert_eq!(states, vec![Some("delivered".to_owned()); 8]);
    Arc::into_inner(app).expect("the last").check().await;
}

async fn what_is_known_to_have_arrived_is_not_sent_again_when_its_worker_died(engine: Engine) {
    // Email is sent again after an unknown outcome, unless somebody knows better.
    let app = TestApp::new(engine, reporting()).await;
    let no = app.campaign(6, &["e"]).await;
    let never = app.carrier(|_| Act::Wait(Duration::from_secs(3600), Class::Accepted));
    app.run_and_kill(&never, Duration::from_millis(1500));
    assert!(app.state(no, NoticeState::Sending).await > 0);
    let progress = settled(&app, no, of(1..=3, 1, Event::Progress)).await;
    assert_eq!(progress, all(3, Settled::Applied));
    let carrier = app.carrier(|_| Act::Say(Class::Accepted));
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    let mut again: Vec<i64> = carrier.carried.lock().unwrap().iter().map(|c| c.notice.person()).collect();
    again.sort_unstable();
    assert_eq!(again, [4, 5, 6], "the provider has the others");
    assert_eq!(app.standing(no, Standing::Satisfied).await, 6);
}

async fn what_is_held_is_cleared_up_by_what_comes_back(engine: Engine) {
    let mut app = TestApp::new(engine, reporting()).await;
    app.plan.on_unknown.insert("email", OnUnknown::Hold);
    let no = app.campaign(4, &["ep"]).await;
    app.run(&app.carrier(|_| Act::Say(Class::Unknown)), Until::NothingDue).await.unwrap();
    assert_eq!(app.standing(no, Standing::NeedsHuman).await, 4);
    let events = [Event::Progress, Event::Delivered, Event::Failed(Class::BadAddress), Event::Complained];
    for (person, event) in (1..).zip(events) {
        assert_eq!(settled(&app, no, of(person..=person, 1, event)).await, all(1, Settled::Applied), "{event:?}");
    }
    for (state, n) in [(NoticeState::Accepted, 1), (NoticeState::Delivered, 2), (NoticeState::Failed, 1)] {
        assert_eq!(app.state(no, state).await, n, "{state}");
    }
    // After progress the next step waits as after `accepted`; after the failure it is due.
    assert_eq!((app.standing(no, Standing::InFlight).await, app.standing(no, Standing::Satisfied).await), (2, 2));
    let due = app.store.next_due(no, Channel::Sms).await.unwrap().unwrap();
    assert!(due <= now());
}

async fn a_busy_line_is_called_again_until_it_is_given_up(engine: Engine) {
    let mut app = TestApp::new(engine, reporting()).await;
    app.plan.ladder.steps.truncate(1);
    app.plan.ladder.steps[0].channel = Channel::Phone;
    let no = app.campaign(3, &["p"]).await;
    let carrier = app.carrier(|_| Act::Say(Class::Accepted));
    app.run(&carrier, Until::NothingDue).await.unwrap();
    assert_eq!(app.standing(no, Standing::InFlight).await, 3, "a call that was taken on has told nobody");
    let call = |persons: std::ops::RangeInclusive<i64>, attempt, event| {
        let mut calls = of(persons, attempt, event);
        for m in &mut calls {
            (m.notice, m.route) = (NoticeId::new(m.notice.person(), 0, Channel::Phone), "calls".to_owned());
        }
        calls
    };
    let busy = Event::Failed(Class::Temporary);
    assert_eq!(settled(&app, no, call(1..=3, 1, busy)).await, all(3, Settled::Applied));
    assert_eq!(app.state(no, NoticeState::Deferred).await, 3);
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    let keys: Vec<u32> = carrier.carried.lock().unwrap().iter().map(|c| c.refusals).collect();
    assert_eq!(keys, [0, 0, 0, 1, 1, 1], "each call is one of its own for the provider");
    // Of the first call nobody wants to hear any more.
    assert_eq!(settled(&app, no, call(1..=1, 1, Event::Failed(Class::BadAddress))).await, all(1, Settled::Late));
    assert_eq!(settled(&app, no, call(1..=1, 2, Event::Acknowledged)).await, all(1, Settled::Applied));
    assert_eq!(settled(&app, no, call(2..=2, 2, Event::Failed(Class::BadAddress))).await, all(1, Settled::Applied));
    let (told, human) = (app.standing(no, Standing::Satisfied).await, app.standing(no, Standing::NeedsHuman).await);
    assert_eq!((told, human, app.standing(no, Standing::InFlight).await), (1, 1, 1));
    assert_eq!(settled(&app, no, call(3..=3, 2, Event::Delivered)).await, all(1, Settled::Applied));
}

async fn what_comes_back_about_a_cancelled_campaign_is_written_down(engine: Engine) {
    let app = TestApp::new(engine, reporting()).await;
    let no = app.campaign(4, &["ep"]).await;
    app.run(&app.carrier(|_| Act::Say(Class::Accepted)), Until::NothingDue).await.unwrap();
    app.move_to(no, CampaignState::Cancelled).await;
    let mut tx = app.store.begin().await.unwrap();
    assert_eq!(tx.cancel_waiting(no, now(), 100).await.unwrap(), 4);
    tx.commit().await.unwrap();
    settled(&app, no, of(1..=1, 1, Event::Delivered)).await;
    settled(&app, no, of(2..=2, 1, Event::Failed(Class::BadAddress))).await;
    assert_eq!((app.state(no, NoticeState::Delivered).await, app.state(no, NoticeState::Failed).await), (1, 1));
    assert_eq!(app.state(no, NoticeState::Queued).await, 0, "nothing is queued any more");
    assert_eq!(app.store.receipts_after(no, 0, 10).await.unwrap().len(), 2);
}

async fn a_step_taken_in_any_case_follows_a_delivery(engine: Engine) {
    let mut app = TestApp::new(engine, reporting()).await;
    app.plan.ladder.steps[1].after = DAY;
    app.plan.ladder.steps[2].when = When::Always;
    let no = app.campaign(5, &["ep"]).await;
    app.run(&app.carrier(|_| Act::Say(Class::Accepted)), Until::NothingDue).await.unwrap();
    settled(&app, no, of(1..=5, 1, Event::Delivered)).await;
    // The text is not needed, the call is.
    assert_eq!((app.state(no, NoticeState::Suppressed).await, app.state(no, NoticeState::Queued).await), (5, 5));
    let call = app.store.next_due(no, Channel::Phone).await.unwrap().expect("a call");
    assert!((now()..=now() + HOUR).contains(&call));
    assert_eq!(app.standing(no, Standing::InFlight).await, 5);
}

on_both_engines!(
    a_delivery_takes_the_next_step_away_and_a_bounce_makes_it_due,
    a_receipt_before_its_outcome_is_applied_with_it,
    what_is_known_to_have_arrived_is_not_sent_again_when_its_worker_died,
    what_is_held_is_cleared_up_by_what_comes_back,
    a_busy_line_is_called_again_until_it_is_given_up,
    what_comes_back_about_a_cancelled_campaign_is_written_down,
    a_step_taken_in_any_case_follows_a_delivery,
);

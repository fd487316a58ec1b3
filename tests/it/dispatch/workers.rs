//! Many workers on one PostgreSQL: together they tell everybody once, keep the limits, and take over from each other.

use crate::support::app::{Act, Carried, Engine, LEASE, Scripted, TestApp, limited, now, route};
use crate::support::proxy::{Proxy, Wire};
use crate::support::receiver::most_in_any_window;
use crate::support::servers;
use forewarn::dispatch::{Dispatcher, End, Until};
use forewarn::model::channel::Channel;
use forewarn::model::notice::NoticeState;
use forewarn::model::outcome::Class;
use forewarn::model::person::Standing;
use forewarn::model::time::SECOND;
use forewarn::store::{Store, StoreError};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

struct Worker {
    ends: JoinHandle<Result<End, StoreError>>,
    stop: watch::Sender<bool>,
}

impl Worker {
    /// One that others soon take over from.
    fn start(app: &TestApp, store: Store, carrier: &Arc<Scripted>) -> Worker {
        Worker::run(app, store, carrier, |dispatcher| dispatcher.leased_for(LEASE))
    }

    fn run(
        app: &TestApp,
        store: Store,
        carrier: &Arc<Scripted>,
        leased: fn(Dispatcher<Scripted>) -> Dispatcher<Scripted>,
    ) -> Worker {
        let (stop, stopped) = watch::channel(false);
        let mut dispatcher = leased(Dispatcher::new(store, carrier.clone(), app.routes.clone(), stopped, now));
        let ends = tokio::spawn(async move { dispatcher.run(Until::Stopped).await });
        Worker { ends, stop }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        assert_eq!(self.ends.await.unwrap().unwrap(), End::Stopped);
    }
}

async fn wait_for(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !done().await {
        assert!(std::time::Instant::now() < deadline, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_workers_tell_everybody_once_within_the_limits_of_one() {
    if servers::postgres().await.is_none() {
        return;
    }
    let mut plan = limited(route("mail", Channel::Email), &[(100, SECOND), (300, 3 * SECOND)]);
    plan.concurrency = 8;
    let app = TestApp::new(Engine::Postgres, vec![plan, route("text", Channel::Sms)]).await;
    let no = app.campaign(1_200, &["e", "p"]).await;
    let carriers: Vec<Arc<Scripted>> =
        (0..5).map(|_| app.carrier(|_| Act::Wait(Duration::from_millis(3), Class::Accepted))).collect();
    let mut workers = Vec::new();
    for carrier in &carriers {
        // With the lease of every day: a busy machine is no dead worker.
        workers.push(Worker::run(&app, app.open_again().await, carrier, |dispatcher| dispatcher));
    }
    wait_for("everybody", async || app.standing(no, Standing::Satisfied).await == 1_200).await;
    for worker in workers {
        worker.end().await;
    }
    let carried: Vec<Carried> = carriers.iter().flat_map(|c| c.carried.lock().unwrap().clone()).collect();
    assert_eq!(carried.len(), 1_200, "each once");
    let shares: Vec<usize> = carriers.iter().map(|c| c.carried.lock().unwrap().len()).collect();
    assert!(shares.iter().all(|n| *n > 0), "all took part: {shares:?}");
    let times = || carried.iter().filter(|c| c.route == "mail").map(|c| c.began).collect::<Vec<_>>();
    let (short, long) =
        (most_in_any_window(times(), Duration::from_secs(1)), most_in_any_window(times(), Duration::from_secs(3)));
    assert!(short <= 100 && long <= 300, "{short} in a second, {long} in three");
    assert!(app.store.workers(10).await.unwrap().iter().all(|w| w.ended.as_deref() == Some("stopped")));
}

/// The database of `app` as a worker behind a wire sees it.
async fn behind(app: &TestApp) -> (Proxy, Store) {
    let url = app.url.clone().expect("a server");
    let proxy = Proxy::to(url.socket_addrs(|| Some(5432)).unwrap()[0]).await;
    let mut through = url;
    through.set_port(Some(proxy.port)).unwrap();
    let store = Store::connect(&through).await.unwrap();
    (proxy, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_cut_off_loses_its_notices_and_records_nothing_over_its_successor() {
    if servers::postgres().await.is_none() {
        return;
    }
    let app = TestApp::new(Engine::Postgres, vec![route("text", Channel::Sms)]).await;
    let no = app.campaign(60, &["p"]).await;
    // What the first worker sends is answered only after it has lost everything.
    let slow = app.carrier(|_| Act::Wait(LEASE * 3, Class::Accepted));
    let (proxy, store) = behind(&app).await;
    let first = Worker::start(&app, store, &slow);
    wait_for("the first worker's sends", async || slow.carried.lock().unwrap().len() == 4).await;
    proxy.set(Wire::Silent);
    let quick = app.carrier(|_| Act::Say(Class::Accepted));
    let second = Worker::start(&app, app.open_again().await, &quick);
    wait_for("the others", async || {
        let sums = app.sums(no).await;
        sums.notice(NoticeState::Sending) == 0 && sums.notice(NoticeState::Queued) == 0
    })
    .await;
    let unknown = app.state(no, NoticeState::Unknown).await;
    assert!((4..=8).contains(&unknown), "{unknown}");
    tokio::time::sleep(LEASE * 3).await;
    proxy.set(Wire::Open);
    // It comes back as a new worker, and what it heard meanwhile changes nothing any more.
    wait_for("the first to come back", async || {
        app.store.workers(10).await.unwrap().iter().filter(|w| w.ended.is_none()).count() == 2
    })
    .await;
    assert_eq!(app.state(no, NoticeState::Unknown).await, unknown);
    first.end().await;
    second.end().await;
    assert_eq!(app.classes(no).await["unknown"] as i64, unknown);
    let mut told: HashMap<i64, usize> = HashMap::new();
    for carrier in [&slow, &quick] {
        for c in carrier.carried.lock().unwrap().iter() {
            *told.entry(c.notice.0).or_default() += 1;
        }
    }
    assert!(told.values().all(|n| *n == 1), "nobody was told twice");
    assert_eq!(app.standing(no, Standing::Satisfied).await + unknown, 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_lose_the_database_for_a_while_come_back_and_lose_no_outcome() {
    if servers::postgres().await.is_none() {
        return;
    }
    let app = TestApp::new(Engine::Postgres, vec![route("mail", Channel::Email)]).await;
    let no = app.campaign(3_000, &["e"]).await;
    let carriers: Vec<Arc<Scripted>> =
        (0..2).map(|_| app.carrier(|_| Act::Wait(Duration::from_millis(4), Class::Accepted))).collect();
    let mut workers = Vec::new();
    let mut proxies = Vec::new();
    for carrier in &carriers {
        let (proxy, store) = behind(&app).await;
        workers.push(Worker::start(&app, store, carrier));
        proxies.push(proxy);
    }
    for pause in [30, 400, 90] {
        tokio::time::sleep(Duration::from_millis(150 + pause)).await;
        proxies.iter().for_each(|p| p.set(Wire::Broken));
        tokio::time::sleep(Duration::from_millis(pause)).await;
        proxies.iter().for_each(|p| p.set(Wire::Open));
    }
    wait_for("everybody", async || app.standing(no, Standing::Satisfied).await == 3_000).await;
    for worker in workers {
        worker.end().await;
    }
    // Nothing was unknown: whatever was sent while the database was away was recorded when it came back.
    assert_eq!(app.classes(no).await.get("unknown"), None);
    let carried: usize = carriers.iter().map(|c| c.carried.lock().unwrap().len()).sum();
    assert_eq!(carried, 3_000, "each once");
}

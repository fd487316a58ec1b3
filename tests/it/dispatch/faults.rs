//! Crashes, locked and full databases, wrong keys and foreign workers.

use super::three_routes;
use crate::support::app::{Act, Engine, TestApp, now, on_both_engines, route};
use forewarn::dispatch::{Dispatcher, End, Until};
use forewarn::model::campaign::CampaignState;
use forewarn::model::channel::Channel;
use forewarn::model::notice::NoticeState;
use forewarn::model::outcome::Class;
use forewarn::model::person::Standing;
use forewarn::store::{Store, StoreError};
use sqlx::Connection as _;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

async fn after_a_crash_exactly_what_was_in_flight_is_unknown_and_nobody_is_missing(engine: Engine) {
    let app = TestApp::new(engine, vec![route("text", Channel::Sms)]).await;
    let no = app.campaign(100, &["p"]).await;
    // The first 20 get through; then nothing is ever answered.
    let carrier = app.carrier(|c| {
        if c.notice.person() <= 20 {
            Act::Say(Class::Accepted)
        } else {
            Act::Wait(Duration::from_secs(60), Class::Accepted)
        }
    });
    app.run_and_kill(&carrier, Duration::from_millis(1_500));
    let hanging = app.state(no, NoticeState::Sending).await;
    assert!((4..=8).contains(&hanging), "{hanging}");
    let before: HashSet<i64> = carrier.carried.lock().unwrap().iter().map(|c| c.notice.0).collect();
    let again = app.carrier(|_| Act::Say(Class::Accepted));
    app.run(&again, Until::Settled(no)).await.unwrap();
    assert_eq!(app.standing(no, Standing::NeedsHuman).await, hanging);
    assert_eq!(app.standing(no, Standing::Satisfied).await, 100 - hanging);
    assert_eq!(app.classes(no).await["unknown"] as i64, hanging);
    assert!(again.carried.lock().unwrap().iter().all(|c| !before.contains(&c.notice.0)), "nobody was told again");
}

#[tokio::test]
async fn what_a_crash_left_of_paused_and_cancelled_campaigns_is_settled_too() {
    let app = TestApp::new(Engine::Sqlite, vec![route("mail", Channel::Email)]).await;
    let mut campaigns = Vec::new();
    for _ in 0..3 {
        campaigns.push(app.campaign(250, &["e"]).await);
    }
    app.run_and_kill(&app.carrier(|_| Act::Wait(Duration::from_secs(60), Class::Accepted)), Duration::from_millis(800));
    app.move_to(campaigns[0], CampaignState::Paused).await;
    app.move_to(campaigns[1], CampaignState::Cancelled).await;
    let carrier = app.carrier(|_| Act::Say(Class::Accepted));
    app.run(&carrier, Until::Settled(campaigns[2])).await.unwrap();
    assert_eq!(app.standing(campaigns[2], Standing::Satisfied).await, 250);
    for no in &campaigns {
        assert_eq!(app.state(*no, NoticeState::Sending).await, 0);
    }
    assert_eq!(app.store.next_due(campaigns[1], Channel::Email).await.unwrap(), None);
    assert!(carrier.carried.lock().unwrap().iter().all(|c| c.campaign == campaigns[2]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_database_loses_no_outcome() {
    let app = TestApp::new(Engine::Sqlite, three_routes()).await;
    let no = app.campaign(300, &["e"]).await;
    let carrier = app.carrier(|_| Act::Wait(Duration::from_millis(40), Class::Accepted));
    let (path, locked) = (app.path.clone(), Duration::from_secs(3));
    let other = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut other = sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
        sqlx::query("pragma busy_timeout = 5000").execute(&mut other).await.unwrap();
        sqlx::query("begin exclusive").execute(&mut other).await.unwrap();
        tokio::time::sleep(locked).await;
        sqlx::query("commit").execute(&mut other).await.unwrap();
    });
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    other.await.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 300);
    assert_eq!(carrier.carried.lock().unwrap().len(), 300, "nobody was told twice");
}

#[tokio::test]
async fn a_second_worker_a_wrong_key_and_a_newer_database_are_refused() {
    let app = TestApp::new(Engine::Sqlite, three_routes()).await;
    let lock = app.store.lock_for_worker().unwrap();
    let second = Store::open(&app.path).await.unwrap();
    assert!(matches!(second.lock_for_worker(), Err(StoreError::WorkerRuns { .. })));
    drop(lock);
    assert!(second.lock_for_worker().is_ok());
    assert!(matches!(second.claim_key("another").await, Err(StoreError::WrongKey { .. })));
    assert!(second.claim_key(&app.master.fingerprint()).await.is_ok());
    let mut other = sqlx::SqliteConnection::connect(&format!("sqlite://{}", app.path.display())).await.unwrap();
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                 values (9999, 'later', 1, x'00', 0)";
    sqlx::query(newer).execute(&mut other).await.unwrap();
    let refused = Store::open(&app.path).await;
    sqlx::query("delete from _sqlx_migrations where version = 9999").execute(&mut other).await.unwrap();
    assert!(matches!(refused, Err(StoreError::Newer { .. })), "{refused:?}");
}

/// A small file system of its own, or `None` where this user may not mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path, size: &str) -> Option<SmallDisk> {
        let place = folder.join("disk");
        fs_err::create_dir(&place).unwrap();
        let disk = SmallDisk(place);
        disk.run("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).then_some(disk)
    }

    fn run(&self, program: &str, args: &[&str]) -> bool {
        Command::new(program).args(args).arg(&self.0).output().is_ok_and(|o| o.status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.run("umount", &["-l"]);
    }
}

/// Writes until there is no room for a page.
fn fill(place: &Path) {
    use std::io::Write as _;
    let mut file = fs_err::File::create(place).unwrap();
    while file.write_all(&[0u8; 4096]).is_ok() {}
}

/// Says past the test harness that nothing was checked.
fn say_skipped(what: &str) {
    use std::io::Write as _;
    let line = format!("NOT CHECKED: {what} (this user cannot mount a small disk; run the tests as root)\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_named_and_nothing_is_lost_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path(), "48m") else { return say_skipped("a full disk") };
    let mut app = TestApp::at(disk.0.join("forewarn.db"), three_routes()).await;
    let no = app.campaign(2_000, &["e"]).await;
    let ballast = disk.0.join("ballast");
    let (full, place) = (AtomicBool::new(false), ballast.clone());
    // The disk fills up while notices are on the wire, and has room again three seconds later.
    let carrier = app.carrier(move |c| {
        if c.notice.person() > 500 && !full.swap(true, Ordering::SeqCst) {
            fill(&place);
            let place = place.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(3));
                fs_err::remove_file(place).unwrap();
            });
        }
        Act::Wait(Duration::from_millis(2), Class::Accepted)
    });
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 2_000);
    assert_eq!(carrier.carried.lock().unwrap().len(), 2_000, "nobody was told twice");
    // With nothing on the wire it ends at once and says why.
    let no = app.campaign(1_500, &["e"]).await;
    fill(&ballast);
    let refused = app.run(&carrier, Until::Settled(no)).await;
    let opened = Store::open(&app.path).await.map(|_| ());
    fs_err::remove_file(&ballast).unwrap();
    assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
    assert!(!matches!(opened, Err(StoreError::Sql { .. })), "{opened:?}");
    app.run(&carrier, Until::Settled(no)).await.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 1_500);
    app.check().await;
    app.store.close().await;
}

#[tokio::test]
async fn a_database_that_can_only_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path(), "8m") else { return say_skipped("a read-only database") };
    let path = disk.0.join("forewarn.db");
    let mut app = TestApp::at(path.clone(), three_routes()).await;
    app.check().await;
    app.store.close().await;
    assert!(disk.run("mount", &["-o", "remount,ro"]));
    let refused = Store::open(&path).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_dispatcher_that_is_dropped_sends_nothing_more() {
    let app = TestApp::new(Engine::Sqlite, vec![route("text", Channel::Sms)]).await;
    let no = app.campaign(50, &["p"]).await;
    let carrier = app.carrier(|_| Act::Wait(Duration::from_millis(300), Class::Accepted));
    let (_keep, stop) = watch::channel(false);
    let mut dispatcher: Dispatcher<_> = app.dispatcher(&carrier, stop);
    let loop_ = tokio::spawn(async move { dispatcher.run(Until::Stopped).await });
    tokio::time::sleep(Duration::from_millis(400)).await;
    loop_.abort();
    assert!(loop_.await.is_err());
    let begun = carrier.carried.lock().unwrap().len();
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(carrier.carried.lock().unwrap().len(), begun);
    let hanging = app.state(no, NoticeState::Sending).await;
    app.run(&app.carrier(|_| Act::Say(Class::Accepted)), Until::Settled(no)).await.unwrap();
    assert_eq!(app.classes(no).await["unknown"] as i64, hanging);
    assert!(now() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_outlives_a_database_that_does_not_answer_for_a_while() {
    let app = TestApp::new(Engine::Sqlite, three_routes()).await;
    let no = app.campaign(20, &["e"]).await;
    let carrier = app.carrier(|_| Act::Say(Class::Accepted));
    let (stop, stopped) = watch::channel(false);
    // Too long for SQLite's own patience, and nothing is on the wire.
    let store = Store::open(&app.path).await.unwrap();
    let held = app.store.begin().await.unwrap();
    let service = tokio::spawn({
        let (carrier, routes) = (carrier.clone(), app.routes.clone());
        async move { Dispatcher::new(store, carrier, routes, stopped, now).run(Until::Stopped).await }
    });
    tokio::time::sleep(Duration::from_secs(12)).await;
    drop(held);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while app.standing(no, Standing::Satisfied).await < 20 && std::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(app.standing(no, Standing::Satisfied).await, 20);
    stop.send(true).unwrap();
    assert_eq!(service.await.unwrap().unwrap(), End::Stopped);
}

async fn a_run_until_nothing_is_due_stays_for_a_route_that_rests_a_moment(engine: Engine) {
    let app = TestApp::new(engine, vec![route("mail", Channel::Email)]).await;
    let no = app.campaign(3, &["e"]).await;
    let first = AtomicBool::new(true);
    let carrier = app.carrier(move |_| {
        Act::Say(if first.swap(false, Ordering::SeqCst) { Class::Throttled } else { Class::Accepted })
    });
    app.run(&carrier, Until::NothingDue).await.unwrap();
    assert_eq!(app.standing(no, Standing::Satisfied).await, 3);
}

on_both_engines!(
    after_a_crash_exactly_what_was_in_flight_is_unknown_and_nobody_is_missing,
    a_run_until_nothing_is_due_stays_for_a_route_that_rests_a_moment,
);

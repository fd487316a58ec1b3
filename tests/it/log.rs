//! The evidence log while it grows: more than one sequencer, each cut off at any moment, and others who look meanwhile.

use crate::support::app::{Engine, now, on_both_engines};
use crate::support::place::Place;
use forewarn::app::App;
use forewarn::app::proof::log::LogError;
use forewarn::evidence::checkpoint::Checkpoint;
use forewarn::evidence::merkle::{Frontier, Hash, leaf_hash};
use forewarn::store::leaf::leaves_of;
use rand::Rng as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How many facts are added, by two at once.
const FACTS: usize = 160;

/// Nobody asks without end: others have the thread, too.
const PAUSE: Duration = Duration::from_millis(5);

async fn open(config: PathBuf) -> App {
    App::open(forewarn::config::load(&config).expect("config")).await.expect("opened")
}

/// Adds facts, a few in a transaction, some of which are undone.
async fn add(app: Arc<App>) {
    for n in 0..FACTS / 2 {
        let mut tx = app.store.begin().await.expect("begun");
        for _ in 0..1 + n % 3 {
            tx.log_fact(now(), "log.restored", ("alice", "a reason"), &[]).await.expect("added");
        }
        if n % 7 == 0 { drop(tx) } else { tx.commit().await.expect("committed") }
    }
}

/// Keeps the log up, and is cut off and begins anew every other time.
async fn keep(app: Arc<App>, patience: u64) {
    for turn in 0u64.. {
        tokio::time::sleep(PAUSE).await;
        if turn.is_multiple_of(2) {
            app.sequencer().await.expect("a sequencer").step().await.expect("no fault of its own");
            continue;
        }
        let patience = Duration::from_micros(rand::rng().next_u64() % patience);
        let mut sequencer = app.sequencer().await.expect("a sequencer");
        if let Ok(step) = tokio::time::timeout(patience, sequencer.step()).await {
            step.expect("no fault of its own");
        }
    }
}

/// The hashes of all leaves by their places.
async fn hashes(app: &App) -> Vec<Hash> {
    let mut all = Vec::new();
    loop {
        let rows = app.store.leaf_rows(all.len() as u64, 10).await.expect("read");
        let Some((first, _)) = rows.first() else { return all };
        assert_eq!(*first, all.len() as u64, "no gap");
        for (_, octets) in &rows {
            all.extend(leaves_of(octets).expect("whole").into_iter().map(leaf_hash));
        }
    }
}

async fn sequencers_that_are_cut_off_at_any_moment_make_one_log(engine: Engine) {
    let place = Place::on(engine).await;
    let config = place.path("config.toml");
    let apps = [Arc::new(open(config.clone()).await), Arc::new(open(config.clone()).await)];
    // What is cut off costs a connection, and a new one to PostgreSQL takes its time.
    let patience = if engine == Engine::Postgres { 300_000 } else { 30_000 };
    let keeping: Vec<_> = apps.iter().map(|app| tokio::spawn(keep(app.clone(), patience))).collect();
    let adding: Vec<_> = apps.iter().map(|app| tokio::spawn(add(app.clone()))).collect();
    let mut looked = 0;
    while adding.iter().any(|task| !task.is_finished()) || looked < 50 {
        match apps[looked % 2].check_log().await {
            Ok(()) => looked += 1,
            // No connection just now: nothing was looked at.
            Err(LogError::Store(_)) => {}
            Err(error) => panic!("whoever looks while it grows finds nothing wrong: {error}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    for task in adding {
        task.await.expect("all added");
    }
    for task in keeping {
        assert!(!task.is_finished(), "a sequencer fell over");
        task.abort();
        drop(task.await);
    }
    apps[1].keep_log_up().await.expect("kept up");

    let hashes = hashes(&apps[0]).await;
    let head = apps[0].store.log_head().await.expect("read");
    assert_eq!((head.placed, head.signed), (hashes.len() as u64, hashes.len() as u64));
    let committed: usize = (0..FACTS / 2).filter(|n| n % 7 != 0).map(|n| 1 + n % 3).sum();
    assert_eq!(hashes.len(), 2 * committed, "each fact has one place, and what was undone has none");
    // Every head that was ever signed is one of this log.
    let key = apps[0].log_key().await.expect("a key");
    let heads = fs_err::read_to_string(place.path("checkpoints.log")).expect("heads");
    for line in heads.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let note = line["note"].as_str().expect("a note");
        let signed = Checkpoint::open(note.as_bytes(), key.origin(), std::slice::from_ref(key.verifier()));
        let head = signed.expect("signed by this log").checkpoint;
        let mut tree = Frontier::default();
        hashes.iter().take(usize::try_from(head.size).expect("few")).for_each(|hash| tree.push(*hash));
        assert_eq!((tree.size(), tree.root()), (head.size, head.root));
    }
    assert!(heads.lines().count() > 1, "it was signed while it grew");
}

on_both_engines!(sequencers_that_are_cut_off_at_any_moment_make_one_log);

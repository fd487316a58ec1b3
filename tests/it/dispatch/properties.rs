//! Whatever the outcomes and wherever the process dies: the books balance, nobody is missing, and nobody is told again
//! except where nobody could know.

use super::three_routes;
use crate::support::app::{Act, Carried, Engine, TestApp, now};
use forewarn::dispatch::Until;
use forewarn::model::channel::Channel;
use forewarn::model::notice::NoticeId;
use forewarn::model::outcome::Class;
use forewarn::model::person::Standing;
use forewarn::model::time::{HOUR, SECOND};
use proptest::prelude::*;
use std::collections::HashSet;
use std::time::Duration;

/// What happens to an attempt: the same for the same seed, notice and attempt. Where times are bad, four first attempts
/// in five are refused, so that many people are left to be tried again on several channels.
fn fate(seed: u64, bad_times: bool, carried: &Carried) -> Act {
    let mut mixed =
        seed ^ (carried.notice.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (carried.attempt as u64) << 7;
    mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^= mixed >> 32;
    let wait = Duration::from_millis(mixed >> 8 & 15);
    Act::Wait(
        wait,
        match mixed % 100 {
            0..80 if bad_times && carried.attempt == 1 => Class::BadAddress,
            0..=59 => Class::Accepted,
            60..=74 => Class::BadAddress,
            75..=84 => Class::Temporary,
            85..=88 => Class::ContentRefused,
            89..=91 => Class::RefusedByPerson,
            92..=96 => Class::Unknown,
            97 => Class::NotSent,
            _ => return Act::Panic,
        },
    )
}

fn retried() -> impl Strategy<Value = Class> {
    prop_oneof![
        4 => Just(Class::BadAddress),
        1 => Just(Class::Unknown),
        1 => Just(Class::ContentRefused),
        1 => Just(Class::RefusedByPerson),
        1 => Just(Class::Temporary)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 4, ..ProptestConfig::default() })]
    #[test]
    fn the_books_balance_whatever_happens(
        seed in any::<u64>(),
        bad_times in any::<bool>(),
        lives in proptest::collection::vec(20u64..250, 0..4),
        persons in 1i64..200,
        retries in proptest::collection::vec(retried(), 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut app = TestApp::new(Engine::Sqlite, three_routes()).await;
            app.plan.give_up_after = 2 * SECOND;
            let no = app.campaign(persons, &["e", "p", "ep", "eep", ""]).await;
            let carrier = app.carrier(move |c| fate(seed, bad_times, c));
            for life in lives {
                app.run_and_kill(&carrier, Duration::from_millis(life));
            }
            app.run(&carrier, Until::NothingDue).await.unwrap();
            app.run(&app.carrier(|_| Act::Say(Class::Accepted)), Until::Settled(no)).await.ok();
            settled(&app, no, persons).await;
            // Whoever was not reached is tried again, one reason after the other, with a death in between each.
            for class in retries {
                let mut tx = app.store.begin().await.unwrap();
                tx.requeue(no, class, NoticeId(0), now(), HOUR, 1_000).await.unwrap();
                tx.commit().await.unwrap();
                app.run_and_kill(&carrier, Duration::from_millis(60));
                app.run(&carrier, Until::Settled(no)).await.unwrap();
                settled(&app, no, persons).await;
            }
            app.check().await;
        });
    }
}

/// Nobody is missing, nothing waits any more, and nobody was told by more than one notice.
async fn settled(app: &TestApp, no: i64, persons: i64) {
    let sums = app.sums(no).await;
    assert_eq!(sums.persons_total(), persons);
    assert_eq!(sums.person(Standing::InFlight), 0);
    for channel in Channel::ALL {
        assert_eq!(app.store.next_due(no, channel).await.unwrap(), None, "{channel} waits for somebody who is settled");
    }
    let mut told = HashSet::new();
    for attempt in app.attempts(no).await.into_iter().filter(|a| a.class.as_deref() == Some("accepted")) {
        assert!(told.insert(attempt.notice.person()), "person {} was told again", attempt.notice.person());
    }
    assert_eq!(sums.person(Standing::Satisfied), told.len() as i64);
}

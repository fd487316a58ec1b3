//! Whatever the outcomes and wherever the process dies: the books balance, nobody is missing, and nobody is told again
//! except where nobody could know.

use super::three_routes;
use crate::support::app::{Act, Carried, Engine, TestApp};
use forewarn::dispatch::Until;
use forewarn::model::outcome::Class;
use forewarn::model::person::Standing;
use forewarn::model::time::SECOND;
use proptest::prelude::*;
use std::time::Duration;

/// What happens to an attempt: the same for the same seed, notice and attempt.
fn fate(seed: u64, carried: &Carried) -> Act {
    let mut mixed =
        seed ^ (carried.notice.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (carried.attempt as u64) << 7;
    mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^= mixed >> 32;
    let wait = Duration::from_millis(mixed >> 8 & 15);
    Act::Wait(
        wait,
        match mixed % 100 {
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 4, ..ProptestConfig::default() })]
    #[test]
    fn the_books_balance_whatever_happens(
        seed in any::<u64>(),
        lives in proptest::collection::vec(20u64..250, 0..4),
        persons in 1i64..200,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut app = TestApp::new(Engine::Sqlite, three_routes()).await;
            app.plan.give_up_after = 2 * SECOND;
            let no = app.campaign(persons, &["e", "p", "ep", "eep", ""]).await;
            let carrier = app.carrier(move |c| fate(seed, c));
            for life in lives {
                app.run_and_kill(&carrier, Duration::from_millis(life));
            }
            app.run(&carrier, Until::NothingDue).await.unwrap();
            app.run(&app.carrier(|_| Act::Say(Class::Accepted)), Until::Settled(no)).await.ok();
            let sums = app.sums(no).await;
            assert_eq!(sums.persons_total(), persons);
            assert_eq!(sums.person(Standing::InFlight), 0);
            app.check().await;
        });
    }
}

//! How long notices take at least by the limits of the routes that carry them.

use super::time::{DAY, HOUR, MINUTE, Micros, SECOND, print_duration};

/// At most so many in any window of that length.
pub type Limit = (u64, Micros);

/// Longer than anybody waits; ends the search where a limit lets hardly anything through.
const NEVER: Micros = 100 * 366 * DAY;

/// The shortest time in which the routes together carry so many notices, each route within all its limits: each sends as
/// much as they allow in a window that has just begun. `None` where a route has no limit, or there is no route.
pub fn at_least(notices: u64, routes: &[Vec<Limit>]) -> Option<Micros> {
    if routes.is_empty() || routes.iter().any(Vec::is_empty) {
        return None;
    }
    let within = |time: Micros| -> u128 {
        let through = |(rate, per): &Limit| u128::from(*rate) * u128::from((time / (*per).max(1)).unsigned_abs() + 1);
        routes.iter().filter_map(|limits| limits.iter().map(through).min()).sum()
    };
    let (mut too_short, mut enough) = (-1, NEVER);
    while enough - too_short > 1 {
        let middle = too_short + (enough - too_short) / 2;
        if within(middle) >= u128::from(notices) { enough = middle } else { too_short = middle }
    }
    Some(enough)
}

/// A length of time in the unit that fits it, rounded down: what takes at least so long takes at least that.
pub fn roughly(time: Micros) -> String {
    let unit = [HOUR, MINUTE].into_iter().find(|unit| time >= 2 * unit).unwrap_or(SECOND);
    print_duration(time / unit * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_say_how_long_it_takes_at_least() {
        let second = |rate| (rate, SECOND);
        let day = |rate| (rate, DAY);
        for (notices, routes, want) in [
            (0, vec![vec![second(50)]], Some(0)),
            (50, vec![vec![second(50)]], Some(0)),
            (51, vec![vec![second(50)]], Some(SECOND)),
            (180_000, vec![vec![second(50)]], Some(HOUR - SECOND)),
            // Two routes share it; the tighter one of two limits counts.
            (180_000, vec![vec![second(25)], vec![second(25)]], Some(HOUR - SECOND)),
            (100_000, vec![vec![day(100_000)]], Some(0)),
            (100_001, vec![vec![day(100_000)]], Some(DAY)),
            (400_001, vec![vec![second(50), day(100_000)]], Some(4 * DAY)),
            (400_001, vec![vec![second(50), day(100_000)], vec![day(100_000)]], Some(2 * DAY)),
            // A route without a limit carries everything at once, as far as limits go.
            (1_000_000, vec![vec![second(50)], vec![]], None),
            (1, vec![], None),
            (u64::MAX, vec![vec![(1, DAY)]], Some(NEVER)),
            (u64::MAX, vec![vec![(u64::MAX, 1)]], Some(0)),
        ] {
            assert_eq!(at_least(notices, &routes), want, "{notices} by {routes:?}");
        }
    }

    #[test]
    fn a_time_is_said_in_the_unit_that_fits() {
        for (time, want) in [
            (0, "0ms"),
            (3 * SECOND + 1, "3s"),
            (119 * SECOND, "119s"),
            (3 * MINUTE + SECOND, "3m"),
            (119 * MINUTE, "119m"),
            (75 * HOUR + 59 * MINUTE, "75h"),
            (96 * HOUR, "4d"),
        ] {
            assert_eq!(roughly(time), want);
        }
    }
}

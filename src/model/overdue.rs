//! Reports that do not come: by when one should be there, when its provider is asked, and when nobody waits any more.

use super::channel::Channel;
use super::ladder::Evidence;
use super::time::{HOUR, MINUTE, Micros};

/// After so many times the usual wait nobody waits any more.
const AT_MOST: Micros = 8;
/// The shortest wait before the first question, as a part of the usual one: a provider needs a moment to know.
const AT_LEAST: Micros = 32;

/// What a route reports about notices that its provider took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reporting {
    /// The best that comes.
    pub best: Evidence,
    /// How long after a notice was taken a report of its delivery should be there; `None` where nobody waits for one by
    /// the clock.
    pub within: Option<Micros>,
}

impl Reporting {
    /// A route of which nothing more than `best` is known.
    pub fn up_to(best: Evidence) -> Reporting {
        Reporting { best, within: None }
    }
}

/// The usual wait where the provider's definition says nothing.
pub fn usual(channel: Channel) -> Micros {
    match channel {
        // A call takes minutes, and so do the repeats of a report that met no answer.
        Channel::Phone => 30 * MINUTE,
        // Handsets are switched off for a night's part; operators go on trying for a day or two.
        Channel::Sms => 6 * HOUR,
        // Mail servers that put a message off are tried again for hours.
        Channel::Email => 12 * HOUR,
    }
}

/// When the report of a notice that was taken at `now` is overdue: in the middle of the wait before the next step of the
/// ladder, where there is one, since a report that is found by then saves the person that step.
pub fn first(within: Micros, next: Option<Micros>, now: Micros) -> Micros {
    let half = next.map_or(within, |due| due.saturating_sub(now) / 2);
    now.saturating_add(half.min(within).max(within / AT_LEAST))
}

/// When nobody waits any more for the report of a notice that was taken then.
pub fn last(within: Micros, taken: Micros) -> Micros {
    taken.saturating_add(within.saturating_mul(AT_MOST))
}

/// When to ask again about a notice that was taken then: the waits double, and the last question is that of [`last`].
pub fn again(within: Micros, taken: Micros, now: Micros) -> Option<Micros> {
    let mut wait = within.max(1);
    while wait < within.saturating_mul(AT_MOST) && taken.saturating_add(wait) <= now {
        wait = wait.saturating_mul(2);
    }
    let due = taken.saturating_add(wait);
    (due > now).then_some(due)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_asked_for_before_the_next_step_and_ever_more_seldom() {
        let within = 6 * HOUR;
        for (next, want) in [
            (None, 6 * HOUR),
            (Some(4 * HOUR), 2 * HOUR),
            (Some(24 * HOUR), 6 * HOUR),
            // A step that waits for nothing is not waited with.
            (Some(0), 6 * HOUR / 32),
        ] {
            assert_eq!(first(within, next.map(|after| 1_000 + after), 1_000), 1_000 + want, "{next:?}");
        }
        for (now, want) in [(2, Some(6)), (6, Some(12)), (11, Some(12)), (12, Some(24)), (24, Some(48)), (48, None)] {
            assert_eq!(again(within, 7, 7 + now * HOUR), want.map(|hours| 7 + hours * HOUR), "after {now} h");
        }
        assert_eq!(last(within, 7), 7 + 48 * HOUR);
    }
}

//! A route's schedule: which moments its limits leave free. Pure; kept as JSON in the store, shared by all workers.
//!
//! A provider's limit is a promise about *every* window of its length, measured at the provider's clock. The usual
//! GCRA with a burst of a whole window lets nearly twice the limit through such a window. So the shortest window (up to
//! a minute) is paced with a GCRA of burst one, and every longer window is counted in sixtieths whose sends are
//! forgotten only a full window after the sixtieth ended. Both keep a margin for the way to the receiver.

use crate::model::time::{MINUTE, Micros, SECOND};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// At most `rate` sends in any window of `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub rate: u64,
    pub per: Micros,
}

/// A counted window is cut into this many parts.
const PARTS: i64 = 60;

/// One missed slot moves those to come by so much; each one used gives back a small part.
const LEAD_STEP: Micros = SECOND / 200;
const LONGEST_LEAD: Micros = SECOND / 2;
const LEAD_FADES: i64 = 1_000;

/// The state of all windows of one lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// The earliest moment the paced window allows.
    next: Micros,
    counted: Vec<Counted>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    window: Window,
    /// (start of the part, sends in it), oldest first.
    parts: VecDeque<(Micros, u64)>,
}

/// How far a send may be late at the receiver, relative to another, without breaking the limit.
pub fn margin(windows: &[Window]) -> Micros {
    windows.iter().map(|w| w.per / 20).min().unwrap_or(0).min(250_000)
}

impl Schedule {
    /// Reads what [`Schedule::print`] wrote. An empty text, or one written for other limits, starts anew but keeps the
    /// pace, so that a changed configuration cannot cause a burst.
    pub fn read(text: &str, windows: &[Window]) -> Schedule {
        let kept: Schedule = serde_json::from_str(text).unwrap_or_default();
        let counted = counted_windows(windows)
            .map(|window| {
                // Two limits may share a length: both count the same sends.
                let old = kept.counted.iter().find(|c| c.window.per == window.per);
                Counted { window, parts: old.map(|c| c.parts.clone()).unwrap_or_default() }
            })
            .collect();
        Schedule { next: kept.next, counted }
    }

    /// The schedule as it is to be used at `now`. Slots are given out a second ahead at most: what lies further off is
    /// of a clock that was put back since, and counts as sent just now.
    #[must_use]
    pub fn as_of(mut self, now: Micros) -> Schedule {
        let ahead = now + 2 * SECOND;
        let longest = self.counted.iter().map(|c| c.window.per).max().unwrap_or(0).max(MINUTE);
        if self.next > ahead + longest {
            self.next = ahead;
        }
        for counted in &mut self.counted {
            let part = counted.part();
            let mut late = 0;
            while counted.parts.back().is_some_and(|(start, _)| *start > ahead) {
                late += counted.parts.pop_back().map_or(0, |(_, n)| n);
            }
            if late > 0 {
                counted.parts.push_back((now - now.rem_euclid(part), late));
            }
        }
        self
    }

    pub fn print(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// When the next send may go, if one asked at `now`.
    pub fn next_slot(&self, now: Micros, windows: &[Window]) -> Micros {
        let margin = margin(windows);
        let mut slot = now.max(self.next);
        // A later slot may meet a fuller part of another window: go on until all agree.
        loop {
            let moved = self.counted.iter().map(|c| c.earliest(slot, margin)).max().unwrap_or(slot);
            if moved <= slot {
                return slot;
            }
            slot = moved;
        }
    }

    /// Reserves up to `wanted` slots before `horizon`; the moments, in order.
    pub fn reserve(&mut self, wanted: usize, now: Micros, horizon: Micros, windows: &[Window]) -> Vec<Micros> {
        let pace = paced_window(windows);
        let margin = margin(windows);
        let mut slots = Vec::new();
        while slots.len() < wanted {
            let slot = self.next_slot(now, windows);
            if slot > horizon {
                break;
            }
            if let Some(window) = pace {
                self.next = slot + spacing(window, margin);
            }
            for counted in &mut self.counted {
                counted.take(slot);
            }
            slots.push(slot);
        }
        slots
    }
}

/// The distance between two sends so that a window holds at most `rate`, though each may arrive `margin` late.
fn spacing(window: Window, margin: Micros) -> Micros {
    let rate = i64::try_from(window.rate.max(1)).unwrap_or(i64::MAX);
    (window.per + margin) / rate + 1
}

/// What a worker keeps by itself: the distance the paced window asks between two sends, and how many of them fit into
/// the lateness that a slot allows and so may come together.
pub fn distance(windows: &[Window]) -> Option<(std::time::Duration, std::num::NonZeroU32)> {
    let distance = spacing(paced_window(windows)?, 0);
    let bunch = u32::try_from(lateness(windows) / distance).unwrap_or(u32::MAX).max(1);
    let distance = u64::try_from(distance).ok().map(std::time::Duration::from_micros)?;
    Some((distance, std::num::NonZeroU32::new(bunch)?))
}

/// How far ahead the next slots are to be asked for, after one was used or missed. Between asking and sending lie a commit
/// and what else the worker has to do; on a slow database, or a machine with too much to do, that takes longer than a
/// slot allows, and each one missed is a claim and a record for nothing, which slow both down still more.
pub fn lead_after(lead: Micros, missed: bool) -> Micros {
    if missed { (lead + LEAD_STEP).min(LONGEST_LEAD) } else { lead - (lead / LEAD_FADES).max(1).min(lead) }
}

/// How late a slot may still be used: half the margin, the other half is for the way to the receiver.
pub fn lateness(windows: &[Window]) -> Micros {
    margin(windows) / 2
}

fn paced_window(windows: &[Window]) -> Option<Window> {
    windows.iter().copied().filter(|w| w.per <= MINUTE).min_by_key(|w| w.per)
}

fn counted_windows(windows: &[Window]) -> impl Iterator<Item = Window> {
    let paced = paced_window(windows);
    windows.iter().copied().filter(move |w| Some(*w) != paced)
}

impl Counted {
    fn part(&self) -> Micros {
        (self.window.per / PARTS).max(1)
    }

    /// The earliest moment from `slot` on at which this window has room.
    fn earliest(&self, slot: Micros, margin: Micros) -> Micros {
        let mut inside: u64 = self.parts.iter().map(|(_, n)| n).sum();
        let mut at = slot;
        for (start, n) in &self.parts {
            let forgotten = start + self.part() + self.window.per + margin;
            if inside < self.window.rate && forgotten > at {
                break;
            }
            if forgotten > at && inside >= self.window.rate {
                at = forgotten;
            }
            inside -= n;
        }
        at
    }

    fn take(&mut self, slot: Micros) {
        let part = self.part();
        let start = slot - slot.rem_euclid(part);
        // Slots are asked for at most a second before one given already.
        let horizon = slot - self.window.per - 2 * part - 2 * SECOND;
        while self.parts.front().is_some_and(|(s, _)| *s < horizon) {
            self.parts.pop_front();
        }
        match self.parts.back_mut() {
            // Of workers that ask at different distances one may come before another: it counts where it is forgotten later.
            Some((s, n)) if *s >= start => *n += 1,
            _ => self.parts.push_back((start, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::DAY;
    use proptest::prelude::*;

    fn most_in_any_window(slots: &[Micros], per: Micros) -> usize {
        let mut most = 0;
        let mut from = 0;
        for upto in 0..slots.len() {
            while slots[upto] - slots[from] >= per {
                from += 1;
            }
            most = most.max(upto - from + 1);
        }
        most
    }

    #[test]
    fn two_windows_hold_at_once_and_are_used_to_the_full() {
        let windows = [Window { rate: 50, per: SECOND }, Window { rate: 200, per: MINUTE }];
        let mut schedule = Schedule::read("", &windows);
        let slots = schedule.reserve(usize::MAX, 0, 300 * SECOND, &windows);
        assert!(most_in_any_window(&slots, SECOND) <= 50);
        assert_eq!(most_in_any_window(&slots, MINUTE), 200);
        // The first 200 go at the short window's pace, not spread over the minute.
        assert!(slots[199] < 5 * SECOND, "{}", slots[199]);
        assert!(slots.len() >= 5 * 200 - 60, "{}", slots.len());
    }

    #[test]
    fn slots_that_are_missed_move_the_next_ones_ahead_and_those_used_bring_them_back() {
        let run = |lead, missed, times| (0..times).fold(lead, |lead, _| lead_after(lead, missed));
        assert_eq!(run(0, true, 16), 16 * LEAD_STEP);
        assert_eq!(run(0, true, 10_000), LONGEST_LEAD, "a slot lies within a second all the same");
        assert_eq!(run(0, false, 3), 0);
        assert!(run(LONGEST_LEAD, false, 1_000) < LONGEST_LEAD / 2);
        assert_eq!(run(LONGEST_LEAD, false, 20_000), 0);
        // Where it settles, few are missed: here one in fifty keeps it at a tenth of a second.
        let settled = (0..20_000).fold(0, |lead, n| lead_after(lead, n % 50 == 0));
        assert!((SECOND / 20..SECOND / 5).contains(&settled), "{settled}");
    }

    #[test]
    fn two_who_ask_at_different_distances_share_a_counted_window() {
        let windows = [Window { rate: 10, per: 2 * MINUTE }];
        let mut schedule = Schedule::read("", &windows);
        assert_eq!(schedule.reserve(6, 3 * SECOND, 4 * SECOND, &windows).len(), 6);
        assert_eq!(schedule.reserve(6, SECOND, 2 * SECOND, &windows).len(), 4, "the limit is that of both");
        assert!(schedule.next_slot(SECOND, &windows) >= 3 * SECOND + 2 * MINUTE);
        assert!(schedule.counted[0].parts.iter().is_sorted(), "{schedule:?}");
    }

    #[test]
    fn a_daily_limit_does_not_slow_the_first_hour() {
        let windows = [Window { rate: 100_000, per: DAY }];
        let mut schedule = Schedule::read("", &windows);
        assert_eq!(schedule.reserve(1000, 7, 7, &windows).len(), 1000);
    }

    #[test]
    fn a_schedule_survives_its_text_and_a_changed_limit_causes_no_burst() {
        let windows = [Window { rate: 10, per: SECOND }];
        let mut schedule = Schedule::read("", &windows);
        let slots = schedule.reserve(5, 0, SECOND, &windows);
        let again = Schedule::read(&schedule.print(), &windows);
        assert_eq!(again, schedule);
        let faster = [Window { rate: 20, per: SECOND }];
        assert!(Schedule::read(&schedule.print(), &faster).next_slot(0, &faster) > *slots.last().unwrap());
    }

    #[test]
    fn a_schedule_stays_a_short_text() {
        for per in [2 * SECOND, MINUTE, DAY] {
            let windows = [Window { rate: 50, per: SECOND }, Window { rate: 4_000_000, per }];
            let mut schedule = Schedule::read("", &windows);
            let step = per / 500;
            for turn in 0..2_000 {
                schedule.reserve(2, turn * step, turn * step + SECOND, &windows);
            }
            assert!(schedule.print().len() < 4_000, "{} for {per}", schedule.print().len());
        }
    }

    #[test]
    fn a_clock_that_is_put_back_stops_nobody_and_forgets_nothing() {
        let windows = [Window { rate: 10, per: SECOND }, Window { rate: 30, per: MINUTE }];
        let (late, now) = (1_000 * DAY, 999 * DAY);
        let mut schedule = Schedule::read("", &windows);
        assert_eq!(schedule.reserve(20, late, late + 5 * SECOND, &windows).len(), 20);
        let mut schedule = Schedule::read(&schedule.print(), &windows).as_of(now);
        let slots = schedule.reserve(usize::MAX, now, now + 59 * SECOND, &windows);
        assert_eq!(slots.len(), 10, "20 of the minute's 30 are taken");
        assert!(slots[0] <= now + 3 * SECOND);
        let mut untouched = Schedule::read("", &windows);
        untouched.reserve(20, now, now + SECOND, &windows);
        assert_eq!(untouched.clone().as_of(now), untouched);
    }

    proptest! {
        #[test]
        fn no_window_ever_holds_more_than_its_rate_even_when_sends_are_late(
            rates in proptest::collection::vec((1u64..60, 1i64..200), 1..4),
            asks in proptest::collection::vec((0usize..40, 0i64..3_000_000, 0i64..=100), 1..40),
        ) {
            let windows: Vec<Window> =
                rates.iter().map(|(rate, tenths)| Window { rate: *rate, per: tenths * 100_000 }).collect();
            let late = margin(&windows);
            let mut text = String::new();
            let mut now = 0;
            let mut arrived = Vec::new();
            for (wanted, wait, lateness) in asks {
                now += wait;
                let mut schedule = Schedule::read(&text, &windows);
                let slots = schedule.reserve(wanted, now, now + SECOND, &windows);
                prop_assert!(slots.windows(2).all(|w| w[0] <= w[1]));
                prop_assert!(slots.iter().all(|s| *s >= now && *s <= now + SECOND));
                arrived.extend(slots.iter().map(|s| s + late * lateness / 100));
                text = schedule.print();
            }
            arrived.sort_unstable();
            for window in &windows {
                let most = most_in_any_window(&arrived, window.per);
                prop_assert!(most as u64 <= window.rate, "{most} in {window:?}");
            }
        }
    }
}

//! When a route rests. Pure: told outcomes and the time, says whether the route may be used.
//!
//! A breaker opens for its own route only, by the share of bad outcomes among the last ones, and tries again by itself
//! with a single notice. A provider that says "too fast" makes the route wait for everyone.

use crate::model::outcome::{Class, Outcome};
use crate::model::time::{MINUTE, Micros, SECOND};
use std::collections::VecDeque;

/// Outcomes looked back on.
const LOOK_BACK: usize = 20;
/// Bad outcomes needed before a share of them counts.
pub const ENOUGH: usize = 3;
const FIRST_REST: Micros = 15 * SECOND;
const LONGEST_REST: Micros = 10 * MINUTE;
const FIRST_WAIT: Micros = SECOND;
const LONGEST_WAIT: Micros = 5 * MINUTE;

#[derive(Clone, Debug, Default)]
pub struct Breaker {
    recent: VecDeque<bool>,
    open: Option<Open>,
    /// Told to slow down: no new notices before then.
    wait_until: Micros,
    wait: Micros,
    /// Replies since then.
    since: Option<usize>,
    reason: String,
}

#[derive(Clone, Debug)]
struct Open {
    until: Micros,
    rest: Micros,
    probing: bool,
}

/// What a route may be given now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leave {
    Free,
    /// One notice, to see whether the route works again.
    Probe,
    Rest {
        until: Micros,
    },
}

impl Breaker {
    /// Whether the route may be used at `now`.
    pub fn leave(&self, now: Micros) -> Leave {
        match &self.open {
            Some(open) if open.probing => Leave::Rest { until: now + SECOND },
            Some(open) if now < open.until => Leave::Rest { until: open.until },
            Some(_) => Leave::Probe,
            None if now < self.wait_until => Leave::Rest { until: self.wait_until },
            None => Leave::Free,
        }
    }

    /// How many notices of a full window the route is given: after "too fast" few at first, one more with each reply. What
    /// is claimed when the next one says so is given back, and each of those is an attempt in the log.
    pub fn most(&self, window: usize, few: usize) -> usize {
        self.since.map_or(window, |replies| window.min(few.saturating_add(replies)))
    }

    /// Notes that the probe is on its way.
    pub fn probe_sent(&mut self) {
        if let Some(open) = &mut self.open {
            open.probing = true;
        }
    }

    /// Takes an outcome into account; true when the breaker has just opened.
    pub fn note(&mut self, outcome: &Outcome, now: Micros) -> bool {
        let bad = match outcome.class {
            // A route that swallows notices without an answer leaves each of them in doubt: better few than all.
            Class::RouteBroken | Class::Unknown => true,
            // Nobody home: the route is as broken as with a wrong password.
            Class::Temporary => outcome.code == "connect",
            Class::NotSent => {
                if let Some(open) = &mut self.open {
                    open.probing = false;
                }
                return false;
            }
            Class::Throttled => {
                self.slow_down(outcome, now);
                false
            }
            Class::Accepted | Class::BadAddress | Class::RefusedByPerson | Class::ContentRefused => false,
        };
        if outcome.class == Class::Accepted && now >= self.wait_until {
            self.wait = 0;
        }
        let throttled = outcome.class == Class::Throttled;
        self.since = if throttled { Some(0) } else { self.since.map(|replies| replies.saturating_add(1)) };
        if let Some(open) = &mut self.open {
            if !bad {
                self.open = None;
                self.recent.clear();
            } else if open.probing {
                open.probing = false;
                open.rest = (open.rest * 2).min(LONGEST_REST);
                let asked = outcome.retry_after.filter(|_| outcome.class == Class::RouteBroken);
                open.until = now + open.rest.max(asked.unwrap_or(0));
            }
            return false;
        }
        // The provider, or its definition, knows when it is worth trying again: the day's limit, a bill to be paid.
        if let (Class::RouteBroken, Some(wait)) = (outcome.class, outcome.retry_after) {
            self.open_until(outcome, now + wait.max(FIRST_REST));
            return true;
        }
        self.recent.push_back(bad);
        if self.recent.len() > LOOK_BACK {
            self.recent.pop_front();
        }
        let bads = self.recent.iter().filter(|b| **b).count();
        if bad && bads >= ENOUGH && bads * 2 >= self.recent.len() {
            self.open_until(outcome, now + FIRST_REST);
            return true;
        }
        false
    }

    fn open_until(&mut self, outcome: &Outcome, until: Micros) {
        self.open = Some(Open { until, rest: FIRST_REST, probing: false });
        self.reason = format!("{} {}: {}", outcome.class.as_str(), outcome.code, outcome.text);
        self.recent.clear();
    }

    fn slow_down(&mut self, outcome: &Outcome, now: Micros) {
        if now < self.wait_until {
            return;
        }
        self.wait = (self.wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
        self.wait_until = now + outcome.retry_after.unwrap_or(0).max(self.wait);
        self.reason = format!("throttled {}: {}", outcome.code, outcome.text);
    }

    /// (state, reason, until) as the store keeps a route's health.
    pub fn health(&self, now: Micros) -> (&'static str, &str, Option<Micros>) {
        match &self.open {
            Some(open) if open.probing => ("probing", &self.reason, None),
            Some(open) => ("broken", &self.reason, Some(open.until)),
            None if now < self.wait_until => ("waiting", &self.reason, Some(self.wait_until)),
            None => ("ok", "", None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::HOUR;

    fn outcome(class: Class) -> Outcome {
        Outcome::new(class, "x", "")
    }

    #[test]
    fn a_few_bad_addresses_never_open_it_and_a_wrong_password_does() {
        let mut breaker = Breaker::default();
        for _ in 0..50 {
            assert!(!breaker.note(&outcome(Class::BadAddress), 0));
        }
        let opened: Vec<bool> = (0..12).map(|_| breaker.note(&outcome(Class::RouteBroken), 0)).collect();
        assert!(opened.contains(&true));
        assert_eq!(breaker.leave(0), Leave::Rest { until: FIRST_REST });
    }

    #[test]
    fn it_half_opens_by_itself_and_rests_longer_each_time_the_probe_fails() {
        let mut breaker = Breaker::default();
        while !breaker.note(&outcome(Class::RouteBroken), 0) {}
        assert_eq!(breaker.leave(FIRST_REST), Leave::Probe);
        breaker.probe_sent();
        assert!(matches!(breaker.leave(FIRST_REST), Leave::Rest { .. }));
        assert!(!breaker.note(&outcome(Class::RouteBroken), FIRST_REST));
        assert_eq!(breaker.leave(FIRST_REST + 1), Leave::Rest { until: 3 * FIRST_REST });
        breaker.probe_sent();
        assert!(!breaker.note(&outcome(Class::Accepted), 4 * FIRST_REST));
        assert_eq!(breaker.leave(4 * FIRST_REST), Leave::Free);
    }

    #[test]
    fn a_route_that_says_when_it_works_again_rests_until_then_at_once() {
        let mut breaker = Breaker::default();
        assert!(breaker.note(&outcome(Class::RouteBroken).with_retry_after(HOUR), 0));
        assert_eq!(breaker.leave(HOUR - 1), Leave::Rest { until: HOUR });
        assert_eq!(breaker.leave(HOUR), Leave::Probe);
        breaker.probe_sent();
        assert!(!breaker.note(&outcome(Class::RouteBroken).with_retry_after(HOUR), HOUR));
        assert_eq!(breaker.leave(HOUR), Leave::Rest { until: 2 * HOUR });
    }

    #[test]
    fn a_probe_that_was_never_sent_leaves_the_way_for_another() {
        let mut breaker = Breaker::default();
        while !breaker.note(&outcome(Class::RouteBroken), 0) {}
        breaker.probe_sent();
        breaker.note(&outcome(Class::NotSent), FIRST_REST);
        assert_eq!(breaker.leave(FIRST_REST), Leave::Probe);
    }

    #[test]
    fn after_too_fast_a_route_is_given_few_and_then_more_with_each_reply() {
        let mut breaker = Breaker::default();
        breaker.note(&outcome(Class::Accepted), 0);
        assert_eq!(breaker.most(256, 16), 256);
        breaker.note(&outcome(Class::Throttled), 0);
        assert_eq!(breaker.most(256, 16), 16);
        for class in [Class::Accepted, Class::BadAddress, Class::NotSent] {
            breaker.note(&outcome(class), 2 * SECOND);
        }
        assert_eq!(breaker.most(256, 16), 18, "what was given back is no reply");
        for _ in 0..500 {
            breaker.note(&outcome(Class::Accepted), 2 * SECOND);
        }
        assert_eq!((breaker.most(256, 16), breaker.most(8, 16)), (256, 8));
    }

    #[test]
    fn too_fast_makes_the_route_wait_as_long_as_it_was_told() {
        let mut breaker = Breaker::default();
        breaker.note(&outcome(Class::Throttled).with_retry_after(30 * SECOND), 0);
        assert_eq!(breaker.leave(1), Leave::Rest { until: 30 * SECOND });
        assert_eq!(breaker.leave(30 * SECOND), Leave::Free);
    }
}

//! Which case comes next: by clock and tier, as pure functions.
//!
//! A tier says how long somebody in this situation may wait; the campaign's own limit, when the program itself would have
//! given up, makes it less. A call-back that was promised comes before everything else once its time has come.

use crate::model::notice::NoticeState;
use crate::model::outcome::Class;
use crate::model::time::{HOUR, MINUTE, Micros};
use jiff::civil::Date;

/// Below this age somebody is told through a guardian.
const GROWN_UP: i16 = 18;

/// How a case ranks by what is known of the person and of what was tried; the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// A minor, somebody under guardianship, the family of somebody who died.
    Vulnerable,
    /// Nothing reached the person, for certain.
    NotTold,
    /// The ladder has come to a call by a person.
    CallOwed,
    /// A notice may have arrived; nobody knows.
    PerhapsTold,
    /// The person does not want to be told by what was tried.
    Declined,
}

/// What the tier is made from.
#[derive(Clone, Debug, Default)]
pub struct Facts<'a> {
    /// A call lies on a sheet, and nothing else is wanted.
    pub call_owed: bool,
    pub minor: bool,
    /// The notice speaks to a guardian or to the next of kin.
    pub for_another: bool,
    /// The person's notices: state, and why it failed.
    pub notices: &'a [(NoticeState, Option<Class>)],
}

impl Tier {
    pub const ALL: [Tier; 5] = [Tier::Vulnerable, Tier::NotTold, Tier::CallOwed, Tier::PerhapsTold, Tier::Declined];

    pub fn as_str(self) -> &'static str {
        match self {
            Tier::Vulnerable => "vulnerable",
            Tier::NotTold => "not-told",
            Tier::CallOwed => "call-owed",
            Tier::PerhapsTold => "perhaps-told",
            Tier::Declined => "declined",
        }
    }

    pub fn parse(name: &str) -> Option<Tier> {
        Tier::ALL.into_iter().find(|t| t.as_str() == name)
    }

    /// How long somebody of this tier may wait for a human.
    pub fn patience(self) -> Micros {
        match self {
            Tier::Vulnerable => 4 * HOUR,
            Tier::NotTold => 24 * HOUR,
            Tier::CallOwed => 36 * HOUR,
            Tier::PerhapsTold => 48 * HOUR,
            Tier::Declined => 72 * HOUR,
        }
    }

    /// The tier of somebody of whom this is known.
    pub fn of(facts: &Facts<'_>) -> Tier {
        let any = |wanted: NoticeState| facts.notices.iter().any(|(state, _)| *state == wanted);
        let mut failures = facts.notices.iter().filter(|(state, _)| *state == NoticeState::Failed).peekable();
        let failed = failures.peek().is_some();
        if facts.minor || facts.for_another {
            Tier::Vulnerable
        } else if facts.call_owed {
            Tier::CallOwed
        } else if any(NoticeState::Unknown) {
            Tier::PerhapsTold
        } else if failed && failures.all(|(_, reason)| *reason == Some(Class::RefusedByPerson)) {
            Tier::Declined
        } else {
            Tier::NotTold
        }
    }
}

/// By when a case should be worked off. `limit` is when the program itself would have given up on the person; what has
/// passed it already is a matter of minutes, and the tiers keep their order.
pub fn due_by(tier: Tier, opened_at: Micros, limit: Option<Micros>) -> Micros {
    let own = opened_at.saturating_add(tier.patience());
    let last = limit.map_or(Micros::MAX, |limit| limit.max(opened_at).saturating_add(tier.patience() / HOUR * MINUTE));
    own.min(last)
}

/// Where a case stands in the queue; what sorts first comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// 0 for a call-back whose time has come, 1 for everybody else.
    kept_word: u8,
    pub due_at: Micros,
    pub campaign: i64,
    pub person: i64,
}

impl Place {
    /// The place of a case that may be taken up now.
    pub fn new(call_back: Option<Micros>, due_at: Micros, campaign: i64, person: i64) -> Place {
        let (kept_word, due_at) = match call_back {
            Some(at) => (0, at),
            None => (1, due_at),
        };
        Place { kept_word, due_at, campaign, person }
    }
}

/// How a screen says it.
pub fn in_words(due_at: Micros, now: Micros) -> &'static str {
    match due_at.saturating_sub(now) {
        left if left <= 0 => "overdue",
        left if left <= 4 * HOUR => "now",
        left if left <= 24 * HOUR => "today",
        _ => "later",
    }
}

/// Whether somebody born then is a minor today; `None` where the text is no date that can be understood.
///
/// Lists write dates in every way. The year stands at the beginning or at the end; which of the other two numbers is the
/// month matters in one year of eighteen only, and then the younger reading is taken.
pub fn is_minor(birth_date: &str, today: Date) -> Option<bool> {
    let digits: String = birth_date.chars().map(half_width).collect();
    let whole = digits.trim().split(['T', ' ']).next().unwrap_or_default();
    let numbers: Vec<i16> = match whole.len() {
        8 if whole.bytes().all(|b| b.is_ascii_digit()) => {
            [&whole[..4], &whole[4..6], &whole[6..]].iter().filter_map(|n| n.parse().ok()).collect()
        }
        _ => whole
            .split(|c: char| !c.is_ascii_digit())
            .filter(|n| !n.is_empty())
            .filter_map(|n| n.parse().ok())
            .collect(),
    };
    let (year, one, other) = match numbers[..] {
        [year, one, other] if year > 999 => (year, one, other),
        [one, other, year] if year > 999 => (year, one, other),
        _ => return None,
    };
    let born = [(one, other), (other, one)]
        .into_iter()
        .filter_map(|(month, day)| Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok());
    let latest = born.max().filter(|born| *born <= today && year > 1850)?;
    let grown_up = Date::new(latest.year() + GROWN_UP, latest.month(), latest.day().min(28)).ok()?;
    Some(today < grown_up)
}

fn half_width(c: char) -> char {
    match c {
        '０'..='９' => u32::from(c).checked_sub(0xfee0).and_then(char::from_u32).unwrap_or(c),
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tiers_are_this_table() {
        use NoticeState::{Accepted, Failed, Suppressed, Unknown};
        let bad = (Failed, Some(Class::BadAddress));
        let no = (Failed, Some(Class::RefusedByPerson));
        let held = (Unknown, None);
        for (notices, call_owed, minor, for_another, want) in [
            (&[][..], false, false, false, Tier::NotTold),
            (&[bad][..], false, false, false, Tier::NotTold),
            (&[bad, held][..], false, false, false, Tier::PerhapsTold),
            (&[no, no][..], false, false, false, Tier::Declined),
            (&[no, bad][..], false, false, false, Tier::NotTold),
            (&[no, (Suppressed, None)][..], false, false, false, Tier::Declined),
            (&[no, (Accepted, None)][..], true, false, false, Tier::CallOwed),
            (&[no][..], false, true, false, Tier::Vulnerable),
            (&[held][..], true, false, true, Tier::Vulnerable),
        ] {
            assert_eq!(Tier::of(&Facts { call_owed, minor, for_another, notices }), want, "{notices:?}");
        }
        for tier in Tier::ALL {
            assert_eq!(Tier::parse(tier.as_str()), Some(tier));
        }
        assert!(Tier::ALL.windows(2).all(|two| two[0].patience() < two[1].patience()));
    }

    #[test]
    fn a_tier_waits_as_long_as_it_may_and_the_campaigns_limit_shortens_it() {
        assert_eq!(due_by(Tier::NotTold, 10 * HOUR, None), 34 * HOUR);
        assert_eq!(due_by(Tier::NotTold, 10 * HOUR, Some(12 * HOUR)), 12 * HOUR + 24 * MINUTE);
        assert_eq!(due_by(Tier::NotTold, 10 * HOUR, Some(100 * HOUR)), 34 * HOUR);
        // Opened after the limit: at once, and the more urgent first.
        let due = Tier::ALL.map(|t| due_by(t, 90 * HOUR, Some(72 * HOUR)));
        assert!(due.windows(2).all(|two| two[0] < two[1]) && due.iter().all(|d| *d < 92 * HOUR), "{due:?}");
    }

    #[test]
    fn the_queue_is_in_this_order() {
        let mut queue = [
            ("not told, opened early", Place::new(None, due_by(Tier::NotTold, 0, None), 1, 5)),
            ("a minor, opened late", Place::new(None, due_by(Tier::Vulnerable, 19 * HOUR, None), 1, 6)),
            ("not told, of another campaign", Place::new(None, due_by(Tier::NotTold, 0, None), 2, 1)),
            ("a call-back that was promised", Place::new(Some(20 * HOUR), due_by(Tier::Declined, 0, None), 1, 7)),
            ("declined long ago", Place::new(None, due_by(Tier::Declined, -50 * HOUR, None), 1, 8)),
            ("perhaps told", Place::new(None, due_by(Tier::PerhapsTold, 0, None), 1, 1)),
        ];
        queue.sort_by_key(|(_, place)| *place);
        let names = queue.map(|(name, _)| name);
        let want = [
            "a call-back that was promised",
            "declined long ago",
            "a minor, opened late",
            "not told, opened early",
            "not told, of another campaign",
            "perhaps told",
        ];
        assert_eq!(names, want);
        let words = [-1, 0, HOUR, 5 * HOUR, 25 * HOUR].map(|due| in_words(due, 0));
        assert_eq!(words, ["overdue", "overdue", "now", "today", "later"]);
    }

    #[test]
    fn a_minor_is_told_by_the_birth_date_however_it_is_written() {
        let today = Date::constant(2026, 11, 25);
        for (text, want) in [
            ("2010-05-01", Some(true)),
            ("2010/5/1", Some(true)),
            ("01.05.2010", Some(true)),
            ("20100501", Some(true)),
            ("2010年5月1日", Some(true)),
            ("２０１０-05-01", Some(true)),
            ("1990-05-01T00:00:00", Some(false)),
            ("12/31/1990", Some(false)),
            ("2008-11-25", Some(false)),
            ("2008-11-26", Some(true)),
            ("11/12/2008", Some(true)),
            ("2008-02-29", Some(false)),
            ("2030-01-01", None),
            ("May 2010", None),
            ("1.1.10", None),
            ("", None),
            ("31/31/2010", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(is_minor(text, today), want, "{text}");
        }
    }
}

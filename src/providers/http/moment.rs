//! The times of replies: providers write them as seconds since 1970, as RFC 3339 and as RFC 2822, some in the middle of
//! a sentence.

use crate::model::time::{Micros, SECOND};
use jiff::tz::Offset;
use regex::Regex;
use std::sync::LazyLock;

/// A number from here on is a moment, below it a wait in seconds: a wait of thirty years is none.
const MOMENTS_FROM: u64 = 1_000_000_000;
/// A number from here on counts milliseconds.
const MILLISECONDS_FROM: u64 = 100_000_000_000;

/// A provider cannot park a notice for longer than this.
pub const LONGEST_WAIT: Micros = 7 * 24 * 3600 * SECOND;

/// `Mon, 20 Dec 2021 20:33:21 UTC`, wherever it stands; the day's name is optional (RFC 5322, 3.3).
static DATE_IN_WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?:[A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} (?:UTC|GMT|[+-]\d{4})").ok()
});

/// The moment that a text names: seconds or milliseconds since 1970, an RFC 3339 time, or an RFC 2822 date in it. A time
/// without a zone, such as `2026-11-25 04:05:06`, is UTC.
pub fn moment(text: &str) -> Option<Micros> {
    moment_in(text, Offset::UTC)
}

/// As [`moment`], for a provider that writes its own time of day.
pub fn moment_in(text: &str, zone: Offset) -> Option<Micros> {
    let text = text.trim();
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    if let Ok(number) = whole.parse::<u64>() {
        let unit = if number >= MILLISECONDS_FROM { SECOND / 1000 } else { SECOND };
        return (number >= MOMENTS_FROM).then(|| i64::try_from(number).ok()?.checked_mul(unit)).flatten();
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_microsecond());
    }
    if let Ok(time) = text.parse::<jiff::civil::DateTime>() {
        return zone.to_timestamp(time).ok().map(jiff::Timestamp::as_microsecond);
    }
    let date = DATE_IN_WORDS.as_ref()?.find(text)?.as_str().replace("UTC", "GMT");
    jiff::fmt::rfc2822::parse(&date).ok().map(|time| time.timestamp().as_microsecond())
}

/// How long to wait from `now`: seconds, or until a moment.
pub fn wait(text: &str, now: Micros) -> Option<Micros> {
    let text = text.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) if seconds < MOMENTS_FROM => i64::try_from(seconds).ok()?.checked_mul(SECOND)?,
        Ok(_) | Err(_) => moment(text)? - now,
    };
    Some(wait.clamp(0, LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = 784_111_777 * SECOND; // Sun, 06 Nov 1994 08:49:37 GMT

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        for (text, want) in [
            ("120", Some(120 * SECOND)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60 * SECOND)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("limit exceeded, try again after Sun, 06 Nov 1994 08:50:07 UTC", Some(30 * SECOND)),
            ("4000000000", Some(LONGEST_WAIT)),
            ("999999999", Some(LONGEST_WAIT)),
            ("soon", None),
            ("-5", None),
            ("", None),
        ] {
            assert_eq!(wait(text, NOW), want, "{text}");
        }
        assert_eq!(wait("1000000060", 1_000_000_000 * SECOND), Some(60 * SECOND), "seconds since 1970");
    }

    #[test]
    fn a_moment_is_read_in_every_spelling() {
        let want = Some(1_764_043_506 * SECOND);
        for text in [
            "1764043506",
            "1764043506.25",
            "1764043506000",
            "2025-11-25T04:05:06Z",
            "2025-11-25T12:05:06+08:00",
            "2025-11-25 04:05:06",
            "Tue, 25 Nov 2025 04:05:06 +0000",
            "25 Nov 2025 04:05:06 GMT",
        ] {
            assert_eq!(moment(text), want, "{text}");
        }
        assert_eq!(moment_in("2025-11-25 12:05:06", Offset::constant(8)), want);
        for text in ["", "17", "yesterday", "2025-13-01T00:00:00Z", "Tue, 32 Nov 2025 04:05:06 GMT"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}

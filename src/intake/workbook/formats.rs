//! What the number in a cell means: a number, digits, a date or a time, by the format that it is shown in.

use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, ToSpan as _};

/// Spreadsheets keep 15 digits of a number and write zeros for the rest.
const MOST_EXACT: f64 = 1e15;

/// How a number is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Plain,
    /// With zeros in front up to so many digits, as `000000` shows postal codes and customer numbers.
    Digits(usize),
    Date,
    Time,
    DateTime,
}

/// Why a number is not what was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberFault {
    NoNumber,
    /// It had more digits than spreadsheets keep.
    Rounded,
}

/// The format of a number in the built-in list.
pub(super) fn built_in(id: u64) -> Shown {
    match id {
        14..=17 | 27..=31 | 36 | 50..=54 | 57 | 58 => Shown::Date,
        18..=21 | 32..=35 | 45..=47 | 55 | 56 => Shown::Time,
        22 => Shown::DateTime,
        _ => Shown::Plain,
    }
}

/// The format that a code such as `yyyy\-mm\-dd` or `[$-409]h:mm AM/PM` describes.
pub(super) fn of_code(code: &str) -> Shown {
    // The part for positive numbers.
    let mut letters = String::new();
    let mut signs = code.chars();
    while let Some(sign) = signs.next() {
        match sign {
            ';' => break,
            '\\' | '_' | '*' => drop(signs.next()),
            '"' => drop(signs.by_ref().find(|c| *c == '"')),
            '[' => {
                // Elapsed time is written `[h]`; the rest are colours, currencies and languages.
                let inside: String = signs.by_ref().take_while(|c| *c != ']').collect::<String>().to_lowercase();
                if !inside.is_empty() && inside.chars().all(|c| matches!(c, 'h' | 'm' | 's')) {
                    letters.push_str(&inside);
                }
            }
            other => letters.extend(other.to_lowercase()),
        }
    }
    if !letters.is_empty() && letters.bytes().all(|b| b == b'0') {
        return Shown::Digits(letters.len());
    }
    if letters.contains("general") || letters.contains(['#', '?']) {
        return Shown::Plain;
    }
    let date = letters.contains(['y', 'd', 'e', '年']) && !letters.contains("e+") && !letters.contains("e-");
    let time = letters.contains(['h', 's']);
    match (date, time) {
        (true, true) => Shown::DateTime,
        (true, false) => Shown::Date,
        (false, true) => Shown::Time,
        (false, false) if letters.contains('m') => Shown::Date,
        (false, false) => Shown::Plain,
    }
}

/// The text of a number; where it is not what was typed, the nearest there is and why.
pub(super) fn text_of(written: &str, shown: Shown, since_1904: bool) -> (String, Option<NumberFault>) {
    let written = written.trim();
    let Some(number) = written.parse::<f64>().ok().filter(|n| n.is_finite()) else {
        return (String::new(), Some(NumberFault::NoNumber));
    };
    let dated = match shown {
        Shown::Plain | Shown::Digits(_) => None,
        Shown::Date | Shown::Time | Shown::DateTime => moment(number, shown, since_1904),
    };
    if let Some(text) = dated {
        return (text, None);
    }
    let whole = number.fract() == 0.0;
    // `Display` of a float writes all digits and never an exponent.
    let mut text = format!("{number}");
    if text == "-0" {
        text = "0".to_owned();
    }
    if let Shown::Digits(wanted) = shown
        && whole
        && number >= 0.0
    {
        text = format!("{text:0>wanted$}");
    }
    (text, (whole && number.abs() >= MOST_EXACT).then_some(NumberFault::Rounded))
}

/// Days since an epoch as date and time, in ISO 8601.
fn moment(number: f64, shown: Shown, since_1904: bool) -> Option<String> {
    let days = number.floor();
    let seconds = ((number - days) * 86_400.0).round();
    if !(0.0..3_000_000.0).contains(&days) {
        return None;
    }
    let clock = DateTime::from_parts(Date::constant(2000, 1, 1), Time::midnight());
    let clock = clock.checked_add((seconds as i64).seconds()).ok()?;
    if shown == Shown::Time && days == 0.0 {
        return Some(clock.time().to_string());
    }
    // 1900 was no leap year, but the first spreadsheets had a 29 February in it, which is day 60.
    let epoch = match (since_1904, days < 60.0) {
        (true, _) => Date::constant(1904, 1, 1),
        (false, true) => Date::constant(1899, 12, 31),
        (false, false) => Date::constant(1899, 12, 30),
    };
    let past_midnight = i64::from(clock.date() != Date::constant(2000, 1, 1));
    let date = epoch.checked_add(Span::new().try_days(days as i64 + past_midnight).ok()?).ok()?;
    let midnight = clock.time() == Time::midnight();
    Some(if shown == Shown::Date && midnight { date.to_string() } else { date.to_datetime(clock.time()).to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telephone_numbers_kept_as_numbers_have_all_their_digits() {
        for (written, want) in [
            ("13800138000", "13800138000"),
            ("1.3800138E+10", "13800138000"),
            ("1.38E+10", "13800000000"),
            ("13800138000.0", "13800138000"),
            ("4915112345678", "4915112345678"),
            ("-5", "-5"),
            ("-0", "0"),
            ("0.1", "0.1"),
            ("12.50", "12.5"),
        ] {
            assert_eq!(text_of(written, Shown::Plain, false), (want.to_owned(), None), "{written}");
        }
        assert_eq!(text_of("1234567890123456", Shown::Plain, false).1, Some(NumberFault::Rounded));
        assert_eq!(text_of("x", Shown::Plain, false).1, Some(NumberFault::NoNumber));
        assert_eq!(text_of("42", Shown::Digits(6), false), ("000042".to_owned(), None));
    }

    #[test]
    fn days_are_dates_by_their_format() {
        for (written, shown, since_1904, want) in [
            ("45658", Shown::Date, false, "2025-01-01"),
            ("45658.5", Shown::DateTime, false, "2025-01-01T12:00:00"),
            ("45658.75", Shown::Date, false, "2025-01-01T18:00:00"),
            ("0.25", Shown::Time, false, "06:00:00"),
            ("59", Shown::Date, false, "1900-02-28"),
            ("61", Shown::Date, false, "1900-03-01"),
            ("1", Shown::Date, true, "1904-01-02"),
            ("45657.99999999", Shown::DateTime, false, "2025-01-01T00:00:00"),
            ("-3", Shown::Date, false, "-3"),
        ] {
            assert_eq!(text_of(written, shown, since_1904), (want.to_owned(), None), "{written} {shown:?}");
        }
    }

    #[test]
    fn format_codes_are_understood() {
        for (code, want) in [
            ("General", Shown::Plain),
            ("0", Shown::Digits(1)),
            ("000000", Shown::Digits(6)),
            ("0.00", Shown::Plain),
            ("#,##0.00 [$€-407]", Shown::Plain),
            ("0.00E+00", Shown::Plain),
            ("[Red]0.00", Shown::Plain),
            ("yyyy\\-mm\\-dd", Shown::Date),
            ("dd/mm/yyyy hh:mm", Shown::DateTime),
            ("[$-409]h:mm AM/PM;@", Shown::Time),
            ("[h]:mm:ss", Shown::Time),
            ("mmm", Shown::Date),
            ("yyyy\"年\"m\"月\"d\"日\"", Shown::Date),
            ("\"days\" 0", Shown::Plain),
            ("@", Shown::Plain),
        ] {
            assert_eq!(of_code(code), want, "{code}");
        }
    }
}

//! Time as the store keeps it: microseconds since 1970-01-01T00:00:00Z. The core is given `now`, it never asks.

/// Microseconds, UTC, since the Unix epoch.
pub type Micros = i64;

pub const SECOND: Micros = 1_000_000;
pub const MINUTE: Micros = 60 * SECOND;
pub const HOUR: Micros = 60 * MINUTE;
pub const DAY: Micros = 24 * HOUR;

/// The instant as RFC 3339 in UTC with milliseconds, as logs and JSON print it.
pub fn rfc3339(at: Micros) -> String {
    match jiff::Timestamp::from_microsecond(at) {
        Ok(t) => t.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        Err(_) => format!("{at}us"),
    }
}

/// A duration written as `250ms`, `90s`, `5m`, `4h`, `1d`, in microseconds; `None` where it is not one.
pub fn parse_duration(text: &str) -> Option<Micros> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: i64 = number.parse().ok()?;
    let unit = match unit.trim() {
        "ms" => 1_000,
        "s" => SECOND,
        "m" | "min" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// The shortest of the words [`parse_duration`] reads that says this duration exactly.
pub fn print_duration(span: Micros) -> String {
    for (unit, word) in [(DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")] {
        if span >= unit && span % unit == 0 {
            return format!("{}{word}", span / unit);
        }
    }
    format!("{}ms", span / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_printed() {
        for (text, want) in [
            ("250ms", Some(250_000)),
            ("90s", Some(90 * SECOND)),
            ("4h", Some(4 * HOUR)),
            ("1d", Some(DAY)),
            ("1 m", Some(MINUTE)),
            ("h", None),
            ("4", None),
            ("4 weeks", None),
            ("-4h", None),
            ("9223372036854775807d", None),
        ] {
            assert_eq!(parse_duration(text), want, "{text}");
        }
        for text in ["250ms", "90s", "4h", "2d"] {
            assert_eq!(print_duration(parse_duration(text).unwrap_or(0)), text);
        }
    }

    #[test]
    fn instants_print_in_utc() {
        assert_eq!(rfc3339(1_763_942_400_123_456), "2025-11-24T00:00:00.123Z");
    }
}

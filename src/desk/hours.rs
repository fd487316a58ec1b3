//! When somebody may be called: the hours of their country by the clock on their wall.
//!
//! The hours are a table, `hours.toml`, the zones another, `zones.tsv`; both are carried in the binary. A country with
//! several zones is called when its hours hold in all of them; where there is no such hour, those of its most populous
//! zone are taken.

use crate::model::problem::Problem;
use crate::model::time::{DAY, MINUTE, Micros, parse_duration};
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use serde::Deserialize;
use std::collections::BTreeMap;

const HOURS: &str = include_str!("hours.toml");
const ZONES: &str = include_str!("zones.tsv");

/// Times are proposed on the quarter of an hour.
const STEP: Micros = 15 * MINUTE;
/// An hour that holds in all zones of a country is looked for among this many days.
const DAYS: Micros = 3;
/// Nobody agrees on a call further away than this.
const FURTHEST: Micros = 90 * DAY;

/// From when until when, by the clock on the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub from: Time,
    pub until: Time,
}

/// The hours of all countries.
#[derive(Clone, Debug)]
pub struct Hours {
    default: Window,
    own: BTreeMap<String, Window>,
    zones: BTreeMap<String, Vec<String>>,
}

/// Where somebody is, as far as calls are concerned.
#[derive(Clone, Debug)]
pub struct Clock {
    pub window: Window,
    /// The most populous first; none where the country is not known.
    zones: Vec<TimeZone>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HoursFile {
    default: WindowEntry,
    #[serde(default)]
    country: BTreeMap<String, CountryEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowEntry {
    from: Time,
    until: Time,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CountryEntry {
    from: Option<Time>,
    until: Option<Time>,
    zones: Option<Vec<String>>,
}

impl Hours {
    /// The tables in the binary.
    pub fn built_in() -> Result<Hours, Problem> {
        Hours::parse(HOURS, ZONES)
    }

    pub fn parse(hours: &str, zones: &str) -> Result<Hours, Problem> {
        let bad = |why: String| Problem::new("call-hours", "", format!("the table of hours for calls: {why}"));
        let file: HoursFile = toml::from_str(hours).map_err(|error| bad(error.message().to_owned()))?;
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in zones.lines().filter(|line| !line.starts_with('#')) {
            let mut cells = line.split('\t').map(str::to_owned);
            if let Some(country) = cells.next() {
                all.insert(country, cells.collect());
            }
        }
        let checked = |name: &str, window: Window| match window.from < window.until {
            true => Ok(window),
            false => Err(bad(format!("`{name}`: `from` is not before `until`"))),
        };
        let default = checked("default", Window { from: file.default.from, until: file.default.until })?;
        let mut own = BTreeMap::new();
        for (country, entry) in file.country {
            let Some(zones) = all.get_mut(&country) else {
                return Err(bad(format!("`{country}` is no country; write its two capital letters")));
            };
            if let Some(wanted) = entry.zones {
                if wanted.is_empty() || !wanted.iter().all(|zone| zones.contains(zone)) {
                    return Err(bad(format!("`{country}`: `zones` are some of {}", zones.join(", "))));
                }
                *zones = wanted;
            }
            let window =
                Window { from: entry.from.unwrap_or(default.from), until: entry.until.unwrap_or(default.until) };
            own.insert(country.clone(), checked(&country, window)?);
        }
        Ok(Hours { default, own, zones: all })
    }

    /// The clock of somebody in this country (ISO 3166-1 alpha-2; empty: not known).
    pub fn of(&self, country: &str) -> Clock {
        let zones = self.zones.get(country).into_iter().flatten();
        Clock {
            window: self.own.get(country).copied().unwrap_or(self.default),
            zones: zones.filter_map(|name| TimeZone::get(name).ok()).collect(),
        }
    }
}

impl Clock {
    /// Whether the country is known, and with it the time there.
    pub fn is_known(&self) -> bool {
        !self.zones.is_empty()
    }

    /// Whether somebody there may be called at this moment. Where nobody knows where they are, at any.
    pub fn is_open(&self, at: Micros) -> bool {
        match self.has_overlap(at) {
            true => self.zones.iter().all(|zone| self.holds(zone, at)),
            false => self.zones.first().is_none_or(|zone| self.holds(zone, at)),
        }
    }

    /// The first moment from then on when they may be called, on the quarter of an hour unless it is this one.
    pub fn next_open(&self, from: Micros) -> Micros {
        if self.is_open(from) {
            return from;
        }
        let overlap = self.has_overlap(from);
        let open = |at: &Micros| match overlap {
            true => self.zones.iter().all(|zone| self.holds(zone, *at)),
            false => self.zones.first().is_none_or(|zone| self.holds(zone, *at)),
        };
        quarters(from).find(open).unwrap_or(from)
    }

    /// The time there, as `14:30 (Europe/Berlin)`; of the most populous zone where there are several.
    pub fn local(&self, at: Micros) -> Option<String> {
        let zone = self.zones.first()?;
        let there = Timestamp::from_microsecond(at).ok()?.to_zoned_datetime(zone.clone());
        let more = if self.zones.len() > 1 { ", and other zones" } else { "" };
        Some(format!("{} ({}{more})", there.strftime("%Y-%m-%d %H:%M"), zone.iana_name().unwrap_or("?")))
    }

    /// The moment that somebody wrote: a duration from now (`2h`), a time with its offset or zone, or a date and time, or a
    /// time alone, by the clock on the person's wall. Only within their hours, unless they asked for it (`anyway`).
    pub fn call_back(&self, text: &str, now: Micros, anyway: bool) -> Result<Micros, Problem> {
        let refused = |code, message: String| Err(Problem::new(code, "call-back", message));
        let at = match self.moment(text.trim(), now) {
            Ok(at) => at,
            Err(why) => return refused("bad-call-back", why),
        };
        if at < now || at > now.saturating_add(FURTHEST) {
            return refused("bad-call-back", "a call-back lies between now and 90 days from now".to_owned());
        }
        if !anyway && !self.is_open(at) {
            let next = self.next_open(at);
            let there = self.local(next).unwrap_or_default();
            let message = format!(
                "nobody is called there before {} or after {}; the next time is {there}, or say --anyway where the person \
                 asked for it",
                self.window.from.strftime("%H:%M"),
                self.window.until.strftime("%H:%M")
            );
            return refused("outside-hours", message);
        }
        Ok(at)
    }

    fn moment(&self, text: &str, now: Micros) -> Result<Micros, String> {
        if let Some(wait) = parse_duration(text) {
            return Ok(now.saturating_add(wait));
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(at.as_microsecond());
        }
        if text.contains('[')
            && let Ok(at) = text.parse::<ZonedDateTime>()
        {
            return Ok(at.timestamp().as_microsecond());
        }
        let zone = self.zones.first().ok_or(
            "the person's country is not known: write the time with its offset (2026-11-26T14:30+08:00) or as a wait (2h)",
        )?;
        let local = match text.parse::<DateTime>() {
            Ok(local) => local,
            Err(_) => self.next_such_time(text, zone, now)?,
        };
        let mut instants =
            self.zones.iter().map(|zone| local.to_zoned_datetime(zone.clone()).map(|z| z.timestamp().as_microsecond()));
        let first = instants.next().and_then(Result::ok).ok_or("there is no such time there")?;
        if instants.any(|other| other.ok() != Some(first)) {
            return Err("the person's country has several time zones: write the time with its offset \
                        (2026-11-26T14:30-05:00)"
                .to_owned());
        }
        Ok(first)
    }

    /// A time of day alone: when the clock there shows it next.
    fn next_such_time(&self, text: &str, zone: &TimeZone, now: Micros) -> Result<DateTime, String> {
        let unclear = "this is no time; write 2026-11-26T14:30 (by their clock), with an offset, 14:30 or 2h";
        let time: Time = text.parse().map_err(|_| unclear)?;
        let there = Timestamp::from_microsecond(now).map_err(|_| unclear)?.to_zoned_datetime(zone.clone());
        let today = there.date().to_datetime(time);
        if today >= there.datetime() {
            return Ok(today);
        }
        Ok(there.date().tomorrow().map_err(|_| unclear)?.to_datetime(time))
    }

    fn holds(&self, zone: &TimeZone, at: Micros) -> bool {
        let Ok(at) = Timestamp::from_microsecond(at) else { return false };
        let there = zone.to_datetime(at).time();
        self.window.from <= there && there < self.window.until
    }

    /// Whether there is an hour that holds in all zones.
    fn has_overlap(&self, around: Micros) -> bool {
        self.zones.len() < 2 || quarters(around).any(|at| self.zones.iter().all(|zone| self.holds(zone, at)))
    }
}

/// The quarters of an hour after this moment, over a few days.
fn quarters(from: Micros) -> impl Iterator<Item = Micros> {
    let first = from.div_euclid(STEP) + 1;
    (first..=first + DAYS * DAY / STEP).map(|n| n * STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Micros {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn every_zone_of_the_table_is_known() {
        let hours = Hours::built_in().unwrap();
        assert!(hours.zones.len() > 240);
        for (country, zones) in &hours.zones {
            assert!(!zones.is_empty() && hours.of(country).zones.len() == zones.len(), "{country}");
        }
    }

    #[test]
    fn somebody_is_called_in_their_own_hours_and_in_all_zones_of_their_country() {
        let hours = Hours::built_in().unwrap();
        for (country, from, want) in [
            ("DE", "2026-11-25T09:00:00Z", "2026-11-25T09:00:00Z"),
            ("DE", "2026-11-25T07:59:00Z", "2026-11-25T08:00:00Z"),
            ("DE", "2026-11-25T19:00:00Z", "2026-11-26T08:00:00Z"),
            ("CN", "2026-11-25T12:00:00Z", "2026-11-26T01:00:00Z"),
            // Summer time begins in the night between.
            ("DE", "2026-03-28T20:00:00Z", "2026-03-29T07:00:00Z"),
            ("IN", "2026-11-25T15:00:00Z", "2026-11-26T03:30:00Z"),
            // From nine in Honolulu to eight in New York.
            ("US", "2026-11-25T12:00:00Z", "2026-11-25T19:00:00Z"),
            ("US", "2026-11-26T01:00:00Z", "2026-11-26T19:00:00Z"),
            // No hour holds in all zones of Antarctica: those of the first.
            ("AQ", "2026-11-25T07:00:00Z", "2026-11-25T20:00:00Z"),
            ("", "2026-11-25T03:00:00Z", "2026-11-25T03:00:00Z"),
            ("XX", "2026-11-25T03:00:00Z", "2026-11-25T03:00:00Z"),
        ] {
            let clock = hours.of(country);
            let next = clock.next_open(at(from));
            assert_eq!(next, at(want), "{country} from {from}: {:?}", Timestamp::from_microsecond(next));
            assert!(clock.is_open(next), "{country}");
        }
        assert_eq!(hours.of("CN").local(0).as_deref(), Some("1970-01-01 08:00 (Asia/Shanghai)"));
        assert_eq!(hours.of("US").local(0).as_deref(), Some("1969-12-31 19:00 (America/New_York, and other zones)"));
        assert_eq!(hours.of("").local(0), None);
    }

    #[test]
    fn a_call_back_is_understood_by_the_clock_of_the_person() {
        let hours = Hours::built_in().unwrap();
        let now = at("2026-11-25T10:00:00Z");
        for (country, text, want) in [
            ("DE", "2h", Ok("2026-11-25T12:00:00Z")),
            ("DE", "14:30", Ok("2026-11-25T13:30:00Z")),
            ("DE", "10:30", Ok("2026-11-26T09:30:00Z")),
            ("DE", "2026-11-26T14:30", Ok("2026-11-26T13:30:00Z")),
            ("DE", "2026-11-26 14:30", Ok("2026-11-26T13:30:00Z")),
            ("DE", "2026-11-26T14:30:00+08:00", Err("outside-hours")),
            ("DE", "2026-11-26T16:30:00+08:00", Ok("2026-11-26T08:30:00Z")),
            ("DE", "2026-11-26T14:30[America/New_York]", Err("outside-hours")),
            ("DE", "2026-11-26T04:30[America/New_York]", Ok("2026-11-26T09:30:00Z")),
            ("DE", "2026-11-26T21:00", Err("outside-hours")),
            ("DE", "2026-11-24T12:00", Err("bad-call-back")),
            ("DE", "2027-11-24T12:00", Err("bad-call-back")),
            ("DE", "soon", Err("bad-call-back")),
            ("US", "2026-11-26T15:00", Err("bad-call-back")),
            ("US", "2026-11-26T15:00-05:00", Ok("2026-11-26T20:00:00Z")),
            ("", "15:00", Err("bad-call-back")),
            ("", "3h", Ok("2026-11-25T13:00:00Z")),
        ] {
            let got = hours.of(country).call_back(text, now, false).map_err(|p| p.code);
            assert_eq!(got, want.map(at), "{country} {text}");
        }
        let late = hours.of("DE").call_back("2026-11-26T21:00", now, true);
        assert_eq!(late.map_err(|p| p.code), Ok(at("2026-11-26T20:00:00Z")));
    }

    #[test]
    fn a_country_may_have_hours_of_its_own_and_a_bad_table_is_refused() {
        let own = "[default]\nfrom = \"09:00\"\nuntil = \"20:00\"\n[country.DE]\nfrom = \"10:00\"\nuntil = \"19:00\"\n";
        let hours = Hours::parse(own, ZONES).unwrap();
        assert_eq!(hours.of("DE").next_open(at("2026-11-25T06:00:00Z")), at("2026-11-25T09:00:00Z"));
        for (text, want) in [
            (own.replace("10:00", "19:00"), "not before"),
            (own.replace("country.DE", "country.de"), "no country"),
            (own.replace("10:00", "ten"), "the table of hours"),
            (own.to_owned() + "zones = [\"Europe/Paris\"]\n", "`zones` are some of Europe/Berlin"),
            (own.replace("[country", "[land"), "unknown field"),
        ] {
            let error = Hours::parse(&text, ZONES).unwrap_err();
            assert!(error.message.contains(want), "{}", error.message);
        }
    }
}

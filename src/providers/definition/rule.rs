//! Rules from replies to outcome classes: first match wins, the last one matches everything.

use super::pointer;
use crate::model::outcome::Class;
use regex::Regex;
use reqwest::header::{HeaderMap, HeaderName};
use serde_json::Value;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The statuses a server may answer with; 1xx never reaches a rule.
const STATUSES: RangeInclusive<u16> = 200..=599;

#[derive(Clone, Debug)]
pub struct Rule {
    pub status: Statuses,
    /// JSON pointer and the values it may have; all pointers must agree. See [`pointer`] for lists.
    pub json: Vec<(String, Vec<Value>)>,
    /// Headers of the reply and what their values match; all must agree.
    pub headers: Vec<(HeaderName, Regex)>,
    pub text: Option<Regex>,
    pub outcome: Class,
    pub code: Option<Place>,
    pub said: Option<Place>,
    pub message_id: Option<Place>,
    /// Where the reply says how long to wait, beside `Retry-After`.
    pub wait_from: Option<Place>,
    pub wait: Option<Duration>,
}

/// `*`, `2xx`, `429`, `500-504`, and lists of these with commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(Vec<RangeInclusive<u16>>);

/// Where something stands in a reply.
#[derive(Clone, Debug)]
pub enum Place {
    Pointer(String),
    Header(HeaderName),
    /// The first line of a plain body.
    Body,
    /// What the first group of an expression takes out of the body, for replies that are no JSON.
    Found(Regex),
    /// Not in the reply: the word itself.
    Word(String),
}

/// A reply as the rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    pub status: u16,
    pub headers: &'a HeaderMap,
    pub body: &'a str,
    pub json: Option<&'a Value>,
}

impl Statuses {
    pub fn parse(text: &str) -> Option<Statuses> {
        if text == "*" {
            return Some(Statuses(vec![STATUSES]));
        }
        text.split(',').map(|part| one_range(part.trim())).collect::<Option<Vec<_>>>().map(Statuses)
    }

    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }

    pub fn is_all(&self) -> bool {
        STATUSES.clone().all(|status| self.contains(status))
    }

    /// True when it takes anything but 2xx.
    pub fn beyond_success(&self) -> bool {
        self.0.iter().any(|range| *range.end() > 299)
    }

    fn iter(&self) -> impl Iterator<Item = u16> {
        STATUSES.clone().filter(|status| self.contains(*status))
    }
}

fn one_range(part: &str) -> Option<RangeInclusive<u16>> {
    let range = if let Some(hundreds) = part.strip_suffix("xx") {
        let first = hundreds.parse::<u16>().ok().filter(|_| hundreds.len() == 1)?.checked_mul(100)?;
        first..=first.checked_add(99)?
    } else if let Some((from, to)) = part.split_once('-') {
        from.trim().parse().ok()?..=to.trim().parse().ok()?
    } else {
        let status = part.parse().ok()?;
        status..=status
    };
    let inside = STATUSES.contains(range.start()) && STATUSES.contains(range.end());
    (inside && range.start() <= range.end()).then_some(range)
}

impl Place {
    /// A pointer, `header:NAME`, `body`, and where `words` are allowed any other word.
    pub fn parse(text: &str, words: bool) -> Result<Place, String> {
        if text.starts_with('/') {
            return Ok(Place::Pointer(text.to_owned()));
        }
        if let Some(name) = text.strip_prefix("header:") {
            let name = HeaderName::try_from(name).map_err(|_| format!("`{text}` names no possible header"))?;
            return Ok(Place::Header(name));
        }
        if let Some(expression) = text.strip_prefix("find:") {
            let regex = Regex::new(expression).ok().filter(|regex| regex.captures_len() == 2);
            return regex.map(Place::Found).ok_or_else(|| format!("`{text}` is no regular expression with one group"));
        }
        match text {
            "body" => Ok(Place::Body),
            _ if words && !text.is_empty() => Ok(Place::Word(text.to_owned())),
            _ => Err(format!("`{text}` is no place: write a JSON pointer (`/a/b`), `header:NAME`, `find:…` or `body`")),
        }
    }

    /// What stands there, where anything does.
    pub fn read(&self, reply: &Reply<'_>) -> Option<String> {
        self.read_at(reply, 0)
    }

    /// As [`Place::read`], `?` in a pointer being element `at`; of `*` the first element that says anything.
    pub fn read_at(&self, reply: &Reply<'_>, at: usize) -> Option<String> {
        let found = match self {
            Place::Pointer(pointer) => {
                pointer::found(reply.json?, pointer, at).into_iter().find_map(plain).unwrap_or_default()
            }
            Place::Header(name) => reply.headers.get(name)?.to_str().ok()?.trim().to_owned(),
            Place::Body => reply.body.lines().map(str::trim).find(|line| !line.is_empty())?.to_owned(),
            Place::Found(regex) => regex.captures(reply.body)?.get(1)?.as_str().trim().to_owned(),
            Place::Word(word) => word.clone(),
        };
        (!found.is_empty()).then_some(found)
    }
}

/// A value as a word; `None` for what is none.
pub fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Rule {
    pub fn matches(&self, reply: &Reply<'_>) -> bool {
        self.holds_at(reply).is_some()
    }

    /// The element of a list for which the rule holds; 0 where it chooses none by `?`.
    pub fn holds_at(&self, reply: &Reply<'_>) -> Option<usize> {
        if !self.status.contains(reply.status) || self.text.as_ref().is_some_and(|text| !text.is_match(reply.body)) {
            return None;
        }
        let says = |(name, wanted): &(HeaderName, Regex)| {
            reply.headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| wanted.is_match(value))
        };
        if !self.headers.iter().all(says) {
            return None;
        }
        holds_at(&self.json, reply.json)
    }

    /// True when the rule looks at the status alone.
    pub fn is_unconditional(&self) -> bool {
        self.json.is_empty() && self.headers.is_empty() && self.text.is_none()
    }

    /// True when every reply with this status and these values at the pointers would satisfy the rule, whatever
    /// else it holds; `text` is the expression such replies are known to match.
    fn covers(&self, status: u16, values: &[(&str, &Value)], text: Option<&str>) -> bool {
        self.status.contains(status)
            && self.headers.is_empty()
            && self.json.iter().all(|(pointer, allowed)| {
                values.iter().any(|(known, value)| known == pointer && allowed.contains(value))
            })
            && self.text.as_ref().is_none_or(|own| text == Some(own.as_str()))
    }

    /// The value of the first pointer that no reply can bring to this rule because `earlier` rules take it all;
    /// the inner `None` when that is so for the whole rule.
    pub fn unreachable(&self, earlier: &[Rule]) -> Option<Option<&Value>> {
        let text = self.text.as_ref().map(Regex::as_str);
        let dead = |values: &[(&str, &Value)]| {
            self.status.iter().all(|status| earlier.iter().any(|rule| rule.covers(status, values, text)))
        };
        match self.json.as_slice() {
            // Two elements may have two of the values, so a value is not taken by a rule that wants it of every element.
            [(pointer, allowed)] if allowed.len() > 1 && !pointer::is_every(pointer) => {
                allowed.iter().find(|value| dead(&[(pointer.as_str(), value)])).map(Some)
            }
            _ => {
                let firsts: Vec<_> =
                    self.json.iter().filter_map(|(p, values)| Some((p.as_str(), values.first()?))).collect();
                let single = self.json.iter().all(|(_, values)| values.len() == 1);
                (single && dead(&firsts)).then_some(None)
            }
        }
    }
}

/// Conditions on JSON: the first element of a list for which all of them hold, 0 where none has a `?`.
pub fn holds_at(conditions: &[(String, Vec<Value>)], json: Option<&Value>) -> Option<usize> {
    if conditions.is_empty() {
        return Some(0);
    }
    let json = json?;
    let choices = conditions.iter().filter_map(|(pointer, _)| pointer::choices(json, pointer)).max().unwrap_or(1);
    (0..choices).find(|at| {
        conditions.iter().all(|(pointer, allowed)| {
            let found = pointer::found(json, pointer, *at);
            !found.is_empty() && found.iter().all(|value| allowed.contains(value))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(status: &str, json: &[(&str, &[i64])], text: Option<&str>) -> Rule {
        let json = json.iter().map(|(p, v)| ((*p).to_owned(), v.iter().map(|n| Value::from(*n)).collect())).collect();
        Rule {
            status: Statuses::parse(status).expect("valid"),
            json,
            headers: Vec::new(),
            text: text.map(|t| Regex::new(t).expect("valid")),
            outcome: Class::Unknown,
            code: None,
            said: None,
            message_id: None,
            wait_from: None,
            wait: None,
        }
    }

    #[test]
    fn a_list_of_parts_is_taken_as_a_whole_or_decided_by_one() {
        let all = rule("200", &[("/parts/*/status", &[0])], None);
        let one = rule("200", &[("/parts/?/status", &[1, 5])], None);
        for (body, taken, refused) in [
            (r#"{"parts":[{"status":0},{"status":0}]}"#, true, None),
            (r#"{"parts":[{"status":0},{"status":5,"why":"x"}]}"#, false, Some(1)),
            (r#"{"parts":[{"status":1},{"status":5}]}"#, false, Some(0)),
            (r#"{"parts":[]}"#, false, None),
            (r#"{"parts":7}"#, false, None),
        ] {
            let json: Value = serde_json::from_str(body).expect(body);
            let reply = Reply { status: 200, headers: &HeaderMap::new(), body, json: Some(&json) };
            assert_eq!((all.matches(&reply), one.holds_at(&reply)), (taken, refused), "{body}");
            let why = Place::Pointer("/parts/?/why".to_owned());
            assert_eq!(why.read_at(&reply, 1).is_some(), body.contains("why"));
        }
    }

    #[test]
    fn statuses_are_read() {
        for (text, inside, outside) in
            [("2xx", 204, 300), ("401,403", 403, 402), ("500-504", 502, 505), ("*", 599, 600)]
        {
            let statuses = Statuses::parse(text).expect(text);
            assert!(statuses.contains(inside) && !statuses.contains(outside), "{text}");
        }
        for text in ["", "7xx", "xx", "22xx", "100", "abc", "504-500", "200,,201"] {
            assert_eq!(Statuses::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_rule_behind_a_wider_one_is_found_out() {
        let dead = |rules: &[Rule], last: Rule| last.unreachable(rules).is_some();
        assert!(dead(&[rule("4xx", &[], None)], rule("404", &[("/code", &[1])], Some("x"))));
        assert!(dead(&[rule("200-404", &[], None), rule("405-499", &[], None)], rule("4xx", &[], None)));
        assert!(dead(&[rule("400", &[("/code", &[1, 2])], None)], rule("400", &[("/code", &[2, 3])], None)));
        assert!(dead(&[rule("*", &[], Some("a"))], rule("500", &[], Some("a"))));
        assert!(!dead(&[rule("400", &[("/code", &[1])], None)], rule("4xx", &[("/code", &[1])], None)));
        assert!(!dead(&[rule("400", &[("/code", &[1])], None)], rule("400", &[], None)));
        assert!(!dead(&[rule("400", &[], Some("a"))], rule("400", &[], Some("b"))));
        assert!(!dead(&[rule("5xx", &[], None)], rule("*", &[], None)));
    }
}

//! Rules from a report to events: where a value stands, what it must be, and what that means. First match wins.

use crate::model::receipt::Event;
use regex::Regex;
use reqwest::header::{HeaderMap, HeaderName};
use serde_json::Value;
use std::borrow::Cow;

/// Where something stands in a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// A JSON pointer into the event; the fields of a form or query are an object of texts.
    Field(String),
    /// A parameter of the address that was called.
    Query(String),
    Header(HeaderName),
    /// Not in the report: the word itself.
    Word(String),
}

/// One event of a report, and the call it came in.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    pub value: &'a Value,
    pub query: &'a [(String, String)],
    pub headers: &'a HeaderMap,
}

/// What must be so for a rule to match.
#[derive(Clone, Debug)]
pub enum Condition {
    /// It is one of these words; numbers, true and false count as the word they are written with.
    Is(Where, Vec<String>),
    Like(Where, Regex),
}

/// What a rule makes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Means(Event),
    /// Nothing that concerns a notice.
    Ignore,
}

#[derive(Clone, Debug)]
pub struct EventRule {
    /// All must hold.
    pub conditions: Vec<Condition>,
    pub verdict: Verdict,
    pub code: Vec<Where>,
    pub said: Vec<Where>,
    /// The document of `[answer.NAME]` that the provider is given in place of the usual reply.
    pub answer: Option<String>,
}

impl Where {
    /// A pointer, `query:NAME`, `header:NAME`, and where `words` are allowed any other word.
    pub fn parse(text: &str, words: bool) -> Result<Where, String> {
        if text.starts_with('/') {
            return Ok(Where::Field(text.to_owned()));
        }
        if let Some(name) = text.strip_prefix("query:").filter(|name| !name.is_empty()) {
            return Ok(Where::Query(name.to_owned()));
        }
        if let Some(name) = text.strip_prefix("header:") {
            let name = HeaderName::try_from(name).map_err(|_| format!("`{text}` names no possible header"))?;
            return Ok(Where::Header(name));
        }
        if words && !text.is_empty() && !text.contains(':') {
            return Ok(Where::Word(text.to_owned()));
        }
        Err(format!("`{text}` is no place: write a JSON pointer (`/a/b`), `query:NAME` or `header:NAME`"))
    }

    /// The word that stands there, where one does and it is not empty.
    pub fn read<'a>(&'a self, item: &Item<'a>) -> Option<Cow<'a, str>> {
        let found = match self {
            Where::Field(pointer) => plain(at(item.value, pointer)?)?,
            Where::Query(name) => Cow::Borrowed(item.query.iter().rev().find(|(known, _)| known == name)?.1.as_str()),
            Where::Header(name) => Cow::Borrowed(item.headers.get(name)?.to_str().ok()?.trim()),
            Where::Word(word) => Cow::Borrowed(word.as_str()),
        };
        (!found.is_empty()).then_some(found)
    }
}

/// As [`Value::pointer`], which makes two texts of each name on its way.
fn at<'v>(mut value: &'v Value, mut pointer: &str) -> Option<&'v Value> {
    while let (Value::Object(fields), Some(names)) = (value, pointer.strip_prefix('/')) {
        let (name, behind) = names.split_at(names.find('/').unwrap_or(names.len()));
        if name.contains('~') {
            break;
        }
        (value, pointer) = (fields.get(name)?, behind);
    }
    value.pointer(pointer)
}

/// The first of the places where something stands.
pub fn first<'a>(places: &'a [Where], item: &Item<'a>) -> Option<Cow<'a, str>> {
    places.iter().find_map(|place| place.read(item))
}

fn plain(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(_) | Value::Bool(_) => Some(Cow::Owned(value.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Condition {
    fn place(&self) -> &Where {
        match self {
            Condition::Is(place, _) | Condition::Like(place, _) => place,
        }
    }

    fn holds(&self, item: &Item<'_>) -> bool {
        match self {
            Condition::Is(place, words) => {
                place.read(item).is_some_and(|found| words.iter().any(|word| *word == found))
            }
            Condition::Like(place, like) => place.read(item).is_some_and(|found| like.is_match(&found)),
        }
    }

    /// True when whatever satisfies `other` satisfies this.
    fn covers(&self, other: &Condition) -> bool {
        if self.place() != other.place() {
            return false;
        }
        match (self, other) {
            (Condition::Is(_, all), Condition::Is(_, some)) => some.iter().all(|word| all.contains(word)),
            (Condition::Like(_, like), Condition::Is(_, some)) => some.iter().all(|word| like.is_match(word)),
            (Condition::Like(_, one), Condition::Like(_, two)) => one.as_str() == two.as_str(),
            (Condition::Is(..), Condition::Like(..)) => false,
        }
    }
}

impl EventRule {
    pub fn matches(&self, item: &Item<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(item))
    }

    /// True when every event that satisfies `conditions` satisfies this rule.
    fn covers(&self, conditions: &[Condition]) -> bool {
        self.conditions.iter().all(|own| conditions.iter().any(|other| own.covers(other)))
    }

    /// The word that no event can bring to this rule because `earlier` rules take it; the inner `None` when that is so
    /// for the whole rule.
    pub fn unreachable(&self, earlier: &[EventRule]) -> Option<Option<String>> {
        let taken = |conditions: &[Condition]| earlier.iter().any(|rule| rule.covers(conditions));
        if taken(&self.conditions) {
            return Some(None);
        }
        self.conditions.iter().enumerate().find_map(|(at, condition)| {
            let Condition::Is(place, words) = condition else { return None };
            words.iter().find_map(|word| {
                let mut narrowed = self.conditions.clone();
                *narrowed.get_mut(at)? = Condition::Is(place.clone(), vec![word.clone()]);
                taken(&narrowed).then(|| Some(word.clone()))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn is(pointer: &str, words: &[&str]) -> Condition {
        Condition::Is(Where::Field(pointer.to_owned()), words.iter().map(|word| (*word).to_owned()).collect())
    }

    fn like(pointer: &str, text: &str) -> Condition {
        Condition::Like(Where::Field(pointer.to_owned()), Regex::new(text).expect("valid"))
    }

    fn rule(conditions: Vec<Condition>) -> EventRule {
        EventRule { conditions, verdict: Verdict::Ignore, code: Vec::new(), said: Vec::new(), answer: None }
    }

    #[test]
    fn places_are_read() {
        let value = json!({ "a": { "b": ["x", 7, true, null, ""] } });
        let headers = HeaderMap::from_iter([(reqwest::header::HOST, reqwest::header::HeaderValue::from_static(" h "))]);
        let query = [("n".to_owned(), "1".to_owned()), ("n".to_owned(), "2".to_owned())];
        let item = Item { value: &value, query: &query, headers: &headers };
        for (text, want) in [
            ("/a/b/0", Some("x")),
            ("/a/b/1", Some("7")),
            ("/a/b/2", Some("true")),
            ("/a/b/3", None),
            ("/a/b/4", None),
            ("/a/b", None),
            ("query:n", Some("2")),
            ("query:m", None),
            ("header:host", Some("h")),
            ("header:accept", None),
            ("word", Some("word")),
        ] {
            assert_eq!(Where::parse(text, true).expect(text).read(&item).as_deref(), want, "{text}");
        }
        for text in ["word", "", "query:", "header: ", "hedaer:x"] {
            assert!(Where::parse(text, false).is_err(), "{text}");
        }
        assert!(Where::parse("hedaer:x", true).is_err());
    }

    #[test]
    fn a_pointer_leads_where_it_leads_others() {
        let value = json!({ "a": { "b": [{ "c": 1 }, [2]], "x/y": 3, "m~n": 4, "": { "": 5 } }, "~1": 6, "0": 7 });
        for pointer in [
            "", "/", "/a", "/a/b", "/a/b/0", "/a/b/0/c", "/a/b/1/0", "/a/b/2", "/a/b/-", "/a/x~1y", "/a/m~0n", "/a/x",
            "/a/", "/a//", "/a///", "/~01", "/~1", "/0", "/00", "a", "/a/b/00", "/a/b/+1",
        ] {
            assert_eq!(at(&value, pointer), value.pointer(pointer), "{pointer}");
        }
    }

    #[test]
    fn a_rule_behind_a_wider_one_is_found_out() {
        let dead = |earlier: &[EventRule], last: EventRule| last.unreachable(earlier);
        let one = [rule(vec![is("/a", &["1", "2"])]), rule(vec![like("/b", "^x")])];
        assert_eq!(dead(&one, rule(vec![is("/a", &["1"]), is("/c", &["9"])])), Some(None));
        assert_eq!(dead(&one, rule(vec![is("/a", &["2", "3"])])), Some(Some("2".to_owned())));
        assert_eq!(dead(&one, rule(vec![is("/b", &["y", "xx"])])), Some(Some("xx".to_owned())));
        assert_eq!(dead(&one, rule(vec![like("/b", "^x")])), Some(None));
        assert_eq!(dead(&one, rule(vec![like("/b", "x")])), None);
        assert_eq!(dead(&one, rule(vec![is("/a", &["3"]), is("/b", &["y"])])), None);
        assert_eq!(dead(&one, rule(vec![])), None);
        assert_eq!(dead(&[rule(vec![])], rule(vec![is("/a", &["1"])])), Some(None));
    }
}

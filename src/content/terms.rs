//! What a set says about itself (`template.toml`) and how a language prints dates, lists and kinds of data (`terms.toml`).

use crate::model::incident::Zoned;
use crate::model::nearest::suggestion;
use crate::model::problem::Problem;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Manifest {
    #[serde(rename = "description")]
    _description: String,
    pub(super) required: Vec<String>,
    #[serde(default)]
    pub(super) optional: Vec<String>,
    pub(super) sms_max_segments: u32,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Terms {
    #[serde(rename = "language")]
    _language: String,
    date: DateWords,
    list: ListWords,
    pub(super) data_types: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) words: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
struct DateWords {
    pattern: String,
    range: String,
    months: Vec<String>,
    first_day: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct ListWords {
    separator: String,
    last: String,
}

impl Manifest {
    pub(super) fn parse(text: &str) -> Result<Manifest, Vec<Problem>> {
        let file = "template.toml";
        let manifest: Manifest =
            parse(file, text, &[("", &["description", "required", "optional", "sms_max_segments"])])?;
        if manifest.sms_max_segments == 0 {
            let message = format!("{file}: sms_max_segments is 0; write the largest number of parts an SMS may have");
            return Err(vec![Problem::new("bad-template-set", "sms_max_segments", message)]);
        }
        Ok(manifest)
    }
}

impl Terms {
    pub(super) fn parse(file: &str, text: &str) -> Result<Terms, Vec<Problem>> {
        let known: [(&str, &[&str]); 3] = [
            ("", &["language", "date", "list", "data_types", "words"]),
            ("date", &["pattern", "range", "months", "first_day"]),
            ("list", &["separator", "last"]),
        ];
        let terms: Terms = parse(file, text, &known)?;
        let mut problems = Vec::new();
        if terms.date.months.len() != 12 {
            let message = format!("{file}: [date] months has {} names; it needs 12", terms.date.months.len());
            problems.push(Problem::new("bad-template-set", "months", message));
        }
        for (key, text, known) in
            [("pattern", &terms.date.pattern, &DATE_PARTS[..]), ("range", &terms.date.range, &["from", "until"][..])]
        {
            for part in placeholders(text).filter(|p| !known.contains(p)) {
                let message = format!("{file}: [date] {key} has the unknown `{{{part}}}`{}", suggestion(part, known));
                problems.push(Problem::new("bad-template-set", key, message));
            }
        }
        if problems.is_empty() { Ok(terms) } else { Err(problems) }
    }

    /// The local date of the instant, in the zone it is written in.
    pub(super) fn date(&self, at: &Zoned) -> String {
        let (day, month) = (at.day(), at.month());
        let name = self.date.months.get(usize::from(month.unsigned_abs()).saturating_sub(1)).map_or("", String::as_str);
        fill(&self.date.pattern, |part| match part {
            "day" => match &self.date.first_day {
                Some(first) if day == 1 => first.clone(),
                _ => day.to_string(),
            },
            "day2" => format!("{day:02}"),
            "month" => name.to_owned(),
            "month_number" => month.to_string(),
            "month2" => format!("{month:02}"),
            _ => at.year().to_string(),
        })
    }

    /// One date, or a range where the two differ as printed.
    pub(super) fn dates(&self, from: &Zoned, until: Option<&Zoned>) -> String {
        let first = self.date(from);
        match until.map(|u| self.date(u)) {
            Some(last) if last != first => {
                fill(&self.date.range, |part| if part == "from" { first.clone() } else { last.clone() })
            }
            _ => first,
        }
    }

    /// `a, b and c`.
    pub(super) fn join<S: AsRef<str>>(&self, items: &[S]) -> String {
        let mut joined = String::new();
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                joined.push_str(if i + 1 == items.len() { &self.list.last } else { &self.list.separator });
            }
            joined.push_str(item.as_ref());
        }
        joined
    }
}

const DATE_PARTS: [&str; 6] = ["day", "day2", "month", "month_number", "month2", "year"];

fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).map(|part| part.split('}').next().unwrap_or(part))
}

/// Replaces each `{part}`.
fn fill(pattern: &str, value: impl Fn(&str) -> String) -> String {
    let mut parts = pattern.split('{');
    let mut filled = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        filled.push_str(&value(name));
        filled.push_str(rest);
    }
    filled
}

/// Reads TOML; every unknown key is named with the nearest known one. `known`: the keys of each table.
fn parse<T: DeserializeOwned>(file: &str, text: &str, known: &[(&str, &[&str])]) -> Result<T, Vec<Problem>> {
    let wrong = |e: toml::de::Error| {
        let line = e.span().map(|s| text.bytes().take(s.start).filter(|b| *b == b'\n').count() + 1);
        let place = line.map(|l| format!(":{l}")).unwrap_or_default();
        vec![Problem::new("bad-template-set", file, format!("{file}{place}: {}", e.message()))]
    };
    let table: toml::Table = toml::from_str(text).map_err(wrong)?;
    let mut problems = Vec::new();
    for (name, keys) in known {
        let inner = if name.is_empty() { Some(&table) } else { table.get(*name).and_then(toml::Value::as_table) };
        for key in inner.into_iter().flat_map(toml::Table::keys).filter(|k| !keys.contains(&k.as_str())) {
            let place = if name.is_empty() { String::new() } else { format!("[{name}] ") };
            let message = format!("{file}: {place}`{key}` is not a known key{}", suggestion(key, *keys));
            problems.push(Problem::new("unknown-key", key, message));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    toml::from_str(text).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(pattern: &str, first_day: &str) -> Terms {
        let text = format!(
            "language = 'x'\n[date]\npattern = '{pattern}'\nrange = '{{from}} to {{until}}'\n{first_day}\n\
             months = ['janvier','février','mars','avril','mai','juin','juillet','août','septembre','octobre','novembre','décembre']\n\
             [list]\nseparator = ', '\nlast = ' et '\n[data_types]\nname = 'nom'\n"
        );
        Terms::parse("fr/terms.toml", &text).unwrap()
    }

    fn at(text: &str) -> Zoned {
        text.parse().unwrap()
    }

    #[test]
    fn dates_and_lists_print_as_the_language_says() {
        let french = terms("{day} {month} {year}", "first_day = '1er'");
        let first = at("2026-11-01T02:00:00+08:00[+08:00]");
        assert_eq!(french.date(&first), "1er novembre 2026");
        let later = at("2026-11-03T23:30:00+08:00[+08:00]");
        assert_eq!(french.dates(&first, Some(&later)), "1er novembre 2026 to 3 novembre 2026");
        assert_eq!(french.dates(&later, Some(&later)), "3 novembre 2026");
        assert_eq!(terms("{year}年{month_number}月{day}日", "").date(&first), "2026年11月1日");
        assert_eq!(terms("{day2}/{month2}/{year}", "").date(&first), "01/11/2026");
        for (items, want) in
            [(&[][..], ""), (&["a"][..], "a"), (&["a", "b"][..], "a et b"), (&["a", "b", "c"][..], "a, b et c")]
        {
            assert_eq!(french.join(items), want);
        }
    }

    #[test]
    fn a_wrong_key_is_named_with_the_nearest() {
        let text = "descripton = 'x'\nrequired = []\nsms_max_segments = 6\n";
        let problems = Manifest::parse(text).unwrap_err();
        assert!(problems[0].message.contains("did you mean `description`?"), "{}", problems[0].message);
        let problems = Manifest::parse("description = 'x'\nrequired = 3\nsms_max_segments = 6\n").unwrap_err();
        assert!(problems[0].message.starts_with("template.toml:2: "), "{}", problems[0].message);
        let problems = Manifest::parse("description = 'x'\nrequired = []\nsms_max_segments = 0\n").unwrap_err();
        assert_eq!(problems[0].field, "sms_max_segments");
    }
}

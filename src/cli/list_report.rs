//! What a list came to, as `check` and `campaign create` report it.

use super::Failure;
use super::output::Printer;
use crate::app::create::Created;
use crate::app::{App, AppError};
use crate::model::problem::Problem;
use crate::store::import::SourceSums;
use crate::store::status::{SourceRow, Sums};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The sums of a campaign's list and how its sources were understood.
pub(super) struct ListReport {
    total: SourceSums,
    sums: Sums,
    sources: Vec<SourceRow>,
    problems: Vec<Value>,
    warnings: Vec<Problem>,
}

impl ListReport {
    pub(super) async fn of(app: &App, created: &Created) -> Result<ListReport, Failure> {
        let no = created.campaign.no;
        let sources = app.store.sources(no).await?;
        let mut total = SourceSums::default();
        for source in &sources {
            total.rows += source.sums.rows;
            total.persons += source.sums.persons;
            total.merged += source.sums.merged;
            total.rejected += source.sums.rejected;
            total.without_contact += source.sums.without_contact;
        }
        let problems = app
            .store
            .row_problems(no, 100)
            .await?
            .into_iter()
            .map(|(code, p)| json!({"row": p.row, "field": p.field, "code": code, "message": p.message}))
            .collect();
        let mut warnings = created.warnings.clone();
        warnings.extend(unready_routes(app)?);
        warnings.extend(app.approved_words()?);
        Ok(ListReport { total, sums: app.store.sums(no).await?, sources, problems, warnings })
    }

    /// The stable keys.
    pub(super) fn json(&self) -> Map<String, Value> {
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
        put("rows", self.total.rows.into());
        put("persons", self.total.persons.into());
        put("merged", self.total.merged.into());
        put("rejected", self.total.rejected.into());
        put("without_contact", self.total.without_contact.into());
        put("by_channel", json!(self.by_channel()));
        put("by_locale", json!(named(&self.sums.by_locale)));
        put("by_country", json!(named(&self.sums.by_country)));
        put("problems", Value::from(self.problems.clone()));
        put("warnings", self.warnings.iter().map(|w| json!({"code": w.code, "message": w.message})).collect());
        put("sources", self.sources.iter().map(source_json).collect());
        object
    }

    pub(super) fn print(&self, printer: &Printer) -> Result<(), Failure> {
        for source in &self.sources {
            let delimiter = match source.delimiter.as_str() {
                "" => String::new(),
                sign => format!(", delimiter {sign:?}"),
            };
            printer.line(format_args!("{}: {} rows, {}{delimiter}", source.name, source.sums.rows, source.encoding))?;
        }
        let t = &self.total;
        printer.line(format_args!(
            "rows {} = persons {} + merged {} + rejected {}",
            t.rows, t.persons, t.merged, t.rejected
        ))?;
        let counts = |counts: &BTreeMap<String, i64>| {
            counts.iter().map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>().join(", ")
        };
        printer.line(format_args!("by channel: {}", counts(&self.by_channel())))?;
        printer.line(format_args!("by locale: {}", counts(&named(&self.sums.by_locale))))?;
        printer.line(format_args!("by country: {}", counts(&named(&self.sums.by_country))))?;
        for problem in self.problems.iter().take(20) {
            let text = |key: &str| problem[key].as_str().unwrap_or("").to_owned();
            let place = problem["row"].as_u64().map_or("the list".to_owned(), |row| format!("row {row}"));
            printer.line(format_args!("{place}: {}: {}", text("code"), text("message")))?;
        }
        if self.problems.len() > 20 {
            printer.line("… more with --json, all of the rejected ones in --rejects FILE.csv")?;
        }
        for warning in &self.warnings {
            printer.note(format_args!("warning: {}: {}", warning.code, warning.message));
        }
        Ok(())
    }

    fn by_channel(&self) -> BTreeMap<String, i64> {
        let of = |letter: &str| self.sums.by_contact.get(letter).copied().unwrap_or(0);
        [("email", of("e")), ("sms", of("p")), ("phone", of("p"))].map(|(c, n)| (c.to_owned(), n)).into()
    }
}

/// What is wrong with the routes: no obstacle to reading a list, but nothing can be approved before it is right.
fn unready_routes(app: &App) -> Result<Vec<Problem>, Failure> {
    let problems = match app.ready_routes() {
        Ok(_) => return Ok(Vec::new()),
        Err(AppError::Refused(problems)) => problems,
        Err(error) => return Err(error.into()),
    };
    let named = |mut p: Problem| {
        let route = p.route.as_ref().map(|route| format!("route {route}: ")).unwrap_or_default();
        p.message = format!("{route}{}; correct it before the start (`forewarn doctor`)", p.message);
        p
    };
    Ok(problems.into_iter().map(named).collect())
}

/// The sums with a name for what the list does not say.
fn named(sums: &BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    let name = |key: &String| if key.is_empty() { "unknown".to_owned() } else { key.clone() };
    sums.iter().map(|(key, n)| (name(key), *n)).collect()
}

/// One list, as every report shows it.
pub(super) fn source_json(source: &SourceRow) -> Value {
    json!({
        "name": source.name,
        "digest": source.digest,
        "encoding": source.encoding,
        "delimiter": source.delimiter,
        "rows": source.sums.rows,
        "persons": source.sums.persons,
        "merged": source.sums.merged,
        "rejected": source.sums.rejected,
        "without_contact": source.sums.without_contact,
        "complete": source.complete,
    })
}

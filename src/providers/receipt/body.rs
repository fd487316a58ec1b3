//! The body of a report as fields: parsed on demand, within bounds.

use super::{Call, Refused};
use crate::providers::definition::receipt::{BodyForm, Reports};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Map, Value};
use std::cell::OnceCell;
use url::form_urlencoded;

/// Parameters of a query or form; no provider sends a tenth of them.
const MOST_PARAMETERS: usize = 1_000;

/// The parts of a call that verifying and reading have in common. The body stays closed until somebody asks for it.
#[derive(Debug)]
pub(super) struct Opened {
    /// The parameters of the address, decoded.
    pub query: Vec<(String, String)>,
    pub form: BodyForm,
    pairs: OnceCell<Result<Vec<(String, String)>, Refused>>,
    json: OnceCell<Result<Value, Refused>>,
}

impl Opened {
    pub(super) fn new(reports: &Reports, call: &Call<'_>) -> Result<Opened, Refused> {
        let query = call.url.split_once('?').map_or("", |(_, query)| query);
        let query = query.split('#').next().unwrap_or_default();
        let form = form_of(reports, call)?;
        Ok(Opened { query: pairs(query.as_bytes())?, form, pairs: OnceCell::new(), json: OnceCell::new() })
    }

    /// The parameters of the body, or of the address where there is no body.
    pub(super) fn pairs(&self, call: &Call<'_>) -> Result<&[(String, String)], Refused> {
        let read = || match self.form {
            BodyForm::Query => Ok(self.query.clone()),
            BodyForm::Form => pairs(call.body),
            BodyForm::Json => flat(self.json(call)?),
        };
        self.pairs.get_or_init(read).as_deref().map_err(Clone::clone)
    }

    /// The body as JSON; the parameters of a form or query as an object of texts.
    pub(super) fn json(&self, call: &Call<'_>) -> Result<&Value, Refused> {
        let read = || match self.form {
            BodyForm::Json => parse(&String::from_utf8_lossy(call.body)),
            BodyForm::Query | BodyForm::Form => {
                let pairs = self.pairs(call)?.iter();
                Ok(pairs.map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect::<Map<_, _>>().into())
            }
        };
        self.json.get_or_init(read).as_ref().map_err(Clone::clone)
    }
}

/// A provider that may report in several ways says by method and content type in which it does.
fn form_of(reports: &Reports, call: &Call<'_>) -> Result<BodyForm, Refused> {
    let takes = |form: BodyForm| reports.bodies.contains(&form).then_some(form);
    if *call.method == Method::GET {
        return takes(BodyForm::Query).ok_or_else(|| Refused::new("method", 405, "reports do not come by GET"));
    }
    let kind = call.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let looks_like_json = kind.to_ascii_lowercase().contains("json");
    let (first, second) =
        if looks_like_json { (BodyForm::Json, BodyForm::Form) } else { (BodyForm::Form, BodyForm::Json) };
    takes(first).or_else(|| takes(second)).ok_or_else(|| Refused::new("method", 405, "reports come by GET"))
}

/// `a=1&b=2`, decoded; octets that are no UTF-8 become replacement characters, since what matters is ASCII.
fn pairs(text: &[u8]) -> Result<Vec<(String, String)>, Refused> {
    let pairs: Vec<_> = form_urlencoded::parse(text).take(MOST_PARAMETERS + 1).collect();
    if pairs.len() > MOST_PARAMETERS {
        return Err(Refused::body(format!("a report has at most {MOST_PARAMETERS} parameters")));
    }
    Ok(pairs.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
}

/// JSON of bounded depth (the parser stops at 128).
pub(super) fn parse(text: &str) -> Result<Value, Refused> {
    let text = text.trim_start_matches('\u{feff}');
    serde_json::from_str(text).map_err(|error| {
        let why = if error.is_eof() { "it ends too early" } else { "it is not valid, or nested too deeply" };
        Refused::body(format!("the body is no JSON: {why} (line {}, column {})", error.line(), error.column()))
    })
}

/// The fields of a flat JSON object as parameters.
fn flat(json: &Value) -> Result<Vec<(String, String)>, Refused> {
    let object = json.as_object().ok_or_else(|| Refused::body("the body is no JSON object"))?;
    if object.len() > MOST_PARAMETERS {
        return Err(Refused::body(format!("a report has at most {MOST_PARAMETERS} parameters")));
    }
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Ok(object.iter().map(|(name, value)| (name.clone(), word(value))).collect())
}

//! Runs the `[lookup]` of a definition: asks, turns the pages, finds the items about our notice, and says what the
//! provider knows. Pages are fetched from the route's own host, whatever address the reply gives for them.

use super::super::definition::leaf::Leaf;
use super::super::definition::lookup::Lookup;
use super::super::definition::pointer;
use super::super::definition::rule::{Place, Reply, plain};
use super::super::lookup::{LookUp, Query};
use super::reply::{hide, message_id, not_understood, retry_after, without_reply, word};
use super::values::{MARGIN, Values};
use super::{Http, moment};
use crate::model::outcome::{Class, Outcome};
use crate::model::receipt::{Event, Receipt};
use crate::model::redact::redact;
use crate::model::time::{MINUTE, Micros};
use reqwest::header::HeaderMap;
use reqwest::{Request, Url};
use serde_json::Value;

/// A page of a list is longer than the reply to a message.
const LONGEST_PAGE: usize = 2 * 1024 * 1024;

/// What one page brought.
enum Page {
    Items {
        json: Value,
        next: Option<String>,
    },
    /// The provider says that it knows nothing of it.
    Nothing,
    Refused(Outcome),
}

impl Http {
    /// True where the provider can be asked what became of a message.
    pub fn looks_up(&self) -> bool {
        self.definition.lookup.is_some() || self.definition.lookup_by_id.is_some()
    }

    /// Asks what became of a notice.
    pub async fn look_up(&self, query: &Query<'_>, now: Micros) -> LookUp {
        self.look_up_traced(query, now).await.0
    }

    /// As [`Http::look_up`], with the number of the rule that decided.
    pub async fn look_up_traced(&self, query: &Query<'_>, now: Micros) -> (LookUp, Option<usize>) {
        let by_id = self.definition.lookup_by_id.as_ref().filter(|_| query.provider_id.is_some());
        let Some(lookup) = by_id.or(self.definition.lookup.as_ref()) else {
            let text = "the provider can only be asked by its own id of the message, which is not known";
            return (unknown("no-lookup", text), None);
        };
        let values = Values { asked: Some((query.provider_id, query.sent)), ..self.values(Some(query.out)) };
        let known = |same: &&Vec<(String, Leaf)>| same.iter().all(|(_, leaf)| !values.is_absent(leaf));
        let same: Vec<&Vec<(String, Leaf)>> = lookup.same.iter().filter(known).collect();
        let unnamed = same.is_empty() && !lookup.same.is_empty();
        if unnamed || (lookup.needs_id() && query.provider_id.is_none()) {
            return (
                unknown("no-id", "the provider can only be asked by its own id of the message, which is not known"),
                None,
            );
        }
        let search = Search { lookup, same, values: &values, since: query.sent - MARGIN };
        match self.pages(lookup, &search).await {
            Err(outcome) => (LookUp::Unknown(outcome), None),
            Ok(Sight { hit: Some(hit), .. }) => (LookUp::Found(search.receipt(&hit)), Some(hit.rule)),
            Ok(Sight { strangers, .. }) => (search.absent(query.sent, now, strangers), None),
        }
    }

    /// The best hit of all pages.
    async fn pages(&self, lookup: &Lookup, search: &Search<'_>) -> Result<Sight, Outcome> {
        let mut sight = Sight::default();
        let mut next: Option<String> = None;
        for _ in 0..lookup.pages {
            let mut request = self.prepare(&lookup.request, search.values)?;
            if let Some(next) = &next {
                turn(&mut request, next);
            }
            let here = request.url().clone();
            match self.page(request, lookup, search).await {
                Page::Refused(outcome) => return Err(outcome),
                Page::Nothing => return Ok(sight),
                Page::Items { json, next: following } => {
                    let is_empty = search.look_through(&json, &mut sight)?;
                    let going_on = following.filter(|_| !is_empty);
                    let Some(following) = going_on else { return Ok(sight) };
                    if leads_to(&here, &following) && sight.hit.is_none() {
                        let text = "a page of the provider's list names itself as the next one";
                        return Err(Outcome::new(Class::Unknown, "no-end", text));
                    }
                    next = Some(following);
                }
            }
        }
        // Absence on the pages that were read is no absence.
        if sight.hit.is_some() {
            return Ok(sight);
        }
        let text = format!("not on the first {} pages of the provider's list, which goes on", lookup.pages);
        Err(Outcome::new(Class::Unknown, "too-many-pages", &text))
    }

    async fn page(&self, request: Request, lookup: &Lookup, search: &Search<'_>) -> Page {
        let (status, headers, body) = match self.call(request, LONGEST_PAGE).await {
            Ok(reply) => reply,
            Err(error) => return Page::Refused(without_reply(&error)),
        };
        if lookup.absent_status.as_ref().is_some_and(|statuses| statuses.contains(status)) {
            return Page::Nothing;
        }
        let reply = Reply { status, headers: &headers, body: &body, json: None };
        if !(200..300).contains(&status) {
            return Page::Refused(refusal(status, &headers, &reply));
        }
        match serde_json::from_str::<Value>(&body) {
            Ok(json) => {
                let next = lookup.next.as_ref().and_then(|at| plain(json.pointer(at)?)).filter(|next| !next.is_empty());
                Page::Items { json, next }
            }
            Err(_) => {
                Page::Refused(Outcome::new(Class::Unknown, status.to_string(), &search.hide(&not_understood(&reply))))
            }
        }
    }
}

/// What a reply that holds no list says about asking again.
fn refusal(status: u16, headers: &HeaderMap, reply: &Reply<'_>) -> Outcome {
    let class = match status {
        401 | 403 => Class::RouteBroken,
        429 => Class::Throttled,
        500..=599 => Class::Temporary,
        _ => Class::Unknown,
    };
    let mut outcome = Outcome::new(class, status.to_string(), &not_understood(reply));
    outcome.retry_after = retry_after(headers);
    outcome
}

fn unknown(code: &str, text: &str) -> LookUp {
    LookUp::Unknown(Outcome::new(Class::Unknown, code, text))
}

/// The address of the next page, taken as a path: the host, and so the credentials' addressee, stays.
fn turn(request: &mut Request, next: &str) {
    if let Ok(there) = request.url().join(next) {
        let (path, query) = (there.path().to_owned(), there.query().map(str::to_owned));
        request.url_mut().set_path(&path);
        request.url_mut().set_query(query.as_deref());
    }
}

fn leads_to(here: &Url, next: &str) -> bool {
    here.join(next).is_ok_and(|there| there.path() == here.path() && there.query() == here.query())
}

/// An item that is about our notice, and the rule that knows what it means.
struct Hit {
    rule: usize,
    at: usize,
    item: Value,
}

/// What the pages have shown so far.
#[derive(Default)]
struct Sight {
    hit: Option<Hit>,
    /// Items that are as new as the attempt and about something else.
    strangers: usize,
}

/// What is looked for.
struct Search<'a> {
    lookup: &'a Lookup,
    /// An item is ours where all of one of these hold.
    same: Vec<&'a Vec<(String, Leaf)>>,
    values: &'a Values<'a>,
    since: Micros,
}

impl Search<'_> {
    /// Adds what a page shows; true where it has no items at all.
    fn look_through(&self, json: &Value, sight: &mut Sight) -> Result<bool, Outcome> {
        let items = match &self.lookup.items {
            None => std::slice::from_ref(json),
            Some(place) => json.pointer(place).and_then(Value::as_array).map(Vec::as_slice).ok_or_else(|| {
                Outcome::new(
                    Class::Unknown,
                    "no-list",
                    "the provider's reply has no list where the definition looks for it",
                )
            })?,
        };
        for item in items {
            let text = item.to_string();
            let mut rules = self.lookup.rules.iter().enumerate();
            let rule = rules.find_map(|(rule, entry)| Some((rule, entry.holds_at(item, &text)?)));
            let at = rule.map_or(0, |(_, at)| at);
            if self.happened(item, at).is_some_and(|at| at < self.since) {
                continue;
            }
            let Some((rule, at)) = rule.filter(|_| self.is_ours(item)) else {
                sight.strangers += 1;
                continue;
            };
            if sight.hit.as_ref().is_none_or(|best| rule < best.rule) {
                sight.hit = Some(Hit { rule, at, item: item.clone() });
            }
        }
        Ok(items.is_empty())
    }

    fn is_ours(&self, item: &Value) -> bool {
        let holds = |(place, leaf): &(String, Leaf)| {
            let wanted = self.values.render(leaf);
            let mut found = pointer::found(item, place, 0).into_iter().filter_map(plain);
            found.any(|found| found.trim().eq_ignore_ascii_case(wanted.trim()))
        };
        let wanted = self.same.iter().any(|same| same.iter().all(holds));
        wanted || (self.same.is_empty() && self.lookup.items.is_none())
    }

    /// What stands at a place of an item.
    fn read(&self, item: &Value, place: &Option<Place>, at: usize) -> Option<String> {
        let reply = Reply { status: 200, headers: &HeaderMap::new(), body: "", json: Some(item) };
        place.as_ref()?.read_at(&reply, at)
    }

    fn happened(&self, item: &Value, at: usize) -> Option<Micros> {
        moment::moment(&self.read(item, &self.lookup.at, at)?)
    }

    fn receipt(&self, hit: &Hit) -> Receipt {
        let read = |place: &Option<Place>| self.read(&hit.item, place, hit.at);
        let rule = self.lookup.rules.get(hit.rule);
        let code = rule.and_then(|rule| read(&rule.code)).unwrap_or_default();
        let said = rule.and_then(|rule| read(&rule.said)).unwrap_or_default();
        Receipt {
            token: self.values.out.map(|out| out.notice.clone()),
            provider_id: read(&self.lookup.message_id).map(|id| message_id(&id, self.values)),
            address: None,
            event: rule.map_or(Event::Progress, |rule| rule.event),
            code: word(&code, self.values),
            text: redact(&self.hide(&said)),
            at: self.happened(&hit.item, hit.at),
            event_id: None,
        }
    }

    fn hide(&self, text: &str) -> String {
        hide(text, self.values.hidden())
    }

    /// Absence counts where the definition says so, and not at once.
    fn absent(&self, sent: Micros, now: Micros, strangers: usize) -> LookUp {
        if !self.lookup.absent_is_not_sent {
            return unknown("absent", "the provider does not show it, which says nothing with this provider");
        }
        if self.lookup.alone && strangers > 0 {
            return unknown("ambiguous", "the provider has something of that time which may be it, and may be another");
        }
        let after = Micros::try_from(self.lookup.after.as_micros()).unwrap_or(MINUTE);
        let left = sent.saturating_add(after) - now;
        if left <= 0 {
            return LookUp::NotFound;
        }
        let outcome = Outcome::new(Class::Unknown, "too-early", "the provider does not show it yet");
        LookUp::Unknown(outcome.with_retry_after(left))
    }
}

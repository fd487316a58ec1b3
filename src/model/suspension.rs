//! A rest that a person ordered: of a route, or of all email to a domain, with a reason and an end.

use super::time::Micros;
use std::collections::BTreeMap;

/// What rests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rested {
    /// A route by its name: it is given nothing, and other routes of its channel take its share.
    Route(String),
    /// A receiving domain, lower-case A-labels: email to it waits, on every route.
    Domain(String),
}

impl Rested {
    pub fn kind(&self) -> &'static str {
        match self {
            Rested::Route(_) => "route",
            Rested::Domain(_) => "domain",
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Rested::Route(name) | Rested::Domain(name) => name,
        }
    }

    pub fn parse(kind: &str, name: &str) -> Option<Rested> {
        [Rested::Route(name.to_owned()), Rested::Domain(name.to_owned())].into_iter().find(|r| r.kind() == kind)
    }
}

/// One order to rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    pub what: Rested,
    pub reason: String,
    pub by: String,
    pub at: Micros,
    pub until: Micros,
}

/// When each domain's rest ends; of several orders the longest counts.
pub fn rested_domains(suspensions: &[Suspension]) -> BTreeMap<String, Micros> {
    let mut domains = BTreeMap::new();
    for suspension in suspensions {
        if let Rested::Domain(name) = &suspension.what {
            let until = domains.entry(name.clone()).or_insert(suspension.until);
            *until = suspension.until.max(*until);
        }
    }
    domains
}

/// The order that keeps this route at rest the longest.
pub fn of_route<'s>(suspensions: &'s [Suspension], route: &str) -> Option<&'s Suspension> {
    let its = suspensions.iter().filter(|s| matches!(&s.what, Rested::Route(name) if name == route));
    its.max_by_key(|s| s.until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_order_counts() {
        let order = |what, until| Suspension { what, reason: "r".into(), by: "b".into(), at: 0, until };
        let all = [
            order(Rested::Domain("a.example".into()), 7),
            order(Rested::Domain("a.example".into()), 5),
            order(Rested::Route("relay".into()), 3),
            order(Rested::Route("relay".into()), 4),
        ];
        assert_eq!(rested_domains(&all), BTreeMap::from([("a.example".to_owned(), 7)]));
        assert_eq!(of_route(&all, "relay").map(|s| s.until), Some(4));
        assert_eq!(of_route(&all, "a.example"), None);
        for suspension in all {
            let what = suspension.what;
            assert_eq!(Rested::parse(what.kind(), what.name()), Some(what));
        }
    }
}

//! Why a case is closed, and where that leaves the person. The list is a file, `reasons.toml`, carried in the binary.

use crate::model::nearest::suggestion;
use crate::model::person::Standing;
use crate::model::problem::Problem;
use serde::Deserialize;

const BUILT_IN: &str = include_str!("reasons.toml");

/// One reason to close a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub id: String,
    pub standing: Standing,
    /// What it means, for support staff.
    pub says: String,
}

/// The list, in the order support staff see it.
#[derive(Clone, Debug)]
pub struct Reasons(Vec<Reason>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonsFile {
    reason: Vec<ReasonEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonEntry {
    id: String,
    standing: String,
    says: String,
}

impl Reasons {
    /// The list in the binary.
    pub fn built_in() -> Result<Reasons, Problem> {
        Reasons::parse(BUILT_IN)
    }

    pub fn parse(text: &str) -> Result<Reasons, Problem> {
        let bad = |why: String| Problem::new("reasons", "reason", format!("the list of closing reasons: {why}"));
        let file: ReasonsFile = toml::from_str(text).map_err(|error| bad(error.message().to_owned()))?;
        let mut all: Vec<Reason> = Vec::new();
        for ReasonEntry { id, standing, says } in file.reason {
            let ends = [Standing::Satisfied, Standing::Unreachable, Standing::Excluded];
            let Some(standing) = Standing::parse(&standing).filter(|s| ends.contains(s)) else {
                return Err(bad(format!("`{id}`: `standing` is satisfied, unreachable or excluded")));
            };
            if all.iter().any(|known| known.id == id) {
                return Err(bad(format!("`{id}` stands twice in it")));
            }
            all.push(Reason { id, standing, says });
        }
        Ok(Reasons(all))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Reason> {
        self.0.iter()
    }

    /// The reason of that name, or the refusal that lists those there are.
    pub fn find(&self, id: &str) -> Result<&Reason, Problem> {
        let wanted = id.trim().to_lowercase();
        self.0.iter().find(|r| r.id == wanted).ok_or_else(|| {
            let ids: Vec<&str> = self.0.iter().map(|r| r.id.as_str()).collect();
            let message = format!("there is no such reason{}", suggestion(&wanted, ids));
            Problem::new("bad-reason", "reason", message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_leads_to_an_end() {
        let list = Reasons::built_in().unwrap();
        for (id, standing) in [
            ("informed-otherwise", Standing::Satisfied),
            (" Unreachable ", Standing::Unreachable),
            ("declined", Standing::Unreachable),
            ("not-affected", Standing::Excluded),
            ("deceased-without-kin", Standing::Excluded),
            ("withdrawn", Standing::Excluded),
        ] {
            assert_eq!(list.find(id).map(|r| r.standing), Ok(standing), "{id}");
        }
        let refused = list.find("unreachabel").unwrap_err();
        assert!(refused.message.contains("did you mean `unreachable`?"), "{}", refused.message);
    }

    #[test]
    fn a_bad_list_is_refused() {
        let one =
            |id: &str, standing: &str| format!("[[reason]]\nid = \"{id}\"\nstanding = \"{standing}\"\nsays = \"x\"\n");
        for (text, want) in [
            (one("a", "in_flight"), "satisfied, unreachable or excluded"),
            (one("a", "needs_human"), "satisfied, unreachable or excluded"),
            (one("a", "excluded") + &one("a", "excluded"), "twice"),
            (one("a", "excluded") + "colour = 1\n", "unknown field"),
        ] {
            let error = Reasons::parse(&text).unwrap_err();
            assert!(error.message.contains(want), "{}", error.message);
        }
    }
}

//! Letting a route, or all email to a domain, rest: with a reason and an end, and who ordered it.

use super::doctor::Finding;
use super::{App, AppError};
use crate::model::nearest::suggestion;
use crate::model::problem::Problem;
use crate::model::suspension::{Rested, Suspension};
use crate::model::time::{Micros, rfc3339};
use crate::store::Store;

impl App {
    /// Orders a rest; takes hold within a second, what is on the wire is finished.
    pub async fn suspend(&self, order: Suspension) -> Result<Suspension, AppError> {
        if order.until <= order.at {
            let message = format!("the rest would have ended at {}; name a time to come", rfc3339(order.until));
            return Err(Problem::new("past-end", "until", message).into());
        }
        let what = self.known(order.what)?;
        let order = Suspension { what, ..order };
        let mut tx = self.store.begin().await?;
        tx.suspend(&order).await?;
        tx.commit().await?;
        Ok(order)
    }

    /// Ends the rest of a route or a domain at once; how many notices that were put off are due now.
    pub async fn lift(&self, what: Rested, by: &str, now: Micros) -> Result<u64, AppError> {
        let what = self.known(what)?;
        let campaigns = self.store.campaigns().await?;
        let mut tx = self.store.begin_turn(campaigns.iter().map(|c| c.no)).await?;
        let ends = tx.lift(&what, by, now).await?;
        if ends.is_empty() {
            let message = format!("{} {} does not rest; `forewarn doctor` says what does", what.kind(), what.name());
            return Err(Problem::new("not-suspended", what.kind(), message).into());
        }
        let mut forward = 0;
        if matches!(what, Rested::Domain(_)) {
            for until in ends {
                for campaign in &campaigns {
                    forward += tx.bring_forward(campaign.no, until, now).await?;
                }
            }
        }
        tx.commit().await?;
        Ok(forward)
    }

    /// The same with a route that the configuration has, and a domain as addresses are kept.
    fn known(&self, what: Rested) -> Result<Rested, Problem> {
        match what {
            Rested::Route(name) => {
                let names = || self.config.routes.iter().map(|r| r.name.as_str());
                if names().any(|known| known == name) {
                    return Ok(Rested::Route(name));
                }
                let file = self.config.file.display();
                let hint = suggestion(&name, names());
                Err(Problem::new("unknown-route", "route", format!("{file} has no route `{name}`{hint}")))
            }
            Rested::Domain(name) => {
                let ascii = idna::domain_to_ascii_strict(name.trim()).ok().filter(|domain| domain.contains('.'));
                let message = format!("`{name}` is no domain; write what stands behind the @, as example.com");
                Ok(Rested::Domain(ascii.ok_or_else(|| Problem::new("bad-domain", "domain", message))?))
            }
        }
    }
}

/// Why, and who said so.
pub(super) fn reason(order: &Suspension) -> String {
    format!("{}: {}", order.by, order.reason)
}

/// What people told to rest, for `doctor`.
pub(super) async fn findings(store: &Store, now: Micros) -> Vec<Finding> {
    let Ok(orders) = store.suspensions(now).await else { return Vec::new() };
    let finding = |order: &Suspension| {
        let about = format!("{} {}", order.what.kind(), order.what.name());
        let message = format!("suspended until {} ({})", rfc3339(order.until), reason(order));
        Finding::warn(about, message, "`forewarn provider resume` ends it sooner")
    };
    orders.iter().map(finding).collect()
}

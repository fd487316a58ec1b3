//! Telling the store, and so everybody who asks for a status, how the routes are.

use super::Carrier;
use super::run::Dispatcher;
use crate::store::StoreError;
use crate::store::route::RouteHealth;
use std::time::Duration;
use tokio::time::Instant;

impl<C: Carrier> Dispatcher<C> {
    /// Tells the store how the routes are, when that changed or every few seconds.
    pub(super) async fn tell_health(&mut self, last: bool) -> Result<(), StoreError> {
        let now = self.time.now();
        let Some(worker) = self.heart.as_ref().map(|h| h.worker) else { return Ok(()) };
        let span = self.rated.elapsed();
        let rate_due = span >= Duration::from_secs(2) || last;
        let mut news = Vec::new();
        for route in &mut self.routes {
            let (state, reason, until) = route.breaker.health(now);
            let told = (state.to_owned(), until);
            if rate_due {
                route.per_second = if last { 0.0 } else { route.accepted as f64 / span.as_secs_f64() };
                route.accepted = 0;
            }
            if route.told.as_ref() != Some(&told) || rate_due {
                news.push(RouteHealth {
                    name: route.plan.name.clone(),
                    worker,
                    state: state.to_owned(),
                    reason: reason.to_owned(),
                    until,
                    per_second: route.per_second,
                    changed_at: now,
                });
                route.told = Some(told);
            }
        }
        if rate_due {
            self.rated = Instant::now();
        }
        if news.is_empty() {
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        for health in &news {
            tx.set_route_health(health).await?;
        }
        tx.commit().await
    }
}

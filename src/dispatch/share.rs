//! Sharing a channel's notices among its routes by weight. Pure.

/// What a route offers in this turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// Notices it can take now.
    pub free: usize,
    pub weight: u32,
    /// Notices it was given so far.
    pub given: u64,
}

/// Deals up to `notices` among the offers, each time to the route that is furthest behind its share. A weight of 0
/// takes part only when no weighted route is `usable`, whether or not that one has room at the moment.
pub(super) fn deal(notices: usize, offers: &[Offer], weighted_usable: bool) -> Vec<usize> {
    let mut dealt = vec![0; offers.len()];
    for _ in 0..notices {
        let behind = |i: &usize| {
            let offer = &offers[*i];
            (offer.given as f64 + dealt[*i] as f64 + 1.0) / f64::from(offer.weight.max(1))
        };
        let next = (0..offers.len())
            .filter(|i| dealt[*i] < offers[*i].free && (offers[*i].weight > 0 || !weighted_usable))
            .min_by(|a, b| behind(a).total_cmp(&behind(b)));
        match next {
            Some(i) => dealt[i] += 1,
            None => break,
        }
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(free: usize, weight: u32) -> Offer {
        Offer { free, weight, given: 0 }
    }

    #[test]
    fn shares_follow_the_weights_while_there_is_room_and_nothing_idles() {
        for (notices, offers, weighted, want) in [
            (30, vec![offer(100, 100), offer(100, 50)], true, vec![20, 10]),
            (30, vec![offer(5, 100), offer(100, 50)], true, vec![5, 25]),
            (10, vec![offer(100, 100), offer(100, 0)], true, vec![10, 0]),
            (10, vec![offer(0, 100), offer(100, 0)], true, vec![0, 0]),
            (10, vec![offer(0, 100), offer(100, 0)], false, vec![0, 10]),
            (10, vec![offer(3, 1)], true, vec![3]),
            (10, vec![], true, vec![]),
        ] {
            assert_eq!(deal(notices, &offers, weighted), want, "{offers:?}");
        }
    }
}

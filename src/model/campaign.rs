//! A campaign's states and what an approval is bound to.

/// The states a lead sees. `finished` is never stored: it is what a running campaign is called when nobody is
/// in flight and nobody needs a human.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CampaignState {
    Draft,
    Approved,
    Running,
    Paused,
    Cancelled,
    Finished,
}

impl CampaignState {
    pub const ALL: [CampaignState; 6] = [
        CampaignState::Draft,
        CampaignState::Approved,
        CampaignState::Running,
        CampaignState::Paused,
        CampaignState::Cancelled,
        CampaignState::Finished,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            CampaignState::Draft => "draft",
            CampaignState::Approved => "approved",
            CampaignState::Running => "running",
            CampaignState::Paused => "paused",
            CampaignState::Cancelled => "cancelled",
            CampaignState::Finished => "finished",
        }
    }

    pub fn parse(name: &str) -> Option<CampaignState> {
        CampaignState::ALL.into_iter().find(|s| s.as_str() == name)
    }
}

/// What an approver signs: any change of one of the three voids the approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    /// Over the digests of all sources, in order.
    pub list: String,
    /// Over the template set, the incident's facts and texts, and the sender.
    pub texts: String,
    /// Over the ladder and the policies beside it.
    pub ladder: String,
}

impl Digests {
    /// The names of the parts that differ.
    pub fn changed(&self, now: &Digests) -> Vec<&'static str> {
        let mut changed = Vec::new();
        if self.list != now.list {
            changed.push("list");
        }
        if self.texts != now.texts {
            changed.push("texts");
        }
        if self.ladder != now.ladder {
            changed.push("ladder");
        }
        changed
    }
}

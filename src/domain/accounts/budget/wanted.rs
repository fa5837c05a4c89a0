//! A request for a hold: one attempt at one call, with all scopes that pay.

use serde::{Deserialize, Serialize};

use super::scope::{BudgetScope, RunName, ScopeLabel};
use crate::money::NanoUsd;

/// One attempt at one request; each attempt has its own hold and receipt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallKey {
    /// The caller's name of the request.
    pub request_id: String,
    /// Counts from 1, over all providers tried.
    pub attempt: u32,
}

/// One attempt at a call that has not begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendRequest {
    pub call: CallKey,
    /// [`RunName::default`] without one.
    pub run: RunName,
    pub job: Option<ScopeLabel>,
    /// The calling agent.
    pub agent: ScopeLabel,
    pub lane: Option<ScopeLabel>,
    /// The provider's name in the router.
    pub provider: String,
    /// The vendor's name of the model.
    pub model: String,
    /// The most that the call can cost.
    pub worst: NanoUsd,
}

impl SpendRequest {
    /// All scopes that pay, each once, in the order of checking.
    pub fn scopes(&self) -> impl Iterator<Item = BudgetScope> {
        let job = self.job.clone().map(BudgetScope::Job);
        let lane = self.lane.clone().map(BudgetScope::Lane);
        [
            Some(BudgetScope::Run(self.run.clone())),
            job,
            Some(BudgetScope::Agent(self.agent.clone())),
            lane,
            Some(BudgetScope::Day),
        ]
        .into_iter()
        .flatten()
    }
}

//! What a caller wants money for: one attempt at one call, and everyone who pays for it.

use serde::{Deserialize, Serialize};

use super::scope::{Label, RunName, Scope};
use crate::domain::money::NanoUsd;

/// Names one attempt at one request; each attempt has its own hold and its own receipt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallKey {
    /// The caller's name of the request.
    pub request_id: String,
    /// Which attempt at it, from 1, counted over all providers tried.
    pub attempt: u32,
}

/// One attempt at a call, before it is begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    pub call: CallKey,
    /// The run it belongs to; [`RunName::default`] without one.
    pub run: RunName,
    /// The job it belongs to.
    pub job: Option<Label>,
    /// The agent that asks.
    pub agent: Label,
    /// The lane it is in.
    pub lane: Option<Label>,
    /// The provider that will be called, as the router names it.
    pub provider: String,
    /// The model that will be asked for, as its vendor names it.
    pub model: String,
    /// The most it can cost.
    pub worst: NanoUsd,
}

impl Wanted {
    /// All scopes that pay for it, each once, in the order in which they are asked.
    pub fn scopes(&self) -> impl Iterator<Item = Scope> {
        let job = self.job.clone().map(Scope::Job);
        let lane = self.lane.clone().map(Scope::Lane);
        [
            Some(Scope::Run(self.run.clone())),
            job,
            Some(Scope::Agent(self.agent.clone())),
            lane,
            Some(Scope::Day),
        ]
        .into_iter()
        .flatten()
    }
}

//! The hold of an attempt, and the output limit that makes it fit.
//!
//! A client's call that would cost more than its budgets have left is not refused while a shorter answer fits:
//! its limit is lowered, and the answer says so. A call of an agent of ours is refused instead, because the
//! agent decides what to do with the rest. Invariant: under a cap a call has a limit, so that it cannot cost
//! more than its hold; without a cap the model's own limit is the limit.

use super::call::{GatewayCaller, GatewayError, ModelRequest};
use super::candidate::{CallBound, CallCandidate};
use super::dispatch::CallDispatch;
use super::prepared::PreparedRequest;
use crate::actors::work_span::WorkSpan;
use crate::domain::accounts::budget::{CallKey, Hold, SpendRequest};
use crate::domain::money::NanoUsd;

/// A hold, and the limit that had to be set for it.
pub(super) struct GrantedHold {
    pub(super) hold: Hold,
    pub(super) lowered_limit: Option<u64>,
}

impl CallDispatch {
    /// Holds the most that the call may cost; sets the request's limit where a budget needs one.
    pub(super) async fn hold(
        &mut self,
        candidate: &CallCandidate,
        prepared: &mut PreparedRequest,
        bound: CallBound,
    ) -> Result<GrantedHold, GatewayError> {
        let wanted = self.spend(candidate, bound.worst);
        let ModelRequest::Original(original) = &self.ask else {
            return Ok(GrantedHold { hold: self.reserve(wanted).await?, lowered_limit: None });
        };
        let (asked, floor) = (original.output_limit(), original.least_output());
        if asked.is_none() && self.gateway.accounts().is_capped(&wanted)? {
            prepared.limit_output(bound.output);
        }
        let over = match self.reserve(wanted).await {
            Err(GatewayError::OverBudget(over)) => over,
            held => return Ok(GrantedHold { hold: held?, lowered_limit: None }),
        };
        let Some(lowered) = candidate.affordable(&bound, over.left(), floor) else {
            return Err(GatewayError::OverBudget(over));
        };
        prepared.limit_output(lowered.output);
        let hold = self.reserve(self.spend(candidate, lowered.worst)).await?;
        Ok(GrantedHold { hold, lowered_limit: Some(lowered.output) })
    }

    fn spend(&self, candidate: &CallCandidate, worst: NanoUsd) -> SpendRequest {
        let GatewayCaller { request_id, run, job, agent, lane } = self.caller.clone();
        SpendRequest {
            call: CallKey { request_id, attempt: self.tally.attempts },
            run,
            job,
            agent,
            lane,
            provider: candidate.provider.clone(),
            model: candidate.model.clone(),
            worst,
        }
    }

    async fn reserve(&self, wanted: SpendRequest) -> Result<Hold, GatewayError> {
        let step = WorkSpan::begin(self.gateway.system(), "hold", self.gateway.actor_number());
        let held = self.gateway.accounts().hold(wanted).await;
        step.end(held.is_ok());
        Ok(held?)
    }
}

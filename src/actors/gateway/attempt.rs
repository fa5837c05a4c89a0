//! One attempt at a call: held, made, settled, reported.
//!
//! Invariants: an attempt exists only with its hold; it ends in one receipt, whatever became of it; what
//! is not known is charged in full.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::call::Caller;
use super::candidate::Candidate;
use crate::actors::accounts::{Accounts, AccountsError};
use crate::actors::provider_router::{Observed, Probe, ProviderRouter};
use crate::actors::token_governor::GovernorHandle;
use crate::domain::budget::{Hold, Label, RunName};
use crate::domain::context::DEFAULT_CTX_LIMIT;
use crate::domain::money::NanoUsd;
use crate::domain::price::Price;
use crate::domain::receipt::{Outcome, Receipt, Status};
use crate::domain::time::Timestamp;
use crate::domain::trace::TraceId;
use crate::domain::usage::Usage;
use crate::llm::{Failure, FailureKind};
use crate::supervision::trace;

/// What a receipt says of an answer whose vendor did not tell its usage.
const NO_USAGE: &str = "the vendor did not say what was used; the call is charged at its hold";

/// Tells the token governor what an agent's call used.
pub(super) struct Observer {
    governor: GovernorHandle,
    agent: Label,
    run: RunName,
    window: u64,
}

impl Observer {
    /// One for a call of an agent; others have no context to look after.
    pub(super) fn of(governor: &GovernorHandle, caller: &Caller, window: Option<u64>) -> Option<Self> {
        caller.is_agent().then(|| Self {
            governor: governor.clone(),
            agent: caller.agent.clone(),
            run: caller.run.clone(),
            window: window.unwrap_or(DEFAULT_CTX_LIMIT.get()),
        })
    }

    fn saw(&self, usage: &Usage) {
        self.governor.observe(self.agent.as_str(), Some(self.run.as_str()), usage, self.window);
    }
}

/// An attempt under way.
pub(super) struct Attempt {
    hold: Hold,
    accounts: Accounts,
    router: ProviderRouter,
    provider: String,
    price: Option<Price>,
    observer: Option<Observer>,
    /// The provider in whose place this one is asked.
    fallback_from: Option<String>,
    /// Ends with the attempt: lets the next trial of a provider that rested begin.
    _probe: Option<Probe>,
    /// Of the caller, who may leave before the end.
    trace_id: Option<TraceId>,
    started: Instant,
    first_byte: Option<Duration>,
}

impl Attempt {
    pub(super) fn new(
        hold: Hold,
        accounts: &Accounts,
        router: &ProviderRouter,
        candidate: &Candidate,
        fallback_from: Option<String>,
        probe: Option<Probe>,
    ) -> Self {
        Self {
            hold,
            accounts: accounts.clone(),
            router: router.clone(),
            provider: candidate.provider.clone(),
            price: candidate.price.clone(),
            observer: None,
            fallback_from,
            _probe: probe,
            trace_id: trace::current().map(|scope| scope.context.trace),
            started: Instant::now(),
            first_byte: None,
        }
    }

    /// The same with somebody who is told what it used.
    pub(super) fn seen_by(self, observer: Option<Observer>) -> Self {
        Self { observer, ..self }
    }

    pub(super) const fn hold(&self) -> &Hold {
        &self.hold
    }

    /// The first byte of a good answer has come.
    pub(super) fn answered(&mut self) {
        self.first_byte.get_or_insert_with(|| self.started.elapsed());
    }

    /// The answer is whole.
    pub(super) async fn succeeded(mut self, usage: Option<Usage>) -> Result<Arc<Receipt>, AccountsError> {
        self.answered();
        self.report(None);
        let status = if self.fallback_from.is_some() { Status::Fallback } else { Status::Success };
        let cost = match (usage, &self.price) {
            (Some(usage), Some(price)) => price.cost(&usage),
            _ => self.hold.amount(),
        };
        let outcome = Outcome {
            fallback_from: self.fallback_from.clone(),
            error_message: usage.is_none().then(|| NO_USAGE.to_owned()),
            ..self.outcome(status, usage.unwrap_or_default(), cost)
        };
        let receipt = self.accounts.settle(self.hold, outcome).await?;
        if let (Some(observer), Some(usage)) = (&self.observer, &usage) {
            observer.saw(usage);
        }
        Ok(receipt)
    }

    /// It failed; charged in full where the vendor may have begun to work.
    pub(super) async fn failed(self, failure: &Failure) -> Result<Arc<Receipt>, AccountsError> {
        self.report(Some(failure));
        let status = match failure.kind {
            FailureKind::ConnectTimeout | FailureKind::FirstByteTimeout | FailureKind::BodyTimeout => {
                Status::Timeout
            }
            _ => Status::Error,
        };
        let cost = if failure.may_cost { self.hold.amount() } else { NanoUsd::ZERO };
        let outcome = Outcome {
            error_message: Some(failure.message.clone()),
            ..self.outcome(status, Usage::default(), cost)
        };
        self.accounts.settle(self.hold, outcome).await
    }

    fn report(&self, failure: Option<&Failure>) {
        let observed = Observed {
            ok: failure.is_none(),
            first_byte: self.first_byte,
            total: self.started.elapsed(),
            failure: failure.map(|failure| failure.kind),
            retry_after: failure.and_then(|failure| failure.retry_after),
        };
        self.router.report(&self.provider, &observed);
    }

    fn outcome(&self, status: Status, usage: Usage, cost: NanoUsd) -> Outcome {
        Outcome {
            at: Timestamp::now(),
            status,
            usage,
            cost,
            latency_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            error_message: None,
            fallback_from: None,
            trace_id: self.trace_id,
        }
    }
}

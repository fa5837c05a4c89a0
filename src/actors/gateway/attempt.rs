//! One attempt at a call: hold, request, settlement, report.
//!
//! Invariants: an attempt exists only with its hold; it ends in one receipt, whatever its outcome; unknown
//! usage is charged in full.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::bound_memory::BoundMemory;
use super::call::GatewayCaller;
use super::candidate::CallCandidate;
use crate::actors::accounts::{AccountsError, AccountsHandle};
use crate::actors::provider_router::{ObservedCall, ProbeGuard, ProviderRouterHandle};
use crate::actors::token_governor::GovernorHandle;
use crate::domain::accounts::budget::{Hold, RunName, ScopeLabel};
use crate::domain::accounts::price::ModelPrice;
use crate::domain::accounts::receipt::{Receipt, ReceiptOutcome, ReceiptStatus};
use crate::domain::money::NanoUsd;
use crate::domain::time::Timestamp;
use crate::domain::token_governor::DEFAULT_CTX_LIMIT;
use crate::domain::trace::TraceId;
use crate::domain::usage::TokenUsage;
use crate::llm::{VendorFailure, VendorFailureKind};
use crate::supervision::trace;

/// The note in the receipt of an answer without usage.
const NO_USAGE: &str = "the vendor did not report usage; the call is charged its full hold";

/// The note in the receipt of searches whose fee no source states.
fn assumed_fee(searches: u32, price: &ModelPrice) -> String {
    let fee = price.per_thousand_searches().normalize();
    format!(
        "{searches} searches of the vendor's are charged at {fee} US dollars a thousand, the dearest known: the price \
         of this model states no fee"
    )
}

/// Reports the tokens used by an agent's call to the token governor.
pub(super) struct UsageObserver {
    governor: GovernorHandle,
    agent: ScopeLabel,
    run: RunName,
    window: u64,
}

impl UsageObserver {
    /// An observer for an agent's call; other callers have no context to track.
    pub(super) fn of(governor: &GovernorHandle, caller: &GatewayCaller, window: Option<u64>) -> Option<Self> {
        caller.is_agent().then(|| Self {
            governor: governor.clone(),
            agent: caller.agent.clone(),
            run: caller.run.clone(),
            window: window.unwrap_or(DEFAULT_CTX_LIMIT.get()),
        })
    }

    fn saw(&self, usage: &TokenUsage) {
        self.governor.observe(self.agent.as_str(), Some(self.run.as_str()), usage, self.window);
    }
}

pub(super) struct CallAttempt {
    hold: Hold,
    accounts: AccountsHandle,
    router: ProviderRouterHandle,
    provider: String,
    price: Option<ModelPrice>,
    observer: Option<UsageObserver>,
    /// The most tokens of the prompt, and where it is noted that the vendor counted more.
    prompt_bound: Option<(BoundMemory, u64)>,
    /// The failed provider that this one replaces.
    fallback_from: Option<String>,
    /// Ends with the attempt: allows the next probe of a provider whose circuit was open.
    _probe: Option<ProbeGuard>,
    /// The caller's trace; the caller may leave before the end.
    trace_id: Option<TraceId>,
    started: Instant,
    first_byte: Option<Duration>,
}

impl CallAttempt {
    pub(super) fn new(
        hold: Hold,
        accounts: &AccountsHandle,
        router: &ProviderRouterHandle,
        candidate: &CallCandidate,
        fallback_from: Option<String>,
        probe: Option<ProbeGuard>,
    ) -> Self {
        Self {
            hold,
            accounts: accounts.clone(),
            router: router.clone(),
            provider: candidate.provider.clone(),
            price: candidate.price.clone(),
            observer: None,
            prompt_bound: None,
            fallback_from,
            _probe: probe,
            trace_id: trace::current().map(|scope| scope.context.trace),
            started: Instant::now(),
            first_byte: None,
        }
    }

    /// Attaches an observer for token usage.
    pub(super) fn with_observer(self, observer: Option<UsageObserver>) -> Self {
        Self { observer, ..self }
    }

    /// Sets the bound at which the prompt was held.
    pub(super) fn with_prompt_bound(self, memory: &BoundMemory, bound: u64) -> Self {
        Self { prompt_bound: Some((memory.clone(), bound)), ..self }
    }

    pub(super) const fn hold(&self) -> &Hold {
        &self.hold
    }

    /// Notes the first byte of a good answer.
    pub(super) fn answered(&mut self) {
        self.first_byte.get_or_insert_with(|| self.started.elapsed());
    }

    /// Settles a complete answer.
    pub(super) async fn succeeded(
        mut self,
        usage: Option<TokenUsage>,
    ) -> Result<Arc<Receipt>, AccountsError> {
        self.answered();
        self.report(None);
        let status =
            if self.fallback_from.is_some() { ReceiptStatus::Fallback } else { ReceiptStatus::Success };
        if let (Some((memory, bound)), Some(usage)) = (&self.prompt_bound, &usage) {
            memory.note(&self.provider, *bound, usage.prompt());
        }
        let cost = match (usage, &self.price) {
            (Some(usage), Some(price)) => price.cost(&usage),
            _ => self.hold.amount(),
        };
        let note = match (&usage, &self.price) {
            (None, _) => Some(NO_USAGE.to_owned()),
            (Some(usage), Some(price)) if usage.searches > 0 && price.assumes_search_fee() => {
                Some(assumed_fee(usage.searches, price))
            }
            _ => None,
        };
        let outcome = ReceiptOutcome {
            fallback_from: self.fallback_from.clone(),
            error_message: note,
            ..self.outcome(status, usage.unwrap_or_default(), cost)
        };
        let receipt = self.accounts.settle(self.hold, outcome).await?;
        if let (Some(observer), Some(usage)) = (&self.observer, &usage) {
            observer.saw(usage);
        }
        Ok(receipt)
    }

    /// Settles a failure: by the vendor's count, or in full where the vendor may have begun to work.
    pub(super) async fn failed(self, failure: &VendorFailure) -> Result<Arc<Receipt>, AccountsError> {
        self.report(Some(failure));
        let status = match failure.kind {
            VendorFailureKind::ConnectTimeout
            | VendorFailureKind::FirstByteTimeout
            | VendorFailureKind::BodyTimeout => ReceiptStatus::Timeout,
            _ => ReceiptStatus::Error,
        };
        let used = failure.used.as_deref();
        let cost = match (used, &self.price) {
            (Some(used), Some(price)) => price.cost(used),
            _ if failure.may_cost => self.hold.amount(),
            _ => NanoUsd::ZERO,
        };
        let outcome = ReceiptOutcome {
            error_message: Some(failure.message.clone()),
            ..self.outcome(status, used.copied().unwrap_or_default(), cost)
        };
        self.accounts.settle(self.hold, outcome).await
    }

    /// Settles a call that was ended because nobody waits for it, by an estimate; never above its hold. It says
    /// nothing of its provider, so nothing is reported.
    pub(super) async fn abandoned(
        self,
        why: String,
        usage: TokenUsage,
    ) -> Result<Arc<Receipt>, AccountsError> {
        let held = self.hold.amount();
        let cost = self.price.as_ref().map_or(held, |price| price.cost(&usage).min(held));
        let outcome = ReceiptOutcome {
            error_message: Some(why),
            ..self.outcome(ReceiptStatus::Abandoned, usage, cost)
        };
        self.accounts.settle(self.hold, outcome).await
    }

    fn report(&self, failure: Option<&VendorFailure>) {
        let observed = ObservedCall {
            ok: failure.is_none(),
            first_byte: self.first_byte,
            total: self.started.elapsed(),
            failure: failure.map(|failure| failure.kind),
            retry_after: failure.and_then(|failure| failure.retry_after),
        };
        self.router.report(&self.provider, &observed);
    }

    fn outcome(&self, status: ReceiptStatus, usage: TokenUsage, cost: NanoUsd) -> ReceiptOutcome {
        ReceiptOutcome {
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

//! Dispatches a call: select, price, hold, call, settle, report; retries or falls back where that helps.
//!
//! Invariants: nothing is sent without a hold, and every hold ends in one receipt; once a chunk of a stream
//! has gone out, the call is not begun anew. Failure policy: [`AttemptPlan`] decides what follows a failed
//! attempt; the last failure is the answer, with its receipt.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream::StreamExt;
use tokio::time::Instant;

use super::attempt::{CallAttempt, UsageObserver};
use super::attempt_plan::{AttemptDecision, AttemptPlan, AttemptSetback};
use super::call::{
    AnsweringModel, GatewayCaller, GatewayError, ModelCall, ModelRequest, ModelTarget, StreamedAnswer,
};
use super::cancel_watch;
use super::candidate::CallCandidate;
use super::detach::{CallerGone, DetachStreamOnDrop};
use super::in_flight::{CallOwner, InFlightGuard};
use super::settling_stream::SettlingStream;
use super::span::CallSpan;
use super::{GatewayHandle, GatewayMessage};
use crate::actors::provider_router::{ProbeGuard, ProviderPermit};
use crate::domain::accounts::budget::{CallKey, SpendRequest};
use crate::domain::accounts::receipt::Receipt;
use crate::domain::money::NanoUsd;
use crate::domain::usage::TokenUsage;
use crate::llm::catalogue::{self, MODELS};
use crate::llm::chat::{ChatResponse, CompletionBody};
use crate::llm::embedding::EmbeddingResponse;
use crate::llm::{CallDeadlines, ChunkStream, Vendor, VendorFailure};
use crate::supervision::Address;
use crate::supervision::trace::ActorNumber;

/// The output of one attempt.
pub(super) enum AttemptOutput {
    Chat(CompletionBody, Option<TokenUsage>),
    Stream(Box<ChunkStream>),
    Vectors(EmbeddingResponse, Option<TokenUsage>),
}

/// A good answer, not settled yet.
pub(super) struct SuccessfulAttempt {
    pub(super) attempt: CallAttempt,
    pub(super) output: AttemptOutput,
    pub(super) by: AnsweringModel,
    held: NanoUsd,
    place: InFlightGuard,
}

/// A running summary of the failed attempts.
#[derive(Default)]
struct AttemptTally {
    attempts: u32,
    receipt: Option<Arc<Receipt>>,
    /// The last provider called.
    asked: Option<String>,
}

/// A call in progress: its candidates and its progress.
pub(super) struct CallDispatch {
    gateway: GatewayHandle,
    caller: GatewayCaller,
    ask: ModelRequest,
    counts_context: bool,
    candidates: Vec<Arc<CallCandidate>>,
    caller_gone: CallerGone,
    place: InFlightGuard,
    begun: Instant,
    tally: AttemptTally,
}

impl CallDispatch {
    /// Selects the candidates.
    pub(super) fn new(
        gateway: GatewayHandle,
        call: ModelCall,
        left: CallerGone,
    ) -> Result<Self, GatewayError> {
        let step = CallSpan::begin(&gateway.inner.system, "select");
        let found = gateway.candidates(&call);
        step.end(&gateway.inner.system, gateway.actor_number(), found.is_ok());
        let GatewayCaller { job, agent, .. } = call.caller.clone();
        let place = gateway.inner.cancels.join(CallOwner { job, agent });
        Ok(Self {
            candidates: found?,
            caller: call.caller.in_lane(&gateway.inner.roster),
            ask: call.ask,
            counts_context: call.counts_context,
            gateway,
            caller_gone: left,
            place,
            begun: Instant::now(),
            tally: AttemptTally::default(),
        })
    }

    /// Makes attempts until one succeeds or the plan gives up.
    pub(super) async fn run(mut self) -> Result<SuccessfulAttempt, GatewayError> {
        let mut plan = AttemptPlan::new(self.gateway.inner.policy, self.candidates.len());
        let mut current = 0;
        loop {
            self.check_cancellation()?;
            let provider = &self.candidates[current].provider;
            let next = match self.gateway.inner.router.admit(provider) {
                ProviderPermit::Rejected { until } => match plan.skip() {
                    AttemptDecision::GiveUp => return Err(circuit_open(provider.clone(), until)),
                    next => next,
                },
                ProviderPermit::Allowed => match self.attempt(current, None).await? {
                    Ok(won) => return Ok(self.won(won, current)),
                    Err(failure) => self.follow(&mut plan, failure)?,
                },
                ProviderPermit::Probe(probe) => match self.attempt(current, Some(probe)).await? {
                    Ok(won) => return Ok(self.won(won, current)),
                    Err(failure) => self.follow(&mut plan, failure)?,
                },
            };
            let AttemptDecision::Attempt { candidate, pause } = next else { continue };
            current = candidate;
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Begins nothing for a job that is being cancelled.
    fn check_cancellation(&mut self) -> Result<(), GatewayError> {
        let is_cancelled = |job| cancel_watch::is_cancelled(&self.gateway.inner.book, job);
        if !self.place.is_cancelled() && !self.caller.job.as_ref().is_some_and(is_cancelled) {
            return Ok(());
        }
        let (receipt, attempts) = (self.tally.receipt.take(), self.tally.attempts);
        Err(GatewayError::Failed { failure: GatewayError::cancelled(), receipt, attempts })
    }

    /// Follows the plan after a failure; the error is the call's answer.
    fn follow(
        &mut self,
        plan: &mut AttemptPlan,
        failure: VendorFailure,
    ) -> Result<AttemptDecision, GatewayError> {
        let setback = AttemptSetback {
            kind: failure.kind,
            retry_after: failure.retry_after,
            elapsed: self.begun.elapsed(),
            caller_gone: self.caller_gone.load(Ordering::Acquire),
        };
        match plan.after(setback, fastrand::f64()) {
            AttemptDecision::GiveUp => {
                let (receipt, attempts) = (self.tally.receipt.take(), self.tally.attempts);
                Err(GatewayError::Failed { failure, receipt, attempts })
            }
            next => Ok(next),
        }
    }

    fn won(
        mut self,
        (attempt, got, held): (CallAttempt, AttemptOutput, NanoUsd),
        current: usize,
    ) -> SuccessfulAttempt {
        let chosen = self.candidates.remove(current);
        let alternatives = self.candidates.iter().map(|other| other.provider.clone()).collect();
        let by =
            AnsweringModel { provider: chosen.provider.clone(), model: chosen.model.clone(), alternatives };
        SuccessfulAttempt { attempt, output: got, by, held, place: self.place }
    }

    /// One attempt: `Ok(Err(_))` is a failure that has been settled.
    async fn attempt(
        &mut self,
        current: usize,
        probe: Option<ProbeGuard>,
    ) -> Result<Result<(CallAttempt, AttemptOutput, NanoUsd), VendorFailure>, GatewayError> {
        let candidate = &*Arc::clone(&self.candidates[current]);
        let no_price = || GatewayError::NoPrice {
            provider: candidate.endpoint.vendor().as_str().to_owned(),
            model: candidate.model.clone(),
        };
        // The last candidate needs no copy: preparing the request twice gives the same.
        let is_last = current + 1 == self.candidates.len();
        let asked = (!is_last).then(|| self.ask.clone());
        let worst = candidate.prepare(&mut self.ask).ok_or_else(no_price)?;
        let hold = self.hold(candidate, worst).await?;
        let before = self.tally.asked.replace(candidate.provider.clone());
        let fallback_from = before.filter(|before| *before != candidate.provider);
        let inner = &self.gateway.inner;
        let observer = UsageObserver::of(&inner.governor, &self.caller, candidate.window);
        let observer = observer.filter(|_| self.counts_context);
        let mut attempt =
            CallAttempt::new(hold, &inner.accounts, &inner.router, candidate, fallback_from, probe)
                .with_observer(observer);
        let step = CallSpan::begin(&inner.system, "provider call");
        let sent = tokio::select! {
            biased;
            () = self.place.cancelled() => Err(VendorFailure { may_cost: true, ..GatewayError::cancelled() }),
            sent = self.send(&attempt, candidate) => sent,
        };
        step.end(&inner.system, self.gateway.actor_number(), sent.is_ok());
        match sent {
            Ok(got) => {
                attempt.answered();
                Ok(Ok((attempt, got, worst)))
            }
            Err(failure) => {
                self.tally.receipt = Some(attempt.failed(&failure).await?);
                if let Some(asked) = asked {
                    self.ask = asked;
                }
                Ok(Err(failure))
            }
        }
    }

    async fn hold(
        &mut self,
        candidate: &CallCandidate,
        worst: NanoUsd,
    ) -> Result<crate::domain::accounts::budget::Hold, GatewayError> {
        self.tally.attempts += 1;
        let GatewayCaller { request_id, run, job, agent, lane } = self.caller.clone();
        let wanted = SpendRequest {
            call: CallKey { request_id, attempt: self.tally.attempts },
            run,
            job,
            agent,
            lane,
            provider: candidate.provider.clone(),
            model: candidate.model.clone(),
            worst,
        };
        let inner = &self.gateway.inner;
        let step = CallSpan::begin(&inner.system, "hold");
        let held = inner.accounts.hold(wanted).await;
        step.end(&inner.system, self.gateway.actor_number(), held.is_ok());
        Ok(held?)
    }

    async fn send(
        &self,
        attempt: &CallAttempt,
        candidate: &CallCandidate,
    ) -> Result<AttemptOutput, VendorFailure> {
        let (client, hold, endpoint) = (&self.gateway.inner.client, attempt.hold(), &candidate.endpoint);
        let left = self.gateway.inner.policy.overall.saturating_sub(self.begun.elapsed());
        let usual = self.gateway.inner.deadlines;
        let deadlines = CallDeadlines { overall: usual.overall.min(left), ..usual };
        match &self.ask {
            ModelRequest::Chat(request) if request.stream => {
                let stream = client.stream(hold, endpoint, request, &deadlines).await?;
                Ok(AttemptOutput::Stream(Box::new(stream)))
            }
            ModelRequest::Chat(request) => {
                let (whole, usage) = client.chat(hold, endpoint, request, &deadlines).await?;
                Ok(AttemptOutput::Chat(whole, usage))
            }
            ModelRequest::Embed(request) => {
                let (vectors, usage) = client.embeddings(hold, endpoint, request, &deadlines).await?;
                Ok(AttemptOutput::Vectors(vectors, usage))
            }
        }
    }
}

fn circuit_open(provider: String, until: Instant) -> GatewayError {
    GatewayError::CircuitOpen { provider, wait: until.saturating_duration_since(Instant::now()) }
}

impl GatewayHandle {
    /// The candidates, best first; at least one.
    fn candidates(&self, call: &ModelCall) -> Result<Vec<Arc<CallCandidate>>, GatewayError> {
        let inner = &self.inner;
        let (endpoints, prices) = (&inner.endpoints, &inner.prices);
        match &call.target {
            ModelTarget::Pinned(vendor) => {
                let model = match &call.ask {
                    ModelRequest::Chat(request) => &request.model,
                    ModelRequest::Embed(request) => &request.model,
                };
                Ok(vec![Arc::new(CallCandidate::pinned(endpoints, *vendor, model, prices))])
            }
            ModelTarget::Routed { requirements, optimization, limits } => {
                let choice = match inner.router.select(requirements, *optimization, *limits) {
                    Ok(choice) => choice,
                    Err(none) => {
                        inner.ready.miss();
                        return self
                            .unlisted(&requirements.model, &call.ask)
                            .map(|one| vec![Arc::new(one)])
                            .ok_or(none.into());
                    }
                };
                let all = std::iter::once(&choice.chosen).chain(&choice.alternatives);
                let found = all
                    .map(|found| Arc::new(CallCandidate::routed(endpoints, &inner.own_ports, found, prices)));
                let (priced, others): (Vec<_>, Vec<_>) = found.partition(|one| one.price.is_some());
                // Without any price the first is kept, so that the refusal can name it.
                Ok(if priced.is_empty() { others } else { priced })
            }
        }
    }

    /// A configured vendor for an unregistered model: `vendor/model`, or a model of the catalogue just after
    /// the start. A model that was registered and deleted is not called behind the router's back, and one
    /// without a price is not called at all.
    fn unlisted(&self, name: &str, ask: &ModelRequest) -> Option<CallCandidate> {
        let named = name.split_once('/').and_then(|(who, model)| Some((Vendor::from_name(who)?, model)));
        let known = || match ask {
            ModelRequest::Chat(_) => {
                MODELS.iter().find(|facts| facts.model == name).map(|facts| facts.vendor)
            }
            ModelRequest::Embed(_) => catalogue::embedder(name),
        };
        let (vendor, model) = named.or_else(|| Some((known()?, name)))?;
        let candidate = CallCandidate::pinned(&self.inner.endpoints, vendor, model, &self.inner.prices);
        let is_new = !self.inner.router.is_recorded(&candidate.provider);
        (is_new && candidate.endpoint.is_ready() && candidate.price.is_some()).then_some(candidate)
    }

    fn actor_number(&self) -> ActorNumber {
        self.address.number()
    }
}

impl SuccessfulAttempt {
    /// The events of a stream. Read to the end, the stream is settled; dropped earlier, the actor reads on.
    /// For another kind of answer, the attempt is returned.
    pub(super) fn streamed(
        self,
        left: CallerGone,
        to: Address<GatewayMessage>,
    ) -> Result<StreamedAnswer, Box<CallAttempt>> {
        let Self { attempt, output: got, by, held, place } = self;
        let AttemptOutput::Stream(chunks) = got else { return Err(Box::new(attempt)) };
        let pieces = SettlingStream::new(attempt, chunks, place).boxed();
        Ok(StreamedAnswer { by, held, events: DetachStreamOnDrop::new(pieces, left, to).boxed() })
    }
}

/// The whole answer of a chat.
pub(super) fn into_completion(got: AttemptOutput) -> Option<(CompletionBody, Option<TokenUsage>)> {
    match got {
        AttemptOutput::Chat(whole, usage) => Some((whole, usage)),
        _ => None,
    }
}

/// The parsed answer; only callers who asked for the unparsed one get it.
pub(super) fn into_chat_response(got: AttemptOutput) -> Option<(ChatResponse, Option<TokenUsage>)> {
    match got {
        AttemptOutput::Chat(CompletionBody::Read(response), usage) => Some((*response, usage)),
        _ => None,
    }
}

/// How long a call may continue after its caller has gone: long enough for most answers to end, so that they
/// are charged by usage; after that the connection is closed and the full hold charged.
pub(super) const DRAIN: Duration = Duration::from_secs(60);

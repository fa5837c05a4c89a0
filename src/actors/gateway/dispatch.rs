//! Dispatches a call: select, price, hold, call, settle, report; retries or falls back where that helps.
//!
//! Invariants: nothing is sent without a hold, and every hold ends in one receipt; once a chunk of a stream
//! has gone out, the call is not begun anew. Failure policy: [`AttemptPlan`] decides what follows a failed
//! attempt; the last failure is the answer, with its receipt.

use std::sync::Arc;

use futures_util::stream::StreamExt;
use tokio::time::Instant;

use super::GatewayHandle;
use super::attempt::{CallAttempt, UsageObserver};
use super::attempt_plan::{AttemptDecision, AttemptPlan, AttemptSetback};
use super::call::{
    AnsweringModel, CompletionBody, GatewayCaller, GatewayError, ModelCall, ModelRequest, StreamedAnswer,
};
use super::cancel_watch;
use super::candidate::CallCandidate;
use super::detach::CallerGone;
use super::holding::GrantedHold;
use super::in_flight::{CallOwner, InFlightGuard};
use super::prepared::{CandidateRequest, PreparedRequest};
use super::settling_stream::{OpenStream, SettlingStream};
use crate::actors::provider_router::{ProbeGuard, ProviderPermit};
use crate::actors::work_span::WorkSpan;
use crate::domain::accounts::receipt::Receipt;
use crate::domain::money::NanoUsd;
use crate::domain::usage::TokenUsage;
use crate::llm::chat::ChatResponse;
use crate::llm::embedding::EmbeddingResponse;
use crate::llm::inbound::ApiProblem;
use crate::llm::passage::PassedAnswer;
use crate::llm::{CallDeadlines, ChunkStream, Completion, SeenAnswer, VendorFailure, VendorFailureKind};
use crate::supervision::ActorSystem;
use crate::supervision::trace::ActorNumber;

/// The output of one attempt.
pub(super) enum AttemptOutput {
    Chat(Box<Completion>),
    Stream(Box<ChunkStream>),
    /// In the client's own protocol.
    Passed(PassedAnswer, Option<TokenUsage>),
    PassedStream(Box<ChunkStream>),
    Vectors(EmbeddingResponse, Option<TokenUsage>),
}

/// A good answer, not settled yet.
pub(super) struct SuccessfulAttempt {
    pub(super) attempt: CallAttempt,
    pub(super) output: AttemptOutput,
    pub(super) by: AnsweringModel,
    ask: ModelRequest,
    gateway: GatewayHandle,
    held: NanoUsd,
    place: InFlightGuard,
}

/// A good answer of the current candidate.
struct GoodAnswer {
    attempt: CallAttempt,
    output: AttemptOutput,
    held: NanoUsd,
    lowered_limit: Option<u64>,
}

/// A running summary of the failed attempts.
#[derive(Default)]
pub(super) struct AttemptTally {
    pub(super) attempts: u32,
    receipt: Option<Arc<Receipt>>,
    /// The last provider called.
    asked: Option<String>,
}

/// A call in progress: its candidates and its progress.
pub(super) struct CallDispatch {
    pub(super) gateway: GatewayHandle,
    pub(super) caller: GatewayCaller,
    pub(super) ask: ModelRequest,
    counts_context: bool,
    candidates: Vec<Arc<CallCandidate>>,
    caller_gone: CallerGone,
    place: InFlightGuard,
    begun: Instant,
    pub(super) tally: AttemptTally,
}

impl CallDispatch {
    /// Selects the candidates.
    pub(super) fn new(
        gateway: GatewayHandle,
        call: ModelCall,
        left: CallerGone,
    ) -> Result<Self, GatewayError> {
        let step = WorkSpan::begin(&gateway.inner.system, "select", gateway.actor_number());
        let found = gateway.candidates(&call);
        step.end(found.is_ok());
        let candidates = with_words(found?, &call.ask)?;
        let GatewayCaller { job, agent, .. } = call.caller.clone();
        let place = gateway.inner.cancels.join(CallOwner { job, agent });
        Ok(Self {
            candidates,
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
                    AttemptDecision::GiveUp => return Err(self.rests(provider.clone(), until)),
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

    /// The reason why a provider at rest is not called: its own refusal, or its failures.
    fn rests(&self, provider: String, until: Instant) -> GatewayError {
        match self.gateway.inner.refusals.of_provider(&provider) {
            Some(failure) => {
                let (receipt, attempts) = (self.tally.receipt.clone(), self.tally.attempts);
                GatewayError::Failed { failure, receipt, attempts }
            }
            None => circuit_open(provider, until),
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
            caller_gone: self.caller_gone.is_cancelled(),
        };
        match plan.after(setback, fastrand::f64()) {
            AttemptDecision::GiveUp => {
                let (receipt, attempts) = (self.tally.receipt.take(), self.tally.attempts);
                Err(GatewayError::Failed { failure, receipt, attempts })
            }
            next => Ok(next),
        }
    }

    fn won(mut self, answer: GoodAnswer, current: usize) -> SuccessfulAttempt {
        let GoodAnswer { attempt, output, held, lowered_limit } = answer;
        let chosen = self.candidates.remove(current);
        let alternatives = self.candidates.iter().map(|other| other.provider.clone()).collect();
        let (provider, model) = (chosen.provider.clone(), chosen.model.clone());
        let by = AnsweringModel { provider, model, alternatives, lowered_limit };
        let (ask, gateway) = (self.ask, self.gateway);
        SuccessfulAttempt { attempt, output, by, ask, gateway, held, place: self.place }
    }

    /// One attempt: `Ok(Err(_))` is a failure that has been settled.
    async fn attempt(
        &mut self,
        current: usize,
        probe: Option<ProbeGuard>,
    ) -> Result<Result<GoodAnswer, VendorFailure>, GatewayError> {
        let candidate = &*Arc::clone(&self.candidates[current]);
        let asked = CandidateRequest::of(&self.ask, candidate).map_err(untranslatable)?;
        let no_price = || GatewayError::no_price(candidate, &self.gateway.inner.prices);
        let bounds = &self.gateway.inner.bounds;
        let (mut prepared, bound) = candidate.prepare(asked, bounds).ok_or_else(no_price)?;
        self.tally.attempts += 1;
        let GrantedHold { hold, lowered_limit } = self.hold(candidate, &mut prepared, bound).await?;
        let held = hold.amount();
        let before = self.tally.asked.replace(candidate.provider.clone());
        let fallback_from = before.filter(|before| *before != candidate.provider);
        let inner = &self.gateway.inner;
        let observer = UsageObserver::of(&inner.governor, &self.caller, candidate.window);
        let observer = observer.filter(|_| self.counts_context);
        let mut attempt =
            CallAttempt::new(hold, &inner.accounts, &inner.router, candidate, fallback_from, probe)
                .with_observer(observer)
                .with_prompt_bound(&inner.bounds, bound.prompt);
        let step = WorkSpan::begin(&inner.system, "provider call", self.gateway.actor_number());
        let is_stream = prepared.is_stream();
        let sent = tokio::select! {
            biased;
            () = self.place.cancelled() => Err(VendorFailure { may_cost: true, ..GatewayError::cancelled() }),
            () = self.caller_gone.cancelled(), if is_stream => Err(GatewayError::left()),
            sent = self.send(&attempt, candidate, &prepared) => sent,
        };
        step.end(sent.is_ok());
        match sent {
            // Nothing was seen of the answer; a whole one may have been made all the same.
            Err(failure) if is_stream && failure.kind == VendorFailureKind::Cancelled && failure.may_cost => {
                let (nothing, why) = (SeenAnswer::default(), failure.message.clone());
                let (usage, why) = self.gateway.estimate(&self.ask, &candidate.model, nothing, why).await;
                self.tally.receipt = Some(attempt.abandoned(why, usage).await?);
                Ok(Err(failure))
            }
            Ok(got) => {
                attempt.answered();
                Ok(Ok(GoodAnswer { attempt, output: got, held, lowered_limit }))
            }
            Err(failure) => {
                inner.refusals.note(candidate, &failure);
                self.tally.receipt = Some(attempt.failed(&failure).await?);
                if prepared.has_no_path(&failure) && candidate.endpoint.note_no_responses() {
                    return Box::pin(self.attempt(current, None)).await;
                }
                Ok(Err(failure))
            }
        }
    }

    async fn send(
        &self,
        attempt: &CallAttempt,
        candidate: &CallCandidate,
        prepared: &PreparedRequest,
    ) -> Result<AttemptOutput, VendorFailure> {
        let left = self.gateway.inner.policy.overall.saturating_sub(self.begun.elapsed());
        let usual = self.gateway.inner.deadlines;
        let deadlines = CallDeadlines { overall: usual.overall.min(left), ..usual };
        let sent = prepared.send(&self.gateway.inner.client, attempt.hold(), &candidate.endpoint, &deadlines);
        sent.await.map_err(|failure| failure.named(&candidate.endpoint))
    }
}

/// The candidates that have words for a request: all, or those of its own protocol.
fn with_words(
    mut candidates: Vec<Arc<CallCandidate>>,
    ask: &ModelRequest,
) -> Result<Vec<Arc<CallCandidate>>, GatewayError> {
    let ModelRequest::Original(original) = ask else { return Ok(candidates) };
    if candidates.iter().all(|candidate| candidate.takes(original)) {
        return Ok(candidates);
    }
    let Err(problem) = original.translated() else { return Ok(candidates) };
    candidates.retain(|candidate| candidate.takes(original));
    if candidates.is_empty() { Err(untranslatable(problem)) } else { Ok(candidates) }
}

fn untranslatable(problem: ApiProblem) -> GatewayError {
    GatewayError::Untranslatable(Box::new(problem))
}

fn circuit_open(provider: String, until: Instant) -> GatewayError {
    GatewayError::CircuitOpen { provider, wait: until.saturating_duration_since(Instant::now()) }
}

impl GatewayHandle {
    pub(super) fn system(&self) -> &ActorSystem {
        &self.inner.system
    }

    pub(super) fn actor_number(&self) -> ActorNumber {
        self.address.number()
    }
}

impl SuccessfulAttempt {
    /// The events of a stream. Read to the end, the stream is settled by its usage; dropped earlier, by the
    /// part that was seen. For another kind of answer, the attempt is returned.
    pub(super) fn streamed(self) -> Result<StreamedAnswer, Box<CallAttempt>> {
        let Self { attempt, output: got, by, ask, gateway, held, place } = self;
        let (chunks, passed) = match got {
            AttemptOutput::Stream(chunks) => (chunks, None),
            AttemptOutput::PassedStream(chunks) => {
                let headers = chunks.headers().clone();
                (chunks, Some(headers))
            }
            _ => return Err(Box::new(attempt)),
        };
        let open = OpenStream { attempt, chunks, ask, model: by.model.clone() };
        let events = SettlingStream::new(open, gateway, place).boxed();
        Ok(StreamedAnswer { by, held, passed, events })
    }
}

/// The whole answer of a chat.
pub(super) fn into_completion(got: AttemptOutput) -> Option<(CompletionBody, Option<TokenUsage>)> {
    match got {
        AttemptOutput::Chat(whole) => Some((CompletionBody::Read(Box::new(whole.response)), whole.usage)),
        AttemptOutput::Passed(answer, usage) => Some((CompletionBody::Passed(answer), usage)),
        _ => None,
    }
}

/// The answer in the canonical form; one that is passed on has none.
pub(super) fn into_chat_response(got: AttemptOutput) -> Option<(ChatResponse, Option<TokenUsage>)> {
    match got {
        AttemptOutput::Chat(whole) => Some((whole.response, whole.usage)),
        _ => None,
    }
}

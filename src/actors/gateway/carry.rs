//! Carries a call out: select, price, hold, call, settle, report; again or elsewhere where that helps.
//!
//! Invariants: nothing is sent without a hold, and every hold ends in one receipt; once a piece of a
//! stream has gone out, the call is not begun anew. Failure policy: what follows a failed attempt is
//! [`Plan`]'s decision; the last failure is the answer, with its receipt.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream::StreamExt;
use tokio::time::Instant;

use super::attempt::{Attempt, Observer};
use super::call::{Answerer, Ask, Call, Caller, GatewayError, Streamed, Target};
use super::cancelled;
use super::cancels::{Owner, Place};
use super::candidate::Candidate;
use super::flow::Flow;
use super::leaving::{KeptStream, Left};
use super::plan::{Next, Plan, Setback};
use super::span::Step;
use super::{Gateway, Message};
use crate::actors::provider_router::{Admission, Probe};
use crate::domain::budget::{CallKey, Wanted};
use crate::domain::money::NanoUsd;
use crate::domain::receipt::Receipt;
use crate::domain::usage::Usage;
use crate::llm::catalogue::{self, MODELS};
use crate::llm::chat::{ChatResponse, Whole};
use crate::llm::embedding::EmbeddingResponse;
use crate::llm::{ChunkStream, Deadlines, Failure, Vendor};
use crate::supervision::Address;
use crate::supervision::trace::ActorNo;

/// What an attempt brought.
pub(super) enum Got {
    Chat(Whole, Option<Usage>),
    Stream(Box<ChunkStream>),
    Vectors(EmbeddingResponse, Option<Usage>),
}

/// A good answer, not settled yet.
pub(super) struct Won {
    pub(super) attempt: Attempt,
    pub(super) got: Got,
    pub(super) by: Answerer,
    held: NanoUsd,
    place: Place,
}

/// What failed attempts leave behind.
#[derive(Default)]
struct Tally {
    attempts: u32,
    receipt: Option<Arc<Receipt>>,
    /// The last provider that was asked.
    asked: Option<String>,
}

/// The call as it goes: who may answer, and how far it is.
pub(super) struct Carry {
    gateway: Gateway,
    caller: Caller,
    ask: Ask,
    candidates: Vec<Arc<Candidate>>,
    left: Left,
    place: Place,
    begun: Instant,
    tally: Tally,
}

impl Carry {
    /// Chooses who may answer.
    pub(super) fn new(gateway: Gateway, call: Call, left: Left) -> Result<Self, GatewayError> {
        let step = Step::begin(&gateway.inner.system, "select");
        let found = gateway.candidates(&call);
        step.end(&gateway.inner.system, gateway.no(), found.is_ok());
        let Caller { job, agent, .. } = call.caller.clone();
        let place = gateway.inner.cancels.join(Owner { job, agent });
        Ok(Self {
            candidates: found?,
            caller: call.caller.in_lane(&gateway.inner.roster),
            ask: call.ask,
            gateway,
            left,
            place,
            begun: Instant::now(),
            tally: Tally::default(),
        })
    }

    /// Attempt after attempt, until one is good or the plan gives up.
    pub(super) async fn run(mut self) -> Result<Won, GatewayError> {
        let mut plan = Plan::new(self.gateway.inner.policy, self.candidates.len());
        let mut current = 0;
        loop {
            self.look_for_cancellation()?;
            let provider = &self.candidates[current].provider;
            let next = match self.gateway.inner.router.admit(provider) {
                Admission::Open { until } => match plan.skip() {
                    Next::GiveUp => return Err(resting(provider.clone(), until)),
                    next => next,
                },
                Admission::Closed => match self.attempt(current, None).await? {
                    Ok(won) => return Ok(self.won(won, current)),
                    Err(failure) => self.follow(&mut plan, failure)?,
                },
                Admission::HalfOpenProbe(probe) => match self.attempt(current, Some(probe)).await? {
                    Ok(won) => return Ok(self.won(won, current)),
                    Err(failure) => self.follow(&mut plan, failure)?,
                },
            };
            let Next::Attempt { candidate, pause } = next else { continue };
            current = candidate;
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Nothing is begun for a job that is to end.
    fn look_for_cancellation(&mut self) -> Result<(), GatewayError> {
        let is_cancelled = |job| cancelled::is_cancelled(&self.gateway.inner.book, job);
        if !self.place.is_cancelled() && !self.caller.job.as_ref().is_some_and(is_cancelled) {
            return Ok(());
        }
        let (receipt, attempts) = (self.tally.receipt.take(), self.tally.attempts);
        Err(GatewayError::Failed { failure: GatewayError::cancelled(), receipt, attempts })
    }

    /// What the plan says after a failure; its error is the call's answer.
    fn follow(&mut self, plan: &mut Plan, failure: Failure) -> Result<Next, GatewayError> {
        let setback = Setback {
            kind: failure.kind,
            retry_after: failure.retry_after,
            elapsed: self.begun.elapsed(),
            left: self.left.load(Ordering::Acquire),
        };
        match plan.after(setback, fastrand::f64()) {
            Next::GiveUp => {
                let (receipt, attempts) = (self.tally.receipt.take(), self.tally.attempts);
                Err(GatewayError::Failed { failure, receipt, attempts })
            }
            next => Ok(next),
        }
    }

    fn won(mut self, (attempt, got, held): (Attempt, Got, NanoUsd), current: usize) -> Won {
        let chosen = self.candidates.remove(current);
        let alternatives = self.candidates.iter().map(|other| other.provider.clone()).collect();
        let by = Answerer { provider: chosen.provider.clone(), model: chosen.model.clone(), alternatives };
        Won { attempt, got, by, held, place: self.place }
    }

    /// One attempt: `Ok(Err(_))` failed and is settled.
    async fn attempt(
        &mut self,
        current: usize,
        probe: Option<Probe>,
    ) -> Result<Result<(Attempt, Got, NanoUsd), Failure>, GatewayError> {
        let candidate = &*Arc::clone(&self.candidates[current]);
        let no_price = || GatewayError::NoPrice {
            provider: candidate.endpoint.vendor().as_str().to_owned(),
            model: candidate.model.clone(),
        };
        // The last candidate needs no copy: prepared once more, what is prepared stays the same.
        let is_last = current + 1 == self.candidates.len();
        let asked = (!is_last).then(|| self.ask.clone());
        let worst = candidate.prepare(&mut self.ask).ok_or_else(no_price)?;
        let hold = self.hold(candidate, worst).await?;
        let before = self.tally.asked.replace(candidate.provider.clone());
        let fallback_from = before.filter(|before| *before != candidate.provider);
        let inner = &self.gateway.inner;
        let observer = Observer::of(&inner.governor, &self.caller, candidate.window);
        let mut attempt = Attempt::new(hold, &inner.accounts, &inner.router, candidate, fallback_from, probe)
            .seen_by(observer);
        let step = Step::begin(&inner.system, "provider call");
        let sent = tokio::select! {
            biased;
            () = self.place.cancelled() => Err(Failure { may_cost: true, ..GatewayError::cancelled() }),
            sent = self.send(&attempt, candidate) => sent,
        };
        step.end(&inner.system, self.gateway.no(), sent.is_ok());
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
        candidate: &Candidate,
        worst: NanoUsd,
    ) -> Result<crate::domain::budget::Hold, GatewayError> {
        self.tally.attempts += 1;
        let Caller { request_id, run, job, agent, lane } = self.caller.clone();
        let wanted = Wanted {
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
        let step = Step::begin(&inner.system, "hold");
        let held = inner.accounts.hold(wanted).await;
        step.end(&inner.system, self.gateway.no(), held.is_ok());
        Ok(held?)
    }

    async fn send(&self, attempt: &Attempt, candidate: &Candidate) -> Result<Got, Failure> {
        let (client, hold, endpoint) = (&self.gateway.inner.client, attempt.hold(), &candidate.endpoint);
        let left = self.gateway.inner.policy.overall.saturating_sub(self.begun.elapsed());
        let usual = self.gateway.inner.deadlines;
        let deadlines = Deadlines { overall: usual.overall.min(left), ..usual };
        match &self.ask {
            Ask::Chat(request) if request.stream => {
                let stream = client.stream(hold, endpoint, request, &deadlines).await?;
                Ok(Got::Stream(Box::new(stream)))
            }
            Ask::Chat(request) => {
                let (whole, usage) = client.chat(hold, endpoint, request, &deadlines).await?;
                Ok(Got::Chat(whole, usage))
            }
            Ask::Embed(request) => {
                let (vectors, usage) = client.embeddings(hold, endpoint, request, &deadlines).await?;
                Ok(Got::Vectors(vectors, usage))
            }
        }
    }
}

fn resting(provider: String, until: Instant) -> GatewayError {
    GatewayError::Resting { provider, wait: until.saturating_duration_since(Instant::now()) }
}

impl Gateway {
    /// Who may answer, the best first; at least one.
    fn candidates(&self, call: &Call) -> Result<Vec<Arc<Candidate>>, GatewayError> {
        let inner = &self.inner;
        let (endpoints, prices) = (&inner.endpoints, &inner.prices);
        match &call.target {
            Target::Pinned(vendor) => {
                let model = match &call.ask {
                    Ask::Chat(request) => &request.model,
                    Ask::Embed(request) => &request.model,
                };
                Ok(vec![Arc::new(Candidate::pinned(endpoints, *vendor, model, prices))])
            }
            Target::Routed { requirements, optimization, limits } => {
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
                let found =
                    all.map(|found| Arc::new(Candidate::routed(endpoints, &inner.own_ports, found, prices)));
                let (priced, others): (Vec<_>, Vec<_>) = found.partition(|one| one.price.is_some());
                // Without any price the first is kept, so that the refusal can name it.
                Ok(if priced.is_empty() { others } else { priced })
            }
        }
    }

    /// A configured vendor for a model that nobody has registered: `vendor/model`, or a model of the
    /// catalogue just after the start. One that was registered and deleted is not called behind the
    /// router's back, and one without a price is not called at all.
    fn unlisted(&self, name: &str, ask: &Ask) -> Option<Candidate> {
        let named = name.split_once('/').and_then(|(who, model)| Some((Vendor::from_name(who)?, model)));
        let known = || match ask {
            Ask::Chat(_) => MODELS.iter().find(|facts| facts.model == name).map(|facts| facts.vendor),
            Ask::Embed(_) => catalogue::embedder(name),
        };
        let (vendor, model) = named.or_else(|| Some((known()?, name)))?;
        let candidate = Candidate::pinned(&self.inner.endpoints, vendor, model, &self.inner.prices);
        let is_new = !self.inner.router.is_recorded(&candidate.provider);
        (is_new && candidate.endpoint.is_ready() && candidate.price.is_some()).then_some(candidate)
    }

    fn no(&self) -> ActorNo {
        self.address.no()
    }
}

impl Won {
    /// The stream's pieces. Read to the end it is settled; dropped before, the actor reads on. Another
    /// kind of answer gives its attempt back.
    pub(super) fn streamed(self, left: Left, to: Address<Message>) -> Result<Streamed, Box<Attempt>> {
        let Self { attempt, got, by, held, place } = self;
        let Got::Stream(chunks) = got else { return Err(Box::new(attempt)) };
        let pieces = Flow::new(attempt, chunks, place).boxed();
        Ok(Streamed { by, held, pieces: KeptStream::new(pieces, left, to).boxed() })
    }
}

/// The whole answer of a chat.
pub(super) fn into_whole(got: Got) -> Option<(Whole, Option<Usage>)> {
    match got {
        Got::Chat(whole, usage) => Some((whole, usage)),
        _ => None,
    }
}

/// The same for whoever reads it; only those who want it as it came are given it so.
pub(super) fn into_read(got: Got) -> Option<(ChatResponse, Option<Usage>)> {
    match got {
        Got::Chat(Whole::Read(response), usage) => Some((*response, usage)),
        _ => None,
    }
}

/// How long a call may go on whose caller has left: long enough for most answers to end, so that they
/// are paid by what they used; beyond it the connection is closed and the hold charged.
pub(super) const DRAIN: Duration = Duration::from_secs(60);

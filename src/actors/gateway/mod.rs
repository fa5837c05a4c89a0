//! The gateway: the one way from PAS to a model.
//!
//! Owns the model call: provider, price, hold, attempts, receipt. Callers (the ports of models, agents) go
//! through [`GatewayHandle`]; a call runs in its caller's task, so it costs no message, and the actor
//! finishes calls whose caller has gone ([`detach`]): a stream is closed at once and charged by the part that was
//! seen, a whole answer is waited for. Invariants: no code reaches a provider without a
//! `Hold`; every attempt has one receipt, written to the page cache before the answer leaves (survives a
//! process kill, not a power cut); a truncated answer is never a clean end. Failure policy: [`attempt_plan`];
//! beyond that [`GatewayError`] names the cause. The actor owns no state; calls it was finishing when it
//! died are charged their full hold.

mod adapters;
mod attempt;
pub mod attempt_plan;
pub mod bound;
mod bound_memory;
pub mod call;
mod cancel_watch;
mod candidate;
mod detach;
mod dispatch;
mod endpoints;
mod holding;
mod in_flight;
pub mod local_text;
pub mod model_list;
mod model_turns;
mod naming;
mod offers;
mod own_count;
pub mod own_ports;
mod prepared;
mod refusal_memory;
mod servers;
mod settling_stream;
mod writer;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use self::adapters::{LOCAL_MODELS, LocalModel, LocalReadiness};
pub use self::attempt_plan::AttemptPolicy;
pub use self::call::{
    AnsweringModel, ChatAnswer, CompletionAnswer, CompletionBody, EmbeddingAnswer, GatewayAnswer,
    GatewayCaller, GatewayError, ModelCall, ModelRequest, ModelStreamEvent, ModelTarget, StreamedAnswer,
};
pub use self::in_flight::{CallOwner, WatchedCalls};
pub use self::model_list::{CatalogueEntry, ModelCatalogue, ProviderReadiness};
pub use self::servers::{ServerReadiness, ServerState};

use self::adapters::ProviderProbe;
use self::attempt::CallAttempt;
use self::bound_memory::BoundMemory;
use self::candidate::{VendorEndpoints, endpoint_of};
use self::detach::{CallerGone, DetachOnDrop};
use self::dispatch::{AttemptOutput, CallDispatch, into_chat_response, into_completion};
use self::in_flight::InFlightCalls;
use self::own_ports::OwnPorts;
use self::refusal_memory::RefusalMemory;
use crate::actors::accounts::{AccountsError, AccountsHandle};
use crate::actors::jobs::JobBook;
use crate::actors::provider_router::ProviderRouterHandle;
use crate::actors::registry::RegistryHandle;
use crate::actors::token_governor::GovernorHandle;
use crate::config::{GatewayConfig as Limits, ProvidersConfig};
use crate::domain::accounts::price::PriceTable;
use crate::domain::roster::Roster;
use crate::llm::passage::PassedRequest;
use crate::llm::{CallDeadlines, Vendor, VendorClient, VendorEndpoint, VendorFailure, VendorFailureKind};
use crate::skills::tokens::TokenCounter;
use crate::supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, Address, ChildSpec, WorkerOptions,
};

/// Time for a vendor to count tokens: a client waits for the count before it asks for the answer.
const COUNT: Duration = Duration::from_secs(10);
const COUNTING: CallDeadlines = CallDeadlines::all(COUNT);

pub enum GatewayMessage {
    /// Finish a call whose caller has gone.
    Drain(BoxFuture<'static, ()>),
}

impl ActorMessage for GatewayMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Drain(_) => "drain",
        }
    }
}

/// The parts the gateway is built from.
pub struct GatewayDeps {
    /// Holds and settles money.
    pub accounts: AccountsHandle,
    /// The source of cancellations.
    pub book: JobBook,
    /// The swarm's own agents, with their lanes.
    pub roster: Arc<Roster>,
    /// Counts the tokens in the agents' contexts.
    pub governor: GovernorHandle,
    pub router: ProviderRouterHandle,
    /// The registry of local models.
    pub registry: RegistryHandle,
    pub prices: Arc<PriceTable>,
    /// The vendors' addresses and credentials.
    pub providers: ProvidersConfig,
    /// The most a call may take.
    pub limits: Limits,
    /// Added to the adapters' ports.
    pub port_offset: u16,
    /// The daemon's own ports that serve models.
    pub own_ports: OwnPorts,
}

/// The gateway's verbs. Cheap to clone.
#[derive(Clone)]
pub struct GatewayHandle {
    inner: Arc<GatewayShared>,
    address: Address<GatewayMessage>,
}

struct GatewayShared {
    system: ActorSystem,
    client: VendorClient,
    accounts: AccountsHandle,
    book: JobBook,
    roster: Arc<Roster>,
    governor: GovernorHandle,
    router: ProviderRouterHandle,
    prices: Arc<PriceTable>,
    endpoints: VendorEndpoints,
    own_ports: OwnPorts,
    cancels: InFlightCalls,
    refusals: RefusalMemory,
    bounds: BoundMemory,
    policy: AttemptPolicy,
    deadlines: CallDeadlines,
    ready: LocalReadiness,
    counter: Arc<TokenCounter>,
    servers: ServerReadiness,
}

impl GatewayHandle {
    /// Asks for a whole chat, parsed. A call whose caller has gone is still finished and paid.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn chat(&self, call: ModelCall) -> Result<ChatAnswer, GatewayError> {
        let left = CallerGone::default();
        let work = Self::complete(self.clone(), call, left.clone(), into_chat_response);
        DetachOnDrop::new(Box::pin(work), left, self.address.clone()).await
    }

    /// Asks for a whole chat to pass on: unparsed, where the request allows that and nothing must change.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn reply(&self, call: ModelCall) -> Result<CompletionAnswer, GatewayError> {
        let left = CallerGone::default();
        let work = Self::complete(self.clone(), call, left.clone(), into_completion);
        DetachOnDrop::new(Box::pin(work), left, self.address.clone()).await
    }

    /// Asks for embeddings.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn embed(&self, call: ModelCall) -> Result<EmbeddingAnswer, GatewayError> {
        let left = CallerGone::default();
        let vectors = |got| match got {
            AttemptOutput::Vectors(vectors, usage) => Some((vectors, usage)),
            _ => None,
        };
        let work = Self::complete(self.clone(), call, left.clone(), vectors);
        DetachOnDrop::new(Box::pin(work), left, self.address.clone()).await
    }

    async fn complete<T: Send + 'static>(
        gateway: Self,
        call: ModelCall,
        left: CallerGone,
        take: fn(AttemptOutput) -> Option<(T, Option<crate::domain::usage::TokenUsage>)>,
    ) -> Result<GatewayAnswer<T>, GatewayError> {
        let won = CallDispatch::new(gateway, call, left)?.run().await?;
        let (attempt, by) = (won.attempt, won.by);
        let Some((answer, usage)) = take(won.output) else { return Err(misanswered(attempt).await?) };
        let receipt = attempt.succeeded(usage).await?;
        Ok(GatewayAnswer { answer, usage, receipt, by })
    }

    /// Asks for a chat as a stream; returns when its first chunk has arrived. A call whose caller goes is closed
    /// at its vendor.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn stream(&self, mut call: ModelCall) -> Result<StreamedAnswer, GatewayError> {
        if let ModelRequest::Chat(request) = &mut call.ask {
            request.stream = true;
        }
        let (left, gateway) = (CallerGone::new(), self.clone());
        let shared = left.clone();
        let work = async move {
            match CallDispatch::new(gateway, call, shared)?.run().await?.streamed() {
                Ok(streamed) => Ok(streamed),
                Err(attempt) => Err(misanswered(*attempt).await?),
            }
        };
        DetachOnDrop::new(Box::pin(work), left, self.address.clone()).await
    }

    /// The vendor's own count of a request's tokens, which costs nothing; `None`: no vendor of the request's
    /// protocol serves the model, or it does not answer.
    pub async fn count_tokens(&self, call: ModelCall) -> Option<Result<u64, VendorFailure>> {
        let ModelRequest::Original(original) = &call.ask else { return None };
        let found = self.candidates(&call).ok()?;
        let candidate = found.iter().find(|one| one.takes(original) && one.endpoint.is_ready())?;
        let (original, model) = (Arc::clone(original), candidate.model.clone());
        let passed = PassedRequest { original, model, limit: None };
        let counted = self.inner.client.count_tokens(&candidate.endpoint, &passed, &COUNTING).await;
        // Only a refusal of the request itself concerns the client; after any other failure PAS counts by itself.
        let is_said = |failure: &VendorFailure| failure.said.is_some() && !failure.kind.is_transient();
        match counted {
            Err(failure) if !is_said(&failure) => None,
            counted => Some(counted),
        }
    }

    /// Watches the current calls of these owners, to end them and count how many are closed. Calls of jobs
    /// cancelled in the job book end by themselves.
    #[must_use]
    pub fn watch_calls(&self, is_meant: impl Fn(&CallOwner) -> bool) -> WatchedCalls {
        self.inner.cancels.watch(is_meant)
    }

    /// Runs a short task after an answer has left; dropped when the gateway ends.
    pub fn run_detached(&self, work: impl Future<Output = ()> + Send + 'static) {
        if self.address.cast(GatewayMessage::Drain(Box::pin(work))).is_err() {
            tracing::debug!("the gateway is too busy to run a detached task");
        }
    }

    /// The accounts behind the gateway.
    #[must_use]
    pub fn accounts(&self) -> &AccountsHandle {
        &self.inner.accounts
    }

    #[must_use]
    pub fn router(&self) -> &ProviderRouterHandle {
        &self.inner.router
    }

    #[must_use]
    pub fn prices(&self) -> &PriceTable {
        &self.inner.prices
    }

    /// A vendor as configured.
    #[must_use]
    pub fn endpoint(&self, vendor: Vendor) -> &VendorEndpoint {
        endpoint_of(&self.inner.endpoints, vendor)
    }

    /// The local Ollama's list of loaded models, as it answers.
    ///
    /// # Errors
    /// [`VendorFailure`] when Ollama does not answer.
    pub async fn running_locally(&self) -> Result<serde_json::Value, VendorFailure> {
        self.inner.client.running(self.endpoint(Vendor::Ollama), &adapters::LOOKING).await
    }

    /// The models that can be called, as of the last probe.
    #[must_use]
    pub fn ready(&self) -> &LocalReadiness {
        &self.inner.ready
    }
}

/// An answer of another kind than requested (a stream of embeddings, say): paid, but not usable.
async fn misanswered(attempt: CallAttempt) -> Result<GatewayError, AccountsError> {
    let what = "the answer has another form than the request; only chats can be streamed";
    let failure =
        VendorFailure { may_cost: true, ..VendorFailure::new(VendorFailureKind::Unsupported, what) };
    let receipt = Some(attempt.failed(&failure).await?);
    Ok(GatewayError::Failed { failure, receipt, attempts: 1 })
}

/// The gateway as a child of a supervisor, and its handle.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    means: GatewayDeps,
) -> (ChildSpec, GatewayHandle) {
    let endpoints = VendorEndpoints::configured(&means.providers);
    let seen = Arc::new(AtomicU64::new(cancel_watch::newest(&means.book)));
    let inner = Arc::new(GatewayShared {
        system: system.clone(),
        client: VendorClient::new(),
        accounts: means.accounts,
        book: means.book,
        roster: means.roster,
        governor: means.governor,
        router: means.router,
        prices: means.prices,
        endpoints,
        own_ports: means.own_ports,
        cancels: InFlightCalls::default(),
        refusals: RefusalMemory::default(),
        bounds: BoundMemory::default(),
        policy: AttemptPolicy { overall: means.limits.overall_timeout, ..AttemptPolicy::default() },
        deadlines: CallDeadlines::from(means.limits),
        ready: LocalReadiness::default(),
        counter: Arc::default(),
        servers: ServerReadiness::default(),
    });
    let (shared, registry, offset) = (Arc::clone(&inner), means.registry, means.port_offset);
    let patience = inner.deadlines.overall;
    let (spec, address) = system.worker(name, options, move |context| {
        let provider_probe = ProviderProbe {
            client: shared.client.clone(),
            router: shared.router.clone(),
            registry: registry.clone(),
            prices: Arc::clone(&shared.prices),
            endpoints: shared.endpoints.clone(),
            port_offset: offset,
            ready: shared.ready.clone(),
            servers: shared.servers.clone(),
        };
        let following = cancel_watch::follow(shared.book.clone(), shared.cancels.clone(), Arc::clone(&seen));
        async move {
            context.spawn(following);
            context.spawn(provider_probe.run());
            Ok(GatewayState { patience })
        }
    });
    (spec, GatewayHandle { inner, address })
}

/// All other state is shared, or belongs to tasks kept by the actor.
struct GatewayState {
    /// For the rest of a call whose caller has gone: as long as a call may take.
    patience: Duration,
}

impl Actor for GatewayState {
    type Message = GatewayMessage;

    async fn handle(
        &mut self,
        message: GatewayMessage,
        context: &ActorContext<GatewayMessage>,
    ) -> Result<(), ActorError> {
        match message {
            GatewayMessage::Drain(rest) => context.spawn(detach::finish(rest, self.patience)),
        }
        Ok(())
    }
}

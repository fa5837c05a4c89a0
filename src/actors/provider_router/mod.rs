//! The provider router: registers providers of models, and selects one for each call.
//!
//! Owns the table `providers` and is its only writer; an answer to a registration leaves after the commit. A
//! deleted provider is kept and no longer offered. Measurements and circuits are soft state: they survive a
//! crash of this actor and end with the daemon. Reading, selecting, admitting and reporting send no message
//! ([`provider_cache`]). Failure policy: a refused write is an error to the caller; after a write of unknown
//! outcome the table is read again before anything is decided ([`table_sync`](super)).

mod meter;
mod provider_cache;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub use self::meter::{ObservedCall, ProbeGuard, ProviderPermit};
pub use self::provider_cache::{ProviderCounts, ProviderFilter, ProviderSnapshot};
pub use crate::domain::provider_router::{
    CallLimits, CallRequirements, NoProviderFits, ProviderSelection as Selection, RoutingOptimization,
};

use self::meter::ProviderMeter;
use self::provider_cache::{ProviderCache, ProviderEntry};
use super::table_sync::TableSync;
use crate::domain::provider_router::{
    EndpointRefusal, EndpointRules, ProviderRegistration, RegisteredProvider,
};
use crate::domain::time::Timestamp;
use crate::llm::catalogue;
use crate::store::{KeyRange, ScanOrder, Store, StoreChanges, StoreError, StoreTable, StoreView};
use crate::supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, Address, CallError, ChildSpec, ReplySender,
    WorkerOptions,
};

const PROVIDERS: StoreTable<String, RegisteredProvider> = StoreTable::new("providers");

/// Most providers, deleted ones included: a selection looks at each; a large catalogue has hundreds.
pub const MAX_PROVIDERS: usize = 2_000;
/// Most text in one registration; [`MAX_PROVIDERS`] of them take 64 MB at most.
pub const MAX_TEXT_BYTES: usize = 32 * 1024;
/// Longest wait for an answer: a commit takes milliseconds, so beyond this the disk is stuck.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why the provider router declined or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderRouterError {
    /// The endpoint is not allowed.
    #[error("the endpoint {0}")]
    Endpoint(#[from] EndpointRefusal),
    #[error("no active provider `{0}` is registered; GET /providers lists the active ones")]
    Unknown(String),
    #[error("{MAX_PROVIDERS} providers are registered, which is the limit; register under a name in use")]
    Full,
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The actor did not answer.
    #[error("the provider router {0}")]
    Call(#[from] CallError),
}

type ProviderRouterResult<T> = Result<T, ProviderRouterError>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationOutcome {
    /// The name was new.
    Registered,
    /// The name was known, active or not.
    Updated,
}

#[derive(Debug)]
pub enum ProviderRouterMessage {
    /// Register or update a provider.
    Register(Box<ProviderRegistration>, ReplySender<ProviderRouterResult<RegistrationOutcome>>),
    /// Stop offering a provider.
    Deactivate(String, ReplySender<ProviderRouterResult<()>>),
    /// The store takes writes again: read the table.
    Reload,
}

impl ActorMessage for ProviderRouterMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Register(..) => "register",
            Self::Deactivate(..) => "deactivate",
            Self::Reload => "reload",
        }
    }
}

/// The provider router's verbs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ProviderRouterHandle {
    address: Address<ProviderRouterMessage>,
    board: Arc<ProviderCache>,
    rules: Arc<EndpointRules>,
}

impl ProviderRouterHandle {
    /// Registers a provider, or updates and reactivates the one of that name; durable on return.
    ///
    /// # Errors
    /// [`ProviderRouterError::Endpoint`], [`ProviderRouterError::Full`], or a failed write.
    pub async fn register(
        &self,
        registration: ProviderRegistration,
    ) -> ProviderRouterResult<RegistrationOutcome> {
        self.rules.check(&registration.endpoint)?;
        let registration = Box::new(registration);
        self.address.call(DEADLINE, |reply| ProviderRouterMessage::Register(registration, reply)).await?
    }

    /// Stops offering a provider but keeps the record. Durable on return.
    ///
    /// # Errors
    /// [`ProviderRouterError::Unknown`].
    pub async fn deactivate(&self, name: String) -> ProviderRouterResult<()> {
        self.address.call(DEADLINE, |reply| ProviderRouterMessage::Deactivate(name, reply)).await?
    }

    /// Selects the provider for a call. Sends no message.
    ///
    /// # Errors
    /// [`NoProviderFits`] says how many providers each requirement excluded, and when to ask again.
    pub fn select(
        &self,
        requirements: &CallRequirements,
        optimization: RoutingOptimization,
        limits: CallLimits,
    ) -> Result<Selection, NoProviderFits> {
        self.board.select(requirements, optimization, limits, Instant::now())
    }

    /// Reports the observed outcome of a call. Sends no message; an unknown name is ignored, as that provider
    /// is gone.
    pub fn report(&self, provider: &str, observed: &ObservedCall) {
        if let Some(entry) = self.board.entry(provider) {
            entry.meter.report(observed, Instant::now());
        }
    }

    /// Asks whether a provider may be called now. Sends no message. An unregistered provider has no failures
    /// on record, so it may.
    #[must_use = "a probe ends when its guard is dropped"]
    pub fn admit(&self, provider: &str) -> ProviderPermit {
        let entry = self.board.entry(provider);
        entry.map_or(ProviderPermit::Allowed, |entry| entry.meter.admit(Instant::now()))
    }

    #[must_use]
    pub fn provider(&self, name: &str) -> Option<ProviderSnapshot> {
        let entry = self.board.entry(name).filter(|entry| entry.provider.active);
        entry.map(|entry| entry.seen(Instant::now()))
    }

    /// Whether a provider of this name was ever registered, deactivated ones included.
    #[must_use]
    pub fn is_recorded(&self, name: &str) -> bool {
        self.board.entry(name).is_some()
    }

    /// A model's context window: the smallest of its active providers, or else the catalogue's.
    #[must_use]
    pub fn context_window(&self, model: &str) -> Option<u64> {
        self.board.context_window(model).or_else(|| catalogue::context_window(model))
    }

    /// A provider that was just selected, with current figures.
    #[must_use]
    pub fn seen(&self, provider: &Arc<RegisteredProvider>) -> ProviderSnapshot {
        let entry = self.board.entry(&provider.name);
        let meter = entry.map_or_else(ProviderMeter::new, |entry| entry.meter);
        ProviderEntry { provider: Arc::clone(provider), meter }.seen(Instant::now())
    }

    /// The active providers that match, by name.
    #[must_use]
    pub fn providers(&self, listing: &ProviderFilter) -> Vec<ProviderSnapshot> {
        self.board.list(listing, Instant::now())
    }

    #[must_use]
    pub fn counts(&self) -> ProviderCounts {
        self.board.counts()
    }
}

/// The actor has no state of its own: cache and store have everything.
struct ProviderRouterState {
    table: TableSync<ProviderRouterMessage>,
    board: Arc<ProviderCache>,
}

/// The provider router as a child of a supervisor, and a handle.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    store: Store,
    rules: EndpointRules,
) -> (ChildSpec, ProviderRouterHandle) {
    let board = Arc::new(ProviderCache::default());
    let shared = Arc::clone(&board);
    let (spec, address) = system.worker(name, options, move |context| {
        let table = TableSync::new(store.clone(), || ProviderRouterMessage::Reload);
        let mut state = ProviderRouterState { table, board: Arc::clone(&shared) };
        async move {
            state.load(&context).await?;
            Ok(state)
        }
    });
    (spec, ProviderRouterHandle { address, board, rules: Arc::new(rules) })
}

impl ProviderRouterState {
    /// Updates the cache from the store.
    async fn load(&mut self, context: &ActorContext<ProviderRouterMessage>) -> Result<(), StoreError> {
        let table =
            |view: &StoreView<'_>| view.range(&PROVIDERS, &KeyRange::all(), ScanOrder::Ascending, usize::MAX);
        // While the table cannot be read the cache keeps the earlier incarnation's state.
        let Some(rows) = self.table.read(context, table).await? else { return Ok(()) };
        self.board.put(rows.into_iter().map(|(_, provider)| provider));
        Ok(())
    }

    async fn register(
        &self,
        registration: ProviderRegistration,
    ) -> ProviderRouterResult<RegistrationOutcome> {
        let known = self.board.entry(&registration.name).map(|entry| Arc::clone(&entry.provider));
        if known.is_none() && self.board.is_full(MAX_PROVIDERS) {
            return Err(ProviderRouterError::Full);
        }
        self.save(registration.into_provider(known.as_deref(), Timestamp::now())).await?;
        Ok(if known.is_some() { RegistrationOutcome::Updated } else { RegistrationOutcome::Registered })
    }

    async fn deactivate(&self, name: String) -> ProviderRouterResult<()> {
        let Some(entry) = self.board.entry(&name) else { return Err(ProviderRouterError::Unknown(name)) };
        if !entry.provider.active {
            return Err(ProviderRouterError::Unknown(name));
        }
        let known = RegisteredProvider::clone(&entry.provider);
        self.save(RegisteredProvider { active: false, updated_at: Timestamp::now(), ..known }).await
    }

    fn noted<T>(
        &mut self,
        answer: ProviderRouterResult<T>,
        context: &ActorContext<ProviderRouterMessage>,
    ) -> ProviderRouterResult<T> {
        if let Err(ProviderRouterError::Store(error)) = &answer {
            self.table.note(error, context);
        }
        answer
    }

    async fn save(&self, provider: RegisteredProvider) -> ProviderRouterResult<()> {
        self.table.check()?;
        let row = provider.clone();
        self.table
            .store()
            .write(move |_| {
                Ok::<_, ProviderRouterError>((StoreChanges::none().put(&PROVIDERS, &row.name, &row), ()))
            })
            .await?;
        self.board.put([provider]);
        Ok(())
    }
}

impl Actor for ProviderRouterState {
    type Message = ProviderRouterMessage;

    async fn handle(
        &mut self,
        message: ProviderRouterMessage,
        context: &ActorContext<ProviderRouterMessage>,
    ) -> Result<(), ActorError> {
        match message {
            ProviderRouterMessage::Register(registration, reply) => {
                let answer = self.register(*registration).await;
                reply.send(self.noted(answer, context));
            }
            ProviderRouterMessage::Deactivate(name, reply) => {
                let answer = self.deactivate(name).await;
                reply.send(self.noted(answer, context));
            }
            ProviderRouterMessage::Reload => {
                self.table.store_is_back();
                self.load(context).await?;
            }
        }
        Ok(())
    }
}

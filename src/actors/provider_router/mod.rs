//! The provider router: who offers which model, and whom to ask.
//!
//! Owns the table `providers` and is its only writer; an answer to a registration leaves after its
//! commit. A deleted provider is kept and no longer offered. Measurements and circuits are soft state:
//! they outlive a crash of this actor and end with the daemon. Reading, choosing, admitting and
//! reporting send no message ([`board`]). Failure policy: a refused write is an error to its caller;
//! after one whose outcome is not known nothing is decided before the table was read anew ([`table_sync`](super)).

mod board;
mod meter;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub use self::board::{Counts, Listing, Seen};
pub use self::meter::{Admission, Observed, Probe};
pub use crate::domain::routing::{Choice as Selection, Limits, NoneFits, Optimization, Requirements};

use self::board::{Board, Entry};
use self::meter::Meter;
use super::table_sync::TableSync;
use crate::domain::routing::{EndpointRules, Provider, Registration, Unfit};
use crate::domain::time::Timestamp;
use crate::llm::catalogue;
use crate::store::{Changes, Order, Span, Store, StoreError, Table, View};
use crate::supervision::{
    Actor, ActorError, ActorSystem, Address, CallError, ChildSpec, Context, Message as ActorMessage, Reply,
    WorkerOptions,
};

const PROVIDERS: Table<String, Provider> = Table::new("providers");

/// Most providers, deleted ones included: a choice looks at each; a large catalogue has hundreds.
pub const MAX_PROVIDERS: usize = 2_000;
/// Most text in one registration; with [`MAX_PROVIDERS`] it bounds the memory at 64 MB.
pub const MAX_TEXT_BYTES: usize = 32 * 1024;
/// Longest wait for an answer: a commit takes milliseconds, so beyond this the disk is stuck.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why the provider router did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouterError {
    /// It may not answer there.
    #[error("the endpoint {0}")]
    Endpoint(#[from] Unfit),
    #[error("no active provider `{0}` is registered; GET /providers lists those that are")]
    Unknown(String),
    #[error("{MAX_PROVIDERS} providers are registered, which is the most; register under a name in use")]
    Full,
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The actor did not answer.
    #[error("the provider router {0}")]
    Call(#[from] CallError),
}

type Answer<T> = Result<T, RouterError>;

/// What became of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The name was new.
    Registered,
    /// The name was known, active or not.
    Updated,
}

/// What the provider router is asked to change.
#[derive(Debug)]
pub enum Message {
    /// Take in or update a provider.
    Register(Box<Registration>, Reply<Answer<Action>>),
    /// Offer a provider no longer.
    Deactivate(String, Reply<Answer<()>>),
    /// The store takes writes again: read what is true.
    Reload,
}

impl ActorMessage for Message {
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
pub struct ProviderRouter {
    address: Address<Message>,
    board: Arc<Board>,
    rules: Arc<EndpointRules>,
}

impl ProviderRouter {
    /// Takes in a provider, or updates and reactivates the one of that name; durable when it returns.
    ///
    /// # Errors
    /// [`RouterError::Endpoint`], [`RouterError::Full`], or that it could not be written.
    pub async fn register(&self, registration: Registration) -> Answer<Action> {
        self.rules.check(&registration.endpoint)?;
        let registration = Box::new(registration);
        self.address.call(DEADLINE, |reply| Message::Register(registration, reply)).await?
    }

    /// Offers a provider no longer; its record is kept. Durable when it returns.
    ///
    /// # Errors
    /// [`RouterError::Unknown`].
    pub async fn deactivate(&self, name: String) -> Answer<()> {
        self.address.call(DEADLINE, |reply| Message::Deactivate(name, reply)).await?
    }

    /// Chooses who is to serve a call. Sends no message.
    ///
    /// # Errors
    /// [`NoneFits`] says how many each requirement left out, and when to ask again.
    pub fn select(
        &self,
        requirements: &Requirements,
        optimization: Optimization,
        limits: Limits,
    ) -> Result<Selection, NoneFits> {
        self.board.select(requirements, optimization, limits, Instant::now())
    }

    /// Takes in what a call has shown of a provider. Sends no message; a name that is not known is
    /// passed over, its provider has gone.
    pub fn report(&self, provider: &str, observed: &Observed) {
        if let Some(entry) = self.board.entry(provider) {
            entry.meter.report(observed, Instant::now());
        }
    }

    /// Asks whether a call of a provider may be made now. Sends no message. Nothing is known against
    /// a provider that is not registered, so that one may.
    #[must_use = "a trial ends when its guard is dropped"]
    pub fn admit(&self, provider: &str) -> Admission {
        let entry = self.board.entry(provider);
        entry.map_or(Admission::Closed, |entry| entry.meter.admit(Instant::now()))
    }

    #[must_use]
    pub fn provider(&self, name: &str) -> Option<Seen> {
        let entry = self.board.entry(name).filter(|entry| entry.provider.active);
        entry.map(|entry| entry.seen(Instant::now()))
    }

    /// Whether a provider of this name was ever registered; a deactivated one is recorded too.
    #[must_use]
    pub fn is_recorded(&self, name: &str) -> bool {
        self.board.entry(name).is_some()
    }

    /// Tokens that a model takes: the least of the active providers that serve it, or else the catalogue's.
    #[must_use]
    pub fn context_window(&self, model: &str) -> Option<u64> {
        self.board.context_window(model).or_else(|| catalogue::context_window(model))
    }

    /// A provider that was chosen a moment ago, with what is known of it now.
    #[must_use]
    pub fn seen(&self, provider: &Arc<Provider>) -> Seen {
        let entry = self.board.entry(&provider.name);
        let meter = entry.map_or_else(Meter::new, |entry| entry.meter);
        Entry { provider: Arc::clone(provider), meter }.seen(Instant::now())
    }

    /// The active providers that fit, by name.
    #[must_use]
    pub fn providers(&self, listing: &Listing) -> Vec<Seen> {
        self.board.list(listing, Instant::now())
    }

    /// How many there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.board.counts()
    }
}

/// The actor's state: all of it is on the board and in the store.
struct State {
    table: TableSync<Message>,
    board: Arc<Board>,
}

/// The provider router as a child of a supervisor, and its handle.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    store: Store,
    rules: EndpointRules,
) -> (ChildSpec, ProviderRouter) {
    let board = Arc::new(Board::default());
    let shared = Arc::clone(&board);
    let (spec, address) = system.worker(name, options, move |context| {
        let table = TableSync::new(store.clone(), || Message::Reload);
        let mut state = State { table, board: Arc::clone(&shared) };
        async move {
            state.load(&context).await?;
            Ok(state)
        }
    });
    (spec, ProviderRouter { address, board, rules: Arc::new(rules) })
}

impl State {
    /// Brings the board in line with the store.
    async fn load(&mut self, context: &Context<Message>) -> Result<(), StoreError> {
        let table = |view: &View<'_>| view.range(&PROVIDERS, &Span::all(), Order::Ascending, usize::MAX);
        // While it cannot be read the board stands as the incarnation before left it.
        let Some(rows) = self.table.read(context, table).await? else { return Ok(()) };
        self.board.put(rows.into_iter().map(|(_, provider)| provider));
        Ok(())
    }

    async fn register(&self, registration: Registration) -> Answer<Action> {
        let known = self.board.entry(&registration.name).map(|entry| Arc::clone(&entry.provider));
        if known.is_none() && self.board.is_full(MAX_PROVIDERS) {
            return Err(RouterError::Full);
        }
        self.save(registration.into_provider(known.as_deref(), Timestamp::now())).await?;
        Ok(if known.is_some() { Action::Updated } else { Action::Registered })
    }

    async fn deactivate(&self, name: String) -> Answer<()> {
        let Some(entry) = self.board.entry(&name) else { return Err(RouterError::Unknown(name)) };
        if !entry.provider.active {
            return Err(RouterError::Unknown(name));
        }
        let known = Provider::clone(&entry.provider);
        self.save(Provider { active: false, updated_at: Timestamp::now(), ..known }).await
    }

    fn noted<T>(&mut self, answer: Answer<T>, context: &Context<Message>) -> Answer<T> {
        if let Err(RouterError::Store(error)) = &answer {
            self.table.note(error, context);
        }
        answer
    }

    async fn save(&self, provider: Provider) -> Answer<()> {
        self.table.check()?;
        let row = provider.clone();
        self.table
            .store()
            .write(move |_| Ok::<_, RouterError>((Changes::none().put(&PROVIDERS, &row.name, &row), ())))
            .await?;
        self.board.put([provider]);
        Ok(())
    }
}

impl Actor for State {
    type Message = Message;

    async fn handle(&mut self, message: Message, context: &Context<Message>) -> Result<(), ActorError> {
        match message {
            Message::Register(registration, reply) => {
                let answer = self.register(*registration).await;
                reply.send(self.noted(answer, context));
            }
            Message::Deactivate(name, reply) => {
                let answer = self.deactivate(name).await;
                reply.send(self.noted(answer, context));
            }
            Message::Reload => {
                self.table.store_is_back();
                self.load(context).await?;
            }
        }
        Ok(())
    }
}

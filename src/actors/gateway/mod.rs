//! The gateway: the one way from PAS to a model.
//!
//! Owns the call: whom to ask, what it may cost, the hold, the attempts, the receipt. Callers (the ports
//! of models, agents) go through [`Gateway`]; a call runs in its caller's task, so it costs no message,
//! and the actor takes over what its caller leaves behind ([`leaving`]). Invariants: no code reaches a
//! provider without a `Hold`; every attempt has one receipt, and it is with the kernel before the
//! answer leaves; a cut is never a clean end. Failure policy: [`plan`]; beyond it [`GatewayError`] says
//! what happened. The actor dies with nothing of its own: what it drained is charged at its hold.

mod adapters;
mod attempt;
pub mod bound;
pub mod call;
mod cancelled;
mod cancels;
mod candidate;
mod carry;
mod flow;
mod leaving;
pub mod local_text;
pub mod own_ports;
pub mod plan;
mod span;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use futures_util::future::BoxFuture;

pub use self::adapters::{LOCAL_MODELS, LocalModel, Ready};
pub use self::call::{
    Answered, Answerer, Ask, Call, Caller, Chatted, Embedded, GatewayError, Piece, Replied, Streamed, Target,
};
pub use self::cancels::{Owner, Watched};
pub use self::plan::Policy;

use self::adapters::Keeper;
use self::attempt::Attempt;
use self::cancels::Cancels;
use self::candidate::{Endpoints, endpoint_of};
use self::carry::{Carry, DRAIN, Got, into_read, into_whole};
use self::leaving::{Kept, Left};
use self::own_ports::OwnPorts;
use crate::actors::accounts::{Accounts, AccountsError};
use crate::actors::jobs::JobBook;
use crate::actors::provider_router::ProviderRouter;
use crate::actors::registry::RegistryHandle;
use crate::actors::token_governor::GovernorHandle;
use crate::config::{Gateway as Limits, Providers};
use crate::domain::price::Prices;
use crate::domain::roster::Roster;
use crate::llm::{Client, Deadlines, Endpoint, Failure, FailureKind, Vendor};
use crate::supervision::{
    Actor, ActorError, ActorSystem, Address, ChildSpec, Context, Message as ActorMessage, WorkerOptions,
};

/// What the gateway's actor is asked.
pub enum Message {
    /// Drive the rest of a call whose caller has left.
    Drain(BoxFuture<'static, ()>),
}

impl ActorMessage for Message {
    fn kind(&self) -> &'static str {
        match self {
            Self::Drain(_) => "drain",
        }
    }
}

/// What the gateway works with.
pub struct Means {
    /// Where money is held and booked.
    pub accounts: Accounts,
    /// Where jobs are stopped.
    pub book: JobBook,
    /// Which agents are ours, and in which lane.
    pub roster: Arc<Roster>,
    /// Who is told what is in the agents' contexts.
    pub governor: GovernorHandle,
    pub router: ProviderRouter,
    /// Where the local models register.
    pub registry: RegistryHandle,
    pub prices: Arc<Prices>,
    /// The vendors' addresses and credentials.
    pub providers: Providers,
    /// How long calls may take.
    pub limits: Limits,
    /// Added to the ports of the adapters.
    pub port_offset: u16,
    /// Our own ports that serve models.
    pub own_ports: OwnPorts,
}

/// The gateway's verbs. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
    address: Address<Message>,
}

struct Inner {
    system: ActorSystem,
    client: Client,
    accounts: Accounts,
    book: JobBook,
    roster: Arc<Roster>,
    governor: GovernorHandle,
    router: ProviderRouter,
    prices: Arc<Prices>,
    endpoints: Endpoints,
    own_ports: OwnPorts,
    cancels: Cancels,
    policy: Policy,
    deadlines: Deadlines,
    ready: Ready,
}

impl Gateway {
    /// Asks for a whole chat, read. A caller that leaves is paid for to the end all the same.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn chat(&self, call: Call) -> Result<Chatted, GatewayError> {
        let left = Left::default();
        let work = Self::whole(self.clone(), call, Arc::clone(&left), into_read);
        Kept::new(Box::pin(work), left, self.address.clone()).await
    }

    /// Asks for a whole chat to hand on: as it came, where the request wants that and nothing is to change.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn reply(&self, call: Call) -> Result<Replied, GatewayError> {
        let left = Left::default();
        let work = Self::whole(self.clone(), call, Arc::clone(&left), into_whole);
        Kept::new(Box::pin(work), left, self.address.clone()).await
    }

    /// Asks for embeddings.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn embed(&self, call: Call) -> Result<Embedded, GatewayError> {
        let left = Left::default();
        let vectors = |got| match got {
            Got::Vectors(vectors, usage) => Some((vectors, usage)),
            _ => None,
        };
        let work = Self::whole(self.clone(), call, Arc::clone(&left), vectors);
        Kept::new(Box::pin(work), left, self.address.clone()).await
    }

    async fn whole<T: Send + 'static>(
        gateway: Self,
        call: Call,
        left: Left,
        take: fn(Got) -> Option<(T, Option<crate::domain::usage::Usage>)>,
    ) -> Result<Answered<T>, GatewayError> {
        let won = Carry::new(gateway, call, left)?.run().await?;
        let (attempt, by) = (won.attempt, won.by);
        let Some((answer, usage)) = take(won.got) else { return Err(misanswered(attempt).await?) };
        let receipt = attempt.succeeded(usage).await?;
        Ok(Answered { answer, usage, receipt, by })
    }

    /// Asks for a chat as a stream; returns when its first chunk has come.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn stream(&self, mut call: Call) -> Result<Streamed, GatewayError> {
        if let Ask::Chat(request) = &mut call.ask {
            request.stream = true;
        }
        let (left, to) = (Arc::new(AtomicBool::new(false)), self.address.clone());
        let (gateway, shared) = (self.clone(), (Arc::clone(&left), to.clone()));
        let work = async move {
            let won = Carry::new(gateway, call, Arc::clone(&shared.0))?.run().await?;
            match won.streamed(shared.0, shared.1) {
                Ok(streamed) => Ok(streamed),
                Err(attempt) => Err(misanswered(*attempt).await?),
            }
        };
        Kept::new(Box::pin(work), left, to).await
    }

    /// Watches the calls of these owners that are under way now, to end them, and to learn how many are
    /// closed. Jobs that are cancelled in the job book need no word: their calls end by themselves.
    #[must_use]
    pub fn watch_calls(&self, is_meant: impl Fn(&Owner) -> bool) -> Watched {
        self.inner.cancels.watch(is_meant)
    }

    /// Runs something short after an answer has left; it is dropped when the gateway ends.
    pub fn look_after(&self, work: impl Future<Output = ()> + Send + 'static) {
        if self.address.cast(Message::Drain(Box::pin(work))).is_err() {
            tracing::debug!("the gateway is too busy to look after something");
        }
    }

    /// The accounts, for what is asked about them.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.inner.accounts
    }

    #[must_use]
    pub fn router(&self) -> &ProviderRouter {
        &self.inner.router
    }

    #[must_use]
    pub fn prices(&self) -> &Prices {
        &self.inner.prices
    }

    /// A vendor as configured.
    #[must_use]
    pub fn endpoint(&self, vendor: Vendor) -> &Endpoint {
        endpoint_of(&self.inner.endpoints, vendor)
    }

    /// What the local Ollama has in its memory, in its own words.
    ///
    /// # Errors
    /// [`Failure`] when it does not answer.
    pub async fn running_locally(&self) -> Result<serde_json::Value, Failure> {
        self.inner.client.running(self.endpoint(Vendor::Ollama), &adapters::LOOKING).await
    }

    /// Which models can be called, as was seen last.
    #[must_use]
    pub fn ready(&self) -> &Ready {
        &self.inner.ready
    }
}

/// An answer of another kind than was asked for: a stream of embeddings, say. It is paid, and no answer.
async fn misanswered(attempt: Attempt) -> Result<GatewayError, AccountsError> {
    let what = "the call was answered in another form than it was asked in; only chats can be streamed";
    let failure = Failure { may_cost: true, ..Failure::new(FailureKind::Unsupported, what) };
    let receipt = Some(attempt.failed(&failure).await?);
    Ok(GatewayError::Failed { failure, receipt, attempts: 1 })
}

/// The gateway as a child of a supervisor, and its handle.
#[must_use]
pub fn spec(system: &ActorSystem, name: &str, options: WorkerOptions, means: Means) -> (ChildSpec, Gateway) {
    let endpoints = Vendor::ALL.map(|vendor| Endpoint::configured(vendor, &means.providers));
    let seen = Arc::new(AtomicU64::new(cancelled::newest(&means.book)));
    let inner = Arc::new(Inner {
        system: system.clone(),
        client: Client::new(),
        accounts: means.accounts,
        book: means.book,
        roster: means.roster,
        governor: means.governor,
        router: means.router,
        prices: means.prices,
        endpoints,
        own_ports: means.own_ports,
        cancels: Cancels::default(),
        policy: Policy { overall: means.limits.overall_timeout, ..Policy::default() },
        deadlines: Deadlines::from(means.limits),
        ready: Ready::default(),
    });
    let (shared, registry, offset) = (Arc::clone(&inner), means.registry, means.port_offset);
    let (spec, address) = system.worker(name, options, move |context| {
        let keeper = Keeper::new(
            shared.client.clone(),
            shared.router.clone(),
            registry.clone(),
            Arc::clone(&shared.prices),
            shared.endpoints.clone(),
            offset,
            shared.ready.clone(),
        );
        let following = cancelled::follow(shared.book.clone(), shared.cancels.clone(), Arc::clone(&seen));
        async move {
            context.spawn(following);
            context.spawn(keeper.run());
            Ok(State)
        }
    });
    (spec, Gateway { inner, address })
}

/// Everything is shared, or belongs to the tasks that the actor keeps.
struct State;

impl Actor for State {
    type Message = Message;

    async fn handle(&mut self, message: Message, context: &Context<Message>) -> Result<(), ActorError> {
        match message {
            Message::Drain(rest) => context.spawn(async move {
                if tokio::time::timeout(DRAIN, rest).await.is_err() {
                    tracing::info!("a call went on for too long after its caller had left; it was ended");
                }
            }),
        }
        Ok(())
    }
}

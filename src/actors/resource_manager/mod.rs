//! The resource manager: hands out cores, memory, accelerators and ports, and gets them back.
//!
//! Owns the tables `reservations` and `capacities` and is their only writer. The rules are pure
//! ([`Ledger`]); the actor decides in memory, one ask after another, and answers after the commit of its
//! batch. Invariants: an acknowledged reservation of a client survives `kill -9`; one of an attempt ends
//! with the attempt, at the latest with the daemon; looking (`/quotas`, `/reservations`) sends no message.
//! Failure policy: a refused write is an error to whoever waits for it, and the books are read anew; a
//! write whose outcome is not known ends the actor, and the next incarnation reads what is true.

mod batch;
mod cleanup;
pub mod detect;
mod kill;
mod lease;
pub mod process_groups;
mod state;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

pub use kill::Killed;
pub use lease::Lease;
pub use process_groups::ProcessGroups;

use super::jobs::{JobError, Jobs};
use crate::domain::resources::{
    Amounts, Ask, Class, ClassLimits, Holder, Ledger, Quotas, Reservation, ReservationStatus, Resource,
};
use crate::store::{Order, Span, StoreError, Table};
use crate::supervision::{
    ActorSystem, Address, CallError, ChildSpec, Message as ActorMessage, Reply, WorkerOptions,
};
use lease::Live;
use state::State;

/// Reservation id → row. The ids sort by time, so the oldest come first.
const RESERVATIONS: Table<String, Reservation> = Table::new("reservations");
/// Kind of resource → (what the configuration said, what it was changed to), in its units.
const CAPACITIES: Table<String, (u64, u64)> = Table::new("capacities");

/// Most reservations held at once: each is looked at every second, and no machine is shared finer.
pub const MAX_RESERVATIONS: usize = 4_096;
/// Most asks that wait: each is looked at whenever something is given back.
pub const MAX_WAITING: usize = 1_000;
/// Most ports in one ask.
pub const MAX_PORTS: usize = 100;
/// Ended reservations that are kept to be looked at: some days of a busy swarm.
pub const KEPT_ENDED: usize = 2_000;
/// Longest wait for an answer beyond the wait that was asked for: a commit takes milliseconds.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why the resource manager did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// Nothing active under this id, or of this job.
    #[error("{0} holds no active reservation")]
    Unknown(String),
    /// A step at work has it.
    #[error(
        "{0} is held by a step at work, which gives it back when it ends; cancel the job, or end it with \
         POST /kill"
    )]
    InUse(String),
    /// The job could not be cancelled.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The clean-up plan could not be written.
    #[error("write {path}: {reason}; what was to be ended has been")]
    Plan { path: String, reason: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The actor did not answer.
    #[error("the resource manager {0}")]
    Call(#[from] CallError),
}

type Answer<T> = Result<T, ResourceError>;

/// An ask, and how long it may take.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is asked for; the class is found by the manager.
    pub ask: Ask,
    /// Who answers for it.
    pub holder: Holder,
    /// How long it may wait for its turn; zero: the answer comes at once. [`Duration::MAX`]: for ever.
    pub wait: Duration,
    /// How long a client's reservation holds without a job of this daemon, in seconds.
    pub lease_s: u64,
}

/// The answer to a request.
#[derive(Debug)]
pub enum Outcome {
    /// It is held; dropped, it goes back.
    Granted(Lease),
    Denied(Denied),
}

/// A denial, with the figures it was based on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    pub reason: String,
    pub quotas: Quotas,
}

/// What is to be released.
#[derive(Debug, Clone)]
pub enum Which {
    /// The reservation with this id.
    Id(String),
    /// All of this very job.
    Job(String),
}

/// What the resource manager is asked.
#[derive(Debug)]
pub enum Message {
    Reserve(Box<Request>, Reply<Answer<Outcome>>),
    Release(Which, Reply<Answer<Vec<Arc<Reservation>>>>),
    /// A lease was dropped.
    Returned(String),
    /// Whatever of this job ends from now on was killed; gives what is held.
    Condemn(String, Reply<Vec<Arc<Reservation>>>),
    /// End all that this job still holds.
    Kill(String, Reply<Answer<()>>),
    /// Change how much there is of one kind, in its units.
    SetCapacity(Resource, u64, Reply<Answer<Quotas>>),
    /// This ask has waited long enough.
    TimeUp(String),
    /// Write down what was decided.
    Flush,
    /// What became of the write under way.
    Committed(Result<(), StoreError>),
    /// The store takes writes again: read what is true.
    Reload,
    /// Look for leases that are over, jobs that have ended and callers that have left.
    Sweep,
}

impl ActorMessage for Message {
    fn kind(&self) -> &'static str {
        match self {
            Self::Reserve(..) => "reserve",
            Self::Release(..) => "release",
            Self::Returned(_) => "returned",
            Self::Condemn(..) => "condemn",
            Self::Kill(..) => "kill",
            Self::SetCapacity(..) => "set_capacity",
            Self::TimeUp(_) => "time_up",
            Self::Flush => "flush",
            Self::Committed(_) => "committed",
            Self::Reload => "reload",
            Self::Sweep => "sweep",
        }
    }
}

/// What the actor and its handles share; outlives the actor's incarnations.
struct Shared {
    ledger: Mutex<Ledger>,
    live: Live,
    groups: ProcessGroups,
    jobs: Arc<Jobs>,
    configured: Amounts,
    limits: ClassLimits,
    /// Ports that the daemon itself listens on.
    own_ports: BTreeSet<u16>,
}

/// The resource manager's verbs. Cheap to clone.
#[derive(Clone)]
pub struct ResourceHandle {
    address: Address<Message>,
    shared: Arc<Shared>,
}

impl ResourceHandle {
    /// Reserves all that is asked for, or nothing. Dropping this future gives up the place in the queue.
    ///
    /// # Errors
    /// [`ResourceError::Store`] and [`ResourceError::Call`]; a denial is no error.
    pub async fn reserve(&self, mut request: Request) -> Answer<Outcome> {
        request.ask.class = self.class_of(&request.ask.agent);
        let deadline = request.wait.saturating_add(DEADLINE);
        let request = Box::new(request);
        self.address.call(deadline, |reply| Message::Reserve(request, reply)).await?
    }

    /// Gives back what clients hold; durable when it returns.
    ///
    /// # Errors
    /// [`ResourceError::Unknown`]; [`ResourceError::InUse`] for what an attempt holds.
    pub async fn release(&self, which: Which) -> Answer<Vec<Arc<Reservation>>> {
        self.address.call(DEADLINE, |reply| Message::Release(which, reply)).await?
    }

    /// Changes how much there is of one kind, in its units; lower than what is held revokes nothing, but
    /// nothing of the kind is granted until it fits again. Outlives restarts, until the configuration says
    /// something else than it does now.
    ///
    /// # Errors
    /// The store's, and [`ResourceError::Call`].
    pub async fn set_capacity(&self, resource: Resource, units: u64) -> Answer<Quotas> {
        self.address.call(DEADLINE, |reply| Message::SetCapacity(resource, units, reply)).await?
    }

    /// All figures, without a message.
    #[must_use]
    pub fn quotas(&self) -> Quotas {
        self.shared.ledger.lock().quotas()
    }

    /// How many reservations are held, and how many asks wait.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let ledger = self.shared.ledger.lock();
        (ledger.held(), ledger.waiting())
    }

    /// The ids of the reservations held for jobs that `is_meant`, without a message.
    #[must_use]
    pub fn held_for(&self, is_meant: impl Fn(&str) -> bool) -> HashSet<String> {
        let ledger = self.shared.ledger.lock();
        ledger.holders().filter(|(_, ask)| is_meant(&ask.job_id)).map(|(id, _)| id.to_owned()).collect()
    }

    /// All reservations that are kept, newest first. Blocks for milliseconds: it reads the table.
    ///
    /// # Errors
    /// The store's.
    pub fn reservations(&self, status: Option<ReservationStatus>) -> Result<Vec<Reservation>, StoreError> {
        let rows = self
            .shared
            .jobs
            .book
            .store()
            .read(|view| view.range(&RESERVATIONS, &Span::all(), Order::Descending, usize::MAX))?;
        let fits = |row: &Reservation| status.is_none_or(|status| status == row.status);
        Ok(rows.into_iter().map(|(_, row)| row).filter(fits).collect())
    }

    /// The process groups that work for jobs.
    #[must_use]
    pub fn groups(&self) -> &ProcessGroups {
        &self.shared.groups
    }

    fn class_of(&self, agent: &str) -> Option<Class> {
        let known = self.shared.jobs.agents.roster().get(agent);
        let capabilities = known.map(|agent| agent.capabilities.as_slice()).unwrap_or_default();
        Class::of(agent, capabilities.iter().map(|capability| capability.as_str()))
    }
}

/// The resource manager as a child of a supervisor, and its handle.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    jobs: Arc<Jobs>,
    capacity: Amounts,
    limits: ClassLimits,
    own_ports: BTreeSet<u16>,
) -> (ChildSpec, ResourceHandle) {
    let shared = Arc::new(Shared {
        ledger: Mutex::new(Ledger::new(capacity, limits)),
        live: Live::default(),
        groups: ProcessGroups::default(),
        jobs,
        configured: capacity,
        limits,
        own_ports,
    });
    let of_actor = Arc::clone(&shared);
    let (spec, address) = system.worker(name, options, move |context| {
        let shared = Arc::clone(&of_actor);
        async move { Ok(State::start(shared, &context).await?) }
    });
    (spec, ResourceHandle { address, shared })
}

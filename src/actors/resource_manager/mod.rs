//! The resource manager: grants cores, memory, accelerators and ports, and takes them back.
//!
//! Owns the tables `reservations` and `capacities` and is their only writer. The rules are pure
//! ([`ResourceLedger`]); the actor decides in memory, one request after another, and answers after the commit
//! of the batch. Invariants: an acknowledged reservation of a client survives `kill -9`; an attempt's
//! reservation ends with the attempt, at the latest with the daemon; reading (`/quotas`, `/reservations`)
//! sends no message. Failure policy: a refused write is an error to the waiting callers, and the tables are
//! read again; a write of unknown outcome ends the actor, and the next incarnation reads the tables.

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

pub use kill::KillOutcome;
pub use lease::ReservationGuard;
pub use process_groups::ProcessGroups;

use super::jobs::{JobError, JobsShared};
use crate::domain::resource_manager::{
    ClassLimits, Reservation, ReservationOwner, ReservationStatus, ResourceAmounts, ResourceClass,
    ResourceKind, ResourceLedger, ResourceQuotas, ResourceRequest,
};
use crate::store::{KeyRange, ScanOrder, Store, StoreError, StoreTable};
use crate::supervision::{
    ActorMessage, ActorSystem, Address, CallError, ChildSpec, ReplySender, WorkerOptions,
};
use lease::LiveReservations;
use state::ResourceState;

/// Reservation id → row. The ids sort by time, so the oldest come first.
const RESERVATIONS: StoreTable<String, Reservation> = StoreTable::new("reservations");
/// Kind of resource → (configured capacity, changed capacity), in units of the kind.
const CAPACITIES: StoreTable<String, (u64, u64)> = StoreTable::new("capacities");

/// Most active reservations: each is checked every second, and no machine is divided further.
pub const MAX_RESERVATIONS: usize = 4_096;
/// Most waiting requests: each is checked at every release.
pub const MAX_WAITING: usize = 1_000;
/// Most ports in one request.
pub const MAX_PORTS: usize = 100;
/// Ended reservations kept for listings: some days of a busy swarm.
pub const KEPT_ENDED: usize = 2_000;
/// Longest wait for an answer beyond the requested wait: a commit takes milliseconds.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why the resource manager declined or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// No active reservation under this id, or of this job.
    #[error("there is no active reservation for {0}")]
    Unknown(String),
    /// A running step uses it.
    #[error(
        "{0}: a running step uses the reservation and releases it at its end; cancel the job, or end it \
         with POST /kill"
    )]
    InUse(String),
    /// The job could not be cancelled.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The clean-up plan could not be written.
    #[error("write {path}: {reason}; the job was ended all the same")]
    Plan { path: String, reason: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The actor did not answer.
    #[error("the resource manager {0}")]
    Call(#[from] CallError),
}

type ResourceResult<T> = Result<T, ResourceError>;

/// A request, with the longest wait.
#[derive(Debug, Clone)]
pub struct ReservationRequest {
    /// The requested resources; the manager finds the class.
    pub ask: ResourceRequest,
    pub holder: ReservationOwner,
    /// How long the request may wait for its turn; zero: the answer comes at once. [`Duration::MAX`]: for
    /// ever.
    pub wait: Duration,
    /// How long a client's reservation lasts without a job of this daemon, in seconds.
    pub lease_s: u64,
}

#[derive(Debug)]
pub enum ReservationOutcome {
    /// Granted; dropping the guard releases the reservation.
    Granted(ReservationGuard),
    Denied(ReservationDenial),
}

/// A denial, with the figures behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservationDenial {
    pub reason: String,
    pub quotas: ResourceQuotas,
}

#[derive(Debug, Clone)]
pub enum ReservationSelector {
    Id(String),
    /// All reservations of this very job.
    Job(String),
}

#[derive(Debug)]
pub enum ResourceMessage {
    Reserve(Box<ReservationRequest>, ReplySender<ResourceResult<ReservationOutcome>>),
    Release(ReservationSelector, ReplySender<ResourceResult<Vec<Arc<Reservation>>>>),
    /// A reservation guard was dropped.
    Returned(String),
    /// However this job's reservations end from now on, they were killed; returns them.
    Condemn(String, ReplySender<Vec<Arc<Reservation>>>),
    /// End all remaining reservations of this job.
    Kill(String, ReplySender<ResourceResult<()>>),
    /// Change the capacity of one kind, in units of that kind.
    SetCapacity(ResourceKind, u64, ReplySender<ResourceResult<ResourceQuotas>>),
    /// This request has waited long enough.
    TimeUp(String),
    /// Write the decisions.
    Flush,
    /// The outcome of the write in progress.
    Committed(Result<(), StoreError>),
    /// The store takes writes again: read the tables.
    Reload,
    /// Look for ended leases, ended jobs and callers that have gone.
    Sweep,
}

impl ActorMessage for ResourceMessage {
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

/// Shared by the actor and its handles; outlives the actor's incarnations.
struct ResourceShared {
    ledger: Mutex<ResourceLedger>,
    live: LiveReservations,
    groups: ProcessGroups,
    jobs: Arc<JobsShared>,
    store: Store,
    rules: ResourceRules,
}

/// The bounds of every grant.
#[derive(Debug, Clone)]
pub struct ResourceRules {
    /// Of the machine, as detected or configured.
    pub capacity: ResourceAmounts,
    pub limits: ClassLimits,
    /// Ports the daemon itself listens on.
    pub own_ports: BTreeSet<u16>,
}

/// The resource manager's verbs. Cheap to clone.
#[derive(Clone)]
pub struct ResourceHandle {
    address: Address<ResourceMessage>,
    shared: Arc<ResourceShared>,
}

impl ResourceHandle {
    /// Reserves everything requested, or nothing. Dropping this future gives up the place in the queue.
    ///
    /// # Errors
    /// [`ResourceError::Store`] and [`ResourceError::Call`]; a denial is no error.
    pub async fn reserve(&self, mut request: ReservationRequest) -> ResourceResult<ReservationOutcome> {
        request.ask.class = self.class_of(&request.ask.agent);
        let deadline = request.wait.saturating_add(DEADLINE);
        let request = Box::new(request);
        self.address.call(deadline, |reply| ResourceMessage::Reserve(request, reply)).await?
    }

    /// Releases clients' reservations; durable on return.
    ///
    /// # Errors
    /// [`ResourceError::Unknown`]; [`ResourceError::InUse`] for an attempt's reservation.
    pub async fn release(&self, which: ReservationSelector) -> ResourceResult<Vec<Arc<Reservation>>> {
        self.address.call(DEADLINE, |reply| ResourceMessage::Release(which, reply)).await?
    }

    /// Changes the capacity of one kind, in units of that kind. A capacity below the reserved amount revokes
    /// nothing, but nothing of the kind is granted until reservations fit again. Survives restarts, until the
    /// configured value changes.
    ///
    /// # Errors
    /// The store's, and [`ResourceError::Call`].
    pub async fn set_capacity(&self, resource: ResourceKind, units: u64) -> ResourceResult<ResourceQuotas> {
        self.address.call(DEADLINE, |reply| ResourceMessage::SetCapacity(resource, units, reply)).await?
    }

    /// All figures, read without a message.
    #[must_use]
    pub fn quotas(&self) -> ResourceQuotas {
        self.shared.ledger.lock().quotas()
    }

    /// The numbers of active reservations and of waiting requests.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let ledger = self.shared.ledger.lock();
        (ledger.reservation_count(), ledger.waiting())
    }

    /// The ids of active reservations of jobs that `is_meant`, read without a message.
    #[must_use]
    pub fn reservations_of(&self, is_meant: impl Fn(&str) -> bool) -> HashSet<String> {
        let ledger = self.shared.ledger.lock();
        ledger.reservations().filter(|(_, ask)| is_meant(&ask.job_id)).map(|(id, _)| id.to_owned()).collect()
    }

    /// All stored reservations, newest first. Blocks for milliseconds while reading the table.
    ///
    /// # Errors
    /// The store's.
    pub fn reservations(&self, status: Option<ReservationStatus>) -> Result<Vec<Reservation>, StoreError> {
        let rows = self
            .shared
            .store
            .read(|view| view.range(&RESERVATIONS, &KeyRange::all(), ScanOrder::Descending, usize::MAX))?;
        let fits = |row: &Reservation| status.is_none_or(|status| status == row.status);
        Ok(rows.into_iter().map(|(_, row)| row).filter(fits).collect())
    }

    /// The process groups that work for jobs.
    #[must_use]
    pub fn groups(&self) -> &ProcessGroups {
        &self.shared.groups
    }

    fn class_of(&self, agent: &str) -> Option<ResourceClass> {
        let known = self.shared.jobs.agents.roster().get(agent);
        let capabilities = known.map(|agent| agent.capabilities.as_slice()).unwrap_or_default();
        ResourceClass::of(agent, capabilities.iter().map(|capability| capability.as_str()))
    }
}

/// The resource manager as a child of a supervisor, and a handle.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    jobs: Arc<JobsShared>,
    store: Store,
    rules: ResourceRules,
) -> (ChildSpec, ResourceHandle) {
    let shared = Arc::new(ResourceShared {
        ledger: Mutex::new(ResourceLedger::new(rules.capacity, rules.limits)),
        live: LiveReservations::default(),
        groups: ProcessGroups::default(),
        jobs,
        store,
        rules,
    });
    let of_actor = Arc::clone(&shared);
    let (spec, address) = system.worker(name, options, move |context| {
        let shared = Arc::clone(&of_actor);
        async move { Ok(ResourceState::start(shared, &context).await?) }
    });
    (spec, ResourceHandle { address, shared })
}

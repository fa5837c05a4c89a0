//! The resource manager's actor: decides about requests, keeps leases, and finds unused reservations.

mod sweep;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::batch::{self, ResourceBatch};
use super::lease::ReservationGuard;
use super::{
    CAPACITIES, MAX_RESERVATIONS, MAX_WAITING, RESERVATIONS, ReservationDenial, ReservationOutcome,
    ReservationRequest, ReservationSelector, ResourceError, ResourceMessage, ResourceResult, ResourceShared,
};
use crate::actors::table_sync::TableSync;
use crate::domain::resource_manager::{
    QueueAdvance, Reservation, ReservationOwner, ReservationStatus, ResourceAmounts, ResourceDenial,
    ResourceKind, ResourceLedger, ResourceQuotas, ResourceRequest, ResourceVerdict, new_reservation_id,
};
use crate::domain::time::Timestamp;
use crate::store::{KeyRange, ScanOrder, StoreError, StoreView};
use crate::supervision::{Actor, ActorContext, ActorError, Address, ReplySender, awake_elapsed};

/// Time between two searches for ended reservations: leases are counted in seconds.
const SWEEP: Duration = Duration::from_secs(1);
/// How long a write waits for callers that were just answered to return: half a sync of a slow disk.
/// Otherwise they would form two groups that wait for each other's syncs.
const GATHER: Duration = Duration::from_millis(2);

struct ActiveReservation {
    reservation: Arc<Reservation>,
    /// When a client's lease began, or was renewed.
    renewed: Instant,
    /// Whether its end, however it comes, counts as a kill.
    is_condemned: bool,
}

impl ActiveReservation {
    /// Whether a client's lease is over.
    fn has_expired(&self) -> bool {
        awake_elapsed(self.renewed) >= Duration::from_secs(self.reservation.lease_s)
    }
}

/// A request in the queue.
struct WaitingRequest {
    request: Box<ReservationRequest>,
    reply: ReplySender<ResourceResult<ReservationOutcome>>,
    why: ResourceDenial,
}

pub(super) struct ResourceState {
    shared: Arc<ResourceShared>,
    table: TableSync<ResourceMessage>,
    address: Address<ResourceMessage>,
    active: HashMap<String, ActiveReservation>,
    waiting: HashMap<String, WaitingRequest>,
    batch: ResourceBatch,
    /// The callers waiting for the write in progress.
    under_way: Option<Vec<batch::BatchReply>>,
    is_flush_asked: bool,
    /// Estimated number of simultaneous callers.
    expected: usize,
}

impl ResourceState {
    pub(super) async fn start(
        shared: Arc<ResourceShared>,
        context: &ActorContext<ResourceMessage>,
    ) -> Result<Self, StoreError> {
        let table = TableSync::new(shared.store.clone(), || ResourceMessage::Reload);
        let mut state = Self {
            shared,
            table,
            address: context.address().clone(),
            active: HashMap::new(),
            waiting: HashMap::new(),
            batch: ResourceBatch::default(),
            under_way: None,
            is_flush_asked: false,
            expected: 1,
        };
        state.load(context).await?;
        let address = context.address().clone();
        context.spawn(async move {
            while address.send(ResourceMessage::Sweep).await.is_ok() {
                tokio::time::sleep(SWEEP).await;
            }
        });
        Ok(state)
    }

    /// Updates the books from the store, except for reservations of running steps: their rows are soft, and
    /// may be lost with the last second before a fault. Leases start again: a changed wall clock must not end
    /// one early.
    async fn load(&mut self, context: &ActorContext<ResourceMessage>) -> Result<(), StoreError> {
        let table = |view: &StoreView<'_>| {
            let rows = view.range(&RESERVATIONS, &KeyRange::all(), ScanOrder::Ascending, usize::MAX)?;
            let changed =
                view.range(&CAPACITIES, &KeyRange::all(), ScanOrder::Ascending, ResourceKind::ALL.len())?;
            Ok((rows, changed))
        };
        // While the tables cannot be read the ledger stays unchanged.
        let Some((rows, changed)) = self.table.read(context, table).await? else { return Ok(()) };
        let mut ledger = ResourceLedger::new(self.shared.rules.capacity, self.shared.rules.limits);
        for (kind, (configured, set)) in changed {
            let resource = ResourceKind::ALL.into_iter().find(|resource| resource.as_str() == kind);
            if let Some(resource) = resource.filter(|r| self.shared.rules.capacity.of(*r) == configured) {
                ledger.set_capacity(resource, set);
            }
        }
        let mut known = std::mem::take(&mut self.active);
        for (id, row) in rows.into_iter().filter(|(_, row)| row.status == ReservationStatus::Active) {
            ledger.restore(id.clone(), self.shared.ask_of(&row));
            match known.remove(&id) {
                Some(active) => drop(self.active.insert(id, active)),
                None => self.activate(Arc::new(row)),
            }
        }
        let at_work = |id: &String, active: &ActiveReservation| {
            active.reservation.holder == ReservationOwner::Attempt && self.shared.live.has(id)
        };
        for (id, active) in known.into_iter().filter(|(id, active)| at_work(id, active)) {
            ledger.restore(id.clone(), self.shared.ask_of(&active.reservation));
            self.active.insert(id, active);
        }
        *self.shared.ledger.lock() = ledger;
        Ok(())
    }

    fn activate(&mut self, reservation: Arc<Reservation>) {
        let renewed = Instant::now();
        let id = reservation.reservation_id.clone();
        self.active.insert(id, ActiveReservation { reservation, renewed, is_condemned: false });
    }

    fn reserve(
        &mut self,
        request: Box<ReservationRequest>,
        reply: ReplySender<ResourceResult<ReservationOutcome>>,
        context: &ActorContext<ResourceMessage>,
    ) {
        self.forget_abandoned();
        if self.active.len() >= MAX_RESERVATIONS {
            let reason = format!("{MAX_RESERVATIONS} reservations are active, which is the limit");
            return self.deny(reason, reply);
        }
        let own = request.ask.ports.intersection(&self.shared.rules.own_ports).next();
        if let Some(port) = own {
            return self.deny(format!("port {port} is in use by this daemon itself"), reply);
        }
        let may_wait = !request.wait.is_zero() && self.waiting.len() < MAX_WAITING;
        let id = new_reservation_id();
        let verdict = self.shared.ledger.lock().ask(id.clone(), request.ask.clone(), may_wait);
        match verdict {
            ResourceVerdict::Granted(amounts) => self.grant(id, amounts, *request, reply),
            ResourceVerdict::Denied(denial) => self.deny(denial.to_string(), reply),
            ResourceVerdict::Waits(why) => {
                self.time_up_after(request.wait, id.clone(), context);
                self.waiting.insert(id, WaitingRequest { request, reply, why });
            }
        }
    }

    fn time_up_after(&self, wait: Duration, id: String, context: &ActorContext<ResourceMessage>) {
        if wait == Duration::MAX {
            return;
        }
        let address = self.address.clone();
        context.spawn(async move {
            tokio::time::sleep(wait).await;
            // A manager that has ended has no queue any more.
            let _ = address.send(ResourceMessage::TimeUp(id)).await;
        });
    }

    fn deny(&self, reason: String, reply: ReplySender<ResourceResult<ReservationOutcome>>) {
        let quotas = self.shared.ledger.lock().quotas();
        reply.send(Ok(ReservationOutcome::Denied(ReservationDenial { reason, quotas })));
    }

    /// Writes down the ledger's grant; the caller is answered after the commit.
    fn grant(
        &mut self,
        id: String,
        amounts: ResourceAmounts,
        request: ReservationRequest,
        reply: ReplySender<ResourceResult<ReservationOutcome>>,
    ) {
        let ReservationRequest { ask, holder, lease_s, .. } = request;
        let reservation = Arc::new(Reservation {
            reservation_id: id,
            job_id: ask.job_id,
            agent: ask.agent,
            amounts,
            ports: ask.ports,
            status: ReservationStatus::Active,
            created_at: Timestamp::now(),
            released_at: None,
            holder,
            lease_s,
        });
        let lease =
            ReservationGuard::new(Arc::clone(&reservation), self.shared.live.clone(), self.address.clone());
        self.save(&reservation);
        self.activate(reservation);
        self.batch.then(move |outcome| {
            reply.send(outcome.map(|()| ReservationOutcome::Granted(lease)).map_err(ResourceError::from));
        });
    }

    fn save(&mut self, row: &Reservation) {
        let is_durable = row.holder == ReservationOwner::Client || row.status == ReservationStatus::Killed;
        self.batch.write(is_durable, |changes| changes.put(&RESERVATIONS, &row.reservation_id, row));
    }

    /// Ends a reservation in the books; on disk with the next commit.
    fn end(&mut self, id: &str, status: ReservationStatus) -> Option<Arc<Reservation>> {
        let active = self.active.remove(id)?;
        self.shared.ledger.lock().release(id);
        let status = if active.is_condemned { ReservationStatus::Killed } else { status };
        let row = Reservation {
            status,
            released_at: Some(Timestamp::now()),
            ..Reservation::clone(&active.reservation)
        };
        self.save(&row);
        Some(Arc::new(row))
    }

    fn end_all(&mut self, ids: &[String], status: ReservationStatus) -> Vec<Arc<Reservation>> {
        ids.iter().filter_map(|id| self.end(id, status)).collect()
    }

    /// The ids of active reservations that `fits`.
    fn ids(&self, fits: impl Fn(&ActiveReservation) -> bool) -> Vec<String> {
        self.active.iter().filter(|(_, active)| fits(active)).map(|(id, _)| id.clone()).collect()
    }

    fn release(
        &mut self,
        which: ReservationSelector,
        reply: ReplySender<ResourceResult<Vec<Arc<Reservation>>>>,
    ) {
        let (name, meant) = match which {
            ReservationSelector::Id(id) => {
                let meant = self.active.contains_key(&id).then(|| id.clone());
                (format!("`{id}`"), meant.into_iter().collect())
            }
            ReservationSelector::Job(job) => {
                (format!("job `{job}`"), self.ids(|active| active.reservation.job_id == job))
            }
        };
        let is_clients = |id: &String| self.active[id].reservation.holder == ReservationOwner::Client;
        let (clients, at_work): (Vec<_>, Vec<_>) = meant.into_iter().partition(is_clients);
        if clients.is_empty() {
            let error = match at_work.len() {
                0 => ResourceError::Unknown(name),
                _ => ResourceError::InUse(name),
            };
            return reply.send(Err(error));
        }
        let released = self.end_all(&clients, ReservationStatus::Released);
        self.batch.then(move |outcome| reply.send(outcome.map(|()| released).map_err(ResourceError::from)));
    }

    fn condemn(&mut self, job_id: &str) -> Vec<Arc<Reservation>> {
        let meant = self.active.values_mut().filter(|active| active.reservation.is_of(job_id));
        meant
            .map(|active| {
                active.is_condemned = true;
                Arc::clone(&active.reservation)
            })
            .collect()
    }

    fn kill(&mut self, job_id: &str, reply: ReplySender<ResourceResult<()>>) {
        let meant = self.ids(|active| active.reservation.is_of(job_id));
        self.end_all(&meant, ReservationStatus::Killed);
        self.batch.then(move |outcome| reply.send(outcome.map_err(ResourceError::from)));
    }

    fn set_capacity(
        &mut self,
        resource: ResourceKind,
        units: u64,
        reply: ReplySender<ResourceResult<ResourceQuotas>>,
    ) {
        let row = (self.shared.rules.capacity.of(resource), units);
        self.shared.ledger.lock().set_capacity(resource, units);
        self.batch.write(true, |changes| changes.put(&CAPACITIES, &resource.as_str().to_owned(), &row));
        let shared = Arc::clone(&self.shared);
        self.batch.then(move |outcome| {
            let quotas = outcome.map(|()| shared.ledger.lock().quotas());
            reply.send(quotas.map_err(ResourceError::from));
        });
    }

    fn time_up(&mut self, id: &str) {
        if let Some(WaitingRequest { request, reply, why }) = self.waiting.remove(id) {
            self.shared.ledger.lock().leave(|waiting| waiting == id);
            self.deny(format!("waited {:?} in vain: {why}", request.wait), reply);
        }
    }

    /// Removes waiting requests whose callers have gone.
    fn forget_abandoned(&mut self) {
        let before = self.waiting.len();
        self.waiting.retain(|_, waiting| !waiting.reply.is_abandoned());
        if self.waiting.len() < before {
            let waiting = &self.waiting;
            self.shared.ledger.lock().leave(|id| !waiting.contains_key(id));
        }
    }

    /// Grants waiting requests as far as possible now.
    fn advance(&mut self) {
        loop {
            let advances = self.shared.ledger.lock().advance();
            if advances.is_empty() {
                return;
            }
            for advance in advances {
                match advance {
                    QueueAdvance::Granted(id, amounts) => match self.waiting.remove(&id) {
                        Some(WaitingRequest { request, reply, .. }) if !reply.is_abandoned() => {
                            self.grant(id, amounts, *request, reply);
                        }
                        _ => drop(self.shared.ledger.lock().release(&id)),
                    },
                    QueueAdvance::Denied(id, denial) => {
                        if let Some(WaitingRequest { reply, .. }) = self.waiting.remove(&id) {
                            self.deny(denial.to_string(), reply);
                        }
                    }
                }
            }
        }
    }

    /// Asks for a write of the decisions once all expected callers have added theirs.
    fn ask_for_flush(&mut self, context: &ActorContext<ResourceMessage>) {
        if self.batch.is_empty() || self.under_way.is_some() {
            return;
        }
        if self.batch.callers() >= self.expected {
            return self.flush(context);
        }
        if !std::mem::replace(&mut self.is_flush_asked, true) {
            let address = self.address.clone();
            context.spawn(async move {
                tokio::time::sleep(GATHER).await;
                // A manager that has ended has nothing to write.
                let _ = address.send(ResourceMessage::Flush).await;
            });
        }
    }

    fn flush(&mut self, context: &ActorContext<ResourceMessage>) {
        self.is_flush_asked = false;
        if self.batch.is_empty() || self.under_way.is_some() {
            return;
        }
        let (write, answers) = std::mem::take(&mut self.batch).split(self.table.store().clone());
        self.under_way = Some(answers);
        let address = self.address.clone();
        context.spawn(async move {
            let outcome = write.await;
            // A manager that has ended leaves reading the tables to the next.
            let _ = address.send(ResourceMessage::Committed(outcome)).await;
        });
    }

    async fn committed(
        &mut self,
        outcome: Result<(), StoreError>,
        context: &ActorContext<ResourceMessage>,
    ) -> Result<(), StoreError> {
        let answered = self.under_way.take().unwrap_or_default();
        // Answered callers will return, waiting ones are here already.
        self.expected = answered.len() + self.batch.callers();
        batch::answer(answered, &outcome);
        let Err(error) = outcome else { return Ok(()) };
        // Later decisions were based on changes that did not happen.
        std::mem::take(&mut self.batch).fail(&error);
        for (_, WaitingRequest { reply, .. }) in self.waiting.drain() {
            reply.send(Err(error.clone().into()));
        }
        self.load(context).await?;
        self.table.note(&error, context);
        Ok(())
    }

    /// The store takes writes again: read the tables, and write the unwritten decisions.
    async fn reload(&mut self, context: &ActorContext<ResourceMessage>) -> Result<(), StoreError> {
        self.table.store_is_back();
        self.load(context).await?;
        let at_work = self.ids(|active| active.reservation.holder == ReservationOwner::Attempt);
        for id in at_work {
            let row = Arc::clone(&self.active[&id].reservation);
            self.save(&row);
        }
        Ok(())
    }
}

impl ResourceShared {
    /// The request of a granted row.
    fn ask_of(&self, row: &Reservation) -> ResourceRequest {
        let agent = self.jobs.agents.roster().get(&row.agent);
        let capabilities = agent.map(|agent| agent.capabilities.as_slice()).unwrap_or_default();
        ResourceRequest {
            job_id: row.job_id.clone(),
            agent: row.agent.clone(),
            amounts: row.amounts,
            ports: row.ports.clone(),
            class: crate::domain::resource_manager::ResourceClass::of(
                &row.agent,
                capabilities.iter().map(|c| c.as_str()),
            ),
            strict: true,
        }
    }
}

impl Actor for ResourceState {
    type Message = ResourceMessage;

    async fn handle(
        &mut self,
        message: ResourceMessage,
        context: &ActorContext<ResourceMessage>,
    ) -> Result<(), ActorError> {
        match message {
            ResourceMessage::Reserve(request, reply) => match self.table.check() {
                Ok(()) => self.reserve(request, reply, context),
                Err(error) => reply.send(Err(error.into())),
            },
            ResourceMessage::Release(which, reply) => match self.table.check() {
                Ok(()) => self.release(which, reply),
                Err(error) => reply.send(Err(error.into())),
            },
            ResourceMessage::Returned(id) => drop(self.end(&id, ReservationStatus::Released)),
            ResourceMessage::Condemn(job_id, reply) => reply.send(self.condemn(&job_id)),
            ResourceMessage::Kill(job_id, reply) => self.kill(&job_id, reply),
            ResourceMessage::SetCapacity(resource, units, reply) => self.set_capacity(resource, units, reply),
            ResourceMessage::TimeUp(id) => self.time_up(&id),
            ResourceMessage::Flush => self.flush(context),
            ResourceMessage::Committed(outcome) => self.committed(outcome, context).await?,
            ResourceMessage::Reload => self.reload(context).await?,
            ResourceMessage::Sweep => {
                if let Err(error) = self.sweep(context) {
                    tracing::warn!(%error, "reservations could not be checked; trying again later");
                }
            }
        }
        self.advance();
        self.ask_for_flush(context);
        Ok(())
    }
}

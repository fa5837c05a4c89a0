//! The resource manager's actor: decides about asks, keeps leases, and finds what nobody uses any more.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::batch::{self, Batch};
use super::lease::Lease;
use super::{
    Answer, CAPACITIES, Denied, KEPT_ENDED, MAX_RESERVATIONS, MAX_WAITING, Message, Outcome, RESERVATIONS,
    Request, ResourceError, Shared, Which,
};
use crate::actors::jobs::readers;
use crate::actors::table_sync::TableSync;
use crate::domain::ids::JobId;
use crate::domain::resources::{
    Advance, Amounts, Ask, Denial, Holder, Ledger, Quotas, Reservation, ReservationStatus, Resource, Verdict,
    new_reservation_id,
};
use crate::domain::time::Timestamp;
use crate::store::{Changes, Order, Span, StoreError, View};
use crate::supervision::{Actor, ActorError, Address, Context, Reply};

/// How often it looks for what is over: leases are counted in seconds.
const SWEEP: Duration = Duration::from_secs(1);
/// How long a write waits for callers who were just answered to come back: half a sync of a slow disk.
/// Without it they would form two groups that wait for each other's syncs.
const GATHER: Duration = Duration::from_millis(2);
/// Most old rows deleted at once: some milliseconds of the writer's time.
const PRUNED_AT_ONCE: usize = 1_000;

/// A reservation that is held.
struct Active {
    reservation: Arc<Reservation>,
    /// When a client's lease is over.
    ends: Instant,
    /// Whether whatever ends it is a kill.
    is_condemned: bool,
}

/// An ask in the queue.
struct Waiting {
    request: Box<Request>,
    reply: Reply<Answer<Outcome>>,
    why: Denial,
}

pub(super) struct State {
    shared: Arc<Shared>,
    table: TableSync<Message>,
    address: Address<Message>,
    active: HashMap<String, Active>,
    waiting: HashMap<String, Waiting>,
    batch: Batch,
    /// Who waits for the write under way.
    under_way: Option<Vec<batch::Answer>>,
    is_flush_asked: bool,
    /// How many callers seem to be at it at the same time.
    expected: usize,
}

impl State {
    pub(super) async fn start(shared: Arc<Shared>, context: &Context<Message>) -> Result<Self, StoreError> {
        let table = TableSync::new(shared.jobs.book.store().clone(), || Message::Reload);
        let mut state = Self {
            shared,
            table,
            address: context.address().clone(),
            active: HashMap::new(),
            waiting: HashMap::new(),
            batch: Batch::default(),
            under_way: None,
            is_flush_asked: false,
            expected: 1,
        };
        state.load(context).await?;
        let address = context.address().clone();
        context.spawn(async move {
            while address.send(Message::Sweep).await.is_ok() {
                tokio::time::sleep(SWEEP).await;
            }
        });
        Ok(state)
    }

    /// Brings the books in line with the store, but for what a step at work holds: its row is soft, and may be
    /// gone with the last second before a fault. Leases run anew: a wall clock that was set meanwhile must not
    /// end one early.
    async fn load(&mut self, context: &Context<Message>) -> Result<(), StoreError> {
        let table = |view: &View<'_>| {
            let rows = view.range(&RESERVATIONS, &Span::all(), Order::Ascending, usize::MAX)?;
            let changed = view.range(&CAPACITIES, &Span::all(), Order::Ascending, Resource::ALL.len())?;
            Ok((rows, changed))
        };
        // While nothing can be read the ledger stands as it was.
        let Some((rows, changed)) = self.table.read(context, table).await? else { return Ok(()) };
        let mut ledger = Ledger::new(self.shared.configured, self.shared.limits);
        for (kind, (configured, set)) in changed {
            let resource = Resource::ALL.into_iter().find(|resource| resource.as_str() == kind);
            if let Some(resource) = resource.filter(|r| self.shared.configured.of(*r) == configured) {
                ledger.set_capacity(resource, set);
            }
        }
        let mut known = std::mem::take(&mut self.active);
        for (id, row) in rows.into_iter().filter(|(_, row)| row.status == ReservationStatus::Active) {
            ledger.hold(id.clone(), self.shared.ask_of(&row));
            match known.remove(&id) {
                Some(active) => drop(self.active.insert(id, active)),
                None => self.activate(Arc::new(row)),
            }
        }
        let at_work = |id: &String, active: &Active| {
            active.reservation.holder == Holder::Attempt && self.shared.live.has(id)
        };
        for (id, active) in known.into_iter().filter(|(id, active)| at_work(id, active)) {
            ledger.hold(id.clone(), self.shared.ask_of(&active.reservation));
            self.active.insert(id, active);
        }
        *self.shared.ledger.lock() = ledger;
        Ok(())
    }

    fn activate(&mut self, reservation: Arc<Reservation>) {
        let ends = lease_end(&reservation);
        let id = reservation.reservation_id.clone();
        self.active.insert(id, Active { reservation, ends, is_condemned: false });
    }

    fn reserve(&mut self, request: Box<Request>, reply: Reply<Answer<Outcome>>, context: &Context<Message>) {
        self.forget_abandoned();
        if self.active.len() >= MAX_RESERVATIONS {
            let reason = format!("{MAX_RESERVATIONS} reservations are held, which is the most");
            return self.deny(reason, reply);
        }
        let own = request.ask.ports.intersection(&self.shared.own_ports).next();
        if let Some(port) = own {
            return self.deny(format!("port {port} is one that this daemon itself listens on"), reply);
        }
        let may_wait = !request.wait.is_zero() && self.waiting.len() < MAX_WAITING;
        let id = new_reservation_id();
        let verdict = self.shared.ledger.lock().ask(id.clone(), request.ask.clone(), may_wait);
        match verdict {
            Verdict::Granted(amounts) => self.grant(id, amounts, *request, reply),
            Verdict::Denied(denial) => self.deny(denial.to_string(), reply),
            Verdict::Waits(why) => {
                self.time_up_after(request.wait, id.clone(), context);
                self.waiting.insert(id, Waiting { request, reply, why });
            }
        }
    }

    fn time_up_after(&self, wait: Duration, id: String, context: &Context<Message>) {
        if wait == Duration::MAX {
            return;
        }
        let address = self.address.clone();
        context.spawn(async move {
            tokio::time::sleep(wait).await;
            // A manager that has ended has no queue any more.
            let _ = address.send(Message::TimeUp(id)).await;
        });
    }

    fn deny(&self, reason: String, reply: Reply<Answer<Outcome>>) {
        let quotas = self.shared.ledger.lock().quotas();
        reply.send(Ok(Outcome::Denied(Denied { reason, quotas })));
    }

    /// Writes down what the ledger has granted; the caller learns of it after the commit.
    fn grant(&mut self, id: String, amounts: Amounts, request: Request, reply: Reply<Answer<Outcome>>) {
        let Request { ask, holder, lease_s, .. } = request;
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
        let lease = Lease::new(Arc::clone(&reservation), self.shared.live.clone(), self.address.clone());
        self.save(&reservation);
        self.activate(reservation);
        self.batch.then(move |outcome| {
            reply.send(outcome.map(|()| Outcome::Granted(lease)).map_err(ResourceError::from));
        });
    }

    fn save(&mut self, row: &Reservation) {
        let is_durable = row.holder == Holder::Client || row.status == ReservationStatus::Killed;
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

    /// The ids of what is held and fits.
    fn ids(&self, fits: impl Fn(&Active) -> bool) -> Vec<String> {
        self.active.iter().filter(|(_, active)| fits(active)).map(|(id, _)| id.clone()).collect()
    }

    fn release(&mut self, which: Which, reply: Reply<Answer<Vec<Arc<Reservation>>>>) {
        let (name, meant) = match which {
            Which::Id(id) => {
                let meant = self.active.contains_key(&id).then(|| id.clone());
                (format!("`{id}`"), meant.into_iter().collect())
            }
            Which::Job(job) => (format!("job `{job}`"), self.ids(|active| active.reservation.job_id == job)),
        };
        let is_clients = |id: &String| self.active[id].reservation.holder == Holder::Client;
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

    fn kill(&mut self, job_id: &str, reply: Reply<Answer<()>>) {
        let meant = self.ids(|active| active.reservation.is_of(job_id));
        self.end_all(&meant, ReservationStatus::Killed);
        self.batch.then(move |outcome| reply.send(outcome.map_err(ResourceError::from)));
    }

    fn set_capacity(&mut self, resource: Resource, units: u64, reply: Reply<Answer<Quotas>>) {
        let row = (self.shared.configured.of(resource), units);
        self.shared.ledger.lock().set_capacity(resource, units);
        self.batch.write(true, |changes| changes.put(&CAPACITIES, &resource.as_str().to_owned(), &row));
        let shared = Arc::clone(&self.shared);
        self.batch.then(move |outcome| {
            let quotas = outcome.map(|()| shared.ledger.lock().quotas());
            reply.send(quotas.map_err(ResourceError::from));
        });
    }

    fn time_up(&mut self, id: &str) {
        if let Some(Waiting { request, reply, why }) = self.waiting.remove(id) {
            self.shared.ledger.lock().leave(|waiting| waiting == id);
            self.deny(format!("waited {:?} in vain: {why}", request.wait), reply);
        }
    }

    /// Takes those out of the queue whose callers have left.
    fn forget_abandoned(&mut self) {
        let before = self.waiting.len();
        self.waiting.retain(|_, waiting| !waiting.reply.is_abandoned());
        if self.waiting.len() < before {
            let waiting = &self.waiting;
            self.shared.ledger.lock().leave(|id| !waiting.contains_key(id));
        }
    }

    /// Grants what can be granted now to those who wait.
    fn advance(&mut self) {
        loop {
            let advances = self.shared.ledger.lock().advance();
            if advances.is_empty() {
                return;
            }
            for advance in advances {
                match advance {
                    Advance::Granted(id, amounts) => match self.waiting.remove(&id) {
                        Some(Waiting { request, reply, .. }) if !reply.is_abandoned() => {
                            self.grant(id, amounts, *request, reply);
                        }
                        _ => drop(self.shared.ledger.lock().release(&id)),
                    },
                    Advance::Denied(id, denial) => {
                        if let Some(Waiting { reply, .. }) = self.waiting.remove(&id) {
                            self.deny(denial.to_string(), reply);
                        }
                    }
                }
            }
        }
    }

    /// Has the decisions written once all callers who are expected have added theirs.
    fn ask_for_flush(&mut self, context: &Context<Message>) {
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
                let _ = address.send(Message::Flush).await;
            });
        }
    }

    fn flush(&mut self, context: &Context<Message>) {
        self.is_flush_asked = false;
        if self.batch.is_empty() || self.under_way.is_some() {
            return;
        }
        let (write, answers) = std::mem::take(&mut self.batch).split(self.table.store().clone());
        self.under_way = Some(answers);
        let address = self.address.clone();
        context.spawn(async move {
            let outcome = write.await;
            // A manager that has ended leaves the reading of what is true to the next.
            let _ = address.send(Message::Committed(outcome)).await;
        });
    }

    async fn committed(
        &mut self,
        outcome: Result<(), StoreError>,
        context: &Context<Message>,
    ) -> Result<(), StoreError> {
        let answered = self.under_way.take().unwrap_or_default();
        // Who was answered will come back, who waits is here already.
        self.expected = answered.len() + self.batch.callers();
        batch::answer(answered, &outcome);
        let Err(error) = outcome else { return Ok(()) };
        // What was decided since then was decided on top of what has not happened.
        std::mem::take(&mut self.batch).fail(&error);
        for (_, Waiting { reply, .. }) in self.waiting.drain() {
            reply.send(Err(error.clone().into()));
        }
        self.load(context).await?;
        self.table.note(&error, context);
        Ok(())
    }

    /// The store takes writes again: what is true is read, and what was not written is.
    async fn reload(&mut self, context: &Context<Message>) -> Result<(), StoreError> {
        self.table.store_is_back();
        self.load(context).await?;
        let at_work = self.ids(|active| active.reservation.holder == Holder::Attempt);
        for id in at_work {
            let row = Arc::clone(&self.active[&id].reservation);
            self.save(&row);
        }
        Ok(())
    }

    fn sweep(&mut self, context: &Context<Message>) -> Result<(), StoreError> {
        self.forget_abandoned();
        let ended = self.look_at_jobs()?;
        self.end_all(&ended, ReservationStatus::Released);
        let live = self.shared.live.clone();
        let unused = self.ids(|active| {
            active.reservation.holder == Holder::Attempt && !live.has(&active.reservation.reservation_id)
        });
        self.end_all(&unused, ReservationStatus::Released);
        let now = Instant::now();
        let over = self.ids(|active| active.reservation.holder == Holder::Client && active.ends <= now);
        self.end_all(&over, ReservationStatus::Expired);
        self.prune(context)
    }

    /// Renews the leases of jobs at work, and gives the reservations whose jobs have ended.
    fn look_at_jobs(&mut self) -> Result<Vec<String>, StoreError> {
        let store = self.table.store().clone();
        store.read(|view| {
            let mut ended = Vec::new();
            for (id, active) in &mut self.active {
                let Ok(job_id) = JobId::new(active.reservation.job_id.as_str()) else { continue };
                if active.reservation.holder == Holder::Attempt {
                    continue;
                }
                match readers::job(view, &job_id)? {
                    Some(job) if job.state.is_terminal() => ended.push(id.clone()),
                    Some(_) => active.ends = lease_end(&active.reservation),
                    None => {}
                }
            }
            Ok(ended)
        })
    }

    /// Deletes the oldest of those that have ended, once there are too many.
    fn prune(&self, context: &Context<Message>) -> Result<(), StoreError> {
        let store = self.table.store().clone();
        let rows = store.read(|view| view.count(&RESERVATIONS))?;
        // Those that are held may be the oldest of all: it looks past them.
        let held = self.active.len();
        let excess = usize::try_from(rows).unwrap_or(usize::MAX).saturating_sub(held + KEPT_ENDED);
        if excess == 0 {
            return Ok(());
        }
        context.spawn(async move {
            let pruned = store.write_soft(move |view| {
                let oldest = view.range(
                    &RESERVATIONS,
                    &Span::all(),
                    Order::Ascending,
                    held + excess.min(PRUNED_AT_ONCE),
                )?;
                let ended = oldest.iter().filter(|(_, row)| row.status != ReservationStatus::Active);
                let changes = ended
                    .take(excess.min(PRUNED_AT_ONCE))
                    .fold(Changes::none(), |changes, (id, _)| changes.delete(&RESERVATIONS, id));
                Ok::<_, StoreError>((changes, ()))
            });
            if let Err(error) = pruned.await {
                tracing::warn!(%error, "old reservations could not be deleted; it will be tried again");
            }
        });
        Ok(())
    }
}

impl Shared {
    /// The ask that a row stands for, as granted.
    fn ask_of(&self, row: &Reservation) -> Ask {
        let agent = self.jobs.agents.roster().get(&row.agent);
        let capabilities = agent.map(|agent| agent.capabilities.as_slice()).unwrap_or_default();
        Ask {
            job_id: row.job_id.clone(),
            agent: row.agent.clone(),
            amounts: row.amounts,
            ports: row.ports.clone(),
            class: crate::domain::resources::Class::of(&row.agent, capabilities.iter().map(|c| c.as_str())),
            strict: true,
        }
    }
}

fn lease_end(reservation: &Reservation) -> Instant {
    Instant::now() + Duration::from_secs(reservation.lease_s)
}

impl Actor for State {
    type Message = Message;

    async fn handle(&mut self, message: Message, context: &Context<Message>) -> Result<(), ActorError> {
        match message {
            Message::Reserve(request, reply) => match self.table.check() {
                Ok(()) => self.reserve(request, reply, context),
                Err(error) => reply.send(Err(error.into())),
            },
            Message::Release(which, reply) => match self.table.check() {
                Ok(()) => self.release(which, reply),
                Err(error) => reply.send(Err(error.into())),
            },
            Message::Returned(id) => drop(self.end(&id, ReservationStatus::Released)),
            Message::Condemn(job_id, reply) => reply.send(self.condemn(&job_id)),
            Message::Kill(job_id, reply) => self.kill(&job_id, reply),
            Message::SetCapacity(resource, units, reply) => self.set_capacity(resource, units, reply),
            Message::TimeUp(id) => self.time_up(&id),
            Message::Flush => self.flush(context),
            Message::Committed(outcome) => self.committed(outcome, context).await?,
            Message::Reload => self.reload(context).await?,
            Message::Sweep => {
                if let Err(error) = self.sweep(context) {
                    tracing::warn!(%error, "reservations could not be looked over; it will be tried again");
                }
            }
        }
        self.advance();
        self.ask_for_flush(context);
        Ok(())
    }
}

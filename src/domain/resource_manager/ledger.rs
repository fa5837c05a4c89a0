//! The ledger of reservations and the queue of waiting requests.
//!
//! Invariants:
//! - A grant never makes `allocated` exceed the capacity, and no port is reserved twice, in any order of
//!   requests, releases and changes of capacity.
//! - A later request never delays a waiting one: amounts are set aside (`reserved`) for the waiting request,
//!   kind
//!   by kind, so a request for other kinds passes and one for the same kinds does not. No request starves.
//! - A waiting request has no resources, so waiting cannot deadlock.
//! - Capacity may be lowered below the allocation: nothing is revoked, and nothing of that kind is granted
//!   until the allocation fits again.

use std::collections::{BTreeSet, HashMap, VecDeque};

use serde::Serialize;

use super::{ClassLimits, ResourceAmounts, ResourceClass, ResourceKind, ResourceRequest};

/// Why a request is not granted now.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ResourceDenial {
    /// More than the total capacity: waiting cannot help.
    #[error("{} {asked} requested, but the capacity is {capacity}", .resource.as_str())]
    TooMuch {
        resource: ResourceKind,
        asked: f64,
        /// Total capacity.
        capacity: f64,
    },
    /// More than is free and not set aside for waiting requests.
    #[error("{} {asked} requested, but only {available} of {capacity} available", .resource.as_str())]
    Short {
        resource: ResourceKind,
        asked: f64,
        /// Neither allocated nor set aside.
        available: f64,
        /// Total capacity.
        capacity: f64,
    },
    /// The port is reserved.
    #[error("port {port} is reserved by job `{job_id}`")]
    PortTaken { port: u16, job_id: String },
    /// An earlier request waits for the port.
    #[error("another job is waiting for port {0}")]
    PortAwaited(u16),
    /// The class's limit is reached by reservations and earlier requests.
    #[error("at most {limit} {} at a time, and that many are at work or waiting", .class.as_str())]
    ClassFull { class: ResourceClass, limit: u32 },
}

impl ResourceDenial {
    /// Whether no release can help.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::TooMuch { .. })
    }
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum ResourceVerdict {
    /// Granted, with the amounts.
    Granted(ResourceAmounts),
    /// Queued, with the reason; [`ResourceLedger::advance`] grants the request in turn.
    Waits(ResourceDenial),
    Denied(ResourceDenial),
}

/// The effect of a change on a waiting request, by the request's id.
#[derive(Debug, Clone, PartialEq)]
pub enum QueueAdvance {
    /// Granted now, with the amounts.
    Granted(String, ResourceAmounts),
    /// No longer grantable, as the capacity was lowered.
    Denied(String, ResourceDenial),
}

/// One kind's figures; `available = total - allocated - reserved`, never below zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuotaFigures {
    /// Total capacity.
    pub total: f64,
    pub allocated: f64,
    /// Set aside for waiting requests.
    pub reserved: f64,
    /// Available.
    pub available: f64,
}

impl QuotaFigures {
    /// The allocated share; above 1 after the capacity was lowered, 0 without any capacity.
    #[must_use]
    pub fn utilization(&self) -> f64 {
        if self.total > 0.0 { self.allocated / self.total } else { 0.0 }
    }
}

/// All figures at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ResourceQuotas {
    /// Total capacity.
    pub total: ResourceAmounts,
    pub allocated: ResourceAmounts,
    /// Set aside for waiting requests.
    pub reserved: ResourceAmounts,
    /// Available.
    pub available: ResourceAmounts,
}

impl ResourceQuotas {
    /// The figures of one kind.
    #[must_use]
    pub fn of(&self, resource: ResourceKind) -> QuotaFigures {
        let number = |amounts: &ResourceAmounts| resource.number(amounts.of(resource));
        QuotaFigures {
            total: number(&self.total),
            allocated: number(&self.allocated),
            reserved: number(&self.reserved),
            available: number(&self.available),
        }
    }
}

/// Amounts set aside for waiting requests.
#[derive(Debug, Default)]
struct QueuedDemand {
    amounts: ResourceAmounts,
    ports: BTreeSet<u16>,
    in_class: [u32; 2],
}

/// The books of one machine.
#[derive(Debug)]
pub struct ResourceLedger {
    capacity: ResourceAmounts,
    limits: ClassLimits,
    reservations: HashMap<String, ResourceRequest>,
    allocated: ResourceAmounts,
    /// Port → the job with the reservation.
    ports: HashMap<u16, String>,
    in_class: [u32; 2],
    queue: VecDeque<(String, ResourceRequest)>,
}

impl ResourceLedger {
    /// An empty ledger.
    #[must_use]
    pub fn new(capacity: ResourceAmounts, limits: ClassLimits) -> Self {
        Self {
            capacity,
            limits,
            reservations: HashMap::new(),
            allocated: ResourceAmounts::NONE,
            ports: HashMap::new(),
            in_class: [0; 2],
            queue: VecDeque::new(),
        }
    }

    /// Decides on a request with a new id. The request ranks behind waiting ones for the same kinds.
    pub fn ask(&mut self, id: String, ask: ResourceRequest, may_wait: bool) -> ResourceVerdict {
        match self.check(&ask, &self.claims()) {
            Ok(amounts) => {
                self.restore(id, ResourceRequest { amounts, ..ask });
                ResourceVerdict::Granted(amounts)
            }
            Err(denial) if may_wait && !denial.is_final() => {
                self.queue.push_back((id, ask));
                ResourceVerdict::Waits(denial)
            }
            Err(denial) => ResourceVerdict::Denied(denial),
        }
    }

    /// Restores an earlier reservation, even beyond the capacity, as it fitted when granted.
    pub fn restore(&mut self, id: String, ask: ResourceRequest) {
        self.allocated = self.allocated.plus(&ask.amounts);
        self.ports.extend(ask.ports.iter().map(|port| (*port, ask.job_id.clone())));
        if let Some(class) = ask.class {
            self.in_class[class.index()] += 1;
        }
        self.reservations.insert(id, ask);
    }

    /// Releases a reservation. Call [`ResourceLedger::advance`] for the waiting requests.
    pub fn release(&mut self, id: &str) -> bool {
        let Some(ask) = self.reservations.remove(id) else { return false };
        self.allocated = self.allocated.minus(&ask.amounts);
        for port in &ask.ports {
            self.ports.remove(port);
        }
        if let Some(class) = ask.class {
            self.in_class[class.index()] -= 1;
        }
        true
    }

    /// Removes abandoned requests from the queue. Call [`ResourceLedger::advance`] for those behind them.
    pub fn leave(&mut self, mut has_left: impl FnMut(&str) -> bool) -> bool {
        let before = self.queue.len();
        self.queue.retain(|(id, _)| !has_left(id));
        self.queue.len() < before
    }

    /// Grants waiting requests that fit now, first come first served.
    pub fn advance(&mut self) -> Vec<QueueAdvance> {
        let mut advances = Vec::new();
        let mut ahead = QueuedDemand::default();
        for (id, ask) in std::mem::take(&mut self.queue) {
            match self.check(&ask, &ahead) {
                Ok(amounts) => {
                    self.restore(id.clone(), ResourceRequest { amounts, ..ask });
                    advances.push(QueueAdvance::Granted(id, amounts));
                }
                Err(denial) if denial.is_final() => advances.push(QueueAdvance::Denied(id, denial)),
                Err(_) => {
                    self.claim(&ask, &mut ahead);
                    self.queue.push_back((id, ask));
                }
            }
        }
        advances
    }

    /// Changes the capacity of one kind, in units of that kind. Call [`ResourceLedger::advance`] for the
    /// waiting requests.
    pub fn set_capacity(&mut self, resource: ResourceKind, units: u64) {
        self.capacity = self.capacity.with(resource, units);
    }

    #[must_use]
    pub fn quotas(&self) -> ResourceQuotas {
        let free = self.capacity.minus(&self.allocated);
        let reserved = self.claims().amounts.at_most(&free);
        ResourceQuotas {
            total: self.capacity,
            allocated: self.allocated,
            reserved,
            available: free.minus(&reserved),
        }
    }

    #[must_use]
    pub fn reservation_count(&self) -> usize {
        self.reservations.len()
    }

    /// The reservations by id.
    pub fn reservations(&self) -> impl Iterator<Item = (&str, &ResourceRequest)> {
        self.reservations.iter().map(|(id, ask)| (id.as_str(), ask))
    }

    /// The number of waiting requests.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The amounts a request needs on this machine.
    fn need(&self, ask: &ResourceRequest) -> ResourceAmounts {
        if ask.strict {
            ask.amounts
        } else {
            ask.amounts.at_most(&self.capacity.at_least(&ResourceAmounts::ONE))
        }
    }

    fn class_denial(&self, ask: &ResourceRequest, ahead: &QueuedDemand) -> Option<ResourceDenial> {
        let class = ask.class?;
        let (at, limit) = (class.index(), self.limits.of(class));
        (self.in_class[at] + ahead.in_class[at] >= limit)
            .then_some(ResourceDenial::ClassFull { class, limit })
    }

    fn port_denial(&self, ask: &ResourceRequest, ahead: &QueuedDemand) -> Option<ResourceDenial> {
        ask.ports.iter().find_map(|port| match self.ports.get(port) {
            Some(job_id) => Some(ResourceDenial::PortTaken { port: *port, job_id: job_id.clone() }),
            None => ahead.ports.contains(port).then_some(ResourceDenial::PortAwaited(*port)),
        })
    }

    /// The amounts a request would be granted, behind the requests in `ahead`.
    fn check(&self, ask: &ResourceRequest, ahead: &QueuedDemand) -> Result<ResourceAmounts, ResourceDenial> {
        let need = self.need(ask);
        if let Some(resource) = need.exceeds(&self.capacity).filter(|_| ask.strict) {
            let number = |amounts: &ResourceAmounts| resource.number(amounts.of(resource));
            return Err(ResourceDenial::TooMuch {
                resource,
                asked: number(&need),
                capacity: number(&self.capacity),
            });
        }
        if let Some(denial) = self.class_denial(ask, ahead).or_else(|| self.port_denial(ask, ahead)) {
            return Err(denial);
        }
        let available = self.capacity.minus(&self.allocated).minus(&ahead.amounts);
        match need.exceeds(&available) {
            None => Ok(need),
            Some(resource) => {
                let number = |amounts: &ResourceAmounts| resource.number(amounts.of(resource));
                let (asked, available) = (number(&need), number(&available));
                Err(ResourceDenial::Short { resource, asked, available, capacity: number(&self.capacity) })
            }
        }
    }

    /// Sets aside the amounts of a waiting request. A request that waits for a class or a port needs no
    /// amounts yet, and no later request can overtake it; one that no release could satisfy gets nothing set
    /// aside.
    fn claim(&self, ask: &ResourceRequest, ahead: &mut QueuedDemand) {
        let need = self.need(ask);
        if need.exceeds(&self.capacity).is_some() {
            return;
        }
        let wants_amounts = self.class_denial(ask, ahead).or_else(|| self.port_denial(ask, ahead)).is_none();
        if wants_amounts {
            ahead.amounts = ahead.amounts.plus(&need);
        }
        ahead.ports.extend(&ask.ports);
        if let Some(class) = ask.class {
            ahead.in_class[class.index()] += 1;
        }
    }

    fn claims(&self) -> QueuedDemand {
        let mut claims = QueuedDemand::default();
        for (_, ask) in &self.queue {
            self.claim(ask, &mut claims);
        }
        claims
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource_manager::MilliCores;
    use crate::resource_manager::properties::{ask, ledger};

    fn granted(verdict: &ResourceVerdict) -> bool {
        matches!(verdict, ResourceVerdict::Granted(_))
    }

    #[test]
    fn what_is_held_is_missing_until_it_is_released() {
        let mut ledger = ledger(4);
        assert!(granted(&ledger.ask("a".into(), ask(3), false)));
        let short = ledger.ask("b".into(), ask(2), false);
        let ResourceVerdict::Denied(denial) = short else { panic!("{short:?}") };
        assert_eq!(denial.to_string(), "cpu 2 requested, but only 1 of 4 available");
        assert_eq!(ledger.quotas().allocated.cpu, MilliCores::whole(3));
        assert!(ledger.release("a") && !ledger.release("a"));
        assert_eq!(ledger.quotas().available, ledger.quotas().total);
        let much = ledger.ask("c".into(), ask(100), true);
        let ResourceVerdict::Denied(denial) = much else { panic!("waiting cannot help: {much:?}") };
        assert_eq!(denial.to_string(), "cpu 100 requested, but the capacity is 4");
    }

    #[test]
    fn who_comes_later_passes_only_with_what_nobody_waits_for() {
        let mut ledger = ledger(4);
        ledger.ask("a".into(), ask(2), false);
        assert!(matches!(
            ledger.ask("b".into(), ask(3), true),
            ResourceVerdict::Waits(ResourceDenial::Short { .. })
        ));
        let quotas = ledger.quotas();
        assert_eq!(
            (quotas.reserved.cpu, quotas.available.cpu),
            (MilliCores::whole(2), MilliCores::default())
        );
        assert!(!granted(&ledger.ask("c".into(), ask(1), false)), "it would delay b");
        let other =
            ResourceRequest { amounts: ResourceAmounts { gpu: 1, ..ResourceAmounts::NONE }, ..ask(0) };
        assert!(granted(&ledger.ask("d".into(), other, false)), "b needs no gpu");
        ledger.release("a");
        assert_eq!(ledger.advance(), [QueueAdvance::Granted("b".into(), ask(3).amounts)]);
        assert!(granted(&ledger.ask("e".into(), ask(1), false)));
    }

    #[test]
    fn ports_are_held_once() {
        let mut ledger = ledger(4);
        let with_port = |port| ResourceRequest { ports: BTreeSet::from([port]), ..ask(0) };
        ledger.ask("a".into(), with_port(8080), false);
        let taken = ledger.ask("b".into(), with_port(8080), false);
        let ResourceVerdict::Denied(denial) = taken else { panic!("{taken:?}") };
        assert_eq!(denial.to_string(), "port 8080 is reserved by job `job`");
        ledger.ask("c".into(), with_port(8080), true);
        ledger.release("a");
        assert_eq!(
            ledger.ask("d".into(), with_port(8080), false),
            ResourceVerdict::Denied(ResourceDenial::PortAwaited(8080))
        );
        assert_eq!(ledger.advance(), [QueueAdvance::Granted("c".into(), ResourceAmounts::NONE)]);
    }

    #[test]
    fn a_class_is_limited_by_heads_and_who_waits_for_one_holds_up_nobody_else() {
        let mut ledger = ledger(4);
        let trainer = || ResourceRequest { class: Some(ResourceClass::Trainer), ..ask(2) };
        assert!(granted(&ledger.ask("a".into(), trainer(), false)));
        let full = ledger.ask("b".into(), trainer(), true);
        assert_eq!(
            full,
            ResourceVerdict::Waits(ResourceDenial::ClassFull { class: ResourceClass::Trainer, limit: 1 })
        );
        assert!(granted(&ledger.ask("c".into(), ask(2), false)), "b cannot use the cores yet");
        ledger.release("a");
        ledger.leave(|id| id == "nobody");
        assert_eq!(ledger.advance(), [QueueAdvance::Granted("b".into(), ask(2).amounts)]);
    }

    #[test]
    fn lowered_capacity_revokes_nothing_and_ends_hopeless_waits() {
        let mut ledger = ledger(4);
        ledger.ask("a".into(), ask(4), false);
        ledger.ask("b".into(), ask(3), true);
        ledger.ask("modest".into(), ResourceRequest { strict: false, ..ask(3) }, true);
        ledger.set_capacity(ResourceKind::Cpu, MilliCores::whole(2).millis());
        let denied = ledger.advance();
        assert!(
            matches!(&*denied, [QueueAdvance::Denied(id, ResourceDenial::TooMuch { .. })] if id == "b"),
            "{denied:?}"
        );
        let quota = ledger.quotas().of(ResourceKind::Cpu);
        assert_eq!((quota.total, quota.allocated, quota.available), (2.0, 4.0, 0.0));
        assert!((quota.utilization() - 2.0).abs() < f64::EPSILON);
        ledger.release("a");
        assert_eq!(ledger.advance(), [QueueAdvance::Granted("modest".into(), ask(2).amounts)]);
    }

    #[test]
    fn nothing_is_owed_to_one_who_cannot_be_served() {
        let mut ledger = ledger(4);
        ledger.set_capacity(ResourceKind::Cpu, 0);
        let modest = ResourceRequest {
            strict: false,
            amounts: ResourceAmounts { mem_mb: 5, ..ask(1).amounts },
            ..ask(0)
        };
        assert!(matches!(
            ledger.ask("a".into(), modest, true),
            ResourceVerdict::Waits(ResourceDenial::Short { .. })
        ));
        assert_eq!(ledger.quotas().reserved, ResourceAmounts::NONE);
        ledger.set_capacity(ResourceKind::Cpu, MilliCores::whole(1).millis());
        assert_eq!(ledger.advance().len(), 1, "raised again, it is served");
    }
}

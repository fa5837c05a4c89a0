//! Who holds what, who waits, and who is next.
//!
//! Invariants:
//! - What is granted never makes `allocated` exceed the capacity, and no port is held twice, in whatever
//!   order asks, releases and changes of capacity come.
//! - Nobody who comes later delays one who waits: what waits is set aside (`reserved`) for it, kind by
//!   kind, so who needs other things passes and who needs the same does not. Nobody starves.
//! - A waiting ask holds nothing, so waiting cannot deadlock.
//! - Capacity may be lowered below what is allocated: nothing is revoked, nothing of that kind is granted
//!   until it fits again.

use std::collections::{BTreeSet, HashMap, VecDeque};

use serde::Serialize;

use super::{Amounts, Ask, Class, ClassLimits, Resource};

/// Why an ask is not granted now.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Denial {
    /// More than there is in all: waiting cannot help.
    #[error("{} {asked} was asked for, and there are {capacity} in all", .resource.as_str())]
    TooMuch {
        resource: Resource,
        asked: f64,
        /// How much there is.
        capacity: f64,
    },
    /// More than is free, or than is not set aside for those who wait.
    #[error("{} {asked} was asked for, and {available} of {capacity} are available", .resource.as_str())]
    Short {
        resource: Resource,
        asked: f64,
        /// How much is neither allocated nor set aside.
        available: f64,
        /// How much there is.
        capacity: f64,
    },
    /// Somebody has the port.
    #[error("port {port} is reserved by job `{job_id}`")]
    PortTaken { port: u16, job_id: String },
    /// Somebody who came before waits for the port.
    #[error("port {0} is waited for by another job")]
    PortAwaited(u16),
    /// As many of its class are at work, or before it, as may be.
    #[error("{limit} {} at a time, and that many are at work or waiting", .class.as_str())]
    ClassFull { class: Class, limit: u32 },
}

impl Denial {
    /// Whether no release can change it.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::TooMuch { .. })
    }
}

/// The answer to an ask.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It holds so much.
    Granted(Amounts),
    /// It stands in the queue; [`Ledger::advance`] tells when its turn has come. Why it waits.
    Waits(Denial),
    Denied(Denial),
}

/// What a change meant for one who waited, by the id of the ask.
#[derive(Debug, Clone, PartialEq)]
pub enum Advance {
    /// It holds so much now.
    Granted(String, Amounts),
    /// It can never be granted any more: the capacity was lowered.
    Denied(String, Denial),
}

/// One kind's figures; `available = total - allocated - reserved`, never below zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    /// How much there is.
    pub total: f64,
    /// How much is held.
    pub allocated: f64,
    /// How much of the rest is set aside for those who wait.
    pub reserved: f64,
    /// How much is left.
    pub available: f64,
}

impl Quota {
    /// The part that is held; above 1 after the capacity was lowered, 0 where there is nothing.
    #[must_use]
    pub fn utilization(&self) -> f64 {
        if self.total > 0.0 { self.allocated / self.total } else { 0.0 }
    }
}

/// All figures at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Quotas {
    /// How much there is.
    pub total: Amounts,
    /// How much is held.
    pub allocated: Amounts,
    /// How much of the rest is set aside for those who wait.
    pub reserved: Amounts,
    /// How much is left.
    pub available: Amounts,
}

impl Quotas {
    /// The figures of one kind.
    #[must_use]
    pub fn of(&self, resource: Resource) -> Quota {
        let number = |amounts: &Amounts| resource.number(amounts.of(resource));
        Quota {
            total: number(&self.total),
            allocated: number(&self.allocated),
            reserved: number(&self.reserved),
            available: number(&self.available),
        }
    }
}

/// What is set aside for asks that wait.
#[derive(Debug, Default)]
struct Claims {
    amounts: Amounts,
    ports: BTreeSet<u16>,
    in_class: [u32; 2],
}

/// The books of one machine.
#[derive(Debug)]
pub struct Ledger {
    capacity: Amounts,
    limits: ClassLimits,
    held: HashMap<String, Ask>,
    allocated: Amounts,
    /// Port → the job that holds it.
    ports: HashMap<u16, String>,
    in_class: [u32; 2],
    queue: VecDeque<(String, Ask)>,
}

impl Ledger {
    /// Books in which nothing is held.
    #[must_use]
    pub fn new(capacity: Amounts, limits: ClassLimits) -> Self {
        Self {
            capacity,
            limits,
            held: HashMap::new(),
            allocated: Amounts::NONE,
            ports: HashMap::new(),
            in_class: [0; 2],
            queue: VecDeque::new(),
        }
    }

    /// Decides about an ask, under an id that is new. Behind those who wait already, where it competes
    /// with them.
    pub fn ask(&mut self, id: String, ask: Ask, may_wait: bool) -> Verdict {
        match self.check(&ask, &self.claims()) {
            Ok(amounts) => {
                self.hold(id, Ask { amounts, ..ask });
                Verdict::Granted(amounts)
            }
            Err(denial) if may_wait && !denial.is_final() => {
                self.queue.push_back((id, ask));
                Verdict::Waits(denial)
            }
            Err(denial) => Verdict::Denied(denial),
        }
    }

    /// Notes what is held from before, whether it fits or not: it was granted when it did.
    pub fn hold(&mut self, id: String, ask: Ask) {
        self.allocated = self.allocated.plus(&ask.amounts);
        self.ports.extend(ask.ports.iter().map(|port| (*port, ask.job_id.clone())));
        if let Some(class) = ask.class {
            self.in_class[class.index()] += 1;
        }
        self.held.insert(id, ask);
    }

    /// Takes back what is held under an id. Those who wait advance by [`Ledger::advance`].
    pub fn release(&mut self, id: &str) -> bool {
        let Some(ask) = self.held.remove(id) else { return false };
        self.allocated = self.allocated.minus(&ask.amounts);
        for port in &ask.ports {
            self.ports.remove(port);
        }
        if let Some(class) = ask.class {
            self.in_class[class.index()] -= 1;
        }
        true
    }

    /// Takes those out of the queue who wait no longer. Those behind them advance by [`Ledger::advance`].
    pub fn leave(&mut self, mut has_left: impl FnMut(&str) -> bool) -> bool {
        let before = self.queue.len();
        self.queue.retain(|(id, _)| !has_left(id));
        self.queue.len() < before
    }

    /// Grants to those who wait whatever can be granted now, first come first.
    pub fn advance(&mut self) -> Vec<Advance> {
        let mut advances = Vec::new();
        let mut ahead = Claims::default();
        for (id, ask) in std::mem::take(&mut self.queue) {
            match self.check(&ask, &ahead) {
                Ok(amounts) => {
                    self.hold(id.clone(), Ask { amounts, ..ask });
                    advances.push(Advance::Granted(id, amounts));
                }
                Err(denial) if denial.is_final() => advances.push(Advance::Denied(id, denial)),
                Err(_) => {
                    self.claim(&ask, &mut ahead);
                    self.queue.push_back((id, ask));
                }
            }
        }
        advances
    }

    /// Changes how much there is of one kind, in its units. Those who wait advance by [`Ledger::advance`].
    pub fn set_capacity(&mut self, resource: Resource, units: u64) {
        self.capacity = self.capacity.with(resource, units);
    }

    #[must_use]
    pub fn quotas(&self) -> Quotas {
        let free = self.capacity.minus(&self.allocated);
        let reserved = self.claims().amounts.at_most(&free);
        Quotas { total: self.capacity, allocated: self.allocated, reserved, available: free.minus(&reserved) }
    }

    /// How many reservations are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// What is held, by id.
    pub fn holders(&self) -> impl Iterator<Item = (&str, &Ask)> {
        self.held.iter().map(|(id, ask)| (id.as_str(), ask))
    }

    /// How many asks wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// How much an ask needs on this machine.
    fn need(&self, ask: &Ask) -> Amounts {
        if ask.strict { ask.amounts } else { ask.amounts.at_most(&self.capacity.at_least(&Amounts::ONE)) }
    }

    fn class_denial(&self, ask: &Ask, ahead: &Claims) -> Option<Denial> {
        let class = ask.class?;
        let (at, limit) = (class.index(), self.limits.of(class));
        (self.in_class[at] + ahead.in_class[at] >= limit).then_some(Denial::ClassFull { class, limit })
    }

    fn port_denial(&self, ask: &Ask, ahead: &Claims) -> Option<Denial> {
        ask.ports.iter().find_map(|port| match self.ports.get(port) {
            Some(job_id) => Some(Denial::PortTaken { port: *port, job_id: job_id.clone() }),
            None => ahead.ports.contains(port).then_some(Denial::PortAwaited(*port)),
        })
    }

    /// What an ask would be granted, behind those ahead of it.
    fn check(&self, ask: &Ask, ahead: &Claims) -> Result<Amounts, Denial> {
        let need = self.need(ask);
        if let Some(resource) = need.exceeds(&self.capacity).filter(|_| ask.strict) {
            let number = |amounts: &Amounts| resource.number(amounts.of(resource));
            return Err(Denial::TooMuch { resource, asked: number(&need), capacity: number(&self.capacity) });
        }
        if let Some(denial) = self.class_denial(ask, ahead).or_else(|| self.port_denial(ask, ahead)) {
            return Err(denial);
        }
        let available = self.capacity.minus(&self.allocated).minus(&ahead.amounts);
        match need.exceeds(&available) {
            None => Ok(need),
            Some(resource) => {
                let number = |amounts: &Amounts| resource.number(amounts.of(resource));
                let (asked, available) = (number(&need), number(&available));
                Err(Denial::Short { resource, asked, available, capacity: number(&self.capacity) })
            }
        }
    }

    /// Sets aside what a waiting ask needs. One that waits for its class or a port needs no amounts yet, and
    /// nobody behind it can take that place; one that no release could satisfy is owed nothing.
    fn claim(&self, ask: &Ask, ahead: &mut Claims) {
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

    fn claims(&self) -> Claims {
        let mut claims = Claims::default();
        for (_, ask) in &self.queue {
            self.claim(ask, &mut claims);
        }
        claims
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::resources::Cores;
    use crate::domain::resources::properties::{ask, ledger};

    fn granted(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Granted(_))
    }

    #[test]
    fn what_is_held_is_missing_until_it_is_released() {
        let mut ledger = ledger(4);
        assert!(granted(&ledger.ask("a".into(), ask(3), false)));
        let short = ledger.ask("b".into(), ask(2), false);
        let Verdict::Denied(denial) = short else { panic!("{short:?}") };
        assert_eq!(denial.to_string(), "cpu 2 was asked for, and 1 of 4 are available");
        assert_eq!(ledger.quotas().allocated.cpu, Cores::whole(3));
        assert!(ledger.release("a") && !ledger.release("a"));
        assert_eq!(ledger.quotas().available, ledger.quotas().total);
        let much = ledger.ask("c".into(), ask(100), true);
        let Verdict::Denied(denial) = much else { panic!("waiting cannot help: {much:?}") };
        assert_eq!(denial.to_string(), "cpu 100 was asked for, and there are 4 in all");
    }

    #[test]
    fn who_comes_later_passes_only_with_what_nobody_waits_for() {
        let mut ledger = ledger(4);
        ledger.ask("a".into(), ask(2), false);
        assert!(matches!(ledger.ask("b".into(), ask(3), true), Verdict::Waits(Denial::Short { .. })));
        let quotas = ledger.quotas();
        assert_eq!((quotas.reserved.cpu, quotas.available.cpu), (Cores::whole(2), Cores::default()));
        assert!(!granted(&ledger.ask("c".into(), ask(1), false)), "it would delay b");
        let other = Ask { amounts: Amounts { gpu: 1, ..Amounts::NONE }, ..ask(0) };
        assert!(granted(&ledger.ask("d".into(), other, false)), "b needs no gpu");
        ledger.release("a");
        assert_eq!(ledger.advance(), [Advance::Granted("b".into(), ask(3).amounts)]);
        assert!(granted(&ledger.ask("e".into(), ask(1), false)));
    }

    #[test]
    fn ports_are_held_once() {
        let mut ledger = ledger(4);
        let with_port = |port| Ask { ports: BTreeSet::from([port]), ..ask(0) };
        ledger.ask("a".into(), with_port(8080), false);
        let taken = ledger.ask("b".into(), with_port(8080), false);
        let Verdict::Denied(denial) = taken else { panic!("{taken:?}") };
        assert_eq!(denial.to_string(), "port 8080 is reserved by job `job`");
        ledger.ask("c".into(), with_port(8080), true);
        ledger.release("a");
        assert_eq!(
            ledger.ask("d".into(), with_port(8080), false),
            Verdict::Denied(Denial::PortAwaited(8080))
        );
        assert_eq!(ledger.advance(), [Advance::Granted("c".into(), Amounts::NONE)]);
    }

    #[test]
    fn a_class_is_limited_by_heads_and_who_waits_for_one_holds_up_nobody_else() {
        let mut ledger = ledger(4);
        let trainer = || Ask { class: Some(Class::Trainer), ..ask(2) };
        assert!(granted(&ledger.ask("a".into(), trainer(), false)));
        let full = ledger.ask("b".into(), trainer(), true);
        assert_eq!(full, Verdict::Waits(Denial::ClassFull { class: Class::Trainer, limit: 1 }));
        assert!(granted(&ledger.ask("c".into(), ask(2), false)), "b cannot use the cores yet");
        ledger.release("a");
        ledger.leave(|id| id == "nobody");
        assert_eq!(ledger.advance(), [Advance::Granted("b".into(), ask(2).amounts)]);
    }

    #[test]
    fn lowered_capacity_revokes_nothing_and_ends_hopeless_waits() {
        let mut ledger = ledger(4);
        ledger.ask("a".into(), ask(4), false);
        ledger.ask("b".into(), ask(3), true);
        ledger.ask("modest".into(), Ask { strict: false, ..ask(3) }, true);
        ledger.set_capacity(Resource::Cpu, Cores::whole(2).millis());
        let denied = ledger.advance();
        assert!(matches!(&*denied, [Advance::Denied(id, Denial::TooMuch { .. })] if id == "b"), "{denied:?}");
        let quota = ledger.quotas().of(Resource::Cpu);
        assert_eq!((quota.total, quota.allocated, quota.available), (2.0, 4.0, 0.0));
        assert!((quota.utilization() - 2.0).abs() < f64::EPSILON);
        ledger.release("a");
        assert_eq!(ledger.advance(), [Advance::Granted("modest".into(), ask(2).amounts)]);
    }

    #[test]
    fn nothing_is_owed_to_one_who_cannot_be_served() {
        let mut ledger = ledger(4);
        ledger.set_capacity(Resource::Cpu, 0);
        let modest = Ask { strict: false, amounts: Amounts { mem_mb: 5, ..ask(1).amounts }, ..ask(0) };
        assert!(matches!(ledger.ask("a".into(), modest, true), Verdict::Waits(Denial::Short { .. })));
        assert_eq!(ledger.quotas().reserved, Amounts::NONE);
        ledger.set_capacity(Resource::Cpu, Cores::whole(1).millis());
        assert_eq!(ledger.advance().len(), 1, "raised again, it is served");
    }
}

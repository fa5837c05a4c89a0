//! Laws of the ledger under any order of requests, releases, departures and changes of capacity.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;

/// A ledger with this many cores, 10 MB and one accelerator; one trainer, two embedders.
pub(super) fn ledger(cores: u64) -> ResourceLedger {
    let capacity = ResourceAmounts { cpu: MilliCores::whole(cores), mem_mb: 10, gpu: 1, gpu_mem_mb: 0 };
    ResourceLedger::new(capacity, limits())
}

fn limits() -> ClassLimits {
    ClassLimits { trainers: NonZeroU32::MIN, embedders: NonZeroU32::MIN.saturating_add(1) }
}

/// A strict request for whole cores.
pub(super) fn ask(cores: u64) -> ResourceRequest {
    ResourceRequest {
        job_id: "job".into(),
        agent: "agent".into(),
        amounts: ResourceAmounts { cpu: MilliCores::whole(cores), ..ResourceAmounts::NONE },
        ports: BTreeSet::new(),
        class: None,
        strict: true,
    }
}

#[derive(Debug, Clone)]
enum ResourceAct {
    Ask(ResourceRequest, bool),
    /// The n-th reservation.
    Release(usize),
    /// The n-th waiting request.
    Leave(usize),
    Capacity(ResourceKind, u64),
}

fn asks() -> impl Strategy<Value = ResourceRequest> {
    let class = prop_oneof![4 => Just(None), 1 => Just(Some(ResourceClass::Trainer)), 1 => Just(Some(ResourceClass::Embedder))];
    let ports = prop::collection::btree_set(1_u16..4, 0..2);
    (0_u64..6, 0_u64..12, 0_u64..2, ports, class, any::<bool>()).prop_map(
        |(cores, mem_mb, gpu, ports, class, strict)| ResourceRequest {
            amounts: ResourceAmounts { mem_mb, gpu, ..ask(cores).amounts },
            ports,
            class,
            strict,
            ..ask(0)
        },
    )
}

fn acts() -> impl Strategy<Value = Vec<ResourceAct>> {
    let capacity = (prop::sample::select(&ResourceKind::ALL[..]), 0_u64..6_000);
    let act = prop_oneof![
        6 => (asks(), prop::bool::weighted(0.8)).prop_map(|(ask, waits)| ResourceAct::Ask(ask, waits)),
        5 => any::<prop::sample::Index>().prop_map(|at| ResourceAct::Release(at.index(1_000))),
        1 => any::<prop::sample::Index>().prop_map(|at| ResourceAct::Leave(at.index(1_000))),
        1 => capacity.prop_map(|(resource, units)| ResourceAct::Capacity(resource, units)),
    ];
    prop::collection::vec(act, 1..60)
}

/// The ledger beside the simplest model: reservations, and the queue.
struct LedgerTwin {
    ledger: ResourceLedger,
    capacity: ResourceAmounts,
    held: BTreeMap<String, ResourceRequest>,
    queue: Vec<(String, ResourceRequest)>,
    next: usize,
}

impl LedgerTwin {
    fn new() -> Self {
        let ledger = ledger(4);
        let capacity = ledger.quotas().total;
        Self { ledger, capacity, held: BTreeMap::new(), queue: Vec::new(), next: 0 }
    }

    fn act(&mut self, act: ResourceAct) {
        match act {
            ResourceAct::Ask(ask, waits) => {
                let id = self.next.to_string();
                self.next += 1;
                match self.ledger.ask(id.clone(), ask.clone(), waits) {
                    ResourceVerdict::Granted(amounts) => self.granted(id, amounts, &ask),
                    ResourceVerdict::Waits(_) => self.queue.push((id, ask)),
                    ResourceVerdict::Denied(_) => {}
                }
            }
            ResourceAct::Release(at) if !self.held.is_empty() => {
                let id = self.held.keys().nth(at % self.held.len()).unwrap().clone();
                self.held.remove(&id);
                assert!(self.ledger.release(&id));
            }
            ResourceAct::Leave(at) if !self.queue.is_empty() => {
                let (gone, _) = self.queue.remove(at % self.queue.len());
                assert!(self.ledger.leave(|id| id == gone));
            }
            ResourceAct::Capacity(resource, units) => {
                self.capacity = self.capacity.with(resource, units);
                self.ledger.set_capacity(resource, units);
            }
            ResourceAct::Release(_) | ResourceAct::Leave(_) => {}
        }
        for advance in self.ledger.advance() {
            let (QueueAdvance::Granted(id, _) | QueueAdvance::Denied(id, _)) = &advance;
            let at = self.queue.iter().position(|(waiting, _)| waiting == id).unwrap();
            let (id, ask) = self.queue.remove(at);
            if let QueueAdvance::Granted(_, amounts) = advance {
                self.granted(id, amounts, &ask);
            }
        }
        self.check();
    }

    /// A grant is complete, fits, and takes nothing that earlier requests need.
    fn granted(&mut self, id: String, amounts: ResourceAmounts, ask: &ResourceRequest) {
        let number = |id: &str| id.parse::<usize>().unwrap();
        assert!(!ask.strict || amounts == ask.amounts, "all or nothing");
        let free_before = self.capacity.minus(&self.allocated());
        assert_eq!(amounts.exceeds(&free_before), None, "over-granted");
        for holder in self.held.values() {
            assert!(holder.ports.is_disjoint(&ask.ports), "a port is held twice");
        }
        let free_after = free_before.minus(&amounts);
        for (ahead, waiting) in self.queue.iter().filter(|(ahead, _)| number(ahead) < number(&id)) {
            let same_class = waiting.class.is_some() && waiting.class == ask.class;
            let waits_for_amounts = waiting.class.is_none() && waiting.ports.is_empty();
            let one = self.capacity.at_least(&ResourceAmounts::ONE);
            let need = if waiting.strict { waiting.amounts } else { waiting.amounts.at_most(&one) };
            if need.exceeds(&self.capacity).is_some() {
                // A request that cannot be served gets nothing set aside.
                continue;
            }
            assert!(waiting.ports.is_disjoint(&ask.ports), "{id} took a port before {ahead}");
            assert!(!(same_class && self.class_is_full(waiting)), "{id} overtook {ahead} in class");
            if waits_for_amounts {
                let lack = |free: &ResourceAmounts| need.minus(free);
                assert_eq!(lack(&free_before), lack(&free_after), "{id} delays {ahead}");
            }
        }
        self.held.insert(id, ResourceRequest { amounts, ..ask.clone() });
    }

    fn class_is_full(&self, ask: &ResourceRequest) -> bool {
        let class = ask.class.unwrap();
        self.held.values().filter(|held| held.class == Some(class)).count() >= limits().of(class) as usize
    }

    fn allocated(&self) -> ResourceAmounts {
        self.held.values().fold(ResourceAmounts::NONE, |sum, ask| sum.plus(&ask.amounts))
    }

    fn check(&self) {
        let quotas = self.ledger.quotas();
        assert_eq!((quotas.total, quotas.allocated), (self.capacity, self.allocated()));
        assert_eq!(
            (self.ledger.reservation_count(), self.ledger.waiting()),
            (self.held.len(), self.queue.len())
        );
        let shared = quotas.allocated.plus(&quotas.reserved).plus(&quotas.available);
        assert_eq!(shared, quotas.total.at_least(&quotas.allocated), "the figures add up");
        for class in [ResourceClass::Trainer, ResourceClass::Embedder] {
            let at_work = self.held.values().filter(|held| held.class == Some(class)).count();
            assert!(at_work <= limits().of(class) as usize);
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_granted_twice_and_nobody_is_overtaken(acts in acts()) {
        let mut twin = LedgerTwin::new();
        for act in acts {
            twin.act(act);
        }
    }

    #[test]
    fn once_all_is_released_all_is_back_and_everyone_was_served(acts in acts()) {
        let mut twin = LedgerTwin::new();
        for act in acts.into_iter().filter(|act| !matches!(act, ResourceAct::Capacity(..))) {
            twin.act(act);
        }
        while !twin.held.is_empty() {
            twin.act(ResourceAct::Release(0));
        }
        prop_assert!(twin.queue.is_empty(), "starved: {:?}", twin.queue);
        let quotas = twin.ledger.quotas();
        prop_assert_eq!(quotas.available, quotas.total);
        prop_assert_eq!(quotas.allocated, ResourceAmounts::NONE);
        let everything = ResourceRequest { amounts: quotas.total, ports: BTreeSet::from([1, 2, 3]), ..ask(0) };
        prop_assert_eq!(twin.ledger.ask("all".into(), everything, false), ResourceVerdict::Granted(quotas.total));
    }

    #[test]
    fn asks_of_one_kind_are_served_in_the_order_in_which_they_came(cores in prop::collection::vec(1_u64..5, 2..20)) {
        let mut ledger = ledger(4);
        ledger.ask("first".into(), ask(4), false);
        for (number, cores) in cores.iter().enumerate() {
            ledger.ask(number.to_string(), ask(*cores), true);
        }
        let (mut served, mut holding) = (Vec::new(), vec!["first".to_owned()]);
        while let Some(id) = holding.pop() {
            ledger.release(&id);
            for advance in ledger.advance() {
                let QueueAdvance::Granted(id, _) = advance else { panic!("{advance:?}") };
                served.push(id.parse::<usize>().unwrap());
                holding.insert(0, id);
            }
        }
        prop_assert_eq!(served, (0..cores.len()).collect::<Vec<_>>());
    }
}

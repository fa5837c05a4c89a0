//! Chaos: actors are killed and made to panic all the time, and nothing accepted is lost or done twice.
//!
//! Runs for some seconds; `CHAOS_SECONDS=60` is the long version named in the project's promise.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pas::supervision::policy::SupervisorPolicy;
use pas::supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, Address, CallError, ChildSpec, ReplySender,
    SupervisionEventKind, WorkerOptions,
};
use peak_alloc::PeakAlloc;
use serde_json::json;

use crate::support::{Place, Swarm, each_ended_once, of_kind};

/// Time between two kills or panics.
const EVERY: Duration = Duration::from_millis(50);
/// Time between two submissions: about as fast as jobs are done meanwhile.
const SUBMIT_EVERY: Duration = Duration::from_millis(800);
/// Measured waves; after each, with all runs done, the process is measured.
const WAVES: u32 = 4;
/// Waves before them, which fill the rings and load the embedded data: one may end cold, by how few kills and runs the
/// machine got into it.
const WARMING_WAVES: u32 = 1;
/// Most growth of allocated memory between the first measured wave and the last: the store's cache (6 MiB) and the
/// newest events (some 4 MiB) are still filling up. Kills leave records, and their number is the machine's.
const GROWTH_BYTES: usize = 20 << 20;

/// Counts allocated memory, for which PAS is responsible; how much freed memory the system's allocator keeps
/// for each thread differs between systems.
#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

fn length() -> Duration {
    let seconds = std::env::var("CHAOS_SECONDS").ok().map_or(8, |text| text.parse().unwrap());
    Duration::from_secs(seconds)
}

/// Kills a random worker every [`EVERY`], until `over`; returns the number of kills.
async fn kill_at_random(system: ActorSystem, over: Arc<AtomicBool>) -> u32 {
    let workers: Vec<_> = system.tree().all().into_iter().filter(|node| node.vitals().is_some()).collect();
    assert!(workers.len() > 50, "all agents and the daemon's services are workers");
    let mut kills = 0;
    let mut clock = tokio::time::interval(EVERY);
    while !over.load(Ordering::Relaxed) {
        clock.tick().await;
        let victim = &workers[fastrand::usize(..workers.len())];
        // A worker that is just starting again is spared.
        kills += u32::from(system.kill(&victim.name).await.is_ok());
    }
    kills
}

/// Every crash was a kill, one restart followed every crash, and no supervisor gave up.
fn nothing_outside_policy(swarm: &Swarm) {
    let events = swarm.system.events().since(0);
    for event in &events {
        if let SupervisionEventKind::Crashed { reason, .. } = &event.kind {
            assert_eq!(reason.to_string(), "killed", "{}", event.actor);
        }
        assert!(
            !matches!(event.kind, SupervisionEventKind::Escalated { .. } | SupervisionEventKind::Hung { .. }),
            "{event:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_job_is_lost_or_done_twice_while_actors_are_killed() {
    let place = Place::with_documents(12).setting("PAS_SUPERVISION__INTENSITY", 10_000);
    let swarm = place.start().await;
    let api = &swarm.api;
    let undisturbed = api.done(&api.ingest(json!({})).await).await;
    let over = Arc::new(AtomicBool::new(false));
    let handle = tokio::runtime::Handle::current();
    let killer = handle.spawn(kill_at_random(swarm.system.clone(), Arc::clone(&over)));

    let (mut runs, mut memory) = (Vec::new(), Vec::new());
    for wave in 0..WARMING_WAVES + WAVES {
        let begun = Instant::now();
        let first = runs.len();
        while begun.elapsed() < length() / WAVES {
            // The edge is killed too: a request may be cut off, and is repeated under the same key.
            let card = json!({
                "task": "ingest", "inputs": { "source": place.corpus() },
                "idempotency_key": format!("chaos-{}", runs.len()),
            });
            runs.extend(api.try_submit(&card).await);
            tokio::time::sleep(SUBMIT_EVERY).await;
        }
        for run in &runs[first..] {
            assert_eq!(api.done(run).await, undisturbed, "{run}");
        }
        if wave >= WARMING_WAVES {
            memory.push(ALLOCATED.current_usage());
        }
    }
    over.store(true, Ordering::Relaxed);
    let kills = killer.await.unwrap();

    for run in &runs {
        let (jobs, events) = (api.run(run).await, api.events(run).await);
        each_ended_once(&jobs, &events);
        assert_eq!(of_kind(&events, "completed").len(), jobs.len());
    }
    let listed = api.get("/jobs?limit=1000").await["count"].as_u64().unwrap();
    assert_eq!(listed, runs.len() as u64 + 1, "no twin");
    nothing_outside_policy(&swarm);
    println!("{kills} kills, {} runs, bytes allocated after each wave: {memory:?}", runs.len());
    assert!(kills > 50 && runs.len() > 3);
    let (first, last) = (memory[0], memory[memory.len() - 1]);
    assert!(last < first + GROWTH_BYTES, "memory grew: {memory:?}");
    swarm.stop().await;
}

enum Count {
    Cast(u64),
    Call(u64, ReplySender<u64>),
    Panic,
}

impl ActorMessage for Count {
    fn kind(&self) -> &'static str {
        match self {
            Self::Cast(_) => "cast",
            Self::Call(..) => "call",
            Self::Panic => "panic",
        }
    }
}

/// Records every number received, after a moment in which a kill can hit.
struct Counter(Arc<Mutex<Vec<u64>>>);

impl Actor for Counter {
    type Message = Count;

    async fn handle(&mut self, message: Count, _: &ActorContext<Count>) -> Result<(), ActorError> {
        tokio::task::yield_now().await;
        match message {
            Count::Cast(number) => self.0.lock().push(number),
            Count::Call(number, reply) => {
                self.0.lock().push(number);
                reply.send(number);
            }
            Count::Panic => panic!("chaos"),
        }
        Ok(())
    }
}

fn counter(system: &ActorSystem, name: &str) -> (ChildSpec, Address<Count>, Arc<Mutex<Vec<u64>>>) {
    let written = Arc::new(Mutex::new(Vec::new()));
    let state = Arc::clone(&written);
    let (spec, address) = system.worker(name, WorkerOptions::default(), move |_| {
        let counter = Counter(Arc::clone(&state));
        async move { Ok(counter) }
    });
    (spec, address, written)
}

/// The fate of one sender's messages.
struct Sent {
    casts: BTreeSet<u64>,
    answered: BTreeSet<u64>,
    crashed: BTreeSet<u64>,
}

async fn send_until(address: Address<Count>, over: Arc<AtomicBool>) -> Sent {
    let mut sent = Sent { casts: BTreeSet::new(), answered: BTreeSet::new(), crashed: BTreeSet::new() };
    let mut number = 0;
    while !over.load(Ordering::Relaxed) {
        number += 1;
        if number % 3 > 0 {
            if address.cast(Count::Cast(number)).is_ok() {
                sent.casts.insert(number);
            }
            continue;
        }
        match address.call(Duration::from_secs(60), |reply| Count::Call(number, reply)).await {
            Ok(answer) => {
                assert_eq!(answer, number);
                assert!(sent.answered.insert(number));
            }
            Err(CallError::Crashed) => assert!(sent.crashed.insert(number)),
            Err(CallError::Busy) => tokio::task::yield_now().await,
            Err(other) => panic!("{number}: {other}"),
        }
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_accepted_message_is_handled_once_unless_it_was_in_hand() {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let system = ActorSystem::default();
    let parts: Vec<_> = NAMES.iter().map(|name| counter(&system, name)).collect();
    let specs = parts.iter().map(|(spec, ..)| spec.clone()).collect();
    let policy = SupervisorPolicy { intensity: u32::MAX, ..SupervisorPolicy::default() };
    let root = system.start("root", policy, specs).await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let handle = tokio::runtime::Handle::current();
    let senders: Vec<_> = parts
        .iter()
        .map(|(_, address, _)| handle.spawn(send_until(address.clone(), Arc::clone(&over))))
        .collect();

    let (start, mut hits) = (Instant::now(), [0_usize; NAMES.len()]);
    while start.elapsed() < length() / 4 {
        let victim = fastrand::usize(..NAMES.len());
        let hit = match fastrand::bool() {
            true => system.kill(NAMES[victim]).await.is_ok(),
            false => parts[victim].1.send(Count::Panic).await.is_ok(),
        };
        hits[victim] += usize::from(hit);
        tokio::time::sleep(EVERY / 10).await;
    }
    over.store(true, Ordering::Relaxed);
    for ((sender, (_, address, written)), hits) in senders.into_iter().zip(&parts).zip(hits) {
        let sent = sender.await.unwrap();
        // The last in the queue: once answered, all earlier ones have been handled.
        address.call(Duration::from_secs(60), |reply| Count::Call(u64::MAX, reply)).await.unwrap();
        let mut written = written.lock().clone();
        assert_eq!(written.pop(), Some(u64::MAX));
        assert!(written.is_sorted_by(|a, b| a < b), "in order, and nothing twice");
        let handled: BTreeSet<u64> = written.into_iter().collect();
        assert!(sent.answered.is_subset(&handled));
        let lost = sent.casts.difference(&handled).count() + sent.crashed.len();
        assert!(lost <= hits, "{lost} messages lost by {hits} kills and panics: only those in hand may be");
        assert!(hits > 10 && handled.len() > 1000, "{hits} hits, {} handled", handled.len());
    }
    root.shutdown().await;
}

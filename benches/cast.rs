//! Casts: a message to a PAS actor (address, bounded mailbox, trace) against one to a bare ractor actor.
//!
//! Senders work in bursts and wait for the receiver after each, so that the bounded mailbox never fills
//! and both sides do the same work. The figure is the CPU time of the whole process, a message.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use pas::domain::trace::TraceContext;
use pas::supervision::policy::SupervisorPolicy;
use pas::supervision::trace::{ActorNumber, TraceScope, in_scope};
use pas::supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, Address, ReplySender, RootHandle,
    WorkerOptions,
};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::measure::{Pair, in_turn};
use crate::report::{Aim, Row};

/// Messages that a sender sends before waiting: four senders stay below the usual bound of 1,024.
const BURST: u64 = 200;
/// Messages of a round, of all senders.
const MESSAGES: u64 = 400_000;
/// Calls of a round.
const CALLS: u64 = 40_000;
const ROUNDS: usize = 9;
const DEADLINE: Duration = Duration::from_secs(60);

enum Load {
    Work(u64),
    Flush(ReplySender<u64>),
}

impl ActorMessage for Load {
    fn kind(&self) -> &'static str {
        match self {
            Self::Work(_) => "work",
            Self::Flush(_) => "flush",
        }
    }
}

#[derive(Default)]
struct Sink {
    sum: u64,
}

impl Actor for Sink {
    type Message = Load;

    async fn handle(&mut self, message: Load, _: &ActorContext<Load>) -> Result<(), ActorError> {
        match message {
            Load::Work(n) => self.sum = black_box(self.sum.wrapping_add(n)),
            Load::Flush(reply) => reply.send(self.sum),
        }
        Ok(())
    }
}

enum RawLoad {
    Work(u64),
    Flush(oneshot::Sender<u64>),
}

struct RawSink;

impl ractor::Actor for RawSink {
    type Msg = RawLoad;
    type State = u64;
    type Arguments = ();

    async fn pre_start(
        &self,
        _: ractor::ActorRef<RawLoad>,
        (): (),
    ) -> Result<u64, ractor::ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _: ractor::ActorRef<RawLoad>,
        message: RawLoad,
        sum: &mut u64,
    ) -> Result<(), ractor::ActorProcessingErr> {
        match message {
            RawLoad::Work(n) => *sum = black_box(sum.wrapping_add(n)),
            // If the caller has left, nobody needs the answer.
            RawLoad::Flush(reply) => drop(reply.send(*sum)),
        }
        Ok(())
    }
}

/// A target of the flood: one for each side of this bench.
trait Target: Clone + Send + Sync + 'static {
    fn cast(&self, n: u64) -> anyhow::Result<()>;
    fn flush(&self) -> impl Future<Output = anyhow::Result<u64>> + Send;
}

impl Target for Address<Load> {
    fn cast(&self, n: u64) -> anyhow::Result<()> {
        Ok(Self::cast(self, Load::Work(n))?)
    }
    async fn flush(&self) -> anyhow::Result<u64> {
        Ok(self.call(DEADLINE, Load::Flush).await?)
    }
}

impl Target for ractor::ActorRef<RawLoad> {
    fn cast(&self, n: u64) -> anyhow::Result<()> {
        Ok(ractor::ActorRef::cast(self, RawLoad::Work(n))?)
    }
    async fn flush(&self) -> anyhow::Result<u64> {
        let (reply, answer) = oneshot::channel();
        ractor::ActorRef::cast(self, RawLoad::Flush(reply))?;
        Ok(tokio::time::timeout(DEADLINE, answer).await??)
    }
}

/// CPU nanoseconds a message, with `senders` senders.
async fn flood(target: impl Target, senders: u64) -> anyhow::Result<f64> {
    let bursts = MESSAGES / senders / BURST;
    let from = ProcessTime::now();
    let mut tasks = JoinSet::new();
    for _ in 0..senders {
        let target = target.clone();
        // In a trace, as the messages of an actor always are.
        let scope = TraceScope { context: TraceContext::new_root(), actor: ActorNumber::OUTSIDE };
        tasks.spawn(in_scope(scope, async move {
            for _ in 0..bursts {
                (0..BURST).try_for_each(|n| target.cast(n))?;
                target.flush().await?;
            }
            anyhow::Ok(())
        }));
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(from.elapsed().as_nanos() as f64 / (bursts * senders * (BURST + 1)) as f64)
}

/// Microseconds a call, one after another: every message wakes the receiver anew.
async fn ping(target: impl Target) -> anyhow::Result<f64> {
    let scope = TraceScope { context: TraceContext::new_root(), actor: ActorNumber::OUTSIDE };
    in_scope(scope, async move {
        let from = Instant::now();
        for _ in 0..CALLS {
            target.flush().await?;
        }
        Ok(from.elapsed().as_secs_f64() * 1e6 / CALLS as f64)
    })
    .await
}

async fn sinks() -> anyhow::Result<(RootHandle, Address<Load>, ractor::ActorRef<RawLoad>)> {
    let system = ActorSystem::default();
    let (spec, address) = system.worker("sink", WorkerOptions::default(), |_| async { Ok(Sink::default()) });
    let root = system.start("cast-bench", SupervisorPolicy::default(), vec![spec]).await?;
    let (raw, _) = ractor::Actor::spawn(None, RawSink, ()).await?;
    Ok((root, address, raw))
}

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    let runtime = Arc::new(crate::runtime(2)?);
    let (root, ours, raw) = runtime.block_on(sinks())?;
    let flooded = |senders| -> anyhow::Result<Pair> {
        in_turn(
            ROUNDS,
            || runtime.block_on(flood(ours.clone(), senders)),
            || runtime.block_on(flood(raw.clone(), senders)),
        )
    };
    let (one, four) = (flooded(1)?, flooded(4)?);
    let on_a_worker = |future: tokio::task::JoinHandle<anyhow::Result<f64>>| runtime.block_on(future)?;
    let calls = in_turn(
        ROUNDS,
        || on_a_worker(runtime.spawn(ping(ours.clone()))),
        || on_a_worker(runtime.spawn(ping(raw.clone()))),
    )?;
    runtime.block_on(root.shutdown());
    raw.stop(None);
    let row = |what: &str, pair: Pair, unit: &str| {
        Row::new(what, pair.ratio, "×")
            .sides(format!("{:.0} {unit}", pair.ours), format!("{:.0} {unit}", pair.baseline))
    };
    Ok(vec![
        row("traced cast, 1 → 1", one, "CPU-ns").aim(Aim::AtMost(1.25)).note(
            "a message through an address (bounded queue that outlives a crash, a random span id, three \
             times, a record in the ring) against a bare ractor `cast`",
        ),
        row("traced cast, 4 → 1", four, "CPU-ns").aim(Aim::AtMost(1.25)),
        Row::new("traced call and answer", calls.ratio, "×")
            .sides(format!("{:.2} µs", calls.ours), format!("{:.2} µs", calls.baseline))
            .note("one after another, so every message wakes its receiver"),
    ])
}

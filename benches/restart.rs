//! Restarts: from a panic to the answer to the next message, supervised and traced against bare ractor.
//!
//! The baseline is the least a supervisor can do on ractor: on `ActorFailed` it spawns the child again and
//! hands over the waiting message. The panic hook is silent on both sides.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pas::supervision::policy::{ChildPolicy, RestartBackoff, SupervisorPolicy};
use pas::supervision::{ActorSystem, Address, RootHandle, WorkerOptions};
use ractor::{ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;

use crate::fragile::{FragileActor, FragileMessage};
use crate::measure::{median, percentile};
use crate::report::{Aim, Row};

/// Restarts of a round, and rounds of each side.
const RESTARTS: usize = 500;
const ROUNDS: usize = 9;
const DEADLINE: Duration = Duration::from_secs(10);

enum RawSay {
    Crash,
    Ping(oneshot::Sender<()>),
}

struct RawFragile;

impl ractor::Actor for RawFragile {
    type Msg = RawSay;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<RawSay>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<RawSay>,
        message: RawSay,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RawSay::Crash => panic!("on purpose"),
            RawSay::Ping(reply) => drop(reply.send(())),
        }
        Ok(())
    }
}

/// Shared by the bare supervisor and the bench: the child, and the ping that waits for the next child.
#[derive(Default)]
struct Desk {
    child: Mutex<Option<ActorRef<RawSay>>>,
    waiting: Mutex<Option<oneshot::Sender<()>>>,
}

struct RawSupervisor(Arc<Desk>);

impl RawSupervisor {
    async fn spawn_child(&self, myself: &ActorRef<()>) -> Result<(), ActorProcessingErr> {
        let (child, _) = ractor::Actor::spawn_linked(None, RawFragile, (), myself.get_cell()).await?;
        if let Some(ping) = self.0.waiting.lock().take() {
            child.cast(RawSay::Ping(ping))?;
        }
        *self.0.child.lock() = Some(child);
        Ok(())
    }
}

impl ractor::Actor for RawSupervisor {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        self.spawn_child(&myself).await
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(..) => self.spawn_child(&myself).await,
            _ => Ok(()),
        }
    }
}

/// Microseconds of each restart.
async fn supervised(address: Address<FragileMessage>) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::with_capacity(RESTARTS);
    for _ in 0..RESTARTS {
        let from = Instant::now();
        address.cast(FragileMessage::Crash)?;
        address.call(DEADLINE, FragileMessage::Ping).await?;
        times.push(from.elapsed().as_secs_f64() * 1e6);
    }
    Ok(times)
}

async fn bare(desk: Arc<Desk>) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::with_capacity(RESTARTS);
    for _ in 0..RESTARTS {
        let child = loop {
            // The child answers before the supervisor has noted the new child.
            match desk.child.lock().take() {
                Some(child) => break child,
                None => std::hint::spin_loop(),
            }
        };
        let (ping, answer) = oneshot::channel();
        *desk.waiting.lock() = Some(ping);
        let from = Instant::now();
        child.cast(RawSay::Crash)?;
        tokio::time::timeout(DEADLINE, answer).await??;
        times.push(from.elapsed().as_secs_f64() * 1e6);
    }
    Ok(times)
}

async fn sides() -> anyhow::Result<(RootHandle, Address<FragileMessage>, Arc<Desk>, ActorRef<()>)> {
    let system = ActorSystem::default();
    let (spec, address) = system.worker("fragile", WorkerOptions::default(), |_| async { Ok(FragileActor) });
    // A child that fails in a row pauses before its next start: not what is measured here.
    let spec = spec.with_policy(ChildPolicy { backoff: RestartBackoff::NONE, ..ChildPolicy::default() });
    let policy = SupervisorPolicy { intensity: u32::MAX, ..SupervisorPolicy::default() };
    let root = system.start("restart-bench", policy, vec![spec]).await?;
    let desk = Arc::new(Desk::default());
    let (raw, _) = ractor::Actor::spawn(None, RawSupervisor(Arc::clone(&desk)), ()).await?;
    Ok((root, address, desk, raw))
}

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    let runtime = crate::runtime(2)?;
    let (root, address, desk, raw) = runtime.block_on(sides())?;
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let a = runtime.block_on(runtime.spawn(supervised(address.clone())))??;
        let b = runtime.block_on(runtime.spawn(bare(Arc::clone(&desk))))??;
        if round > 0 {
            ratios.push(median(&a) / median(&b));
            ours.extend(a);
            theirs.extend(b);
        }
    }
    runtime.block_on(root.shutdown());
    raw.stop(None);
    let told = |times: &[f64]| format!("{:.1} µs (p99 {:.0})", median(times), percentile(times, 99));
    Ok(vec![
        Row::new("restart after a panic, to the first answer (p50)", median(&ratios), "×")
            .sides(told(&ours), told(&theirs))
            .aim(Aim::AtMost(1.5))
            .note(
                "ours also records message, place and trace of the panic, decides by OTP's rules, \
                 publishes two events and keeps the waiting message; the baseline only spawns again",
            ),
    ])
}

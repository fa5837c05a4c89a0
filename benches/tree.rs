//! A tree of 10,000 actors: start, memory, and one restart, against bare ractor actors.
//!
//! Each side runs in a separate process (this program again, with the side's name), because memory used and
//! freed before would hide the actors' share.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use pas::supervision::policy::{ChildPolicy, RestartBackoff, SupervisorPolicy};
use pas::supervision::{ActorSystem, Address, RootHandle, WorkerOptions};

use crate::fragile::{FragileActor, FragileMessage};
use crate::machine::resident;
use crate::measure::median;
use crate::report::{Row, number};

/// 100 supervisors of 99 workers each: 10,000 actors.
const SUPERVISORS: usize = 100;
const WORKERS: usize = 99;
const ACTORS: usize = SUPERVISORS * (WORKERS + 1);
const RESTARTS: usize = 200;
const DEADLINE: Duration = Duration::from_secs(10);

struct RawLeaf;

impl ractor::Actor for RawLeaf {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ractor::ActorRef<()>, (): ()) -> Result<(), ractor::ActorProcessingErr> {
        Ok(())
    }
}

/// The results of one side.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
struct Found {
    start_ms: f64,
    bytes_an_actor: f64,
    restart_us: f64,
}

async fn start(system: &ActorSystem) -> anyhow::Result<(RootHandle, Address<FragileMessage>)> {
    let policy = SupervisorPolicy { intensity: u32::MAX, ..SupervisorPolicy::default() };
    let mut last = None;
    let mut supervisors = Vec::with_capacity(SUPERVISORS);
    for s in 0..SUPERVISORS {
        let mut workers = Vec::with_capacity(WORKERS);
        for w in 0..WORKERS {
            let name = format!("leaf-{s}-{w}");
            let (spec, address) =
                system.worker(&name, WorkerOptions::default(), |_| async { Ok(FragileActor) });
            // A child that fails in a row pauses before its next start: not what is measured here.
            let policy = ChildPolicy { backoff: RestartBackoff::NONE, ..ChildPolicy::default() };
            workers.push(spec.with_policy(policy));
            last = Some(address);
        }
        supervisors.push(system.supervisor(&format!("branch-{s}"), policy, workers));
    }
    let root = system.start("tree-bench", policy, supervisors).await?;
    Ok((root, last.context("a tree without leaves")?))
}

async fn ours() -> anyhow::Result<Found> {
    let before = resident(std::process::id())?;
    let system = ActorSystem::default();
    let from = Instant::now();
    let (root, leaf) = start(&system).await?;
    let start_ms = from.elapsed().as_secs_f64() * 1e3;
    let bytes = resident(std::process::id())?.saturating_sub(before);
    let mut times = Vec::with_capacity(RESTARTS);
    for _ in 0..RESTARTS {
        let from = Instant::now();
        leaf.cast(FragileMessage::Crash)?;
        leaf.call(DEADLINE, FragileMessage::Ping).await?;
        times.push(from.elapsed().as_secs_f64() * 1e6);
    }
    root.shutdown().await;
    Ok(Found { start_ms, bytes_an_actor: bytes as f64 / ACTORS as f64, restart_us: median(&times) })
}

async fn bare() -> anyhow::Result<Found> {
    let before = resident(std::process::id())?;
    let from = Instant::now();
    let mut actors = Vec::with_capacity(ACTORS);
    for _ in 0..ACTORS {
        actors.push(ractor::Actor::spawn(None, RawLeaf, ()).await?.0);
    }
    let start_ms = from.elapsed().as_secs_f64() * 1e3;
    let bytes = resident(std::process::id())?.saturating_sub(before);
    Ok(Found { start_ms, bytes_an_actor: bytes as f64 / ACTORS as f64, restart_us: 0.0 })
}

/// The main function of one side's process: measures and prints the results.
pub(crate) fn side(name: &str) -> anyhow::Result<()> {
    let runtime = crate::runtime(2)?;
    let found = match name {
        "ours" => runtime.block_on(runtime.spawn(ours()))??,
        _ => runtime.block_on(runtime.spawn(bare()))??,
    };
    println!("{}", serde_json::to_string(&found)?);
    Ok(())
}

fn in_a_process(side: &str) -> anyhow::Result<Found> {
    let output =
        std::process::Command::new(std::env::current_exe()?).args([crate::TREE_SIDE, side]).output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&told)
        .with_context(|| format!("side `{side}`: {}", String::from_utf8_lossy(&output.stderr)))
}

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    /// Odd, so that the median is a measured value.
    const ROUNDS: usize = 5;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(in_a_process("ours")?);
        bare.push(in_a_process("bare")?);
    }
    let of = |side: &[Found], what: fn(&Found) -> f64| median(&side.iter().map(what).collect::<Vec<_>>());
    let start = (of(&ours, |f| f.start_ms), of(&bare, |f| f.start_ms));
    let bytes = (of(&ours, |f| f.bytes_an_actor), of(&bare, |f| f.bytes_an_actor));
    let restart = of(&ours, |f| f.restart_us);
    Ok(vec![
        Row::new("tree of 10,000 actors, start", start.0 / start.1, "×")
            .sides(format!("{} ms", number(start.0)), format!("{} ms", number(start.1)))
            .note(
                "100 supervisors with 99 workers each, in order, each noted in the tree and in the event \
                 log; the baseline spawns 10,000 bare ractor actors without supervisors",
            ),
        Row::new("the same, memory an actor", bytes.0 / bytes.1, "×")
            .sides(format!("{} KiB", number(bytes.0 / 1024.0)), format!("{} KiB", number(bytes.1 / 1024.0))),
        Row::new("the same, one restart to the first answer (p50)", restart, " µs"),
    ])
}

//! The event stream (port 6102): from cause to client, to a thousand clients at once, and slow ones cut off.
//!
//! The floor is a separate process (this program, started again; [`floor`]). The daemon does more with an
//! event: the line is in the journal before any client sees the event, and a client may resume from any
//! number. Both are processes, so that CPU time and memory can be attributed.

pub(crate) mod floor;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::child::{Daemon, Side};
use crate::machine::{cpu_time, resident};
use crate::measure::{in_turn, median, percentile};
use crate::report::{Aim, Row, number};
use wire::{Client, Publisher};

/// Makes this program the floor.
pub(crate) const FLOOR_SIDE: &str = "--events-side";

const PORT: u16 = 6102;
/// Events a second while the delay is measured (by the aim), then the clients and the duration.
const FLOW: u32 = 500;
const FOLLOWERS: usize = 10;
const FLOW_FOR: Duration = Duration::from_secs(8);
const ROUNDS: usize = 3;
/// Clients at once, and the events sent to each in one round.
const CLIENTS: usize = 1000;
const EVENTS: usize = 200;
const PUBLISHERS: usize = 8;
/// Clients that read nothing, and the events sent meanwhile: far more than memory and sockets hold for one
/// client.
const SLOW: usize = 20;
const SLOW_EVENTS: usize = 4_000;
const SLOW_BYTES: usize = 4 * 1024;
/// Longest wait for anything here.
const PATIENCE: Duration = Duration::from_secs(60);
/// Silence before memory is read.
const IDLE: Duration = Duration::from_secs(2);
/// Descriptors that two thousand clients take.
const DESCRIPTORS: u64 = 4_096;

/// A measured server.
struct Server {
    pid: u32,
    address: SocketAddr,
}

/// 95th percentile of the delay from cause to client in milliseconds, at [`FLOW`] events a second.
async fn delay(server: &Server) -> anyhow::Result<f64> {
    let publisher = Publisher::new(server.address, 0)?;
    let mut readers = JoinSet::new();
    let events = FLOW * u32::try_from(FLOW_FOR.as_secs())?;
    for _ in 0..FOLLOWERS {
        let (mut client, publisher) = (Client::connect(server.address).await?, publisher.clone());
        readers.spawn(async move {
            let mut ages = Vec::new();
            for _ in 0..events {
                let event = timeout(PATIENCE, client.next()).await??;
                ages.push(publisher.age(event)?.as_secs_f64() * 1e3);
            }
            anyhow::Ok(ages)
        });
    }
    let (mut clock, mut sent) = (interval(Duration::from_secs(1) / FLOW), JoinSet::new());
    // Delayed events are sent in a burst afterwards, so that the rate stays [`FLOW`].
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for _ in 0..events {
        clock.tick().await;
        let publisher = publisher.clone();
        sent.spawn(async move { publisher.publish().await });
    }
    while let Some(done) = sent.join_next().await {
        done??;
    }
    let mut ages = Vec::new();
    while let Some(done) = readers.join_next().await {
        ages.extend(done??);
    }
    Ok(percentile(&ages, 95))
}

/// A thousand clients of a server, each a task that counts events.
struct Crowd {
    server: Server,
    taken: Arc<AtomicU64>,
    /// Memory of the server for each client, in KiB.
    memory_each: f64,
    readers: JoinSet<anyhow::Result<()>>,
}

/// The cost of one round.
struct Round {
    deliveries_per_s: f64,
    cpu_us_each: f64,
}

impl Crowd {
    async fn gather(server: Server) -> anyhow::Result<Self> {
        let (taken, mut readers) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
        sleep(IDLE).await;
        let before = resident(server.pid)?;
        for _ in 0..CLIENTS {
            let (mut client, taken) = (Client::connect(server.address).await?, Arc::clone(&taken));
            readers.spawn(async move {
                loop {
                    client.next().await?;
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        sleep(IDLE).await;
        let memory_each = resident(server.pid)?.saturating_sub(before) as f64 / 1024.0 / CLIENTS as f64;
        Ok(Self { server, taken, memory_each, readers })
    }

    /// Publishes [`EVENTS`] events as fast as they are accepted, and waits until every client has them all.
    async fn round(&mut self) -> anyhow::Result<Round> {
        let publisher = Publisher::new(self.server.address, 0)?;
        let wanted = self.taken.load(Ordering::Relaxed) + (EVENTS * CLIENTS) as u64;
        let (cpu, from) = (cpu_time(self.server.pid)?, Instant::now());
        flood(&publisher, EVENTS).await?;
        while self.taken.load(Ordering::Relaxed) < wanted {
            ensure!(from.elapsed() < PATIENCE, "events are missing: {wanted} wanted, {:?} there", self.taken);
            if let Some(left) = self.readers.try_join_next() {
                left??;
            }
            sleep(Duration::from_millis(1)).await;
        }
        let deliveries = (EVENTS * CLIENTS) as f64;
        let cpu = cpu_time(self.server.pid)?.saturating_sub(cpu);
        Ok(Round {
            deliveries_per_s: deliveries / from.elapsed().as_secs_f64(),
            cpu_us_each: cpu.as_secs_f64() * 1e6 / deliveries,
        })
    }
}

/// Publishes `events` events over [`PUBLISHERS`] connections.
async fn flood(publisher: &Publisher, events: usize) -> anyhow::Result<()> {
    let mut publishers = JoinSet::new();
    for _ in 0..PUBLISHERS {
        let publisher = publisher.clone();
        publishers.spawn(async move {
            for _ in 0..events / PUBLISHERS {
                publisher.publish().await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = publishers.join_next().await {
        done??;
    }
    Ok(())
}

/// The number of clients that read nothing and were cut off, the time taken, and the growth of the server's
/// memory in MiB; a client that reads must miss nothing meanwhile.
async fn slow_ones(daemon: &Daemon, server: &Server) -> anyhow::Result<(usize, Duration, f64)> {
    let publisher = Publisher::new(server.address, SLOW_BYTES)?;
    flood(&publisher, SLOW_EVENTS).await?;
    sleep(IDLE).await;
    let before = resident(server.pid)?;
    let mut held = Vec::new();
    for _ in 0..SLOW {
        held.push(Client::connect_slow(server.address).await?);
    }
    let mut quick = Client::connect(server.address).await?;
    let from = Instant::now();
    let reading = async {
        for _ in 0..SLOW_EVENTS {
            timeout(PATIENCE, quick.next()).await??;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(reading, flood(&publisher, SLOW_EVENTS))?;
    let grown = resident(server.pid)?.saturating_sub(before) as f64 / 1024.0 / 1024.0;
    let mut left = SLOW;
    while left > 0 && from.elapsed() < PATIENCE {
        sleep(Duration::from_millis(20)).await;
        let clients = daemon.get(PORT, "/health")?["connected_clients"].as_u64().unwrap_or(0);
        // All clients except the quick one.
        left = usize::try_from(clients)?.saturating_sub(1);
    }
    let took = from.elapsed();
    drop((held, quick));
    Ok((SLOW - left, took, grown))
}

/// Both sides' thousand clients are in this one process.
fn raise_descriptors() -> anyhow::Result<()> {
    let now = getrlimit(Resource::Nofile);
    let most = now.maximum.map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
    let current = now.current.map(|current| current.max(most));
    Ok(setrlimit(Resource::Nofile, Rlimit { current, ..now })?)
}

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    raise_descriptors()?;
    let folder = crate::scratch()?;
    let runtime = crate::runtime(2)?;
    let daemon = Daemon::start(folder.path(), "")?;
    let floor = Side::start(&[FLOOR_SIDE])?;
    let ours = || Server { pid: daemon.pid(), address: daemon.address(PORT) };
    let address = floor.said().parse()?;
    let theirs = || Server { pid: floor.pid(), address };
    let delays = in_turn(1, || runtime.block_on(delay(&ours())), || runtime.block_on(delay(&theirs())))?;
    let (cut, cut_after, grown) = runtime.block_on(slow_ones(&daemon, &ours()))?;
    let mut crowd = runtime.block_on(Crowd::gather(ours()))?;
    let mut other = runtime.block_on(Crowd::gather(theirs()))?;
    let (mut cpu, mut cpu_floor) = (Vec::new(), Vec::new());
    let rate = in_turn(
        ROUNDS,
        || {
            let round = runtime.block_on(crowd.round())?;
            cpu.push(round.cpu_us_each);
            Ok(round.deliveries_per_s)
        },
        || {
            let round = runtime.block_on(other.round())?;
            cpu_floor.push(round.cpu_us_each);
            Ok(round.deliveries_per_s)
        },
    )?;
    let (cpu, cpu_floor) = (median(&cpu), median(&cpu_floor));
    let (us, kib) = (|us: f64| format!("{} µs", number(us)), |kib: f64| format!("{} KiB", number(kib)));
    Ok(vec![
        Row::new(format!("event, cause to client (p95), {FLOW} a second"), delays.ours, " ms")
            .sides(format!("{} ms", number(delays.ours)), format!("{} ms", number(delays.baseline)))
            .aim(Aim::AtMost(1000.0))
            .note(format!(
                "from `POST /broadcast` to each of {FOLLOWERS} WebSocket clients, whose work is in it; ours \
                 writes the event to its journal first"
            )),
        Row::new(format!("events fanned out to {CLIENTS} clients"), rate.ratio, "×").sides(
            format!("{} deliveries/s", number(rate.ours)),
            format!("{} deliveries/s", number(rate.baseline)),
        ),
        Row::new("the same, CPU an event and client", cpu / cpu_floor, "×").sides(us(cpu), us(cpu_floor)),
        Row::new("the same, memory a client", crowd.memory_each / other.memory_each, "×")
            .sides(kib(crowd.memory_each), kib(other.memory_each))
            .note("resident, two seconds after they came; the daemon tells all of them the agents' heartbeats meanwhile"),
        Row::new(format!("of {SLOW} clients that read nothing, cut off"), cut as f64, "")
            .aim(Aim::AtLeast(SLOW as f64))
            .note(format!(
                "after {} s and {SLOW_EVENTS} events of {SLOW_BYTES} bytes, by which the daemon's memory grew \
                 by {} MiB; one client that reads missed none of them",
                number(cut_after.as_secs_f64()),
                number(grown)
            )),
    ])
}

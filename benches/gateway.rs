//! The gateway: a model call through PAS against a minimal hop.
//!
//! The floor is a separate process (this program, started again): axum in front, hyper's client behind, the
//! request parsed, the usage read, a receipt kept in memory. PAS does the same and also chooses a provider,
//! holds and settles the cost, writes the receipt to file and store, and traces the call. Both are processes,
//! so that CPU time can be attributed; the vendor and the clients are in this one.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use axum::body::Bytes;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::child::{Daemon, Side};
use crate::hop::{self, EVENTS, HOP_SIDE};
use crate::machine::{cpu_time, resident, resident_of_files};
use crate::measure::{median, percentile};
use crate::report::{Aim, Row, number};

const CONNECTIONS: usize = 32;
/// Calls of one round: seconds of work, so that the clock of CPU time (10 ms) is fine enough.
const CALLS: usize = 4_000;
const STREAMS: usize = 1_000;
const ROUNDS: usize = 3;
/// Calls one after another, and the rounds.
const SINGLE: usize = 4_500;
const SINGLE_ROUNDS: usize = 9;
const GATEWAY: u16 = 6120;
const ORCHESTRATOR: u16 = 6100;
/// Ports and paths of soft state.
const TRACK: (u16, &str) = (6105, hop::TRACK);
const BEAT: (u16, &str) = (6121, hop::BEAT);
const RESERVE: (u16, &str) = (6104, "/reserve");
/// Reports of soft state a round.
const REPORTS: usize = 20_000;
/// Clients that reserve at once, and the total of their reservations.
const RESERVERS: usize = 64;
const RESERVATIONS: usize = 4_000;
/// Syncs of the bare disk, for comparison.
const SYNCS: u32 = 200;
/// Calls after which memory is measured, and again after as many more. `BENCH_CALLS=1000000` for the long
/// version.
const MEMORY_CALLS: usize = 50_000;
/// Freed memory goes back to the system a second after the last use.
const REST: Duration = Duration::from_secs(2);
const MEMORY_VARIABLE: &str = "BENCH_CALLS";
/// Stalls of delayed acknowledgements end after 40 ms: no call may take as long as that.
const STALL_MS: std::ops::Range<f64> = 38.0..45.0;
const MIB: f64 = 1024.0 * 1024.0;

/// A request, and the process that answers.
#[derive(Clone)]
struct Asked {
    pid: Option<u32>,
    method: Method,
    url: String,
    body: Bytes,
}

impl Asked {
    fn new(pid: Option<u32>, method: Method, url: String, body: &Value) -> Self {
        Self { pid, method, url, body: Bytes::from(body.to_string()) }
    }

    /// The same with another body.
    fn with(&self, body: &Value) -> Self {
        Self { body: Bytes::from(body.to_string()), ..self.clone() }
    }
}

fn request(stream: bool) -> Value {
    let mut body = json!({
        "model": "openai/gpt-5-codex", "max_completion_tokens": 200,
        "messages": [{ "role": "system", "content": "Answer shortly." },
                     { "role": "user", "content": "What does a governor of a steam engine do? ".repeat(10) }],
    });
    if stream {
        body["stream"] = json!(true);
        body["stream_options"] = json!({ "include_usage": true });
    }
    body
}

/// Sends `calls` requests over `connections` connections; returns the time of each answer in microseconds.
async fn load(asked: &Asked, calls: usize, connections: usize) -> anyhow::Result<Vec<f64>> {
    let client = pas::llm::tls::plain_client_builder()?.tcp_nodelay(true).build()?;
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let (client, asked) = (client.clone(), asked.clone());
        tasks.spawn(async move {
            let mut took = Vec::new();
            for _ in 0..calls / connections {
                let from = Instant::now();
                let request = client.request(asked.method.clone(), &asked.url);
                let answer = request.header(CONTENT_TYPE, "application/json").body(asked.body.clone());
                let answer = answer.send().await?;
                let status = answer.status();
                let bytes = answer.bytes().await?;
                ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&bytes));
                took.push(from.elapsed().as_secs_f64() * 1e6);
            }
            anyhow::Ok(took)
        });
    }
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        all.extend(done??);
    }
    Ok(all)
}

/// CPU microseconds of the answering process for each call, at [`CONNECTIONS`].
async fn cpu_a_call(asked: &Asked, calls: usize) -> anyhow::Result<f64> {
    let pid = asked.pid.context("no process")?;
    let before = cpu_time(pid)?;
    let made = load(asked, calls, CONNECTIONS).await?.len();
    Ok((cpu_time(pid)? - before).as_secs_f64() * 1e6 / made as f64)
}

/// Both sides in turn: medians of ours and of the floor, and of the ratios.
async fn cpu_pair(ours: &Asked, floor: &Asked, calls: usize) -> anyhow::Result<(f64, f64, f64)> {
    let (mut a, mut b, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (x, y) = (cpu_a_call(ours, calls).await?, cpu_a_call(floor, calls).await?);
        if round > 0 {
            a.push(x);
            b.push(y);
            ratios.push(x / y);
        }
    }
    Ok((median(&a), median(&b), median(&ratios)))
}

/// Times of calls one after another, in microseconds.
struct Single {
    /// Medians of the vendor itself, of ours and of the floor.
    p50: [f64; 3],
    /// Medians of the time that ours and the floor add to the vendor in the same round.
    added: f64,
    added_by_floor: f64,
    all_of_ours: Vec<f64>,
}

/// The three in turn, so that all see the same machine.
async fn one_after_another(sides: [&Asked; 3]) -> anyhow::Result<Single> {
    let (mut p50, mut all_of_ours) = (Vec::new(), Vec::new());
    for round in 0..=SINGLE_ROUNDS {
        let mut row = [0.0; 3];
        for (place, asked) in sides.into_iter().enumerate() {
            let took = load(asked, SINGLE / SINGLE_ROUNDS, 1).await?;
            row[place] = percentile(&took, 50);
            if place == 1 && round > 0 {
                all_of_ours.extend(took);
            }
        }
        if round > 0 {
            p50.push(row);
        }
    }
    let of = |pick: fn(&[f64; 3]) -> f64| median(&p50.iter().map(pick).collect::<Vec<_>>());
    Ok(Single {
        p50: [of(|row| row[0]), of(|row| row[1]), of(|row| row[2])],
        added: of(|row| row[1] - row[0]),
        added_by_floor: of(|row| row[2] - row[0]),
        all_of_ours,
    })
}

fn us(value: f64) -> String {
    format!("{} µs", number(value))
}

/// The two sides of one path.
struct Sides {
    daemon: Daemon,
    hop: Side,
}

impl Sides {
    fn ours(&self, (port, path): (u16, &str), method: Method, body: &Value) -> Asked {
        let url = format!("http://{}{path}", self.daemon.address(port));
        Asked::new(Some(self.daemon.pid()), method, url, body)
    }

    fn floor(&self, path: &str, method: Method, body: &Value) -> Asked {
        Asked::new(Some(self.hop.pid()), method, format!("http://{}{path}", self.hop.said()), body)
    }
}

async fn calls(sides: &Sides, vendor: SocketAddr) -> anyhow::Result<Vec<Row>> {
    let path = "/v1/chat/completions";
    let (whole, stream) = (request(false), request(true));
    let (ours, floor) =
        (sides.ours((GATEWAY, path), Method::POST, &whole), sides.floor(path, Method::POST, &whole));
    let (cpu, cpu_floor, cpu_ratio) = cpu_pair(&ours, &floor, CALLS).await?;
    let (streamed, streamed_floor, streamed_ratio) =
        cpu_pair(&ours.with(&stream), &floor.with(&stream), STREAMS).await?;
    let direct = Asked { pid: None, url: format!("http://{vendor}{path}"), ..ours.clone() };
    let single = one_after_another([&direct, &ours, &floor]).await?;
    let streams = load(&ours.with(&stream), SINGLE / 5, 1).await?;
    let stalled =
        single.all_of_ours.iter().chain(&streams).filter(|us| STALL_MS.contains(&(**us / 1e3))).count();
    Ok(vec![
        Row::new(format!("model call, CPU at {CONNECTIONS} connections"), cpu_ratio, "×")
            .sides(us(cpu), us(cpu_floor))
            .aim(Aim::AtMost(2.0))
            .note("the baseline parses, sends on and keeps a receipt in memory, on axum and hyper"),
        Row::new(format!("streamed call of {EVENTS} events, CPU"), streamed_ratio, "×")
            .sides(us(streamed), us(streamed_floor))
            .aim(Aim::AtMost(1.3)),
        Row::new("model call, added at p50 with one connection", single.added, " µs")
            .sides(us(single.p50[1]), us(single.p50[2]))
            .aim(Aim::AtMost(120.0))
            .note(format!(
                "beside the vendor itself ({}); the baseline adds {}; no budget caps the run",
                us(single.p50[0]),
                us(single.added_by_floor)
            )),
        Row::new("calls in the band of a 40 ms stall", stalled as f64, "").aim(Aim::AtMost(0.0)),
    ])
}

/// Soft state against a handler that parses the same body: the share of the handler's rate that ours reaches,
/// by CPU time.
async fn reports(sides: &Sides) -> anyhow::Result<Vec<Row>> {
    let track = json!({ "agent": "bench", "run_id": "bench", "ctx_used": 13_000, "ctx_limit": 16_000 });
    let beat = json!({ "service_id": "bench", "status": "ok", "load": 0.4, "queue_depth": 3 });
    let service = json!({ "service_id": "bench", "name": "bench", "type": "tool", "role": "production",
        "url": "http://localhost:9", "caps": ["bench"] });
    load(&sides.ours((BEAT.0, "/register"), Method::POST, &service), 1, 1).await?;
    let mut rows = Vec::new();
    for (name, place, method, body) in
        [("POST /track", TRACK, Method::POST, track), ("PUT /heartbeat", BEAT, Method::PUT, beat)]
    {
        let (ours, floor) = (sides.ours(place, method.clone(), &body), sides.floor(place.1, method, &body));
        let (cpu, cpu_floor, ratio) = cpu_pair(&ours, &floor, REPORTS).await?;
        rows.push(
            Row::new(format!("{name}, rate a core"), 1.0 / ratio, "×")
                .sides(us(cpu), us(cpu_floor))
                .aim(Aim::AtLeast(0.5))
                .note("by CPU time a request; the baseline is a bare axum handler that parses the same body"),
        );
    }
    Ok(rows)
}

/// Reservations by many clients, each durable, against syncs one after another.
async fn reservations(sides: &Sides, folder: &Path) -> anyhow::Result<[Row; 2]> {
    let body = json!({ "job_id": "bench", "agent": "bench", "mem_mb": 1 });
    let asked = sides.ours(RESERVE, Method::POST, &body);
    load(&asked, RESERVERS, RESERVERS).await?;
    let (from, before) = (Instant::now(), commits(sides).await?);
    let made = load(&asked, RESERVATIONS, RESERVERS).await?.len() as f64;
    let rate = made / from.elapsed().as_secs_f64();
    let commits = commits(sides).await? - before;
    let syncs = sync_rate(folder)?;
    let alone = Row::new(format!("durable POST /reserve, {RESERVERS} clients"), rate / syncs, "×");
    let shared = Row::new("the same, reservations a commit of the daemon", made / commits, "");
    Ok([
        alone
            .sides(format!("{}/s", number(rate)), format!("{} syncs/s", number(syncs)))
            .aim(Aim::AtLeast(20.0))
            .note("the baseline appends to a file and syncs it, one after another"),
        shared.note(
            "what a disk with slow syncs would multiply its rate by; other writers of the daemon commit too",
        ),
    ])
}

/// Commits of the daemon's store so far, each a sync.
async fn commits(sides: &Sides) -> anyhow::Result<f64> {
    let url = format!("http://{}/metrics", sides.daemon.address(ORCHESTRATOR));
    let told = pas::llm::tls::plain_client_builder()?.build()?.get(url).send().await?.text().await?;
    let line = told.lines().find_map(|line| line.strip_prefix("pas_store_commits_total "));
    Ok(line.context("the daemon tells no commits")?.trim().parse()?)
}

fn sync_rate(folder: &Path) -> anyhow::Result<f64> {
    use std::io::Write as _;
    let mut file = std::fs::File::create(folder.join("syncs"))?;
    let from = Instant::now();
    for _ in 0..SYNCS {
        file.write_all(&[7; 512])?;
        file.sync_data()?;
    }
    Ok(f64::from(SYNCS) / from.elapsed().as_secs_f64())
}

/// Memory after many calls, and the growth in the second half.
async fn memory(sides: &Sides) -> anyhow::Result<Vec<Row>> {
    let asked = sides.ours((GATEWAY, "/v1/chat/completions"), Method::POST, &request(false));
    let set = std::env::var(MEMORY_VARIABLE).ok().and_then(|text| text.parse().ok());
    let half = set.map_or(MEMORY_CALLS, |calls: usize| calls / 2);
    let mut sizes = Vec::new();
    for _ in 0..2 {
        load(&asked, half, CONNECTIONS).await?;
        tokio::time::sleep(REST).await;
        sizes.push(resident(sides.daemon.pid())? as f64 / MIB);
    }
    let binary = resident_of_files(sides.daemon.pid());
    let binary = binary.map_or("some".to_owned(), |bytes| format!("{} MiB", number(bytes as f64 / MIB)));
    Ok(vec![
        Row::new(format!("memory after {} model calls", half * 2), sizes[1], " MiB")
            .aim(Aim::AtMost(40.0))
            .note(format!("resident, {REST:?} later; {binary} of it are pages of the binary")),
        Row::new("the same, added by the second half of them", sizes[1] - sizes[0], " MiB")
            .aim(Aim::AtMost(1.0))
            .note(format!("{MEMORY_VARIABLE} sets how many calls are made")),
    ])
}

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    let folder = crate::scratch()?;
    let (vendors, clients) = (crate::runtime(1)?, crate::runtime(1)?);
    let vendor = vendors.block_on(vendors.spawn(hop::vendor()))??;
    let settings = format!(
        "[providers.openai]\nbase_url = \"http://{vendor}/v1\"\napi_key = \"sk-bench-0123456789\"\n\
         [resources]\nmem_mb = 1_000_000\n"
    );
    let daemon = Daemon::start(folder.path(), &settings)?;
    let sides = Sides { daemon, hop: Side::start(&[HOP_SIDE, &vendor.to_string()])? };
    std::thread::sleep(Duration::from_secs(1));
    clients.block_on(async {
        let mut rows = calls(&sides, vendor).await?;
        // Before the reservations, which stay until released.
        rows.extend(memory(&sides).await?);
        rows.extend(reports(&sides).await?);
        rows.extend(reservations(&sides, folder.path()).await?);
        Ok(rows)
    })
}

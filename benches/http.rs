//! The HTTP edge: a service behind accept loop, limits, guard, trace and router, against a bare axum
//! handler on axum's own `serve` that returns the same bytes.
//!
//! Server and client have one thread each, so that the server is the bottleneck. The client is cheap: a
//! request written in one piece, the answer read to the announced length.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use pas::config::{ConfigSources, SwarmConfig};
use pas::daemon::RunningDaemon;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::measure::in_turn;
use crate::report::{Aim, Row, number};

const CONNECTIONS: usize = 16;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(1500);

/// The request: the service's port and the path.
const ASKED: (u16, &str) = (6121, "/discover");

/// One kept-alive connection.
struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Client {
    async fn connect(address: SocketAddr, path: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").into_bytes();
        Ok(Self { stream, request, buffer: Vec::with_capacity(64 * 1024) })
    }

    /// One request and its answer; returns the offset of the body in the buffer.
    async fn ask(&mut self) -> anyhow::Result<usize> {
        self.stream.write_all(&self.request).await?;
        self.buffer.clear();
        loop {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server closed the connection");
            if let Some((begin, length)) = head(&self.buffer)?
                && self.buffer.len() >= begin + length
            {
                return Ok(begin);
            }
        }
    }
}

/// Offset and length of the body, once the head is complete.
fn head(buffer: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&buffer[..end])?;
    ensure!(head.starts_with("HTTP/1.1 200"), "not a good answer: {head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).context("no length")?;
    Ok(Some((end + 4, length.parse()?)))
}

/// Requests a second over all connections.
async fn load(address: SocketAddr, path: &'static str) -> anyhow::Result<f64> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(Client::connect(address, path).await?);
    }
    let from = Instant::now();
    let mut tasks = JoinSet::new();
    for mut client in clients {
        tasks.spawn(async move {
            let mut answers = 0_u32;
            while from.elapsed() < ROUND {
                client.ask().await?;
                answers += 1;
            }
            anyhow::Ok(answers)
        });
    }
    let mut answers = 0;
    while let Some(done) = tasks.join_next().await {
        answers += done??;
    }
    Ok(f64::from(answers) / from.elapsed().as_secs_f64())
}

async fn daemon(folder: &std::path::Path) -> anyhow::Result<(RunningDaemon, SocketAddr)> {
    let offset = crate::child::free_offset()?;
    let file = folder.join(pas::config::FILE_NAME);
    std::fs::write(&file, format!("[http]\nport_offset = {offset}\n[daemon]\nworkdir = {folder:?}\n"))?;
    let config = SwarmConfig::load(&ConfigSources { file: Some(file), ..ConfigSources::default() })?;
    let daemon = RunningDaemon::start(config, CancellationToken::new()).await?;
    Ok((daemon, (Ipv4Addr::LOCALHOST, ASKED.0 + offset).into()))
}

/// A bare axum server that always answers `body`.
async fn bare(body: Bytes) -> anyhow::Result<SocketAddr> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = socket.local_addr()?;
    let handler = move || {
        let body = body.clone();
        async move { ([(CONTENT_TYPE, "application/json")], body) }
    };
    let router = Router::new().route(ASKED.1, get(handler));
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(socket, router).await });
    // The server runs until the runtime ends.
    serving.detach_all();
    Ok(address)
}

fn one_thread() -> anyhow::Result<Runtime> {
    crate::runtime(1)
}

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    let folder = crate::scratch()?;
    let (server, client) = (one_thread()?, one_thread()?);
    let (_daemon, ours) = server.block_on(server.spawn({
        let folder = folder.path().to_owned();
        async move { daemon(&folder).await }
    }))??;
    let body = client.block_on(async {
        let mut client = Client::connect(ours, ASKED.1).await?;
        let begin = client.ask().await?;
        anyhow::Ok(Bytes::copy_from_slice(&client.buffer[begin..]))
    })?;
    let bytes = body.len();
    let theirs = server.block_on(server.spawn(bare(body)))??;
    let measured = |address| client.block_on(client.spawn(load(address, ASKED.1)))?;
    let pair = in_turn(ROUNDS, || measured(ours), || measured(theirs))?;
    Ok(vec![
        Row::new(format!("`GET {}` over HTTP", ASKED.1), pair.ratio, "×")
            .sides(
                format!("{} requests/s", number(pair.ours)),
                format!("{} requests/s", number(pair.baseline)),
            )
            .aim(Aim::AtLeast(0.7))
            .note(format!(
                "{bytes} bytes over {CONNECTIONS} kept-alive connections, one server thread and one client \
                 thread; ours checks Host and Origin, holds the limits, traces the request and asks the \
                 service; the baseline is a constant behind `axum::serve`"
            )),
    ])
}

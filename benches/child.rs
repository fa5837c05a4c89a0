//! A daemon as a process of its own: started, asked over HTTP, ended.
//!
//! Invariants: the daemon works in the given folder, on free ports, and is killed when the handle is dropped.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// Longest wait for a start.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// Longest answer to a request.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// A running `pas up`.
pub(crate) struct Daemon {
    process: Child,
    offset: u16,
    /// From the start of the process until every port had answered.
    pub(crate) ready_after: Duration,
}

impl Daemon {
    /// Starts the daemon with `folder` as working directory.
    ///
    /// # Errors
    /// When the daemon ends early, or a port does not answer in time.
    pub(crate) fn start(folder: &Path, settings: &str) -> anyhow::Result<Self> {
        let offset = free_offset()?;
        let file = folder.join(pas::config::FILE_NAME);
        let text = format!("[http]\nport_offset = {offset}\n[log]\nlevel = \"warn\"\n{settings}");
        std::fs::write(&file, text)?;
        let from = Instant::now();
        let process = Command::new(env!("CARGO_BIN_EXE_pas"))
            .arg("up")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let mut daemon = Self { process, offset, ready_after: Duration::ZERO };
        for port in pas::daemon::ports() {
            while daemon.get(port.number, "/health").is_err() {
                ensure!(daemon.process.try_wait()?.is_none(), "the daemon ended while it started");
                ensure!(from.elapsed() < START_DEADLINE, "{} does not answer", port.service);
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        daemon.ready_after = from.elapsed();
        Ok(daemon)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn address(&self, port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port + self.offset).into()
    }

    /// The answer to a GET, which must be 200.
    pub(crate) fn get(&self, port: u16, path: &str) -> anyhow::Result<Value> {
        self.ask(port, &format!("GET {path}"), None)
    }

    /// Submits an ingest of `source`, and returns the job's id.
    pub(crate) fn ingest(&self, source: &Path) -> anyhow::Result<String> {
        let source = source.canonicalize()?;
        let card = serde_json::json!({ "task": "ingest", "inputs": { "source": source } });
        let job = self.ask(6100, "POST /jobs", Some(&card))?;
        Ok(job["job_id"].as_str().context("a job without id")?.to_owned())
    }

    /// Waits until a job is done; any other end is an error. Returns the job with all steps.
    pub(crate) fn finish(&self, job: &str, deadline: Duration) -> anyhow::Result<Value> {
        let from = Instant::now();
        loop {
            let shown = self.get(6100, &format!("/jobs/{job}?tree=true"))?;
            match shown["state"].as_str().unwrap_or_default() {
                "done" => return Ok(shown),
                state @ ("failed" | "cancelled" | "quarantined") => {
                    anyhow::bail!("{job} is {state}: {shown}")
                }
                state => ensure!(from.elapsed() < deadline, "{job} is still {state} after {deadline:?}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn ask(&self, port: u16, what: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let port = port + self.offset;
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(ANSWER_DEADLINE))?;
        let body = body.map_or_else(String::new, Value::to_string);
        write!(
            stream,
            "{what} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no whole answer")?;
        ensure!(head.starts_with("HTTP/1.1 20"), "{what}: {answer}");
        Ok(serde_json::from_str(body)?)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // An error means that the daemon has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// This program, started again as one side of a bench; killed on drop.
pub(crate) struct Side {
    process: Child,
    said: String,
}

impl Side {
    /// Starts the side and reads the one line printed when ready.
    ///
    /// # Errors
    /// When the side cannot be started, or prints nothing.
    pub(crate) fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = process.stdout.take().context("no output")?;
        let mut said = String::new();
        BufReader::new(output).read_line(&mut said)?;
        Ok(Self { process, said: said.trim().to_owned() })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The line printed by the side.
    pub(crate) fn said(&self) -> &str {
        &self.said
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // As with a daemon.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An offset with which every port of the daemon is free at this moment.
///
/// # Errors
/// When a hundred offsets are taken.
pub(crate) fn free_offset() -> anyhow::Result<u16> {
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    (0..100)
        .map(|n| 20_000 + n * 131)
        .find(|offset| pas::daemon::ports().iter().all(|port| free(port.number + offset)))
        .context("no free ports")
}

//! Shared by the tests of the whole daemon: a daemon in this process or a separate one, and a client of the
//! API.
//!
//! Every daemon has a temporary working directory and its own ports, so that tests run in parallel. Tests
//! always wait for something visible from outside, and a failure shows the state found instead.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pas::actors::gateway::GatewayHandle;
use pas::actors::jobs::JobsShared;
use pas::actors::resource_manager::ResourceHandle;
use pas::config::{ConfigFlags, ConfigSources, SwarmConfig};
use pas::daemon::{DaemonEnd, DaemonGround, RunningDaemon};
use pas::store::Store;
use pas::supervision::ActorSystem;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::corpus::corpus;
use crate::faulty_disk::FaultyDisk;
use crate::port_lease::PortLease;

/// Longer than any wait of a test on a busy machine; reached only when a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// Time between two looks while waiting.
const LOOK: Duration = Duration::from_millis(20);

/// The log of a place's daemons.
const LOG: &str = "daemon.log";
/// Lines or events shown by a failure.
const PICTURED: usize = 60;

/// A working directory with a corpus, and the settings of a daemon there.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) offset: u16,
    env: Vec<(String, String)>,
    /// Shared by places that stand for one installation on the same ports.
    lease: Arc<PortLease>,
    /// The disk of the store, a working one by default.
    disk: FaultyDisk,
}

impl Place {
    /// A directory with a corpus of `documents` documents.
    pub(crate) fn with_documents(documents: usize) -> Self {
        Self::on_ports(Arc::new(PortLease::take()), documents)
    }

    /// A place on the same ports as another, whose daemon is then in this one's way.
    pub(crate) fn beside(other: &Self) -> Self {
        Self::on_ports(Arc::clone(&other.lease), 1)
    }

    fn on_ports(lease: Arc<PortLease>, documents: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        corpus(&dir.path().join("corpus"), documents);
        Self { dir, offset: lease.offset, env: Vec::new(), lease, disk: FaultyDisk::default() }
    }

    /// The same with a setting, as an environment variable: `PAS_JOBS__THREADS`.
    #[expect(clippy::needless_pass_by_value, reason = "callers write numbers and texts as they are")]
    pub(crate) fn setting(mut self, name: &str, value: impl ToString) -> Self {
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    /// The same with the store on this disk, for a daemon in this process.
    pub(crate) fn on(mut self, disk: &FaultyDisk) -> Self {
        self.disk = disk.clone();
        self
    }

    pub(crate) fn corpus(&self) -> PathBuf {
        self.dir.path().join("corpus")
    }

    fn variables(&self) -> Vec<(String, String)> {
        let workdir = self.dir.path().display().to_string();
        let mut all = vec![
            ("PAS_DAEMON__WORKDIR".to_owned(), workdir),
            ("PAS_HTTP__PORT_OFFSET".to_owned(), self.offset.to_string()),
            ("PAS_JOBS__BACKOFF_BASE_MS".to_owned(), "10".to_owned()),
        ];
        all.extend(self.env.clone());
        all
    }

    pub(crate) fn api(&self) -> Api {
        let base = format!("http://127.0.0.1:{}", 6100 + self.offset);
        Api {
            offset: self.offset,
            base,
            client: http_client(),
            source: self.corpus(),
            log: self.dir.path().join(LOG),
        }
    }

    /// The log file of daemons in separate processes, opened for appending.
    fn log_file(&self) -> File {
        File::options().create(true).append(true).open(self.dir.path().join(LOG)).unwrap()
    }

    /// The configuration of a daemon here.
    pub(crate) fn config(&self) -> SwarmConfig {
        let env = self.variables().into_iter().map(|(k, v)| (OsString::from(k), OsString::from(v))).collect();
        SwarmConfig::load(&ConfigSources { env, flags: ConfigFlags::default(), ..ConfigSources::default() })
            .unwrap()
    }

    /// Starts a daemon in this process.
    pub(crate) async fn start(&self) -> Swarm {
        let stop = CancellationToken::new();
        let config = self.config();
        let store = self.disk.home(&config.store_file());
        let ground = DaemonGround { store, program: env!("CARGO_BIN_EXE_pas").into() };
        let daemon = RunningDaemon::start_on(ground, config, stop.clone()).await.unwrap();
        let (system, jobs) = (daemon.system().clone(), Arc::clone(daemon.jobs()));
        let store = daemon.store().clone();
        let (resources, gateway) = (daemon.resources().clone(), daemon.gateway().clone());
        let run = tokio::runtime::Handle::current().spawn(async move { daemon.run().await.unwrap() });
        Swarm { api: self.api(), system, store, jobs, resources, gateway, stop, run }
    }

    /// A command of `pas` here, with the settings of this place.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pas"));
        command.args(arguments).envs(self.variables()).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// Starts a daemon in a separate process and waits until it answers.
    pub(crate) async fn start_process(&self) -> Process {
        self.try_start_process().await.unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// The same; an error when the daemon ended before answering. An answer of another daemon does not count.
    pub(crate) async fn try_start_process(&self) -> Result<Process, String> {
        let mut command = self.command(&["up"]);
        let child = command.stdout(Stdio::null()).stderr(self.log_file()).spawn().unwrap();
        let mut process = Process { api: self.api(), child };
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = process.child.try_wait().unwrap() {
                return Err(format!("the daemon ended ({status}):\n{}", process.api.log_end()));
            }
            if self.is_answered(&process.api).await {
                return Ok(process);
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(format!("the daemon did not answer for {PATIENCE:?}:\n{}", process.api.log_end()))
    }

    /// Whether a daemon of this place answers.
    async fn is_answered(&self, api: &Api) -> bool {
        let Ok((_, health)) = api.try_get("/health").await else { return false };
        let path = |text: &str| std::fs::canonicalize(text).ok();
        health["workdir"].as_str().and_then(path) == self.dir.path().canonicalize().ok()
    }
}

/// Polls until `look` finds something.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let Some(found) = in_time(look).await else { panic!("waited too long until {what}") };
    found
}

/// Polls until `look` finds something, or [`PATIENCE`] is over.
pub(crate) async fn in_time<T>(look: impl AsyncFn() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(found) = look().await {
            return Some(found);
        }
        tokio::time::sleep(LOOK).await;
    }
    None
}

/// A daemon in this process.
pub(crate) struct Swarm {
    pub(crate) api: Api,
    pub(crate) system: ActorSystem,
    pub(crate) store: Store,
    pub(crate) jobs: Arc<JobsShared>,
    pub(crate) resources: ResourceHandle,
    pub(crate) gateway: GatewayHandle,
    stop: CancellationToken,
    run: JoinHandle<DaemonEnd>,
}

impl Swarm {
    /// Stops the daemon in order.
    pub(crate) async fn stop(self) {
        assert!(!self.run.is_finished(), "the daemon has ended by itself");
        self.stop.cancel();
        self.ended().await;
    }

    /// Waits for the requested end.
    pub(crate) async fn ended(self) {
        assert_eq!(self.run.await.unwrap(), DaemonEnd::Asked);
    }
}

/// A daemon in a separate process; killed on drop.
pub(crate) struct Process {
    pub(crate) api: Api,
    child: Child,
}

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Mostly ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// reqwest is built without TLS here, so PAS's own is set.
pub(crate) fn http_client() -> reqwest::Client {
    pas::llm::tls::plain_client_builder().expect("TLS").build().expect("a client")
}

/// A client of the Orchestrator API.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) offset: u16,
    pub(crate) base: String,
    client: reqwest::Client,
    source: PathBuf,
    /// The daemon's log; absent for a daemon in this process.
    log: PathBuf,
}

impl Api {
    /// The same client, for another port of the daemon.
    pub(crate) fn with_base(&self, base: String) -> Self {
        Self { base, ..self.clone() }
    }

    pub(crate) async fn try_get(&self, path: &str) -> reqwest::Result<(StatusCode, Value)> {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await?;
        let status = answer.status();
        Ok((status, answer.json().await?))
    }

    /// The address of another port of the daemon.
    pub(crate) fn address_of(&self, port: u16) -> String {
        format!("127.0.0.1:{}", port + self.offset)
    }

    /// A JSON document; anything but 200 fails the test.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.try_get(path).await.unwrap();
        assert_eq!(status, StatusCode::OK, "GET {path}: {body}");
        body
    }

    /// The bytes at `path`; anything but 200 fails the test.
    pub(crate) async fn bytes(&self, path: &str) -> Vec<u8> {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "GET {path}");
        answer.bytes().await.unwrap().to_vec()
    }

    /// The stream of a job's events, read to the end: id and kind of each.
    pub(crate) async fn stream(&self, job: &str, since: u64) -> Vec<(u64, String)> {
        let url = format!("{}/jobs/{job}/events?since={since}", self.base);
        let asked = self.client.get(url).header("accept", "text/event-stream").timeout(PATIENCE);
        let text = asked.send().await.unwrap().text().await.unwrap();
        let field = |event: &str, name: &str| {
            event.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
        };
        let events = text.split("\n\n").filter(|event| event.contains("data:"));
        events.map(|e| (field(e, "id:").unwrap().parse().unwrap(), field(e, "event:").unwrap())).collect()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let answer = self.client.post(format!("{}{path}", self.base)).json(&body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap_or_default())
    }

    /// A request with headers; also returns the answer's headers.
    pub(crate) async fn send(
        &self,
        path: &str,
        body: Value,
        headers: &[(&str, &str)],
    ) -> (StatusCode, HeaderMap, Value) {
        let request = self.client.post(format!("{}{path}", self.base)).json(&body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.send().await.unwrap();
        (answer.status(), answer.headers().clone(), answer.json().await.unwrap_or_default())
    }

    /// A request that must succeed.
    pub(crate) async fn ask(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.post(path, body).await;
        assert!(status.is_success(), "POST {path}: {status} {answer}");
        answer
    }

    /// Submits an ingest of the corpus, with `more` fields on the card; returns the job's id.
    pub(crate) async fn ingest(&self, more: Value) -> String {
        let mut card = json!({ "task": "ingest", "inputs": { "source": self.source } });
        card.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let job = self.ask("/jobs", card).await;
        job["job_id"].as_str().unwrap().to_owned()
    }

    /// Submits a card with an idempotency key; `None` when the connection was cut off.
    pub(crate) async fn try_submit(&self, card: &Value) -> Option<String> {
        let answer = self.client.post(format!("{}/jobs", self.base)).json(card).send().await.ok()?;
        let status = answer.status();
        let job: Value = answer.json().await.ok()?;
        assert_eq!(status, StatusCode::ACCEPTED, "{job}");
        Some(job["job_id"].as_str()?.to_owned())
    }

    pub(crate) async fn job(&self, id: &str) -> Value {
        self.get(&format!("/jobs/{id}")).await
    }

    /// All jobs of a run, the root first.
    pub(crate) async fn run(&self, run: &str) -> Vec<Value> {
        let list = self.get(&format!("/jobs?run_id={run}&roots=false&limit=1000")).await;
        list["jobs"].as_array().unwrap().clone()
    }

    pub(crate) async fn events(&self, run: &str) -> Vec<Value> {
        let (mut all, mut since) = (Vec::new(), 0);
        loop {
            let page = self.get(&format!("/jobs/{run}/events?since={since}")).await;
            let events = page["events"].as_array().unwrap();
            if events.is_empty() {
                return all;
            }
            all.extend(events.clone());
            since = page["last_seq"].as_u64().unwrap();
        }
    }

    /// Waits until a job is in a state; a failure shows all that is known of the job.
    pub(crate) async fn is(&self, id: &str, state: &str) -> Value {
        let reached = in_time(async || {
            let job = self.try_get(&format!("/jobs/{id}")).await.ok()?.1;
            let now = job["state"].as_str().unwrap_or_default();
            let over = ["done", "failed", "cancelled", "quarantined"].contains(&now);
            if now != state && over {
                panic!("{id} is {now}, not {state}: {}", self.picture(id).await);
            }
            (now == state).then_some(job)
        });
        match reached.await {
            Some(job) => job,
            None => panic!("waited too long until {id} is {state}: {}", self.picture(id).await),
        }
    }

    /// Everything that may explain a run's state: jobs, questions, last events, actors with work or trouble,
    /// and the end of the log. An unreadable part shows the error.
    async fn picture(&self, job: &str) -> String {
        let run = job.split('.').next().unwrap_or(job);
        let show = async |path: &str, pick: fn(&Value) -> Value| match self.try_get(path).await {
            Ok((status, body)) => format!("\nGET {path}: {status} {:#}", pick(&body)),
            Err(error) => format!("\nGET {path}: {error:?}"),
        };
        let mut text = show(&format!("/jobs/{run}?tree=true"), Value::clone).await;
        text += &show("/approvals", Value::clone).await;
        text += &show(&format!("/jobs/{run}/events"), |page| last(&page["events"])).await;
        text += &show("/tree", |tree| json!(troubled(tree))).await;
        text += &show("/supervision/events", |page| last(&page["events"])).await;
        text += "\nlog:\n";
        text + &self.log_end()
    }

    /// The last lines of the log.
    fn log_end(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(PICTURED)..].join("\n")
    }

    /// Waits until a step works and has passed at least `done` documents.
    pub(crate) async fn works(&self, id: &str, done: u64) -> Value {
        until(&format!("{id} has worked on {done} documents"), async || {
            let (status, job) = self.try_get(&format!("/jobs/{id}")).await.ok()?;
            let works = status == StatusCode::OK && job["state"] == "running";
            (works && job["progress"]["done"].as_u64()? >= done).then_some(job)
        })
        .await
    }

    /// Waits for the manifest of a run.
    pub(crate) async fn manifest(&self, run: &str) -> Value {
        until(&format!("{run} has its manifest"), async || {
            let (status, manifest) = self.try_get(&format!("/runs/{run}/manifest")).await.ok()?;
            (status == StatusCode::OK).then_some(manifest)
        })
        .await
    }

    /// Waits until a run is done, and returns its content hash.
    pub(crate) async fn done(&self, run: &str) -> String {
        self.is(run, "done").await;
        self.manifest(run).await["content_hash"].as_str().unwrap().to_owned()
    }

    /// The question about a job of this run that waits for a person.
    pub(crate) async fn question_of(&self, run: &str) -> String {
        until(&format!("a person is asked about {run}"), async || {
            let asked = self.get("/approvals").await;
            let of_run = |asked: &&Value| asked["job_id"].as_str().is_some_and(|job| job.starts_with(run));
            let question = asked["approvals"].as_array()?.iter().find(of_run)?;
            question["approval_id"].as_str().map(str::to_owned)
        })
        .await
    }

    /// The one question that waits for a person.
    pub(crate) async fn question(&self) -> Value {
        until("a person is asked", async || {
            let asked = self.get("/approvals").await;
            assert!(asked["count"].as_u64()? <= 1, "more than one question: {asked:#}");
            asked["approvals"].get(0).cloned()
        })
        .await
    }
}

/// The last of a list.
fn last(list: &Value) -> Value {
    let all = list.as_array().map_or(&[][..], Vec::as_slice);
    json!(all[all.len().saturating_sub(PICTURED)..])
}

/// The actors of a tree that do not just wait for messages, without those below them.
fn troubled(node: &Value) -> Vec<Value> {
    let mut own = node.clone();
    own.as_object_mut().and_then(|fields| fields.remove("children"));
    let below = node["children"].as_array().into_iter().flatten().flat_map(troubled);
    (own["status"] != "ok").then_some(own).into_iter().chain(below).collect()
}

/// Events of one kind, as the ids of their jobs.
pub(crate) fn of_kind<'e>(events: &'e [Value], kind: &str) -> Vec<&'e str> {
    events.iter().filter(|e| e["event"] == kind).map(|e| e["job_id"].as_str().unwrap()).collect()
}

/// Every job of a run has exactly one final event, and none after that.
#[track_caller]
pub(crate) fn each_ended_once(jobs: &[Value], events: &[Value]) {
    const ENDS: &[&str] = &["completed", "failed", "cancelled", "quarantined"];
    for job in jobs {
        let told: Vec<&str> = events
            .iter()
            .filter(|event| event["job_id"] == job["job_id"])
            .map(|event| event["event"].as_str().unwrap())
            .collect();
        let ends = told.iter().filter(|kind| ENDS.contains(kind)).count();
        assert_eq!(ends, 1, "{}: {told:?}", job["job_id"]);
        assert!(ENDS.contains(told.last().unwrap()), "{}: {told:?}", job["job_id"]);
        assert_eq!(told.first(), Some(&"accepted"));
        assert_eq!(told.iter().filter(|kind| **kind == "accepted").count(), 1);
    }
}

//! Context resets with crashes: governor and worker are killed while a summariser waits, or at random.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use pas::actors::token_governor::{self, GovernorDeps, GovernorHandle, SummaryRequest};
use pas::domain::agent::AgentDefinition;
use pas::domain::token_governor::conversation::NoteOrigin;
use pas::domain::token_governor::reset::ResetStage;
use pas::domain::token_governor::summary::SummaryTrigger;
use pas::domain::token_governor::{DEFAULT_CTX_LIMIT, RunLabel};
use pas::domain::usage::TokenUsage;
use pas::http::{self, PortContract, page};
use pas::skills::summary::{SummaryDigest, SummaryError, TextSummariser};
use pas::store::Store;
use pas::supervision::policy::{PlannedRestart, SupervisorPolicy};
use pas::supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, RootHandle, SupervisionEventKind,
    WorkerOptions,
};
use tokio::sync::Notify;

use crate::contracts::assert_routes_match_contract;
use crate::support::until;

const GOVERNOR: &str = "token-governor";
const AGENT: &str = "corpus-auditor";
/// Tokens that every model takes here.
const WINDOW: u64 = 77_000;

/// A summariser that waits until released, and then answers.
struct Held {
    open: AtomicBool,
    asked: Notify,
    go: Notify,
}

impl Held {
    fn new(open: bool) -> Arc<Self> {
        Arc::new(Self { open: AtomicBool::new(open), asked: Notify::new(), go: Notify::new() })
    }

    fn let_go(&self) {
        self.open.store(true, Ordering::SeqCst);
        self.go.notify_waiters();
    }
}

struct HeldSummariser(Arc<Held>);

impl TextSummariser for HeldSummariser {
    fn summarise(&self, _: Arc<str>) -> BoxFuture<'static, Result<SummaryDigest, SummaryError>> {
        let held = Arc::clone(&self.0);
        async move {
            held.asked.notify_one();
            let go = held.go.notified();
            if !held.open.load(Ordering::SeqCst) {
                go.await;
            }
            // The governor falls back on extraction.
            Err(SummaryError("no model answers".into()))
        }
        .boxed()
    }
}

/// An agent's worker as far as resets go: it resumes on starting.
struct Worker;

enum Never {}

impl ActorMessage for Never {
    fn kind(&self) -> &'static str {
        match *self {}
    }
}

impl Actor for Worker {
    type Message = Never;

    async fn handle(&mut self, message: Never, _: &ActorContext<Never>) -> Result<(), ActorError> {
        match message {}
    }
}

/// One agent and the governor.
struct World {
    dir: tempfile::TempDir,
    system: ActorSystem,
    root: RootHandle,
    store: Store,
    governor: GovernorHandle,
    me: AgentDefinition,
    run: RunLabel,
    /// The resets from which the worker resumed.
    resumed: Arc<Mutex<Vec<String>>>,
}

impl World {
    async fn new(held: &Arc<Held>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pas.redb");
        let store = tokio::task::spawn_blocking(move || Store::open(file)).await.unwrap().unwrap();
        let system = ActorSystem::default();
        let roster = Arc::new(pas::roster::load(None).0);
        let me = roster.get(AGENT).unwrap().clone();
        let options = WorkerOptions { heartbeat: None, ..WorkerOptions::default() };
        let setup = GovernorDeps {
            store: store.clone(),
            roster,
            workdir: dir.path().to_owned(),
            counter: Arc::default(),
            events: None,
            summariser: Some(Arc::new(HeldSummariser(Arc::clone(held)))),
            windows: Arc::new(|_| Some(WINDOW)),
        };
        let (spec, governor) = token_governor::spec(&system, "governor", options, setup);
        let resumed = Arc::new(Mutex::new(Vec::new()));
        let (handle, told) = (governor.clone(), Arc::clone(&resumed));
        let (worker, _) = system.worker(AGENT, options, move |_| {
            let (handle, told) = (handle.clone(), Arc::clone(&told));
            async move {
                if let Some(resumption) = handle.resume(AGENT).await? {
                    assert!(resumption.summary.is_some(), "nothing is cleared before its summary is stored");
                    told.lock().push(resumption.reset.id);
                }
                Ok(Worker)
            }
        });
        let policy = SupervisorPolicy { intensity: 1_000, ..SupervisorPolicy::default() };
        let root = system.start("root", policy, vec![worker, spec]).await.unwrap();
        Self { dir, system, root, store, governor, me, run: RunLabel::new("run-1").unwrap(), resumed }
    }

    async fn remember(&self, key: &str, text: &str) {
        let key = Some(key.to_owned());
        self.governor.remember(&self.me, &self.run, key, NoteOrigin::Tool, text.to_owned()).await.unwrap();
    }

    /// A model call that fills the window.
    fn breach(&self) {
        let usage = TokenUsage { input: 90_000, output: 10_000, ..TokenUsage::default() };
        self.governor.observe(AGENT, Some(self.run.as_str()), &usage, 100_000);
    }

    fn stage(&self) -> Option<ResetStage> {
        self.governor.reset(AGENT).unwrap().map(|reset| reset.stage)
    }

    async fn is_resumed(&self) {
        until("the agent is resumed", async || {
            if self.stage().is_none() {
                // The message was in hand when the governor was killed: the next call reports again.
                self.breach();
            }
            let told = !self.resumed.lock().is_empty();
            (told && self.stage() == Some(ResetStage::Resumed)).then_some(())
        })
        .await;
    }

    fn context_resets(&self) -> usize {
        let events = self.system.events().since(0);
        let is_reset = |what: &SupervisionEventKind| {
            matches!(what, SupervisionEventKind::PlannedRestart { why: PlannedRestart::ContextReset })
        };
        events.iter().filter(|event| &*event.actor == AGENT && is_reset(&event.kind)).count()
    }

    /// The laws of a reset that is over: one summary, one section, all starts from it, nothing lost.
    fn went_well(&self, notes: &[&str], later: usize) {
        let summaries = self.governor.summaries(Some(AGENT), 10).unwrap();
        assert_eq!(summaries.len(), 1);
        for note in notes {
            assert!(summaries[0].text.contains(note), "{note} is lost: {}", summaries[0].text);
        }
        let file = self.dir.path().join(&summaries[0].summary_path);
        let text = std::fs::read_to_string(file).unwrap();
        assert_eq!(text.matches("<!-- pas-summary").count(), 1, "{text}");
        let resumed = self.resumed.lock();
        assert!(
            !resumed.is_empty() && resumed.iter().all(|id| *id == summaries[0].summary_id),
            "{resumed:?}"
        );
        let (summary, live) = self.governor.conversation(AGENT, &self.run).unwrap();
        assert_eq!((summary.unwrap().summary_id.as_str(), live.len()), (&*summaries[0].summary_id, later));
        assert!(self.context_resets() <= 1, "no restart is ordered twice");
    }

    async fn stop(self) {
        self.root.shutdown().await;
        self.store.close().await.unwrap();
    }
}

#[tokio::test]
async fn routes_are_those_of_the_contract() {
    let world = World::new(&Held::new(true)).await;
    let governor = world.governor.clone();
    let common =
        page::routes(PortContract::load(GOVERNOR).unwrap(), http::token_governor::health(governor.clone()));
    assert_routes_match_contract(GOVERNOR, http::token_governor::routes(governor).merge(common)).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_measured_breach_saves_summarises_clears_and_restarts_the_worker() {
    let world = World::new(&Held::new(true)).await;
    world.remember("a", "The goal is to count 42 sheep.").await;
    world.remember("a", "The goal is to count 42 sheep.").await;
    world.breach();
    world.is_resumed().await;
    world.went_well(&["count 42 sheep"], 0);
    assert_eq!(world.context_resets(), 1);
    let status = world.governor.status(Some(AGENT)).await.unwrap();
    assert!((1..200).contains(&status[0].1.ctx_used), "the summary is in it now: {status:?}");
    // Without new notes another report of a full window resets nothing, so there is no endless loop.
    world.breach();
    world.remember("a", "again, as after a restart").await;
    assert_eq!(world.governor.clear(AGENT.to_owned(), None).await.unwrap(), 100_000);
    world.went_well(&["count 42 sheep"], 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_summary_that_somebody_asks_for_resets_an_own_agent_and_its_status_says_so() {
    let world = World::new(&Held::new(true)).await;
    world.remember("a", "The goal is to count 42 sheep.").await;
    let wanted = |run: &RunLabel, content: Option<&str>| SummaryRequest {
        agent: AGENT.to_owned(),
        run_id: run.clone(),
        trigger_reason: SummaryTrigger::Manual,
        content: content.map(str::to_owned),
    };
    let other = RunLabel::new("run-2").unwrap();
    world.governor.observe(AGENT, Some("run-2"), &TokenUsage { input: 77, ..TokenUsage::default() }, 100);
    let made = world.governor.summarise(wanted(&world.run, Some("The dog is called Rex."))).await.unwrap();
    assert!((4..40).contains(&made.ctx_before), "what was in this run, not the 77 of another: {made:?}");
    assert_eq!((made.ctx_after, &made.run_id), (0, &world.run));
    world.is_resumed().await;
    world.went_well(&["count 42 sheep", "Rex"], 0);
    let status = world.governor.status(Some(AGENT)).await.unwrap();
    let used = |run: &RunLabel| {
        let of_run = status.iter().find(|(_, context)| context.run_id.as_ref() == Some(run));
        of_run.map(|(_, context)| context.ctx_used).unwrap()
    };
    assert!((1..200).contains(&used(&world.run)), "the worker went on from the summary: {status:?}");
    assert_eq!(used(&other), 77, "another run is another context");

    // Without a conversation here, the reported content is summarised and the context emptied, and no worker
    // restarts.
    let made = world.governor.summarise(wanted(&other, None)).await.unwrap();
    assert_eq!((made.ctx_before, made.ctx_after), (77, 0));
    let status = world.governor.status(Some(AGENT)).await.unwrap();
    assert!(status.iter().any(|(_, c)| c.run_id.as_ref() == Some(&other) && c.ctx_used == 0), "{status:?}");
    assert_eq!(world.context_resets(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_context_is_as_large_as_the_window_of_the_agents_first_model() {
    let world = World::new(&Held::new(true)).await;
    let roster = pas::roster::load(None).0;
    for (agent, window) in [("architect", WINDOW), (AGENT, DEFAULT_CTX_LIMIT.get())] {
        let me = roster.get(agent).unwrap();
        assert_eq!(me.models.is_empty(), agent == AGENT, "the one without a model has the default");
        world.governor.remember(me, &world.run, None, NoteOrigin::Card, "Count.".into()).await.unwrap();
        let status = world.governor.status(Some(agent)).await.unwrap();
        assert_eq!(status[0].1.ctx_limit.get(), window, "{agent}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_before_the_summary_clears_nothing_and_goes_on_from_the_saved_state() {
    let held = Held::new(false);
    let world = World::new(&held).await;
    world.remember("a", "Decided to use port 6105.").await;
    world.breach();
    held.asked.notified().await;
    world.remember("b", "This came while the state was being saved.").await;
    for _ in 0..3 {
        assert_eq!(world.stage(), Some(ResetStage::Saving));
        world.system.kill("governor").await.unwrap();
        held.asked.notified().await;
        let (summary, live) = world.governor.conversation(AGENT, &world.run).unwrap();
        assert_eq!((summary, live.len()), (None, 2), "nothing is cleared");
    }
    held.let_go();
    world.is_resumed().await;
    world.went_well(&["Decided to use port 6105."], 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_written_holds_the_clear_up_until_it_can() {
    let world = World::new(&Held::new(true)).await;
    let in_the_way = world.dir.path().join("docs");
    std::fs::write(&in_the_way, "not a folder").unwrap();
    world.remember("a", "TODO: mend the roof.").await;
    world.breach();
    until("a reset has begun", async || world.stage()).await;
    let refused = world.governor.clear(AGENT.to_owned(), None).await.unwrap_err();
    assert!(refused.to_string().contains("nothing was cleared"), "{refused}");
    assert_eq!(world.stage(), Some(ResetStage::Saving));
    assert_eq!(world.governor.conversation(AGENT, &world.run).unwrap().1.len(), 1);
    std::fs::remove_file(in_the_way).unwrap();
    world.is_resumed().await;
    world.went_well(&["TODO: mend the roof."], 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_of_governor_and_worker_at_any_moment_lose_and_repeat_nothing() {
    for seed in 0..16 {
        let mut random = fastrand::Rng::with_seed(seed);
        let world = World::new(&Held::new(true)).await;
        world.remember("a", "The goal: keep 3 promises.").await;
        world.remember("b", "error: /srv/a.txt is missing").await;
        world.breach();
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_micros(random.u64(0..12_000))).await;
            let victim = if random.u8(0..3) == 0 { AGENT } else { "governor" };
            // The victim may be starting at this moment: then there is nobody to kill.
            let _ = world.system.kill(victim).await;
        }
        world.is_resumed().await;
        world.went_well(&["keep 3 promises", "/srv/a.txt"], 0);
        world.stop().await;
    }
}

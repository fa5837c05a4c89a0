//! The promises of the supervision tree, with real actors on a stopped clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use pas::supervision::policy::{ExitReason, PlannedRestart, RestartStrategy, SupervisorPolicy};
use pas::supervision::trace::MessageOutcome;
use pas::supervision::tree::ActorPhase;
use pas::supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, Address, CallError, ChildSpec, ControlError,
    ReplySender, SendError, SupervisionEventKind, WorkerOptions,
};

const DEADLINE: Duration = Duration::from_secs(1000);

enum Say {
    Note(u32),
    Echo(u32, ReplySender<u32>),
    Panic(
        #[expect(dead_code, reason = "held while the actor crashes, so that the caller learns of it")]
        ReplySender<u32>,
    ),
    Fail(
        #[expect(dead_code, reason = "held while the actor fails, so that the caller learns of it")]
        ReplySender<u32>,
    ),
    Never(ReplySender<u32>),
    /// Sets the first flag, then spins until the second is set.
    SpinUntil(Arc<std::sync::atomic::AtomicBool>, Arc<std::sync::atomic::AtomicBool>),
    TaskPanics,
    Stop,
}

impl ActorMessage for Say {
    fn kind(&self) -> &'static str {
        match self {
            Self::Note(_) => "note",
            Self::Echo(..) => "echo",
            Self::Panic(_) => "panic",
            Self::Fail(_) => "fail",
            Self::Never(_) => "never",
            Self::SpinUntil(..) => "spin",
            Self::TaskPanics => "task_panics",
            Self::Stop => "stop",
        }
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.0.lock().push(line.into());
    }
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

struct Speaker {
    name: &'static str,
    log: Log,
}

impl Actor for Speaker {
    type Message = Say;

    async fn handle(&mut self, message: Say, context: &ActorContext<Say>) -> Result<(), ActorError> {
        match message {
            Say::Note(n) => self.log.add(format!("{}:{n}", self.name)),
            Say::Echo(n, reply) => reply.send(n),
            Say::Panic(_) => panic!("boom in {}", self.name),
            Say::Fail(_) => return Err("gave up".into()),
            Say::Never(_reply) => std::future::pending::<()>().await,
            Say::SpinUntil(spins, released) => {
                // No other thread can steal the task that this thread runs next, which may be the supervisor.
                tokio::task::yield_now().await;
                spins.store(true, Ordering::Relaxed);
                while !released.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
            }
            Say::TaskPanics => context.spawn(async { panic!("in a task") }),
            Say::Stop => context.stop(),
        }
        Ok(())
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        self.log.add(format!("{} ends: {reason}", self.name));
    }
}

fn speaker(
    system: &ActorSystem,
    name: &'static str,
    log: &Log,
    capacity: usize,
) -> (ChildSpec, Address<Say>) {
    let log = log.clone();
    let options = WorkerOptions { heartbeat: Some(Duration::from_secs(10)), capacity };
    system.worker(name, options, move |context| {
        log.add(format!("{name} starts {}", context.incarnation()));
        let speaker = Speaker { name, log: log.clone() };
        async move { Ok(speaker) }
    })
}

fn policy(strategy: RestartStrategy, intensity: u32) -> SupervisorPolicy {
    SupervisorPolicy { strategy, intensity, ..SupervisorPolicy::default() }
}

async fn until(system: &ActorSystem, wanted: impl Fn(&SupervisionEventKind) -> bool) {
    let mut events = system.events().subscribe();
    if system.events().since(0).iter().any(|event| wanted(&event.kind)) {
        return;
    }
    while !wanted(&events.recv().await.expect("the log lives as long as the system").kind) {}
}

#[tokio::test(start_paused = true)]
async fn a_crash_loses_only_the_message_in_hand_and_keeps_the_order() {
    let system = ActorSystem::default();
    let log = Log::default();
    let (spec, address) = speaker(&system, "a", &log, 100);
    let root = system.start("root", policy(RestartStrategy::OneForOne, 5), vec![spec]).await.unwrap();
    let crash = address.call(DEADLINE, Say::Panic);
    let sent = async {
        for n in 0..50 {
            address.cast(Say::Note(n)).unwrap();
        }
        address.call(DEADLINE, |reply| Say::Echo(7, reply)).await
    };
    let (crashed, echoed) = tokio::join!(crash, sent);
    assert_eq!(crashed, Err(CallError::Crashed));
    assert_eq!(echoed, Ok(7));
    let expected: Vec<String> = ["a starts 1".to_owned(), "a starts 2".to_owned()]
        .into_iter()
        .chain((0..50).map(|n| format!("a:{n}")))
        .collect();
    assert_eq!(log.take(), expected);
    let crashed = system.ring().select(|record| record.outcome == MessageOutcome::Crashed);
    assert_eq!(crashed.len(), 1);
    assert_eq!(crashed[0].kind, "panic");
    let site = system.events().since(0).into_iter().find_map(|event| match event.kind {
        SupervisionEventKind::Crashed { site, .. } => site,
        _ => None,
    });
    let panic = site.unwrap().panic.unwrap();
    assert_eq!(panic.message, "boom in a");
    assert!(panic.place.contains("supervision.rs:"), "{}", panic.place);
    root.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn an_error_ends_the_actor_as_a_panic_does() {
    let system = ActorSystem::default();
    let (spec, address) = speaker(&system, "a", &Log::default(), 100);
    let _root = system.start("root", policy(RestartStrategy::OneForOne, 5), vec![spec]).await.unwrap();
    assert_eq!(address.call(DEADLINE, Say::Fail).await, Err(CallError::Crashed));
    assert_eq!(address.call(DEADLINE, |reply| Say::Echo(1, reply)).await, Ok(1));
    assert_eq!(system.ring().select(|record| record.outcome == MessageOutcome::Error).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_task_is_the_crash_of_its_actor() {
    let system = ActorSystem::default();
    let (spec, address) = speaker(&system, "a", &Log::default(), 100);
    let _root = system.start("root", policy(RestartStrategy::OneForOne, 5), vec![spec]).await.unwrap();
    address.cast(Say::TaskPanics).unwrap();
    until(&system, |what| matches!(what, SupervisionEventKind::Restarted { .. })).await;
    let reason = system.tree().by_name("a").unwrap().state().last_exit.unwrap().0;
    assert!(reason.to_string().contains("in a task"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_refuses_and_a_stopped_actor_is_gone() {
    let system = ActorSystem::default();
    let (spec, address) = speaker(&system, "a", &Log::default(), 3);
    let _root = system.start("root", policy(RestartStrategy::OneForOne, 5), vec![spec]).await.unwrap();
    system.set_paused("a", true).unwrap();
    for n in 0..3 {
        address.cast(Say::Note(n)).unwrap();
    }
    assert_eq!(address.cast(Say::Note(3)), Err(SendError::Busy));
    system.terminate("a").await.unwrap();
    assert_eq!(address.cast(Say::Note(4)), Err(SendError::Gone));
    assert_eq!(system.ring().select(|record| record.outcome == MessageOutcome::Dropped).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_paused_actor_keeps_its_messages_and_still_shows_life() {
    let system = ActorSystem::default();
    let log = Log::default();
    let (spec, address) = speaker(&system, "a", &log, 100);
    let _root = system.start("root", policy(RestartStrategy::OneForOne, 5), vec![spec]).await.unwrap();
    system.set_paused("a", true).unwrap();
    address.cast(Say::Note(1)).unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(log.take(), ["a starts 1"], "neither handled nor restarted for silence");
    system.set_paused("a", false).unwrap();
    assert_eq!(address.call(DEADLINE, |reply| Say::Echo(1, reply)).await, Ok(1));
    assert_eq!(log.take(), ["a:1"]);
}

#[tokio::test(start_paused = true)]
async fn a_hung_actor_is_killed_and_restarted_and_its_caller_told() {
    let system = ActorSystem::default();
    let (spec, address) = speaker(&system, "a", &Log::default(), 100);
    let _root = system.start("root", policy(RestartStrategy::OneForOne, 5), vec![spec]).await.unwrap();
    let started = tokio::time::Instant::now();
    assert_eq!(address.call(DEADLINE, Say::Never).await, Err(CallError::Crashed));
    let silent = started.elapsed();
    assert!((20..=26).contains(&silent.as_secs()), "twice an interval of 10 s, not {silent:?}");
    assert_eq!(address.call(DEADLINE, |reply| Say::Echo(1, reply)).await, Ok(1));
    let state = system.tree().by_name("a").unwrap().state();
    assert_eq!((state.last_exit.unwrap().0, state.restarts), (ExitReason::Hung, 1));
}

/// Lets the spinner go even when the test fails, so that the runtime can end.
struct ReleaseOnDrop(Arc<std::sync::atomic::AtomicBool>);

impl Drop for ReleaseOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_spinning_actor_is_reported_by_name_and_restarted_when_it_yields() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let system = ActorSystem::default();
        let log = Log::default();
        let (spec, address) = speaker(&system, "spinner", &log, 100);
        let _root = system.start("root", policy(RestartStrategy::OneForOne, 5), vec![spec]).await.unwrap();
        let released = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let _release = ReleaseOnDrop(Arc::clone(&released));
        let spins = Arc::new(std::sync::atomic::AtomicBool::new(false));
        address.cast(Say::SpinUntil(Arc::clone(&spins), Arc::clone(&released))).unwrap();
        // The kill must hit the message at work: waiting messages are kept for the next incarnation.
        while !spins.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        system.kill("spinner").await.unwrap();
        until(&system, |what| matches!(what, SupervisionEventKind::Spinning { .. })).await;
        assert_eq!(system.tree().by_name("spinner").unwrap().state().phase, ActorPhase::Spinning);
        released.store(true, Ordering::Relaxed);
        assert_eq!(address.call(DEADLINE, |reply| Say::Echo(1, reply)).await, Ok(1));
        assert_eq!(log.take(), ["spinner starts 1", "spinner starts 2"]);
    });
}

#[tokio::test(start_paused = true)]
async fn too_many_restarts_escalate_and_messages_survive_even_that() {
    let system = ActorSystem::default();
    let log = Log::default();
    let (a, address_a) = speaker(&system, "a", &log, 100);
    let (b, _) = speaker(&system, "b", &log, 100);
    let team = system.supervisor("team", policy(RestartStrategy::OneForOne, 1), vec![a, b]);
    let _root = system.start("root", policy(RestartStrategy::OneForOne, 3), vec![team]).await.unwrap();
    let calls = futures_util::future::join(
        address_a.call(DEADLINE, Say::Panic),
        address_a.call(DEADLINE, Say::Panic),
    );
    let (crashes, ()) = tokio::join!(calls, async { address_a.cast(Say::Note(9)).unwrap() });
    assert_eq!(crashes, (Err(CallError::Crashed), Err(CallError::Crashed)));
    assert_eq!(address_a.call(DEADLINE, |reply| Say::Echo(1, reply)).await, Ok(1));
    assert_eq!(
        log.take(),
        ["a starts 1", "b starts 2", "a starts 3", "b ends: shutdown", "a starts 1", "b starts 2", "a:9"]
    );
    assert!(
        system
            .events()
            .since(0)
            .iter()
            .any(|event| matches!(event.kind, SupervisionEventKind::Escalated { .. }))
    );
}

#[tokio::test(start_paused = true)]
async fn the_tree_ends_in_reverse_order_with_every_terminate_run() {
    let system = ActorSystem::default();
    let log = Log::default();
    let (a, _) = speaker(&system, "a", &log, 100);
    let (b, _) = speaker(&system, "b", &log, 100);
    let (c, address_c) = speaker(&system, "c", &log, 100);
    let inner = system.supervisor("inner", policy(RestartStrategy::OneForOne, 1), vec![b, c]);
    let root = system.start("root", policy(RestartStrategy::OneForOne, 1), vec![a, inner]).await.unwrap();
    log.take();
    root.shutdown().await;
    assert_eq!(log.take(), ["c ends: shutdown", "b ends: shutdown", "a ends: shutdown"]);
    assert_eq!(address_c.cast(Say::Note(1)), Err(SendError::Gone));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_does_not_end_in_time_is_killed() {
    let system = ActorSystem::default();
    let (spec, address) = speaker(&system, "a", &Log::default(), 100);
    let root = system.start("root", policy(RestartStrategy::OneForOne, 1), vec![spec]).await.unwrap();
    let call = async { address.call(DEADLINE, Say::Never).await };
    let started = tokio::time::Instant::now();
    let (answer, ()) = tokio::join!(call, root.shutdown());
    assert_eq!(answer, Err(CallError::Crashed));
    assert_eq!(started.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_planned_restart_is_orderly_and_free() {
    let system = ActorSystem::default();
    let log = Log::default();
    let (spec, address) = speaker(&system, "a", &log, 100);
    let _root = system.start("root", policy(RestartStrategy::OneForOne, 0), vec![spec]).await.unwrap();
    for _ in 0..5 {
        system.restart("a", PlannedRestart::ContextReset).await.unwrap();
        assert_eq!(address.call(DEADLINE, |reply| Say::Echo(1, reply)).await, Ok(1));
    }
    assert_eq!(system.tree().by_name("a").unwrap().state().restarts, 0);
    assert_eq!(log.take()[..3], ["a starts 1", "a ends: shutdown", "a starts 2"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_boot_stops_what_had_started_and_names_the_culprit() {
    let system = ActorSystem::default();
    let log = Log::default();
    let (a, _) = speaker(&system, "a", &log, 100);
    let (b, _) =
        system.worker::<Speaker, _, _>("b", WorkerOptions::default(), |_| async { Err("no disk".into()) });
    let inner = system.supervisor("inner", policy(RestartStrategy::OneForOne, 1), vec![a]);
    let failure =
        system.start("root", policy(RestartStrategy::OneForOne, 1), vec![inner, b]).await.err().unwrap();
    assert_eq!(failure.to_string(), "the supervision tree did not start: `b` failed to start: no disk");
    assert_eq!(log.take(), ["a starts 1", "a ends: shutdown"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_in_a_restart_is_tried_again() {
    let system = ActorSystem::default();
    let starts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&starts);
    let (spec, address) = system.worker("a", WorkerOptions::default(), move |_| {
        let start = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            if (1..4).contains(&start) {
                return Err("not yet".into());
            }
            Ok(Speaker { name: "a", log: Log::default() })
        }
    });
    let _root = system.start("root", policy(RestartStrategy::OneForOne, 4), vec![spec]).await.unwrap();
    assert_eq!(address.call(DEADLINE, Say::Panic).await, Err(CallError::Crashed));
    assert_eq!(address.call(DEADLINE, |reply| Say::Echo(1, reply)).await, Ok(1));
    assert_eq!(starts.load(Ordering::Relaxed), 5);
}

#[tokio::test(start_paused = true)]
async fn children_come_and_go_at_run_time() {
    let system = ActorSystem::default();
    let log = Log::default();
    let mut root = system.start("root", policy(RestartStrategy::Dynamic, 1), Vec::new()).await.unwrap();
    let (spec, address) = speaker(&system, "late", &log, 100);
    system.start_child("root", spec).await.unwrap();
    assert_eq!(address.call(DEADLINE, |reply| Say::Echo(1, reply)).await, Ok(1));
    assert_eq!(system.terminate("nobody").await, Err(ControlError::Unknown("nobody".into())));
    let names = |system: &ActorSystem, root| {
        let snapshot = system.tree().snapshot(root, &|_, _, _| ()).unwrap();
        snapshot.children.iter().map(|child| child.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&system, root.number()), ["late"]);
    address.cast(Say::Stop).unwrap();
    for _ in 0..3 {
        until(&system, |what| matches!(what, SupervisionEventKind::Restarted { .. })).await;
        let _ = address.call(DEADLINE, Say::Panic).await;
    }
    root.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_trace_follows_the_cause_through_calls() {
    let system = ActorSystem::default();
    let (spec, address) = speaker(&system, "a", &Log::default(), 100);
    let _root = system.start("root", policy(RestartStrategy::OneForOne, 1), vec![spec]).await.unwrap();
    let context = pas::domain::trace::TraceContext::new_root();
    let scope =
        pas::supervision::trace::TraceScope { context, actor: pas::supervision::trace::ActorNumber::OUTSIDE };
    let call = address.call(DEADLINE, |reply| Say::Echo(1, reply));
    pas::supervision::trace::in_scope(scope, call).await.unwrap();
    tokio::task::yield_now().await;
    let records = system.ring().select(|record| record.trace == context.trace);
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].parent, records[0].kind), (Some(context.span), "echo"));
    assert!(records[0].sent_ns <= records[0].started_ns && records[0].started_ns <= records[0].ended_ns);
}

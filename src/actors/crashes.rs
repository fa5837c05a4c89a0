//! The crash recorder: copies the trace of a crash out of the ring in time, and stores it.
//!
//! Owns the table of crashes. Follows supervision's events, so no restart waits for the recorder. The newest
//! [`KEPT_CRASHES`] are kept.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;
use crate::domain::trace::{SpanId, TraceId};
use crate::store::{KeyRange, ScanOrder, Store, StoreChanges, StoreError, StoreTable};
use crate::supervision::event::{SupervisionEvent, SupervisionEventKind};
use crate::supervision::trace::TraceRecord;
use crate::supervision::{Actor, ActorContext, ActorError, ActorMessage, ActorSystem};

/// Crashes kept in the store.
pub const KEPT_CRASHES: usize = 1000;
/// Messages that only mark the passing of time: they would push the others out of a crash record.
const SIGNS_OF_LIFE: [&str; 2] = ["heartbeat", "beat"];

/// Newest crashes searched for a duplicate before storing: as many as may die of one fault.
const LOOKED_BACK: usize = 64;

pub const CRASHES: StoreTable<u64, CrashRecord> = StoreTable::new("crashes");

/// A crash, with the last records of the trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrashRecord {
    /// Numbered from 1.
    pub id: u64,
    pub agent: String,
    /// The crashed incarnation.
    pub incarnation: u64,
    /// `panic`, `error`, `killed` or `hung`.
    pub reason: String,
    /// The message of the panic or the error.
    pub message: Option<String>,
    /// `file:line:column` of the panic.
    pub place: Option<String>,
    pub at: Timestamp,
    /// The trace of the message in hand.
    pub trace_id: Option<TraceId>,
    /// The copied records, oldest first.
    pub spans: Vec<FrozenSpan>,
}

/// A trace record as stored and shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrozenSpan {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    /// The span that caused the message.
    pub parent_span_id: Option<SpanId>,
    pub from: String,
    pub to: String,
    pub kind: String,
    /// When the message entered the mailbox.
    pub queued_at: Timestamp,
    /// When handling began.
    pub started_at: Option<Timestamp>,
    /// When handling ended.
    pub ended_at: Option<Timestamp>,
    /// Time in the mailbox, in microseconds.
    pub queue_us: Option<u64>,
    /// Handling time, in microseconds.
    pub run_us: Option<u64>,
    pub outcome: String,
}

impl FrozenSpan {
    /// A record with names and wall-clock times.
    #[must_use]
    pub fn of(system: &ActorSystem, record: &TraceRecord) -> Self {
        let (ring, tree) = (system.ring(), system.tree());
        let wall = |ns: u64| (ns > 0).then(|| ring.wall(ns));
        let between = |from: u64, to: u64| (from > 0 && to > 0).then(|| to.saturating_sub(from) / 1000);
        let outcome = serde_json::to_value(record.outcome).ok();
        Self {
            trace_id: record.trace,
            span_id: record.span,
            parent_span_id: record.parent,
            from: tree.name_of(record.from).to_string(),
            to: tree.name_of(record.to).to_string(),
            kind: record.kind.to_owned(),
            queued_at: ring.wall(record.sent_ns),
            started_at: wall(record.started_ns),
            ended_at: wall(record.ended_ns),
            queue_us: between(record.sent_ns, record.started_ns),
            run_us: between(record.started_ns, record.ended_ns),
            outcome: outcome.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default(),
        }
    }
}

/// The newest crashes, newest first.
///
/// # Errors
/// The store's.
pub fn list(store: &Store, limit: usize) -> Result<Vec<CrashRecord>, StoreError> {
    store.read(|view| {
        let rows = view.range(&CRASHES, &KeyRange::all(), ScanOrder::Descending, limit)?;
        Ok(rows.into_iter().map(|(_, crash)| crash).collect())
    })
}

/// A crash by number.
///
/// # Errors
/// The store's.
pub fn get(store: &Store, id: u64) -> Result<Option<CrashRecord>, StoreError> {
    store.read(|view| view.get(&CRASHES, &id))
}

pub enum CrashRecorderMessage {
    Happened(Box<SupervisionEvent>),
    /// The store takes writes again.
    StoreIsBack,
}

impl ActorMessage for CrashRecorderMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Happened(_) => "happened",
            Self::StoreIsBack => "store_is_back",
        }
    }
}

pub struct CrashRecorder {
    store: Store,
    system: ActorSystem,
    frozen_spans: usize,
    /// Recorded while the store took no writes, oldest first; at most [`KEPT_CRASHES`].
    waiting: VecDeque<CrashRecord>,
}

impl CrashRecorder {
    #[must_use]
    pub fn listen(
        store: Store,
        system: ActorSystem,
        frozen_spans: usize,
        context: &ActorContext<CrashRecorderMessage>,
    ) -> Self {
        let mut events = system.events().subscribe();
        let address = context.address().clone();
        context.spawn(async move {
            loop {
                match events.recv().await {
                    Ok(event) if matches!(event.kind, SupervisionEventKind::Crashed { .. }) => {
                        if address.send(CrashRecorderMessage::Happened(Box::new(event))).await.is_err() {
                            return;
                        }
                    }
                    Ok(_) => {}
                    Err(tokio::sync::broadcast::error::RecvError::Lagged(missed)) => {
                        tracing::warn!(missed, "the crash recorder could not keep up");
                    }
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
                }
            }
        });
        Self { store, system, frozen_spans, waiting: VecDeque::new() }
    }

    /// The messages of the trace in hand, and those the actor handled last. An actor killed while a task of
    /// it worked has no message in hand: then the trace of its last message counts.
    fn last_records(&self, actor: &str, in_hand: Option<TraceId>) -> (Option<TraceId>, Vec<TraceRecord>) {
        let no = self.system.tree().by_name(actor).map(|node| node.number);
        let says_something =
            |record: &TraceRecord| Some(record.to) == no && !SIGNS_OF_LIFE.contains(&record.kind);
        let last = || self.system.ring().select(says_something).last().map(|record| record.trace);
        let trace = in_hand.or_else(last);
        let records = self.system.ring().select(|record| {
            let is_sign = SIGNS_OF_LIFE.contains(&record.kind);
            !is_sign && (Some(record.trace) == trace || Some(record.to) == no)
        });
        (trace, records)
    }

    fn freeze(&self, event: &SupervisionEvent) -> Option<CrashRecord> {
        let SupervisionEventKind::Crashed { incarnation, reason, site } = &event.kind else { return None };
        let panic = site.as_ref().and_then(|site| site.panic.clone());
        let (trace_id, records) =
            self.last_records(&event.actor, site.as_ref().map(|site| site.record.trace));
        let newest = &records[records.len().saturating_sub(self.frozen_spans)..];
        let spans = newest.iter().map(|record| FrozenSpan::of(&self.system, record)).collect();
        let word = match (reason, &panic) {
            (_, Some(_)) => "panic",
            (crate::supervision::policy::ExitReason::Killed, _) => "killed",
            (crate::supervision::policy::ExitReason::Hung, _) => "hung",
            _ => "error",
        };
        let message = panic.as_ref().map_or_else(|| reason.to_string(), |panic| panic.message.clone());
        Some(CrashRecord {
            id: 0,
            agent: event.actor.to_string(),
            incarnation: *incarnation,
            reason: word.to_owned(),
            message: Some(message),
            place: panic.map(|panic| panic.place),
            at: event.at,
            trace_id,
            spans,
        })
    }

    /// Stores the waiting crashes. If the store refuses, they keep waiting.
    async fn keep_waiting(&mut self, context: &ActorContext<CrashRecorderMessage>) -> Result<(), StoreError> {
        while let Some(crash) = self.waiting.front() {
            match self.keep(crash.clone()).await {
                Ok(()) => drop(self.waiting.pop_front()),
                Err(error) if error.is_passing() => {
                    tracing::warn!(%error, waiting = self.waiting.len(), "crashes are stored later");
                    let (store, address) = (self.store.clone(), context.address().clone());
                    context.spawn(async move {
                        if store.writable().await.is_ok() {
                            // A recorder that has ended has lost the waiting crashes.
                            let _ = address.send(CrashRecorderMessage::StoreIsBack).await;
                        }
                    });
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn keep(&self, mut crash: CrashRecord) -> Result<(), StoreError> {
        self.store
            .write(move |view| {
                // A write of unknown outcome is repeated.
                let newest = view.range(&CRASHES, &KeyRange::all(), ScanOrder::Descending, LOOKED_BACK)?;
                let same = |known: &CrashRecord| {
                    (known.at, known.incarnation, &known.agent) == (crash.at, crash.incarnation, &crash.agent)
                };
                if newest.iter().any(|(_, known)| same(known)) {
                    return Ok((StoreChanges::none(), ()));
                }
                crash.id = view.last(&CRASHES, &KeyRange::all())?.map_or(1, |(id, _)| id + 1);
                let mut changes = StoreChanges::none().put(&CRASHES, &crash.id, &crash);
                if let Some(oldest) = crash.id.checked_sub(KEPT_CRASHES as u64) {
                    changes = changes.delete(&CRASHES, &oldest);
                }
                Ok((changes, ()))
            })
            .await
    }
}

impl Actor for CrashRecorder {
    type Message = CrashRecorderMessage;

    async fn handle(
        &mut self,
        message: CrashRecorderMessage,
        context: &ActorContext<CrashRecorderMessage>,
    ) -> Result<(), ActorError> {
        let CrashRecorderMessage::Happened(event) = message else {
            return Ok(self.keep_waiting(context).await?);
        };
        if let Some(crash) = self.freeze(&event) {
            tracing::warn!(
                agent = crash.agent,
                incarnation = crash.incarnation,
                reason = crash.reason,
                message = crash.message,
                place = crash.place,
                "an actor ended abnormally"
            );
            let is_first = self.waiting.is_empty();
            self.waiting.push_back(crash);
            if self.waiting.len() > KEPT_CRASHES {
                self.waiting.pop_front();
            }
            if is_first {
                self.keep_waiting(context).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::memory_store;
    use crate::supervision::WorkerOptions;
    use crate::supervision::policy::{RestartStrategy, SupervisorPolicy};

    struct StepMessage;

    impl ActorMessage for StepMessage {
        fn kind(&self) -> &'static str {
            "reconcile"
        }
    }

    /// Works in a spawned task, as agents do, with no message in hand meanwhile.
    struct StepWorker;

    impl Actor for StepWorker {
        type Message = StepMessage;

        async fn handle(
            &mut self,
            _: StepMessage,
            context: &ActorContext<StepMessage>,
        ) -> Result<(), ActorError> {
            context.spawn(std::future::pending());
            Ok(())
        }
    }

    #[tokio::test]
    async fn an_actor_that_is_killed_while_its_task_works_leaves_its_last_messages() {
        let (store, system) = (memory_store().0, ActorSystem::default());
        let options = WorkerOptions::default();
        let (spec, address) = system.worker("worker", options, |_| async { Ok(StepWorker) });
        let policy = SupervisorPolicy { strategy: RestartStrategy::OneForOne, ..SupervisorPolicy::default() };
        let root = system.start("root", policy, vec![spec]).await.unwrap();
        let mut events = system.events().subscribe();
        address.send(StepMessage).await.unwrap();
        let node = system.tree().by_name("worker").unwrap();
        while node.vitals().unwrap().handled == 0 {
            tokio::task::yield_now().await;
        }
        system.kill("worker").await.unwrap();
        let crash = loop {
            let event = events.recv().await.unwrap();
            if matches!(event.kind, SupervisionEventKind::Crashed { .. }) {
                let waiting = VecDeque::new();
                let recorder = CrashRecorder { store, system: system.clone(), frozen_spans: 8, waiting };
                break recorder.freeze(&event).unwrap();
            }
        };
        assert_eq!(crash.reason, "killed");
        let kinds: Vec<&str> = crash.spans.iter().map(|span| span.kind.as_str()).collect();
        assert_eq!(kinds.first(), Some(&"reconcile"), "{kinds:?}");
        assert!(crash.trace_id.is_some());
        root.shutdown().await;
    }
}

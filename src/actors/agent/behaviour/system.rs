//! A step that calls a service: the tasks of system agents, one row each in [`SERVICE_TASKS`].
//!
//! The same task is answered at once when the agent is invoked, and carried out under a claim when submitted
//! as a job. The definitions say which agent takes which task. Invariants: an answer is bounded by
//! [`MAX_ANSWER_ROWS`]; disk reads run on a blocking thread. A service task reserves no resources unless the
//! card asks for some.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{ClaimedStep, StepRunner};
use crate::actors::agent::AgentState;
use crate::actors::agent::{StepEnd, StepResult};
use crate::actors::crashes;
use crate::actors::jobs::JobsShared;
use crate::actors::resource_manager::ResourceHandle;
use crate::domain::ids::RunId;
use crate::domain::resource_manager::ReservationStatus;
use crate::domain::task::{InputKind, TaskEntry, TaskInput, TaskKind};
use crate::domain::time::Timestamp;
use crate::skills::ingest::formats;
use crate::skills::ingest::index;
use crate::skills::{SkillError, StepOutcome};
use crate::store::Store;
use crate::supervision::ActorSystem;

const MAX_ANSWER_ROWS: usize = 100;
/// Most documents in the answer of a search.
const MAX_HITS: usize = 10;

/// The parts a service task may use.
#[derive(Clone)]
pub(in crate::actors) struct ServiceAccess {
    resources: ResourceHandle,
    jobs: Arc<JobsShared>,
    store: Store,
    system: ActorSystem,
}

type ServiceAnswer = BoxFuture<'static, Result<Value, SkillError>>;

/// A task of a system agent.
pub(in crate::actors) struct ServiceEntry {
    pub(super) task: &'static str,
    capability: &'static str,
    about: &'static str,
    inputs: &'static [TaskInput],
    run: fn(ServiceAccess, Value) -> ServiceAnswer,
}

/// All tasks of system agents in this build.
pub(in crate::actors) const SERVICE_TASKS: &[ServiceEntry] = &[
    ServiceEntry {
        task: "quotas",
        capability: "quota_enforcement",
        about: "the machine's resources and their reservations",
        inputs: &[],
        run: |access, _| async move { Ok(machine(&access.resources)) }.boxed(),
    },
    ServiceEntry {
        task: "reservations",
        capability: "resource_allocation",
        about: "the reservations with their owners",
        inputs: &[],
        run: |access, _| on_disk(move || reservations(&access)),
    },
    ServiceEntry {
        task: "runs",
        capability: "run_tracking",
        about: "the newest runs of the ledger",
        inputs: &[],
        run: |access, _| on_disk(move || runs(&access)),
    },
    ServiceEntry {
        task: "crashes",
        capability: "error_classification",
        about: "the newest crashes of actors",
        inputs: &[],
        run: |access, _| on_disk(move || newest_crashes(&access)),
    },
    ServiceEntry {
        task: "messages",
        capability: "performance_analysis",
        about: "queue and handling times of actors' messages",
        inputs: &[],
        run: |access, _| async move { Ok(message_times(&access.system)) }.boxed(),
    },
    ServiceEntry {
        task: "backup",
        capability: "backup_management",
        about: "back the store up",
        inputs: &[],
        run: |access, _| on_disk(move || back_up(&access)),
    },
    ServiceEntry {
        task: "search",
        capability: "search",
        about: "search the full-text index of an ingest",
        inputs: &[TaskInput::required("q", InputKind::Text), TaskInput::required("run_id", InputKind::Text)],
        run: |access, inputs| on_disk(move || search(&access, &inputs)),
    },
];

/// The service task of this name.
pub(in crate::actors) fn find(task: &str) -> Option<&'static ServiceEntry> {
    SERVICE_TASKS.iter().find(|entry| entry.task == task)
}

impl ServiceEntry {
    /// As a row of the catalogue of tasks.
    pub(in crate::actors) fn to_task(&self) -> TaskEntry {
        TaskEntry {
            task: self.task.into(),
            kind: TaskKind::Service,
            capability: self.capability.into(),
            about: self.about.into(),
            inputs: self.inputs.to_vec(),
            reads: Vec::new(),
            leads_to: std::collections::BTreeSet::new(),
        }
    }

    /// Carries the task out.
    pub(in crate::actors) fn answer(&self, access: ServiceAccess, inputs: Value) -> ServiceAnswer {
        (self.run)(access, inputs)
    }
}

/// Runs one service task.
pub(super) struct ServiceRunner {
    service: &'static ServiceEntry,
    access: ServiceAccess,
}

impl ServiceRunner {
    pub(super) fn new(service: &'static ServiceEntry, access: ServiceAccess) -> Self {
        Self { service, access }
    }
}

impl StepRunner for ServiceRunner {
    fn run(&self, step: ClaimedStep) -> BoxFuture<'static, StepResult> {
        let (service, access) = (self.service, self.access.clone());
        Box::pin(async move {
            let _lease = match &step.job.card.resource_request {
                Some(_) => Some(step.reserve().await?),
                None => {
                    step.gate.pass();
                    None
                }
            };
            tokio::select! {
                outputs = service.answer(access, step.job.card.inputs.0.clone()) => {
                    Ok(StepEnd::Done(StepOutcome { artifacts: Vec::new(), outputs: outputs? }))
                }
                () = step.gate.closed() => Err(SkillError::Cancelled),
            }
        })
    }
}

impl AgentState {
    pub(in super::super) fn service_access(&self) -> ServiceAccess {
        ServiceAccess {
            resources: self.resources.clone(),
            jobs: Arc::clone(&self.jobs),
            store: self.tools.store.clone(),
            system: self.system.clone(),
        }
    }

    /// The machine's resources and their reservations.
    pub(in super::super) fn machine(&self) -> Value {
        machine(&self.resources)
    }
}

fn on_disk(work: impl FnOnce() -> Result<Value, SkillError> + Send + 'static) -> ServiceAnswer {
    let worked = tokio::task::spawn_blocking(work);
    async move { worked.await.unwrap_or_else(|error| Err(SkillError::Transient(error.to_string()))) }.boxed()
}

/// The store or a service refuses now but may agree later.
fn transient(error: impl std::fmt::Display) -> SkillError {
    SkillError::Transient(error.to_string())
}

fn machine(resources: &ResourceHandle) -> Value {
    let (active, waiting) = resources.counts();
    json!({ "quotas": resources.quotas(), "active_reservations": active, "waiting": waiting })
}

fn reservations(access: &ServiceAccess) -> Result<Value, SkillError> {
    let mut rows = access.resources.reservations(Some(ReservationStatus::Active)).map_err(transient)?;
    rows.truncate(MAX_ANSWER_ROWS);
    Ok(json!({ "reservations": rows }))
}

fn runs(access: &ServiceAccess) -> Result<Value, SkillError> {
    let (rows, _) = access.jobs.book.ledger(None, MAX_ANSWER_ROWS).map_err(transient)?;
    let runs: Vec<_> = rows.into_iter().map(|(_, entry)| entry).collect();
    Ok(json!({ "runs": runs }))
}

fn newest_crashes(access: &ServiceAccess) -> Result<Value, SkillError> {
    let crashes = crashes::list(&access.store, MAX_ANSWER_ROWS).map_err(transient)?;
    Ok(json!({ "crashes": crashes }))
}

/// Queue and handling times of the messages still in the trace, one row for each actor.
fn message_times(system: &ActorSystem) -> Value {
    let mut by_actor = std::collections::BTreeMap::<_, (Vec<u64>, Vec<u64>)>::new();
    for record in system.ring().select(|record| record.started_ns > 0) {
        let (queued, ran) = by_actor.entry(record.to).or_default();
        queued.push(record.started_ns.saturating_sub(record.sent_ns));
        ran.push(record.ended_ns.saturating_sub(record.started_ns));
    }
    let rows: Vec<_> = by_actor
        .into_iter()
        .map(|(actor, (mut queued, mut ran))| {
            json!({
                "actor": system.tree().name_of(actor), "messages": ran.len(),
                "queue_p50_us": percentile(&mut queued, 50) / 1000, "queue_p95_us": percentile(&mut queued, 95) / 1000,
                "run_p50_us": percentile(&mut ran, 50) / 1000, "run_p95_us": percentile(&mut ran, 95) / 1000,
            })
        })
        .collect();
    json!({ "actors": rows })
}

fn back_up(access: &ServiceAccess) -> Result<Value, SkillError> {
    let backups = &access.jobs.settings.backups;
    let report = backups.back_up(&access.store, None, Timestamp::now()).map_err(transient)?;
    Ok(json!({
        "path": report.path, "bytes": report.file_bytes, "tables": report.tables, "rows": report.rows,
    }))
}

fn search(access: &ServiceAccess, inputs: &Value) -> Result<Value, SkillError> {
    let text = |name: &str| inputs.get(name).and_then(Value::as_str);
    let (Some(words), Some(Ok(run))) = (text("q"), text("run_id").map(RunId::new)) else {
        let reason = "`search` needs `q` and the `run_id` of an ingest, both as text";
        return Err(SkillError::Permanent(reason.to_owned()));
    };
    let folder = access.jobs.run_dir(&run).join(formats::INDEX);
    let results = index::search(&folder, words, MAX_HITS);
    let results = results.map_err(|error| SkillError::Permanent(error.to_string()))?;
    Ok(json!({ "results": results }))
}

fn percentile(sorted_or_not: &mut [u64], percent: usize) -> u64 {
    sorted_or_not.sort_unstable();
    let position = (sorted_or_not.len() * percent / 100).min(sorted_or_not.len().saturating_sub(1));
    sorted_or_not.get(position).copied().unwrap_or(0)
}

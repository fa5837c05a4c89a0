//! Port 6100, the Orchestrator API: jobs, approvals, traces, the tree and the agents.

mod agents;
mod approvals;
mod jobs;
mod metrics;
mod records;
mod spans;
mod step_log;
pub(super) mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::page::HealthReporter;
use super::{ApiError, audit, compression};
use crate::actors::directory::AgentDirectory;
use crate::actors::event_stream::EventStreamHandle;
use crate::actors::jobs::{JobError, JobsShared};
use crate::actors::retention::RetentionHandle;
use crate::actors::steering::SteeringHandle;
use crate::domain::job::request::CardFault;
use crate::domain::job::{CardRefusal, TransitionRefusal};
use crate::http::error::{ContractViolation, LocationStep};
use crate::store::{Store, StoreStatus};
use crate::supervision::{ActorSystem, ControlError};

#[derive(Clone)]
pub struct OrchestratorApi {
    pub jobs: Arc<JobsShared>,
    /// For the crash records.
    pub store: Store,
    /// Where the private trees of changes lie.
    pub trees: PathBuf,
    pub system: ActorSystem,
    /// The agents as services, with their status.
    pub directory: AgentDirectory,
    /// The audit log of this port's actions.
    pub steering: SteeringHandle,
    /// The event stream, for the metrics.
    pub events: EventStreamHandle,
    /// What goes of the past, and when.
    pub retention: RetentionHandle,
    /// Cancelled by `POST /shutdown`.
    pub shutdown: CancellationToken,
}

pub fn routes(state: OrchestratorApi) -> Router {
    // All steering is audited.
    let steering = Router::new()
        .route("/jobs/{job_id}/cancel", post(jobs::cancel))
        .route("/jobs/{job_id}/pause", post(jobs::pause))
        .route("/jobs/{job_id}/resume", post(jobs::resume))
        .route("/jobs/{job_id}/retry", post(jobs::retry))
        .route("/jobs/{job_id}/say", post(step_log::say))
        .route("/approvals/{approval_id}", post(approvals::decide))
        .route("/agents/{name}/kill", post(agents::kill))
        .route("/agents/{name}/restart", post(agents::restart))
        .route("/agents/{name}/pause", post(agents::pause))
        .route("/agents/{name}/resume", post(agents::resume))
        .route_layer(from_fn_with_state(state.steering.clone(), audit::written_down));
    Router::new()
        .merge(steering)
        .route("/jobs", post(jobs::submit).get(jobs::list))
        .route("/jobs/{job_id}", get(jobs::show))
        .route("/jobs/{job_id}/artifacts", get(records::artifacts))
        .route("/jobs/{job_id}/artifacts/{*path}", get(records::artifact))
        .route("/jobs/{job_id}/events", get(records::events))
        .route("/jobs/{job_id}/log", get(step_log::rows))
        .route("/trees", get(step_log::trees))
        .route("/approvals", get(approvals::list))
        .route("/runs/{run_id}/manifest", get(records::manifest))
        .route("/ledger", get(records::ledger))
        .route("/search", get(records::search))
        .route("/trace/{trace_id}", get(spans::by_trace))
        .route("/trace", get(spans::find))
        .route("/crashes", get(spans::crashes))
        .route("/crashes/{id}", get(spans::crash))
        .route("/tree", get(agents::tree))
        .route("/agents", get(agents::list))
        .route("/agents/{name}", get(agents::show))
        .route("/supervision/events", get(agents::events))
        .route("/backup", post(records::back_up))
        .route("/prune", post(records::prune))
        .route("/shutdown", post(agents::shutdown))
        .route("/metrics", get(metrics::metrics))
        .with_state(state)
        .layer(compression::of_json())
}

/// `Retry-After` when too many runs are open: about the time to ingest a small folder.
const RUNS_END: Duration = Duration::from_secs(5);

fn violation(fault: &CardFault) -> ContractViolation {
    let step = |part: &str| match part.parse() {
        Ok(index) => LocationStep::Index(index),
        Err(_) => LocationStep::Name(part.to_owned().into()),
    };
    let mut loc: Vec<LocationStep> = vec!["body".into()];
    loc.extend(fault.field.split('.').map(step));
    ContractViolation { loc, msg: fault.msg.clone(), kind: fault.kind }
}

/// Adds to `/health`, beside `fields`, whether the store accepts writes, and what retention last found.
#[must_use]
pub fn health(fields: Map<String, Value>, store: Store, retention: RetentionHandle) -> HealthReporter {
    Arc::new(move || {
        let status = store.status().borrow().clone();
        let (word, told) = match status {
            StoreStatus::Writable => ("ok", json!({ "status": "writable" })),
            StoreStatus::Refusing { since, reason } => {
                ("degraded", json!({ "status": "refusing", "since": since, "reason": reason }))
            }
            StoreStatus::Closed => ("degraded", json!({ "status": "closed" })),
        };
        let mut fields = fields.clone();
        let kept = json!(retention.last());
        let told = [("status", json!(word)), ("store_state", told), ("retention", kept)];
        fields.extend(told.map(|(name, value)| (name.to_owned(), value)));
        Box::pin(std::future::ready(Ok(fields)))
    })
}

impl From<JobError> for ApiError {
    fn from(error: JobError) -> Self {
        match &error {
            JobError::NotFound { .. } => Self::not_found(error.to_string()),
            JobError::Refused(TransitionRefusal::State { .. } | TransitionRefusal::Fenced { .. })
            | JobError::Conflict(_) => Self::conflict(error.to_string()),
            JobError::Busy(_) => Self::too_many(error.to_string()).retry_after(RUNS_END),
            JobError::Card(CardRefusal::NoSuchAgent(sentence)) => Self::not_found(sentence.clone()),
            JobError::Card(CardRefusal::Invalid(faults)) => {
                Self::violations(faults.iter().map(violation).collect())
            }
            JobError::NoManifest(_) => Self::busy(error.to_string()),
            JobError::Unchecked(_) | JobError::Unreadable(..) => Self::internal(&error),
            JobError::Store(store) => store.clone().into(),
        }
    }
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        match &error {
            ControlError::Unknown(_) => Self::not_found(error.to_string()),
            ControlError::Unsuitable(_) | ControlError::NotRunning(_) => Self::conflict(error.to_string()),
            ControlError::Timeout(_) => Self::busy(error.to_string()),
        }
    }
}

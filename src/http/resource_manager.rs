//! Port 6104: the resource manager.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::check::RequestChecks;
use super::error::{ApiError, ApiResult};
use super::extract::{ContractJson, ContractQuery};
use super::list::{ListLimits, ListParams};
use super::page::HealthReporter;
use crate::actors::resource_manager::{
    MAX_PORTS, ReservationDenial, ReservationOutcome, ReservationRequest, ReservationSelector, ResourceError,
    ResourceHandle,
};
use crate::domain::resource_manager::{
    Reservation, ReservationOwner, ReservationStatus, ResourceAmounts, ResourceKind, ResourceQuotas,
    ResourceRequest,
};
use crate::domain::time::Timestamp;

/// Longest id of a job or name of an agent, in characters.
const MAX_NAME: usize = 200;
/// Longest wait of a request, in seconds: proxies and clients give up about then.
const MAX_WAIT_S: f64 = 600.0;
/// Reservations in one answer: by default the maximum, for clients without paging.
const RESERVATION_LIMITS: ListLimits = ListLimits { default: 1_000, max: 1_000 };
/// Longest lease, in seconds: a week, the longest timeout of a step.
const MAX_LEASE_S: u64 = 7 * 86_400;

#[derive(Clone)]
struct ResourcesApi {
    resources: ResourceHandle,
    lease: Duration,
}

/// The service's routes. `lease` is the default lease of a reservation.
pub fn routes(resources: ResourceHandle, lease: Duration) -> Router {
    Router::new()
        .route("/reserve", post(reserve))
        .route("/release", post(release))
        .route("/kill", post(kill))
        .route("/quotas", get(quotas))
        .route("/quotas/update", post(update_quota))
        .route("/reservations", get(reservations))
        .with_state(ResourcesApi { resources, lease })
}

/// The fields of `/health`: active reservations and waiting requests.
#[must_use]
pub fn health(resources: ResourceHandle) -> HealthReporter {
    Arc::new(move || {
        let (active, waiting) = resources.counts();
        let told = [("active_reservations", json!(active)), ("waiting", json!(waiting))];
        Box::pin(async move { Ok(told.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()) })
    })
}

#[derive(Deserialize)]
struct ReserveBody {
    job_id: String,
    agent: String,
    #[serde(flatten)]
    amounts: ResourceAmounts,
    #[serde(default)]
    ports: Vec<u16>,
    #[serde(default)]
    wait_s: f64,
    lease_s: Option<u64>,
    /// Unknown fields.
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl ReserveBody {
    const FIELDS: [&str; 9] =
        ["job_id", "agent", "cpu", "mem_mb", "gpu", "gpu_mem_mb", "ports", "wait_s", "lease_s"];

    fn check(&self, lease_s: u64) -> ApiResult<()> {
        let is_something = self.amounts != ResourceAmounts::NONE || !self.ports.is_empty();
        let nothing = "the request is empty: give `cpu`, `mem_mb`, `gpu`, `gpu_mem_mb` or `ports`";
        RequestChecks::body()
            .no_others(self.others.keys(), &Self::FIELDS)
            .len("job_id", &self.job_id, 1..=MAX_NAME)
            .len("agent", &self.agent, 1..=MAX_NAME)
            .count("ports", &self.ports, 0..=MAX_PORTS)
            .that("ports", !self.ports.contains(&0), "a port is a number from 1 to 65535")
            .range("wait_s", &self.wait_s, 0.0..=MAX_WAIT_S)
            .range("lease_s", &lease_s, 1..=MAX_LEASE_S)
            .that("cpu", is_something || !self.others.is_empty(), nothing)
            .done()
    }
}

async fn reserve(
    State(port): State<ResourcesApi>,
    ContractJson(body): ContractJson<ReserveBody>,
) -> ApiResult<Json<Value>> {
    let lease_s = body.lease_s.unwrap_or(port.lease.as_secs());
    body.check(lease_s)?;
    let ask = ResourceRequest {
        job_id: body.job_id,
        agent: body.agent,
        amounts: body.amounts,
        ports: body.ports.into_iter().collect(),
        class: None,
        strict: true,
    };
    let wait = Duration::from_secs_f64(body.wait_s);
    let request = ReservationRequest { ask, holder: ReservationOwner::Client, wait, lease_s };
    let outcome = port.resources.reserve(request).await?;
    Ok(Json(match outcome {
        ReservationOutcome::Granted(lease) => granted(&lease.keep()),
        ReservationOutcome::Denied(ReservationDenial { reason, quotas }) => json!({
            "reservation_id": null,
            "status": "denied",
            "reason": reason,
            "quotas": figures(&quotas),
            "ts": Timestamp::now(),
        }),
    }))
}

fn granted(reservation: &Reservation) -> Value {
    json!({
        "reservation_id": reservation.reservation_id,
        "status": "granted",
        "granted": with_ports(&reservation.amounts, &reservation.ports),
        "ts": reservation.created_at,
    })
}

fn with_ports(amounts: &ResourceAmounts, ports: &BTreeSet<u16>) -> Value {
    #[derive(Serialize)]
    struct GrantDocument<'a> {
        #[serde(flatten)]
        amounts: &'a ResourceAmounts,
        ports: &'a BTreeSet<u16>,
    }
    json!(GrantDocument { amounts, ports })
}

/// The same sixteen numbers twice, as in the contract: by figure, and by kind of resource.
fn figures(quotas: &ResourceQuotas) -> Value {
    let mut both = Map::new();
    if let Value::Object(by_figure) = json!(quotas) {
        both.extend(by_figure);
    }
    for resource in ResourceKind::ALL {
        let figures = ["total", "allocated", "reserved", "available"];
        let of_kind = figures.map(|figure| (figure.to_owned(), both[figure][resource.as_str()].clone()));
        both.insert(resource.as_str().to_owned(), Value::Object(of_kind.into_iter().collect()));
    }
    Value::Object(both)
}

#[derive(Deserialize)]
struct ReleaseBody {
    reservation_id: Option<String>,
    job_id: Option<String>,
}

async fn release(
    State(port): State<ResourcesApi>,
    ContractJson(body): ContractJson<ReleaseBody>,
) -> ApiResult<Json<Value>> {
    let which = match (body.reservation_id, body.job_id) {
        (Some(id), _) => ReservationSelector::Id(id),
        (None, Some(job)) => ReservationSelector::Job(job),
        (None, None) => {
            return Err(ApiError::bad_request("name the reservation: `reservation_id` or `job_id`"));
        }
    };
    let released = port.resources.release(which).await?;
    let amounts = released.iter().fold(ResourceAmounts::NONE, |sum, row| sum.plus(&row.amounts));
    let ports = released.iter().flat_map(|row| row.ports.clone()).collect();
    let ids: Vec<&str> = released.iter().map(|row| row.reservation_id.as_str()).collect();
    let mut sum = with_ports(&amounts, &ports);
    sum["reservations"] = json!(ids);
    Ok(Json(json!({ "success": true, "released": sum, "ts": Timestamp::now() })))
}

#[derive(Deserialize)]
struct KillBody {
    job_id: String,
    #[serde(default = "default_reason")]
    reason: String,
}

fn default_reason() -> String {
    "manual_kill".to_owned()
}

async fn kill(
    State(port): State<ResourcesApi>,
    ContractJson(body): ContractJson<KillBody>,
) -> ApiResult<Json<Value>> {
    RequestChecks::body()
        .len("job_id", &body.job_id, 1..=MAX_NAME)
        .len("reason", &body.reason, 0..=1000)
        .done()?;
    let killed = port.resources.kill(&body.job_id, &body.reason).await?;
    Ok(Json(json!({
        "success": true,
        "killed_reservations": killed.reservations.len(),
        "killed_processes": killed.processes,
        "cancelled_jobs": killed.jobs.len(),
        "cleanup_plan": killed.plan,
        "reason": body.reason,
        "ts": Timestamp::now(),
    })))
}

/// One kind's figures in `GET /quotas`.
fn quota(quotas: &ResourceQuotas, resource: ResourceKind) -> Value {
    let figures = quotas.of(resource);
    let number = |amounts: &ResourceAmounts| json!(amounts)[resource.as_str()].clone();
    json!({
        "total_capacity": number(&quotas.total),
        "allocated": number(&quotas.allocated),
        "reserved": number(&quotas.reserved),
        "available": number(&quotas.available),
        "utilization": figures.utilization(),
    })
}

/// All kinds' figures by kind.
pub(super) fn quotas_by_kind(quotas: &ResourceQuotas) -> Map<String, Value> {
    ResourceKind::ALL.into_iter().map(|kind| (kind.as_str().to_owned(), quota(quotas, kind))).collect()
}

async fn quotas(State(port): State<ResourcesApi>) -> Json<Value> {
    Json(json!({ "quotas": quotas_by_kind(&port.resources.quotas()), "ts": Timestamp::now() }))
}

#[derive(Deserialize)]
struct CapacityBody {
    resource_type: ResourceKind,
    new_capacity: f64,
}

async fn update_quota(
    State(port): State<ResourcesApi>,
    ContractJson(body): ContractJson<CapacityBody>,
) -> ApiResult<Json<Value>> {
    let resource = body.resource_type;
    let whole = "a number of at least 0; an integer, except for cpu";
    let units = resource.units(body.new_capacity);
    RequestChecks::body().that("new_capacity", units.is_some(), whole).done()?;
    let quotas = port.resources.set_capacity(resource, units.unwrap_or_default()).await?;
    let mut answer = quota(&quotas, resource);
    answer["resource_type"] = json!(resource);
    answer["ts"] = json!(Timestamp::now());
    Ok(Json(answer))
}

#[derive(Deserialize)]
struct ReservationsQuery {
    status: Option<ReservationStatus>,
}

async fn reservations(
    State(port): State<ResourcesApi>,
    params: ListParams,
    ContractQuery(ReservationsQuery { status }): ContractQuery<ReservationsQuery>,
) -> ApiResult<Json<Value>> {
    let rows = tokio::task::spawn_blocking(move || port.resources.reservations(status))
        .await
        .map_err(|error| ApiError::internal(&error))??;
    // Ids sort by time of creation.
    let page = params.cut(RESERVATION_LIMITS, rows, |row| Reverse(row.reservation_id.clone()))?;
    Ok(Json(page.map(|reservation| row(&reservation)).answer("reservations")))
}

/// A reservation on the wire.
pub(super) fn row(reservation: &Reservation) -> Value {
    let mut row = with_ports(&reservation.amounts, &reservation.ports);
    row["reservation_id"] = json!(reservation.reservation_id);
    row["job_id"] = json!(reservation.job_id);
    row["agent"] = json!(reservation.agent);
    row["status"] = json!(reservation.status);
    row["created_at"] = json!(reservation.created_at);
    row["released_at"] = json!(reservation.released_at);
    row
}

impl From<ResourceError> for ApiError {
    fn from(error: ResourceError) -> Self {
        match error {
            ResourceError::Unknown(_) => Self::not_found(error.to_string()),
            ResourceError::InUse(_) => Self::conflict(error.to_string()),
            ResourceError::Plan { .. } => Self::busy(error.to_string()),
            ResourceError::Job(error) => error.into(),
            ResourceError::Store(error) => error.into(),
            ResourceError::Call(error) => error.into(),
        }
    }
}

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

use super::check::Checks;
use super::error::{ApiError, ApiResult};
use super::extract::{ContractJson, ContractQuery};
use super::list::{ListLimits, ListParams};
use super::page::Health;
use crate::actors::resource_manager::{
    Denied, MAX_PORTS, Outcome, Request, ResourceError, ResourceHandle, Which,
};
use crate::domain::resources::{Amounts, Ask, Holder, Quotas, Reservation, ReservationStatus, Resource};
use crate::domain::time::Timestamp;

/// Longest id of a job or name of an agent, in characters.
const MAX_NAME: usize = 200;
/// Longest wait of a request, in seconds: proxies and clients give up on a silent answer about then.
const MAX_WAIT_S: f64 = 600.0;
/// Reservations in one answer: as many as ever without a wish, for clients that know no pages.
const RESERVATION_LIMITS: ListLimits = ListLimits { default: 1_000, max: 1_000 };
/// Longest lease, in seconds: a week, the longest time that a step can be given.
const MAX_LEASE_S: u64 = 7 * 86_400;

#[derive(Clone)]
struct Port {
    resources: ResourceHandle,
    lease: Duration,
}

/// The routes of this port, without the common ones. `lease` is how long a reservation holds unless its
/// request says otherwise.
pub fn routes(resources: ResourceHandle, lease: Duration) -> Router {
    Router::new()
        .route("/reserve", post(reserve))
        .route("/release", post(release))
        .route("/kill", post(kill))
        .route("/quotas", get(quotas))
        .route("/quotas/update", post(update_quota))
        .route("/reservations", get(reservations))
        .with_state(Port { resources, lease })
}

/// What `/health` says: how many reservations are held, and how many asks wait.
#[must_use]
pub fn health(resources: ResourceHandle) -> Health {
    Arc::new(move || {
        let (active, waiting) = resources.counts();
        let told = [("active_reservations", json!(active)), ("waiting", json!(waiting))];
        Box::pin(async move { Ok(told.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()) })
    })
}

#[derive(Deserialize)]
struct Reserve {
    job_id: String,
    agent: String,
    #[serde(flatten)]
    amounts: Amounts,
    #[serde(default)]
    ports: Vec<u16>,
    #[serde(default)]
    wait_s: f64,
    lease_s: Option<u64>,
    /// Whatever else was written.
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Reserve {
    const FIELDS: [&str; 9] =
        ["job_id", "agent", "cpu", "mem_mb", "gpu", "gpu_mem_mb", "ports", "wait_s", "lease_s"];

    fn check(&self, lease_s: u64) -> ApiResult<()> {
        let is_something = self.amounts != Amounts::NONE || !self.ports.is_empty();
        let nothing =
            "asks for nothing: say how much `cpu`, `mem_mb`, `gpu` or `gpu_mem_mb`, or which `ports`";
        Checks::body()
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
    State(port): State<Port>,
    ContractJson(body): ContractJson<Reserve>,
) -> ApiResult<Json<Value>> {
    let lease_s = body.lease_s.unwrap_or(port.lease.as_secs());
    body.check(lease_s)?;
    let ask = Ask {
        job_id: body.job_id,
        agent: body.agent,
        amounts: body.amounts,
        ports: body.ports.into_iter().collect(),
        class: None,
        strict: true,
    };
    let wait = Duration::from_secs_f64(body.wait_s);
    let request = Request { ask, holder: Holder::Client, wait, lease_s };
    let outcome = port.resources.reserve(request).await?;
    Ok(Json(match outcome {
        Outcome::Granted(lease) => granted(&lease.keep()),
        Outcome::Denied(Denied { reason, quotas }) => json!({
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

fn with_ports(amounts: &Amounts, ports: &BTreeSet<u16>) -> Value {
    #[derive(Serialize)]
    struct WithPorts<'a> {
        #[serde(flatten)]
        amounts: &'a Amounts,
        ports: &'a BTreeSet<u16>,
    }
    json!(WithPorts { amounts, ports })
}

/// The same sixteen numbers twice, as the contract has it: by figure, and by kind of resource.
fn figures(quotas: &Quotas) -> Value {
    let mut both = Map::new();
    if let Value::Object(by_figure) = json!(quotas) {
        both.extend(by_figure);
    }
    for resource in Resource::ALL {
        let figures = ["total", "allocated", "reserved", "available"];
        let of_kind = figures.map(|figure| (figure.to_owned(), both[figure][resource.as_str()].clone()));
        both.insert(resource.as_str().to_owned(), Value::Object(of_kind.into_iter().collect()));
    }
    Value::Object(both)
}

#[derive(Deserialize)]
struct Release {
    reservation_id: Option<String>,
    job_id: Option<String>,
}

async fn release(
    State(port): State<Port>,
    ContractJson(body): ContractJson<Release>,
) -> ApiResult<Json<Value>> {
    let which = match (body.reservation_id, body.job_id) {
        (Some(id), _) => Which::Id(id),
        (None, Some(job)) => Which::Job(job),
        (None, None) => {
            return Err(ApiError::bad_request("say what to release: `reservation_id` or `job_id`"));
        }
    };
    let released = port.resources.release(which).await?;
    let amounts = released.iter().fold(Amounts::NONE, |sum, row| sum.plus(&row.amounts));
    let ports = released.iter().flat_map(|row| row.ports.clone()).collect();
    let ids: Vec<&str> = released.iter().map(|row| row.reservation_id.as_str()).collect();
    let mut sum = with_ports(&amounts, &ports);
    sum["reservations"] = json!(ids);
    Ok(Json(json!({ "success": true, "released": sum, "ts": Timestamp::now() })))
}

#[derive(Deserialize)]
struct Kill {
    job_id: String,
    #[serde(default = "default_reason")]
    reason: String,
}

fn default_reason() -> String {
    "manual_kill".to_owned()
}

async fn kill(State(port): State<Port>, ContractJson(body): ContractJson<Kill>) -> ApiResult<Json<Value>> {
    Checks::body().len("job_id", &body.job_id, 1..=MAX_NAME).len("reason", &body.reason, 0..=1000).done()?;
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

/// One kind's figures as `GET /quotas` has them.
fn quota(quotas: &Quotas, resource: Resource) -> Value {
    let figures = quotas.of(resource);
    let number = |amounts: &Amounts| json!(amounts)[resource.as_str()].clone();
    json!({
        "total_capacity": number(&quotas.total),
        "allocated": number(&quotas.allocated),
        "reserved": number(&quotas.reserved),
        "available": number(&quotas.available),
        "utilization": figures.utilization(),
    })
}

/// All kinds' figures by kind.
pub(super) fn quotas_by_kind(quotas: &Quotas) -> Map<String, Value> {
    Resource::ALL.into_iter().map(|kind| (kind.as_str().to_owned(), quota(quotas, kind))).collect()
}

async fn quotas(State(port): State<Port>) -> Json<Value> {
    Json(json!({ "quotas": quotas_by_kind(&port.resources.quotas()), "ts": Timestamp::now() }))
}

#[derive(Deserialize)]
struct Update {
    resource_type: Resource,
    new_capacity: f64,
}

async fn update_quota(
    State(port): State<Port>,
    ContractJson(body): ContractJson<Update>,
) -> ApiResult<Json<Value>> {
    let resource = body.resource_type;
    let whole = "a number from 0 on; a whole one, except for cpu";
    let units = resource.units(body.new_capacity);
    Checks::body().that("new_capacity", units.is_some(), whole).done()?;
    let quotas = port.resources.set_capacity(resource, units.unwrap_or_default()).await?;
    let mut answer = quota(&quotas, resource);
    answer["resource_type"] = json!(resource);
    answer["ts"] = json!(Timestamp::now());
    Ok(Json(answer))
}

#[derive(Deserialize)]
struct Listed {
    status: Option<ReservationStatus>,
}

async fn reservations(
    State(port): State<Port>,
    params: ListParams,
    ContractQuery(Listed { status }): ContractQuery<Listed>,
) -> ApiResult<Json<Value>> {
    let rows = tokio::task::spawn_blocking(move || port.resources.reservations(status))
        .await
        .map_err(|error| ApiError::internal(&error))??;
    // Ids sort by the time of their making.
    let page = params.cut(RESERVATION_LIMITS, rows, |row| Reverse(row.reservation_id.clone()))?;
    Ok(Json(page.map(|reservation| row(&reservation)).answer("reservations")))
}

/// A reservation as the wire shows it.
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

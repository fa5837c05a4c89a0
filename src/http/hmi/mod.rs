//! Port 6101, the HMI: the pages, their data, and an operator's actions ([`acts`]).
//!
//! Everything but the actions only reads: snapshots of the tree, rows of the job book, caches and ledgers in
//! memory. Invariant: reading sends no message to an agent, so a busy, hung or crashed agent is shown like
//! any other. Derived values follow the pure rules of [`crate::domain::hmi`].

mod action;
mod agent_card;
mod alerts;
mod costs;
mod live;
pub mod log_lines;
mod machine;
pub mod pages;
mod sequencer;
mod services;
mod tree;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use serde_json::json;

use super::compression;
use super::page::HealthReporter;
use crate::actors::event_stream::EventStreamHandle;
use crate::actors::gateway::GatewayHandle;
use crate::actors::jobs::JobsShared;
use crate::actors::registry::RegistryHandle;
use crate::actors::resource_manager::ResourceHandle;
use crate::actors::steering::SteeringHandle;
use crate::actors::token_governor::GovernorHandle;
use crate::store::Store;
use crate::supervision::ActorSystem;

/// The services whose health `/api/metrics` gathers, with the contract's names.
pub const WATCHED: [&str; 5] =
    ["registry", "heartbeat_monitor", "resource_manager", "token_governor", "event_stream"];

/// The HMI's sources.
pub struct HmiDeps {
    /// Jobs, approvals and the roster.
    pub jobs: Arc<JobsShared>,
    /// For the crash records.
    pub store: Store,
    /// The tree, the trace and the log of supervision.
    pub system: ActorSystem,
    pub events: EventStreamHandle,
    pub registry: RegistryHandle,
    /// Context use.
    pub governor: GovernorHandle,
    pub resources: ResourceHandle,
    /// Costs and providers.
    pub gateway: GatewayHandle,
    /// The daemon's ports by service.
    pub ports: BTreeMap<&'static str, u16>,
    /// The health of the services in [`WATCHED`].
    pub health: Vec<(&'static str, HealthReporter)>,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct HmiApi(Arc<HmiShared>);

struct HmiShared {
    sources: HmiDeps,
    machine: machine::MachineSampler,
    live: live::LiveCache,
}

impl std::ops::Deref for HmiApi {
    type Target = HmiDeps;

    fn deref(&self) -> &HmiDeps {
        &self.0.sources
    }
}

impl HmiApi {
    /// An HMI over these sources.
    #[must_use]
    pub fn new(sources: HmiDeps) -> Self {
        let machine = machine::MachineSampler::new(sources.jobs.settings.workdir.clone());
        Self(Arc::new(HmiShared { sources, machine, live: live::LiveCache::default() }))
    }
}

/// The reading routes, except `/` (see [`pages::front`]). Actions have their own router, to be merged with
/// this one.
pub fn routes(hmi: &HmiApi) -> Router {
    Router::new()
        .route("/api/live", get(live::live))
        .route("/api/current-task", get(live::current_task))
        .route("/api/agents/{name}", get(agent_card::card))
        .route("/api/alerts", get(alerts::alerts))
        .route("/api/costs", get(costs::costs))
        .route("/api/costs/budget/{run_id}", get(costs::budget))
        .route("/api/costs/receipts/{run_id}", get(costs::receipts))
        .route("/api/metrics", get(services::metrics))
        .route("/api/sequencer", get(sequencer::sequencer))
        .route("/api/services", get(services::list))
        .route("/api/tasks", get(work::tasks))
        .route("/api/tree", get(services::tree))
        .with_state(hmi.clone())
        .layer(compression::of_json())
        .merge(pages::routes(&hmi.ports))
}

/// The routes of actions and of the audit log.
pub fn acts(steering: SteeringHandle) -> Router {
    action::routes(steering)
}

/// The fields of `/health`: the contract's name of the service, and whether the pages are built in.
#[must_use]
pub fn health() -> HealthReporter {
    Arc::new(|| {
        let told = [("service", json!("hmi_app")), ("pages", json!(pages::are_built()))];
        let told = told.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        Box::pin(std::future::ready(Ok(told)))
    })
}

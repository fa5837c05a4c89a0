//! Port 6101, the HMI: the pages, what they draw, and what an operator acts with ([`acts`]).
//!
//! All but that reads only: snapshots of the tree, rows of the job book, boards and ledgers in memory.
//! Invariant: whoever looks sends no message to an agent, so a busy, hung or crashed one is shown like any
//! other.
//! What is derived is derived by the pure rules of [`crate::domain::hmi`].

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

use super::page::Health;
use crate::actors::event_stream::Events;
use crate::actors::gateway::Gateway;
use crate::actors::jobs::Jobs;
use crate::actors::registry::RegistryHandle;
use crate::actors::resource_manager::ResourceHandle;
use crate::actors::steering::Steering;
use crate::actors::token_governor::GovernorHandle;
use crate::supervision::ActorSystem;

/// The services whose health `/api/metrics` gathers, as the contract names them.
pub const WATCHED: [&str; 5] =
    ["registry", "heartbeat_monitor", "resource_manager", "token_governor", "event_stream"];

/// What the HMI looks at.
pub struct Sources {
    /// Jobs, approvals and the roster.
    pub jobs: Arc<Jobs>,
    /// The tree, the trace and the log of supervision.
    pub system: ActorSystem,
    pub events: Events,
    pub registry: RegistryHandle,
    /// How full contexts are.
    pub governor: GovernorHandle,
    /// The machine, shared out.
    pub resources: ResourceHandle,
    /// What calls cost, and who is called.
    pub gateway: Gateway,
    /// The daemon's ports by service.
    pub ports: BTreeMap<&'static str, u16>,
    /// The health of the services in [`WATCHED`].
    pub health: Vec<(&'static str, Health)>,
}

/// The handlers' state. Cheap to clone.
#[derive(Clone)]
pub struct Hmi(Arc<Inner>);

struct Inner {
    sources: Sources,
    machine: machine::Sampler,
    live: live::Cache,
}

impl std::ops::Deref for Hmi {
    type Target = Sources;

    fn deref(&self) -> &Sources {
        &self.0.sources
    }
}

impl Hmi {
    /// An HMI over these sources.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        let machine = machine::Sampler::new(sources.jobs.settings.workdir.clone());
        Self(Arc::new(Inner { sources, machine, live: live::Cache::default() }))
    }
}

/// The routes of this port, without the common ones and `/` (see [`pages::front`]). The verbs that change
/// something have a router of their own, to be merged with this one.
pub fn routes(hmi: &Hmi) -> Router {
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
        .route("/api/tree", get(services::tree))
        .with_state(hmi.clone())
        .merge(pages::routes(&hmi.ports))
}

/// The routes by which an operator acts, and looks at what was done.
pub fn acts(steering: Steering) -> Router {
    action::routes(steering)
}

/// What `/health` says: the name that clients of the contract know, and whether the pages are built in.
#[must_use]
pub fn health() -> Health {
    Arc::new(|| {
        let told = [("service", json!("hmi_app")), ("pages", json!(pages::are_built()))];
        let told = told.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        Box::pin(std::future::ready(Ok(told)))
    })
}

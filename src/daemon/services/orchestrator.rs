//! The orchestrator on port 6100. The actors behind it are the agents and the scheduler.

use std::sync::Arc;

use axum::Router;
use serde_json::{Map, json};

use super::{DaemonService, ServiceSite};
use crate::actors::agent::trees_below;
use crate::http::orchestrator::{self, OrchestratorApi};
use crate::http::page::HealthReporter;

pub(super) struct OrchestratorService;

impl DaemonService for OrchestratorService {
    fn routes(&self, site: &ServiceSite) -> anyhow::Result<Router> {
        Ok(orchestrator::routes(OrchestratorApi {
            jobs: Arc::clone(&site.jobs),
            store: site.store.clone(),
            trees: trees_below(&site.config.daemon.data_dir),
            system: site.system.clone(),
            directory: site.need()?,
            steering: site.need()?,
            events: site.need()?,
            retention: site.need()?,
            shutdown: site.shutdown.clone(),
        }))
    }

    fn health(&self, site: &ServiceSite) -> anyhow::Result<HealthReporter> {
        let config = &site.config;
        let fields = [
            ("workdir", json!(config.daemon.workdir)),
            ("data_dir", json!(config.daemon.data_dir)),
            ("store", json!(config.store_file())),
            ("pid", json!(std::process::id())),
        ];
        let fields: Map<_, _> = fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        Ok(orchestrator::health(fields, site.store.clone(), site.need()?))
    }
}

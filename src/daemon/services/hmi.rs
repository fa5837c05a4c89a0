//! The HMI on port 6101. Reads all other services, and shows their health.

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;

use super::{DaemonService, SERVICES, ServiceRow, ServiceSite, numbers};
use crate::http::hmi::{self, HmiApi, HmiDeps, WATCHED};
use crate::http::page::{self, HealthReporter};
use crate::http::{ListenerSpec, PortContract};

pub(super) struct HmiService;

impl DaemonService for HmiService {
    fn routes(&self, site: &ServiceSite) -> anyhow::Result<Router> {
        let hmi = HmiApi::new(HmiDeps {
            jobs: Arc::clone(&site.jobs),
            store: site.store.clone(),
            system: site.system.clone(),
            events: site.need()?,
            registry: site.need()?,
            governor: site.need()?,
            resources: site.need()?,
            gateway: site.need()?,
            ports: numbers(site),
            health: WATCHED.iter().map(|name| watched(name, site)).collect::<Result<_, _>>()?,
        });
        Ok(hmi::routes(&hmi).merge(hmi::acts(site.need()?)))
    }

    fn health(&self, _: &ServiceSite) -> anyhow::Result<HealthReporter> {
        Ok(hmi::health())
    }

    fn common_routes(&self, contract: PortContract, health: HealthReporter, site: &ServiceSite) -> Router {
        page::routes_with_front(contract, health, hmi::pages::front(&numbers(site)))
    }

    fn listener(&self, usual: ListenerSpec) -> ListenerSpec {
        usual.open(hmi::pages::is_page)
    }
}

/// The health of a service by the name in the contract, which two contracts write with hyphens.
fn watched(name: &'static str, site: &ServiceSite) -> anyhow::Result<(&'static str, HealthReporter)> {
    let with_port = |row: &'static ServiceRow| Some((row, row.port()?));
    let named =
        SERVICES.iter().filter_map(with_port).find(|(_, port)| port.wire_name().replace('-', "_") == name);
    let (row, port) = named.with_context(|| format!("no contract calls its service `{name}`"))?;
    Ok((name, row.health(port, site)?))
}

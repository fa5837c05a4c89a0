//! The registry on port 6121.

use std::sync::Arc;

use axum::Router;

use super::{DaemonService, SERVICES, ServicePlacement, ServiceSite};
use crate::actors::directory::{AgentDirectory, ServedPorts};
use crate::actors::registry;
use crate::http::page::HealthReporter;
use crate::http::registry as port;
use crate::supervision::ChildSpec;

pub(super) struct RegistryService;

impl DaemonService for RegistryService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        let roster = Arc::clone(site.jobs.agents.roster());
        let directory = AgentDirectory::new(roster, &served_ports(site), site.need()?);
        site.provide(directory.clone())?;
        let (spec, registry) =
            registry::spec(&site.system, "registry-service", site.options, site.store.clone(), directory);
        site.provide(registry)?;
        Ok(Some(spec))
    }

    fn routes(&self, site: &ServiceSite) -> anyhow::Result<Router> {
        Ok(port::routes(site.need()?))
    }

    fn health(&self, site: &ServiceSite) -> anyhow::Result<HealthReporter> {
        Ok(port::health(site.need()?))
    }
}

/// The ports of services that run beside their agent.
fn served_ports(site: &ServiceSite) -> ServedPorts {
    let served = SERVICES.iter().filter_map(|row| match (row.placement, row.port()) {
        (ServicePlacement::BesideAgent(agent), Some(port)) => Some((agent, site.port(port.number))),
        _ => None,
    });
    served.collect()
}

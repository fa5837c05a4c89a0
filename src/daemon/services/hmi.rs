//! The HMI on port 6101. It looks at all other services, and shows the health that they tell.

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;

use super::{DaemonService, SERVICES, ServiceRow, ServiceSite, numbers};
use crate::http::hmi::{self, Hmi, Sources, WATCHED};
use crate::http::page::{self, Health};
use crate::http::{Contract, Listener};

pub(super) struct HmiService;

impl DaemonService for HmiService {
    fn routes(&self, site: &ServiceSite) -> anyhow::Result<Router> {
        let hmi = Hmi::new(Sources {
            jobs: Arc::clone(&site.jobs),
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

    fn health(&self, _: &ServiceSite) -> anyhow::Result<Health> {
        Ok(hmi::health())
    }

    fn common_routes(&self, contract: Contract, health: Health, site: &ServiceSite) -> Router {
        page::routes_with_front(contract, health, hmi::pages::front(&numbers(site)))
    }

    fn listener(&self, usual: Listener) -> Listener {
        usual.open(hmi::pages::is_page)
    }
}

/// The health of a service that its contract calls `name`; two contracts write it with hyphens.
fn watched(name: &'static str, site: &ServiceSite) -> anyhow::Result<(&'static str, Health)> {
    let with_port = |row: &'static ServiceRow| Some((row, row.port()?));
    let named =
        SERVICES.iter().filter_map(with_port).find(|(_, port)| port.wire_name().replace('-', "_") == name);
    let (row, port) = named.with_context(|| format!("no contract calls its service `{name}`"))?;
    Ok((name, row.health(port, site)?))
}

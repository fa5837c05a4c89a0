//! The provider router on port 6103.

use axum::Router;

use super::{DaemonService, ServiceSite, own_ports};
use crate::actors::provider_router;
use crate::domain::provider_router::EndpointRules;
use crate::http::page::HealthReporter;
use crate::http::provider_router as port;
use crate::supervision::ChildSpec;

pub(super) struct ProviderRouterService;

impl DaemonService for ProviderRouterService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        own_ports::vendors_are_elsewhere(site)?;
        let rules = EndpointRules {
            plain_http_hosts: site.config.provider_router.plain_http_hosts.clone(),
            ports_without_models: own_ports::without_models(site),
        };
        let (spec, router) = provider_router::spec(
            &site.system,
            "provider-router-service",
            site.options,
            site.store.clone(),
            rules,
        );
        site.provide(router)?;
        Ok(Some(spec))
    }

    fn routes(&self, site: &ServiceSite) -> anyhow::Result<Router> {
        Ok(port::routes(site.need()?))
    }

    fn health(&self, site: &ServiceSite) -> anyhow::Result<HealthReporter> {
        Ok(port::health(site.need()?))
    }
}
